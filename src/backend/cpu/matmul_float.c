/* `cpu`: matrices times rows, in floats.
 *
 * Few rows (decoding): memory is the limit; threads share the output columns, each stored row is
 * decoded in registers and used for up to four activation rows at once.
 *
 * Many rows (prompts): arithmetic is the limit. A thread decodes a tile of TILE_COLUMNS stored rows
 * by k_block values to f32 once and multiplies it with all rows of its share by the register-
 * blocked kernel. The tile stays in the second-level cache, the block of activation rows in the
 * first.
 *
 *              k_block
 *            +---------+
 *            |  tile   | TILE_COLUMNS stored rows   -> the same columns of the output
 *            +---------+
 *     x rows |         |
 *
 * SPDX-License-Identifier: MIT
 */
#include "backend/cpu/cpu.h"

enum {
    FEW_ROWS = PD_CPU_GEMV_MAX, /* decoding stored rows twice costs more than a tile */
    FEW_COLUMNS = 16,           /* columns whose stored rows are handled together then */
    TILE_COLUMNS = 48,          /* a multiple of every PANEL_N */
    MAX_K_BLOCK = 2048,         /* 48 * 2048 * 4 bytes = 384 KiB */
    MIN_SHARE_ROWS = 32,        /* fewest rows worth decoding a tile for */
    MAX_SHARE_ROWS = 256 /* their activations, which all tiles read, stay in the last cache */
};

typedef struct matmul_job {
    const pd_program *p;
    const pd_op_matmul *op;
    uint32_t k, n_rows;
    size_t ldx;                    /* values from one row of x to the next */
    uint32_t n_tiles;              /* over all weights */
    uint32_t n_shares, share_rows; /* of the rows, when there are fewer tiles than threads need */
    uint32_t k_block;
} matmul_job;

static bool is_geglu(const matmul_job *job) {
    return job->op->epilogue == PD_EPILOGUE_GEGLU;
}

static uint64_t stored_row_bytes(const pd_tensor *w, uint32_t k) {
    return pd_type_row_bytes(pd_type_get(w->type), k);
}

static uint32_t smaller(uint32_t a, uint32_t b) {
    return a < b ? a : b;
}

/* ---- few rows ------------------------------------------------------------------------------- */

/* out[i * ldo + c] for stored rows [row, row + n) of w. */
static void few_columns(const matmul_job *job, const pd_tensor *w, uint32_t row, uint32_t n,
                        float *out, size_t ldo) {
    const pd_cpu_kernels *kernels = job->p->cpu->kernels;
    uint64_t row_bytes = stored_row_bytes(w, job->k);
    const float *x = pd_cpu_buf(job->p, job->op->x);
    kernels->gemv(w->type, w->data + row * row_bytes, row_bytes, n, job->k, x, job->ldx,
                  job->n_rows, out, ldo);
}

static void few_geglu(const matmul_job *job, uint32_t begin, uint32_t n) {
    float gate[FEW_ROWS * FEW_COLUMNS], up[FEW_ROWS * FEW_COLUMNS];
    few_columns(job, job->op->weights[0], begin, n, gate, FEW_COLUMNS);
    few_columns(job, job->op->weights[1], begin, n, up, FEW_COLUMNS);
    for (uint32_t i = 0; i < job->n_rows; i++) {
        job->p->cpu->kernels->geglu(gate + i * FEW_COLUMNS, up + i * FEW_COLUMNS, n,
                                    pd_cpu_row(job->p, job->op->out, i) + begin);
    }
}

/* Rows [row, row + n) of weight i, to out[r * ldo]. */
static void few_plain(const matmul_job *job, uint32_t i, uint32_t row, uint32_t n, float *out,
                      size_t ldo) {
    float sums[FEW_ROWS * FEW_COLUMNS];
    bool adds = job->op->epilogue == PD_EPILOGUE_BIAS_ADD;
    float *to = adds ? sums : out;
    size_t ldt = adds ? FEW_COLUMNS : ldo;
    few_columns(job, job->op->weights[i], row, n, to, ldt);
    pd_cpu_matmul_finish(job->p->cpu, job->op, i, row, n, job->n_rows, to, ldt);
    for (uint32_t r = 0; adds && r < job->n_rows; r++) {
        job->p->cpu->kernels->add(sums + r * FEW_COLUMNS, n, out + r * ldo);
    }
}

static void few_range(void *ctx, uint32_t begin, uint32_t end, uint32_t thread) {
    const matmul_job *job = ctx;
    uint32_t width = job->p->bufs[job->op->out].width;
    float *out = pd_cpu_buf(job->p, job->op->out);
    uint32_t i = 0, first = 0; /* weight that column `begin` belongs to, and its first column */
    (void)thread;
    while (begin < end) {
        uint32_t n = smaller(FEW_COLUMNS, end - begin);
        if (is_geglu(job)) {
            few_geglu(job, begin, n);
        } else {
            while (begin - first >= job->op->weights[i]->ne[1]) {
                first += (uint32_t)job->op->weights[i++]->ne[1];
            }
            n = smaller(n, first + (uint32_t)job->op->weights[i]->ne[1] - begin);
            few_plain(job, i, begin - first, n, out + begin, width);
        }
        begin += n;
    }
}

/* ---- many rows ------------------------------------------------------------------------------ */

