/* The comparison of compilers' tables finds what is worse and nothing else; a table survives being
 * written and read; what drivers say is counted in the right column; a spill is allowed where the
 * list has it, with a reason, and only so much.
 *
 * SPDX-License-Identifier: MIT
 */
#include "support_folder.h"

#include "support_shader_rules.h"
#include "support_shader_table.h"

static const shader_row was = {.name = "x(1,2)",
                               .value = {[SHADER_REGISTERS] = 64,
                                         [SHADER_SHARED] = SHADER_UNKNOWN,
                                         [SHADER_WAVES] = 16,
                                         [SHADER_INSTRUCTIONS] = 100,
                                         [SHADER_LOADS16] = 4}};

static unsigned compare(const shader_row *now) {
    static shader_table t;
    FILE *to = tmpfile();
    assert_non_null(to);
    t = (shader_table){.n = 1, .rows = {was}};
    unsigned n = shader_table_compare(&t, now, to);
    assert_int_equal(ftell(to) > 0, n > 0);
    fclose(to);
    return n;
}

static void worse_is_found(void **state) {
    (void)state;
    shader_row now = was;
    assert_int_equal(compare(&now), 0);
    now.value[SHADER_WAVES] = 15;
    assert_int_equal(compare(&now), 1);
    now.value[SHADER_INSTRUCTIONS] = 111;
    assert_int_equal(compare(&now), 2);
    now.value[SHADER_LOADS16] = 3;
    assert_int_equal(compare(&now), 3);
    now.value[SHADER_SPILLS] = 1;
    assert_int_equal(compare(&now), 4);
    now.value[SHADER_SCRATCH] = 4;
    assert_int_equal(compare(&now), 5);
    now.value[SHADER_SHARED] = 0; /* it was not told */
    assert_int_equal(compare(&now), 6);
    snprintf(now.name, sizeof now.name, "y(1)");
    assert_int_equal(compare(&now), 1);
}

static void better_is_not(void **state) {
    (void)state;
    shader_row now = was;
    now.value[SHADER_WAVES] = 20;
    now.value[SHADER_INSTRUCTIONS] = 110;
    now.value[SHADER_LOADS16] = 5;
    now.value[SHADER_REGISTERS] = 70;
    assert_int_equal(compare(&now), 0);
}

static void missing_is_found(void **state) {
    (void)state;
    static shader_table t;
    FILE *to = tmpfile();
    assert_non_null(to);
    t = (shader_table){.n = 1, .rows = {was}};
    assert_int_equal(shader_table_missing(&t, to), 1);
    assert_int_equal(shader_table_compare(&t, &was, to), 0);
    assert_int_equal(shader_table_missing(&t, to), 0);
    fclose(to);
}

/* Of a file with that text. */
static const char *path_of(const char *text) {
    put_text("file", text);
    return in_folder("file");
}

static void tables_survive(void **state) {
    (void)state;
    static shader_table t, again;
    const char *path = path_of("");
    t = (shader_table){.driver = "radv Mesa 22.3.6", .n = 2, .rows = {was, was}};
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    shader_table_write(&t, f);
    fclose(f);
    assert_true(shader_table_read(path, &again));
    assert_int_equal(again.n, 2);
    assert_string_equal(again.driver, t.driver);
    assert_string_equal(again.rows[1].name, was.name);
    assert_memory_equal(again.rows[1].value, was.value, sizeof was.value);
}

static void damaged_tables_are_refused(void **state) {
    (void)state;
    static shader_table t;
    static const char *const texts[] = {"", "x(1) 1 2 3\n", "x(1) 1 2 3 4 5 6 7 8 9 10\n",
                                        "x(1) 1 2 3 4 5 6 7 8 nine\n"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        assert_false(shader_table_read(path_of(texts[i]), &t));
    assert_false(shader_table_read("/nonexistent/table", &t));
}

static void versions_are_read(void **state) {
    (void)state;
    char version[32];
    shader_table_version("radv Mesa 22.3.6", version);
    assert_string_equal(version, "mesa-22.3.6");
    shader_table_version("turnip Mesa driver Mesa 26.1.6-1~bpo13+1", version);
    assert_string_equal(version, "mesa-26.1.6");
    shader_table_version("NVIDIA 565.57.01", version);
    assert_string_equal(version, "other");
}

static void words_of_drivers_have_columns(void **state) {
    (void)state;
    shader_row row = {.value = {SHADER_UNKNOWN, SHADER_UNKNOWN}};
    shader_row_add(&row, "Spilled VGPRs", 3);
    shader_row_add(&row, "Spilled SGPRs", 4); /* they add up */
    shader_row_add(&row, "SGPRs", 128);       /* nothing of ours */
    assert_int_equal(row.value[SHADER_SPILLS], 7);
    assert_int_equal(row.value[SHADER_REGISTERS], SHADER_UNKNOWN);
    shader_row_add(&row, "Registers used", 12); /* of four values */
    assert_int_equal(row.value[SHADER_REGISTERS], 48);
    shader_row_count_loads(&row, "Assembly", "buffer_load_b128 v\ns_buffer_load_dwordx4 s\nadd");
    assert_int_equal(row.value[SHADER_LOADS16], 2);
}

static void spills_need_a_place_in_the_list(void **state) {
    (void)state;
    shader_spills list;
    const char *text = "# chip kernel\nm1 x(1,2) 8 16 it has its reason\n";
    assert_true(shader_spills_read(path_of(text), &list));
    shader_row row = was;
    assert_true(shader_spills_allow(&list, "navi21", &row));
    row.value[SHADER_SPILLS] = 8;
    row.value[SHADER_SCRATCH] = 16;
    assert_true(shader_spills_allow(&list, "m1", &row));
    assert_false(shader_spills_allow(&list, "navi21", &row));
    row.value[SHADER_SPILLS] = 9;
    assert_false(shader_spills_allow(&list, "m1", &row));
    row.value[SHADER_SPILLS] = 0;
    row.value[SHADER_SCRATCH] = 17;
    assert_false(shader_spills_allow(&list, "m1", &row));
}

static void spills_need_a_reason(void **state) {
    (void)state;
    shader_spills list;
    assert_false(shader_spills_read(path_of("m1 x(1,2) 8 16\n"), &list));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(worse_is_found),
        cmocka_unit_test(better_is_not),
        cmocka_unit_test(missing_is_found),
        cmocka_unit_test(tables_survive),
        cmocka_unit_test(damaged_tables_are_refused),
        cmocka_unit_test(versions_are_read),
        cmocka_unit_test(words_of_drivers_have_columns),
        cmocka_unit_test(spills_need_a_place_in_the_list),
        cmocka_unit_test(spills_need_a_reason),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
