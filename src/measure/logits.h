/* The logits of a prompt's positions, by generation steps.  SPDX-License-Identifier: MIT */
#ifndef PD_MEASURE_LOGITS_H
#define PD_MEASURE_LOGITS_H

#include "peridot_measure.h"

/* The first n ids of a prompt and the images among them. */
pd_prompt pd_prompt_begin(const pd_prompt *prompt, size_t n);

/* The beginning goes through prompt steps, each further token, none of which is an image, through a
 * generation step of its own, whose logits fn gets. To within the precision class they are
 * pd_session_score's. Errors: those of the session and of fn. */
pd_status pd_logits_by_steps(pd_session *session, const pd_prompt *prompt, size_t n_begin,
                             pd_logits_fn fn, void *ctx, pd_error *err);

#endif
