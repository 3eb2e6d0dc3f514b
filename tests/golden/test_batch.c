/* Several sequences in one step: every row names its sequence, and no neighbour may change its
 * result.
 *
 * Sequence 0 is a golden prompt, sequence 1 its first half, sequence 2 the prompt again. All are
 * prefilled in one step of 3 sequences, and sequence 1 is then continued by decode steps in which
 * all three have a row. Rows of sequences 0 and 1 are compared with the golden logits; sequence 2
 * goes its own way in the decode steps. A fourth case shares a prefix's pages between sequences.
 *
 * SPDX-License-Identifier: MIT
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

#include "engine/kv.h"
#include "engine/model.h"
#include "support_golden.h"
#include "support_validation.h"

enum { N_TOKENS = 40, HALF = 20, N_VOCAB = 600, MAX_ROWS = 128, CONTEXT = 512 };

static uint32_t prompt[N_TOKENS];
static float *golden; /* [N_TOKENS, N_VOCAB] */

static int load_golden(void **state) {
    (void)state;
    char *text = read_file(GOLDEN("manifest.json"), NULL);
    cJSON *manifest = cJSON_Parse(text);
    const cJSON *c = cJSON_GetArrayItem(cJSON_GetObjectItem(manifest, "text"), 0), *item;
    assert_string_equal(cJSON_GetObjectItem(c, "model")->valuestring, "small-q4_0.gguf");
    uint32_t n = 0;
    cJSON_ArrayForEach(item, cJSON_GetObjectItem(c, "tokens")) prompt[n++] =
        (uint32_t)item->valuedouble;
    assert_int_equal(n, N_TOKENS);
    golden = (float *)(void *)read_file(GOLDEN("small-q4_0.logits.f32"), NULL);
    cJSON_Delete(manifest);
    free(text);
    return 0;
}

/* ---- a batch -------------------------------------------------------------------------------- */

typedef struct batch {
    pd_model *model;
    pd_kv *kv;
    pd_kv_store *store;
    pd_plan plan[2]; /* many rows; up to 3 rows, as a decode step of 3 sequences has */
    pd_program *program[2];
    pd_step_row rows[MAX_ROWS];
    uint32_t out_rows[MAX_ROWS], n_rows;
    uint32_t added[3]; /* rows of each sequence in the step being made */
    float *logits;     /* [MAX_ROWS, N_VOCAB] */
} batch;

static void open_batch(batch *b, const char *device) {
    pd_error err;
    *b = (batch){0};
    must(pd_model_open(GOLDEN("small-q4_0.gguf"), &(pd_model_desc){.device = device}, &b->model,
                       &err),
         &err);
    const pd_config *c = &b->model->config;
    pd_kv_desc kv = {.max_positions = CONTEXT, .window = c->window, .max_chunk = MAX_ROWS};
    must(pd_kv_create(&kv, &b->kv, &err), &err);
    for (uint32_t s, i = 0; i < 3; i++) must(pd_kv_join(b->kv, &s, &err), &err);
    pd_kv_pages pages = pd_kv_most_pages(b->kv, 3);
    must(pd_kv_extend(b->kv, pages, &err), &err);
    pd_kv_store_desc store = {.shape = {.n_layers = c->n_layers,
                                        .n_heads = c->n_heads,
                                        .n_kv_heads = c->n_kv_heads,
                                        .head_dim = c->head_dim,
                                        .f32 = true,
                                        .layer_is_global = c->layer_is_global},
                              .n_global_pages = pages.n_global,
                              .n_local_pages = pages.n_local};
    const pd_backend_vtable *v = b->model->backend->v;
    must(v->kv_create(b->model->backend, &store, &b->store, &err), &err);
    for (int i = 0; i < 2; i++) {
        uint32_t max_rows = i ? 3 : MAX_ROWS;
        pd_text_plan_desc d = {.name = i ? "decode" : "prefill",
                               .max_rows = max_rows,
                               .max_outs = max_rows,
                               .max_seqs = 3,
                               .max_positions = CONTEXT,
                               .precision = PD_PRECISION_EXACT};
        must(pd_plan_text(c, b->model->weights, &d, &b->plan[i], &err), &err);
        must(v->compile(b->model->backend, &b->plan[i], b->store, &b->program[i], &err), &err);
    }
    b->logits = malloc(4ul * MAX_ROWS * N_VOCAB);
}

static void close_batch(batch *b) {
    const pd_backend_vtable *v = b->model->backend->v;
    for (int i = 0; i < 2; i++) {
        v->destroy(b->model->backend, b->program[i]);
        pd_plan_free(&b->plan[i]);
    }
    v->kv_destroy(b->model->backend, b->store);
    pd_kv_destroy(b->kv);
    pd_model_close(b->model);
    free(b->logits);
}

