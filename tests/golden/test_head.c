/* A head requantised while loading, on every device.
 *
 * With it a model must compute the very logits of a file whose matrix was quantised beforehand. In
 * a model whose head is a matrix of its own, hidden states do not depend on it, so that the change
 * of each logit is bounded by the format: with amax the largest magnitude of a block of 32 weights,
 * d = amax / 127 and f16(d) within d 2^-11 (or half the smallest subnormal, 2^-25),
 *
 *     |w - w'| <= |w - q d| + |q| |d - f16(d)| <= d / 2 + 127 max(d 2^-11, 2^-25)
 *     |l - l'| <= sum over blocks of that times sum |x|
 *
 * and the reported KL divergence must be that of the two models' logits.
 *
 * SPDX-License-Identifier: MIT
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "engine/session.h"
#include "support_golden.h"
#include "support_validation.h"

enum { N_TOKENS = 24, N_LONG = 81, N_CTX = 128 };

static uint32_t token_at(uint32_t i) {
    return i == 0 ? PD_TOKEN_BOS : 300 + i * 37 % 200;
}

/* ---- model files ---------------------------------------------------------------------------- */

typedef struct file_change {
    pd_type embd_type; /* of token_embd.weight */
    bool untied;       /* and output.weight, a copy of it in the old type */
} file_change;

static bool is_embedding(const pd_tensor *t) {
    return !strcmp(t->name, "token_embd.weight");
}

static void write_converted(pd_gguf_writer *w, const pd_tensor *t, pd_type type) {
    uint64_t n = t->ne[0] * t->ne[1], bytes = pd_type_row_bytes(pd_type_get(type), n);
    float *values = calloc(n, sizeof *values);
    uint8_t *stored = calloc(1, bytes);
    pd_decode(t->type, t->data, n, values);
    pd_encode(type, values, n, stored);
    pd_gguf_write_data(w, stored, bytes);
    free(values);
    free(stored);
}

static void change_file(const char *from, const char *to, file_change change) {
    pd_error err;
    pd_gguf *g;
    pd_gguf_writer *w;
    must(pd_gguf_open(from, &g, &err), &err);
    must(pd_gguf_writer_open(to, &w, &err), &err);
    const pd_tensor *embd = pd_gguf_find_tensor(g, "token_embd.weight");
    for (uint64_t i = 0; i < pd_gguf_value_count(g); i++)
        pd_gguf_write_value(w, pd_gguf_value_at(g, i));
    for (uint64_t i = 0; i < pd_gguf_tensor_count(g); i++) {
        const pd_tensor *t = pd_gguf_tensor_at(g, i);
        pd_gguf_write_tensor(w, t->name, is_embedding(t) ? change.embd_type : t->type, t->n_dims,
                             t->ne);
    }
    if (change.untied) pd_gguf_write_tensor(w, "output.weight", embd->type, embd->n_dims, embd->ne);
    pd_gguf_begin_data(w);
    for (uint64_t i = 0; i < pd_gguf_tensor_count(g); i++) {
        const pd_tensor *t = pd_gguf_tensor_at(g, i);
        if (is_embedding(t))
            write_converted(w, t, change.embd_type);
        else
            pd_gguf_write_data(w, t->data, t->n_bytes);
    }
    if (change.untied) pd_gguf_write_data(w, embd->data, embd->n_bytes);
    must(pd_gguf_writer_commit(w, &err), &err);
    pd_gguf_close(g);
}

static void temp_path(char *out) {
    strcpy(out, "/tmp/peridot-head-XXXXXX");
    int fd = mkstemp(out);
    assert_true(fd >= 0);
    close(fd);
}

/* ---- models and logits ---------------------------------------------------------------------- */

static pd_model *open_model(const char *path, const char *device, pd_head_type head) {
    pd_error err;
    pd_model *m;
    must(pd_model_open(path, &(pd_model_desc){.device = device, .head = head}, &m, &err), &err);
    return m;
}

static pd_session *open_session(pd_model *m) {
    pd_error err;
    pd_session *s;
    pd_session_desc desc = {.n_ctx = N_CTX, .precision = PD_PRECISION_EXACT};
    must(pd_session_create(m, &desc, &s, &err), &err);
    return s;
}

/* Tokens [first, n) one at a time; the logits of each to out [n - first, n_vocab] if not NULL. */
static void decode(pd_session *s, uint32_t first, uint32_t n, float *out) {
    pd_error err;
    uint32_t ids[N_CTX], n_vocab = s->context->model->config.n_vocab;
    for (uint32_t i = 0; i < n; i++) ids[i] = token_at(i);
    for (uint32_t i = first; i < n; i++) {
        const float *logits;
        must(pd_session_sync(s, ids, i + 1, &err), &err);
        must(pd_session_logits(s, &logits, &err), &err);
        if (out) memcpy(out + (size_t)(i - first) * n_vocab, logits, 4ul * n_vocab);
    }
}

