/* Bias, penalties and log-probabilities against plain formulas in double, what they refuse, and
 * 100 000 draws of each filter behind them.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "plan/step.h"
#include "sample/log_probs.h"
#include "sample/sampler.h"

enum { N = 64, N_IDS = 200, N_DRAWS = 100000, FULL = 262208 };

static uint32_t next(uint32_t *seed) {
    return (*seed = *seed * 1664525u + 1013904223u) >> 16;
}

static void make_logits(float *logits, uint32_t n, uint32_t seed) {
    for (uint32_t i = 0; i < n; i++) logits[i] = (float)next(&seed) / 8192.0f - 4; /* -4 to 4 */
}

/* Tokens of a small part of the vocabulary, with an image in between. */
static void make_ids(uint32_t *ids, uint32_t seed) {
    for (uint32_t i = 0; i < N_IDS; i++) ids[i] = next(&seed) % (N / 2);
    for (uint32_t i = 150; i < 166; i++) ids[i] = PD_TOKEN_EMBEDDED;
}

static pd_sampler_scratch *make_scratch(uint32_t n) {
    pd_sampler_scratch *scratch;
    assert_int_equal(pd_sampler_scratch_create(n, &scratch, NULL), PD_OK);
    return scratch;
}

static pd_sampler make_sampler(pd_sampler_desc desc) {
    pd_sampler s;
    pd_error err;
    if (pd_sampler_init(&s, &desc, &err) != PD_OK) fail_msg("%s", err.message);
    return s;
}

/* ---- the formula ---------------------------------------------------------------------------- */

static const pd_logit_bias biases[] = {{3, 1.5f}, {40, -2}, {3, 0.25f}, {7, -INFINITY}, {7, 100}};

static const pd_sampler_desc settings[] = {
    {.repeat_penalty = 1.3f},
    {.repeat_penalty = 0.5f, .repeat_last_n = 10},
    {.presence_penalty = 0.7f, .repeat_last_n = UINT32_MAX},
    {.frequency_penalty = -0.3f, .repeat_last_n = 60},
    {.repeat_penalty = 1, .frequency_penalty = 2, .repeat_last_n = 1},
    {.logit_bias = biases, .n_logit_bias = 5},
    {.repeat_penalty = 1.1f,
     .presence_penalty = -2,
     .frequency_penalty = 0.01f,
     .logit_bias = biases,
     .n_logit_bias = 5},
};
enum { N_SETTINGS = sizeof settings / sizeof *settings };

/* One id by itself: the tokens are counted from the end. */
static double expected(const pd_sampler_desc *d, double x, uint32_t id, const uint32_t *ids,
                       uint32_t n_ids) {
    uint32_t left = d->repeat_last_n ? d->repeat_last_n : 64, count = 0;
    for (size_t i = 0; i < d->n_logit_bias; i++)
        if (d->logit_bias[i].id == id) x += (double)d->logit_bias[i].bias;
    for (uint32_t i = n_ids; i-- > 0 && left > 0;) {
        if (ids[i] == PD_TOKEN_EMBEDDED) continue;
        count += ids[i] == id;
        left--;
    }
    if (count == 0) return x;
    double rate = d->repeat_penalty != 0 ? (double)d->repeat_penalty : 1;
    x = x > 0 ? x / rate : x * rate;
    return x - (double)d->presence_penalty - count * (double)d->frequency_penalty;
}

/* An adjusted logit is rounded to float once or twice (bias, penalties), and a penalty passes the
 * first error on by a factor of at most 2 here: three units in the last place of the largest value.
 */
static void follows_the_formula(void **state) {
    (void)state;
    float logits[N];
    uint32_t ids[N_IDS];
    pd_sampler_scratch *scratch = make_scratch(N);
    for (uint32_t i = 0; i < N_SETTINGS * 20; i++) {
        const pd_sampler_desc *d = &settings[i % N_SETTINGS];
        make_logits(logits, N, i);
        make_ids(ids, i);
        uint32_t n_ids = i < N_SETTINGS ? 0 : 1 + i * 31 % N_IDS;
        const float *out = pd_sampler_adjust(d, scratch, logits, N, ids, n_ids);
        assert_true(pd_sampler_adjusts(d) && out != logits);
        for (uint32_t id = 0; id < N; id++) {
            double want = expected(d, (double)logits[id], id, ids, n_ids);
            if (isinf(want)) assert_true(isinf(out[id]) && out[id] < 0);
            if (isinf(want)) continue;
            double tolerance = 3 * 0x1p-24 * fmax(fabs(want), 8);
            if (!(fabs((double)out[id] - want) <= tolerance))
                fail_msg("setting %u, id %u: %.9g instead of %.9g", i % N_SETTINGS, id,
                         (double)out[id], want);
        }
    }
    pd_sampler_scratch_destroy(scratch);
}

