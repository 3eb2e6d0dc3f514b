/* Drawing on a device: the very token that pd_sample_token draws on the host, for thousands of rows
 * of logits of many shapes and settings, with masks and without, given by the host or made by the
 * operation before. With a mask pd_sample_token itself is compared with what a draw is in the
 * plainest words: sort, cut, add up.
 *
 * SPDX-License-Identifier: MIT
 */
#include "ops/harness.h"

enum { ROWS = 32, MANY = 200000 };

typedef struct draw_plan {
    pd_plan plan;
    pd_buf_id x, out;
    pd_program *program[OPS_MAX_DEVICES];
    uint32_t n; /* values per row */
} draw_plan;

static void open_plan(draw_plan *d, uint32_t n, uint32_t rows) {
    pd_error err;
    d->n = n;
    pd_plan_init(&d->plan, &(pd_plan_desc){.name = "sample",
                                           .precision = PD_PRECISION_EXACT,
                                           .max_rows = rows,
                                           .max_outs = rows,
                                           .max_seqs = 1,
                                           .max_positions = 256});
    d->x = pd_plan_add_buf(&d->plan, "x", PD_ROWS_OUTPUTS, n, PD_BUF_INPUT);
    d->out = pd_plan_add_buf(&d->plan, "best", PD_ROWS_OUTPUTS, 4, PD_BUF_OUTPUT);
    pd_op_sample op = {.x = d->x, .out = d->out};
    pd_plan_add_op(&d->plan, -1, "sample", &(pd_op){.kind = PD_OP_SAMPLE, .sample = op});
    ops_check(pd_plan_finish(&d->plan, &err), &err);
    for (uint32_t i = 0; i < ops_n_devices; i++) {
        pd_backend *b = ops_devices[i].backend;
        ops_check(b->v->load(b, &d->plan, NULL, NULL, &err), &err);
        ops_check(b->v->compile(b, &d->plan, NULL, &d->program[i], &err), &err);
    }
}

static void close_plan(draw_plan *d) {
    for (uint32_t i = 0; i < ops_n_devices; i++)
        ops_devices[i].backend->v->destroy(ops_devices[i].backend, d->program[i]);
    pd_plan_free(&d->plan);
}

static uint32_t count_nonfinite(const float *x, uint32_t n) {
    uint32_t bad = 0;
    for (uint32_t i = 0; i < n; i++) bad += isfinite(x[i]) ? 0 : 1;
    return bad;
}

/* ---- what is right -------------------------------------------------------------------------- */

static int by_rank(const void *a, const void *b) {
    const pd_candidate *x = a, *y = b;
    if (x->key != y->key) return x->key > y->key ? -1 : 1;
    return x->id < y->id ? -1 : x->id > y->id;
}

static uint64_t total_of(const pd_candidate *items, uint32_t n) {
    uint64_t total = 0;
    for (uint32_t i = 0; i < n; i++) total += items[i].weight;
    return total;
}

/* (total * fraction) >> 32 */
static uint64_t share_of(uint64_t total, uint32_t fraction) {
    return (total >> 32) * fraction + ((total & UINT32_MAX) * fraction >> 32);
}

static uint32_t plain_draw(const pd_sample_params *d, const float *row, uint32_t n) {
    static pd_candidate all[PD_SAMPLE_END];
    uint32_t n_all = 0, n_in = 0;
    for (uint32_t i = 0; i < n; i++) {
        bool never = i == 255999 || i == 256000 || i >= 262144;
        if (never || !isfinite(row[i]) || !(d->mask[i / 32] & UINT32_C(1) << i % 32)) continue;
        all[n_all++] = (pd_candidate){pd_sample_key(pd_float_bits(row[i])), i, 0};
    }
    if (n_all == 0) return PD_SAMPLE_NO_ID;
    qsort(all, n_all, sizeof *all, by_rank);
    if (d->k <= 1) return all[0].id;
    if (n_all > d->k) n_all = d->k;
    for (uint32_t i = 0; i < n_all; i++)
        all[i].weight = pd_sample_weight(all[0].key, all[i].key, d->scale);
    uint64_t enough = share_of(total_of(all, n_all), d->top_p);
    while (n_in < n_all && (!d->top_p || n_in == 0 || total_of(all, n_in) < enough)) n_in++;
    while (all[n_in - 1].weight < d->min_p) n_in--;
    uint64_t target = share_of(total_of(all, n_in), pd_sample_random(d->seed, d->counter));
    for (uint32_t i = 0; i < n_in; i++)
        if (total_of(all, i + 1) > target) return all[i].id;
    return PD_SAMPLE_NO_ID;
}

