/* `cpu`: the operations that are neither matrices nor attention, over the vector kernels, shared
 * out to threads by row.
 *
 * Rotation angles are computed in double once per step and kind of rotation (position 131071 in f32
 * would be wrong by up to 0.008 rad) and shared by all layers.
 *
 * SPDX-License-Identifier: MIT
 */
#include "backend/cpu/cpu.h"

typedef struct fast_job {
    pd_program *p;
    const pd_op *op;
} fast_job;

static const float *floats(const pd_tensor *t) {
    return (const float *)(const void *)t->data;
}

/* ---- embed, norm, gather -------------------------------------------------------------------- */

static void embed_rows(void *ctx, uint32_t begin, uint32_t end, uint32_t thread) {
    const fast_job *job = ctx;
    const pd_program *p = job->p;
    const pd_op_embed *o = &job->op->embed;
    uint32_t width = (uint32_t)o->table->ne[0];
    uint64_t row_bytes = pd_type_row_bytes(pd_type_get(o->table->type), width);
    (void)thread;
    for (uint32_t r = begin; r < end; r++) {
        float *out = pd_cpu_row(p, o->out, r);
        if (p->step->rows[r].token == PD_TOKEN_EMBEDDED) {
            memcpy(out, pd_cpu_row(p, o->embeddings, r), width * sizeof *out);
            continue;
        }
        const uint8_t *row = o->table->data + p->step->rows[r].token * row_bytes;
        p->cpu->kernels->unpack(o->table->type, row, width, out);
        p->cpu->kernels->scale(out, width, o->scale);
        pd_cpu_clear_tail(p, o->out, r, width);
    }
}

void pd_cpu_fast_embed(pd_program *p, const pd_op *op) {
    pd_pool_run(p->cpu->pool, p->step->n_rows, 4, embed_rows, &(fast_job){p, op});
}

static void norm_rows(void *ctx, uint32_t begin, uint32_t end, uint32_t thread) {
    const fast_job *job = ctx;
    const pd_program *p = job->p;
    const pd_op_norm *o = &job->op->norm;
    bool has_residual = o->residual != PD_BUF_NONE;
    const float *post = has_residual ? floats(o->post_weight) : NULL;
    (void)thread;
    for (uint32_t r = begin; r < end; r++) {
        p->cpu->kernels->norm(
            pd_cpu_row(p, o->x, r), has_residual ? pd_cpu_row(p, o->residual, r) : NULL, post,
            floats(o->weight), o->eps, p->bufs[o->out].width, pd_cpu_row(p, o->out, r));
    }
}

void pd_cpu_fast_norm(pd_program *p, const pd_op *op) {
    pd_pool_run(p->cpu->pool, pd_cpu_rows(p, op->norm.out), 4, norm_rows, &(fast_job){p, op});
}

static void layernorm_rows(void *ctx, uint32_t begin, uint32_t end, uint32_t thread) {
    const fast_job *job = ctx;
    const pd_program *p = job->p;
    const pd_op_layernorm *o = &job->op->layernorm;
    uint32_t width = (uint32_t)o->weight->ne[0];
    (void)thread;
    for (uint32_t r = begin; r < end; r++) {
        p->cpu->kernels->layernorm(pd_cpu_row(p, o->x, r), floats(o->weight), floats(o->bias),
                                   o->eps, width, pd_cpu_row(p, o->out, r));
        pd_cpu_clear_tail(p, o->out, r, width);
    }
}

void pd_cpu_fast_layernorm(pd_program *p, const pd_op *op) {
    uint32_t n = pd_cpu_rows(p, op->layernorm.out);
    pd_pool_run(p->cpu->pool, n, 4, layernorm_rows, &(fast_job){p, op});
}

static void pool_outputs(void *ctx, uint32_t begin, uint32_t end, uint32_t thread) {
    const fast_job *job = ctx;
    const pd_program *p = job->p;
    const pd_op_pool_norm *o = &job->op->pool_norm;
    const pd_cpu_kernels *k = p->cpu->kernels;
    uint32_t width = (uint32_t)o->weight->ne[0], side = o->grid / o->pool;
    (void)thread;
    for (uint32_t i = begin; i < end; i++) {
        uint32_t first = i / side * o->pool * o->grid + i % side * o->pool;
        float *out = pd_cpu_row(p, o->out, i);
        memset(out, 0, p->bufs[o->out].width * sizeof *out);
        for (uint32_t n = 0; n < o->pool * o->pool; n++) {
            k->add(pd_cpu_row(p, o->x, first + n / o->pool * o->grid + n % o->pool), width, out);
        }
        k->scale(out, width, 1.0f / (float)(o->pool * o->pool));
        k->norm(out, NULL, NULL, floats(o->weight), o->eps, width, out);
    }
}

void pd_cpu_fast_pool_norm(pd_program *p, const pd_op *op) {
    pd_pool_run(p->cpu->pool, p->step->n_outs, 4, pool_outputs, &(fast_job){p, op});
}

