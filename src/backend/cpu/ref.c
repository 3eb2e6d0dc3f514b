/* `cpu-ref`: the operations in double precision, as plainly as they can be written. This file and
 * ref_attention.c are the definition that every other backend is compared with; formulas in
 * plan/op.h. Only rows, heads or output columns are shared out to threads, so that the order of
 * every sum is fixed.
 *
 * SPDX-License-Identifier: MIT
 */
#include "backend/cpu/cpu.h"

typedef struct ref_job {
    pd_program *p;
    const pd_op *op;
} ref_job;

static void over(pd_program *p, const pd_op *op, uint32_t n, pd_pool_fn fn) {
    pd_pool_run(p->cpu->pool, n, 1, fn, &(ref_job){p, op});
}

/* ---- embed ---------------------------------------------------------------------------------- */

void pd_cpu_ref_embed(pd_program *p, const pd_op *op) {
    const pd_op_embed *o = &op->embed;
    uint32_t width = (uint32_t)o->table->ne[0];
    uint64_t row_bytes = pd_type_row_bytes(pd_type_get(o->table->type), width);
    for (uint32_t r = 0; r < p->step->n_rows; r++) {
        float *out = pd_cpu_row(p, o->out, r);
        if (p->step->rows[r].token == PD_TOKEN_EMBEDDED) {
            memcpy(out, pd_cpu_row(p, o->embeddings, r), width * sizeof *out);
            continue;
        }
        const uint8_t *row = o->table->data + p->step->rows[r].token * row_bytes;
        pd_decode(o->table->type, row, width, out);
        for (uint32_t j = 0; j < width; j++) out[j] = (float)((double)out[j] * (double)o->scale);
        pd_cpu_clear_tail(p, o->out, r, width);
    }
}

/* ---- norm ----------------------------------------------------------------------------------- */

static double rms_factor(const double *x, uint32_t n, double eps) {
    double sum = 0;
    for (uint32_t j = 0; j < n; j++) sum += x[j] * x[j];
    return 1 / sqrt(sum / n + eps);
}

static void norm_rows(void *ctx, uint32_t begin, uint32_t end, uint32_t thread) {
    const ref_job *job = ctx;
    pd_program *p = job->p;
    const pd_op_norm *o = &job->op->norm;
    uint32_t width = p->bufs[o->out].width;
    const float *weight = (const float *)(const void *)o->weight->data;
    double *h = pd_cpu_work(p, thread);
    for (uint32_t r = begin; r < end; r++) {
        const float *x = pd_cpu_row(p, o->x, r);
        float *out = pd_cpu_row(p, o->out, r);
        for (uint32_t j = 0; j < width; j++) h[j] = (double)x[j];
        if (o->residual != PD_BUF_NONE) {
            const float *post = (const float *)(const void *)o->post_weight->data;
            float *residual = pd_cpu_row(p, o->residual, r);
            double f = rms_factor(h, width, (double)o->eps);
            for (uint32_t j = 0; j < width; j++) {
                h[j] = (double)residual[j] + h[j] * f * (double)post[j];
                residual[j] = (float)h[j];
            }
        }
        double f = rms_factor(h, width, (double)o->eps);
        for (uint32_t j = 0; j < width; j++) out[j] = (float)(h[j] * f * (double)weight[j]);
    }
}

void pd_cpu_ref_norm(pd_program *p, const pd_op *op) {
    over(p, op, pd_cpu_rows(p, op->norm.out), norm_rows);
}

/* ---- layernorm, pool_norm ------------------------------------------------------------------- */

static const float *floats(const pd_tensor *t) {
    return (const float *)(const void *)t->data;
}

