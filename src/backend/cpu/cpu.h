/* What the files of the CPU backends share: the backend, its KV pages, a compiled plan.
 *
 *   cpu.c        the device: opening, choosing its instructions
 *   weights.c, packed.c               loading weights, packing those that integer kernels multiply
 *   memory.c     accounting
 *   kv_store.c, kv_pages.c            KV pages: their memory; to and from what all backends share
 *   program.c    compiling and running plans
 *   ref.c, ref_attention.c            `cpu-ref`: every operation in double, plainly
 *   fast.c, matmul*.c, attention.c    `cpu`: the same operations over kernels.h, integer.h and
 *                                     matrix.h, and threads
 *   measure.c    how fast the processor copies and multiplies
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_CPU_CPU_H
#define PD_CPU_CPU_H

#include <math.h>
#include <string.h>

#include "backend/backend.h"
#include "backend/cpu/integer.h"
#include "backend/cpu/kernels.h"
#include "backend/cpu/matrix.h"
#include "base/thread.h"

typedef struct pd_cpu_weight {
    const void *data; /* the tensor's, which names it */
    bool is_packed;
    uint8_t *packed; /* its groups, in the block of its load; NULL when it is not packed, or only
                        counted */
} pd_cpu_weight;

/* Memory for all that one load packs. */
typedef struct pd_cpu_block {
    struct pd_cpu_block *next;
    uint8_t *memory;
} pd_cpu_block;

typedef struct pd_cpu {
    pd_backend base;
    bool reference;
    bool counts_only; /* pd_backend_desc */
    bool is_recount;  /* made of another by recount, whose threads it has */
    pd_device_info info;
    pd_pool *pool;
    uint32_t n_threads;
    const pd_cpu_kernels *kernels;
    /* For activations in 16 and in 8 bits; both NULL: everything is multiplied in floats. */
    const pd_cpu_integer_kernels *integer, *integer_q8;
    const pd_cpu_matrix_kernels *matrix; /* NULL: there is none, or none to be used */
    pd_backend_stats stats;
    pd_cpu_weight *weights; /* loaded so far, sorted by data */
    uint32_t n_weights;
    pd_cpu_block *blocks;
} pd_cpu;

uint64_t pd_cpu_held_bytes(const pd_cpu *cpu);
/* Would `bytes` more of what be allowed? Else says how much is missing. */
pd_status pd_cpu_check(const pd_cpu *cpu, const char *what, uint64_t bytes, pd_error *err);
/* Checks, and counts them in one of stats' three fields. */
pd_status pd_cpu_reserve(pd_cpu *cpu, const char *what, uint64_t *field, uint64_t bytes,
                         pd_error *err);

/* ---- weights -------------------------------------------------------------------------------- */

pd_status pd_cpu_load(pd_backend *b, const pd_plan *plan, pd_progress_fn progress, void *ctx,
                      pd_error *err);
void pd_cpu_free_weights(pd_cpu *cpu);
/* The matmul op's weights are packed, and the precision allows integers. */
bool pd_cpu_takes_integers(const pd_cpu *cpu, const pd_op *op, pd_precision precision);
const uint8_t *pd_cpu_packed(const pd_cpu *cpu, const pd_tensor *t); /* its groups, or NULL */

/* ---- KV pages ------------------------------------------------------------------------------- */

typedef struct pd_cpu_kv_layer {
    uint32_t n_pages; /* that there is memory for: the store's, or more after a failed growth */
    void *memory;     /* first the K pages, then the V pages */
} pd_cpu_kv_layer;

/* V: [page, kv_head, slot, stride], and K as well in `cpu-ref`; in `cpu` K lies dimension by
 * dimension, [page, kv_head, stride, slot]. */
struct pd_kv_store {
    pd_kv_shape shape; /* layer_is_global points to the copy below */
    bool *layer_is_global;
    uint32_t n_pages[2];     /* local, global */
    pd_cpu_kv_layer *layers; /* [n_layers] */
    uint8_t **k, **v;        /* [n_layers] into their memory */
    uint32_t value_bytes;    /* 4 or 2 */
    uint32_t stride;         /* pd_cpu_head_stride(head_dim): zeros behind a head's values */
    uint64_t head_bytes;     /* of one KV head in a page */
};

/* Heads are padded to whole vectors of the widest kind. */
static inline uint32_t pd_cpu_head_stride(uint32_t head_dim) {
    return (uint32_t)pd_round_up(head_dim, 16);
}

