/* The matmul operation over every stored type, with shapes that no kernel likes; several weights
 * side by side; GEGLU. Tolerances: harness.h (K is at most 6912; there the estimate K u^2 is
 * 2.5e-11 and still below OPS_NMSE_SUM).
 *
 * GEGLU multiplies gelu(gate) by up. Where gelu nearly vanishes (gate < -3) its relative error
 * grows, but such elements are small against the rest.
 *
 * SPDX-License-Identifier: MIT
 */
#include "ops/harness.h"

enum { A_LATER_LAYER = 9 }; /* the first ones may be more exact than the precision asks */

static const uint32_t token_counts[] = {1, 2, 3, 6, 14, 15, 65, 130};
static const uint32_t output_counts[] = {1, 3, 33, 600, 1000};
static const uint32_t k_of_32[] = {32, 96, 160, 1152}, k_of_256[] = {256, 512, 768, 1280};

typedef struct matmul_case {
    const char *family;
    uint32_t k, n_tokens, n_weights;
    pd_type types[PD_MATMUL_MAX_WEIGHTS];
    uint32_t n[PD_MATMUL_MAX_WEIGHTS];
    bool geglu, of_outputs, cpu_only, not_cpu;
    pd_precision precision; /* 0, f16: see reduced_case */
    int reduced;            /* the largest integer among the inputs; 0: they are any numbers */
    double max_nmse;        /* 0: OPS_NMSE_SUM */
    double matrix_factor;   /* ops_case's */
} matmul_case;

/* Values that the reduced formats hold exactly: integers up to `most`, one of them in every block
 * of 32, times a power of two. */
static float *representable(size_t n, int most) {
    float *x = ops_alloc(n, sizeof *x);
    for (size_t i = 0; i < n; i++) {
        int q = (int)(ops_random() % (2 * (unsigned)most + 1)) - most;
        x[i] = ldexpf((float)(i % 32 == 5 ? most : q), most > 2048 ? -14 : -6);
    }
    return x;
}

static float *case_inputs(const matmul_case *k, size_t n) {
    return k->reduced ? representable(n, k->reduced) : ops_normals(n, 1.0f);
}

static void run_case(const matmul_case *k) {
    pd_rows_of rows_of = k->of_outputs ? PD_ROWS_OUTPUTS : PD_ROWS_TOKENS;
    pd_op_matmul mm = {.n_weights = k->n_weights,
                       .epilogue = k->geglu ? PD_EPILOGUE_GEGLU : PD_EPILOGUE_NONE};
    double nmse = k->max_nmse > 0 ? k->max_nmse : OPS_NMSE_SUM;
    ops_case c = {.family = k->family,
                  .max_nmse = nmse,
                  .matrix_factor = k->matrix_factor,
                  .max_worst = OPS_WORST_SUM * sqrt(nmse / OPS_NMSE_SUM)};
    if (k->reduced && k->geglu) c.max_worst *= 3; /* of 65000 products of two normals: 11 to 4.3 */
    int n_text = snprintf(c.text, sizeof c.text, "K %u, %u tokens", k->k, k->n_tokens);
    uint32_t width = 0;
    for (uint32_t i = 0; i < k->n_weights; i++) {
        mm.weights[i] = ops_tensor(k->types[i], k->n[i], k->k, 1.0f / sqrtf((float)k->k));
        width += k->geglu && i == 1 ? 0 : k->n[i];
        n_text += snprintf(c.text + n_text, sizeof c.text - (size_t)n_text, ", %s x %u",
                           pd_type_name(k->types[i]), k->n[i]);
    }
    pd_plan plan;
    uint32_t max_rows = k->n_tokens + 2;
    pd_plan_init(&plan, &(pd_plan_desc){.name = "matmul",
                                        .precision = k->reduced ? k->precision : PD_PRECISION_EXACT,
                                        .max_rows = max_rows,
                                        .max_outs = max_rows,
                                        .max_seqs = 1,
                                        .max_positions = 256});
    mm.x = pd_plan_add_buf(&plan, "x", rows_of, k->k, PD_BUF_INPUT);
    mm.out = pd_plan_add_buf(&plan, "out", rows_of, width, PD_BUF_OUTPUT);
    pd_plan_add_op(&plan, A_LATER_LAYER, "matmul", &(pd_op){.kind = PD_OP_MATMUL, .matmul = mm});

    uint64_t n = (uint64_t)k->k * k->n_tokens;
    uint32_t *out_rows = ops_alloc(k->n_tokens, sizeof *out_rows);
    ops_run run = {.step = {.n_rows = k->n_tokens,
                            .n_outs = k->of_outputs ? k->n_tokens : 0,
                            .n_seqs = 1,
                            .rows = ops_rows(k->n_tokens, 1),
                            .out_rows = out_rows,
                            .tables = &(pd_page_table){0}},
                   .inputs = {{mm.x, case_inputs(k, n), n * 4}},
                   .n_inputs = 1,
                   .outputs = {mm.out},
                   .n_outputs = 1};
    c.plan = &plan;
    c.runs = &run;
    c.n_runs = 1;
    c.cpu_only = k->cpu_only;
    c.not_cpu = k->not_cpu;
    ops_compare(&c);
}

