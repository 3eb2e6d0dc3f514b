/* `cpu`: the two products of attention on a matrix unit, for tiles of many queries (matrix.h):
 *
 *     scores [queries, 64] = q [queries, hd] K [hd, 64]
 *     out [queries, hd] += weights [queries, 64] V [64, hd]
 *
 * K lies dimension by dimension and V slot by slot (cpu.h), so both are rows over which a product
 * sums. A page is arranged once for all queries of the tile; halves are exact in two parts. All
 * slots of a page are multiplied: those that no query sees have weight 0, and count as zeros in V,
 * for they may hold any bits.
 *
 * SPDX-License-Identifier: MIT
 */
#include "backend/cpu/attention.h"

enum {
    MIN_QUERIES = 16,
    PARTS = 2,
    PAGE_BLOCKS = PD_PAGE_POSITIONS / PD_CPU_BLOCK,
    SPAN_BLOCKS = SPAN_PAGES * PAGE_BLOCKS,
    SHORT_HEAD = 128 /* up to here more queries fit into the cache */
};

bool pd_cpu_attention_takes_matrix(const pd_program *p, uint32_t n_queries) {
    return p->cpu->matrix && p->desc.precision != PD_PRECISION_EXACT && !p->desc.kv.f32 &&
           n_queries >= MIN_QUERIES;
}

uint32_t pd_cpu_attention_matrix_queries(uint32_t hd) {
    return hd <= SHORT_HEAD ? 256 : 128;
}

static size_t tiles_values(uint32_t rows, uint32_t n_blocks) {
    return (size_t)pd_div_up(rows, PD_CPU_TILE_ROWS) * n_blocks * PARTS * PD_CPU_TILE_VALUES;
}
static size_t page_values(uint32_t hd) {
    size_t k = tiles_values(PD_PAGE_POSITIONS, pd_div_up(hd, PD_CPU_BLOCK));
    size_t v = tiles_values(hd, SPAN_BLOCKS);
    return k > v ? k : v;
}

uint64_t pd_cpu_attention_matrix_bytes(uint32_t hd, uint32_t n_queries) {
    size_t q = tiles_values(n_queries, pd_div_up(hd, PD_CPU_BLOCK));
    return sizeof(uint16_t) * (q + tiles_values(n_queries, SPAN_BLOCKS) + page_values(hd)) + 64;
}

/* n_rows rows of k columns to tiles, 16 rows after 16. */
static void arrange(const attention_job *job, const float *x, uint32_t n_rows, uint32_t k,
                    uint16_t *tiles) {
    for (uint32_t r = 0; r < n_rows; r += PD_CPU_TILE_ROWS) {
        uint32_t n = n_rows - r < PD_CPU_TILE_ROWS ? n_rows - r : PD_CPU_TILE_ROWS;
        job->p->cpu->matrix->arrange(x + (size_t)r * k, k, n, k, PARTS, tiles);
        tiles += tiles_values(PD_CPU_TILE_ROWS, pd_div_up(k, PD_CPU_BLOCK));
    }
}

void pd_cpu_attention_matrix_open(const attention_job *job, attention_state *st, uint16_t *memory) {
    uint32_t n_blocks = pd_div_up(job->hd, PD_CPU_BLOCK);
    st->q_tiles = (uint16_t *)pd_round_up((uintptr_t)memory, 64);
    st->weight_tiles = st->q_tiles + tiles_values(st->n_queries, n_blocks);
    st->page_tiles = st->weight_tiles + tiles_values(st->n_queries, SPAN_BLOCKS);
    arrange(job, st->q, st->n_queries, job->hd, st->q_tiles);
}

/* out [n_rows, n_columns] = x w, or +=, rows ldo apart: whole tiles of rows, columns in groups of
 * 16. */
static void multiply(const attention_job *job, const uint16_t *x, uint32_t n_rows,
                     const uint16_t *w, uint32_t n_columns, uint32_t n_blocks, float *out,
                     size_t ldo, bool add) {
    const size_t tiles = tiles_values(PD_CPU_TILE_ROWS, n_blocks);
    pd_cpu_matrix_block b = {
        .n_blocks = n_blocks, .x_parts = PARTS, .w_parts = PARTS, .ldo = ldo, .add = add};
    for (uint32_t r = 0; r < n_rows; r += 2 * PD_CPU_TILE_ROWS, x += 2 * tiles) {
        b.x[0] = x;
        b.x[1] = r + PD_CPU_TILE_ROWS < n_rows ? x + tiles : NULL;
        for (uint32_t c = 0; c < n_columns; c += 2 * PD_CPU_GROUP_ROWS) {
            b.w[0] = w + c / PD_CPU_GROUP_ROWS * tiles;
            b.w[1] = c + PD_CPU_GROUP_ROWS < n_columns ? b.w[0] + tiles : NULL;
            b.out = out + r * ldo + c;
            job->p->cpu->matrix->multiply(&b);
        }
    }
}

/* The scores of all slots. */
static void multiply_keys(const attention_job *job, const attention_state *st,
                          const attention_span *span) {
    const pd_cpu_matrix_kernels *matrix = job->p->cpu->matrix;
    const uint32_t hd = job->hd, n_slots = span->n_pages * PD_PAGE_POSITIONS;
    for (uint32_t i = 0; i < span->n_pages; i++) {
        const uint16_t *k = (const uint16_t *)(const void *)span->k[i];
        matrix->pair_rows(k, PD_PAGE_POSITIONS, hd, 0, hd, PD_PAGE_POSITIONS, st->page_tiles,
                          pd_div_up(hd, PD_CPU_BLOCK));
        multiply(job, st->q_tiles, st->n_queries, st->page_tiles, PD_PAGE_POSITIONS,
                 pd_div_up(hd, PD_CPU_BLOCK), st->scores + i * PD_PAGE_POSITIONS, n_slots, false);
    }
}

static uint32_t in_page(uint32_t slot, uint32_t page) {
    uint32_t first = page * PD_PAGE_POSITIONS, n = slot > first ? slot - first : 0;
    return n < PD_PAGE_POSITIONS ? n : PD_PAGE_POSITIONS;
}

static void multiply_values(const attention_job *job, const attention_state *st,
                            const attention_span *span) {
    const pd_cpu_matrix_kernels *matrix = job->p->cpu->matrix;
    const uint32_t hd = job->hd, n_blocks = span->n_pages * PAGE_BLOCKS;
    for (uint32_t i = 0; i < span->n_pages; i++) {
        const uint16_t *v = (const uint16_t *)(const void *)span->v[i];
        matrix->pair_rows(v, hd, PD_PAGE_POSITIONS, in_page(span->begin, i), in_page(span->end, i),
                          hd, st->page_tiles + i * PAGE_BLOCKS * PARTS * PD_CPU_TILE_VALUES,
                          n_blocks);
    }
    multiply(job, st->weight_tiles, st->n_queries, st->page_tiles, hd, n_blocks, st->o, hd, true);
}

void pd_cpu_attention_matrix_span(const attention_job *job, const attention_state *st,
                                  const attention_span *span) {
    attention_span whole = *span;
    whole.begin = 0;
    whole.end = span->n_pages * PD_PAGE_POSITIONS;
    multiply_keys(job, st, span);
    pd_cpu_soften(job, st, &whole);
    arrange(job, st->scores, st->n_queries, whole.end, st->weight_tiles);
    multiply_values(job, st, span);
}
