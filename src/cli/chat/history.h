/* Messages of earlier conversations, in a file of the user's own: one to a line, oldest first, with
 * \n for a newline and \\ for a backslash.
 *
 * Each is appended at once, so that several programs can share the file and none is lost; when it
 * is opened with more than twice what is kept, or with too many bytes, it is written anew with the
 * last ones. A history that cannot be read or written is no error: it is just not there.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_CLI_CHAT_HISTORY_H
#define PD_CLI_CHAT_HISTORY_H

#include <stddef.h>

enum {
    CHAT_HISTORY_MAX = 1000, /* messages kept */
    CHAT_HISTORY_MAX_BYTES = 4 << 20,
    CHAT_HISTORY_MAX_LINE = 64 << 10 /* longer ones are not remembered */
};

typedef void (*chat_history_fn)(void *ctx, const char *text);

/* Hands over the last ones, oldest first. path: NULL: there is no history. */
void chat_history_read(const char *path, chat_history_fn fn, void *ctx);
void chat_history_append(const char *path, const char *text);

#endif
