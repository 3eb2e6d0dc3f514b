/* Logits of the golden models against an independent float64 implementation.
 *
 * For every text case of golden/manifest.json and every device: all positions at once, in chunks of
 * 7, one at a time, and token by token after a prefill. At precision `exact` the relative L2 error
 * over all logits must be <= 1e-3 (f32 arithmetic gives about 1e-6), with the same arg-max at every
 * position; at `f16` <= 1e-2, at `q8` <= 3e-2. The prompts are several windows long.
 *
 * PERIDOT_TEST_DEVICES overrides the list of devices, separated by commas. SPDX-License-Identifier:
 * MIT
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "file/gguf.h"
#include "peridot_measure.h"
#include "support_golden.h"
#include "support_sparse.h"
#include "support_validation.h"

enum { MAX_TOKENS = 64 };

typedef struct golden {
    char model[256];
    uint32_t tokens[MAX_TOKENS], greedy[MAX_TOKENS];
    uint32_t n_tokens, n_vocab;
    float *logits; /* [n_tokens, n_vocab] */
    bool is_spare; /* left out where tests are sparse */
} golden;

static uint32_t read_ids(const cJSON *array, uint32_t *out) {
    uint32_t n = 0;
    const cJSON *item;
    cJSON_ArrayForEach(item, array) {
        assert_true(n < MAX_TOKENS);
        out[n++] = (uint32_t)item->valuedouble;
    }
    return n;
}

static golden read_case(const cJSON *j) {
    golden g = {0};
    char path[512];
    size_t n;
    snprintf(g.model, sizeof g.model, "%s/%s", test_data("golden"),
             cJSON_GetObjectItem(j, "model")->valuestring);
    g.n_tokens = read_ids(cJSON_GetObjectItem(j, "tokens"), g.tokens);
    assert_int_equal(read_ids(cJSON_GetObjectItem(j, "greedy"), g.greedy), g.n_tokens);
    g.n_vocab = (uint32_t)cJSON_GetArrayItem(cJSON_GetObjectItem(j, "shape"), 1)->valuedouble;
    snprintf(path, sizeof path, "%s/%s", test_data("golden"),
             cJSON_GetObjectItem(j, "logits")->valuestring);
    g.logits = (float *)(void *)read_file(path, &n);
    assert_int_equal(n, 4ul * g.n_tokens * g.n_vocab);
    return g;
}

/* ---- comparing ------------------------------------------------------------------------------ */

typedef struct comparison {
    const golden *g;
    double error, norm;       /* sums of squares */
    uint32_t n_rows, n_wrong; /* rows whose arg-max differs */
} comparison;

static void compare_rows(comparison *c, uint32_t first, uint32_t n, const float *logits) {
    uint32_t v = c->g->n_vocab;
    for (uint32_t r = 0; r < n; r++) {
        const float *want = c->g->logits + (size_t)(first + r) * v, *got = logits + (size_t)r * v;
        uint32_t best = 0;
        for (uint32_t i = 0; i < v; i++) {
            double d = (double)got[i] - (double)want[i];
            c->error += d * d;
            c->norm += (double)want[i] * (double)want[i];
            if (got[i] > got[best]) best = i;
        }
        c->n_wrong += best != c->g->greedy[first + r];
    }
    c->n_rows += n;
}

static pd_status compare_chunk(void *ctx, uint32_t first, uint32_t n, const float *logits,
                               pd_error *err) {
    (void)err;
    compare_rows(ctx, first, n, logits);
    return PD_OK;
}

static void check(const comparison *c, const char *device, const char *how, double bound,
                  bool same_argmax) {
    double relative = sqrt(c->error / c->norm);
    const char *name = strrchr(c->g->model, '/') + 1;
    print_message("%-16s %-24s %-14s relative L2 %.2e, %u of %u arg-max differ\n", device, name,
                  how, relative, c->n_wrong, c->n_rows);
    assert_int_equal(c->n_rows, c->g->n_tokens);
    assert_true(relative <= bound);
    if (same_argmax) assert_int_equal(c->n_wrong, 0);
}

/* ---- ways of computing ---------------------------------------------------------------------- */

