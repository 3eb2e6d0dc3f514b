/* The tests that lists of lengths stand for; see bench.h.  SPDX-License-Identifier: MIT */
#include "base/error.h"
#include "base/memory.h"
#include "measure/bench.h"

static uint32_t largest(const pd_bench_list *l) {
    uint32_t most = 0;
    for (uint32_t i = 0; i < l->n; i++)
        if (l->values[i] > most) most = l->values[i];
    return most;
}

/* Tokens that the longest test times. */
static uint64_t longest(const pd_bench_lists *l) {
    uint64_t most = largest(&l->prompts);
    if (l->parallels.n > 0) return most + largest(&l->gens);
    if (largest(&l->gens) > most) most = largest(&l->gens);
    for (uint32_t i = 0; i + 1 < l->pairs.n; i += 2)
        if ((uint64_t)l->pairs.values[i] + l->pairs.values[i + 1] > most)
            most = (uint64_t)l->pairs.values[i] + l->pairs.values[i + 1];
    return most;
}

pd_session_desc pd_bench_largest(const pd_bench_lists *l, pd_precision precision) {
    uint64_t n_timed = longest(l);
    uint32_t n_batch = largest(&l->batches), n_ubatch = largest(&l->ubatches);
    pd_bench_test test = {.n_prompt = n_timed < UINT32_MAX ? (uint32_t)n_timed : UINT32_MAX,
                          .n_depth = largest(&l->depths),
                          .n_ubatch = n_ubatch < n_batch ? n_ubatch : n_batch};
    return pd_bench_session(&test, UINT32_MAX, precision);
}

bool pd_bench_is_empty(const pd_bench_lists *l) {
    return longest(l) == 0;
}

pd_status pd_bench_check(const pd_bench_lists *l, uint32_t n_train, pd_error *err) {
    uint64_t most = longest(l) + largest(&l->depths);
    if (most <= n_train) return PD_OK;
    return PD_RAISE(err, PD_ERR_CONTEXT, "the tests need %llu positions, but the model has %u",
                    (unsigned long long)most, n_train);
}

void pd_bench_lists_free(pd_bench_lists *l) {
    pd_free(l->prompts.values);
    pd_free(l->gens.values);
    pd_free(l->depths.values);
    pd_free(l->pairs.values);
    pd_free(l->batches.values);
    pd_free(l->ubatches.values);
    pd_free(l->parallels.values);
}

static pd_status each_at(const pd_bench_lists *l, pd_bench_test test, pd_bench_fn fn, void *ctx,
                         pd_error *err) {
    for (uint32_t i = 0; i < l->prompts.n; i++) {
        test.n_prompt = l->prompts.values[i];
        if (test.n_prompt) PD_TRY(fn(ctx, &test, err));
    }
    test.n_prompt = 0;
    for (uint32_t i = 0; i < l->gens.n; i++) {
        test.n_gen = l->gens.values[i];
        if (test.n_gen) PD_TRY(fn(ctx, &test, err));
    }
    for (uint32_t i = 0; i + 1 < l->pairs.n; i += 2) {
        test.n_prompt = l->pairs.values[i];
        test.n_gen = l->pairs.values[i + 1];
        if (test.n_prompt + test.n_gen) PD_TRY(fn(ctx, &test, err));
    }
    return PD_OK;
}

pd_status pd_bench_each(const pd_bench_lists *l, pd_bench_fn fn, void *ctx, pd_error *err) {
    uint32_t n_combinations = l->depths.n * l->batches.n * l->ubatches.n;
    for (uint32_t i = 0; i < n_combinations; i++) {
        uint32_t b = i / l->ubatches.n % l->batches.n;
        pd_bench_test test = {.n_depth = l->depths.values[i / l->ubatches.n / l->batches.n],
                              .n_batch = l->batches.values[b],
                              .n_ubatch = l->ubatches.values[i % l->ubatches.n]};
        if (test.n_ubatch > test.n_batch) test.n_ubatch = test.n_batch;
        PD_TRY(each_at(l, test, fn, ctx, err));
    }
    return PD_OK;
}
