/* The embed operation: rows of a table of every stored type, scaled.
 *
 * Tolerance: decoding is exact or a few roundings (Q4_K: two products and a difference), the scale
 * one more: nmse is some u^2 = 3.6e-15, so 1e-13; the worst element is off by a few u of values
 * that are at most about 20 times the mean: 2e-5.
 *
 * SPDX-License-Identifier: MIT
 */
#include "ops/harness.h"

enum { N_VOCAB = 67 };

static void embed_case(pd_type type, uint32_t width, uint32_t n_rows) {
    pd_plan plan;
    pd_plan_init(&plan, &(pd_plan_desc){.name = "embed",
                                        .precision = PD_PRECISION_EXACT,
                                        .max_rows = n_rows + 3,
                                        .max_outs = 1,
                                        .max_seqs = 1,
                                        .max_positions = 256});
    pd_buf_id out = pd_plan_add_buf(&plan, "out", PD_ROWS_TOKENS, width, PD_BUF_OUTPUT);
    pd_op_embed embed = {.table = ops_tensor(type, N_VOCAB, width, 0.1f),
                         .embeddings = PD_BUF_NONE,
                         .out = out,
                         .scale = sqrtf((float)width)};
    pd_plan_add_op(&plan, -1, "embed", &(pd_op){.kind = PD_OP_EMBED, .embed = embed});

    pd_step_row *rows = ops_rows(n_rows, N_VOCAB);
    rows[0].token = N_VOCAB - 1;
    ops_run run = {
        .step = {.n_rows = n_rows, .n_seqs = 1, .rows = rows, .tables = &(pd_page_table){0}},
        .outputs = {out},
        .n_outputs = 1};
    ops_case c = {.family = "embed",
                  .plan = &plan,
                  .runs = &run,
                  .n_runs = 1,
                  .max_nmse = 1e-13,
                  .max_worst = 2e-5};
    snprintf(c.text, sizeof c.text, "%s, width %u, %u rows", pd_type_name(type), width, n_rows);
    ops_compare(&c);
}

static void test_every_type(void **state) {
    static const uint32_t widths[] = {32, 96, 160, 1152}, rows[] = {1, 2, 3, 9, 65, 130};
    uint32_t n_types;
    const pd_type_info *types = pd_type_list(&n_types);
    (void)state;
    for (uint32_t t = 0; t < n_types; t++) {
        for (uint32_t i = 0; i < 3; i++) {
            uint32_t width = types[t].block_values == 256 ? 256 * (i + 1) : widths[(t + i) % 4];
            embed_case(types[t].type, width, rows[(2 * t + i) % 6]);
        }
    }
    ops_conclude();
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_type),
                                       cmocka_unit_test(check_validation_silent)};
    PRINT_LOG();
    return cmocka_run_group_tests_name("ops.embed", tests, ops_setup, ops_teardown);
}
