/* The closed list of operations that plans are made of.
 *
 * An operation is what a fast GPU wants to do in one go; every backend implements the same list,
 * `cpu-ref` in double precision as the definition. Rows are the tokens of a step (or its outputs);
 * what changes from step to step - which token, position and sequence a row has - is in pd_step
 * (plan/step.h), never here.
 *
 *   embed            out[r] = table[token(r)] * scale;
 *                    embeddings[r] where the token is PD_TOKEN_EMBEDDED
 *   norm             without residual:  out[r] = rms(x[r]) * weight
 *                    with residual:     h = residual[r] + rms(x[r]) * post_weight;
 *                                       residual[r] = h;  out[r] = rms(h) * weight
 *   layernorm        out[r] = (x[r] - mean(x[r])) / sqrt(var(x[r]) + eps) * weight + bias
 *   matmul           by its epilogue, with W = weights, b = biases:
 *      NONE            out[r] = concat over i of (W[i] x[r])
 *      GEGLU           out[r] = gelu(W[0] x[r]) * (W[1] x[r])
 *      BIAS            out[r] = concat over i of (W[i] x[r] + b[i])
 *      BIAS_GELU       out[r] = gelu(W[0] x[r] + b[0])
 *      BIAS_ADD        out[r] += W[0] x[r] + b[0]
 *   qkv_rope_store   per head of qkv[r]: q = rope(rms(q) * q_norm) * scale, to out[r];
 *                    k = rope(rms(k) * k_norm) and v as they are, to the row's KV page of kv_layer;
 *                    without norm weights: q * scale, k and v as they are
 *   attention        out[r] = softmax(q[r] . K) V over the visible positions of the row's sequence
 *   gather           out[o] = x[out_rows[o]]
 *   pool_norm        out[o] = rms(mean of x[r] over the o-th square of the grid of rows) * weight
 *   sample           out[o] = the highest value of x[o], how many are not finite, and the drawn id
 *                    (plan/sample.h, pd_sample_result), of a mask if there is one; ids that are
 *                    never text are left out
 *   log_prob         out[o] = ln softmax(x[o]) at the token of row out_rows[o], over all ids, and
 *                    ln sum exp(x[o]), from which others' follow
 *
 * Buffers that products read may be wider than the values in them (plan.h): an operation that
 * writes one sets what is left of each row to zero.
 *
 * rms(x) = x / sqrt(mean(x^2) + eps). var: of the population. gelu: the tanh form. rope: the
 * rotate-half pairing of element j with j + head_dim/2, angle = position * base^(-2j/head_dim) *
 * angle_scale.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_PLAN_OP_H
#define PD_PLAN_OP_H

#include "file/gguf.h"

typedef uint16_t pd_buf_id; /* index into pd_plan.bufs */
enum { PD_BUF_NONE = 0xffff };

/* Every operation's name, as PD_OP_<NAME> and in lower case: its struct is pd_op_<name>, pd_op has
 * it as <name>, and backends have a function <prefix>_<name> each. Whatever there is one of per
 * operation is made from this list. */
#define PD_OP_LIST(X)                                                                              \
    X(EMBED, embed)                                                                                \
    X(NORM, norm)                                                                                  \
    X(LAYERNORM, layernorm)                                                                        \
    X(MATMUL, matmul)                                                                              \
    X(QKV_ROPE_STORE, qkv_rope_store)                                                              \
    X(ATTENTION, attention)                                                                        \
    X(GATHER, gather)                                                                              \
    X(POOL_NORM, pool_norm)                                                                        \
    X(SAMPLE, sample)                                                                              \
    X(LOG_PROB, log_prob)

/* What of pd_op's members each operation reads, writes and is stored with: buffers (the first that
 * it writes is its result), and weights. A VECTOR is a weight that printed plans leave out. */
