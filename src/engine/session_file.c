/* Sessions as files.
 *
 *     ...      session_head.h: what it is, the kind of device, the caller's note
 *     u64      what the model is known by, its image encoder and requantised head included
 *     u64      ... the shape of its pages
 *     u32      positions n, images, outputs, whether a token is pending, and that token
 *     u32 [n]  tokens
 *     images   u32 first, u32 end, u64 hash
 *     outputs  u32 n, pd_sample_result, f32 [n_vocab]
 *     u32      global pages, local pages, words
 *     u32 []   words of pd_kv_state
 *     pages    global, then local ones, as pd_kv_page_bytes lays them out
 *     u64      XXH3 of all before it
 *
 * Little-endian. The hash is checked before anything else is believed, and whatever is read is
 * checked again where it is used: a file with a right hash may still have been made by hand.
 *
 * SPDX-License-Identifier: MIT
 */
#include <string.h>

#include "base/bytes.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/memory.h"
#include "engine/session.h"
#include "engine/session_head.h"

enum { HEAD_WORDS = 5 };

/* ---- what a file must agree with ------------------------------------------------------------ */

static uint64_t identify_model(const pd_model *m) {
    uint64_t parts[3] = {pd_gguf_identity(m->file),
                         m->vision ? pd_vision_get_identity(m->vision) : 0,
                         m->lm_head.requantised ? 1 + (uint64_t)m->lm_head.tensor.type : 0};
    return pd_hash(parts, sizeof parts);
}

static const pd_kv_shape *page_shape(const pd_session *s) {
    return &s->context->stages[PD_STAGE_DECODE].plan.desc.kv;
}

static uint64_t identify_pages(const pd_session *s) {
    const pd_kv_shape *k = page_shape(s);
    uint32_t parts[] = {k->n_layers,        k->n_kv_heads,     k->head_dim,
                        k->f32 ? 32u : 16u, PD_PAGE_POSITIONS, s->model->config.window};
    return pd_hash_seeded(k->layer_is_global, k->n_layers, pd_hash(parts, sizeof parts));
}

static uint64_t page_bytes(const pd_session *s, bool global) {
    return global && !s->context->has_global ? 0 : pd_kv_page_bytes(page_shape(s), global);
}

/* ---- writing -------------------------------------------------------------------------------- */

typedef struct out_file {
    pd_session *s;
    const void *note;
    size_t n_note;
    pd_file_writer *w;
    pd_hasher *hasher;
} out_file;

static void put(out_file *f, const void *data, size_t n) {
    if (n == 0) return;
    pd_file_writer_write(f->w, data, n);
    pd_hasher_add(f->hasher, data, n);
}

static void put_u32(out_file *f, uint32_t v) {
    put(f, &v, sizeof v);
}

static void put_u64(out_file *f, uint64_t v) {
    put(f, &v, sizeof v);
}

static void put_head(out_file *f) {
    put(f, PD_SESSION_MAGIC, PD_SESSION_MAGIC_BYTES);
    put_u32(f, (uint32_t)pd_model_get_device(f->s->model)->kind);
    put_u64(f, f->n_note);
    put(f, f->note, f->n_note);
}

static void put_tokens(out_file *f, const pd_session *s) {
    const pd_tokens *t = &s->seq.tokens;
    uint32_t n_outputs = 0;
    for (uint32_t i = 0; i < PD_KEPT_OUTPUTS; i++) n_outputs += s->seq.kept[i].n > 0;
    put_u64(f, identify_model(s->model));
    put_u64(f, identify_pages(s));
    uint32_t head[HEAD_WORDS] = {t->n, t->n_images, n_outputs, s->has_pending, s->pending};
    put(f, head, sizeof head);
    put(f, t->ids, 4ul * t->n);
    for (uint32_t i = 0; i < t->n_images; i++) {
        put_u32(f, t->images[i].first);
        put_u32(f, t->images[i].end);
        put_u64(f, t->images[i].hash);
    }
    for (uint32_t i = 0; i < PD_KEPT_OUTPUTS; i++) {
        const pd_kept_output *k = &s->seq.kept[i];
        if (k->n == 0) continue;
        put_u32(f, k->n);
        put(f, &k->result, sizeof k->result);
        put(f, k->logits, 4ul * s->model->config.n_vocab);
    }
}

