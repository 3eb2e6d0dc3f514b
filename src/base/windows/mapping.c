/* Mapped files, and pages of them that cannot be read any more.  SPDX-License-Identifier: MIT */
#include <errno.h>
#include <io.h>
#include <string.h>
#include <windows.h>

#include <psapi.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/os_file.h"
#include "base/windows/wide.h"

static pd_status map_descriptor(int fd, const char *path, pd_mapping *out, pd_error *err) {
    pd_path_info info;
    if (!pd_fd_look(fd, &info))
        return PD_RAISE(err, PD_ERR_IO, "cannot examine \"%s\": %s", path, pd_errno_text(errno));
    if (info.kind != PD_PATH_FILE)
        return PD_RAISE(err, PD_ERR_IO, "\"%s\" is %s, not a file", path,
                        info.kind == PD_PATH_FOLDER ? "a directory" : "a device or a pipe");
    if (info.size == 0) return PD_RAISE(err, PD_ERR_FORMAT, "\"%s\" is empty", path);
    HANDLE file = (HANDLE)_get_osfhandle(fd);
    HANDLE section = CreateFileMappingW(file, NULL, PAGE_READONLY, 0, 0, NULL);
    void *data = section ? MapViewOfFile(section, FILE_MAP_READ, 0, 0, 0) : NULL;
    if (!data) pd_take_last_error();
    if (section) CloseHandle(section); /* the view holds it */
    if (!data) return PD_RAISE(err, PD_ERR_IO, "cannot map \"%s\": %s", path, pd_errno_text(errno));
    *out = (pd_mapping){data, info.size};
    return PD_OK;
}

pd_status pd_mapping_open(const char *path, pd_mapping *out, pd_error *err) {
    *out = (pd_mapping){0};
    int fd = pd_fd_open(path, PD_OPEN_READ);
    if (fd < 0 && errno == EISDIR)
        return PD_RAISE(err, PD_ERR_IO, "\"%s\" is a directory, not a file", path);
    if (fd < 0)
        return PD_RAISE(err, PD_ERR_IO, "cannot open \"%s\": %s", path, pd_errno_text(errno));
    pd_status status = map_descriptor(fd, path, out, err);
    pd_fd_close(fd);
    return status;
}

void pd_mapping_close(pd_mapping *m) {
    if (m->data) UnmapViewOfFile(m->data);
    *m = (pd_mapping){0};
}

/* Unlocking pages that are not locked takes them out of the working set; they stay in the cache. */
void pd_mapping_forget(const pd_mapping *m, uint64_t offset, uint64_t n) {
    if (offset > m->size || n > m->size - offset || n == 0) return;
    (void)VirtualUnlock((void *)((uintptr_t)m->data + offset), (size_t)n);
}

/* ---- faults --------------------------------------------------------------------------------- */

static void (*on_fault)(const char *path);

static LONG CALLBACK on_exception(EXCEPTION_POINTERS *e) {
    static char path[3 * 2048];
    wchar_t wide[2048];
    const EXCEPTION_RECORD *r = e->ExceptionRecord;
    if (r->ExceptionCode != (DWORD)EXCEPTION_IN_PAGE_ERROR || r->NumberParameters < 2)
        return EXCEPTION_CONTINUE_SEARCH;
    void *address = (void *)r->ExceptionInformation[1];
    DWORD n = GetMappedFileNameW(GetCurrentProcess(), address, wide, 2047);
    wide[n] = L'\0';
    if (n > 0 && WideCharToMultiByte(CP_UTF8, 0, wide, -1, path, sizeof path, NULL, NULL) > 0)
        on_fault(path);
    return EXCEPTION_CONTINUE_SEARCH;
}

void pd_mapping_on_fault(void (*fn)(const char *path)) {
    on_fault = fn;
    AddVectoredExceptionHandler(1, on_exception);
}
