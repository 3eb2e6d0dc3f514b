/* Characters that no set of a grammar tells apart, as one class.  SPDX-License-Identifier: MIT */
#ifndef PD_GRAMMAR_CHAR_CLASSES_H
#define PD_GRAMMAR_CHAR_CLASSES_H

#include "grammar/rules.h"

typedef struct pd_char_classes {
    uint32_t n_intervals, n_classes, n_sets;
    uint32_t *starts;    /* [n_intervals] first character of each, ascending from 0 */
    uint32_t *classes;   /* [n_intervals] */
    uint32_t *only;      /* [n_classes] the character, where the class has one; else PD_NO_CHAR */
    uint32_t *node_set;  /* [rules' n_nodes] of SET nodes: which of the different sets it is */
    uint32_t *min_bytes; /* [n_sets] fewest bytes of UTF-8 of one of its characters */
    uint64_t *members;   /* [n_sets][words]: bit of class k */
    uint32_t words;
    uint32_t ascii[128];
} pd_char_classes;

#define PD_NO_CHAR UINT32_MAX

/* Of all sets of r. Errors: MEMORY_HOST, ARGUMENT (too many different ones). */
pd_status pd_char_classes_make(const pd_rules *r, pd_char_classes *out, pd_error *err);
void pd_char_classes_free(pd_char_classes *c);

/* The interval that it lies in. */
uint32_t pd_char_interval(const pd_char_classes *c, uint32_t character);
uint32_t pd_char_class_above(const pd_char_classes *c, uint32_t character);
static inline uint32_t pd_char_class(const pd_char_classes *c, uint32_t character) {
    return character < 128 ? c->ascii[character] : pd_char_class_above(c, character);
}
static inline bool pd_set_has(const pd_char_classes *c, uint32_t set, uint32_t k) {
    return c->members[(size_t)set * c->words + k / 64] >> (k % 64) & 1;
}

#endif
