/* What a file says of its special tokens and prompts; private to src/text but for the struct.
 *
 *     tokenizer.ggml.{bos,eos,eot}_token_id, .add_bos_token, .add_eos_token,
 * tokenizer.chat_template
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_TEXT_SPECIAL_H
#define PD_TEXT_SPECIAL_H

#include "file/gguf.h"

enum { PD_MAX_STOPS = 4 };

typedef struct pd_special {
    uint32_t bos, eos; /* what a text begins and ends with, if so */
    bool add_bos, add_eos;
    bool other_template;                   /* than Gemma's: with other markers */
    uint32_t stops[PD_MAX_STOPS], n_stops; /* the file's own first, then <eos> and <end_of_turn> */
    uint32_t start_of_image, end_of_image; /* Gemma's ids; those of the texts in a shorter list */
} pd_special;

/* Absent keys are Gemma's. Errors: MODEL (a key of another kind, an id that is no token's). */
pd_status pd_special_read(const pd_gguf *g, uint32_t n_tokens, pd_special *out, pd_error *err);
/* To be told of every token: a list too short for Gemma's ids has the images' markers elsewhere. */
void pd_special_note_marker(pd_special *s, uint32_t n_tokens, uint32_t id, pd_string text);
/* What stands in a prompt for one of Gemma's ids. */
uint32_t pd_special_id(const pd_special *s, uint32_t id);
bool pd_special_is_stop(const pd_special *s, uint32_t id);
/* The tokens that the code knows by their ids must be spelled as Gemma spells them. Errors: MODEL.
 */
pd_status pd_special_check_text(uint32_t id, pd_string text, pd_error *err);

#endif
