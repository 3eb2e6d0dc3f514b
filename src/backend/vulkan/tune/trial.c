/* The layer that a driver is tried with: see trial.h.
 *
 * Tolerances. Every row of every operation's result is compared by its relative L2 norm. On
 * llvmpipe the worst row of ten operations in f32 is off by 1.4e-6, in halves and 16-bit integers,
 * which round each value to 2^-11 of itself or 2^-15 of its block's largest, by 2.1e-3. One wrong
 * value of a row of 256 to 1024 makes 3e-2 and more.
 *
 * SPDX-License-Identifier: MIT
 */
#include "backend/vulkan/tune/trial.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "backend/vulkan/program/program.h"
#include "base/random.h"

static const double MAX_ERROR_EXACT = 1e-3, MAX_ERROR_ROUNDED = 1e-2;

/* Dimensions of heads as most Gemma 3 models have them. The prompt ends in the second KV page, and
 * in the middle of a tile. */
enum {
    WIDTH = 256,
    HEAD_DIM = 256,
    N_HEADS = 2,
    HIDDEN = 320,
    N_VOCAB = 1024,
    N_PROMPT = 72,
    N_OUTS = 4,
    N_PAGES = 4, /* so many that attention splits them */
    N_PHASES = 2 /* prompt, token */
};

struct pd_vk_trial {
    pd_arena memory;
    const pd_tensor *q, *k, *v, *o, *gate, *up, *down, *head, *norm, *q_norm, *k_norm;
    float *x;                /* [N_PROMPT + 1, WIDTH] */
    float *truth[N_PHASES];  /* all operations' results, one behind the other */
    uint32_t pages[N_PAGES]; /* not in order */
    uint32_t mask[N_VOCAB / 32];
    pd_sample_params sampling[N_OUTS];
};

/* ---- data ----------------------------------------------------------------------------------- */

static uint32_t next_random(uint64_t *state) {
    return (uint32_t)(pd_random_next(state) >> 32);
}

static float *make_values(pd_vk_trial *t, uint64_t *seed, uint64_t n) {
    float *x = pd_arena_alloc(&t->memory, n, sizeof *x);
    for (uint64_t i = 0; x && i < n; i++) x[i] = (float)((double)next_random(seed) * 0x1p-31 - 1.0);
    return x;
}

static const pd_tensor *make_vector(pd_vk_trial *t, uint64_t *seed, uint64_t n) {
    pd_tensor *w = pd_arena_alloc(&t->memory, 1, sizeof *w);
    float *x = make_values(t, seed, n);
    if (!w || !x) return NULL;
    *w = (pd_tensor){.type = PD_TYPE_F32,
                     .n_dims = 1,
                     .ne = {n, 1, 1, 1},
                     .data = (const uint8_t *)x,
                     .n_bytes = 4 * n};
    return w;
}

/* Blocks of Q4_0 with random quants under scales of 2^-6 and -2^-6: rows of about unit variance. */
static const pd_tensor *make_matrix(pd_vk_trial *t, uint64_t *seed, uint64_t rows, uint64_t cols) {
    enum { BLOCK = 32, BLOCK_BYTES = 18, SCALE_HIGH_BYTE = 0x24, SIGN = 0x80 };
    uint64_t n_blocks = rows * cols / BLOCK;
    pd_tensor *w = pd_arena_alloc(&t->memory, 1, sizeof *w);
    uint8_t *data = pd_arena_alloc(&t->memory, n_blocks, BLOCK_BYTES);
    if (!w || !data) return NULL;
    for (uint64_t b = 0; b < n_blocks; b++) {
        uint8_t *block = data + BLOCK_BYTES * b;
        for (int i = 2; i < BLOCK_BYTES; i++) block[i] = (uint8_t)next_random(seed);
        block[1] = SCALE_HIGH_BYTE | (next_random(seed) & SIGN);
    }
    *w = (pd_tensor){.type = PD_TYPE_Q4_0,
                     .n_dims = 2,
                     .ne = {cols, rows, 1, 1},
                     .data = data,
                     .n_bytes = BLOCK_BYTES * n_blocks};
    return w;
}

