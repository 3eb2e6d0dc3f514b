/* KV stores beneath a model: a store that grows between steps gives the bits of one that was made
 * large at once, however the steps are run; pages that are read from one store and written to
 * another continue a text, on the same device with the same bits, elsewhere with its logits.
 *
 * The programs are compiled while the store is small. With PERIDOT_MAX_BINDING=33000 the last
 * growth cuts the f32 pages of the two heads apart.
 *
 * SPDX-License-Identifier: MIT
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>

#include "engine/model.h"
#include "support_golden.h"
#include "support_validation.h"

enum { N_VOCAB = 600, MAX_ROWS = 48, N_PAGES = 4, CONTEXT = 64 * N_PAGES, N_AHEAD = 6 };

typedef struct world {
    pd_model *model;
    pd_kv_store *store;
    pd_plan plans[2]; /* many rows, one row */
    pd_program *programs[2];
    uint32_t pages[N_PAGES]; /* the table, of both kinds */
    uint32_t n;              /* positions computed */
    float logits[N_VOCAB];   /* of the last one */
    uint32_t drawn[N_AHEAD], n_drawn;
} world;

/* ---- life ----------------------------------------------------------------------------------- */

static pd_kv_shape shape_of(const pd_config *c, pd_precision precision) {
    return (pd_kv_shape){.n_layers = c->n_layers,
                         .n_heads = c->n_heads,
                         .n_kv_heads = c->n_kv_heads,
                         .head_dim = c->head_dim,
                         .f32 = precision == PD_PRECISION_EXACT,
                         .layer_is_global = c->layer_is_global};
}

static void compile(world *w, int which, pd_precision precision) {
    pd_error err;
    pd_backend *b = w->model->backend;
    pd_text_plan_desc d = {.name = which ? "decode" : "prefill",
                           .max_rows = which ? 1 : MAX_ROWS,
                           .max_outs = 1,
                           .max_seqs = 1,
                           .max_positions = CONTEXT,
                           .precision = precision};
    must(pd_plan_text(&w->model->config, w->model->weights, &d, &w->plans[which], &err), &err);
    must(b->v->compile(b, &w->plans[which], w->store, &w->programs[which], &err), &err);
}

static void open_world(world *w, pd_model *m, pd_precision precision, uint32_t n_pages) {
    pd_error err;
    *w = (world){.model = m};
    pd_kv_store_desc desc = {shape_of(&m->config, precision), n_pages, n_pages};
    must(m->backend->v->kv_create(m->backend, &desc, &w->store, &err), &err);
    for (int which = 0; which < 2; which++) compile(w, which, precision);
    for (uint32_t i = 0; i < N_PAGES; i++) w->pages[i] = i;
}

static void close_world(world *w) {
    pd_backend *b = w->model->backend;
    for (int which = 0; which < 2; which++) {
        b->v->destroy(b, w->programs[which]);
        pd_plan_free(&w->plans[which]);
    }
    b->v->kv_destroy(b, w->store);
}

static pd_model *open_model(const char *device) {
    pd_error err;
    pd_model *m;
    pd_model_desc desc = {.device = device, .n_threads = 2};
    must(pd_model_open(GOLDEN("small-q4_0.gguf"), &desc, &m, &err), &err);
    return m;
}

/* ---- steps ---------------------------------------------------------------------------------- */

typedef struct step_of {
    pd_step step;
    pd_page_table table;
    pd_step_row rows[MAX_ROWS];
    uint32_t out_row;
} step_of;

/* The next n positions. */
static void make_step(const world *w, uint32_t n, uint32_t n_seen, step_of *s) {
    for (uint32_t i = 0; i < n; i++) {
        uint32_t pos = w->n + i;
        s->rows[i] = (pd_step_row){.token = 7 + 37 * pos % 501, .pos = pos, .end = pos + 1};
    }
    s->out_row = n - 1;
    s->table = (pd_page_table){w->pages, w->pages, (w->n + n_seen + 63) / 64};
    s->step = (pd_step){.n_rows = n,
                        .n_outs = 1,
                        .n_seqs = 1,
                        .rows = s->rows,
                        .out_rows = &s->out_row,
                        .tables = &s->table};
}

static void read_logits(world *w, int which) {
    pd_error err;
    pd_buf_id logits = pd_plan_find_buf(&w->plans[which], "logits");
    must(w->model->backend->v->read(w->programs[which], logits, 0, sizeof w->logits, w->logits,
                                    &err),
         &err);
}

