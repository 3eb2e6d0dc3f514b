/* AMD's compiler accepts every kernel and spills no register, on one chip each of GCN, RDNA 2 and
 * RDNA 3; matvec kernels have enough waves to hide memory's latency, and load 16 bytes at once; and
 * no kernel is worse than the table in tests/data/shader_report says. Needs Mesa's RADV, no GPU.
 * Without a table of this version of Mesa, only the rules hold. GCN's turn comes only with
 * PERIDOT_TEST_LONG in the environment.
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
#include "support_data.h"
#include "support_shader_rules.h"
#include "support_shader_table.h"
#include "support_skip.h"

enum { MIN_MATVEC_WAVES = 8 };

static shader_spills spills;

typedef struct checks {
    const char *chip;
    shader_table table; /* empty when there is none of this compiler */
    unsigned n, n_unread, n_spilling, n_slow, n_worse;
} checks;

/* "matvec(WG,WTYPE,LANES,ROWS,.." */
static bool read_constants(const char *name, unsigned *wtype, unsigned *n_rows) {
    return sscanf(name, "%*[^(](%*u,%u,%*u,%u", wtype, n_rows) == 2;
}

/* Left to the table: unquantised weights, of which a lane has 64 or 128 bytes in flight instead of
 * 16; and GCN, which has 256 registers a lane, half of RDNA's, and ten waves at most. */
static bool has_few_waves(const checks *c, const shader_row *row, unsigned wtype) {
    return wtype >= PD_WEIGHT_Q4_0 && strcmp(c->chip, "vega10") != 0 &&
           row->value[SHADER_WAVES] < MIN_MATVEC_WAVES;
}

/* Each row's block has 16 bytes at least. */
static void check_matvec(checks *c, const shader_row *row) {
    unsigned wtype = 0, n_rows = 0;
    if (strncmp(row->name, "matvec", 6) != 0) return;
    bool known = read_constants(row->name, &wtype, &n_rows);
    bool narrow = row->value[SHADER_LOADS16] < (long)n_rows;
    if (known && !narrow && !has_few_waves(c, row, wtype)) return;
    c->n_slow++;
    print_message("%s on %s: %ld waves a SIMD, at least %d are wanted; %ld loads of 16 bytes, at "
                  "least %u\n",
                  row->name, c->chip, row->value[SHADER_WAVES], MIN_MATVEC_WAVES,
                  row->value[SHADER_LOADS16], n_rows);
}

static bool is_complete(const shader_row *row) {
    for (int f = 0; f < SHADER_FIELDS; f++)
        if (row->value[f] == SHADER_UNKNOWN) return false;
    return true;
}

static void check_kernel(void *ctx, pd_vk_device *d, const pd_vk_pipeline *pipeline) {
    checks *c = ctx;
    shader_row row;
    c->n++;
    if (shader_row_read(d, pipeline, &row, NULL) != PD_OK || !is_complete(&row)) {
        print_message("%s: the driver does not tell everything of it\n", pipeline->name);
        c->n_unread++;
        return;
    }
    bool allowed = shader_spills_allow(&spills, c->chip, &row);
    if (!allowed)
        print_message("%s on %s: %ld spills, %ld bytes of scratch memory\n", row.name, c->chip,
                      row.value[SHADER_SPILLS], row.value[SHADER_SCRATCH]);
    c->n_spilling += !allowed;
    check_matvec(c, &row);
    if (c->table.n > 0) c->n_worse += shader_table_compare(&c->table, &row, stdout);
}

static void read_table(checks *c, const char *driver) {
    char version[32], file[128];
    shader_table_version(driver, version);
    snprintf(file, sizeof file, "shader_report/%s/%s.txt", version, c->chip);
    if (!shader_table_read(test_data(file), &c->table))
        print_message("no table of %s on %s: the rules alone\n", driver, c->chip);
}

static void kernels_are_as_good_as_they_were(void **state) {
    static checks c;
    pd_vk_device *d;
    pd_error err;
    c = (checks){.chip = *state};
    if (strcmp(c.chip, "vega10") == 0 && !getenv("PERIDOT_TEST_LONG"))
        skip_because("the third chip only with PERIDOT_TEST_LONG");
    uint32_t index = shader_find_radv(c.chip);
    assert_int_not_equal(index, UINT32_MAX);
    if (pd_vk_device_open_capturing(index, &d, &err) != PD_OK) fail_msg("%s", err.message);
    read_table(&c, d->info.driver);
    assert_int_equal(shader_compile_all(d, check_kernel, &c), 0);
    pd_vk_device_close(d);
    if (c.table.n > 0) c.n_worse += shader_table_missing(&c.table, stdout);
    if (c.n_worse > 0)
        print_message("if that is meant to be: shader_report --radv %s --write\n", c.chip);
    assert_true(c.n > 100);
    assert_int_equal(c.n_unread, 0);
    assert_int_equal(c.n_spilling, 0);
    assert_int_equal(c.n_slow, 0);
    assert_int_equal(c.n_worse, 0);
}

int main(void) {
    static char navi21[] = "navi21", gfx1100[] = "gfx1100", vega10[] = "vega10";
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(kernels_are_as_good_as_they_were, navi21),
        cmocka_unit_test_prestate(kernels_are_as_good_as_they_were, gfx1100),
        cmocka_unit_test_prestate(kernels_are_as_good_as_they_were, vega10),
    };
    shader_settle_environment();
    if (shader_find_radv(navi21) == UINT32_MAX) {
        printf("skipped: no Vulkan driver offers null hardware (Mesa's RADV)\n");
        return 77;
    }
    if (!shader_spills_read(test_data("shader_report/spills.txt"), &spills)) {
        printf("tests/data/shader_report/spills.txt is damaged or cannot be read\n");
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
