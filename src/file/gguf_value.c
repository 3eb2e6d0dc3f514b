/* A key's value as a number.  SPDX-License-Identifier: MIT */
#include <string.h>

#include "file/gguf_parse.h"

static double signed_of(uint64_t bits, unsigned n_bytes) {
    unsigned shift = 64 - 8 * n_bytes;
    return (double)((int64_t)(bits << shift) >> shift);
}

bool gguf_value_number(const pd_gguf_value *v, double *out) {
    uint64_t bits = 0;
    float f;
    if (v->n_bytes > 8 || v->kind == PD_GGUF_STRING || v->kind == PD_GGUF_ARRAY) return false;
    for (uint64_t i = 0; i < v->n_bytes; i++) bits |= (uint64_t)v->data[i] << (8 * i);
    uint32_t low = (uint32_t)bits;
    switch (v->kind) {
    case PD_GGUF_I8: *out = signed_of(bits, 1); return true;
    case PD_GGUF_I16: *out = signed_of(bits, 2); return true;
    case PD_GGUF_I32: *out = signed_of(bits, 4); return true;
    case PD_GGUF_I64: *out = signed_of(bits, 8); return true;
    case PD_GGUF_F32:
        memcpy(&f, &low, sizeof f);
        *out = (double)f;
        return true;
    case PD_GGUF_F64: memcpy(out, &bits, sizeof *out); return true;
    default: *out = (double)bits; return true; /* the unsigned kinds and bool */
    }
}
