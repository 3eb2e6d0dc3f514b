/* A plan: an ordered list of operations over named buffers. It is what a backend compiles, what
 * `inspect --plan` prints and what `trace` walks.
 *
 * Building: init, add buffers, add operations, finish. finish numbers the rotations, computes
 * lifetimes and places the scratch buffers into one arena so that buffers that are never alive
 * together share memory (place.c). A plan points into the config and weights it was made from and
 * must not outlive them.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_PLAN_PLAN_H
#define PD_PLAN_PLAN_H

#include "base/bytes.h"
#include "base/memory.h"
#include "plan/op.h"
#include "model/vision_weights.h"
#include "model/weights.h"

typedef enum pd_rows_of { PD_ROWS_TOKENS, PD_ROWS_OUTPUTS } pd_rows_of;

typedef enum pd_buf_role {
    PD_BUF_SCRATCH, /* lives from its first writer to its last reader; memory is shared */
    PD_BUF_INPUT,   /* written by the host before a run; memory is its own */
    PD_BUF_OUTPUT   /* read by the host after a run; memory is its own */
} pd_buf_role;

typedef struct pd_buf {
    char name[24];
    pd_rows_of rows_of;
    uint32_t width; /* 4-byte values per row: float, except the words of sample. What products read
                       is a multiple of 32, with zeros behind the values where there are fewer */
    pd_buf_role role;
    uint32_t first_op, last_op; /* set by finish */
    uint64_t bytes, offset;     /* in the scratch arena; set by finish */
} pd_buf;

/* What turns the heads of the operations that rotate; two kinds in Gemma 3. */
enum { PD_MAX_ROTATIONS = 4 };
typedef struct pd_rotation {
    float base, angle_scale;
} pd_rotation;

/* KV geometry a plan's stores and attentions work on. */
typedef struct pd_kv_shape {
    uint32_t n_layers, n_heads, n_kv_heads, head_dim;
    bool f32;                    /* page values: f32, else f16 */
    const bool *layer_is_global; /* [n_layers]: which table and pool a layer uses */
} pd_kv_shape;

/* Bytes of a page outside of any backend: [layers of the kind][K, V][n_kv_heads][64 positions]
 * [head_dim] values as f32 says, little-endian. UINT64_MAX: more than 64 bits tell. */
uint64_t pd_kv_page_bytes(const pd_kv_shape *shape, bool global);

typedef struct pd_plan_desc {
    char name[24];
    uint32_t max_rows, max_outs, max_seqs;
    uint32_t max_positions; /* of one sequence: sizes the page tables */
    pd_precision precision; /* what rounding the activations may get */
    pd_kv_shape kv;         /* all zero: no KV operations */
} pd_plan_desc;

typedef struct pd_plan {
    pd_plan_desc desc;
    pd_buf *bufs;
    pd_op *ops;
    uint32_t n_bufs, n_ops, cap_bufs, cap_ops;
    uint64_t scratch_bytes;
    pd_rotation rotations[PD_MAX_ROTATIONS]; /* the distinct ones; set by finish */
    uint32_t n_rotations;
    bool failed; /* sticky: out of memory while building; finish reports it */
} pd_plan;

void pd_plan_init(pd_plan *p, const pd_plan_desc *desc);
pd_buf_id pd_plan_add_buf(pd_plan *p, const char *name, pd_rows_of rows_of, uint32_t width,
                          pd_buf_role role);
/* Copies *op; layer -1 outside layers. The name is "l%02d.<name>" or "<name>". */
void pd_plan_add_op(pd_plan *p, int32_t layer, const char *name, const pd_op *op);
pd_status pd_plan_finish(pd_plan *p, pd_error *err);
void pd_plan_free(pd_plan *p);

/* Most rows that a buffer can have. */
static inline uint32_t pd_plan_buf_rows(const pd_plan *p, pd_buf_id id) {
    return p->bufs[id].rows_of == PD_ROWS_TOKENS ? p->desc.max_rows : p->desc.max_outs;
}
pd_buf_id pd_plan_find_buf(const pd_plan *p, const char *name); /* PD_BUF_NONE if absent */
void pd_plan_print(const pd_plan *p, pd_bytes *out);            /* one line per operation */

/* ---- the plans ------------------------------------------------------------------------------ */

typedef struct pd_text_plan_desc {
    const char *name;  /* "prefill", "decode" */
    uint32_t max_rows; /* tokens per step */
    uint32_t max_outs; /* rows with logits; equal to max_rows: all of them, in order; 0: none, the
                          plan ends with the final norm of all rows (pd_plan_hidden) */
    uint32_t max_seqs;
    uint32_t max_positions;
    pd_precision precision; /* exact: f32 everywhere, others: f16 KV pages */
    bool keeps_hidden;      /* the head's input rows can be read after a run: pd_plan_hidden */
    bool takes_embeddings;  /* has an input "embeddings" [rows, H]: the embeddings of
                               PD_TOKEN_EMBEDDED's rows */
} pd_text_plan_desc;

/* Gemma 3's forward pass. Outputs: "logits" [outs, n_vocab] and "best" [outs, 4]. */
pd_status pd_plan_text(const pd_config *config, const pd_weights *weights,
                       const pd_text_plan_desc *desc, pd_plan *out, pd_error *err);
/* The head alone, for the final norms that a plan without outputs leaves. Input: "x" [outs, H].
 * Outputs: "logits" and "best" as above, and "log_prob" [outs, 2]: of the token that the output's
 * row names, which is the one that follows in the text, and the logarithm of the sum of all exp. */
pd_status pd_plan_lm_head(const pd_config *config, const pd_weights *weights, uint32_t max_outs,
                          pd_precision precision, pd_plan *out, pd_error *err);
/* SigLIP and Gemma 3's projector, for one image. Rows are patches; row r of the step is token r at
 * position r and sees all of them. Input: "patches" [grid * grid, round_up(3 * patch * patch, 32)],
 * normalised pixels in the order (channel, y, x), zeros behind them. Output: "image" [n_tokens, H].
 * The KV pages hold one layer's K and V at a time. */
pd_status pd_plan_vision(const pd_vision_config *config, const pd_vision_weights *weights,
                         pd_precision precision, pd_plan *out, pd_error *err);

/* [outs, H]: the final norm of the output rows; of a plan without outputs [rows, H]. */
pd_buf_id pd_plan_hidden(const pd_plan *p);

#endif
