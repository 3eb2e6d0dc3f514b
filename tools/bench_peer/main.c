/* Peridot and llama.cpp on the same file, the same tokens and the same machine, taking turns.
 *
 *     bench_peer -m FILE --peer-libs DIR [flags]       (--help lists them)
 *
 * Built and given its libraries by tools/bench_peer.sh; the program alone needs nothing else than
 * the folder of llama.cpp's shared libraries. Both models are in memory at the same time.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/env.h"
#include "base/memory.h"
#include "base/thread.h"
#include "bench_peer.h"
#include "measure/bench_parallel.h"

enum { MAX_NUMBERS = 32, MAX_TOKENS = 1 << 20 };
static const double SUSPICIOUS_DIFF = 0.2;

typedef struct number_list {
    uint32_t values[MAX_NUMBERS];
    uint32_t n;
} number_list;

typedef struct arguments {
    bench_peer_options o;
    number_list prompts, gens, depths, parallels;
    bool help;
} arguments;

static const char HELP[] =
    "bench_peer: Peridot and llama.cpp on one GGUF file, taking turns\n\n"
    "  -m FILE                the model\n"
    "  --peer-libs DIR        llama.cpp's shared libraries, or the folder of their packages\n"
    "  -p N[,N...]            prompt tokens (default: 64; 0: no such test)\n"
    "  -n N[,N...]            generated tokens (default: 16; 0: no such test)\n"
    "  -d N[,N...]            tokens in the context before (default: 0)\n"
    "  --parallel N[,N...]    that many sequences at once instead, of -p and -n tokens each\n"
    "  -r N                   rounds of one run each (default: 3)\n"
    "  -t N                   threads, also of a software Vulkan driver (default: all)\n"
    "  --peridot-device X     as peridot's --device (default: cpu)\n"
    "  --precision X          Peridot's: f16, exact or q8 (default: f16)\n"
    "  --peer cpu|vulkan      llama.cpp's backend (default: the kind of Peridot's device)\n"
    "  --peer-device N        its Vulkan device, as the loader counts (default: Peridot's)\n"
    "  -o md|json             output (default: md)\n"
    "  -v                     llama.cpp's log to standard error\n";

/* ---- flags ---------------------------------------------------------------------------------- */

static pd_status parse_number(const char *flag, const char *text, char **end, uint32_t min,
                              uint32_t max, uint32_t *out, pd_error *err) {
    errno = 0;
    unsigned long long value = strtoull(text, end, 10);
    if (*end == text || text[0] == '-' || errno || value < min || value > max)
        return PD_RAISE(err, PD_ERR_ARGUMENT, "%s takes numbers from %u to %u, not \"%s\"", flag,
                        min, max, text);
    *out = (uint32_t)value;
    return PD_OK;
}

static pd_status parse_count(const char *flag, const char *text, uint32_t max, uint32_t *out,
                             pd_error *err) {
    char *end;
    PD_TRY(parse_number(flag, text, &end, 1, max, out, err));
    if (*end) return PD_RAISE(err, PD_ERR_ARGUMENT, "%s takes one number, not \"%s\"", flag, text);
    return PD_OK;
}

static pd_status parse_list(const char *flag, const char *text, number_list *out, pd_error *err) {
    char *end = NULL;
    out->n = 0;
    do {
        if (out->n == MAX_NUMBERS)
            return PD_RAISE(err, PD_ERR_ARGUMENT, "%s takes at most %d numbers", flag, MAX_NUMBERS);
        PD_TRY(parse_number(flag, text, &end, 0, MAX_TOKENS, &out->values[out->n++], err));
        if (*end && *end != ',')
            return PD_RAISE(err, PD_ERR_ARGUMENT, "%s has \"%s\" behind a number", flag, end);
        text = end + 1;
    } while (*end);
    return PD_OK;
}

/* The index of text in names, which ends with NULL. */
static pd_status parse_choice(const char *flag, const char *text, const char *const *names,
                              int *out, pd_error *err) {
    for (*out = 0; names[*out]; ++*out)
        if (strcmp(names[*out], text) == 0) return PD_OK;
    return PD_RAISE(err, PD_ERR_ARGUMENT, "%s does not know \"%s\"", flag, text);
}

static const char *const BACKENDS[] = {"cpu", "vulkan", NULL};
static const char *const OUTPUTS[] = {"md", "json", NULL};
static const char *const PRECISIONS[] = {"f16", "exact", "q8", NULL}; /* as pd_precision counts */

enum { FLAG_DEVICE = 256, FLAG_PRECISION, FLAG_PEER, FLAG_PEER_DEVICE, FLAG_LIBS, FLAG_PARALLEL };

