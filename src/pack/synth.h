/* Parts of pd_files_synth: what a file of each kind holds, its random bytes, its vocabulary.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_PACK_SYNTH_H
#define PD_PACK_SYNTH_H

#include "base/bytes.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/printf_like.h"
#include "file/gguf.h"
#include "file/hf_tokenizer.h"
#include "pack/work.h"

/* ---- synth_list.c: the tensors of a file, in its order --------------------------------------- */

typedef struct synth_tensor {
    char name[64];
    pd_type type;
    uint32_t n_dims;
    uint64_t ne[PD_GGUF_MAX_DIMS]; /* as in pd_tensor */
    float mean, std;               /* mean is used by unquantised types alone */
} synth_tensor;

typedef struct synth_list {
    synth_tensor *items;
    uint32_t n, room;
} synth_list;

pd_status synth_list_create(uint32_t room, synth_list *out, pd_error *err);
void synth_list_free(synth_list *l);
/* A matrix [rows, cols] of `type`, or of what fits instead, with the std of cols^-1/2: y = W x then
 * keeps the scale of x. The name is in printf's format. */
synth_tensor *synth_add_matrix(synth_list *l, pd_type type, uint64_t rows, uint64_t cols,
                               const char *name, ...) PD_PRINTF_LIKE(5, 6);
/* A vector of F32. */
synth_tensor *synth_add_vector(synth_list *l, uint64_t n, float mean, float std, const char *name,
                               ...) PD_PRINTF_LIKE(5, 6);

uint64_t synth_tensor_bytes(const synth_tensor *t);

/* ---- synth_fill.c ---------------------------------------------------------------------------- */

/* Blocks [first, first + n) of a tensor; the bytes depend on seed, name and block number alone. */
void synth_fill(const synth_tensor *t, uint64_t seed, uint64_t first, uint64_t n, uint8_t *out);

/* ---- synth_text.c: a text model -------------------------------------------------------------- */

typedef struct synth_shape {
    const char *name; /* of the preset */
    uint32_t n_layers, n_embd, n_ff, n_heads, n_kv_heads, head_dim;
    uint32_t n_vocab, n_ctx, window;
    float rope_factor; /* of global layers; 1: none */
} synth_shape;

typedef struct synth_text {
    synth_shape shape;
    pd_type type, embd_type;
    pd_hf_tokenizer vocab;
} synth_text;

/* Errors: ARGUMENT: none has that name; NULL stands for "tiny". */
pd_status synth_preset(const char *name, const synth_shape **out, pd_error *err);
/* What is asked for, the vocabulary with it. Free it also after an error. */
pd_status synth_text_read(const pd_synth_desc *desc, synth_text *out, pd_error *err);
void synth_text_free(synth_text *t);
pd_status synth_text_list(const synth_text *t, synth_list *out, pd_error *err);
void synth_text_write_values(const synth_text *t, pd_gguf_writer *w);

/* ---- synth_vision.c: an image encoder -------------------------------------------------------- */

typedef struct synth_vision {
    const char *name; /* of the preset */
    uint32_t image_size, patch_size, n_layers, n_embd, n_ff, n_heads;
    uint32_t n_embd_out; /* the text model's width */
    pd_type type;
} synth_vision;

/* The encoder that a preset's model has; false: it has none. */
bool synth_vision_of(const synth_shape *text, synth_vision *out);
pd_status synth_vision_read(const pd_synth_desc *desc, synth_vision *out, pd_error *err);
pd_status synth_vision_list(const synth_vision *v, synth_list *out, pd_error *err);
void synth_vision_write_values(const synth_vision *v, pd_gguf_writer *w);

/* ---- synth_hf.c, synth_hf_text.c: a checkpoint in Hugging Face's layout -----------------------
 */

/* A folder with config.json, safetensors files and the tokenizer's files. */
pd_status synth_hf(const char *folder, const pd_synth_desc *desc, pd_synth_report *report,
                   pd_error *err);

enum { SYNTH_HF_MAX_FILES = 128 };

typedef struct synth_hf_model {
    const char *folder;
    const char *tokenizer; /* a file that is read; NULL: none */
    synth_text text;
    synth_vision vision;
    bool has_vision; /* and then config.json is nested and names only what is no default */
    uint32_t n_rows; /* of the embedding */
    const char *written[SYNTH_HF_MAX_FILES]; /* to be removed when the folder is not completed */
    uint32_t n_written;
    bool made_folder;
    pd_arena arena;
} synth_hf_model;

/* Opens one more file of the folder. Errors: those of pd_file_writer_open, ARGUMENT (it is the
 * tokenizer that is read). */
pd_status synth_hf_open(synth_hf_model *m, const char *name, pd_file_writer *out, pd_error *err);

/* config.json, generation_config.json, preprocessor_config.json, tokenizer.json,
 * tokenizer_config.json. */
pd_status synth_hf_write_texts(synth_hf_model *m, pd_error *err);

/* ---- synth_vocab.c --------------------------------------------------------------------------- */

/* A made-up vocabulary in Gemma 3's layout: 262144 tokens. */
pd_status synth_make_vocab(pd_hf_tokenizer *out, pd_error *err);

#endif
