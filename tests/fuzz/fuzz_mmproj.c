/* GGUF image encoders: settings and weights behind the reader. The input is a file's head; zeros
 * behind it stand for the tensors' data.
 *
 * SPDX-License-Identifier: MIT
 */
#include "fuzz.h"
#include "model/vision_weights.h"

enum { DATA_BYTES = 4 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    static pd_vision_config config;
    static pd_vision_weights weights;
    pd_error err = {0};
    pd_gguf *g = NULL;
    if (!fuzz_clean(pd_gguf_open(fuzz_file(data, n, DATA_BYTES), &g, &err), &err)) return 0;
    if (fuzz_clean(pd_vision_config_read(g, &config, &err), &err)) {
        fuzz_clean(pd_vision_check_text(&config, 64, &err), &err);
        if (fuzz_clean(pd_vision_weights_bind(g, &config, &weights, &err), &err)) {
            fuzz_read(weights.projection->data, weights.projection->n_bytes);
            pd_vision_weights_free(&weights);
        }
    }
    pd_gguf_close(g);
    return 0;
}
