/* The bodies of the integer kernels at a width that this machine may lack: included by a test that
 * has defined what integer_body.h wants but the vectors and the instructions. Those are plain C
 * here, so that all that is not an instruction is tested for it: layout, order, offsets,
 * remainders.
 *
 * Activations are integers that the quantiser keeps exactly, so that the products are exact as well
 * but for sums in f32: K = 512 of them err by at most 512 * 2^-24 of the sum of magnitudes.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_TEST_SUPPORT_INTEGER_SHAPE_H
#define PD_TEST_SUPPORT_INTEGER_SHAPE_H

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

/* Vectors wider than the machine's are passed between functions that are inlined. */
#pragma GCC diagnostic ignored "-Wpsabi"

#include "backend/cpu/integer_types.h"

#if PLANES
INLINE vi dot(vi sum, vs w, vs a) {
    uint8_t wb[VB];
    int8_t ab[VB];
    memcpy(wb, &w, VB);
    memcpy(ab, &a, VB);
    for (int i = 0; i < VB; i++) sum[i / 4] += (SIGNED_QUADS ? (int8_t)wb[i] : wb[i]) * ab[i];
    return sum;
}
#else
INLINE vi dot(vi sum, vs w, vs a) {
    for (int i = 0; i < VB / 2; i++) sum[i / 2] += w[i] * a[i];
    return sum;
}
#endif
INLINE vf load_halves(const uint8_t *p) {
    vf v;
    for (int i = 0; i < VB / 4; i++) {
        uint16_t h;
        memcpy(&h, p + 2 * i, sizeof h);
        v[i] = pd_f16_to_f32(h);
    }
    return v;
}

#ifdef ROW_PAIRS
INLINE vi dot_pairs(vi sum, vi a, vi w) {
    int8_t ab[16], wb[16];
    memcpy(ab, &a, sizeof ab);
    memcpy(wb, &w, sizeof wb);
    for (int i = 0; i < 4; i++) {
        for (int k = 0; k < 8; k++) sum[i] += ab[i / 2 * 8 + k] * wb[i % 2 * 8 + k];
    }
    return sum;
}
INLINE vi two_rows(const uint8_t *first, const uint8_t *second) {
    vi rows;
    memcpy(&rows, first, 8);
    memcpy((uint8_t *)&rows + 8, second, 8);
    return rows;
}
#endif

#include "backend/cpu/integer_body.h"

enum {
    K = 512,
    ROWS = PD_CPU_GROUP_ROWS,
    MOST_TOKENS = 2 * MANY + 3,
    MOST_VALUE = PLANES == 1 ? 127 : 32639
};

static const pd_cpu_integer_kernels kernels = INTEGER_TABLE("shape");

typedef struct shape_case {
    pd_type type;
    float weights[ROWS * K], x[MOST_TOKENS * K];
    uint8_t group[ROWS * K * 2] __attribute__((aligned(64)));
    pd_cpu_quants quants;
} shape_case;

static uint32_t random_bits(void) {
    static uint64_t state = 88172645463325252u;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state >> 32);
}

/* Integers, the largest in each block, times a power of two. */
static void fill_activations(shape_case *c) {
    for (uint32_t i = 0; i < MOST_TOKENS * K; i++) {
        int q = (int)(random_bits() % (2 * MOST_VALUE + 1)) - MOST_VALUE;
        c->x[i] = ldexpf((float)(i % 32 == 5 ? MOST_VALUE : q), -6);
    }
    for (uint32_t t = 0; t < MOST_TOKENS; t++)
        kernels.quantize(c->x + t * K, K, c->quants.values + (size_t)t * K * ACTIVATION_BYTES,
                         c->quants.scales + t * (K / 32));
}

static void fill_weights(shape_case *c) {
    const pd_type_info *info = pd_type_get(c->type);
    uint64_t row_bytes = pd_type_row_bytes(info, K);
    uint8_t stored[ROWS * K * 2];
    for (uint32_t i = 0; i < ROWS * K; i++)
        c->weights[i] = (float)((int)(random_bits() % 2001) - 1000) / 1000.0f;
    pd_encode(c->type, c->weights, ROWS * K, stored);
    pd_decode(c->type, stored, ROWS * K, c->weights);
    pd_cpu_pack_group(c->type, stored, row_bytes, ROWS, K, c->group);
}

