/* layernorm and pool_norm, whose rows may have zeros behind their values. What they write is full
 * of NaN before: a tail that is not cleared shows.
 *
 * Tolerances: harness.h. A mean is a sum of terms of any sign that are about as large as the
 * deviation, unless the row is far from zero: a mean of m deviations is rounded to m u of them, so
 * that nmse is (m u)^2 and a few times that, 3e-11 with the 30 deviations that are tried.
 *
 * SPDX-License-Identifier: MIT
 */
#include "ops/harness.h"

static const uint32_t widths[] = {36, 72, 100, 1152, 32, 4, 160};
static const uint32_t row_counts[] = {1, 2, 9, 65, 130};

static float *not_numbers(size_t n) {
    float *x = ops_alloc(n, sizeof *x);
    for (size_t i = 0; i < n; i++) x[i] = NAN;
    return x;
}

/* [rows, stride] with `width` values around `mean` and zeros behind them. */
static float *padded_normals(uint32_t rows, uint32_t width, uint32_t stride, float scale,
                             float mean) {
    float *x = ops_alloc((size_t)rows * stride, sizeof *x);
    for (uint32_t r = 0; r < rows; r++)
        for (uint32_t i = 0; i < width; i++)
            x[(size_t)r * stride + i] = mean + scale * ops_normal();
    return x;
}

static void init_plan(pd_plan *plan, uint32_t max_rows, uint32_t max_outs) {
    pd_plan_init(plan, &(pd_plan_desc){.name = "norms",
                                       .precision = PD_PRECISION_EXACT,
                                       .max_rows = max_rows,
                                       .max_outs = max_outs,
                                       .max_seqs = 1,
                                       .max_positions = 64});
}

/* ---- layernorm ------------------------------------------------------------------------------ */

typedef struct layernorm_case {
    uint32_t width, stride, n_rows;
    float scale, mean;
} layernorm_case;

static void run_layernorm(const layernorm_case *k) {
    pd_plan plan;
    init_plan(&plan, k->n_rows + 2, 1);
    pd_op_layernorm norm = {
        .x = pd_plan_add_buf(&plan, "x", PD_ROWS_TOKENS, k->stride, PD_BUF_INPUT),
        .out = pd_plan_add_buf(&plan, "out", PD_ROWS_TOKENS, k->stride, PD_BUF_INPUT),
        .weight = ops_tensor(PD_TYPE_F32, 0, k->width, 2.0f),
        .bias = ops_tensor(PD_TYPE_F32, 0, k->width, 0.5f),
        .eps = 1e-6f};
    pd_plan_add_op(&plan, -1, "layernorm", &(pd_op){.kind = PD_OP_LAYERNORM, .layernorm = norm});
    uint64_t bytes = 4ull * k->n_rows * k->stride;
    float *x = padded_normals(k->n_rows, k->width, k->stride, k->scale, k->mean);
    ops_run run = {.step = {.n_rows = k->n_rows,
                            .n_seqs = 1,
                            .rows = ops_rows(k->n_rows, 1),
                            .tables = &(pd_page_table){0}},
                   .inputs = {{norm.x, x, bytes},
                              {norm.out, not_numbers((size_t)k->n_rows * k->stride), bytes}},
                   .n_inputs = 2,
                   .outputs = {norm.out},
                   .n_outputs = 1};
    ops_case c = {.family = "layernorm",
                  .plan = &plan,
                  .runs = &run,
                  .n_runs = 1,
                  .max_nmse = OPS_NMSE_SUM,
                  .max_worst = OPS_WORST_SUM};
    snprintf(c.text, sizeof c.text, "width %u of %u, %u rows, %g +- %g", k->width, k->stride,
             k->n_rows, (double)k->mean, (double)k->scale);
    ops_compare(&c);
}

static void test_layernorm(void **state) {
    (void)state;
    for (uint32_t i = 0; i < sizeof widths / sizeof *widths; i++)
        for (uint32_t j = 0; j < 3; j++) {
            uint32_t stride = j ? (uint32_t)pd_round_up(widths[i], 32) : widths[i];
            run_layernorm(&(layernorm_case){widths[i], stride, row_counts[(i + 2 * j) % 5], 1, 0});
        }
    run_layernorm(&(layernorm_case){72, 160, 3, 1, 0}); /* a longer tail than there has to be */
    ops_conclude();
}

