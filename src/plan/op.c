/* Names of operations and which buffers each touches.  SPDX-License-Identifier: MIT */
#include "plan/op.h"

const char *pd_op_kind_name(pd_op_kind kind) {
    static const char *const names[] = {
#define PD_OP_NAME(name, text) text,
        PD_OP_LIST(PD_OP_NAME)
#undef PD_OP_NAME
    };
    return kind < PD_OP_KIND_COUNT ? names[kind] : "unknown";
}

uint32_t pd_op_matmul_width(const pd_op_matmul *m) {
    uint32_t n_weights = m->epilogue == PD_EPILOGUE_GEGLU ? 1 : m->n_weights;
    uint64_t width = 0;
    for (uint32_t i = 0; i < n_weights; i++) width += m->weights[i]->ne[1];
    return (uint32_t)width;
}

static pd_op_access access_of(pd_buf_id read0, pd_buf_id read1, pd_buf_id write0,
                              pd_buf_id write1) {
    return (pd_op_access){.reads = {read0, read1}, .writes = {write0, write1}};
}

pd_op_access pd_op_get_access(const pd_op *op) {
    switch (op->kind) {
    case PD_OP_EMBED:
        return access_of(op->embed.embeddings, PD_BUF_NONE, op->embed.out, PD_BUF_NONE);
    case PD_OP_NORM:
        return access_of(op->norm.x, op->norm.residual, op->norm.out, op->norm.residual);
    case PD_OP_LAYERNORM:
        return access_of(op->layernorm.x, PD_BUF_NONE, op->layernorm.out, PD_BUF_NONE);
    case PD_OP_MATMUL:
        return access_of(op->matmul.x,
                         op->matmul.epilogue == PD_EPILOGUE_BIAS_ADD ? op->matmul.out : PD_BUF_NONE,
                         op->matmul.out, PD_BUF_NONE);
    case PD_OP_QKV_ROPE_STORE: return access_of(op->qkv.qkv, PD_BUF_NONE, op->qkv.out, PD_BUF_NONE);
    case PD_OP_ATTENTION:
        return access_of(op->attention.q, PD_BUF_NONE, op->attention.out, PD_BUF_NONE);
    case PD_OP_GATHER: return access_of(op->gather.x, PD_BUF_NONE, op->gather.out, PD_BUF_NONE);
    case PD_OP_POOL_NORM:
        return access_of(op->pool_norm.x, PD_BUF_NONE, op->pool_norm.out, PD_BUF_NONE);
    case PD_OP_SAMPLE: return access_of(op->sample.x, PD_BUF_NONE, op->sample.out, PD_BUF_NONE);
    case PD_OP_LOG_PROB:
        return access_of(op->log_prob.x, PD_BUF_NONE, op->log_prob.out, PD_BUF_NONE);
    case PD_OP_KIND_COUNT: break;
    }
    return access_of(PD_BUF_NONE, PD_BUF_NONE, PD_BUF_NONE, PD_BUF_NONE);
}
