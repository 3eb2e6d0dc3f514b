/* Runs small hand-made plans on `cpu-ref` and on every other device, and compares.
 *
 * A case is a plan, an optional KV store and a list of runs (a step, what is written to input
 * buffers before it, which buffers are read after it). ops_compare runs it everywhere and measures,
 * against the reference,
 *
 *     nmse  = sum (y - ref)^2 / sum ref^2          worst = max |y - ref| / sqrt(mean ref^2)
 *
 * Devices: the comma-separated list in PERIDOT_TEST_DEVICES, else "cpu" with every instruction set
 * it can be held to (PERIDOT_CPU_DISABLE) and, when it is there, "vulkan:llvmpipe". All devices
 * stay open for the whole program and all tensors live until the end of it, so that no device meets
 * two weights at one address. What a run must not write is compared as well: fence.h.
 *
 * Where tolerances come from. u = 2^-24 is f32's rounding. A sum of K products in f32, in whatever
 * order, makes K rounding errors of at most u times a partial sum; partial sums of random terms are
 * about as large as the result and the errors have random signs, so nmse is about K u^2 at most:
 * 8e-12 for K = 2304, and less for every order but the sequential one. OPS_NMSE_SUM = 1e-10 leaves
 * a factor of 12. The worst of n elements lies at about sqrt(2 ln n) <= 5 standard deviations,
 * 5 sqrt(K) u = 1.4e-5, and OPS_WORST_SUM = 1e-4 leaves a factor of 7. A wrong block, element or
 * scale changes one element of a sum of K = 1152 by at least 1/K of the sum of squares: nmse 1e-3
 * for a wrong column, 1e-7 for a single wrong one in a result of 10^4 elements.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_TESTS_OPS_HARNESS_H
#define PD_TESTS_OPS_HARNESS_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/env.h"
#include "ops/fence.h"
#include "support_sparse.h"
#include "support_validation.h"

#define OPS_NMSE_SUM  1e-10
#define OPS_WORST_SUM 1e-4

enum { OPS_MAX_DEVICES = 16, OPS_MAX_BUFS = 6, OPS_MAX_FAMILIES = 400 };

/* ---- random values -------------------------------------------------------------------------- */

static uint64_t ops_seed = 1;

static inline uint32_t ops_random(void) { /* splitmix64 */
    uint64_t z = ops_seed += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return (uint32_t)((z ^ z >> 31) >> 32);
}
static inline float ops_uniform(void) { /* [-1, 1) */
    return (float)((double)ops_random() / 2147483648.0 - 1.0);
}
static inline float ops_normal(void) { /* near enough: variance 1, within +-6.9 */
    float s = 0;
    for (int i = 0; i < 12; i++) s += ops_uniform();
    return s * 0.5f;
}

/* ---- devices and memory --------------------------------------------------------------------- */

typedef struct ops_device {
    char device[64]; /* as pd_backend_desc.device */
    char name[64];   /* in messages: also says what is switched off */
    pd_backend *backend;
} ops_device;

/* Largest differences of one family of cases on one device. */
typedef struct ops_family {
    char name[64], device[64];
    uint32_t n_cases, n_bad;
    double nmse, worst;
} ops_family;

static pd_arena ops_memory; /* until the end of the program */
static ops_device ops_devices[OPS_MAX_DEVICES];
static uint32_t ops_n_devices; /* [0] is cpu-ref */
static ops_family ops_families[OPS_MAX_FAMILIES];
static uint32_t ops_n_families;

static inline void *ops_alloc(size_t count, size_t size) {
    void *p = pd_arena_alloc(&ops_memory, count, size);
    assert_non_null(p);
    return p;
}

static inline float *ops_normals(size_t n, float scale) {
    float *x = ops_alloc(n, sizeof *x);
    for (size_t i = 0; i < n; i++) x[i] = ops_normal() * scale;
    return x;
}