/* All of them as one prompt, then three more one at a time: [4, n_vocab]. */
static void prompt_and_decode(pd_model *m, float *out) {
    pd_error err;
    const float *logits;
    uint32_t ids[N_TOKENS];
    for (uint32_t i = 0; i < N_TOKENS; i++) ids[i] = token_at(i);
    pd_session *s = open_session(m);
    must(pd_session_sync(s, ids, N_TOKENS, &err), &err);
    must(pd_session_logits(s, &logits, &err), &err);
    memcpy(out, logits, 4ul * m->config.n_vocab);
    decode(s, N_TOKENS, N_TOKENS + 3, out + m->config.n_vocab);
    pd_session_destroy(s);
}

static double relative_l2(const float *got, const float *want, size_t n) {
    double error = 0, norm = 0;
    for (size_t i = 0; i < n; i++) {
        error += pow((double)got[i] - (double)want[i], 2);
        norm += pow((double)want[i], 2);
    }
    return sqrt(error / norm);
}

/* ---- the same as a quantised file ----------------------------------------------------------- */

typedef struct twin {
    char stored[32], quantised[32]; /* files */
    pd_head_type head;
    float *reference; /* cpu-ref's logits [4, n_vocab] */
} twin;

static void compare_twins(void *ctx, const char *device) {
    twin *t = ctx;
    pd_model *a = open_model(t->stored, device, t->head);
    pd_model *b = open_model(t->quantised, device, PD_HEAD_KEEP);
    size_t n = 4ul * a->config.n_vocab;
    float *logits = calloc(2 * n, sizeof *logits);
    prompt_and_decode(a, logits);
    prompt_and_decode(b, logits + n);
    assert_memory_equal(logits, logits + n, n * sizeof *logits);
    const pd_model_info *ia = pd_model_get_info(a), *ib = pd_model_get_info(b);
    assert_string_equal(ia->head_type, ib->head_type);
    assert_string_not_equal(ia->head_type, ia->head_file_type);
    assert_true(ia->head_bytes < ia->head_file_bytes);
    assert_int_equal(ia->head_bytes, ib->head_bytes);
    assert_int_equal(ia->weight_bytes_per_token, ib->weight_bytes_per_token);
    assert_int_equal(pd_model_get_load_stats(a)->device_bytes,
                     pd_model_get_load_stats(b)->device_bytes);
    if (!t->reference) {
        t->reference = calloc(n, sizeof *logits);
        memcpy(t->reference, logits, n * sizeof *logits);
    }
    double error = relative_l2(logits, t->reference, n);
    print_message("%-16s %s -> %s: relative L2 to the first device %.2e\n", device,
                  ia->head_file_type, ia->head_type, error);
    assert_true(error <= 1e-3);
    free(logits);
    pd_model_close(a);
    pd_model_close(b);
}

static void test_equals_a_quantised_file(void **state) {
    static const struct {
        const char *model;
        pd_type stored, quantised;
        pd_head_type head;
    } rows[] = {{"small-f16.gguf", PD_TYPE_F16, PD_TYPE_Q8_0, PD_HEAD_Q8_0},
                {"small-bf16.gguf", PD_TYPE_BF16, PD_TYPE_Q4_0, PD_HEAD_Q4_0},
                {"small-q6_k.gguf", PD_TYPE_F32, PD_TYPE_Q6_K, PD_HEAD_Q6_K},
                {"small-q4_0.gguf", PD_TYPE_Q8_0, PD_TYPE_Q4_0, PD_HEAD_Q4_0},
                {"small-q6_k.gguf", PD_TYPE_Q5_0, PD_TYPE_Q4_0, PD_HEAD_Q4_0}};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        twin t = {.head = rows[i].head};
        char source[256];
        snprintf(source, sizeof source, "%s/%s", test_data("golden"), rows[i].model);
        temp_path(t.stored);
        temp_path(t.quantised);
        change_file(source, t.stored, (file_change){.embd_type = rows[i].stored});
        change_file(t.stored, t.quantised, (file_change){.embd_type = rows[i].quantised});
        on_every_device(compare_twins, &t);
        unlink(t.stored);
        unlink(t.quantised);
        free(t.reference);
    }
}

/* ---- bound and cost ------------------------------------------------------------------------- */

