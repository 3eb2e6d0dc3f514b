/* See base/os_file.h. Files are opened so that others may read, write, rename and remove them
 * meanwhile, as elsewhere.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/folder.h"
#include "base/os_file.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <io.h>
#include <stdlib.h>
#include <string.h>
#include <windows.h>

#include "base/windows/wide.h"

static const DWORD SHARED = FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE;

/* ---- names ---------------------------------------------------------------------------------- */

static uint64_t join(DWORD high, DWORD low) {
    return (uint64_t)high << 32 | low;
}

static bool look(HANDLE h, pd_path_info *out) {
    BY_HANDLE_FILE_INFORMATION info;
    *out = (pd_path_info){0};
    if (GetFileType(h) != FILE_TYPE_DISK) {
        out->kind = PD_PATH_OTHER;
        return true;
    }
    if (!GetFileInformationByHandle(h, &info)) {
        pd_take_last_error();
        return false;
    }
    bool is_folder = (info.dwFileAttributes & FILE_ATTRIBUTE_DIRECTORY) != 0;
    *out = (pd_path_info){.kind = is_folder ? PD_PATH_FOLDER : PD_PATH_FILE,
                          .size = join(info.nFileSizeHigh, info.nFileSizeLow),
                          .device = info.dwVolumeSerialNumber,
                          .number = join(info.nFileIndexHigh, info.nFileIndexLow)};
    return true;
}

/* With no rights but to ask; folders too. */
static HANDLE open_to_look(const char *path) {
    wchar_t *wide = pd_wide_path(path);
    if (!wide) return INVALID_HANDLE_VALUE;
    HANDLE h = CreateFileW(wide, 0, SHARED, NULL, OPEN_EXISTING, FILE_FLAG_BACKUP_SEMANTICS, NULL);
    if (h == INVALID_HANDLE_VALUE) pd_take_last_error();
    free(wide);
    return h;
}

/* NUL, CON and the like, with any extension and in any folder. */
bool pd_path_is_device(const char *path) {
    static const char *const names[] = {"CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"};
    const char *name = path + pd_path_name_at(path);
    size_t n = strcspn(name, ". ");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strlen(names[i]) == n && _strnicmp(name, names[i], n) == 0) return true;
    bool numbered = _strnicmp(name, "COM", 3) == 0 || _strnicmp(name, "LPT", 3) == 0;
    return (n == 4 && numbered && isdigit((unsigned char)name[3])) ||
           strncmp(path, "/dev/", 5) == 0;
}

bool pd_path_look(const char *path, pd_path_info *out) {
    *out = (pd_path_info){0};
    if (pd_path_is_device(path)) {
        out->kind = PD_PATH_OTHER;
        return true;
    }
    HANDLE h = open_to_look(path);
    if (h == INVALID_HANDLE_VALUE) return false;
    bool looked = look(h, out);
    CloseHandle(h);
    return looked;
}

bool pd_path_exists(const char *path) {
    pd_path_info info;
    return pd_path_look(path, &info);
}

/* Whether it can be opened so. */
static bool can_open(const char *path, DWORD access, DWORD flags) {
    wchar_t *wide = pd_wide_path(path);
    if (!wide) return false;
    HANDLE h = CreateFileW(wide, access, SHARED, NULL, OPEN_EXISTING, flags, NULL);
    bool opened = h != INVALID_HANDLE_VALUE;
    if (opened)
        CloseHandle(h);
    else
        pd_take_last_error();
    free(wide);
    return opened;
}

bool pd_path_can_read(const char *path) {
    return can_open(path, GENERIC_READ, FILE_FLAG_BACKUP_SEMANTICS);
}

bool pd_path_can_write(const char *path) {
    return can_open(path, GENERIC_WRITE, FILE_FLAG_BACKUP_SEMANTICS);
}

bool pd_folder_can_take(const char *path) {
    return pd_path_is_folder(path) && can_open(path, FILE_ADD_FILE, FILE_FLAG_BACKUP_SEMANTICS);
}

