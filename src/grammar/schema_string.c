/* See schema_reader.h: strings. One pattern or format without lengths is the tree of its regular
 * expression; with lengths that it keeps anyhow, too; everything else goes through the product of
 * their automata (char_product.h), which is exact.
 *
 * SPDX-License-Identifier: MIT
 */
#include "grammar/schema_reader.h"

#include <string.h>

#include "base/bytes.h"
#include "grammar/char_product.h"
#include "grammar/json_text.h"
#include "grammar/regex.h"
#include "grammar/schema_formats.h"

/* A regular expression of the schema, or of a format. */
typedef struct expression {
    const char *text;
    bool anywhere;
    const cJSON *at;
} expression;

typedef struct string {
    pd_schema_reader *s;
    uint32_t min, max; /* characters */
    expression list[PD_PRODUCT_MAX];
    uint32_t n;
} string;

struct pd_schema_pattern {
    expression of;
    pd_automaton *automaton;
    pd_schema_pattern *next;
};

/* ---- reading --------------------------------------------------------------------------------- */

static pd_status add(string *x, const char *text, bool anywhere, const cJSON *at) {
    for (uint32_t i = 0; i < x->n; i++)
        if (x->list[i].anywhere == anywhere && strcmp(x->list[i].text, text) == 0) return PD_OK;
    if (x->n == PD_PRODUCT_MAX)
        return PD_SCHEMA_REFUSE(x->s, at, "more than %d patterns come together", PD_PRODUCT_MAX);
    x->list[x->n++] = (expression){text, anywhere, at};
    return PD_OK;
}

static pd_status read_pattern(string *x, const cJSON *schema) {
    const cJSON *pattern = pd_schema_get(schema, "pattern");
    if (!pattern) return PD_OK;
    if (!cJSON_IsString(pattern))
        return PD_SCHEMA_REFUSE(x->s, schema, "\"pattern\" has to be a text");
    return add(x, pattern->valuestring, true, schema);
}

static pd_status read_format(string *x, const cJSON *schema) {
    const cJSON *format = pd_schema_get(schema, "format");
    if (!format) return PD_OK;
    if (!cJSON_IsString(format))
        return PD_SCHEMA_REFUSE(x->s, schema, "\"format\" has to be a text");
    const char *text = pd_schema_format(format->valuestring);
    if (!text)
        return PD_SCHEMA_REFUSE(x->s, schema, "the \"format\" %.60s is not supported",
                                format->valuestring);
    return *text ? add(x, text, false, schema) : PD_OK;
}

static pd_status read(string *x, const cJSON *schema) {
    bool has;
    uint32_t n;
    PD_TRY(pd_schema_get_count(x->s, schema, "minLength", &has, &n));
    if (has && n > x->min) x->min = n;
    PD_TRY(pd_schema_get_count(x->s, schema, "maxLength", &has, &n));
    if (has && n < x->max) x->max = n;
    PD_TRY(read_pattern(x, schema));
    return read_format(x, schema);
}

/* ---- expressions ----------------------------------------------------------------------------- */

static pd_status parse(pd_schema_reader *s, const expression *e, pd_rules *r, bool in_json,
                       pd_node *out) {
    const pd_regex_options options = {.anywhere = e->anywhere, .in_json = in_json};
    pd_status status = pd_regex_parse(r, e->text, strlen(e->text), &options, out, s->err);
    return status == PD_ERR_ARGUMENT ? pd_schema_place(s, e->at, status) : status;
}

static pd_status make_automaton(pd_schema_reader *s, const expression *e, pd_automaton **out) {
    pd_rules r = {0};
    pd_node root;
    pd_status status = parse(s, e, &r, false, &root);
    if (status == PD_OK) {
        status = pd_automaton_create(&r, root, out, s->err);
        if (status == PD_ERR_ARGUMENT) status = pd_schema_place(s, e->at, status);
    }
    pd_rules_free(&r);
    return status;
}

/* Made once for each expression. */
static pd_status find_automaton(pd_schema_reader *s, const expression *e, pd_automaton **out) {
    for (pd_schema_pattern *p = s->patterns; p; p = p->next) {
        *out = p->automaton;
        if (p->of.anywhere == e->anywhere && strcmp(p->of.text, e->text) == 0) return PD_OK;
    }
    pd_schema_pattern *made = pd_arena_alloc(&s->arena, 1, sizeof *made);
    if (!made) return pd_schema_no_memory(s);
    PD_TRY(make_automaton(s, e, &made->automaton));
    made->of = *e;
    made->next = s->patterns;
    s->patterns = made;
    *out = made->automaton;
    return PD_OK;
}

void pd_schema_free_patterns(pd_schema_reader *s) {
    for (pd_schema_pattern *p = s->patterns; p; p = p->next) pd_automaton_destroy(p->automaton);
    s->patterns = NULL;
}

/* ---- lengths --------------------------------------------------------------------------------- */

typedef struct lengths {
    uint64_t min, max;
} lengths;

static uint64_t times(uint64_t n, uint32_t by) {
    uint64_t product;
    if (n == 0 || by == 0) return 0;
    if (by == PD_REPEAT_ANY || !pd_mul_u64(n, by, &product) || product > PD_REPEAT_ANY)
        return PD_REPEAT_ANY;
    return product;
}

static uint64_t sum(uint64_t a, uint64_t b) {
    return a + b < PD_REPEAT_ANY ? a + b : PD_REPEAT_ANY;
}

