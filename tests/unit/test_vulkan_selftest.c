/* The self-test of a driver, on the software rasteriser held to what GPUs do. Faults are planted in
 * copies of the shaders, as a driver's compiler would make them: each costs just the capability
 * under which it shows; one in the simplest kernels is an error. What a crash leaves behind is
 * heeded.
 *
 * SPDX-License-Identifier: MIT
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "args.h"
#include "backend/vulkan/program/backend.h"
#include "backend/vulkan/kernels/shader_texts.h"
#include "base/env.h"
#include "base/temp.h"
#include "base/file.h"
#include "base/folder.h"
#include "support_validation.h"
#include "support_skip.h"

static char cache[PD_TEMP_PATH], shaders[PD_TEMP_PATH];
static char last_warning[512];

/* ---- files ---------------------------------------------------------------------------------- */

static void path_in(char path[512], const char *folder, const char *name) {
    snprintf(path, 512, "%.200s/%.300s", folder, name);
}

static bool has_end(const char *name, const char *end) {
    size_t n = strlen(name), m = strlen(end);
    return n >= m && strcmp(name + n - m, end) == 0;
}

/* The first of the self-test's files with such an end; "": there is none. Removes all when asked.
 */
static void find_verdict(const char *end, bool remove_them, char path[512]) {
    pd_folder f;
    pd_error err;
    path[0] = '\0';
    assert_int_equal(pd_folder_list(cache, &f, &err), PD_OK);
    for (size_t i = 0; i < f.n; i++) {
        if (strncmp(f.names[i], "selftest-", 9) != 0 || !has_end(f.names[i], end)) continue;
        path_in(path, cache, f.names[i]);
        if (remove_them) unlink(path);
    }
    pd_folder_free(&f);
}

static void forget_verdicts(void) {
    char path[512];
    find_verdict("", true, path);
}

static void remove_folder(const char *folder) {
    char path[512];
    pd_folder f;
    if (pd_folder_list(folder, &f, NULL) != PD_OK) return;
    for (size_t i = 0; i < f.n; i++) {
        path_in(path, folder, f.names[i]);
        unlink(path);
    }
    pd_folder_free(&f);
    rmdir(folder);
}

static void write_file(const char *folder, const char *name, const char *text, size_t n) {
    char path[512];
    path_in(path, folder, name);
    FILE *to = fopen(path, "w");
    assert_non_null(to);
    assert_int_equal(fwrite(text, 1, n, to), n);
    fclose(to);
}

/* All shaders as they are, but for one text in one of them. */
static void plant(const char *file, const char *was, const char *is) {
    bool planted = false;
    for (unsigned i = 0; i < pd_shader_text_count; i++) {
        const pd_shader_text *s = &pd_shader_texts[i];
        const char *at = strcmp(s->name, file) == 0 ? strstr(s->text, was) : NULL;
        char *changed = pd_alloc(1, s->n_bytes + strlen(is) + 1);
        assert_non_null(changed);
        size_t before = at ? (size_t)(at - s->text) : s->n_bytes, behind = before;
        memcpy(changed, s->text, before);
        if (at) behind += strlen(was);
        size_t n = before + (size_t)sprintf(changed + before, "%s", at ? is : "");
        memcpy(changed + n, s->text + behind, s->n_bytes - behind);
        write_file(shaders, s->name, changed, n + s->n_bytes - behind);
        pd_free(changed);
        planted |= at != NULL;
    }
    if (!planted) fail_msg("%s has no \"%s\" any more", file, was);
    pd_env_set("PERIDOT_SHADER_DIR", shaders);
    forget_verdicts();
}

/* ---- opening -------------------------------------------------------------------------------- */

static void keep_warning(void *ctx, pd_log_level level, const char *subsystem,
                         const char *message) {
    if (strcmp(subsystem, "selftest") == 0)
        snprintf(last_warning, sizeof last_warning, "%s", message);
    else
        print_log_line(ctx, level, subsystem, message);
}

static pd_status try_open(pd_vk_backend **out, pd_error *err) {
    pd_backend *b = NULL;
    last_warning[0] = '\0';
    pd_status status = pd_backend_open(&(pd_backend_desc){.device = "vulkan:llvmpipe"}, &b, err);
    *out = (pd_vk_backend *)b;
    return status;
}

static pd_vk_backend *open_backend(void) {
    pd_vk_backend *b;
    pd_error err = {0};
    if (try_open(&b, &err) != PD_OK) fail_msg("%s", err.message);
    return b;
}

static pd_vk_caps caps_of_next_start(void) {
    pd_vk_backend *b = open_backend();
    pd_vk_caps caps = b->device->caps;
    b->base.v->close(&b->base);
    return caps;
}

static void expect_warning(const char *capability, const char *reason) {
    char start[64];
    snprintf(start, sizeof start, "not used on this driver: %s: ", capability);
    if (!strstr(last_warning, start) || !strstr(last_warning, reason))
        fail_msg("\"%s\" does not tell of %s and %s", last_warning, capability, reason);
}

/* ---- tests ---------------------------------------------------------------------------------- */

