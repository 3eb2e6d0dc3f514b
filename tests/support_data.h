/* Where the test data are: in $PERIDOT_TEST_DATA; else in a folder "data" or "tests/data" beside
 * the program or above it, so that programs can be carried to another machine with it; else where
 * this build found them.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_TEST_SUPPORT_DATA_H
#define PD_TEST_SUPPORT_DATA_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/process.h"

enum { TEST_DATA_FOLDER = 512, TEST_DATA_PATH = 2 * TEST_DATA_FOLDER };

/* Looks for `below`/golden in `folder` and the folders above it. */
static inline int test_data_above(const char *folder, const char *below, char *out) {
    char at[TEST_DATA_FOLDER], golden[TEST_DATA_PATH];
    snprintf(at, sizeof at, "%s", folder);
    for (char *slash; (slash = strrchr(at, '/')); *slash = '\0') {
        snprintf(golden, sizeof golden, "%s/%s/golden", at, below);
        if (access(golden, R_OK) != 0) continue;
        golden[strlen(golden) - strlen("/golden")] = '\0';
        snprintf(out, TEST_DATA_FOLDER, "%.511s", golden);
        return 1;
    }
    return 0;
}

static inline const char *test_data_folder(void) {
    static char folder[TEST_DATA_FOLDER];
    if (folder[0]) return folder;
    const char *named = getenv("PERIDOT_TEST_DATA");
    char *program = pd_program_path(), *slash = program ? strrchr(program, '/') : NULL;
    if (slash) *slash = '\0';
    if (named && named[0])
        snprintf(folder, sizeof folder, "%s", named);
    else if (!slash || (!test_data_above(program, "data", folder) &&
                        !test_data_above(program, "tests/data", folder)))
        snprintf(folder, sizeof folder, "%s", PERIDOT_TEST_DATA);
    free(program);
    return folder;
}

/* The path of "golden/small-q4_0.gguf", say; it stays valid. */
static inline const char *test_data(const char *name) {
    static struct { char path[TEST_DATA_PATH]; } known[48];
    char path[sizeof known[0].path];
    snprintf(path, sizeof path, "%.511s/%.500s", test_data_folder(), name);
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (!known[i].path[0]) strcpy(known[i].path, path);
        if (strcmp(known[i].path, path) == 0) return known[i].path;
    }
    abort(); /* more names than any test has */
}

#endif
