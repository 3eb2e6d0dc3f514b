/* See decimal.h. A range of numbers of equal length is walked digit by digit: while the digits so
 * far are those of a bound, the next one is bounded too; from the first one that differs on, all
 * are free.
 *
 * SPDX-License-Identifier: MIT
 */
#include "grammar/decimal.h"

/* Digits that are left, of which the bounds' are given while they still bind. */
typedef struct digits {
    char low[20], high[20];
    uint32_t n;
    bool may_stop; /* zeros at the end may be left out: a fraction */
} digits;

static void write_digits(char *out, int64_t value, uint32_t n) {
    for (uint32_t i = n; i-- > 0; value /= 10) out[i] = (char)('0' + value % 10);
}

static pd_node digit(pd_rules *r, char first, char last) {
    const pd_char_range range = {(uint32_t)first, (uint32_t)last};
    return pd_rules_set(r, &range, 1, false);
}

static pd_node free_digits(pd_rules *r, uint32_t min, uint32_t max) {
    return pd_rules_repeat(r, digit(r, '0', '9'), min, max);
}

static bool only_zeros(const char *text, uint32_t n) {
    for (uint32_t i = 0; i < n; i++)
        if (text[i] != '0') return false;
    return true;
}

static pd_node range_from(pd_rules *r, const digits *d, uint32_t at, bool low_binds,
                          bool high_binds);

static pd_node digit_and_rest(pd_rules *r, const digits *d, uint32_t at, char c, bool low_binds,
                              bool high_binds) {
    const pd_node parts[] = {pd_rules_char(r, (uint32_t)c),
                             range_from(r, d, at + 1, low_binds, high_binds)};
    return pd_rules_seq(r, parts, 2);
}

/* The digits from `at` on. */
static pd_node range_from(pd_rules *r, const digits *d, uint32_t at, bool low_binds,
                          bool high_binds) {
    uint32_t left = d->n - at, n = 0;
    pd_node parts[4];
    if (left == 0) return pd_rules_seq(r, NULL, 0);
    if (!low_binds && !high_binds) return free_digits(r, d->may_stop ? at == 0 : left, left);
    char first = low_binds ? d->low[at] : '0', last = high_binds ? d->high[at] : '9';
    if (d->may_stop && at > 0 && (!low_binds || only_zeros(d->low + at, left)))
        parts[n++] = pd_rules_seq(r, NULL, 0);
    if (first == last) {
        parts[n++] = digit_and_rest(r, d, at, first, low_binds, high_binds);
        return pd_rules_alt(r, parts, n);
    }
    if (low_binds) parts[n++] = digit_and_rest(r, d, at, first++, true, false);
    if (high_binds) parts[n++] = digit_and_rest(r, d, at, last--, false, true);
    if (first <= last) {
        const pd_node free[] = {digit(r, first, last),
                                free_digits(r, d->may_stop ? 0 : left - 1, left - 1)};
        parts[n++] = pd_rules_seq(r, free, 2);
    }
    return pd_rules_alt(r, parts, n);
}

/* ---- integers -------------------------------------------------------------------------------- */

static int64_t power(uint32_t n) {
    int64_t value = 1;
    while (n-- > 0) value *= 10;
    return value;
}

static pd_node of_length(pd_rules *r, int64_t first, int64_t last, uint32_t n) {
    digits d = {.n = n};
    write_digits(d.low, first, n);
    write_digits(d.high, last, n);
    return range_from(r, &d, 0, true, true);
}

/* All integers of n_min to n_max digits. */
static pd_node of_lengths(pd_rules *r, uint32_t n_min, uint32_t n_max) {
    const pd_node parts[] = {digit(r, '1', '9'), free_digits(r, n_min - 1, n_max - 1)};
    return pd_rules_seq(r, parts, 2);
}

