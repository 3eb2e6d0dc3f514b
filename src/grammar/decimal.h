/* Decimal numbers within bounds, as trees.  SPDX-License-Identifier: MIT */
#ifndef PD_GRAMMAR_DECIMAL_H
#define PD_GRAMMAR_DECIMAL_H

#include "grammar/rules.h"

/* Fifteen digits: every such number is told apart by a double. */
#define PD_DECIMAL_MAX INT64_C(999999999999999)
enum { PD_DECIMAL_DIGITS = 15 };

/* Integers first..last, of at most PD_DECIMAL_MAX either way, without leading zeros and without a
 * negative zero. */
pd_node pd_decimal_integers(pd_rules *r, int64_t first, int64_t last);

/* Numbers first..last in units of 10^-places (1..14), with up to so many digits behind the point,
 * or none. */
pd_node pd_decimal_fractions(pd_rules *r, int64_t first, int64_t last, uint32_t places);

#endif
