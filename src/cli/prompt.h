/* The prompt of commands that answer one: text, system text and pictures to tokens.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_CLI_PROMPT_H
#define PD_CLI_PROMPT_H

#include "cli/images.h"

typedef struct cli_prompt {
    char *text;
    size_t n_text;
    char *system; /* instructions put in front of it, or NULL */
    size_t n_system;
    cli_images images;
    uint32_t *ids; /* [n_ids] once it is encoded */
    size_t n_ids;
} cli_prompt;

/* The text, the system text and the pictures that the options name. Errors: ARGUMENT (an empty
 * prompt, options that do not go together), and those of reading them. */
pd_status cli_prompt_read(const cli_options *o, cli_prompt *p, pd_error *err);
/* Turns of Gemma's chat template, or with --raw the text as it is. Errors: those of encoding,
 * MEMORY_HOST. */
pd_status cli_prompt_encode(const cli_options *o, const pd_model *model, cli_prompt *p,
                            pd_error *err);
pd_prompt cli_prompt_view(const cli_prompt *p);
void cli_prompt_free(cli_prompt *p);

#endif
