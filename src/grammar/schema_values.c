/* See schema_reader.h: constants as they are written. Strings share their beginnings, so that long
 * lists of them are followed one way at a time.
 *
 * SPDX-License-Identifier: MIT
 */
#include "grammar/schema_reader.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "grammar/json_text.h"
#include "grammar/node_list.h"

/* ---- numbers --------------------------------------------------------------------------------- */

enum { MAX_EXACT_BITS = 53 };

/* The shortest way that reads as the same number. */
static pd_status make_number(pd_schema_reader *s, const cJSON *value, pd_node *out) {
    double x = value->valuedouble;
    char text[64];
    if (!(fabs(x) < (double)(UINT64_C(1) << MAX_EXACT_BITS)))
        return PD_SCHEMA_REFUSE(s, value, "numbers of 2^%d and more are not exact", MAX_EXACT_BITS);
    for (int digits = 1; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, x);
        if (strtod(text, NULL) == x) break;
    }
    if (floor(x) == x) snprintf(text, sizeof text, "%.0f", x);
    const char *begin = strcmp(text, "-0") == 0 ? "0" : text;
    *out = pd_rules_text(s->r, begin, strlen(begin));
    return PD_OK;
}

/* ---- lists and objects ----------------------------------------------------------------------- */

static pd_status check_names(pd_schema_reader *s, const cJSON *object) {
    for (const cJSON *a = object->child; a; a = a->next) {
        PD_TRY(pd_schema_check_text(s, object, a->string));
        for (const cJSON *b = a->next; b; b = b->next) {
            PD_TRY(pd_schema_step(s, object));
            if (strcmp(a->string, b->string) == 0)
                return PD_SCHEMA_REFUSE(s, object, "the name \"%.100s\" is there twice", a->string);
        }
    }
    return PD_OK;
}

static pd_node text_of(pd_schema_reader *s, const char *text) {
    return pd_schema_quoted(s->r, pd_json_text(s->r, text, strlen(text)));
}

static pd_status add_element(pd_schema_reader *s, const cJSON *each, const cJSON *first,
                             pd_node_list *parts) {
    pd_node value;
    PD_TRY(pd_schema_constant(s, each, &value));
    if (each->string) value = pd_schema_pair(s, text_of(s, each->string), value);
    if (each != first) value = pd_schema_behind_comma(s, value);
    pd_node_list_add(parts, value);
    return PD_OK;
}

static pd_status make_list(pd_schema_reader *s, const cJSON *value, const char *brackets,
                           pd_node *out) {
    pd_node_list parts = {0};
    pd_status status = PD_OK;
    for (const cJSON *each = value->child; each && status == PD_OK; each = each->next)
        status = add_element(s, each, value->child, &parts);
    pd_node inner = pd_node_list_end(s->r, &parts, false);
    *out = pd_schema_enclosed(s, brackets, inner, !value->child);
    return status;
}

pd_status pd_schema_constant(pd_schema_reader *s, const cJSON *value, pd_node *out) {
    PD_TRY(pd_schema_step(s, value));
    if (cJSON_IsNumber(value)) return make_number(s, value, out);
    if (cJSON_IsArray(value)) return make_list(s, value, "[]", out);
    if (cJSON_IsObject(value)) {
        PD_TRY(check_names(s, value));
        return make_list(s, value, "{}", out);
    }
    if (cJSON_IsString(value)) {
        PD_TRY(pd_schema_check_text(s, value, value->valuestring));
        *out = text_of(s, value->valuestring);
        return PD_OK;
    }
    const char *word = cJSON_IsNull(value) ? "null" : cJSON_IsTrue(value) ? "true" : "false";
    *out = pd_rules_text(s->r, word, strlen(word));
    return PD_OK;
}

/* ---- lists of texts -------------------------------------------------------------------------- */

enum { RULE_EVERY = 64 }; /* levels of a tree of texts, so that it does not get deep */

static int compare_texts(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Whole characters that all of the sorted texts have in common behind the first `at` bytes. */
static size_t common_bytes(const char *const *texts, uint32_t n, size_t at) {
    const char *first = texts[0] + at, *last = texts[n - 1] + at;
    size_t common = 0;
    while (first[common] && first[common] == last[common]) common++;
    while (common > 0 && ((unsigned char)first[common] & 0xC0) == 0x80) common--;
    return common;
}

static pd_node branches(pd_schema_reader *s, const char *const *texts, uint32_t n, size_t at,
                        uint32_t depth);

/* One of the sorted texts, without their first `at` bytes. */
static pd_node one_text(pd_schema_reader *s, const char *const *texts, uint32_t n, size_t at,
                        uint32_t depth) {
    if (n == 1) return pd_json_text(s->r, texts[0] + at, strlen(texts[0] + at));
    size_t common = common_bytes(texts, n, at);
    const pd_node parts[] = {pd_json_text(s->r, texts[0] + at, common),
                             branches(s, texts, n, at + common, depth + 1)};
    pd_node node = pd_rules_seq(s->r, parts, 2);
    if (depth % RULE_EVERY != RULE_EVERY - 1) return node;
    uint32_t rule = pd_rules_new(s->r);
    pd_rules_give(s->r, rule, node);
    return pd_rules_use(s->r, rule);
}

/* The texts go apart here, or the first ends. */
static pd_node branches(pd_schema_reader *s, const char *const *texts, uint32_t n, size_t at,
                        uint32_t depth) {
    pd_node_list parts = {0};
    uint32_t i = 0;
    for (; i < n && !texts[i][at]; i++)
        if (i == 0) pd_node_list_add(&parts, pd_rules_seq(s->r, NULL, 0));
    for (uint32_t end; i < n; i = end) {
        size_t bytes = pd_utf8_need((uint8_t)texts[i][at]);
        for (end = i + 1; end < n && strncmp(texts[i] + at, texts[end] + at, bytes) == 0; end++) {
        }
        pd_node_list_add(&parts, one_text(s, texts + i, end - i, at, depth));
    }
    return pd_node_list_end(s->r, &parts, true);
}

/* Texts as one tree; the rest one by one. */
pd_status pd_schema_constants(pd_schema_reader *s, const cJSON **values, uint32_t n, pd_node *out) {
    pd_node_list parts = {0};
    const char **texts = pd_arena_alloc(&s->arena, (size_t)n + 1, sizeof *texts);
    pd_status status = texts ? PD_OK : pd_schema_no_memory(s);
    uint32_t n_texts = 0;
    for (uint32_t i = 0; i < n && status == PD_OK; i++) {
        pd_node node;
        if (cJSON_IsString(values[i])) {
            texts[n_texts++] = values[i]->valuestring;
            status = pd_schema_check_text(s, values[i], values[i]->valuestring);
        } else {
            status = pd_schema_constant(s, values[i], &node);
            if (status == PD_OK) pd_node_list_add(&parts, node);
        }
    }
    if (status == PD_OK && n_texts > 0) {
        qsort(texts, n_texts, sizeof *texts, compare_texts);
        pd_node_list_add(&parts, pd_schema_quoted(s->r, branches(s, texts, n_texts, 0, 0)));
    }
    *out = pd_node_list_end(s->r, &parts, true);
    return status;
}
