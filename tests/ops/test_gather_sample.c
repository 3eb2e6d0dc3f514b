/* gather and draw, which must agree with the reference bit for bit; steps without outputs; and
 * trace, which must show what run computes.
 *
 * SPDX-License-Identifier: MIT
 */
#include "ops/harness.h"

/* A plan of draw alone over logits that the host writes. */
typedef struct draw_plan {
    pd_plan plan;
    pd_buf_id x, out;
} draw_plan;

static void draw_init(draw_plan *a, uint32_t n_vocab, uint32_t max_outs) {
    pd_error err;
    pd_plan_init(&a->plan, &(pd_plan_desc){.name = "sample",
                                           .precision = PD_PRECISION_EXACT,
                                           .max_rows = max_outs,
                                           .max_outs = max_outs,
                                           .max_seqs = 1,
                                           .max_positions = 256});
    a->x = pd_plan_add_buf(&a->plan, "x", PD_ROWS_OUTPUTS, n_vocab, PD_BUF_INPUT);
    a->out = pd_plan_add_buf(&a->plan, "best", PD_ROWS_OUTPUTS, 4, PD_BUF_OUTPUT);
    pd_op_sample op = {.x = a->x, .out = a->out};
    pd_plan_add_op(&a->plan, -1, "sample", &(pd_op){.kind = PD_OP_SAMPLE, .sample = op});
    fence_add_guards(&a->plan);
    ops_check(pd_plan_finish(&a->plan, &err), &err);
}

/* Runs it on one device; best is [n_outs, 4]. */
static void draw_run(const draw_plan *a, pd_backend *b, const float *x, uint32_t n_outs,
                     uint32_t *best) {
    pd_program *program;
    pd_error err;
    uint32_t *out_rows = ops_alloc(n_outs, sizeof *out_rows);
    for (uint32_t i = 0; i < n_outs; i++) out_rows[i] = i;
    pd_step step = {.n_rows = n_outs,
                    .n_outs = n_outs,
                    .n_seqs = 1,
                    .rows = ops_rows(n_outs, 1),
                    .out_rows = out_rows,
                    .tables = &(pd_page_table){0}};
    uint64_t bytes = 4ull * n_outs * a->plan.bufs[a->x].width;
    ops_check(b->v->load(b, &a->plan, NULL, NULL, &err), &err);
    ops_check(b->v->compile(b, &a->plan, NULL, &program, &err), &err);
    ops_run run = {.step = step, .inputs = {{a->x, x, bytes}}, .n_inputs = 1};
    ops_run_fenced(&a->plan, &run, b, program, "logits of the host's");
    ops_check(b->v->read(program, a->out, 0, 16ull * n_outs, best, &err), &err);
    b->v->destroy(b, program);
}

static void expect_best(const uint32_t *best, uint32_t id, float value, uint32_t n_bad,
                        const char *device) {
    float found;
    memcpy(&found, &best[1], sizeof found);
    bool right = best[0] == id && found == value && best[2] == n_bad && best[3] == id;
    if (right) return;
    fail_msg("%s found id %u, value %g, %u bad, drawn %u; expected id %u, value %g, %u bad", device,
             best[0], (double)found, best[2], best[3], id, (double)value, n_bad);
}

/* Maxima at the ends and in the middle, and ties: the lowest id wins. */
static void test_maxima(void **state) {
    static const uint32_t widths[] = {1, 3, 33, 1000, 4099};
    (void)state;
    for (uint32_t w = 0; w < 5; w++) {
        uint32_t n = widths[w], ids[4] = {0, n - 1, n / 2, n / 3}, best[16];
        draw_plan a;
        draw_init(&a, n, 5);
        float *x = ops_alloc(4ull * n, sizeof *x);
        for (uint32_t i = 0; i < 4 * n; i++) x[i] = -20.0f - fabsf(ops_normal());
        for (uint32_t r = 0; r < 4; r++) {
            x[r * n + ids[r]] = -1.5f;
            x[r * n + n - 1] = -1.5f; /* a tie, unless it is the same */
        }
        for (uint32_t d = 0; d < ops_n_devices; d++) {
            draw_run(&a, ops_devices[d].backend, x, 4, best);
            for (uint32_t r = 0; r < 4; r++) {
                expect_best(best + 4 * r, ids[r], -1.5f, 0, ops_devices[d].name);
            }
        }
        pd_plan_free(&a.plan);
    }
}

static void test_forbidden_ids(void **state) {
    enum { N_VOCAB = 262208 };
    uint32_t best[4];
    draw_plan a;
    (void)state;
    draw_init(&a, N_VOCAB, 1);
    float *x = ops_normals(N_VOCAB, 1.0f);
    x[262143] = 50.0f;
    x[PD_TOKEN_START_OF_IMAGE] = x[PD_TOKEN_END_OF_IMAGE] = 100.0f;
    x[262144] = x[262145] = x[N_VOCAB - 1] = 200.0f;
    for (uint32_t d = 0; d < ops_n_devices; d++) {
        x[262143] = 50.0f;
        draw_run(&a, ops_devices[d].backend, x, 1, best);
        expect_best(best, 262143, 50.0f, 0, ops_devices[d].name);
        x[262143] = 0.0f;
        x[255998] = x[256001] = 40.0f; /* the forbidden ids' neighbours */
        draw_run(&a, ops_devices[d].backend, x, 1, best);
        expect_best(best, 255998, 40.0f, 0, ops_devices[d].name);
        x[255998] = x[256001] = 0.0f;
    }
    pd_plan_free(&a.plan);
}

