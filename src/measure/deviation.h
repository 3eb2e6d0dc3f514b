/* How far values are from what they should be.  SPDX-License-Identifier: MIT */
#ifndef PD_MEASURE_DEVIATION_H
#define PD_MEASURE_DEVIATION_H

#include <stdint.h>

/* Of values [n_rows, width], with e = got - expected. Infinite where a value is not finite, or not
 * zero where nothing but zeros is expected. */
typedef struct pd_deviation {
    double nmse;     /* sum e^2 / sum expected^2 over all rows */
    double row_nmse; /* the same of the row in which it is largest: an error in few rows shows */
    double worst;    /* the largest |e|, of that row's root mean square of expected */
    uint32_t worst_row, worst_column;
    float worst_got, worst_expected;
} pd_deviation;

pd_deviation pd_deviation_of(const float *got, const float *expected, uint32_t n_rows,
                             uint32_t width);

#endif
