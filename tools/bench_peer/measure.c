/* One test on both sides, with equal tokens and lengths.
 *
 * A round is one run of each side, back to back; odd rounds start with llama.cpp, so that a machine
 * that warms up or slows down favours neither. What is compared is the ratio within a round. Before
 * the clock starts a run has the test's depth in its context and nothing else; while it runs, a
 * prompt is handed over as a whole and generation one token per step, each step with the logits of
 * its last token. llama.cpp then has the logits in host memory; Peridot has them on the device, and
 * the most probable token in host memory: what either needs to go on.
 *
 * Several sequences are llama-batched-bench's calls on one side, requests to Peridot's scheduler on
 * the other, whose answers are of the tokens that it draws.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/memory.h"
#include "bench_peer.h"
#include "measure/bench_parallel.h"

typedef struct bench {
    const bench_peer_options *o;
    bench_peer_test *test;
    pd_session *session;
    peer *p;
    uint32_t *ids; /* [n_depth + n_tokens] */
} bench;

/* <bos>, then ids from 500 to 200000, folded into the vocabulary if that is smaller. */
static void fill_ids(uint32_t *ids, uint32_t n, uint32_t n_vocab) {
    uint32_t x = 0x9E3779B9u;
    for (uint32_t i = 0; i < n; i++) {
        x = x * 1664525u + 1013904223u;
        ids[i] = i == 0 ? PD_TOKEN_BOS : (500 + x / 256 % 199500) % n_vocab;
    }
}

/* ---- one run -------------------------------------------------------------------------------- */

/* Leaves ids[0..n_depth) in the timeline, or at depth 0 a token that is not the first one. */
static pd_status rewind_session(const bench *b, pd_error *err) {
    uint32_t other = b->ids[0] == 0;
    if (b->test->n_depth > 0) return pd_session_sync(b->session, b->ids, b->test->n_depth, err);
    return pd_session_sync(b->session, &other, 1, err);
}

static pd_status run_ours(const bench *b, uint64_t *ns, pd_error *err) {
    uint32_t n = b->test->n_depth, end = n + b->test->n_tokens;
    PD_TRY(rewind_session(b, err));
    uint64_t start_ns = pd_clock_ns();
    while (n < end) {
        uint32_t id;
        n = b->test->is_gen ? n + 1 : end;
        PD_TRY(pd_session_sync(b->session, b->ids, n, err));
        PD_TRY(pd_session_argmax(b->session, &id, err));
    }
    *ns = pd_clock_ns() - start_ns;
    return PD_OK;
}

static pd_status run_peers(const bench *b, uint64_t *ns, pd_error *err) {
    const bench_peer_test *t = b->test;
    PD_TRY(peer_rewind(b->p, b->ids, t->n_depth, err));
    uint64_t start_ns = pd_clock_ns();
    PD_TRY(peer_append(b->p, b->ids + t->n_depth, t->n_tokens, t->is_gen, err));
    *ns = pd_clock_ns() - start_ns;
    peer_rest(b->p);
    return PD_OK;
}

/* ---- rounds --------------------------------------------------------------------------------- */

/* |ours - theirs| / |theirs| of the last token's logits: that both computed the same thing. */
static pd_status compare_logits(bench *b, uint32_t n_vocab, pd_error *err) {
    const float *ours, *theirs = peer_logits(b->p);
    double diff = 0, sum = 0;
    PD_TRY(pd_session_logits(b->session, &ours, err));
    if (!theirs) return PD_RAISE(err, PD_ERR_DEVICE, "llama.cpp computed no logits");
    for (uint32_t i = 0; i < n_vocab; i++) {
        diff += pow((double)ours[i] - (double)theirs[i], 2);
        sum += pow((double)theirs[i], 2);
    }
    b->test->logits_diff = sum > 0 ? sqrt(diff / sum) : NAN;
    return PD_OK;
}

static pd_status run_rounds(bench *b, uint32_t n_vocab, pd_error *err) {
    uint64_t uncounted_ns;
    PD_TRY(run_ours(b, &uncounted_ns, err));
    PD_TRY(run_peers(b, &uncounted_ns, err));
    PD_TRY(compare_logits(b, n_vocab, err));
    for (uint32_t i = 0; i < b->test->n_rounds; i++) {
        if (i % 2 == 0) PD_TRY(run_ours(b, &b->test->ours_ns[i], err));
        PD_TRY(run_peers(b, &b->test->peers_ns[i], err));
        if (i % 2 != 0) PD_TRY(run_ours(b, &b->test->ours_ns[i], err));
    }
    return PD_OK;
}

pd_status bench_peer_measure(const bench_peer_options *o, pd_model *model, peer *p,
                             bench_peer_test *test, pd_error *err) {
    bench b = {.o = o, .test = test, .p = p};
    uint32_t n_vocab = pd_model_get_info(model)->n_vocab, n = test->n_depth + test->n_tokens;
    if (peer_get_info(p)->n_vocab < n_vocab) n_vocab = peer_get_info(p)->n_vocab;
    uint32_t n_ctx = (uint32_t)pd_round_up(n, 256);
    if (n_ctx > pd_model_get_info(model)->n_ctx_train)
        n_ctx = pd_model_get_info(model)->n_ctx_train;
    pd_session_desc desc = {.n_ctx = n_ctx, .precision = o->precision};
    pd_status status;
    b.ids = pd_alloc(n, sizeof *b.ids);
    if (!b.ids) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for %u tokens", n);
    fill_ids(b.ids, n, n_vocab);
    PD_TRY_GOTO(pd_session_create(model, &desc, &b.session, err));
    PD_TRY_GOTO(peer_context_create(p, n_ctx, 1, err));
    PD_TRY_GOTO(run_rounds(&b, n_vocab, err));
done:
    peer_context_destroy(p);
    pd_session_destroy(b.session);
    pd_free(b.ids);
    return status;
}

