/* The index of a checkpoint in several files: two sound ones, a.safetensors and b.safetensors, lie
 * beside it.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdio.h>
#include <string.h>

#include "file/safetensors.h"
#include "fuzz.h"

static void put_part(const char *name, const char *tensor) {
    char text[128] = {0};
    int n = snprintf(text + 8, sizeof text - 8,
                     "{\"%s\":{\"dtype\":\"BF16\",\"shape\":[2],\"data_offsets\":[0,4]}}", tensor);
    text[0] = (char)n;
    fuzz_put(name, (const uint8_t *)text, (size_t)n + 12);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    static bool ready;
    pd_error err = {0};
    pd_safetensors *s = NULL;
    char path[128];
    if (!ready) {
        put_part("a.safetensors", "one");
        put_part("b.safetensors", "two");
        ready = true;
    }
    fuzz_put("index.json", data, n);
    snprintf(path, sizeof path, "%s/index.json", fuzz_folder());
    pd_status status = pd_safetensors_open(path, &s, &err);
    if (status == PD_ERR_IO) return 0; /* it may name files that are not there */
    if (!fuzz_clean(status, &err)) return 0;
    for (uint32_t i = 0; i < pd_safetensors_count(s); i++)
        fuzz_read(pd_safetensors_at(s, i)->data, pd_safetensors_at(s, i)->n_bytes);
    pd_safetensors_close(s);
    return 0;
}