static double logit_bound(const float *row, const float *x, uint32_t width) {
    double bound = 0;
    for (uint32_t b = 0; b < width; b += 32) {
        double amax = 0, sum = 0;
        for (uint32_t i = b; i < b + 32; i++) {
            amax = fmax(amax, fabs((double)row[i]));
            sum += fabs((double)x[i]);
        }
        double d = amax / 127;
        bound += (d / 2 + 127 * fmax(d * 0x1p-11, 0x1p-25)) * sum;
    }
    return bound * (1 + 1e-5); /* the encoder's own rounding, in f32 */
}

/* The position's logits with either head, against the bound. Returns how far of it was used. */
static double check_bound(const pd_session *s, const float *keep, const float *q8, uint32_t pos) {
    pd_error err;
    const pd_config *c = &s->context->model->config;
    const pd_tensor *head = s->context->model->lm_head.stored;
    float x[256], row[256];
    double used = 0;
    assert_true(c->n_embd <= 256);
    must(s->context->model->backend->v->read(s->context->stages[PD_STAGE_DECODE].program,
                                             s->context->stages[PD_STAGE_DECODE].hidden, 0,
                                             4ul * c->n_embd, x, &err),
         &err);
    for (uint32_t id = 0; id < c->n_vocab; id++) {
        pd_decode(head->type, head->data + id * (head->n_bytes / c->n_vocab), c->n_embd, row);
        double exact = 0, size = 0;
        for (uint32_t i = 0; i < c->n_embd; i++) {
            exact += (double)row[i] * (double)x[i];
            size += fabs((double)row[i] * (double)x[i]);
        }
        double bound = logit_bound(row, x, c->n_embd), rounding = 1e-5 * size;
        /* the hidden state that can be read is the one that was multiplied */
        assert_true(fabs((double)keep[id] - exact) <= rounding);
        double change = fabs((double)q8[id] - (double)keep[id]);
        if (change > bound + 2 * rounding)
            fail_msg("position %u, id %u: changed by %g, bound %g", pos, id, change, bound);
        used = fmax(used, change / bound);
    }
    return used;
}

static double kl_of(const float *p, const float *q, uint32_t n) {
    double max_p = (double)p[0], max_q = (double)q[0], sum_p = 0, sum_q = 0, kl = 0;
    for (uint32_t i = 0; i < n; i++) {
        max_p = fmax(max_p, (double)p[i]);
        max_q = fmax(max_q, (double)q[i]);
    }
    for (uint32_t i = 0; i < n; i++) {
        sum_p += exp((double)p[i] - max_p);
        sum_q += exp((double)q[i] - max_q);
    }
    double log_p = max_p + log(sum_p), log_q = max_q + log(sum_q);
    for (uint32_t i = 0; i < n; i++)
        kl += exp((double)p[i] - log_p) * (((double)p[i] - log_p) - ((double)q[i] - log_q));
    return kl;
}

static uint32_t best_of(const float *x, uint32_t n) {
    uint32_t best = 0;
    for (uint32_t i = 1; i < n; i++)
        if (x[i] > x[best]) best = i;
    return best;
}

/* keep, changed: [N_TOKENS, n_vocab]. A logit's error e changes KL by at most e sqrt(2 KL) to first
 * order: 1e-5 against a KL of 1e-5 and more is below one part in a hundred. */
static void check_cost(pd_session *s, const float *keep, const float *changed) {
    pd_error err;
    pd_head_cost cost;
    uint32_t n = s->context->model->config.n_vocab, n_same = 0;
    double mean = 0, max = 0;
    must(pd_session_head_cost(s, &cost, &err), &err);
    for (uint32_t i = N_TOKENS - 8; i < N_TOKENS; i++) {
        double kl = kl_of(keep + (size_t)i * n, changed + (size_t)i * n, n);
        n_same += best_of(keep + (size_t)i * n, n) == best_of(changed + (size_t)i * n, n);
        mean += kl / 8;
        max = fmax(max, kl);
    }
    print_message("  KL %.4e (expected %.4e), worst %.4e, same top token %u of %u\n", cost.kl_mean,
                  mean, cost.kl_max, cost.n_same, cost.n_positions);
    assert_int_equal(cost.n_positions, 8);
    assert_int_equal(cost.n_same, n_same);
    assert_true(mean > 0 && fabs(cost.kl_mean - mean) <= 0.01 * mean);
    assert_true(fabs(cost.kl_max - max) <= 0.01 * max);
}

