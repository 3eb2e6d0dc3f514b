/* Stored formats: 16-bit floats over all their values, decoders against formulas written from the
 * layout table value by value, encoders by the error they leave.
 *
 * SPDX-License-Identifier: MIT
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "file/quant.h"

enum { N = 256 * 8, MAX_BYTES = 4 * N };

static uint64_t random_state;
static uint32_t random_u32(void) { /* splitmix64 */
    uint64_t z = random_state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return (uint32_t)((z ^ z >> 31) >> 32);
}
static float random_weight(void) { /* sum of uniforms: bell-shaped, about 0.02 wide */
    double sum = 0;
    for (int i = 0; i < 6; i++) sum += random_u32() / 4294967296.0 - 0.5;
    return (float)(sum * 0.03);
}

/* ---- types --------------------------------------------------------------------------------- */

static void test_types(void **state) {
    (void)state;
    uint32_t n;
    const pd_type_info *list = pd_type_list(&n);
    assert_int_equal(n, 11);
    for (uint32_t i = 0; i < n; i++) {
        assert_ptr_equal(pd_type_get((uint32_t)list[i].type), &list[i]);
        assert_ptr_equal(pd_type_find(list[i].name), &list[i]);
        assert_string_equal(pd_type_name((uint32_t)list[i].type), list[i].name);
        if (i > 0) assert_true(list[i].type > list[i - 1].type);
    }
    assert_int_equal(pd_type_find("q4_k")->type, PD_TYPE_Q4_K);
    assert_null(pd_type_find("Q2_K"));
    assert_null(pd_type_get(10));
    assert_null(pd_type_get(UINT32_MAX));
    assert_string_equal(pd_type_name(10), "Q2_K");
    assert_string_equal(pd_type_name(12345), "an unknown type");
    assert_int_equal(pd_type_row_bytes(pd_type_get(PD_TYPE_Q6_K), 512), 420);
}

