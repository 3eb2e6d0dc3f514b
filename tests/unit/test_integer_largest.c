/* The integer kernels where products are largest: every quant and every activation at its end, so
 * that a sum which is kept in too few bits overflows. A product of K columns is exact but for sums
 * in f32 (support_integer_shape.h).
 *
 * SPDX-License-Identifier: MIT
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "backend/cpu/integer.h"

enum { K = 512, ROWS = PD_CPU_GROUP_ROWS, MOST_TOKENS = PD_CPU_MANY_MAX };

typedef struct largest_case {
    const pd_cpu_integer_kernels *kernels;
    pd_type type;
    uint8_t stored[ROWS * K * 2], group[ROWS * K * 2] __attribute__((aligned(64)));
    float weights[ROWS * K], x[K];
    pd_cpu_quants quants;
} largest_case;

/* Where blocks are scaled by the first of their largest values, that one becomes the most negative
 * quant, and the others the most positive one. */
static void fill_weights(largest_case *c, bool ones) {
    const pd_type_info *info = pd_type_get(c->type);
    uint64_t row_bytes = pd_type_row_bytes(info, K);
    for (uint32_t i = 0; i < ROWS * K; i++) c->weights[i] = (i % 16 == 0) == ones ? -1.0f : 1.0f;
    pd_encode(c->type, c->weights, ROWS * K, c->stored);
    pd_decode(c->type, c->stored, ROWS * K, c->weights);
    pd_cpu_pack_group(c->type, c->stored, row_bytes, ROWS, K, c->group);
}

static void fill_activations(largest_case *c, float sign) {
    for (uint32_t k = 0; k < K; k++) c->x[k] = sign * 3.0f;
    for (uint32_t t = 0; t < MOST_TOKENS; t++)
        c->kernels->quantize(c->x, K, c->quants.values + (size_t)t * K * c->kernels->value_bytes,
                             c->quants.scales + t * (K / 32));
}

/* `width`: of out's rows, whose columns are the group's rows, once or twice. */
static void check(const largest_case *c, const char *what, uint32_t n, const float *out,
                  uint32_t width) {
    for (uint32_t i = 0; i < n * width; i++) {
        double sum = 0;
        for (uint32_t k = 0; k < K; k++)
            sum += (double)c->weights[i % ROWS * K + k] * (double)c->x[k];
        double size = 3.0 * K * 1.1; /* of Q6_K and the like a weight may be a little above 1 */
        if (fabs((double)out[i] - sum) > size * K / (1 << 24))
            fail_msg("%s, %s of %s, %u rows: %g, not %g", c->kernels->name, what,
                     pd_type_name(c->type), n, (double)out[i], sum);
    }
}

static void check_products(largest_case *c, uint32_t n) {
    static float out[MOST_TOKENS * PD_CPU_PANEL_ROWS_MAX], d[2 * K], m[2 * K];
    static uint8_t units[K / 32 * 2 * PD_CPU_PANEL_BLOCK_MAX] __attribute__((aligned(64)));
    const uint32_t width = c->kernels->panel_rows;
    pd_cpu_panel panel = {units, d, m, 0, K / 32};
    c->kernels->few(c->type, c->group, &c->quants, n, out, ROWS);
    check(c, "few", n, out, ROWS);
    for (uint32_t g = 0; g * ROWS < width; g++) c->kernels->unpack(c->type, c->group, K, &panel, g);
    c->kernels->many(c->type, &panel, &c->quants, 0, n, out, width, false);
    check(c, "many", n, out, width);
}

static void check_kernels(const pd_cpu_integer_kernels *kernels) {
    static largest_case c;
    static uint8_t values[MOST_TOKENS * K * 2];
    static pd_cpu_block_scale scales[MOST_TOKENS * K / 32];
    uint32_t n_types;
    const pd_type_info *types = pd_type_list(&n_types);
    if (!kernels) return;
    c.kernels = kernels;
    c.quants = (pd_cpu_quants){values, scales, K};
    for (uint32_t i = 0; i < 4 * n_types; i++) {
        pd_cpu_packing packing;
        c.type = types[i / 4].type;
        if (!pd_cpu_packing_of(c.type, &packing) || packing.bits > kernels->most_bits) continue;
        fill_weights(&c, i % 2);
        fill_activations(&c, i % 4 < 2 ? 1.0f : -1.0f);
        for (uint32_t n = 1; n <= kernels->many_rows; n++) check_products(&c, n);
    }
}

static void every_table(void **state) {
    (void)state;
    check_kernels(pd_cpu_integer_base());
#ifdef __x86_64__
    check_kernels(pd_cpu_integer_avx2());
    check_kernels(pd_cpu_integer_avx2_q8());
    check_kernels(pd_cpu_integer_avxvnni());
    check_kernels(pd_cpu_integer_avxvnni_q8());
    check_kernels(pd_cpu_integer_avx512());
    check_kernels(pd_cpu_integer_avx512vnni());
    check_kernels(pd_cpu_integer_avx512vnni_q8());
#endif
#ifdef __aarch64__
    check_kernels(pd_cpu_integer_neon_i8mm());
    check_kernels(pd_cpu_integer_neon_i8mm_q8());
    check_kernels(pd_cpu_integer_neon());
    check_kernels(pd_cpu_integer_neon_q8());
#endif
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_table)};
    return cmocka_run_group_tests_name("unit.integer_largest", tests, NULL, NULL);
}
