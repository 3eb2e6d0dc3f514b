/* Which cooperative matrices a device is given, from answers of drivers made up after what real
 * ones report; and the tiles that follow from them. Needs no Vulkan device.
 *
 * SPDX-License-Identifier: MIT
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "args.h"
#include "backend/vulkan/kernels/kernels.h"
#include "backend/vulkan/device/probe.h"
#include "base/env.h"

enum {
    F16 = 0,
    F32 = 1,
    S8 = 3,
    S32 = 5,
    WORKGROUP = 2,
    SUBGROUP = 3,
    AMD = 0x1002,
    INTEL = 0x8086
};

#define PRODUCT(m, n, k, in, out)                                                                  \
    {                                                                                              \
        .MSize = m, .NSize = n, .KSize = k, .AType = (VkComponentTypeKHR)(in),                     \
        .BType = (VkComponentTypeKHR)(in), .CType = (VkComponentTypeKHR)(out),                     \
        .ResultType = (VkComponentTypeKHR)(out), .scope = (VkScopeKHR)SUBGROUP                     \
    }

/* A device with everything that the kernels want. */
static pd_vk_probe make_probe(VkCooperativeMatrixPropertiesKHR *coopmats, uint32_t n) {
    pd_vk_probe p = {.api = VK_API_VERSION_1_3, .coopmats = coopmats, .n_coopmats = n};
    p.features.coopmat.cooperativeMatrix = VK_TRUE;
    p.features.memory_model.vulkanMemoryModel = VK_TRUE;
    p.features.memory_model.vulkanMemoryModelDeviceScope = VK_TRUE;
    p.features.small.shaderFloat16 = VK_TRUE;
    p.features.subgroup_size.subgroupSizeControl = VK_TRUE;
    p.features.subgroup_size.computeFullSubgroups = VK_TRUE;
    p.subgroup_size.requiredSubgroupSizeStages = VK_SHADER_STAGE_COMPUTE_BIT;
    p.subgroup_size.minSubgroupSize = p.subgroup_size.maxSubgroupSize = 32;
    p.subgroup.subgroupSize = 32;
    return p;
}

static pd_vk_coopmat shape_of(const pd_vk_probe *p) {
    pd_vk_caps caps;
    pd_vk_probe_caps(p, &caps);
    return caps.coopmat ? caps.coopmat_shape : (pd_vk_coopmat){0};
}

static void largest_fitting_product_is_taken(void **state) {
    (void)state;
    VkCooperativeMatrixPropertiesKHR list[] = {
        PRODUCT(16, 16, 32, S8, S32), PRODUCT(16, 16, 16, F16, F16), PRODUCT(32, 16, 16, F16, F32),
        PRODUCT(16, 8, 16, F16, F32), PRODUCT(16, 16, 16, F16, F32)};
    enum { N = sizeof list / sizeof *list };
    pd_vk_probe p = make_probe(list, N);
    pd_vk_coopmat shape = shape_of(&p);
    assert_true(shape.m == 16 && shape.n == 16 && shape.k == 16);
    list[4].saturatingAccumulation = VK_TRUE;
    shape = shape_of(&p);
    assert_true(shape.m == 16 && shape.n == 8 && shape.k == 16);
    list[3].scope = (VkScopeKHR)WORKGROUP;
    assert_int_equal(shape_of(&p).m, 0);
}

static void nothing_less_will_do(void **state) {
    (void)state;
    VkCooperativeMatrixPropertiesKHR list[] = {PRODUCT(8, 16, 16, F16, F32)};
    pd_vk_probe p = make_probe(list, 1);
    assert_int_equal(shape_of(&p).m, 8);
    p.features.small.shaderFloat16 = VK_FALSE;
    assert_int_equal(shape_of(&p).m, 0);
    p = make_probe(list, 1);
    p.features.memory_model.vulkanMemoryModel = VK_FALSE;
    assert_int_equal(shape_of(&p).m, 0);
    p = make_probe(list, 1);
    p.features.memory_model.vulkanMemoryModelDeviceScope = VK_FALSE;
    assert_int_equal(shape_of(&p).m, 0);
    p = make_probe(list, 0);
    assert_int_equal(shape_of(&p).m, 0);
}