static uint32_t a_k(const pd_type_info *t, uint32_t i) {
    return t->block_values == 256 ? k_of_256[i % 4] : k_of_32[i % 4];
}

static void test_every_type(void **state) {
    uint32_t n_types;
    const pd_type_info *types = pd_type_list(&n_types);
    (void)state;
    for (uint32_t t = 0; t < n_types; t++) {
        char family[32];
        snprintf(family, sizeof family, "matmul %s", types[t].name);
        for (uint32_t i = 0; i < 8; i++) {
            run_case(&(matmul_case){.family = family,
                                    .k = a_k(&types[t], i + t / 2),
                                    .n_tokens = token_counts[i],
                                    .n_weights = 1,
                                    .types = {types[t].type},
                                    .n = {output_counts[(2 * i + t) % 5]},
                                    .of_outputs = i == 5});
        }
    }
    ops_conclude();
}

/* Longer than any block that a kernel keeps in a cache. */
static void test_long_rows(void **state) {
    static const pd_type types[] = {PD_TYPE_Q4_0, PD_TYPE_Q6_K, PD_TYPE_BF16, PD_TYPE_Q8_0};
    static const uint32_t tokens[] = {1, 3, 15, 70};
    (void)state;
    for (uint32_t i = 0; i < 4; i++) {
        run_case(&(matmul_case){.family = "matmul long rows",
                                .k = i % 2 ? 6912 : 2560,
                                .n_tokens = tokens[i],
                                .n_weights = 1,
                                .types = {types[i]},
                                .n = {51}});
        run_case(&(matmul_case){.family = "matmul long rows",
                                .k = i % 2 ? 2304 : 6912,
                                .n_tokens = tokens[3 - i],
                                .n_weights = 1,
                                .types = {types[i]},
                                .n = {49}});
    }
    ops_conclude();
}

/* Rows that end inside a vector; only the types without blocks can have them. */
static void test_odd_widths(void **state) {
    static const pd_type types[] = {PD_TYPE_F32, PD_TYPE_F16, PD_TYPE_BF16};
    static const uint32_t widths[] = {7, 33, 1000}, tokens[] = {1, 2, 4, 20};
    (void)state;
    for (uint32_t i = 0; i < 12; i++) {
        run_case(&(matmul_case){.family = "matmul odd widths",
                                .k = widths[i % 3],
                                .n_tokens = tokens[i / 3],
                                .n_weights = 1,
                                .types = {types[(i + i / 3) % 3]},
                                .n = {19},
                                .cpu_only = true});
    }
    ops_conclude();
}