static const struct option LONG_FLAGS[] = {{"peridot-device", 1, NULL, FLAG_DEVICE},
                                           {"precision", 1, NULL, FLAG_PRECISION},
                                           {"peer", 1, NULL, FLAG_PEER},
                                           {"peer-device", 1, NULL, FLAG_PEER_DEVICE},
                                           {"peer-libs", 1, NULL, FLAG_LIBS},
                                           {"parallel", 1, NULL, FLAG_PARALLEL},
                                           {"help", 0, NULL, 'h'},
                                           {NULL, 0, NULL, 0}};

static pd_status take_flag(arguments *a, int flag, const char *value, pd_error *err) {
    bench_peer_options *o = &a->o;
    int choice = 0;
    switch (flag) {
    case 'm': o->model_path = value; break;
    case 'p': return parse_list("-p", value, &a->prompts, err);
    case 'n': return parse_list("-n", value, &a->gens, err);
    case 'd': return parse_list("-d", value, &a->depths, err);
    case 'r': return parse_count("-r", value, BENCH_PEER_MAX_ROUNDS, &o->n_rounds, err);
    case 't': o->has_threads = true; return parse_count("-t", value, 512, &o->n_threads, err);
    case 'v': o->verbose = true; break;
    case 'h': a->help = true; break;
    case 'o':
        PD_TRY(parse_choice("-o", value, OUTPUTS, &choice, err));
        o->json = choice == 1;
        break;
    case FLAG_DEVICE: o->peridot_device = value; break;
    case FLAG_PRECISION:
        PD_TRY(parse_choice("--precision", value, PRECISIONS, &choice, err));
        o->precision = (pd_precision)choice;
        break;
    case FLAG_PEER:
        PD_TRY(parse_choice("--peer", value, BACKENDS, &choice, err));
        o->peer_backend = BACKENDS[choice];
        break;
    case FLAG_PEER_DEVICE: o->peer_device = value; break;
    case FLAG_PARALLEL: return parse_list("--parallel", value, &a->parallels, err);
    case FLAG_LIBS: o->libs_dir = value; break;
    default: return PD_RAISE(err, PD_ERR_ARGUMENT, "unknown or incomplete flag; see --help");
    }
    return PD_OK;
}

static pd_status parse_arguments(int argc, char **argv, arguments *a, pd_error *err) {
    *a = (arguments){.o = {.peridot_device = "cpu", .n_rounds = 3, .n_threads = pd_cpu_count()},
                     .prompts = {{64}, 1},
                     .gens = {{16}, 1},
                     .depths = {{0}, 1}};
    opterr = 0;
    for (int flag; (flag = getopt_long(argc, argv, "m:p:n:d:r:t:o:vh", LONG_FLAGS, NULL)) != -1;)
        PD_TRY(take_flag(a, flag, optarg, err));
    a->o.precision_name = PRECISIONS[a->o.precision];
    if (a->help) return PD_OK;
    if (optind < argc) return PD_RAISE(err, PD_ERR_ARGUMENT, "\"%s\" is not a flag", argv[optind]);
    if (!a->o.model_path) return PD_RAISE(err, PD_ERR_ARGUMENT, "-m FILE is missing");
    if (!a->o.libs_dir) return PD_RAISE(err, PD_ERR_ARGUMENT, "--peer-libs DIR is missing");
    return PD_OK;
}

/* ---- opening both --------------------------------------------------------------------------- */

static pd_status open_ours(const bench_peer_options *o, pd_model **out, pd_error *err) {
    char threads[16];
    snprintf(threads, sizeof threads, "%u", o->n_threads);
    if (o->has_threads) setenv("LP_NUM_THREADS", threads, 0); /* Mesa's llvmpipe, for both */
    pd_model_desc desc = {.device = o->peridot_device, .n_threads = o->n_threads};
    return pd_model_open(o->model_path, &desc, out, err);
}

/* Both on the same device: "vulkan:N" counts as the loader does, and so does llama.cpp. */
static pd_status open_peer(bench_peer_options *o, const pd_model *model, peer **out,
                           pd_error *err) {
    const char *id = pd_model_get_device(model)->id;
    bool ours_on_vulkan = strncmp(id, "vulkan:", 7) == 0;
    o->peer_on_vulkan = o->peer_backend ? strcmp(o->peer_backend, "vulkan") == 0 : ours_on_vulkan;
    peer_desc desc = {.libs_dir = o->libs_dir,
                      .model_path = o->model_path,
                      .vulkan_index = o->peer_device,
                      .n_threads = o->n_threads,
                      .on_vulkan = o->peer_on_vulkan,
                      .verbose = o->verbose};
    if (!desc.vulkan_index && desc.on_vulkan && ours_on_vulkan) desc.vulkan_index = id + 7;
    return peer_open(&desc, out, err);
}