static bool look(void *ctx, const pd_trace_view *view) {
    (void)ctx, (void)view;
    return true;
}

static void compute(world *w, uint32_t n, bool traced) {
    const pd_backend_vtable *v = w->model->backend->v;
    pd_error err;
    step_of s;
    int which = n == 1;
    make_step(w, n, n, &s);
    must(traced ? v->trace(w->programs[which], &s.step, PD_ALL_OPS, look, NULL, &err)
                : v->run(w->programs[which], &s.step, &err),
         &err);
    read_logits(w, which);
    w->n += n;
}

static bool keep_drawn(void *ctx, const pd_sample_result *result) {
    world *w = ctx;
    w->drawn[w->n_drawn++] = result->id;
    return true;
}

/* Tokens that the device draws, where it runs ahead. */
static void compute_ahead(world *w) {
    const pd_backend_vtable *v = w->model->backend->v;
    pd_sample_params draw = {.k = 1};
    pd_run_ahead_end end;
    pd_error err;
    step_of s;
    if (!v->run_ahead) return;
    make_step(w, 1, N_AHEAD, &s);
    s.step.sampling = &draw;
    pd_run_ahead ahead = {&s.step, N_AHEAD, {PD_SAMPLE_NO_ID, PD_SAMPLE_NO_ID}, keep_drawn, w};
    w->n_drawn = 0;
    must(v->run_ahead(w->programs[1], &ahead, &end, &err), &err);
    assert_int_equal(w->n_drawn, N_AHEAD);
    read_logits(w, 1);
    w->n += N_AHEAD;
}

static void grow(world *w, uint32_t n_global, uint32_t n_local) {
    pd_error err;
    pd_backend *b = w->model->backend;
    must(b->v->kv_grow(b, w->store, n_global, n_local, &err), &err);
}

/* ---- growing -------------------------------------------------------------------------------- */

/* Which step comes first after a growth, and with which program: a run, steps ahead, a trace. */
static void walk(world *w, bool grows, float *logits) {
    static const uint32_t n_rows[] = {48, 1, 1, 1, 33, 0, 1, 48, 1, 40, 1, 0};
    for (uint32_t i = 0; i < sizeof n_rows / sizeof *n_rows; i++) {
        if (grows && i == 3) grow(w, 2, 1); /* global layers alone */
        if (grows && i == 4) grow(w, 2, 2);
        if (grows && i == 5) grow(w, 3, 3);
        if (grows && i == 9) grow(w, N_PAGES, N_PAGES);
        if (n_rows[i])
            compute(w, n_rows[i], i == 3 || i == 9);
        else
            compute_ahead(w);
        memcpy(logits + i * N_VOCAB, w->logits, sizeof w->logits);
    }
}
enum { N_STEPS = 12 };

static void check_growing(pd_model *m, pd_precision precision) {
    static float wanted[N_STEPS * N_VOCAB], found[N_STEPS * N_VOCAB];
    static world large, small;
    open_world(&large, m, precision, N_PAGES);
    walk(&large, false, wanted);
    open_world(&small, m, precision, 1);
    walk(&small, true, found);
    for (uint32_t i = 0; i < N_STEPS; i++)
        if (memcmp(found + i * N_VOCAB, wanted + i * N_VOCAB, sizeof large.logits) != 0)
            fail_msg("%s: other logits in step %u", m->backend->v->info(m->backend)->id, i);
    assert_memory_equal(small.drawn, large.drawn, sizeof large.drawn);
    close_world(&small);
    close_world(&large);
}

static void grow_on(void *ctx, const char *device) {
    (void)ctx;
    pd_model *m = open_model(device);
    check_growing(m, PD_PRECISION_EXACT);
    check_growing(m, PD_PRECISION_F16);
    pd_model_close(m);
}

static void test_growing(void **state) {
    (void)state;
    on_every_device(grow_on, NULL);
}

/* ---- pages from store to store -------------------------------------------------------------- */

enum { N_READ = 2 }; /* pages, full of positions */

typedef struct page_bits {
    uint64_t n[2]; /* local, global */
    uint8_t *bits[2][N_READ];
} page_bits;

