/* One pass over a module's types, constants and variables: ids are defined before they are used.
 *
 * A type's value is its size in bytes, a constant's its value, a pointer's the size of what it
 * points to. Constants that depend on others come as OpSpecConstantOp. Numbers are those of the
 * SPIR-V specification, section 3.
 *
 * SPDX-License-Identifier: MIT
 */
#include "backend/vulkan/kernels/shared_memory.h"

#include "base/memory.h"

enum { HEADER_WORDS = 5, DECORATION_SPEC_ID = 1, STORAGE_WORKGROUP = 4, BOOL_BYTES = 4 };

typedef enum opcode {
    OP_TYPE_BOOL = 20,
    OP_TYPE_INT = 21,
    OP_TYPE_FLOAT = 22,
    OP_TYPE_VECTOR = 23,
    OP_TYPE_ARRAY = 28,
    OP_TYPE_POINTER = 32,
    OP_CONSTANT_TRUE = 41,
    OP_CONSTANT_FALSE = 42,
    OP_CONSTANT = 43,
    OP_SPEC_CONSTANT_TRUE = 48,
    OP_SPEC_CONSTANT_FALSE = 49,
    OP_SPEC_CONSTANT = 50,
    OP_SPEC_CONSTANT_OP = 52,
    OP_FUNCTION = 54,
    OP_VARIABLE = 59,
    OP_DECORATE = 71
} opcode;

typedef struct value {
    bool known;
    uint64_t is;
} value;

typedef struct reader {
    value *values;     /* [bound] by id */
    uint32_t *spec_id; /* [bound] 1 + the constant's id; 0: none */
    uint32_t bound;
    const pd_vk_pipeline_desc *desc;
    bool understood;
    uint64_t shared;
} reader;

static value get(const reader *r, uint32_t id) {
    return id < r->bound ? r->values[id] : (value){0};
}

static void set(reader *r, uint32_t id, value v) {
    if (id < r->bound) r->values[id] = v;
}

/* The opcodes of OpSpecConstantOp that glslang makes of what the shaders say; 32 bits each. */
static value fold(uint32_t op, uint32_t a, uint32_t b) {
    switch (op) {
    case 124: return (value){true, a};                     /* Bitcast */
    case 128: return (value){true, a + b};                 /* IAdd */
    case 130: return (value){true, a - b};                 /* ISub */
    case 132: return (value){true, a * b};                 /* IMul */
    case 134: return (value){b != 0, b ? a / b : 0};       /* UDiv */
    case 137: return (value){b != 0, b ? a % b : 0};       /* UMod */
    case 164: return (value){true, a == b};                /* LogicalEqual */
    case 165: return (value){true, a != b};                /* LogicalNotEqual */
    case 166: return (value){true, a || b};                /* LogicalOr */
    case 167: return (value){true, a && b};                /* LogicalAnd */
    case 168: return (value){true, !a};                    /* LogicalNot */
    case 170: return (value){true, a == b};                /* IEqual */
    case 171: return (value){true, a != b};                /* INotEqual */
    case 172: return (value){true, a > b};                 /* UGreaterThan */
    case 174: return (value){true, a >= b};                /* UGreaterThanEqual */
    case 176: return (value){true, a < b};                 /* ULessThan */
    case 178: return (value){true, a <= b};                /* ULessThanEqual */
    case 194: return (value){b < 32, b < 32 ? a >> b : 0}; /* ShiftRightLogical */
    case 196: return (value){b < 32, b < 32 ? a << b : 0}; /* ShiftLeftLogical */
    case 197: return (value){true, a | b};                 /* BitwiseOr */
    case 199: return (value){true, a & b};                 /* BitwiseAnd */
    default: return (value){0};
    }
}

/* w: result type, result, opcode, operands. */
static value fold_spec_constant(const reader *r, const uint32_t *w, uint32_t n) {
    enum { SELECT = 169 };
    if (n < 4) return (value){0};
    value a = get(r, w[3]), b = n > 4 ? get(r, w[4]) : (value){true, 0};
    if (w[2] == SELECT) return n > 5 && a.known ? get(r, a.is ? w[4] : w[5]) : (value){0};
    if (!a.known || !b.known) return (value){0};
    return fold(w[2], (uint32_t)a.is, (uint32_t)b.is);
}