/* Slots that nobody has written may hold anything that was in the device's memory. */
static void clear_behind(const pd_session *s, uint8_t *page, uint64_t bytes, uint32_t n_filled) {
    const pd_kv_shape *k = page_shape(s);
    uint64_t row = (uint64_t)k->head_dim * (k->f32 ? 4 : 2), head = row * PD_PAGE_POSITIONS;
    for (uint64_t at = 0; at < bytes; at += head)
        memset(page + at + n_filled * row, 0, head - n_filled * row);
}

static pd_status put_kind(out_file *f, pd_session *s, const pd_kv_state *k, bool global,
                          pd_error *err) {
    const uint32_t *ids = global ? k->global_ids : k->local_ids;
    uint32_t n = global ? k->n_global : k->n_local;
    pd_backend *b = s->model->backend;
    uint64_t bytes = page_bytes(s, global);
    if (bytes == 0 || n == 0) return PD_OK;
    uint8_t *page = pd_alloc(bytes, 1);
    if (!page) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for a KV page");
    pd_status status = PD_OK;
    for (uint32_t i = 0; i < n && status == PD_OK && !f->w->failed; i++) {
        status = b->v->kv_read(b, s->context->store, global, ids[i], page, err);
        clear_behind(s, page, bytes, pd_kv_state_filled(k, global, i));
        if (status == PD_OK) put(f, page, bytes);
    }
    pd_free(page);
    return status;
}

static pd_status put_pages(out_file *f, pd_session *s, pd_error *err) {
    pd_kv_state state;
    pd_status status = pd_kv_get_state(s->context->kv, s->seq.kv_id, &state, err);
    if (status == PD_OK) {
        put_u32(f, state.n_global);
        put_u32(f, state.n_local);
        put_u32(f, state.n_words);
        put(f, state.words, 4ul * state.n_words);
        status = put_kind(f, s, &state, true, err);
    }
    if (status == PD_OK) status = put_kind(f, s, &state, false, err);
    pd_kv_state_free(&state);
    return status;
}

static pd_status save_in_turn(out_file *f, pd_error *err) {
    pd_session *s = f->s;
    PD_TRY(pd_context_keep_output(s->context, &s->seq, err));
    put_head(f);
    put_tokens(f, s);
    PD_TRY(put_pages(f, s, err));
    uint64_t sum = pd_hasher_result(f->hasher);
    pd_file_writer_write(f->w, &sum, sizeof sum);
    return PD_OK;
}

static pd_status save(void *ctx, pd_file_writer *w, pd_error *err) {
    out_file *f = ctx;
    f->w = w;
    PD_TRY(pd_session_begin_turn(f->s, err));
    pd_status status = save_in_turn(f, err);
    pd_session_end_turn(f->s);
    return status;
}

pd_status pd_session_save(pd_session *s, const char *path, const void *note, size_t n_note,
                          pd_error *err) {
    PD_NEED(err, s);
    PD_NEED(err, path);
    if (n_note > 0) PD_NEED(err, note);
    out_file f = {.s = s, .note = note, .n_note = n_note, .hasher = pd_hasher_create()};
    if (!f.hasher) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory to save a session");
    pd_status status = pd_file_write(path, save, &f, err);
    pd_hasher_destroy(f.hasher);
    return status;
}

/* ---- reading -------------------------------------------------------------------------------- */

/* What a file says, pointing into its mapping, which is aligned for words. */
typedef struct in_file {
    const char *path;
    pd_reader r;
    uint32_t head[HEAD_WORDS]; /* n, images, outputs, has pending, pending */
    const uint8_t *ids, *images, *outputs, *pages;
    pd_kv_state state;
} in_file;

static pd_status raise_damaged(const in_file *f, const char *what, pd_error *err) {
    return pd_session_raise_damaged(f->path, what, err);
}

static bool read_u32s(pd_reader *r, uint32_t *out, uint32_t n) {
    for (uint32_t i = 0; i < n; i++)
        if (!pd_read_u32(r, &out[i])) return false;
    return true;
}