static void test_side_by_side(void **state) {
    static const pd_type mixes[][3] = {{PD_TYPE_Q4_0, PD_TYPE_Q4_0, PD_TYPE_Q4_0},
                                       {PD_TYPE_Q4_K, PD_TYPE_Q4_K, PD_TYPE_Q6_K},
                                       {PD_TYPE_F16, PD_TYPE_Q8_0, PD_TYPE_F32},
                                       {PD_TYPE_Q5_0, PD_TYPE_BF16, PD_TYPE_Q4_1}};
    static const uint32_t sizes[][3] = {{1024, 256, 256}, {96, 32, 32}, {33, 1, 7}, {3, 600, 50}};
    (void)state;
    for (uint32_t i = 0; i < 8; i++) {
        const pd_type *m = mixes[i % 4];
        const uint32_t *n = sizes[(i + i / 4) % 4];
        run_case(&(matmul_case){.family = "matmul, three weights",
                                .k = i % 4 == 1 ? 512 : 160,
                                .n_tokens = token_counts[i],
                                .n_weights = 3,
                                .types = {m[0], m[1], m[2]},
                                .n = {n[0], n[1], n[2]}});
    }
    run_case(&(matmul_case){.family = "matmul, two weights",
                            .k = 96,
                            .n_tokens = 9,
                            .n_weights = 2,
                            .types = {PD_TYPE_Q8_0, PD_TYPE_Q5_1},
                            .n = {65, 31}});
    ops_conclude();
}

static void test_geglu(void **state) {
    static const pd_type pairs[][2] = {{PD_TYPE_Q4_0, PD_TYPE_Q4_0}, {PD_TYPE_Q4_K, PD_TYPE_Q6_K},
                                       {PD_TYPE_F16, PD_TYPE_F16},   {PD_TYPE_Q8_0, PD_TYPE_Q5_0},
                                       {PD_TYPE_BF16, PD_TYPE_F32},  {PD_TYPE_Q5_K, PD_TYPE_Q5_K},
                                       {PD_TYPE_Q5_1, PD_TYPE_Q4_1}, {PD_TYPE_Q4_0, PD_TYPE_Q4_0}};
    (void)state;
    for (uint32_t i = 0; i < 8; i++) {
        bool k256 = pd_type_get(pairs[i][0])->block_values == 256;
        uint32_t n = output_counts[(i + 1) % 5];
        run_case(&(matmul_case){.family = "matmul geglu",
                                .k = k256 ? 768 : k_of_32[(i + 3) % 4],
                                .n_tokens = token_counts[i],
                                .n_weights = 2,
                                .types = {pairs[i][0], pairs[i][1]},
                                .n = {n, n},
                                .geglu = true});
    }
    ops_conclude();
}

/* Products of rows that are kept in halves or in integers, with inputs that these hold exactly:
 * what is left is the arithmetic. Integers make no error; packed halves sum 32 products with
 * roundings of 2^-11 each and round the weights once, so nmse is at most about 33 * 2^-22. Devices
 * that do not reduce compute in f32.
 *
 * At q8 a matrix unit rounds weights to bfloat16, which is off by 2^-8 / sqrt(12) of a value at
 * most: nmse 5.1e-6, here of two factors, and of 33 weight rows whose errors all activations share.
 *
 * 16-bit integers in two bytes end at 32639 = 257 * 127; halves hold integers of 8 bits. At q8 the
 * processor has bytes, and GPUs 16 bits; at f16 the processor has 16 bits. */
static void reduced_case(const matmul_case *like) {
    static const uint32_t tokens[] = {1, 6, 65};
    uint32_t n_types;
    const pd_type_info *types = pd_type_list(&n_types);
    for (uint32_t i = 0; i < 3 * n_types; i++) {
        const pd_type_info *t = &types[i / 3];
        bool geglu = (i + i / 3) % 3 == 2;
        /* At least 1000 products of two numbers: with 33, one large gate whose other factor is
         * nearly 0 can make nmse ten times its mean. */
        uint32_t n = geglu ? output_counts[4 - i % 3] : output_counts[(i + i / 3) % 5];
        matmul_case k = *like;
        k.k = a_k(t, i);
        k.n_tokens = tokens[i % 3];
        k.n_weights = geglu ? 2 : 1;
        for (uint32_t w = 0; w < k.n_weights; w++) {
            k.types[w] = t->type;
            k.n[w] = n;
        }
        k.geglu = geglu;
        run_case(&k);
    }
}

