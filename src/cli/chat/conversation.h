/* A conversation: questions with their answers, and what they are as tokens. No input and no
 * output.
 *
 * An answer is kept twice: as the text that was shown, and as the tokens that were drawn. The
 * prompt of the next turn is made of the latter. Text tokenised again may become other tokens, and
 * everything behind the first other one would have to be computed again:
 *
 *     what pd_chat_encode makes of all turns, the answers left empty
 *         <bos> <start_of_turn>user\n Q1 <end_of_turn>\n <start_of_turn>model\n <end_of_turn>\n ...
 *                                                                            ^ A1's tokens go here
 *
 * A question never becomes a control token, so that the second <end_of_turn>, the fourth and so on
 * are those of the answers. Without the template (raw) there is nothing between the texts.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_CLI_CHAT_CONVERSATION_H
#define PD_CLI_CHAT_CONVERSATION_H

#include "cli/chat/pictures.h"

/* A question and its answer. */
typedef struct chat_turn {
    char *typed; /* the question as it was written; with a NUL behind it */
    size_t n_typed;
    chat_pictures pictures;
    char *text; /* ... without the markers of pictures, which stand at these places */
    size_t n_text;
    pd_image_place *places; /* [pictures.n] */
    char *answer;           /* with a NUL behind it; NULL: there is none yet */
    size_t n_answer;
    uint32_t *ids; /* [n_ids] the answer as it was drawn, without the token that ended it */
    size_t n_ids;
} chat_turn;

typedef struct chat_conversation {
    bool raw;     /* no template */
    char *system; /* NULL: none */
    size_t n_system;
    chat_turn *turns;
    size_t n, cap;
} chat_conversation; /* all zero: empty */

/* Takes the pictures over, but on failure. Errors: ARGUMENT (not UTF-8, other places in the text
 * than pictures), MEMORY_HOST. */
pd_status chat_turn_make(const char *typed, size_t n_typed, chat_pictures *pictures, chat_turn *out,
                         pd_error *err);
/* Copies. Errors: MEMORY_HOST; the answer before is kept then. */
pd_status chat_turn_set_answer(chat_turn *t, const char *text, size_t n_text, const uint32_t *ids,
                               size_t n_ids, pd_error *err);
void chat_turn_free(chat_turn *t); /* all zero afterwards */

/* Takes the turn over, also on failure. */
pd_status chat_push(chat_conversation *c, chat_turn *t, pd_error *err);
chat_turn *chat_last(chat_conversation *c);                /* NULL: there is none */
void chat_take_last(chat_conversation *c, chat_turn *out); /* out: the caller's */
void chat_drop_first(chat_conversation *c, size_t n);      /* n <= c->n */
void chat_clear(chat_conversation *c);                     /* the system text stays */
void chat_free(chat_conversation *c);
/* NULL or nothing but white space: none. Errors: ARGUMENT (not UTF-8), MEMORY_HOST. */
pd_status chat_set_system(chat_conversation *c, const char *text, size_t n, pd_error *err);

/* ---- prompt.c ------------------------------------------------------------------------------- */

typedef struct chat_prompt {
    uint32_t *ids;
    size_t n_ids;
    pd_image *images; /* views into the turns' */
    size_t n_images;
} chat_prompt;

/* All turns, the last one's answer left to be given, whether it has one or not. The conversation
 * has at least one turn. Errors: those of pd_chat_encode and pd_tokenize. */
pd_status chat_prompt_make(const pd_model *model, const chat_conversation *c, chat_prompt *out,
                           pd_error *err);
void chat_prompt_free(chat_prompt *p);

/* ids: a chat with empty answers. Puts the answers of turns, but for the last one, into their
 * places; out: room for all of it. Returns how many there are. */
size_t chat_splice(const uint32_t *ids, size_t n_ids, const chat_turn *turns, size_t n_turns,
                   uint32_t *out);

/* Tokens that spell `text`: of ids as many as do, and what is left of the text tokenised. For
 * answers that a stop string cut, and for those that another vocabulary wrote. *out: pd_free.
 * Errors: those of pd_tokenize. */
pd_status chat_spell(const pd_model *model, const uint32_t *ids, size_t n_ids, const char *text,
                     size_t n_text, uint32_t **out, size_t *n_out, pd_error *err);

#endif