static pd_status check_model(in_file *f, const pd_session *s, pd_error *err) {
    uint64_t model = 0, pages = 0;
    if (!pd_read_u64(&f->r, &model) || !pd_read_u64(&f->r, &pages) ||
        !read_u32s(&f->r, f->head, HEAD_WORDS))
        return raise_damaged(f, "its head is incomplete", err);
    if (model != identify_model(s->model))
        return PD_RAISE(err, PD_ERR_MODEL,
                        "the session file \"%s\" is of another model, image encoder or head type",
                        f->path);
    if (pages != identify_pages(s))
        return PD_RAISE(err, PD_ERR_ARGUMENT, "the session file \"%s\" is of another precision",
                        f->path);
    if (f->head[0] > s->context->desc.n_ctx)
        return PD_RAISE(err, PD_ERR_CONTEXT,
                        "the session file \"%s\" has %u positions, the context has room for %u",
                        f->path, f->head[0], s->context->desc.n_ctx);
    return PD_OK;
}

static bool find_parts(in_file *f, const pd_session *s) {
    uint64_t output_bytes = 4 + sizeof(pd_sample_result) + 4ull * s->model->config.n_vocab;
    uint32_t *counts[3] = {&f->state.n_global, &f->state.n_local, &f->state.n_words};
    f->state.length = f->head[0];
    if (f->head[1] > s->seq.tokens.max_images || f->head[2] > PD_KEPT_OUTPUTS) return false;
    if (!pd_read_bytes(&f->r, 4ull * f->head[0], &f->ids) ||
        !pd_read_bytes(&f->r, 16ull * f->head[1], &f->images) ||
        !pd_read_bytes(&f->r, output_bytes * f->head[2], &f->outputs))
        return false;
    for (int i = 0; i < 3; i++)
        if (!pd_read_u32(&f->r, counts[i])) return false;
    if (f->state.n_words > (f->r.size - f->r.pos) / 4) return false;
    uint64_t global = page_bytes(s, true), local = page_bytes(s, false);
    uint64_t words = 4ull * f->state.n_words, left = f->r.size - f->r.pos - words;
    return f->state.n_global <= UINT32_MAX / 64 && f->state.n_local <= UINT32_MAX / 64 &&
           left == global * f->state.n_global + local * f->state.n_local;
}

/* Its own copy: state's lists are checked and their ids filled in. */
static pd_status copy_state(in_file *f, pd_error *err) {
    pd_kv_state *k = &f->state;
    k->words = pd_alloc(k->n_words + 1, sizeof *k->words);
    k->global_ids = pd_alloc(k->n_global + 1, sizeof *k->global_ids);
    k->local_ids = pd_alloc(k->n_local + 1, sizeof *k->local_ids);
    if (!k->words || !k->global_ids || !k->local_ids)
        return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory to load a session");
    if (!read_u32s(&f->r, k->words, k->n_words)) return raise_damaged(f, "it ends too soon", err);
    f->pages = f->r.data + f->r.pos;
    return PD_OK;
}

/* Tokens and images into `wanted`, which nothing is computed from yet. */
static bool take_tokens(const in_file *f, pd_session *s) {
    const pd_model *m = s->model;
    pd_tokens *t = &s->wanted;
    pd_reader images = {.data = f->images, .size = 16ull * f->head[1]};
    uint32_t rows = pd_model_image_rows(m), n_embedded = 0;
    memcpy(t->ids, f->ids, 4ul * f->head[0]);
    t->n = f->head[0];
    t->n_images = f->head[1];
    for (uint32_t i = 0, before = 0; i < t->n_images; i++) {
        pd_placed_image *p = &t->images[i];
        *p = (pd_placed_image){0};
        if (!pd_read_u32(&images, &p->first) || !pd_read_u32(&images, &p->end)) return false;
        if (!pd_read_u64(&images, &p->hash)) return false;
        if (p->first < before || p->end > t->n || p->end < p->first || p->end - p->first != rows)
            return false;
        for (uint32_t k = p->first; k < p->end; k++)
            if (t->ids[k] != PD_TOKEN_EMBEDDED) return false;
        before = p->end;
    }
    for (uint32_t i = 0; i < t->n; i++) {
        n_embedded += t->ids[i] == PD_TOKEN_EMBEDDED;
        if (t->ids[i] >= m->config.n_vocab && t->ids[i] != PD_TOKEN_EMBEDDED) return false;
    }
    return n_embedded == t->n_images * rows && f->head[3] <= 1 &&
           (f->head[4] < m->config.n_vocab || !f->head[3]);
}

