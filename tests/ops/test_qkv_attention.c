/* qkv_rope_store and attention together, since KV pages cannot be read by the host.
 *
 * Every scenario has a layer of each kind: layer 0 is local and windowed, layer 1 global with
 * another rotation. Page ids are shuffled and differ between kinds; table entries that a step does
 * not need are PD_NO_PAGE; and before the first step every slot of every page is filled with NaN
 * and infinities, as recycled pages hold what they held before.
 *
 * Tolerances. f32 pages: harness.h. f16 pages: both sides round the same numbers, but one that is
 * computed within u = 2^-24 of a rounding border may fall to different sides: about one in 2^12,
 * each then off by 2^-11 of itself: 2^-12 * 2^-22 / 3 = 2e-11 of K. A score is a sum that such a
 * key moves by 2^-11 |q_j k_j|, and the scores here have a deviation of 2 and more (q_scale), so
 * that a weight moves by a few times as much: nmse 1e-9 is allowed, 50 times K's. The worst element
 * is one whose row sees few keys, one of them off in a large element (|q_j k_j| up to 2 or 3):
 * 2^-11 * 3 of a value, 2e-3 is allowed.
 *
 * SPDX-License-Identifier: MIT
 */
#include "ops/harness.h"

enum { MAX_STEPS = 8, MAX_SEGMENTS = 3, MAX_SEQS = 3 };

/* Rows of one sequence in a step: positions [start, start + n). Those in
 * [image, image + n_image) see to the end of that span. */
typedef struct segment {
    uint32_t seq, start, n, image, n_image;
} segment;

typedef struct scenario {
    const char *text;
    uint32_t n_heads, n_kv_heads, head_dim, window;
    uint32_t first_pos; /* nothing is stored before it; if not 0, only the local layer is there */
    uint32_t n_warm;    /* steps at the beginning whose results are not compared */
    segment steps[MAX_STEPS][MAX_SEGMENTS];
} scenario;

/* What all steps of a scenario share. */
typedef struct setting {
    const scenario *s;
    bool plain; /* as image encoders have it: neither norms nor rotation, one layer, and an output
                   with zeros behind its heads up to a multiple of 32 */
    bool f32, only_local;
    uint32_t n_seqs, max_rows, max_positions, n_pages; /* table length */
    uint32_t first_page, n_global, n_local;            /* pages of the two pools */
    uint32_t *global_ids, *local_ids;                  /* [n_seqs, n_pages], shuffled */
    uint32_t qkv_width, out_width;
    pd_buf_id qkv, outs[4];
    uint32_t n_outs;
} setting;