/* It is asked for, or there is one only: then nothing is asked for. */
static void size_of_subgroups_is_known(void **state) {
    (void)state;
    VkCooperativeMatrixPropertiesKHR list[] = {PRODUCT(16, 16, 16, F16, F32)};
    pd_vk_product_shape shape = {
        .wtype = PD_WEIGHT_Q4_0, .n_weight_rows = 2560, .n_blocks = 80, .max_rows = 512};
    pd_vk_caps caps;
    pd_vk_probe p = make_probe(list, 1);
    p.properties.properties.limits.maxComputeWorkGroupInvocations = 1024;
    p.properties.properties.limits.maxComputeWorkGroupSize[0] = 1024;
    pd_vk_probe_caps(&p, &caps);
    assert_int_equal(pd_vk_choose_coopmat(&caps, &shape).desc.subgroup_size, 32);
    p.subgroup_size.requiredSubgroupSizeStages = VK_SHADER_STAGE_FRAGMENT_BIT;
    assert_int_equal(shape_of(&p).m, 16);
    pd_vk_probe_caps(&p, &caps);
    assert_int_equal(pd_vk_choose_coopmat(&caps, &shape).desc.subgroup_size, 0);
    p.subgroup_size.maxSubgroupSize = 64;
    assert_int_equal(shape_of(&p).m, 0);
    p.features.subgroup_size.computeFullSubgroups = VK_FALSE;
    assert_int_equal(shape_of(&p).m, 0);
    p.subgroup_size.minSubgroupSize = p.subgroup_size.maxSubgroupSize = 0; /* not told */
    assert_int_equal(shape_of(&p).m, 0);
}

static bool is_allowed(VkDriverId driver, uint32_t vendor, uint32_t smallest_subgroup, bool mixed) {
    pd_vk_probe p = make_probe(NULL, 0);
    p.driver.driverID = driver;
    p.properties.properties.vendorID = vendor;
    p.subgroup_size.minSubgroupSize = smallest_subgroup;
    p.int_dot.integerDotProduct4x8BitPackedMixedSignednessAccelerated = mixed;
    return pd_vk_quirks_allow_coopmat(&p);
}

static void faulty_drivers_are_not_asked(void **state) {
    (void)state;
    pd_env_set("PERIDOT_DISABLE", NULL);
    assert_true(is_allowed(VK_DRIVER_ID_NVIDIA_PROPRIETARY, 0x10de, 32, false));
    assert_true(is_allowed(VK_DRIVER_ID_MESA_RADV, AMD, 32, true));
    assert_true(is_allowed(VK_DRIVER_ID_AMD_PROPRIETARY, AMD, 32, true));
    assert_false(is_allowed(VK_DRIVER_ID_AMD_PROPRIETARY, AMD, 32, false)); /* RDNA 2 */
    assert_false(is_allowed(VK_DRIVER_ID_AMD_OPEN_SOURCE, AMD, 32, true));
    assert_false(is_allowed(VK_DRIVER_ID_QUALCOMM_PROPRIETARY, 0x5143, 64, true));
    assert_true(is_allowed(VK_DRIVER_ID_INTEL_OPEN_SOURCE_MESA, INTEL, 16, true)); /* Xe2 */
    assert_false(is_allowed(VK_DRIVER_ID_INTEL_OPEN_SOURCE_MESA, INTEL, 8, true));
    static const char *const words[] = {"coopmat", "fp16", "subgroup", "nonsense"};
    for (int i = 0; i < 4; i++) {
        pd_env_set("PERIDOT_DISABLE", words[i]);
        assert_false(is_allowed(VK_DRIVER_ID_NVIDIA_PROPRIETARY, 0x10de, 32, true));
    }
    pd_env_set("PERIDOT_DISABLE", "timestamps");
    assert_true(is_allowed(VK_DRIVER_ID_NVIDIA_PROPRIETARY, 0x10de, 32, true));
    pd_env_set("PERIDOT_DISABLE", NULL);
}

/* ---- tiles ---------------------------------------------------------------------------------- */

static pd_vk_caps make_caps(uint32_t vendor, uint32_t min, uint32_t usual, pd_vk_coopmat shape) {
    return (pd_vk_caps){.coopmat = true,
                        .large_coopmat = true,
                        .subgroup_size_control = true,
                        .coopmat_shape = shape,
                        .subgroup_size = usual,
                        .subgroup_size_min = min,
                        .vendor_id = vendor,
                        .max_workgroup_size = 1024,
                        .max_subgroups = 64,
                        .max_shared_bytes = 32768};
}