static void check_untied(void *ctx, const char *device) {
    pd_model *keep = open_model(ctx, device, PD_HEAD_KEEP);
    size_t n = (size_t)N_TOKENS * keep->config.n_vocab;
    float *logits = calloc(2 * n, sizeof *logits);
    pd_session *s = open_session(keep);
    decode(s, 0, N_TOKENS, logits);
    pd_session_destroy(s);
    static const pd_head_type heads[] = {PD_HEAD_Q8_0, PD_HEAD_Q4_0};
    for (int h = 0; h < 2; h++) {
        pd_model *m = open_model(ctx, device, heads[h]);
        assert_ptr_not_equal(m->weights->token_embd, m->weights->output);
        assert_int_equal(m->weights->token_embd->type, PD_TYPE_F16);
        s = open_session(m);
        double used = 0;
        for (uint32_t i = 0; i < N_TOKENS; i++) {
            size_t at = (size_t)i * m->config.n_vocab;
            decode(s, i, i + 1, logits + n + at);
            if (heads[h] == PD_HEAD_Q8_0)
                used = fmax(used, check_bound(s, logits + at, logits + n + at, i));
        }
        print_message("%-16s %s", device, pd_model_get_info(m)->head_type);
        if (used > 0) print_message(", at most %.3f of the bound", used);
        print_message("\n");
        check_cost(s, logits, logits + n);
        pd_session_destroy(s);
        pd_model_close(m);
    }
    free(logits);
    pd_model_close(keep);
}

static void test_bound_and_cost(void **state) {
    (void)state;
    char path[32];
    temp_path(path);
    change_file(GOLDEN("small-f16.gguf"), path,
                (file_change){.embd_type = PD_TYPE_F16, .untied = true});
    on_every_device(check_untied, path);
    unlink(path);
}

/* ---- the sequence --------------------------------------------------------------------------- */

/* Asking for the cost in between changes nothing of what follows; where local pages are gone, it
 * looks at fewer positions. With a window of 16 and pages of 64, position 79 is the first whose
 * window lies in the second page. */
static void check_sequence(void *ctx, const char *device) {
    (void)ctx;
    pd_error err;
    pd_head_cost cost;
    pd_model *m = open_model(GOLDEN("small-f16.gguf"), device, PD_HEAD_Q8_0);
    size_t row = m->config.n_vocab;
    float *logits = calloc(4 * row, sizeof *logits);
    pd_session *s = open_session(m);
    decode(s, 0, N_LONG, NULL);
    decode(s, N_LONG, N_LONG + 2, logits);
    pd_session_destroy(s);

    s = open_session(m);
    assert_int_equal(pd_session_head_cost(s, &cost, &err), PD_ERR_ARGUMENT);
    decode(s, 0, 3, NULL);
    must(pd_session_head_cost(s, &cost, &err), &err);
    assert_int_equal(cost.n_positions, 3);
    decode(s, 3, N_LONG, NULL);
    must(pd_session_head_cost(s, &cost, &err), &err);
    assert_int_equal(cost.n_positions, 2);
    assert_int_equal(pd_session_count(s), N_LONG);
    decode(s, N_LONG, N_LONG + 2, logits + 2 * row);
    assert_memory_equal(logits, logits + 2 * row, 2 * row * sizeof *logits);

    pd_session_cancel(s);
    assert_int_equal(pd_session_head_cost(s, &cost, &err), PD_ERR_CANCELLED);
    pd_session_resume(s);
    free(logits);
    pd_session_destroy(s);
    pd_model_close(m);
}

static void test_sequence_stays(void **state) {
    (void)state;
    on_every_device(check_sequence, NULL);
}

/* ---- wishes that cannot be met -------------------------------------------------------------- */

static void test_not_smaller_is_kept(void **state) {
    (void)state;
    pd_error err;
    pd_head_cost cost;
    const struct {
        const char *model;
        pd_head_type head;
    } rows[] = {{GOLDEN("small-q4_0.gguf"), PD_HEAD_Q8_0},    /* is Q8_0 */
                {GOLDEN("small-q6_k.gguf"), PD_HEAD_Q8_0},    /* is Q6_K */
                {GOLDEN("rule-27b-q4_0.gguf"), PD_HEAD_Q6_K}, /* is Q4_0, 64 wide */
                {GOLDEN("small-f16.gguf"), PD_HEAD_KEEP}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        pd_model *m = open_model(rows[i].model, "cpu", rows[i].head);
        const pd_model_info *info = pd_model_get_info(m);
        assert_string_equal(info->head_type, info->head_file_type);
        assert_int_equal(info->head_bytes, info->head_file_bytes);
        assert_int_equal(pd_model_get_load_stats(m)->head_ns, 0);
        pd_session *s = open_session(m);
        decode(s, 0, 2, NULL);
        assert_int_equal(pd_session_head_cost(s, &cost, &err), PD_ERR_ARGUMENT);
        pd_session_destroy(s);
        pd_model_close(m);
    }
}

