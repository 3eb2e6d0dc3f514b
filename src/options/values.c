/* What the words and numbers of some options mean to the library.  SPDX-License-Identifier: MIT */
#include <string.h>

#include "base/random.h"
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

/* The window's -1 and 0 as in llama.cpp; to a sampler 0 is the default. Penalties that do nothing
 * become 0. */
static void take_window(const cli_options *o, pd_sampler_desc *desc) {
    int64_t last_n = cli_int(o, OPT_REPEAT_LAST_N);
    desc->repeat_last_n = last_n < 0 ? UINT32_MAX : (uint32_t)last_n;
    if (desc->repeat_penalty == 1) desc->repeat_penalty = 0;
    if (last_n == 0) desc->repeat_penalty = desc->presence_penalty = desc->frequency_penalty = 0;
}

pd_sampler_desc cli_sampler(const cli_options *o) {
    int64_t seed = cli_int(o, OPT_SEED);
    pd_sampler_desc desc = {.seed = seed < 0 ? pd_random_seed() : (uint64_t)seed};
#define TAKE_SETTING(option, field) desc.field = (__typeof__(desc.field))cli_real(o, OPT_##option);
    CLI_SAMPLER_LIST(TAKE_SETTING)
    CLI_PENALTY_LIST(TAKE_SETTING)
#undef TAKE_SETTING
    take_window(o, &desc);
    return desc;
}
