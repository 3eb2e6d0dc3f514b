/* The image encoder that belongs to a model, by the names people have; and listing folders.
 *
 * SPDX-License-Identifier: MIT
 */
#include "support_folder.h"

#include "base/folder.h"
#include "model/mmproj_find.h"
#include "support_data.h"

/* `names` with spaces between. */
static void each_name(const char *names, void (*visit)(const char *path)) {
    char copy[512], *rest = copy, *name;
    snprintf(copy, sizeof copy, "%s", names);
    while ((name = strtok_r(rest, " ", &rest))) visit(in_folder(name));
}

static void make_file(const char *path) {
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    fclose(f);
}

static void remove_file(const char *path) {
    assert_int_equal(unlink(path), 0);
}

static pd_status find(const char *names, const char *model, char **found, pd_error *err) {
    each_name(names, make_file);
    pd_status status = pd_mmproj_find(in_folder(model), found, err);
    each_name(names, remove_file);
    return status;
}

/* Among files of these names, which one belongs to the model? NULL: none. */
static void expect_found(const char *names, const char *model, const char *expected) {
    char *found;
    pd_error err = {0};
    if (find(names, model, &found, &err) != PD_OK) fail_msg("%s: %s", names, err.message);
    if (expected) {
        assert_non_null(found);
        assert_string_equal(found, in_folder(expected));
    } else if (found) {
        fail_msg("%s: found \"%s\"", names, found);
    }
    pd_free(found);
}

static void expect_ambiguous(const char *names, const char *model, const char *words) {
    char *found;
    pd_error err = {0};
    assert_int_equal(find(names, model, &found, &err), PD_ERR_ARGUMENT);
    assert_null(found);
    if (!strstr(err.message, words)) fail_msg("\"%s\", expected \"%s\"", err.message, words);
    assert_non_null(strstr(err.hint, "--mmproj"));
}

