/* The arithmetic of draws: integer weights against exp, sums, filters at their limits, settings.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "plan/sample.h"

enum { OCTAVE = 1 << 24 };

/* Every fraction of an octave: right to 2^-29, and falling, so that weights never contradict the
 * order of the logits. */
static void exp2_is_exact_enough_and_falls(void **state) {
    (void)state;
    uint32_t before = UINT32_MAX;
    double worst = 0;
    for (uint32_t t = 0; t <= OCTAVE; t++) {
        uint32_t w = pd_sample_exp2(t);
        double off = fabs(w - exp2(31 - (double)t / (double)OCTAVE));
        if (off > worst) worst = off;
        if (w >= before) fail_msg("2^(-%u / 2^24) is %u after %u", t, w, before);
        before = w;
    }
    assert_true(worst <= 4);
    assert_int_equal(pd_sample_exp2(0), 1u << 31);
    assert_int_equal(pd_sample_exp2(OCTAVE), 1u << 30);
    assert_int_equal(pd_sample_exp2(31u * OCTAVE), 1);
    assert_int_equal(pd_sample_exp2(31u * OCTAVE + 1), 0);
}

static uint32_t weight(float highest, float logit, float temp) {
    return pd_sample_weight(pd_sample_key(pd_float_bits(highest)),
                            pd_sample_key(pd_float_bits(logit)), pd_sample_scale(temp));
}

static void weights_follow_exp(void **state) {
    (void)state;
    static const float temps[] = {0.01f, 0.3f, 1, 1.7f, 100};
    for (size_t i = 0; i < sizeof temps / sizeof *temps; i++) {
        for (int k = -2000; k <= 0; k++) {
            float logit = 0.03f * (float)k;
            double want = exp(((double)logit - 3) / (double)temps[i]) * 0x1p31;
            /* f32 rounds the exponent x twice: 2 * 2^-24 x; then the polynomial, and the integer */
            double x = (3 - (double)logit) / (double)temps[i];
            double room = want * (x * 0x1p-22 + 0x1p-24) + 5;
            double off = fabs(weight(3, logit, temps[i]) - want);
            if (off > room) fail_msg("logit %g, temp %g", (double)logit, (double)temps[i]);
        }
    }
    assert_int_equal(weight(5, 5, 0.7f), 1u << 31);
    assert_int_equal(weight(3e38f, -3e38f, 1), 0);
    assert_int_equal(weight(1, 0.999f, 1e-38f), 0);
    assert_int_equal(weight(1, 1, 1e-38f), 1u << 31);
    assert_int_equal(weight(1e-39f, -1e-39f, 1e-38f), 1u << 31); /* subnormal: zero */
    assert_true(weight(8, -8, 3e38f) > (1u << 31) - 100);
}

static void keys_order_as_values_do(void **state) {
    (void)state;
    static const float rising[] = {-3e38f, -1, -1e-37f, 0, 1e-37f, 0.5f, 1, 3e38f};
    for (size_t i = 0; i + 1 < sizeof rising / sizeof *rising; i++)
        assert_true(pd_sample_key(pd_float_bits(rising[i])) <
                    pd_sample_key(pd_float_bits(rising[i + 1])));
    for (size_t i = 0; i < sizeof rising / sizeof *rising; i++) {
        uint32_t bits = pd_float_bits(rising[i]);
        assert_int_equal(pd_sample_key_bits(pd_sample_key(bits)), bits);
    }
    assert_int_equal(pd_sample_key(pd_float_bits(-0.0f)), pd_sample_key(pd_float_bits(0.0f)));
    assert_int_equal(pd_sample_key(pd_float_bits(1e-40f)), pd_sample_key(pd_float_bits(0.0f)));
    assert_false(pd_sample_is_finite(pd_float_bits(NAN)));
    assert_false(pd_sample_is_finite(pd_float_bits(-INFINITY)));
}

/* Candidates with weights a, b, c of 2^31 each over 4: the thresholds are exact. */
static void filters_cut_exactly(void **state) {
    (void)state;
    pd_candidate c[4];
    for (uint32_t i = 0; i < 4; i++) c[i] = (pd_candidate){9 - i, i, 1u << 31};
    assert_int_equal(pd_candidates_top_p(c, 4, pd_sample_top_p(0.5f)), 2);
    assert_int_equal(pd_candidates_top_p(c, 4, pd_sample_top_p(0.50001f)), 3);
    assert_int_equal(pd_candidates_top_p(c, 4, pd_sample_top_p(1e-20f)), 1);
    assert_int_equal(pd_candidates_min_p(c, 4, pd_sample_min_p(1)), 4);
    assert_int_equal(pd_candidates_pick(c, 4, 0), 0);
    assert_int_equal(pd_candidates_pick(c, 4, 0x3fffffff), 0);
    assert_int_equal(pd_candidates_pick(c, 4, 0x40000000), 1);
    assert_int_equal(pd_candidates_pick(c, 4, UINT32_MAX), 3);
    c[2].weight = c[3].weight = 0;
    assert_int_equal(pd_candidates_pick(c, 4, UINT32_MAX), 1); /* no weight: never */
    assert_int_equal(pd_candidates_min_p(c, 4, pd_sample_min_p(0.5f)), 2);
    c[0].weight = (1u << 30) - 1;
    c[1].weight = 1u << 30;
    assert_int_equal(pd_candidates_min_p(c, 2, pd_sample_min_p(0.5f)), 1);
    assert_int_equal(c[0].id, 1);
    assert_int_equal(pd_sample_top_p(0), 0);
    assert_int_equal(pd_sample_top_p(1), 0);
}

/* What top-p sorts of many candidates is what it keeps of all of them sorted. */
static void top_p_needs_no_full_sort(void **state) {
    (void)state;
    enum { N = 5000 };
    float *logits = malloc(N * sizeof *logits);
    pd_candidate *some = malloc(N * sizeof *some), *all = malloc(N * sizeof *all);
    uint32_t seed = 1;
    for (int round = 0; round < 20; round++) {
        for (uint32_t i = 0; i < N; i++) {
            seed = seed * 1664525u + 1013904223u;
            logits[i] = (float)(seed >> 22) / 64.0f; /* 0 to 16, with many ties */
        }
        uint32_t p = pd_sample_top_p(0.05f * (float)(round + 1) - 0.01f);
        assert_int_equal(pd_candidates_all(some, logits, N, NULL), N);
        assert_int_equal(pd_candidates_top_k(all, logits, N, NULL, N), N);
        pd_candidates_weigh(some, N, all[0].key, pd_sample_scale(1));
        pd_candidates_weigh(all, N, all[0].key, pd_sample_scale(1));
        uint32_t n = pd_candidates_top_p(all, N, p);
        assert_int_equal(pd_candidates_sort_for_top_p(some, N, p), n);
        assert_memory_equal(some, all, n * sizeof *all);
    }
    free(logits);
    free(some);
    free(all);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exp2_is_exact_enough_and_falls), cmocka_unit_test(weights_follow_exp),
        cmocka_unit_test(keys_order_as_values_do),        cmocka_unit_test(filters_cut_exactly),
        cmocka_unit_test(top_p_needs_no_full_sort),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