static void without_settings_nothing_changes(void **state) {
    (void)state;
    static const pd_sampler_desc off[] = {
        {0}, {.repeat_last_n = 7}, {.repeat_penalty = 1}, {.logit_bias = biases}};
    float logits[N];
    uint32_t ids[N_IDS];
    pd_sample_params params;
    make_logits(logits, N, 1);
    make_ids(ids, 1);
    pd_sampler_scratch *scratch = make_scratch(N);
    for (size_t i = 0; i < sizeof off / sizeof *off; i++) {
        pd_sampler s = make_sampler(off[i]);
        assert_ptr_equal(pd_sampler_adjust(&off[i], scratch, logits, N, ids, N_IDS), logits);
        assert_true(pd_sampler_to_params(&s, &params));
    }
    for (uint32_t i = 0; i < N_SETTINGS; i++) {
        pd_sampler s = make_sampler(settings[i]);
        assert_false(pd_sampler_to_params(&s, &params));
        s.desc.temp = 1;
        s.desc.top_k = 64;
        assert_false(pd_sampler_to_params(&s, &params));
    }
    pd_sampler_scratch_destroy(scratch);
}

/* Extreme settings make no infinities; those of the model stay. Padding rows are left alone. */
static void stays_finite(void **state) {
    (void)state;
    float *logits = malloc(FULL * sizeof *logits);
    const uint32_t ids[] = {0, 1, 2, 3, 262150};
    const pd_sampler_desc tiny = {.repeat_penalty = 1e-30f};
    const pd_sampler_desc huge = {.repeat_penalty = 1e30f, .logit_bias = biases, .n_logit_bias = 1};
    pd_sampler_scratch *scratch = make_scratch(FULL);
    for (uint32_t i = 0; i < FULL; i++) logits[i] = i % 2 ? 1e20f : -1e20f;
    logits[2] = -INFINITY;
    logits[3] = NAN;
    const float *out = pd_sampler_adjust(&tiny, scratch, logits, FULL, ids, 5);
    assert_true(isfinite(out[0]) && isfinite(out[1]) && isnan(out[3]));
    assert_true(isinf(out[2]) && out[2] < 0);
    out = pd_sampler_adjust(&huge, scratch, logits, FULL, ids, 5);
    assert_true(isfinite(out[0]) && isfinite(out[1]) && isnan(out[3]));
    assert_true(isinf(out[2]) && out[2] < 0);
    free(logits);
    pd_sampler_scratch_destroy(scratch);
}

static void greedy_takes_the_adjusted_best(void **state) {
    (void)state;
    const float logits[] = {5, 4, 5, 3};
    const uint32_t seen[] = {0, 2};
    const pd_logit_bias up[] = {{3, 2}}, never[] = {{0, -INFINITY}};
    const struct {
        pd_sampler_desc desc;
        uint32_t n_seen, want;
    } cases[] = {{{.repeat_penalty = 2}, 2, 1},
                 {{.presence_penalty = 1}, 1, 2},
                 {{.presence_penalty = 1}, 2, 0}, /* three equal ones */
                 {{.logit_bias = up, .n_logit_bias = 1}, 0, 0},
                 {{.logit_bias = never, .n_logit_bias = 1}, 0, 2}};
    pd_sampler_scratch *scratch = make_scratch(4);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        pd_sampler s = make_sampler(cases[i].desc);
        uint32_t id, n_seen = cases[i].n_seen;
        const float *out = pd_sampler_adjust(&s.desc, scratch, logits, 4, seen, n_seen);
        assert_int_equal(pd_sampler_pick(&s, scratch, out, 4, NULL, &id, NULL), PD_OK);
        assert_int_equal(id, cases[i].want);
    }
    pd_sampler_scratch_destroy(scratch);
}

/* ---- draws ---------------------------------------------------------------------------------- */

static double weights[N];

