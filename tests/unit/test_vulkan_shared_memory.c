/* What kernels take of a workgroup's shared memory, read off their SPIR-V, fits every kind of
 * device: all pipelines of all model sizes, for devices with 16, 32 and 48 KiB. No Vulkan device is
 * needed but for the last test, where one is told that it has less than any kernel can do with.
 *
 * SPDX-License-Identifier: MIT
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "args.h"
#include "backend/vulkan/kernels/kernels.h"
#include "backend/vulkan/kernels/shared_memory.h"
#include "base/env.h"
#include "base/memory.h"
#include "support_golden.h"
#include "support_validation.h"
#include "support_skip.h"

enum { MAX_KERNELS = 2048 };

/* SPIR-V by shader's name: modules are compiled once. */
static struct {
    const char *name;
    uint32_t *words;
    size_t n_words;
} modules[64];
static uint32_t n_modules;

static uint32_t module_of(const char *name) {
    uint32_t i = 0;
    while (i < n_modules && strcmp(modules[i].name, name) != 0) i++;
    if (i < n_modules) return i;
    pd_error err;
    uint64_t ns;
    size_t n_bytes;
    assert_true(n_modules < sizeof modules / sizeof *modules);
    must(pd_vk_spirv_get(name, &modules[i].words, &n_bytes, &ns, &err), &err);
    modules[i].name = name;
    modules[i].n_words = n_bytes / 4;
    return n_modules++;
}

static uint64_t shared_of(const pd_vk_pipeline_desc *desc) {
    uint32_t i = module_of(desc->shader);
    uint64_t bytes;
    if (!pd_vk_shared_bytes(modules[i].words, modules[i].n_words, desc, &bytes))
        fail_msg("%s is not understood", desc->shader);
    return bytes;
}

static pd_vk_caps make_caps(uint32_t shared, uint32_t invocations, uint32_t subgroup) {
    return (pd_vk_caps){.fp16 = true,
                        .int_dot = true,
                        .int_dot_fast = true,
                        .last_arrival = true,
                        .large_coopmat = true,
                        .many_products = true,
                        .coopmat = true,
                        .coopmat_shape = {16, 16, 16},
                        .subgroup_size = subgroup,
                        .subgroup_size_min = subgroup,
                        .max_workgroup_size = invocations,
                        .max_subgroups = invocations / subgroup,
                        .max_shared_bytes = shared};
}

/* The widest matvecs that the tuner may try, too. */
static uint64_t check_all(const pd_vk_caps *caps) {
    static pd_vk_pipeline_desc kernels[MAX_KERNELS];
    pd_vk_tuning tuning = pd_vk_rules_of_thumb(caps);
    uint64_t most = 0;
    for (tuning.lanes = 8; tuning.lanes <= 32; tuning.lanes *= 2)
        for (tuning.rows = 2; tuning.rows <= 4; tuning.rows *= 2) {
            uint32_t n = pd_vk_kernel_list(caps, &tuning, kernels, MAX_KERNELS);
            assert_true(n > 100 && n <= MAX_KERNELS);
            for (uint32_t i = 0; i < n; i++) {
                uint64_t bytes = shared_of(&kernels[i]);
                if (bytes > most) most = bytes;
                if (bytes > caps->max_shared_bytes)
                    fail_msg("%s takes %llu bytes of shared memory; the device has %u",
                             kernels[i].shader, (unsigned long long)bytes, caps->max_shared_bytes);
                if (kernels[i].constants[PD_WORKGROUP] > caps->max_workgroup_size)
                    fail_msg("%s takes %u invocations", kernels[i].shader,
                             kernels[i].constants[PD_WORKGROUP]);
            }
        }
    return most;
}

static void every_kernel_fits(void **state) {
    (void)state;
    static const uint32_t shared[] = {16384, 32768, 49152}, invocations[] = {128, 256, 512, 1024};
    for (int i = 0; i < 3; i++)
        for (int k = 0; k < 4; k++)
            for (uint32_t subgroup = 8; subgroup <= 128; subgroup *= 2) {
                pd_vk_caps caps = make_caps(shared[i], invocations[k], subgroup);
                uint64_t most = check_all(&caps);
                if (subgroup == 32)
                    printf("%5u bytes, %4u invocations: at most %llu taken\n", shared[i],
                           invocations[k], (unsigned long long)most);
            }
}

/* 1 + the largest operand of a decoration in the shader's module. */
static uint32_t count_decorated(const char *shader, uint32_t decoration) {
    enum { OP_DECORATE = 71, HEADER_WORDS = 5 };
    uint32_t m = module_of(shader), count = 0;
    const uint32_t *words = modules[m].words;
    for (size_t at = HEADER_WORDS; at < modules[m].n_words; at += words[at] >> 16)
        if ((words[at] & 0xffff) == OP_DECORATE && words[at + 2] == decoration &&
            words[at + 3] >= count)
            count = words[at + 3] + 1;
    return count;
}

