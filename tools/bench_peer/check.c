/* Whether llama.cpp makes of a file what Peridot makes of it: the tokens of texts, and greedy
 * continuations of token lists; and llama.cpp's quantiser, with its time.
 *
 *     check_peer --peer-libs DIR -m FILE [--peer-model FILE] [-n N] [-t N] [-v]
 *                [--ids LIST]... [--text TEXT]...
 *     check_peer --peer-libs DIR --quantize IN OUT q4_0|q8_0
 *
 * Both sides follow Peridot's continuation, so that a step at which they disagree does not hide the
 * ones behind it; it is printed with how far the two candidates lie apart on both sides.
 * llama.cpp's processor kernels round activations to the 8 bits (Q4_0, Q8_0) or 16 bits (F16, BF16)
 * of the weights' dot products, so candidates nearer than that rounding may change places;
 * --peer-model gives it another file, such as the same weights in F32, for which it does not round.
 *
 * SPDX-License-Identifier: MIT
 */
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "bench_peer.h"
#include "peridot.h"

enum { MAX_CASES = 64, MAX_IDS = 4096 };

typedef struct check {
    peer_desc desc;
    const char *model_path;
    const char *quantize_in, *quantize_out, *quantize_type;
    const char *lists[MAX_CASES], *texts[MAX_CASES];
    uint32_t n_lists, n_texts, n_steps;
    uint32_t n_differences;
    uint32_t ids[MAX_IDS], peer_ids[MAX_IDS];
    pd_model *model;
    pd_session *session;
    peer *p;
} check;

/* ---- tokens of a text ----------------------------------------------------------------------- */

static void print_ids(const char *who, const uint32_t *ids, uint32_t n) {
    printf("  %-10s", who);
    for (uint32_t i = 0; i < n; i++) printf(" %u", ids[i]);
    printf("\n");
}

static pd_status check_text(check *c, const char *text, bool special, pd_error *err) {
    size_t n = 0;
    uint32_t n_peer = 0;
    pd_tokenize_desc desc = {.parse_special = special};
    PD_TRY(pd_tokenize(c->model, text, strlen(text), &desc, c->ids, MAX_IDS, &n, err));
    PD_TRY(peer_tokenize(c->p, text, special, c->peer_ids, MAX_IDS, &n_peer, err));
    bool same = n == n_peer && memcmp(c->ids, c->peer_ids, n * sizeof *c->ids) == 0;
    printf("text %s%s: %zu tokens, %s\n", text, special ? " (markers parsed)" : "", n,
           same ? "equal" : "DIFFERENT");
    if (same) return PD_OK;
    c->n_differences++;
    print_ids("peridot", c->ids, (uint32_t)n);
    print_ids("llama.cpp", c->peer_ids, n_peer);
    return PD_OK;
}

/* ---- greedy continuations ------------------------------------------------------------------- */

static uint32_t best_of(const float *x, uint32_t n) {
    uint32_t best = 0;
    for (uint32_t i = 1; i < n; i++)
        if (x[i] > x[best]) best = i;
    return best;
}

static double distance(const float *ours, const float *theirs, uint32_t n) {
    double diff = 0, sum = 0;
    for (uint32_t i = 0; i < n; i++) {
        diff += pow((double)ours[i] - (double)theirs[i], 2);
        sum += pow((double)theirs[i], 2);
    }
    return sqrt(diff / sum);
}

/* One step: the most probable token of both; ours goes on. */
static pd_status check_step(check *c, uint32_t n, uint32_t *next, double *worst, bool *same,
                            pd_error *err) {
    const float *ours, *theirs = peer_logits(c->p);
    uint32_t n_vocab = pd_model_get_info(c->model)->n_vocab;
    PD_TRY(pd_session_sync(c->session, c->ids, n, err));
    PD_TRY(pd_session_logits(c->session, &ours, err));
    if (!theirs) return PD_RAISE(err, PD_ERR_DEVICE, "llama.cpp computed no logits");
    uint32_t a = best_of(ours, n_vocab), b = best_of(theirs, n_vocab);
    *worst = fmax(*worst, distance(ours, theirs, n_vocab));
    *same = a == b;
    *next = a;
    if (a != b)
        printf("  at %u: %u here, %u there; here %u leads by %.4f, there %u by %.4f\n", n, a, b, a,
               (double)(ours[a] - ours[b]), b, (double)(theirs[b] - theirs[a]));
    return PD_OK;
}

static pd_status read_list(check *c, const char *text, uint32_t *n, pd_error *err) {
    char *end;
    for (*n = 0;; text = end + 1) {
        unsigned long id = strtoul(text, &end, 10);
        if (end == text || (*end && *end != ',') || *n + c->n_steps >= MAX_IDS ||
            id >= pd_model_get_info(c->model)->n_vocab)
            return PD_RAISE(err, PD_ERR_ARGUMENT, "--ids takes ids with commas, not \"%s\"", text);
        c->ids[(*n)++] = (uint32_t)id;
        if (!*end) return PD_OK;
    }
}

