/* Speed of several sequences at once, measured as llama-batched-bench measures it.
 *
 * First the prompts: n_seqs of n_prompt tokens each, or one that all of them share. Then the
 * answers: n_seqs times n_gen steps' worth, all begun at once behind their prompts. Both are
 * requests to a pd_batch, so that what is timed is what a server has. The second kind is handed
 * over when the first is done, from the batch's own thread, and finds the prompts computed: no
 * prompt's row is in the answers' time, and no answer's in the prompts'.
 *
 * Greedy, no token ends an answer, nothing that one run has computed serves the next.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_MEASURE_BENCH_PARALLEL_H
#define PD_MEASURE_BENCH_PARALLEL_H

#include <stdatomic.h>

#include "measure/bench.h"
#include "peridot_batch.h"

enum { PD_PARALLEL_MIN_PROMPT = 32 }; /* a batch does not keep shorter ones for the answers */

typedef struct pd_parallel_test {
    uint32_t n_seqs;          /* 1 to PD_MAX_PARALLEL */
    uint32_t n_prompt, n_gen; /* of each; at least PD_PARALLEL_MIN_PROMPT, and not 0 */
    uint32_t n_ubatch;        /* rows of a step, at most */
    bool shared_prompt;
} pd_parallel_test;

/* Tokens that the sequences hold at the end, a shared prompt once. */
uint64_t pd_parallel_n_kv(const pd_parallel_test *test);
uint64_t pd_parallel_n_prompt(const pd_parallel_test *test); /* of them: of prompts */

typedef struct pd_parallel_result {
    char test_time[32];           /* as in pd_bench_result */
    uint64_t *prompt_ns, *gen_ns; /* [n_samples] */
    uint32_t n_samples;
    /* Of the samples: medians, and the standard deviation of their tokens per second. */
    double prompt_s, gen_s;
    double prompt_stddev, gen_stddev;
} pd_parallel_result;

/* The batch that a test wants. */
pd_batch_desc pd_parallel_batch(const pd_parallel_test *test, pd_precision precision);
/* Errors: CONTEXT (more than the n_train positions of a model). */
pd_status pd_parallel_check(const pd_parallel_test *test, uint32_t n_train, pd_error *err);

/* `out` comes with prompt_ns, gen_ns and n_samples; the rest is filled in. stop: not 0 ends it
 * with CANCELLED; NULL: nothing does. Errors: those of the batch and its requests, MEMORY_HOST,
 * MEMORY_DEVICE (there is no room for all sequences at once). */
pd_status pd_parallel_run(const pd_parallel_test *test, pd_model *model, pd_precision precision,
                          const atomic_int *stop, pd_parallel_result *out, pd_error *err);

/* The same one run at a time, for those who measure others in between. test and stop have to stay.
 * Errors: as pd_parallel_run. */
typedef struct pd_parallel pd_parallel;
pd_status pd_parallel_open(const pd_parallel_test *test, pd_model *model, pd_precision precision,
                           const atomic_int *stop, pd_parallel **out, pd_error *err);
void pd_parallel_close(pd_parallel *p); /* NULL is allowed */
pd_status pd_parallel_once(pd_parallel *p, uint64_t *prompt_ns, uint64_t *gen_ns, pd_error *err);

#endif
