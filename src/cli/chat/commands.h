/* What begins with a slash: one table, from which /help, completion and "did you mean" follow.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_CLI_CHAT_COMMANDS_H
#define PD_CLI_CHAT_COMMANDS_H

#include "cli/chat/chat.h"

/* Runs the command that `line` is. `line` is changed; *initial: what the next line is to begin
 * with, or NULL; valid until the conversation changes. Errors: ARGUMENT (no such command, with the
 * nearest one as a hint; without an argument that it needs), and the command's own. */
pd_status chat_command_run(chat_job *job, char *line, const char **initial, pd_error *err);

/* Whether a message is a command: it begins with one's name, or is one line with a slash in front.
 */
bool chat_is_command(const char *line);
/* A chat_whole_fn: a line that a known command begins. */
bool chat_is_whole_command(const char *line);
/* A chat_complete_fn. */
void chat_complete(const char *line, chat_candidates *out);

#endif
