/* qkv_rope_store and attention together, since KV pages cannot be read by the host.
 *
 * Every scenario has a layer of each kind: layer 0 is local and windowed, layer 1 global with
 * another rotation. Page ids are shuffled and differ between kinds; table entries that a step does
 * not need are PD_NO_PAGE; and before the first step every slot of every page is filled with NaN
 * and infinities, as recycled pages hold what they held before.
 *
 * A product reads each attention's result, as in a model: at reduced precisions devices keep it in
 * halves or in integers then. Programs of up to 64 rows divide the positions among workgroups, and
 * up to 8 rows also take tiles of a single row: there the same scenarios come some rows at a time.
 *
 * Tolerances. f32 pages: harness.h. f16 pages: both sides round the same numbers, but one that is
 * computed within u = 2^-24 of a rounding border may fall to different sides: about one in 2^12,
 * each then off by 2^-11 of itself: 2^-12 * 2^-22 / 3 = 2e-11 of K. A score is a sum that such a
 * key moves by 2^-11 |q_j k_j|, and the scores here have a deviation of 2 and more (q_scale), so
 * that a weight moves by a few times as much: nmse 1e-9 is allowed, 50 times K's. The worst element
 * is one whose row sees few keys, one of them off in a large element (|q_j k_j| up to 2 or 3):
 * 2^-11 * 3 of a value, 2e-3 is allowed.
 *
 * Results in halves: 2^-22 / 3, and a product of packed halves 33 * 2^-22 (test_epilogues.c), whose
 * worst element lies at 10 standard deviations. In 16-bit integers, behind f32 pages: a rounding
 * makes (top / 32639)^2 / 12, and the square of a block's largest value is at most 32 times the
 * mean square: 2.5e-9. Products of these are exact. An element is off by top / 65278 at most;
 * blocks' largest values stay below 16 deviations: 2.5e-4, and a sum of such errors below twice
 * that. In bytes, which the processor has at q8, 127 stands for 32639: 1.7e-4, and twice 0.063.
 *
 * SPDX-License-Identifier: MIT
 */
#include "ops/attention_scenarios.h"
#include "ops/harness.h"

/* What all steps of a scenario share. */
typedef struct mode {
    const char *family;
    pd_precision precision;
    bool f32;   /* pages */
    bool plain; /* as image encoders have it: neither norms nor rotation, one layer, and an output
                   with zeros behind its heads up to a multiple of 32 */
    uint32_t few_rows; /* at a time; 0: as many as the scenario has */
    double max_nmse, max_worst;
    enum { EVERYWHERE, ON_CPU, OFF_CPU } where;
} mode;

typedef struct setting {
    const scenario *s;
    const mode *m;
    bool only_local;
    uint32_t n_seqs, max_rows, max_positions, n_pages; /* table length */
    uint32_t first_page, n_global, n_local;            /* pages of the two pools */
    uint32_t *global_ids, *local_ids;                  /* [n_seqs, n_pages], shuffled */
    uint32_t qkv_width, out_width;
    pd_buf_id qkv, outs[OPS_MAX_BUFS];
    uint32_t n_outs;
} setting;

enum {
    MAX_RUNS = 512,
    PRODUCT_WIDTH = 44,
    A_LATER_LAYER = 9 /* the first ones may be more exact than the precision asks */
};

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

/* The pages that sequence `seq` needs in these rows; none: it is not among them. */
static pd_page_table table_of(const setting *g, uint32_t seq, const pd_step_row *rows, uint32_t n) {
    uint32_t first = UINT32_MAX, end = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (rows[i].seq != seq) continue;
        if (rows[i].pos < first) first = rows[i].pos;
        if (rows[i].end > end) end = rows[i].end;
    }
    if (end == 0) return (pd_page_table){0};
    const uint32_t *global_ids = g->global_ids + seq * g->n_pages;
    const uint32_t *local_ids = g->local_ids + seq * g->n_pages;
    return (pd_page_table){.global_pages = table_for(g, global_ids, g->s->first_pos, end),
                           .local_pages = table_for(g, local_ids, first_visible(g, first), end),
                           .n_pages = g->n_pages};
}