/* What is not there cannot be lost: Mesa's versions differ in it. */
static void all_is_well_and_tried_once(void **state) {
    (void)state;
    char path[512];
    pd_vk_backend *b = open_backend();
    assert_true(pd_vk_pipeline_count(b->pipelines) > 10);
    assert_string_equal(last_warning, "");
    assert_true(b->device->caps.fp16 && b->device->caps.int_dot && b->device->caps.last_arrival);
    b->base.v->close(&b->base);
    find_verdict(".bin", false, path);
    assert_string_not_equal(path, "");
    find_verdict(".trying", false, path);
    assert_string_equal(path, "");
    b = open_backend();
    assert_int_equal(pd_vk_pipeline_count(b->pipelines), 0);
    b->base.v->close(&b->base);
}

static void wrong_integers_cost_int8dot(void **state) {
    (void)state;
    plant("matvec_i16.comp", "#define DOT_I16", "#define DOT_F16");
    pd_vk_caps caps = caps_of_next_start();
    expect_warning("int8dot", "matvec_i16(");
    assert_true(caps.fp16 && caps.last_arrival && !caps.int_dot);
    caps = caps_of_next_start(); /* by the verdict that was kept; its line is no warning any more */
    assert_string_equal(last_warning, "");
    assert_true(caps.fp16 && !caps.int_dot);
}

static void wrong_halves_cost_fp16(void **state) {
    (void)state;
    plant("dot_f16.glsl", "return fma(w, v, part);", "return w * v;");
    pd_vk_backend *b = open_backend();
    expect_warning("fp16", "matvec_f16(");
    assert_true(b->device->caps.int_dot && b->device->caps.last_arrival);
    assert_false(b->device->caps.fp16 || b->device->caps.coopmat);
    assert_true(b->tuning.decode_format != PD_ACT_F16 && !b->tuning.matrix_units);
    b->base.v->close(&b->base);
}

static void wrong_merges_cost_last_arrival(void **state) {
    (void)state;
    plant("attention.comp", "store_merged(t);", ";");
    pd_vk_caps caps = caps_of_next_start();
    expect_warning("last-arrival", "attention(");
    assert_true(caps.fp16 && caps.int_dot && !caps.last_arrival);
}

/* Matrix units execute on newer Mesas alone. */
static void expect_loss_of_coopmat(const char *product, const char *reason) {
    plant("matmul_coopmat.glsl", "MAT_MUL_ADD(a[m], b, n * TILES_M + m);", product);
    pd_env_set("PERIDOT_SELFTEST", "off");
    bool there = caps_of_next_start().coopmat;
    pd_env_set("PERIDOT_SELFTEST", "on");
    if (!there) skip_because("this Mesa has no matrix units");
    pd_vk_caps caps = caps_of_next_start();
    expect_warning("coopmat", reason);
    assert_true(caps.fp16 && caps.int_dot && caps.last_arrival && !caps.coopmat);
}

static void wrong_matrices_cost_coopmat(void **state) {
    (void)state;
    expect_loss_of_coopmat("{ MAT_MUL_ADD(a[m], b, n * TILES_M + m);"
                           " MAT_MUL_ADD(a[m], b, n * TILES_M + m); }",
                           "matmul_coopmat(");
}

static void matrices_that_do_not_compile_cost_coopmat(void **state) {
    (void)state;
    expect_loss_of_coopmat("no_such_product();", "its kernels do not compile");
}

static void expect_wrong_draw(const char *was, const char *is) {
    pd_vk_backend *b;
    pd_error err = {0};
    plant("sample.comp", was, is);
    assert_int_equal(try_open(&b, &err), PD_ERR_DEVICE);
    assert_non_null(strstr(err.message, "computes wrong results: sample("));
    assert_non_null(strstr(err.hint, "PERIDOT_SELFTEST=off"));
    pd_env_set("PERIDOT_SELFTEST", "off");
    caps_of_next_start();
    pd_env_set("PERIDOT_SELFTEST", "on");
    pd_env_set("PERIDOT_SHADER_DIR", NULL);
}

static void a_wrong_draw_is_an_error(void **state) {
    (void)state;
    expect_wrong_draw("key = best.x;", "key = best.x ^ 0x00ffffffu;");
}

/* In one of the parts, or in what is looked at again. */
static void so_is_a_mask_that_is_not_heeded(void **state) {
    (void)state;
    expect_wrong_draw("if (part.x == 0u ||", "if (part.x == 0u || i == 1u ||");
    expect_wrong_draw("pd_sample_is_allowed(id) && is_in_mask(id);", "pd_sample_is_allowed(id);");
}

