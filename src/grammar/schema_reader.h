/* What the parts of the reader of JSON schemas share.
 *
 * A value has to meet a *set* of schemas at once: one at first, more where allOf, $ref beside other
 * keywords, or the same property in several of them come together. A set is taken apart
 * (schema_leaves.c) into *leaves*, one for each choice of anyOf and oneOf: a leaf is a set whose
 * own keywords alone have to be met. A leaf becomes a node once (schema.c), by kinds of values
 * (schema_object.c, ...), for whose parts new sets are made.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_GRAMMAR_SCHEMA_READER_H
#define PD_GRAMMAR_SCHEMA_READER_H

#include <cjson/cJSON.h>

#include "base/memory.h"
#include "grammar/automaton.h"
#include "grammar/rules.h"

/* Kinds of values, as bits. Every number is INTEGER or FRACTION. */
enum {
    PD_KIND_NULL = 1,
    PD_KIND_BOOLEAN = 2,
    PD_KIND_INTEGER = 4,
    PD_KIND_FRACTION = 8,
    PD_KIND_NUMBER = PD_KIND_INTEGER | PD_KIND_FRACTION,
    PD_KIND_STRING = 16,
    PD_KIND_ARRAY = 32,
    PD_KIND_OBJECT = 64,
    PD_KIND_ALL = 127
};

enum {
    PD_SCHEMA_MAX_DEPTH = 256,     /* of schemas within schemas, and of references */
    PD_SCHEMA_MAX_MEMBERS = 256,   /* of a set */
    PD_SCHEMA_MAX_KEYWORDS = 500,  /* of a schema, notes among them */
    PD_SCHEMA_MAX_CHOICES = 32,    /* of anyOf and oneOf that meet */
    PD_SCHEMA_MAX_STEPS = 1 << 22, /* of all work */
    PD_SCHEMA_MAX_PARTS = 1000     /* properties of an object, places of a prefix */
};

typedef struct pd_schema_set {
    const cJSON **list; /* in the reader's arena */
    uint32_t n;
} pd_schema_set;

typedef struct pd_schema_choice {
    const cJSON *of; /* the list of a oneOf */
    uint32_t branch;
} pd_schema_choice;

typedef struct pd_schema_leaf {
    const cJSON **list; /* ascending by address */
    uint32_t n, n_choices;
    pd_schema_choice *choices; /* those of oneOf alone */
} pd_schema_leaf;

typedef struct pd_schema_memo pd_schema_memo;
typedef struct pd_schema_pattern pd_schema_pattern;

typedef struct pd_schema_reader {
    pd_rules *r;
    pd_error *err;
    const cJSON *root;
    pd_arena arena;
    bool has_inner_ids; /* $id below the root: what a reference means depends on its place */
    uint32_t depth;
    uint64_t n_steps;
    pd_schema_memo *memo;
    pd_schema_pattern *patterns;
    uint32_t space, any_text, any_value; /* rules */
    char never[512]; /* why something cannot be met: the first reason, or empty */
} pd_schema_reader;

/* ---- messages (schema_place.c) --------------------------------------------------------------- */

/* Raises ARGUMENT, with the JSON pointer of `at` before the sentence. */
#define PD_SCHEMA_REFUSE(s, at, ...)                                                               \
    pd_schema_place((s), (at),                                                                     \
                    pd_error_raise((s)->err, __FILE__, __LINE__, PD_ERR_ARGUMENT, __VA_ARGS__))
pd_status pd_schema_place(const pd_schema_reader *s, const cJSON *at, pd_status status);
pd_status pd_schema_no_memory(const pd_schema_reader *s);
/* Counts work, so that small schemas that mean very much are refused. */
pd_status pd_schema_step(pd_schema_reader *s, const cJSON *at);
/* What cannot be. The first reason is kept, for when the whole schema cannot be met. */
pd_node pd_schema_never(pd_schema_reader *s, const cJSON *at, const char *format, ...)
    PD_PRINTF_LIKE(3, 4);

/* ---- keywords (schema_keywords.c) ------------------------------------------------------------ */

typedef enum pd_keyword_role {
    PD_KEYWORD_UNKNOWN,
    PD_KEYWORD_NOTE,     /* says nothing about values */
    PD_KEYWORD_IN_PLACE, /* brings other schemas for the same value */
    PD_KEYWORD_RULE,
    PD_KEYWORD_REFUSED
} pd_keyword_role;

/* *kinds: of values that the keyword speaks about; ALL: type, enum, const. */
pd_keyword_role pd_schema_keyword(const char *name, unsigned *kinds);

/* A keyword of a schema that is an object; NULL: it has none. */
const cJSON *pd_schema_get(const cJSON *schema, const char *name);
/* *has: it is there. */
pd_status pd_schema_get_count(const pd_schema_reader *s, const cJSON *schema, const char *name,
                              bool *has, uint32_t *out);