static void test_layernorm_extremes(void **state) {
    (void)state;
    run_layernorm(&(layernorm_case){1152, 1152, 3, 1e-4f, 0}); /* where eps decides */
    run_layernorm(&(layernorm_case){72, 96, 3, 3e6f, 0});
    run_layernorm(&(layernorm_case){1152, 1152, 3, 1, 30});
    run_layernorm(&(layernorm_case){100, 128, 3, 0, 0}); /* the bias alone, not NaN */
    run_layernorm(&(layernorm_case){100, 128, 3, 0, 8});
    ops_conclude();
}

/* ---- pool_norm ------------------------------------------------------------------------------ */

static void run_pool(uint32_t grid, uint32_t pool, uint32_t width, uint32_t stride, float scale) {
    uint32_t n_rows = grid * grid, n_outs = n_rows / (pool * pool);
    pd_plan plan;
    init_plan(&plan, n_rows, n_outs);
    pd_op_pool_norm op = {.x = pd_plan_add_buf(&plan, "x", PD_ROWS_TOKENS, stride, PD_BUF_INPUT),
                          .out =
                              pd_plan_add_buf(&plan, "out", PD_ROWS_OUTPUTS, stride, PD_BUF_INPUT),
                          .grid = grid,
                          .pool = pool,
                          .weight = ops_tensor(PD_TYPE_F32, 0, width, 2.0f),
                          .eps = 1e-6f};
    pd_plan_add_op(&plan, -1, "pool", &(pd_op){.kind = PD_OP_POOL_NORM, .pool_norm = op});
    uint64_t n_x = (uint64_t)n_rows * stride, n_y = (uint64_t)n_outs * stride;
    ops_run run = {.step = {.n_rows = n_rows,
                            .n_outs = n_outs,
                            .n_seqs = 1,
                            .rows = ops_rows(n_rows, 1),
                            .out_rows = ops_alloc(n_outs, sizeof(uint32_t)),
                            .tables = &(pd_page_table){0}},
                   .inputs = {{op.x, padded_normals(n_rows, width, stride, scale, 0), n_x * 4},
                              {op.out, not_numbers(n_y), n_y * 4}},
                   .n_inputs = 2,
                   .outputs = {op.out},
                   .n_outputs = 1};
    ops_case c = {.family = "pool_norm",
                  .plan = &plan,
                  .runs = &run,
                  .n_runs = 1,
                  .max_nmse = OPS_NMSE_SUM,
                  .max_worst = OPS_WORST_SUM};
    snprintf(c.text, sizeof c.text, "grid %u, pool %u, width %u of %u, scale %g", grid, pool, width,
             stride, (double)scale);
    ops_compare(&c);
}

static void test_pool(void **state) {
    (void)state;
    static const uint32_t grids[][2] = {{1, 1}, {3, 1}, {3, 3}, {4, 2}, {6, 3}, {12, 4}, {20, 5}};
    for (uint32_t i = 0; i < 7; i++)
        for (uint32_t j = 0; j < 2; j++) {
            uint32_t width = widths[(i + 3 * j) % 7];
            uint32_t stride = j ? (uint32_t)pd_round_up(width, 32) : width;
            run_pool(grids[i][0], grids[i][1], width, stride, 1);
        }
    run_pool(64, 4, 72, 96, 1); /* the released models' grid */
    run_pool(4, 2, 36, 64, 1e-4f);
    run_pool(4, 4, 72, 96, 3e6f);
    run_pool(6, 2, 100, 128, 0);
    ops_conclude();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_layernorm), cmocka_unit_test(test_layernorm_extremes),
        cmocka_unit_test(test_pool), cmocka_unit_test(check_validation_silent)};
    PRINT_LOG();
    return cmocka_run_group_tests_name("ops.image_norms", tests, ops_setup, ops_teardown);
}
