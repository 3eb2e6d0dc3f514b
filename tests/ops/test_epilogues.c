/* What matmul does to its sums besides GEGLU: biases, gelu of them, adding to what is there; and
 * rows that are no multiple of 32 values, with zeros behind them in the buffers that products read.
 *
 * Outputs are full of NaN before, so that a tail that is not cleared shows; what BIAS_ADD adds to
 * has zeros in its tail, as a plan has them.
 *
 * Tolerances: harness.h. gelu has a slope of at most 1.13 and halves the values' squares or better,
 * so that nmse may be twice that of a sum.
 *
 * SPDX-License-Identifier: MIT
 */
#include "ops/harness.h"

static const char *const names[] = {[PD_EPILOGUE_NONE] = "none",
                                    [PD_EPILOGUE_BIAS] = "bias",
                                    [PD_EPILOGUE_BIAS_GELU] = "bias, gelu",
                                    [PD_EPILOGUE_BIAS_ADD] = "bias, add"};

typedef struct epilogue_case {
    pd_epilogue epilogue;
    uint32_t k, n_rows, n_weights;
    pd_type types[PD_MATMUL_MAX_WEIGHTS];
    uint32_t n[PD_MATMUL_MAX_WEIGHTS];
    uint32_t out_stride; /* 0: padded to 32 */
    bool of_outputs;
} epilogue_case;

static uint32_t padded(uint32_t width) {
    return (uint32_t)pd_round_up(width, 32);
}

/* [rows, stride]: `width` values, zeros behind them. */
static float *padded_normals(uint32_t rows, uint32_t width, uint32_t stride) {
    float *x = ops_alloc((size_t)rows * stride, sizeof *x);
    for (uint32_t r = 0; r < rows; r++)
        for (uint32_t i = 0; i < width; i++) x[(size_t)r * stride + i] = ops_normal();
    return x;
}

static float *not_numbers(size_t n) {
    float *x = ops_alloc(n, sizeof *x);
    for (size_t i = 0; i < n; i++) x[i] = NAN;
    return x;
}

static pd_op_matmul make_weights(const epilogue_case *k, uint32_t *width) {
    pd_op_matmul mm = {.n_weights = k->n_weights, .epilogue = k->epilogue};
    *width = 0;
    for (uint32_t i = 0; i < k->n_weights; i++) {
        mm.weights[i] = ops_tensor(k->types[i], k->n[i], k->k, 1.0f / sqrtf((float)k->k));
        if (k->epilogue != PD_EPILOGUE_NONE)
            mm.biases[i] = ops_tensor(PD_TYPE_F32, 0, k->n[i], 0.5f);
        *width += k->n[i];
    }
    return mm;
}

static void describe(const epilogue_case *k, char text[160]) {
    int n = snprintf(text, 160, "K %u, %u rows", k->k, k->n_rows);
    for (uint32_t i = 0; i < k->n_weights; i++)
        n += snprintf(text + n, 160 - (size_t)n, ", %s x %u", pd_type_name(k->types[i]), k->n[i]);
}