pd_status pd_schema_get_number(const pd_schema_reader *s, const cJSON *schema, const char *name,
                               bool *has, double *out);
pd_status pd_schema_check_text(const pd_schema_reader *s, const cJSON *at, const char *text);
/* The kinds that `type` names; ALL without it. */
pd_status pd_schema_get_kinds(const pd_schema_reader *s, const cJSON *schema, unsigned *out);

/* ---- references (schema_refs.c) -------------------------------------------------------------- */

void pd_schema_find_ids(pd_schema_reader *s);
pd_status pd_schema_resolve(pd_schema_reader *s, const cJSON *ref, const cJSON **out);

/* ---- sets and leaves (schema_leaves.c, schema_disjoint.c) ------------------------------------ */

pd_status pd_schema_leaves(pd_schema_reader *s, const pd_schema_set *set, pd_schema_leaf **out,
                           uint32_t *n_out);
pd_status pd_schema_check_one_of(pd_schema_reader *s, const pd_schema_leaf *leaves, uint32_t n);
/* Kinds that a leaf's values are generated of, and whether it has a list of values. */
pd_status pd_schema_leaf_kinds(pd_schema_reader *s, const pd_schema_leaf *leaf, unsigned *out);

/* ---- parts of values (schema_parts.c) -------------------------------------------------------- */

pd_status pd_schema_set_of_property(pd_schema_reader *s, const pd_schema_leaf *leaf,
                                    const char *name, pd_schema_set *out);
/* Of names that are not listed. *has: such are generated: not where properties are listed and
 * nothing is said of others. */
pd_status pd_schema_set_of_others(pd_schema_reader *s, const pd_schema_leaf *leaf, bool *has,
                                  pd_schema_set *out);
/* The places that have a schema of their own, and whether anything is said of those behind. */
pd_status pd_schema_places(pd_schema_reader *s, const pd_schema_leaf *leaf, uint32_t *n,
                           bool *has_rest);
pd_status pd_schema_set_of_place(pd_schema_reader *s, const pd_schema_leaf *leaf, uint32_t place,
                                 pd_schema_set *out);

/* ---- nodes ----------------------------------------------------------------------------------- */

pd_status pd_schema_build(pd_schema_reader *s, const pd_schema_set *set, pd_node *out);
pd_status pd_schema_object(pd_schema_reader *s, const pd_schema_leaf *leaf, pd_node *out);
pd_status pd_schema_array(pd_schema_reader *s, const pd_schema_leaf *leaf, pd_node *out);
pd_status pd_schema_string(pd_schema_reader *s, const pd_schema_leaf *leaf, pd_node *out);
pd_status pd_schema_number(pd_schema_reader *s, const pd_schema_leaf *leaf, bool is_integer,
                           pd_node *out);
void pd_schema_free_patterns(pd_schema_reader *s);

/* ---- constants (schema_valid.c, schema_values.c) --------------------------------------------- */

/* Whether a value meets the keywords of a schema, references and allOf, anyOf, oneOf among them; or
 * without those: its own. Of formats, what is generated counts as meeting them. */
pd_status pd_schema_meets(pd_schema_reader *s, const cJSON *schema, const cJSON *value, bool *out);
pd_status pd_schema_meets_own(pd_schema_reader *s, const cJSON *schema, const cJSON *value,
                              bool *out);
pd_status pd_schema_string_meets(pd_schema_reader *s, const cJSON *schema, const char *text,
                                 bool *out);
/* Values of enum or const of a leaf that meet all of it, in the arena. *has: there is a list. */
pd_status pd_schema_values(pd_schema_reader *s, const pd_schema_leaf *leaf, bool *has,
                           const cJSON ***out, uint32_t *n_out);
/* A constant as it is written. */
pd_status pd_schema_constant(pd_schema_reader *s, const cJSON *value, pd_node *out);

/* One of several. */
pd_status pd_schema_constants(pd_schema_reader *s, const cJSON **values, uint32_t n, pd_node *out);

/* ---- writing --------------------------------------------------------------------------------- */

/* A quoted text of its characters. */
pd_node pd_schema_quoted(pd_rules *r, pd_node chars);
/* Spaces stand where programs that print JSON put them, on one line or on many: behind brackets and
 * commas, before closing brackets, one behind a colon. Elsewhere what follows is known, and need
 * not be asked for. */
pd_node pd_schema_space(pd_schema_reader *s);
/* Between brackets; nothing and one space if it may be empty. */
pd_node pd_schema_enclosed(pd_schema_reader *s, const char *brackets, pd_node inner,
                           bool may_be_empty);
pd_node pd_schema_pair(pd_schema_reader *s, pd_node name, pd_node value);
pd_node pd_schema_behind_comma(pd_schema_reader *s, pd_node node);

#endif
