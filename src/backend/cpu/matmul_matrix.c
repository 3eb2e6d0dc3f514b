/* `cpu`: many rows times matrices of any stored type on a matrix unit (matrix.h). The activations
 * are arranged in tiles first, once for all weights of the operation.
 *
 * A thread makes tiles of a panel, some groups of 16 weight rows by some blocks of columns, and
 * multiplies them with all rows of its share, 32 of them with two groups at a time. The panel stays
 * in the second-level cache; where rows are short enough so does the share, which then meets all
 * panels before the next share does.
 *
 *                      blocks
 *                   +---------+
 *                   |  panel  | groups * 16 weight rows  -> as many columns of the output
 *                   +---------+
 *   activation rows |  share  |
 *                   +---------+
 *
 * SPDX-License-Identifier: MIT
 */
#include "backend/cpu/cpu.h"

enum {
    GROUP = PD_CPU_GROUP_ROWS,
    MIN_ROWS = 24, /* with fewer, making tiles of weights costs more than it saves */
    STEP_ROWS = 2 * PD_CPU_TILE_ROWS,
    MAX_GROUPS = 8,
    PANEL_TILES = 8 * 40,     /* in two parts 640 KiB */
    SHARE_BYTES = 1200 << 10, /* of a share that stays in the cache beside a panel */
    MIN_SHARE_ROWS = 2 * STEP_ROWS,
    MIN_RESIDENT_ROWS = 8 * STEP_ROWS,
    MAX_GEGLU_ROWS = 16 * STEP_ROWS, /* whose gates and factors a thread keeps */
    ITEMS_PER_THREAD = 4
};

typedef struct matrix_job {
    pd_program *p;
    const pd_op_matmul *op;
    const uint8_t *const *packed;
    const pd_cpu_matrix_kernels *matrix;
    uint32_t k, n_blocks, n_rows, x_parts;
    uint32_t groups;   /* of a panel, of all its weights; of a matrix's last panel fewer */
    uint32_t k_blocks; /* of a panel */
    uint32_t n_panels; /* over all weights */
    uint32_t n_shares, share_rows;
} matrix_job;

/* A thread's own memory. */
typedef struct panel_memory {
    uint16_t *tiles;        /* [groups, k_blocks, parts] */
    float *rows;            /* [GROUP, k_blocks * 32]: stored rows in floats; or scales */
    float *sums;            /* [2, share_rows, columns]: of GEGLU's gates and their factors */
    const pd_tensor *w;     /* what the panel is of */
    uint32_t first, n;      /* its rows */
    uint32_t block, blocks; /* and its columns, in blocks */
    uint32_t parts;
} panel_memory;

static bool has_geglu(const pd_op_matmul *op) {
    return op->epilogue == PD_EPILOGUE_GEGLU;
}
static bool is_geglu(const matrix_job *job) {
    return has_geglu(job->op);
}
static bool adds(const matrix_job *job) {
    return job->op->epilogue == PD_EPILOGUE_BIAS_ADD;
}
static uint32_t smaller(uint32_t a, uint32_t b) {
    return a < b ? a : b;
}
static uint32_t rows_of(const matrix_job *job, uint32_t i) {
    return (uint32_t)job->op->weights[i]->ne[1];
}
static uint32_t n_weights(const matrix_job *job) {
    return is_geglu(job) ? 1 : job->op->n_weights;
}
/* Rows of one weight in a panel: GEGLU has two there, one after the other. */
static uint32_t panel_rows(const matrix_job *job) {
    return job->groups * GROUP / (is_geglu(job) ? 2 : 1);
}

static uint32_t parts_of_x(const pd_program *p, const pd_op *op) {
    return pd_cpu_may_be_coarse(p, op) ? 1 : 2;
}
/* A stored bfloat16 is one part. */
static uint32_t parts_of(const pd_tensor *w, uint32_t x_parts) {
    return w->type == PD_TYPE_BF16 ? 1 : x_parts;
}

/* ---- activations ---------------------------------------------------------------------------- */

static uint16_t *x_tiles(const matrix_job *job, uint32_t row, uint32_t block) {
    size_t tile = ((size_t)(row / PD_CPU_TILE_ROWS) * job->n_blocks + block) * job->x_parts;
    return job->p->x_tiles + tile * PD_CPU_TILE_VALUES;
}