static void add_rows(batch *b, uint32_t seq, const uint32_t *tokens, uint32_t n) {
    pd_error err;
    uint32_t first = pd_kv_length(b->kv, seq);
    pd_kv_copies copies;
    must(pd_kv_reserve(b->kv, seq, n, &copies, &err), &err);
    assert_int_equal(copies.n, 0);
    for (uint32_t i = 0; i < n; i++) {
        b->out_rows[b->n_rows] = b->n_rows;
        b->rows[b->n_rows++] = (pd_step_row){tokens[i], first + i, seq, first + i + 1};
    }
    b->added[seq] += n;
}

static void run_batch(batch *b, int which) {
    pd_error err;
    pd_page_table tables[3];
    for (uint32_t s = 0; s < 3; s++) tables[s] = pd_kv_table(b->kv, s);
    pd_step step = {.n_rows = b->n_rows,
                    .n_outs = b->n_rows,
                    .n_seqs = 3,
                    .rows = b->rows,
                    .out_rows = b->out_rows,
                    .tables = tables};
    const pd_backend_vtable *v = b->model->backend->v;
    must(v->run(b->program[which], &step, &err), &err);
    pd_buf_id logits = pd_plan_find_buf(&b->plan[which], "logits");
    must(v->read(b->program[which], logits, 0, 4ull * b->n_rows * N_VOCAB, b->logits, &err), &err);
    for (uint32_t s = 0; s < 3; s++) pd_kv_commit(b->kv, s, b->added[s]);
    memset(b->added, 0, sizeof b->added);
    b->n_rows = 0;
}

static void check_row(const batch *b, uint32_t row, uint32_t position) {
    double error = 0, norm = 0;
    for (uint32_t i = 0; i < N_VOCAB; i++) {
        double want = (double)golden[position * N_VOCAB + i],
               d = (double)b->logits[row * N_VOCAB + i] - want;
        error += d * d;
        norm += want * want;
    }
    if (!(sqrt(error / norm) <= 1e-4))
        fail_msg("row %u, position %u: relative L2 %g", row, position, sqrt(error / norm));
}

/* ---- the cases ------------------------------------------------------------------------------ */

static void three_sequences(void *ctx, const char *device) {
    (void)ctx;
    batch b;
    open_batch(&b, device);
    add_rows(&b, 1, prompt, HALF);
    add_rows(&b, 0, prompt, N_TOKENS);
    add_rows(&b, 2, prompt, N_TOKENS);
    run_batch(&b, 0);
    for (uint32_t i = 0; i < HALF; i++) check_row(&b, i, i);
    for (uint32_t i = 0; i < 2 * N_TOKENS; i++) check_row(&b, HALF + i, i % N_TOKENS);
    for (uint32_t i = HALF; i < N_TOKENS; i++) {
        add_rows(&b, 2, &prompt[(7 * i) % N_TOKENS], 1);
        add_rows(&b, 1, &prompt[i], 1);
        add_rows(&b, 0, &prompt[(3 * i) % N_TOKENS], 1);
        run_batch(&b, 1);
        check_row(&b, 1, i);
    }
    close_batch(&b);
}

/* The golden prompt repeated to 90 tokens in sequence 0; sequence 1 shares its first 64 positions
 * and must end with the logits that sequence 0 has. */
static void shared_prefix(void *ctx, const char *device) {
    (void)ctx;
    enum { LONG = 90, SHARED = 64 };
    batch b;
    uint32_t tokens[LONG];
    for (uint32_t i = 0; i < LONG; i++) tokens[i] = prompt[i % N_TOKENS];
    open_batch(&b, device);
    add_rows(&b, 0, tokens, SHARED); /* the window behind position 64 is still owned here */
    run_batch(&b, 0);
    assert_int_equal(pd_kv_share(b.kv, 0, SHARED, 1), SHARED);
    add_rows(&b, 0, tokens + SHARED, LONG - SHARED);
    add_rows(&b, 1, tokens + SHARED, LONG - SHARED);
    run_batch(&b, 0);
    double error = 0, norm = 0;
    for (uint32_t i = 0; i < (LONG - SHARED) * N_VOCAB; i++) {
        double want = (double)b.logits[i],
               d = (double)b.logits[i + (LONG - SHARED) * N_VOCAB] - want;
        error += d * d;
        norm += want * want;
    }
    assert_true(norm > 0 && sqrt(error / norm) <= 1e-5);
    close_batch(&b);
}

static void test_three_sequences(void **state) {
    (void)state;
    on_every_device(three_sequences, NULL);
}

static void test_shared_prefix(void **state) {
    (void)state;
    on_every_device(shared_prefix, NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_three_sequences),
                                       cmocka_unit_test(test_shared_prefix),
                                       cmocka_unit_test(check_validation_silent)};
    PRINT_LOG();
    return cmocka_run_group_tests(tests, load_golden, NULL);
}
