/* Whole image encoders of made-up shapes, operation by operation: the plan is traced on `cpu-ref`
 * and on every other device, and what every operation wrote is compared.
 *
 * Tolerances. At `exact`: harness.h; a device goes on with its own results, so that the errors of
 * ten operations add up, each far below its bound. At `f16`: what the precision promises of the
 * rows, 1e-2 of them in L2, of every operation; half of the sums here are residuals that grow, and
 * errors relative to them are the smaller for it.
 *
 * SPDX-License-Identifier: MIT
 */
#include "ops/harness.h"

enum { MAX_LAYERS = 2, MAX_VIEWS = 64 };

static const pd_tensor *vector(uint32_t n, float around, float scale) {
    const pd_tensor *t = ops_tensor(PD_TYPE_F32, 0, n, scale);
    float *x = (float *)(uintptr_t)(const void *)t->data;
    for (uint32_t i = 0; i < n; i++) x[i] += around;
    return t;
}

static const pd_tensor *matrix(pd_type type, uint32_t rows, uint32_t cols) {
    return ops_tensor(type, rows, cols, 1.0f / sqrtf((float)cols));
}

static void fill_layer(const pd_vision_config *c, pd_type type, pd_vision_layer *l) {
    uint32_t d = c->n_embd;
    *l = (pd_vision_layer){.ln1_weight = vector(d, 1, 0.2f),
                           .ln1_bias = vector(d, 0, 0.1f),
                           .attn_q = matrix(type, d, d),
                           .attn_k = matrix(type, d, d),
                           .attn_v = matrix(type, d, d),
                           .attn_q_bias = vector(d, 0, 0.1f),
                           .attn_k_bias = vector(d, 0, 0.1f),
                           .attn_v_bias = vector(d, 0, 0.1f),
                           .attn_out = matrix(type, d, d),
                           .attn_out_bias = vector(d, 0, 0.1f),
                           .ln2_weight = vector(d, 1, 0.2f),
                           .ln2_bias = vector(d, 0, 0.1f),
                           .ffn_up = matrix(type, c->n_ff, d),
                           .ffn_up_bias = vector(c->n_ff, 0, 0.1f),
                           .ffn_down = matrix(type, d, c->n_ff),
                           .ffn_down_bias = vector(d, 0, 0.1f)};
}

static void fill_weights(const pd_vision_config *c, pd_type type, pd_vision_weights *w) {
    uint32_t pixels = PD_IMAGE_CHANNELS * c->patch_size * c->patch_size;
    w->patch_embd = matrix(PD_TYPE_F32, c->n_embd, pixels);
    w->patch_bias = vector(c->n_embd, 0, 0.1f);
    w->position_embd = ops_tensor(PD_TYPE_F32, c->grid * c->grid, c->n_embd, 0.3f);
    for (uint32_t i = 0; i < c->n_layers; i++) fill_layer(c, type, &w->layers[i]);
    w->post_ln_weight = vector(c->n_embd, 1, 0.2f);
    w->post_ln_bias = vector(c->n_embd, 0, 0.1f);
    w->soft_emb_norm = vector(c->n_embd, 1, 0.2f);
    w->projection = matrix(type, c->n_embd_out, c->n_embd);
}

/* ---- one device ----------------------------------------------------------------------------- */

typedef struct view {
    char name[64];
    float *data;
    size_t n;
} view;

typedef struct record {
    view views[MAX_VIEWS];
    uint32_t n;
} record;

static bool take_view(void *ctx, const pd_trace_view *v) {
    record *r = ctx;
    assert_true(r->n < MAX_VIEWS);
    view *to = &r->views[r->n++];
    snprintf(to->name, sizeof to->name, "%s", v->op->name);
    to->n = (size_t)v->n_rows * v->width;
    to->data = ops_alloc(to->n, sizeof *to->data);
    memcpy(to->data, v->data, to->n * sizeof *to->data);
    return true;
}

static pd_step make_step(uint32_t n_patches, uint32_t n_tokens) {
    pd_step_row *rows = ops_alloc(n_patches, sizeof *rows);
    uint32_t *out_rows = ops_alloc(n_tokens, sizeof *out_rows);
    uint32_t n_pages = pd_div_up(n_patches, PD_PAGE_POSITIONS);
    uint32_t *pages = ops_alloc(n_pages, sizeof *pages);
    pd_page_table *table = ops_alloc(1, sizeof *table);
    for (uint32_t i = 0; i < n_patches; i++)
        rows[i] = (pd_step_row){.token = i, .pos = i, .end = n_patches};
    for (uint32_t i = 0; i < n_tokens; i++) out_rows[i] = i;
    for (uint32_t i = 0; i < n_pages; i++) pages[i] = i;
    *table = (pd_page_table){.global_pages = pages, .local_pages = pages, .n_pages = n_pages};
    return (pd_step){.n_rows = n_patches,
                     .n_outs = n_tokens,
                     .n_seqs = 1,
                     .rows = rows,
                     .out_rows = out_rows,
                     .tables = table};
}

