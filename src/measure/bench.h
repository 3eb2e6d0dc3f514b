/* Speed of prompts and of generation, measured as llama-bench measures it.
 *
 *     pp N    N tokens, handed over n_batch at a time, computed n_ubatch at a time
 *     tg N    N tokens, one step each, the next one being the most probable
 *     @ d D   D tokens are in the context before the clock starts
 *
 * Every test runs once without being timed and then as often as is wanted. Runs differ in their
 * first timed token, so that nothing timed in one can serve the next. Generation is greedy, and
 * what comes back from the device is part of it.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_MEASURE_BENCH_H
#define PD_MEASURE_BENCH_H

#include "measure/stats.h"
#include "peridot.h"

typedef struct pd_bench_test {
    uint32_t n_prompt, n_gen, n_depth; /* of them n_prompt + n_gen are timed, and not 0 */
    uint32_t n_batch;                  /* prompt tokens handed over at once */
    uint32_t n_ubatch;                 /* prompt tokens of a step */
} pd_bench_test;

/* "pp512", "tg128", "pp512+tg128", "pp512 @ d4096"; out: at least 64 bytes. */
void pd_bench_name(const pd_bench_test *test, char *out);

/* Ids that look like text: spread over the vocabulary, none of the control tokens at its start; the
 * same ones every time. */
void pd_bench_fill_ids(uint32_t *ids, uint32_t n, uint32_t n_vocab);

/* What the session of a test has to be, on a model of n_train positions. */
pd_session_desc pd_bench_session(const pd_bench_test *test, uint32_t n_train,
                                 pd_precision precision);

typedef struct pd_bench_result {
    char test_time[32];   /* "2025-01-31T12:00:00Z", when it began */
    uint64_t *samples_ns; /* [n_samples] */
    uint32_t n_samples;
    uint32_t n_tokens;               /* timed in each */
    pd_stats ns, speed;              /* of the samples, and of their tokens per second */
    double median, slowest, fastest; /* tokens per second */
    pd_step_counts step;             /* of the steps it consists of, or ends with */
    uint64_t prompt_ns, token_ns;    /* of the first run: the prompt, and its first token */
    uint64_t logits_hash;            /* of what the last run ended with: equal on equal devices */
} pd_bench_result;

double pd_bench_sample_speed(const pd_bench_result *r, uint32_t i); /* tokens per second */

/* Measures on a new session. `out` comes with samples_ns and n_samples; the rest is filled in.
 * Errors: those of the session, MEMORY_HOST. */
pd_status pd_bench_run(const pd_bench_test *test, const pd_model *model, pd_session *session,
                       pd_bench_result *out, pd_error *err);

/* ---- many tests ----------------------------------------------------------------------------- */

typedef struct pd_bench_list {
    uint32_t *values;
    uint32_t n;
} pd_bench_list;

/* Every prompt, every generation and every pair of both, at every depth and with every batch; a
 * length of 0 is no test. */
typedef struct pd_bench_lists {
    pd_bench_list prompts, gens, depths;
    pd_bench_list pairs; /* a prompt's length, then the generation's behind it; n is even */
    pd_bench_list batches, ubatches;
    pd_bench_list parallels; /* numbers of sequences (bench_parallel.h): other tests than these */
} pd_bench_lists;

void pd_bench_lists_free(pd_bench_lists *l);     /* their values, with pd_free */
bool pd_bench_is_empty(const pd_bench_lists *l); /* there is no test */
/* Errors: CONTEXT when a test is longer than the n_train positions of a model. */
pd_status pd_bench_check(const pd_bench_lists *l, uint32_t n_train, pd_error *err);

/* The session of a test that needs as much memory as any of them, on a model that has the
 * positions.
 */
pd_session_desc pd_bench_largest(const pd_bench_lists *l, pd_precision precision);

typedef pd_status (*pd_bench_fn)(void *ctx, const pd_bench_test *test, pd_error *err);
/* Calls fn with each test in llama-bench's order. Errors: fn's. */
pd_status pd_bench_each(const pd_bench_lists *l, pd_bench_fn fn, void *ctx, pd_error *err);

#endif