static ops_run run_of_rows(const setting *g, const pd_step_row *rows, uint32_t n) {
    pd_page_table *tables = ops_alloc(g->n_seqs, sizeof *tables);
    for (uint32_t i = 0; i < g->n_seqs; i++) tables[i] = table_of(g, i, rows, n);
    uint64_t values = (uint64_t)n * g->qkv_width;
    ops_run run = {.step = {.n_rows = n, .n_seqs = g->n_seqs, .rows = rows, .tables = tables},
                   .inputs = {{g->qkv, ops_normals(values, 1.0f), values * 4}},
                   .n_inputs = 1,
                   .n_outputs = g->n_outs};
    memcpy(run.outputs, g->outs, sizeof run.outputs);
    return run;
}

/* A step, or the runs that it is cut into; returns how many. */
static uint32_t runs_of_step(const setting *g, const segment *segments, ops_run *runs) {
    uint32_t n = 0, n_runs = 0;
    for (uint32_t i = 0; i < MAX_SEGMENTS; i++) n += segments[i].n;
    pd_step_row *rows = ops_alloc(n, sizeof *rows);
    n = 0;
    for (uint32_t i = 0; i < MAX_SEGMENTS; i++) n += segment_rows(&segments[i], rows + n);
    for (uint32_t first = 0; first < n; first += g->max_rows) {
        uint32_t m = n - first < g->max_rows ? n - first : g->max_rows;
        runs[n_runs++] = run_of_rows(g, rows + first, m);
    }
    return n_runs;
}

/* Fills positions [first, first + n) of page `page` of both pools with what must never be seen. */
static ops_run run_of_poison(const setting *g, uint32_t page, uint32_t first, uint32_t n) {
    pd_step_row *rows = ops_alloc(n, sizeof *rows);
    pd_page_table *tables = ops_alloc(g->n_seqs, sizeof *tables);
    uint32_t *ids = ops_alloc(2, sizeof *ids);
    for (uint32_t i = 0; i < n; i++)
        rows[i] = (pd_step_row){.pos = first + i, .end = first + i + 1};
    ids[0] = page < g->n_global ? page : g->n_global - 1;
    ids[1] = page < g->n_local ? page : g->n_local - 1;
    for (uint32_t i = 0; i < g->n_seqs; i++) tables[i] = (pd_page_table){&ids[0], &ids[1], 1};
    uint64_t values = (uint64_t)n * g->qkv_width;
    float *x = ops_alloc(values, sizeof *x);
    for (uint64_t i = 0; i < values; i++) x[i] = i % 3 ? NAN : INFINITY;
    return (ops_run){.step = {.n_rows = n, .n_seqs = g->n_seqs, .rows = rows, .tables = tables},
                     .inputs = {{g->qkv, x, values * 4}},
                     .n_inputs = 1,
                     .ignored = true};
}

static uint32_t make_runs(const setting *g, ops_run *runs) {
    const scenario *s = g->s;
    uint32_t n = 0, at_once = g->m->few_rows ? g->m->few_rows : PD_PAGE_POSITIONS;
    for (uint32_t page = 0; page < g->n_global; page++)
        for (uint32_t first = 0; first < PD_PAGE_POSITIONS; first += at_once)
            runs[n++] = run_of_poison(g, page, first, at_once);
    for (uint32_t i = 0; i < MAX_STEPS && s->steps[i][0].n; i++) {
        uint32_t first = n;
        n += runs_of_step(g, s->steps[i], runs + n);
        for (; first < n; first++) runs[first].ignored = i < s->n_warm;
        assert_true(n < MAX_RUNS);
    }
    return n;
}

/* ---- scenarios ------------------------------------------------------------------------------ */

