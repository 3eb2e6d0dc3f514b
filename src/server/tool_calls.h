/* The calls of tools in an answer that grammar/tools.h has let through, read as its text comes: in
 * pieces of any size, each of which is told at once.
 *
 * Texts of another shape, which a grammar does not write, do no harm: the calls end there.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_SERVER_TOOL_CALLS_H
#define PD_SERVER_TOOL_CALLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SRV_TOOL_NAME_MAX = 64 };

typedef enum srv_scan_state {
    SRV_SCAN_START, /* nothing has come */
    SRV_SCAN_WORDS, /* the answer is a text */
    SRV_SCAN_LIST,  /* the bracket that begins one */
    SRV_SCAN_OPENING,
    SRV_SCAN_NAME,
    SRV_SCAN_MIDDLE,
    SRV_SCAN_ARGUMENTS,
    SRV_SCAN_CLOSING,
    SRV_SCAN_BETWEEN, /* before a call, or behind one */
    SRV_SCAN_OVER
} srv_scan_state;

/* Where in an answer a reader is. Zero: at its beginning. */
typedef struct srv_tool_scan {
    srv_scan_state state;
    uint32_t at; /* characters of what stands there in any case that have come */
    uint32_t depth;
    bool in_string, is_escaped;
    char name[SRV_TOOL_NAME_MAX + 1]; /* [n_name] of the call that is being read */
    uint32_t n_name;
    uint32_t n_calls; /* that have a name */
    uint32_t n_ended;
} srv_tool_scan;

typedef enum srv_piece_kind {
    SRV_PIECE_WORDS,     /* text [n] */
    SRV_PIECE_NAME,      /* call number n_calls - 1 begins; scan->name is whole */
    SRV_PIECE_ARGUMENTS, /* text [n], of that call */
    SRV_PIECE_END        /* of that call */
} srv_piece_kind;

typedef struct srv_piece {
    srv_piece_kind kind;
    const char *text; /* a view */
    size_t n;
} srv_piece;

/* Takes from the front of *text [*n] what makes a piece; false: all of it is taken. */
bool srv_scan_next(srv_tool_scan *s, const char **text, size_t *n, srv_piece *out);

/* A call of a text that is all there, or was cut off. */
typedef struct srv_tool_call {
    char name[SRV_TOOL_NAME_MAX + 1];
    const char *arguments; /* [n_arguments] a view */
    size_t n_arguments;
    bool is_whole;
} srv_tool_call;

/* The next one that has a name; false: there is none any more. */
bool srv_scan_call(srv_tool_scan *s, const char **text, size_t *n, srv_tool_call *out);

#endif