/* 0 <= first. Lengths that are there as a whole are one repetition. */
static pd_node natural_numbers(pd_rules *r, int64_t first, int64_t last) {
    pd_node parts[PD_DECIMAL_DIGITS + 2];
    uint32_t n_parts = 0, whole = 0; /* shortest of the whole lengths that are not added yet */
    for (uint32_t n = 1; n <= PD_DECIMAL_DIGITS; n++) {
        int64_t low = n == 1 ? 0 : power(n - 1), high = power(n) - 1;
        bool is_whole = n > 1 && first <= low && last >= high;
        if (is_whole && !whole) whole = n;
        if (whole && (!is_whole || n == PD_DECIMAL_DIGITS)) {
            parts[n_parts++] = of_lengths(r, whole, is_whole ? n : n - 1);
            whole = 0;
        }
        if (first > low) low = first;
        if (last < high) high = last;
        if (!is_whole && low <= high) parts[n_parts++] = of_length(r, low, high, n);
    }
    return pd_rules_alt(r, parts, n_parts);
}

typedef pd_node (*natural_fn)(pd_rules *r, int64_t first, int64_t last, uint32_t places);

/* Numbers on both sides of zero, from what makes those that are not negative. */
static pd_node both_sides(pd_rules *r, int64_t first, int64_t last, uint32_t places,
                          natural_fn make) {
    pd_node sides[2];
    uint32_t n = 0;
    if (first > last) return pd_rules_alt(r, NULL, 0);
    if (last >= 0) sides[n++] = make(r, first > 0 ? first : 0, last, places);
    if (first < 0) {
        const pd_node parts[] = {pd_rules_char(r, '-'),
                                 make(r, last < 0 ? -last : 1, -first, places)};
        sides[n++] = pd_rules_seq(r, parts, 2);
    }
    return pd_rules_alt(r, sides, n);
}

static pd_node integers_from(pd_rules *r, int64_t first, int64_t last, uint32_t places) {
    (void)places;
    return natural_numbers(r, first, last);
}

pd_node pd_decimal_integers(pd_rules *r, int64_t first, int64_t last) {
    return both_sides(r, first, last, 0, integers_from);
}

/* ---- fractions ------------------------------------------------------------------------------- */

/* Behind an integer part: low..high in units of the last place; nothing stands for zero. */
static pd_node behind_integer(pd_rules *r, int64_t low, int64_t high, uint32_t places) {
    digits d = {.n = places, .may_stop = true};
    write_digits(d.low, low, places);
    write_digits(d.high, high, places);
    const pd_node parts[] = {pd_rules_char(r, '.'),
                             range_from(r, &d, 0, low > 0, high < power(places) - 1)};
    pd_node fraction = pd_rules_seq(r, parts, 2);
    return low == 0 ? pd_rules_optional(r, fraction) : fraction;
}

static pd_node with_integers(pd_rules *r, int64_t first, int64_t last, int64_t low, int64_t high,
                             uint32_t places) {
    const pd_node parts[] = {natural_numbers(r, first, last), behind_integer(r, low, high, places)};
    return pd_rules_seq(r, parts, 2);
}

/* 0 <= first */
static pd_node fractions_from(pd_rules *r, int64_t first, int64_t last, uint32_t places) {
    int64_t one = power(places), low = first % one, high = last % one;
    int64_t from = first / one, to = last / one; /* integer parts */
    pd_node parts[3];
    uint32_t n = 0;
    if (from == to) return with_integers(r, from, to, low, high, places);
    if (low > 0) {
        parts[n++] = with_integers(r, from, from, low, one - 1, places);
        from++;
    }
    if (high < one - 1) {
        parts[n++] = with_integers(r, to, to, 0, high, places);
        to--;
    }
    if (from <= to) parts[n++] = with_integers(r, from, to, 0, one - 1, places);
    return pd_rules_alt(r, parts, n);
}

pd_node pd_decimal_fractions(pd_rules *r, int64_t first, int64_t last, uint32_t places) {
    return both_sides(r, first, last, places, fractions_from);
}
