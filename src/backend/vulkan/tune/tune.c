/* The autotuner: see tune.h.
 *
 * Two products stand for all: a large matrix times one row, which is bound by reading the weights,
 * and a middling one times a chunk of rows, which is bound by arithmetic. Every way of computing
 * them that the device has is checked against the host's own result, then timed, best of some
 * repetitions once the clocks have risen. At precision f16 and q8 the programs then use the
 * fastest; exact always reads f32, and takes over only the matvec's shape.
 *
 * SPDX-License-Identifier: MIT
 */
#include "backend/vulkan/tune/tune.h"

#include <math.h>
#include <string.h>

#include "args.h"
#include "backend/vulkan/program/activation.h"
#include "backend/vulkan/kernels/cache.h"
#include "backend/vulkan/kernels/descriptors.h"
#include "backend/vulkan/tune/findings.h"
#include "backend/vulkan/kernels/kernels.h"
#include "backend/vulkan/program/stopwatch.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/random.h"

enum {
    TUNING_VERSION = 2,
    REPETITIONS = 4,
    ENOUGH_NS = 2000000, /* of one timing: many dispatches of a fast device */
    MAX_DISPATCHES = 64,
    WARM_UP_NS = 60000000, /* governors take their time */
    MAX_CANDIDATES = 32,
    PATTERN_BYTES = 256 << 10, /* random quants; what lies behind repeats one word */
    CHECKED_ROWS = 64
};

/* Relative L2 difference that a right kernel stays far below. */
static const double MAX_ERROR = 0.02;

/* One way of computing one of the two products. */
typedef struct candidate {
    pd_vk_tuning tuning;
    pd_vk_product_shape shape;
    uint64_t ns; /* UINT64_MAX: it does not build, or computes something else */
} candidate;

typedef struct tuner {
    pd_vk_backend *backend;
    pd_vk_stopwatch watch;
    VkDescriptorPool pool;
    pd_vk_buffer x, out, weights, scales;
    pd_vk_product_shape decode, prefill;
    pd_vk_tuning best; /* so far */
    uint8_t *pattern;  /* [PATTERN_BYTES] */
    float *values;     /* x in f32 */
    uint8_t *packed;   /* x in a candidate's format */
    uint32_t n_candidates;
    candidate candidates[MAX_CANDIDATES];
} tuner;

/* 49152 x 4096 are 100 MB of quants and 12 of scales, more than most caches hold. A rasteriser is
 * only tuned to show that tuning works. */
static void choose_shapes(tuner *t) {
    t->decode = (pd_vk_product_shape){
        .wtype = PD_WEIGHT_Q4_0, .n_weight_rows = 49152, .n_blocks = 128, .max_rows = 1};
    t->prefill = (pd_vk_product_shape){
        .wtype = PD_WEIGHT_Q4_0, .n_weight_rows = 4096, .n_blocks = 64, .max_rows = 512};
    if (!t->backend->device->caps.is_software) return;
    t->decode.n_weight_rows /= 4;
    t->decode.n_blocks /= 4;
    t->prefill.n_weight_rows /= 32;
    t->prefill.max_rows /= 8;
}

/* ---- data ----------------------------------------------------------------------------------- */

static uint64_t count_values(const pd_vk_product_shape *s) {
    return 32ull * s->max_rows * s->n_blocks;
}

static pd_status fill(tuner *t, pd_vk_buffer *b, uint64_t bytes, uint32_t word, pd_error *err) {
    pd_vk_device *d = t->backend->device;
    VkCommandBuffer cmd;
    PD_TRY(pd_vk_buffer_create(&t->backend->memory, PD_VK_DEVICE, PD_VK_FOR_SCRATCH, bytes,
                               "choosing kernels", b, err));
    PD_TRY(pd_vk_begin_once(t->backend, &cmd, err));
    d->vk.vkCmdFillBuffer(cmd, b->handle, 0, VK_WHOLE_SIZE, word);
    return pd_vk_finish_once(t->backend, cmd, err);
}

static pd_status make_data(tuner *t, pd_error *err) {
    uint64_t n = count_values(&t->prefill), seed = 1;
    t->pattern = pd_alloc(1, PATTERN_BYTES);
    t->values = pd_alloc(n, sizeof *t->values);
    t->packed = pd_alloc(n, sizeof *t->values);
    if (!t->pattern || !t->values || !t->packed)
        return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for choosing kernels");
    for (uint32_t i = 0; i < PATTERN_BYTES; i++) t->pattern[i] = (uint8_t)pd_random_next(&seed);
    for (uint64_t i = 0; i < n; i++)
        t->values[i] = (float)((double)(pd_random_next(&seed) >> 11) * 0x1p-52 - 1.0);
    pd_vk_slice to = {t->weights.handle, 0, PATTERN_BYTES};
    return pd_vk_copy_in(t->backend, to, t->pattern, err);
}

