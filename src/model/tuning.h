/* Whether a file holds a model that was trained to answer, or one that only goes on with a text.
 *
 *     tokenizer.chat_template, general.finetune, general.name, and the file's own name
 *
 * general.finetune decides where it is "it", "pt" or a word for these; a chat template says that
 * answers were trained; else a name does that has "it" or "instruct" as a word of its own, as in
 * gemma-3-1b-it. Names alone never tell for sure: whoever uses this lets the user say otherwise.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_MODEL_TUNING_H
#define PD_MODEL_TUNING_H

#include "file/gguf.h"

typedef struct pd_tuning {
    bool has_chat_template; /* one that is not empty */
    bool is_instruction_tuned;
} pd_tuning;

pd_tuning pd_tuning_read(const pd_gguf *g);

#endif
