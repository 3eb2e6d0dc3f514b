/* See schema_reader.h: oneOf. A value that is generated for one branch must meet none of the
 * others, which is shown here from kinds, constants, bounds and required properties; where it
 * cannot be shown, the schema is refused.
 *
 * SPDX-License-Identifier: MIT
 */
#include "grammar/schema_reader.h"

#include <math.h>
#include <string.h>

enum { MAX_LEVELS = 4 };

/* ---- bounds ---------------------------------------------------------------------------------- */

typedef struct span {
    double low, high;
} span;

static pd_status narrow(pd_schema_reader *s, const pd_schema_leaf *leaf, const char *low,
                        const char *high, span *out) {
    for (uint32_t i = 0; i < leaf->n; i++) {
        bool has;
        double value;
        PD_TRY(pd_schema_get_number(s, leaf->list[i], low, &has, &value));
        if (has && value > out->low) out->low = value;
        PD_TRY(pd_schema_get_number(s, leaf->list[i], high, &has, &value));
        if (has && value < out->high) out->high = value;
    }
    return PD_OK;
}

/* Whether what both bound cannot be the same; bounds that touch count as the same. */
static pd_status spans_apart(pd_schema_reader *s, const pd_schema_leaf *a, const pd_schema_leaf *b,
                             const char *low, const char *high, bool *out) {
    span of_a = {-INFINITY, INFINITY}, of_b = of_a;
    PD_TRY(narrow(s, a, low, high, &of_a));
    PD_TRY(narrow(s, b, low, high, &of_b));
    *out = of_a.high < of_b.low || of_b.high < of_a.low;
    return PD_OK;
}

static pd_status numbers_apart(pd_schema_reader *s, const pd_schema_leaf *a,
                               const pd_schema_leaf *b, bool *out) {
    span of_a = {-INFINITY, INFINITY}, of_b = of_a, strict_a = of_a, strict_b = of_a;
    PD_TRY(narrow(s, a, "minimum", "maximum", &of_a));
    PD_TRY(narrow(s, b, "minimum", "maximum", &of_b));
    PD_TRY(narrow(s, a, "exclusiveMinimum", "exclusiveMaximum", &strict_a));
    PD_TRY(narrow(s, b, "exclusiveMinimum", "exclusiveMaximum", &strict_b));
    double low_a = fmax(of_a.low, strict_a.low), high_a = fmin(of_a.high, strict_a.high);
    double low_b = fmax(of_b.low, strict_b.low), high_b = fmin(of_b.high, strict_b.high);
    *out = high_a < low_b || high_b < low_a || strict_a.high <= low_b || strict_b.high <= low_a ||
           high_a <= strict_b.low || high_b <= strict_a.low;
    return PD_OK;
}

/* ---- objects --------------------------------------------------------------------------------- */

static bool requires(const pd_schema_leaf *leaf, const char *name) {
    for (uint32_t i = 0; i < leaf->n; i++) {
        const cJSON *required = pd_schema_get(leaf->list[i], "required"), *each;
        cJSON_ArrayForEach(each, required) if (cJSON_IsString(each) &&
                                               strcmp(each->valuestring, name) == 0) return true;
    }
    return false;
}

static bool lists(const pd_schema_leaf *leaf, const char *name) {
    for (uint32_t i = 0; i < leaf->n; i++) {
        const cJSON *properties = pd_schema_get(leaf->list[i], "properties");
        if (properties && pd_schema_get(properties, name)) return true;
    }
    return requires(leaf, name);
}

static pd_status sets_apart(pd_schema_reader *s, const pd_schema_set *a, const pd_schema_set *b,
                            uint32_t level, bool *out);

/* A name that one of the two requires: what `a` writes for it never meets what `b` asks. */
static pd_status name_apart(pd_schema_reader *s, const pd_schema_leaf *a, const pd_schema_leaf *b,
                            const char *name, uint32_t level, bool *out) {
    pd_schema_set of_a, of_b;
    bool has_others;
    PD_TRY(pd_schema_step(s, NULL));
    PD_TRY(pd_schema_set_of_others(s, a, &has_others, &of_a));
    *out = !has_others && !lists(a, name);
    if (*out) return PD_OK;
    PD_TRY(pd_schema_set_of_property(s, a, name, &of_a));
    PD_TRY(pd_schema_set_of_property(s, b, name, &of_b));
    return sets_apart(s, &of_a, &of_b, level + 1, out);
}

static pd_status names_apart(pd_schema_reader *s, const pd_schema_leaf *of, const pd_schema_leaf *a,
                             const pd_schema_leaf *b, uint32_t level, bool *out) {
    for (uint32_t i = 0; i < of->n && !*out; i++) {
        const cJSON *required = pd_schema_get(of->list[i], "required"), *each;
        cJSON_ArrayForEach(each, required) if (cJSON_IsString(each) && !*out)
            PD_TRY(name_apart(s, a, b, each->valuestring, level, out));
    }
    return PD_OK;
}

