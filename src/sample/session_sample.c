/* The next token of a session: greedy on the device, everything else from the logits on the host.
 *
 * SPDX-License-Identifier: MIT
 */
#include "engine/session.h"
#include "sample/sampler.h"

static void free_scratch(void *scratch) {
    pd_sampler_scratch_destroy(scratch);
}

/* The scratch is made with the first draw and lives as long as the session. */
static pd_status get_scratch(pd_session *s, pd_sampler_scratch **out, pd_error *err) {
    if (!s->sampler_scratch) {
        pd_sampler_scratch *scratch;
        PD_TRY(pd_sampler_scratch_create(s->model->config.n_vocab, &scratch, err));
        s->sampler_scratch = scratch;
        s->free_scratch = free_scratch;
    }
    *out = s->sampler_scratch;
    return PD_OK;
}

pd_status pd_session_sample(pd_session *s, pd_sampler *sampler, uint32_t *id, pd_error *err) {
    if (sampler->desc.temp == 0.0f) return pd_session_argmax(s, id, err);
    pd_sampler_scratch *scratch;
    const float *logits;
    PD_TRY(get_scratch(s, &scratch, err));
    PD_TRY(pd_session_logits(s, &logits, err));
    return pd_sampler_draw(sampler, scratch, logits, s->model->config.n_vocab, id, err);
}