/* Greedy and not, without a mask and with one of a quarter of the tokens and some empty words. */
static void make_draws(pd_vk_trial *t, uint64_t *seed) {
    for (uint32_t i = 0; i < N_VOCAB / 32; i++)
        t->mask[i] = i % 3 ? next_random(seed) & next_random(seed) : 0;
    for (uint32_t i = 0; i < N_OUTS; i++)
        t->sampling[i] = (pd_sample_params){.k = i % 2 ? 16 * i : 1,
                                            .scale = pd_sample_scale(0.8f),
                                            .top_p = pd_sample_top_p(0.95f),
                                            .seed = 7,
                                            .counter = i,
                                            .mask = i < N_OUTS / 2 ? NULL : t->mask};
}

static bool make_data(pd_vk_trial *t) {
    uint64_t seed = 1;
    t->q = make_matrix(t, &seed, N_HEADS * HEAD_DIM, WIDTH);
    t->k = make_matrix(t, &seed, HEAD_DIM, WIDTH);
    t->v = make_matrix(t, &seed, HEAD_DIM, WIDTH);
    t->o = make_matrix(t, &seed, WIDTH, N_HEADS * HEAD_DIM);
    t->gate = make_matrix(t, &seed, HIDDEN, WIDTH);
    t->up = make_matrix(t, &seed, HIDDEN, WIDTH);
    t->down = make_matrix(t, &seed, WIDTH, HIDDEN);
    t->head = make_matrix(t, &seed, N_VOCAB, WIDTH);
    t->norm = make_vector(t, &seed, WIDTH);
    t->q_norm = make_vector(t, &seed, HEAD_DIM);
    t->k_norm = make_vector(t, &seed, HEAD_DIM);
    t->x = make_values(t, &seed, (N_PROMPT + 1) * WIDTH);
    for (uint32_t i = 0; i < N_PAGES; i++) t->pages[i] = N_PAGES - 1 - i;
    make_draws(t, &seed);
    return t->q && t->k && t->v && t->o && t->gate && t->up && t->down && t->head && t->norm &&
           t->q_norm && t->k_norm && t->x;
}

/* ---- the plan ------------------------------------------------------------------------------- */

static pd_kv_shape kv_shape(pd_precision precision) {
    static const bool layer_is_global[] = {true};
    return (pd_kv_shape){.n_layers = 1,
                         .n_heads = N_HEADS,
                         .n_kv_heads = 1,
                         .head_dim = HEAD_DIM,
                         .f32 = precision == PD_PRECISION_EXACT,
                         .layer_is_global = layer_is_global};
}

static pd_buf_id add_result(pd_plan *p, const char *name, pd_rows_of rows_of, uint32_t width) {
    return pd_plan_add_buf(p, name, rows_of, width, PD_BUF_OUTPUT);
}

static pd_buf_id add_product(pd_plan *p, const char *name, pd_rows_of rows_of, uint32_t width,
                             pd_op_matmul op) {
    op.out = add_result(p, name, rows_of, width);
    pd_plan_add_op(p, 0, name, &(pd_op){.kind = PD_OP_MATMUL, .matmul = op});
    return op.out;
}

static void add_attention(const pd_vk_trial *t, pd_plan *p, pd_buf_id qkv, pd_buf_id *out) {
    pd_op_qkv_rope_store store = {.qkv = qkv,
                                  .out = add_result(p, "q", PD_ROWS_TOKENS, N_HEADS * HEAD_DIM),
                                  .q_weight = t->q_norm,
                                  .k_weight = t->k_norm,
                                  .eps = 1e-6f,
                                  .rope_base = 1e4f,
                                  .angle_scale = 1.0f,
                                  .q_scale = 0.125f};
    *out = add_result(p, "attention", PD_ROWS_TOKENS, N_HEADS * HEAD_DIM);
    pd_op_attention attention = {.q = store.out, .out = *out};
    pd_plan_add_op(p, 0, "store", &(pd_op){.kind = PD_OP_QKV_ROPE_STORE, .qkv_rope_store = store});
    pd_plan_add_op(p, 0, "attention", &(pd_op){.kind = PD_OP_ATTENTION, .attention = attention});
}