/* What the pipeline gives the constant, else its default. */
static value specialised(const reader *r, uint32_t id, uint64_t standard) {
    uint32_t n = id < r->bound ? r->spec_id[id] : 0;
    bool given = n > 0 && n <= r->desc->n_constants;
    return (value){true, given ? r->desc->constants[n - 1] : standard};
}

static value times(value a, uint64_t n) {
    return (value){a.known, a.is * n};
}

static void add_variable(reader *r, value size) {
    if (!size.known) r->understood = false;
    r->shared += (size.is + 15) / 16 * 16;
}

/* w[0] is the instruction's second word; there are n from it on. */
static void read_instruction(reader *r, uint32_t op, const uint32_t *w, uint32_t n) {
    if (n == 0) return;
    switch (op) {
    case OP_DECORATE:
        if (n == 3 && w[1] == DECORATION_SPEC_ID && w[0] < r->bound) r->spec_id[w[0]] = w[2] + 1;
        break;
    case OP_TYPE_BOOL: set(r, w[0], (value){true, BOOL_BYTES}); break;
    case OP_TYPE_INT:
    case OP_TYPE_FLOAT:
        if (n > 1) set(r, w[0], (value){true, w[1] / 8});
        break;
    case OP_TYPE_VECTOR: /* three take the room of four */
        if (n > 2) set(r, w[0], times(get(r, w[1]), w[2] == 3 ? 4 : w[2]));
        break;
    case OP_TYPE_ARRAY:
        if (n > 2 && get(r, w[2]).known) set(r, w[0], times(get(r, w[1]), get(r, w[2]).is));
        break;
    case OP_TYPE_POINTER:
        if (n > 2) set(r, w[0], get(r, w[2]));
        break;
    case OP_CONSTANT_TRUE:
    case OP_CONSTANT_FALSE:
        if (n > 1) set(r, w[1], (value){true, op == OP_CONSTANT_TRUE});
        break;
    case OP_CONSTANT:
        if (n > 2) set(r, w[1], (value){true, w[2]});
        break;
    case OP_SPEC_CONSTANT_TRUE:
    case OP_SPEC_CONSTANT_FALSE:
        if (n > 1) set(r, w[1], specialised(r, w[1], op == OP_SPEC_CONSTANT_TRUE));
        break;
    case OP_SPEC_CONSTANT:
        if (n > 2) set(r, w[1], specialised(r, w[1], w[2]));
        break;
    case OP_SPEC_CONSTANT_OP:
        if (n > 1) set(r, w[1], fold_spec_constant(r, w, n));
        break;
    case OP_VARIABLE:
        if (n > 2 && w[2] == STORAGE_WORKGROUP) add_variable(r, get(r, w[0]));
        break;
    default: break;
    }
}

static void read_module(reader *r, const uint32_t *words, size_t n_words) {
    for (size_t at = HEADER_WORDS; at < n_words;) {
        uint32_t op = words[at] & 0xffff, n = words[at] >> 16;
        if (n == 0 || n > n_words - at) {
            r->understood = false;
            return;
        }
        if (op == OP_FUNCTION) return; /* variables of the module come before */
        read_instruction(r, op, words + at + 1, n - 1);
        at += n;
    }
}

bool pd_vk_shared_bytes(const uint32_t *words, size_t n_words, const pd_vk_pipeline_desc *desc,
                        uint64_t *bytes) {
    enum { MOST_IDS = 1 << 20 };
    *bytes = 0;
    if (n_words < HEADER_WORDS || words[3] > MOST_IDS) return false;
    reader r = {.bound = words[3], .desc = desc, .understood = true};
    r.values = pd_alloc(r.bound, sizeof *r.values);
    r.spec_id = pd_alloc(r.bound, sizeof *r.spec_id);
    bool read = r.values && r.spec_id;
    if (read) read_module(&r, words, n_words);
    pd_free(r.values);
    pd_free(r.spec_id);
    if (!read || !r.understood) return false;
    *bytes = r.shared;
    return true;
}