static const scenario scenarios[] = {
    {"decoding over a page border",
     4,
     1,
     64,
     8,
     0,
     0,
     {{{0, 0, 61, 0, 0}},
      {{0, 61, 1, 0, 0}},
      {{0, 62, 1, 0, 0}},
      {{0, 63, 1, 0, 0}},
      {{0, 64, 1, 0, 0}},
      {{0, 65, 2, 0, 0}},
      {{0, 67, 1, 0, 0}}}},
    {"one long step", 4, 4, 32, 16, 0, 0, {{{0, 0, 130, 0, 0}}}},
    {"steps that end at page borders",
     8,
     4,
     128,
     63,
     0,
     0,
     {{{0, 0, 64, 0, 0}}, {{0, 64, 65, 0, 0}}, {{0, 129, 1, 0, 0}}, {{0, 130, 9, 0, 0}}}},
    {"window of a page",
     6,
     2,
     256,
     64,
     0,
     0,
     {{{0, 0, 100, 0, 0}}, {{0, 100, 30, 0, 0}}, {{0, 130, 1, 0, 0}}}},
    {"window of a page and one",
     8,
     1,
     64,
     65,
     0,
     0,
     {{{0, 0, 63, 0, 0}},
      {{0, 63, 2, 0, 0}},
      {{0, 65, 63, 0, 0}},
      {{0, 128, 1, 0, 0}},
      {{0, 129, 3, 0, 0}}}},
    {"no window", 4, 1, 256, 0, 0, 0, {{{0, 0, 65, 0, 0}}, {{0, 65, 8, 0, 0}}, {{0, 73, 1, 0, 0}}}},
    {"three sequences",
     4,
     2,
     64,
     16,
     0,
     0,
     {{{0, 0, 30, 0, 0}, {1, 0, 70, 0, 0}, {2, 0, 5, 0, 0}},
      {{2, 5, 1, 0, 0}, {0, 30, 41, 0, 0}},
      {{1, 70, 1, 0, 0}, {2, 6, 1, 0, 0}, {0, 71, 1, 0, 0}},
      {{2, 7, 60, 0, 0}, {1, 71, 3, 0, 0}, {0, 72, 1, 0, 0}}}},
    {"two sequences, heads in threes",
     3,
     1,
     32,
     65,
     0,
     0,
     {{{1, 0, 64, 0, 0}, {0, 0, 1, 0, 0}}, {{0, 1, 2, 0, 0}, {1, 64, 3, 0, 0}}}},
    {"images",
     4,
     1,
     64,
     64,
     0,
     0,
     {{{0, 0, 50, 10, 32}}, {{0, 50, 40, 55, 30}}, {{0, 90, 1, 0, 0}}, {{0, 91, 20, 91, 20}}}},
    {"an image longer than the window, beside text",
     4,
     2,
     32,
     8,
     0,
     0,
     {{{0, 0, 70, 30, 40}, {1, 0, 20, 0, 0}}, {{1, 20, 50, 40, 30}, {0, 70, 1, 0, 0}}}},
    {"many pages",
     2,
     1,
     32,
     63,
     0,
     0,
     {{{0, 0, 300, 0, 0}}, {{0, 300, 400, 0, 0}}, {{0, 700, 1, 0, 0}}, {{0, 701, 3, 0, 0}}}},
    {"far positions",
     4,
     1,
     128,
     64,
     130880,
     1,
     {{{0, 130880, 130, 0, 0}}, {{0, 131010, 1, 0, 0}}, {{0, 131011, 9, 0, 0}}}},
};

/* All rows see all, as patches do; and in parts, of which the second sees the first. */
static const scenario image_scenarios[] = {
    {"9 patches", 2, 2, 36, 0, 0, 0, {{{0, 0, 9, 0, 9}}}},
    {"64 patches", 3, 3, 72, 0, 0, 0, {{{0, 0, 64, 0, 64}}}},
    {"65 patches", 2, 2, 72, 0, 0, 0, {{{0, 0, 65, 0, 65}}}},
    {"300 patches", 2, 2, 72, 0, 0, 0, {{{0, 0, 300, 0, 300}}}},
    {"300 patches", 3, 3, 36, 0, 0, 0, {{{0, 0, 300, 0, 300}}}},
    {"heads of 4", 3, 3, 4, 0, 0, 0, {{{0, 0, 65, 0, 65}}}},
    {"heads of 8", 5, 5, 8, 0, 0, 0, {{{0, 0, 9, 0, 9}}, {{0, 9, 60, 9, 60}}}},
    {"heads of 40", 1, 1, 40, 0, 0, 0, {{{0, 0, 64, 0, 64}}, {{0, 64, 1, 0, 0}}}},
    {"heads of 80", 2, 2, 80, 0, 0, 0, {{{0, 0, 65, 0, 65}}}},
    {"heads of 128", 2, 2, 128, 0, 0, 0, {{{0, 0, 100, 0, 100}}}},
    {"shared heads of 36", 4, 2, 36, 0, 0, 0, {{{0, 0, 70, 0, 70}}}},
};
/* What the released models have; kept in f32 alone, for the time it takes. */
static const scenario large_image = {"4096 patches", 1, 1, 72, 0, 0, 0, {{{0, 0, 4096, 0, 4096}}}};

/* ---- tables --------------------------------------------------------------------------------- */