static int compare_ids(const void *a, const void *b) {
    const uint32_t *x = a, *y = b;
    if (weights[*x] != weights[*y]) return weights[*x] > weights[*y] ? -1 : 1;
    return *x < *y ? -1 : 1;
}

/* Probabilities of all ids: the formula above, then the filters over sorted doubles. */
static void expected_probabilities(const pd_sampler_desc *d, const float *logits,
                                   const uint32_t *ids, double *p) {
    uint32_t order[N], n = N;
    double total = 0, reached = 0;
    for (uint32_t i = 0; i < N; i++) {
        order[i] = i;
        weights[i] = exp(expected(d, (double)logits[i], i, ids, N_IDS) / (double)d->temp);
    }
    qsort(order, N, sizeof *order, compare_ids);
    while (n > 1 && weights[order[n - 1]] == 0) n--; /* forbidden */
    if (d->top_k > 0 && d->top_k < n) n = d->top_k;
    for (uint32_t i = 0; i < n; i++) total += weights[order[i]];
    uint32_t kept = 0;
    while (kept < n && (d->top_p == 0 || reached < (double)d->top_p * total))
        reached += weights[order[kept++]];
    while (kept > 1 && weights[order[kept - 1]] < (double)d->min_p * weights[order[0]]) kept--;
    total = 0;
    for (uint32_t i = 0; i < kept; i++) total += weights[order[i]];
    for (uint32_t i = 0; i < N; i++) p[i] = 0;
    for (uint32_t i = 0; i < kept; i++) p[order[i]] = weights[order[i]] / total;
}

/* A chi-squared variable of k degrees is, by Wilson and Hilferty (1931), close to
 * k (1 - 2/9k + z sqrt(2/9k))^3 at z standard deviations of a normal one; z = 4 is exceeded by one
 * test in 30 000. The seeds are fixed, so that what passes once passes always. */
static double chi_squared_limit(uint32_t k) {
    double part = 2.0 / (9.0 * k), root = 1 - part + 4 * sqrt(part);
    return k * root * root * root;
}

/* Cells that expect fewer than 10 draws are counted as one. */
static void expect_draws(const pd_sampler_desc *d, uint32_t seed) {
    float logits[N];
    uint32_t ids[N_IDS], counts[N + 1] = {0}, n_cells = 0;
    double p[N], chi = 0, rare = 0, n_rare = 0;
    make_logits(logits, N, seed);
    make_ids(ids, seed);
    expected_probabilities(d, logits, ids, p);
    pd_sampler s = make_sampler(*d);
    pd_sampler_scratch *scratch = make_scratch(N);
    for (int i = 0; i < N_DRAWS; i++) {
        uint32_t id = N;
        const float *out = pd_sampler_adjust(d, scratch, logits, N, ids, N_IDS);
        assert_int_equal(pd_sampler_pick(&s, scratch, out, N, NULL, &id, NULL), PD_OK);
        counts[id]++;
    }
    for (uint32_t i = 0; i < N; i++) {
        double want = p[i] * (double)N_DRAWS, off = counts[i] - want;
        if (want == 0) assert_int_equal(counts[i], 0);
        if (want >= 10) {
            chi += off * off / want;
            n_cells++;
        } else {
            rare += want;
            n_rare += counts[i];
        }
    }
    if (rare >= 10) chi += (n_rare - rare) * (n_rare - rare) / rare;
    n_cells += rare >= 10;
    if (n_cells > 1 && !(chi <= chi_squared_limit(n_cells - 1)))
        fail_msg("seed %u: chi-squared %g of %u cells, at most %g", seed, chi, n_cells,
                 chi_squared_limit(n_cells - 1));
    pd_sampler_scratch_destroy(scratch);
}

static void draws_follow_the_filters(void **state) {
    (void)state;
    static const pd_sampler_desc descs[] = {
        {.temp = 1, .repeat_penalty = 1.2f},
        {.temp = 0.7f, .top_k = 20, .presence_penalty = 1},
        {.temp = 1, .top_p = 0.8f, .frequency_penalty = 0.2f, .repeat_last_n = UINT32_MAX},
        {.temp = 1.5f, .min_p = 0.05f, .logit_bias = biases, .n_logit_bias = 5},
        {.temp = 1,
         .top_k = 40,
         .top_p = 0.95f,
         .min_p = 0.02f,
         .seed = 77,
         .repeat_penalty = 1.1f,
         .presence_penalty = 0.3f,
         .frequency_penalty = 0.1f,
         .logit_bias = biases,
         .n_logit_bias = 5},
    };
    for (uint32_t i = 0; i < sizeof descs / sizeof *descs; i++) expect_draws(&descs[i], i + 1);
}