static void arrange_rows(void *ctx, uint32_t begin, uint32_t end, uint32_t thread) {
    const matrix_job *job = ctx;
    (void)thread;
    for (uint32_t t = begin; t < end; t++) {
        uint32_t row = t * PD_CPU_TILE_ROWS;
        job->matrix->arrange(pd_cpu_row(job->p, job->op->x, row), job->p->bufs[job->op->x].width,
                             smaller(PD_CPU_TILE_ROWS, job->n_rows - row), job->k, job->x_parts,
                             x_tiles(job, row, 0));
    }
}

/* ---- panels --------------------------------------------------------------------------------- */

static panel_memory memory_of(const matrix_job *job, uint32_t thread) {
    uint16_t *tiles = pd_cpu_work(job->p, thread);
    size_t values = (size_t)job->groups * job->k_blocks * 2 * PD_CPU_TILE_VALUES;
    float *rows = (float *)(void *)(tiles + values);
    return (panel_memory){
        .tiles = tiles, .rows = rows, .sums = rows + (size_t)GROUP * job->k_blocks * PD_CPU_BLOCK};
}

static uint16_t *group_tiles(const panel_memory *m, uint32_t g) {
    return m->tiles + (size_t)g * m->blocks * m->parts * PD_CPU_TILE_VALUES;
}

/* Stored rows [row, row + n) of the panel's columns, n <= 16. */
static void tiles_of_rows(const matrix_job *job, const panel_memory *m, uint32_t row, uint32_t n,
                          uint16_t *tiles) {
    const pd_type_info *type = pd_type_get(m->w->type);
    uint64_t row_bytes = pd_type_row_bytes(type, job->k);
    uint32_t column = m->block * PD_CPU_BLOCK;
    uint32_t k = smaller(m->blocks * PD_CPU_BLOCK, job->k - column);
    const uint8_t *from = m->w->data + row * row_bytes + pd_type_row_bytes(type, column);
    for (uint32_t r = 0; r < n; r++)
        job->p->cpu->kernels->unpack(m->w->type, from + r * row_bytes, k, m->rows + (size_t)r * k);
    job->matrix->arrange(m->rows, k, n, k, m->parts, tiles);
    job->matrix->transpose(tiles, m->blocks * m->parts);
}

static void fill_panel(const matrix_job *job, const panel_memory *m, const uint8_t *packed,
                       uint16_t *tiles) {
    pd_cpu_packing packing;
    bool is_packed = packed && pd_cpu_packing_of(m->w->type, &packing);
    for (uint32_t r = 0; r < m->n; r += GROUP) {
        uint32_t g = (m->first + r) / GROUP;
        if (is_packed)
            job->matrix->unpack(m->w->type, packed + g * pd_cpu_group_bytes(&packing, job->k),
                                job->k, m->block, m->blocks, m->parts, m->rows, tiles);
        else
            tiles_of_rows(job, m, m->first + r, smaller(GROUP, m->n - r), tiles);
        tiles += (size_t)m->blocks * m->parts * PD_CPU_TILE_VALUES;
    }
}

/* ---- products ------------------------------------------------------------------------------- */

/* Rows and columns that fill no tile: all tiles to memory of their own, and from there what
 * counts. */
static void multiply_edge(const matrix_job *job, pd_cpu_matrix_block b, uint32_t rows,
                          uint32_t columns) {
    float sums[STEP_ROWS * 2 * GROUP], *out = b.out;
    size_t ldo = b.ldo;
    bool add = b.add;
    b.out = sums;
    b.ldo = 2 * GROUP;
    b.add = false;
    job->matrix->multiply(&b);
    for (uint32_t r = 0; r < rows; r++) {
        for (uint32_t c = 0; c < columns; c++)
            out[r * ldo + c] = sums[r * b.ldo + c] + (add ? out[r * ldo + c] : 0);
    }
}

/* The panel times up to 32 activation rows from r on. */
static void multiply_step(const matrix_job *job, const panel_memory *m, uint32_t r, uint32_t rows,
                          float *out, size_t ldo, bool add) {
    pd_cpu_matrix_block b = {.n_blocks = m->blocks,
                             .x_parts = job->x_parts,
                             .w_parts = m->parts,
                             .ldo = ldo,
                             .add = add};
    b.x[0] = x_tiles(job, r, m->block);
    if (rows > PD_CPU_TILE_ROWS) b.x[1] = x_tiles(job, r + PD_CPU_TILE_ROWS, m->block);
    for (uint32_t c = 0; c < m->n; c += 2 * GROUP) {
        uint32_t columns = smaller(2 * GROUP, m->n - c);
        b.w[0] = group_tiles(m, c / GROUP);
        b.w[1] = columns > GROUP ? group_tiles(m, c / GROUP + 1) : NULL;
        b.out = out + c;
        if (rows % PD_CPU_TILE_ROWS || columns % GROUP)
            multiply_edge(job, b, rows, columns);
        else
            job->matrix->multiply(&b);
    }
}

