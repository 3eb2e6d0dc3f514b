/* Slow processors beside fast ones, as a folder in place of /sys tells of them.
 * SPDX-License-Identifier: MIT
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/linux/core_speeds.h"
#include "support_sysfs.h"

/* A phone's: four small cores, three large ones, and one that is larger still. */
static void finds_slow_ones(void **state) {
    (void)state;
    static const uint32_t capacities[] = {250, 250, 250, 250, 780, 780, 780, 1024};
    enum { N = sizeof capacities / sizeof *capacities };
    char folder[PD_TEMP_PATH + 16], name[32], text[16];
    snprintf(folder, sizeof folder, "%s/phone", test_folder);
    for (size_t i = 0; i < N; i++) {
        snprintf(name, sizeof name, "phone/cpu%zu", i);
        snprintf(text, sizeof text, "%u", capacities[i]);
        put(name, "cpu_capacity", text);
    }
    for (size_t i = 0; i < N; i++) {
        uint32_t capacity = pd_cpu_capacity(folder, i);
        assert_int_equal(capacity, capacities[i]);
        assert_int_equal(pd_capacity_is_low(capacity, 1024), i < 4);
    }
}

/* Where nothing is told all are alike; so are cores of which one has somewhat more. */
static void leaves_others_alone(void **state) {
    (void)state;
    char folder[PD_TEMP_PATH + 16];
    snprintf(folder, sizeof folder, "%s/server", test_folder);
    put("server/cpu0", "cpu_capacity", "garbage");
    assert_int_equal(pd_cpu_capacity(folder, 0), 0);
    assert_int_equal(pd_cpu_capacity(folder, 1), 0);
    assert_false(pd_capacity_is_low(0, 1024));
    assert_false(pd_capacity_is_low(512, 1024));
    assert_true(pd_capacity_is_low(511, 1024));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_slow_ones),
        cmocka_unit_test(leaves_others_alone),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
