/* Ids to text, one at a time.
 *
 * Tokens of several characters are UTF-8 already (pd_vocab_open made sure); byte tokens may be
 * parts of a character, and are held back until it is complete. When it turns out never to be, each
 * byte held becomes U+FFFD: that is when a byte cannot continue it, when another token follows,
 * or at the end.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/bytes.h"
#include "text/vocab.h"

static const char replacement[] = "\xEF\xBF\xBD"; /* U+FFFD */

void pd_detokenizer_init(pd_detokenizer *d) {
    if (d) *d = (pd_detokenizer){0};
}

size_t pd_detokenizer_flush(pd_detokenizer *d, char *out) {
    if (!d || !out) return 0;
    size_t n = d->n_held < sizeof d->held ? d->n_held : sizeof d->held;
    for (size_t i = 0; i < n; i++) memcpy(out + 3 * i, replacement, 3);
    d->n_held = 0;
    return 3 * n;
}

static size_t decode_byte(pd_detokenizer *d, uint8_t byte, char *out) {
    size_t n = 0;
    bool continues = (byte & 0xC0) == 0x80;
    if (d->n_held > 0 && !continues) n += pd_detokenizer_flush(d, out);
    if (d->n_held >= sizeof d->held) n += pd_detokenizer_flush(d, out + n);
    d->held[d->n_held++] = byte;
    size_t need = pd_utf8_need(d->held[0]);
    if (d->n_held < need) return n;
    if (need == 0 || pd_utf8_length(d->held, d->n_held) != d->n_held)
        return n + pd_detokenizer_flush(d, out + n);
    memcpy(out + n, d->held, d->n_held);
    n += d->n_held;
    d->n_held = 0;
    return n;
}

size_t pd_vocab_decode(const pd_vocab *v, pd_detokenizer *d, uint32_t id, char *out) {
    pd_string text = pd_vocab_text(v, id);
    if (id < v->count && v->kind[id] == PD_KIND_BYTE)
        return decode_byte(d, (uint8_t)text.data[0], out);
    size_t n = pd_detokenizer_flush(d, out);
    if (id >= v->count || v->kind[id] == PD_KIND_PADDING) return n;
    if (v->kind[id] == PD_KIND_CONTROL && !d->show_special) return n;
    memcpy(out + n, text.data, text.n);
    return n + text.n;
}

bool pd_token_is_stop(uint32_t id) {
    return id == PD_TOKEN_EOS || id == PD_TOKEN_END_OF_TURN;
}
