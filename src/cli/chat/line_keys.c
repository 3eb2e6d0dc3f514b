/* What keys do in the editor with libedit. What libedit does better by itself is asked of it by a
 * sequence that is bound to its function. Thus a line always ends by ed-newline, which leaves the
 * cursor below it, however long it is.
 *
 * SPDX-License-Identifier: MIT
 */
#ifdef PERIDOT_HAS_EDIT

#include <string.h>

#include "base/memory.h"
#include "cli/chat/keyboard.h"
#include "cli/chat/line_libedit.h"
#include "cli/chat/wide.h"

/* ---- the line ------------------------------------------------------------------------------ */

static size_t line_length(EditLine *el) {
    const LineInfoW *line = el_wline(el);
    return (size_t)(line->lastchar - line->buffer);
}

/* The line as UTF-8, up to the cursor or all of it; pd_free. NULL: no memory. */
static char *line_text(EditLine *el, bool to_cursor) {
    const LineInfoW *line = el_wline(el);
    return chat_wide_to_utf8(line->buffer,
                             (size_t)((to_cursor ? line->cursor : line->lastchar) - line->buffer));
}

static unsigned char accept_line(void) {
    keyboard_push(SEQUENCE_NEWLINE);
    return CC_NORM;
}

static unsigned char insert(EditLine *el, const wchar_t *text) {
    return el_winsertstr(el, text) == 0 ? CC_REFRESH : CC_ERROR;
}

static unsigned char on_new_line(EditLine *el, wint_t key) {
    (void)key;
    return insert(el, L"\n");
}

/* In multi-line mode an empty last line sends, and so does a command. */
static bool is_complete(EditLine *el, const editor *e) {
    const LineInfoW *line = el_wline(el);
    if (line->lastchar == line->buffer || line->lastchar[-1] == L'\n') return true;
    char *text = line_text(el, false);
    bool whole = text && !strchr(text, '\n') && e->is_whole(text);
    pd_free(text);
    return whole;
}

static unsigned char on_enter(EditLine *el, wint_t key) {
    const editor *e = editor_of(el);
    return !e->multiline || is_complete(el, e) ? accept_line() : on_new_line(el, key);
}

static unsigned char on_interrupt(EditLine *el, wint_t key) {
    editor *e = editor_of(el);
    (void)key;
    e->event = line_length(el) ? LINE_CLEARED : LINE_INTERRUPTED;
    return accept_line();
}

static unsigned char on_end(EditLine *el, wint_t key) {
    editor *e = editor_of(el);
    (void)key;
    if (line_length(el) && e->multiline) return accept_line();
    if (!line_length(el)) {
        e->event = LINE_END;
        return accept_line();
    }
    keyboard_push(SEQUENCE_DELETE);
    return CC_NORM;
}

static unsigned char insert_utf8(EditLine *el, const char *text, size_t n) {
    wchar_t *wide = chat_wide_from_utf8(text, n);
    unsigned char result = wide ? n ? insert(el, wide) : CC_NORM : CC_ERROR;
    pd_free(wide);
    return result;
}

static unsigned char on_paste(EditLine *el, wint_t key) {
    editor *e = editor_of(el);
    pd_bytes text = {0};
    (void)key;
    if (!keyboard_read_paste(&text)) e->event = LINE_END;
    unsigned char result = text.failed ? CC_ERROR : insert_utf8(el, text.data, text.n);
    pd_bytes_free(&text);
    return result;
}

static unsigned char on_initial(EditLine *el, wint_t key) {
    const editor *e = editor_of(el);
    (void)key;
    return e->initial ? insert(el, e->initial) : CC_NORM;
}

static void list_candidates(const editor *e, const chat_candidates *c) {
    enum { SHOWN = 60 };
    fputc('\n', e->out);
    for (size_t i = 0; i < c->n && i < SHOWN; i++) {
        size_t n = strlen(c->list[i]);
        const char *slash = NULL; /* folders are all the same */
        for (const char *at = c->list[i]; at + 1 < c->list[i] + n; at++)
            if (*at == '/') slash = at;
        fprintf(e->out, "%s  ", slash ? slash + 1 : c->list[i]);
    }
    fprintf(e->out, c->n > SHOWN ? "... %zu of them\n" : "\n", c->n);
}

/* What all candidates share is inserted; with nothing to insert they are shown. */
static unsigned char on_tab(EditLine *el, wint_t key) {
    const editor *e = editor_of(el);
    char *line = line_text(el, true);
    chat_candidates c = {0};
    unsigned char result = CC_ERROR;
    (void)key;
    if (line) e->complete(line, &c);
    size_t typed = line && c.n ? strlen(line) - c.at : 0, common = chat_candidates_common(&c);
    if (common > typed) {
        result = insert_utf8(el, c.list[0] + typed, common - typed);
    } else if (c.n > 1) {
        list_candidates(e, &c);
        result = CC_REDISPLAY;
    }
    chat_candidates_free(&c);
    pd_free(line);
    return result;
}

/* ---- the table ------------------------------------------------------------------------------ */

void line_bind_keys(EditLine *el) {
    typedef unsigned char (*key_fn)(EditLine * el, wint_t key);
    static const struct {
        const wchar_t *name;
        key_fn fn;
        const wchar_t *keys[2];
    } own[] = {
        {L"chat-enter", on_enter, {L"^M", L"^J"}},
        {L"chat-new-line", on_new_line, {L"\\e^M", L"\\e^J"}},
        {L"chat-interrupt", on_interrupt, {L"^C"}},
        {L"chat-end", on_end, {L"^D"}},
        {L"chat-complete", on_tab, {L"^I"}},
        {L"chat-paste", on_paste, {L"\\e[200~"}},
        {L"chat-initial", on_initial, {L"\\e[9999~"}},
    };
    for (size_t i = 0; i < sizeof own / sizeof *own; i++) {
        el_wset(el, EL_ADDFN, own[i].name, L"of peridot chat", own[i].fn);
        for (int k = 0; k < 2 && own[i].keys[k]; k++)
            el_wset(el, EL_BIND, own[i].keys[k], own[i].name, NULL);
    }
    el_wset(el, EL_BIND, L"\\e[9998~", L"ed-newline", NULL);
    el_wset(el, EL_BIND, L"\\e[9997~", L"ed-delete-next-char", NULL);
    el_wset(el, EL_BIND, L"\\e[3~", L"ed-delete-next-char", NULL);
    el_wset(el, EL_BIND, L"\\e[1;5D", L"ed-prev-word", NULL);
    el_wset(el, EL_BIND, L"\\e[1;5C", L"em-next-word", NULL);
    el_wset(el, EL_BIND, L"^R", L"em-inc-search-prev", NULL);
}

#else
typedef int no_libedit; /* a file is not empty */
#endif
