/* The public text calls, over a model's vocabulary.  SPDX-License-Identifier: MIT */
#include "engine/model.h"
#include "text/chat.h"

pd_status pd_tokenize(const pd_model *model, const char *text, size_t n_bytes,
                      const pd_tokenize_desc *desc, uint32_t *ids, size_t n_max, size_t *n_ids,
                      pd_error *err) {
    static const pd_tokenize_desc defaults = {0};
    PD_NEED(err, n_ids);
    *n_ids = 0;
    PD_NEED(err, model);
    if (n_max > 0) PD_NEED(err, ids);
    if (!desc) desc = &defaults;
    const pd_special *special = pd_vocab_special(model->vocab);
    bool bos = !desc->no_bos && special->add_bos, eos = !desc->no_bos && special->add_eos;
    if (bos && n_max > 0) ids[0] = special->bos;
    size_t first = bos && n_max > 0;
    pd_span_list list = {0};
    PD_TRY(pd_template_text(text, n_bytes, desc->images, desc->n_images, &list, err));
    pd_status status = pd_vocab_encode_spans(model->vocab, list.spans, list.n, desc->parse_special,
                                             first ? ids + first : ids, n_max - first, n_ids, err);
    pd_span_list_free(&list);
    *n_ids += bos;
    if (eos && *n_ids < n_max) ids[*n_ids] = special->eos;
    *n_ids += eos;
    if (status == PD_OK && *n_ids > n_max)
        return PD_RAISE(err, PD_ERR_ARGUMENT, "%zu ids do not fit room for %zu", *n_ids, n_max);
    return status;
}

size_t pd_detokenize(const pd_model *model, pd_detokenizer *d, uint32_t id, char *out) {
    return model && d && out ? pd_vocab_decode(model->vocab, d, id, out) : 0;
}

pd_status pd_chat_encode(const pd_model *model, const pd_chat_turn *turns, size_t n_turns,
                         uint32_t *ids, size_t n_max, size_t *n_ids, pd_error *err) {
    PD_NEED(err, n_ids);
    *n_ids = 0;
    PD_NEED(err, model);
    if (n_max > 0) PD_NEED(err, ids);
    return pd_vocab_chat_encode(model->vocab, turns, n_turns, ids, n_max, n_ids, err);
}

bool pd_model_is_stop(const pd_model *model, uint32_t id) {
    return model && pd_special_is_stop(pd_vocab_special(model->vocab), id);
}