static void score(pd_model *m, const golden *g, const char *device, uint32_t n_chunk,
                  pd_precision precision, double bound) {
    pd_error err;
    pd_session *s;
    comparison c = {.g = g};
    char how[32];
    pd_session_desc desc = {
        .n_ctx = MAX_TOKENS, .n_chunk = n_chunk, .precision = precision, .all_logits = true};
    must(pd_session_create(m, &desc, &s, &err), &err);
    must(pd_session_score(s, &(pd_prompt){.ids = g->tokens, .n_ids = g->n_tokens}, 0, compare_chunk,
                          &c, &err),
         &err);
    static const char *const names[] = {
        [PD_PRECISION_F16] = " f16", [PD_PRECISION_EXACT] = "", [PD_PRECISION_Q8] = " q8"};
    snprintf(how, sizeof how, "chunk %u%s", n_chunk, names[precision]);
    check(&c, device, how, bound, precision == PD_PRECISION_EXACT);
    pd_session_destroy(s);
}

/* A prefill of the first half without logits, then one token at a time. */
static void decode_after_prefill(pd_model *m, const golden *g, const char *device) {
    pd_error err;
    pd_session *s;
    comparison c = {.g = g};
    const float *logits;
    pd_session_desc desc = {.n_ctx = MAX_TOKENS, .precision = PD_PRECISION_EXACT};
    must(pd_session_create(m, &desc, &s, &err), &err);
    uint32_t half = g->n_tokens / 2;
    for (uint32_t n = half; n <= g->n_tokens; n++) {
        uint32_t best;
        must(pd_session_sync(s, g->tokens, n, &err), &err);
        must(pd_session_argmax(s, &best, &err), &err);
        must(pd_session_logits(s, &logits, &err), &err);
        assert_int_equal(best, g->greedy[n - 1]); /* the device's own arg-max */
        compare_rows(&c, n - 1, 1, logits);
    }
    c.n_rows += half - 1; /* not looked at */
    check(&c, device, "decode", 1e-3, true);
    pd_session_destroy(s);
}

enum { WINDOW = 24 }; /* the longest one of the golden models */

/* Going back: another ending, then the first one again, must give the same logits. */
static void rewind_and_return(pd_model *m, const golden *g, bool has_checkpoints) {
    pd_error err;
    pd_session *s;
    const float *logits;
    uint32_t other[MAX_TOKENS];
    comparison c = {.g = g};
    pd_session_desc desc = {.n_ctx = MAX_TOKENS, .n_chunk = 16, .precision = PD_PRECISION_EXACT};
    if (!has_checkpoints) desc.checkpoint_positions = PD_NO_CHECKPOINTS;
    must(pd_session_create(m, &desc, &s, &err), &err);
    memcpy(other, g->tokens, sizeof other);
    for (uint32_t i = g->n_tokens - 3; i < g->n_tokens; i++) other[i] = g->tokens[0];
    must(pd_session_sync(s, other, g->n_tokens, &err), &err);
    must(pd_session_sync(s, g->tokens, g->n_tokens, &err), &err);
    must(pd_session_logits(s, &logits, &err), &err);
    compare_rows(&c, g->n_tokens - 1, 1, logits);
    assert_true(sqrt(c.error / c.norm) <= 1e-3);
    /* all of it, or up to the checkpoint before the other ending: there is one within a window */
    uint32_t n_reused = pd_session_get_stats(s)->n_reused, n_same = g->n_tokens - 3;
    assert_true(n_reused >= n_same || (has_checkpoints && n_reused + WINDOW >= n_same));
    pd_session_destroy(s);
}

typedef struct seen {
    uint32_t n_calls, n_done, n_total, stop_at; /* stop_at 0: never */
} seen;

static bool see(void *ctx, uint32_t n_done, uint32_t n_total) {
    seen *s = ctx;
    assert_true(s->n_calls == 0 || n_done > s->n_done);
    assert_true(n_done <= n_total);
    *s = (seen){s->n_calls + 1, n_done, n_total, s->stop_at};
    return !s->stop_at || n_done < s->stop_at;
}

/* Before the first chunk, behind each; what is computed stays when one of them says stop. */
static void tells_progress(pd_model *m, const golden *g) {
    pd_error err;
    pd_session *s;
    seen job = {0};
    uint32_t n = g->n_tokens, n_chunks = (n + 3) / 4;
    pd_session_desc desc = {
        .n_ctx = MAX_TOKENS, .n_chunk = 4, .progress = see, .progress_ctx = &job};
    must(pd_session_create(m, &desc, &s, &err), &err);
    must(pd_session_sync(s, g->tokens, n, &err), &err);
    assert_int_equal(job.n_calls, n_chunks + 1);
    assert_true(job.n_done == n && job.n_total == n);
    pd_session_destroy(s);

    memset(&job, 0, sizeof job);
    job.stop_at = 4;
    must(pd_session_create(m, &desc, &s, &err), &err);
    assert_int_equal(pd_session_sync(s, g->tokens, n, &err), PD_ERR_CANCELLED);
    assert_int_equal(pd_session_count(s), 4);
    memset(&job, 0, sizeof job);
    must(pd_session_sync(s, g->tokens, n, &err), &err);
    assert_int_equal(job.n_calls, n_chunks);
    pd_session_destroy(s);
}

