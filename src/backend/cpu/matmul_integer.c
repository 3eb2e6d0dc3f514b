/* `cpu`: packed matrices times rows, in integers (packed.h, integer.h). The activations are
 * quantised first, once for all weights of the operation.
 *
 * Few rows (decoding, also of several sequences): memory is the limit, or the arithmetic of so few
 * that a panel is not worth it; threads share the groups, each is unpacked in registers.
 *
 * Many rows (prompts): arithmetic is the limit. A thread unpacks a panel of groups by k_block
 * columns once, and multiplies it with all rows of its share, a tile of them at a time: the tile
 * stays in the first-level cache, the panel in the second.
 *
 *                     k_block
 *                   +---------+
 *                   |  panel  | PANEL_GROUPS * 16 weight rows  -> as many columns of the output
 *                   +---------+
 *   activation rows |  tile   |
 *                   +---------+
 *
 * SPDX-License-Identifier: MIT
 */
#include "backend/cpu/cpu.h"

enum {
    GROUP = PD_CPU_GROUP_ROWS,
    PANEL_GROUPS = 4,
    PANEL_COLUMNS = PANEL_GROUPS * GROUP,
    MAX_K_BLOCK = 1280,   /* 64 * 1280 * 2 bytes = 160 KiB */
    MIN_SHARE_ROWS = 48,  /* fewest rows worth unpacking a panel for */
    MAX_SHARE_ROWS = 120, /* their results stay in the second-level cache; whole tiles */
    PANELS_PER_THREAD = 4
};

typedef struct integer_job {
    pd_program *p;
    const pd_op_matmul *op;
    const uint8_t *const *packed;
    const pd_cpu_integer_kernels *integer;
    uint32_t k, n_rows, k_block;
    uint32_t n_panels;             /* over all weights */
    uint32_t n_shares, share_rows; /* of the rows, when there are fewer panels than threads need */
} integer_job;

static bool is_geglu(const integer_job *job) {
    return job->op->epilogue == PD_EPILOGUE_GEGLU;
}
static bool adds(const integer_job *job) {
    return job->op->epilogue == PD_EPILOGUE_BIAS_ADD;
}
static uint32_t smaller(uint32_t a, uint32_t b) {
    return a < b ? a : b;
}
static uint32_t rows_of(const integer_job *job, uint32_t i) {
    return (uint32_t)job->op->weights[i]->ne[1];
}
/* Weights whose rows are the output's columns: of GEGLU's two the second goes with the first. */
static uint32_t n_weights(const integer_job *job) {
    return is_geglu(job) ? 1 : job->op->n_weights;
}

static const uint8_t *group_at(const integer_job *job, uint32_t i, uint32_t g) {
    pd_cpu_packing packing;
    (void)pd_cpu_packing_of(job->op->weights[i]->type, &packing);
    return job->packed[i] + g * pd_cpu_group_bytes(&packing, job->k);
}

/* ---- activations ---------------------------------------------------------------------------- */

static void quantize_rows(void *ctx, uint32_t begin, uint32_t end, uint32_t thread) {
    const integer_job *job = ctx;
    const pd_cpu_integer_kernels *integer = job->integer;
    const pd_cpu_quants *q = &job->p->quants;
    (void)thread;
    for (uint32_t r = begin; r < end; r++) {
        integer->quantize(pd_cpu_row(job->p, job->op->x, r), job->k,
                          q->values + (size_t)r * job->k * integer->value_bytes,
                          q->scales + (size_t)r * (job->k / PD_CPU_BLOCK));
    }
}

/* ---- few rows ------------------------------------------------------------------------------- */

static void few_group(const integer_job *job, uint32_t i, uint32_t g, float *out, size_t ldo) {
    job->integer->few(job->op->weights[i]->type, group_at(job, i, g), &job->p->quants, job->n_rows,
                      out, ldo);
}

/* Rows of sums [n_rows, GROUP], n columns of each, to the output's columns from `column` on. */
static void put(const integer_job *job, const float *sums, uint32_t n, uint32_t column) {
    for (uint32_t r = 0; r < job->n_rows; r++) {
        float *out = pd_cpu_row(job->p, job->op->out, r) + column;
        if (adds(job)) {
            job->p->cpu->kernels->add(sums + r * GROUP, n, out);
        } else {
            memcpy(out, sums + r * GROUP, n * sizeof *out);
        }
    }
}

