/* What a driver's compiler made of a kernel, in the same columns for every driver.
 *
 * Each driver has names of its own for what VK_KHR_pipeline_executable_properties tells: `sources`
 * says which of them count for which column. Shared memory is read off the SPIR-V, since not every
 * driver tells. What a driver does not tell is SHADER_UNKNOWN.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_TESTS_SUPPORT_SHADER_ROW_H
#define PD_TESTS_SUPPORT_SHADER_ROW_H

#include <stdio.h>
#include <string.h>

#include "backend/vulkan/kernels/kernels.h"
#include "backend/vulkan/kernels/shared_memory.h"
#include "backend/vulkan/kernels/statistics.h"
#include "base/env.h"
#include "base/memory.h"

enum { SHADER_MAX_KERNELS = 1024 };
#define SHADER_UNKNOWN (-1L)

typedef enum shader_field {
    SHADER_REGISTERS, /* of one invocation, 32 bits each */
    SHADER_SPILLS,    /* registers, or loads and stores, that go to memory for want of registers */
    SHADER_SCRATCH,   /* bytes of memory private to an invocation, spills and indexed arrays */
    SHADER_SHARED,    /* bytes of a workgroup */
    SHADER_WAVES,     /* subgroups that fit a SIMD (AMD), a multiprocessor (NVIDIA) or a core */
    SHADER_CODE,      /* bytes */
    SHADER_INSTRUCTIONS,
    SHADER_CYCLES,  /* the compiler's own estimate, good for two versions of one kernel */
    SHADER_LOADS16, /* instructions that load 16 bytes from a buffer */
    SHADER_FIELDS
} shader_field;

static const char *const shader_field_names[SHADER_FIELDS] = {"registers",    "spills", "scratch",
                                                              "shared",       "waves",  "code",
                                                              "instructions", "cycles", "loads16"};

typedef struct shader_row {
    char name[96]; /* pd_vk_pipeline.name */
    long value[SHADER_FIELDS];
} shader_row;

/* ---- what drivers say ---------------------------------------------------------------------- */

static const struct {
    const char *name;
    shader_field field;
    double scale;
} shader_sources[] = {
    /* RADV (AMD) */
    {"VGPRs", SHADER_REGISTERS, 1},
    {"Spilled SGPRs", SHADER_SPILLS, 1},
    {"Spilled VGPRs", SHADER_SPILLS, 1},
    {"Scratch size", SHADER_SCRATCH, 1},
    {"Subgroups per SIMD", SHADER_WAVES, 1},
    {"Code size", SHADER_CODE, 1},
    {"Instructions", SHADER_INSTRUCTIONS, 1},
    {"Inverse Throughput", SHADER_CYCLES, 1},
    /* NVK (NVIDIA); "Code size" as above */
    {"Number of GPRs", SHADER_REGISTERS, 1},
    {"Spills to memory", SHADER_SPILLS, 1},
    {"Fills from memory", SHADER_SPILLS, 1},
    {"SLM size", SHADER_SCRATCH, 1},
    {"Max warps/SM", SHADER_WAVES, 1},
    {"Instruction count", SHADER_INSTRUCTIONS, 1},
    {"Static cycle count", SHADER_CYCLES, 1},
    /* Turnip (Adreno): registers of four values */
    {"Registers used", SHADER_REGISTERS, 4},
    {"STP Count", SHADER_SPILLS, 1},
    {"LDP Count", SHADER_SPILLS, 1},
    {"Max Waves Per Core", SHADER_WAVES, 1},
    {"Instruction Count", SHADER_INSTRUCTIONS, 1},
    /* Honeykrisp (Apple): registers of 16 bits, threads of subgroups of 32 */
    {"GPRs", SHADER_REGISTERS, 0.5},
    {"Spills", SHADER_SPILLS, 1},
    {"Fills", SHADER_SPILLS, 1},
    {"Scratch", SHADER_SCRATCH, 1},
    {"Threads", SHADER_WAVES, 1. / 32},
    {"ALU", SHADER_CYCLES, 1},
};

static inline void shader_row_add(void *ctx, const char *name, double value) {
    shader_row *row = ctx;
    for (size_t i = 0; i < sizeof shader_sources / sizeof *shader_sources; i++) {
        if (strcmp(name, shader_sources[i].name) != 0) continue;
        long *sum = &row->value[shader_sources[i].field];
        if (*sum == SHADER_UNKNOWN) *sum = 0;
        *sum += (long)(value * shader_sources[i].scale);
    }
}

/* How RADV's ACO writes a load of 16 bytes, before and since RDNA 3. */
static inline void shader_row_count_loads(void *ctx, const char *title, const char *text) {
    static const char *const loads[] = {"buffer_load_dwordx4", "buffer_load_b128"};
    shader_row *row = ctx;
    if (strcmp(title, "Assembly") != 0) return;
    row->value[SHADER_LOADS16] = 0;
    for (size_t i = 0; i < sizeof loads / sizeof *loads; i++)
        for (const char *at = text; (at = strstr(at, loads[i])); at++) row->value[SHADER_LOADS16]++;
}