static pd_status check_list(check *c, const char *text, pd_error *err) {
    uint32_t n, n_same = 0, next;
    double worst = 0;
    PD_TRY(read_list(c, text, &n, err));
    PD_TRY(peer_rewind(c->p, NULL, 0, err));
    PD_TRY(peer_append(c->p, c->ids, n, false, err));
    uint32_t first = n, end = n + c->n_steps;
    while (n < end) {
        bool same = false;
        PD_TRY(check_step(c, n, &next, &worst, &same, err));
        n_same += same;
        c->ids[n++] = next;
        if (n < end) PD_TRY(peer_append(c->p, &next, 1, true, err));
    }
    printf("prompt %s: %u of %u greedy tokens equal, logits' relative L2 at most %.1e\n", text,
           n_same, c->n_steps, worst);
    print_ids("peridot", c->ids + first, c->n_steps);
    c->n_differences += n_same < c->n_steps;
    return PD_OK;
}

static pd_status check_model(check *c, pd_error *err) {
    pd_model_desc desc = {.device = "cpu", .n_threads = c->desc.n_threads};
    pd_session_desc session = {.n_ctx = MAX_IDS / 4, .precision = PD_PRECISION_EXACT};
    PD_TRY(pd_model_open(c->model_path, &desc, &c->model, err));
    PD_TRY(pd_session_create(c->model, &session, &c->session, err));
    PD_TRY(peer_context_create(c->p, MAX_IDS / 4, 1, err));
    if (peer_get_info(c->p)->n_vocab != pd_model_get_info(c->model)->n_vocab)
        return PD_RAISE(err, PD_ERR_MODEL, "llama.cpp reads %u tokens, Peridot %u",
                        peer_get_info(c->p)->n_vocab, pd_model_get_info(c->model)->n_vocab);
    for (uint32_t i = 0; i < c->n_texts; i++)
        for (int special = 0; special < 2; special++)
            PD_TRY(check_text(c, c->texts[i], special, err));
    for (uint32_t i = 0; i < c->n_lists; i++) PD_TRY(check_list(c, c->lists[i], err));
    return PD_OK;
}

/* ---- the command ---------------------------------------------------------------------------- */

static const struct option FLAGS[] = {{"peer-libs", 1, NULL, 'l'},  {"ids", 1, NULL, 'i'},
                                      {"text", 1, NULL, 'x'},       {"quantize", 1, NULL, 'q'},
                                      {"peer-model", 1, NULL, 'p'}, {NULL, 0, NULL, 0}};

static pd_status read_flags(int argc, char **argv, check *c, pd_error *err) {
    const char *in = NULL;
    for (int flag; (flag = getopt_long(argc, argv, "m:n:t:v", FLAGS, NULL)) != -1;) {
        switch (flag) {
        case 'm': c->model_path = optarg; break;
        case 'p': c->desc.model_path = optarg; break;
        case 'n': c->n_steps = (uint32_t)strtoul(optarg, NULL, 10); break;
        case 't': c->desc.n_threads = (uint32_t)strtoul(optarg, NULL, 10); break;
        case 'v': c->desc.verbose = true; break;
        case 'l': c->desc.libs_dir = optarg; break;
        case 'q': in = optarg; break;
        case 'i': c->lists[c->n_lists++ % MAX_CASES] = optarg; break;
        case 'x': c->texts[c->n_texts++ % MAX_CASES] = optarg; break;
        default: return PD_RAISE(err, PD_ERR_ARGUMENT, "unknown or incomplete flag");
        }
    }
    bool good = c->desc.libs_dir && !c->model_path != !in && argc == optind + (in ? 2 : 0) &&
                c->n_lists <= MAX_CASES && c->n_texts <= MAX_CASES && c->n_steps < MAX_IDS / 8 &&
                c->desc.n_threads > 0;
    if (!good) return PD_RAISE(err, PD_ERR_ARGUMENT, "bad arguments; see the head of check.c");
    if (!c->desc.model_path) c->desc.model_path = c->model_path;
    c->quantize_in = in;
    if (in) c->quantize_out = argv[optind];
    if (in) c->quantize_type = argv[optind + 1];
    return PD_OK;
}

static pd_status quantize(check *c, pd_error *err) {
    uint64_t start_ns = pd_clock_ns();
    PD_TRY(peer_quantize(c->p, c->quantize_in, c->quantize_out, c->quantize_type, err));
    printf("%.2f s\n", (double)(pd_clock_ns() - start_ns) / 1e9);
    return PD_OK;
}

static pd_status run(int argc, char **argv, check *c, pd_error *err) {
    PD_TRY(read_flags(argc, argv, c, err));
    PD_TRY(peer_open(&c->desc, &c->p, err));
    return c->quantize_in ? quantize(c, err) : check_model(c, err);
}

int main(int argc, char **argv) {
    pd_error err = {0};
    setvbuf(stdout, NULL, _IOLBF, 0);
    check *c = pd_alloc(1, sizeof *c);
    if (!c) return 1;
    c->n_steps = 32;
    c->desc.n_threads = 2;
    pd_status status = run(argc, argv, c, &err);
    bool differs = c->n_differences > 0;
    if (status != PD_OK) fprintf(stderr, "check_peer: %s\n", err.message);
    pd_session_destroy(c->session);
    peer_close(c->p);
    pd_model_close(c->model);
    pd_free(c);
    return status != PD_OK ? pd_status_exit_code(status) : differs;
}
