/* The choice of a device by the user's wish, over made-up lists of devices.
 *
 * SPDX-License-Identifier: MIT
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "backend/registry.h"

enum { CPU, CPU_REF, ARC, RTX_A, LLVMPIPE, RTX_B, IRIS, OLD, N_DEVICES };

static const pd_device_info devices[N_DEVICES] = {
    [CPU] = {.id = "cpu", .name = "Some RTX-less CPU", .kind = PD_DEVICE_CPU, .usable = true},
    [CPU_REF] = {.id = "cpu-ref", .kind = PD_DEVICE_CPU_REFERENCE, .usable = true},
    [ARC] = {.id = "vulkan:0",
             .name = "Intel Arc A770",
             .uuid = "00000000-aaaa-0000-0000-000000000001",
             .kind = PD_DEVICE_GPU_DISCRETE,
             .memory_bytes = 16,
             .usable = true},
    [RTX_A] = {.id = "vulkan:1",
               .name = "NVIDIA RTX 4090",
               .uuid = "00000000-bbbb-0000-0000-000000000002",
               .kind = PD_DEVICE_GPU_DISCRETE,
               .memory_bytes = 24,
               .usable = true},
    [LLVMPIPE] = {.id = "vulkan:2",
                  .name = "llvmpipe (LLVM 15.0.6, 256 bits)",
                  .kind = PD_DEVICE_SOFTWARE,
                  .memory_bytes = 1000,
                  .usable = true},
    [RTX_B] = {.id = "vulkan:3",
               .name = "NVIDIA RTX 4090 D",
               .uuid = "00000000-bbbb-0000-0000-000000000003",
               .kind = PD_DEVICE_GPU_DISCRETE,
               .memory_bytes = 24,
               .usable = true},
    [IRIS] = {.id = "vulkan:4",
              .name = "Intel Iris",
              .kind = PD_DEVICE_GPU_INTEGRATED,
              .memory_bytes = 64,
              .usable = true},
    [OLD] = {.id = "vulkan:5",
             .name = "Ancient GPU",
             .kind = PD_DEVICE_GPU_DISCRETE,
             .memory_bytes = 2000,
             .unusable_reason = "it offers Vulkan 1.0; 1.1 is needed"},
};

static void expect_choice(const char *wish, const pd_device_info *list, uint32_t n,
                          uint32_t expected) {
    pd_error err = {0};
    uint32_t index = UINT32_MAX;
    pd_status status = pd_device_choose(wish, list, n, NULL, &index, &err);
    if (status != PD_OK) print_message("%s: %s\n", wish ? wish : "(none)", err.message);
    assert_int_equal(status, PD_OK);
    assert_int_equal(index, expected);
}

static void expect_refusal(const char *wish, const pd_device_info *list, uint32_t n,
                           const char *note, const char *part) {
    pd_error err = {0};
    uint32_t index;
    assert_int_equal(pd_device_choose(wish, list, n, note, &index, &err), PD_ERR_NO_DEVICE);
    if (!strstr(err.message, part)) print_message("%s\n", err.message);
    assert_non_null(strstr(err.message, part));
}

static void best_is_discrete_then_large(void **state) {
    (void)state;
    expect_choice(NULL, devices, N_DEVICES, RTX_A);
    expect_choice("", devices, N_DEVICES, RTX_A);
    expect_choice("vulkan", devices, N_DEVICES, RTX_A);
    expect_choice("VULKAN", devices, N_DEVICES, RTX_A);
    expect_choice(NULL, devices, RTX_A, ARC);
    const pd_device_info small[] = {devices[CPU], devices[LLVMPIPE], devices[IRIS]};
    expect_choice(NULL, small, 3, 2);
    const pd_device_info kinds[] = {
        {.id = "vulkan:0", .kind = PD_DEVICE_GPU_VIRTUAL, .memory_bytes = 9, .usable = true},
        {.id = "vulkan:1", .kind = PD_DEVICE_GPU_INTEGRATED, .memory_bytes = 5, .usable = true},
        {.id = "vulkan:2", .kind = PD_DEVICE_GPU_DISCRETE, .memory_bytes = 1, .usable = true},
    };
    expect_choice("vulkan", kinds, 1, 0);
    expect_choice("vulkan", kinds, 2, 1);
    expect_choice("vulkan", kinds, 3, 2);
}

static void software_only_when_named(void **state) {
    (void)state;
    const pd_device_info list[] = {devices[CPU], devices[CPU_REF], devices[LLVMPIPE], devices[OLD]};
    expect_choice(NULL, list, 4, 0);
    expect_choice("llvmpipe", list, 4, 2);
    expect_choice("vulkan:LLVM", list, 4, 2);
    expect_choice("vulkan:2", list, 4, 2);
    expect_refusal("vulkan", list, 4, NULL, "no GPU can be used through Vulkan");
}

static void names_and_numbers(void **state) {
    (void)state;
    expect_choice("cpu", devices, N_DEVICES, CPU);
    expect_choice("CPU-Ref", devices, N_DEVICES, CPU_REF);
    expect_choice("vulkan:3", devices, N_DEVICES, RTX_B);
    expect_choice("arc a7", devices, N_DEVICES, ARC);
    expect_choice("vulkan:iris", devices, N_DEVICES, IRIS);
    expect_choice("aaaa-0000", devices, N_DEVICES, ARC);
    expect_choice("00000000-BBBB-0000-0000-000000000003", devices, N_DEVICES, RTX_B);
    /* A whole name wins over being part of another. */
    expect_choice("nvidia rtx 4090", devices, N_DEVICES, RTX_A);
    /* A bare number may be part of a name; with the prefix it is an index. */
    expect_choice("770", devices, N_DEVICES, ARC);
    expect_refusal("vulkan:770", devices, N_DEVICES, NULL, "there is no device vulkan:770");
}

static void refusals_list_what_there_is(void **state) {
    (void)state;
    expect_refusal("voodoo", devices, N_DEVICES, NULL, "no device is called \"voodoo\"");
    expect_refusal("voodoo", devices, N_DEVICES, NULL, "cpu, cpu-ref, vulkan:0 (Intel Arc A770)");
    expect_refusal("voodoo", devices, 2, "no Vulkan library", "cpu-ref (no Vulkan device: no");
    expect_refusal("vulkan", devices, 2, "no Vulkan library", "no Vulkan library");
    expect_refusal("vulkan:0", devices, 2, NULL, "there is no device vulkan:0");
    expect_refusal("vulkan:", devices, N_DEVICES, NULL, "no device is called");
    expect_refusal("rtx", devices, N_DEVICES, NULL,
                   "\"rtx\" fits 2 devices: vulkan:1 (NVIDIA RTX 4090), vulkan:3 (NVIDIA RTX");
    expect_refusal("Ancient", devices, N_DEVICES, NULL, "1.1 is needed");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(best_is_discrete_then_large),
        cmocka_unit_test(software_only_when_named),
        cmocka_unit_test(names_and_numbers),
        cmocka_unit_test(refusals_list_what_there_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
