/* The sampler: the generator's published answers, each filter against a plain model of it, ties,
 * forbidden ids, settings, and errors.
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

#include "sample/sampler.h"

enum { FULL = 262208 };

static pd_sampler make_sampler(pd_sampler_desc desc) {
    pd_sampler s;
    pd_error err;
    if (pd_sampler_init(&s, &desc, &err) != PD_OK) fail_msg("%s", err.message);
    return s;
}

static pd_sampler_scratch *make_scratch(uint32_t n) {
    pd_sampler_scratch *scratch;
    assert_int_equal(pd_sampler_scratch_create(n, &scratch, NULL), PD_OK);
    return scratch;
}

static uint32_t draw(pd_sampler *s, pd_sampler_scratch *scratch, const float *logits, uint32_t n) {
    uint32_t id = UINT32_MAX;
    pd_error err;
    if (pd_sampler_pick(s, scratch, logits, n, NULL, &id, &err) != PD_OK)
        fail_msg("%s", err.message);
    return id;
}

/* Known answers of Random123's kat_vectors for philox4x32, 10 rounds. */
static void the_generator_gives_the_published_numbers(void **state) {
    (void)state;
    static const uint32_t counters[3][4] = {{0, 0, 0, 0},
                                            {0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF},
                                            {0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344}};
    static const uint32_t keys[3][2] = {{0, 0}, {0xFFFFFFFF, 0xFFFFFFFF}, {0xA4093822, 0x299F31D0}};
    static const uint32_t want[3][4] = {{0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8},
                                        {0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD},
                                        {0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1}};
    for (int i = 0; i < 3; i++) {
        uint32_t out[4];
        pd_philox(counters[i], keys[i], out);
        assert_memory_equal(out, want[i], sizeof out);
    }
}

static void greedy_takes_the_first_highest(void **state) {
    (void)state;
    const float logits[] = {-1, 3, 2, 3, -INFINITY};
    pd_sampler_scratch *scratch = make_scratch(5);
    pd_sampler s = make_sampler((pd_sampler_desc){.top_k = 3});
    assert_int_equal(draw(&s, scratch, logits, 5), 1);
    assert_int_equal(s.n_drawn, 0);
    pd_sampler_scratch_destroy(scratch);
}

/* ---- a plain model of the filters ---------------------------------------------------------- */

enum { N = 64, N_DRAWS = 20000 };

static const float *order_logits;

static int compare_ids(const void *a, const void *b) {
    const uint32_t *x = a, *y = b;
    float lx = order_logits[*x], ly = order_logits[*y];
    if (lx != ly) return lx > ly ? -1 : 1;
    return *x < *y ? -1 : 1;
}

/* Probability of each of N ids under the filters, everything sorted and in double. */
static void expected(const float *logits, pd_sampler_desc d, double *p) {
    uint32_t ids[N], n = N;
    double w[N], total = 0, reached = 0;
    for (uint32_t i = 0; i < N; i++) ids[i] = i;
    order_logits = logits;
    qsort(ids, N, sizeof *ids, compare_ids);
    if (d.top_k > 0 && d.top_k < n) n = d.top_k;
    for (uint32_t i = 0; i < n; i++) {
        w[i] = exp(((double)logits[ids[i]] - (double)logits[ids[0]]) / (double)d.temp);
        total += w[i];
    }
    if (d.top_p > 0 && d.top_p < 1) {
        uint32_t kept = 0;
        while (kept < n && reached < (double)d.top_p * total) reached += w[kept++];
        n = kept;
    }
    while (n > 1 && w[n - 1] < (double)d.min_p) n--;
    total = 0;
    for (uint32_t i = 0; i < n; i++) total += w[i];
    memset(p, 0, N * sizeof *p);
    for (uint32_t i = 0; i < n; i++) p[ids[i]] = w[i] / total;
}

/* Draws must never leave the expected set, and follow its probabilities: the chi-squared sum over
 * cells of at least 20 expected draws has a mean of cells - 1 and a variance of twice that; six
 * standard deviations above it would be a wonder. Seeds are fixed. */
static void expect_distribution(const float *logits, pd_sampler_desc desc) {
    double p[N], chi = 0, pooled = 0, n_pooled = 0;
    uint32_t counts[N] = {0}, cells = 0;
    pd_sampler s = make_sampler(desc);
    pd_sampler_scratch *scratch = make_scratch(N);
    expected(logits, desc, p);
    for (int i = 0; i < N_DRAWS; i++) counts[draw(&s, scratch, logits, N)]++;
    assert_int_equal(s.n_drawn, N_DRAWS);
    for (int i = 0; i < N; i++) {
        double want = p[i] * (double)N_DRAWS, off = counts[i] - want;
        if (p[i] == 0) assert_int_equal(counts[i], 0);
        if (want >= 20) {
            chi += off * off / want;
            cells++;
        } else {
            pooled += want;
            n_pooled += counts[i];
        }
    }
    if (pooled >= 20) {
        chi += (n_pooled - pooled) * (n_pooled - pooled) / pooled;
        cells++;
    }
    double freedom = cells > 1 ? cells - 1 : 1;
    assert_true(chi <= freedom + 6 * sqrt(2 * freedom));
    pd_sampler_scratch_destroy(scratch);
}