static void shuffle(uint32_t *ids, uint32_t n) {
    for (uint32_t i = n; i > 1; i--) {
        uint32_t j = ops_random() % i, t = ids[i - 1];
        ids[i - 1] = ids[j];
        ids[j] = t;
    }
}

/* A page of its own for every page of every sequence; [n_seqs, n_pages]. */
static uint32_t *assign_pages(const setting *g, uint32_t n_pool) {
    uint32_t *pool = ops_alloc(n_pool, sizeof *pool), next = 0;
    for (uint32_t i = 0; i < n_pool; i++) pool[i] = i;
    shuffle(pool, n_pool);
    uint32_t *ids = ops_alloc((size_t)g->n_seqs * g->n_pages, sizeof *ids);
    for (uint32_t i = 0; i < g->n_seqs * g->n_pages; i++) {
        bool used = i % g->n_pages >= g->first_page;
        ids[i] = used ? pool[next++] : PD_NO_PAGE;
    }
    return ids;
}

/* The pages that positions [lo, hi) lie in; the others are PD_NO_PAGE. */
static const uint32_t *table_for(const setting *g, const uint32_t *ids, uint32_t lo, uint32_t hi) {
    uint32_t *table = ops_alloc(g->n_pages, sizeof *table);
    for (uint32_t i = 0; i < g->n_pages; i++) {
        bool needed = (i + 1) * 64 > lo && i * 64 < hi;
        table[i] = needed ? ids[i] : PD_NO_PAGE;
    }
    return table;
}

static uint32_t first_visible(const setting *g, uint32_t pos) {
    uint32_t w = g->s->window;
    return w && pos + 1 > w ? pos + 1 - w : 0;
}

/* ---- steps ---------------------------------------------------------------------------------- */

static uint32_t segment_rows(const segment *s, pd_step_row *rows) {
    for (uint32_t i = 0; i < s->n; i++) {
        uint32_t pos = s->start + i;
        bool in_image = pos >= s->image && pos < s->image + s->n_image;
        rows[i] = (pd_step_row){
            .pos = pos, .seq = s->seq, .end = in_image ? s->image + s->n_image : pos + 1};
    }
    return s->n;
}

/* What the attention's output holds before it is written. */
static ops_input not_numbers(const setting *g, uint32_t n_rows) {
    uint64_t n = pd_round_up(g->out_width, 32) * n_rows;
    float *x = ops_alloc(n, sizeof *x);
    for (uint64_t i = 0; i < n; i++) x[i] = NAN;
    return (ops_input){g->outs[1], x, n * 4};
}

static ops_run run_of_step(const setting *g, const segment *segments) {
    pd_step_row *rows = ops_alloc(g->max_rows, sizeof *rows);
    pd_page_table *tables = ops_alloc(g->n_seqs, sizeof *tables);
    uint32_t n = 0;
    for (uint32_t i = 0; i < MAX_SEGMENTS && segments[i].n; i++) {
        const segment *s = &segments[i];
        const uint32_t *global_ids = g->global_ids + s->seq * g->n_pages;
        const uint32_t *local_ids = g->local_ids + s->seq * g->n_pages;
        uint32_t hi = s->start + s->n;
        n += segment_rows(s, rows + n);
        tables[s->seq] =
            (pd_page_table){.global_pages = table_for(g, global_ids, g->s->first_pos, hi),
                            .local_pages = table_for(g, local_ids, first_visible(g, s->start), hi),
                            .n_pages = g->n_pages};
    }
    uint64_t values = (uint64_t)n * g->qkv_width;
    ops_run run = {.step = {.n_rows = n, .n_seqs = g->n_seqs, .rows = rows, .tables = tables},
                   .inputs = {{g->qkv, ops_normals(values, 1.0f), values * 4}},
                   .n_inputs = 1,
                   .n_outputs = g->n_outs};
    memcpy(run.outputs, g->outs, sizeof run.outputs);
    if (g->plain) run.inputs[run.n_inputs++] = not_numbers(g, n);
    return run;
}

