/* What the files of `cpu`'s attention share: attention.c walks over tiles of queries and pages of
 * keys and values, attention_matrix.c has the products of a page on a matrix unit.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_CPU_ATTENTION_H
#define PD_CPU_ATTENTION_H

#include "backend/cpu/cpu.h"

typedef struct attention_job {
    const pd_program *p;
    const pd_op_attention *op;
    uint32_t layer, group;
    uint32_t head_dim;
    uint32_t hd; /* the same with its padding: what is computed with */
    uint32_t n_splits;
} attention_job;

/* A tile's queries and their running softmax, in a thread's work memory. */
typedef struct attention_state {
    const pd_step_row *rows;
    uint32_t n_queries; /* rows of the tile * group; query i belongs to row i / group */
    float *q, *o;       /* [n_queries, hd] */
    float *scores;      /* [n_queries, 64 * pages] of one span */
    float *m, *l;       /* [n_queries] */
    float *wide;        /* [ROWS, hd or 64]: of a page */
    /* Where a matrix unit multiplies (else NULL): tiles of queries and of weights, and of K of a
     * page or V of a span. The arrays above then have room for whole tiles. */
    uint16_t *q_tiles, *weight_tiles, *page_tiles;
} attention_state;

/* Pages of consecutive positions, up to SPAN_PAGES, and their slots [begin, end) that some query
 * sees. */
enum { SPAN_PAGES = 4 };
typedef struct attention_span {
    const uint8_t *k[SPAN_PAGES], *v[SPAN_PAGES];
    uint32_t n_pages;
    uint32_t base, begin, end; /* base: the position of the first slot */
} attention_span;

/* Scores of the span's slots to weights; zeros where a query sees nothing. */
void pd_cpu_soften(const attention_job *job, const attention_state *st, const attention_span *span);

enum { PD_CPU_ATTENTION_PASSES = 3 }; /* products of values in two parts */
/* Whether a matrix unit takes tiles of that many queries. */
bool pd_cpu_attention_takes_matrix(const pd_program *p, uint32_t n_queries);
/* The most queries of a tile that it takes, and the memory of the state's tiles. */
uint32_t pd_cpu_attention_matrix_queries(uint32_t hd);
uint64_t pd_cpu_attention_matrix_bytes(uint32_t hd, uint32_t n_queries);
/* Places the tiles at `memory`, and fills those of the queries. */
void pd_cpu_attention_matrix_open(const attention_job *job, attention_state *st, uint16_t *memory);
void pd_cpu_attention_matrix_span(const attention_job *job, const attention_state *st,
                                  const attention_span *span);

#endif
