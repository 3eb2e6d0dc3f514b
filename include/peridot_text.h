/* Text and tokens: tokenizer, detokenizer, where texts end, the chat template. peridot.h includes
 * it.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PERIDOT_TEXT_H
#define PERIDOT_TEXT_H

#include "peridot.h"

#ifdef __cplusplus
extern "C" {
#endif
#ifdef __GNUC__
#pragma GCC visibility push(default)
#endif

enum {
    PD_TOKEN_PAD = 0,
    PD_TOKEN_EOS = 1,
    PD_TOKEN_BOS = 2,
    PD_TOKEN_UNK = 3,
    PD_TOKEN_START_OF_TURN = 105,
    PD_TOKEN_END_OF_TURN = 106,
    PD_TOKEN_START_OF_IMAGE = 255999, /* in a shortened vocabulary: the token of that text */
    PD_TOKEN_END_OF_IMAGE = 256000,
    PD_TOKEN_IMAGE = 262144 /* in a prompt: all rows of the next image */
};

/* An image at a place in a text. It becomes what the reference processor makes of it:
 *
 *     \n\n <start_of_image> PD_TOKEN_IMAGE <end_of_image> \n\n
 *
 * whose newlines merge with those around them; or, when windows of it are shown too (pan and scan),
 * "Here is the original image " with the image, then " and here are some crops to help you see
 * better " with the windows, spaces between them. */
typedef struct pd_image_place {
    size_t at;        /* byte offset in the text; ascending in a list */
    uint32_t n_crops; /* windows: images of their own, behind this one in the prompt's list; at
                         most PD_MAX_CROPS */
} pd_image_place;

typedef struct pd_tokenize_desc {
    bool no_bos; /* default: <bos> comes first, and <eos> last, as far as the file wants them */
    bool parse_special; /* default: text never becomes a control token, whatever it spells */
    const pd_image_place *images; /* [n_images] */
    size_t n_images;
} pd_tokenize_desc;

/* An upper bound of the ids that n_bytes of text can become, <bos> and <eos> included; images add
 * to it. */
size_t pd_tokenize_bound(size_t n_bytes);
enum { PD_IMAGE_MAX_IDS = 64 }; /* an image with its markers and sentence, or one window */

/* Text to ids, as the original tokenizer does it. Any bytes are accepted: what is not valid UTF-8
 * becomes byte tokens. Errors: ARGUMENT when n_max is smaller than the result; *n_ids is then the
 * size needed. Thread-safe. */
pd_status pd_tokenize(const pd_model *model, const char *text, size_t n_bytes,
                      const pd_tokenize_desc *desc, uint32_t *ids, size_t n_max, size_t *n_ids,
                      pd_error *err);

/* Streaming decoder: turns ids into text one at a time and never emits part of a character. */
typedef struct pd_detokenizer {
    uint8_t held[4]; /* bytes of a character that is not complete yet */
    uint8_t n_held;
    bool show_special; /* write control tokens as their text instead of hiding them */
} pd_detokenizer;

enum { PD_DETOKENIZE_MAX_BYTES = 256 }; /* no single call writes more */

void pd_detokenizer_init(pd_detokenizer *d);
/* Writes the text that `id` completes to out (at least PD_DETOKENIZE_MAX_BYTES) and returns its
 * byte count, which may be 0. Unknown ids write nothing. */
size_t pd_detokenize(const pd_model *model, pd_detokenizer *d, uint32_t id, char *out);
/* What is still held at the end becomes U+FFFD, one per byte. */
size_t pd_detokenizer_flush(pd_detokenizer *d, char *out);

/* Ends a text before the first string that is complete in it (of several there, the longest), in
 * whichever pieces the text comes. What could be the beginning of a string is held back. */
typedef struct pd_stop pd_stop;
enum { PD_STOP_MAX_BYTES = 1024 }; /* of a string */
/* Errors: ARGUMENT (a string that is empty, too long or not UTF-8), MEMORY_HOST. */
pd_status pd_stop_create(const char *const *strings, size_t n, pd_stop **out, pd_error *err);
void pd_stop_destroy(pd_stop *stop); /* NULL is allowed */
/* Writes what can be shown to out (room for n_bytes + PD_STOP_MAX_BYTES). True: a string is
 * complete, and no more is written before the next text. */
bool pd_stop_feed(pd_stop *stop, const char *text, size_t n_bytes, char *out, size_t *n_out);
/* The string that is complete, until the next text; NULL: none is. */
const char *pd_stop_found(const pd_stop *stop);
/* At the end of a text: writes what is held, returns its byte count. The next text may follow. */
size_t pd_stop_flush(pd_stop *stop, char *out);
bool pd_token_is_stop(uint32_t id); /* <eos> or <end_of_turn> */
/* Those, and what the model's file names as the ends of texts and turns. */
bool pd_model_is_stop(const pd_model *model, uint32_t id);

typedef struct pd_chat_turn {
    const char *role; /* "system" (first only), "user", "assistant" or "model" */
    const char *text;
    size_t n_bytes;
    const pd_image_place *images; /* [n_images]; not in a system turn */
    size_t n_images;
} pd_chat_turn;

/* Gemma's chat template, straight to ids: <bos>, the turns, and the opening of the model's answer.
 * The turns' text can never become a turn marker. Errors: ARGUMENT when a role is none of the four,
 * when they do not alternate, or n_max is too small (*n_ids is then the size needed). */
pd_status pd_chat_encode(const pd_model *model, const pd_chat_turn *turns, size_t n_turns,
                         uint32_t *ids, size_t n_max, size_t *n_ids, pd_error *err);

#ifdef __GNUC__
#pragma GCC visibility pop
#endif
#ifdef __cplusplus
}
#endif

#endif
