/* The norm operation, alone and with post-norm and residual. Tolerances: harness.h; a norm's only
 * sum has positive terms, so that its error is below u * sqrt(width).
 *
 * SPDX-License-Identifier: MIT
 */
#include "ops/harness.h"

static const uint32_t widths[] = {32, 96, 160, 1152, 2560, 5376};
static const uint32_t row_counts[] = {1, 2, 3, 9, 65, 130};

typedef struct norm_case {
    uint32_t width, n_rows;
    bool residual, of_outputs;
    float scale; /* of x; the residual is 1000 times larger */
} norm_case;

static void run_case(const norm_case *k) {
    pd_rows_of rows_of = k->of_outputs ? PD_ROWS_OUTPUTS : PD_ROWS_TOKENS;
    pd_plan plan;
    pd_plan_init(&plan, &(pd_plan_desc){.name = "norm",
                                        .precision = PD_PRECISION_EXACT,
                                        .max_rows = 130,
                                        .max_outs = 130,
                                        .max_seqs = 1,
                                        .max_positions = 256});
    pd_buf_id x = pd_plan_add_buf(&plan, "x", rows_of, k->width, PD_BUF_INPUT);
    pd_buf_id h = pd_plan_add_buf(&plan, "h", rows_of, k->width, PD_BUF_INPUT);
    pd_buf_id out = pd_plan_add_buf(&plan, "out", rows_of, k->width, PD_BUF_OUTPUT);
    pd_op_norm norm = {.x = x, .residual = PD_BUF_NONE, .out = out, .eps = 1e-6f};
    norm.weight = ops_tensor(PD_TYPE_F32, 0, k->width, 2.0f);
    if (k->residual) {
        norm.residual = h;
        norm.post_weight = ops_tensor(PD_TYPE_F32, 0, k->width, 30.0f);
    }
    pd_plan_add_op(&plan, -1, "norm", &(pd_op){.kind = PD_OP_NORM, .norm = norm});

    uint64_t n = (uint64_t)k->width * k->n_rows;
    uint32_t n_tokens = k->of_outputs ? 130 : k->n_rows;
    uint32_t *out_rows = ops_alloc(130, sizeof *out_rows);
    ops_run run = {.step = {.n_rows = n_tokens,
                            .n_outs = k->of_outputs ? k->n_rows : 0,
                            .n_seqs = 1,
                            .rows = ops_rows(n_tokens, 1),
                            .out_rows = out_rows,
                            .tables = &(pd_page_table){0}},
                   .inputs = {{x, ops_normals(n, k->scale), n * 4},
                              {h, ops_normals(n, k->scale * 1000), n * 4}},
                   .n_inputs = 2,
                   .outputs = {out, h},
                   .n_outputs = k->residual ? 2 : 1};
    ops_case c = {.family = k->residual ? "norm with residual" : "norm",
                  .plan = &plan,
                  .runs = &run,
                  .n_runs = 1,
                  .max_nmse = OPS_NMSE_SUM,
                  .max_worst = OPS_WORST_SUM};
    snprintf(c.text, sizeof c.text, "width %u, %u rows, scale %g", k->width, k->n_rows,
             (double)k->scale);
    ops_compare(&c);
}

static void test_shapes(void **state) {
    (void)state;
    for (uint32_t i = 0; i < 6; i++) {
        for (uint32_t j = 0; j < 2; j++) {
            run_case(&(norm_case){widths[i], row_counts[(i + 2 * j) % 6], false, j == 1, 1.0f});
            run_case(&(norm_case){widths[i], row_counts[(i + 3 + j) % 6], true, false, 1.0f});
        }
    }
    ops_conclude();
}

/* Where eps decides (mean square 1e-8), and a residual stream far beyond what f16 holds. */
static void test_extremes(void **state) {
    (void)state;
    run_case(&(norm_case){1152, 3, false, false, 1e-4f});
    run_case(&(norm_case){1152, 3, true, false, 1e-4f});
    run_case(&(norm_case){640, 2, false, false, 3e6f});
    run_case(&(norm_case){640, 2, true, false, 3e3f});
    ops_conclude();
}

/* Zero rows give zeros, not NaN. */
static void test_zero_row(void **state) {
    (void)state;
    run_case(&(norm_case){96, 2, false, false, 0.0f});
    ops_conclude();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shapes), cmocka_unit_test(test_extremes),
        cmocka_unit_test(test_zero_row), cmocka_unit_test(check_validation_silent)};
    PRINT_LOG();
    return cmocka_run_group_tests_name("ops.norm", tests, ops_setup, ops_teardown);
}
