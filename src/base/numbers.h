/* Lists of whole numbers as people write them.  SPDX-License-Identifier: MIT */
#ifndef PD_BASE_NUMBERS_H
#define PD_BASE_NUMBERS_H

#include <stdint.h>

#include "base/error.h"

enum { PD_NUMBERS_MAX = 4096 };

/* "512,1024", "128-512+128", "128-1024*2": numbers and ranges within [min, max], in the order
 * written; `what` begins the sentence of an error. *out: pd_free. Errors: ARGUMENT, MEMORY_HOST. */
pd_status pd_numbers_parse(const char *what, const char *text, uint32_t min, uint32_t max,
                           uint32_t **out, uint32_t *n, pd_error *err);

#endif