static pd_status create_parts(tuner *t, pd_error *err) {
    enum { SCALES = 0x24002400 }; /* two halves of 2^-6 */
    choose_shapes(t);
    PD_TRY(pd_vk_stopwatch_create(t->backend->device, &t->watch, err));
    PD_TRY(pd_vk_pool_create(t->backend->device, 1, PD_VK_MAX_BUFFERS, &t->pool, err));
    uint64_t n_blocks = (uint64_t)t->decode.n_weight_rows * t->decode.n_blocks; /* the larger one */
    uint64_t n_out = (uint64_t)t->prefill.max_rows * t->prefill.n_weight_rows;
    if (n_out < t->decode.n_weight_rows) n_out = t->decode.n_weight_rows;
    PD_TRY(fill(t, &t->x, 4 * count_values(&t->prefill), 0, err));
    PD_TRY(fill(t, &t->out, 4 * n_out, 0, err));
    PD_TRY(fill(t, &t->weights, 16 * n_blocks, 0x9a785634, err));
    PD_TRY(fill(t, &t->scales, 2 * n_blocks, SCALES, err));
    return make_data(t, err);
}

static void destroy_parts(tuner *t) {
    pd_vk_memory *m = &t->backend->memory;
    pd_vk_stopwatch_destroy(&t->watch);
    t->backend->device->vk.vkDestroyDescriptorPool(t->backend->device->handle, t->pool, NULL);
    pd_vk_buffer_destroy(m, &t->x);
    pd_vk_buffer_destroy(m, &t->out);
    pd_vk_buffer_destroy(m, &t->weights);
    pd_vk_buffer_destroy(m, &t->scales);
    pd_free(t->pattern);
    pd_free(t->values);
    pd_free(t->packed);
}

/* NaN everywhere: a kernel that writes nothing must not live on the last one's results. */
static pd_status forget_results(tuner *t, pd_error *err) {
    VkCommandBuffer cmd;
    PD_TRY(pd_vk_begin_once(t->backend, &cmd, err));
    t->backend->device->vk.vkCmdFillBuffer(cmd, t->out.handle, 0, VK_WHOLE_SIZE, UINT32_MAX);
    return pd_vk_finish_once(t->backend, cmd, err);
}

static pd_status write_x(tuner *t, const pd_vk_product_shape *s, pd_error *err) {
    uint64_t n = count_values(s);
    pd_vk_slice to = {t->x.handle, 0, n / 2 * pd_vk_block_units(s->x_format)};
    pd_vk_activation_encode(s->x_format, t->values, n, t->packed);
    return pd_vk_copy_in(t->backend, to, t->packed, err);
}

/* Row n of the weights times row r of x; the planes of Q4_0 are in weights.glsl. */
static double product_of(const tuner *t, const pd_vk_product_shape *s, uint32_t n, uint32_t r) {
    double sum = 0;
    for (uint32_t b = 0; b < s->n_blocks; b++) {
        const uint8_t *q = t->pattern + 16ull * (n * s->n_blocks + b);
        const float *x = t->values + 32ull * (r * s->n_blocks + b);
        for (uint32_t i = 0; i < 16; i++)
            sum += ((q[i] & 15) - 8) * (double)x[i] + ((q[i] >> 4) - 8) * (double)x[16 + i];
    }
    return sum * 0x1p-6;
}

/* The first results of the first and the last row of x against the host's. */
static pd_status is_right(tuner *t, const pd_vk_product_shape *s, bool *right, pd_error *err) {
    float out[CHECKED_ROWS];
    double error = 0, norm = 0;
    for (int last = 0; last < 2; last++) {
        uint32_t r = last ? s->max_rows - 1 : 0;
        pd_vk_slice from = {t->out.handle, 4ull * r * s->n_weight_rows, sizeof out};
        PD_TRY(pd_vk_copy_out(t->backend, from, out, err));
        for (uint32_t n = 0; n < CHECKED_ROWS; n++) {
            double truth = product_of(t, s, n, r), difference = (double)out[n] - truth;
            error += difference * difference;
            norm += truth * truth;
        }
    }
    *right = sqrt(error / norm) < MAX_ERROR; /* a NaN is not */
    return PD_OK;
}

/* ---- timing --------------------------------------------------------------------------------- */

