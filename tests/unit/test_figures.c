/* Statistics, quantiles, the windows of a text, what scores come to, names of benchmarks.
 *
 * SPDX-License-Identifier: MIT
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "measure/bench.h"
#include "measure/score.h"

static double value_at(const void *ctx, uint32_t i) {
    return ((const double *)ctx)[i];
}

static void expect_near(double found, double expected) {
    if (!(fabs(found - expected) <= 1e-12 * fmax(1, fabs(expected))))
        fail_msg("%.17g instead of %.17g", found, expected);
}

/* 2, 4, 4, 4, 5, 5, 7, 9: mean 5, sum of squared deviations 32, of squares 232 */
static void test_stats(void **state) {
    (void)state;
    static const double values[] = {2, 4, 4, 4, 5, 5, 7, 9};
    pd_stats s = pd_stats_of(value_at, values, 8);
    expect_near(s.mean, 5);
    expect_near(s.stddev, sqrt(32.0 / 7));
    expect_near(s.error, sqrt(32.0 / 7 / 8));
    expect_near(s.rms, sqrt(29));
    s = pd_stats_of(value_at, values + 7, 1);
    expect_near(s.mean, 9);
    assert_true(s.stddev == 0 && s.error == 0);
}

static void test_quantiles(void **state) {
    (void)state;
    double values[] = {3, 1, 2, 4};
    pd_sort_doubles(values, 4);
    assert_true(pd_quantile(values, 4, 0) == 1 && pd_quantile(values, 4, 0.25) == 1);
    assert_true(pd_quantile(values, 4, 0.26) == 2 && pd_quantile(values, 4, 0.5) == 2);
    assert_true(pd_quantile(values, 4, 0.99) == 4 && pd_quantile(values, 4, 1) == 4);
}

static void expect_windows(pd_score_windows_desc desc, size_t n, pd_score_windows expected) {
    pd_score_windows w;
    assert_int_equal(pd_score_plan_windows(&desc, n, &w, NULL), PD_OK);
    assert_int_equal(w.length, expected.length);
    assert_int_equal(w.step, expected.step);
    assert_int_equal(w.first, expected.first);
    assert_int_equal(w.n, expected.n);
    assert_true((size_t)(w.n - 1) * w.step + w.length <= n);
}

static void test_windows(void **state) {
    (void)state;
    pd_score_windows w;
    expect_windows((pd_score_windows_desc){.length = 512}, 2000,
                   (pd_score_windows){512, 512, 256, 3});
    expect_windows((pd_score_windows_desc){.length = 512, .whole = true}, 2000,
                   (pd_score_windows){512, 512, 0, 3});
    expect_windows((pd_score_windows_desc){.length = 512, .n_windows = 2}, 2000,
                   (pd_score_windows){512, 512, 256, 2});
    expect_windows((pd_score_windows_desc){.length = 512}, 512, (pd_score_windows){512, 512, 0, 1});
    expect_windows((pd_score_windows_desc){.length = 512}, 2, (pd_score_windows){2, 2, 0, 1});
    expect_windows((pd_score_windows_desc){.length = 512, .stride = 100}, 1000,
                   (pd_score_windows){562, 100, 461, 5});
    const pd_score_windows_desc wide = {.length = 8, .stride = 8};
    pd_error err;
    assert_int_equal(pd_score_plan_windows(&wide, 100, &w, &err), PD_ERR_ARGUMENT);
}

static void test_summary(void **state) {
    (void)state;
    const pd_score_item items[] = {
        {.id = 1, .best = 1, .log_prob = -1, .reference_best = 1, .reference_log_prob = -1},
        {.id = 2,
         .best = 5,
         .log_prob = -3,
         .reference_best = 5,
         .reference_log_prob = -2,
         .kl = 0.5},
        {.id = 3,
         .best = 3,
         .log_prob = -2,
         .reference_best = 4,
         .reference_log_prob = -3,
         .kl = 0.1}};
    pd_score_summary s = pd_score_summarise(items, 3, true);
    expect_near(s.perplexity.nll.mean, 2);
    expect_near(s.perplexity.nll.error, sqrt(1.0 / 3));
    expect_near(s.perplexity.value, exp(2));
    expect_near(s.perplexity.error, exp(2) * sqrt(1.0 / 3));
    expect_near(s.reference.value, exp(2));
    expect_near(s.ratio.value, 1);
    expect_near(s.is_best.mean, 2.0 / 3);
    expect_near(s.same_best.mean, 2.0 / 3);
    expect_near(s.kl.mean, 0.2);
    expect_near(s.kl_quantiles[0], 0.1);
    expect_near(s.kl_quantiles[3], 0.5);
    expect_near(s.probability_change.mean, (exp(-3) - exp(-2) + exp(-2) - exp(-3)) / 3);
    s = pd_score_summarise(items, 3, false);
    expect_near(s.perplexity.value, exp(2));
    assert_true(s.kl.mean == 0 && s.reference.value == 0);
}

static pd_status name_test(void *ctx, const pd_bench_test *test, pd_error *err) {
    char *at = (char *)ctx + strlen(ctx), name[64];
    (void)err;
    pd_bench_name(test, name);
    sprintf(at, "%s b%u u%u, ", name, test->n_batch, test->n_ubatch);
    return PD_OK;
}

static void test_lists(void **state) {
    (void)state;
    char names[512] = "";
    pd_bench_lists l = {.prompts = {(uint32_t[]){8, 0}, 2},
                        .gens = {(uint32_t[]){4}, 1},
                        .pairs = {(uint32_t[]){0, 0, 6, 5}, 4},
                        .depths = {(uint32_t[]){0, 9}, 2},
                        .batches = {(uint32_t[]){16}, 1},
                        .ubatches = {(uint32_t[]){32, 2}, 2}};
    assert_int_equal(pd_bench_each(&l, name_test, names, NULL), PD_OK);
    assert_string_equal(names, "pp8 b16 u16, tg4 b16 u16, pp6+tg5 b16 u16, "
                               "pp8 b16 u2, tg4 b16 u2, pp6+tg5 b16 u2, "
                               "pp8 @ d9 b16 u16, tg4 @ d9 b16 u16, pp6+tg5 @ d9 b16 u16, "
                               "pp8 @ d9 b16 u2, tg4 @ d9 b16 u2, pp6+tg5 @ d9 b16 u2, ");
    assert_int_equal(pd_bench_check(&l, 20, NULL), PD_OK);
    assert_int_equal(pd_bench_check(&l, 19, NULL), PD_ERR_CONTEXT);
    assert_false(pd_bench_is_empty(&l));
    l.prompts.n = l.gens.n = 0;
    l.pairs.n = 2;
    assert_true(pd_bench_is_empty(&l));
}

static void test_names(void **state) {
    (void)state;
    char name[64];
    pd_bench_name(&(pd_bench_test){.n_prompt = 512}, name);
    assert_string_equal(name, "pp512");
    pd_bench_name(&(pd_bench_test){.n_gen = 128, .n_depth = 4096}, name);
    assert_string_equal(name, "tg128 @ d4096");
    pd_bench_name(&(pd_bench_test){.n_prompt = 5, .n_gen = 7}, name);
    assert_string_equal(name, "pp5+tg7");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stats),   cmocka_unit_test(test_quantiles),
        cmocka_unit_test(test_windows), cmocka_unit_test(test_summary),
        cmocka_unit_test(test_names),   cmocka_unit_test(test_lists)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
