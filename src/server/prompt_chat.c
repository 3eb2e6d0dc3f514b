/* Conversations: turns with text and pictures, and Gemma's template.
 *
 * SPDX-License-Identifier: MIT
 */
#include <string.h>

#include "base/memory.h"
#include "server/prompt.h"

static pd_status raise_no_memory(pd_error *err) {
    return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for a request");
}

/* ---- turns ---------------------------------------------------------------------------------- */

pd_status srv_chat_begin(srv_chat *c, const pd_server *s, const pd_model *m, size_t max_turns,
                         pd_error *err) {
    *c = (srv_chat){.server = s, .model = m, .max_turns = max_turns, .fetch_ns = SRV_FETCH_NS};
    c->turns = pd_alloc(max_turns + 1, sizeof *c->turns);
    c->images = pd_alloc(s->desc.max_images, sizeof *c->images);
    return c->turns && c->images ? PD_OK : raise_no_memory(err);
}

void srv_chat_free(srv_chat *c) {
    for (size_t i = 0; i < c->n_turns; i++) {
        pd_bytes_free(&c->turns[i].text);
        pd_free(c->turns[i].places);
    }
    for (size_t i = 0; i < c->n_images; i++) pd_image_free(&c->images[i]);
    pd_free(c->turns);
    pd_free(c->images);
    pd_bytes_free(&c->known);
    *c = (srv_chat){0};
}

static const char *role_of(const char *role) {
    if (strcmp(role, "system") == 0 || strcmp(role, "developer") == 0) return "system";
    if (strcmp(role, "user") == 0) return "user";
    if (strcmp(role, "assistant") == 0 || strcmp(role, "model") == 0) return "assistant";
    return NULL;
}

pd_status srv_chat_turn(srv_chat *c, const char *role, pd_error *err) {
    const char *known = role_of(role);
    struct srv_turn *last = c->n_turns ? &c->turns[c->n_turns - 1] : NULL;
    if (!known)
        return PD_RAISE(err, PD_ERR_ARGUMENT,
                        "role \"%.40s\" is none of system, developer, user, assistant", role);
    c->calls.n = 0;
    c->gap = last && strcmp(last->role, known) == 0;
    if (c->gap) return PD_OK;
    if (last && strcmp(known, "system") == 0)
        return PD_RAISE(err, PD_ERR_ARGUMENT, "a system message can only come first");
    c->turns[c->n_turns++] = (struct srv_turn){.role = known};
    return PD_OK;
}

void srv_chat_fill_gap(srv_chat *c) {
    struct srv_turn *t = &c->turns[c->n_turns - 1];
    if (c->gap && (t->text.n || t->n_places)) pd_bytes_write(&t->text, "\n\n", 2);
    c->gap = false;
}

void srv_chat_text(srv_chat *c, const char *text) {
    srv_chat_fill_gap(c);
    pd_bytes_write(&c->turns[c->n_turns - 1].text, text, strlen(text));
}

/* ---- pictures ------------------------------------------------------------------------------- */

static pd_status check_place(const srv_chat *c, pd_error *err) {
    if (!pd_model_get_vision(c->model))
        return PD_RAISE(err, PD_ERR_UNSUPPORTED,
                        "the model was opened without an image encoder (--mmproj)");
    if (strcmp(c->turns[c->n_turns - 1].role, "user") != 0)
        return PD_RAISE(err, PD_ERR_ARGUMENT, "pictures can be in user messages alone");
    if (c->n_images < c->server->desc.max_images) return PD_OK;
    return PD_RAISE(err, PD_ERR_ARGUMENT, "a request can have at most %u pictures",
                    c->server->desc.max_images);
}

/* At the end of the last turn's text. */
static pd_status place_image(srv_chat *c, const pd_image *image, pd_error *err) {
    struct srv_turn *t = &c->turns[c->n_turns - 1];
    srv_chat_fill_gap(c);
    c->images[c->n_images++] = *image;
    if (!t->places) t->places = pd_alloc(c->server->desc.max_images, sizeof *t->places);
    if (!t->places) return raise_no_memory(err);
    t->places[t->n_places++] = (pd_image_place){.at = t->text.n};
    return PD_OK;
}

pd_status srv_chat_image(srv_chat *c, const char *url, pd_error *err) {
    pd_image image;
    PD_TRY(check_place(c, err));
    PD_TRY(srv_image_read(c->server, url, &c->fetch_ns, &image, err));
    return place_image(c, &image, err);
}

pd_status srv_chat_image_base64(srv_chat *c, const char *base64, pd_error *err) {
    pd_image image;
    PD_TRY(check_place(c, err));
    PD_TRY(srv_image_from_base64(c->server, base64, strlen(base64), &image, err));
    return place_image(c, &image, err);
}

/* ---- encoding ------------------------------------------------------------------------------- */

/* An assistant's last turn is behind the opening of the answer that the template ends with. */
static pd_status encode(const srv_chat *c, const pd_chat_turn *turns, size_t n_turns, size_t n_max,
                        srv_prompt *out, pd_error *err) {
    const pd_chat_turn *last = &turns[n_turns - 1];
    bool goes_on = strcmp(last->role, "assistant") == 0;
    PD_TRY(pd_chat_encode(c->model, turns, goes_on ? n_turns - 1 : n_turns, out->ids, n_max,
                          &out->n_ids, err));
    if (!goes_on) return PD_OK;
    pd_tokenize_desc plain = {.no_bos = true};
    size_t n;
    PD_TRY(pd_tokenize(c->model, last->text, last->n_bytes, &plain, out->ids + out->n_ids,
                       n_max - out->n_ids, &n, err));
    out->n_ids += n;
    return PD_OK;
}

pd_status srv_chat_encode(srv_chat *c, srv_prompt *out, pd_error *err) {
    enum { TURN_IDS = 32 };
    size_t n_max = TURN_IDS;
    bool is_whole = true;
    if (c->n_turns == 0) return PD_RAISE(err, PD_ERR_ARGUMENT, "the conversation is empty");
    pd_chat_turn *turns = pd_alloc(c->n_turns, sizeof *turns);
    if (!turns) return raise_no_memory(err);
    for (size_t i = 0; i < c->n_turns; i++) {
        const struct srv_turn *t = &c->turns[i];
        const char *text = t->text.data ? t->text.data : "";
        is_whole &= !t->text.failed;
        turns[i] = (pd_chat_turn){t->role, text, t->text.n, t->places, t->n_places};
        n_max += pd_tokenize_bound(t->text.n) + TURN_IDS + t->n_places * PD_IMAGE_MAX_IDS;
    }
    out->ids = pd_alloc(n_max, sizeof *out->ids);
    pd_status status =
        out->ids && is_whole ? encode(c, turns, c->n_turns, n_max, out, err) : raise_no_memory(err);
    pd_free(turns);
    out->images = c->images;
    out->n_images = c->n_images;
    c->images = NULL;
    c->n_images = 0;
    return status;
}
