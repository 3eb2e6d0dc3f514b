/* The CPU as a device: opening and describing it, loading weights.
 *
 * Weights stay where they are, in the file's mapping; loading only asks the system to read ahead.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE /* madvise */
#include "backend/cpu/cpu.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/words.h"

/* ---- the device ----------------------------------------------------------------------------- */

/* Whether PERIDOT_CPU_DISABLE, a comma list, names the feature. */
static bool is_disabled(const char *feature) {
    const char *list = getenv("PERIDOT_CPU_DISABLE"), *word;
    size_t n;
    while ((word = pd_next_word(&list, &n)))
        if (pd_word_is(word, n, feature)) return true;
    return false;
}

static pd_status check_disabled(pd_error *err) {
    const char *list = getenv("PERIDOT_CPU_DISABLE"), *word;
    size_t n;
    while ((word = pd_next_word(&list, &n)))
        if (!pd_word_is(word, n, "avx512") && !pd_word_is(word, n, "avx2"))
            return PD_RAISE(err, PD_ERR_ARGUMENT,
                            "PERIDOT_CPU_DISABLE names \"%.*s\"; known are avx512 and avx2",
                            (int)(n < 64 ? n : 64), word);
    return PD_OK;
}

/* The widest that the processor has; PERIDOT_CPU_DISABLE=avx512,avx2 leaves the narrower ones. */
static const pd_cpu_kernels *choose_kernels(void) {
    const pd_cpu_kernels *k = is_disabled("avx512") ? NULL : pd_cpu_kernels_avx512();
    if (!k && !is_disabled("avx2")) k = pd_cpu_kernels_avx2();
    return k ? k : pd_cpu_kernels_base();
}

/* The processor's name as Linux tells it, else "CPU". */
static void read_cpu_name(char *name, size_t n) {
    snprintf(name, n, "CPU");
    FILE *f = fopen("/proc/cpuinfo", "r");
    if (!f) return;
    char line[256];
    while (fgets(line, sizeof line, f)) {
        char *colon = strncmp(line, "model name", 10) == 0 ? strchr(line, ':') : NULL;
        if (!colon) continue;
        colon += 1 + (colon[1] == ' ');
        colon[strcspn(colon, "\n")] = '\0';
        snprintf(name, n, "%s", colon);
        break;
    }
    fclose(f);
}

static void describe_kernels(bool reference, uint32_t n_threads, pd_device_info *out) {
    snprintf(out->driver, sizeof out->driver, "%s, %u threads",
             reference ? "reference in double precision" : choose_kernels()->name, n_threads);
}

void pd_cpu_describe(bool reference, pd_device_info *out) {
    *out = (pd_device_info){.kind = reference ? PD_DEVICE_CPU_REFERENCE : PD_DEVICE_CPU,
                            .usable = true,
                            .has_unified_memory = true};
    snprintf(out->id, sizeof out->id, "%s", reference ? "cpu-ref" : "cpu");
    read_cpu_name(out->name, sizeof out->name);
    describe_kernels(reference, pd_cpu_count(), out);
    out->memory_bytes = pd_host_memory_bytes();
    out->memory_free_bytes = pd_host_memory_free_bytes();
    out->max_binding_bytes = out->max_alloc_bytes = out->memory_bytes;
}

static void cpu_close(pd_backend *b) {
    pd_cpu *cpu = (pd_cpu *)b;
    if (!cpu->is_recount) pd_pool_destroy(cpu->pool);
    pd_free(cpu->loaded);
    pd_free(cpu);
}