#define PD_OP_FIELDS(READ, WRITE, WEIGHT, VECTOR)                                                  \
    READ(EMBED, embed.embeddings)                                                                  \
    WRITE(EMBED, embed.out)                                                                        \
    WEIGHT(EMBED, embed.table)                                                                     \
    READ(NORM, norm.x)                                                                             \
    READ(NORM, norm.residual)                                                                      \
    WRITE(NORM, norm.out)                                                                          \
    WRITE(NORM, norm.residual)                                                                     \
    WEIGHT(NORM, norm.post_weight)                                                                 \
    WEIGHT(NORM, norm.weight)                                                                      \
    READ(LAYERNORM, layernorm.x)                                                                   \
    WRITE(LAYERNORM, layernorm.out)                                                                \
    WEIGHT(LAYERNORM, layernorm.weight)                                                            \
    WEIGHT(LAYERNORM, layernorm.bias)                                                              \
    READ(MATMUL, matmul.x) /* and out, where the epilogue adds to it */                            \
    WRITE(MATMUL, matmul.out)                                                                      \
    WEIGHT(MATMUL, matmul.weights[0])                                                              \
    WEIGHT(MATMUL, matmul.weights[1])                                                              \
    WEIGHT(MATMUL, matmul.weights[2])                                                              \
    VECTOR(MATMUL, matmul.biases[0])                                                               \
    VECTOR(MATMUL, matmul.biases[1])                                                               \
    VECTOR(MATMUL, matmul.biases[2])                                                               \
    READ(QKV_ROPE_STORE, qkv_rope_store.qkv)                                                       \
    WRITE(QKV_ROPE_STORE, qkv_rope_store.out)                                                      \
    VECTOR(QKV_ROPE_STORE, qkv_rope_store.q_weight)                                                \
    VECTOR(QKV_ROPE_STORE, qkv_rope_store.k_weight)                                                \
    READ(ATTENTION, attention.q)                                                                   \
    WRITE(ATTENTION, attention.out)                                                                \
    READ(GATHER, gather.x)                                                                         \
    WRITE(GATHER, gather.out)                                                                      \
    READ(POOL_NORM, pool_norm.x)                                                                   \
    WRITE(POOL_NORM, pool_norm.out)                                                                \
    WEIGHT(POOL_NORM, pool_norm.weight)                                                            \
    READ(SAMPLE, sample.x)                                                                         \
    WRITE(SAMPLE, sample.out)                                                                      \
    READ(LOG_PROB, log_prob.x)                                                                     \
    WRITE(LOG_PROB, log_prob.out)

enum { PD_OP_MAX_READS = 2, PD_OP_MAX_WRITES = 2, PD_OP_MAX_WEIGHTS = 6 };

typedef enum pd_op_kind {
#define PD_OP_ENUM(NAME, name) PD_OP_##NAME,
    PD_OP_LIST(PD_OP_ENUM)
#undef PD_OP_ENUM
        PD_OP_KIND_COUNT
} pd_op_kind;

/* The shaders' numbers, PD_VK_EPILOGUE_* of args.h; theirs of BEST is no epilogue of a plan. */
typedef enum pd_epilogue {
    PD_EPILOGUE_NONE = 0,
    PD_EPILOGUE_GEGLU = 1,
    PD_EPILOGUE_BIAS = 3,
    PD_EPILOGUE_BIAS_GELU = 4,
    PD_EPILOGUE_BIAS_ADD = 5
} pd_epilogue;

static inline bool pd_epilogue_has_bias(pd_epilogue e) {
    return e == PD_EPILOGUE_BIAS || e == PD_EPILOGUE_BIAS_GELU || e == PD_EPILOGUE_BIAS_ADD;
}

enum { PD_MATMUL_MAX_WEIGHTS = 3 };

typedef struct pd_op_embed {
    const pd_tensor *table; /* [n_vocab, width] */
    pd_buf_id embeddings;   /* [rows, width], written by the host; or PD_BUF_NONE */
    pd_buf_id out;          /* [rows, width] */
    float scale;
} pd_op_embed;

typedef struct pd_op_norm {
    pd_buf_id x;                  /* [rows, width] */
    pd_buf_id residual;           /* [rows, width], read and written; or PD_BUF_NONE */
    pd_buf_id out;                /* [rows, width] */
    const pd_tensor *post_weight; /* [width]; NULL without residual */
    const pd_tensor *weight;      /* [width] */
    float eps;
} pd_op_norm;

