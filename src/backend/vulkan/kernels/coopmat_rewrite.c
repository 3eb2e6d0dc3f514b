/* Cooperative matrices from NVIDIA's extension to Khronos': see coopmat_rewrite.h.
 *
 * A module is a header of five words and instructions, whose first word is the number of their
 * words << 16 | opcode. Two passes: `learn` finds the matrix types, what each is used for, and the
 * constants that loads and stores name; `rewrite` writes the new module. The numbers are those of
 * the two extensions' specifications and of SPIR-V 1.3.
 *
 * SPDX-License-Identifier: MIT
 */
#include "backend/vulkan/kernels/coopmat_rewrite.h"

#include <string.h>

#include "base/memory.h"

enum {
    MAGIC = 0x07230203,
    HEADER_WORDS = 5,
    BOUND_AT = 3,
    MAX_BOUND = 0x3fffff, /* SPIR-V's universal limit of ids */
    ROW_MAJOR = 0,        /* memory layouts */
    COLUMN_MAJOR = 1,
    N_CONSTANTS = 3, /* added by `rewrite`, ids from the old bound: 0, 1, 2, layouts and uses */
    NAME_WORDS = 7,  /* of either extension's name, with its NUL and padding */

    OP_EXTENSION = 10,
    OP_CAPABILITY = 17,
    OP_TYPE_INT = 21,
    OP_CONSTANT_TRUE = 41,
    OP_CONSTANT_FALSE = 42,
    OP_CONSTANT = 43,
    OP_CONSTANT_COMPOSITE = 44,
    OP_CONSTANT_NULL = 46,
    OP_SPEC_CONSTANT_COMPOSITE = 51,
    OP_SPEC_CONSTANT_OP = 52,
    OP_LOAD = 61,
    OP_COMPOSITE_CONSTRUCT = 80,

    CAPABILITY_NV = 5357,
    OP_TYPE_NV = 5358,
    OP_LOAD_NV = 5359,
    OP_STORE_NV = 5360,
    OP_MUL_ADD_NV = 5361,
    OP_LENGTH_NV = 5362,

    CAPABILITY_KHR = 6022,
    OP_TYPE_KHR = 4456,
    OP_LOAD_KHR = 4457,
    OP_STORE_KHR = 4458,
    OP_MUL_ADD_KHR = 4459,
    OP_LENGTH_KHR = 4460
};

/* What is known of an id. The uses are KHR's numbers + USE_A. */
typedef enum id_kind { OTHER, IS_TRUE, IS_FALSE, USE_UNKNOWN, USE_A, USE_B, USE_C } id_kind;

static const char nv_name[4 * NAME_WORDS] = "SPV_NV_cooperative_matrix";
static const char khr_name[4 * NAME_WORDS] = "SPV_KHR_cooperative_matrix";

typedef struct module {
    const uint32_t *in;
    size_t n, at;          /* words; the current instruction, for messages */
    uint32_t bound;        /* ids lie below */
    uint32_t uint_type;    /* the 32-bit unsigned integer; 0: not seen */
    uint32_t n_types;      /* of matrices */
    uint8_t *kind;         /* [bound], id_kind */
    uint32_t *matrix_type; /* [bound] type of a value that is a matrix, else 0 */
    uint32_t *out;
    size_t n_out, cap_out;
    pd_error *err;
} module;

static pd_status raise_module(const module *m, const char *what) {
    return PD_RAISE(m->err, PD_ERR_INTERNAL,
                    "a shader's cooperative matrices cannot be rewritten: %s (word %zu of %zu)",
                    what, m->at, m->n);
}

/* ---- reading -------------------------------------------------------------------------------- */

static uint32_t opcode_of(const uint32_t *instruction) {
    return instruction[0] & 0xffff;
}
static uint32_t length_of(const uint32_t *instruction) {
    return instruction[0] >> 16;
}

/* The instruction at m->at, NULL at the end or when it does not lie inside. */
static const uint32_t *current(const module *m) {
    if (m->at >= m->n) return NULL;
    uint32_t length = length_of(&m->in[m->at]);
    return length > 0 && length <= m->n - m->at ? &m->in[m->at] : NULL;
}

/* Words that `learn` and `rewrite` read of an instruction. */
static uint32_t words_needed(uint32_t opcode) {
    switch (opcode) {
    case OP_CAPABILITY: return 2;
    case OP_CONSTANT_TRUE:
    case OP_CONSTANT_FALSE: return 3;
    case OP_CONSTANT_COMPOSITE:
    case OP_CONSTANT_NULL:
    case OP_SPEC_CONSTANT_COMPOSITE:
    case OP_COMPOSITE_CONSTRUCT: return 3;
    case OP_TYPE_INT:
    case OP_LOAD:
    case OP_SPEC_CONSTANT_OP:
    case OP_LENGTH_NV: return 4;
    case OP_STORE_NV: return 5;
    case OP_TYPE_NV:
    case OP_LOAD_NV:
    case OP_MUL_ADD_NV: return 6;
    default: return 1;
    }
}