static pd_vk_product choose(const pd_vk_caps *caps, uint32_t n_weight_rows, uint32_t max_rows) {
    pd_vk_product_shape s = {.wtype = PD_WEIGHT_Q4_0,
                             .n_weight_rows = n_weight_rows,
                             .n_blocks = 80,
                             .max_rows = max_rows,
                             .x_format = PD_ACT_F16};
    return pd_vk_choose_coopmat(caps, &s);
}

/* As shaders/matmul_coopmat.glsl demands it. */
static void check_tile(const pd_vk_caps *caps, uint32_t n, uint32_t rows) {
    const pd_vk_coopmat *s = &caps->coopmat_shape;
    pd_vk_product p = choose(caps, n, rows);
    const uint32_t *c = p.desc.constants;
    uint32_t wg = c[PD_WORKGROUP], bm = c[PD_COOPMAT_BM], bn = c[PD_COOPMAT_BN];
    uint32_t wm = c[PD_COOPMAT_WM], wn = c[PD_COOPMAT_WN];
    uint32_t stages = c[PD_COOPMAT_STAGES], subgroup = c[PD_COOPMAT_SUBGROUP];
    assert_true(p.tile_m == bm && p.tile_n == bn);
    assert_int_equal(wg, subgroup * (bm / wm) * (bn / wn));
    assert_true(bm % wm == 0 && bn % wn == 0 && wm % s->m == 0 && wn % s->n == 0);
    assert_true(wg <= caps->max_workgroup_size);
    assert_int_equal(p.desc.subgroup_size, subgroup);
    assert_true(stages == 1 || stages == 2);
    assert_true(stages * (bm + bn) * 80 + wg / subgroup * s->m * s->n * 4 <=
                caps->max_shared_bytes);
    assert_true(wg / subgroup <= caps->max_subgroups);
}

static void tiles_fit_every_device(void **state) {
    (void)state;
    for (uint32_t subgroup = 4; subgroup <= 128; subgroup *= 2)
        for (uint32_t i = 0; i < 8; i++) {
            pd_vk_coopmat shape = {i & 1 ? 16 : 8, i & 2 ? 16 : 8, i & 4 ? 16 : 8};
            pd_vk_caps caps = make_caps(AMD, subgroup, subgroup, shape);
            for (uint32_t rows = 16; rows <= 1024; rows *= 2) {
                check_tile(&caps, 1152, rows);
                check_tile(&caps, 20480, rows);
            }
            caps.max_shared_bytes = 16384; /* Vulkan's minima */
            caps.max_workgroup_size = 128;
            check_tile(&caps, 20480, 512);
        }
}

static void check_cut(const pd_vk_product *p, uint32_t wg, uint32_t bm, uint32_t bn, uint32_t wm,
                      uint32_t wn) {
    const uint32_t *c = p->desc.constants;
    assert_true(c[PD_WORKGROUP] == wg && c[PD_COOPMAT_BM] == bm && c[PD_COOPMAT_BN] == bn);
    assert_true(c[PD_COOPMAT_WM] == wm && c[PD_COOPMAT_WN] == wn);
}

static void tiles_are_as_meant(void **state) {
    (void)state;
    pd_vk_caps nvidia = make_caps(0x10de, 32, 32, (pd_vk_coopmat){16, 16, 16}),
               xe2 = make_caps(INTEL, 16, 32, (pd_vk_coopmat){8, 16, 16});
    pd_vk_product p = choose(&nvidia, 20480, 512);
    check_cut(&p, 256, 128, 128, 64, 32);
    assert_int_equal(p.desc.constants[PD_COOPMAT_STAGES], 1);
    p = choose(&nvidia, 1152, 512); /* few tiles: smaller ones */
    check_cut(&p, 128, 64, 64, 32, 32);
    assert_int_equal(p.desc.constants[PD_COOPMAT_STAGES], 2);
    p = choose(&xe2, 20480, 512);
    check_cut(&p, 256, 128, 128, 32, 32);
    assert_int_equal(p.desc.constants[PD_COOPMAT_SUBGROUP], 16);
    nvidia.large_coopmat = false;
    p = choose(&nvidia, 20480, 512);
    assert_int_equal(p.tile_m, 64);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(largest_fitting_product_is_taken),
        cmocka_unit_test(nothing_less_will_do),
        cmocka_unit_test(size_of_subgroups_is_known),
        cmocka_unit_test(faulty_drivers_are_not_asked),
        cmocka_unit_test(tiles_fit_every_device),
        cmocka_unit_test(tiles_are_as_meant),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
