/* GGUF text models: the reader, every view it hands out, settings, weights, vocabulary. The input
 * is a file's head; zeros behind it stand for the tensors' data.
 *
 * SPDX-License-Identifier: MIT
 */
#include "file/gguf.h"
#include "fuzz.h"
#include "model/weights.h"
#include "text/tokenizer.h"

enum { DATA_BYTES = 4 << 20 };

static void read_value(const pd_gguf_value *v) {
    fuzz_read(v->key.data, v->key.n);
    fuzz_read(v->data, v->n_bytes);
    uint64_t cursor = 0;
    bool strings = v->kind == PD_GGUF_ARRAY && v->item_kind == PD_GGUF_STRING;
    for (uint64_t k = 0; strings && k < v->count; k++) {
        pd_string s = pd_gguf_string_next(v, &cursor);
        fuzz_read(s.data, s.n);
    }
}

static void read_views(const pd_gguf *g) {
    uint32_t u;
    float f;
    bool b;
    pd_string s;
    for (uint64_t i = 0; i < pd_gguf_value_count(g); i++) read_value(pd_gguf_value_at(g, i));
    for (uint64_t i = 0; i < pd_gguf_tensor_count(g); i++) {
        const pd_tensor *t = pd_gguf_tensor_at(g, i);
        fuzz_read(t->data, t->n_bytes);
        fuzz_check(pd_gguf_find_tensor(g, t->name) != NULL, "a tensor that is not found again");
    }
    static const char *const keys[] = {"general.architecture", "gemma3.block_count",
                                       "gemma3.rope.freq_base", "tokenizer.ggml.add_bos_token"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        pd_gguf_get_u32(g, keys[i], &u);
        pd_gguf_get_f32(g, keys[i], &f);
        pd_gguf_get_bool(g, keys[i], &b);
        if (pd_gguf_get_string(g, keys[i], &s)) fuzz_read(s.data, s.n);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    static pd_config config;
    static pd_weights weights;
    pd_error err = {0};
    pd_gguf *g = NULL;
    pd_vocab *vocab = NULL;
    if (!fuzz_clean(pd_gguf_open(fuzz_file(data, n, DATA_BYTES), &g, &err), &err)) return 0;
    read_views(g);
    if (fuzz_clean(pd_config_read(g, &config, &err), &err))
        fuzz_clean(pd_weights_bind(g, &config, &weights, &err), &err);
    if (fuzz_clean(pd_vocab_open(g, &vocab, &err), &err)) {
        uint32_t ids[16];
        size_t n_ids;
        pd_vocab_encode(vocab, "a  b<eos>", 9, true, ids, 16, &n_ids, NULL);
        for (uint32_t id = 0; id < pd_vocab_count(vocab); id++) {
            pd_string s = pd_vocab_text(vocab, id);
            fuzz_read(s.data, s.n);
        }
    }
    pd_vocab_close(vocab);
    pd_gguf_close(g);
    return 0;
}
