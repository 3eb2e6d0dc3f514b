/* See schema_reader.h: numbers. Validators read them as doubles, so that integers have at most 15
 * digits, and so have numbers within bounds together with their fraction; only numbers without
 * bounds may have an exponent.
 *
 * SPDX-License-Identifier: MIT
 */
#include "grammar/schema_reader.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "grammar/decimal.h"

enum { MAX_PLACES = 12, USUAL_PLACES = 6, MAX_LISTED = 1000, MAX_REMAINDERS = 256 };

typedef struct bound {
    double value;
    bool is_there, is_exclusive;
} bound;

typedef struct number {
    pd_schema_reader *s;
    const pd_schema_leaf *leaf;
    bound low, high;
    int64_t factor; /* of multipleOf; 0: none */
    bool is_integer;
    const cJSON *at;
} number;

/* ---- reading --------------------------------------------------------------------------------- */

static void raise_low(number *x, double value, bool is_exclusive) {
    bool is_higher = value > x->low.value || (value == x->low.value && is_exclusive);
    if (!x->low.is_there || is_higher) x->low = (bound){value, true, is_exclusive};
}

static void reduce_high(number *x, double value, bool is_exclusive) {
    bool is_lower = value < x->high.value || (value == x->high.value && is_exclusive);
    if (!x->high.is_there || is_lower) x->high = (bound){value, true, is_exclusive};
}

static pd_status read_bounds(number *x, const cJSON *schema) {
    bool has;
    double value;
    PD_TRY(pd_schema_get_number(x->s, schema, "minimum", &has, &value));
    if (has) raise_low(x, value, false);
    PD_TRY(pd_schema_get_number(x->s, schema, "exclusiveMinimum", &has, &value));
    if (has) raise_low(x, value, true);
    PD_TRY(pd_schema_get_number(x->s, schema, "maximum", &has, &value));
    if (has) reduce_high(x, value, false);
    PD_TRY(pd_schema_get_number(x->s, schema, "exclusiveMaximum", &has, &value));
    if (has) reduce_high(x, value, true);
    return PD_OK;
}

