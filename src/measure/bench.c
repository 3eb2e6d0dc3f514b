/* See bench.h.  SPDX-License-Identifier: MIT */
#include "measure/bench.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/memory.h"

void pd_bench_name(const pd_bench_test *t, char *out) {
    char depth[24] = "";
    if (t->n_depth) snprintf(depth, sizeof depth, " @ d%u", t->n_depth);
    if (t->n_prompt && t->n_gen) {
        snprintf(out, 64, "pp%u+tg%u%s", t->n_prompt, t->n_gen, depth);
    } else {
        snprintf(out, 64, "%s%u%s", t->n_prompt ? "pp" : "tg", t->n_prompt ? t->n_prompt : t->n_gen,
                 depth);
    }
}

static uint64_t count_tokens(const pd_bench_test *t) {
    return (uint64_t)t->n_depth + t->n_prompt + t->n_gen;
}

pd_session_desc pd_bench_session(const pd_bench_test *t, uint32_t n_train, pd_precision precision) {
    uint64_t n_ctx = pd_round_up(count_tokens(t), 256);
    return (pd_session_desc){.n_ctx = n_ctx < n_train ? (uint32_t)n_ctx : n_train,
                             .n_chunk = t->n_ubatch,
                             .precision = precision,
                             .all_pages = true};
}

double pd_bench_sample_speed(const pd_bench_result *r, uint32_t i) {
    return r->samples_ns[i] ? 1e9 * r->n_tokens / (double)r->samples_ns[i] : 0;
}

static double sample_ns(const void *result, uint32_t i) {
    return (double)((const pd_bench_result *)result)->samples_ns[i];
}

static double sample_speed(const void *result, uint32_t i) {
    return pd_bench_sample_speed(result, i);
}

void pd_bench_fill_ids(uint32_t *ids, uint32_t n, uint32_t n_vocab) {
    uint32_t first = n_vocab > 1000 ? 494 : n_vocab / 2, x = 0x9E3779B9u;
    for (uint32_t i = 0; i < n; i++) {
        x = x * 1664525u + 1013904223u;
        ids[i] = first + x / 256 % (n_vocab - first < 200000 ? n_vocab - first : 200000);
    }
}

/* Hands over ids[n_done..n), a batch at a time. */
static pd_status feed(pd_session *session, uint32_t n_batch, const uint32_t *ids, uint32_t n_done,
                      uint32_t n, pd_error *err) {
    while (n_done < n) {
        n_done += n - n_done < n_batch ? n - n_done : n_batch;
        PD_TRY(pd_session_sync(session, ids, n_done, err));
    }
    return PD_OK;
}

typedef struct run_times {
    uint64_t ns, prompt_ns, token_ns;
} run_times;

/* The clock runs from the first token behind the depth to the last one. Without a prompt the first
 * generated token's step computes the id behind the depth. ids: [depth + p + 1] */
static pd_status time_once(pd_session *session, const pd_bench_test *t, const uint32_t *ids,
                           run_times *out, pd_error *err) {
    uint32_t n = t->n_depth, n_drawn = t->n_gen, id;
    pd_sampler greedy = {0};
    if (n > 0) PD_TRY(pd_session_sync(session, ids, n, err));
    uint64_t start_ns = pd_clock_ns(), fed_ns = start_ns;
    if (t->n_prompt > 0) {
        PD_TRY(feed(session, t->n_batch, ids, n, n + t->n_prompt, err));
        fed_ns = pd_clock_ns();
        PD_TRY(pd_session_argmax(session, &id, err));
        n_drawn++;
    } else {
        PD_TRY(pd_session_sync(session, ids, n + 1, err));
    }
    out->prompt_ns = fed_ns - start_ns;
    out->token_ns = pd_clock_ns() - fed_ns;
    pd_generate_desc desc = {.n_max = n_drawn, .ignore_stop = true};
    if (t->n_gen > 0) PD_TRY(pd_session_generate(session, &greedy, &desc, err));
    out->ns = pd_clock_ns() - start_ns;
    return PD_OK;
}

static pd_status run_all(const pd_bench_test *t, pd_session *session, uint32_t n_vocab,
                         uint32_t *ids, pd_bench_result *out, pd_error *err) {
    for (uint32_t i = 0; i <= out->n_samples; i++) {
        run_times times;
        pd_bench_fill_ids(ids, (uint32_t)count_tokens(t) + 1, n_vocab);
        ids[t->n_depth] = (ids[t->n_depth] + i) % n_vocab;
        PD_TRY(time_once(session, t, ids, &times, err));
        if (i == 0) {
            out->prompt_ns = times.prompt_ns;
            out->token_ns = times.token_ns;
        } else {
            out->samples_ns[i - 1] = times.ns;
        }
    }
    return PD_OK;
}

static pd_status take_median(pd_bench_result *r, pd_error *err) {
    uint32_t n = r->n_samples;
    double *speeds = pd_alloc(n, sizeof *speeds);
    if (!speeds) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory for the test's times");
    for (uint32_t i = 0; i < n; i++) speeds[i] = pd_bench_sample_speed(r, i);
    pd_sort_doubles(speeds, n);
    r->median = (speeds[(n - 1) / 2] + speeds[n / 2]) / 2;
    r->slowest = speeds[0];
    r->fastest = speeds[n - 1];
    pd_free(speeds);
    return PD_OK;
}

pd_status pd_bench_run(const pd_bench_test *t, const pd_model *model, pd_session *session,
                       pd_bench_result *out, pd_error *err) {
    pd_clock_utc(out->test_time);
    uint32_t *ids = pd_alloc((size_t)count_tokens(t) + 1, sizeof *ids);
    if (!ids) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory for the test's tokens");
    pd_status status = run_all(t, session, pd_model_get_info(model)->n_vocab, ids, out, err);
    pd_free(ids);
    const float *logits;
    if (status == PD_OK) status = pd_session_logits(session, &logits, err);
    if (status != PD_OK) return status;
    out->n_tokens = t->n_prompt + t->n_gen;
    out->ns = pd_stats_of(sample_ns, out, out->n_samples);
    out->speed = pd_stats_of(sample_speed, out, out->n_samples);
    PD_TRY(take_median(out, err));
    const pd_session_stats *stats = pd_session_get_stats(session);
    out->logits_hash = stats->logits_hash;
    out->step = t->n_gen || t->n_ubatch == 1 ? stats->decode_step : stats->prompt_step;
    return PD_OK;
}
