/* Peridot and llama.cpp side by side: what their programs share.
 *
 *     check.c    the program check_peer: tokens, greedy continuations, the quantiser
 *     score.c    the program score_peer: perplexity, multiple choice
 *     main.c     the program bench_peer: flags, opening both, the order of the tests
 *     measure.c  one test: rounds of one run each, the clock, the statistics
 *     peer.c     llama.cpp, from shared libraries opened at run time
 *     report.c   Markdown and JSON
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_TOOLS_BENCH_PEER_H
#define PD_TOOLS_BENCH_PEER_H

#include "base/error.h"

/* ---- llama.cpp ------------------------------------------------------------------------------ */

typedef struct peer peer;

typedef struct peer_desc {
    const char *libs_dir;     /* holds the libraries, or the packages' folders that hold them */
    const char *model_path;   /* NULL: none, for peer_quantize alone */
    const char *vulkan_index; /* the only device it may see, as the loader counts; NULL: its own
                                 choice, which never is a software driver */
    uint32_t n_threads;
    bool on_vulkan; /* everything on the device; false: nothing */
    bool verbose;   /* pass its log on to standard error */
} peer_desc;

typedef struct peer_info {
    char release[64];
    char device[256];
    uint32_t n_vocab;
} peer_info;

/* Errors: IO (no libraries), NO_DEVICE, UNSUPPORTED (llama.cpp refuses the model). */
pd_status peer_open(const peer_desc *desc, peer **out, pd_error *err);
void peer_close(peer *p); /* NULL is allowed */
const peer_info *peer_get_info(const peer *p);

/* One context at a time, for n_seqs sequences of n_ctx positions each. Its settings are
 * llama-bench's defaults: batches of 2048 in steps of 512, f16 KV cache, flash attention where
 * llama.cpp chooses it, a windowed cache for windowed layers.
 */
pd_status peer_context_create(peer *p, uint32_t n_ctx, uint32_t n_seqs, pd_error *err);
void peer_context_destroy(peer *p);

/* Makes ids[0..n) the context's content. n = 0 empties it. The state is kept, so that the second
 * call with the same n costs a copy. */
pd_status peer_rewind(peer *p, const uint32_t *ids, uint32_t n, pd_error *err);
/* Appends ids[0..n) in batches, or one by one, and waits for the logits of the last of each. */
pd_status peer_append(peer *p, const uint32_t *ids, uint32_t n, bool one_by_one, pd_error *err);
/* What llama-batched-bench times, from an empty context: n_seqs prompts of n_prompt tokens with the
 * logits of each last one, then n_gen steps of a token of each. ids: [n_seqs, n_prompt + n_gen]. */
pd_status peer_parallel(peer *p, const uint32_t *ids, uint32_t n_seqs, uint32_t n_prompt,
                        uint32_t n_gen, uint64_t *prompt_ns, uint64_t *gen_ns, pd_error *err);
const float *peer_logits(peer *p); /* of the last token, [n_vocab]; NULL: there are none */
/* Log-probabilities of the token that follows each of positions first .. n - 2, computed from an
 * empty context: [n - 1 - first]. n: at most 2048. */
pd_status peer_log_probs(peer *p, const uint32_t *ids, uint32_t n, uint32_t first, float *log_probs,
                         pd_error *err);
/* Ids of a text, <bos> first where the file asks for it. Errors: ARGUMENT (more than n_max). */
pd_status peer_tokenize(peer *p, const char *text, bool parse_special, uint32_t *ids,
                        uint32_t n_max, uint32_t *n, pd_error *err);
/* llama-quantize's work, with its defaults. type: "q4_0" or "q8_0". */
pd_status peer_quantize(peer *p, const char *in, const char *out, const char *type, pd_error *err);
void peer_rest(peer *p); /* its threads stop looking for work until the next append */

/* ---- one test ------------------------------------------------------------------------------- */

typedef struct bench_peer_options {
    const char *model_path, *peridot_device, *libs_dir;
    const char *peer_backend, *peer_device; /* as given, or NULL */
    const char *precision_name;
    pd_precision precision;
    uint32_t n_threads, n_rounds;
    bool peer_on_vulkan, json, verbose;
    bool has_threads;
} bench_peer_options;

enum { BENCH_PEER_MAX_ROUNDS = 1000 };

typedef struct bench_peer_test {
    uint32_t n_depth, n_tokens;
    uint32_t n_seqs; /* of so many tokens each, at once; 0: one, in a session */
    bool is_gen;     /* one step per token; false: a prompt */
    uint32_t n_rounds;
    uint64_t ours_ns[BENCH_PEER_MAX_ROUNDS], peers_ns[BENCH_PEER_MAX_ROUNDS];
    double logits_diff; /* relative L2 between the two after the test's last token; 0.02 to 0.05 is
                           usual, since llama.cpp rounds activations to 8 bits on the CPU. NaN: not
                           compared, with n_seqs */
} bench_peer_test;

typedef struct bench_peer_summary {
    double ours_ts, ours_stddev, peers_ts, peers_stddev; /* tokens per second */
    double ratio_median, ratio_min, ratio_max;           /* ours / the peer's, of one round */
    double ratios[BENCH_PEER_MAX_ROUNDS];                /* in the order of the rounds */
} bench_peer_summary;

/* Fills in what was measured. One run of each side is not counted; then the sides take turns, and
 * turns at going first. */
pd_status bench_peer_measure(const bench_peer_options *o, pd_model *model, peer *p,
                             bench_peer_test *test, pd_error *err);
/* Both of n_seqs sequences at once: prompts, then answers behind them. The first run of each side
 * is not counted here either. prompts, gens: with n_tokens, n_seqs and n_rounds. */
pd_status bench_peer_measure_parallel(const bench_peer_options *o, pd_model *model, peer *p,
                                      bench_peer_test *prompts, bench_peer_test *gens,
                                      pd_error *err);
void bench_peer_summarize(const bench_peer_test *test, bench_peer_summary *out);

/* ---- report --------------------------------------------------------------------------------- */

typedef struct bench_peer_report bench_peer_report;

pd_status bench_peer_report_create(const bench_peer_options *o, const pd_model *model,
                                   const peer *p, bench_peer_report **out, pd_error *err);
void bench_peer_report_add(bench_peer_report *r, const bench_peer_test *test);
/* Prints what is not printed yet. NULL is allowed. */
void bench_peer_report_destroy(bench_peer_report *r);

#endif