static void layernorm_rows(void *ctx, uint32_t begin, uint32_t end, uint32_t thread) {
    const ref_job *job = ctx;
    pd_program *p = job->p;
    const pd_op_layernorm *o = &job->op->layernorm;
    uint32_t width = (uint32_t)o->weight->ne[0];
    const float *weight = floats(o->weight), *bias = floats(o->bias);
    (void)thread;
    for (uint32_t r = begin; r < end; r++) {
        const float *x = pd_cpu_row(p, o->x, r);
        float *out = pd_cpu_row(p, o->out, r);
        double mean = 0, variance = 0;
        for (uint32_t j = 0; j < width; j++) mean += (double)x[j] / width;
        for (uint32_t j = 0; j < width; j++) {
            variance += ((double)x[j] - mean) * ((double)x[j] - mean) / width;
        }
        double f = 1 / sqrt(variance + (double)o->eps);
        for (uint32_t j = 0; j < width; j++) {
            out[j] = (float)(((double)x[j] - mean) * f * (double)weight[j] + (double)bias[j]);
        }
        pd_cpu_clear_tail(p, o->out, r, width);
    }
}

void pd_cpu_ref_layernorm(pd_program *p, const pd_op *op) {
    over(p, op, pd_cpu_rows(p, op->layernorm.out), layernorm_rows);
}

static void pool_outputs(void *ctx, uint32_t begin, uint32_t end, uint32_t thread) {
    const ref_job *job = ctx;
    pd_program *p = job->p;
    const pd_op_pool_norm *o = &job->op->pool_norm;
    uint32_t width = (uint32_t)o->weight->ne[0], side = o->grid / o->pool;
    const float *weight = floats(o->weight);
    double *mean = pd_cpu_work(p, thread);
    for (uint32_t i = begin; i < end; i++) {
        uint32_t first = i / side * o->pool * o->grid + i % side * o->pool;
        for (uint32_t j = 0; j < width; j++) mean[j] = 0;
        for (uint32_t n = 0; n < o->pool * o->pool; n++) {
            const float *x = pd_cpu_row(p, o->x, first + n / o->pool * o->grid + n % o->pool);
            for (uint32_t j = 0; j < width; j++) mean[j] += (double)x[j] / (o->pool * o->pool);
        }
        float *out = pd_cpu_row(p, o->out, i);
        double f = rms_factor(mean, width, (double)o->eps);
        for (uint32_t j = 0; j < width; j++) out[j] = (float)(mean[j] * f * (double)weight[j]);
        pd_cpu_clear_tail(p, o->out, i, width);
    }
}

void pd_cpu_ref_pool_norm(pd_program *p, const pd_op *op) {
    over(p, op, p->step->n_outs, pool_outputs);
}

/* ---- matmul --------------------------------------------------------------------------------- */

static double gelu(double x) {
    return 0.5 * x * (1 + tanh(0.7978845608028653559 * (x + 0.044715 * x * x * x)));
}

/* Eight sums, since each addition waits for the one before it of its sum. */
static double dot(const float *a, const float *b, uint32_t n) {
    enum { SUMS = 8 };
    double sums[SUMS] = {0}, sum = 0;
    uint32_t j = 0;
    for (; j + SUMS <= n; j += SUMS)
        for (uint32_t i = 0; i < SUMS; i++) sums[i] += (double)a[j + i] * (double)b[j + i];
    for (; j < n; j++) sum += (double)a[j] * (double)b[j];
    for (uint32_t i = 0; i < SUMS; i++) sum += sums[i];
    return sum;
}

static void decode_row(const pd_tensor *w, uint64_t row, uint32_t k, float *out) {
    pd_decode(w->type, w->data + row * pd_type_row_bytes(pd_type_get(w->type), k), k, out);
}

/* What the epilogue makes of the product y of column c, the row-th of weight i. */
static double finish(const pd_op_matmul *o, uint32_t i, uint64_t row, double y, double old) {
    if (!pd_epilogue_has_bias(o->epilogue)) return y;
    y += (double)floats(o->biases[i])[row];
    if (o->epilogue == PD_EPILOGUE_BIAS_GELU) return gelu(y);
    return o->epilogue == PD_EPILOGUE_BIAS_ADD ? old + y : y;
}

