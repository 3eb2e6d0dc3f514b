/* Spans and chats to ids.  SPDX-License-Identifier: MIT */
#ifndef PD_TEXT_CHAT_H
#define PD_TEXT_CHAT_H

#include "model/template.h"
#include "text/tokenizer.h"

/* Spans to ids: tokens stand for themselves; neighbouring texts are joined, then encoded, and yield
 * control tokens only with parse_special. The ids equal those of the whole string with its markers
 * parsed. Errors: those of pd_vocab_encode. */
pd_status pd_vocab_encode_spans(const pd_vocab *v, const pd_span *spans, size_t n_spans,
                                bool parse_special, uint32_t *ids, size_t n_max, size_t *n_ids,
                                pd_error *err);

/* pd_chat_encode of peridot.h: Gemma's template, with the opening of the model's answer. */
pd_status pd_vocab_chat_encode(const pd_vocab *v, const pd_chat_turn *turns, size_t n_turns,
                               uint32_t *ids, size_t n_max, size_t *n_ids, pd_error *err);

#endif
