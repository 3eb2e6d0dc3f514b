/* See logits.h.  SPDX-License-Identifier: MIT */
#include "measure/logits.h"

#include "base/error.h"

pd_prompt pd_prompt_begin(const pd_prompt *prompt, size_t n) {
    pd_prompt p = {.ids = prompt->ids, .n_ids = n, .images = prompt->images};
    for (size_t i = 0; i < n; i++) p.n_images += p.ids[i] == PD_TOKEN_IMAGE;
    return p;
}

pd_status pd_logits_by_steps(pd_session *session, const pd_prompt *prompt, size_t n_begin,
                             pd_logits_fn fn, void *ctx, pd_error *err) {
    for (size_t n = n_begin; n <= prompt->n_ids; n++) {
        const float *logits = NULL;
        pd_prompt p = pd_prompt_begin(prompt, n);
        PD_TRY(pd_session_sync_prompt(session, &p, err));
        if (n == n_begin) continue;
        PD_TRY(pd_session_logits(session, &logits, err));
        PD_TRY(fn(ctx, (uint32_t)n - 1, 1, logits, err));
    }
    return PD_OK;
}
