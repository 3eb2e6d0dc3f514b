/* Biases of logits as people write them.  SPDX-License-Identifier: MIT */
#ifndef PD_SAMPLE_BIASES_H
#define PD_SAMPLE_BIASES_H

#include "base/error.h"

/* "15043+1,9259-inf": ids, each with a number that has a sign, commas between. `what` begins the
 * sentence of an error. *out: pd_free. Errors: ARGUMENT, MEMORY_HOST. */
pd_status pd_biases_parse(const char *what, const char *text, pd_logit_bias **out, size_t *n,
                          pd_error *err);
/* Errors: ARGUMENT when one is for a token that a vocabulary of that size has not. */
pd_status pd_biases_check(const char *what, const pd_logit_bias *biases, size_t n, uint32_t n_vocab,
                          pd_error *err);

#endif
