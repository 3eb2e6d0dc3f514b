/* Statistics of a tensor's values, and what they tell.
 *
 * Wrong, because no trained model has it and none computes with it:
 *     - NaN, infinity
 *     - magnitudes above 65504, the largest f16: products with them overflow on every GPU
 *     - a weight of nothing but zeros: a hole in the file
 * Odd, because damage looks like that, while some model may well have it:
 *     - in a matrix, a value over 1000 times the mean magnitude: a flipped high bit in the exponent
 *       of a block's f16 scale multiplies 32 or 256 values by 2^8 or 2^16. (Bell-shaped values stay
 *       below 10 times; the room between is for outliers of training.)
 *     - more zeros than other values
 *
 * SPDX-License-Identifier: MIT
 */
#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "pack/verify.h"

#define LARGEST_F16 65504.0f
#define ODD_RATIO   1000.0

void verify_count(const float *x, uint64_t n, uint64_t first, verify_stats *out) {
    verify_stats s = {.n = n, .min = FLT_MAX, .max = -FLT_MAX};
    for (uint64_t i = 0; i < n; i++) {
        float magnitude = fabsf(x[i]);
        if (!(magnitude <= FLT_MAX)) {
            if (s.n_bad++ == 0) s.first_bad = first + i;
            continue;
        }
        s.n_zero += magnitude == 0;
        s.min = x[i] < s.min ? x[i] : s.min;
        s.max = x[i] > s.max ? x[i] : s.max;
        if (magnitude > s.largest) {
            s.largest = magnitude;
            s.largest_at = first + i;
        }
        s.sum += (double)x[i];
        s.sum_abs += (double)magnitude;
        s.sum_sq += (double)x[i] * (double)x[i];
    }
    *out = s;
}

void verify_add(verify_stats *sum, const verify_stats *more) {
    if (sum->n == 0) {
        *sum = *more;
        return;
    }
    if (sum->n_bad == 0) sum->first_bad = more->first_bad;
    if (more->largest > sum->largest) {
        sum->largest = more->largest;
        sum->largest_at = more->largest_at;
    }
    sum->n += more->n;
    sum->n_bad += more->n_bad;
    sum->n_zero += more->n_zero;
    sum->min = fminf(sum->min, more->min);
    sum->max = fmaxf(sum->max, more->max);
    sum->sum += more->sum;
    sum->sum_abs += more->sum_abs;
    sum->sum_sq += more->sum_sq;
}

static bool is_weight(const pd_tensor *t) {
    static const char suffix[] = ".weight";
    size_t n = strlen(t->name), m = sizeof suffix - 1;
    return n >= m && strcmp(t->name + n - m, suffix) == 0;
}

void verify_judge(const pd_tensor *t, const verify_stats *s, verify_finding *out) {
    char *wrong = out->wrong, *odd = out->odd;
    wrong[0] = odd[0] = '\0';
    double mean = s->n > s->n_bad ? s->sum_abs / (double)(s->n - s->n_bad) : 0;
    if (s->n_bad > 0) {
        snprintf(wrong, VERIFY_TEXT_BYTES,
                 "%" PRIu64 " of %" PRIu64 " values are NaN or infinite, the first at %" PRIu64,
                 s->n_bad, s->n, s->first_bad);
    } else if (s->largest > LARGEST_F16) {
        snprintf(wrong, VERIFY_TEXT_BYTES,
                 "value %" PRIu64 " has the magnitude %g; GPUs compute with at most 65504",
                 s->largest_at, (double)s->largest);
    } else if (s->n_zero == s->n && is_weight(t)) {
        snprintf(wrong, VERIFY_TEXT_BYTES, "all %" PRIu64 " values are zero", s->n);
    } else if (t->n_dims > 1 && (double)s->largest > ODD_RATIO * mean) {
        snprintf(odd, VERIFY_TEXT_BYTES,
                 "value %" PRIu64 " has the magnitude %g, %.0f times the mean of %g", s->largest_at,
                 (double)s->largest, (double)s->largest / mean, mean);
    } else if (s->n_zero > s->n / 2 && s->n_zero < s->n) {
        snprintf(odd, VERIFY_TEXT_BYTES, "%.1f %% of the values are zero",
                 100.0 * (double)s->n_zero / (double)s->n);
    }
}
