/* A scratch folder for one test program: make_folder and remove_folder are the group's set-up and
 * teardown (a main of its own calls them without a state), in_folder names what lies in it.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PERIDOT_TESTS_SUPPORT_FOLDER_H
#define PERIDOT_TESTS_SUPPORT_FOLDER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/env.h"
#include "base/folder.h"
#include "base/os_file.h"
#include "base/temp.h"

static char test_folder[64];

static inline int make_folder(void **state) {
    char made[PD_TEMP_PATH];
    (void)state;
    if (pd_temp_folder_make(made, NULL) != PD_OK || strlen(made) >= sizeof test_folder) return -1;
    snprintf(test_folder, sizeof test_folder, "%.63s", made);
    return 0;
}

/* In memory where that can be, for tests that write a file some thousand times. */
static inline int make_memory_folder(void **state) {
    const char *own = pd_env("TMPDIR");
    if (!own && pd_path_can_write("/dev/shm")) pd_env_set("TMPDIR", "/dev/shm");
    int made = make_folder(state);
    pd_env_set("TMPDIR", own);
    return made;
}

/* A folder with all that is in it. */
static inline void remove_all(const char *path) {
    pd_folder all;
    if (pd_folder_list(path, &all, NULL) != PD_OK) return;
    for (size_t i = 0; i < all.n; i++) {
        char *entry = pd_arena_printf(&all.arena, "%s/%s", path, all.names[i]);
        assert_non_null(entry);
        if (!pd_path_remove(entry)) remove_all(entry);
    }
    pd_folder_free(&all);
    pd_folder_remove(path);
}

static inline int remove_folder(void **state) {
    (void)state;
    remove_all(test_folder);
    return pd_path_exists(test_folder) ? -1 : 0;
}

/* For tests after which nothing may be left; fails otherwise. */
static inline int remove_empty_folder(void **state) {
    (void)state;
    return pd_folder_remove(test_folder) ? 0 : -1;
}

/* Valid until the next call. */
static inline const char *in_folder(const char *name) {
    static char path[512];
    snprintf(path, sizeof path, "%s/%s", test_folder, name);
    return path;
}

static inline void put_bytes(const char *name, const void *data, size_t n) {
    FILE *f = fopen(in_folder(name), "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

static inline void put_text(const char *name, const char *text) {
    put_bytes(name, text, strlen(text));
}

/* The only file whose name starts with `prefix`; false: there is none. */
static inline bool find_file(const char *prefix, char *name, size_t size) {
    pd_folder all;
    unsigned n = 0;
    assert_int_equal(pd_folder_list(test_folder, &all, NULL), PD_OK);
    for (size_t i = 0; i < all.n; i++)
        if (strncmp(all.names[i], prefix, strlen(prefix)) == 0 && ++n)
            assert_true((size_t)snprintf(name, size, "%s", all.names[i]) < size);
    pd_folder_free(&all);
    assert_true(n <= 1);
    return n == 1;
}

static inline void empty_folder(void) {
    pd_folder all;
    assert_int_equal(pd_folder_list(test_folder, &all, NULL), PD_OK);
    for (size_t i = 0; i < all.n; i++)
        if (all.names[i][0] != '.') pd_path_remove(in_folder(all.names[i]));
    pd_folder_free(&all);
}

#endif
