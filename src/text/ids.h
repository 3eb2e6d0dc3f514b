/* Token ids as people write them.  SPDX-License-Identifier: MIT */
#ifndef PD_TEXT_IDS_H
#define PD_TEXT_IDS_H

#include "base/error.h"

/* "2,9259 1902": numbers with commas or spaces between, at least one; <image> is PD_TOKEN_IMAGE.
 * `what` begins the sentence of an error. *out: pd_free. Errors: ARGUMENT, MEMORY_HOST. */
pd_status pd_ids_parse(const char *what, const char *text, uint32_t **out, size_t *n,
                       pd_error *err);

#endif
