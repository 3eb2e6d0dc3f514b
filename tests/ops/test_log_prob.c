/* log_prob: log-softmax at each output's target, over rows of any length.
 *
 * Tolerance: the result is a difference of a logit and the logarithm of a sum of exponentials.
 * Where 32 invocations add up 262144 of them, each adds 8192 in turn and makes as many rounding
 * errors of random sign: sqrt(8192) u = 5e-6 of the sum, and so of its logarithm, when results are
 * about 10: nmse 3e-13. exp (some ulp) and log (2^-21 between 1/2 and 2, by Vulkan's bound) add
 * less. 1e-12 leaves a factor of 3; an id, a target or a piece of a row left out shows as 1e-3 and
 * more.
 *
 * SPDX-License-Identifier: MIT
 */
#include "ops/harness.h"

static const double MAX_NMSE = 1e-12, MAX_WORST = 1e-5;

typedef struct log_prob_case {
    uint32_t n_vocab, n_rows, n_outs;
    float scale, offset;
} log_prob_case;

/* Outputs take every other row, from the last one backwards, so that their order is not the rows'.
 */
static uint32_t *every_other(uint32_t n_rows, uint32_t n_outs) {
    uint32_t *rows = ops_alloc(n_outs, sizeof *rows);
    for (uint32_t i = 0; i < n_outs; i++) rows[i] = (n_rows - 1 + n_rows * n_outs - 2 * i) % n_rows;
    return rows;
}

static float *logits_of(const log_prob_case *k) {
    float *x = ops_normals((size_t)k->n_outs * k->n_vocab, k->scale);
    for (size_t i = 0; i < (size_t)k->n_outs * k->n_vocab; i++) x[i] += k->offset;
    return x;
}

static void run_log_prob(const log_prob_case *k) {
    pd_plan plan;
    pd_plan_init(&plan, &(pd_plan_desc){.name = "log_prob",
                                        .precision = PD_PRECISION_EXACT,
                                        .max_rows = k->n_rows + 1,
                                        .max_outs = k->n_outs + 1,
                                        .max_seqs = 1,
                                        .max_positions = 64});
    pd_op_log_prob op = {.x =
                             pd_plan_add_buf(&plan, "x", PD_ROWS_OUTPUTS, k->n_vocab, PD_BUF_INPUT),
                         .out = pd_plan_add_buf(&plan, "out", PD_ROWS_OUTPUTS, 2, PD_BUF_OUTPUT)};
    pd_plan_add_op(&plan, -1, "log_prob", &(pd_op){.kind = PD_OP_LOG_PROB, .log_prob = op});
    pd_step_row *rows = ops_rows(k->n_rows, k->n_vocab);
    rows[0].token = 0;
    rows[k->n_rows - 1].token = k->n_vocab - 1;
    ops_run run = {.step = {.n_rows = k->n_rows,
                            .n_outs = k->n_outs,
                            .n_seqs = 1,
                            .rows = rows,
                            .out_rows = every_other(k->n_rows, k->n_outs),
                            .tables = &(pd_page_table){0}},
                   .inputs = {{op.x, logits_of(k), 4ull * k->n_outs * k->n_vocab}},
                   .n_inputs = 1,
                   .outputs = {op.out},
                   .n_outputs = 1};
    ops_case c = {.family = "log_prob",
                  .plan = &plan,
                  .runs = &run,
                  .n_runs = 1,
                  .max_nmse = MAX_NMSE,
                  .max_worst = MAX_WORST};
    snprintf(c.text, sizeof c.text, "%u ids, %u of %u rows, %g +- %g", k->n_vocab, k->n_outs,
             k->n_rows, (double)k->offset, (double)k->scale);
    ops_compare(&c);
}

static void test_shapes(void **state) {
    (void)state;
    static const uint32_t vocabs[] = {1, 2, 31, 512, 513, 600, 8192, 262144, 262208};
    for (size_t i = 0; i < sizeof vocabs / sizeof *vocabs; i++) {
        run_log_prob(&(log_prob_case){vocabs[i], 1, 1, 4, 0});
        run_log_prob(&(log_prob_case){vocabs[i], 9, 5, 4, 0});
    }
    run_log_prob(&(log_prob_case){600, 70, 64, 4, 0});
    ops_conclude();
}

/* Far from zero and far apart: nothing may overflow, and equal logits give ln n. */
static void test_extremes(void **state) {
    (void)state;
    run_log_prob(&(log_prob_case){4096, 3, 3, 0, 0});
    run_log_prob(&(log_prob_case){4096, 3, 3, 0, 200});
    run_log_prob(&(log_prob_case){4096, 3, 3, 3, -1000});
    run_log_prob(&(log_prob_case){4096, 3, 3, 1000, 0});
    run_log_prob(&(log_prob_case){4096, 3, 3, 1e-3f, 1});
    ops_conclude();
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_shapes),
                                       cmocka_unit_test(test_extremes),
                                       cmocka_unit_test(check_validation_silent)};
    PRINT_LOG();
    return cmocka_run_group_tests_name("ops.log_prob", tests, ops_setup, ops_teardown);
}