static bool is_matrix_type(const module *m, uint32_t id) {
    return id < m->bound && m->kind[id] >= USE_UNKNOWN;
}

static bool declare(module *m, uint32_t id, id_kind kind) {
    if (id == 0 || id >= m->bound || m->kind[id] != OTHER) return false;
    m->kind[id] = (uint8_t)kind;
    return true;
}

/* ---- learning ------------------------------------------------------------------------------- */

static pd_status learn_value(module *m, const uint32_t *w) {
    if (!is_matrix_type(m, w[1])) return PD_OK;
    if (w[2] >= m->bound) return raise_module(m, "an id is beyond the bound");
    m->matrix_type[w[2]] = w[1];
    return PD_OK;
}

static pd_status learn_use(module *m, uint32_t type, id_kind use) {
    if (!is_matrix_type(m, type)) return raise_module(m, "an operand's type is not known");
    if (m->kind[type] != USE_UNKNOWN && m->kind[type] != use)
        return raise_module(m, "A, B and C share a type; give each dimensions of its own");
    m->kind[type] = (uint8_t)use;
    return PD_OK;
}

static pd_status learn_product(module *m, const uint32_t *w) {
    for (uint32_t i = 0; i < 3; i++) {
        if (w[3 + i] >= m->bound) return raise_module(m, "an id is beyond the bound");
        PD_TRY(learn_use(m, m->matrix_type[w[3 + i]], (id_kind)(USE_A + i)));
    }
    PD_TRY(learn_use(m, w[1], USE_C));
    return learn_value(m, w);
}

static pd_status learn_one(module *m, const uint32_t *w) {
    bool good = true;
    switch (opcode_of(w)) {
    case OP_TYPE_INT:
        if (w[2] == 32 && w[3] == 0) m->uint_type = w[1];
        break;
    case OP_CONSTANT_TRUE: good = declare(m, w[2], IS_TRUE); break;
    case OP_CONSTANT_FALSE: good = declare(m, w[2], IS_FALSE); break;
    case OP_TYPE_NV:
        good = declare(m, w[1], USE_UNKNOWN);
        m->n_types++;
        break;
    case OP_CONSTANT_COMPOSITE:
    case OP_CONSTANT_NULL:
    case OP_SPEC_CONSTANT_COMPOSITE:
    case OP_COMPOSITE_CONSTRUCT:
    case OP_LOAD:
    case OP_LOAD_NV: return learn_value(m, w);
    case OP_MUL_ADD_NV: return learn_product(m, w);
    default: break;
    }
    return good ? PD_OK : raise_module(m, "an id is beyond the bound, or there twice");
}

static pd_status learn(module *m) {
    const uint32_t *w;
    for (m->at = HEADER_WORDS; (w = current(m)) != NULL; m->at += length_of(w)) {
        if (length_of(w) < words_needed(opcode_of(w)))
            return raise_module(m, "an instruction is too short");
        PD_TRY(learn_one(m, w));
    }
    if (m->at != m->n) return raise_module(m, "an instruction ends behind the module");
    if (!m->uint_type) return raise_module(m, "it has no 32-bit unsigned integers");
    for (uint32_t id = 0; id < m->bound; id++)
        if (m->kind[id] == USE_UNKNOWN)
            return raise_module(m, "a matrix type takes part in no product");
    return PD_OK;
}

/* ---- writing -------------------------------------------------------------------------------- */

static void put(module *m, uint32_t word) {
    if (m->n_out < m->cap_out) m->out[m->n_out] = word;
    m->n_out++;
}

static void put_words(module *m, const uint32_t *words, size_t n) {
    for (size_t i = 0; i < n; i++) put(m, words[i]);
}

static void put_opcode(module *m, uint32_t length, uint32_t opcode) {
    put(m, length << 16 | opcode);
}

/* Behind the integer type, so that they come before whatever names them. */
static void put_constants(module *m) {
    for (uint32_t value = 0; value < N_CONSTANTS; value++) {
        put_opcode(m, 4, OP_CONSTANT);
        put_words(m, (uint32_t[]){m->uint_type, m->bound + value, value}, 3);
    }
}

/* Load:  result type, result, pointer, stride, column-major, [memory access]
 * Store: pointer, object, stride, column-major, [memory access]
 * become the same with `layout, stride`. */
