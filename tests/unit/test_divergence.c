/* Divergences in one pass against the formula in two, and pieces put together in any order.
 *
 * Both sides work in double; a thousand terms leave differences of some 1e-13.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine/divergence.h"

enum { N = 1000 };
static const double TOLERANCE = 1e-11;

static double a[N], b[N];

static void fill(double scale, double difference) {
    uint32_t seed = 1;
    for (uint32_t i = 0; i < N; i++) {
        seed = seed * 1664525 + 1013904223;
        a[i] = scale * ((double)(seed >> 8) / 8388608 - 1);
        seed = seed * 1664525 + 1013904223;
        b[i] = a[i] + difference * ((double)(seed >> 8) / 8388608 - 1);
    }
}

static double log_sum(const double *x) {
    double max = -INFINITY, sum = 0;
    for (uint32_t i = 0; i < N; i++) max = fmax(max, x[i]);
    for (uint32_t i = 0; i < N; i++) sum += exp(x[i] - max);
    return max + log(sum);
}

static double plain_kl(void) {
    double log_a = log_sum(a), log_b = log_sum(b), kl = 0;
    for (uint32_t i = 0; i < N; i++) kl += exp(a[i] - log_a) * (a[i] - log_a - b[i] + log_b);
    return kl;
}

static pd_divergence of(uint32_t first, uint32_t end) {
    pd_divergence d = pd_divergence_none();
    for (uint32_t i = first; i < end; i++) pd_divergence_add(&d, i, a[i], b[i]);
    return d;
}

static void one_pass_is_the_formula(void **state) {
    (void)state;
    static const double cases[][2] = {{1, 1}, {10, 0.1}, {300, 5}, {5, 300}, {0, 0}};
    for (uint32_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fill(cases[i][0], cases[i][1]);
        pd_divergence d = of(0, N);
        double kl = plain_kl();
        assert_true(fabs(pd_divergence_kl(&d) - kl) <= TOLERANCE * (1 + cases[i][0] + kl));
        assert_true(fabs(pd_divergence_log_sum_a(&d) - log_sum(a)) <=
                    TOLERANCE * (1 + cases[i][0]));
        assert_true(fabs(pd_divergence_log_sum_b(&d) - log_sum(b)) <=
                    TOLERANCE * (1 + cases[i][0] + cases[i][1]));
    }
}

static void pieces_make_the_whole(void **state) {
    (void)state;
    static const uint32_t cuts[][4] = {{0, 1, 500, N}, {0, 0, 999, N}, {0, 333, 333, N}};
    fill(20, 2);
    pd_divergence whole = of(0, N);
    for (uint32_t i = 0; i < 3; i++)
        for (uint32_t order = 0; order < 3; order++) {
            pd_divergence d = pd_divergence_none();
            for (uint32_t k = 0; k < 3; k++) {
                uint32_t piece = (k + order) % 3;
                pd_divergence_merge(&d, of(cuts[i][piece], cuts[i][piece + 1]));
            }
            assert_true(fabs(pd_divergence_kl(&d) - pd_divergence_kl(&whole)) <= TOLERANCE);
            assert_int_equal(d.best_a, whole.best_a);
            assert_int_equal(d.best_b, whole.best_b);
        }
}

static void the_lowest_of_equal_ids_is_best(void **state) {
    (void)state;
    for (uint32_t i = 0; i < N; i++) a[i] = b[i] = i % 10 == 7;
    pd_divergence d = of(500, N);
    assert_int_equal(d.best_a, 507);
    pd_divergence_merge(&d, of(0, 500));
    assert_true(d.best_a == 7 && d.best_b == 7);
    assert_true(pd_divergence_kl(&d) == 0);
}

static void what_is_not_finite_shows(void **state) {
    (void)state;
    fill(1, 1);
    a[3] = NAN;
    pd_divergence d = of(0, N);
    assert_true(!isfinite(pd_divergence_kl(&d)));
    fill(1, 1);
    b[3] = INFINITY;
    d = of(0, N);
    assert_true(!isfinite(pd_divergence_kl(&d)));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(one_pass_is_the_formula),
                                       cmocka_unit_test(pieces_make_the_whole),
                                       cmocka_unit_test(the_lowest_of_equal_ids_is_best),
                                       cmocka_unit_test(what_is_not_finite_shows)};
    return cmocka_run_group_tests_name("unit.divergence", tests, NULL, NULL);
}
