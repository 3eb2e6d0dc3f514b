/* The closed list of operations that plans are made of.
 *
 * An operation is what a fast GPU wants to do in one go; every backend implements the same list,
 * `cpu-ref` in double precision as the definition. Rows are the tokens of a step (or its outputs);
 * what changes from step to step - which token, position and sequence a row has - is in pd_step
 * (engine/step.h), never here.
 *
 *   embed            out[r] = table[token(r)] * scale
 *   norm             out[r] = rms(x[r]) * weight                              (residual absent)
 *                    h = residual[r] + rms(x[r]) * post_weight; residual[r] = h;
 *                    out[r] = rms(h) * weight                                 (residual present)
 *   matmul           out[r] = concat over i of (weights[i] x[r])              (EPILOGUE_NONE)
 *                    out[r] = gelu(weights[0] x[r]) * (weights[1] x[r])       (EPILOGUE_GEGLU)
 *   qkv_rope_store   per head of qkv[r]: q = rope(rms(q) * q_norm) * scale, to out[r];
 *                    k = rope(rms(k) * k_norm) and v as they are, to the row's KV page of `layer`
 *   attention        out[r] = softmax(q[r] . K) V over the visible positions of the row's sequence
 *   gather           out[o] = x[out_rows[o]]
 *   draw             out[o] = {id of the highest value, its bits, how many are not finite, drawn
 * id} of x[o]; drawn as the step says (engine/draw.h), else the highest; ids that are never text
 * are left out
 *
 * rms(x) = x / sqrt(mean(x^2) + eps). gelu: the tanh form. rope: the rotate-half pairing of element
 * j with j + head_dim/2, angle = position * base^(-2j/head_dim) * angle_scale.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_ENGINE_OP_H
#define PD_ENGINE_OP_H

#include "file/gguf.h"

typedef uint16_t pd_buf_id; /* index into pd_plan.bufs */
enum { PD_BUF_NONE = 0xffff };

#define PD_OP_LIST(X)                                                                              \
    X(EMBED, "embed")                                                                              \
    X(NORM, "norm")                                                                                \
    X(MATMUL, "matmul")                                                                            \
    X(QKV_ROPE_STORE, "qkv_rope_store")                                                            \
    X(ATTENTION, "attention")                                                                      \
    X(GATHER, "gather")                                                                            \
    X(DRAW, "draw")

typedef enum pd_op_kind {
#define PD_OP_ENUM(name, text) PD_OP_##name,
    PD_OP_LIST(PD_OP_ENUM)
#undef PD_OP_ENUM
        PD_OP_KIND_COUNT
} pd_op_kind;

typedef enum pd_epilogue { PD_EPILOGUE_NONE, PD_EPILOGUE_GEGLU } pd_epilogue;

enum { PD_MATMUL_MAX_WEIGHTS = 3 };

typedef struct pd_op_embed {
    const pd_tensor *table; /* [n_vocab, width] */
    pd_buf_id out;          /* [rows, width] */
    float scale;
} pd_op_embed;

typedef struct pd_op_norm {
    pd_buf_id x;                  /* [rows, width] */
    pd_buf_id residual;           /* [rows, width], read and written; or PD_BUF_NONE */
    pd_buf_id out;                /* [rows, width] */
    const pd_tensor *post_weight; /* [width]; with residual only */
    const pd_tensor *weight;      /* [width] */
    float eps;
} pd_op_norm;

typedef struct pd_op_matmul {
    pd_buf_id x, out; /* [rows, K] -> [rows, N] */
    uint32_t n_weights;
    const pd_tensor *weights[PD_MATMUL_MAX_WEIGHTS]; /* each [N_i, K]; any stored type each */
    pd_epilogue epilogue;                            /* GEGLU: exactly two of equal shape */
} pd_op_matmul;

typedef struct pd_op_qkv_rope_store {
    pd_buf_id qkv;                        /* [rows, (n_heads + 2 n_kv_heads) * head_dim] */
    pd_buf_id out;                        /* [rows, n_heads * head_dim] */
    const pd_tensor *q_weight, *k_weight; /* [head_dim] */
    float eps, rope_base, angle_scale;
    float q_scale; /* attention scale, multiplied into q */
} pd_op_qkv_rope_store;

typedef struct pd_op_attention {
    pd_buf_id q, out; /* [rows, n_heads * head_dim] both; query head h reads KV head h / group */
    uint32_t window;  /* keys visible to a row, itself included; 0: all before it */
} pd_op_attention;

typedef struct pd_op_gather {
    pd_buf_id x, out; /* [rows, width] -> [outs, width] */
} pd_op_gather;

typedef struct pd_op_draw {
    pd_buf_id x;   /* [outs, n_vocab] */
    pd_buf_id out; /* [outs, 4] u32: best id, its value's bits, non-finite values, drawn id */
} pd_op_draw;

typedef struct pd_op {
    pd_op_kind kind;
    int32_t layer; /* -1: outside the layers. Names the KV pages of store and attention */
    char name[32]; /* "l03.attention": in profiles, traces and errors */
    union {
        pd_op_embed embed;
        pd_op_norm norm;
        pd_op_matmul matmul;
        pd_op_qkv_rope_store qkv;
        pd_op_attention attention;
        pd_op_gather gather;
        pd_op_draw draw;
    };
} pd_op;

const char *pd_op_kind_name(pd_op_kind kind);

/* The buffers an operation reads and writes (PD_BUF_NONE where there are fewer). A buffer that is
 * updated in place is in both lists. */
typedef struct pd_op_access {
    pd_buf_id reads[2], writes[2];
} pd_op_access;
pd_op_access pd_op_get_access(const pd_op *op);

#endif