/* out[i * ldo + c] for stored rows [row, row + n) of w and activation rows [i0, i0 + m). */
static void tile_columns(const matmul_job *job, const pd_tensor *w, uint32_t row, uint32_t n,
                         uint32_t i0, uint32_t m, float *tile, float *out, size_t ldo) {
    const pd_cpu_kernels *kernels = job->p->cpu->kernels;
    const pd_type_info *type = pd_type_get(w->type);
    uint64_t row_bytes = pd_type_row_bytes(type, job->k);
    const float *x = pd_cpu_row(job->p, job->op->x, i0);
    bool adds = job->op->epilogue == PD_EPILOGUE_BIAS_ADD;
    for (uint32_t c = 0; c < job->k; c += job->k_block) {
        uint32_t k = smaller(job->k_block, job->k - c);
        const uint8_t *src = w->data + row * row_bytes + pd_type_row_bytes(type, c);
        for (uint32_t r = 0; r < n; r++) {
            kernels->unpack(w->type, src + r * row_bytes, k, tile + (size_t)r * k);
        }
        kernels->panel(tile, k, n, k, x + c, job->ldx, m, out, ldo, c > 0 || adds);
    }
}

static void tile_geglu(const matmul_job *job, uint32_t first, uint32_t n, uint32_t i0, uint32_t m,
                       float *tile) {
    float *gate = tile + (size_t)TILE_COLUMNS * job->k_block;
    float *up = gate + (size_t)TILE_COLUMNS * m;
    tile_columns(job, job->op->weights[0], first, n, i0, m, tile, gate, TILE_COLUMNS);
    tile_columns(job, job->op->weights[1], first, n, i0, m, tile, up, TILE_COLUMNS);
    for (uint32_t i = 0; i < m; i++) {
        job->p->cpu->kernels->geglu(gate + (size_t)i * TILE_COLUMNS, up + (size_t)i * TILE_COLUMNS,
                                    n, pd_cpu_row(job->p, job->op->out, i0 + i) + first);
    }
}

static uint32_t tiles_of(const pd_tensor *w) {
    return (uint32_t)((w->ne[1] + TILE_COLUMNS - 1) / TILE_COLUMNS);
}

static void tile_range(void *ctx, uint32_t begin, uint32_t end, uint32_t thread) {
    const matmul_job *job = ctx;
    const pd_program *p = job->p;
    float *tile = pd_cpu_work(job->p, thread);
    for (uint32_t item = begin; item < end; item++) {
        uint32_t t = item % job->n_tiles, i0 = item / job->n_tiles * job->share_rows;
        uint32_t m = smaller(job->share_rows, job->n_rows - i0), column;
        uint32_t i = pd_cpu_find_panel(job->op, TILE_COLUMNS, &t, &column);
        const pd_tensor *w = job->op->weights[i];
        uint32_t first = t * TILE_COLUMNS;
        uint32_t n = smaller(TILE_COLUMNS, (uint32_t)w->ne[1] - first);
        if (is_geglu(job)) {
            tile_geglu(job, first, n, i0, m, tile);
        } else {
            float *out = pd_cpu_row(job->p, job->op->out, i0) + column + first;
            size_t ldo = job->p->bufs[job->op->out].width;
            tile_columns(job, w, first, n, i0, m, tile, out, ldo);
            pd_cpu_matmul_finish(p->cpu, job->op, i, first, n, m, out, ldo);
        }
    }
}

/* Equal blocks of k of at most MAX_K_BLOCK values, cut at multiples of 256. */
static uint32_t choose_k_block(uint32_t k) {
    uint32_t n_blocks = pd_div_up(k, MAX_K_BLOCK);
    return n_blocks <= 1 ? k : (uint32_t)pd_round_up(pd_div_up(k, n_blocks), 256);
}

static void share_out(matmul_job *job) {
    job->n_tiles = 0;
    for (uint32_t i = 0; i < (is_geglu(job) ? 1 : job->op->n_weights); i++) {
        job->n_tiles += tiles_of(job->op->weights[i]);
    }
    uint32_t wanted = pd_div_up(4 * job->p->cpu->n_threads, job->n_tiles);
    uint32_t most = pd_div_up(job->n_rows, MIN_SHARE_ROWS);
    job->n_shares = smaller(wanted, most);
    job->share_rows = smaller(pd_div_up(job->n_rows, job->n_shares), MAX_SHARE_ROWS);
    job->n_shares = pd_div_up(job->n_rows, job->share_rows);
}

void pd_cpu_matmul_float(pd_program *p, const pd_op_matmul *op) {
    matmul_job job = {.p = p,
                      .op = op,
                      .k = (uint32_t)op->weights[0]->ne[0],
                      .ldx = p->bufs[op->x].width,
                      .n_rows = pd_cpu_rows(p, op->out)};
    if (job.n_rows <= FEW_ROWS) {
        pd_pool_run(p->cpu->pool, pd_op_matmul_width(op), FEW_COLUMNS, few_range, &job);
        return;
    }
    job.k_block = choose_k_block(job.k);
    share_out(&job);
    pd_pool_run(p->cpu->pool, job.n_tiles * job.n_shares, 1, tile_range, &job);
}

uint64_t pd_cpu_matmul_float_bytes(const pd_program *p, const pd_op_matmul *op) {
    uint64_t tile = (uint64_t)TILE_COLUMNS * choose_k_block((uint32_t)op->weights[0]->ne[0]);
    uint64_t results = op->epilogue == PD_EPILOGUE_GEGLU
                           ? 2ull * TILE_COLUMNS * (p->desc.max_rows + p->desc.max_outs)
                           : 0;
    return 4 * (tile + results);
}
