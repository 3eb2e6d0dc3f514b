/* The CPU as a device: opening and describing it, choosing its instructions.
 *
 * SPDX-License-Identifier: MIT
 */
#include "backend/cpu/cpu.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/cores.h"
#include "base/env.h"
#include "base/log.h"
#include "base/words.h"

/* ---- the device ----------------------------------------------------------------------------- */

/* Whether PERIDOT_CPU_DISABLE, a comma list, names the feature. */
static bool is_disabled(const char *feature) {
    const char *list = pd_env("PERIDOT_CPU_DISABLE"), *word;
    size_t n;
    while ((word = pd_next_word(&list, &n)))
        if (pd_word_is(word, n, feature)) return true;
    return false;
}

/* What it may name: each leaves the next narrower instructions; without "integer" everything is
 * multiplied in floats. */
static const char *const features[] = {"avx512", "avx2",    "vnni",   "amx",
                                       "i8mm",   "dotprod", "integer"};
enum { N_FEATURES = sizeof features / sizeof *features };

static pd_status check_disabled(pd_error *err) {
    const char *list = pd_env("PERIDOT_CPU_DISABLE"), *word;
    size_t n;
    while ((word = pd_next_word(&list, &n))) {
        uint32_t i = 0;
        while (i < N_FEATURES && !pd_word_is(word, n, features[i])) i++;
        if (i == N_FEATURES)
            return PD_RAISE(err, PD_ERR_ARGUMENT,
                            "PERIDOT_CPU_DISABLE names \"%.*s\"; known are avx512, avx2, vnni, "
                            "amx, i8mm, dotprod and integer",
                            (int)(n < 64 ? n : 64), word);
    }
    return PD_OK;
}

/* The widest that the processor has; PERIDOT_CPU_DISABLE=avx512,avx2 leaves the narrower ones. */
static const pd_cpu_kernels *choose_kernels(void) {
    const pd_cpu_kernels *k = is_disabled("avx512") ? NULL : pd_cpu_kernels_avx512();
    if (!k && !is_disabled("avx2")) k = pd_cpu_kernels_avx2();
    return k ? k : pd_cpu_kernels_base();
}

/* Integer kernels of each kind of instructions, the best first, and what PERIDOT_CPU_DISABLE must
 * not name for them. Without instructions for bytes 16 bits are as good. */
static const struct integer_choice {
    const pd_cpu_integer_kernels *(*kernels)(void), *(*kernels_q8)(void);
    const char *needs[2];
} integer_choices[] = {
#ifdef __x86_64__
    {pd_cpu_integer_avx512vnni, pd_cpu_integer_avx512vnni_q8, {"avx512", "vnni"}},
    {pd_cpu_integer_avx512, pd_cpu_integer_avx512, {"avx512", NULL}},
    {pd_cpu_integer_avxvnni, pd_cpu_integer_avxvnni_q8, {"avx2", "vnni"}},
    {pd_cpu_integer_avx2, pd_cpu_integer_avx2_q8, {"avx2", NULL}},
#endif
#ifdef __aarch64__
    {pd_cpu_integer_neon_i8mm, pd_cpu_integer_neon_i8mm_q8, {"dotprod", "i8mm"}},
    {pd_cpu_integer_neon, pd_cpu_integer_neon_q8, {"dotprod", NULL}},
#endif
    {pd_cpu_integer_base, pd_cpu_integer_base, {NULL, NULL}}};

static const pd_cpu_integer_kernels *choose_integer(bool q8) {
    if (is_disabled("integer")) return NULL;
    const struct integer_choice *c = integer_choices;
    for (;; c++) {
        bool allowed = true;
        for (int i = 0; i < 2 && c->needs[i]; i++) allowed &= !is_disabled(c->needs[i]);
        const pd_cpu_integer_kernels *k = q8 ? c->kernels_q8() : c->kernels();
        if (allowed && k) return k;
    }
}

static const pd_cpu_matrix_kernels *choose_matrix(void) {
#ifdef __x86_64__
    if (!is_disabled("amx") && !is_disabled("avx512")) return pd_cpu_matrix_amx();
#endif
    return NULL;
}

static void describe_kernels(bool reference, uint32_t n_threads, pd_device_info *out) {
    const pd_cpu_integer_kernels *integer = choose_integer(false);
    const char *name = integer ? integer->name : choose_kernels()->name;
    const pd_cpu_matrix_kernels *matrix = reference ? NULL : choose_matrix();
    snprintf(out->driver, sizeof out->driver, "%s%s%s, %u threads",
             reference ? "reference in double precision" : name, matrix ? " with " : "",
             matrix ? matrix->name : "", n_threads);
}

