/* Parts of pd_files_convert.  SPDX-License-Identifier: MIT */
#ifndef PD_PACK_CONVERT_H
#define PD_PACK_CONVERT_H

#include "base/memory.h"
#include "file/gguf.h"
#include "file/hf_tokenizer.h"
#include "file/safetensors.h"
#include "model/hf_names.h"
#include "pack/work.h"

/* ---- convert_lora.c: an adapter in PEFT's layout ----------------------------------------------
 */

typedef struct convert_lora convert_lora;
typedef struct convert_delta {  /* W + scale * B A */
    const pd_safetensor *a, *b; /* [rank, cols], [rows, rank] */
    uint32_t rank;
    float scale;
} convert_delta;

/* Errors: IO, FORMAT, UNSUPPORTED (a kind of adapter that is more than W + scale * B A), MODEL. */
pd_status convert_lora_open(const char *folder, convert_lora **out, pd_error *err);
void convert_lora_close(convert_lora *l);
/* What the adapter adds to a matrix; NULL: nothing. Errors: MODEL (shapes that do not fit),
 * MEMORY_HOST. */
pd_status convert_lora_find(convert_lora *l, const pd_hf_weight *w, const convert_delta **out,
                            pd_error *err);
/* Errors: MODEL when the adapter has something for matrices that are none of the model's. */
pd_status convert_lora_check(const convert_lora *l, pd_error *err);
/* Decodes the two matrices, for the calls of convert_lora_add that follow. Errors: MEMORY_HOST. */
pd_status convert_lora_load(convert_lora *l, const convert_delta *d, pd_error *err);
/* Values [first, first + n), at most PASS_CHUNK, of the matrix whose delta is loaded. */
void convert_lora_add(const convert_lora *l, uint64_t first, uint64_t n, float *x);

/* ---- convert_plan.c: the tensors of the files to write ----------------------------------------
 */

typedef struct convert_tensor {
    const pd_hf_weight *weight;
    const pd_safetensor *from;
    const convert_delta *delta; /* NULL: none */
    pd_type type;
    uint64_t n_values; /* of `from`, from its beginning on */
} convert_tensor;

typedef struct convert_file {
    const char *path;
    pd_type type;          /* of the layers' matrices */
    pd_hf_weights weights; /* what belongs into the file, in its order */
    convert_tensor *tensors;
    uint64_t in_bytes, out_bytes; /* of the tensors */
} convert_file;

typedef struct convert_job {
    const char *folder, *name;
    pd_hf_config config;
    pd_hf_tokenizer vocab;
    uint32_t eos;
    char *chat_template; /* NULL: none */
    pd_safetensors *in;
    convert_lora *lora; /* NULL: none */
    convert_file text, vision;
    bool has_vision; /* vision is to be written */
    pd_type embd_type;
    bool embd_named; /* it must fit */
    const pd_files_work *work;
    pd_arena arena;
} convert_job;

/* Finds every tensor that the configuration implies, with its shape, and sees that nothing is left
 * over. Errors: MODEL (one is missing, of another shape or kind, or twice), UNSUPPORTED (one that
 * Gemma 3 does not have), ARGUMENT (the type of the embedding does not fit), MEMORY_HOST. */
pd_status convert_plan(convert_job *job, pd_error *err);

/* ---- convert_vocab.c ------------------------------------------------------------------------- */

/* Vocabulary, chat template and the end token from the folder's tokenizer files; sets the number
 * of rows of the embedding. */
pd_status convert_read_vocab(convert_job *job, pd_error *err);

/* ---- convert_values.c: metadata -------------------------------------------------------------- */

void convert_write_text_values(const convert_job *job, pd_gguf_writer *w);
void convert_write_vision_values(const convert_job *job, pd_gguf_writer *w);

/* ---- convert_write.c ------------------------------------------------------------------------- */

/* All tensors' data. Errors: FORMAT for values that the types cannot hold, CANCELLED, MEMORY_HOST.
 * The writer keeps its own. */
pd_status convert_write_data(const convert_job *job, const convert_file *file, pd_gguf_writer *w,
                             pd_error *err);

#endif
