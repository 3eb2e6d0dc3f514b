/* Names of operations, and which buffers and weights each touches.  SPDX-License-Identifier: MIT */
#include "plan/op.h"

#include <stddef.h>

const char *pd_op_kind_name(pd_op_kind kind) {
    static const char *const names[] = {
#define PD_OP_NAME(NAME, name) #name,
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

/* ---- fields --------------------------------------------------------------------------------- */

enum { ROLE_READ, ROLE_WRITE, ROLE_WEIGHT, ROLE_VECTOR };

static const struct field {
    uint8_t kind, role;
    uint16_t offset;
} fields[] = {
#define PD_FIELD_READ(NAME, field)   {PD_OP_##NAME, ROLE_READ, offsetof(pd_op, field)},
#define PD_FIELD_WRITE(NAME, field)  {PD_OP_##NAME, ROLE_WRITE, offsetof(pd_op, field)},
#define PD_FIELD_WEIGHT(NAME, field) {PD_OP_##NAME, ROLE_WEIGHT, offsetof(pd_op, field)},
#define PD_FIELD_VECTOR(NAME, field) {PD_OP_##NAME, ROLE_VECTOR, offsetof(pd_op, field)},
    PD_OP_FIELDS(PD_FIELD_READ, PD_FIELD_WRITE, PD_FIELD_WEIGHT, PD_FIELD_VECTOR)};
enum { N_FIELDS = sizeof fields / sizeof *fields };

static const void *value_at(const pd_op *op, const struct field *f) {
    return (const char *)op + f->offset;
}

pd_op_access pd_op_get_access(const pd_op *op) {
    pd_op_access a = {{PD_BUF_NONE, PD_BUF_NONE}, {PD_BUF_NONE, PD_BUF_NONE}};
    uint32_t n_reads = 0, n_writes = 0;
    for (const struct field *f = fields; f < fields + N_FIELDS; f++) {
        if (f->kind != op->kind) continue;
        if (f->role == ROLE_READ) a.reads[n_reads++] = *(const pd_buf_id *)value_at(op, f);
        if (f->role == ROLE_WRITE) a.writes[n_writes++] = *(const pd_buf_id *)value_at(op, f);
    }
    bool adds = op->kind == PD_OP_MATMUL && op->matmul.epilogue == PD_EPILOGUE_BIAS_ADD;
    if (adds) a.reads[1] = op->matmul.out;
    return a;
}

uint32_t pd_op_get_weights(const pd_op *op, bool with_vectors,
                           const pd_tensor *out[PD_OP_MAX_WEIGHTS]) {
    uint32_t n = 0;
    for (const struct field *f = fields; f < fields + N_FIELDS; f++) {
        bool wanted = f->role == ROLE_WEIGHT || (f->role == ROLE_VECTOR && with_vectors);
        if (f->kind != op->kind || !wanted) continue;
        const pd_tensor *t = *(const pd_tensor *const *)value_at(op, f);
        if (t) out[n++] = t;
    }
    return n;
}
