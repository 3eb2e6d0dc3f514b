/* See conversation.h: turns to tokens.  SPDX-License-Identifier: MIT */
#include <string.h>

#include "base/memory.h"
#include "cli/chat/conversation.h"

static pd_status raise_memory(pd_error *err) {
    return PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory for the prompt's tokens");
}

/* ---- pictures ------------------------------------------------------------------------------- */

static pd_status list_images(const chat_conversation *c, chat_prompt *out, pd_error *err) {
    size_t n = 0;
    for (size_t i = 0; i < c->n; i++) n += chat_pictures_count(&c->turns[i].pictures);
    out->images = pd_alloc(n + 1, sizeof *out->images);
    if (!out->images) return raise_memory(err);
    for (size_t i = 0; i < c->n; i++)
        for (size_t k = 0; k < c->turns[i].pictures.n; k++) {
            const pd_image_list *list = &c->turns[i].pictures.items[k].list;
            memcpy(out->images + out->n_images, list->images, list->n * sizeof *list->images);
            out->n_images += list->n;
        }
    return PD_OK;
}

/* ---- the template --------------------------------------------------------------------------- */

size_t chat_splice(const uint32_t *ids, size_t n_ids, const chat_turn *turns, size_t n_turns,
                   uint32_t *out) {
    size_t n = 0, n_ends = 0;
    for (size_t i = 0; i < n_ids; i++) {
        bool ends = ids[i] == PD_TOKEN_END_OF_TURN;
        size_t k = n_ends / 2; /* whose answer ends here, if one does */
        if (ends && n_ends % 2 == 1 && k + 1 < n_turns) {
            if (turns[k].n_ids) memcpy(out + n, turns[k].ids, turns[k].n_ids * sizeof *out);
            n += turns[k].n_ids;
        }
        n_ends += ends;
        out[n++] = ids[i];
    }
    return n;
}

static pd_status encode_template(const pd_model *model, const chat_conversation *c, size_t n_max,
                                 chat_prompt *out, pd_error *err) {
    size_t n = 0, n_ids = 0;
    uint32_t *ids = pd_alloc(n_max, sizeof *ids);
    pd_chat_turn *turns = pd_alloc(2 * c->n + 1, sizeof *turns);
    pd_status status = ids && turns ? PD_OK : raise_memory(err);
    if (turns && c->system) turns[n++] = (pd_chat_turn){"system", c->system, c->n_system, NULL, 0};
    for (size_t i = 0; turns && i < c->n; i++) {
        const chat_turn *t = &c->turns[i];
        turns[n++] = (pd_chat_turn){"user", t->text, t->n_text, t->places, t->pictures.n};
        if (i + 1 < c->n) turns[n++] = (pd_chat_turn){.role = "model"};
    }
    if (status == PD_OK) status = pd_chat_encode(model, turns, n, ids, n_max, &n_ids, err);
    if (status == PD_OK) out->n_ids = chat_splice(ids, n_ids, c->turns, c->n, out->ids);
    pd_free(turns);
    pd_free(ids);
    return status;
}

/* ---- without it ----------------------------------------------------------------------------- */

static pd_status encode_raw(const pd_model *model, const chat_conversation *c, size_t n_max,
                            chat_prompt *out, pd_error *err) {
    for (size_t i = 0; i < c->n; i++) {
        const chat_turn *t = &c->turns[i];
        pd_tokenize_desc desc = {.no_bos = i > 0, .images = t->places, .n_images = t->pictures.n};
        uint32_t *at = out->ids + out->n_ids;
        size_t n;
        PD_TRY(pd_tokenize(model, t->text, t->n_text, &desc, at, n_max - out->n_ids, &n, err));
        if (i == 0 && n > 1 && pd_model_is_stop(model, at[n - 1])) n--; /* the text goes on */
        out->n_ids += n;
        if (i + 1 == c->n) break;
        if (t->n_ids) memcpy(at + n, t->ids, t->n_ids * sizeof *at);
        out->n_ids += t->n_ids;
    }
    return PD_OK;
}

/* ---- both ----------------------------------------------------------------------------------- */

static size_t bound_ids(const chat_conversation *c, size_t n_images) {
    enum { TEMPLATE_IDS = 64 }; /* around a question and its answer; fewer bytes than that */
    size_t n = pd_tokenize_bound(c->n_system) + n_images * PD_IMAGE_MAX_IDS;
    for (size_t i = 0; i < c->n; i++)
        n += pd_tokenize_bound(c->turns[i].n_text) + c->turns[i].n_ids + TEMPLATE_IDS;
    return n;
}

pd_status chat_prompt_make(const pd_model *model, const chat_conversation *c, chat_prompt *out,
                           pd_error *err) {
    *out = (chat_prompt){0};
    pd_status status = list_images(c, out, err);
    size_t n_max = bound_ids(c, out->n_images);
    if (status == PD_OK && !(out->ids = pd_alloc(n_max, sizeof *out->ids)))
        status = raise_memory(err);
    if (status == PD_OK)
        status = c->raw ? encode_raw(model, c, n_max, out, err)
                        : encode_template(model, c, n_max, out, err);
    if (status != PD_OK) chat_prompt_free(out);
    return status;
}

void chat_prompt_free(chat_prompt *p) {
    pd_free(p->ids);
    pd_free(p->images);
    *p = (chat_prompt){0};
}

/* ---- tokens of a text ----------------------------------------------------------------------- */

/* How many of ids spell the beginning of text, whole characters and no more; *n_spelled: its bytes.
 * Where all of them and U+FFFD for what is left of a character spell all of it, that is meant. */
static size_t count_spelling(const pd_model *model, const uint32_t *ids, size_t n_ids,
                             const char *text, size_t n_text, size_t *n_spelled) {
    char piece[PD_DETOKENIZE_MAX_BYTES];
    pd_detokenizer d;
    size_t at = 0, kept = 0, n;
    pd_detokenizer_init(&d);
    *n_spelled = 0;
    for (size_t i = 0; i < n_ids; i++) {
        n = pd_detokenize(model, &d, ids[i], piece);
        if (n > n_text - at || memcmp(text + at, piece, n) != 0) return kept;
        at += n;
        if (d.n_held) continue;
        kept = i + 1;
        *n_spelled = at;
    }
    n = pd_detokenizer_flush(&d, piece);
    if (n == 0 || n != n_text - at || memcmp(text + at, piece, n) != 0) return kept;
    *n_spelled = n_text;
    return n_ids;
}

pd_status chat_spell(const pd_model *model, const uint32_t *ids, size_t n_ids, const char *text,
                     size_t n_text, uint32_t **out, size_t *n_out, pd_error *err) {
    size_t n_spelled, kept = count_spelling(model, ids, n_ids, text, n_text, &n_spelled);
    size_t n_rest = n_text - n_spelled, n_max = pd_tokenize_bound(n_rest), n = 0;
    const pd_tokenize_desc desc = {.no_bos = true};
    *n_out = 0;
    *out = pd_alloc(kept + n_max + 1, sizeof **out);
    if (!*out) return raise_memory(err);
    if (kept) memcpy(*out, ids, kept * sizeof **out);
    pd_status status = PD_OK;
    if (n_rest > 0)
        status = pd_tokenize(model, text + n_spelled, n_rest, &desc, *out + kept, n_max, &n, err);
    if (status != PD_OK) {
        pd_free(*out);
        *out = NULL;
        return status;
    }
    *n_out = kept + n;
    return PD_OK;
}