/* Returns the norm's result. */
static pd_buf_id add_norm(const pd_vk_trial *t, pd_plan *p, pd_buf_id x) {
    pd_op_norm norm = {.x = x,
                       .residual = PD_BUF_NONE,
                       .out = add_result(p, "norm", PD_ROWS_TOKENS, WIDTH),
                       .weight = t->norm,
                       .eps = 1e-6f};
    pd_plan_add_op(p, 0, "norm", &(pd_op){.kind = PD_OP_NORM, .norm = norm});
    return norm.out;
}

static void add_outputs(const pd_vk_trial *t, pd_plan *p, pd_buf_id x) {
    pd_op_gather gather = {.x = x, .out = add_result(p, "gather", PD_ROWS_OUTPUTS, WIDTH)};
    pd_plan_add_op(p, -1, "gather", &(pd_op){.kind = PD_OP_GATHER, .gather = gather});
    pd_op_matmul head = {.x = gather.out, .n_weights = 1, .weights = {t->head}};
    pd_op_sample sample = {.x = add_product(p, "head", PD_ROWS_OUTPUTS, N_VOCAB, head)};
    sample.out = add_result(p, "sample", PD_ROWS_OUTPUTS, 4);
    pd_plan_add_op(p, -1, "sample", &(pd_op){.kind = PD_OP_SAMPLE, .sample = sample});
}

/* The input "x" is the first buffer. */
static pd_status make_plan(const pd_vk_trial *t, pd_precision precision, uint32_t n_rows,
                           uint32_t n_outs, pd_plan *p, pd_error *err) {
    pd_plan_init(p, &(pd_plan_desc){.name = "trial",
                                    .max_rows = n_rows,
                                    .max_outs = n_outs,
                                    .max_seqs = 1,
                                    .max_positions = N_PAGES * PD_PAGE_POSITIONS,
                                    .precision = precision,
                                    .kv = kv_shape(precision)});
    pd_buf_id attention, x = pd_plan_add_buf(p, "x", PD_ROWS_TOKENS, WIDTH, PD_BUF_INPUT);
    pd_op_matmul qkv = {.x = x, .n_weights = 3, .weights = {t->q, t->k, t->v}};
    x = add_product(p, "qkv", PD_ROWS_TOKENS, (N_HEADS + 2) * HEAD_DIM, qkv);
    add_attention(t, p, x, &attention);
    pd_op_matmul o = {.x = attention, .n_weights = 1, .weights = {t->o}};
    x = add_norm(t, p, add_product(p, "o", PD_ROWS_TOKENS, WIDTH, o));
    pd_op_matmul gate_up = {
        .x = x, .n_weights = 2, .weights = {t->gate, t->up}, .epilogue = PD_EPILOGUE_GEGLU};
    x = add_product(p, "gate_up", PD_ROWS_TOKENS, HIDDEN, gate_up);
    pd_op_matmul down = {.x = x, .n_weights = 1, .weights = {t->down}};
    add_outputs(t, p, add_product(p, "down", PD_ROWS_TOKENS, WIDTH, down));
    return pd_plan_finish(p, err);
}

/* ---- running -------------------------------------------------------------------------------- */

/* One run of the plan and what came out of it. */
typedef struct phase {
    pd_plan plan;
    pd_program *program;
    uint32_t n_rows, n_outs, first; /* position */
    uint32_t first_draw;            /* of the trial's */
    float *results;
} phase;

static pd_buf_id result_of(const pd_plan *p, uint32_t op) {
    return pd_op_get_access(&p->ops[op]).writes[0];
}

static uint64_t count_values(const phase *f, pd_buf_id id) {
    const pd_buf *b = &f->plan.bufs[id];
    return (uint64_t)b->width * (b->rows_of == PD_ROWS_TOKENS ? f->n_rows : f->n_outs);
}

static pd_status read_results(pd_backend *b, phase *f, pd_error *err) {
    uint64_t n = 0;
    for (uint32_t i = 0; i < f->plan.n_ops; i++) n += count_values(f, result_of(&f->plan, i));
    f->results = pd_alloc(n, sizeof *f->results);
    if (!f->results) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for the self-test");
    float *at = f->results;
    for (uint32_t i = 0; i < f->plan.n_ops; i++) {
        pd_buf_id id = result_of(&f->plan, i);
        PD_TRY(b->v->read(f->program, id, 0, 4 * count_values(f, id), at, err));
        at += count_values(f, id);
    }
    return PD_OK;
}

