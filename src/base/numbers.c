/* See numbers.h.  SPDX-License-Identifier: MIT */
#include "base/numbers.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

typedef struct number_list {
    const char *what;
    uint32_t min, max;
    uint32_t *values;
    uint32_t n;
} number_list;

static bool read_number(const char **text, uint32_t *out) {
    if (!isdigit((unsigned char)**text)) return false;
    char *end;
    errno = 0;
    unsigned long long v = strtoull(*text, &end, 10);
    if (errno != 0 || v > UINT32_MAX) return false;
    *text = end;
    *out = (uint32_t)v;
    return true;
}

static pd_status add_number(number_list *list, uint64_t v, pd_error *err) {
    if (v < list->min || v > list->max)
        return PD_RAISE(err, PD_ERR_ARGUMENT, "%s must be from %u to %u, but is %llu", list->what,
                        list->min, list->max, (unsigned long long)v);
    if (list->n == PD_NUMBERS_MAX)
        return PD_RAISE(err, PD_ERR_ARGUMENT, "%s holds more than %d numbers", list->what,
                        PD_NUMBERS_MAX);
    list->values[list->n++] = (uint32_t)v;
    return PD_OK;
}

/* One item: a, a-b, a-b+step or a-b*factor. */
static pd_status parse_range(number_list *list, const char *item, size_t n, pd_error *err) {
    const char *at = item;
    uint32_t first = 0, last = 0, step = 1;
    char operation = '+';
    bool good = read_number(&at, &first);
    last = first;
    if (good && *at == '-') {
        at++;
        good = read_number(&at, &last) && last >= first;
        if (good && (*at == '+' || *at == '*')) {
            operation = *at++;
            good = read_number(&at, &step) && step >= (operation == '*' ? 2u : 1u) &&
                   (operation == '+' || first > 0);
        }
    }
    if (!good || at != item + n)
        return PD_RAISE(err, PD_ERR_ARGUMENT, "%s takes numbers or ranges, but \"%.*s\" is neither",
                        list->what, n > 40 ? 40 : (int)n, item);
    for (uint64_t v = first; v <= last; v = operation == '+' ? v + step : v * step)
        PD_TRY(add_number(list, v, err));
    return PD_OK;
}

pd_status pd_numbers_parse(const char *what, const char *text, uint32_t min, uint32_t max,
                           uint32_t **out, uint32_t *n, pd_error *err) {
    number_list list = {.what = what, .min = min, .max = max};
    list.values = pd_alloc(PD_NUMBERS_MAX, sizeof *list.values);
    if (!list.values) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory for %s", what);
    pd_status status = PD_OK;
    for (const char *at = text; status == PD_OK;) {
        size_t length = strcspn(at, ",");
        status = parse_range(&list, at, length, err);
        if (at[length] == '\0') break;
        at += length + 1;
    }
    if (status != PD_OK) {
        pd_free(list.values);
        return status;
    }
    *out = list.values;
    *n = list.n;
    return PD_OK;
}