static pd_status cpu_recount(pd_backend *b, pd_backend **out, pd_error *err) {
    const pd_cpu *from = (const pd_cpu *)b;
    pd_cpu *cpu = pd_alloc(1, sizeof *cpu);
    const void **loaded = pd_alloc(from->n_loaded + 1, sizeof *loaded);
    if (!cpu || !loaded) {
        pd_free(cpu);
        pd_free(loaded);
        return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for the CPU backend");
    }
    *cpu = *from;
    if (from->n_loaded) memcpy(loaded, from->loaded, from->n_loaded * sizeof *loaded);
    cpu->loaded = loaded;
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

/* ---- weights -------------------------------------------------------------------------------- */

static int compare_tensors(const void *a, const void *b) {
    uintptr_t x = (uintptr_t)(*(const pd_tensor *const *)a)->data;
    uintptr_t y = (uintptr_t)(*(const pd_tensor *const *)b)->data;
    return x < y ? -1 : x > y;
}

static int compare_pointers(const void *a, const void *b) {
    uintptr_t x = (uintptr_t) * (const void *const *)a, y = (uintptr_t) * (const void *const *)b;
    return x < y ? -1 : x > y;
}

/* The plan's tensors that are not loaded yet, each once; NULL when memory ran out. */
static const pd_tensor **new_tensors(const pd_cpu *cpu, const pd_plan *plan, uint32_t *n_out) {
    const pd_tensor **list = pd_alloc(plan->n_ops * PD_OP_MAX_WEIGHTS + 1, sizeof *list);
    if (!list) return NULL;
    uint32_t n = 0, kept = 0;
    for (uint32_t i = 0; i < plan->n_ops; i++)
        n += pd_op_get_weights(&plan->ops[i], true, list + n);
    qsort(list, n, sizeof *list, compare_tensors);
    for (uint32_t i = 0; i < n; i++) {
        const void *data = list[i]->data;
        bool repeated = kept && list[kept - 1]->data == data;
        bool known = cpu->n_loaded && bsearch(&data, cpu->loaded, cpu->n_loaded,
                                              sizeof *cpu->loaded, compare_pointers);
        if (!repeated && !known) list[kept++] = list[i];
    }
    *n_out = kept;
    return list;
}

/* Starts reading the tensor's pages; a refusal does no harm. */
static void read_ahead(const pd_tensor *t) {
    long page = sysconf(_SC_PAGESIZE);
    if (page <= 0) return;
    uintptr_t begin = (uintptr_t)t->data & ~((uintptr_t)page - 1);
    uintptr_t end = (uintptr_t)t->data + t->n_bytes;
    (void)madvise((void *)begin, end - begin, MADV_WILLNEED);
}

static pd_status remember(pd_cpu *cpu, const pd_tensor *const *list, uint32_t n, pd_error *err) {
    const void **all = pd_alloc(cpu->n_loaded + n + 1, sizeof *all);
    if (!all) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for the list of weights");
    if (cpu->n_loaded) memcpy(all, cpu->loaded, cpu->n_loaded * sizeof *all);
    for (uint32_t i = 0; i < n; i++) all[cpu->n_loaded + i] = list[i]->data;
    cpu->n_loaded += n;
    qsort(all, cpu->n_loaded, sizeof *all, compare_pointers);
    pd_free(cpu->loaded);
    cpu->loaded = all;
    return PD_OK;
}

/* The CPU has nothing to prepare. */
static void cpu_expect(pd_backend *b, const pd_plan *plans, uint32_t n) {
    (void)b, (void)plans, (void)n;
}

static pd_status cpu_load(pd_backend *b, const pd_plan *plan, pd_progress_fn progress, void *ctx,
                          pd_error *err) {
    pd_cpu *cpu = (pd_cpu *)b;
    uint32_t n = 0;
    const pd_tensor **list = new_tensors(cpu, plan, &n);
    if (!list) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for the list of weights");
    pd_status status = PD_OK;
    uint64_t total = 0, done = 0;
    for (uint32_t i = 0; i < n; i++) total += list[i]->n_bytes;
    PD_TRY_GOTO(pd_cpu_reserve(cpu, "weights", &cpu->stats.weight_bytes, total, err));
    for (uint32_t i = 0; i < n; i++) {
        if (!cpu->counts_only) read_ahead(list[i]);
        done += list[i]->n_bytes;
        if (!progress || progress(ctx, done, total)) continue;
        cpu->stats.weight_bytes -= total;
        status = PD_RAISE(err, PD_ERR_CANCELLED, "loading the weights was stopped on request");
        goto done;
    }
    PD_TRY_GOTO(remember(cpu, list, n, err));
done:
    pd_free(list);
    return status;
}

/* ---- opening -------------------------------------------------------------------------------- */

static const pd_backend_vtable cpu_vtable = {.close = cpu_close,
                                             .info = cpu_info,
                                             .stats = cpu_stats,
                                             .expect = cpu_expect,
                                             .load = cpu_load,
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
    pd_log(PD_LOG_DEBUG, "cpu", "%s: %u threads, %s kernels", cpu->info.id, cpu->n_threads,
           reference ? "reference" : cpu->kernels->name);
    *out = &cpu->base;
    return PD_OK;
}
