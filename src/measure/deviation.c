/* See deviation.h.  SPDX-License-Identifier: MIT */
#include "measure/deviation.h"

#include <math.h>
#include <stddef.h>

typedef struct row_errors {
    double error, squares; /* sums of e^2 and expected^2 */
    double largest;        /* |e| */
    uint32_t column;       /* of that */
} row_errors;

static row_errors errors_of(const float *got, const float *expected, uint32_t width) {
    row_errors r = {0};
    for (uint32_t i = 0; i < width; i++) {
        double e = (double)got[i] - (double)expected[i];
        if (!isfinite(e)) e = INFINITY;
        r.error += e * e;
        r.squares += (double)expected[i] * (double)expected[i];
        if (fabs(e) > r.largest) {
            r.largest = fabs(e);
            r.column = i;
        }
    }
    return r;
}

static double ratio(double error, double squares) {
    if (error == 0) return 0;
    return isfinite(error) && squares > 0 ? error / squares : INFINITY;
}

pd_deviation pd_deviation_of(const float *got, const float *expected, uint32_t n_rows,
                             uint32_t width) {
    pd_deviation d = {0};
    double error = 0, squares = 0;
    for (uint32_t r = 0; r < n_rows; r++) {
        row_errors e = errors_of(got + (size_t)r * width, expected + (size_t)r * width, width);
        double nmse = ratio(e.error, e.squares);
        double worst = sqrt(ratio(e.largest * e.largest, e.squares / width));
        error += e.error;
        squares += e.squares;
        if (nmse > d.row_nmse) d.row_nmse = nmse;
        if (worst <= d.worst) continue;
        d.worst = worst;
        d.worst_row = r;
        d.worst_column = e.column;
        d.worst_got = got[(size_t)r * width + e.column];
        d.worst_expected = expected[(size_t)r * width + e.column];
    }
    d.nmse = ratio(error, squares);
    return d;
}
