/* What a requantised head costs: KL divergence of the next token's probabilities.
 *
 *     p = softmax(E x)   E: the head as the file stores it, x: final hidden state of a position
 *     q = softmax(l)     l: the logits that the device computed with the new head from the same x
 *
 * The decode program computes the last positions again, one at a time, and leaves x and l to read.
 * E's rows are decoded once for all positions; products are in f32 as on the CPU backend. Each
 * thread adds up its own rows (divergence.h); what they found is merged at the end, so nothing of
 * the size of the vocabulary is kept but l.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>

#include "base/thread.h"
#include "engine/divergence.h"
#include "plan/sample.h"
#include "engine/session.h"

enum { MAX_POSITIONS = 8, GRAIN_ROWS = 64, BATCH_ROWS = 8192, LANES = 16 };

typedef struct cost_job {
    const pd_tensor *head; /* as stored */
    uint32_t width, n_vocab, n;
    float *hidden;       /* [n, width] */
    float *logits;       /* [n, n_vocab] */
    float *rows;         /* [n_threads, width] the decoded row of each thread */
    pd_divergence *sums; /* [n_threads, n] */
    uint32_t first_id;   /* of the batch */
} cost_job;

/* ---- the stored head ------------------------------------------------------------------------ */

/* n is a multiple of 32, as every row length is. */
static float dot(const float *a, const float *b, uint32_t n) {
    float sums[LANES] = {0}, sum = 0;
    for (uint32_t i = 0; i < n; i += LANES)
        for (uint32_t k = 0; k < LANES; k++) sums[k] += a[i + k] * b[i + k];
    for (uint32_t k = 0; k < LANES; k++) sum += sums[k];
    return sum;
}

static void compare_ids(void *ctx, uint32_t begin, uint32_t end, uint32_t thread) {
    const cost_job *job = ctx;
    uint64_t row_bytes = job->head->n_bytes / job->n_vocab;
    float *row = job->rows + (size_t)thread * job->width;
    pd_divergence *sums = job->sums + (size_t)thread * job->n;
    for (uint32_t id = job->first_id + begin; id < job->first_id + end; id++) {
        if (!pd_sample_may(id, job->n_vocab)) continue;
        pd_decode(job->head->type, job->head->data + id * row_bytes, job->width, row);
        for (uint32_t i = 0; i < job->n; i++) {
            float a = dot(row, job->hidden + (size_t)i * job->width, job->width);
            float l = job->logits[(size_t)i * job->n_vocab + id];
            pd_divergence_add(&sums[i], id, (double)a, (double)l);
        }
    }
}

static pd_status compare_all(pd_session *s, cost_job *job, pd_pool *pool, pd_error *err) {
    uint32_t n_sums = pd_pool_n_threads(pool) * job->n;
    for (uint32_t i = 0; i < n_sums; i++) job->sums[i] = pd_divergence_none();
    for (uint32_t n; job->first_id < job->n_vocab; job->first_id += n) {
        if (atomic_load(&s->cancel))
            return PD_RAISE(err, PD_ERR_CANCELLED, "stopped while the heads were compared");
        n = job->n_vocab - job->first_id;
        if (n > BATCH_ROWS) n = BATCH_ROWS;
        pd_pool_run(pool, n, GRAIN_ROWS, compare_ids, job);
    }
    for (uint32_t i = job->n; i < n_sums; i++)
        pd_divergence_merge(&job->sums[i % job->n], job->sums[i]);
    return PD_OK;
}

static pd_status summarise(const cost_job *job, pd_head_cost *out, pd_error *err) {
    *out = (pd_head_cost){.n_positions = job->n};
    for (uint32_t i = 0; i < job->n; i++) {
        const pd_divergence *d = &job->sums[i];
        double kl = pd_divergence_kl(d);
        if (!isfinite(kl))
            return PD_RAISE(err, PD_ERR_NUMERIC,
                            "the stored or the requantised head gave a NaN or an infinity");
        if (kl < 0) kl = 0; /* rounding */
        out->n_same += d->best_a == d->best_b;
        out->kl_mean += kl / job->n;
        if (kl > out->kl_max) out->kl_max = kl;
    }
    return PD_OK;
}