/* Fills page `page` of both pools with what must never be seen. */
static ops_run run_of_poison(const setting *g, uint32_t page) {
    pd_step_row *rows = ops_rows(PD_PAGE_POSITIONS, 1);
    pd_page_table *tables = ops_alloc(g->n_seqs, sizeof *tables);
    uint32_t *ids = ops_alloc(2, sizeof *ids);
    ids[0] = page < g->n_global ? page : g->n_global - 1;
    ids[1] = page < g->n_local ? page : g->n_local - 1;
    for (uint32_t i = 0; i < g->n_seqs; i++) tables[i] = (pd_page_table){&ids[0], &ids[1], 1};
    uint64_t values = (uint64_t)PD_PAGE_POSITIONS * g->qkv_width;
    float *x = ops_alloc(values, sizeof *x);
    for (uint64_t i = 0; i < values; i++) x[i] = i % 3 ? NAN : INFINITY;
    return (ops_run){
        .step = {.n_rows = PD_PAGE_POSITIONS, .n_seqs = g->n_seqs, .rows = rows, .tables = tables},
        .inputs = {{g->qkv, x, values * 4}},
        .n_inputs = 1,
        .ignored = true};
}

/* ---- scenarios ------------------------------------------------------------------------------ */

static void measure(setting *g) {
    const scenario *s = g->s;
    g->max_rows = PD_PAGE_POSITIONS;
    for (uint32_t i = 0; i < MAX_STEPS; i++) {
        uint32_t rows = 0;
        for (uint32_t k = 0; k < MAX_SEGMENTS && s->steps[i][k].n; k++) {
            const segment *e = &s->steps[i][k];
            rows += e->n;
            if (e->seq + 1 > g->n_seqs) g->n_seqs = e->seq + 1;
            if (e->start + e->n > g->max_positions) g->max_positions = e->start + e->n;
        }
        if (rows > g->max_rows) g->max_rows = rows;
    }
    g->n_pages = pd_div_up(g->max_positions, PD_PAGE_POSITIONS);
    uint32_t first_seen = s->first_pos ? first_visible(g, s->first_pos) : 0;
    g->first_page = first_seen / PD_PAGE_POSITIONS;
    uint32_t used = g->n_seqs * (g->n_pages - g->first_page);
    g->n_global = used + 2;
    g->n_local = used + 1;
    g->global_ids = assign_pages(g, g->n_global);
    g->local_ids = assign_pages(g, g->n_local);
    g->only_local = s->first_pos > 0 || g->plain;
    g->qkv_width = (s->n_heads + 2 * s->n_kv_heads) * s->head_dim;
    g->out_width = s->n_heads * s->head_dim;
}

static void add_layer(setting *g, pd_plan *plan, int32_t layer) {
    const scenario *s = g->s;
    pd_buf_id q =
        pd_plan_add_buf(plan, layer ? "q1" : "q0", PD_ROWS_TOKENS, g->out_width, PD_BUF_OUTPUT);
    uint32_t width = g->plain ? (uint32_t)pd_round_up(g->out_width, 32) : g->out_width;
    pd_buf_id out = pd_plan_add_buf(plan, layer ? "out1" : "out0", PD_ROWS_TOKENS, width,
                                    g->plain ? PD_BUF_INPUT : PD_BUF_OUTPUT);
    pd_op_qkv_rope_store store = {.qkv = g->qkv,
                                  .out = q,
                                  .eps = 1e-6f,
                                  .q_weight = ops_tensor(PD_TYPE_F32, 0, s->head_dim, 1.0f),
                                  .k_weight = ops_tensor(PD_TYPE_F32, 0, s->head_dim, 1.0f),
                                  .rope_base = layer ? 1e6f : 1e4f,
                                  .angle_scale = layer ? 0.125f : 1.0f,
                                  .q_scale = 2.0f / sqrtf((float)s->head_dim),
                                  .kv_layer = (uint32_t)layer};
    if (g->plain) store.q_weight = store.k_weight = NULL;
    pd_plan_add_op(plan, layer, "store", &(pd_op){.kind = PD_OP_QKV_ROPE_STORE, .qkv = store});
    pd_op_attention attention = {
        .q = q, .out = out, .window = layer ? 0 : s->window, .kv_layer = (uint32_t)layer};
    pd_plan_add_op(plan, layer, "attention",
                   &(pd_op){.kind = PD_OP_ATTENTION, .attention = attention});
    g->outs[g->n_outs++] = q;
    g->outs[g->n_outs++] = out;
}

