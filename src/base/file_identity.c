/* Which names lead to the same file.  SPDX-License-Identifier: MIT */
#include <string.h>

#include "base/bytes.h"
#include "base/file.h"
#include "base/folder.h"
#include "base/os_file.h"

static bool is_file(const char *path, const pd_path_info *file) {
    pd_path_info info;
    return pd_path_look(path, &info) && info.kind == PD_PATH_FILE && info.device == file->device &&
           info.number == file->number;
}

static bool is_gguf(const char *path) {
    char magic[4] = {0};
    int fd = pd_fd_open(path, PD_OPEN_READ);
    if (fd < 0) return false;
    bool is =
        pd_fd_read(fd, magic, sizeof magic, 0) == sizeof magic && memcmp(magic, "GGUF", 4) == 0;
    pd_fd_close(fd);
    return is;
}

static pd_status find_in_folder(const char *path, const pd_path_info *file, bool *found,
                                pd_error *err) {
    pd_folder folder;
    PD_TRY(pd_folder_list(path, &folder, err));
    for (size_t i = 0; i < folder.n && !*found; i++) {
        const char *entry = pd_arena_printf(&folder.arena, "%s/%s", path, folder.names[i]);
        *found = !entry || (is_file(entry, file) && !is_gguf(entry)); /* no memory: not written */
    }
    pd_folder_free(&folder);
    return PD_OK;
}

pd_status pd_file_check_output(const char *output, const char *input, pd_error *err) {
    pd_path_info file, in;
    if (!pd_path_look(output, &file) || file.kind != PD_PATH_FILE || !pd_path_look(input, &in))
        return PD_OK;
    bool in_folder = in.kind == PD_PATH_FOLDER, found = !in_folder && is_file(input, &file);
    if (in_folder) PD_TRY(find_in_folder(input, &file, &found, err));
    if (!found) return PD_OK;
    return PD_RAISE(err, PD_ERR_ARGUMENT, "\"%s\" is %s", output,
                    in_folder ? "a file of the input" : "the input itself");
}

/* Where a new file of this path comes to lie; NULL where nothing can be written or replaced. */
static char *resolve(const char *path) {
    if (pd_path_exists(path)) return pd_path_is_file(path) ? pd_path_real(path) : NULL;
    size_t name_at = pd_path_name_at(path);
    pd_bytes folder = {0}, whole = {0};
    pd_bytes_printf(&folder, "%.*s", name_at ? (int)name_at : 1, name_at ? path : ".");
    char *real = folder.failed ? NULL : pd_path_real(folder.data);
    if (real) pd_bytes_printf(&whole, "%s/%s", real, path + name_at);
    pd_bytes_free(&folder);
    pd_free(real);
    if (!whole.failed) return whole.data;
    pd_bytes_free(&whole);
    return NULL;
}

pd_status pd_file_check_outputs(const char *a, const char *b, pd_error *err) {
    char *at = resolve(a), *other = resolve(b);
    bool same = at && other && strcmp(at, other) == 0;
    pd_free(at);
    pd_free(other);
    if (!same) return PD_OK;
    return PD_RAISE(err, PD_ERR_ARGUMENT,
                    "\"%s\" and \"%s\" are the same file, to be written twice", a, b);
}