/* ---- leaves ---------------------------------------------------------------------------------- */

static pd_status kind_apart(pd_schema_reader *s, const pd_schema_leaf *a, const pd_schema_leaf *b,
                            unsigned kind, uint32_t level, bool *out) {
    *out = false;
    switch (kind) {
    case PD_KIND_INTEGER:
    case PD_KIND_FRACTION: return numbers_apart(s, a, b, out);
    case PD_KIND_STRING: return spans_apart(s, a, b, "minLength", "maxLength", out);
    case PD_KIND_ARRAY: return spans_apart(s, a, b, "minItems", "maxItems", out);
    case PD_KIND_OBJECT:
        PD_TRY(names_apart(s, a, a, b, level, out));
        return names_apart(s, b, a, b, level, out);
    default: return PD_OK;
    }
}

/* Whether none of the values, which meet one leaf, meets the other. */
static pd_status values_apart(pd_schema_reader *s, const cJSON **values, uint32_t n,
                              const pd_schema_leaf *leaf, bool *out) {
    *out = true;
    for (uint32_t i = 0; i < n && *out; i++) {
        bool meets = true;
        for (uint32_t k = 0; k < leaf->n && meets; k++)
            PD_TRY(pd_schema_meets_own(s, leaf->list[k], values[i], &meets));
        *out = !meets;
    }
    return PD_OK;
}

/* Kinds that a leaf allows, not only those that are generated. */
static pd_status kinds_allowed(pd_schema_reader *s, const pd_schema_leaf *leaf, unsigned *out) {
    *out = PD_KIND_ALL;
    for (uint32_t i = 0; i < leaf->n; i++) {
        unsigned kinds;
        PD_TRY(pd_schema_get_kinds(s, leaf->list[i], &kinds));
        *out &= kinds;
    }
    return PD_OK;
}

static pd_status leaves_apart(pd_schema_reader *s, const pd_schema_leaf *a, const pd_schema_leaf *b,
                              uint32_t level, bool *out) {
    const cJSON **values;
    uint32_t n;
    bool has;
    unsigned of_a, of_b;
    PD_TRY(pd_schema_step(s, NULL));
    PD_TRY(pd_schema_values(s, a, &has, &values, &n));
    if (has) return values_apart(s, values, n, b, out);
    PD_TRY(pd_schema_values(s, b, &has, &values, &n));
    if (has) return values_apart(s, values, n, a, out);
    PD_TRY(pd_schema_leaf_kinds(s, a, &of_a));
    PD_TRY(kinds_allowed(s, b, &of_b));
    *out = true;
    for (unsigned kind = 1; kind <= PD_KIND_OBJECT && *out; kind *= 2)
        if (of_a & of_b & kind) PD_TRY(kind_apart(s, a, b, kind, level, out));
    return PD_OK;
}

static pd_status sets_apart(pd_schema_reader *s, const pd_schema_set *a, const pd_schema_set *b,
                            uint32_t level, bool *out) {
    pd_schema_leaf *of_a, *of_b;
    uint32_t n_a, n_b;
    *out = false;
    if (level > MAX_LEVELS) return PD_OK;
    PD_TRY(pd_schema_leaves(s, a, &of_a, &n_a));
    PD_TRY(pd_schema_leaves(s, b, &of_b, &n_b));
    *out = true;
    for (uint32_t i = 0; i < n_a && *out; i++)
        for (uint32_t k = 0; k < n_b && *out; k++)
            PD_TRY(leaves_apart(s, &of_a[i], &of_b[k], level, out));
    return PD_OK;
}

/* ---- oneOf ----------------------------------------------------------------------------------- */

/* A oneOf of which both took a branch, and not the same; NULL: none. */
static const pd_schema_choice *parting(const pd_schema_leaf *a, const pd_schema_leaf *b,
                                       uint32_t *other) {
    for (uint32_t i = 0; i < a->n_choices; i++)
        for (uint32_t k = 0; k < b->n_choices; k++) {
            *other = b->choices[k].branch;
            if (a->choices[i].of == b->choices[k].of && a->choices[i].branch != *other)
                return &a->choices[i];
        }
    return NULL;
}

pd_status pd_schema_check_one_of(pd_schema_reader *s, const pd_schema_leaf *leaves, uint32_t n) {
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t k = 0; k < n && leaves[i].n_choices > 0; k++) {
            uint32_t other;
            bool are_apart;
            PD_TRY(pd_schema_step(s, NULL));
            const pd_schema_choice *at = parting(&leaves[i], &leaves[k], &other);
            if (!at) continue;
            PD_TRY(leaves_apart(s, &leaves[i], &leaves[k], 0, &are_apart));
            if (!are_apart)
                return PD_SCHEMA_REFUSE(s, at->of,
                                        "\"oneOf\": a value may meet the branches %u and %u at "
                                        "once; anyOf allows that",
                                        at->branch, other);
        }
    return PD_OK;
}
