/* Formats of the rows that matrix products read: see activation.h.  SPDX-License-Identifier: MIT */
#include "backend/vulkan/program/activation.h"

#include <math.h>
#include <string.h>

#include "backend/vulkan/kernels/kernels.h"
#include "backend/vulkan/program/program.h"
#include "file/quant.h"

enum { BLOCK = 32, I16_BYTES = 80 };

/* ---- the host's side ------------------------------------------------------------------------ */

uint32_t pd_vk_block_units(uint32_t format) {
    return format == PD_ACT_F32 ? 8 : format == PD_ACT_F16 ? 4 : 5;
}

/* As store.glsl does it: 32 high bytes, 32 low bytes, {d, d * sum, d * sum, 0}. */
static void encode_i16(const float *x, int8_t *to) {
    const float most = 32639.0f;
    float top = 0, scales[4] = {0};
    bool finite = true; /* else the scale, so all of the block, is infinite */
    for (int i = 0; i < BLOCK; i++) {
        finite = finite && isfinite(x[i]);
        top = fmaxf(top, fabsf(x[i]));
    }
    scales[0] = finite ? top / most : INFINITY;
    for (int i = 0; i < BLOCK; i++) {
        int q = (int)lrintf(finite && top > 0 ? x[i] * (most / top) : 0), high = (q + 128) >> 8;
        to[i] = (int8_t)high;
        to[BLOCK + i] = (int8_t)(q - 256 * high);
        scales[1 + i / 16] += (float)q;
    }
    scales[1] *= scales[0];
    scales[2] *= scales[0];
    memcpy(to + 2 * BLOCK, scales, sizeof scales);
}

static void decode_i16(const int8_t *from, float *x) {
    float scale;
    memcpy(&scale, from + 2 * BLOCK, sizeof scale);
    for (int i = 0; i < BLOCK; i++) x[i] = scale * (float)(256 * from[i] + from[BLOCK + i]);
}

void pd_vk_activation_encode(uint32_t format, const float *values, uint64_t n, void *packed) {
    if (format == PD_ACT_F32) {
        memcpy(packed, values, n * sizeof *values);
    } else if (format == PD_ACT_F16) {
        uint16_t *h = packed;
        for (uint64_t i = 0; i < n; i++) h[i] = pd_f32_to_f16(values[i] / (float)PD_ACT_F16_SCALE);
    } else {
        int8_t *q = packed;
        for (uint64_t b = 0; b < n / BLOCK; b++) encode_i16(values + b * BLOCK, q + b * I16_BYTES);
    }
}

void pd_vk_activation_decode(uint32_t format, const void *packed, uint64_t n, float *values) {
    if (format == PD_ACT_F32) {
        memcpy(values, packed, n * sizeof *values);
    } else if (format == PD_ACT_F16) {
        const uint16_t *h = packed;
        for (uint64_t i = 0; i < n; i++) values[i] = pd_f16_to_f32(h[i]) * (float)PD_ACT_F16_SCALE;
    } else {
        const int8_t *q = packed;
        for (uint64_t b = 0; b < n / BLOCK; b++) decode_i16(q + b * I16_BYTES, values + b * BLOCK);
    }
}

/* ---- which buffers -------------------------------------------------------------------------- */

/* Blocks of outputs must not straddle two slices of their matrix; the tiled kernels make integers
 * of GEGLU's alone. */
static bool may_pack_product(const pd_program *p, const pd_op_matmul *m, uint32_t format) {
    bool geglu = m->epilogue == PD_EPILOGUE_GEGLU;
    bool activates = geglu || (m->epilogue == PD_EPILOGUE_BIAS_GELU && format == PD_ACT_F16);
    if (!activates || m->weights[0]->ne[1] % 4) return false;
    const pd_vk_matrix *w = pd_vk_weights_find(p->backend->weights, m->weights, m->n_weights,
                                               geglu ? PD_VK_INTERLEAVED : PD_VK_STACKED);
    for (uint32_t s = 0; w && s < w->n_slices; s++)
        if (w->slices[s].first_row % (geglu ? 2 * BLOCK : BLOCK)) return false;
    return w != NULL;
}

static bool may_write(const pd_program *p, const pd_op *op, uint32_t format) {
    switch (op->kind) {
    case PD_OP_NORM:
    case PD_OP_LAYERNORM:
    case PD_OP_POOL_NORM:
    case PD_OP_GATHER: return true;
    case PD_OP_ATTENTION: return format == PD_ACT_F16 || p->desc.kv.head_dim % BLOCK == 0;
    case PD_OP_MATMUL: return may_pack_product(p, &op->matmul, format);
    default: return false;
    }
}

/* Every writer can pack it so (the host can), and there is a reader but none that is not a product
 * or a gather. */
static bool may_be_packed(const pd_program *p, pd_buf_id id, uint32_t format) {
    bool is_read = false;
    for (uint32_t i = 0; i < p->n_ops; i++) {
        const pd_op *op = &p->ops[i];
        pd_op_access a = pd_op_get_access(op);
        bool reads = a.reads[0] == id || a.reads[1] == id;
        bool multiplies = op->kind == PD_OP_MATMUL || op->kind == PD_OP_GATHER;
        if (reads && !multiplies) return false;
        is_read |= reads;
        if (a.writes[1] == id || (a.writes[0] == id && !may_write(p, op, format))) return false;
    }
    return is_read && p->bufs[id].width % BLOCK == 0;
}

/* Image encoders are not quantised as a rule, and integers are of no use then. */
static uint32_t choose_format(const pd_program *p) {
    const pd_vk_device *d = p->backend->device;
    uint32_t format = pd_vk_choose_input(d, p->desc.precision, p->desc.max_rows);
    for (uint32_t i = 0; format == PD_ACT_I16 && i < p->n_ops; i++) {
        const pd_op *op = &p->ops[i];
        bool plain = op->kind == PD_OP_MATMUL && pd_epilogue_has_bias(op->matmul.epilogue) &&
                     pd_type_get(op->matmul.weights[0]->type)->block_values == 1;
        if (plain) format = d->caps.fp16 ? PD_ACT_F16 : PD_ACT_F32;
    }
    return format;
}

void pd_vk_choose_formats(pd_program *p) {
    uint32_t format = choose_format(p);
    for (uint32_t i = 0; i < p->n_bufs; i++)
        p->formats[i] = may_be_packed(p, (pd_buf_id)i, format) ? (uint8_t)format : PD_ACT_F32;
    for (uint32_t i = p->n_ops; i-- > 0;) { /* a gather copies: both ends are alike */
        if (p->ops[i].kind != PD_OP_GATHER) continue;
        const pd_op_gather *g = &p->ops[i].gather;
        if (p->formats[g->x] == p->formats[g->out]) continue;
        p->formats[g->x] = p->formats[g->out] = PD_ACT_F32;
    }
}