/* The definition on the host, with a mask; without one, the sampler's tests are there for it. */
static void judge_host(const float *row, uint32_t n, const pd_sample_params *draw) {
    if (!draw->mask) return;
    uint32_t id = pd_sample_token(draw, row, n), right = plain_draw(draw, row, n);
    if (id != right)
        fail_msg("the host, %u values, k %u, top_p %u, min_p %u: drawn %u; expected %u", n, draw->k,
                 draw->top_p, draw->min_p, id, right);
}

/* What a device drew from a row that has a finite value. */
static void judge_row(const char *device, const float *row, uint32_t n,
                      const pd_sample_params *draw, const uint32_t *found) {
    uint32_t best = pd_sample_token(&(pd_sample_params){.k = 1}, row, n);
    uint32_t id = pd_sample_token(draw, row, n);
    uint32_t bad = count_nonfinite(row, n);
    if (found[0] == best && found[1] == pd_float_bits(row[best]) && found[2] == bad &&
        found[3] == id)
        return;
    fail_msg("%s, %u values, k %u, scale %g, top_p %u, min_p %u, %s: best %u, %u bad, drawn "
             "%u; expected best %u, %u bad, drawn %u",
             device, n, draw->k, (double)draw->scale, draw->top_p, draw->min_p,
             draw->mask ? "a mask" : "no mask", found[0], found[2], found[3], best, bad, id);
}

/* ---- steps ---------------------------------------------------------------------------------- */

static pd_step step_of(uint32_t rows, const pd_sample_params *draws) {
    static const pd_page_table table;
    static uint32_t out_rows[ROWS];
    for (uint32_t i = 0; i < ROWS; i++) out_rows[i] = i;
    return (pd_step){.n_rows = rows,
                     .n_outs = rows,
                     .n_seqs = 1,
                     .rows = ops_rows(rows, 1),
                     .out_rows = out_rows,
                     .tables = &table,
                     .sampling = draws};
}

/* Draws from every row on every device; the rows may hold anything that has a finite value. */
static void compare_rows(draw_plan *d, const float *x, const pd_sample_params *draws,
                         uint32_t rows) {
    pd_error err;
    uint32_t found[4 * ROWS];
    pd_step step = step_of(rows, draws);
    for (uint32_t r = 0; r < rows; r++) judge_host(x + (size_t)r * d->n, d->n, &draws[r]);
    for (uint32_t i = 0; i < ops_n_devices; i++) {
        const pd_backend_vtable *v = ops_devices[i].backend->v;
        ops_check(v->write(d->program[i], d->x, 0, 4ull * rows * d->n, x, &err), &err);
        ops_check(v->run(d->program[i], &step, &err), &err);
        ops_check(v->read(d->program[i], d->out, 0, 16ull * rows, found, &err), &err);
        for (uint32_t r = 0; r < rows; r++)
            judge_row(ops_devices[i].name, x + (size_t)r * d->n, d->n, &draws[r], found + 4 * r);
    }
}

/* ---- rows and settings ---------------------------------------------------------------------- */

typedef enum row_shape { NORMAL, TIES, EQUAL, SPREAD, HOLES, N_SHAPES } row_shape;

static void fill_row(float *x, uint32_t n, row_shape shape) {
    for (uint32_t i = 0; i < n; i++) {
        x[i] = 4 * ops_normal();
        if (shape == TIES) x[i] = floorf(x[i]);
        if (shape == EQUAL) x[i] = -2;
        if (shape == SPREAD) x[i] *= expf(20 * ops_uniform());
        if (shape == HOLES && ops_random() % 4) x[i] = ops_random() % 2 ? -INFINITY : NAN;
    }
    if (!isfinite(x[n / 2])) x[n / 2] = 1;
}

static pd_sample_params random_draw(void) {
    static const float temps[] = {0.05f, 0.7f, 1, 1.3f, 20};
    static const float ps[] = {0, 0.5f, 0.9f, 0.95f, 0.9999f}, mins[] = {0, 0, 0.001f, 0.1f, 1};
    return (pd_sample_params){.k = ops_random() % 5 ? 1 + ops_random() % 256 : ops_random() % 3,
                              .scale = pd_sample_scale(temps[ops_random() % 5]),
                              .top_p = pd_sample_top_p(ps[ops_random() % 5]),
                              .min_p = pd_sample_min_p(mins[ops_random() % 5]),
                              .seed = (uint64_t)ops_random() << 32 | ops_random(),
                              .counter = (uint64_t)ops_random() << (ops_random() % 32)};
}

