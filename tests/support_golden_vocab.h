/* The pruned vocabulary of a golden model, whose ids below 494 are Gemma's: open for all tests of a
 * program.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PERIDOT_TESTS_SUPPORT_GOLDEN_VOCAB_H
#define PERIDOT_TESTS_SUPPORT_GOLDEN_VOCAB_H

#include "support_vocab.h"

static pd_gguf *file;
static pd_vocab *vocab;

static inline int open_golden_vocab(void **state) {
    (void)state;
    file = open_gguf(GOLDEN("small-f16.gguf"));
    vocab = open_vocab(file);
    return 0;
}

static inline int close_golden_vocab(void **state) {
    (void)state;
    pd_vocab_close(vocab);
    pd_gguf_close(file);
    return 0;
}

#endif
