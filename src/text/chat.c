/* Spans and chats to ids.
 *
 * Markers cut the text exactly where added tokens would, so what lies between two of them is
 * encoded as one string of its own: newlines and words merge over the borders of spans, and nothing
 * a user wrote is ever searched for markers.
 *
 * SPDX-License-Identifier: MIT
 */
#include "text/chat.h"

#include "base/bytes.h"
#include "base/log.h"
#include "base/memory.h"
#include "text/vocab.h"

typedef struct id_list {
    bool parse_special;
    uint32_t *ids;
    size_t n_max, n;
} id_list;

static pd_status put_text(const pd_vocab *v, const pd_bytes *text, id_list *out, pd_error *err) {
    size_t used = out->n < out->n_max ? out->n : out->n_max, n;
    pd_error ignored;
    if (text->failed)
        return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory to join the texts of a chat");
    pd_status status = pd_vocab_encode(v, text->data, text->n, out->parse_special,
                                       used < out->n_max ? out->ids + used : NULL,
                                       out->n_max - used, &n, &ignored);
    out->n += n;
    if (status == PD_ERR_ARGUMENT && n > 0) return PD_OK; /* too long: keep counting */
    if (status != PD_OK && err) *err = ignored;
    return status;
}

pd_status pd_vocab_encode_spans(const pd_vocab *v, const pd_span *spans, size_t n_spans,
                                bool parse_special, uint32_t *ids, size_t n_max, size_t *n_ids,
                                pd_error *err) {
    id_list out = {.parse_special = parse_special, .ids = ids, .n_max = n_max};
    pd_bytes text = {0};
    pd_status status = PD_OK;
    for (size_t i = 0; i < n_spans; i++) {
        bool is_text = spans[i].id == PD_SPAN_TEXT;
        if (is_text) {
            pd_bytes_write(&text, spans[i].text, spans[i].n_bytes);
        } else {
            if (out.n < n_max) ids[out.n] = pd_special_id(&v->special, spans[i].id);
            out.n++;
        }
        if (is_text && (i + 1 == n_spans || spans[i + 1].id != PD_SPAN_TEXT)) {
            PD_TRY_GOTO(put_text(v, &text, &out, err));
            text.n = 0;
        }
    }
    if (out.n > n_max)
        status =
            PD_RAISE(err, PD_ERR_ARGUMENT,
                     "the prompt has %zu tokens, but there is room for only %zu", out.n, n_max);
done:
    *n_ids = out.n;
    pd_bytes_free(&text);
    return status;
}

/* A model that was trained with other markers answers badly to Gemma's, and nothing shows why. */
static void tell_template(const pd_vocab *v) {
    if (!v->special.other_template || atomic_exchange(v->told, 1)) return;
    pd_log(PD_LOG_WARN, "text",
           "the model's file brings another chat template than Gemma's, which is not used: answers "
           "may be poor");
}

pd_status pd_vocab_chat_encode(const pd_vocab *v, const pd_chat_turn *turns, size_t n_turns,
                               uint32_t *ids, size_t n_max, size_t *n_ids, pd_error *err) {
    pd_span_list list;
    *n_ids = 0;
    tell_template(v);
    PD_TRY(pd_template_render(turns, n_turns, true, &list, err));
    pd_status status = pd_vocab_encode_spans(v, list.spans, list.n, false, ids, n_max, n_ids, err);
    pd_span_list_free(&list);
    return status;
}