static void trace_on(pd_backend *b, const pd_plan *plan, const pd_step *step, const float *patches,
                     record *out) {
    pd_error err;
    pd_kv_store *kv;
    pd_program *program;
    pd_buf_id in = pd_plan_find_buf(plan, "patches");
    pd_kv_store_desc desc = {.shape = plan->desc.kv, .n_global_pages = step->tables[0].n_pages};
    ops_check(b->v->load(b, plan, NULL, NULL, &err), &err);
    ops_check(b->v->kv_create(b, &desc, &kv, &err), &err);
    ops_check(b->v->compile(b, plan, kv, &program, &err), &err);
    ops_check(
        b->v->write(program, in, 0, 4ull * step->n_rows * plan->bufs[in].width, patches, &err),
        &err);
    ops_check(b->v->trace(program, step, PD_ALL_OPS, take_view, out, &err), &err);
    b->v->destroy(b, program);
    b->v->kv_destroy(b, kv);
}

/* ---- one tower ------------------------------------------------------------------------------ */

typedef struct tower {
    uint32_t n_heads, head_dim, n_ff, grid, pool, patch_size;
    pd_type type;
} tower;

static pd_vision_config config_of(const tower *t) {
    return (pd_vision_config){.image_size = t->grid * t->patch_size,
                              .patch_size = t->patch_size,
                              .n_embd = t->n_heads * t->head_dim,
                              .n_ff = t->n_ff,
                              .n_heads = t->n_heads,
                              .head_dim = t->head_dim,
                              .n_layers = MAX_LAYERS,
                              .grid = t->grid,
                              .pool = t->pool,
                              .n_tokens = t->grid / t->pool * (t->grid / t->pool),
                              .n_embd_out = 64,
                              .norm_eps = 1e-6f,
                              .attn_scale = 1.0f / sqrtf((float)t->head_dim)};
}

static float *make_patches(uint32_t n, uint32_t values, uint32_t width) {
    float *x = ops_alloc((size_t)n * width, sizeof *x);
    for (uint32_t r = 0; r < n; r++)
        for (uint32_t i = 0; i < values; i++) x[(size_t)r * width + i] = ops_uniform();
    return x;
}

static void compare_records(const ops_case *c, const char *device, const record *got,
                            const record *want) {
    assert_int_equal(got->n, want->n);
    for (uint32_t i = 0; i < want->n; i++) {
        const view *y = &got->views[i], *ref = &want->views[i];
        ops_case of_op = *c;
        assert_string_equal(y->name, ref->name);
        assert_int_equal(y->n, ref->n);
        snprintf(of_op.text, sizeof of_op.text, "%.100s, %s", c->text, y->name);
        ops_judge(&of_op, device, y->data, ref->data, y->n);
    }
}

static void run_tower(const tower *t, pd_precision precision) {
    pd_vision_config config = config_of(t);
    pd_vision_weights *weights = ops_alloc(1, sizeof *weights);
    pd_plan plan;
    pd_error err;
    record *want = ops_alloc(1, sizeof *want);
    uint32_t n = t->grid * t->grid, values = PD_IMAGE_CHANNELS * t->patch_size * t->patch_size;
    bool exact = precision == PD_PRECISION_EXACT;
    ops_case c = {.family = exact ? "tower, exact" : "tower, f16",
                  .max_nmse = exact ? OPS_NMSE_SUM : 1e-4,
                  .max_worst = exact ? OPS_WORST_SUM : 0.1};
    snprintf(c.text, sizeof c.text, "%u heads of %u, n_ff %u, %u patches of %u, pool %u, %s",
             t->n_heads, t->head_dim, t->n_ff, n, t->patch_size, t->pool, pd_type_name(t->type));
    fill_weights(&config, t->type, weights);
    ops_check(pd_plan_vision(&config, weights, precision, &plan, &err), &err);
    pd_step step = make_step(n, config.n_tokens);
    uint32_t width = plan.bufs[pd_plan_find_buf(&plan, "patches")].width;
    const float *patches = make_patches(n, values, width);
    trace_on(ops_devices[0].backend, &plan, &step, patches, want);
    for (uint32_t d = 1; d < ops_n_devices; d++) {
        record *got = ops_alloc(1, sizeof *got);
        trace_on(ops_devices[d].backend, &plan, &step, patches, got);
        compare_records(&c, ops_devices[d].name, got, want);
    }
    pd_plan_free(&plan);
}

static const tower towers[] = {
    {1, 72, 100, 3, 1, 14, PD_TYPE_F16}, {2, 36, 204, 3, 3, 5, PD_TYPE_F16},
    {2, 72, 432, 8, 4, 14, PD_TYPE_F16}, {3, 36, 144, 6, 2, 3, PD_TYPE_F16},
    {2, 72, 288, 20, 4, 7, PD_TYPE_F16}, {1, 36, 36, 9, 3, 14, PD_TYPE_F16}};

static void test_exact(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof towers / sizeof *towers; i++)
        run_tower(&towers[i], PD_PRECISION_EXACT);
    ops_conclude();
}

static void test_f16(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof towers / sizeof *towers; i++)
        run_tower(&towers[i], PD_PRECISION_F16);
    ops_conclude();
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_exact), cmocka_unit_test(test_f16),
                                       cmocka_unit_test(check_validation_silent)};
    PRINT_LOG();
    return cmocka_run_group_tests_name("ops.vision_tower", tests, ops_setup, ops_teardown);
}