static void measure(setting *g) {
    const scenario *s = g->s;
    g->max_rows = PD_PAGE_POSITIONS + 1;
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
    if (g->m->few_rows) g->max_rows = g->m->few_rows;
    g->n_pages = pd_div_up(g->max_positions, PD_PAGE_POSITIONS);
    uint32_t first_seen = s->first_pos ? first_visible(g, s->first_pos) : 0;
    g->first_page = first_seen / PD_PAGE_POSITIONS;
    uint32_t used = g->n_seqs * (g->n_pages - g->first_page);
    g->n_global = used + 2;
    g->n_local = used + 1;
    g->global_ids = assign_pages(g, g->n_global);
    g->local_ids = assign_pages(g, g->n_local);
    g->only_local = s->first_pos > 0 || g->m->plain;
    g->qkv_width = (s->n_heads + 2 * s->n_kv_heads) * s->head_dim;
    g->out_width = s->n_heads * s->head_dim;
}

static void add_output(setting *g, pd_buf_id buf) {
    g->outs[g->n_outs++] = buf;
}

/* Behind the attention, as a model's output projection or an image encoder's. */
static void add_product(setting *g, pd_plan *plan, int32_t layer, pd_buf_id x) {
    pd_type type = g->m->plain ? PD_TYPE_F16 : layer ? PD_TYPE_Q8_0 : PD_TYPE_Q4_0;
    float scale = 1.0f / sqrtf((float)g->out_width);
    pd_op_matmul mm = {.x = x,
                       .out = pd_plan_add_buf(plan, layer ? "y1" : "y0", PD_ROWS_TOKENS,
                                              PRODUCT_WIDTH, PD_BUF_OUTPUT),
                       .n_weights = 1,
                       .weights = {ops_tensor(type, PRODUCT_WIDTH, g->out_width, scale)}};
    if (g->m->plain) {
        mm.epilogue = PD_EPILOGUE_BIAS;
        mm.biases[0] = ops_tensor(PD_TYPE_F32, 0, PRODUCT_WIDTH, 0.5f);
    }
    pd_plan_add_op(plan, layer + A_LATER_LAYER, "product",
                   &(pd_op){.kind = PD_OP_MATMUL, .matmul = mm});
    add_output(g, mm.out);
}

static void add_layer(setting *g, pd_plan *plan, int32_t layer) {
    const scenario *s = g->s;
    bool plain = g->m->plain;
    pd_buf_id q =
        pd_plan_add_buf(plan, layer ? "q1" : "q0", PD_ROWS_TOKENS, g->out_width, PD_BUF_OUTPUT);
    uint32_t width = plain ? (uint32_t)pd_round_up(g->out_width, 32) : g->out_width;
    pd_buf_id out =
        pd_plan_add_buf(plan, layer ? "out1" : "out0", PD_ROWS_TOKENS, width, PD_BUF_OUTPUT);
    pd_op_qkv_rope_store store = {.qkv = g->qkv,
                                  .out = q,
                                  .eps = 1e-6f,
                                  .q_weight = ops_tensor(PD_TYPE_F32, 0, s->head_dim, 1.0f),
                                  .k_weight = ops_tensor(PD_TYPE_F32, 0, s->head_dim, 1.0f),
                                  .rope_base = layer ? 1e6f : 1e4f,
                                  .angle_scale = layer ? 0.125f : 1.0f,
                                  .q_scale = 2.0f / sqrtf((float)s->head_dim),
                                  .kv_layer = (uint32_t)layer};
    if (plain) store.q_weight = store.k_weight = NULL;
    pd_plan_add_op(plan, layer, "store",
                   &(pd_op){.kind = PD_OP_QKV_ROPE_STORE, .qkv_rope_store = store});
    pd_op_attention attention = {
        .q = q, .out = out, .window = layer ? 0 : s->window, .kv_layer = (uint32_t)layer};
    pd_plan_add_op(plan, layer, "attention",
                   &(pd_op){.kind = PD_OP_ATTENTION, .attention = attention});
    add_output(g, q);
    add_output(g, out);
    add_product(g, plan, layer, out);
}