/* Masks by how many ids are in them: none, one, some at random; those of the last part, or all but
 * the best one. They say nothing of ids that no row has, or that are never drawn: these are in. */
typedef enum mask_shape {
    NONE,
    ONE,
    RARE,
    TENTH,
    HALF,
    NEARLY_ALL,
    LAST,
    NOT_BEST,
    N_MASKS
} mask_shape;

static void fill_mask(uint32_t *mask, const float *row, uint32_t n, mask_shape shape) {
    static const double densities[N_MASKS] = {
        [RARE] = 1e-4, [TENTH] = 0.1, [HALF] = 0.5, [NEARLY_ALL] = 0.99};
    uint32_t one = ops_random() % n, best = pd_sample_token(&(pd_sample_params){.k = 1}, row, n);
    uint32_t end = n < PD_SAMPLE_END ? n : PD_SAMPLE_END;
    memset(mask, 0xff, PD_SAMPLE_END / 8);
    for (uint32_t i = 0; i < end; i++) {
        bool in = ops_random() < densities[shape] * 0x1p32;
        if (shape == ONE) in = i == one;
        if (shape == LAST) in = i / 64 == (end - 1) / 64;
        if (shape == NOT_BEST) in = i != best;
        if (!in && pd_sample_is_allowed(i)) mask[i / 32] &= ~(UINT32_C(1) << i % 32);
    }
}

/* Memory for the mask of a row of a step. */
static uint32_t *mask_of(uint32_t r) {
    static uint32_t masks[ROWS][PD_SAMPLE_END / 32];
    return masks[r];
}

static const uint32_t *random_mask(uint32_t r, const float *row, uint32_t n) {
    if (ops_random() % 2) return NULL;
    fill_mask(mask_of(r), row, n, (mask_shape)(ops_random() % N_MASKS));
    return mask_of(r);
}

static void test_random_rows(void **state) {
    static const uint32_t widths[] = {1, 2, 31, 600, 4097, 9001};
    (void)state;
    for (size_t w = 0; w < sizeof widths / sizeof *widths; w++) {
        draw_plan d;
        pd_sample_params draws[ROWS];
        uint32_t n = widths[w];
        open_plan(&d, n, ROWS);
        float *x = ops_alloc((size_t)ROWS * n, sizeof *x);
        for (uint32_t run = 0; run < 24; run++) {
            for (uint32_t r = 0; r < ROWS; r++) {
                fill_row(x + (size_t)r * n, n, (row_shape)((run + r) % N_SHAPES));
                draws[r] = random_draw();
                draws[r].mask = random_mask(r, x + (size_t)r * n, n);
            }
            compare_rows(&d, x, draws, ROWS);
        }
        close_plan(&d);
    }
}

/* Every k, over ties that a part's end and k cut in the middle. */
static void test_every_k(void **state) {
    enum { N = 5000, SOME = 12 };
    (void)state;
    draw_plan d;
    pd_sample_params draws[SOME];
    open_plan(&d, N, SOME);
    float *x = ops_alloc((size_t)SOME * N, sizeof *x);
    for (uint32_t r = 0; r < SOME; r++) {
        fill_row(x + (size_t)r * N, N, r % 2 ? TIES : NORMAL);
        for (uint32_t i = 0; i < 90 * r; i++) x[r * N + ops_random() % N] = 16;
    }
    for (uint32_t r = 0; r < SOME; r++) fill_mask(mask_of(r), x + (size_t)r * N, N, HALF);
    for (uint32_t k = 1; k <= PD_SAMPLE_MAX_K; k++) {
        for (uint32_t r = 0; r < SOME; r++)
            draws[r] = (pd_sample_params){.k = k,
                                          .scale = pd_sample_scale(50),
                                          .counter = r + 100 * k,
                                          .mask = r % 3 ? NULL : mask_of(r)};
        compare_rows(&d, x, draws, SOME);
    }
    close_plan(&d);
}