char *pd_path_real(const char *path) {
    HANDLE h = open_to_look(path);
    if (h == INVALID_HANDLE_VALUE) return NULL;
    DWORD n = GetFinalPathNameByHandleW(h, NULL, 0, FILE_NAME_NORMALIZED);
    wchar_t *wide = n > 0 ? calloc(n + 1, sizeof *wide) : NULL;
    bool found = wide && GetFinalPathNameByHandleW(h, wide, n, FILE_NAME_NORMALIZED) > 0;
    CloseHandle(h);
    wchar_t *name = wide;
    if (found && wcsncmp(wide, L"\\\\?\\UNC\\", 8) == 0) { /* \\server\share */
        name += 6;
        name[0] = L'\\';
    } else if (found && wcsncmp(wide, L"\\\\?\\", 4) == 0) {
        name += 4;
    }
    char *real = found ? pd_narrow(name) : NULL;
    free(wide);
    if (real) pd_path_use_slashes(real);
    return real;
}

bool pd_path_is_absolute(const char *path) {
    bool has_drive = isalpha((unsigned char)path[0]) && path[1] == ':';
    return (has_drive && strchr("/\\", path[2]) && path[2]) || path[0] == '/' || path[0] == '\\';
}

void pd_path_use_slashes(char *path) {
    for (; *path; path++)
        if (*path == '\\') *path = '/';
}

static bool succeed(BOOL done) {
    if (!done) pd_take_last_error();
    return done;
}

bool pd_path_remove(const char *path) {
    wchar_t *wide = pd_wide_path(path);
    bool done = wide && succeed(DeleteFileW(wide));
    free(wide);
    return done;
}

/* Which a file may be that cannot be replaced, whatever the system says then. */
static bool is_open_elsewhere(const wchar_t *path) {
    HANDLE h = CreateFileW(path, DELETE, SHARED, NULL, OPEN_EXISTING, 0, NULL);
    if (h == INVALID_HANDLE_VALUE) return GetLastError() == ERROR_SHARING_VIOLATION;
    CloseHandle(h);
    return false;
}

bool pd_path_move(const char *from, const char *to) {
    wchar_t *old = pd_wide_path(from), *new = pd_wide_path(to);
    bool done =
        old &&
        new &&succeed(MoveFileExW(old, new, MOVEFILE_REPLACE_EXISTING | MOVEFILE_WRITE_THROUGH));
    if (!done && new &&errno == EACCES && is_open_elsewhere(new)) errno = EBUSY;
    free(old);
    free(new);
    return done;
}

bool pd_path_link(const char *file, const char *name) {
    wchar_t *old = pd_wide_path(file), *new = pd_wide_path(name);
    bool done = old && new &&succeed(CreateHardLinkW(new, old, NULL));
    free(old);
    free(new);
    return done;
}

bool pd_folder_make(const char *path, uint32_t mode) {
    (void)mode; /* a user's folders are the user's own */
    wchar_t *wide = pd_wide_path(path);
    bool done = wide && succeed(CreateDirectoryW(wide, NULL));
    free(wide);
    return done;
}

bool pd_folder_remove(const char *path) {
    wchar_t *wide = pd_wide_path(path);
    bool done = wide && succeed(RemoveDirectoryW(wide));
    free(wide);
    return done;
}

static wchar_t *pattern_of(const char *path) {
    char *pattern = malloc(strlen(path) + 3);
    if (!pattern) return NULL;
    strcpy(pattern, path);
    strcat(pattern, "/*");
    wchar_t *wide = pd_wide_path(pattern);
    free(pattern);
    return wide;
}

bool pd_folder_each(const char *path, bool (*fn)(void *ctx, const char *name), void *ctx) {
    WIN32_FIND_DATAW found;
    wchar_t *pattern = pattern_of(path);
    HANDLE h = pattern ? FindFirstFileW(pattern, &found) : INVALID_HANDLE_VALUE;
    if (pattern && h == INVALID_HANDLE_VALUE) pd_take_last_error();
    free(pattern);
    if (h == INVALID_HANDLE_VALUE) return false;
    int failure = 0;
    for (bool more = true; more;) {
        char *name = pd_narrow(found.cFileName);
        bool is_dots = name && (strcmp(name, ".") == 0 || strcmp(name, "..") == 0);
        if (!name) failure = ENOMEM;
        more = is_dots || (name && fn(ctx, name));
        free(name);
        if (!more || FindNextFileW(h, &found)) continue;
        more = false;
        if (GetLastError() == ERROR_NO_MORE_FILES) continue;
        pd_take_last_error();
        failure = errno;
    }
    FindClose(h);
    errno = failure;
    return failure == 0;
}