/* out[r * ldo + c] for rows [row, row + n) of weight i, and activation rows [r0, r0 + n_rows). */
static void panel_columns(const matrix_job *job, panel_memory *m, uint32_t i, uint32_t row,
                          uint32_t n, uint32_t r0, uint32_t n_rows, float *out, size_t ldo) {
    m->w = job->op->weights[i];
    m->first = row;
    m->n = n;
    m->parts = parts_of(m->w, job->x_parts);
    for (m->block = 0; m->block < job->n_blocks; m->block += job->k_blocks) {
        m->blocks = smaller(job->k_blocks, job->n_blocks - m->block);
        fill_panel(job, m, job->packed[i], m->tiles);
        for (uint32_t r = 0; r < n_rows; r += STEP_ROWS) {
            multiply_step(job, m, r0 + r, smaller(STEP_ROWS, n_rows - r), out + r * ldo, ldo,
                          m->block > 0 || adds(job));
        }
    }
}

static void panel_geglu(const matrix_job *job, panel_memory *m, uint32_t row, uint32_t n,
                        uint32_t r0, uint32_t n_rows) {
    uint32_t columns = panel_rows(job);
    float *gate = m->sums, *up = gate + (size_t)columns * n_rows;
    panel_columns(job, m, 0, row, n, r0, n_rows, gate, columns);
    panel_columns(job, m, 1, row, n, r0, n_rows, up, columns);
    for (uint32_t r = 0; r < n_rows; r++) {
        job->p->cpu->kernels->geglu(gate + (size_t)r * columns, up + (size_t)r * columns, n,
                                    pd_cpu_row(job->p, job->op->out, r0 + r) + row);
    }
}

static void panel_range(void *ctx, uint32_t begin, uint32_t end, uint32_t thread) {
    const matrix_job *job = ctx;
    const pd_program *p = job->p;
    panel_memory m = memory_of(job, thread);
    pd_cpu_matrix_state before;
    job->matrix->begin(&before);
    for (uint32_t item = begin; item < end; item++) {
        uint32_t t = item % job->n_panels, r0 = item / job->n_panels * job->share_rows;
        uint32_t n_rows = smaller(job->share_rows, job->n_rows - r0), column;
        uint32_t i = pd_cpu_find_panel(job->op, panel_rows(job), &t, &column);
        uint32_t row = t * panel_rows(job), n = smaller(panel_rows(job), rows_of(job, i) - row);
        if (is_geglu(job)) {
            panel_geglu(job, &m, row, n, r0, n_rows);
        } else {
            float *out = pd_cpu_row(p, job->op->out, r0) + column + row;
            size_t ldo = p->bufs[job->op->out].width;
            panel_columns(job, &m, i, row, n, r0, n_rows, out, ldo);
            pd_cpu_matmul_finish(p->cpu, job->op, i, row, n, n_rows, out, ldo);
        }
    }
    job->matrix->end(&before);
}

/* ---- the operation -------------------------------------------------------------------------- */

static uint32_t all_groups(const pd_op_matmul *op) {
    uint32_t n = 0;
    for (uint32_t i = 0; i < op->n_weights; i++)
        n += pd_div_up((uint32_t)op->weights[i]->ne[1], GROUP);
    return n;
}

/* An even number of groups, the largest with which the thread that has most has least. */
static uint32_t choose_groups(uint32_t n_groups, uint32_t n_threads) {
    uint32_t best = 2, least = UINT32_MAX;
    for (uint32_t groups = 2; groups <= MAX_GROUPS; groups += 2) {
        uint32_t of_thread = pd_div_up(pd_div_up(n_groups, groups), n_threads) * groups;
        if (of_thread > least + least / 32) continue;
        best = groups;
        if (of_thread < least) least = of_thread;
    }
    return best;
}

