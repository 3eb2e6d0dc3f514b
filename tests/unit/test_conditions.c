/* Clocks, temperatures and settings by a folder in place of /sys, and a library in place of NVML.
 * SPDX-License-Identifier: MIT
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "measure/conditions.h"
#include "support_folder.h"
#include "support_sysfs.h"

static void a_machine_that_tells_nothing(void **state) {
    (void)state;
    pd_conditions c = pd_conditions_at(&cpu, test_folder, "/no");
    assert_string_equal(c.governor, "");
    assert_string_equal(c.profile, "");
    assert_string_equal(c.power, "");
    assert_true(c.mhz == 0 && c.celsius == 0);
    c = pd_conditions_at(&card, test_folder, "/no");
    assert_true(c.mhz == 0 && c.celsius == 0);
    c = pd_conditions_at(&geforce, test_folder, "/no");
    assert_true(c.mhz == 0 && c.celsius == 0);
}

static void a_processor(void **state) {
    (void)state;
    put("devices/system/cpu/cpu0/cpufreq", "scaling_governor", "powersave");
    put("devices/system/cpu/cpu0/cpufreq", "scaling_cur_freq", "2400000");
    put("devices/system/cpu/cpu1/cpufreq", "scaling_cur_freq", "4700000");
    put("firmware/acpi", "platform_profile", "balanced");
    put("class/power_supply/AC", "online", "0");
    put("class/hwmon/hwmon0", "name", "k10temp");
    put("class/hwmon/hwmon0", "temp1_input", "61500");
    pd_conditions c = pd_conditions_at(&cpu, test_folder, "/no");
    assert_string_equal(c.governor, "powersave");
    assert_string_equal(c.profile, "balanced");
    assert_string_equal(c.power, "battery");
    assert_float_equal(c.mhz, 4700, 1e-9);
    assert_float_equal(c.celsius, 61.5, 1e-9);
    put("class/power_supply/AC", "online", "1");
    assert_string_equal(pd_conditions_at(&cpu, test_folder, "/no").power, "mains");
}

static void cards(void **state) {
    (void)state;
    put("class/hwmon/hwmon1", "name", "amdgpu");
    put("class/hwmon/hwmon1", "freq1_input", "2100000000");
    put("class/hwmon/hwmon1", "temp1_input", "55000");
    pd_conditions c = pd_conditions_at(&card, test_folder, "/no");
    assert_float_equal(c.mhz, 2100, 1e-9);
    assert_float_equal(c.celsius, 55, 1e-9);
    put("class/hwmon/hwmon2", "name", "amdgpu"); /* nobody knows which is meant */
    assert_true(pd_conditions_at(&card, test_folder, "/no").celsius == 0);
    c = pd_conditions_at(&geforce, test_folder, FAKE_NVML);
    assert_float_equal(c.mhz, 1980, 1e-9);
    assert_true(c.celsius == 0); /* the card does not tell */
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_machine_that_tells_nothing),
                                       cmocka_unit_test(a_processor), cmocka_unit_test(cards)};
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
