/* AMD's compiler accepts every kernel and spills no register, on one chip each of GCN, RDNA 2 and
 * RDNA 3; matvec kernels have enough waves to hide memory's latency, and load 16 bytes at once; and
 * no kernel is worse than tests/data/shader_report.txt says. Needs Mesa's RADV, no GPU
 * (support_radv.h). Another version of Mesa than the table's is another compiler: then the table is
 * left alone. GCN's turn comes only with PERIDOT_TEST_LONG in the environment.
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
#include "support_shader_table.h"
#include "support_data.h"

enum { MIN_MATVEC_WAVES = 8 };

static shader_table table; /* empty when it was made by another compiler */

typedef struct counts {
    const char *chip;
    unsigned n, n_incomplete, n_spilling, n_slow, n_worse;
} counts;

static bool is_matvec(const char *name) {
    return strncmp(name, "matvec", 6) == 0;
}

/* "matvec(WG,WTYPE,LANES,ROWS,.." */
static bool read_constants(const radv_row *row, unsigned *wtype, unsigned *n_rows) {
    return sscanf(row->name, "%*[^(](%*u,%u,%*u,%u", wtype, n_rows) == 2;
}

/* Left to the table: unquantised weights, of which a lane has 64 or 128 bytes in flight instead of
 * 16; and GCN, which has 256 registers a lane, half of RDNA's, and ten waves at most. */
static bool has_few_waves(const counts *c, const radv_row *row, unsigned wtype) {
    return wtype >= PD_W_Q4_0 && strcmp(c->chip, "vega10") != 0 &&
           row->value[RADV_SUBGROUPS] < MIN_MATVEC_WAVES;
}

/* Each row's block has 16 bytes at least. */
static void check_matvec(counts *c, const radv_row *row) {
    unsigned wtype = 0, n_rows = 0;
    if (!is_matvec(row->name)) return;
    bool known = read_constants(row, &wtype, &n_rows);
    bool narrow = row->has_code && row->n_loads16 < n_rows;
    if (known && !narrow && !has_few_waves(c, row, wtype)) return;
    c->n_slow++;
    print_message("%s on %s: %lu waves a SIMD, at least %d are wanted; %lu loads of 16 bytes, at "
                  "least %u\n",
                  row->name, c->chip, row->value[RADV_SUBGROUPS], MIN_MATVEC_WAVES, row->n_loads16,
                  n_rows);
}

static void check_row(void *ctx, const radv_row *row) {
    counts *c = ctx;
    bool spills = row->value[RADV_SPILLED_SGPRS] || row->value[RADV_SPILLED_VGPRS];
    c->n++;
    c->n_incomplete += row->n_fields != RADV_FIELDS;
    c->n_spilling += spills;
    if (spills)
        print_message("%s spills %lu scalar and %lu vector registers\n", row->name,
                      row->value[RADV_SPILLED_SGPRS], row->value[RADV_SPILLED_VGPRS]);
    check_matvec(c, row);
    if (table.n == 0) return;
    shader_table_row now = shader_table_make(row, c->chip);
    c->n_worse += shader_table_compare(&table, &now, stdout);
}

/* A chip takes AMD's compiler more than a minute: the oldest of the three only in long tests. */
static void kernels_are_as_good_as_they_were(void **state) {
    counts c = {.chip = *state};
    if (strcmp(c.chip, "vega10") == 0 && !getenv("PERIDOT_TEST_LONG")) skip();
    assert_int_equal(radv_run("/proc/self/exe", c.chip, check_row, &c), 0);
    assert_true(c.n > 0);
    assert_int_equal(c.n_incomplete, 0);
    assert_int_equal(c.n_spilling, 0);
    assert_int_equal(c.n_slow, 0);
    c.n_worse += shader_table_missing(&table, c.chip, stdout);
    if (c.n_worse > 0) print_message("%s\n", SHADER_TABLE_AGAIN);
    assert_int_equal(c.n_worse, 0);
}

/* Each kind of difference is one, and improvements are none. */
static void differences_are_found(void **state) {
    (void)state;
    static shader_table t = {.n = 1};
    FILE *to = tmpfile();
    assert_non_null(to);
    const shader_table_row was = {.name = "x(1)",
                                  .chip = "navi21",
                                  .vgprs = 64,
                                  .waves = 16,
                                  .instructions = 100,
                                  .loads16 = 4};
    t.rows[0] = was;
    assert_int_equal(shader_table_missing(&t, "navi21", to), 1);
    assert_int_equal(shader_table_missing(&t, "vega10", to), 0);
    shader_table_row now = was;
    assert_int_equal(shader_table_compare(&t, &now, to), 0);
    assert_int_equal(shader_table_missing(&t, "navi21", to), 0);
    now.waves = 15;
    assert_int_equal(shader_table_compare(&t, &now, to), 1);
    now.instructions = 111;
    assert_int_equal(shader_table_compare(&t, &now, to), 2);
    now.loads16 = 3;
    assert_int_equal(shader_table_compare(&t, &now, to), 3);
    now = was;
    now.waves = 20;
    now.instructions = 110;
    now.loads16 = 5;
    assert_int_equal(shader_table_compare(&t, &now, to), 0);
    snprintf(now.name, sizeof now.name, "y(1)");
    assert_int_equal(shader_table_compare(&t, &now, to), 1);
    fclose(to);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(differences_are_found),
        cmocka_unit_test_prestate(kernels_are_as_good_as_they_were, shader_table_chips[0]),
        cmocka_unit_test_prestate(kernels_are_as_good_as_they_were, shader_table_chips[1]),
        cmocka_unit_test_prestate(kernels_are_as_good_as_they_were, shader_table_chips[2]),
    };
    char driver[256] = "", made_by[256];
    if (radv_is_child(argc, argv)) return radv_child_main(argv[1]);
    if (radv_run("/proc/self/exe", shader_table_chips[0], NULL, driver) == RADV_NO_DEVICE) {
        printf("skipped: no Vulkan driver offers null hardware (Mesa's RADV)\n");
        return 77;
    }
    if (!shader_table_read(test_data("shader_report.txt"), &table)) {
        printf("tests/data/shader_report.txt cannot be read; %s\n", SHADER_TABLE_AGAIN);
        return 1;
    }
    snprintf(made_by, sizeof made_by, "%s", table.driver);
    bool other = strcmp(made_by, driver) != 0;
    if (other) table.n = 0;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    if (failed || !other) return failed;
    printf("skipped in part: nothing spills and there are waves enough with %s, but the table was "
           "made with %s\n",
           driver, made_by);
    return 77;
}