static void few_groups(void *ctx, uint32_t begin, uint32_t end, uint32_t thread) {
    const integer_job *job = ctx;
    float sums[PD_CPU_FEW_MAX * GROUP], up[PD_CPU_FEW_MAX * GROUP];
    (void)thread;
    uint32_t i = 0, first = 0, column = 0; /* the weight that group `first` begins */
    for (uint32_t g = begin; g < end; g++) {
        while (g - first >= pd_div_up(rows_of(job, i), GROUP)) {
            first += pd_div_up(rows_of(job, i), GROUP);
            column += rows_of(job, i++);
        }
        uint32_t row = (g - first) * GROUP, n = smaller(GROUP, rows_of(job, i) - row);
        few_group(job, i, g - first, sums, GROUP);
        if (is_geglu(job)) {
            few_group(job, 1, g, up, GROUP);
            job->p->cpu->kernels->geglu(sums, up, job->n_rows * GROUP, sums);
        }
        pd_cpu_matmul_finish(job->p->cpu, job->op, i, row, n, job->n_rows, sums, GROUP);
        put(job, sums, n, column + row);
    }
}

/* ---- many rows ------------------------------------------------------------------------------ */

/* Of one group in a panel: units in bytes, scales and minima in floats. */
static size_t units_bytes(uint32_t k_block) {
    return (size_t)(k_block / PD_CPU_BLOCK) * PD_CPU_PANEL_BLOCK_MAX;
}
static size_t scales_floats(uint32_t k_block) {
    return (size_t)(k_block / PD_CPU_BLOCK) * 2 * GROUP;
}

/* The panel that begins with group g of those a thread has. */
static pd_cpu_panel panel_at(const integer_job *job, uint32_t g, uint32_t thread) {
    const uint32_t n_groups = job->integer->panel_rows / GROUP;
    uint8_t *work = pd_cpu_work(job->p, thread);
    float *scales = (float *)(void *)(work + PANEL_GROUPS * units_bytes(job->k_block));
    scales += 2 * g * scales_floats(job->k_block);
    return (pd_cpu_panel){.units = work + g * units_bytes(job->k_block),
                          .d = scales,
                          .m = scales + n_groups * scales_floats(job->k_block)};
}

/* What the panels of a thread take, in floats. */
static size_t panel_floats(uint32_t k_block) {
    return PANEL_GROUPS * (units_bytes(k_block) / 4 + 2 * scales_floats(k_block));
}

/* Blocks from column c on of the n rows from `row` on of weight i. A group that the matrix has not,
 * the second one of its last panel, is the one before it again, and its columns are left out. */
static void fill_panel(const integer_job *job, uint32_t i, uint32_t row, uint32_t n, uint32_t c,
                       pd_cpu_panel *panel) {
    panel->first_block = c / PD_CPU_BLOCK;
    panel->n_blocks = smaller(job->k_block, job->k - c) / PD_CPU_BLOCK;
    for (uint32_t g = 0; g * GROUP < job->integer->panel_rows; g++) {
        uint32_t from = smaller(g, pd_div_up(n, GROUP) - 1);
        job->integer->unpack(job->op->weights[i]->type, group_at(job, i, row / GROUP + from),
                             job->k, panel, g);
    }
}

/* A panel's n columns for a tile of rows; a matrix's last panel may have fewer than others. */
static void many_columns(const integer_job *job, pd_type type, const pd_cpu_panel *panel,
                         uint32_t n, uint32_t row, uint32_t m, float *out, size_t ldo, bool add) {
    const pd_cpu_integer_kernels *integer = job->integer;
    float sums[PD_CPU_MANY_MAX * PD_CPU_PANEL_ROWS_MAX];
    if (n == integer->panel_rows) {
        integer->many(type, panel, &job->p->quants, row, m, out, ldo, add);
        return;
    }
    integer->many(type, panel, &job->p->quants, row, m, sums, PD_CPU_PANEL_ROWS_MAX, false);
    for (uint32_t r = 0; r < m; r++) {
        for (uint32_t c = 0; c < n; c++)
            out[r * ldo + c] = sums[r * PD_CPU_PANEL_ROWS_MAX + c] + (add ? out[r * ldo + c] : 0);
    }
}

/* out[r * ldo + c] for rows [row, row + n) of weight i, and activation rows [r0, r0 + m). */
static void panel_columns(const integer_job *job, uint32_t i, uint32_t row, uint32_t n, uint32_t r0,
                          uint32_t m, uint32_t thread, float *out, size_t ldo) {
    const uint32_t many = job->integer->many_rows, width = job->integer->panel_rows;
    pd_type type = job->op->weights[i]->type;
    pd_cpu_panel panels[PANEL_GROUPS];
    for (uint32_t c = 0; c < job->k; c += job->k_block) {
        for (uint32_t at = 0; at < n; at += width) {
            panels[at / width] = panel_at(job, at / GROUP, thread);
            fill_panel(job, i, row + at, smaller(width, n - at), c, &panels[at / width]);
        }
        for (uint32_t r = 0; r < m; r += many) {
            for (uint32_t at = 0; at < n; at += width) {
                many_columns(job, type, &panels[at / width], smaller(width, n - at), r0 + r,
                             smaller(many, m - r), out + r * ldo + at, ldo, c > 0 || adds(job));
            }
        }
    }
}

