/* Small texts for people.  SPDX-License-Identifier: MIT */
#ifndef PD_BASE_WORDS_H
#define PD_BASE_WORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* "1.5 GiB", in the smallest unit with a number below 1024. out: at least 32 bytes. */
const char *pd_size_text(uint64_t n_bytes, char *out);

/* "1.5 GiB/s": the same of a second, when n_bytes took so long. */
const char *pd_rate_text(uint64_t n_bytes, uint64_t ns, char *out);

/* "1:02" or "3:04:05". out: at least 32 bytes. */
const char *pd_time_text(uint64_t seconds, char *out);

/* Levenshtein distance, for "did you mean"; long strings count as far. */
uint32_t pd_word_distance(const char *a, const char *b);

/* The next word of a list with commas, *n its length; NULL at the end, or for a NULL list. *list
 * goes on behind it. Empty words are left out. */
const char *pd_next_word(const char **list, size_t *n);
/* A to Z and a to z count as the same, in every language's setting. */
bool pd_same_in_any_case(const char *a, const char *b);
bool pd_same_n_in_any_case(const char *a, const char *b, size_t n); /* up to n characters */
bool pd_find_in_any_case(const char *text, const char *part);       /* whether it is in there */

/* Whether the n characters at `word` are `known`. */
bool pd_word_is(const char *word, size_t n, const char *known);

#endif
