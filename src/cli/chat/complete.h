/* What can stand where the cursor is: commands, settings, file names.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_CLI_CHAT_COMPLETE_H
#define PD_CLI_CHAT_COMPLETE_H

#include "base/memory.h"

typedef struct chat_candidates {
    size_t at;   /* byte of the line where all of them begin */
    char **list; /* sorted as they come; those that end a word have a space behind them */
    size_t n, cap;
    pd_arena arena; /* of the texts */
} chat_candidates;

/* line: up to the cursor, NUL-terminated. out: all zero; what memory is short of is left out. */
typedef void (*chat_complete_fn)(const char *line, chat_candidates *out);
/* Whether a line is a command, which nobody wants to end with an empty line. */
typedef bool (*chat_whole_fn)(const char *line);

void chat_candidates_add(chat_candidates *c, const char *text, const char *behind);
/* Bytes that all of them begin with. */
size_t chat_candidates_common(const chat_candidates *c);
void chat_candidates_free(chat_candidates *c);

/* The files whose path begins with `path`, folders with a slash behind them. */
void chat_complete_files(const char *path, chat_candidates *out);
/* "~/a" with the user's own folder in place of "~", quotes around all of it taken away; pd_free.
 * NULL: no memory. */
char *chat_expand_path(const char *path);

#endif