/* A cancelled sync has cut the sequence: nothing of the old end may be taken for the new one. */
static void cancel_is_clean(pd_model *m, const golden *g) {
    pd_error err;
    pd_session *s;
    const float *logits;
    uint32_t other[MAX_TOKENS], id, kept = g->n_tokens - 3;
    comparison c = {.g = g};
    pd_session_desc desc = {.n_ctx = MAX_TOKENS, .n_chunk = 16, .precision = PD_PRECISION_EXACT};
    must(pd_session_create(m, &desc, &s, &err), &err);
    must(pd_session_sync(s, g->tokens, g->n_tokens, &err), &err);
    memcpy(other, g->tokens, sizeof other);
    other[kept] = g->tokens[0];
    pd_session_cancel(s);
    assert_int_equal(pd_session_sync(s, other, kept + 1, &err), PD_ERR_CANCELLED);
    assert_int_equal(pd_session_argmax(s, &id, &err), PD_ERR_ARGUMENT);
    pd_session_resume(s);
    must(pd_session_sync(s, g->tokens, kept, &err), &err);
    must(pd_session_logits(s, &logits, &err), &err);
    compare_rows(&c, kept - 1, 1, logits);
    assert_true(sqrt(c.error / c.norm) <= 1e-3);
    pd_session_destroy(s);
}

/* ln softmax of a row of logits at an id, in double. */
static double log_prob(const float *logits, uint32_t n, uint32_t id) {
    double max = -INFINITY, sum = 0;
    for (uint32_t i = 0; i < n; i++) max = fmax(max, (double)logits[i]);
    for (uint32_t i = 0; i < n; i++) sum += exp((double)logits[i] - max);
    return (double)logits[id] - max - log(sum);
}

/* Logits are some 10 and right to 1e-3 of that; in part computed before, from any first position.
 */
static void log_probs(pd_model *m, const golden *g) {
    pd_error err;
    pd_session *s;
    float found[MAX_TOKENS];
    uint32_t best[MAX_TOKENS];
    pd_session_desc desc = {
        .n_ctx = MAX_TOKENS, .n_chunk = 7, .precision = PD_PRECISION_EXACT, .all_logits = true};
    must(pd_session_create(m, &desc, &s, &err), &err);
    static const uint32_t firsts[] = {0, 10, 3};
    for (uint32_t k = 0; k < 3; k++) {
        uint32_t first = firsts[k];
        must(pd_session_log_probs(s, g->tokens, g->n_tokens, first, found, best, &err), &err);
        for (uint32_t i = first; i + 1 < g->n_tokens; i++) {
            const float *row = g->logits + (size_t)i * g->n_vocab;
            double expected = log_prob(row, g->n_vocab, g->tokens[i + 1]);
            assert_true(fabs((double)found[i - first] - expected) <= 1e-2);
            assert_int_equal(best[i - first], g->greedy[i]);
        }
    }
    assert_int_equal(
        pd_session_log_probs(s, g->tokens, g->n_tokens, g->n_tokens, found, best, &err),
        PD_ERR_ARGUMENT);
    pd_session_destroy(s);
}

static pd_status stop_behind_8(void *ctx, uint32_t first, uint32_t n, const float *logits,
                               pd_error *err) {
    (void)ctx, (void)n, (void)logits, (void)err;
    return first >= 8 ? PD_ERR_CANCELLED : PD_OK;
}

/* The outputs are those of what is computed, not what the chunk that was given up has left. */
static void stopped_score_is_clean(pd_model *m, const golden *g) {
    pd_error err;
    pd_session *s;
    uint32_t id;
    const float *logits;
    pd_prompt prompt = {.ids = g->tokens, .n_ids = g->n_tokens};
    pd_session_desc desc = {
        .n_ctx = MAX_TOKENS, .n_chunk = 8, .precision = PD_PRECISION_EXACT, .all_logits = true};
    must(pd_session_create(m, &desc, &s, &err), &err);
    assert_int_equal(pd_session_score(s, &prompt, 0, stop_behind_8, NULL, &err), PD_ERR_CANCELLED);
    assert_int_equal(pd_session_count(s), 8);
    must(pd_session_argmax(s, &id, &err), &err);
    assert_int_equal(id, g->greedy[7]);
    must(pd_session_logits(s, &logits, &err), &err);
    for (uint32_t i = 0; i < pd_model_get_info(m)->n_vocab; i++)
        assert_true(logits[i] <= logits[id]);
    must(pd_session_sync(s, g->tokens, 8, &err), &err);
    must(pd_session_argmax(s, &id, &err), &err);
    assert_int_equal(id, g->greedy[7]);
    pd_session_destroy(s);
}

