/* Small texts for people.  SPDX-License-Identifier: MIT */
#ifndef PD_BASE_WORDS_H
#define PD_BASE_WORDS_H

#include <stdint.h>

/* "1.5 GiB", in the smallest unit with a number below 1024. out: at least 32 bytes. */
const char *pd_size_text(uint64_t n_bytes, char *out);

/* Levenshtein distance, for "did you mean"; long strings count as far. */
uint32_t pd_word_distance(const char *a, const char *b);

#endif
