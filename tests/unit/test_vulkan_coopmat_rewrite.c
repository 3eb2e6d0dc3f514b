/* Cooperative matrices from NVIDIA's extension to Khronos': a module made by hand, word by word;
 * modules that are not as expected, and every truncation and many changes of a good one, which must
 * not be read past their end; and a strict walk through what
 * becomes of the kernel, since Debian 12's spirv-val does not know SPV_KHR_cooperative_matrix.
 *
 * SPDX-License-Identifier: MIT
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backend/vulkan/kernels/coopmat_rewrite.h"
#include "backend/vulkan/kernels/pipeline.h"
#include "base/env.h"
#include "base/memory.h"

/* ---- a module by hand ----------------------------------------------------------------------- */

#define I(opcode, n_words) ((uint32_t)(n_words) << 16 | (opcode))
/* clang-format off */
enum {
    UINT = 1, BOOL, FLOAT, HALF, TRUE_ID, FALSE_ID, SCOPE, ROWS, COLUMNS, INNER, TYPE_A, TYPE_B,
    TYPE_C, LENGTH, ZERO, POINTER, A, B, C, BOUND
};

static const uint32_t nv[] = {
    0x07230203, 0x00010300, 7, BOUND, 0,
    I(17, 2), 1, I(17, 2), 5357,
    I(10, 8), 0x5f565053, 0x635f564e, 0x65706f6f, 0x69746172, 0x6d5f6576, 0x69727461, 0x78,
    I(21, 4), UINT, 32, 0,
    I(20, 2), BOOL, I(22, 3), FLOAT, 32, I(22, 3), HALF, 16,
    I(41, 3), BOOL, TRUE_ID, I(42, 3), BOOL, FALSE_ID,
    I(43, 4), UINT, SCOPE, 3,
    I(5358, 6), TYPE_A, HALF, SCOPE, ROWS, INNER,
    I(5358, 6), TYPE_B, HALF, SCOPE, INNER, COLUMNS,
    I(5358, 6), TYPE_C, FLOAT, SCOPE, ROWS, COLUMNS,
    I(52, 5), UINT, LENGTH, 5362, TYPE_C,
    I(46, 3), TYPE_C, ZERO,
    I(5359, 6), TYPE_A, A, POINTER, SCOPE, FALSE_ID,
    I(5359, 8), TYPE_B, B, POINTER, SCOPE, TRUE_ID, 2, SCOPE, /* with memory access */
    I(5361, 6), TYPE_C, C, A, B, ZERO,
    I(5360, 5), POINTER, C, SCOPE, TRUE_ID,
    I(5362, 4), UINT, 0, TYPE_C,
};

static const uint32_t khr[] = {
    0x07230203, 0x00010300, 7, BOUND + 3, 0,
    I(17, 2), 1, I(17, 2), 6022,
    I(10, 8), 0x5f565053, 0x5f52484b, 0x706f6f63, 0x74617265, 0x5f657669, 0x7274616d, 0x7869,
    I(21, 4), UINT, 32, 0,
    I(43, 4), UINT, BOUND, 0, I(43, 4), UINT, BOUND + 1, 1, I(43, 4), UINT, BOUND + 2, 2,
    I(20, 2), BOOL, I(22, 3), FLOAT, 32, I(22, 3), HALF, 16,
    I(41, 3), BOOL, TRUE_ID, I(42, 3), BOOL, FALSE_ID,
    I(43, 4), UINT, SCOPE, 3,
    I(4456, 7), TYPE_A, HALF, SCOPE, ROWS, INNER, BOUND,
    I(4456, 7), TYPE_B, HALF, SCOPE, INNER, COLUMNS, BOUND + 1,
    I(4456, 7), TYPE_C, FLOAT, SCOPE, ROWS, COLUMNS, BOUND + 2,
    I(52, 5), UINT, LENGTH, 4460, TYPE_C,
    I(46, 3), TYPE_C, ZERO,
    I(4457, 6), TYPE_A, A, POINTER, BOUND, SCOPE,
    I(4457, 8), TYPE_B, B, POINTER, BOUND + 1, SCOPE, 2, SCOPE,
    I(4459, 6), TYPE_C, C, A, B, ZERO,
    I(4458, 5), POINTER, C, BOUND + 1, SCOPE,
    I(4460, 4), UINT, 0, TYPE_C,
};
/* clang-format on */
enum { N_NV = sizeof nv / sizeof *nv, N_KHR = sizeof khr / sizeof *khr };

static void a_module_is_rewritten(void **state) {
    (void)state;
    uint32_t *out;
    size_t n;
    pd_error err = {0};
    pd_status status = pd_vk_coopmat_rewrite(nv, N_NV, &out, &n, &err);
    if (status != PD_OK) print_message("%s\n", err.message);
    assert_int_equal(status, PD_OK);
    assert_int_equal(n, N_KHR);
    for (size_t i = 0; i < n; i++)
        if (out[i] != khr[i]) fail_msg("word %zu is %u, not %u", i, out[i], khr[i]);
    pd_free(out);
}

