/* Building, printing and freeing plans.  SPDX-License-Identifier: MIT */
#include "plan/plan.h"

#include <stdio.h>
#include <string.h>

#include "plan/place.h"
#include "plan/step.h"

uint64_t pd_kv_page_bytes(const pd_kv_shape *shape, bool global) {
    uint64_t bytes = 2ull * PD_PAGE_POSITIONS * (shape->f32 ? 4 : 2), n_layers = 0;
    for (uint32_t l = 0; l < shape->n_layers; l++) n_layers += shape->layer_is_global[l] == global;
    bool fits = pd_mul_u64(bytes, shape->n_kv_heads, &bytes) &&
                pd_mul_u64(bytes, shape->head_dim, &bytes) && pd_mul_u64(bytes, n_layers, &bytes);
    return fits ? bytes : UINT64_MAX;
}

void pd_plan_init(pd_plan *p, const pd_plan_desc *desc) {
    *p = (pd_plan){.desc = *desc};
}

/* Doubles an array of n items when it is full; NULL and p->failed when memory ran out. */
static void *grow(pd_plan *p, void *items, uint32_t n, uint32_t *cap, size_t item_bytes) {
    if (n < *cap) return items;
    uint32_t new_cap = *cap ? *cap * 2 : 32;
    void *bigger = pd_alloc(new_cap, item_bytes);
    if (!bigger) {
        p->failed = true;
        return NULL;
    }
    if (n) memcpy(bigger, items, n * item_bytes);
    pd_free(items);
    *cap = new_cap;
    return bigger;
}

pd_buf_id pd_plan_add_buf(pd_plan *p, const char *name, pd_rows_of rows_of, uint32_t width,
                          pd_buf_role role) {
    pd_buf *bufs = grow(p, p->bufs, p->n_bufs, &p->cap_bufs, sizeof *bufs);
    if (!bufs) return PD_BUF_NONE;
    p->bufs = bufs;
    pd_buf *b = &bufs[p->n_bufs];
    *b = (pd_buf){.rows_of = rows_of, .width = width, .role = role};
    snprintf(b->name, sizeof b->name, "%s", name);
    return (pd_buf_id)p->n_bufs++;
}

void pd_plan_add_op(pd_plan *p, int32_t layer, const char *name, const pd_op *op) {
    pd_op *ops = grow(p, p->ops, p->n_ops, &p->cap_ops, sizeof *ops);
    if (!ops) return;
    p->ops = ops;
    pd_op *o = &ops[p->n_ops++];
    *o = *op;
    o->layer = layer;
    if (layer >= 0)
        snprintf(o->name, sizeof o->name, "l%02d.%s", layer, name);
    else
        snprintf(o->name, sizeof o->name, "%s", name);
}

/* Numbers the rotations in the order in which they first occur. */
static pd_status number_rotations(pd_plan *p, pd_error *err) {
    p->n_rotations = 0;
    for (uint32_t i = 0; i < p->n_ops; i++) {
        pd_op_qkv_rope_store *o = &p->ops[i].qkv_rope_store;
        if (p->ops[i].kind != PD_OP_QKV_ROPE_STORE || !o->q_weight) continue;
        pd_rotation r = {o->rope_base, o->angle_scale};
        uint32_t k = 0;
        while (k < p->n_rotations &&
               (p->rotations[k].base != r.base || p->rotations[k].angle_scale != r.angle_scale))
            k++;
        if (k == PD_MAX_ROTATIONS)
            return PD_RAISE(err, PD_ERR_INTERNAL, "plan %s has more than %d kinds of rotation",
                            p->desc.name, PD_MAX_ROTATIONS);
        if (k == p->n_rotations) p->rotations[p->n_rotations++] = r;
        o->rotation = k;
    }
    return PD_OK;
}

pd_status pd_plan_finish(pd_plan *p, pd_error *err) {
    if (p->failed) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for plan %s", p->desc.name);
    PD_TRY(number_rotations(p, err));
    return pd_plan_place(p, err);
}

