/* adapter_config.json of a LoRA adapter; adapter_model.safetensors, with the two sides of one
 * matrix, is sound.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdio.h>

#include "pack/convert.h"
#include "fuzz.h"

static void put_tensors(void) {
    static const char name[] = "base_model.model.model.layers.0.self_attn.q_proj.lora_";
    char text[512] = {0};
    int n = snprintf(text + 8, sizeof text - 8,
                     "{\"%sA.weight\":{\"dtype\":\"F32\",\"shape\":[2,4],\"data_offsets\":[0,32]},"
                     "\"%sB.weight\":{\"dtype\":\"F32\",\"shape\":[4,2],\"data_offsets\":[32,64]}}",
                     name, name);
    text[0] = (char)(n & 255);
    text[1] = (char)(n >> 8);
    fuzz_put("adapter_model.safetensors", (const uint8_t *)text, (size_t)n + 8 + 64);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    static bool ready;
    pd_error err = {0};
    convert_lora *lora = NULL;
    const convert_delta *delta = NULL;
    pd_hf_weight w = {.hf_name = "layers.0.self_attn.q_proj.weight",
                      .role = PD_HF_MATRIX,
                      .n_dims = 2,
                      .shape = {4, 4, 1, 1}};
    if (!ready) put_tensors();
    ready = true;
    fuzz_put("adapter_config.json", data, n);
    if (fuzz_clean(convert_lora_open(fuzz_folder(), &lora, &err), &err) &&
        fuzz_clean(convert_lora_find(lora, &w, &delta, &err), &err)) {
        fuzz_clean(convert_lora_check(lora, &err), &err);
        if (delta && fuzz_clean(convert_lora_load(lora, delta, &err), &err)) {
            float x[16] = {0};
            convert_lora_add(lora, 0, 16, x);
        }
    }
    convert_lora_close(lora);
    return 0;
}
