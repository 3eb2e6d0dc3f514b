/* What the words of some options mean to the library.  SPDX-License-Identifier: MIT */
#include <string.h>

#include "options/options.h"

static const char *const precisions[] = {
    [PD_PRECISION_F16] = "f16", [PD_PRECISION_EXACT] = "exact", [PD_PRECISION_Q8] = "q8"};
static const char *const heads[] = {[PD_HEAD_KEEP] = "keep",
                                    [PD_HEAD_Q8_0] = "q8_0",
                                    [PD_HEAD_Q6_K] = "q6_k",
                                    [PD_HEAD_Q4_0] = "q4_0"};

/* The parser has let no other word pass. */
static int index_of(const char *word, const char *const *words, int n) {
    while (--n > 0)
        if (strcmp(word, words[n]) == 0) break;
    return n;
}

pd_precision cli_precision(const cli_options *o, cli_option_id id, pd_precision fallback) {
    const char *word = cli_text(o, id);
    return word ? (pd_precision)index_of(word, precisions, 3) : fallback;
}

const char *cli_precision_name(pd_precision p) {
    return precisions[p];
}

pd_head_type cli_head(const cli_options *o) {
    const char *word = cli_text(o, OPT_HEAD);
    return word ? (pd_head_type)index_of(word, heads, 4) : PD_HEAD_KEEP;
}