static int64_t common_divisor(int64_t a, int64_t b) {
    while (b) {
        int64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

static pd_status read_factor(number *x, const cJSON *schema) {
    bool has;
    double value;
    PD_TRY(pd_schema_get_number(x->s, schema, "multipleOf", &has, &value));
    if (!has) return PD_OK;
    if (value <= 0) return PD_SCHEMA_REFUSE(x->s, schema, "\"multipleOf\" has to be above 0");
    if (value != floor(value) || value > (double)PD_DECIMAL_MAX)
        return PD_SCHEMA_REFUSE(x->s, schema, "\"multipleOf\" is supported for integers alone");
    int64_t factor = (int64_t)value, divisor = common_divisor(x->factor ? x->factor : 1, factor);
    if (!x->factor) x->factor = divisor = 1;
    if (factor / divisor > PD_DECIMAL_MAX / x->factor)
        return PD_SCHEMA_REFUSE(x->s, schema, "\"multipleOf\" is too large");
    x->factor *= factor / divisor;
    return PD_OK;
}

/* Those of OpenAPI that say something about numbers. */
static pd_status read_format(number *x, const cJSON *schema) {
    const cJSON *format = pd_schema_get(schema, "format");
    if (!format) return PD_OK;
    if (!cJSON_IsString(format))
        return PD_SCHEMA_REFUSE(x->s, schema, "\"format\" has to be a text");
    bool is_short = strcmp(format->valuestring, "int32") == 0;
    x->is_integer |= is_short || strcmp(format->valuestring, "int64") == 0;
    if (is_short) raise_low(x, INT32_MIN, false);
    if (is_short) reduce_high(x, INT32_MAX, false);
    return PD_OK;
}

static pd_status read(number *x) {
    for (uint32_t i = 0; i < x->leaf->n; i++) {
        PD_TRY(read_bounds(x, x->leaf->list[i]));
        PD_TRY(read_factor(x, x->leaf->list[i]));
        PD_TRY(read_format(x, x->leaf->list[i]));
    }
    return PD_OK;
}

/* ---- integers -------------------------------------------------------------------------------- */

static int64_t within_digits(double value) {
    const double max = (double)PD_DECIMAL_MAX;
    return value > max ? PD_DECIMAL_MAX + 1 : value < -max ? -PD_DECIMAL_MAX - 1 : (int64_t)value;
}

static void integer_range(const number *x, int64_t *first, int64_t *last) {
    *first = -PD_DECIMAL_MAX;
    *last = PD_DECIMAL_MAX;
    if (x->low.is_there) {
        double value = ceil(x->low.value);
        int64_t low = within_digits(value);
        if (x->low.is_exclusive && value == x->low.value) low++;
        if (low > *first) *first = low;
    }
    if (x->high.is_there) {
        double value = floor(x->high.value);
        int64_t high = within_digits(value);
        if (x->high.is_exclusive && value == x->high.value) high--;
        if (high < *last) *last = high;
    }
}

static pd_node never(const number *x) {
    return pd_schema_never(x->s, x->at, "no number of up to %d digits is within the bounds",
                           PD_DECIMAL_DIGITS);
}

/* What an integer is followed by to be multiplied by 10^n; 0 stays 0. */
static pd_node times_ten(pd_rules *r, int64_t first, int64_t last, uint32_t n) {
    const pd_node zeros = pd_rules_repeat(r, pd_rules_char(r, '0'), n, n);
    const pd_node above[] = {pd_decimal_integers(r, first > 1 ? first : 1, last), zeros};
    const pd_node below[] = {pd_decimal_integers(r, first, last < -1 ? last : -1), zeros};
    pd_node parts[3];
    uint32_t n_parts = 0;
    if (first <= 0 && last >= 0) parts[n_parts++] = pd_rules_char(r, '0');
    if (last > 0) parts[n_parts++] = pd_rules_seq(r, above, 2);
    if (first < 0) parts[n_parts++] = pd_rules_seq(r, below, 2);
    return pd_rules_alt(r, parts, n_parts);
}

static pd_status listed(number *x, int64_t first, int64_t last, pd_node *out) {
    pd_node *each = pd_arena_alloc(&x->s->arena, (size_t)(last - first) + 1, sizeof *each);
    uint32_t n = 0;
    if (!each) return pd_schema_no_memory(x->s);
    for (int64_t i = first; i <= last; i++)
        each[n++] = pd_decimal_integers(x->s->r, i * x->factor, i * x->factor);
    *out = pd_rules_alt(x->s->r, each, n);
    return PD_OK;
}

/* Up to `digits` digits behind which a remainder is `rest`, so that it is 0 at the end: rules
 * [digits left][remainder], of which `made` holds those of one digit less. */
static pd_node digits_to_zero(pd_rules *r, const uint32_t *less, int64_t factor, int64_t rest) {
    pd_node parts[11];
    uint32_t n = 0;
    if (rest == 0) parts[n++] = pd_rules_seq(r, NULL, 0);
    for (uint32_t digit = 0; digit < 10 && less; digit++) {
        const pd_node two[] = {pd_rules_char(r, '0' + digit),
                               pd_rules_use(r, less[(10 * rest + digit) % factor])};
        parts[n++] = pd_rules_seq(r, two, 2);
    }
    return pd_rules_alt(r, parts, n);
}

/* Multiples without bounds: the remainder of the digits so far is what counts. */
static pd_node by_remainders(pd_rules *r, int64_t factor, uint32_t n_digits) {
    uint32_t rules[2][MAX_REMAINDERS];
    pd_node firsts[10];
    for (uint32_t left = 0; left < n_digits; left++)
        for (int64_t rest = 0; rest < factor; rest++) {
            uint32_t rule = pd_rules_new(r), *less = left ? rules[(left - 1) % 2] : NULL;
            pd_rules_give(r, rule, digits_to_zero(r, less, factor, rest));
            rules[left % 2][rest] = rule;
        }
    for (uint32_t digit = 1; digit < 10; digit++) {
        const pd_node two[] = {pd_rules_char(r, '0' + digit),
                               pd_rules_use(r, rules[(n_digits - 1) % 2][digit % factor])};
        firsts[digit - 1] = pd_rules_seq(r, two, 2);
    }
    const pd_node with_sign[] = {pd_rules_optional(r, pd_rules_char(r, '-')),
                                 pd_rules_alt(r, firsts, 9)};
    const pd_node both[] = {pd_rules_char(r, '0'), pd_rules_seq(r, with_sign, 2)};
    return pd_rules_alt(r, both, 2);
}

static int64_t floor_div(int64_t a, int64_t b) {
    return a / b - (a % b != 0 && a < 0);
}

static pd_status multiples(number *x, int64_t first, int64_t last, pd_node *out) {
    int64_t factor = x->factor, low = -floor_div(-first, factor), high = floor_div(last, factor);
    bool is_free = first == -PD_DECIMAL_MAX && last == PD_DECIMAL_MAX;
    uint32_t tens = 0;
    while (factor % 10 == 0) {
        factor /= 10;
        tens++;
    }
    if (low > high)
        *out = never(x);
    else if (factor == 1)
        *out = times_ten(x->s->r, low, high, tens);
    else if (high - low < MAX_LISTED)
        return listed(x, low, high, out);
    else if (is_free && x->factor <= MAX_REMAINDERS)
        *out = by_remainders(x->s->r, x->factor, PD_DECIMAL_DIGITS);
    else
        return PD_SCHEMA_REFUSE(x->s, x->at,
                                "\"multipleOf\" is supported without bounds up to %d, and with "
                                "bounds that leave up to %d numbers",
                                MAX_REMAINDERS, MAX_LISTED);
    return PD_OK;
}

static pd_status make_integer(number *x, pd_node *out) {
    int64_t first, last;
    integer_range(x, &first, &last);
    if (first > last) {
        *out = never(x);
        return PD_OK;
    }
    if (x->factor > 1) return multiples(x, first, last, out);
    *out = pd_decimal_integers(x->s->r, first, last);
    return PD_OK;
}

/* ---- numbers --------------------------------------------------------------------------------- */

/* Digits behind the point with which a bound is written exactly; MAX_PLACES if it takes more. */
static uint32_t places_of(const bound *b) {
    char text[64];
    if (!b->is_there || fabs(b->value) > (double)PD_DECIMAL_MAX) return 0;
    for (uint32_t places = 0; places < MAX_PLACES; places++) {
        snprintf(text, sizeof text, "%.*f", (int)places, b->value);
        if (strtod(text, NULL) == b->value) return places;
    }
    return MAX_PLACES;
}

static uint32_t integer_digits(double value) {
    uint32_t n = 1;
    for (value = fabs(value); value >= 10; value /= 10) n++;
    return n;
}

/* The number in units of 10^-places that is nearest to a bound and within it; towards: 1 for a
 * lower bound, -1 for an upper. */
static int64_t scaled(const bound *b, uint32_t places, int towards) {
    char text[64];
    snprintf(text, sizeof text, "%.*f", (int)places, b->value);
    double rounded = strtod(text, NULL);
    char *point = strchr(text, '.');
    if (point) memmove(point, point + 1, strlen(point));
    int64_t value = strtoll(text, NULL, 10);
    bool is_outside = towards > 0 ? rounded < b->value : rounded > b->value;
    if (is_outside || (b->is_exclusive && rounded == b->value)) value += towards;
    return value;
}

static int64_t largest(uint32_t n_digits) {
    int64_t value = 1;
    while (n_digits-- > 0) value *= 10;
    return value - 1;
}

/* Fractions within bounds that are there and not beyond what 15 digits hold. */
static pd_status make_fractions(number *x, pd_node *out) {
    uint32_t places = USUAL_PLACES, digits = 1;
    bool is_open = !x->low.is_there || !x->high.is_there;
    if (x->low.is_there && integer_digits(x->low.value) > digits)
        digits = integer_digits(x->low.value);
    if (x->high.is_there && integer_digits(x->high.value) > digits)
        digits = integer_digits(x->high.value);
    if (places_of(&x->low) > places) places = places_of(&x->low);
    if (places_of(&x->high) > places) places = places_of(&x->high);
    if (digits + places > PD_DECIMAL_DIGITS)
        places = digits < PD_DECIMAL_DIGITS ? PD_DECIMAL_DIGITS - digits : 0;
    if (places == 0) return make_integer(x, out);
    int64_t first = -largest(PD_DECIMAL_DIGITS), last = -first;
    if (x->low.is_there) first = scaled(&x->low, places, 1);
    if (x->high.is_there) last = scaled(&x->high, places, -1);
    if (first > last) *out = never(x);
    pd_node fractions = pd_decimal_fractions(x->s->r, first, last, places), integers;
    *out = fractions;
    if (!is_open || first > last) return PD_OK;
    PD_TRY(make_integer(x, &integers)); /* of more digits than leave room for a fraction */
    const pd_node both[] = {fractions, integers};
    *out = pd_rules_alt(x->s->r, both, 2);
    return PD_OK;
}

/* -?(0|[1-9][0-9]{0,15})(\.[0-9]{1,16})?([eE][+-]?[0-9]{1,2})? */
static pd_node any_number(pd_rules *r) {
    static const pd_char_range digit = {'0', '9'}, nonzero = {'1', '9'};
    static const pd_char_range e[] = {{'e', 'e'}, {'E', 'E'}}, sign[] = {{'+', '+'}, {'-', '-'}};
    pd_node d = pd_rules_set(r, &digit, 1, false);
    const pd_node large[] = {pd_rules_set(r, &nonzero, 1, false), pd_rules_repeat(r, d, 0, 15)};
    const pd_node whole[] = {pd_rules_char(r, '0'), pd_rules_seq(r, large, 2)};
    const pd_node fraction[] = {pd_rules_char(r, '.'), pd_rules_repeat(r, d, 1, 16)};
    const pd_node exponent[] = {pd_rules_set(r, e, 2, false),
                                pd_rules_optional(r, pd_rules_set(r, sign, 2, false)),
                                pd_rules_repeat(r, d, 1, 2)};
    const pd_node all[] = {pd_rules_optional(r, pd_rules_char(r, '-')), pd_rules_alt(r, whole, 2),
                           pd_rules_optional(r, pd_rules_seq(r, fraction, 2)),
                           pd_rules_optional(r, pd_rules_seq(r, exponent, 3))};
    return pd_rules_seq(r, all, 4);
}

/* A bound beyond 15 digits either bounds none of such numbers or leaves none. */
static bool is_met_by_none(const number *x) {
    const double max = (double)PD_DECIMAL_MAX;
    return (x->low.is_there && x->low.value > max) || (x->high.is_there && x->high.value < -max);
}

pd_status pd_schema_number(pd_schema_reader *s, const pd_schema_leaf *leaf, bool is_integer,
                           pd_node *out) {
    const double max = (double)PD_DECIMAL_MAX;
    number x = {
        .s = s, .leaf = leaf, .is_integer = is_integer, .at = leaf->n ? leaf->list[0] : NULL};
    PD_TRY(read(&x));
    bool is_bounded = x.low.is_there || x.high.is_there;
    if (is_met_by_none(&x)) {
        *out = never(&x);
        return PD_OK;
    }
    if (x.low.value < -max) x.low.is_there = false;
    if (x.high.value > max) x.high.is_there = false;
    if (x.is_integer || x.factor) return make_integer(&x, out);
    if (is_bounded) return make_fractions(&x, out);
    *out = any_number(s->r);
    return PD_OK;
}
