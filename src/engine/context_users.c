/* Which context a session computes in: one that the model has already, where limits and precision
 * are the same.
 *
 * SPDX-License-Identifier: MIT
 */
#include "engine/estimate.h"

static bool is_alike(const pd_session_desc *a, const pd_session_desc *b) {
    return a->n_ctx == b->n_ctx && a->n_chunk == b->n_chunk && a->precision == b->precision &&
           a->all_logits == b->all_logits && a->checkpoint_positions == b->checkpoint_positions &&
           a->all_pages == b->all_pages;
}

pd_status pd_context_acquire(pd_model *model, const pd_session_desc *desc, pd_context **out,
                             pd_error *err) {
    pd_session_desc limits;
    if (!desc->n_ctx && model->weights) PD_TRY(pd_fit_default(model, desc, err));
    PD_TRY(pd_context_limits(model, desc, 1, &limits, err));
    for (*out = model->contexts; *out; *out = (*out)->next)
        if (is_alike(&(*out)->desc, &limits)) {
            pd_context_hold(*out);
            return PD_OK;
        }
    PD_TRY(pd_context_create(model, desc, 1, out, err));
    (*out)->n_users = 1;
    (*out)->next = model->contexts;
    model->contexts = *out;
    return PD_OK;
}

void pd_context_hold(pd_context *c) {
    c->n_users++;
}

void pd_context_release(pd_context *c) {
    if (!c || --c->n_users > 0) return;
    pd_context **at = &c->model->contexts;
    while (*at != c) at = &(*at)->next;
    *at = c->next;
    pd_context_destroy(c);
}
