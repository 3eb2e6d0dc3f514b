/* An answer that a session writes: whom its tokens go to, and how many.
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_SAMPLE_GENERATION_H
#define PD_SAMPLE_GENERATION_H

#include "engine/session.h"
#include "sample/sampler.h"

typedef struct pd_generation {
    const pd_session *session;
    pd_sampler *sampler;
    const pd_generate_desc *desc;
    const pd_model *model;
    uint32_t first;    /* position that the first token handed over takes */
    uint32_t n, n_max; /* tokens handed over */
    uint32_t last;
    bool awaited; /* others wait: tokens are handed over between turns, not within them */
    bool more;    /* what was handed over last was not the end */
} pd_generation;

static inline uint32_t pd_session_vocabulary(const pd_session *s) {
    return s->context->model->config.n_vocab;
}
static inline bool pd_session_is_full(const pd_session *s) {
    return pd_session_count(s) == pd_session_n_ctx(s);
}

/* Tokens that may still be handed over; the last one needs no room in the context. */
uint32_t pd_generation_left(const pd_generation *g);
/* False: it was the last one. */
bool pd_generation_hand_over(pd_generation *g, uint32_t id);
/* With what it was drawn from, which is the last position's; *more: not the last one. */
pd_status pd_generation_hand_over_drawn(pd_session *s, pd_generation *g, uint32_t id, bool *more,
                                        pd_error *err);

/* ---- for one another: session_sample.c, session_constrained.c -------------------------------- */

pd_status pd_session_get_scratch(pd_session *s, pd_sampler_scratch **out, pd_error *err);
/* The next token, from the logits that are there. n_left: as pd_sampler_get_mask. */
pd_status pd_session_draw(pd_session *s, pd_sampler *sampler, uint32_t n_left, uint32_t *id,
                          pd_error *err);
/* What follows a token that was handed over, when there is no grammar, or it is free. */
pd_status pd_generation_go_on(pd_session *s, pd_generation *g, uint32_t id, pd_error *err);
/* All of an answer in a grammar. */
pd_status pd_generation_run_constrained(pd_session *s, pd_generation *g, pd_error *err);

#endif
