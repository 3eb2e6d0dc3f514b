/* What fingers type that know llama.cpp or Ollama: what means nothing here is passed over, what has
 * another spelling is understood, what would change the answer is refused with the way that there
 * is.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_OPTIONS_HABITS_H
#define PD_OPTIONS_HABITS_H

#include "options/options.h"

/* How many words from `flag` on can be passed over, since they change nothing here; 0: none. `next`
 * is the word behind it, or NULL. Errors: ARGUMENT (it would change something). */
pd_status cli_habit_pass(cli_command command, const char *flag, const char *next, int *n_words,
                         pd_error *err);
/* The name by which the table has a flag of n bytes; NULL: by its own, or not at all. */
const char *cli_habit_name(const char *flag, size_t n);
/* What to do instead of a command that is none; NULL: no idea. */
const char *cli_habit_command(const char *name);

/* Arguments without a flag in front become a model, those of `run` a prompt as well. */
pd_status cli_habit_arguments(cli_options *o, pd_error *err);
/* -o - is standard output, where raw numbers can go. */
pd_status cli_habit_output(cli_options *o, pd_error *err);

#endif