/* tuning: with which kernels on a device; NULL for the reference. */
static pd_status run_phase(const pd_vk_trial *t, pd_backend *b, const pd_vk_tuning *tuning,
                           pd_precision precision, pd_kv_store *kv, phase *f, pd_error *err) {
    const uint32_t out_rows[N_OUTS] = {0, 17 % f->n_rows, 63 % f->n_rows, f->n_rows - 1};
    pd_step_row rows[N_PROMPT];
    for (uint32_t i = 0; i < f->n_rows; i++)
        rows[i] = (pd_step_row){.pos = f->first + i, .end = f->first + i + 1};
    pd_page_table table = {.global_pages = t->pages, .local_pages = t->pages, .n_pages = N_PAGES};
    pd_step step = {.n_rows = f->n_rows,
                    .n_outs = f->n_outs,
                    .n_seqs = 1,
                    .rows = rows,
                    .out_rows = out_rows,
                    .tables = &table,
                    .sampling = t->sampling + f->first_draw};
    PD_TRY(make_plan(t, precision, f->n_rows, f->n_outs, &f->plan, err));
    PD_TRY(b->v->load(b, &f->plan, NULL, NULL, err));
    PD_TRY(tuning ? pd_vk_program_create((pd_vk_backend *)b, &f->plan, kv, tuning, &f->program, err)
                  : b->v->compile(b, &f->plan, kv, &f->program, err));
    PD_TRY(b->v->write(f->program, 0, 0, 4ull * f->n_rows * WIDTH, t->x + f->first * WIDTH, err));
    PD_TRY(b->v->run(f->program, &step, err));
    return read_results(b, f, err);
}

static void start_phase(phase *f, uint32_t which) {
    *f = (phase){.n_rows = N_PROMPT, .n_outs = N_OUTS};
    if (which == 1)
        *f = (phase){.n_rows = 1, .n_outs = 1, .first = N_PROMPT, .first_draw = N_OUTS - 1};
}

static void end_phase(pd_backend *b, phase *f) {
    b->v->destroy(b, f->program);
    pd_plan_free(&f->plan);
    pd_free(f->results);
}

static pd_status create_pages(pd_backend *b, pd_precision precision, pd_kv_store **kv,
                              pd_error *err) {
    pd_kv_store_desc desc = {
        .shape = kv_shape(precision), .n_global_pages = N_PAGES, .n_local_pages = 1};
    *kv = NULL;
    return b->v->kv_create(b, &desc, kv, err);
}

/* ---- judging -------------------------------------------------------------------------------- */

/* |y - truth| / |truth|; a NaN when there is one among them. */
static double row_error(const float *y, const float *truth, uint32_t n) {
    double error = 0, norm = 0;
    for (uint32_t i = 0; i < n; i++) {
        double difference = (double)y[i] - (double)truth[i];
        error += difference * difference;
        norm += (double)truth[i] * (double)truth[i];
    }
    return sqrt(error / norm);
}

/* Draws are judged by the logits that the device itself drew from: near-ties may fall either way.
 */
static bool draw_is_right(const pd_sample_params *draw, const float *logits, const float *drawn) {
    uint32_t words[4];
    pd_sample_params highest = {.k = 1};
    memcpy(words, drawn, sizeof words);
    uint32_t best = pd_sample_token(&highest, logits, N_VOCAB);
    return words[0] == best && memcmp(&words[1], &logits[best], sizeof words[1]) == 0 &&
           words[2] == 0 && words[3] == pd_sample_token(draw, logits, N_VOCAB);
}

/* The first kernel of an operation that did not compute what it should. */
static void name_fault(const pd_program *p, uint32_t op, const char *what,
                       char fault[PD_VK_FAULT_CHARS]) {
    for (uint32_t i = 0; i < p->n_dispatches; i++)
        if (p->dispatches[i].op_index == op) {
            snprintf(fault, PD_VK_FAULT_CHARS, "%s %s", p->dispatches[i].pipeline->name, what);
            return;
        }
}

