/* Measuring a device gives figures for what it has, none for what it lacks, and gives back the
 * memory it took. How large the figures are depends on the machine and is not asked.
 *
 * SPDX-License-Identifier: MIT
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#ifdef __aarch64__
#include <sys/auxv.h>
#endif

#include "backend/backend.h"
#include "base/env.h"
#include "support_validation.h"
#include "support_data.h"
#include "support_skip.h"

static void check_figures(const pd_device_speed *s, const bool has[PD_PEAK_COUNT]) {
    assert_true(isfinite(s->copy_gb_s) && s->copy_gb_s > 0);
    assert_true(isfinite(s->dispatch_us) && s->dispatch_us > 0);
    for (int i = 0; i < PD_PEAK_COUNT; i++) {
        assert_true(isfinite(s->gflop_s[i]));
        assert_int_equal(s->gflop_s[i] > 0, has[i]);
        assert_true(s->gflop_s[s->best] >= s->gflop_s[i]);
    }
}

static void check_device(const char *device, const bool has[PD_PEAK_COUNT]) {
    pd_error err = {0};
    pd_device_speed s;
    pd_status status = pd_device_measure(device, 2, &s, &err);
    if (status != PD_OK) print_message("%s\n", err.message);
    assert_int_equal(status, PD_OK);
    check_figures(&s, has);
}

/* AVX2 and what is wider, Arm's dot products; elsewhere bytes are multiplied as 16 bits. */
static bool has_bytes(void) {
#if defined(__x86_64__)
    return __builtin_cpu_supports("avx2");
#elif defined(__aarch64__)
    return getauxval(AT_HWCAP) >> 20 & 1; /* HWCAP_ASIMDDP */
#else
    return false;
#endif
}

/* A matrix unit, which the driver's text names. */
static bool has_tiles(void) {
    pd_device_info info[16];
    uint32_t n = 0;
    pd_error err = {0};
    assert_int_equal(pd_device_list(info, 16, &n, NULL, &err), PD_OK);
    for (uint32_t i = 0; i < n && i < 16; i++)
        if (strcmp(info[i].id, "cpu") == 0) return strstr(info[i].driver, " with amx") != NULL;
    return false;
}

static void the_processor(void **state) {
    (void)state;
    bool has[PD_PEAK_COUNT] = {[PD_PEAK_F32] = true, [PD_PEAK_INT16] = true};
    has[PD_PEAK_INT8] = has_bytes();
    has[PD_PEAK_BF16] = has_tiles();
    check_device("cpu", has);
    pd_env_set("PERIDOT_CPU_DISABLE", "integer");
    has[PD_PEAK_INT16] = has[PD_PEAK_INT8] = false;
    has[PD_PEAK_BF16] = has_tiles(); /* whatever was disabled before */
    check_device("cpu", has);
    pd_env_set("PERIDOT_CPU_DISABLE", NULL);
}

static void unknown_devices_are_refused(void **state) {
    (void)state;
    pd_device_speed s;
    pd_error err = {0};
    assert_int_equal(pd_device_measure("no such device", 0, &s, &err), PD_ERR_NO_DEVICE);
    assert_non_null(strstr(err.message, "no such device"));
}

static void models_without_a_device_are_refused(void **state) {
    (void)state;
    pd_model *m;
    pd_device_speed s;
    pd_error err = {0};
    pd_model_desc desc = {.vocab_only = true};
    assert_int_equal(pd_model_open(test_data("golden/small-q4_0.gguf"), &desc, &m, &err), PD_OK);
    assert_int_equal(pd_model_measure(m, &s, &err), PD_ERR_ARGUMENT);
    pd_model_close(m);
}

static void peaks_have_names(void **state) {
    (void)state;
    for (int i = 0; i < PD_PEAK_COUNT; i++)
        for (int j = 0; j < i; j++)
            assert_string_not_equal(pd_peak_name((pd_peak)i), pd_peak_name((pd_peak)j));
}

#ifdef PERIDOT_HAS_VULKAN
static bool find_software(pd_device_info *out) {
    pd_device_info list[16];
    uint32_t n = 0;
    if (pd_device_list(list, 16, &n, NULL, NULL) != PD_OK) return false;
    for (uint32_t i = 0; i < n && i < 16; i++)
        if (list[i].kind == PD_DEVICE_SOFTWARE && list[i].usable) {
            *out = list[i];
            return true;
        }
    return false;
}

static void a_vulkan_device(void **state) {
    (void)state;
    pd_device_info d;
    if (!find_software(&d)) skip_because("there is no software Vulkan device");
    bool has[PD_PEAK_COUNT] = {true, d.has_fp16, d.has_int_dot};
    check_device(d.id, has);
    pd_env_set("PERIDOT_DISABLE", "fp16,int8dot,timestamps");
    has[PD_PEAK_F16] = has[PD_PEAK_INT8] = false;
    check_device(d.id, has);
    pd_env_set("PERIDOT_DISABLE", NULL);
}

/* In 3 MiB there is room for buffers of 1 MiB, in 1 MiB for none. */
static void memory_is_given_back(void **state) {
    (void)state;
    pd_device_info d;
    if (!find_software(&d)) skip_because("there is no software Vulkan device");
    for (uint64_t mib = 1; mib <= 3; mib += 2) {
        pd_backend_desc desc = {.device = d.id, .memory_limit_bytes = mib << 20};
        pd_backend *b;
        pd_backend_stats stats;
        pd_device_speed s;
        pd_error err = {0};
        assert_int_equal(pd_backend_open(&desc, &b, &err), PD_OK);
        pd_status expected = mib == 1 ? PD_ERR_MEMORY_DEVICE : PD_OK;
        assert_int_equal(b->v->measure(b, &s, &err), expected);
        b->v->stats(b, &stats);
        assert_int_equal(stats.scratch_bytes, 0);
        assert_true(stats.peak_bytes <= mib << 20);
        b->v->close(b);
    }
}
#endif

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_processor),
        cmocka_unit_test(unknown_devices_are_refused),
        cmocka_unit_test(models_without_a_device_are_refused),
        cmocka_unit_test(peaks_have_names),
#ifdef PERIDOT_HAS_VULKAN
        cmocka_unit_test(a_vulkan_device),
        cmocka_unit_test(memory_is_given_back),
#endif
        cmocka_unit_test(check_validation_silent),
    };
    PRINT_LOG();
    pd_env_set("PERIDOT_DISABLE", NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