typedef struct pd_op_layernorm {
    pd_buf_id x, out;        /* [rows, width] both */
    const pd_tensor *weight; /* [width] */
    const pd_tensor *bias;   /* [width] */
    float eps;
} pd_op_layernorm;

typedef struct pd_op_matmul {
    pd_buf_id x, out; /* [rows, K] -> [rows, N] */
    uint32_t n_weights;
    const pd_tensor *weights[PD_MATMUL_MAX_WEIGHTS]; /* each [N_i, K]; any stored type each */
    const pd_tensor *biases[PD_MATMUL_MAX_WEIGHTS];  /* each [N_i] f32; NULL where not added */
    pd_epilogue epilogue; /* GEGLU: exactly two weights of equal shape; BIAS_GELU, BIAS_ADD: one */
} pd_op_matmul;

typedef struct pd_op_qkv_rope_store {
    pd_buf_id qkv;                        /* [rows, (n_heads + 2 n_kv_heads) * head_dim] */
    pd_buf_id out;                        /* [rows, n_heads * head_dim] */
    const pd_tensor *q_weight, *k_weight; /* [head_dim]; both NULL: neither norm nor rotation */
    float eps, rope_base, angle_scale;
    float q_scale;     /* attention scale, multiplied into q */
    uint32_t kv_layer; /* whose pages are written */
    uint32_t rotation; /* its (rope_base, angle_scale) in pd_plan.rotations; set by finish */
} pd_op_qkv_rope_store;

typedef struct pd_op_attention {
    pd_buf_id q, out;  /* [rows, n_heads * head_dim] both; query head h reads KV head h / group */
    uint32_t window;   /* keys visible to a row, itself included; 0: all before it */
    uint32_t kv_layer; /* whose pages are read */
} pd_op_attention;

typedef struct pd_op_gather {
    pd_buf_id x, out; /* [rows, width] -> [outs, width] */
} pd_op_gather;

typedef struct pd_op_pool_norm {
    pd_buf_id x;             /* [grid * grid rows, width], row by row of the grid */
    pd_buf_id out;           /* [(grid / pool)^2 outs, width] */
    uint32_t grid, pool;     /* squares of pool x pool rows are averaged */
    const pd_tensor *weight; /* [width] */
    float eps;
} pd_op_pool_norm;

typedef struct pd_op_sample {
    pd_buf_id x;   /* [outs, n_vocab] */
    pd_buf_id out; /* [outs, 4] u32: a pd_sample_result each */
} pd_op_sample;

typedef struct pd_op_log_prob {
    pd_buf_id x;   /* [outs, n_vocab] */
    pd_buf_id out; /* [outs, 1] */
} pd_op_log_prob;

typedef struct pd_op {
    pd_op_kind kind;
    int32_t layer; /* -1: outside the layers */
    char name[32]; /* "l03.attention": in profiles, traces and errors */
    union {
#define PD_OP_MEMBER(NAME, name) pd_op_##name name;
        PD_OP_LIST(PD_OP_MEMBER)
#undef PD_OP_MEMBER
    };
} pd_op;

const char *pd_op_kind_name(pd_op_kind kind);
uint32_t pd_op_matmul_width(const pd_op_matmul *m); /* N: values per row of the result */

/* The buffers an operation reads and writes (PD_BUF_NONE where there are fewer). A buffer that is
 * updated in place is in both lists. */
typedef struct pd_op_access {
    pd_buf_id reads[PD_OP_MAX_READS], writes[PD_OP_MAX_WRITES];
} pd_op_access;
pd_op_access pd_op_get_access(const pd_op *op);

/* The weights that an operation has, in the order of PD_OP_FIELDS; returns how many. */
uint32_t pd_op_get_weights(const pd_op *op, bool with_vectors,
                           const pd_tensor *out[PD_OP_MAX_WEIGHTS]);

#endif