/* Of what a regular expression matches: its tree, whose depth it bounds, has no rules. */
static lengths lengths_of(const pd_rules *r, pd_node node) {
    const pd_node_info *info = &r->nodes[node];
    const pd_node *children = pd_rules_children(r, info);
    lengths all = {0, 0}, one;
    switch (info->kind) {
    case PD_NODE_SET: return (lengths){1, 1};
    case PD_NODE_REPEAT:
        one = lengths_of(r, info->first);
        return (lengths){times(one.min, info->min), times(one.max, info->max)};
    case PD_NODE_ALT:
        all.min = PD_REPEAT_ANY;
        for (uint32_t i = 0; i < info->n; i++) {
            one = lengths_of(r, children[i]);
            if (one.min < all.min) all.min = one.min;
            if (one.max > all.max) all.max = one.max;
        }
        return all;
    case PD_NODE_SEQ:
        for (uint32_t i = 0; i < info->n; i++) {
            one = lengths_of(r, children[i]);
            all = (lengths){sum(all.min, one.min), sum(all.max, one.max)};
        }
        return all;
    case PD_NODE_RULE: break;
    }
    return (lengths){0, PD_REPEAT_ANY};
}

/* A repetition of one set takes the lengths as its bounds. *is_made: it is such a one. */
static void narrow_repeat(string *x, const pd_rules *plain, pd_node node, bool *is_made,
                          pd_node *out) {
    const pd_node_info *repeat = &plain->nodes[node], *set;
    *is_made = repeat->kind == PD_NODE_REPEAT && plain->nodes[repeat->first].kind == PD_NODE_SET;
    if (!*is_made) return;
    set = &plain->nodes[repeat->first];
    uint32_t min = x->min > repeat->min ? x->min : repeat->min;
    uint32_t max = x->max < repeat->max ? x->max : repeat->max;
    pd_node one = pd_json_char(x->s->r, pd_rules_ranges(plain, set), set->n, false);
    *out = pd_rules_repeat(x->s->r, one, min, max);
}

/* The ways to one expression with lengths that need no product. */
static pd_status try_alone(string *x, bool *is_made, pd_node *out) {
    pd_rules plain = {0};
    pd_node root;
    *is_made = false;
    if (x->n != 1) return PD_OK;
    pd_status status = parse(x->s, &x->list[0], &plain, false, &root);
    if (status == PD_OK) {
        lengths of = lengths_of(&plain, root);
        if (x->min <= of.min && x->max >= of.max) {
            *is_made = true;
            status = parse(x->s, &x->list[0], x->s->r, true, out);
        } else {
            narrow_repeat(x, &plain, root, is_made, out);
        }
    }
    pd_rules_free(&plain);
    return status;
}

/* ---- nodes ----------------------------------------------------------------------------------- */

static pd_node any_chars(string *x) {
    pd_rules *r = x->s->r;
    if (x->min == 0 && x->max == PD_REPEAT_ANY) return pd_rules_use(r, x->s->any_text);
    return pd_rules_repeat(r, pd_json_char(r, NULL, 0, true), x->min, x->max);
}

static pd_status by_product(string *x, pd_node *out) {
    pd_char_product p = {.n = x->n, .min = x->min, .max = x->max};
    for (uint32_t i = 0; i < x->n; i++) PD_TRY(find_automaton(x->s, &x->list[i], &p.automata[i]));
    pd_status status = pd_char_product_make(x->s->r, &p, out, x->s->err);
    return status == PD_ERR_ARGUMENT ? pd_schema_place(x->s, x->list[0].at, status) : status;
}

static pd_status make_chars(string *x, pd_node *out) {
    bool is_made;
    if (x->n == 0) {
        *out = any_chars(x);
        return PD_OK;
    }
    PD_TRY(try_alone(x, &is_made, out));
    return is_made ? PD_OK : by_product(x, out);
}

pd_status pd_schema_string(pd_schema_reader *s, const pd_schema_leaf *leaf, pd_node *out) {
    string x = {.s = s, .max = PD_REPEAT_ANY};
    pd_node chars;
    for (uint32_t i = 0; i < leaf->n; i++) PD_TRY(read(&x, leaf->list[i]));
    if (x.min > x.max)
        chars = pd_schema_never(s, leaf->list[0], "minLength is larger than maxLength");
    else
        PD_TRY(make_chars(&x, &chars));
    *out = pd_schema_quoted(s->r, chars);
    return PD_OK;
}

/* ---- constants ------------------------------------------------------------------------------- */

static pd_status matches(pd_schema_reader *s, const expression *e, const char *text, bool *out) {
    pd_automaton *a;
    uint32_t at_state = PD_STATE_START;
    size_t n = strlen(text), at = 0;
    PD_TRY(find_automaton(s, e, &a));
    while (at < n && at_state != PD_STATE_DEAD)
        PD_TRY(pd_automaton_step(a, at_state, pd_utf8_next(text, n, &at), &at_state, s->err));
    *out = at_state != PD_STATE_DEAD && pd_automaton_may_end(a, at_state);
    return PD_OK;
}

static uint32_t count_chars(const char *text) {
    size_t n = strlen(text), at = 0;
    uint32_t count = 0;
    for (; at < n; count++) pd_utf8_next(text, n, &at);
    return count;
}

pd_status pd_schema_string_meets(pd_schema_reader *s, const cJSON *schema, const char *text,
                                 bool *out) {
    string x = {.s = s, .max = PD_REPEAT_ANY};
    PD_TRY(read(&x, schema));
    uint32_t n = count_chars(text);
    *out = n >= x.min && n <= x.max;
    for (uint32_t i = 0; i < x.n && *out; i++) PD_TRY(matches(s, &x.list[i], text, out));
    return PD_OK;
}