static pd_status bind(tuner *t, const pd_vk_pipeline *pipeline, VkDescriptorSet *set,
                      pd_error *err) {
    pd_vk_device *d = t->backend->device;
    pd_status status = PD_OK;
    pd_vk_slice weights = {t->weights.handle, 0, t->weights.bytes},
                out = {t->out.handle, 0, t->out.bytes};
    pd_vk_slice buffers[PD_MATVEC_BINDINGS] = {
        [PD_BIND_PRODUCT_X] = {t->x.handle, 0, t->x.bytes},
        [PD_BIND_PRODUCT_OUT] = out,
        [PD_BIND_PRODUCT_WEIGHT_Q] = weights,
        [PD_BIND_PRODUCT_WEIGHT_S] = {t->scales.handle, 0, t->scales.bytes},
        [PD_BIND_PRODUCT_WEIGHT_H] = weights,
        [PD_BIND_PRODUCT_BIAS] = weights,
        [PD_BIND_PRODUCT_PARTS] = out};
    PD_VK_TRY_GOTO(d->vk.vkResetDescriptorPool(d->handle, t->pool, 0));
    status = pd_vk_set_create(d, t->pool, pipeline, buffers, set, err);
done:
    return status;
}

/* Of one dispatch, once the clocks have risen. */
static pd_status time_run(tuner *t, pd_vk_timed *r, uint64_t warm_up_ns, uint64_t *best,
                          pd_error *err) {
    uint64_t ns, t0 = pd_clock_ns();
    bool warm = false;
    while (!warm) {
        PD_TRY(pd_vk_time_once(t->backend, &t->watch, r, &ns, err));
        warm = pd_clock_ns() - t0 >= warm_up_ns;
    }
    uint64_t wanted = ENOUGH_NS / (ns + 1) + 1;
    r->n_dispatches = wanted < MAX_DISPATCHES ? (uint32_t)wanted : MAX_DISPATCHES;
    PD_TRY(pd_vk_time_best(t->backend, &t->watch, r, REPETITIONS, UINT64_MAX, best, err));
    if (*best < UINT64_MAX) *best /= r->n_dispatches;
    return PD_OK;
}

/* ---- candidates ----------------------------------------------------------------------------- */

static pd_vk_product product_of_candidate(const tuner *t, const candidate *c) {
    return pd_vk_choose_product(&t->backend->device->caps, &c->tuning, &c->shape);
}

static pd_status time_candidate(tuner *t, candidate *c, uint64_t warm_up_ns, pd_error *err) {
    pd_vk_product k = product_of_candidate(t, c);
    const pd_vk_product_shape *s = &c->shape;
    struct pd_args_matmul args = {.n_weight_rows = s->n_weight_rows,
                                  .n_blocks = s->n_blocks,
                                  .n_rows = s->max_rows,
                                  .out_stride = s->n_weight_rows};
    pd_vk_timed r = {.args = &args,
                     .groups = {pd_div_up(s->n_weight_rows, k.tile_m),
                                k.is_matvec ? 1 : pd_div_up(s->max_rows, k.tile_n)},
                     .n_dispatches = 1};
    bool right;
    uint64_t ns;
    c->ns = UINT64_MAX;
    if (pd_vk_pipeline_get(t->backend->pipelines, &k.desc, &r.pipeline, NULL) != PD_OK)
        return PD_OK;
    PD_TRY(bind(t, r.pipeline, &r.set, err));
    PD_TRY(write_x(t, s, err));
    PD_TRY(forget_results(t, err));
    PD_TRY(time_run(t, &r, warm_up_ns, &ns, err));
    PD_TRY(is_right(t, s, &right, err));
    if (right) c->ns = ns;
    if (!right)
        pd_log(PD_LOG_WARN, "tune", "%s computes something else on this driver: not used",
               r.pipeline->name);
    pd_log(PD_LOG_DEBUG, "tune", "%s: %.1f us", r.pipeline->name, (double)ns / 1e3);
    return PD_OK;
}

static bool has_format(const pd_vk_caps *c, uint32_t format, bool matrix_units) {
    return matrix_units ? format == PD_ACT_F16 && c->coopmat : pd_vk_has_format(c, format);
}

static void add_candidate(tuner *t, pd_vk_tuning tuning, pd_vk_product_shape shape) {
    if (t->n_candidates < MAX_CANDIDATES)
        t->candidates[t->n_candidates++] = (candidate){.tuning = tuning, .shape = shape};
}

static void list_decode(tuner *t) {
    pd_vk_tuning now = t->best;
    pd_vk_product_shape s = t->decode;
    for (uint32_t format = PD_ACT_F32; format <= PD_ACT_I16; format++) {
        if (!has_format(&t->backend->device->caps, format, false)) continue;
        s.x_format = now.decode_format = format;
        for (now.lanes = 8; now.lanes <= 32; now.lanes *= 2)
            for (now.rows = 2; now.rows <= 4; now.rows *= 2) add_candidate(t, now, s);
    }
}