/* ---- several sequences at once -------------------------------------------------------------- */

typedef struct parallel {
    pd_parallel *ours;
    peer *p;
    const pd_parallel_test *test;
    uint32_t *ids; /* llama.cpp's: [n_seqs, n_prompt + n_gen] */
} parallel;

static pd_status run_parallel_peers(const parallel *b, uint64_t *prompt_ns, uint64_t *gen_ns,
                                    pd_error *err) {
    const pd_parallel_test *t = b->test;
    pd_status status =
        peer_parallel(b->p, b->ids, t->n_seqs, t->n_prompt, t->n_gen, prompt_ns, gen_ns, err);
    peer_rest(b->p);
    return status;
}

static pd_status run_parallel_rounds(const parallel *b, bench_peer_test *prompts,
                                     bench_peer_test *gens, pd_error *err) {
    uint64_t uncounted_ns;
    PD_TRY(pd_parallel_once(b->ours, &uncounted_ns, &uncounted_ns, err));
    PD_TRY(run_parallel_peers(b, &uncounted_ns, &uncounted_ns, err));
    for (uint32_t i = 0; i < prompts->n_rounds; i++) {
        for (uint32_t k = 0; k < 2; k++)
            PD_TRY((i + k) % 2 == 0
                       ? pd_parallel_once(b->ours, &prompts->ours_ns[i], &gens->ours_ns[i], err)
                       : run_parallel_peers(b, &prompts->peers_ns[i], &gens->peers_ns[i], err));
    }
    return PD_OK;
}

pd_status bench_peer_measure_parallel(const bench_peer_options *o, pd_model *model, peer *p,
                                      bench_peer_test *prompts, bench_peer_test *gens,
                                      pd_error *err) {
    pd_parallel_test test = {.n_seqs = prompts->n_seqs,
                             .n_prompt = prompts->n_tokens,
                             .n_gen = gens->n_tokens,
                             .n_ubatch = 512};
    uint32_t n = test.n_prompt + test.n_gen, n_vocab = pd_model_get_info(model)->n_vocab;
    parallel b = {.p = p, .test = &test, .ids = pd_alloc((size_t)n * test.n_seqs, sizeof *b.ids)};
    pd_status status;
    if (!b.ids) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for the tokens");
    for (uint32_t s = 0; s < test.n_seqs; s++) fill_ids(b.ids + (size_t)s * n, n, n_vocab);
    prompts->logits_diff = gens->logits_diff = NAN;
    PD_TRY_GOTO(pd_parallel_open(&test, model, o->precision, NULL, &b.ours, err));
    PD_TRY_GOTO(peer_context_create(p, (uint32_t)pd_round_up(n, 256), test.n_seqs, err));
    PD_TRY_GOTO(run_parallel_rounds(&b, prompts, gens, err));
done:
    peer_context_destroy(p);
    pd_parallel_close(b.ours);
    pd_free(b.ids);
    return status;
}

/* ---- statistics ----------------------------------------------------------------------------- */

static double tokens_per_second(const bench_peer_test *t, const uint64_t *ns, uint32_t i) {
    double n = (double)t->n_tokens * (t->n_seqs ? t->n_seqs : 1);
    return ns[i] ? 1e9 * n / (double)ns[i] : 0;
}

static void mean_and_stddev(const bench_peer_test *t, const uint64_t *ns, double *mean,
                            double *stddev) {
    double n = t->n_rounds, sum = 0, squares = 0;
    for (uint32_t i = 0; i < t->n_rounds; i++) sum += tokens_per_second(t, ns, i);
    *mean = sum / n;
    for (uint32_t i = 0; i < t->n_rounds; i++)
        squares += pow(tokens_per_second(t, ns, i) - *mean, 2);
    *stddev = n > 1 ? sqrt(squares / (n - 1)) : 0;
}

static int compare_doubles(const void *a, const void *b) {
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

void bench_peer_summarize(const bench_peer_test *t, bench_peer_summary *out) {
    double sorted[BENCH_PEER_MAX_ROUNDS];
    uint32_t n = t->n_rounds;
    mean_and_stddev(t, t->ours_ns, &out->ours_ts, &out->ours_stddev);
    mean_and_stddev(t, t->peers_ns, &out->peers_ts, &out->peers_stddev);
    for (uint32_t i = 0; i < n; i++)
        sorted[i] = out->ratios[i] =
            t->ours_ns[i] ? (double)t->peers_ns[i] / (double)t->ours_ns[i] : 0;
    qsort(sorted, n, sizeof *sorted, compare_doubles);
    out->ratio_median = n % 2 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2;
    out->ratio_min = sorted[0];
    out->ratio_max = sorted[n - 1];
}
