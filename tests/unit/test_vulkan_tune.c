/* The tuner on the software rasteriser, held to what GPUs do: it chooses among what the device has,
 * remembers its choice, and does nothing the second time; a device without room keeps the rules of
 * thumb, and a memory limit does not become an error.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/env.h"
#include "support_folder.h"

#include "args.h"
#include "backend/vulkan/program/backend.h"
#include "backend/vulkan/kernels/pipeline.h"
#include "support_validation.h"

/* How many files of the cache begin with `prefix`; removes them when asked to. */
static unsigned count_files(const char *prefix, bool remove_them) {
    unsigned n = 0;
    pd_folder all;
    assert_int_equal(pd_folder_list(test_folder, &all, NULL), PD_OK);
    for (size_t i = 0; i < all.n; i++) {
        if (all.names[i][0] == '.' || strncmp(all.names[i], prefix, strlen(prefix)) != 0) continue;
        if (remove_them) pd_path_remove(in_folder(all.names[i]));
        n++;
    }
    pd_folder_free(&all);
    return n;
}

static pd_vk_backend *open_backend(uint64_t limit_bytes) {
    pd_backend *b;
    pd_error err = {0};
    pd_backend_desc desc = {.device = "vulkan:llvmpipe", .memory_limit_bytes = limit_bytes};
    pd_status status = pd_backend_open(&desc, &b, &err);
    if (status != PD_OK) fail_msg("%s", err.message);
    return (pd_vk_backend *)b;
}

static void the_choice_is_made_once(void **state) {
    (void)state;
    pd_vk_backend *b = open_backend(0);
    pd_vk_tuning first = b->tuning;
    assert_true(first.known);
    assert_true(first.decode_format <= PD_ACT_I16 && first.prefill_format <= PD_ACT_I16);
    assert_true(first.lanes >= 8 && first.lanes <= 32 && (first.lanes & (first.lanes - 1)) == 0);
    assert_true(first.rows == 2 || first.rows == 4);
    assert_true(first.f32_gflop_s > 0);
    assert_true(b->flops_per_s == 0.5e9 * first.f32_gflop_s);
    assert_true(pd_vk_pipeline_count(b->pipelines) > 10);
    b->base.v->close(&b->base);
    assert_int_equal(count_files("tuning-", false), 1);

    b = open_backend(0);
    assert_memory_equal(&b->tuning, &first, sizeof first);
    assert_int_equal(pd_vk_pipeline_count(b->pipelines), 0);
    b->base.v->close(&b->base);
}

static void without_room_rules_of_thumb_stay(void **state) {
    (void)state;
    count_files("tuning-", true);
    pd_vk_backend *b = open_backend(1 << 20);
    assert_false(b->tuning.known);
    assert_true(b->tuning.lanes > 0 && b->tuning.f32_gflop_s == 0);
    b->base.v->close(&b->base);
    assert_int_equal(count_files("tuning-", false), 0);
}

static void a_damaged_choice_is_made_again(void **state) {
    (void)state;
    pd_vk_backend *b = open_backend(0);
    b->base.v->close(&b->base);
    char name[256];
    assert_true(find_file("tuning-", name, sizeof name));
    FILE *f = fopen(in_folder(name), "r+");
    assert_non_null(f);
    fseek(f, 20, SEEK_SET);
    fputc(0xa5, f);
    fclose(f);
    b = open_backend(0);
    assert_true(b->tuning.known && b->tuning.decode_format <= PD_ACT_I16);
    b->base.v->close(&b->base);
}

static void nonsense_is_refused(void **state) {
    (void)state;
    pd_backend *b;
    pd_error err = {0};
    pd_env_set("PERIDOT_TUNE", "perhaps");
    pd_status status = pd_backend_open(&(pd_backend_desc){.device = "vulkan:llvmpipe"}, &b, &err);
    pd_env_set("PERIDOT_TUNE", "on");
    assert_int_equal(status, PD_ERR_ARGUMENT);
    assert_non_null(strstr(err.message, "perhaps"));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_choice_is_made_once),
                                       cmocka_unit_test(without_room_rules_of_thumb_stay),
                                       cmocka_unit_test(a_damaged_choice_is_made_again),
                                       cmocka_unit_test(nonsense_is_refused),
                                       cmocka_unit_test(check_validation_silent)};
    pd_backend *b;
    pd_error err = {0};
    PRINT_LOG();
    if (pd_backend_open(&(pd_backend_desc){.device = "vulkan:llvmpipe"}, &b, &err) ==
        PD_ERR_NO_DEVICE) {
        printf("skipped: %s\n", err.message);
        return 77;
    }
    b->v->close(b);
    if (make_folder(NULL) != 0) return 1;
    pd_env_set("PERIDOT_CACHE_DIR", test_folder);
    pd_env_set("PERIDOT_DISABLE", "software-tiles");
    pd_env_set("PERIDOT_TUNE", "on");
    int failed = cmocka_run_group_tests_name("unit.vulkan_tune", tests, NULL, NULL);
    remove_folder(NULL);
    return failed;
}
