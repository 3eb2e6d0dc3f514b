/* config.json, and behind a zero byte preprocessor_config.json; then the names and shapes that
 * follow from them.
 *
 * SPDX-License-Identifier: MIT
 */
#include "fuzz.h"
#include "model/hf_names.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    static pd_hf_config config;
    pd_error err = {0};
    pd_hf_weights weights = {0};
    const uint8_t *part;
    size_t n_part = fuzz_part(&data, &n, &part);
    fuzz_put("config.json", part, n_part);
    fuzz_put("preprocessor_config.json", data, n);
    if (!fuzz_clean(pd_hf_config_read(fuzz_folder(), &config, &err), &err)) return 0;
    if (config.text.n_vocab == 0) config.text.n_vocab = 1000;
    if (fuzz_clean(pd_hf_text_weights(&config.text, config.tied, &weights, &err), &err))
        pd_hf_weights_free(&weights);
    if (!config.has_vision) return 0;
    if (fuzz_clean(pd_hf_vision_weights(&config.vision, &weights, &err), &err))
        pd_hf_weights_free(&weights);
    return 0;
}
