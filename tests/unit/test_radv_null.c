/* AMD's compiler accepts every kernel and spills no register, on one chip each of GCN, RDNA 2 and
 * RDNA 3. Needs Mesa's RADV, no GPU (support_radv.h).
 *
 * SPDX-License-Identifier: MIT
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "support_radv.h"

typedef struct counts {
    unsigned n, n_incomplete, n_spilling;
} counts;

static void count_row(void *ctx, const radv_row *row) {
    counts *c = ctx;
    bool spills = row->value[RADV_SPILLED_SGPRS] || row->value[RADV_SPILLED_VGPRS];
    c->n++;
    c->n_incomplete += row->n_fields != RADV_FIELDS;
    c->n_spilling += spills;
    if (spills)
        print_message("%s spills %lu scalar and %lu vector registers\n", row->name,
                      row->value[RADV_SPILLED_SGPRS], row->value[RADV_SPILLED_VGPRS]);
}

static void no_kernel_spills(void **state) {
    const char *family = *state;
    counts c = {0};
    assert_int_equal(radv_run("/proc/self/exe", family, count_row, &c), 0);
    assert_true(c.n > 0);
    assert_int_equal(c.n_incomplete, 0);
    assert_int_equal(c.n_spilling, 0);
}

int main(int argc, char **argv) {
    static char rdna2[] = "navi21", rdna3[] = "gfx1100", gcn[] = "vega10";
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(no_kernel_spills, rdna2),
        cmocka_unit_test_prestate(no_kernel_spills, rdna3),
        cmocka_unit_test_prestate(no_kernel_spills, gcn),
    };
    if (radv_is_child(argc, argv)) return radv_child_main(argv[1]);
    if (radv_run("/proc/self/exe", rdna2, NULL, NULL) == RADV_NO_DEVICE) {
        printf("skipped: no Vulkan driver offers null hardware (Mesa's RADV)\n");
        return 77;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