static void run_case(const epilogue_case *k) {
    uint32_t width, x_stride = padded(k->k);
    pd_op_matmul mm = make_weights(k, &width);
    uint32_t stride = k->out_stride ? k->out_stride : padded(width);
    pd_rows_of rows_of = k->of_outputs ? PD_ROWS_OUTPUTS : PD_ROWS_TOKENS;
    uint32_t max_rows = k->n_rows < 3 ? k->n_rows : k->n_rows < 17 ? 17 : k->n_rows + 1;
    pd_plan plan;
    pd_plan_init(&plan, &(pd_plan_desc){.name = "epilogue",
                                        .precision = PD_PRECISION_EXACT,
                                        .max_rows = max_rows,
                                        .max_outs = max_rows,
                                        .max_seqs = 1,
                                        .max_positions = 512});
    mm.x = pd_plan_add_buf(&plan, "x", rows_of, x_stride, PD_BUF_INPUT);
    mm.out = pd_plan_add_buf(&plan, "out", rows_of, stride, PD_BUF_INPUT);
    pd_plan_add_op(&plan, -1, "matmul", &(pd_op){.kind = PD_OP_MATMUL, .matmul = mm});
    bool adds = k->epilogue == PD_EPILOGUE_BIAS_ADD;
    size_t n_out = (size_t)k->n_rows * stride;
    ops_run run = {
        .step = {.n_rows = k->n_rows,
                 .n_outs = k->of_outputs ? k->n_rows : 0,
                 .n_seqs = 1,
                 .rows = ops_rows(k->n_rows, 1),
                 .out_rows = ops_alloc(k->n_rows, sizeof(uint32_t)),
                 .tables = &(pd_page_table){0}},
        .inputs = {{mm.x, padded_normals(k->n_rows, k->k, x_stride), 4ull * k->n_rows * x_stride},
                   {mm.out, adds ? padded_normals(k->n_rows, width, stride) : not_numbers(n_out),
                    4 * n_out}},
        .n_inputs = 2,
        .outputs = {mm.out},
        .n_outputs = 1};
    double factor = k->epilogue == PD_EPILOGUE_BIAS_GELU ? 2 : 1;
    ops_case c = {.family = names[k->epilogue],
                  .plan = &plan,
                  .runs = &run,
                  .n_runs = 1,
                  .max_nmse = OPS_NMSE_SUM * factor,
                  .max_worst = OPS_WORST_SUM * sqrt(factor)};
    describe(k, c.text);
    ops_compare(&c);
}

/* ---- the tests ------------------------------------------------------------------------------ */

/* A kernel is built for each type, epilogue and largest number of rows, and on a rasteriser that
 * takes seconds: types and epilogues come in few pairs, and 3 to 16 rows share a plan of 17. */
typedef struct type_and_epilogue {
    pd_type type;
    pd_epilogue epilogue;
} type_and_epilogue;

/* Rows that end inside a block of 32, as patches do (3 * 14 * 14 = 588). */
static void test_ragged_rows(void **state) {
    (void)state;
    static const uint32_t rows[] = {1, 3, 4, 5, 6, 7, 8, 9, 33, 65};
    static const uint32_t shapes[][2] = {{588, 100}, {72, 100}, {36, 36}, {75, 144}, {27, 4}};
    static const type_and_epilogue pairs[] = {{PD_TYPE_F32, PD_EPILOGUE_BIAS_ADD},
                                              {PD_TYPE_F16, PD_EPILOGUE_BIAS_GELU},
                                              {PD_TYPE_BF16, PD_EPILOGUE_BIAS}};
    for (uint32_t i = 0; i < 30; i++)
        run_case(&(epilogue_case){.epilogue = pairs[i % 3].epilogue,
                                  .k = shapes[i % 5][0],
                                  .n_rows = rows[i / 3],
                                  .n_weights = 1,
                                  .types = {pairs[i % 3].type},
                                  .n = {shapes[(i + i / 5) % 5][1]},
                                  .of_outputs = i % 7 == 6});
    ops_conclude();
}

static void test_quantised(void **state) {
    (void)state;
    static const uint32_t rows[] = {1, 4, 9, 33};
    static const type_and_epilogue pairs[] = {{PD_TYPE_Q8_0, PD_EPILOGUE_BIAS_GELU},
                                              {PD_TYPE_Q4_0, PD_EPILOGUE_BIAS_ADD}};
    for (uint32_t i = 0; i < 8; i++)
        run_case(&(epilogue_case){.epilogue = pairs[i % 2].epilogue,
                                  .k = i % 3 ? 288 : 96,
                                  .n_rows = rows[i / 2],
                                  .n_weights = 1,
                                  .types = {pairs[i % 2].type},
                                  .n = {i % 4 == 3   ? 4u
                                        : i % 4 == 1 ? 72u
                                                     : 432u}});
    ops_conclude();
}

