/* See tokens.h.  SPDX-License-Identifier: MIT */
#include "engine/tokens.h"

#include "base/memory.h"
#include "plan/step.h"
#include "engine/vision.h"

pd_status pd_tokens_create(pd_tokens *t, uint32_t n_max, uint32_t image_rows, pd_error *err) {
    *t = (pd_tokens){.n_max = n_max, .max_images = image_rows ? n_max / image_rows : 0};
    t->ids = pd_alloc(n_max, sizeof *t->ids);
    t->images = pd_alloc(t->max_images + 1, sizeof *t->images);
    if (t->ids && t->images) return PD_OK;
    return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for a sequence of %u positions", n_max);
}

void pd_tokens_destroy(pd_tokens *t) {
    pd_free(t->ids);
    pd_free(t->images);
    *t = (pd_tokens){0};
}

/* ---- filling -------------------------------------------------------------------------------- */

static uint64_t count_placeholders(const pd_prompt *prompt) {
    uint64_t n = 0;
    for (size_t i = 0; i < prompt->n_ids; i++) n += prompt->ids[i] == PD_TOKEN_IMAGE;
    return n;
}

static pd_status raise_outside(uint32_t id, size_t index, uint32_t n_vocab, pd_error *err) {
    if (id == PD_TOKEN_START_OF_IMAGE || id == PD_TOKEN_END_OF_IMAGE)
        return PD_RAISE(err, PD_ERR_ARGUMENT,
                        "the model takes no images: its vocabulary of %u tokens lacks the markers "
                        "around them",
                        n_vocab);
    return PD_RAISE(err, PD_ERR_ARGUMENT, "token %u at index %zu is outside the vocabulary of %u",
                    id, index, n_vocab);
}

static pd_status check_prompt(const pd_tokens *t, const pd_prompt *prompt, uint32_t n_vocab,
                              uint32_t image_rows, pd_error *err) {
    if (prompt->n_ids == 0) return PD_RAISE(err, PD_ERR_ARGUMENT, "there are no tokens to compute");
    if (!prompt->ids || (!prompt->images && prompt->n_images > 0))
        return PD_RAISE(err, PD_ERR_ARGUMENT, "the prompt's ids or images are NULL");
    uint64_t n_placeholders = count_placeholders(prompt);
    if (n_placeholders != prompt->n_images)
        return PD_RAISE(err, PD_ERR_ARGUMENT,
                        "the prompt has places for %llu images, but there are %zu",
                        (unsigned long long)n_placeholders, prompt->n_images);
    if (n_placeholders > 0 && image_rows == 0)
        return PD_RAISE(err, PD_ERR_ARGUMENT,
                        "the model was opened without an image encoder, but there are images");
    uint64_t n = prompt->n_ids - n_placeholders + n_placeholders * image_rows;
    if (n > t->n_max)
        return PD_RAISE(err, PD_ERR_CONTEXT, "%llu tokens do not fit the context of %u positions",
                        (unsigned long long)n, t->n_max);
    for (size_t i = 0; i < prompt->n_ids; i++)
        if (prompt->ids[i] >= n_vocab && prompt->ids[i] != PD_TOKEN_IMAGE)
            return raise_outside(prompt->ids[i], i, n_vocab, err);
    for (size_t i = 0; i < prompt->n_images; i++)
        if (!prompt->images[i].rgb || !prompt->images[i].width || !prompt->images[i].height)
            return PD_RAISE(err, PD_ERR_ARGUMENT, "image %zu of the prompt has no pixels", i);
    return PD_OK;
}

static void place_image(pd_tokens *t, const pd_image *image, uint32_t image_rows) {
    t->images[t->n_images++] = (pd_placed_image){
        .first = t->n, .end = t->n + image_rows, .hash = pd_vision_hash(image), .image = image};
    for (uint32_t i = 0; i < image_rows; i++) t->ids[t->n++] = PD_TOKEN_EMBEDDED;
}

pd_status pd_tokens_fill(pd_tokens *t, const pd_prompt *prompt, uint32_t n_vocab,
                         uint32_t image_rows, pd_error *err) {
    PD_TRY(check_prompt(t, prompt, n_vocab, image_rows, err));
    t->n = t->n_images = 0;
    for (size_t i = 0; i < prompt->n_ids; i++) {
        if (prompt->ids[i] == PD_TOKEN_IMAGE)
            place_image(t, &prompt->images[t->n_images], image_rows);
        else
            t->ids[t->n++] = prompt->ids[i];
    }
    return PD_OK;
}

void pd_tokens_append(pd_tokens *t, const uint32_t *ids, uint32_t n, const pd_placed_image *images,
                      uint32_t n_images) {
    uint32_t first = t->n;
    for (uint32_t i = 0; i < n; i++) t->ids[t->n++] = ids[i];
    for (uint32_t i = 0; i < n_images; i++) {
        if (images[i].first < first || images[i].first >= t->n) continue;
        t->images[t->n_images] = images[i];
        t->images[t->n_images++].image = NULL;
    }
}

void pd_tokens_cut(pd_tokens *t, uint32_t n) {
    while (t->n_images > 0 && t->images[t->n_images - 1].end > n) t->n_images--;
    t->n = n;
}

/* ---- asking --------------------------------------------------------------------------------- */

uint32_t pd_tokens_common(const pd_tokens *a, const pd_tokens *b) {
    uint32_t common = 0, n = a->n < b->n ? a->n : b->n;
    while (common < n && a->ids[common] == b->ids[common]) common++;
    for (uint32_t i = 0; i < b->n_images && b->images[i].first < common; i++) {
        const pd_placed_image *x = &b->images[i], *y = i < a->n_images ? &a->images[i] : NULL;
        bool same = y && x->first == y->first && x->hash == y->hash && x->end <= common;
        if (!same) return x->first;
    }
    return common;
}

const pd_placed_image *pd_image_at(const pd_placed_image *images, uint32_t n_images, uint32_t pos) {
    for (uint32_t i = 0; i < n_images && images[i].first <= pos; i++)
        if (pos < images[i].end) return &images[i];
    return NULL;
}

uint32_t pd_tokens_before_image(const pd_tokens *t, uint32_t pos) {
    const pd_placed_image *image = pd_image_at(t->images, t->n_images, pos);
    return image ? image->first : pos;
}

uint32_t pd_tokens_chunk(const pd_tokens *t, uint32_t first, uint32_t n_chunk) {
    uint32_t left = t->n - first, n = left < n_chunk ? left : n_chunk;
    if (n == left) return n;
    uint32_t end = pd_tokens_before_image(t, first + n);
    return end > first ? end - first : n;
}

uint32_t pd_tokens_to_border(const pd_tokens *t, uint32_t first, uint32_t n) {
    for (uint32_t i = 0; i < t->n_images; i++) {
        const pd_placed_image *image = &t->images[i];
        if (image->first > first && image->first < first + n) return image->first - first;
        if (image->end > first && image->end < first + n) return image->end - first;
    }
    return n;
}