/* Slots 0..63 of one KV head in a page. */
static inline uint8_t *pd_cpu_page(const pd_kv_store *kv, uint8_t *const *pages, uint32_t layer,
                                   uint32_t page, uint32_t head) {
    uint64_t index = (uint64_t)page * kv->shape.n_kv_heads + head;
    return pages[layer] + index * kv->head_bytes;
}

pd_status pd_cpu_kv_create(pd_backend *b, const pd_kv_store_desc *desc, pd_kv_store **out,
                           pd_error *err);
void pd_cpu_kv_destroy(pd_backend *b, pd_kv_store *kv);
pd_status pd_cpu_kv_grow(pd_backend *b, pd_kv_store *kv, uint32_t n_global_pages,
                         uint32_t n_local_pages, pd_error *err);
pd_status pd_cpu_kv_read(pd_backend *b, pd_kv_store *kv, bool global, uint32_t page, void *dst,
                         pd_error *err);
pd_status pd_cpu_kv_write(pd_backend *b, pd_kv_store *kv, bool global, uint32_t page,
                          const void *src, pd_error *err);

/* ---- programs ------------------------------------------------------------------------------- */

/* cos and sin of a step's rows for one kind of rotation, [rows, head_dim / 2]. */
typedef struct pd_cpu_rope {
    pd_rotation rotation;
    float *cosines, *sines;
} pd_cpu_rope;

/* Consecutive rows of one sequence, which attention handles together. */
typedef struct pd_cpu_tile {
    uint32_t first, n;
} pd_cpu_tile;

struct pd_program {
    pd_cpu *cpu;
    pd_kv_store *kv;
    pd_plan_desc desc; /* of kv, layer_is_global is not kept */
    pd_op *ops;
    pd_buf *bufs;
    uint32_t n_ops, n_bufs;
    uint8_t *scratch; /* the plan's arena */
    uint8_t *work;    /* [n_threads, work_bytes]: each thread's own memory during an operation */
    uint64_t work_bytes;
    uint64_t held_bytes; /* counted as scratch */
    const pd_step *step; /* during a run */

    /* of the fast backend */
    pd_cpu_rope ropes[PD_MAX_ROTATIONS];
    uint32_t n_ropes;
    pd_cpu_tile *tiles; /* [max_rows] */
    uint32_t n_tiles;
    float *partials;      /* attention over pieces of the past; see attention.c */
    pd_cpu_quants quants; /* the activations of the product that is computed, in integers */
    uint16_t *x_tiles;    /* or in tiles, in the same memory */
    const uint8_t *(*packed)[PD_MATMUL_MAX_WEIGHTS]; /* [n_ops]; NULL: multiplied in floats */
};

static inline void *pd_cpu_buf(const pd_program *p, pd_buf_id id) {
    return p->scratch + p->bufs[id].offset;
}
static inline float *pd_cpu_row(const pd_program *p, pd_buf_id id, uint32_t row) {
    return (float *)pd_cpu_buf(p, id) + (uint64_t)row * p->bufs[id].width;
}
static inline uint32_t pd_cpu_rows(const pd_program *p, pd_buf_id id) {
    return p->bufs[id].rows_of == PD_ROWS_TOKENS ? p->step->n_rows : p->step->n_outs;
}
/* The most that it has in any step. */
static inline uint32_t pd_cpu_max_rows(const pd_program *p, pd_buf_id id) {
    return p->bufs[id].rows_of == PD_ROWS_TOKENS ? p->desc.max_rows : p->desc.max_outs;
}
/* Behind the first n values of a row there are zeros. */
static inline void pd_cpu_clear_tail(const pd_program *p, pd_buf_id id, uint32_t row, uint32_t n) {
    uint32_t width = p->bufs[id].width;
    if (n < width) memset(pd_cpu_row(p, id, row) + n, 0, (width - n) * sizeof(float));
}
static inline void *pd_cpu_work(const pd_program *p, uint32_t thread) {
    return p->work + thread * p->work_bytes;
}

static inline const uint32_t *pd_cpu_table(const pd_program *p, uint32_t layer, uint32_t seq) {
    const pd_page_table *t = &p->step->tables[seq];
    return p->kv->layer_is_global[layer] ? t->global_pages : t->local_pages;
}

/* The token drawn for an output with logits x [n]. The best of them all is the best of a mask. */
static inline uint32_t pd_cpu_sample(const pd_program *p, uint32_t out, const float *x, uint32_t n,
                                     uint32_t best) {
    const pd_sample_params *d = p->step->sampling ? &p->step->sampling[out] : NULL;
    if (!d || (d->k <= 1 && pd_sample_may(best, n) && pd_sample_is_in(d->mask, best))) return best;
    return pd_sample_token(d, x, n);
}

