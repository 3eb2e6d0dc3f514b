/* A Hugging Face tokenizer.json, or a SentencePiece tokenizer.model, as the token list of a GGUF.
 *
 * The three arrays are what converters write under tokenizer.ggml.{tokens,scores,token_type} for
 * Gemma 3:
 *
 *     ids                              score       type
 *     <unused...>, the special tokens  -1000       3 (control)
 *     other added tokens               -1000       4 (user-defined), runs of spaces as real spaces
 *     <0x00>...                        0           6 (byte)
 *     other ids                        494 - id    1 (normal)
 *     padding                          -1000       5 (unused), "[PADn]"
 *
 * The merge list is not read: Gemma's merges follow from the order of ids.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_FILE_HF_TOKENIZER_H
#define PD_FILE_HF_TOKENIZER_H

#include "base/memory.h"
#include "file/gguf.h"

typedef struct pd_hf_tokenizer {
    uint32_t n; /* tokens */
    pd_string *tokens;
    float *scores;
    int32_t *types;
    pd_arena arena; /* of all of it */
} pd_hf_tokenizer;

/* Reads the vocabulary, ids 0 to n - 1 without a gap. Errors: IO, FORMAT (not JSON), UNSUPPORTED
 * (JSON of another kind than a BPE tokenizer), MEMORY_HOST. The file is 33 MB and parsing takes
 * some ten times that much memory for its time. */
pd_status pd_hf_tokenizer_read(const char *path, pd_hf_tokenizer *out, pd_error *err);
/* The same from a tokenizer.model (sp_model.c), with the scores that it holds. */
pd_status pd_sp_model_read(const char *path, pd_hf_tokenizer *out, pd_error *err);
void pd_hf_tokenizer_free(pd_hf_tokenizer *t);

/* Makes the list n tokens long. Longer: padding is added, id 262144 being <image_soft_token>.
 * Shorter: a small vocabulary that still encodes any text: ids 0-497, the image markers, the next
 * ordinary pieces, and at the end the 200 commonest single characters, cut to n (494 to 236743).
 * Errors: ARGUMENT, MEMORY_HOST. */
pd_status pd_hf_tokenizer_resize(pd_hf_tokenizer *t, uint32_t n, pd_error *err);

/* Writes the list and the keys around it: tokenizer.ggml.model, pre, tokens, scores, token_type,
 * {bos,eos,unknown,padding}_token_id, add_bos_token, add_eos_token, add_space_prefix. */
void pd_hf_tokenizer_write(const pd_hf_tokenizer *t, uint32_t eos, pd_gguf_writer *w);

/* U+2581 to spaces, in place, as runs of spaces are written. `s` must be t's own. */
void pd_hf_tokenizer_write_spaces(pd_string *s);

#endif
