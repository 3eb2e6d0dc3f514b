/* A vocabulary's tokens as trees of characters, to be walked with an automaton: one tree of tokens
 * that have plain characters alone, which JSON writes within strings as they are, and one of the
 * others.
 *
 * Tokens that no text may have (control, padding, images' markers) are in none, nor are those of a
 * single byte that is no character by itself.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_GRAMMAR_TOKEN_TREE_H
#define PD_GRAMMAR_TOKEN_TREE_H

#include "text/tokenizer.h"

/* Nodes lie in the order of a walk: what is below a node follows it, up to end. Small, since a walk
 * reads half a million of them. */
typedef struct pd_token_node {
    uint32_t end;    /* the node behind all that is below this one */
    uint16_t c;      /* index into chars */
    uint8_t depth;   /* 1: a first character */
    uint8_t deepest; /* depth of the longest token here and below */
} pd_token_node;

typedef struct pd_token_list {
    pd_token_node *nodes;
    uint32_t *tokens; /* [n] the token that ends at a node; the tree's `nobody`: none does */
    uint32_t n, cap;
} pd_token_list;

typedef struct pd_token_tree {
    uint32_t n_vocab, n_words; /* words of a mask of all tokens */
    uint32_t nobody;           /* behind all tokens: the first bit of one word more */
    uint32_t *chars;           /* [n_chars] that occur, ascending */
    uint32_t n_chars;
    uint32_t longest; /* characters of a token */
    pd_token_list plain, others;
    uint32_t *plain_up_to;     /* [longest + 1][n_words] masks of plain tokens of at most so many
                                  characters */
    uint32_t byte_tokens[256]; /* from 0x80 on; PD_NO_TOKEN */
    const pd_vocab *vocab;
} pd_token_tree;

#define PD_NO_TOKEN   UINT32_MAX
#define PD_CHAR_COUNT UINT32_C(0x110000) /* of Unicode, surrogates included */

static inline bool pd_char_is_plain(uint32_t c) {
    return c >= 0x20 && c != '"' && c != '\\' && c != 0x7f;
}

/* Errors: MEMORY_HOST, UNSUPPORTED (a vocabulary of too many different characters). */
pd_status pd_token_tree_create(const pd_vocab *v, pd_token_tree **out, pd_error *err);
void pd_token_tree_destroy(pd_token_tree *t); /* NULL is allowed */

static inline void pd_mask_allow(uint32_t *words, uint32_t token) {
    words[token / 32] |= UINT32_C(1) << (token % 32);
}
static inline bool pd_mask_allows(const uint32_t *words, uint32_t token) {
    return words[token / 32] >> (token % 32) & 1;
}

#endif