void pd_cpu_describe(bool reference, pd_device_info *out) {
    *out = (pd_device_info){.kind = reference ? PD_DEVICE_CPU_REFERENCE : PD_DEVICE_CPU,
                            .usable = true,
                            .has_unified_memory = true};
    snprintf(out->id, sizeof out->id, "%s", reference ? "cpu-ref" : "cpu");
    pd_processor_name(out->name, sizeof out->name);
    describe_kernels(reference, pd_core_count(), out);
    out->memory_bytes = pd_host_memory_bytes();
    out->memory_free_bytes = pd_host_memory_free_bytes();
    out->max_binding_bytes = out->max_alloc_bytes = out->memory_bytes;
}

static void cpu_close(pd_backend *b) {
    pd_cpu *cpu = (pd_cpu *)b;
    if (!cpu->is_recount) pd_pool_destroy(cpu->pool);
    pd_cpu_free_weights(cpu);
    pd_free(cpu);
}

static pd_status cpu_recount(pd_backend *b, pd_backend **out, pd_error *err) {
    const pd_cpu *from = (const pd_cpu *)b;
    pd_cpu *cpu = pd_alloc(1, sizeof *cpu);
    pd_cpu_weight *weights = pd_alloc(from->n_weights + 1, sizeof *weights);
    if (!cpu || !weights) {
        pd_free(cpu);
        pd_free(weights);
        return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for the CPU backend");
    }
    *cpu = *from;
    if (from->n_weights) memcpy(weights, from->weights, from->n_weights * sizeof *weights);
    cpu->weights = weights;
    cpu->counts_only = cpu->is_recount = true;
    cpu->stats.peak_bytes = pd_cpu_held_bytes(cpu);
    *out = &cpu->base;
    return PD_OK;
}

static const pd_device_info *cpu_info(const pd_backend *b) {
    return &((const pd_cpu *)b)->info;
}

static void cpu_stats(const pd_backend *b, pd_backend_stats *out) {
    *out = ((const pd_cpu *)b)->stats;
}

/* ---- opening -------------------------------------------------------------------------------- */

/* The CPU has nothing to prepare. */
static void cpu_expect(pd_backend *b, const pd_plan *plans, uint32_t n) {
    (void)b, (void)plans, (void)n;
}

static const pd_backend_vtable cpu_vtable = {.close = cpu_close,
                                             .info = cpu_info,
                                             .stats = cpu_stats,
                                             .expect = cpu_expect,
                                             .load = pd_cpu_load,
                                             .kv_create = pd_cpu_kv_create,
                                             .kv_destroy = pd_cpu_kv_destroy,
                                             .kv_grow = pd_cpu_kv_grow,
                                             .kv_read = pd_cpu_kv_read,
                                             .kv_write = pd_cpu_kv_write,
                                             .compile = pd_cpu_compile,
                                             .destroy = pd_cpu_destroy,
                                             .run = pd_cpu_run,
                                             .write = pd_cpu_write,
                                             .read = pd_cpu_read,
                                             .trace = pd_cpu_trace,
                                             .count = pd_cpu_count_step,
                                             .measure = pd_cpu_measure,
                                             .recount = cpu_recount};

pd_status pd_cpu_open(bool reference, const pd_backend_desc *desc, pd_backend **out,
                      pd_error *err) {
    *out = NULL;
    PD_TRY(check_disabled(err));
    pd_cpu *cpu = pd_alloc(1, sizeof *cpu);
    if (!cpu) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for the CPU backend");
    cpu->base.v = &cpu_vtable;
    cpu->reference = reference;
    cpu->counts_only = desc->counts_only;
    cpu->kernels = choose_kernels();
    bool packs = !reference && !desc->no_repack;
    cpu->integer = packs ? choose_integer(false) : NULL;
    cpu->integer_q8 = packs ? choose_integer(true) : NULL;
    cpu->matrix = reference ? NULL : choose_matrix();
    cpu->stats.limit_bytes = desc->memory_limit_bytes;
    pd_cpu_describe(reference, &cpu->info);
    pd_status status = pd_pool_create(desc->n_threads, &cpu->pool, err);
    if (status != PD_OK) {
        pd_free(cpu);
        return status;
    }
    cpu->n_threads = pd_pool_n_threads(cpu->pool);
    describe_kernels(reference, cpu->n_threads, &cpu->info);
    if (cpu->n_threads > pd_cpu_count())
        pd_log(PD_LOG_WARN, "cpu", "%u threads on %u processors are slower than one on each",
               cpu->n_threads, pd_cpu_count());
    pd_log(PD_LOG_DEBUG, "cpu", "%s: %s", cpu->info.id, cpu->info.driver);
    *out = &cpu->base;
    return PD_OK;
}