static void read_pages(world *w, const pd_kv_shape *shape, page_bits *out) {
    pd_error err;
    pd_backend *b = w->model->backend;
    for (int global = 0; global < 2; global++) {
        out->n[global] = pd_kv_page_bytes(shape, global);
        for (uint32_t i = 0; i < N_READ; i++) {
            out->bits[global][i] = malloc(out->n[global]);
            must(b->v->kv_read(b, w->store, global, w->pages[i], out->bits[global][i], &err), &err);
        }
    }
}

static void write_pages(world *w, const page_bits *from) {
    pd_error err;
    pd_backend *b = w->model->backend;
    for (int global = 0; global < 2; global++)
        for (uint32_t i = 0; i < N_READ; i++)
            must(b->v->kv_write(b, w->store, global, w->pages[i], from->bits[global][i], &err),
                 &err);
    w->n = 64 * N_READ;
}

static void free_pages(page_bits *p) {
    for (int global = 0; global < 2; global++)
        for (uint32_t i = 0; i < N_READ; i++) free(p->bits[global][i]);
}

static double relative(const float *found, const float *wanted, uint64_t n) {
    double error = 0, norm = 0;
    for (uint64_t i = 0; i < n; i++) {
        double d = (double)found[i] - (double)wanted[i];
        error += d * d;
        norm += (double)wanted[i] * (double)wanted[i];
    }
    return sqrt(error / norm);
}

/* Each K and V of each layer: a wrong order would be an error of about 1. */
static void compare_pages(const char *device, const page_bits *found, const page_bits *wanted,
                          uint64_t half_values) {
    for (int global = 0; global < 2; global++)
        for (uint32_t i = 0; i < N_READ; i++)
            for (uint64_t at = 0; at < wanted->n[global] / 4; at += half_values) {
                double e = relative((const float *)(const void *)found->bits[global][i] + at,
                                    (const float *)(const void *)wanted->bits[global][i] + at,
                                    half_values);
                if (!(e <= 1e-4)) fail_msg("%s: page %u of kind %d: %g", device, i, global, e);
            }
}

/* What follows the pages, in a store that has them elsewhere. */
static void continue_from(pd_model *m, const page_bits *pages, float *logits) {
    static world w;
    open_world(&w, m, PD_PRECISION_EXACT, N_PAGES);
    for (uint32_t i = 0; i < N_PAGES; i++) w.pages[i] = N_PAGES - 1 - i;
    write_pages(&w, pages);
    compute(&w, 20, false);
    compute(&w, 1, false);
    memcpy(logits, w.logits, sizeof w.logits);
    close_world(&w);
}

/* A text's first pages, and the logits of what follows. */
static void make_pages(pd_model *m, page_bits *pages, float *logits) {
    static world w;
    pd_kv_shape shape = shape_of(&m->config, PD_PRECISION_EXACT);
    open_world(&w, m, PD_PRECISION_EXACT, N_PAGES);
    for (uint32_t i = 0; i < 4; i++) compute(&w, 32, false);
    read_pages(&w, &shape, pages);
    compute(&w, 20, false);
    compute(&w, 1, false);
    memcpy(logits, w.logits, sizeof w.logits);
    close_world(&w);
}

static page_bits truth; /* cpu-ref's */
static float truth_logits[N_VOCAB];

static void move_on(void *ctx, const char *device) {
    (void)ctx;
    float own[N_VOCAB], moved[N_VOCAB];
    page_bits pages;
    pd_model *m = open_model(device);
    make_pages(m, &pages, own);
    continue_from(m, &pages, moved);
    assert_memory_equal(moved, own, sizeof own);
    compare_pages(device, &pages, &truth, 64ull * m->config.n_kv_heads * m->config.head_dim);
    continue_from(m, &truth, moved);
    double e = relative(moved, truth_logits, N_VOCAB);
    if (!(e <= 1e-4)) fail_msg("%s: logits behind the reference's pages: %g", device, e);
    free_pages(&pages);
    pd_model_close(m);
}

static void test_moving(void **state) {
    (void)state;
    pd_model *m = open_model("cpu-ref");
    make_pages(m, &truth, truth_logits);
    pd_model_close(m);
    on_every_device(move_on, NULL);
    free_pages(&truth);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_growing),
                                       cmocka_unit_test(test_moving),
                                       cmocka_unit_test(check_validation_silent)};
    PRINT_LOG();
    return cmocka_run_group_tests_name("golden.kv_store", tests, NULL, NULL);
}