static void list_prefill(tuner *t) {
    pd_vk_tuning now = t->best;
    pd_vk_product_shape s = t->prefill;
    for (uint32_t format = PD_ACT_F32; format <= PD_ACT_I16; format++)
        for (int units = 0; units < 2; units++) {
            if (!has_format(&t->backend->device->caps, format, units != 0)) continue;
            s.x_format = now.prefill_format = format;
            now.matrix_units = units != 0;
            add_candidate(t, now, s);
        }
}

/* Drivers compile for long: all pipelines at once. One that fails is tried again alone. */
static void build_candidates(tuner *t) {
    for (uint32_t i = 0; i < t->n_candidates; i++) {
        const pd_vk_pipeline *pipeline;
        pd_vk_product k = product_of_candidate(t, &t->candidates[i]);
        (void)pd_vk_pipeline_declare(t->backend->pipelines, &k.desc, &pipeline, NULL);
    }
    (void)pd_vk_pipelines_build(t->backend->pipelines, NULL);
}

/* Times what is listed and returns the fastest; NULL: nothing works. */
static pd_status choose(tuner *t, const candidate **best, pd_error *err) {
    *best = NULL;
    build_candidates(t);
    for (uint32_t i = 0; i < t->n_candidates; i++) {
        candidate *c = &t->candidates[i];
        PD_TRY(time_candidate(t, c, i == 0 ? WARM_UP_NS : 0, err));
        if (c->ns < UINT64_MAX && (!*best || c->ns < (*best)->ns)) *best = c;
    }
    return PD_OK;
}

static pd_status tune_all(tuner *t, pd_error *err) {
    const candidate *best;
    list_decode(t);
    PD_TRY(choose(t, &best, err));
    if (best) t->best = best->tuning;
    t->n_candidates = 0;
    list_prefill(t);
    PD_TRY(choose(t, &best, err));
    if (best) t->best = best->tuning;
    /* attention and exact products are no faster than the first, in f32 */
    uint64_t f32_ns = t->candidates[0].ns;
    if (f32_ns < UINT64_MAX)
        t->best.f32_gflop_s =
            2.0 * (double)(count_values(&t->prefill) * t->prefill.n_weight_rows) / (double)f32_ns;
    return PD_OK;
}

/* ---- the remembered choice ------------------------------------------------------------------ */

static bool is_sane(const pd_vk_tuning *t) {
    bool power_of_two = t->lanes >= 8 && t->lanes <= 32 && (t->lanes & (t->lanes - 1)) == 0;
    return power_of_two && (t->rows == 2 || t->rows == 4) && t->decode_format <= PD_ACT_I16 &&
           t->prefill_format <= PD_ACT_I16 && t->f32_gflop_s >= 0;
}

static bool recall(const char *name, pd_vk_tuning *out) {
    void *data;
    size_t n;
    pd_vk_tuning t;
    if (!pd_vk_cache_load(name, &data, &n)) return false;
    bool fits = n == sizeof t;
    if (fits) memcpy(&t, data, n);
    pd_free(data);
    if (!fits || !is_sane(&t)) return false;
    *out = t;
    return true;
}

static pd_status measure(pd_vk_backend *b, pd_error *err) {
    tuner *t = pd_alloc(1, sizeof *t);
    if (!t) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for choosing kernels");
    t->backend = b;
    t->best = b->tuning;
    pd_status status = create_parts(t, err);
    if (status == PD_OK) status = tune_all(t, err);
    if (status == PD_OK) b->tuning = t->best;
    destroy_parts(t);
    pd_free(t);
    return status;
}

pd_status pd_vk_tune(pd_vk_backend *b, pd_error *err) {
    pd_vk_device *d = b->device;
    char name[PD_VK_FINDING_NAME];
    bool wanted;
    PD_TRY(pd_vk_finding_wanted(d, "PERIDOT_TUNE", &wanted, err));
    if (!wanted || d->caps.software_tiles) return PD_OK;
    pd_vk_finding_name(d, "tuning", TUNING_VERSION, name);
    if (!recall(name, &b->tuning)) {
        pd_status status = measure(b, err);
        b->memory.peak_bytes = pd_vk_memory_total(&b->memory); /* without the tuner's own */
        if (status == PD_ERR_DEVICE_LOST)
            return pd_error_hint(err, status,
                                 "PERIDOT_TUNE=off tries no kernels out, PERIDOT_DISABLE=coopmat "
                                 "leaves matrix units alone");
        if (status != PD_OK) return PD_OK;
        b->tuning.known = true;
        pd_vk_cache_store(name, &b->tuning, sizeof b->tuning);
    }
    const pd_vk_tuning *t = &b->tuning;
    pd_log(PD_LOG_INFO, "tune",
           "decode: format %u, %u lanes, %u rows; prompts: format %u%s; f32 %.0f GFLOP/s",
           t->decode_format, t->lanes, t->rows, t->prefill_format,
           t->matrix_units ? " on matrix units" : "", t->f32_gflop_s);
    return PD_OK;
}
