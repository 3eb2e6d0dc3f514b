/* See tool_calls.h.
 *
 *     [ {"name": " NAME ", "parameters":  ARGUMENTS } , {"name": " ... ]
 *      '--opening-'    '----middle------'         closing
 *
 * SPDX-License-Identifier: MIT
 */
#include "server/tool_calls.h"

#include <string.h>

static const char OPENING[] = "{\"name\": \"", MIDDLE[] = ", \"parameters\": ";

/* ---- a character at a time ------------------------------------------------------------------ */

static void enter(srv_tool_scan *s, srv_scan_state state) {
    s->state = state;
    s->at = 0;
}

/* One more of what can only stand there; behind the last, `next`. */
static void expect(srv_tool_scan *s, const char *text, char c, srv_scan_state next) {
    if (text[s->at] != c)
        enter(s, SRV_SCAN_OVER);
    else if (!text[++s->at])
        enter(s, next);
}

static void take_between(srv_tool_scan *s, char c) {
    if (c == '{') {
        s->n_name = 0;
        enter(s, SRV_SCAN_OPENING);
        expect(s, OPENING, c, SRV_SCAN_NAME);
    } else if (c != ',' && c != ' ') {
        enter(s, SRV_SCAN_OVER);
    }
}

/* true: the name is whole. */
static bool take_name(srv_tool_scan *s, char c) {
    if (c == '"') {
        s->name[s->n_name] = '\0';
        s->n_calls++;
        enter(s, SRV_SCAN_MIDDLE);
        return true;
    }
    if (s->n_name == SRV_TOOL_NAME_MAX)
        enter(s, SRV_SCAN_OVER);
    else
        s->name[s->n_name++] = c;
    return false;
}

static srv_scan_state first_state(char c) {
    return c == '[' ? SRV_SCAN_LIST : c == '{' ? SRV_SCAN_BETWEEN : SRV_SCAN_WORDS;
}

/* true: it is the last one of the arguments. */
static bool ends_arguments(srv_tool_scan *s, char c) {
    if (s->in_string) {
        s->in_string = s->is_escaped || c != '"';
        s->is_escaped = !s->is_escaped && c == '\\';
        return false;
    }
    s->in_string = c == '"';
    s->depth += c == '{' || c == '[';
    if ((c == '}' || c == ']') && s->depth) s->depth--;
    return s->depth == 0;
}

/* ---- pieces --------------------------------------------------------------------------------- */

static void cut(const char **text, size_t *n, size_t n_piece, srv_piece_kind kind, srv_piece *out) {
    *out = (srv_piece){kind, *text, n_piece};
    *text += n_piece;
    *n -= n_piece;
}

static void take_arguments(srv_tool_scan *s, const char **text, size_t *n, srv_piece *out) {
    size_t i = 0;
    bool ends = false;
    while (i < *n && !ends) ends = ends_arguments(s, (*text)[i++]);
    cut(text, n, i, SRV_PIECE_ARGUMENTS, out);
    if (ends) enter(s, SRV_SCAN_CLOSING);
}

/* A character that belongs to no text; true: it makes a piece. */
static bool take_mark(srv_tool_scan *s, char c, srv_piece *out) {
    *out = (srv_piece){0};
    switch (s->state) {
    case SRV_SCAN_OPENING: expect(s, OPENING, c, SRV_SCAN_NAME); return false;
    case SRV_SCAN_NAME: out->kind = SRV_PIECE_NAME; return take_name(s, c);
    case SRV_SCAN_MIDDLE: expect(s, MIDDLE, c, SRV_SCAN_ARGUMENTS); return false;
    case SRV_SCAN_LIST: enter(s, SRV_SCAN_BETWEEN); return false;
    case SRV_SCAN_BETWEEN: take_between(s, c); return false;
    case SRV_SCAN_CLOSING:
        enter(s, c == '}' ? SRV_SCAN_BETWEEN : SRV_SCAN_OVER);
        s->n_ended += c == '}';
        out->kind = SRV_PIECE_END;
        return c == '}';
    default: return false;
    }
}

bool srv_scan_next(srv_tool_scan *s, const char **text, size_t *n, srv_piece *out) {
    if (s->state == SRV_SCAN_START && *n) s->state = first_state(**text);
    while (*n) {
        if (s->state == SRV_SCAN_WORDS) {
            cut(text, n, *n, SRV_PIECE_WORDS, out);
            return true;
        }
        if (s->state == SRV_SCAN_ARGUMENTS) {
            take_arguments(s, text, n, out);
            return true;
        }
        char c = *(*text)++;
        --*n;
        if (take_mark(s, c, out)) return true;
    }
    return false;
}

bool srv_scan_call(srv_tool_scan *s, const char **text, size_t *n, srv_tool_call *out) {
    srv_piece piece;
    *out = (srv_tool_call){.arguments = ""};
    while (srv_scan_next(s, text, n, &piece)) {
        if (piece.kind == SRV_PIECE_NAME) memcpy(out->name, s->name, sizeof out->name);
        if (piece.kind == SRV_PIECE_ARGUMENTS) {
            out->arguments = piece.text;
            out->n_arguments = piece.n;
        }
        out->is_whole = piece.kind == SRV_PIECE_END;
        if (out->is_whole) return true;
    }
    return out->name[0] != '\0';
}
