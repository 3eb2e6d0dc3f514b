/* What the comparisons with transformers ask of Peridot that no command prints: a program of four
 * commands, each of which reads its work line by line from standard input (tool.c lists them).
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PERIDOT_TESTS_REFERENCE_TOOL_H
#define PERIDOT_TESTS_REFERENCE_TOOL_H

#include "base/error.h"

enum { TOOL_MAX_LINE = 1 << 22 };

/* The next line of standard input without its newline; false at the end. */
bool tool_read_line(char line[TOOL_MAX_LINE]);

pd_status tool_chats(int argc, char **argv, pd_error *err);
pd_status tool_generate(int argc, char **argv, pd_error *err);
pd_status tool_pixels(int argc, char **argv, pd_error *err);
pd_status tool_weights(int argc, char **argv, pd_error *err);

#endif