/* NaN and -inf are counted and never chosen, wherever they are. */
static void test_nonfinite(void **state) {
    enum { N = 1000 };
    uint32_t best[8];
    draw_plan a;
    (void)state;
    draw_init(&a, N, 2);
    float *x = ops_normals(2 * N, 1.0f);
    x[500] = 9.0f;
    x[0] = x[1] = x[499] = x[501] = x[N - 1] = NAN;
    x[77] = -INFINITY;
    x[N + 123] = 9.0f;
    for (uint32_t d = 0; d < ops_n_devices; d++) {
        draw_run(&a, ops_devices[d].backend, x, 2, best);
        expect_best(best, 500, 9.0f, 6, ops_devices[d].name);
        expect_best(best + 4, 123, 9.0f, 0, ops_devices[d].name);
    }
    pd_plan_free(&a.plan);
}

/* ---- gather, steps without outputs, trace --------------------------------------------------- */

enum { WIDTH = 96, N_VOCAB = 300, MAX_ROWS = 70 };

/* embed -> norm in place -> gather -> matmul -> draw */
typedef struct small_plan {
    pd_plan plan;
    pd_buf_id x, y, picked, logits, best;
} small_plan;

static void small_init(small_plan *s) {
    pd_error err;
    const pd_tensor *table = ops_tensor(PD_TYPE_Q8_0, N_VOCAB, WIDTH, 1.0f);
    pd_plan_init(&s->plan, &(pd_plan_desc){.name = "small",
                                           .precision = PD_PRECISION_EXACT,
                                           .max_rows = MAX_ROWS,
                                           .max_outs = 9,
                                           .max_seqs = 1,
                                           .max_positions = 256});
    s->x = pd_plan_add_buf(&s->plan, "x", PD_ROWS_TOKENS, WIDTH, PD_BUF_SCRATCH);
    s->y = pd_plan_add_buf(&s->plan, "y", PD_ROWS_TOKENS, WIDTH, PD_BUF_OUTPUT);
    s->picked = pd_plan_add_buf(&s->plan, "picked", PD_ROWS_OUTPUTS, WIDTH, PD_BUF_OUTPUT);
    s->logits = pd_plan_add_buf(&s->plan, "logits", PD_ROWS_OUTPUTS, N_VOCAB, PD_BUF_OUTPUT);
    s->best = pd_plan_add_buf(&s->plan, "best", PD_ROWS_OUTPUTS, 4, PD_BUF_OUTPUT);
    pd_op_embed embed = {.table = table, .embeddings = PD_BUF_NONE, .out = s->x, .scale = 2.0f};
    pd_op_norm norm = {.x = s->x,
                       .residual = PD_BUF_NONE,
                       .out = s->y,
                       .eps = 1e-6f,
                       .weight = ops_tensor(PD_TYPE_F32, 0, WIDTH, 1.0f)};
    pd_op_gather gather = {.x = s->y, .out = s->picked};
    pd_op_matmul head = {.x = s->picked, .out = s->logits, .n_weights = 1, .weights = {table}};
    pd_op_sample sample = {.x = s->logits, .out = s->best};
    pd_plan_add_op(&s->plan, -1, "embed", &(pd_op){.kind = PD_OP_EMBED, .embed = embed});
    pd_plan_add_op(&s->plan, -1, "norm", &(pd_op){.kind = PD_OP_NORM, .norm = norm});
    pd_plan_add_op(&s->plan, -1, "gather", &(pd_op){.kind = PD_OP_GATHER, .gather = gather});
    pd_plan_add_op(&s->plan, -1, "head", &(pd_op){.kind = PD_OP_MATMUL, .matmul = head});
    pd_plan_add_op(&s->plan, -1, "sample", &(pd_op){.kind = PD_OP_SAMPLE, .sample = sample});
    fence_add_guards(&s->plan);
    ops_check(pd_plan_finish(&s->plan, &err), &err);
}

/* What a device made of one step. */
typedef struct small_result {
    float y[MAX_ROWS * WIDTH], picked[9 * WIDTH], logits[9 * N_VOCAB];
    uint32_t best[9 * 4];
} small_result;

static void small_read(const small_plan *s, pd_backend *b, pd_program *program, const pd_step *step,
                       small_result *r) {
    pd_error err;
    uint64_t n = step->n_rows, o = step->n_outs;
    ops_check(b->v->read(program, s->y, 0, n * WIDTH * 4, r->y, &err), &err);
    ops_check(b->v->read(program, s->picked, 0, o * WIDTH * 4, r->picked, &err), &err);
    ops_check(b->v->read(program, s->logits, 0, o * N_VOCAB * 4, r->logits, &err), &err);
    ops_check(b->v->read(program, s->best, 0, o * 16, r->best, &err), &err);
}