/* Waits until a process that tries the driver has come to such a mark. */
static void wait_for_mark(const char *mark, pid_t child) {
    char path[512], *text = NULL;
    size_t n = 0;
    for (bool there = false; !there;) {
        find_verdict(".trying", false, path);
        if (path[0] && pd_file_read_all(path, 64, &text, &n, NULL) == PD_OK)
            there = n == strlen(mark) && memcmp(text, mark, n) == 0;
        pd_free(text);
        text = NULL;
        if (waitpid(child, NULL, WNOHANG) == child) fail_msg("ended before it came to %s", mark);
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
}

/* A start that dies there. */
static void kill_at(const char *mark) {
    pid_t child = fork();
    if (child == 0) {
        execl("/proc/self/exe", "selftest", "--open", (char *)NULL);
        _exit(127);
    }
    wait_for_mark(mark, child);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
}

static void a_killed_test_costs_what_it_tried(void **state) {
    (void)state;
    pd_env_set("PERIDOT_SHADER_DIR", NULL);
    forget_verdicts();
    kill_at("int8dot");
    pd_vk_caps caps = caps_of_next_start();
    expect_warning("int8dot", "an earlier start ended");
    assert_true(caps.fp16 && caps.last_arrival && !caps.int_dot);
}

/* What the first one cost is not tried again. */
static void two_crashes_cost_both(void **state) {
    (void)state;
    forget_verdicts();
    kill_at("fp16");
    kill_at("fp16,int8dot");
    pd_vk_caps caps = caps_of_next_start();
    assert_true(caps.last_arrival && !caps.fp16 && !caps.int_dot);
}

static void after_a_crash_of_everything_there_is_a_next_time(void **state) {
    (void)state;
    pd_vk_backend *b;
    pd_error err = {0};
    forget_verdicts();
    kill_at("last-arrival");
    kill_at("last-arrival,simplest");
    assert_int_equal(try_open(&b, &err), PD_ERR_DEVICE);
    assert_non_null(strstr(err.message, "crashed or hung"));
    assert_true(caps_of_next_start().last_arrival);
}

/* By more thorough tests than these, which hold or fall with a word as well. */
static void a_verdict_of_others_is_heeded(void **state) {
    (void)state;
    pd_env_set("PERIDOT_SHADER_DIR", NULL);
    forget_verdicts();
    pd_env_set("PERIDOT_SELFTEST", "off");
    pd_vk_backend *b = open_backend();
    assert_true(b->device->caps.int_dot);
    assert_true(b->base.v->keep_verdict(&b->base, "int8dot", "two tests failed with it"));
    assert_false(b->base.v->keep_verdict(&b->base, "no such word", ""));
    pd_env_set("PERIDOT_SELFTEST", "on");
    pd_vk_caps caps = caps_of_next_start();
    assert_true(caps.fp16 && caps.last_arrival && !caps.int_dot);
    assert_true(b->base.v->keep_verdict(&b->base, "", "")); /* all is well now */
    b->base.v->close(&b->base);
    assert_true(caps_of_next_start().int_dot);
    forget_verdicts();
}

static void nonsense_is_refused(void **state) {
    (void)state;
    pd_vk_backend *b;
    pd_error err = {0};
    pd_env_set("PERIDOT_SELFTEST", "perhaps");
    assert_int_equal(try_open(&b, &err), PD_ERR_ARGUMENT);
    pd_env_set("PERIDOT_SELFTEST", "on");
    assert_non_null(strstr(err.message, "PERIDOT_SELFTEST is \"perhaps\""));
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_is_well_and_tried_once),
        cmocka_unit_test(wrong_integers_cost_int8dot),
        cmocka_unit_test(wrong_halves_cost_fp16),
        cmocka_unit_test(wrong_merges_cost_last_arrival),
        cmocka_unit_test(wrong_matrices_cost_coopmat),
        cmocka_unit_test(matrices_that_do_not_compile_cost_coopmat),
        cmocka_unit_test(a_wrong_draw_is_an_error),
        cmocka_unit_test(so_is_a_mask_that_is_not_heeded),
        cmocka_unit_test(a_killed_test_costs_what_it_tried),
        cmocka_unit_test(two_crashes_cost_both),
        cmocka_unit_test(after_a_crash_of_everything_there_is_a_next_time),
        cmocka_unit_test(a_verdict_of_others_is_heeded),
        cmocka_unit_test(nonsense_is_refused),
        cmocka_unit_test(check_validation_silent)};
    pd_vk_backend *b;
    pd_error err = {0};
    if (argc == 2 && strcmp(argv[1], "--open") == 0) return try_open(&b, &err) != PD_OK;
    pd_log_set(keep_warning, NULL, PD_LOG_WARN);
    pd_env_set("PERIDOT_SELFTEST", "off");
    if (try_open(&b, &err) == PD_ERR_NO_DEVICE) {
        printf("skipped: %s\n", err.message);
        return 77;
    }
    b->base.v->close(&b->base);
    if (pd_temp_folder_make(cache, NULL) != PD_OK || pd_temp_folder_make(shaders, NULL) != PD_OK)
        return 1;
    pd_env_set("PERIDOT_CACHE_DIR", cache);
    pd_env_set("PERIDOT_DISABLE", "software-tiles");
    pd_env_set("PERIDOT_SELFTEST", "on");
    int failed = cmocka_run_group_tests_name("unit.vulkan_selftest", tests, NULL, NULL);
    remove_folder(cache);
    remove_folder(shaders);
    return failed;
}