/* A whole vocabulary with its padding, whose values and the image markers' are the highest. */
static void test_full_vocabulary(void **state) {
    enum { N = 262208, FEW = 4 };
    (void)state;
    draw_plan d;
    pd_sample_params draws[FEW];
    open_plan(&d, N, FEW);
    float *x = ops_alloc((size_t)FEW * N, sizeof *x);
    for (uint32_t r = 0; r < FEW; r++) {
        float *row = x + (size_t)r * N;
        fill_row(row, N, r == 1 ? TIES : NORMAL);
        for (uint32_t i = 262144; i < N; i++) row[i] = 90;
        row[PD_TOKEN_START_OF_IMAGE] = row[PD_TOKEN_END_OF_IMAGE] = 100;
        row[262143] = 22;
        draws[r] = (pd_sample_params){.k = r == 2 ? 256 : 64,
                                      .scale = pd_sample_scale(1 + (float)r),
                                      .top_p = pd_sample_top_p(0.95f)};
    }
    for (uint32_t run = 0; run < 4; run++) {
        for (uint32_t r = 0; r < FEW; r++) draws[r].counter++;
        compare_rows(&d, x, draws, FEW);
    }
    close_plan(&d);
}

/* Outputs with a mask of each kind beside one that has none, over a whole vocabulary. */
static void test_masks(void **state) {
    enum { N = 262208, FEW = N_MASKS + 1 };
    static const pd_sample_params kinds[] = {{.k = 1},
                                             {.k = 7},
                                             {.k = 64},
                                             {.k = 256},
                                             {.k = 64, .top_p = 0xf3333333},
                                             {.k = 40, .min_p = 0x400000}};
    (void)state;
    draw_plan d;
    pd_sample_params draws[FEW];
    open_plan(&d, N, FEW);
    float *x = ops_alloc((size_t)FEW * N, sizeof *x);
    for (uint32_t r = 0; r < FEW; r++) {
        float *row = x + (size_t)r * N;
        fill_row(row, N, r % 2 ? TIES : NORMAL);
        for (uint32_t i = 0; i < 100; i++) row[ops_random() % 200000] = i % 2 ? NAN : -INFINITY;
        for (uint32_t i = 262144; i < N; i++) row[i] = 90;
        row[PD_TOKEN_START_OF_IMAGE] = row[PD_TOKEN_END_OF_IMAGE] = 100;
        if (r < N_MASKS) fill_mask(mask_of(r), row, N, (mask_shape)r);
    }
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        for (uint32_t r = 0; r < FEW; r++) {
            draws[r] = kinds[i];
            draws[r].scale = pd_sample_scale(r % 2 ? 1 : 5);
            draws[r].counter = r;
            draws[r].mask = r < N_MASKS ? mask_of(r) : NULL;
        }
        compare_rows(&d, x, draws, FEW);
    }
    close_plan(&d);
}

/* ---- behind a product ----------------------------------------------------------------------- */

typedef struct head_case {
    uint32_t n, k, outs; /* rows and columns of the weights, most outputs */
    pd_type type;
} head_case;

/* Small integers, for equal logits in many places; some rows are spoilt. */
static const pd_tensor *head_weights(const head_case *c) {
    const pd_tensor *t = ops_tensor(c->type, c->n, c->k, 1.0f);
    if (c->type != PD_TYPE_F32) return t;
    float *w = (float *)(uintptr_t)t->data;
    for (uint32_t i = 0; i < c->n * c->k; i++) w[i] = (float)(ops_random() % 5) - 2;
    for (uint32_t i = 0; i < c->n / 40; i++) w[ops_random() % c->n * c->k] = NAN;
    return t;
}