pd_status pd_cpu_compile(pd_backend *b, const pd_plan *plan, pd_kv_store *kv, pd_program **out,
                         pd_error *err);
void pd_cpu_destroy(pd_backend *b, pd_program *p);
pd_status pd_cpu_run(pd_program *p, const pd_step *step, pd_error *err);
pd_status pd_cpu_write(pd_program *p, pd_buf_id buf, uint64_t offset, uint64_t n, const void *src,
                       pd_error *err);
pd_status pd_cpu_read(pd_program *p, pd_buf_id buf, uint64_t offset, uint64_t n, void *dst,
                      pd_error *err);
pd_status pd_cpu_trace(pd_program *p, const pd_step *step, pd_op_range range, pd_trace_fn fn,
                       void *ctx, pd_error *err);
void pd_cpu_count_step(const pd_program *p, pd_step_counts *out);

/* measure.c */
pd_status pd_cpu_measure(pd_backend *b, pd_device_speed *out, pd_error *err);

/* ---- operations ----------------------------------------------------------------------------- */

/* Nothing in an operation can fail: all memory was taken when the plan was compiled. */
#define PD_CPU_PROTOTYPES(NAME, name)                                                              \
    void pd_cpu_ref_##name(pd_program *p, const pd_op *op);                                        \
    void pd_cpu_fast_##name(pd_program *p, const pd_op *op);
PD_OP_LIST(PD_CPU_PROTOTYPES)
#undef PD_CPU_PROTOTYPES

/* Work memory per thread that the operations of a program need. */
uint64_t pd_cpu_ref_work_bytes(const pd_program *p);
uint64_t pd_cpu_fast_work_bytes(const pd_program *p);

/* A matmul is one of floats, of integers or of a matrix unit; all finish with bias and activation
 * of columns [first, first + n) of weight i, in m rows of results. */
void pd_cpu_matmul_float(pd_program *p, const pd_op_matmul *op);
void pd_cpu_matmul_integer(pd_program *p, const pd_op *op, const uint8_t *const *packed);
void pd_cpu_matmul_matrix(pd_program *p, const pd_op *op, const uint8_t *const *packed);
/* Whether a matrix unit multiplies that many rows; and what they take there, in tiles. */
bool pd_cpu_takes_matrix(const pd_program *p, const pd_op *op, uint32_t n_rows);
uint32_t pd_cpu_matrix_passes(const pd_program *p, const pd_op *op); /* products in place of one */
uint64_t pd_cpu_matrix_x_bytes(const pd_op_matmul *op, uint32_t n_rows);
/* The precision is q8, and not only in name: activations of the op may be in 8 bits. */
bool pd_cpu_may_be_coarse(const pd_program *p, const pd_op *op);
/* What multiplies the packed weights of an op. */
const pd_cpu_integer_kernels *pd_cpu_choose_integer(const pd_program *p, const pd_op *op);
void pd_cpu_matmul_finish(const pd_cpu *cpu, const pd_op_matmul *op, uint32_t i, uint32_t first,
                          uint32_t n, uint32_t m, float *out, size_t ldo);
/* The number of the weight that a panel of `rows` weight rows belongs to, counted through all of an
 * op's: *panel becomes its number there, *column the weight's first column of the output. With
 * GEGLU a panel is of both weights. */
uint32_t pd_cpu_find_panel(const pd_op_matmul *op, uint32_t rows, uint32_t *panel,
                           uint32_t *column);
uint64_t pd_cpu_matmul_float_bytes(const pd_program *p, const pd_op_matmul *op);
uint64_t pd_cpu_matmul_integer_bytes(const pd_op_matmul *op);
uint64_t pd_cpu_matmul_matrix_bytes(const pd_op_matmul *op, uint32_t max_rows);
uint64_t pd_cpu_matmul_work_bytes(const pd_program *p, const pd_op *op);
uint64_t pd_cpu_attention_work_bytes(const pd_program *p);
uint64_t pd_cpu_attention_partial_bytes(const pd_program *p);
uint32_t pd_cpu_attention_passes(const pd_program *p); /* as above, in this step; 0: in floats */
void pd_cpu_attention_prepare(pd_program *p);          /* tiles of a step */
void pd_cpu_rope_prepare(pd_program *p);               /* rotation tables of a step */

#endif