/* The released models' feed-forward: 4304 outputs, 134.5 blocks of 32. */
static void test_large(void **state) {
    (void)state;
    run_case(&(epilogue_case){.epilogue = PD_EPILOGUE_BIAS_GELU,
                              .k = 1152,
                              .n_rows = 9,
                              .n_weights = 1,
                              .types = {PD_TYPE_Q8_0},
                              .n = {4304}});
    run_case(&(epilogue_case){.epilogue = PD_EPILOGUE_BIAS_ADD,
                              .k = 4304,
                              .n_rows = 3,
                              .n_weights = 1,
                              .types = {PD_TYPE_F32},
                              .n = {1152}});
    run_case(&(epilogue_case){.epilogue = PD_EPILOGUE_BIAS_ADD,
                              .k = 588,
                              .n_rows = 300,
                              .n_weights = 1,
                              .types = {PD_TYPE_F32},
                              .n = {100}});
    run_case(&(epilogue_case){.epilogue = PD_EPILOGUE_BIAS_GELU,
                              .k = 72,
                              .n_rows = 300,
                              .n_weights = 1,
                              .types = {PD_TYPE_F16},
                              .n = {100}});
    ops_conclude();
}

/* Query, key and value: biases are one vector behind the other whatever the matrices' types are. */
static void test_side_by_side(void **state) {
    (void)state;
    static const pd_type mixes[][3] = {{PD_TYPE_BF16, PD_TYPE_BF16, PD_TYPE_BF16},
                                       {PD_TYPE_Q8_0, PD_TYPE_BF16, PD_TYPE_BF16},
                                       {PD_TYPE_BF16, PD_TYPE_BF16, PD_TYPE_Q8_0},
                                       {PD_TYPE_Q8_0, PD_TYPE_Q8_0, PD_TYPE_Q8_0}};
    static const uint32_t sizes[][3] = {{72, 72, 72}, {288, 96, 96}, {36, 36, 36}, {33, 1, 7}};
    static const uint32_t rows[] = {1, 6, 33, 70};
    for (uint32_t i = 0; i < 8; i++) {
        const pd_type *m = mixes[i % 4];
        const uint32_t *n = sizes[(i + i / 4) % 4], sum = n[0] + n[1] + n[2];
        run_case(&(epilogue_case){.epilogue = PD_EPILOGUE_BIAS,
                                  .k = i % 4 == 0 ? 72 : 96,
                                  .n_rows = rows[(i + i / 4) % 4],
                                  .n_weights = 3,
                                  .types = {m[0], m[1], m[2]},
                                  .n = {n[0], n[1], n[2]},
                                  .out_stride = i < 4 ? sum : padded(sum)});
    }
    ops_conclude();
}

/* The projection: rows with a tail, no epilogue. */
static void test_without(void **state) {
    (void)state;
    static const uint32_t rows[] = {9, 36};
    for (uint32_t i = 0; i < 2; i++)
        run_case(&(epilogue_case){.k = 72,
                                  .n_rows = rows[i],
                                  .n_weights = 1,
                                  .types = {PD_TYPE_F16},
                                  .n = {100},
                                  .of_outputs = true});
    ops_conclude();
}

/* ---- one product after the other ------------------------------------------------------------ */

typedef struct chain_case {
    uint32_t width, n_ff, n_rows;
    pd_type up, down;
} chain_case;

/* x = layernorm(h), ff = gelu(W1 x + b1), h += W2 ff + b2 at `f16`: x and ff are halves on devices
 * that like them so, and their tails meet the zeros behind the weights' rows.
 *
 * Halves round x and ff by up to 2^-11 of themselves, nmse 2^-22 / 3 each; products of packed
 * halves sum 32 terms with roundings of 2^-11 and round the weights once: 33 * 2^-22 each. What
 * comes out has gone through both: 67 * 2^-22 at most, times gelu's factor. The worst element lies
 * at 5 standard deviations or, in ff, whose large values are rare, at up to 10. */
