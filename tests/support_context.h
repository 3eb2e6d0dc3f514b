/* Contexts of small-q4_0.gguf at precision exact, for tests: texts by number, steps, comparisons.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PERIDOT_TESTS_SUPPORT_CONTEXT_H
#define PERIDOT_TESTS_SUPPORT_CONTEXT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/context.h"
#include "engine/session.h"
#include "sample/sampler.h"
#include "support_golden.h"
#include "support_validation.h"

enum { N_VOCAB = 600, N_SEQS = 3, CONTEXT = 192, CHUNK = 160, N_TEXTS = 4, MAX_TOKENS = 128 };

static const double BOUND = 1e-5;

/* Token i of text t. */
static inline uint32_t token_at(uint32_t t, uint32_t i) {
    return i == 0 ? PD_TOKEN_BOS : 3 + (i * 131 + t * 57 + i * i * 7) % (N_VOCAB - 3);
}

static inline pd_model *open_model(const char *device) {
    pd_error err;
    pd_model *m;
    must(pd_model_open(GOLDEN("small-q4_0.gguf"),
                       &(pd_model_desc){.device = device, .n_threads = 2}, &m, &err),
         &err);
    return m;
}

static inline pd_context *open_context(pd_model *m, uint32_t n_seqs, bool all_logits) {
    pd_error err;
    pd_context *c;
    pd_session_desc desc = {.n_ctx = CONTEXT,
                            .n_chunk = CHUNK,
                            .precision = PD_PRECISION_EXACT,
                            .all_logits = all_logits};
    must(pd_context_create(m, &desc, n_seqs, &c, &err), &err);
    return c;
}

static inline void join(pd_context *c, pd_sequence *seq) {
    pd_error err;
    must(pd_context_join(c, seq, &err), &err);
}

static inline void run(pd_context *c, pd_batch_item *items, uint32_t n) {
    pd_error err;
    must(pd_context_run(c, items, n, NULL, &err), &err);
}

/* n more tokens of text t, by itself. */
static inline void extend(pd_context *c, pd_sequence *seq, uint32_t t, uint32_t n) {
    uint32_t ids[MAX_TOKENS];
    for (uint32_t i = 0; i < n; i++) ids[i] = token_at(t, seq->tokens.n + i);
    pd_batch_item item = {.seq = seq, .ids = ids, .n = n, .outs = PD_OUTS_LAST};
    run(c, &item, 1);
    pd_context_keep(c, &item, 1);
}

static inline void read_logits(pd_context *c, pd_sequence *seq, float *logits) {
    pd_error err;
    must(pd_context_read_logits(c, seq, NULL, logits, &err), &err);
}

static inline double difference(const float *a, const float *b) {
    double error = 0, norm = 0;
    for (uint32_t i = 0; i < N_VOCAB; i++) {
        double d = (double)a[i] - (double)b[i];
        error += d * d;
        norm += (double)b[i] * (double)b[i];
    }
    return sqrt(error / norm);
}

static inline void expect_equal(const float *a, const float *b) {
    assert_memory_equal(a, b, 4ul * N_VOCAB);
}

static inline pd_kv_pages pages_in_use(const pd_context *c) {
    pd_kv_pages all = pd_kv_page_counts(c->kv), left = pd_kv_free_pages(c->kv);
    return (pd_kv_pages){all.n_global - left.n_global, all.n_local - left.n_local};
}

static inline void expect_all_free(const pd_context *c) {
    assert_int_equal(pages_in_use(c).n_global, 0);
    assert_int_equal(pages_in_use(c).n_local, 0);
}

#endif