static void check(const shape_case *c, const char *what, uint32_t n, const float *out,
                  uint32_t ld) {
    for (uint32_t t = 0; t < n; t++) {
        for (uint32_t r = 0; r < ROWS; r++) {
            double sum = 0, size = 0;
            for (uint32_t k = 0; k < K; k++) {
                double term = (double)c->weights[r * K + k] * (double)c->x[t * K + k];
                sum += term;
                size += fabs(term);
            }
            double off = fabs((double)out[t * ld + r] - sum);
            if (off > size * K / (1 << 24))
                fail_msg("%s, %s of %u rows: row %u, column %u: %g, not %g", what,
                         pd_type_name(c->type), n, t, r, (double)out[t * ld + r], sum);
        }
    }
}

/* Panels of the group's two halves. Of a panel's groups it is the one at `place`, others are zeros.
 */
static void check_panels(shape_case *c, uint32_t n, uint32_t place) {
    static const uint8_t zeros[ROWS * K * 2] __attribute__((aligned(64)));
    static float out[MOST_TOKENS * PANEL_ROWS], d[TILE_GROUPS * K], m[TILE_GROUPS * K];
    static uint8_t units[K / 32 * TILE_GROUPS * PD_CPU_PANEL_BLOCK_MAX]
        __attribute__((aligned(64)));
    for (uint32_t half = 0; half < 2; half++) {
        pd_cpu_panel panel = {units, d, m, half * K / 64, K / 64};
        for (uint32_t g = 0; g < TILE_GROUPS; g++)
            kernels.unpack(c->type, g == place ? c->group : zeros, K, &panel, g);
        kernels.many(c->type, &panel, &c->quants, 0, n, out, PANEL_ROWS, half == 1);
    }
    check(c, "many", n, out + place * ROWS, PANEL_ROWS);
}

static void check_products(shape_case *c, uint32_t n) {
    static float out[MOST_TOKENS * ROWS];
    kernels.few(c->type, c->group, &c->quants, n, out, ROWS);
    check(c, "few", n, out, ROWS);
    for (uint32_t place = 0; place < TILE_GROUPS; place++) check_panels(c, n, place);
}

static void every_type_and_count(void **state) {
    static shape_case c;
    static uint8_t values[MOST_TOKENS * K * 2];
    static pd_cpu_block_scale scales[MOST_TOKENS * K / 32];
    uint32_t n_types, n_tried = 0;
    const pd_type_info *types = pd_type_list(&n_types);
    (void)state;
    c.quants = (pd_cpu_quants){values, scales, K};
    fill_activations(&c);
    for (uint32_t i = 0; i < n_types; i++) {
        pd_cpu_packing packing;
        c.type = types[i].type;
        if (!pd_cpu_packing_of(c.type, &packing) || packing.bits > MOST_BITS) continue;
        fill_weights(&c);
        for (uint32_t n = 1; n <= MOST_TOKENS; n++) check_products(&c, n);
        n_tried++;
    }
    assert_int_equal(n_tried, MOST_BITS == 8 ? 8 : 7);
}

/* What is not finite must show in the products. */
static void nothing_hides(void **state) {
    static const float bad[] = {NAN, INFINITY, -INFINITY};
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        float x[32] = {[7] = 1.0f};
        uint8_t values[64];
        pd_cpu_block_scale scale;
        x[11 + i] = bad[i];
        kernels.quantize(x, 32, values, &scale);
        assert_true(isnan(scale.scale));
    }
}

static void small_values_are_zeros(void **state) {
    (void)state;
    float x[32] = {1e-38f, -1e-40f, 3e-39f};
    uint8_t values[64], zeros[64] = {0};
    pd_cpu_block_scale scale;
    kernels.quantize(x, 32, values, &scale);
    assert_true(scale.scale == 0 && scale.sum == 0 && scale.minus_all == 0);
    assert_memory_equal(values, zeros, 32 * ACTIVATION_BYTES);
}

static int run_shape(const char *name) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_type_and_count),
                                       cmocka_unit_test(nothing_hides),
                                       cmocka_unit_test(small_values_are_zeros)};
    return cmocka_run_group_tests_name(name, tests, NULL, NULL);
}

#endif