/* Logits and what was drawn from them, on every device, by those logits. */
static void run_head(const head_case *c) {
    pd_error err;
    pd_plan plan;
    pd_plan_init(&plan, &(pd_plan_desc){.name = "head",
                                        .precision = PD_PRECISION_EXACT,
                                        .max_rows = c->outs,
                                        .max_outs = c->outs,
                                        .max_seqs = 1,
                                        .max_positions = 256});
    pd_buf_id x = pd_plan_add_buf(&plan, "x", PD_ROWS_OUTPUTS, c->k, PD_BUF_INPUT);
    pd_buf_id logits = pd_plan_add_buf(&plan, "logits", PD_ROWS_OUTPUTS, c->n, PD_BUF_OUTPUT);
    pd_buf_id out = pd_plan_add_buf(&plan, "best", PD_ROWS_OUTPUTS, 4, PD_BUF_OUTPUT);
    pd_op_matmul head = {.x = x, .out = logits, .n_weights = 1, .weights = {head_weights(c)}};
    pd_op_sample sample = {.x = logits, .out = out};
    pd_plan_add_op(&plan, -1, "head", &(pd_op){.kind = PD_OP_MATMUL, .matmul = head});
    pd_plan_add_op(&plan, -1, "sample", &(pd_op){.kind = PD_OP_SAMPLE, .sample = sample});
    ops_check(pd_plan_finish(&plan, &err), &err);
    float *in = ops_alloc((size_t)c->outs * c->k, sizeof *in);
    float *row = ops_alloc((size_t)c->outs * c->n, sizeof *row);
    for (uint32_t d = 0; d < ops_n_devices; d++) {
        const pd_backend_vtable *v = ops_devices[d].backend->v;
        pd_program *program;
        ops_check(v->load(ops_devices[d].backend, &plan, NULL, NULL, &err), &err);
        ops_check(v->compile(ops_devices[d].backend, &plan, NULL, &program, &err), &err);
        for (uint32_t run = 0; run < 6; run++) {
            pd_sample_params draws[ROWS];
            uint32_t rows = run % 2 ? 1 + ops_random() % c->outs : c->outs, found[4 * ROWS];
            for (uint32_t r = 0; r < rows; r++) {
                draws[r] = random_draw();
                draws[r].mask = random_mask(r, row + (size_t)r * c->n, c->n);
            }
            for (uint32_t i = 0; i < rows * c->k; i++) in[i] = (float)(ops_random() % 3) - 1;
            pd_step step = step_of(rows, draws);
            ops_check(v->write(program, x, 0, 4ull * rows * c->k, in, &err), &err);
            ops_check(v->run(program, &step, &err), &err);
            ops_check(v->read(program, logits, 0, 4ull * rows * c->n, row, &err), &err);
            ops_check(v->read(program, out, 0, 16ull * rows, found, &err), &err);
            for (uint32_t r = 0; r < rows; r++) {
                judge_host(row + (size_t)r * c->n, c->n, &draws[r]);
                judge_row(ops_devices[d].name, row + (size_t)r * c->n, c->n, &draws[r],
                          found + 4 * r);
            }
        }
        v->destroy(ops_devices[d].backend, program);
    }
    pd_plan_free(&plan);
}

/* Few outputs and many, which take other kernels; ends of parts and slices anywhere. */
static void test_heads(void **state) {
    static const head_case cases[] = {
        {3, 32, 1, PD_TYPE_F32},       {300, 64, 1, PD_TYPE_F32},     {300, 64, 8, PD_TYPE_F32},
        {4097, 64, 2, PD_TYPE_F32},    {4097, 64, 3, PD_TYPE_F32},    {4097, 64, 9, PD_TYPE_F32},
        {9000, 256, 1, PD_TYPE_Q4_0},  {9000, 256, 5, PD_TYPE_F32},   {70001, 32, 4, PD_TYPE_Q8_0},
        {262208, 32, 1, PD_TYPE_Q8_0}, {20000, 1152, 1, PD_TYPE_Q4_0}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) run_head(&cases[i]);
}

/* Many draws from one row follow the weights: chi-squared over its candidates, as in the sampler's
 * test; what a device draws is the same by the tests above, so the host's definition stands for it.
 */
static void test_distribution(void **state) {
    enum { N = 40 };
    (void)state;
    float x[N];
    double p[N], total = 0, chi = 0;
    uint32_t counts[N] = {0};
    for (uint32_t i = 0; i < N; i++) total += p[i] = exp((double)(x[i] = 2 * ops_uniform()));
    pd_sample_params d = {.k = N, .scale = pd_sample_scale(1)};
    for (; d.counter < MANY; d.counter++) counts[pd_sample_token(&d, x, N)]++;
    for (uint32_t i = 0; i < N; i++) {
        double want = (double)MANY * p[i] / total, off = counts[i] - want;
        chi += off * off / want;
    }
    assert_true(chi <= N - 1 + 6 * sqrt(2.0 * (N - 1)));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_random_rows),
                                       cmocka_unit_test(test_every_k),
                                       cmocka_unit_test(test_full_vocabulary),
                                       cmocka_unit_test(test_masks),
                                       cmocka_unit_test(test_heads),
                                       cmocka_unit_test(test_distribution),
                                       cmocka_unit_test(check_validation_silent)};
    PRINT_LOG();
    return cmocka_run_group_tests_name("ops.sample", tests, ops_setup, ops_teardown);
}
