/* See setting.h.  SPDX-License-Identifier: MIT */
#include "pack/setting.h"

#include <string.h>

static const char *kind_name(pd_gguf_kind kind) {
    static const char *const names[] = {"u8",   "i8",     "u16",   "i16", "u32", "i32", "f32",
                                        "bool", "string", "array", "u64", "i64", "f64"};
    return (unsigned)kind < sizeof names / sizeof names[0] ? names[kind] : "unknown";
}

#define NUMBER_AS(type)                                                                            \
    {                                                                                              \
        type x;                                                                                    \
        memcpy(&x, v->data, sizeof x);                                                             \
        return (double)x;                                                                          \
    }

static double number_of(const pd_gguf_value *v) {
    switch (v->kind) {
    case PD_GGUF_U8: NUMBER_AS(uint8_t)
    case PD_GGUF_I8: NUMBER_AS(int8_t)
    case PD_GGUF_U16: NUMBER_AS(uint16_t)
    case PD_GGUF_I16: NUMBER_AS(int16_t)
    case PD_GGUF_U32: NUMBER_AS(uint32_t)
    case PD_GGUF_I32: NUMBER_AS(int32_t)
    case PD_GGUF_F32: NUMBER_AS(float)
    case PD_GGUF_BOOL: return v->data[0] != 0;
    case PD_GGUF_U64: NUMBER_AS(uint64_t)
    case PD_GGUF_I64: NUMBER_AS(int64_t)
    case PD_GGUF_F64: NUMBER_AS(double)
    case PD_GGUF_STRING:
    case PD_GGUF_ARRAY: break;
    }
    return 0;
}

static char *copy_text(pd_string s, pd_arena *arena) {
    char *text = pd_arena_alloc(arena, s.n + 1, 1);
    if (text && s.n) memcpy(text, s.data, s.n);
    return text;
}

char *pack_setting_key(const pd_gguf_value *v, pd_arena *arena) {
    return copy_text(v->key, arena);
}

bool pack_setting(const pd_gguf_value *v, pd_arena *arena, pd_setting *out) {
    *out = (pd_setting){.kind = kind_name(v->kind), .n = 1};
    if (v->kind == PD_GGUF_ARRAY) {
        out->item_kind = kind_name(v->item_kind);
        out->n = v->count;
    } else if (v->kind == PD_GGUF_STRING) {
        uint64_t cursor = 0;
        pd_gguf_value one = *v;
        one.count = 1;
        pd_string s = pd_gguf_string_next(&one, &cursor);
        out->n = s.n;
        out->text = copy_text(s, arena);
        return out->text != NULL;
    } else {
        out->number = number_of(v);
    }
    return true;
}
