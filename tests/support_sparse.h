/* Sweeps that are made in full elsewhere take a part of their cases: in a variant that shares all
 * but some kernels with the test itself; under the validation layer, which looks at calls and not
 * at numbers; and under the sanitizers, which make everything slow.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_TEST_SUPPORT_SPARSE_H
#define PD_TEST_SUPPORT_SPARSE_H

#include <stdbool.h>
#include <stdlib.h>

static inline bool tests_are_sparse(void) {
    return getenv("PERIDOT_TEST_SPARSE") && !getenv("PERIDOT_TEST_LONG");
}

#endif
