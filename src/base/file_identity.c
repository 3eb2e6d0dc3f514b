/* Which names lead to the same file.  SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/file.h"
#include "base/folder.h"

static bool is_file(const char *path, const struct stat *file) {
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode) && st.st_dev == file->st_dev &&
           st.st_ino == file->st_ino;
}

static bool is_gguf(const char *path) {
    char magic[4] = {0};
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return false;
    bool is = read(fd, magic, sizeof magic) == sizeof magic && memcmp(magic, "GGUF", 4) == 0;
    close(fd);
    return is;
}

static pd_status find_in_folder(const char *path, const struct stat *file, bool *found,
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
    struct stat file, st;
    if (stat(output, &file) != 0 || !S_ISREG(file.st_mode) || stat(input, &st) != 0) return PD_OK;
    bool in_folder = S_ISDIR(st.st_mode), found = !in_folder && is_file(input, &file);
    if (in_folder) PD_TRY(find_in_folder(input, &file, &found, err));
    if (!found) return PD_OK;
    return PD_RAISE(err, PD_ERR_ARGUMENT, "\"%s\" is %s", output,
                    in_folder ? "a file of the input" : "the input itself");
}

/* Where a new file of this path comes to lie; false where nothing can be written or replaced. */
static bool resolve(const char *path, char out[PATH_MAX + NAME_MAX + 2]) {
    struct stat st;
    if (stat(path, &st) == 0) return S_ISREG(st.st_mode) && realpath(path, out);
    char folder[PATH_MAX] = ".";
    size_t name_at = pd_path_name_at(path);
    if (name_at >= sizeof folder || strlen(path + name_at) > NAME_MAX) return false;
    if (name_at > 0) snprintf(folder, sizeof folder, "%.*s", (int)name_at, path);
    if (!realpath(folder, out)) return false;
    size_t n = strlen(out);
    snprintf(out + n, NAME_MAX + 2, "/%s", path + name_at);
    return true;
}

pd_status pd_file_check_outputs(const char *a, const char *b, pd_error *err) {
    char at[PATH_MAX + NAME_MAX + 2], other[PATH_MAX + NAME_MAX + 2];
    if (!resolve(a, at) || !resolve(b, other) || strcmp(at, other) != 0) return PD_OK;
    return PD_RAISE(err, PD_ERR_ARGUMENT,
                    "\"%s\" and \"%s\" are the same file, to be written twice", a, b);
}