static inline void ops_check(pd_status status, const pd_error *err) {
    if (status == PD_OK) return;
    fail_msg("%s: %s", pd_status_name(status), err->message);
}

/* Opens a device with some features switched off; false: it is not there and need not be. */
static inline bool ops_open(const char *name, const char *disabled, bool required) {
    ops_device *d = &ops_devices[ops_n_devices];
    const char *outer = getenv("PERIDOT_CPU_DISABLE");
    char *restore = outer ? pd_strdup(outer) : NULL;
    pd_error err;
    if (disabled) pd_env_set("PERIDOT_CPU_DISABLE", disabled);
    pd_status status = pd_backend_open(&(pd_backend_desc){.device = name}, &d->backend, &err);
    if (disabled && restore) pd_env_set("PERIDOT_CPU_DISABLE", restore);
    if (disabled && !restore) pd_env_set("PERIDOT_CPU_DISABLE", NULL);
    pd_free(restore);
    if (status == PD_ERR_NO_DEVICE && !required) {
        print_message("%s is not tested: %s\n", name, err.message);
        return false;
    }
    ops_check(status, &err);
    snprintf(d->device, sizeof d->device, "%.63s", name);
    snprintf(d->name, sizeof d->name, "%.40s%s%s", name, disabled ? " -" : "",
             disabled ? disabled : "");
    ops_n_devices++;
    return true;
}

/* `cpu` with each instruction set that this machine has. */
static inline void ops_open_cpus(void) {
    static const char *const disabled[] = {NULL,          "amx",         "amx,vnni", "avx512",
                                           "avx512,vnni", "avx512,avx2", "dotprod"};
    for (size_t i = 0; i < sizeof disabled / sizeof *disabled; i++) {
        ops_open("cpu", disabled[i], true);
        pd_backend *b = ops_devices[ops_n_devices - 1].backend;
        bool known = false;
        for (uint32_t d = 0; d + 1 < ops_n_devices; d++) {
            pd_backend *other = ops_devices[d].backend;
            known = known || strcmp(b->v->info(b)->driver, other->v->info(other)->driver) == 0;
        }
        if (!known) continue;
        b->v->close(b);
        ops_n_devices--;
    }
}

/* Every real one. */
static inline void ops_open_gpus(void) {
    pd_device_info info[16];
    uint32_t n = 0;
    pd_error err;
    ops_check(pd_device_list(info, 16, &n, NULL, &err), &err);
    for (uint32_t i = 0; i < n && i < 16 && ops_n_devices < OPS_MAX_DEVICES - 1; i++)
        if (info[i].usable && info[i].kind != PD_DEVICE_SOFTWARE &&
            strncmp(info[i].id, "vulkan", 6) == 0)
            ops_open(info[i].id, NULL, true);
}

/* Switches of Vulkan's change nothing on the processor, which has been tested without them. */
static inline bool ops_vulkan_alone(void) {
    return getenv("PERIDOT_DISABLE") || getenv("PERIDOT_MAX_BINDING");
}

/* cmocka's group set-up: the reference and the devices to compare with it. */
static inline int ops_setup(void **state) {
    (void)state;
    ops_open("cpu-ref", NULL, true);
    const char *list = getenv("PERIDOT_TEST_DEVICES");
    if (!list || !*list) {
        if (!ops_vulkan_alone()) ops_open_cpus();
#ifdef PERIDOT_HAS_VULKAN
        ops_open_gpus();
        ops_open("vulkan:llvmpipe", NULL, false);
#endif
        return 0;
    }
    while (*list && ops_n_devices < OPS_MAX_DEVICES) {
        char name[64];
        size_t n = strcspn(list, ",");
        snprintf(name, sizeof name, "%.*s", (int)n, list);
        ops_open(name, NULL, true);
        list += n + (list[n] == ',');
    }
    return 0;
}