static const uint32_t small_out_rows[9] = {0, 69, 3, 3, 64, 31, 1, 68, 5};

static pd_step small_step(uint32_t n_rows, uint32_t n_outs) {
    static const pd_page_table table;
    return (pd_step){.n_rows = n_rows,
                     .n_outs = n_outs,
                     .n_seqs = 1,
                     .rows = ops_rows(n_rows, N_VOCAB),
                     .out_rows = small_out_rows,
                     .tables = &table};
}

static void check_gathered(const small_result *r, const pd_step *step) {
    for (uint32_t i = 0; i < step->n_outs; i++) {
        const float *row = r->y + step->out_rows[i] * WIDTH;
        assert_memory_equal(r->picked + i * WIDTH, row, WIDTH * sizeof *row);
        uint32_t best = 0;
        for (uint32_t id = 1; id < N_VOCAB; id++) {
            if (r->logits[i * N_VOCAB + id] > r->logits[i * N_VOCAB + best]) best = id;
        }
        assert_int_equal(r->best[4 * i], best);
        assert_memory_equal(&r->best[4 * i + 1], &r->logits[i * N_VOCAB + best], 4);
        assert_int_equal(r->best[4 * i + 2], 0);
    }
}

static void test_gather(void **state) {
    small_plan s;
    pd_error err;
    (void)state;
    small_init(&s);
    small_result *r = ops_alloc(1, sizeof *r);
    for (uint32_t d = 0; d < ops_n_devices; d++) {
        pd_backend *b = ops_devices[d].backend;
        pd_program *program;
        pd_step full = small_step(MAX_ROWS, 9), none = small_step(5, 0), one = small_step(7, 1);
        ops_check(b->v->load(b, &s.plan, NULL, NULL, &err), &err);
        ops_check(b->v->compile(b, &s.plan, NULL, &program, &err), &err);
        const pd_step *steps[] = {&none, &full, &none, &one};
        for (int i = 0; i < 4; i++) {
            ops_run_fenced(&s.plan, &(ops_run){.step = *steps[i]}, b, program, "small plan");
            small_read(&s, b, program, steps[i], r);
            check_gathered(r, steps[i]);
        }
        b->v->destroy(b, program);
    }
    pd_plan_free(&s.plan);
}

typedef struct trace_log {
    const small_plan *s;
    small_result *seen;
    uint32_t n_views, stop_after, last_op;
} trace_log;

static bool on_view(void *ctx, const pd_trace_view *v) {
    trace_log *log = ctx;
    const small_plan *s = log->s;
    void *to = v->buf == s->y        ? (void *)log->seen->y
               : v->buf == s->picked ? (void *)log->seen->picked
               : v->buf == s->logits ? (void *)log->seen->logits
               : v->buf == s->best   ? (void *)log->seen->best
                                     : NULL;
    assert_true(log->n_views == 0 || v->op_index > log->last_op);
    assert_int_equal(v->width, s->plan.bufs[v->buf].width);
    if (to) memcpy(to, v->data, 4ull * v->n_rows * v->width);
    log->last_op = v->op_index;
    return ++log->n_views < log->stop_after;
}

static void test_trace(void **state) {
    small_plan s;
    pd_error err;
    (void)state;
    small_init(&s);
    for (uint32_t d = 0; d < ops_n_devices; d++) {
        pd_backend *b = ops_devices[d].backend;
        pd_program *program;
        pd_step step = small_step(MAX_ROWS, 9);
        small_result *run = ops_alloc(1, sizeof *run), *seen = ops_alloc(1, sizeof *seen);
        ops_check(b->v->load(b, &s.plan, NULL, NULL, &err), &err);
        ops_check(b->v->compile(b, &s.plan, NULL, &program, &err), &err);
        ops_check(b->v->run(program, &step, &err), &err);
        small_read(&s, b, program, &step, run);
        trace_log log = {.s = &s, .seen = seen, .stop_after = UINT32_MAX};
        ops_check(b->v->trace(program, &step, PD_ALL_OPS, on_view, &log, &err), &err);
        assert_int_equal(log.n_views, 5);
        assert_memory_equal(run, seen, sizeof *run);
        log = (trace_log){.s = &s, .seen = seen, .stop_after = 2};
        ops_check(b->v->trace(program, &step, PD_ALL_OPS, on_view, &log, &err), &err);
        assert_int_equal(log.n_views, 2);
        b->v->destroy(b, program);
    }
    pd_plan_free(&s.plan);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_maxima),    cmocka_unit_test(test_forbidden_ids),
        cmocka_unit_test(test_nonfinite), cmocka_unit_test(test_gather),
        cmocka_unit_test(test_trace),     cmocka_unit_test(check_validation_silent)};
    PRINT_LOG();
    return cmocka_run_group_tests_name("ops.gather_sample", tests, ops_setup, ops_teardown);
}