static void panel_geglu(const integer_job *job, uint32_t row, uint32_t n, uint32_t r0, uint32_t m,
                        uint32_t thread) {
    float *gate = (float *)pd_cpu_work(job->p, thread) + panel_floats(job->k_block);
    float *up = gate + (size_t)PANEL_COLUMNS * m;
    panel_columns(job, 0, row, n, r0, m, thread, gate, PANEL_COLUMNS);
    panel_columns(job, 1, row, n, r0, m, thread, up, PANEL_COLUMNS);
    for (uint32_t r = 0; r < m; r++) {
        job->p->cpu->kernels->geglu(gate + (size_t)r * PANEL_COLUMNS,
                                    up + (size_t)r * PANEL_COLUMNS, n,
                                    pd_cpu_row(job->p, job->op->out, r0 + r) + row);
    }
}

static void panel_range(void *ctx, uint32_t begin, uint32_t end, uint32_t thread) {
    const integer_job *job = ctx;
    const pd_program *p = job->p;
    for (uint32_t item = begin; item < end; item++) {
        uint32_t t = item / job->n_shares, r0 = item % job->n_shares * job->share_rows;
        if (r0 >= job->n_rows) continue;
        uint32_t m = smaller(job->share_rows, job->n_rows - r0), column;
        uint32_t i = pd_cpu_find_panel(job->op, PANEL_COLUMNS, &t, &column);
        uint32_t row = t * PANEL_COLUMNS, n = smaller(PANEL_COLUMNS, rows_of(job, i) - row);
        if (is_geglu(job)) {
            panel_geglu(job, row, n, r0, m, thread);
        } else {
            float *out = pd_cpu_row(p, job->op->out, r0) + column + row;
            size_t ldo = p->bufs[job->op->out].width;
            panel_columns(job, i, row, n, r0, m, thread, out, ldo);
            pd_cpu_matmul_finish(p->cpu, job->op, i, row, n, m, out, ldo);
        }
    }
}

/* Equal blocks of k of at most MAX_K_BLOCK columns, whole blocks of 256. */
static uint32_t choose_k_block(uint32_t k) {
    uint32_t n_blocks = pd_div_up(k, MAX_K_BLOCK);
    return n_blocks <= 1 ? k : (uint32_t)pd_round_up(pd_div_up(k, n_blocks), 256);
}

static void share_out(integer_job *job) {
    for (uint32_t i = 0; i < n_weights(job); i++)
        job->n_panels += pd_div_up(rows_of(job, i), PANEL_COLUMNS);
    uint32_t wanted = pd_div_up(PANELS_PER_THREAD * job->p->cpu->n_threads, job->n_panels);
    job->n_shares = smaller(wanted, pd_div_up(job->n_rows, MIN_SHARE_ROWS));
    job->share_rows = smaller(pd_div_up(job->n_rows, job->n_shares), MAX_SHARE_ROWS);
    job->n_shares = pd_div_up(job->n_rows, job->share_rows);
}

/* Bytes where the precision allows them and the instructions can do it for all of the weights. */
const pd_cpu_integer_kernels *pd_cpu_choose_integer(const pd_program *p, const pd_op *op) {
    if (!pd_cpu_may_be_coarse(p, op)) return p->cpu->integer;
    for (uint32_t i = 0; i < op->matmul.n_weights; i++) {
        pd_cpu_packing packing;
        bool known = pd_cpu_packing_of(op->matmul.weights[i]->type, &packing);
        if (!known || packing.bits > p->cpu->integer_q8->most_bits) return p->cpu->integer;
    }
    return p->cpu->integer_q8;
}

void pd_cpu_matmul_integer(pd_program *p, const pd_op *op, const uint8_t *const *packed) {
    integer_job job = {.p = p,
                       .op = &op->matmul,
                       .packed = packed,
                       .integer = pd_cpu_choose_integer(p, op),
                       .k = (uint32_t)op->matmul.weights[0]->ne[0],
                       .n_rows = pd_cpu_rows(p, op->matmul.out)};
    p->quants.k = job.k;
    pd_pool_run(p->cpu->pool, job.n_rows, 1, quantize_rows, &job);
    if (job.n_rows <= job.integer->few_rows) {
        uint32_t n_groups = 0;
        for (uint32_t i = 0; i < n_weights(&job); i++)
            n_groups += pd_div_up(rows_of(&job, i), GROUP);
        pd_pool_run(p->cpu->pool, n_groups, 1, few_groups, &job);
        return;
    }
    job.k_block = choose_k_block(job.k);
    share_out(&job);
    pd_pool_run(p->cpu->pool, job.n_panels * job.n_shares, 1, panel_range, &job);
}

uint64_t pd_cpu_matmul_integer_bytes(const pd_op_matmul *op) {
    uint32_t k = (uint32_t)op->weights[0]->ne[0];
    uint64_t floats = panel_floats(choose_k_block(k));
    if (op->epilogue == PD_EPILOGUE_GEGLU) floats += 2ull * PANEL_COLUMNS * MAX_SHARE_ROWS;
    return 4 * floats;
}