static void test_single_candidates(void **state) {
    (void)state;
    static const char model[] = "gemma-3-4b-it-Q4_K_M.gguf";
    static const char *const names[] = {"mmproj-model-f16-4B.gguf",
                                        "mmproj-model-f16.gguf",
                                        "mmproj.gguf",
                                        "MMPROJ-F16.GGUF",
                                        "mmproj-gemma-3-4b-it-f16.gguf",
                                        "gemma-3-4b-it-Q4_K_M-mmproj.gguf",
                                        "x.mmproj.gguf"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        expect_found(names[i], model, names[i]);
}

static void test_no_candidate(void **state) {
    (void)state;
    static const char model[] = "gemma-3-4b-it-q4_0.gguf";
    expect_found("", model, NULL);
    expect_found("gemma-3-4b-it-q4_0.gguf readme.md mmproj.bin mmproj-f16.gguf.part proj.gguf",
                 model, NULL);
    expect_found("mmproj-model-f16-12B.gguf mmproj-gemma-3-27b.gguf", model, NULL);
    expect_found("my-mmproj.gguf", "my-mmproj.gguf", NULL); /* not its own */
}

static void test_size_decides(void **state) {
    (void)state;
    static const char sizes[] =
        "mmproj-model-f16-4B.gguf mmproj-model-f16-12B.gguf mmproj-model-f16-27B.gguf";
    expect_found(sizes, "gemma-3-4b-it-q4_0.gguf", "mmproj-model-f16-4B.gguf");
    expect_found(sizes, "gemma-3-12b-it-q4_0.gguf", "mmproj-model-f16-12B.gguf");
    expect_found(sizes, "Gemma-3-27B-it-00001-of-00002.gguf", "mmproj-model-f16-27B.gguf");
    expect_found("mmproj-model-f16.gguf mmproj-model-f16-4B.gguf", "gemma-3-4b-it-q4_0.gguf",
                 "mmproj-model-f16-4B.gguf");
    expect_found("mmproj-gemma-3.gguf mmproj-4b.gguf", "gemma-3-4b-it.gguf", "mmproj-4b.gguf");
    expect_found("mmproj-model-f16.gguf mmproj-model-f16-12B.gguf", "gemma-3-4b-it-q4_0.gguf",
                 "mmproj-model-f16.gguf");
    expect_ambiguous(sizes, "gemma.gguf", "3 files");
}

static void test_words_decide(void **state) {
    (void)state;
    expect_found("mmproj-gemma-3-4b-it-f16.gguf mmproj-gemma-3-4b-pt-f16.gguf",
                 "gemma-3-4b-pt-q4_0.gguf", "mmproj-gemma-3-4b-pt-f16.gguf");
    expect_found("medgemma-4b-it-mmproj.gguf gemma-3-4b-it-mmproj.gguf", "medgemma-4b-it-Q8_0.gguf",
                 "medgemma-4b-it-mmproj.gguf");
    expect_found("mmproj-llava.gguf mm-mmproj.gguf mm-q4_0.gguf", "mm-q4_0.gguf", "mm-mmproj.gguf");
}

static void test_ambiguous(void **state) {
    (void)state;
    expect_ambiguous("mmproj-F16.gguf mmproj-BF16.gguf gemma-3-4b-it.gguf", "gemma-3-4b-it.gguf",
                     "2 files may be the image encoder of \"gemma-3-4b-it.gguf\": "
                     "mmproj-BF16.gguf, mmproj-F16.gguf");
    expect_ambiguous("a-mmproj.gguf b-mmproj.gguf c-mmproj.gguf d-mmproj.gguf e-mmproj.gguf "
                     "f-mmproj.gguf",
                     "g.gguf", "d-mmproj.gguf and 2 more");
}

static void test_paths(void **state) {
    (void)state;
    char *found, before[512];
    assert_non_null(getcwd(before, sizeof before));
    assert_int_equal(chdir(test_data("golden")), 0);
    assert_int_equal(pd_mmproj_find("mm-q4_0.gguf", &found, NULL), PD_OK);
    assert_string_equal(found, "mm-mmproj.gguf");
    pd_free(found);
    assert_int_equal(pd_mmproj_find("./mm-q4_0.gguf", &found, NULL), PD_OK);
    assert_string_equal(found, "./mm-mmproj.gguf");
    pd_free(found);
    assert_int_equal(chdir(before), 0);
    assert_int_equal(pd_mmproj_find(in_folder("none/x.gguf"), &found, NULL), PD_ERR_IO);
    assert_null(found);
    assert_int_equal(pd_path_name_at("x.gguf"), 0);
    assert_int_equal(pd_path_name_at("/x.gguf"), 1);
    assert_int_equal(pd_path_name_at("a//b.c/"), 7);
}

static void test_folder_list(void **state) {
    (void)state;
    pd_folder f;
    static const char names[] = "b a.2 B .hidden a.1";
    each_name(names, make_file);
    assert_int_equal(pd_folder_list(test_folder, &f, NULL), PD_OK);
    each_name(names, remove_file);
    static const char *const sorted[] = {".hidden", "B", "a.1", "a.2", "b"};
    assert_int_equal(f.n, 5);
    for (size_t i = 0; i < 5; i++) assert_string_equal(f.names[i], sorted[i]);
    pd_folder_free(&f);
    assert_int_equal(pd_folder_list(test_folder, &f, NULL), PD_OK);
    assert_int_equal(f.n, 0);
    pd_folder_free(&f);
    pd_error err = {0};
    assert_int_equal(pd_folder_list(in_folder("none"), &f, &err), PD_ERR_IO);
    assert_non_null(strstr(err.message, "none"));
}

static void test_many_names(void **state) {
    (void)state;
    pd_folder f;
    char name[16];
    for (int i = 0; i < 200; i++) {
        snprintf(name, sizeof name, "%03d", i);
        make_file(in_folder(name));
    }
    assert_int_equal(pd_folder_list(test_folder, &f, NULL), PD_OK);
    assert_int_equal(f.n, 200);
    for (size_t i = 0; i < f.n; i++) {
        assert_int_equal(strtol(f.names[i], NULL, 10), (long)i);
        remove_file(in_folder(f.names[i]));
    }
    pd_folder_free(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_single_candidates), cmocka_unit_test(test_no_candidate),
        cmocka_unit_test(test_size_decides),      cmocka_unit_test(test_words_decide),
        cmocka_unit_test(test_ambiguous),         cmocka_unit_test(test_paths),
        cmocka_unit_test(test_folder_list),       cmocka_unit_test(test_many_names),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_empty_folder);
}
