/* See inspection.h.  SPDX-License-Identifier: MIT */
#include "pack/inspection.h"

#include "pack/structure.h"

static pd_status bind_vision(pack_inspection *in, pd_error *err) {
    in->vision_weights = pd_alloc(1, sizeof *in->vision_weights);
    if (!in->vision_weights) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory");
    pd_status status = pd_vision_config_read(in->file, &in->vision, &in->why_not);
    if (status == PD_OK)
        status = pd_vision_weights_bind(in->file, &in->vision, in->vision_weights, &in->why_not);
    in->is_vision = status == PD_OK;
    in->why_not.status = status;
    return status == PD_ERR_MEMORY_HOST ? PD_RAISE(err, status, "%s", in->why_not.message) : PD_OK;
}

static pd_status bind_text(pack_inspection *in, pd_head_type head, pd_error *err) {
    in->weights = pd_alloc(1, sizeof *in->weights);
    if (!in->weights) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory");
    pd_status status = pd_config_read(in->file, &in->config, &in->why_not);
    if (status == PD_OK) status = pd_weights_bind(in->file, &in->config, in->weights, &in->why_not);
    in->why_not.status = status;
    in->is_model = status == PD_OK;
    return in->is_model ? pd_lm_head_choose(in->weights, head, &in->head, err) : PD_OK;
}

pd_status pack_inspect(const char *path, pd_head_type head, pack_inspection *out, pd_error *err) {
    *out = (pack_inspection){0};
    PD_TRY(pd_gguf_open(path, &out->file, err));
    return pack_is_image_encoder(out->file) ? bind_vision(out, err) : bind_text(out, head, err);
}

void pack_inspection_free(pack_inspection *in) {
    if (in->vision_weights) pd_vision_weights_free(in->vision_weights);
    pd_free(in->vision_weights);
    pd_free(in->weights);
    pd_gguf_close(in->file);
    pd_arena_destroy(&in->arena);
}