/* llama.cpp's choices, for the widths of Gemma 3's matrices. */
static void test_rules(void **state) {
    (void)state;
    static const struct {
        pd_type wanted;
        uint64_t cols;
        pd_type expected;
    } rows[] = {
        {PD_TYPE_Q4_0, 640, PD_TYPE_Q4_0},  {PD_TYPE_Q6_K, 2560, PD_TYPE_Q6_K},
        {PD_TYPE_Q6_K, 1152, PD_TYPE_Q8_0}, {PD_TYPE_Q4_K, 1152, PD_TYPE_Q5_0},
        {PD_TYPE_Q5_K, 640, PD_TYPE_Q5_1},  {PD_TYPE_Q4_K, 6912, PD_TYPE_Q4_K},
        {PD_TYPE_Q8_0, 4304, PD_TYPE_F16},  {PD_TYPE_Q4_K, 4304, PD_TYPE_F16},
        {PD_TYPE_BF16, 4304, PD_TYPE_BF16}, {PD_TYPE_F32, 7, PD_TYPE_F32},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_int_equal(pd_type_fitting(rows[i].wanted, rows[i].cols), rows[i].expected);
    assert_int_equal(pd_type_embedding(PD_TYPE_Q4_0), PD_TYPE_Q6_K);
    assert_int_equal(pd_type_embedding(PD_TYPE_Q5_K), PD_TYPE_Q6_K);
    assert_int_equal(pd_type_embedding(PD_TYPE_Q8_0), PD_TYPE_Q8_0);
    assert_int_equal(pd_type_embedding(PD_TYPE_BF16), PD_TYPE_BF16);
    assert_int_equal(pd_type_file_number(PD_TYPE_Q4_K), 14);
}

/* ---- 16-bit floats ------------------------------------------------------------------------- */

static double f16_value(uint32_t h) {
    int exponent = h >> 10 & 31, mantissa = h & 1023;
    double sign = h >> 15 ? -1 : 1;
    if (exponent == 31) return mantissa ? (double)NAN : sign * (double)INFINITY;
    return sign * (exponent ? ldexp(1024 + mantissa, exponent - 25) : ldexp(mantissa, -24));
}

static void test_f16_all_values(void **state) {
    (void)state;
    for (uint32_t h = 0; h < 65536; h++) {
        float f = pd_f16_to_f32((uint16_t)h);
        double expected = f16_value(h);
        if (isnan(expected)) {
            assert_true(isnan(f));
            uint16_t back = pd_f32_to_f16(f);
            assert_true((back & 0x7c00) == 0x7c00 && (back & 0x3ff) != 0);
            assert_int_equal(back >> 15, h >> 15);
        } else {
            assert_true((double)f == expected && !signbit(f) == !signbit(expected));
            assert_int_equal(pd_f32_to_f16(f), h);
        }
    }
}

/* Between two neighbours everything goes to the nearer one, the middle to the even one. */
static void test_f16_rounding(void **state) {
    (void)state;
    for (uint32_t h = 0; h < 0x7c00; h++) {
        float low = (float)f16_value(h);
        float high = h == 0x7bff ? 65536.0f : (float)f16_value(h + 1);
        float middle = low + (high - low) / 2;
        uint32_t even = h % 2 ? h + 1 : h;
        assert_int_equal(pd_f32_to_f16(middle), even);
        assert_int_equal(pd_f32_to_f16(-middle), even | 0x8000);
        assert_int_equal(pd_f32_to_f16(nextafterf(middle, 0)), h);
        assert_int_equal(pd_f32_to_f16(nextafterf(middle, INFINITY)), h + 1);
    }
    assert_int_equal(pd_f32_to_f16(1e30f), 0x7c00);
    assert_int_equal(pd_f32_to_f16(-INFINITY), 0xfc00);
    assert_int_equal(pd_f32_to_f16(1e-40f), 0);
    assert_int_equal(pd_f32_to_f16(-0.0f), 0x8000);
}

static void test_bf16(void **state) {
    (void)state;
    for (uint32_t h = 0; h < 65536; h++) {
        float f = pd_bf16_to_f32((uint16_t)h), above;
        uint32_t bits, exponent = h & 0x7f80;
        memcpy(&bits, &f, 4);
        assert_int_equal(bits, h << 16);
        if (exponent == 0x7f80 && (h & 0x7f)) {
            assert_true(isnan(pd_bf16_to_f32(pd_f32_to_bf16(f))));
            continue;
        }
        assert_int_equal(pd_f32_to_bf16(f), h);
        if (exponent == 0x7f80) continue;
        bits = h << 16 | 0x8000; /* half-way to the next */
        memcpy(&above, &bits, 4);
        assert_int_equal(pd_f32_to_bf16(above), h % 2 ? h + 1 : h);
        bits++;
        memcpy(&above, &bits, 4);
        assert_int_equal(pd_f32_to_bf16(above), h + 1);
    }
    uint32_t payload = 0x7f800001; /* a NaN that truncation alone would turn into infinity */
    float f;
    memcpy(&f, &payload, 4);
    assert_true(isnan(pd_bf16_to_f32(pd_f32_to_bf16(f))));
}

/* ---- decoders ------------------------------------------------------------------------------ */

static double half_at(const uint8_t *p) {
    return f16_value((uint32_t)p[0] | (uint32_t)p[1] << 8);
}

/* S and M of sub-block s, straight from the formula. */
static void scale_min(const uint8_t *sc, int s, int *scale, int *min) {
    *scale = s < 4 ? sc[s] & 63 : (sc[s + 4] & 15) | (sc[s - 4] >> 6) << 4;
    *min = s < 4 ? sc[s + 4] & 63 : sc[s + 4] >> 4 | (sc[s] >> 6) << 4;
}

/* Value i of one block. */
static double value_q32(pd_type type, const uint8_t *b, int i) {
    bool has_min = type == PD_TYPE_Q4_1 || type == PD_TYPE_Q5_1;
    bool five = type == PD_TYPE_Q5_0 || type == PD_TYPE_Q5_1;
    const uint8_t *qh = b + (has_min ? 4 : 2), *qs = qh + (five ? 4 : 0);
    int q = i < 16 ? qs[i] % 16 : qs[i - 16] / 16;
    if (five && (qh[i / 8] >> i % 8 & 1)) q += 16;
    double d = half_at(b);
    return has_min ? d * q + half_at(b + 2) : d * (q - (five ? 16 : 8));
}

static double value_q45_k(bool five, const uint8_t *b, int i) {
    int s = i / 32, g = s / 2, l = i % 32, scale, min;
    const uint8_t *qs = b + (five ? 48 : 16);
    scale_min(b + 4, s, &scale, &min);
    int q = s % 2 ? qs[32 * g + l] / 16 : qs[32 * g + l] % 16;
    if (five && (b[16 + l] >> s & 1)) q += 16;
    return half_at(b) * scale * q - half_at(b + 2) * min;
}

static double value_q6_k(const uint8_t *b, int i) {
    int half = i / 128, k = i % 128 / 32, l = i % 32;
    const uint8_t *ql = b + 64 * half, *qh = b + 128 + 32 * half;
    int low[4] = {ql[l] & 15, ql[l + 32] & 15, ql[l] >> 4, ql[l + 32] >> 4};
    int q = (low[k] | (qh[l] >> 2 * k & 3) << 4) - 32;
    int scale = (int8_t)b[192 + 8 * half + l / 16 + 2 * k];
    return half_at(b + 208) * scale * q;
}

static double expected_value(const pd_type_info *t, const uint8_t *src, int i) {
    const uint8_t *b = src + (uint32_t)i / t->block_values * t->block_bytes;
    int k = (int)((uint32_t)i % t->block_values);
    switch (t->type) {
    case PD_TYPE_F32: {
        float f;
        memcpy(&f, b, 4);
        return (double)f;
    }
    case PD_TYPE_F16: return half_at(b);
    case PD_TYPE_BF16: {
        uint32_t bits = (uint32_t)b[0] << 16 | (uint32_t)b[1] << 24;
        float f;
        memcpy(&f, &bits, 4);
        return (double)f;
    }
    case PD_TYPE_Q8_0: return half_at(b) * (int8_t)b[2 + k];
    case PD_TYPE_Q4_K: return value_q45_k(false, b, k);
    case PD_TYPE_Q5_K: return value_q45_k(true, b, k);
    case PD_TYPE_Q6_K: return value_q6_k(b, k);
    default: return value_q32(t->type, b, k);
    }
}

/* Random bytes with every scale replaced by a tame one. */
static void random_blocks(const pd_type_info *t, uint8_t *dst) {
    for (uint32_t i = 0; i < MAX_BYTES; i++) dst[i] = (uint8_t)random_u32();
    for (uint32_t b = 0; b < N / t->block_values; b++) {
        uint8_t *block = dst + b * t->block_bytes;
        uint16_t d = pd_f32_to_f16(random_weight()), m = pd_f32_to_f16(random_weight());
        if (t->type == PD_TYPE_Q6_K) block += 208;
        if (t->type == PD_TYPE_F32) {
            float f = random_weight();
            memcpy(block, &f, 4);
            continue;
        }
        if (t->type == PD_TYPE_BF16) d = pd_f32_to_bf16(random_weight());
        memcpy(block, &d, 2);
        bool has_second = t->type == PD_TYPE_Q4_1 || t->type == PD_TYPE_Q5_1 ||
                          t->type == PD_TYPE_Q4_K || t->type == PD_TYPE_Q5_K;
        if (has_second) memcpy(block + 2, &m, 2);
    }
}

static void test_decoders(void **state) {
    (void)state;
    static uint8_t bytes[MAX_BYTES + 1];
    static float decoded[N];
    uint32_t n_types;
    const pd_type_info *types = pd_type_list(&n_types);
    random_state = 1;
    for (uint32_t k = 0; k < n_types; k++) {
        uint8_t *src = bytes + 1; /* no alignment */
        random_blocks(&types[k], src);
        pd_decode(types[k].type, src, N, decoded);
        for (int i = 0; i < N; i++) {
            /* The two terms are rounded to f32 each: relative to the larger one. */
            double expected = expected_value(&types[k], src, i);
            double error = fabs((double)decoded[i] - expected);
            if (!(error <= 2e-7 * (fabs(expected) + 8)) || isnan(expected))
                fail_msg("%s value %d: %g, expected %g", types[k].name, i, (double)decoded[i],
                         expected);
        }
    }
}

/* ---- encoders ------------------------------------------------------------------------------ */

/* Worst error of a block in units of its largest magnitude (or range, for types with a minimum):
 * half a step, and what f16 or 6-bit scales add. Relative RMS over all: a little above what a
 * uniform quantiser of that step leaves on these weights. */
static const struct {
    pd_type type;
    double worst, rms;
} encode_bounds[] = {
    {PD_TYPE_F32, 0, 0},
    {PD_TYPE_F16, 0.0005, 0.00022},
    {PD_TYPE_BF16, 0.004, 0.0017},
    {PD_TYPE_Q4_0, 0.127, 0.090}, /* the far side of the extreme's sign clips: one whole step */
    {PD_TYPE_Q4_1, 0.036, 0.080},
    {PD_TYPE_Q5_0, 0.0635, 0.045},
    {PD_TYPE_Q5_1, 0.019, 0.039},
    {PD_TYPE_Q8_0, 0.0046, 0.0056},
    {PD_TYPE_Q4_K, 0.065, 0.074},
    {PD_TYPE_Q5_K, 0.034, 0.037},
    {PD_TYPE_Q6_K, 0.018, 0.018},
};

static double span_of(const float *x, uint32_t n, bool range) {
    double min = (double)x[0], max = min, most = 0;
    for (uint32_t i = 0; i < n; i++) {
        min = fmin(min, (double)x[i]);
        max = fmax(max, (double)x[i]);
        most = fmax(most, fabs((double)x[i]));
    }
    return range ? max - min : most;
}

static void check_encoder(pd_type type, const float *x, double worst, double rms) {
    static uint8_t bytes[MAX_BYTES];
    static float back[N];
    const pd_type_info *t = pd_type_get((uint32_t)type);
    bool range = type == PD_TYPE_Q4_1 || type == PD_TYPE_Q5_1;
    double errors = 0, squares = 0;
    pd_encode(type, x, N, bytes);
    pd_decode(type, bytes, N, back);
    for (uint32_t b = 0; b < N; b += t->block_values) {
        double span = span_of(x + b, t->block_values, range);
        for (uint32_t i = b; i < b + t->block_values; i++) {
            double error = fabs((double)back[i] - (double)x[i]);
            if (!(error <= worst * span + 0x1p-25)) /* half of f16's smallest step */
                fail_msg("%s: error %g of a span %g", t->name, error, span);
            errors += error * error;
            squares += (double)x[i] * (double)x[i];
        }
    }
    if (!(sqrt(errors / squares) <= rms))
        fail_msg("%s: relative error %g, expected at most %g", t->name, sqrt(errors / squares),
                 rms);
}

static void test_encoders(void **state) {
    (void)state;
    static float x[N];
    random_state = 2;
    for (int i = 0; i < N; i++) x[i] = random_weight();
    for (size_t k = 0; k < sizeof encode_bounds / sizeof encode_bounds[0]; k++)
        check_encoder(encode_bounds[k].type, x, encode_bounds[k].worst, encode_bounds[k].rms);
}

/* What a type can hold exactly must come back exactly, after encode(decode(bytes)) as well. */
static void test_encoders_keep_what_fits(void **state) {
    (void)state;
    static const pd_type types[] = {PD_TYPE_F32,  PD_TYPE_F16,  PD_TYPE_BF16,
                                    PD_TYPE_Q8_0, PD_TYPE_Q4_0, PD_TYPE_Q5_0};
    static const int levels[] = {0, 0, 0, 127, 8, 16};
    static float x[N], back[N];
    static uint8_t bytes[MAX_BYTES];
    random_state = 3;
    for (size_t k = 0; k < sizeof types / sizeof types[0]; k++) {
        int top = levels[k] ? levels[k] : 8;
        for (int i = 0; i < N; i++) /* -top..top-1 in quarters; each block has the extreme -top */
            x[i] = 0.25f *
                   (float)(i % 32 == 5 ? -top : (int)(random_u32() % (2 * (uint32_t)top)) - top);
        pd_encode(types[k], x, N, bytes);
        pd_decode(types[k], bytes, N, back);
        assert_memory_equal(back, x, sizeof x);
    }
}

static void test_encoders_on_edges(void **state) {
    (void)state;
    static uint8_t bytes[MAX_BYTES];
    static float x[N], back[N];
    uint32_t n_types;
    const pd_type_info *types = pd_type_list(&n_types);
    for (uint32_t k = 0; k < n_types; k++) {
        memset(x, 0, sizeof x);
        pd_encode(types[k].type, x, N, bytes);
        pd_decode(types[k].type, bytes, N, back);
        for (int i = 0; i < N; i++) assert_true(back[i] == 0);
        for (int i = 0; i < N; i++) x[i] = i % 2 ? 0.5f : 0.25f; /* a minimum above zero */
        pd_encode(types[k].type, x, N, bytes);
        pd_decode(types[k].type, bytes, N, back);
        for (int i = 0; i < N; i++) assert_true(fabsf(back[i] - x[i]) <= 0.04f);
        for (int i = 0; i < N; i++) /* no value may be undefined behaviour */
            x[i] = i % 5 == 0 ? NAN : i % 5 == 1 ? INFINITY : i % 5 == 2 ? -1e38f : 1e-42f;
        pd_encode(types[k].type, x, N, bytes);
        pd_decode(types[k].type, bytes, N, back);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_types),
        cmocka_unit_test(test_f16_all_values),
        cmocka_unit_test(test_f16_rounding),
        cmocka_unit_test(test_bf16),
        cmocka_unit_test(test_decoders),
        cmocka_unit_test(test_rules),
        cmocka_unit_test(test_encoders),
        cmocka_unit_test(test_encoders_keep_what_fits),
        cmocka_unit_test(test_encoders_on_edges),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
