/* What bias and penalties make of the logits.
 *
 * The repetition penalty is that of Keskar et al., "CTRL" (2019), in the form of Hugging Face's
 * and llama.cpp's: positive logits are divided by it, negative ones multiplied. The other two are
 * OpenAI's: subtracted once, and for each occurrence. Each logit is computed in double.
 *
 * SPDX-License-Identifier: MIT
 */
#include <float.h>
#include <math.h>

#include "plan/step.h"
#include "sample/sampler.h"

enum { DEFAULT_LAST_N = 64 };

static bool repeats(const pd_sampler_desc *d) {
    return d->repeat_penalty != 0 && d->repeat_penalty != 1;
}

static bool penalises(const pd_sampler_desc *d) {
    return repeats(d) || d->presence_penalty != 0 || d->frequency_penalty != 0;
}

bool pd_sampler_adjusts(const pd_sampler_desc *desc) {
    return desc->n_logit_bias > 0 || penalises(desc);
}

/* A large penalty must not make an infinity, which would be a fault of the model's. */
static float to_logit(double x) {
    return isfinite(x) ? (float)fmin(fmax(x, -(double)FLT_MAX), (double)FLT_MAX) : (float)x;
}

static float penalised(const pd_sampler_desc *d, float logit, uint32_t count) {
    double x = (double)logit;
    if (repeats(d)) x = x > 0 ? x / (double)d->repeat_penalty : x * (double)d->repeat_penalty;
    return to_logit(x - (double)d->presence_penalty - count * (double)d->frequency_penalty);
}

/* How many of the ids at the end hold the last repeat_last_n tokens. */
static uint32_t window_size(const pd_sampler_desc *d, const uint32_t *ids, uint32_t n_ids) {
    uint32_t left = d->repeat_last_n ? d->repeat_last_n : DEFAULT_LAST_N, n = 0;
    for (; n < n_ids && left > 0; n++) left -= ids[n_ids - 1 - n] != PD_TOKEN_EMBEDDED;
    return n;
}

static void penalise(const pd_sampler_desc *d, float *logits, uint32_t *counts, uint32_t n_vocab,
                     const uint32_t *window, uint32_t n) {
    for (uint32_t i = 0; i < n; i++)
        if (window[i] < n_vocab) counts[window[i]]++;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t id = window[i];
        if (id >= n_vocab || counts[id] == 0) continue; /* the image's, or done */
        logits[id] = penalised(d, logits[id], counts[id]);
        counts[id] = 0;
    }
}

const float *pd_sampler_adjust(const pd_sampler_desc *desc, pd_sampler_scratch *scratch,
                               const float *logits, uint32_t n_vocab, const uint32_t *ids,
                               uint32_t n_ids) {
    uint32_t n = n_vocab < scratch->n_max ? n_vocab : scratch->n_max;
    float *out = scratch->adjusted;
    if (!pd_sampler_adjusts(desc)) return logits;
    for (uint32_t i = 0; i < n; i++) out[i] = logits[i];
    for (size_t i = 0; i < desc->n_logit_bias; i++) {
        pd_logit_bias b = desc->logit_bias[i];
        if (b.id < n) out[b.id] = to_logit((double)out[b.id] + (double)b.bias);
    }
    uint32_t n_window = penalises(desc) ? window_size(desc, ids, n_ids) : 0;
    penalise(desc, out, scratch->counts, n, ids + (n_ids - n_window), n_window);
    return out;
}