/* ---- all tests ------------------------------------------------------------------------------ */

static pd_status run_list(const arguments *a, const number_list *lengths, bool is_gen,
                          uint32_t n_depth, pd_model *model, peer *p, bench_peer_report *report,
                          bench_peer_test *test, pd_error *err) {
    for (uint32_t i = 0; i < lengths->n; i++) {
        if (lengths->values[i] == 0) continue;
        *test = (bench_peer_test){.n_depth = n_depth,
                                  .n_tokens = lengths->values[i],
                                  .is_gen = is_gen,
                                  .n_rounds = a->o.n_rounds};
        PD_TRY(bench_peer_measure(&a->o, model, p, test, err));
        bench_peer_report_add(report, test);
        if (!(test->logits_diff < SUSPICIOUS_DIFF))
            fprintf(stderr,
                    "bench_peer: logits differ by %.1e: one side is wrong, and the ratio "
                    "means nothing\n",
                    test->logits_diff);
    }
    return PD_OK;
}

/* tests: two */
static pd_status run_parallel(const arguments *a, uint32_t n_seqs, pd_model *model, peer *p,
                              bench_peer_report *report, bench_peer_test *tests, pd_error *err) {
    if (n_seqs == 0 || n_seqs > PD_MAX_PARALLEL)
        return PD_RAISE(err, PD_ERR_ARGUMENT, "--parallel takes numbers from 1 to %d",
                        PD_MAX_PARALLEL);
    for (uint32_t i = 0; i < a->prompts.n * a->gens.n; i++) {
        uint32_t n_prompt = a->prompts.values[i / a->gens.n], n_gen = a->gens.values[i % a->gens.n];
        if (n_prompt < PD_PARALLEL_MIN_PROMPT || n_gen == 0)
            return PD_RAISE(err, PD_ERR_ARGUMENT,
                            "--parallel needs -p of %d or more, and -n of one",
                            PD_PARALLEL_MIN_PROMPT);
        bench_peer_test like = {.n_seqs = n_seqs, .n_rounds = a->o.n_rounds};
        for (uint32_t k = 0; k < 2; k++) tests[k] = like;
        tests[0].n_tokens = n_prompt;
        tests[1].n_tokens = n_gen;
        tests[1].is_gen = true;
        PD_TRY(bench_peer_measure_parallel(&a->o, model, p, &tests[0], &tests[1], err));
        for (uint32_t k = 0; k < 2; k++) bench_peer_report_add(report, &tests[k]);
    }
    return PD_OK;
}

static pd_status run_tests(const arguments *a, pd_model *model, peer *p, bench_peer_report *report,
                           pd_error *err) {
    pd_status status = PD_OK;
    bench_peer_test *test = pd_alloc(2, sizeof *test);
    if (!test) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for the tests");
    for (uint32_t i = 0; i < a->parallels.n && status == PD_OK; i++)
        status = run_parallel(a, a->parallels.values[i], model, p, report, test, err);
    for (uint32_t i = 0; !a->parallels.n && i < a->depths.n && status == PD_OK; i++) {
        uint32_t depth = a->depths.values[i];
        status = run_list(a, &a->prompts, false, depth, model, p, report, test, err);
        if (status == PD_OK)
            status = run_list(a, &a->gens, true, depth, model, p, report, test, err);
    }
    pd_free(test);
    return status;
}

static pd_status run(int argc, char **argv, pd_error *err) {
    arguments a;
    pd_model *model = NULL;
    peer *p = NULL;
    bench_peer_report *report = NULL;
    pd_status status;
    PD_TRY(parse_arguments(argc, argv, &a, err));
    if (a.help) {
        fputs(HELP, stdout);
        return PD_OK;
    }
    PD_TRY_GOTO(open_ours(&a.o, &model, err));
    PD_TRY_GOTO(open_peer(&a.o, model, &p, err));
    PD_TRY_GOTO(bench_peer_report_create(&a.o, model, p, &report, err));
    status = run_tests(&a, model, p, report, err);
done:
    bench_peer_report_destroy(report);
    peer_close(p);
    pd_model_close(model);
    return status;
}

int main(int argc, char **argv) {
    pd_error err;
    pd_status status = run(argc, argv, &err);
    if (status == PD_OK) return 0;
    fprintf(stderr, "bench_peer: %s\n", err.message);
    return pd_status_exit_code(status);
}
