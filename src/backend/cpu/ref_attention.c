/* `cpu-ref`: rotation, KV pages and attention in double precision. See ref.c.
 *
 * Pages hold f16 when the plan asks for it, here as on every backend, so that backends differ only
 * by their arithmetic and not by what they remember.
 *
 * SPDX-License-Identifier: MIT
 */
#include "backend/cpu/cpu.h"

typedef struct ref_job {
    pd_program *p;
    const pd_op *op;
} ref_job;

static void store_value(const pd_kv_store *kv, uint8_t *page, uint64_t index, float value) {
    uint16_t half = pd_f32_to_f16(value);
    if (kv->shape.f32) {
        memcpy(page + index * 4, &value, sizeof value);
    } else {
        memcpy(page + index * 2, &half, sizeof half);
    }
}

static double load_value(const pd_kv_store *kv, const uint8_t *page, uint64_t index) {
    float value;
    uint16_t half;
    if (kv->shape.f32) {
        memcpy(&value, page + index * 4, sizeof value);
    } else {
        memcpy(&half, page + index * 2, sizeof half);
        value = pd_f16_to_f32(half);
    }
    return (double)value;
}

/* y = rotate(rms(x) * weight), or x without a weight; [head_dim] */
static void norm_rotate(const pd_op_qkv_rope_store *o, const float *x, const pd_tensor *weight,
                        uint32_t pos, uint32_t head_dim, double *y) {
    if (!weight) {
        for (uint32_t j = 0; j < head_dim; j++) y[j] = (double)x[j];
        return;
    }
    const float *w = (const float *)(const void *)weight->data;
    uint32_t half = head_dim / 2;
    double sum = 0;
    for (uint32_t j = 0; j < head_dim; j++) sum += (double)x[j] * (double)x[j];
    double f = 1 / sqrt(sum / head_dim + (double)o->eps);
    for (uint32_t j = 0; j < half; j++) {
        double angle =
            pos * pow((double)o->rope_base, -2.0 * j / head_dim) * (double)o->angle_scale;
        double a = (double)x[j] * f * (double)w[j];
        double b = (double)x[j + half] * f * (double)w[j + half];
        y[j] = a * cos(angle) - b * sin(angle);
        y[j + half] = b * cos(angle) + a * sin(angle);
    }
}

static void qkv_rows(void *ctx, uint32_t begin, uint32_t end, uint32_t thread) {
    const ref_job *job = ctx;
    pd_program *p = job->p;
    const pd_op_qkv_rope_store *o = &job->op->qkv_rope_store;
    const pd_kv_store *kv = p->kv;
    uint32_t hd = kv->shape.head_dim, layer = o->kv_layer;
    double *y = pd_cpu_work(p, thread);
    for (uint32_t r = begin; r < end; r++) {
        const pd_step_row *row = &p->step->rows[r];
        const float *x = pd_cpu_row(p, o->qkv, r);
        float *out = pd_cpu_row(p, o->out, r);
        for (uint32_t h = 0; h < kv->shape.n_heads; h++, x += hd, out += hd) {
            norm_rotate(o, x, o->q_weight, row->pos, hd, y);
            for (uint32_t j = 0; j < hd; j++) out[j] = (float)(y[j] * (double)o->q_scale);
        }
        uint32_t page = pd_cpu_table(p, layer, row->seq)[row->pos / PD_PAGE_POSITIONS];
        uint64_t slot = (uint64_t)(row->pos % PD_PAGE_POSITIONS) * kv->stride;
        for (uint32_t h = 0; h < kv->shape.n_kv_heads; h++, x += hd) {
            uint8_t *k = pd_cpu_page(kv, kv->k, layer, page, h);
            norm_rotate(o, x, o->k_weight, row->pos, hd, y);
            for (uint32_t j = 0; j < hd; j++) store_value(kv, k, slot + j, (float)y[j]);
        }
        for (uint32_t h = 0; h < kv->shape.n_kv_heads; h++, x += hd) {
            uint8_t *v = pd_cpu_page(kv, kv->v, layer, page, h);
            for (uint32_t j = 0; j < hd; j++) store_value(kv, v, slot + j, x[j]);
        }
    }
}

void pd_cpu_ref_qkv_rope_store(pd_program *p, const pd_op *op) {
    pd_pool_run(p->cpu->pool, p->step->n_rows, 1, qkv_rows, &(ref_job){p, op});
}

/* One query head of one row: scores of the visible positions, their softmax, the mean of V. */
static void attend(const pd_program *p, const pd_op *op, uint32_t r, uint32_t h, double *work) {
    const pd_op_attention *o = &op->attention;
    const pd_kv_store *kv = p->kv;
    const pd_step_row *row = &p->step->rows[r];
    uint32_t hd = kv->shape.head_dim, layer = o->kv_layer;
    uint32_t kv_head = h / (kv->shape.n_heads / kv->shape.n_kv_heads);
    const uint32_t *table = pd_cpu_table(p, layer, row->seq);
    const float *q = pd_cpu_row(p, o->q, r) + h * hd;
    float *out = pd_cpu_row(p, o->out, r) + h * hd;
    uint32_t lo = pd_window_first(row->pos, o->window), hi = row->end;
    double *sums = work, *scores = work + hd, best = -INFINITY, total = 0;

    for (uint32_t s = lo; s < hi; s++) {
        uint32_t page = table[s / PD_PAGE_POSITIONS], slot = s % PD_PAGE_POSITIONS;
        const uint8_t *k = pd_cpu_page(kv, kv->k, layer, page, kv_head);
        double score = 0;
        for (uint32_t j = 0; j < hd; j++)
            score += (double)q[j] * load_value(kv, k, (uint64_t)slot * kv->stride + j);
        scores[s - lo] = score;
        if (score > best) best = score;
    }
    for (uint32_t j = 0; j < hd; j++) sums[j] = 0;
    for (uint32_t s = lo; s < hi; s++) {
        uint32_t page = table[s / PD_PAGE_POSITIONS], slot = s % PD_PAGE_POSITIONS;
        const uint8_t *v = pd_cpu_page(kv, kv->v, layer, page, kv_head);
        double weight = exp(scores[s - lo] - best);
        total += weight;
        for (uint32_t j = 0; j < hd; j++)
            sums[j] += weight * load_value(kv, v, (uint64_t)slot * kv->stride + j);
    }
    for (uint32_t j = 0; j < hd; j++) out[j] = (float)(sums[j] / total);
}

static void attention_heads(void *ctx, uint32_t begin, uint32_t end, uint32_t thread) {
    const ref_job *job = ctx;
    uint32_t n_heads = job->p->kv->shape.n_heads;
    for (uint32_t i = begin; i < end; i++) {
        attend(job->p, job->op, i / n_heads, i % n_heads, pd_cpu_work(job->p, thread));
    }
}

void pd_cpu_ref_attention(pd_program *p, const pd_op *op) {
    uint32_t n = p->step->n_rows * p->kv->shape.n_heads;
    pd_pool_run(p->cpu->pool, n, 1, attention_heads, &(ref_job){p, op});
    for (uint32_t r = 0; r < p->step->n_rows; r++) {
        pd_cpu_clear_tail(p, op->attention.out, r, p->kv->shape.n_heads * p->kv->shape.head_dim);
    }
}