void pd_cpu_fast_gather(pd_program *p, const pd_op *op) {
    const pd_op_gather *o = &op->gather;
    uint64_t bytes = (uint64_t)p->bufs[o->out].width * 4;
    for (uint32_t i = 0; i < p->step->n_outs; i++) {
        memcpy(pd_cpu_row(p, o->out, i), pd_cpu_row(p, o->x, p->step->out_rows[i]), bytes);
    }
}

/* ---- rotation and KV pages ------------------------------------------------------------------ */

static void rope_rows(void *ctx, uint32_t begin, uint32_t end, uint32_t thread) {
    const fast_job *job = ctx;
    const pd_program *p = job->p;
    uint32_t half = p->desc.kv.head_dim / 2;
    double *frequencies = pd_cpu_work(p, thread);
    for (uint32_t i = 0; i < p->n_ropes; i++) {
        const pd_cpu_rope *rope = &p->ropes[i];
        for (uint32_t j = 0; j < half; j++) {
            frequencies[j] = pow((double)rope->rotation.base, -(double)j / half) *
                             (double)rope->rotation.angle_scale;
        }
        for (uint32_t r = begin; r < end; r++) {
            for (uint32_t j = 0; j < half; j++) {
                double angle = p->step->rows[r].pos * frequencies[j];
                rope->cosines[(uint64_t)r * half + j] = (float)cos(angle);
                rope->sines[(uint64_t)r * half + j] = (float)sin(angle);
            }
        }
    }
}

void pd_cpu_rope_prepare(pd_program *p) {
    if (p->n_ropes == 0) return;
    pd_pool_run(p->cpu->pool, p->step->n_rows, 8, rope_rows, &(fast_job){p, NULL});
}

/* A key's values lie 64 apart. */
static void store_key(const pd_program *p, uint8_t *page, uint32_t slot, const float *x) {
    for (uint32_t j = 0; j < p->kv->shape.head_dim; j++) {
        uint64_t at = (uint64_t)j * PD_PAGE_POSITIONS + slot;
        if (p->kv->shape.f32) {
            ((float *)(void *)page)[at] = x[j];
        } else {
            ((uint16_t *)(void *)page)[at] = pd_f32_to_f16(x[j]);
        }
    }
}

static void store_value(const pd_program *p, uint8_t *page, uint32_t slot, const float *x) {
    uint32_t hd = p->kv->shape.head_dim;
    uint8_t *at = page + (uint64_t)slot * p->kv->stride * p->kv->value_bytes;
    if (p->kv->shape.f32) {
        memcpy(at, x, hd * sizeof *x);
    } else {
        p->cpu->kernels->to_f16(x, hd, (uint16_t *)(void *)at);
    }
}

/* Without norm and rotation. */
static void store_rows(void *ctx, uint32_t begin, uint32_t end, uint32_t thread) {
    const fast_job *job = ctx;
    const pd_program *p = job->p;
    const pd_op_qkv_rope_store *o = &job->op->qkv_rope_store;
    const pd_kv_store *kv = p->kv;
    uint32_t hd = kv->shape.head_dim, q_width = kv->shape.n_heads * hd;
    (void)thread;
    for (uint32_t r = begin; r < end; r++) {
        const pd_step_row *row = &p->step->rows[r];
        const float *x = pd_cpu_row(p, o->qkv, r);
        float *q = pd_cpu_row(p, o->out, r);
        memcpy(q, x, q_width * sizeof *q);
        p->cpu->kernels->scale(q, q_width, o->q_scale);
        x += q_width;
        uint32_t page = pd_cpu_table(p, o->kv_layer, row->seq)[row->pos / PD_PAGE_POSITIONS];
        uint32_t slot = row->pos % PD_PAGE_POSITIONS;
        for (uint32_t h = 0; h < 2 * kv->shape.n_kv_heads; h++, x += hd) {
            bool is_k = h < kv->shape.n_kv_heads;
            uint32_t head = is_k ? h : h - kv->shape.n_kv_heads;
            uint8_t *at = pd_cpu_page(kv, is_k ? kv->k : kv->v, o->kv_layer, page, head);
            (is_k ? store_key : store_value)(p, at, slot, x);
        }
    }
}

static void qkv_rows(void *ctx, uint32_t begin, uint32_t end, uint32_t thread) {
    const fast_job *job = ctx;
    const pd_program *p = job->p;
    const pd_op_qkv_rope_store *o = &job->op->qkv_rope_store;
    const pd_kv_store *kv = p->kv;
    const pd_cpu_rope *rope = &p->ropes[o->rotation];
    uint32_t hd = kv->shape.head_dim, layer = o->kv_layer;
    float *k = pd_cpu_work(p, thread);
    for (uint32_t r = begin; r < end; r++) {
        const pd_step_row *row = &p->step->rows[r];
        const float *x = pd_cpu_row(p, o->qkv, r);
        const float *cosines = rope->cosines + (uint64_t)r * (hd / 2);
        const float *sines = rope->sines + (uint64_t)r * (hd / 2);
        float *out = pd_cpu_row(p, o->out, r);
        for (uint32_t h = 0; h < kv->shape.n_heads; h++, x += hd, out += hd) {
            p->cpu->kernels->rope(x, floats(o->q_weight), o->eps, cosines, sines, o->q_scale, hd,
                                  out);
        }
        uint32_t page = pd_cpu_table(p, layer, row->seq)[row->pos / PD_PAGE_POSITIONS];
        uint32_t slot = row->pos % PD_PAGE_POSITIONS;
        for (uint32_t h = 0; h < kv->shape.n_kv_heads; h++, x += hd) {
            p->cpu->kernels->rope(x, floats(o->k_weight), o->eps, cosines, sines, 1.0f, hd, k);
            store_key(p, pd_cpu_page(kv, kv->k, layer, page, h), slot, k);
        }
        for (uint32_t h = 0; h < kv->shape.n_kv_heads; h++, x += hd) {
            store_value(p, pd_cpu_page(kv, kv->v, layer, page, h), slot, x);
        }
    }
}