static void test_rows_that_do_not_fit(void **state) {
    (void)state;
    pd_error err;
    pd_model *m;
    pd_model_desc desc = {.device = "cpu", .head = PD_HEAD_Q6_K};
    assert_int_equal(pd_model_open(GOLDEN("small-f16.gguf"), &desc, &m, &err), PD_ERR_UNSUPPORTED);
    assert_non_null(strstr(err.message, "64 values"));
    desc.vocab_only = true;
    must(pd_model_open(GOLDEN("small-f16.gguf"), &desc, &m, &err), &err);
    pd_model_close(m);
}

/* What the smallest context takes with the head of a type. */
static uint64_t least_peak(pd_head_type head) {
    pd_model *m;
    pd_estimate e;
    pd_error err;
    pd_model_desc desc = {.device = "cpu-ref", .head = head, .estimate_only = true};
    must(pd_model_open(GOLDEN("small-f16.gguf"), &desc, &m, &err), &err);
    must(pd_model_estimate(m, &(pd_session_desc){.n_ctx = 64}, 1, &e, &err), &err);
    pd_model_close(m);
    return e.peak_bytes;
}

/* A limit that the stored head passes and the new one keeps; `cpu` would pack rows by 16. */
static void test_memory_limit(void **state) {
    (void)state;
    pd_error err;
    pd_model *m = open_model(GOLDEN("small-f16.gguf"), "cpu-ref", PD_HEAD_KEEP);
    uint64_t stored = pd_model_get_load_stats(m)->device_bytes;
    uint64_t per_token = pd_model_get_info(m)->weight_bytes_per_token;
    pd_model_close(m);
    m = open_model(GOLDEN("small-f16.gguf"), "cpu-ref", PD_HEAD_Q8_0);
    uint64_t saved = 520 * (64 * 2 - 2 * 34);
    assert_int_equal(stored - pd_model_get_load_stats(m)->device_bytes, saved);
    assert_int_equal(per_token - pd_model_get_info(m)->weight_bytes_per_token, saved);
    pd_model_close(m);
    uint64_t limit = least_peak(PD_HEAD_Q8_0);
    assert_int_equal(least_peak(PD_HEAD_KEEP) - limit, saved);
    pd_model_desc desc = {.device = "cpu-ref", .memory_limit_bytes = limit};
    assert_int_equal(pd_model_open(GOLDEN("small-f16.gguf"), &desc, &m, &err),
                     PD_ERR_MEMORY_DEVICE);
    desc.head = PD_HEAD_Q8_0;
    must(pd_model_open(GOLDEN("small-f16.gguf"), &desc, &m, &err), &err);
    pd_model_close(m);
    desc.memory_limit_bytes--;
    assert_int_equal(pd_model_open(GOLDEN("small-f16.gguf"), &desc, &m, &err),
                     PD_ERR_MEMORY_DEVICE);
}

typedef struct progress {
    uint32_t n_calls, n_wanted;
    uint64_t done;
} progress;

static bool count_progress(void *ctx, uint64_t done, uint64_t total) {
    progress *p = ctx;
    assert_true(done >= p->done && done <= total);
    p->done = done;
    return ++p->n_calls < p->n_wanted;
}

static void test_progress_is_one_and_can_stop(void **state) {
    (void)state;
    pd_error err;
    pd_model *m;
    progress p = {.n_wanted = UINT32_MAX};
    pd_model_desc desc = {
        .device = "cpu", .head = PD_HEAD_Q8_0, .progress = count_progress, .progress_ctx = &p};
    must(pd_model_open(GOLDEN("small-f16.gguf"), &desc, &m, &err), &err);
    assert_true(p.done > pd_model_get_info(m)->head_file_bytes);
    pd_model_close(m);
    p = (progress){.n_wanted = 1};
    assert_int_equal(pd_model_open(GOLDEN("small-f16.gguf"), &desc, &m, &err), PD_ERR_CANCELLED);
    assert_non_null(strstr(err.message, "requantised"));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_equals_a_quantised_file),
                                       cmocka_unit_test(test_bound_and_cost),
                                       cmocka_unit_test(test_sequence_stays),
                                       cmocka_unit_test(test_not_smaller_is_kept),
                                       cmocka_unit_test(test_rows_that_do_not_fit),
                                       cmocka_unit_test(test_memory_limit),
                                       cmocka_unit_test(test_progress_is_one_and_can_stop),
                                       cmocka_unit_test(check_validation_silent)};
    PRINT_LOG();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