static inline int ops_teardown(void **state) {
    (void)state;
    for (uint32_t i = 0; i < ops_n_devices; i++) {
        ops_devices[i].backend->v->close(ops_devices[i].backend);
    }
    for (uint32_t i = 0; i < ops_n_families; i++) {
        const ops_family *f = &ops_families[i];
        print_message("%-24s %-18s %3u cases  nmse %.1e  worst %.1e\n", f->name, f->device,
                      f->n_cases, f->nmse, f->worst);
    }
    pd_arena_destroy(&ops_memory);
    return 0;
}

/* ---- tensors -------------------------------------------------------------------------------- */

/* A block's scale lies at its start, but for Q6_K: flips its sign in half of the blocks, since
 * files have scales of both signs and the encoders of some types never write a negative one. */
static inline void ops_flip_scales(const pd_type_info *t, uint8_t *data, uint64_t n_bytes) {
    if (t->block_values == 1) return;
    uint32_t at = t->type == PD_TYPE_Q6_K ? t->block_bytes - 1 : 1; /* the half's upper byte */
    for (uint64_t b = 0; b < n_bytes / t->block_bytes; b++) {
        if (ops_random() & 1) data[b * t->block_bytes + at] ^= 0x80;
    }
}

/* A matrix [rows, cols] (rows 0: a vector) of random values, stored as `type`. */
static inline const pd_tensor *ops_tensor(pd_type type, uint64_t rows, uint64_t cols, float scale) {
    const pd_type_info *info = pd_type_get(type);
    uint64_t n_rows = rows ? rows : 1, row_bytes = pd_type_row_bytes(info, cols);
    pd_tensor *t = ops_alloc(1, sizeof *t);
    uint8_t *data = ops_alloc(n_rows, row_bytes);
    float *row = pd_alloc(cols, sizeof *row);
    assert_non_null(row);
    for (uint64_t r = 0; r < n_rows; r++) {
        float size = scale * (0.5f + fabsf(ops_uniform()));
        for (uint64_t c = 0; c < cols; c++) row[c] = ops_normal() * size;
        pd_encode(type, row, cols, data + r * row_bytes);
    }
    pd_free(row);
    ops_flip_scales(info, data, n_rows * row_bytes);
    *t = (pd_tensor){.type = type,
                     .n_dims = rows ? 2 : 1,
                     .ne = {cols, n_rows, 1, 1},
                     .data = data,
                     .n_bytes = n_rows * row_bytes};
    snprintf(t->name, sizeof t->name, "w%u.%s", ops_random(), info->name);
    return t;
}

/* ---- cases ---------------------------------------------------------------------------------- */

typedef struct ops_input {
    pd_buf_id buf;
    const void *data;
    uint64_t bytes;
} ops_input;

typedef struct ops_run {
    pd_step step;
    ops_input inputs[OPS_MAX_BUFS];
    uint32_t n_inputs;
    pd_buf_id outputs[OPS_MAX_BUFS]; /* read after the run, unless `ignored` */
    uint32_t n_outputs;
    bool ignored;
} ops_run;

typedef struct ops_case {
    const char *family;
    char text[160]; /* which case it is, for messages */
    pd_plan *plan;
    const pd_kv_store_desc *kv; /* NULL: none */
    const ops_run *runs;
    uint32_t n_runs;
    double max_nmse, max_worst;
    double matrix_factor; /* max_nmse's on a processor with a matrix unit; 0: none */
    bool cpu_only; /* a shape that models do not have and other devices need not handle; or what
                      the processor alone promises */
    bool not_cpu;  /* what others alone promise */
    bool is_spare; /* left out where tests are sparse */
} ops_case;

/* n rows of one sequence from position 0 on, with random tokens below n_vocab. */
static inline pd_step_row *ops_rows(uint32_t n, uint32_t n_vocab) {
    pd_step_row *rows = ops_alloc(n, sizeof *rows);
    for (uint32_t i = 0; i < n; i++) {
        rows[i] = (pd_step_row){.token = ops_random() % n_vocab, .pos = i, .end = i + 1};
    }
    return rows;
}

