/* Energy by RAPL, hwmon and NVML, of which a folder and a library stand in: sums, counters that
 * begin anew, several packages, what is not there, and two cards, of which nobody knows which is
 * meant.
 *
 * SPDX-License-Identifier: MIT
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "measure/energy.h"
#include "support_folder.h"
#include "support_sysfs.h"

static void forget(void) {
    remove_all(in_folder("class"));
}

#define RAPL(n) "class/powercap/intel-rapl:" n

static void packages_are_added_up(void **state) {
    (void)state;
    forget();
    put(RAPL("0"), "name", "package-0");
    put(RAPL("0"), "energy_uj", "5000000");
    put(RAPL("0"), "max_energy_range_uj", "10000000");
    put(RAPL("1"), "name", "psys"); /* all of the machine, the packages in it */
    put(RAPL("1"), "energy_uj", "1");
    put(RAPL("2"), "name", "package-1");
    put(RAPL("2"), "energy_uj", "0");
    put(RAPL("2"), "max_energy_range_uj", "10000000");
    pd_energy *e = pd_energy_open_at(&cpu, test_folder, "/no");
    assert_non_null(e);
    assert_string_equal(pd_energy_source(e), "RAPL");
    assert_float_equal(pd_energy_joules(e), 0, 1e-9);
    put(RAPL("0"), "energy_uj", "7000000");
    put(RAPL("1"), "energy_uj", "900000000");
    put(RAPL("2"), "energy_uj", "500000");
    assert_float_equal(pd_energy_joules(e), 2.5, 1e-9);
    put(RAPL("0"), "energy_uj", "1000000"); /* anew: 3 to the end, and 1 */
    assert_float_equal(pd_energy_joules(e), 6.5, 1e-9);
    unlink(in_folder(RAPL("2") "/energy_uj"));
    assert_true(pd_energy_joules(e) < 0);
    pd_energy_close(e);
}

static void what_is_not_told(void **state) {
    (void)state;
    forget();
    assert_null(pd_energy_open_at(&cpu, test_folder, "/no"));
    assert_null(pd_energy_open_at(&card, test_folder, "/no"));
    assert_null(pd_energy_open_at(&geforce, test_folder, "/no"));
    put(RAPL("0"), "name", "package-0"); /* and no counter that may be read */
    assert_null(pd_energy_open_at(&cpu, test_folder, "/no"));
    pd_energy_close(NULL);
}

static void a_card_has_a_counter_or_a_power(void **state) {
    (void)state;
    forget();
    put("class/hwmon/hwmon0", "name", "coretemp");
    put("class/hwmon/hwmon3", "name", "xe");
    put("class/hwmon/hwmon3", "energy1_input", "1000000");
    pd_energy *e = pd_energy_open_at(&card, test_folder, "/no");
    assert_non_null(e);
    assert_string_equal(pd_energy_source(e), "hwmon");
    put("class/hwmon/hwmon3", "energy1_input", "4000000");
    assert_float_equal(pd_energy_joules(e), 3, 1e-9);
    pd_energy_close(e);
    put("class/hwmon/hwmon3", "name", "amdgpu");
    unlink(in_folder("class/hwmon/hwmon3/energy1_input"));
    put("class/hwmon/hwmon3", "power1_average", "50000000");
    e = pd_energy_open_at(&card, test_folder, "/no");
    assert_non_null(e);
    usleep(20000);
    double first = pd_energy_joules(e); /* 50 W for 20 ms, and what the machine lost besides */
    assert_true(first >= 1 && first < 100);
    usleep(20000);
    assert_true(pd_energy_joules(e) >= first + 1);
    pd_energy_close(e);
    put("class/hwmon/hwmon4", "name", "amdgpu");
    put("class/hwmon/hwmon4", "power1_average", "1");
    assert_null(pd_energy_open_at(&card, test_folder, "/no"));
}

static void nvidia_tells_by_its_library(void **state) {
    (void)state;
    forget();
    pd_device_info other = geforce;
    other.uuid[0] = 'f';
    assert_null(pd_energy_open_at(&other, test_folder, FAKE_NVML)); /* another card */
    pd_energy *e = pd_energy_open_at(&geforce, test_folder, FAKE_NVML);
    assert_non_null(e);
    assert_string_equal(pd_energy_source(e), "NVML");
    assert_float_equal(pd_energy_joules(e), 1.5, 1e-9);
    assert_float_equal(pd_energy_joules(e), 3, 1e-9);
    pd_energy_close(e);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(packages_are_added_up),
                                       cmocka_unit_test(what_is_not_told),
                                       cmocka_unit_test(a_card_has_a_counter_or_a_power),
                                       cmocka_unit_test(nvidia_tells_by_its_library)};
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