static void test_reduced(void **state) {
    (void)state;
    reduced_case(&(matmul_case){.family = "matmul q8, bytes",
                                .precision = PD_PRECISION_Q8,
                                .reduced = 127,
                                .max_nmse = OPS_NMSE_SUM,
                                .matrix_factor = 8 * 5.1e-6 / OPS_NMSE_SUM});
    reduced_case(&(matmul_case){.family = "matmul q8, 16 bits",
                                .precision = PD_PRECISION_Q8,
                                .reduced = 32639,
                                .max_nmse = OPS_NMSE_SUM,
                                .not_cpu = true});
    reduced_case(&(matmul_case){.family = "matmul f16, 16 bits",
                                .precision = PD_PRECISION_F16,
                                .reduced = 32639,
                                .max_nmse = OPS_NMSE_SUM,
                                .cpu_only = true});
    for (uint32_t n = 23; n < 34; n += 3) {
        run_case(&(matmul_case){.family = "matmul f16, longest rows",
                                .precision = PD_PRECISION_F16,
                                .reduced = 32639,
                                .k = 12288,
                                .n_tokens = n,
                                .n_weights = 1,
                                .types = {PD_TYPE_Q4_0},
                                .n = {49},
                                .cpu_only = true});
    }
    reduced_case(&(matmul_case){.family = "matmul f16, halves",
                                .precision = PD_PRECISION_F16,
                                .reduced = 127,
                                .max_nmse = 33.0 / (1 << 22)});
    ops_conclude();
}

/* Gates from -60 to 60: where exp and tanh overflow when taken carelessly. */
static void test_geglu_range(void **state) {
    (void)state;
    enum { K = 32, N = 121 };
    float *gate = ops_alloc(N * K, sizeof *gate), *up = ops_alloc(N * K, sizeof *up);
    for (uint32_t i = 0; i < N; i++) {
        gate[i * K] = (float)i - 60.0f;
        up[i * K] = 1.0f;
    }
    pd_tensor *w = ops_alloc(2, sizeof *w);
    for (int i = 0; i < 2; i++) {
        w[i] = (pd_tensor){.type = PD_TYPE_F32,
                           .n_dims = 2,
                           .ne = {K, N, 1, 1},
                           .n_bytes = N * K * 4,
                           .data = (const uint8_t *)(i ? up : gate)};
        snprintf(w[i].name, sizeof w[i].name, "range.%d", i);
    }
    float *x = ops_alloc(K, sizeof *x);
    x[0] = 1.0f;
    pd_plan plan;
    pd_plan_init(&plan, &(pd_plan_desc){.name = "geglu",
                                        .precision = PD_PRECISION_EXACT,
                                        .max_rows = 1,
                                        .max_outs = 1,
                                        .max_seqs = 1,
                                        .max_positions = 64});
    pd_op_matmul mm = {.n_weights = 2, .weights = {&w[0], &w[1]}, .epilogue = PD_EPILOGUE_GEGLU};
    mm.x = pd_plan_add_buf(&plan, "x", PD_ROWS_TOKENS, K, PD_BUF_INPUT);
    mm.out = pd_plan_add_buf(&plan, "out", PD_ROWS_TOKENS, N, PD_BUF_OUTPUT);
    pd_plan_add_op(&plan, -1, "matmul", &(pd_op){.kind = PD_OP_MATMUL, .matmul = mm});
    ops_run run = {
        .step = {.n_rows = 1, .n_seqs = 1, .rows = ops_rows(1, 1), .tables = &(pd_page_table){0}},
        .inputs = {{mm.x, x, K * 4}},
        .n_inputs = 1,
        .outputs = {mm.out},
        .n_outputs = 1};
    ops_compare(&(ops_case){.family = "geglu range",
                            .text = "gates -60..60",
                            .plan = &plan,
                            .runs = &run,
                            .n_runs = 1,
                            .max_nmse = OPS_NMSE_SUM,
                            .max_worst = OPS_WORST_SUM});
    ops_conclude();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_type),  cmocka_unit_test(test_long_rows),
        cmocka_unit_test(test_odd_widths),  cmocka_unit_test(test_side_by_side),
        cmocka_unit_test(test_geglu),       cmocka_unit_test(test_reduced),
        cmocka_unit_test(test_geglu_range), cmocka_unit_test(check_validation_silent)};
    PRINT_LOG();
    return cmocka_run_group_tests_name("ops.matmul", tests, ops_setup, ops_teardown);
}