static pd_status put_access(module *m, const uint32_t *w, uint32_t stride_at, uint32_t opcode) {
    uint32_t flag = w[stride_at + 1];
    if (flag >= m->bound || (m->kind[flag] != IS_TRUE && m->kind[flag] != IS_FALSE))
        return raise_module(m, "whether a matrix is column-major is not a constant");
    put_opcode(m, length_of(w), opcode);
    put_words(m, w + 1, stride_at - 1);
    put(m, m->bound + (m->kind[flag] == IS_TRUE ? COLUMN_MAJOR : ROW_MAJOR));
    put(m, w[stride_at]);
    put_words(m, w + stride_at + 2, length_of(w) - stride_at - 2);
    return PD_OK;
}

static void put_extension(module *m, const uint32_t *w) {
    bool nv = length_of(w) == 1 + NAME_WORDS && memcmp(w + 1, nv_name, sizeof nv_name) == 0;
    uint32_t name[NAME_WORDS];
    memcpy(name, khr_name, sizeof name);
    put(m, w[0]);
    put_words(m, nv ? name : w + 1, length_of(w) - 1);
}

static pd_status put_one(module *m, const uint32_t *w) {
    uint32_t length = length_of(w), opcode = opcode_of(w);
    switch (opcode) {
    case OP_EXTENSION: put_extension(m, w); return PD_OK;
    case OP_LOAD_NV: return put_access(m, w, 4, OP_LOAD_KHR);
    case OP_STORE_NV: return put_access(m, w, 3, OP_STORE_KHR);
    case OP_MUL_ADD_NV: put_opcode(m, length, OP_MUL_ADD_KHR); break;
    case OP_LENGTH_NV: put_opcode(m, length, OP_LENGTH_KHR); break;
    case OP_TYPE_NV: put_opcode(m, length + 1, OP_TYPE_KHR); break;
    default: put(m, w[0]);
    }
    size_t operands_at = m->n_out;
    put_words(m, w + 1, length - 1);
    if (opcode == OP_TYPE_NV) put(m, m->bound + (uint32_t)(m->kind[w[1]] - USE_A));
    if (m->n_out > m->cap_out) return raise_module(m, "it has more integer types than one");
    if (opcode == OP_CAPABILITY && w[1] == CAPABILITY_NV) m->out[operands_at] = CAPABILITY_KHR;
    if (opcode == OP_SPEC_CONSTANT_OP && w[3] == OP_LENGTH_NV)
        m->out[operands_at + 2] = OP_LENGTH_KHR;
    if (opcode == OP_TYPE_INT && w[1] == m->uint_type) put_constants(m);
    return PD_OK;
}

static pd_status rewrite(module *m) {
    const uint32_t *w;
    put_words(m, m->in, HEADER_WORDS);
    m->out[BOUND_AT] = m->bound + N_CONSTANTS;
    for (m->at = HEADER_WORDS; (w = current(m)) != NULL; m->at += length_of(w))
        PD_TRY(put_one(m, w));
    if (m->n_out > m->cap_out) return raise_module(m, "it has more integer types than one");
    return PD_OK;
}

/* ---- the two entry points ------------------------------------------------------------------- */

static bool has_header(const uint32_t *words, size_t n) {
    return n >= HEADER_WORDS && words[0] == MAGIC && words[BOUND_AT] <= MAX_BOUND;
}

bool pd_vk_coopmat_is_nv(const uint32_t *words, size_t n_words) {
    module m = {.in = words, .n = n_words, .at = HEADER_WORDS};
    if (!has_header(words, n_words)) return false;
    for (const uint32_t *w; (w = current(&m)) != NULL; m.at += length_of(w))
        if (opcode_of(w) == OP_CAPABILITY && length_of(w) == 2 && w[1] == CAPABILITY_NV)
            return true;
    return false;
}

pd_status pd_vk_coopmat_rewrite(const uint32_t *words, size_t n_words, uint32_t **out,
                                size_t *n_out, pd_error *err) {
    module m = {.in = words, .n = n_words, .err = err};
    *out = NULL;
    if (!has_header(words, n_words)) return raise_module(&m, "it is no SPIR-V module");
    m.bound = words[BOUND_AT];
    m.kind = pd_alloc(m.bound + 1, sizeof *m.kind);
    m.matrix_type = pd_alloc(m.bound + 1, sizeof *m.matrix_type);
    pd_status status = PD_OK;
    if (m.kind && m.matrix_type) status = learn(&m);
    m.cap_out = n_words + m.n_types + 4 * N_CONSTANTS;
    if (status == PD_OK && m.kind && m.matrix_type) m.out = pd_alloc(m.cap_out, sizeof *m.out);
    if (status == PD_OK && !m.out)
        status = PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory for SPIR-V");
    if (status == PD_OK) status = rewrite(&m);
    pd_free(m.kind);
    pd_free(m.matrix_type);
    if (status == PD_OK)
        *out = m.out;
    else
        pd_free(m.out);
    *n_out = m.n_out;
    return status;
}
