/* Every embedded shader compiles and is valid SPIR-V for Vulkan 1.1 (spirv-val says so); the cache
 * gives back what was compiled and survives damage; mistakes in shaders are reported with their
 * file and line. Needs no Vulkan device.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/env.h"
#include "support_folder.h"

#include <spawn.h>
#include <sys/wait.h>

#include "backend/vulkan/kernels/pipeline.h"
#include "base/memory.h"
#include "support_data.h"

extern char **environ;

static uint64_t compile_ns; /* of the last shader; 0: it came from the cache */

static void write_file(const char *path, const void *data, size_t n) {
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

static size_t read_file(const char *path, uint8_t *data, size_t cap) {
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    size_t n = fread(data, 1, cap, f);
    fclose(f);
    assert_true(n < cap);
    return n;
}

/* Exit status of a command, -1 when it cannot be started. */
static int run_command(char *const argv[]) {
    pid_t pid;
    int status = -1;
    if (posix_spawnp(&pid, argv[0], NULL, NULL, argv, environ) != 0) return -1;
    while (waitpid(pid, &status, 0) < 0) continue;
    return WIFEXITED(status) && WEXITSTATUS(status) != 127 ? WEXITSTATUS(status) : -1;
}

static void get_spirv(const char *name, uint32_t **words, size_t *n_bytes) {
    pd_error err = {0};
    pd_status status = pd_vk_spirv_get(name, words, n_bytes, &compile_ns, &err);
    if (status != PD_OK) print_message("%s\n", err.message);
    assert_int_equal(status, PD_OK);
    assert_true(*n_bytes > 20 && *n_bytes % 4 == 0);
    assert_int_equal((*words)[0], 0x07230203);
}

/* Whether a validator knows SPV_KHR_cooperative_matrix: an empty module with its capability. */
static bool knows_coopmat(char *validator) {
    enum { CAPABILITY = 2 << 16 | 17, EXTENSION = 8 << 16 | 10, MEMORY_MODEL = 3 << 16 | 14 };
    static const struct {
        uint32_t header[5], capabilities[8], extension_1;
        char coopmat[28];
        uint32_t extension_2;
        char memory_model[28];
        uint32_t model[3];
    } module = {{0x07230203, 0x00010300, 0, 1, 0},
                {CAPABILITY, 1, CAPABILITY, 5, CAPABILITY, 5345, CAPABILITY, 6022},
                EXTENSION,
                "SPV_KHR_cooperative_matrix",
                EXTENSION,
                "SPV_KHR_vulkan_memory_model",
                {MEMORY_MODEL, 0, 3}};
    char path[512], env[] = "--target-env", target[] = "spv1.3";
    snprintf(path, sizeof path, "%s", in_folder("empty.spv"));
    write_file(path, &module, sizeof module);
    return run_command((char *const[]){validator, env, target, path, NULL}) == 0;
}

/* OpCapability CooperativeMatrixKHR, among the first instructions. */
static bool uses_coopmat(const uint32_t *words, size_t n_bytes) {
    for (size_t i = 5; i + 1 < n_bytes / 4 && words[i] == (2 << 16 | 17); i += 2)
        if (words[i + 1] == 6022) return true;
    return false;
}

static void every_shader_is_valid(void **state) {
    (void)state;
    char version[] = "--version", validator[] = "spirv-val", env[] = "--target-env",
         target[] = "vulkan1.1";
    char *const probe[] = {validator, version, NULL};
    if (run_command(probe) != 0) {
        print_message("spirv-val is not installed: the shaders are only compiled\n");
        validator[0] = '\0';
    }
    bool coopmat = validator[0] && knows_coopmat(validator);
    if (validator[0] && !coopmat)
        print_message("spirv-val does not know SPV_KHR_cooperative_matrix; that is not checked\n");
    uint32_t n = 0;
    for (const char *name; (name = pd_vk_shader_name(n)); n++) {
        uint32_t *words;
        size_t n_bytes;
        get_spirv(name, &words, &n_bytes);
        char path[512];
        snprintf(path, sizeof path, "%s", in_folder("shader.spv"));
        write_file(path, words, n_bytes);
        bool is_known = coopmat || !uses_coopmat(words, n_bytes);
        pd_free(words);
        char *const validate[] = {validator, env, target, path, NULL};
        int result = validator[0] && is_known ? run_command(validate) : 0;
        if (result != 0) print_message("%s.comp is not valid SPIR-V\n", name);
        assert_int_equal(result, 0);
    }
    assert_true(n > 0);
}

static void names_have_no_extension(void **state) {
    (void)state;
    for (uint32_t i = 0; pd_vk_shader_name(i); i++) {
        assert_null(strchr(pd_vk_shader_name(i), '.'));
        for (uint32_t k = 0; k < i; k++)
            assert_string_not_equal(pd_vk_shader_name(i), pd_vk_shader_name(k));
    }
}

/* ---- the cache: one shader from the test data ---------------------------------------------- */

static void cache_gives_the_same(void **state) {
    (void)state;
    uint32_t *fresh, *cached;
    size_t n_fresh, n_cached;
    char name[300];
    empty_folder();
    pd_env_set("PERIDOT_SHADER_DIR", test_data("shaders"));
    get_spirv("scale", &fresh, &n_fresh);
    assert_true(compile_ns > 0);
    assert_true(find_file("spirv-", name, sizeof name));
    get_spirv("scale", &cached, &n_cached);
    assert_int_equal(compile_ns, 0);
    assert_int_equal(n_cached, n_fresh);
    assert_memory_equal(cached, fresh, n_fresh);
    assert_true(find_file("spirv-", name, sizeof name));
    pd_free(fresh);
    pd_free(cached);
}

/* Every kind of damage leads to the same SPIR-V, and to a whole file again. */
static void damage_is_repaired(void **state) {
    (void)state;
    static uint8_t whole[1 << 16], again[1 << 16];
    uint32_t *words;
    size_t n_bytes;
    char name[300];
    empty_folder();
    pd_env_set("PERIDOT_SHADER_DIR", test_data("shaders"));
    get_spirv("scale", &words, &n_bytes);
    pd_free(words);
    assert_true(find_file("spirv-", name, sizeof name));
    size_t n = read_file(in_folder(name), whole, sizeof whole);
    const size_t cuts[] = {0, 1, 8, 15, 16, 17, 36, n - 4, n - 1};
    for (size_t i = 0; i < sizeof cuts / sizeof cuts[0] + n / 16; i++) {
        bool cut = i < sizeof cuts / sizeof cuts[0];
        size_t flipped = cut ? 0 : (i - sizeof cuts / sizeof cuts[0]) * 16;
        memcpy(again, whole, n);
        if (!cut) again[flipped] ^= 0x10;
        write_file(in_folder(name), again, cut ? cuts[i] : n);
        uint32_t *recovered;
        size_t n_recovered;
        get_spirv("scale", &recovered, &n_recovered);
        assert_int_equal(n_recovered, n_bytes);
        pd_free(recovered);
        assert_int_equal(read_file(in_folder(name), again, sizeof again), n);
        assert_memory_equal(again, whole, n);
    }
}

static void works_without_a_cache(void **state) {
    (void)state;
    uint32_t *words;
    size_t n_bytes;
    pd_env_set("PERIDOT_CACHE_DIR", "/dev/null/nowhere");
    pd_env_set("PERIDOT_SHADER_DIR", test_data("shaders"));
    get_spirv("scale", &words, &n_bytes);
    pd_free(words);
    pd_env_set("PERIDOT_CACHE_DIR", test_folder);
}

/* ---- mistakes ------------------------------------------------------------------------------ */

static void expect_mistake(const char *name, const char *part) {
    pd_error err = {0};
    uint32_t *words;
    size_t n_bytes;
    assert_int_equal(pd_vk_spirv_get(name, &words, &n_bytes, &compile_ns, &err), PD_ERR_INTERNAL);
    assert_null(words);
    if (!strstr(err.message, part)) print_message("%s\n", err.message);
    assert_non_null(strstr(err.message, part));
}

static void mistakes_name_file_and_line(void **state) {
    (void)state;
    pd_env_set("PERIDOT_SHADER_DIR", test_data("shaders"));
    expect_mistake("broken", "broken.comp:6: 'no_such_thing'");
    expect_mistake("broken_include", "broken.glsl:3: ");
    pd_env_set("PERIDOT_SHADER_DIR", NULL);
    expect_mistake("no_such_shader", "no_such_shader.comp");
}

static void missing_include_is_named(void **state) {
    (void)state;
    pd_error err = {0};
    uint32_t *words;
    size_t n_bytes;
    pd_env_set("PERIDOT_SHADER_DIR", test_data("shaders"));
    assert_int_not_equal(pd_vk_spirv_get("missing_include", &words, &n_bytes, &compile_ns, &err),
                         PD_OK);
    assert_non_null(strstr(err.message, "no_such_file.glsl"));
}

static int unset_folder(void **state) {
    (void)state;
    pd_env_set("PERIDOT_SHADER_DIR", NULL);
    return 0;
}

/* The modules that came with the program are what this compiler makes of the same texts. */
static void the_program_holds_the_same(void **state) {
    (void)state;
    const char *name;
    pd_error err = {0};
    for (uint32_t i = 0; (name = pd_vk_shader_name(i)); i++) {
        uint32_t *compiled, *held;
        size_t n_compiled, n_held;
        uint64_t ns;
        assert_int_equal(pd_vk_spirv_get(name, &compiled, &n_compiled, &ns, &err), PD_OK);
        pd_env_set("PERIDOT_SHADER_COMPILER", "off");
        assert_int_equal(pd_vk_spirv_get(name, &held, &n_held, &ns, &err), PD_OK);
        pd_env_set("PERIDOT_SHADER_COMPILER", NULL);
        assert_int_equal(n_held, n_compiled);
        assert_memory_equal(held, compiled, n_held);
        assert_int_equal(ns, 0);
        pd_free(compiled);
        pd_free(held);
    }
    /* ... and of no others */
    uint32_t *words;
    size_t n_bytes;
    uint64_t ns;
    pd_env_set("PERIDOT_SHADER_DIR", test_data("shaders"));
    pd_env_set("PERIDOT_SHADER_COMPILER", "off");
    assert_int_equal(pd_vk_spirv_get("scale", &words, &n_bytes, &ns, &err), PD_ERR_UNSUPPORTED);
    assert_non_null(strstr(err.message, "scale.comp"));
    pd_env_set("PERIDOT_SHADER_COMPILER", NULL);
    pd_env_set("PERIDOT_SHADER_DIR", NULL);
}

/* A cache file under another one's name is no better than a damaged one. */
static void files_keep_their_names(void **state) {
    (void)state;
    static uint8_t file[1 << 20];
    char other[64] = "", path[512];
    pd_error err = {0};
    uint32_t *words, *again;
    size_t n_bytes, n_again;
    pd_folder all;
    assert_int_equal(pd_folder_list(test_folder, &all, NULL), PD_OK);
    for (size_t i = 0; i < all.n; i++)
        if (strncmp(all.names[i], "spirv-", 6) == 0)
            snprintf(other, sizeof other, "%.63s", all.names[i]);
    pd_folder_free(&all);
    assert_true(other[0] != 0);
    pd_env_set("PERIDOT_SHADER_DIR", test_data("shaders"));
    assert_int_equal(pd_vk_spirv_get("scale", &words, &n_bytes, &compile_ns, &err), PD_OK);
    pd_env_set("PERIDOT_SHADER_DIR", NULL);
    size_t n = read_file(in_folder(other), file, sizeof file);
    assert_int_equal(pd_folder_list(test_folder, &all, NULL), PD_OK);
    for (size_t i = 0; i < all.n; i++) { /* over all others, scale's among them */
        if (strncmp(all.names[i], "spirv-", 6) != 0 || strcmp(all.names[i], other) == 0) continue;
        snprintf(path, sizeof path, "%s/%.200s", test_folder, all.names[i]);
        write_file(path, file, n);
    }
    pd_folder_free(&all);
    pd_env_set("PERIDOT_SHADER_DIR", test_data("shaders"));
    assert_int_equal(pd_vk_spirv_get("scale", &again, &n_again, &compile_ns, &err), PD_OK);
    pd_env_set("PERIDOT_SHADER_DIR", NULL);
    assert_true(compile_ns > 0);
    assert_int_equal(n_again, n_bytes);
    assert_memory_equal(again, words, n_bytes);
    pd_free(words);
    pd_free(again);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_program_holds_the_same),
        cmocka_unit_test(files_keep_their_names),
        cmocka_unit_test(every_shader_is_valid),
        cmocka_unit_test(names_have_no_extension),
        cmocka_unit_test_teardown(cache_gives_the_same, unset_folder),
        cmocka_unit_test_teardown(damage_is_repaired, unset_folder),
        cmocka_unit_test_teardown(works_without_a_cache, unset_folder),
        cmocka_unit_test_teardown(mistakes_name_file_and_line, unset_folder),
        cmocka_unit_test_teardown(missing_include_is_named, unset_folder),
    };
    if (make_folder(NULL) != 0) {
        printf("skipped: no folder can be made in /tmp\n");
        return 77;
    }
    pd_env_set("PERIDOT_CACHE_DIR", test_folder);
    pd_env_set("PERIDOT_SHADER_DIR", NULL);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    remove_folder(NULL);
    return failed;
}