void pd_cpu_fast_qkv_rope_store(pd_program *p, const pd_op *op) {
    pd_pool_fn rows = op->qkv_rope_store.q_weight ? qkv_rows : store_rows;
    pd_pool_run(p->cpu->pool, p->step->n_rows, 4, rows, &(fast_job){p, op});
}

/* ---- sample, log_prob ------------------------------------------------------------------------ */

/* Largest value among ids [begin, end) and the lowest id that has it, when it beats *value. */
static void best_of(const pd_cpu_kernels *k, const float *x, uint32_t begin, uint32_t end,
                    uint32_t *id, float *value) {
    if (begin >= end) return;
    float max = k->max(x + begin, end - begin);
    if (!(max > *value)) return;
    uint32_t i = begin;
    while (x[i] != max) i++;
    *id = i;
    *value = x[i];
}

static void sample_rows(void *ctx, uint32_t begin, uint32_t end, uint32_t thread) {
    const fast_job *job = ctx;
    const pd_program *p = job->p;
    const pd_op_sample *o = &job->op->sample;
    const pd_cpu_kernels *k = p->cpu->kernels;
    uint32_t n = p->bufs[o->x].width;
    uint32_t n_text = n < PD_TEXT_VOCAB ? n : PD_TEXT_VOCAB;
    uint32_t before = n_text < PD_TOKEN_START_OF_IMAGE ? n_text : PD_TOKEN_START_OF_IMAGE;
    (void)thread;
    for (uint32_t i = begin; i < end; i++) {
        const float *x = pd_cpu_row(p, o->x, i);
        pd_sample_result *out = (pd_sample_result *)pd_cpu_buf(p, o->out) + i;
        uint32_t id = PD_SAMPLE_NO_ID;
        float value = -INFINITY;
        best_of(k, x, 0, before, &id, &value);
        best_of(k, x, PD_TOKEN_END_OF_IMAGE + 1, n_text, &id, &value);
        *out =
            (pd_sample_result){id, value, k->count_nonfinite(x, n), pd_cpu_sample(p, i, x, n, id)};
    }
}

void pd_cpu_fast_sample(pd_program *p, const pd_op *op) {
    pd_pool_run(p->cpu->pool, pd_cpu_rows(p, op->sample.out), 1, sample_rows, &(fast_job){p, op});
}

static void log_prob_rows(void *ctx, uint32_t begin, uint32_t end, uint32_t thread) {
    const fast_job *job = ctx;
    const pd_program *p = job->p;
    const pd_op_log_prob *o = &job->op->log_prob;
    const pd_cpu_kernels *k = p->cpu->kernels;
    uint32_t n = p->bufs[o->x].width;
    float piece[512];
    (void)thread;
    for (uint32_t i = begin; i < end; i++) {
        const float *x = pd_cpu_row(p, o->x, i);
        float max = k->max(x, n);
        double sum = 0;
        for (uint32_t at = 0, m; at < n; at += m) {
            m = n - at < 512 ? n - at : 512;
            memcpy(piece, x + at, m * sizeof *piece);
            sum += (double)k->exp_sum(piece, m, max);
        }
        uint32_t target = p->step->rows[p->step->out_rows[i]].token;
        float *out = pd_cpu_row(p, o->out, i);
        out[0] = (float)((double)x[target] - (double)max - log(sum));
        out[1] = (float)((double)max + log(sum));
    }
}

void pd_cpu_fast_log_prob(pd_program *p, const pd_op *op) {
    pd_pool_run(p->cpu->pool, p->step->n_outs, 1, log_prob_rows, &(fast_job){p, op});
}

/* ---- work memory ---------------------------------------------------------------------------- */

uint64_t pd_cpu_fast_work_bytes(const pd_program *p) {
    uint64_t bytes = 8ull * p->desc.kv.head_dim; /* frequencies; a key */
    for (uint32_t i = 0; i < p->n_ops; i++) {
        const pd_op *op = &p->ops[i];
        uint64_t needed = 0;
        if (op->kind == PD_OP_MATMUL) needed = pd_cpu_matmul_work_bytes(p, op);
        if (op->kind == PD_OP_ATTENTION) needed = pd_cpu_attention_work_bytes(p);
        if (needed > bytes) bytes = needed;
    }
    return bytes;
}
