/* See run_figures.h.  SPDX-License-Identifier: MIT */
#include "measure/run_figures.h"

static double per_second(uint64_t n, uint64_t ns) {
    return ns ? (double)n * 1e9 / (double)ns : 0;
}

pd_run_figures pd_run_figures_of(const pd_run_times *t, const pd_model *model,
                                 pd_session *session) {
    const pd_vision_stats *images = pd_model_get_vision_stats(model);
    pd_run_figures f = {.n_prompt = t->n_prompt,
                        .n_generated = t->n_generated,
                        .prompt_ns = t->first_ns - t->start_ns,
                        .generated_ns = t->last_ns - t->first_ns};
    f.prompt_ns -= images->encode_ns + images->compile_ns;
    const float *logits;
    pd_session_resume(session);
    f.has_logits = pd_session_logits(session, &logits, NULL) == PD_OK;
    f.logits_hash = pd_session_get_stats(session)->logits_hash;
    if (f.n_generated == 0) f.n_prompt = pd_session_count(session); /* stopped within it */
    f.prompt_speed = per_second(f.n_prompt, f.prompt_ns);
    if (f.n_generated > 1) f.generated_speed = per_second(f.n_generated - 1, f.generated_ns);
    return f;
}