/* Where the environment lowers what a device binds at once, one head of every page has to fit. */
static bool exceeds_binding(const setting *g) {
    const char *limit = getenv("PERIDOT_MAX_BINDING");
    uint64_t bytes = (g->m->f32 ? 4ull : 2ull) * g->n_global * PD_PAGE_POSITIONS * g->s->head_dim;
    return limit && bytes > strtoull(limit, NULL, 10);
}

/* Of a sparse sweep every third stays; the others are drawn all the same, so that each has the
 * numbers that it has in the whole. */
static bool is_spare(void) {
    static uint32_t n;
    return n++ % 3 != 0;
}

static void run_scenario(const scenario *s, const mode *m) {
    static const bool layer_is_global[] = {false, true};
    setting g = {.s = s, .m = m};
    measure(&g);
    pd_kv_shape shape = {.n_layers = g.only_local ? 1 : 2,
                         .n_heads = s->n_heads,
                         .n_kv_heads = s->n_kv_heads,
                         .head_dim = s->head_dim,
                         .f32 = m->f32,
                         .layer_is_global = layer_is_global};
    pd_plan plan;
    pd_plan_init(&plan, &(pd_plan_desc){.name = "attention",
                                        .precision = m->precision,
                                        .max_rows = g.max_rows,
                                        .max_outs = 1,
                                        .max_seqs = g.n_seqs,
                                        .max_positions = g.max_positions,
                                        .kv = shape});
    g.qkv = pd_plan_add_buf(&plan, "qkv", PD_ROWS_TOKENS, g.qkv_width, PD_BUF_INPUT);
    for (uint32_t layer = 0; layer < shape.n_layers; layer++) add_layer(&g, &plan, (int32_t)layer);

    ops_run *runs = ops_alloc(MAX_RUNS, sizeof *runs);
    pd_kv_store_desc kv = {
        .shape = shape, .n_global_pages = g.n_global, .n_local_pages = g.n_local};
    ops_case c = {.family = m->family,
                  .plan = &plan,
                  .kv = &kv,
                  .runs = runs,
                  .n_runs = make_runs(&g, runs),
                  .max_nmse = m->max_nmse,
                  .max_worst = m->max_worst,
                  .cpu_only = m->where == ON_CPU || exceeds_binding(&g),
                  .not_cpu = m->where == OFF_CPU,
                  .is_spare = is_spare()};
    snprintf(c.text, sizeof c.text, "%s (%u heads, %u kv, %u dim, window %u)", s->text, s->n_heads,
             s->n_kv_heads, s->head_dim, s->window);
    ops_compare(&c);
}

/* ---- modes ---------------------------------------------------------------------------------- */

#define NMSE_F16_PAGES  1e-9
#define WORST_F16_PAGES 2e-3
#define NMSE_HALVES     (34.0 / (1 << 22) + NMSE_F16_PAGES)
#define WORST_HALVES    (10 * sqrt(NMSE_HALVES))
#define NMSE_INTEGERS   (2.5e-9 + OPS_NMSE_SUM)
#define WORST_INTEGERS  (5e-4 + OPS_WORST_SUM)
#define NMSE_BYTES      1.7e-4
#define WORST_BYTES     0.13

static bool has_images(const scenario *s) {
    for (uint32_t i = 0; i < MAX_STEPS; i++)
        for (uint32_t k = 0; k < MAX_SEGMENTS; k++)
            if (s->steps[i][k].n_image) return true;
    return false;
}

/* Every scenario, or every other one. An image's rows are computed at once. */
static void run_some_scenarios(const mode *m, size_t first, size_t stride) {
    for (size_t i = first; i < sizeof scenarios / sizeof *scenarios; i += stride)
        if (!m->few_rows || !has_images(&scenarios[i])) run_scenario(&scenarios[i], m);
    ops_conclude();
}

static void run_scenarios(const mode *m) {
    run_some_scenarios(m, 0, 1);
}

static void run_image_scenarios(const mode *m) {
    for (size_t i = 0; i < sizeof image_scenarios / sizeof *image_scenarios; i++)
        run_scenario(&image_scenarios[i], m);
    ops_conclude();
}

