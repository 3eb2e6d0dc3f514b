/* See base/library.h.  SPDX-License-Identifier: MIT */
#include "base/library.h"

#include <dlfcn.h>
#include <string.h>

pd_library *pd_library_open(const char *file) {
    return dlopen(file, RTLD_NOW | RTLD_LOCAL);
}

void pd_library_close(pd_library *l) {
    dlclose(l);
}

/* A pointer to data made one to a function, which POSIX allows and C has no cast for. */
bool pd_library_find(pd_library *l, const char *name, void *function) {
    void *symbol = dlsym(l, name);
    memcpy(function, &symbol, sizeof symbol);
    return symbol;
}