static void make_logits(float *logits, uint32_t n, uint32_t seed) {
    for (uint32_t i = 0; i < n; i++) {
        seed = seed * 1664525u + 1013904223u;
        logits[i] = (float)(seed >> 20) / 512.0f; /* 0 to 8, with ties */
    }
}

static void draws_follow_the_filters(void **state) {
    (void)state;
    static const pd_sampler_desc descs[] = {
        {.temp = 1},
        {.temp = 0.5f},
        {.temp = 3, .top_k = 5},
        {.temp = 1, .top_k = 1},
        {.temp = 1, .top_k = 64, .top_p = 0.95f},
        {.temp = 1, .top_k = 1000},
        {.temp = 1, .top_p = 0.5f},
        {.temp = 1, .top_p = 0.999f},
        {.temp = 1, .top_p = 0.001f},
        {.temp = 1, .min_p = 0.1f},
        {.temp = 1, .min_p = 1},
        {.temp = 2, .top_k = 40, .top_p = 0.9f, .min_p = 0.02f, .seed = UINT64_MAX},
    };
    float logits[N];
    for (size_t i = 0; i < sizeof descs / sizeof *descs; i++) {
        make_logits(logits, N, (uint32_t)i + 1);
        expect_distribution(logits, descs[i]);
    }
    for (int i = 0; i < N; i++) logits[i] = 2; /* all equal: the lowest ids are the best */
    expect_distribution(logits, (pd_sampler_desc){.temp = 1, .top_k = 7});
    expect_distribution(logits, (pd_sampler_desc){.temp = 1, .top_p = 0.3f});
}

static void a_tiny_temperature_is_greedy(void **state) {
    (void)state;
    float logits[N];
    make_logits(logits, N, 99);
    logits[17] = 20;
    pd_sampler s = make_sampler((pd_sampler_desc){.temp = 1e-38f, .top_p = 0.9f});
    pd_sampler_scratch *scratch = make_scratch(N);
    for (int i = 0; i < 50; i++) assert_int_equal(draw(&s, scratch, logits, N), 17);
    pd_sampler_scratch_destroy(scratch);
}

static void a_draw_depends_on_seed_and_counter_alone(void **state) {
    (void)state;
    float logits[N];
    uint32_t first[100], other = 0;
    make_logits(logits, N, 5);
    pd_sampler_scratch *scratch = make_scratch(N);
    pd_sampler a = make_sampler((pd_sampler_desc){.temp = 2, .seed = 1});
    for (int i = 0; i < 100; i++) first[i] = draw(&a, scratch, logits, N);
    for (uint32_t i = 100; i-- > 0;) { /* any order, any sampler */
        pd_sampler b = make_sampler((pd_sampler_desc){.temp = 2, .seed = 1});
        pd_sampler c = make_sampler((pd_sampler_desc){.temp = 2, .seed = 1ull << 32});
        b.n_drawn = c.n_drawn = i;
        assert_int_equal(draw(&b, scratch, logits, N), first[i]);
        other += draw(&c, scratch, logits, N) != first[i];
    }
    assert_true(other > 50);
    pd_sampler_scratch_destroy(scratch);
}

/* Image markers and padding get the highest logits, and still never come. */
static void forbidden_ids_never_come(void **state) {
    (void)state;
    static const pd_sampler_desc descs[] = {
        {0}, {.temp = 1}, {.temp = 1, .top_k = 4}, {.temp = 1, .top_p = 0.9f}};
    float *logits = malloc(FULL * sizeof *logits);
    pd_sampler_scratch *scratch = make_scratch(FULL);
    for (uint32_t i = 0; i < FULL; i++) logits[i] = i >= 262144 ? 50.0f : 0.0f;
    logits[PD_TOKEN_START_OF_IMAGE] = logits[PD_TOKEN_END_OF_IMAGE] = 60;
    logits[262143] = 40;
    logits[262150] = NAN; /* padding rows hold anything */
    for (size_t i = 0; i < sizeof descs / sizeof *descs; i++) {
        pd_sampler s = make_sampler(descs[i]);
        for (int k = 0; k < 5; k++) assert_int_equal(draw(&s, scratch, logits, FULL), 262143);
    }
    assert_true(pd_sample_may(262143, FULL));
    assert_false(pd_sample_may(262144, FULL));
    assert_false(pd_sample_may(600, 600));
    free(logits);
    pd_sampler_scratch_destroy(scratch);
}