static void test_f32_pages(void **state) {
    (void)state;
    run_scenarios(&(mode){"attention, f32 pages", PD_PRECISION_EXACT, true, false, 0, OPS_NMSE_SUM,
                          OPS_WORST_SUM, EVERYWHERE});
}

static void test_f16_pages(void **state) {
    (void)state;
    run_scenarios(&(mode){"attention, f16 pages", PD_PRECISION_EXACT, false, false, 0,
                          NMSE_F16_PAGES, WORST_F16_PAGES, EVERYWHERE});
}

static void test_halves(void **state) {
    (void)state;
    run_scenarios(&(mode){"attention at f16", PD_PRECISION_F16, false, false, 0, NMSE_HALVES,
                          WORST_HALVES, EVERYWHERE});
}

static void test_integers(void **state) {
    (void)state;
    mode m = {"attention at q8", PD_PRECISION_Q8, true,   false, 0,
              NMSE_INTEGERS,     WORST_INTEGERS,  OFF_CPU};
    run_scenarios(&m);
    m = (mode){
        "attention at q8, bytes", PD_PRECISION_Q8, true, false, 0, NMSE_BYTES, WORST_BYTES, ON_CPU};
    run_scenarios(&m);
}

/* Tiles of one row, and of several. */
static void test_few_rows(void **state) {
    (void)state;
    mode m = {"few rows, f32 pages", PD_PRECISION_EXACT, true,      false, 8,
              OPS_NMSE_SUM,          OPS_WORST_SUM,      EVERYWHERE};
    run_scenarios(&m);
    m.few_rows = 16;
    run_scenarios(&m);
    m.few_rows = PD_PAGE_POSITIONS;
    run_some_scenarios(&m, 0, 2);
    mode halves = {"few rows at f16", PD_PRECISION_F16, false,     false, 8,
                   NMSE_HALVES,       WORST_HALVES,     EVERYWHERE};
    run_some_scenarios(&halves, 0, 2);
    mode integers = {"few rows at q8", PD_PRECISION_Q8, true,   false, 16,
                     NMSE_INTEGERS,    WORST_INTEGERS,  OFF_CPU};
    run_some_scenarios(&integers, 1, 2);
}

static void test_image_f32_pages(void **state) {
    (void)state;
    mode m = {"patches, f32 pages", PD_PRECISION_EXACT, true,      true, 0,
              OPS_NMSE_SUM,         OPS_WORST_SUM,      EVERYWHERE};
    run_image_scenarios(&m);
    if (!ops_vulkan_alone()) run_scenario(&large_image, &m);
    ops_conclude();
}

static void test_image_f16_pages(void **state) {
    (void)state;
    run_image_scenarios(&(mode){"patches, f16 pages", PD_PRECISION_EXACT, false, true, 0,
                                NMSE_F16_PAGES, WORST_F16_PAGES, EVERYWHERE});
    run_image_scenarios(&(mode){"patches at f16", PD_PRECISION_F16, false, true, 0, NMSE_HALVES,
                                WORST_HALVES, EVERYWHERE});
    /* The processor's two parts are as exact as f32 beside halves of K and V. */
    mode cpu = {"patches, two parts", PD_PRECISION_F16, false, true, 0,
                NMSE_F16_PAGES,       WORST_F16_PAGES,  ON_CPU};
    run_image_scenarios(&cpu);
    if (!ops_vulkan_alone()) run_scenario(&large_image, &cpu);
    ops_conclude();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_f32_pages),       cmocka_unit_test(test_f16_pages),
        cmocka_unit_test(test_halves),          cmocka_unit_test(test_integers),
        cmocka_unit_test(test_few_rows),        cmocka_unit_test(test_image_f32_pages),
        cmocka_unit_test(test_image_f16_pages), cmocka_unit_test(check_validation_silent)};
    PRINT_LOG();
    return cmocka_run_group_tests_name("ops.qkv_attention", tests, ops_setup, ops_teardown);
}
