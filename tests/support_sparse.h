/* Sweeps that are made in full elsewhere take a part of their cases: in a variant that shares all
 * but some kernels with the test itself; under the validation layer, which looks at calls and not
 * at numbers; under the sanitizers, which make everything slow; and with llvmpipe's own tile sizes,
 * which nobody else has: the variants with a GPU's (PERIDOT_DISABLE=software-tiles) take all.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_TEST_SUPPORT_SPARSE_H
#define PD_TEST_SUPPORT_SPARSE_H

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static inline bool tests_are_sparse(void) {
    return getenv("PERIDOT_TEST_SPARSE") && !getenv("PERIDOT_TEST_LONG");
}

static inline bool tests_are_sparse_on(const char *device) {
    const char *disabled = getenv("PERIDOT_DISABLE");
    bool own_tiles =
        strstr(device, "llvmpipe") && !(disabled && strstr(disabled, "software-tiles"));
    return tests_are_sparse() || (own_tiles && !getenv("PERIDOT_TEST_LONG"));
}

#endif