static inline uint64_t ops_buf_values(const ops_case *c, const ops_run *run, pd_buf_id id) {
    const pd_buf *b = &c->plan->bufs[id];
    uint64_t n = b->rows_of == PD_ROWS_TOKENS ? run->step.n_rows : run->step.n_outs;
    return n * b->width;
}

static inline size_t ops_result_values(const ops_case *c) {
    size_t n = 0;
    for (uint32_t i = 0; i < c->n_runs; i++) {
        for (uint32_t k = 0; k < c->runs[i].n_outputs && !c->runs[i].ignored; k++) {
            n += ops_buf_values(c, &c->runs[i], c->runs[i].outputs[k]);
        }
    }
    return n;
}

static inline void ops_write_inputs(const ops_run *run, pd_backend *b, pd_program *program) {
    pd_error err;
    for (uint32_t k = 0; k < run->n_inputs; k++) {
        const ops_input *in = &run->inputs[k];
        ops_check(b->v->write(program, in->buf, 0, in->bytes, in->data, &err), &err);
    }
}

/* The step, and that it writes nothing else than it may. */
static inline void ops_run_fenced(const pd_plan *plan, const ops_run *run, pd_backend *b,
                                  pd_program *program, const char *what) {
    char text[160];
    pd_error err;
    uint64_t n = fence_words(plan);
    uint32_t *before = pd_alloc(2 * n + 1, sizeof *before), *after = before + n;
    assert_non_null(before);
    ops_check(fence_fill(plan, b, program, &err), &err);
    ops_write_inputs(run, b, program);
    ops_check(fence_read(plan, b, program, before, &err), &err);
    ops_check(b->v->run(program, &run->step, &err), &err);
    ops_check(fence_read(plan, b, program, after, &err), &err);
    const char *device = b->v->info(b)->id;
    bool in_tiles = strncmp(device, "vulkan", 6) == 0;
    if (!fence_holds(plan, &run->step, in_tiles, before, after, text))
        fail_msg("%s on %s, %s: %s", plan->desc.name, device, what, text);
    pd_free(before);
}

/* One run; appends what it reads to *results. */
static inline void ops_run_once(const ops_case *c, const ops_run *run, pd_backend *b,
                                pd_program *program, float **results) {
    pd_error err;
    if (run->ignored) {
        ops_write_inputs(run, b, program);
        ops_check(b->v->run(program, &run->step, &err), &err);
    } else {
        ops_run_fenced(c->plan, run, b, program, c->text);
    }
    for (uint32_t k = 0; k < run->n_outputs && !run->ignored; k++) {
        uint64_t n = ops_buf_values(c, run, run->outputs[k]);
        ops_check(b->v->read(program, run->outputs[k], 0, n * 4, *results, &err), &err);
        *results += n;
    }
}

/* All runs of a case on one device. Caller frees with pd_free. */
static inline float *ops_results(const ops_case *c, pd_backend *b) {
    float *results = pd_alloc(ops_result_values(c) + 1, sizeof *results), *at = results;
    pd_kv_store *kv = NULL;
    pd_program *program = NULL;
    pd_error err;
    assert_non_null(results);
    ops_check(b->v->load(b, c->plan, NULL, NULL, &err), &err);
    if (c->kv) ops_check(b->v->kv_create(b, c->kv, &kv, &err), &err);
    ops_check(b->v->compile(b, c->plan, kv, &program, &err), &err);
    for (uint32_t i = 0; i < c->n_runs; i++) ops_run_once(c, &c->runs[i], b, program, &at);
    b->v->destroy(b, program);
    if (kv) b->v->kv_destroy(b, kv);
    return results;
}

static inline ops_family *ops_find_family(const char *name, const char *device) {
    for (uint32_t i = 0; i < ops_n_families; i++) {
        ops_family *f = &ops_families[i];
        if (!strcmp(f->name, name) && !strcmp(f->device, device)) return f;
    }
    assert_true(ops_n_families < OPS_MAX_FAMILIES);
    ops_family *f = &ops_families[ops_n_families++];
    snprintf(f->name, sizeof f->name, "%s", name);
    snprintf(f->device, sizeof f->device, "%s", device);
    return f;
}