static void modules_are_told_apart(void **state) {
    (void)state;
    assert_true(pd_vk_coopmat_is_nv(nv, N_NV));
    assert_false(pd_vk_coopmat_is_nv(khr, N_KHR));
    assert_false(pd_vk_coopmat_is_nv(nv, 4));
    assert_false(pd_vk_coopmat_is_nv(nv, 0));
}

/* ---- what is not as expected ---------------------------------------------------------------- */

static void expect_refusal(size_t at, uint32_t word, const char *part) {
    uint32_t words[N_NV], *out = NULL;
    size_t n;
    pd_error err = {0};
    memcpy(words, nv, sizeof words);
    words[at] = word;
    assert_int_equal(pd_vk_coopmat_rewrite(words, N_NV, &out, &n, &err), PD_ERR_INTERNAL);
    assert_null(out);
    if (!strstr(err.message, part)) fail_msg("\"%s\" does not say \"%s\"", err.message, part);
}

/* Where an instruction starts in nv; id: its first operand, 0: any. */
static size_t find(uint32_t instruction, uint32_t id) {
    for (size_t at = 5; at < N_NV; at += nv[at] >> 16)
        if (nv[at] == instruction && (id == 0 || nv[at + 1] == id)) return at;
    fail_msg("there is no instruction of %u words with opcode %u", instruction >> 16,
             instruction & 0xffff);
    return 0;
}

static void refusals_say_why(void **state) {
    (void)state;
    size_t product = find(I(5361, 6), 0), flag = find(I(5359, 6), 0) + 5,
           type_b = find(I(5358, 6), TYPE_B) + 1;
    expect_refusal(0, 0x03022307, "no SPIR-V module");
    expect_refusal(flag, LENGTH, "column-major is not a constant");
    expect_refusal(flag, BOUND, "column-major is not a constant");
    expect_refusal(product + 4, A, "share a type");
    expect_refusal(product + 4, POINTER, "type is not known");
    expect_refusal(product + 4, 0x70000000, "beyond the bound");
    expect_refusal(product, I(1, 6), "takes part in no product");
    expect_refusal(type_b, TYPE_A, "there twice");
    expect_refusal(type_b, BOUND, "beyond the bound");
    expect_refusal(find(I(5359, 6), 0), I(5359, 5), "too short");
    expect_refusal(product, I(5361, 0), "ends behind the module");
    expect_refusal(find(I(5362, 4), 0), I(5362, 5), "ends behind the module");
    expect_refusal(find(I(21, 4), 0) + 2, 64, "no 32-bit unsigned integers");
}

/* In memory of exactly their size, so that AddressSanitizer sees a step too far. */
static void rewrite_copy(const uint32_t *words, size_t n_words) {
    uint32_t *copy = malloc(n_words * sizeof *copy + 1), *out;
    size_t n;
    assert_non_null(copy);
    memcpy(copy, words, n_words * sizeof *copy);
    if (pd_vk_coopmat_rewrite(copy, n_words, &out, &n, NULL) == PD_OK) {
        assert_true(n >= n_words && n <= n_words + 3 * n_words);
        pd_free(out);
    }
    free(copy);
}

static void damage_is_survived(void **state) {
    (void)state;
    static const uint32_t values[] = {0,          1,          UINT,       TYPE_C,     BOUND - 1,
                                      BOUND,      0x3fffff,   0x7fffffff, 0xffffffff, I(5359, 6),
                                      I(5358, 6), I(5361, 9), I(21, 4),   I(10, 1),   I(0, 1)};
    uint32_t words[N_NV];
    for (size_t n = 0; n <= N_NV; n++) rewrite_copy(nv, n);
    for (size_t i = 0; i < N_NV; i++)
        for (size_t v = 0; v < sizeof values / sizeof *values; v++) {
            memcpy(words, nv, sizeof words);
            words[i] = values[v];
            rewrite_copy(words, N_NV);
        }
}

/* ---- the kernel ----------------------------------------------------------------------------- */

typedef struct walk {
    uint32_t bound;
    bool *defined;
    uint32_t *type;    /* [bound] of values */
    uint32_t *value;   /* [bound] of 32-bit constants */
    uint32_t *spec_id; /* [bound] + 1 */
    uint32_t *use;     /* [bound] + 1, of matrix types */
    uint32_t n_types[3], n_loads[2], n_products, n_stores, n_khr;
} walk;

/* Position of an instruction's result id, 0: it has none. */
static uint32_t result_at(uint32_t opcode) {
    static const uint16_t without[] = {3,   4,   5,   6,   8,   10,  14,  15,  16,
                                       17,  56,  62,  71,  72,  224, 225, 246, 247,
                                       249, 250, 251, 253, 254, 255, 4458};
    for (size_t i = 0; i < sizeof without / sizeof *without; i++)
        if (opcode == without[i]) return 0;
    bool first = opcode == 7 || opcode == 11 || (opcode >= 19 && opcode <= 39) || opcode == 248 ||
                 opcode == 4456;
    return first ? 1 : 2;
}