/* ---- the device ----------------------------------------------------------------------------- */

static pd_status compute_positions(pd_session *s, cost_job *job, uint32_t first, pd_error *err) {
    const pd_stage *decode = &s->context->stages[PD_STAGE_DECODE];
    const pd_backend_vtable *v = s->context->model->backend->v;
    for (uint32_t i = 0; i < job->n; i++) {
        float *hidden = job->hidden + (size_t)i * job->width;
        float *logits = job->logits + (size_t)i * job->n_vocab;
        PD_TRY(pd_context_repeat(s->context, &s->seq, first + i, &s->cancel, err));
        PD_TRY(v->read(decode->program, decode->hidden, 0, 4ull * job->width, hidden, err));
        PD_TRY(v->read(decode->program, decode->logits, 0, 4ull * job->n_vocab, logits, err));
    }
    return PD_OK;
}

static pd_status measure(pd_session *s, cost_job *job, uint32_t first, pd_pool *pool,
                         pd_head_cost *out, pd_error *err) {
    uint32_t n_threads = pd_pool_n_threads(pool);
    job->hidden = pd_alloc((size_t)job->n * job->width, sizeof *job->hidden);
    job->logits = pd_alloc((size_t)job->n * job->n_vocab, sizeof *job->logits);
    job->rows = pd_alloc((size_t)n_threads * job->width, sizeof *job->rows);
    job->sums = pd_alloc((size_t)n_threads * job->n, sizeof *job->sums);
    if (!job->hidden || !job->logits || !job->rows || !job->sums)
        return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory to compare the heads");
    PD_TRY(compute_positions(s, job, first, err));
    PD_TRY(compare_all(s, job, pool, err));
    return summarise(job, out, err);
}

static pd_status head_cost(pd_session *s, pd_head_cost *out, pd_error *err) {
    const pd_model *m = s->context->model;
    const pd_tokens *t = &s->seq.tokens;
    if (!m->lm_head.requantised)
        return PD_RAISE(err, PD_ERR_ARGUMENT, "the head is used as the file stores it");
    if (!pd_context_has_output(s->context, &s->seq))
        return PD_RAISE(err, PD_ERR_ARGUMENT, "no logits are at hand: sync the session first");
    uint32_t first = pd_kv_first_repeatable(s->context->kv, s->seq.kv_id);
    if (t->n > MAX_POSITIONS && first < t->n - MAX_POSITIONS) first = t->n - MAX_POSITIONS;
    for (uint32_t i = 0; i < t->n_images; i++) /* image rows cannot be recomputed singly */
        if (first < t->images[i].end) first = t->images[i].end;
    if (first >= t->n)
        return PD_RAISE(err, PD_ERR_ARGUMENT, "there is no token behind the last image");
    cost_job job = {.head = m->lm_head.stored,
                    .width = m->config.n_embd,
                    .n_vocab = m->config.n_vocab,
                    .n = t->n - first};
    pd_pool *pool = NULL;
    PD_TRY(pd_pool_create(m->n_threads, &pool, err));
    pd_status status = measure(s, &job, first, pool, out, err);
    pd_pool_destroy(pool);
    pd_free(job.hidden);
    pd_free(job.logits);
    pd_free(job.rows);
    pd_free(job.sums);
    return status;
}

pd_status pd_session_head_cost(pd_session *s, pd_head_cost *out, pd_error *err) {
    PD_NEED(err, out);
    PD_TRY(pd_session_begin_turn(s, err));
    pd_status status = head_cost(s, out, err);
    pd_session_end_turn(s);
    return status;
}