/* NaN or infinity anywhere counts as an infinite difference. */
static inline void ops_difference(const float *y, const float *ref, size_t n, double *nmse,
                                  double *worst) {
    double squares = 0, error = 0, most = 0;
    for (size_t i = 0; i < n; i++) {
        double d = (double)y[i] - (double)ref[i];
        squares += (double)ref[i] * (double)ref[i];
        error += d * d;
        if (!(fabs(d) <= most)) most = fabs(d);
    }
    double rms = sqrt(squares / (double)n);
    *nmse = squares > 0 ? error / squares : error > 0 ? INFINITY : 0;
    *worst = rms > 0 ? most / rms : most > 0 ? INFINITY : 0;
    if (!isfinite(error)) *nmse = *worst = INFINITY;
}

static inline void ops_judge(const ops_case *c, const char *device, const float *y,
                             const float *ref, size_t n) {
    ops_family *f = ops_find_family(c->family, device);
    double nmse, worst;
    ops_difference(y, ref, n, &nmse, &worst);
    f->n_cases++;
    f->nmse = fmax(f->nmse, nmse);
    f->worst = fmax(f->worst, worst);
    if (nmse <= c->max_nmse && worst <= c->max_worst) return;
    f->n_bad++;
    print_error("%s on %s, %s: nmse %.2e (at most %.1e), worst %.2e (at most %.1e)\n", c->family,
                device, c->text, nmse, c->max_nmse, worst, c->max_worst);
}

static inline bool ops_concerns(const ops_case *c, uint32_t device) {
    bool is_cpu = strncmp(ops_devices[device].name, "cpu", 3) == 0;
    if (c->is_spare && tests_are_sparse_on(ops_devices[device].name)) return false;
    return !(is_cpu ? c->not_cpu : c->cpu_only);
}

/* The case as the device is held to it. A driver's text names the processor's matrix unit. */
static inline ops_case ops_case_for(const ops_case *c, const ops_device *device) {
    ops_case held = *c;
    pd_backend *b = device->backend;
    if (c->matrix_factor > 0 && strstr(b->v->info(b)->driver, " with amx")) {
        held.max_nmse *= c->matrix_factor;
        held.max_worst *= sqrt(c->matrix_factor);
    }
    return held;
}

/* Finishes the plan, runs it everywhere, compares, and frees the plan. */
static inline void ops_compare(const ops_case *c) {
    pd_error err;
    bool concerns = false;
    for (uint32_t d = 1; d < ops_n_devices; d++) concerns = concerns || ops_concerns(c, d);
    if (!concerns) {
        pd_plan_free(c->plan);
        return;
    }
    fence_add_guards(c->plan);
    ops_check(pd_plan_finish(c->plan, &err), &err);
    size_t n = ops_result_values(c);
    float *ref = ops_results(c, ops_devices[0].backend);
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(ref[i])) fail_msg("%s, %s: the reference is not finite", c->family, c->text);
    }
    for (uint32_t d = 1; d < ops_n_devices; d++) {
        if (!ops_concerns(c, d)) continue;
        float *y = ops_results(c, ops_devices[d].backend);
        ops_case held = ops_case_for(c, &ops_devices[d]);
        ops_judge(&held, ops_devices[d].name, y, ref, n);
        pd_free(y);
    }
    pd_free(ref);
    pd_plan_free(c->plan);
}

/* At the end of a test: fails if any case of a family was beyond its tolerance. */
static inline void ops_conclude(void) {
    uint32_t bad = 0;
    for (uint32_t i = 0; i < ops_n_families; i++) {
        bad += ops_families[i].n_bad;
        ops_families[i].n_bad = 0;
    }
    if (bad) fail_msg("%u cases differ too much from the reference", bad);
}

#endif