static pd_status set_kind(const in_file *f, pd_session *s, bool global, const uint8_t *from,
                          pd_error *err) {
    pd_backend *b = s->model->backend;
    uint64_t bytes = page_bytes(s, global);
    uint32_t n = bytes == 0 ? 0 : global ? f->state.n_global : f->state.n_local;
    const uint32_t *ids = global ? f->state.global_ids : f->state.local_ids;
    void *page = pd_alloc(bytes + 1, 1); /* aligned, which the file's are not */
    if (!page) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for a KV page");
    pd_status status = PD_OK;
    for (uint32_t i = 0; i < n && status == PD_OK; i++) {
        memcpy(page, from + i * bytes, bytes);
        status = b->v->kv_write(b, s->context->store, global, ids[i], page, err);
    }
    pd_free(page);
    return status;
}

static pd_status set_pages(in_file *f, pd_session *s, pd_error *err) {
    pd_context *c = s->context;
    pd_kv_pages want = pd_kv_pages_for_state(c->kv, &f->state);
    pd_backend *b = s->model->backend;
    PD_TRY(b->v->kv_grow(b, c->store, c->has_global ? want.n_global : 0, want.n_local, err));
    PD_TRY(pd_kv_extend(c->kv, want, err));
    pd_status status = pd_kv_set_state(c->kv, s->seq.kv_id, &f->state, err);
    if (status == PD_ERR_FORMAT)
        return raise_damaged(f, "its page tables are not those of its tokens", err);
    PD_TRY(status);
    PD_TRY(set_kind(f, s, true, f->pages, err));
    return set_kind(f, s, false, f->pages + page_bytes(s, true) * f->state.n_global, err);
}

static void set_outputs(const in_file *f, pd_session *s) {
    const uint8_t *at = f->outputs;
    for (uint32_t i = 0; i < f->head[2]; i++) {
        uint32_t n;
        pd_sample_result result;
        memcpy(&n, at, sizeof n);
        memcpy(&result, at + sizeof n, sizeof result);
        at += sizeof n + sizeof result;
        bool sane = n > 0 && n <= s->seq.tokens.n && result.best < s->model->config.n_vocab;
        if (sane) pd_context_take_output(s->context, &s->seq, n, at, &result);
        at += 4ul * s->model->config.n_vocab;
    }
    s->seq.out = pd_context_kept_output(s->context, &s->seq, s->seq.tokens.n);
}

static pd_status load(in_file *f, pd_session *s, pd_error *err) {
    pd_session_head head;
    PD_TRY(pd_session_head_read(f->path, &f->r, &head, err));
    PD_TRY(check_model(f, s, err));
    if (!find_parts(f, s)) return raise_damaged(f, "its parts do not fill it", err);
    PD_TRY(copy_state(f, err));
    if (!take_tokens(f, s)) return raise_damaged(f, "it has no tokens of this model", err);
    pd_context_truncate(s->context, &s->seq, 0);
    s->has_pending = false;
    pd_status status = set_pages(f, s, err);
    if (status == PD_OK) {
        const pd_tokens *t = &s->wanted;
        pd_tokens_append(&s->seq.tokens, t->ids, t->n, t->images, t->n_images);
        set_outputs(f, s);
        s->has_pending = f->head[3] != 0;
        s->pending = f->head[4];
    } else {
        pd_context_truncate(s->context, &s->seq, 0);
    }
    return status;
}

pd_status pd_session_load(pd_session *s, const char *path, pd_error *err) {
    PD_NEED(err, s);
    PD_NEED(err, path);
    pd_mapping mapping;
    PD_TRY(pd_mapping_open(path, &mapping, err));
    in_file f = {.path = path, .r = {.data = mapping.data, .size = mapping.size}};
    pd_status status = pd_session_begin_turn(s, err);
    if (status == PD_OK) {
        status = load(&f, s, err);
        pd_session_end_turn(s);
    }
    pd_kv_state_free(&f.state);
    pd_mapping_close(&mapping);
    return status;
}
