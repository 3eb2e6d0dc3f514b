/* Gemma 3's tokenizer: SentencePiece BPE with byte fallback, bit-identical to the original.
 *
 * vocab.c builds the tables from a GGUF's token list, encode.c turns text into ids, decode.c turns
 * ids into text. What a token is (control, byte, added, ordinary) follows from its string and,
 * where the list has Gemma's layout, from its id; token types are not read, since files disagree
 * about them. The algorithm is described at the top of encode.c. The list may be the full one
 * (262144 tokens, or 262208 with padding) or a pruned one.
 *
 * A vocabulary is immutable to its users after opening and may be used by any number of threads.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_TEXT_TOKENIZER_H
#define PD_TEXT_TOKENIZER_H

#include "file/gguf.h"
#include "text/special.h"

typedef struct pd_vocab pd_vocab;

/* Reads tokenizer.ggml.{model,tokens,scores} and what special.h names; nothing keeps pointing into
 * the file. Errors: UNSUPPORTED (another tokenizer model), MODEL (missing or inconsistent arrays,
 * scores that give no order, a token that is not UTF-8 or too long, a byte token missing, Gemma's
 * markers spelled otherwise), MEMORY_HOST. */
pd_status pd_vocab_open(const pd_gguf *g, pd_vocab **out, pd_error *err);
void pd_vocab_close(pd_vocab *v);           /* NULL is allowed */
uint32_t pd_vocab_count(const pd_vocab *v); /* tokens, padding included */
uint64_t pd_vocab_bytes(const pd_vocab *v); /* of its tables in memory */

/* Raw bytes of a token as text (U+2581 as a space, byte tokens as their byte); n = 0 if unknown.
 * The view lives as long as the vocabulary. */
pd_string pd_vocab_text(const pd_vocab *v, uint32_t id);
/* Hidden when decoding, never encoded from plain text. Padding ids count as control. */
bool pd_vocab_is_control(const pd_vocab *v, uint32_t id);

const pd_special *pd_vocab_special(const pd_vocab *v);

/* Without <bos>. parse_special: control tokens spelled in the text become themselves. Any bytes are
 * accepted. Errors: ARGUMENT (n_max too small: *n_ids is the size needed; or 4 GiB of text and
 * more), MEMORY_HOST. */
pd_status pd_vocab_encode(const pd_vocab *v, const char *text, size_t n_bytes, bool parse_special,
                          uint32_t *ids, size_t n_max, size_t *n_ids, pd_error *err);

/* pd_detokenize of peridot.h. */
size_t pd_vocab_decode(const pd_vocab *v, pd_detokenizer *d, uint32_t id, char *out);

#endif
