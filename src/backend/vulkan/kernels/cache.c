/* Cache files with a checksum over their name and content: see cache.h. A file that was copied over
 * another one is as damaged as one with a flipped bit. Written atomically, so that two processes
 * which compile the same shader at once both leave a whole file.
 *
 * SPDX-License-Identifier: MIT
 */
#include "backend/vulkan/kernels/cache.h"

#include <string.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/os_file.h"

static const char magic[8] = {'P', 'D', 'C', 'A', 'C', 'H', 'E', '2'};
enum { HEADER_BYTES = 16, MAX_BYTES = 256 << 20 };

static uint64_t sum_of(const char *name, const void *data, size_t n) {
    return pd_hash_seeded(data, n, pd_hash(name, strlen(name)));
}

static bool is_intact(const char *name, const char *file, size_t n) {
    uint64_t sum;
    if (n < HEADER_BYTES || memcmp(file, magic, sizeof magic) != 0) return false;
    memcpy(&sum, file + sizeof magic, sizeof sum);
    return sum == sum_of(name, file + HEADER_BYTES, n - HEADER_BYTES);
}

void pd_vk_cache_note(void) {
    char *path = pd_cache_path("any");
    if (!path)
        pd_log(PD_LOG_INFO, "vulkan",
               "no cache folder can be written, so that shaders are compiled at every start; "
               "PERIDOT_CACHE_DIR names another one");
    pd_free(path);
}

bool pd_vk_cache_load(const char *name, void **data, size_t *n) {
    char *path = pd_cache_path(name), *file = NULL;
    size_t n_file = 0;
    bool good = path && pd_file_read_regular(path, MAX_BYTES, &file, &n_file, NULL) == PD_OK;
    if (good && !is_intact(name, file, n_file)) {
        pd_log(PD_LOG_WARN, "vulkan", "ignoring the damaged cache file \"%s\"", path);
        good = false;
    }
    pd_free(path);
    if (!good) {
        pd_free(file);
        return false;
    }
    *n = n_file - HEADER_BYTES;
    memmove(file, file + HEADER_BYTES, *n); /* the start of an allocation is aligned */
    *data = file;
    return true;
}

/* What somebody put in a file's place: a writer would wait for a pipe's other end. */
static bool is_taken(const char *path) {
    pd_path_info info;
    return pd_path_look(path, &info) && info.kind != PD_PATH_FILE;
}

void pd_vk_cache_store(const char *name, const void *data, size_t n) {
    pd_error err;
    pd_file_writer w;
    uint64_t sum = sum_of(name, data, n);
    char *path = pd_cache_path(name);
    pd_status status = PD_OK;
    if (path && is_taken(path))
        status = PD_RAISE(&err, PD_ERR_IO, "\"%s\" is not a regular file", path);
    else if (path)
        status = pd_file_writer_open(path, &w, &err);
    if (path && status == PD_OK) {
        pd_file_writer_write(&w, magic, sizeof magic);
        pd_file_writer_write(&w, &sum, sizeof sum);
        pd_file_writer_write(&w, data, n);
        status = pd_file_writer_commit(&w, &err);
    }
    if (status != PD_OK) pd_log(PD_LOG_DEBUG, "vulkan", "cache file not kept: %s", err.message);
    pd_free(path);
}