/* The first operation of a phase that is not right; its logits come just before the draw. */
static void judge(const pd_vk_trial *t, const phase *f, const float *truth, double most,
                  char fault[PD_VK_FAULT_CHARS]) {
    const float *y = f->results, *logits = y;
    for (uint32_t i = 0; i < f->plan.n_ops && !fault[0]; i++) {
        pd_buf_id id = result_of(&f->plan, i);
        uint64_t width = f->plan.bufs[id].width, n = count_values(f, id);
        bool draws = f->plan.ops[i].kind == PD_OP_SAMPLE;
        const pd_sample_params *sampling = t->sampling + f->first_draw;
        for (uint64_t r = 0; r < n / width && !fault[0]; r++) {
            char what[64] = "draws another token than it should";
            double error = draws ? 0 : row_error(y + r * width, truth + r * width, (uint32_t)width);
            bool right = draws ? draw_is_right(&sampling[r], logits + r * N_VOCAB, y + r * width)
                               : error <= most;
            if (!draws) snprintf(what, sizeof what, "is off by %.2g", error);
            if (!right) name_fault(f->program, i, what, fault);
        }
        logits = y;
        y += n;
        truth += n;
    }
}

/* Than was asked for: what was could not be built. */
static bool is_plainer(const pd_program *p, const pd_vk_tuning *asked) {
    return p->tuning.decode_format != asked->decode_format ||
           p->tuning.matrix_units != asked->matrix_units;
}

pd_status pd_vk_trial_run(const pd_vk_trial *t, pd_vk_backend *b, const pd_vk_tuning *tuning,
                          pd_precision precision, char fault[PD_VK_FAULT_CHARS], pd_error *err) {
    double most = precision == PD_PRECISION_EXACT ? MAX_ERROR_EXACT : MAX_ERROR_ROUNDED;
    pd_kv_store *kv;
    fault[0] = '\0';
    pd_status status = create_pages(&b->base, precision, &kv, err);
    for (uint32_t i = 0; i < N_PHASES && status == PD_OK && !fault[0]; i++) {
        phase f;
        start_phase(&f, i);
        status = run_phase(t, &b->base, tuning, precision, kv, &f, err);
        if (status == PD_OK) judge(t, &f, t->truth[i], most, fault);
        if (status == PD_OK && !fault[0] && is_plainer(f.program, tuning))
            snprintf(fault, PD_VK_FAULT_CHARS, "its kernels do not compile");
        end_phase(&b->base, &f);
    }
    if (kv) b->base.v->kv_destroy(&b->base, kv);
    return status;
}

/* ---- life ----------------------------------------------------------------------------------- */

static pd_status find_truth(pd_vk_trial *t, pd_error *err) {
    pd_backend *b;
    pd_kv_store *kv;
    PD_TRY(pd_cpu_open(true, &(pd_backend_desc){.device = "cpu-ref"}, &b, err));
    pd_status status = create_pages(b, PD_PRECISION_EXACT, &kv, err);
    for (uint32_t i = 0; i < N_PHASES && status == PD_OK; i++) {
        phase f;
        start_phase(&f, i);
        status = run_phase(t, b, NULL, PD_PRECISION_EXACT, kv, &f, err);
        t->truth[i] = f.results;
        f.results = NULL;
        end_phase(b, &f);
    }
    if (kv) b->v->kv_destroy(b, kv);
    b->v->close(b);
    return status;
}

pd_status pd_vk_trial_create(pd_vk_trial **out, pd_error *err) {
    pd_vk_trial *t = pd_alloc(1, sizeof *t);
    *out = t;
    if (!t) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for the self-test");
    pd_status status = make_data(t)
                           ? find_truth(t, err)
                           : PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for the self-test");
    if (status == PD_OK) return PD_OK;
    pd_vk_trial_destroy(t);
    *out = NULL;
    return status;
}

void pd_vk_trial_destroy(pd_vk_trial *t) {
    if (!t) return;
    for (uint32_t i = 0; i < N_PHASES; i++) pd_free(t->truth[i]);
    pd_arena_destroy(&t->memory);
    pd_free(t);
}