static void run_chain(const chain_case *k) {
    uint32_t d = padded(k->width), f = padded(k->n_ff), n = k->n_rows;
    double nmse = 2 * 67.0 / (1 << 22);
    pd_plan plan;
    pd_plan_init(&plan, &(pd_plan_desc){.name = "chain",
                                        .precision = PD_PRECISION_F16,
                                        .max_rows = n < 17 ? 17 : n,
                                        .max_outs = 1,
                                        .max_seqs = 1,
                                        .max_positions = 64});
    pd_buf_id h = pd_plan_add_buf(&plan, "h", PD_ROWS_TOKENS, d, PD_BUF_INPUT);
    pd_buf_id x = pd_plan_add_buf(&plan, "x", PD_ROWS_TOKENS, d, PD_BUF_INPUT);
    pd_buf_id ff = pd_plan_add_buf(&plan, "ff", PD_ROWS_TOKENS, f, PD_BUF_INPUT);
    pd_op_layernorm norm = {.x = h,
                            .out = x,
                            .weight = ops_tensor(PD_TYPE_F32, 0, k->width, 1.0f),
                            .bias = ops_tensor(PD_TYPE_F32, 0, k->width, 0.5f),
                            .eps = 1e-6f};
    epilogue_case up = {PD_EPILOGUE_BIAS_GELU, k->width, n, 1, {k->up}, {k->n_ff}, 0, false};
    epilogue_case down = {PD_EPILOGUE_BIAS_ADD, k->n_ff, n, 1, {k->down}, {k->width}, 0, false};
    uint32_t width;
    pd_op_matmul w1 = make_weights(&up, &width), w2 = make_weights(&down, &width);
    w1.x = x;
    w1.out = w2.x = ff;
    w2.out = h;
    pd_plan_add_op(&plan, 0, "ln", &(pd_op){.kind = PD_OP_LAYERNORM, .layernorm = norm});
    pd_plan_add_op(&plan, 0, "up", &(pd_op){.kind = PD_OP_MATMUL, .matmul = w1});
    pd_plan_add_op(&plan, 0, "down", &(pd_op){.kind = PD_OP_MATMUL, .matmul = w2});
    ops_run run = {
        .step = {.n_rows = n, .n_seqs = 1, .rows = ops_rows(n, 1), .tables = &(pd_page_table){0}},
        .inputs = {{h, padded_normals(n, k->width, d), 4ull * n * d},
                   {x, not_numbers((size_t)n * d), 4ull * n * d},
                   {ff, not_numbers((size_t)n * f), 4ull * n * f}},
        .n_inputs = 3,
        .outputs = {x, ff, h},
        .n_outputs = 3};
    ops_case c = {.family = "chain at f16",
                  .plan = &plan,
                  .runs = &run,
                  .n_runs = 1,
                  .max_nmse = nmse,
                  .max_worst = 10 * sqrt(nmse)};
    snprintf(c.text, sizeof c.text, "%s, width %u, %u between, %u rows", pd_type_name(k->up),
             k->width, k->n_ff, n);
    ops_compare(&c);
}

static void test_chain(void **state) {
    (void)state;
    static const uint32_t rows[] = {4, 9, 33, 70, 12};
    static const uint32_t shapes[][2] = {{72, 100}, {36, 204}, {100, 36}, {144, 432}, {72, 4}};
    for (uint32_t i = 0; i < 10; i++)
        run_chain(&(chain_case){shapes[i % 5][0], shapes[i % 5][1], rows[(i + i / 5) % 5],
                                PD_TYPE_F16, PD_TYPE_F32});
    for (uint32_t i = 0; i < 4; i++)
        run_chain(&(chain_case){96, 288, rows[i], PD_TYPE_Q8_0, PD_TYPE_Q4_0});
    ops_conclude();
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_ragged_rows),
                                       cmocka_unit_test(test_quantised),
                                       cmocka_unit_test(test_large),
                                       cmocka_unit_test(test_side_by_side),
                                       cmocka_unit_test(test_without),
                                       cmocka_unit_test(test_chain),
                                       cmocka_unit_test(check_validation_silent)};
    PRINT_LOG();
    return cmocka_run_group_tests_name("ops.epilogues", tests, ops_setup, ops_teardown);
}