static void run_scenario(const scenario *s, bool f32, bool plain) {
    static const bool layer_is_global[] = {false, true};
    setting g = {.s = s, .plain = plain, .f32 = f32};
    measure(&g);
    pd_kv_shape shape = {.n_layers = g.only_local ? 1 : 2,
                         .n_heads = s->n_heads,
                         .n_kv_heads = s->n_kv_heads,
                         .head_dim = s->head_dim,
                         .f32 = f32,
                         .layer_is_global = layer_is_global};
    pd_plan plan;
    pd_plan_init(&plan, &(pd_plan_desc){.name = "attention",
                                        .precision = PD_PRECISION_EXACT,
                                        .max_rows = g.max_rows,
                                        .max_outs = 1,
                                        .max_seqs = g.n_seqs,
                                        .max_positions = g.max_positions,
                                        .kv = shape});
    g.qkv = pd_plan_add_buf(&plan, "qkv", PD_ROWS_TOKENS, g.qkv_width, PD_BUF_INPUT);
    for (uint32_t layer = 0; layer < shape.n_layers; layer++) add_layer(&g, &plan, (int32_t)layer);

    ops_run *runs = ops_alloc(g.n_global + MAX_STEPS, sizeof *runs);
    uint32_t n_runs = 0;
    for (; n_runs < g.n_global; n_runs++) runs[n_runs] = run_of_poison(&g, n_runs);
    for (uint32_t i = 0; i < MAX_STEPS && s->steps[i][0].n; i++) {
        runs[n_runs] = run_of_step(&g, s->steps[i]);
        runs[n_runs++].ignored = i < s->n_warm;
    }
    pd_kv_store_desc kv = {
        .shape = shape, .n_global_pages = g.n_global, .n_local_pages = g.n_local};
    ops_case c = {.family = plain ? f32 ? "patches, f32 pages" : "patches, f16 pages"
                            : f32 ? "attention, f32 pages"
                                  : "attention, f16 pages",
                  .plan = &plan,
                  .kv = &kv,
                  .runs = runs,
                  .n_runs = n_runs,
                  .max_nmse = f32 ? OPS_NMSE_SUM : 1e-9,
                  .max_worst = f32 ? OPS_WORST_SUM : 2e-3};
    snprintf(c.text, sizeof c.text, "%s (%u heads, %u kv, %u dim, window %u)", s->text, s->n_heads,
             s->n_kv_heads, s->head_dim, s->window);
    ops_compare(&c);
}

static void run_image_scenarios(bool f32) {
    for (size_t i = 0; i < sizeof image_scenarios / sizeof *image_scenarios; i++)
        run_scenario(&image_scenarios[i], f32, true);
}

static void test_image_f32_pages(void **state) {
    (void)state;
    run_image_scenarios(true);
    run_scenario(&large_image, true, true);
    ops_conclude();
}

static void test_image_f16_pages(void **state) {
    (void)state;
    run_image_scenarios(false);
    ops_conclude();
}

static void test_f32_pages(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof scenarios / sizeof *scenarios; i++) {
        run_scenario(&scenarios[i], true, false);
    }
    ops_conclude();
}

static void test_f16_pages(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof scenarios / sizeof *scenarios; i++) {
        run_scenario(&scenarios[i], false, false);
    }
    ops_conclude();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_f32_pages), cmocka_unit_test(test_f16_pages),
        cmocka_unit_test(test_image_f32_pages), cmocka_unit_test(test_image_f16_pages),
        cmocka_unit_test(check_validation_silent)};
    PRINT_LOG();
    return cmocka_run_group_tests_name("ops.qkv_attention", tests, ops_setup, ops_teardown);
}
