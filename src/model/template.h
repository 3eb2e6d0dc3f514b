/* Gemma's chat template: turns to a list of spans, without any tokenizer.
 *
 *     <bos>
 *     for each turn, a leading system turn taken away:
 *         <start_of_turn>{user|model}\n [system text \n\n, first turn only] {text}<end_of_turn>\n
 *     <start_of_turn>model\n          when an answer is to follow
 *
 * Images stand in a turn's text as pd_image_place says.
 *
 * A span is either one token, given by id, or text; text never becomes a control token, whatever it
 * spells. Neighbouring texts belong together: newlines merge over their borders.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_MODEL_TEMPLATE_H
#define PD_MODEL_TEMPLATE_H

#include "base/error.h"

#define PD_SPAN_TEXT UINT32_MAX

typedef struct pd_span {
    uint32_t id;      /* of the token, or PD_SPAN_TEXT */
    const char *text; /* a view into the turns, or a constant */
    size_t n_bytes;
} pd_span;

typedef struct pd_span_list {
    pd_span *spans;
    size_t n, cap;
    bool failed; /* out of memory while it grew */
} pd_span_list;

/* The spans view the turns' texts and roles, which must outlive them. Roles other than "assistant"
 * (which prints as "model") print unchanged. open_answer: end with the opening of the model's turn.
 * Errors: ARGUMENT (no turn, roles that do not alternate, a system turn alone), MEMORY_HOST. */
pd_status pd_template_render(const pd_chat_turn *turns, size_t n_turns, bool open_answer,
                             pd_span_list *out, pd_error *err);
/* A text with images in it, as it stands. Errors: ARGUMENT (a place behind the text's end or before
 * the place ahead of it), MEMORY_HOST. */
pd_status pd_template_text(const char *text, size_t n_bytes, const pd_image_place *images,
                           size_t n_images, pd_span_list *out, pd_error *err);
void pd_span_list_free(pd_span_list *list);

#endif
