/* A KV store that fails to grow, at every allocation of host memory that growing takes: some of its
 * layers have grown then, others have not. Its pages must be as they were, a step must compute what
 * it did, the account must hold what there is, and growing once more must come to the same as if
 * nothing had failed. The same for the first step behind a growth, in which programs find new
 * memory.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE /* dl_iterate_phdr */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "engine/model.h"
#include "fault/support_allocations.h"
#include "fault/support_drivers.h"
#include "fault/support_fault.h"
#include "support_golden.h"
#include "support_validation.h"

enum { N_VOCAB = 600, N_ROWS = 40, SMALL = 1, LARGE = 3 };

typedef struct world {
    pd_model *model;
    pd_backend *backend;
    pd_kv_shape shape;
    pd_kv_store *store;
    pd_plan plan;
    pd_program *program;
    uint64_t large_bytes;  /* of a store of LARGE pages */
    float wanted[N_VOCAB]; /* logits of the step */
    uint8_t *pages[2];     /* local, global: what the step stores */
} world;

static uint64_t kv_bytes(const world *w) {
    pd_backend_stats s;
    w->backend->v->stats(w->backend, &s);
    return s.kv_bytes;
}

static pd_kv_store *make_store(world *w, uint32_t n_pages) {
    pd_error err;
    pd_kv_store *kv;
    pd_kv_store_desc desc = {w->shape, n_pages, n_pages};
    must(w->backend->v->kv_create(w->backend, &desc, &kv, &err), &err);
    return kv;
}

static pd_status run(world *w, float *logits, pd_error *err) {
    const pd_backend_vtable *v = w->backend->v;
    const uint32_t page = 0, out = N_ROWS - 1;
    pd_page_table table = {&page, &page, 1};
    pd_step_row rows[N_ROWS];
    for (uint32_t i = 0; i < N_ROWS; i++) rows[i] = (pd_step_row){7 + 11 * i, i, 0, i + 1};
    pd_step step = {.n_rows = N_ROWS,
                    .n_outs = 1,
                    .n_seqs = 1,
                    .rows = rows,
                    .out_rows = &out,
                    .tables = &table};
    PD_TRY(v->run(w->program, &step, err));
    pd_buf_id id = pd_plan_find_buf(&w->plan, "logits");
    return v->read(w->program, id, 0, 4ul * N_VOCAB, logits, err);
}

/* ---- life ----------------------------------------------------------------------------------- */

static void open_world(world *w, const char *device) {
    pd_error err;
    pd_model_desc desc = {.device = device, .n_threads = 2};
    *w = (world){0};
    must(pd_model_open(GOLDEN("small-q4_0.gguf"), &desc, &w->model, &err), &err);
    const pd_config *c = &w->model->config;
    w->backend = w->model->backend;
    w->shape = (pd_kv_shape){.n_layers = c->n_layers,
                             .n_heads = c->n_heads,
                             .n_kv_heads = c->n_kv_heads,
                             .head_dim = c->head_dim,
                             .layer_is_global = c->layer_is_global};
    w->store = make_store(w, LARGE);
    w->large_bytes = kv_bytes(w);
    w->backend->v->kv_destroy(w->backend, w->store);
    pd_text_plan_desc d = {
        .name = "prefill", .max_rows = N_ROWS, .max_outs = 1, .max_seqs = 1, .max_positions = 64};
    must(pd_plan_text(c, w->model->weights, &d, &w->plan, &err), &err);
}

static void close_world(world *w) {
    for (int global = 0; global < 2; global++) free(w->pages[global]);
    pd_plan_free(&w->plan);
    pd_model_close(w->model);
}

static void start(world *w) {
    pd_error err;
    w->store = make_store(w, SMALL);
    must(w->backend->v->compile(w->backend, &w->plan, w->store, &w->program, &err), &err);
    must(run(w, w->wanted, &err), &err);
    for (int global = 0; global < 2; global++) {
        w->pages[global] = realloc(w->pages[global], pd_kv_page_bytes(&w->shape, global));
        must(w->backend->v->kv_read(w->backend, w->store, global, 0, w->pages[global], &err), &err);
    }
}

