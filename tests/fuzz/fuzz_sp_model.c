/* A SentencePiece tokenizer.model, a protocol buffer: the token list, padded or cut.
 *
 * SPDX-License-Identifier: MIT
 */
#include "file/hf_tokenizer.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    pd_error err = {0};
    pd_hf_tokenizer t = {0};
    pd_status status = pd_sp_model_read(fuzz_file(data, n, 0), &t, &err);
    if (fuzz_clean(status, &err)) {
        for (uint32_t i = 0; i < t.n; i++) fuzz_read(t.tokens[i].data, t.tokens[i].n);
        fuzz_clean(pd_hf_tokenizer_resize(&t, 600, &err), &err);
        for (uint32_t i = 0; i < t.n; i++) fuzz_read(t.tokens[i].data, t.tokens[i].n);
        pd_hf_tokenizer_free(&t);
    }
    return 0;
}
