/* The public functions about a model's image encoder.  SPDX-License-Identifier: MIT */
#include <string.h>

#include "engine/model.h"

static pd_status check_encoder(const pd_model *m, pd_error *err) {
    if (m && m->vision && m->backend) return pd_model_check_computes(m, err);
    return PD_RAISE(err, PD_ERR_ARGUMENT, "the model was opened without an image encoder");
}

static pd_status check_image(const pd_model *m, const pd_image *image, pd_error *err) {
    PD_TRY(check_encoder(m, err));
    if (image && image->rgb && image->width && image->height) return PD_OK;
    return PD_RAISE(err, PD_ERR_ARGUMENT, "the image has no pixels");
}

const pd_vision_info *pd_model_get_vision(const pd_model *m) {
    return m && m->vision ? &m->vision_info : NULL;
}

const pd_vision_stats *pd_model_get_vision_stats(const pd_model *m) {
    static const pd_vision_stats none = {0};
    return m && m->vision ? pd_vision_get_stats(m->vision) : &none;
}

pd_status pd_model_embed_pixels(pd_model *m, const float *chw, float *rows, pd_error *err) {
    PD_TRY(check_encoder(m, err));
    PD_NEED(err, chw);
    PD_NEED(err, rows);
    PD_TRY(pd_model_begin_turn(m, err));
    pd_status status = pd_vision_encode(m->vision, chw, &m->cancel, rows, err);
    pd_model_end_turn(m);
    return status;
}

pd_status pd_model_embed_image(pd_model *m, const pd_image *image, float *rows, pd_error *err) {
    PD_TRY(check_image(m, image, err));
    PD_NEED(err, rows);
    const float *found;
    uint64_t hash = pd_vision_hash(image);
    PD_TRY(pd_model_begin_turn(m, err));
    pd_status status = pd_vision_rows(m->vision, image, hash, &m->cancel, &found, err);
    uint64_t bytes = 4ull * m->vision_info.n_tokens * m->vision_info.n_embd_out;
    if (status == PD_OK) memcpy(rows, found, bytes);
    pd_model_end_turn(m);
    return status;
}

pd_status pd_model_image_pixels(const pd_model *m, const pd_image *image, float *chw,
                                pd_error *err) {
    PD_TRY(check_image(m, image, err));
    PD_NEED(err, chw);
    return pd_vision_pixels(m->vision, image, chw, err);
}

pd_status pd_model_profile_image(pd_model *m, pd_profile_fn fn, void *ctx, pd_error *err) {
    PD_TRY(check_encoder(m, err));
    PD_NEED(err, fn);
    PD_TRY(pd_model_begin_turn(m, err));
    pd_status status = pd_vision_profile(m->vision, fn, ctx, err);
    pd_model_end_turn(m);
    return status;
}

pd_status pd_model_check_image(pd_model *m, pd_model *reference, pd_check_fn fn, void *ctx,
                               pd_error *err) {
    PD_TRY(check_encoder(m, err));
    PD_TRY(check_encoder(reference, err));
    PD_NEED(err, fn);
    if (m == reference)
        return PD_RAISE(err, PD_ERR_ARGUMENT, "a model is to be compared with itself");
    pd_model *first = m < reference ? m : reference, *second = first == m ? reference : m;
    PD_TRY(pd_model_begin_turn(first, err)); /* always in this order */
    pd_status status = pd_model_begin_turn(second, err);
    if (status == PD_OK) {
        status = pd_vision_check(m->vision, reference->vision, fn, ctx, err);
        pd_model_end_turn(second);
    }
    pd_model_end_turn(first);
    return status;
}

void pd_model_cancel(pd_model *m) {
    if (m) atomic_store(&m->cancel, 1);
}

uint64_t pd_prompt_count(const pd_model *m, const pd_prompt *prompt) {
    uint64_t n = 0;
    if (!m || !prompt || !prompt->ids) return 0;
    for (size_t i = 0; i < prompt->n_ids; i++)
        n += prompt->ids[i] == PD_TOKEN_IMAGE ? m->vision_info.n_tokens : 1;
    return n;
}