/* shaders/interface.h says how many constants and bindings a shader has. */
static void interfaces_are_as_declared(void **state) {
    (void)state;
    enum { SPEC_ID = 1, BINDING = 33 };
    static pd_vk_pipeline_desc kernels[MAX_KERNELS];
    pd_vk_caps caps = make_caps(32768, 1024, 32);
    pd_vk_tuning tuning = pd_vk_rules_of_thumb(&caps);
    uint32_t n = pd_vk_kernel_list(&caps, &tuning, kernels, MAX_KERNELS);
    for (uint32_t i = 0; i < n; i++) {
        const pd_vk_pipeline_desc *k = &kernels[i];
        uint32_t constants = count_decorated(k->shader, SPEC_ID),
                 bindings = count_decorated(k->shader, BINDING);
        if (constants != k->n_constants || bindings != k->n_buffers)
            fail_msg("%s declares %u constants and %u bindings; %u and %u are given", k->shader,
                     constants, bindings, k->n_constants, k->n_buffers);
    }
}

/* Against formulas written down by hand. */
static void known_sizes(void **state) {
    (void)state;
    pd_vk_caps caps = make_caps(32768, 1024, 32);
    pd_vk_product_shape s = {.wtype = PD_WEIGHT_Q4_0,
                             .n_weight_rows = 20480,
                             .n_blocks = 80,
                             .max_rows = 512,
                             .x_format = PD_ACT_F16};
    pd_vk_pipeline_desc desc = pd_vk_choose_coopmat(&caps, &s).desc;
    const uint32_t *c = desc.constants;
    uint32_t stages = c[PD_COOPMAT_STAGES] * (c[PD_COOPMAT_BM] + c[PD_COOPMAT_BN]) * 80;
    uint32_t n_subgroups = c[PD_WORKGROUP] / c[PD_COOPMAT_SUBGROUP];
    assert_int_equal(shared_of(&desc), stages + n_subgroups * 16 * 16 * 4);
    desc = pd_vk_choose_log_prob(&caps);
    assert_int_equal(shared_of(&desc) % (4 * desc.constants[PD_WORKGROUP]),
                     0); /* the reduction's room */
    desc = pd_vk_choose_repack(PD_WEIGHT_Q4_0);
    assert_int_equal(shared_of(&desc), 0);
}

/* Cut or damaged, a module is not understood or gives some size, and nothing is read behind it. */
static void damaged_modules_are_harmless(void **state) {
    (void)state;
    pd_vk_caps caps = make_caps(32768, 1024, 32);
    pd_vk_pipeline_desc desc = pd_vk_choose_norm(&caps, 1152, true, PD_ACT_I16);
    uint32_t m = module_of(desc.shader);
    uint64_t bytes, whole = shared_of(&desc);
    for (size_t n = 0; n < modules[m].n_words; n++) {
        uint32_t *cut = pd_alloc(n + 1, sizeof *cut); /* exactly as long: for the sanitizers */
        memcpy(cut, modules[m].words, n * sizeof *cut);
        if (n > 5) cut[n - 1] ^= 0x5a5a5a5a;
        (void)pd_vk_shared_bytes(cut, n, &desc, &bytes);
        pd_free(cut);
    }
    assert_int_equal(shared_of(&desc), whole);
}

/* A kernel for which a device has no room is refused before the driver sees it. */
static void overruns_are_refused(void **state) {
    (void)state;
    pd_error err;
    pd_model *m;
    pd_session *s;
    pd_env_set("PERIDOT_MAX_SHARED", "300");
    pd_env_set("PERIDOT_TUNE", "off");
    pd_model_desc desc = {.device = "vulkan:llvmpipe"};
    pd_status status = pd_model_open(GOLDEN("small-q4_0.gguf"), &desc, &m, &err);
    if (status == PD_ERR_NO_DEVICE) skip_because("there is no llvmpipe");
    if (status == PD_OK) {
        status = pd_session_create(m, &(pd_session_desc){0}, &s, &err);
        pd_model_close(m);
    }
    pd_env_set("PERIDOT_MAX_SHARED", NULL);
    assert_int_equal(status, PD_ERR_UNSUPPORTED);
    assert_non_null(strstr(err.message, "bytes of shared memory"));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_kernel_fits),
                                       cmocka_unit_test(known_sizes),
                                       cmocka_unit_test(interfaces_are_as_declared),
                                       cmocka_unit_test(damaged_modules_are_harmless),
                                       cmocka_unit_test(overruns_are_refused),
                                       cmocka_unit_test(check_validation_silent)};
    PRINT_LOG();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    for (uint32_t i = 0; i < n_modules; i++) pd_free(modules[i].words);
    return failed;
}
