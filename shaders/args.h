/* Push constants of every shader, and the layout of the step buffer: included by C and by GLSL.
 *
 * All offsets named *_at are in 32-bit words of the step buffer, which holds what changes from step
 * to step (plan/step.h):
 *
 *     word 0   row count, output count, tile count, 0 ...
 *     16       dispatch table: {x, y, z, 0} per entry, read by indirect dispatches
 *     1088     state     what steps that run ahead change, PD_STATE_*; sample.comp writes this and
 *                        the first row
 *     1104     rows      [max_rows][4]   token, pos, seq, end
 *     ...      tiles     [max_rows][2]   first row, number of rows: rows of one sequence that one
 *                                        attention workgroup handles together
 *     ...      outputs   [max_outs]      row indices
 *     ...      sampling  [max_outs][9]   how each output's token is drawn, PD_SAMPLE_*
 *     ...      tables    [max_seqs][global, local][max_pages] page ids
 *     ...      masks     [max_outs][n]   a bit per token: whether it may be drawn; written for the
 *                                        outputs whose sampling says so
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_ARGS_H
#define PD_ARGS_H

#ifdef VULKAN /* GLSL */
#define PD_U32 uint
#define PD_F32 float
#else
#include <stdint.h>
#define PD_U32 uint32_t
#define PD_F32 float
#endif

#include "interface.h"
#include "weight_types.h" /* PD_WEIGHT_* */

#define PD_STEP_DISPATCHES     16
#define PD_STEP_MAX_DISPATCHES 256
#define PD_STEP_STATE          1088 /* behind the dispatches; 256 bytes is any binding's alignment */
#define PD_STEP_ROWS           1104

/* Steps that run ahead of the host: the last dispatch of each makes the next one's row, so that the
 * same commands can be submitted again and again. */
#define PD_STATE_GO         0 /* 0: the steps that are queued still are not wanted */
#define PD_STATE_RUNS_AHEAD 1 /* 0: a single step, which leaves its row alone */
#define PD_STATE_N_STEPS    2 /* finished while GO was set: entries of the ring */
#define PD_STATE_N_RUN      3 /* finished at all */
#define PD_STATE_STOPS      4 /* two tokens that clear GO when they are drawn */
#define PD_RING_STEPS       16

/* PD_PAGE_POSITIONS and PD_TOKEN_EMBEDDED of plan/step.h, which takes them from here. */
#define PD_SHADER_PAGE           64 /* positions of a KV page */
#define PD_SHADER_TOKEN_EMBEDDED 0xffffffffu

/* Formats of the rows that matrix products read, specialisation constants XTYPE (read) and YTYPE
 * (written); see activations.glsl. */
#define PD_ACT_F32       0
#define PD_ACT_F16       1
#define PD_ACT_I16       2
#define PD_ACT_F16_SCALE 16.0 /* a stored half is value / 16: Gemma's activations pass 65504 */

/* What a product does with its sums before they are stored, specialisation constant EPILOGUE; see
 * epilogue.glsl. Plans number theirs alike (plan/op.h). */
#define PD_VK_EPILOGUE_NONE      0
#define PD_VK_EPILOGUE_GEGLU     1
#define PD_VK_EPILOGUE_BEST      2 /* matvec: also its workgroup's best value, for sample */
#define PD_VK_EPILOGUE_BIAS      3
#define PD_VK_EPILOGUE_BIAS_GELU 4
#define PD_VK_EPILOGUE_BIAS_ADD  5

/* embed: out[r] = table[token(r)] * scale, for tokens in this slice of the table; embeddings[r] for
 * rows without a token */
struct pd_args_embed {
    PD_U32 n_blocks;    /* of 32 values, per row */
    PD_U32 slice_first; /* token of the slice's row 0 */
    PD_U32 slice_rows;
    PD_U32 copies; /* not 0: this dispatch copies rows of embeddings */
    PD_F32 scale;
};

/* norm: RMS norm of rows of width4 * 4 values */
struct pd_args_norm {
    PD_U32 width4;
    PD_F32 inv_width;
    PD_F32 eps;
};

/* layernorm: rows of values4 * 4 values, with zeros behind them up to stride4 * 4 */
struct pd_args_layernorm {
    PD_U32 values4, stride4;
    PD_F32 inv_width;
    PD_F32 eps;
};

/* pool_norm: out[o] = RMS norm of the mean of the o-th square of pool x pool rows of a grid */
struct pd_args_pool_norm {
    PD_U32 values4, stride4;
    PD_U32 grid, pool;
    PD_F32 inv_width, inv_count;
    PD_F32 eps;
};

/* matvec, matmul: out[r][out_first + n] = w[n] . x[r] */
struct pd_args_matmul {
    PD_U32 n_weight_rows;
    PD_U32 n_zeros;    /* columns behind the last weight row's that are set to 0 */
    PD_U32 n_blocks;   /* K / 32 */
    PD_U32 n_rows;     /* most rows of x: what lies behind is never touched */
    PD_U32 out_stride; /* values per output row */
    PD_U32 out_first;
    PD_U32 first_tile; /* of weight rows: where this dispatch begins; matmul only */
};

/* qkv_rope_store: heads first..: n_q query heads, then n_kv key heads and n_kv value heads */
struct pd_args_rope {
    PD_U32 n_heads, n_kv_heads; /* of the model */
    PD_U32 n_q;                 /* query heads handled by this dispatch: all or none */
    PD_U32 kv_first, n_kv;      /* KV heads of this slice of the page pool */
    PD_U32 table_at, table_stride;
    PD_U32 rope_first; /* entry of the rotation table: 0 or head_dim / 2 */
    PD_F32 eps, q_scale;
};

struct pd_args_attention {
    PD_U32 n_heads, group; /* query heads, and query heads per KV head */
    PD_U32 kv_first, n_kv; /* KV heads of this slice of the page pool */
    PD_U32 tiles_at;
    PD_U32 table_at, table_stride;
    PD_U32 window;        /* 0: none */
    PD_U32 n_splits;      /* of the positions; above 1 they meet in `partial` */
    PD_U32 n_head_groups; /* workgroups per KV head */
    PD_U32 first_tile;    /* where this dispatch begins */
    PD_U32 out_stride4;   /* of a row of the result; zeros behind its heads */
};

struct pd_args_merge {
    PD_U32 n_heads, n_splits;
    PD_U32 out_stride4;
};

struct pd_args_gather {
    PD_U32 units; /* of 16 bytes per row */
    PD_U32 outs_at;
};

struct pd_args_log_prob {
    PD_U32 n_values; /* per row */
    PD_U32 outs_at;
};

/* sample, sample_parts. A part of a row is so many values as a workgroup of the product that makes
 * the row has outputs, a power of two. It is known by {key, bad << 16 | at}: the key (sampling.h)
 * of its best allowed value, 0 where it has none; how many of its values are not finite; where the
 * best one is. */
struct pd_args_sample {
    PD_U32 n_values; /* per row */
    PD_U32 n_parts;  /* per row */
    PD_U32 sampling_at;
};

/* repack: rows of stored blocks to planes */
struct pd_args_repack {
    PD_U32 n_items; /* invocations with work */
    PD_U32 items_per_row;
    PD_U32 n_blocks;  /* of the type, per row */
    PD_U32 first_row; /* plane row of the first stored row */
    PD_U32 row_step;  /* 2 where rows of two matrices are interleaved */
};

/* measure_*: what a device can do (measure_peak.glsl) */
struct pd_args_measure {
    PD_U32 n; /* 16-byte pieces to copy, or rounds */
    PD_F32 factor;
};

#endif
