/* Rows that a product reads, at every precision: embed, norm, product, norm with residual, gather,
 * product. Devices keep what products read in halves or in integers where the precision allows it,
 * and norm and gather write it so. Steps of few and many rows, one after the other, in plans that
 * have room for more.
 *
 * Tolerances. Exact: harness.h, with each sum behind another. Halves round by 2^-22 / 3 and a
 * product of packed halves by 33 * 2^-22 (test_epilogues.c): twice 34 * 2^-22 at the end, and the
 * worst element at 10 standard deviations. Integers: 2.5e-9 for each rounding, 5e-4 for the worst
 * element behind it, with bytes 1.7e-4 and 0.13 (test_qkv_attention.c), and there are two before
 * the last product.
 *
 * SPDX-License-Identifier: MIT
 */
#include "ops/harness.h"

enum {
    WIDTH = 160,
    N_VOCAB = 300,
    MAX_OUTS = 9,
    A_LATER_LAYER = 9 /* the first ones may be more exact than the precision asks */
};

typedef struct chain_case {
    const char *family;
    pd_precision precision;
    double max_nmse, max_worst;
    bool cpu_only, not_cpu; /* which multiplies bytes at q8, others 16 bits */
} chain_case;

static const chain_case cases[] = {
    {"rows, exact", PD_PRECISION_EXACT, 3 * OPS_NMSE_SUM, 3 * OPS_WORST_SUM, false, false},
    {"rows at f16", PD_PRECISION_F16, 2 * 34.0 / (1 << 22), 0.0403, false,
     false}, /* 10 sqrt(68 / 2^22) */
    {"rows at q8", PD_PRECISION_Q8, 2 * 2.5e-9 + 3 * OPS_NMSE_SUM, 2 * 5e-4 + 3 * OPS_WORST_SUM,
     false, true},
    {"rows at q8, bytes", PD_PRECISION_Q8, 2 * 1.7e-4, 2 * 0.13, true, false}};

typedef struct chain {
    pd_plan plan;
    pd_buf_id x, a, b, c, picked, logits;
} chain;

static pd_op_matmul product(pd_buf_id x, pd_buf_id out, pd_type type, uint32_t n) {
    float scale = 1.0f / sqrtf((float)WIDTH);
    return (pd_op_matmul){
        .x = x, .out = out, .n_weights = 1, .weights = {ops_tensor(type, n, WIDTH, scale)}};
}

static void add_bufs(chain *k) {
    k->x = pd_plan_add_buf(&k->plan, "x", PD_ROWS_TOKENS, WIDTH, PD_BUF_OUTPUT);
    k->a = pd_plan_add_buf(&k->plan, "a", PD_ROWS_TOKENS, WIDTH, PD_BUF_OUTPUT);
    k->b = pd_plan_add_buf(&k->plan, "b", PD_ROWS_TOKENS, WIDTH, PD_BUF_OUTPUT);
    k->c = pd_plan_add_buf(&k->plan, "c", PD_ROWS_TOKENS, WIDTH, PD_BUF_OUTPUT);
    k->picked = pd_plan_add_buf(&k->plan, "picked", PD_ROWS_OUTPUTS, WIDTH, PD_BUF_OUTPUT);
    k->logits = pd_plan_add_buf(&k->plan, "logits", PD_ROWS_OUTPUTS, N_VOCAB, PD_BUF_OUTPUT);
}

static void add_ops(chain *k) {
    pd_op_embed embed = {.table = ops_tensor(PD_TYPE_Q8_0, N_VOCAB, WIDTH, 1.0f),
                         .embeddings = PD_BUF_NONE,
                         .out = k->x,
                         .scale = 2.0f};
    pd_op_norm first = {.x = k->x,
                        .residual = PD_BUF_NONE,
                        .out = k->a,
                        .weight = ops_tensor(PD_TYPE_F32, 0, WIDTH, 1.0f),
                        .eps = 1e-6f};
    pd_op_norm second = {.x = k->b,
                         .residual = k->x,
                         .out = k->c,
                         .post_weight = ops_tensor(PD_TYPE_F32, 0, WIDTH, 1.0f),
                         .weight = ops_tensor(PD_TYPE_F32, 0, WIDTH, 1.0f),
                         .eps = 1e-6f};
    pd_op_matmul inner = product(k->a, k->b, PD_TYPE_Q4_0, WIDTH);
    pd_op_gather gather = {.x = k->c, .out = k->picked};
    pd_op_matmul head = product(k->picked, k->logits, PD_TYPE_Q8_0, N_VOCAB);
    pd_plan_add_op(&k->plan, A_LATER_LAYER, "embed", &(pd_op){.kind = PD_OP_EMBED, .embed = embed});
    pd_plan_add_op(&k->plan, A_LATER_LAYER, "first", &(pd_op){.kind = PD_OP_NORM, .norm = first});
    pd_plan_add_op(&k->plan, A_LATER_LAYER, "inner",
                   &(pd_op){.kind = PD_OP_MATMUL, .matmul = inner});
    pd_plan_add_op(&k->plan, A_LATER_LAYER, "second", &(pd_op){.kind = PD_OP_NORM, .norm = second});
    pd_plan_add_op(&k->plan, A_LATER_LAYER, "gather",
                   &(pd_op){.kind = PD_OP_GATHER, .gather = gather});
    pd_plan_add_op(&k->plan, A_LATER_LAYER, "head", &(pd_op){.kind = PD_OP_MATMUL, .matmul = head});
}

static ops_run run_of(const chain *k, uint32_t n_rows, uint32_t n_outs) {
    static const pd_page_table none;
    uint32_t *out_rows = ops_alloc(MAX_OUTS, sizeof *out_rows);
    for (uint32_t i = 0; i < n_outs; i++) out_rows[i] = ops_random() % n_rows;
    return (ops_run){.step = {.n_rows = n_rows,
                              .n_outs = n_outs,
                              .n_seqs = 1,
                              .rows = ops_rows(n_rows, N_VOCAB),
                              .out_rows = out_rows,
                              .tables = &none},
                     .outputs = {k->x, k->a, k->b, k->c, k->picked, k->logits},
                     .n_outputs = 6};
}

/* Steps of up to max_rows rows, the longest in the middle. */
static void run_chain(const chain_case *k, uint32_t max_rows) {
    chain c;
    pd_plan_init(&c.plan, &(pd_plan_desc){.name = "rows",
                                          .precision = k->precision,
                                          .max_rows = max_rows,
                                          .max_outs = MAX_OUTS,
                                          .max_seqs = 1,
                                          .max_positions = 256});
    add_bufs(&c);
    add_ops(&c);
    ops_run runs[] = {run_of(&c, 1, 1), run_of(&c, max_rows / 2, 3), run_of(&c, max_rows, MAX_OUTS),
                      run_of(&c, 5, 2), run_of(&c, 1, 1)};
    ops_case all = {.family = k->family,
                    .plan = &c.plan,
                    .runs = runs,
                    .n_runs = 5,
                    .max_nmse = k->max_nmse,
                    .max_worst = k->max_worst,
                    .cpu_only = k->cpu_only,
                    .not_cpu = k->not_cpu};
    snprintf(all.text, sizeof all.text, "up to %u rows", max_rows);
    ops_compare(&all);
}

static void test_chains(void **state) {
    static const uint32_t rows[] = {6, 8, 30, 150};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) run_chain(&cases[i], rows[r]);
    ops_conclude();
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_chains),
                                       cmocka_unit_test(check_validation_silent)};
    PRINT_LOG();
    return cmocka_run_group_tests_name("ops.packed_rows", tests, ops_setup, ops_teardown);
}