static void define(walk *k, const uint32_t *w, uint32_t opcode) {
    uint32_t at = result_at(opcode);
    if (at == 0) return;
    if (w[at] == 0 || w[at] >= k->bound || k->defined[w[at]])
        fail_msg("id %u of opcode %u is beyond %u or there twice", w[at], opcode, k->bound);
    k->defined[w[at]] = true;
    if (at == 1) return;
    assert_true(w[1] < k->bound && k->defined[w[1]]);
    k->type[w[2]] = w[1];
    if (opcode == 43) k->value[w[2]] = w[3];
}

/* The dialect of Khronos names each side once, the other one twice: B_K is A_K, and so on. */
static uint32_t side_of(uint32_t spec_id) {
    return spec_id == 11 ? 10 : spec_id == 13 ? 9 : spec_id == 14 ? 12 : spec_id;
}

/* Dimensions are the specialisation constants of shaders/matmul_coopmat.glsl. */
static void check_type(walk *k, const uint32_t *w) {
    assert_int_equal(w[0] >> 16, 7);
    for (int i = 2; i < 7; i++) assert_true(w[i] < k->bound && k->defined[w[i]]);
    uint32_t use = k->value[w[6]];
    assert_true(use <= 2);
    assert_int_equal(k->value[w[3]], 3); /* the scope: a subgroup */
    assert_int_equal(side_of(k->spec_id[w[4]] - 1), use == 1 ? 10 : 9);
    assert_int_equal(side_of(k->spec_id[w[5]] - 1), use == 0 ? 10 : 12);
    k->use[w[1]] = use + 1;
    k->n_types[use]++;
}

static uint32_t use_of(const walk *k, uint32_t id) {
    assert_true(id < k->bound && k->defined[id]);
    return k->use[k->type[id]];
}

static void check_one(walk *k, const uint32_t *w) {
    uint32_t opcode = w[0] & 0xffff;
    assert_false(opcode >= 5358 && opcode <= 5362);
    if (opcode == 17) {
        assert_int_not_equal(w[1], 5357);
        k->n_khr += w[1] == 6022;
    }
    if (opcode == 10) {
        assert_string_not_equal((const char *)(w + 1), "SPV_NV_cooperative_matrix");
        k->n_khr += strcmp((const char *)(w + 1), "SPV_KHR_cooperative_matrix") == 0;
    }
    if (opcode == 71 && w[2] == 1) k->spec_id[w[1]] = w[3] + 1;
    if (opcode == 4456) check_type(k, w);
    if (opcode == 4457) { /* A row by row, B column by column */
        uint32_t use = k->use[w[1]];
        assert_true(use == 1 || use == 2);
        assert_true(k->defined[w[4]] && k->defined[w[5]]);
        assert_int_equal(k->value[w[4]], use - 1);
        k->n_loads[use - 1]++;
    }
    if (opcode == 4458) {
        assert_int_equal(use_of(k, w[2]), 3);
        assert_true(k->defined[w[3]] && k->value[w[3]] == 1);
        k->n_stores++;
    }
    if (opcode == 4459) {
        assert_int_equal(k->use[w[1]], 3);
        for (uint32_t i = 0; i < 3; i++) assert_int_equal(use_of(k, w[3 + i]), 1 + i);
        k->n_products++;
    }
}

static void the_kernel_is_as_khr_asks(void **state) {
    (void)state;
    uint32_t *words;
    size_t n_bytes;
    uint64_t compile_ns;
    pd_error err = {0};
    pd_status status = pd_vk_spirv_get("matmul_coopmat", &words, &n_bytes, &compile_ns, &err);
    if (status != PD_OK) print_message("%s\n", err.message);
    assert_int_equal(status, PD_OK);
    size_t n = n_bytes / 4, at = 5;
    walk k = {.bound = words[3]};
    k.defined = calloc(k.bound, sizeof *k.defined);
    k.type = calloc(k.bound, sizeof *k.type);
    k.value = calloc(k.bound, sizeof *k.value);
    k.spec_id = calloc(k.bound, sizeof *k.spec_id);
    k.use = calloc(k.bound, sizeof *k.use);
    for (; at < n; at += words[at] >> 16) {
        assert_true(words[at] >> 16 > 0 && words[at] >> 16 <= n - at);
        define(&k, words + at, words[at] & 0xffff);
        check_one(&k, words + at);
    }
    assert_int_equal(at, n);
    assert_int_equal(k.n_khr, 2); /* capability and extension */
    for (int i = 0; i < 3; i++) assert_int_equal(k.n_types[i], 1);
    assert_true(k.n_loads[0] > 0 && k.n_loads[1] > 0 && k.n_products > 0 && k.n_stores > 0);
    free(k.defined), free(k.type), free(k.value), free(k.spec_id), free(k.use);
    pd_free(words);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_module_is_rewritten),     cmocka_unit_test(modules_are_told_apart),
        cmocka_unit_test(refusals_say_why),          cmocka_unit_test(damage_is_survived),
        cmocka_unit_test(the_kernel_is_as_khr_asks),
    };
    pd_env_set("PERIDOT_SHADER_DIR", NULL);
    pd_env_set("PERIDOT_CACHE_DIR", "/dev/null/none"); /* compiled anew */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