/* Rows of a share: as many as stay in the cache, where these are not too few; else all. */
static uint32_t choose_share_rows(const matrix_job *job) {
    uint64_t row_bytes = 2ull * job->n_blocks * PD_CPU_BLOCK * job->x_parts;
    uint64_t fit = SHARE_BYTES / row_bytes;
    uint32_t most = is_geglu(job) ? MAX_GEGLU_ROWS : UINT32_MAX;
    if (fit >= MIN_RESIDENT_ROWS && fit < most) most = (uint32_t)fit;
    uint32_t n = pd_div_up(job->n_rows, most);
    return (uint32_t)pd_round_up(pd_div_up(job->n_rows, n), STEP_ROWS);
}

static void share_out(matrix_job *job) {
    uint32_t n_threads = job->p->cpu->n_threads;
    job->share_rows = choose_share_rows(job);
    job->groups = choose_groups(all_groups(job->op), n_threads);
    job->k_blocks = smaller(PANEL_TILES / job->groups & ~7u, job->n_blocks); /* of 256 columns */
    for (uint32_t i = 0; i < n_weights(job); i++)
        job->n_panels += pd_div_up(rows_of(job, i), panel_rows(job));
    uint32_t wanted = pd_div_up(ITEMS_PER_THREAD * n_threads, job->n_panels);
    uint32_t most = (uint32_t)pd_round_up(pd_div_up(job->n_rows, wanted), MIN_SHARE_ROWS);
    job->share_rows = smaller(job->share_rows, most);
    job->n_shares = pd_div_up(job->n_rows, job->share_rows);
}

void pd_cpu_matmul_matrix(pd_program *p, const pd_op *op, const uint8_t *const *packed) {
    uint32_t k = (uint32_t)op->matmul.weights[0]->ne[0];
    matrix_job job = {.p = p,
                      .op = &op->matmul,
                      .packed = packed,
                      .matrix = p->cpu->matrix,
                      .k = k,
                      .n_blocks = pd_div_up(k, PD_CPU_BLOCK),
                      .n_rows = pd_cpu_rows(p, op->matmul.out),
                      .x_parts = parts_of_x(p, op)};
    share_out(&job);
    pd_pool_run(p->cpu->pool, pd_div_up(job.n_rows, PD_CPU_TILE_ROWS), 1, arrange_rows, &job);
    pd_pool_run(p->cpu->pool, job.n_panels * job.n_shares, 1, panel_range, &job);
}

bool pd_cpu_takes_matrix(const pd_program *p, const pd_op *op, uint32_t n_rows) {
    return p->cpu->matrix && op->kind == PD_OP_MATMUL && n_rows >= MIN_ROWS &&
           p->desc.precision != PD_PRECISION_EXACT;
}

uint32_t pd_cpu_matrix_passes(const pd_program *p, const pd_op *op) {
    uint32_t x = parts_of_x(p, op);
    return x + parts_of(op->matmul.weights[0], x) - 1;
}

uint64_t pd_cpu_matrix_x_bytes(const pd_op_matmul *op, uint32_t n_rows) {
    uint64_t tiles = (uint64_t)pd_div_up(n_rows, PD_CPU_TILE_ROWS) *
                     pd_div_up((uint32_t)op->weights[0]->ne[0], PD_CPU_BLOCK);
    return tiles * 2 * PD_CPU_TILE_VALUES * sizeof(uint16_t);
}

/* share_out's panels have no more groups than the op, nor blocks, nor tiles than PANEL_TILES. */
uint64_t pd_cpu_matmul_matrix_bytes(const pd_op_matmul *op, uint32_t max_rows) {
    uint32_t n_blocks = pd_div_up((uint32_t)op->weights[0]->ne[0], PD_CPU_BLOCK);
    uint32_t groups = smaller(all_groups(op) + all_groups(op) % 2, MAX_GROUPS);
    uint64_t tiles = smaller(groups * n_blocks, PANEL_TILES);
    uint64_t floats = (uint64_t)GROUP * smaller(n_blocks, PANEL_TILES / 2) * PD_CPU_BLOCK;
    if (has_geglu(op)) {
        uint64_t rows = pd_round_up(smaller(max_rows, MAX_GEGLU_ROWS), STEP_ROWS);
        floats += rows * groups * GROUP;
    }
    return tiles * 2 * PD_CPU_TILE_VALUES * sizeof(uint16_t) + floats * sizeof(float);
}