/* Columns [begin, end) of the output, for every row. */
static void matmul_columns(void *ctx, uint32_t begin, uint32_t end, uint32_t thread) {
    const ref_job *job = ctx;
    pd_program *p = job->p;
    const pd_op_matmul *o = &job->op->matmul;
    bool geglu = o->epilogue == PD_EPILOGUE_GEGLU;
    uint32_t k = (uint32_t)o->weights[0]->ne[0], n_rows = pd_cpu_rows(p, o->out);
    float *row0 = pd_cpu_work(p, thread), *row1 = row0 + k;
    for (uint32_t c = begin; c < end; c++) {
        uint32_t i = 0;
        uint64_t row = c;
        for (; !geglu && row >= o->weights[i]->ne[1]; i++) row -= o->weights[i]->ne[1];
        decode_row(o->weights[i], row, k, row0);
        if (geglu) decode_row(o->weights[1], row, k, row1);
        for (uint32_t r = 0; r < n_rows; r++) {
            const float *x = pd_cpu_row(p, o->x, r);
            float *out = pd_cpu_row(p, o->out, r) + c;
            double y = dot(row0, x, k);
            if (geglu) y = gelu(y) * dot(row1, x, k);
            *out = (float)finish(o, i, row, y, (double)*out);
        }
    }
}

void pd_cpu_ref_matmul(pd_program *p, const pd_op *op) {
    uint32_t width = pd_op_matmul_width(&op->matmul);
    over(p, op, width, matmul_columns);
    for (uint32_t r = 0; r < pd_cpu_rows(p, op->matmul.out); r++) {
        pd_cpu_clear_tail(p, op->matmul.out, r, width);
    }
}

/* ---- gather, sample, log_prob ---------------------------------------------------------------- */

void pd_cpu_ref_gather(pd_program *p, const pd_op *op) {
    const pd_op_gather *o = &op->gather;
    uint64_t bytes = (uint64_t)p->bufs[o->out].width * 4;
    for (uint32_t i = 0; i < p->step->n_outs; i++) {
        memcpy(pd_cpu_row(p, o->out, i), pd_cpu_row(p, o->x, p->step->out_rows[i]), bytes);
    }
}

void pd_cpu_ref_sample(pd_program *p, const pd_op *op) {
    const pd_op_sample *o = &op->sample;
    uint32_t n = p->bufs[o->x].width;
    for (uint32_t i = 0; i < pd_cpu_rows(p, o->out); i++) {
        const float *x = pd_cpu_row(p, o->x, i);
        pd_sample_result *out = (pd_sample_result *)pd_cpu_buf(p, o->out) + i;
        uint32_t best = PD_SAMPLE_NO_ID, bad = 0;
        float value = -INFINITY;
        for (uint32_t id = 0; id < n; id++) {
            bad += isfinite(x[id]) ? 0 : 1;
            if (!pd_sample_may(id, n) || !(x[id] > value)) continue;
            best = id;
            value = x[id];
        }
        *out = (pd_sample_result){best, value, bad, pd_cpu_sample(p, i, x, n, best)};
    }
}

void pd_cpu_ref_log_prob(pd_program *p, const pd_op *op) {
    const pd_op_log_prob *o = &op->log_prob;
    uint32_t n = p->bufs[o->x].width;
    for (uint32_t i = 0; i < p->step->n_outs; i++) {
        const float *x = pd_cpu_row(p, o->x, i);
        double max = -INFINITY, sum = 0;
        for (uint32_t id = 0; id < n; id++) max = fmax(max, (double)x[id]);
        for (uint32_t id = 0; id < n; id++) sum += exp((double)x[id] - max);
        uint32_t target = p->step->rows[p->step->out_rows[i]].token;
        float *out = pd_cpu_row(p, o->out, i);
        out[0] = (float)((double)x[target] - max - log(sum));
        out[1] = (float)(max + log(sum));
    }
}

/* ---- work memory ---------------------------------------------------------------------------- */

/* A row in double, two decoded rows, the scores of one query, or the sums of one head. */
uint64_t pd_cpu_ref_work_bytes(const pd_program *p) {
    uint64_t width = p->desc.kv.head_dim;
    for (uint32_t i = 0; i < p->n_bufs; i++) {
        if (p->bufs[i].width > width) width = p->bufs[i].width;
    }
    return 8 * (width + p->desc.max_positions + 2ull * p->desc.kv.head_dim);
}