bool pd_folder_sync(const char *path) {
    (void)path; /* moves are written through */
    return true;
}

bool pd_folder_free_bytes(const char *path, uint64_t *out) {
    ULARGE_INTEGER bytes;
    wchar_t *wide = pd_wide_path(path);
    bool done = wide && succeed(GetDiskFreeSpaceExW(wide, &bytes, NULL, NULL));
    free(wide);
    if (done) *out = bytes.QuadPart;
    return done;
}

/* ---- streams and descriptors ---------------------------------------------------------------- */

static DWORD access_of(unsigned how) {
    DWORD access = how & PD_OPEN_READ ? GENERIC_READ : 0;
    if (how & PD_OPEN_APPEND) return access | FILE_APPEND_DATA | FILE_WRITE_ATTRIBUTES;
    return how & PD_OPEN_WRITE ? access | GENERIC_WRITE : access;
}

static DWORD disposition_of(unsigned how) {
    if (!(how & PD_OPEN_CREATE)) return OPEN_EXISTING;
    return how & PD_OPEN_NEW ? CREATE_NEW : OPEN_ALWAYS;
}

/* A descriptor over the handle, which is closed where that fails. */
static int descriptor_of(HANDLE h, unsigned how) {
    if (h == INVALID_HANDLE_VALUE) {
        pd_take_last_error();
        return -1;
    }
    int flags = _O_BINARY | _O_NOINHERIT;
    if (how & PD_OPEN_APPEND) flags |= _O_APPEND;
    int fd = _open_osfhandle((intptr_t)h, flags);
    if (fd < 0) CloseHandle(h);
    return fd;
}

static bool is_link(HANDLE h) {
    FILE_ATTRIBUTE_TAG_INFO info;
    return GetFileInformationByHandleEx(h, FileAttributeTagInfo, &info, sizeof info) &&
           (info.FileAttributes & FILE_ATTRIBUTE_REPARSE_POINT) &&
           info.ReparseTag == IO_REPARSE_TAG_SYMLINK;
}

int pd_fd_open(const char *path, unsigned how) {
    wchar_t *wide = pd_wide_path(path);
    if (!wide) return -1;
    DWORD flags = FILE_ATTRIBUTE_NORMAL;
    if (how & PD_OPEN_NO_LINK) flags |= FILE_FLAG_OPEN_REPARSE_POINT;
    HANDLE h = CreateFileW(wide, access_of(how), SHARED, NULL, disposition_of(how), flags, NULL);
    if (h != INVALID_HANDLE_VALUE && how & PD_OPEN_NO_LINK && is_link(h)) {
        CloseHandle(h);
        free(wide);
        errno = ELOOP;
        return -1;
    }
    int fd = descriptor_of(h, how);
    if (fd < 0 && errno == EACCES && pd_path_is_folder(path)) errno = EISDIR;
    free(wide);
    return fd;
}

FILE *pd_stream_open(const char *path, const char *mode) {
    unsigned how = mode[0] == 'r' ? PD_OPEN_READ : PD_OPEN_WRITE | PD_OPEN_CREATE;
    if (strchr(mode, '+')) how |= PD_OPEN_READ | PD_OPEN_WRITE;
    if (mode[0] == 'a') how |= PD_OPEN_APPEND;
    if (pd_path_is_device(path) && strncmp(path, "/dev/", 5) != 0) how &= ~(unsigned)PD_OPEN_CREATE;
    if (strcmp(path, "/dev/null") == 0) path = "NUL";
    bool is_output = strcmp(path, "/dev/stdout") == 0; /* what -o - stands for */
    int fd = is_output ? _dup(_fileno(stdout)) : pd_fd_open(path, how);
    if (fd < 0) return NULL;
    bool is_disk = GetFileType((HANDLE)_get_osfhandle(fd)) == FILE_TYPE_DISK;
    bool ready = mode[0] != 'w' || is_output || !is_disk || pd_fd_truncate(fd, 0);
    FILE *f = ready ? pd_fd_stream(fd, mode) : NULL;
    if (!f) pd_fd_close(fd);
    return f;
}