static inline long shader_shared_bytes(const pd_vk_pipeline_desc *desc) {
    uint32_t *words = NULL;
    uint64_t ns, bytes = 0;
    size_t n_bytes = 0;
    pd_error err;
    bool known = pd_vk_spirv_get(desc->shader, &words, &n_bytes, &ns, &err) == PD_OK &&
                 pd_vk_shared_bytes(words, n_bytes / 4, desc, &bytes);
    pd_free(words);
    return known ? (long)bytes : SHADER_UNKNOWN;
}

static inline pd_status shader_row_read(pd_vk_device *d, const pd_vk_pipeline *pipeline,
                                        shader_row *row, pd_error *err) {
    *row = (shader_row){0};
    for (int f = 0; f < SHADER_FIELDS; f++) row->value[f] = SHADER_UNKNOWN;
    snprintf(row->name, sizeof row->name, "%s", pipeline->name);
    PD_TRY(pd_vk_statistics_each(d, pipeline, shader_row_add, row, err));
    PD_TRY(pd_vk_representations_each(d, pipeline, shader_row_count_loads, row, err));
    row->value[SHADER_SHARED] = shader_shared_bytes(&pipeline->desc);
    return PD_OK;
}

/* ---- all kernels --------------------------------------------------------------------------- */

/* Called for each kernel of pd_vk_kernel_list, in its order. */
typedef void (*shader_pipeline_fn)(void *ctx, pd_vk_device *d, const pd_vk_pipeline *pipeline);

/* One by one, to say of each that fails why; how many did. */
static inline uint32_t shader_compile_each(pd_vk_pipelines *p, const pd_vk_pipeline_desc *list,
                                           uint32_t n) {
    uint32_t n_failed = 0;
    for (uint32_t i = 0; i < n; i++) {
        const pd_vk_pipeline *pipeline;
        pd_error err;
        if (pd_vk_pipeline_get(p, &list[i], &pipeline, &err) == PD_OK) continue;
        fprintf(stderr, "%s\n", err.message);
        n_failed++;
    }
    return n_failed;
}

/* Compiles all of them on all processors; how many the compiler refused. */
static inline uint32_t shader_compile_all(pd_vk_device *d, shader_pipeline_fn fn, void *ctx) {
    static pd_vk_pipeline_desc list[SHADER_MAX_KERNELS];
    pd_vk_pipelines *p = NULL;
    pd_error err;
    const pd_vk_pipeline *declared;
    pd_vk_tuning tuning = pd_vk_rules_of_thumb(&d->caps);
    uint32_t n = pd_vk_kernel_list(&d->caps, &tuning, list, SHADER_MAX_KERNELS), n_failed = 0;
    if (pd_vk_pipelines_create(d, &p, &err) != PD_OK) {
        fprintf(stderr, "%s\n", err.message);
        return n;
    }
    pd_status status = PD_OK;
    for (uint32_t i = 0; i < n && status == PD_OK; i++)
        status = pd_vk_pipeline_declare(p, &list[i], &declared, &err);
    if (status == PD_OK) status = pd_vk_pipelines_build(p, &err);
    if (status != PD_OK) n_failed = shader_compile_each(p, list, n);
    for (uint32_t i = 0; i < pd_vk_pipeline_count(p); i++)
        if (pd_vk_pipeline_at(p, i)->handle) fn(ctx, d, pd_vk_pipeline_at(p, i));
    pd_vk_pipelines_destroy(p);
    return n_failed;
}

/* ---- devices without hardware -------------------------------------------------------------- */

/* The first device with `part` in its name, UINT32_MAX: none. */
static inline uint32_t shader_find_device(const char *part) {
    VkPhysicalDevice all[32];
    VkInstance instance;
    uint32_t n = 0, found = UINT32_MAX;
    if (pd_vk_instance_open(&instance, NULL) != PD_OK) return found;
    if (pd_vk_physical_list(instance, all, 32, &n, NULL) != PD_OK) n = 0;
    for (uint32_t i = 0; i < n && i < 32 && found == UINT32_MAX; i++) {
        pd_device_info info;
        pd_vk_describe(all[i], i, &info);
        if (strstr(info.name, part)) found = i;
    }
    pd_vk_instance_close();
    return found;
}

/* What comes from Mesa's own cache tells less, too. */
static inline void shader_settle_environment(void) {
    pd_env_set("MESA_SHADER_CACHE_DISABLE", "true");
    pd_env_set("NODEVICE_SELECT", "1"); /* Mesa's selection layer asks more than the device has */
    pd_env_set("PERIDOT_VALIDATION", NULL);
}

/* Mesa's RADV offers "null hardware" of the chip that RADV_FORCE_FAMILY names when an instance is
 * made: a device without memory or queues that work, whose compiler is the real one. */
static inline uint32_t shader_find_radv(const char *chip) {
    pd_env_set("RADV_FORCE_FAMILY", chip);
    return shader_find_device("Null hardware");
}

#endif