void pd_plan_free(pd_plan *p) {
    pd_free(p->bufs);
    pd_free(p->ops);
    *p = (pd_plan){0};
}

pd_buf_id pd_plan_find_buf(const pd_plan *p, const char *name) {
    for (uint32_t i = 0; i < p->n_bufs; i++)
        if (!strcmp(p->bufs[i].name, name)) return (pd_buf_id)i;
    return PD_BUF_NONE;
}

static void print_buf(const pd_plan *p, pd_buf_id id, pd_bytes *out) {
    if (id == PD_BUF_NONE) return;
    pd_bytes_printf(out, " %s[%u,%u]", p->bufs[id].name, pd_plan_buf_rows(p, id),
                    p->bufs[id].width);
}

static void print_tensor(const pd_tensor *t, pd_bytes *out) {
    pd_bytes_printf(out, " %s:%s[%llu", t->name, pd_type_name(t->type),
                    (unsigned long long)(t->n_dims > 1 ? t->ne[1] : t->ne[0]));
    if (t->n_dims > 1) pd_bytes_printf(out, ",%llu", (unsigned long long)t->ne[0]);
    pd_bytes_printf(out, "]");
}

static const char *epilogue_text(pd_epilogue e) {
    switch (e) {
    case PD_EPILOGUE_NONE: return "";
    case PD_EPILOGUE_GEGLU: return " geglu";
    case PD_EPILOGUE_BIAS: return " bias";
    case PD_EPILOGUE_BIAS_GELU: return " bias gelu";
    case PD_EPILOGUE_BIAS_ADD: return " bias add";
    }
    return "";
}

/* What an operation has besides buffers and weights. */
static void print_constants(const pd_op *op, pd_bytes *out) {
    const pd_op_qkv_rope_store *store = &op->qkv_rope_store;
    switch (op->kind) {
    case PD_OP_EMBED: pd_bytes_printf(out, " scale=%g", (double)op->embed.scale); break;
    case PD_OP_MATMUL: pd_bytes_printf(out, "%s", epilogue_text(op->matmul.epilogue)); break;
    case PD_OP_POOL_NORM:
        pd_bytes_printf(out, " %ux%u of %ux%u", op->pool_norm.pool, op->pool_norm.pool,
                        op->pool_norm.grid, op->pool_norm.grid);
        break;
    case PD_OP_QKV_ROPE_STORE:
        if (store->q_weight)
            pd_bytes_printf(out, " base=%g angle_scale=%g", (double)store->rope_base,
                            (double)store->angle_scale);
        pd_bytes_printf(out, " q_scale=%g", (double)store->q_scale);
        break;
    case PD_OP_ATTENTION:
        if (op->attention.window)
            pd_bytes_printf(out, " window=%u", op->attention.window);
        else
            pd_bytes_printf(out, " global");
        break;
    default: break;
    }
}

void pd_plan_print(const pd_plan *p, pd_bytes *out) {
    pd_bytes_printf(
        out, "plan %s: %u operations, %u buffers, %.2f MiB of scratch, up to %u rows, %u outputs\n",
        p->desc.name, p->n_ops, p->n_bufs, (double)p->scratch_bytes / 1048576.0, p->desc.max_rows,
        p->desc.max_outs);
    for (uint32_t i = 0; i < p->n_ops; i++) {
        const pd_op *op = &p->ops[i];
        pd_op_access a = pd_op_get_access(op);
        pd_bytes_printf(out, "%4u %-20s %-14s", i, op->name, pd_op_kind_name(op->kind));
        print_buf(p, a.reads[0], out);
        print_buf(p, a.reads[1], out);
        pd_bytes_printf(out, " ->");
        print_buf(p, a.writes[0], out);
        print_buf(p, a.writes[1], out);
        const pd_tensor *weights[PD_OP_MAX_WEIGHTS];
        uint32_t n = pd_op_get_weights(op, false, weights);
        for (uint32_t k = 0; k < n; k++) print_tensor(weights[k], out);
        print_constants(op, out);
        pd_bytes_printf(out, "\n");
    }
}
