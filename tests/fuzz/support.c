/* Files in memory and in a folder for parsers that take paths; what an outcome may be.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE /* memfd_create */
#include "fuzz.h"
#include "support_data.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

void fuzz_check(bool good, const char *words) {
    if (good) return;
    fprintf(stderr, "fuzz: %s\n", words);
    abort();
}

bool fuzz_clean(pd_status status, const pd_error *err) {
    if (status == PD_OK) return true;
    bool known = status == PD_ERR_FORMAT || status == PD_ERR_UNSUPPORTED ||
                 status == PD_ERR_MODEL || status == PD_ERR_ARGUMENT;
    if (!known) fprintf(stderr, "fuzz: %s: %s\n", pd_status_name(status), err->message);
    fuzz_check(known, "a status that damaged bytes must not have");
    fuzz_check(err->message[0] != '\0', "an error without a sentence");
    for (const char *c = err->message; *c; c++)
        fuzz_check((unsigned char)*c >= 0x20 && *c != 0x7f, "a control character in a sentence");
    return false;
}

const char *fuzz_file(const uint8_t *data, size_t n, uint64_t n_zeros) {
    static int fd = -1;
    static char path[64];
    if (fd < 0) fd = memfd_create("fuzz", MFD_CLOEXEC);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    bool good = fd >= 0 && ftruncate(fd, 0) == 0 && pwrite(fd, data, n, 0) == (ssize_t)n &&
                ftruncate(fd, (off_t)(n + n_zeros)) == 0;
    fuzz_check(good, "cannot make a file in memory");
    return path;
}

static char folder[64];

static void remove_folder(void) {
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    if (system(command) != 0) fprintf(stderr, "fuzz: %s stays\n", folder);
}

const char *fuzz_folder(void) {
    if (folder[0]) return folder;
    snprintf(folder, sizeof folder, "%s/peridot-fuzz-XXXXXX",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    fuzz_check(mkdtemp(folder) != NULL, "cannot make a folder");
    atexit(remove_folder);
    return folder;
}

void fuzz_put(const char *name, const uint8_t *data, size_t n) {
    char path[128];
    snprintf(path, sizeof path, "%s/%s", fuzz_folder(), name);
    FILE *f = fopen(path, "wb");
    bool good = f && fwrite(data, 1, n, f) == n;
    if (f) good = fclose(f) == 0 && good;
    fuzz_check(good, "cannot write a file");
}

void fuzz_read(const void *data, uint64_t n) {
    static volatile uint8_t sum;
    const uint8_t *bytes = data;
    if (n > 0) sum = (uint8_t)(sum + bytes[0] + bytes[n - 1]);
}

size_t fuzz_part(const uint8_t **data, size_t *n, const uint8_t **part) {
    const uint8_t *end = *n ? memchr(*data, 0, *n) : NULL;
    size_t length = end ? (size_t)(end - *data) : *n, used = end ? length + 1 : length;
    *part = *data;
    *data += used;
    *n -= used;
    return length;
}

const pd_vocab *fuzz_vocab(void) {
    static pd_vocab *vocab;
    pd_gguf *g = NULL;
    if (vocab) return vocab;
    fuzz_check(pd_gguf_open(test_data("golden/small-q4_0.gguf"), &g, NULL) == PD_OK &&
                   pd_vocab_open(g, &vocab, NULL) == PD_OK,
               "cannot open the golden vocabulary");
    pd_gguf_close(g);
    return vocab;
}