static void stop(world *w) {
    w->backend->v->destroy(w->backend, w->program);
    w->backend->v->kv_destroy(w->backend, w->store);
    if (kv_bytes(w) != 0) complain("%llu bytes are left", (unsigned long long)kv_bytes(w));
}

/* ---- what a failure leaves ------------------------------------------------------------------ */

static void check_pages(world *w) {
    pd_error err;
    for (int global = 0; global < 2; global++) {
        uint64_t n = pd_kv_page_bytes(&w->shape, global);
        uint8_t *found = malloc(n);
        must(w->backend->v->kv_read(w->backend, w->store, global, 0, found, &err), &err);
        if (memcmp(found, w->pages[global], n) != 0) complain("pages of kind %d differ", global);
        free(found);
    }
}

static void check_step(world *w) {
    pd_error err;
    float logits[N_VOCAB];
    must(run(w, logits, &err), &err);
    if (memcmp(logits, w->wanted, sizeof logits) != 0) complain("a step computes something else");
}

static void check_failure(pd_status status, const pd_error *err) {
    if (status != PD_ERR_MEMORY_HOST && status != PD_ERR_MEMORY_DEVICE)
        complain("%s, \"%s\"", pd_status_name(status), err->message);
    if (!is_sentence(err->message)) complain("no sentence: \"%s\"", err->message);
}

/* false: growing makes fewer allocations. */
static bool fail_growth(world *w, const char *device, uint32_t n) {
    pd_error err = {0};
    snprintf(where, sizeof where, "%s: allocation %u of growing fails", device, n);
    start(w);
    uint64_t before = kv_bytes(w);
    n_allocations = n_failed = 0;
    fail_at = n;
    pd_status status = w->backend->v->kv_grow(w->backend, w->store, LARGE, LARGE, &err);
    fail_at = 0;
    bool failed = n_failed > 0;
    if (failed) {
        check_failure(status, &err);
        if (kv_bytes(w) < before || kv_bytes(w) >= w->large_bytes) complain("the account is wrong");
        check_pages(w);
        check_step(w);
        must(w->backend->v->kv_grow(w->backend, w->store, LARGE, LARGE, &err), &err);
    }
    if (kv_bytes(w) != w->large_bytes) complain("a grown store holds something else");
    check_pages(w);
    check_step(w);
    stop(w);
    return failed;
}

/* false: the step makes fewer allocations. */
static bool fail_step(world *w, const char *device, uint32_t n) {
    pd_error err = {0};
    float logits[N_VOCAB];
    snprintf(where, sizeof where, "%s: allocation %u of a step fails", device, n);
    start(w);
    must(w->backend->v->kv_grow(w->backend, w->store, LARGE, LARGE, &err), &err);
    n_allocations = n_failed = 0;
    fail_at = n;
    pd_status status = run(w, logits, &err);
    fail_at = 0;
    bool failed = n_failed > 0;
    if (failed) check_failure(status, &err);
    check_step(w);
    stop(w);
    return failed;
}

static void walk_device(void *ctx, const char *device) {
    (void)ctx;
    static world w;
    uint32_t n_growth = 1, n_step = 1;
    bool is_vulkan = strncmp(device, "vulkan", 6) == 0;
    open_world(&w, device);
    while (fail_growth(&w, device, n_growth)) n_growth++;
    while (fail_step(&w, device, n_step)) n_step++;
    print_message("%-16s %u allocations to grow, %u in the next step\n", device, n_growth - 1,
                  n_step - 1);
    assert_true(n_growth > w.shape.n_layers && (n_step > 1 || !is_vulkan));
    close_world(&w);
}

static void growing_fails(void **state) {
    (void)state;
    n_complaints = 0;
    watch();
    on_every_device(walk_device, NULL);
    assert_int_equal(n_complaints, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(growing_fails),
                                       cmocka_unit_test(check_validation_silent)};
    PRINT_LOG();
    keep_drivers_loaded();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
