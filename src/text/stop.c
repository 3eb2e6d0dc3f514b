/* Where a text ends that is not to hold certain strings.
 *
 * Each string follows the text byte by byte with the automaton of Knuth, Morris and Pratt (1977):
 * it knows how many bytes of its beginning the text ends with. The most that any of them has is
 * held back; as a string begins with a whole character, so does what is held.
 *
 * SPDX-License-Identifier: MIT
 */
#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/memory.h"

typedef struct needle {
    const char *text;
    uint32_t n, n_found;
    uint16_t *next_best; /* [n] longest proper beginning that text[0..i] also ends with */
} needle;

struct pd_stop {
    pd_arena arena;
    needle *needles;
    size_t n;
    const needle *found; /* that ended the text; NULL: none has */
    uint32_t n_held;
    char held[PD_STOP_MAX_BYTES];
};

static void advance(needle *s, char byte) {
    uint32_t k = s->n_found;
    while (k > 0 && (k == s->n || s->text[k] != byte)) k = s->next_best[k - 1];
    s->n_found = k + (s->text[k] == byte);
}

/* ---- life ----------------------------------------------------------------------------------- */

static pd_status check_string(const char *text, size_t i, pd_error *err) {
    if (!text || !*text)
        return PD_RAISE(err, PD_ERR_ARGUMENT, "stop string %zu is %s", i + 1,
                        text ? "empty" : "NULL");
    size_t n = strlen(text);
    if (n > PD_STOP_MAX_BYTES)
        return PD_RAISE(err, PD_ERR_ARGUMENT,
                        "stop string %zu has %zu bytes, but at most %d can be", i + 1, n,
                        PD_STOP_MAX_BYTES);
    for (size_t at = 0, step; at < n; at += step) {
        step = pd_utf8_length((const uint8_t *)text + at, n - at);
        if (step == 0)
            return PD_RAISE(err, PD_ERR_ARGUMENT, "stop string %zu is not UTF-8 at byte %zu", i + 1,
                            at);
    }
    return PD_OK;
}

static pd_status add_needle(pd_stop *stop, const char *text, pd_error *err) {
    needle *s = &stop->needles[stop->n];
    s->n = (uint32_t)strlen(text);
    s->text = pd_arena_strdup(&stop->arena, text);
    s->next_best = pd_arena_alloc(&stop->arena, s->n, sizeof *s->next_best);
    if (!s->text || !s->next_best)
        return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for stop strings");
    for (uint32_t i = 1; i < s->n; i++) { /* it searches for itself */
        advance(s, text[i]);
        s->next_best[i] = (uint16_t)s->n_found;
    }
    s->n_found = 0;
    stop->n++;
    return PD_OK;
}

static pd_status add_needles(pd_stop *stop, const char *const *strings, size_t n, pd_error *err) {
    stop->needles = pd_arena_alloc(&stop->arena, n ? n : 1, sizeof *stop->needles);
    if (!stop->needles) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for stop strings");
    for (size_t i = 0; i < n; i++) PD_TRY(add_needle(stop, strings[i], err));
    return PD_OK;
}

pd_status pd_stop_create(const char *const *strings, size_t n, pd_stop **out, pd_error *err) {
    PD_NEED(err, out);
    *out = NULL;
    if (n) PD_NEED(err, strings);
    for (size_t i = 0; i < n; i++) PD_TRY(check_string(strings[i], i, err));
    pd_stop *stop = pd_alloc(1, sizeof *stop);
    if (!stop) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for stop strings");
    pd_status status = add_needles(stop, strings, n, err);
    if (status == PD_OK)
        *out = stop;
    else
        pd_stop_destroy(stop);
    return status;
}

void pd_stop_destroy(pd_stop *stop) {
    if (!stop) return;
    pd_arena_destroy(&stop->arena);
    pd_free(stop);
}

/* ---- text ----------------------------------------------------------------------------------- */

/* Writes all that is held but for the last n_kept bytes. */
static size_t release(pd_stop *stop, uint32_t n_kept, char *out) {
    uint32_t n = stop->n_held - n_kept;
    memcpy(out, stop->held, n);
    memmove(stop->held, stop->held + n, n_kept);
    stop->n_held = n_kept;
    return n;
}

/* What is held is shorter than any string that it could begin, so that one byte more has room. */
static size_t feed_byte(pd_stop *stop, char byte, char *out) {
    uint32_t n_begun = 0;
    stop->held[stop->n_held++] = byte;
    for (size_t i = 0; i < stop->n; i++) {
        needle *s = &stop->needles[i];
        advance(s, byte);
        if (s->n_found > n_begun) n_begun = s->n_found;
        if (s->n_found == s->n && (!stop->found || s->n > stop->found->n)) stop->found = s;
    }
    return release(stop, stop->found ? stop->found->n : n_begun, out);
}

bool pd_stop_feed(pd_stop *stop, const char *text, size_t n_bytes, char *out, size_t *n_out) {
    if (n_out) *n_out = 0;
    if (!stop || !out || !n_out || (n_bytes && !text)) return false;
    for (size_t i = 0; i < n_bytes && !stop->found; i++)
        *n_out += feed_byte(stop, text[i], out + *n_out);
    return stop->found != NULL;
}

const char *pd_stop_found(const pd_stop *stop) {
    return stop && stop->found ? stop->found->text : NULL;
}

size_t pd_stop_flush(pd_stop *stop, char *out) {
    if (!stop || !out) return 0;
    if (stop->found) stop->n_held = 0; /* the string itself */
    size_t n = release(stop, 0, out);
    stop->found = NULL;
    for (size_t i = 0; i < stop->n; i++) stop->needles[i].n_found = 0;
    return n;
}