/* ---- log-probabilities ---------------------------------------------------------------------- */

static void log_probs_are_a_log_softmax(void **state) {
    (void)state;
    float *logits = malloc(FULL * sizeof *logits);
    pd_log_prob top[PD_MAX_TOP_LOG_PROBS];
    long double sum = 0;
    make_logits(logits, FULL, 5);
    logits[100] = logits[200] = 9; /* equal ones by id */
    logits[262150] = 20;           /* counts, and cannot be drawn */
    logits[300] = -INFINITY;
    for (uint32_t i = 0; i < FULL; i++) sum += expl((long double)logits[i]);
    double log_sum = pd_log_sum_exp(logits, FULL);
    assert_true(fabs(log_sum - (double)logl(sum)) <= 1e-12 * fabs(log_sum));
    assert_int_equal(pd_top_log_probs(logits, FULL, log_sum, PD_MAX_TOP_LOG_PROBS, top),
                     PD_MAX_TOP_LOG_PROBS);
    assert_true(top[0].id == 100 && top[1].id == 200);
    for (uint32_t i = 0; i < PD_MAX_TOP_LOG_PROBS; i++) {
        double want = (double)logits[top[i].id] - (double)logl(sum);
        assert_true(fabs((double)top[i].log_prob - want) <= 0x1p-24 * fabs(want) * 1.001);
        if (i > 0) assert_true(top[i].log_prob <= top[i - 1].log_prob);
    }
    assert_int_equal(pd_top_log_probs(logits, FULL, log_sum, 0, top), 0);
    assert_int_equal(pd_top_log_probs(logits + 298, 4, log_sum, 9, top), 3);
    for (uint32_t i = 0; i < FULL; i++) logits[i] = 3e38f; /* no overflow */
    assert_true(fabs(pd_log_sum_exp(logits, FULL) - 3e38) < 1e31);
    free(logits);
}

/* ---- refusals ------------------------------------------------------------------------------- */

static void bad_settings_are_refused(void **state) {
    (void)state;
    static const pd_logit_bias nan = {5, NAN}, infinite = {6, INFINITY}, fine = {9, 1};
    static const struct {
        pd_sampler_desc desc;
        const char *says;
    } cases[] = {
        {{.repeat_penalty = -1}, "repeat_penalty is -1, but must be a number above 0"},
        {{.repeat_penalty = NAN}, "repeat_penalty is "},
        {{.repeat_penalty = INFINITY}, "repeat_penalty is inf, but must be a number above 0"},
        {{.presence_penalty = 2.5f}, "presence_penalty is 2.5, but must lie between -2 and 2"},
        {{.presence_penalty = NAN}, "presence_penalty is "},
        {{.frequency_penalty = -2.5f}, "frequency_penalty is -2.5, but must lie between -2 and 2"},
        {{.n_logit_bias = 1}, "logit_bias is NULL, but n_logit_bias is 1"},
        {{.logit_bias = &nan, .n_logit_bias = 1}, "the bias of token 5 is "},
        {{.logit_bias = &infinite, .n_logit_bias = 1},
         "the bias of token 6 is inf, but must be a number or -inf"},
    };
    pd_error err;
    pd_sampler s;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(pd_sampler_init(&s, &cases[i].desc, &err), PD_ERR_ARGUMENT);
        if (strncmp(err.message, cases[i].says, strlen(cases[i].says)) != 0)
            fail_msg("%s", err.message);
    }
    const pd_sampler_desc d = {.logit_bias = &fine, .n_logit_bias = 1};
    assert_int_equal(pd_sampler_check(&d, 10, &err), PD_OK);
    assert_int_equal(pd_sampler_check(&d, 9, &err), PD_ERR_ARGUMENT);
    assert_string_equal(err.message, "a bias is for token 9, but the vocabulary has 9");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(follows_the_formula),
        cmocka_unit_test(without_settings_nothing_changes),
        cmocka_unit_test(stays_finite),
        cmocka_unit_test(greedy_takes_the_adjusted_best),
        cmocka_unit_test(draws_follow_the_filters),
        cmocka_unit_test(log_probs_are_a_log_softmax),
        cmocka_unit_test(bad_settings_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
