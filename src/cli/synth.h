/* Parts of `peridot synth`: the shape of a model, its tensors, its vocabulary.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_CLI_SYNTH_H
#define PD_CLI_SYNTH_H

#include "cli/commands.h"
#include "file/gguf.h"
#include "file/hf_tokenizer.h"

typedef struct synth_shape {
    const char *name; /* of the preset */
    uint32_t n_layers, n_embd, n_ff, n_heads, n_kv_heads, head_dim;
    uint32_t n_vocab, n_ctx, window;
    float rope_factor; /* of global layers; 1: none */
} synth_shape;

typedef struct synth_tensor {
    char name[64];
    pd_type type;
    uint64_t rows, cols; /* rows 1 and type F32: a norm's weights */
    float mean, std;     /* mean is used by norms alone */
} synth_tensor;

/* synth_tensors.c. The list of a model's tensors, in file order; pd_free. NULL: no memory. */
synth_tensor *synth_list_tensors(const synth_shape *shape, pd_type type, pd_type embd_type,
                                 uint32_t *n);
/* `type`, or what llama.cpp's quantiser takes instead when its blocks do not divide a row. */
pd_type synth_fitting_type(pd_type type, uint64_t cols);
uint64_t synth_tensor_bytes(const synth_tensor *t);
/* Blocks [first, first + n) of a tensor; the bytes depend on seed, name and block number alone. */
void synth_fill(const synth_tensor *t, uint64_t seed, uint64_t first, uint64_t n, uint8_t *out);

/* synth_vocab.c. A made-up vocabulary in Gemma 3's layout: 262144 tokens. */
pd_status synth_make_vocab(pd_hf_tokenizer *out, pd_error *err);

#endif