int pd_fd_open_unnamed(const char *folder) {
    (void)folder;
    errno = ENOSYS;
    return -1;
}

bool pd_fd_name(int fd, const char *path) {
    (void)fd;
    (void)path;
    errno = ENOSYS;
    return false;
}

const char *pd_fd_link(int fd, char out[32]) {
    (void)fd;
    out[0] = '\0';
    return out;
}

bool pd_fd_look(int fd, pd_path_info *out) {
    return look((HANDLE)_get_osfhandle(fd), out);
}

static OVERLAPPED at_offset(uint64_t at) {
    OVERLAPPED o = {0};
    o.Offset = (DWORD)at;
    o.OffsetHigh = (DWORD)(at >> 32);
    return o;
}

static DWORD piece_of(size_t n) {
    return n < 1u << 30 ? (DWORD)n : 1u << 30;
}

int64_t pd_fd_read(int fd, void *data, size_t n, uint64_t at) {
    OVERLAPPED o = at_offset(at);
    DWORD got = 0;
    if (ReadFile((HANDLE)_get_osfhandle(fd), data, piece_of(n), &got, &o)) return got;
    if (GetLastError() == ERROR_HANDLE_EOF) return 0;
    pd_take_last_error();
    return -1;
}

int64_t pd_fd_write(int fd, const void *data, size_t n, uint64_t at) {
    OVERLAPPED o = at_offset(at);
    DWORD wrote = 0;
    if (WriteFile((HANDLE)_get_osfhandle(fd), data, piece_of(n), &wrote, &o)) return wrote;
    pd_take_last_error();
    return -1;
}

int64_t pd_fd_append(int fd, const void *data, size_t n) {
    DWORD wrote = 0;
    if (WriteFile((HANDLE)_get_osfhandle(fd), data, piece_of(n), &wrote, NULL)) return wrote;
    pd_take_last_error();
    return -1;
}

bool pd_fd_truncate(int fd, uint64_t n) {
    FILE_END_OF_FILE_INFO end = {.EndOfFile.QuadPart = (LONGLONG)n};
    HANDLE h = (HANDLE)_get_osfhandle(fd);
    return succeed(SetFileInformationByHandle(h, FileEndOfFileInfo, &end, sizeof end));
}

bool pd_fd_set_mode(int fd, uint32_t mode) {
    (void)fd;
    (void)mode;
    return true;
}

bool pd_fd_sync(int fd) {
    return succeed(FlushFileBuffers((HANDLE)_get_osfhandle(fd)));
}

void pd_fd_close(int fd) {
    _close(fd);
}

FILE *pd_fd_stream(int fd, const char *mode) {
    char binary[8];
    snprintf(binary, sizeof binary, "%.6s%s", mode, strchr(mode, 'b') ? "" : "b");
    return _fdopen(fd, binary);
}

/* ---- locks ---------------------------------------------------------------------------------- */

/* A byte far behind the end: those within could not be read or written. */
pd_lock pd_fd_lock(int fd) {
    OVERLAPPED o = at_offset(UINT64_C(1) << 62);
    const DWORD how = LOCKFILE_EXCLUSIVE_LOCK | LOCKFILE_FAIL_IMMEDIATELY;
    if (LockFileEx((HANDLE)_get_osfhandle(fd), how, 0, 1, 0, &o)) return PD_LOCK_TAKEN;
    return GetLastError() == ERROR_LOCK_VIOLATION ? PD_LOCK_BUSY : PD_LOCK_NONE;
}

/* A hidden file in it, which stays: to remove it while others wait would let two of them in. */
int pd_folder_open_lock(const char *path) {
    char *file = malloc(strlen(path) + 16);
    if (!file) {
        errno = ENOMEM;
        return -1;
    }
    strcpy(file, path);
    strcat(file, "/.lock");
    wchar_t *wide = pd_wide_path(file);
    free(file);
    if (!wide) return -1;
    HANDLE h = CreateFileW(wide, GENERIC_READ | GENERIC_WRITE, SHARED, NULL, OPEN_ALWAYS,
                           FILE_ATTRIBUTE_HIDDEN, NULL);
    free(wide);
    return descriptor_of(h, PD_OPEN_READ | PD_OPEN_WRITE);
}
