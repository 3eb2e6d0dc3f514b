/* A scratch folder for one test program: make_folder and remove_folder are the group's set-up and
 * teardown (a main of its own calls them without a state), in_folder names what lies in it.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PERIDOT_TESTS_SUPPORT_FOLDER_H
#define PERIDOT_TESTS_SUPPORT_FOLDER_H

#include <dirent.h>
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

static char test_folder[64];

static inline int make_folder_in(const char *parent) {
    snprintf(test_folder, sizeof test_folder, "%s/peridot-test-XXXXXX", parent);
    return mkdtemp(test_folder) ? 0 : -1;
}

static inline int make_folder(void **state) {
    (void)state;
    return make_folder_in("/tmp");
}

/* In memory where that can be, for tests that write a file some thousand times. */
static inline int make_memory_folder(void **state) {
    (void)state;
    return make_folder_in(access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
}

static inline int remove_folder(void **state) {
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -r '%s'", test_folder);
    return system(command);
}

/* For tests after which nothing may be left; fails otherwise. */
static inline int remove_empty_folder(void **state) {
    (void)state;
    return rmdir(test_folder);
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
    unsigned n = 0;
    DIR *d = opendir(test_folder);
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d));)
        if (strncmp(e->d_name, prefix, strlen(prefix)) == 0 && ++n)
            assert_true((size_t)snprintf(name, size, "%s", e->d_name) < size);
    closedir(d);
    assert_true(n <= 1);
    return n == 1;
}

static inline void empty_folder(void) {
    DIR *d = opendir(test_folder);
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d));)
        if (e->d_name[0] != '.') unlink(in_folder(e->d_name));
    closedir(d);
}

#endif