/* ---- devices -------------------------------------------------------------------------------- */

static void run_case(void *ctx, const char *device) {
    const golden *g = ctx;
    pd_error err;
    pd_model *m;
    if (g->is_spare && tests_are_sparse_on(device)) return;
    must(pd_model_open(g->model, &(pd_model_desc){.device = device}, &m, &err), &err);
    score(m, g, device, 512, PD_PRECISION_EXACT, 1e-3);
    score(m, g, device, 7, PD_PRECISION_EXACT, 1e-3);
    score(m, g, device, 1, PD_PRECISION_EXACT, 1e-3);
    score(m, g, device, 512, PD_PRECISION_F16, 1e-2);
    score(m, g, device, 1, PD_PRECISION_F16, 1e-2);
    score(m, g, device, 512, PD_PRECISION_Q8, 3e-2);
    score(m, g, device, 1, PD_PRECISION_Q8, 3e-2);
    decode_after_prefill(m, g, device);
    rewind_and_return(m, g, true);
    rewind_and_return(m, g, false);
    cancel_is_clean(m, g);
    tells_progress(m, g);
    log_probs(m, g);
    stopped_score_is_clean(m, g);
    pd_model_close(m);
}

/* An infinite weight in blk.1.ffn_down must be reported by that operation's name. */
static void check_poisoned(void *ctx, const char *device) {
    pd_error err;
    pd_model *m;
    pd_session *s;
    const uint32_t ids[] = {2, 10, 20, 30};
    must(pd_model_open(ctx, &(pd_model_desc){.device = device}, &m, &err), &err);
    for (int i = 0; i < 6; i++) {
        uint32_t id;
        pd_session_desc desc = {.n_ctx = MAX_TOKENS,
                                .all_logits = i % 2 != 0,
                                .precision = (pd_precision[]){PD_PRECISION_EXACT, PD_PRECISION_F16,
                                                              PD_PRECISION_Q8}[i / 2]};
        must(pd_session_create(m, &desc, &s, &err), &err);
        assert_int_equal(pd_session_sync(s, ids, 4, &err), PD_ERR_NUMERIC);
        assert_non_null(strstr(err.message, "l01.ffn_down"));
        assert_int_equal(pd_session_argmax(s, &id, &err), PD_ERR_ARGUMENT);
        pd_session_destroy(s);
    }
    pd_model_close(m);
}

static void test_infinity_is_named(void **state) {
    (void)state;
    pd_error err;
    pd_gguf *g;
    size_t n;
    char path[] = "/tmp/peridot-poisoned-XXXXXX";
    const uint8_t infinity[2] = {0x00, 0x7c};
    must(pd_gguf_open(GOLDEN("small-f16.gguf"), &g, &err), &err);
    const pd_tensor *t = pd_gguf_find_tensor(g, "blk.1.ffn_down.weight");
    assert_non_null(t);
    assert_int_equal(t->type, PD_TYPE_F16);
    char *data = read_file(GOLDEN("small-f16.gguf"), &n);
    memcpy(data + t->offset, infinity, sizeof infinity);
    pd_gguf_close(g);
    int fd = mkstemp(path);
    assert_true(fd >= 0 && write(fd, data, (unsigned)n) == (ssize_t)n);
    close(fd);
    on_every_device(check_poisoned, path);
    unlink(path);
    free(data);
}

static void test_every_case_on_every_device(void **state) {
    (void)state;
    char *text = read_file(GOLDEN("manifest.json"), NULL);
    cJSON *manifest = cJSON_Parse(text);
    assert_non_null(manifest);
    const cJSON *j;
    uint32_t i = 0;
    cJSON_ArrayForEach(j, cJSON_GetObjectItem(manifest, "text")) {
        golden g = read_case(j);
        g.is_spare = i++ % 2;
        on_every_device(run_case, &g);
        free(g.logits);
    }
    cJSON_Delete(manifest);
    free(text);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_case_on_every_device),
                                       cmocka_unit_test(test_infinity_is_named),
                                       cmocka_unit_test(check_validation_silent)};
    PRINT_LOG();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
