/* Whether a file is a model, or an image encoder, that can be run: what opening it for a run checks
 * before a device is touched.  SPDX-License-Identifier: MIT */
#include "pack/structure.h"

#include <string.h>

#include "base/memory.h"
#include "model/vision_weights.h"
#include "model/weights.h"
#include "text/tokenizer.h"

bool pack_is_image_encoder(const pd_gguf *g) {
    pd_string s;
    return pd_gguf_get_string(g, "general.architecture", &s) && s.n == 4 &&
           memcmp(s.data, "clip", 4) == 0;
}

static pd_status check_vision(const pd_gguf *g, pd_error *err) {
    pd_vision_config config;
    pd_vision_weights weights;
    PD_TRY(pd_vision_config_read(g, &config, err));
    PD_TRY(pd_vision_weights_bind(g, &config, &weights, err));
    pd_vision_weights_free(&weights);
    return PD_OK;
}

static pd_status check_text(const pd_gguf *g, pd_error *err) {
    pd_config config;
    pd_vocab *vocab = NULL;
    PD_TRY(pd_config_read(g, &config, err));
    PD_TRY(pd_vocab_open(g, &vocab, err));
    pd_vocab_close(vocab);
    pd_weights *weights = pd_alloc(1, sizeof *weights);
    if (!weights) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for the weight table");
    pd_status status = pd_weights_bind(g, &config, weights, err);
    pd_free(weights);
    return status;
}

pd_status pack_check_structure(const pd_gguf *g, pd_error *err) {
    return pack_is_image_encoder(g) ? check_vision(g, err) : check_text(g, err);
}

uint32_t pack_count_types(const pd_gguf *g, pack_type_total out[PACK_MAX_TYPES]) {
    uint32_t n = 0;
    for (uint64_t i = 0; i < pd_gguf_tensor_count(g); i++) {
        const pd_tensor *t = pd_gguf_tensor_at(g, i);
        uint32_t k = 0;
        while (k < n && out[k].type != t->type) k++;
        if (k == PACK_MAX_TYPES) continue;
        if (k == n) out[n++] = (pack_type_total){.type = t->type};
        out[k].n_tensors++;
        out[k].n_bytes += t->n_bytes;
    }
    return n;
}