/* All weights of a full vocabulary, top-p alone: the set is exactly the smallest one. */
static void top_p_over_a_full_vocabulary(void **state) {
    (void)state;
    float *logits = malloc(FULL * sizeof *logits);
    pd_sampler_scratch *scratch = make_scratch(FULL);
    for (uint32_t i = 0; i < FULL; i++) logits[i] = i % 1000 == 7 ? 12.0f : 0.0f;
    /* 263 ids at e^12 carry 0.9939 of the mass; half of it needs the first 133 of them. */
    pd_sampler s = make_sampler((pd_sampler_desc){.temp = 1, .top_p = 0.5f, .seed = 3});
    uint32_t highest = 0;
    for (int k = 0; k < 100; k++) {
        uint32_t id = draw(&s, scratch, logits, FULL);
        assert_int_equal(id % 1000, 7);
        if (id > highest) highest = id;
    }
    assert_true(highest <= 132007);
    assert_true(highest > 100000);
    free(logits);
    pd_sampler_scratch_destroy(scratch);
}

/* What a mask leaves is drawn from as if nothing else had a chance. */
static void masks_leave_out(void **state) {
    (void)state;
    static const pd_sampler_desc descs[] = {{0},
                                            {.temp = 1},
                                            {.temp = 1, .top_k = 40},
                                            {.temp = 2, .top_k = 300},
                                            {.temp = 1, .top_p = 0.9f, .min_p = 0.01f}};
    float logits[N], left[N];
    uint32_t mask[N / 32 + 1] = {0}, id;
    const uint32_t nothing[N / 32 + 1] = {0};
    pd_error err;
    pd_sampler_scratch *scratch = make_scratch(N);
    make_logits(logits, N, 4);
    for (uint32_t i = 0; i < N; i++) {
        bool in = i % 7 == 3 && i % 64 > 32;
        mask[i / 32] |= (uint32_t)in << i % 32;
        left[i] = in ? logits[i] : -INFINITY;
    }
    for (size_t i = 0; i < sizeof descs / sizeof *descs; i++) {
        pd_sampler s = make_sampler(descs[i]), plain = s;
        for (int k = 0; k < 30; k++) {
            assert_int_equal(pd_sampler_pick(&s, scratch, logits, N, mask, &id, &err), PD_OK);
            assert_int_equal(id, draw(&plain, scratch, left, N));
        }
        uint64_t n_drawn = s.n_drawn;
        assert_int_equal(pd_sampler_pick(&s, scratch, logits, N, nothing, &id, &err),
                         PD_ERR_NUMERIC);
        assert_string_equal(err.message, "none of the tokens that may be drawn has a finite logit");
        assert_int_equal(s.n_drawn, n_drawn);
    }
    pd_sampler_scratch_destroy(scratch);
}

static void bad_logits_are_errors(void **state) {
    (void)state;
    float logits[N];
    uint32_t id;
    pd_error err;
    pd_sampler s = make_sampler((pd_sampler_desc){.temp = 1});
    pd_sampler_scratch *scratch = make_scratch(N);
    make_logits(logits, N, 1);
    logits[40] = NAN;
    assert_int_equal(pd_sampler_pick(&s, scratch, logits, N, NULL, &id, &err), PD_ERR_NUMERIC);
    assert_string_equal(err.message, "the logit of token 40 is NaN, but must be finite");
    logits[40] = INFINITY;
    assert_int_equal(pd_sampler_pick(&s, scratch, logits, N, NULL, &id, &err), PD_ERR_NUMERIC);
    for (int i = 0; i < N; i++) logits[i] = -INFINITY;
    assert_int_equal(pd_sampler_pick(&s, scratch, logits, N, NULL, &id, &err), PD_ERR_NUMERIC);
    assert_int_equal(pd_sampler_pick(&s, scratch, logits, N + 1, NULL, &id, &err), PD_ERR_ARGUMENT);
    assert_int_equal(s.n_drawn, 0);
    logits[3] = -1e30f;
    assert_int_equal(draw(&s, scratch, logits, N), 3);
    pd_sampler_scratch_destroy(scratch);
}

static void bad_settings_are_refused(void **state) {
    (void)state;
    static const pd_sampler_desc descs[] = {{.temp = -1},     {.temp = NAN},   {.temp = INFINITY},
                                            {.top_p = -0.1f}, {.top_p = 1.5f}, {.top_p = NAN},
                                            {.min_p = -1},    {.min_p = 2},    {.min_p = NAN}};
    for (size_t i = 0; i < sizeof descs / sizeof *descs; i++) {
        pd_sampler s;
        pd_error err;
        assert_int_equal(pd_sampler_init(&s, &descs[i], &err), PD_ERR_ARGUMENT);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_generator_gives_the_published_numbers),
        cmocka_unit_test(greedy_takes_the_first_highest),
        cmocka_unit_test(draws_follow_the_filters),
        cmocka_unit_test(a_tiny_temperature_is_greedy),
        cmocka_unit_test(a_draw_depends_on_seed_and_counter_alone),
        cmocka_unit_test(forbidden_ids_never_come),
        cmocka_unit_test(top_p_over_a_full_vocabulary),
        cmocka_unit_test(masks_leave_out),
        cmocka_unit_test(bad_logits_are_errors),
        cmocka_unit_test(bad_settings_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
