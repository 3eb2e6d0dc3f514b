/* Files of the cache: what was stored comes back under its own name alone; damaged, foreign and
 * waiting ones (a pipe without a writer) are as good as none.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/env.h"
#include "support_folder.h"

#include <sys/stat.h>

#include "backend/vulkan/kernels/cache.h"
#include "base/file.h"
#include "base/memory.h"

static char *cache_path(const char *name) {
    char *path = pd_cache_path(name);
    assert_non_null(path);
    return path;
}

static void expect_content(const char *name, const char *text) {
    void *data;
    size_t n;
    assert_true(pd_vk_cache_load(name, &data, &n));
    assert_int_equal(n, strlen(text));
    assert_memory_equal(data, text, n);
    pd_free(data);
}

static void expect_none(const char *name) {
    void *data;
    size_t n;
    assert_false(pd_vk_cache_load(name, &data, &n));
}

static void copy_file(const char *from, const char *to) {
    char *source = cache_path(from), *target = cache_path(to), *data;
    size_t n;
    pd_file_writer w;
    assert_int_equal(pd_file_read_all(source, 1000, &data, &n, NULL), PD_OK);
    assert_int_equal(pd_file_writer_open(target, &w, NULL), PD_OK);
    pd_file_writer_write(&w, data, n);
    assert_int_equal(pd_file_writer_commit(&w, NULL), PD_OK);
    pd_free(data);
    pd_free(source);
    pd_free(target);
}

static void keeps_and_replaces(void **state) {
    (void)state;
    expect_none("a.bin");
    pd_vk_cache_store("a.bin", "one", 3);
    expect_content("a.bin", "one");
    pd_vk_cache_store("a.bin", "three", 5);
    expect_content("a.bin", "three");
    pd_vk_cache_store("empty.bin", "", 0);
    expect_content("empty.bin", "");
}

static void another_name_is_none(void **state) {
    (void)state;
    pd_vk_cache_store("a.bin", "one", 3);
    pd_vk_cache_store("b.bin", "two", 3);
    copy_file("a.bin", "b.bin");
    expect_none("b.bin");
    expect_content("a.bin", "one");
    pd_vk_cache_store("b.bin", "two", 3); /* made anew */
    expect_content("b.bin", "two");
}

static void every_damaged_byte_is_none(void **state) {
    (void)state;
    pd_vk_cache_store("a.bin", "one", 3);
    char *path = cache_path("a.bin");
    for (long at = 0; at < 19; at++) {
        FILE *f = fopen(path, "r+b");
        assert_non_null(f);
        fseek(f, at, SEEK_SET);
        int byte = fgetc(f);
        fseek(f, at, SEEK_SET);
        fputc(byte ^ 1, f);
        fclose(f);
        expect_none("a.bin");
        pd_vk_cache_store("a.bin", "one", 3);
    }
    for (off_t n = 0; n < 19; n++) {
        assert_int_equal(truncate(path, n), 0);
        expect_none("a.bin");
        pd_vk_cache_store("a.bin", "one", 3);
    }
    pd_free(path);
}

/* Neither call waits: the alarm would end the test. */
static void a_pipe_is_none(void **state) {
    (void)state;
    struct stat st;
    char *path = cache_path("pipe.bin");
    assert_int_equal(mkfifo(path, 0600), 0);
    alarm(10);
    expect_none("pipe.bin");
    pd_vk_cache_store("pipe.bin", "one", 3);
    expect_none("pipe.bin");
    alarm(0);
    assert_int_equal(lstat(path, &st), 0);
    assert_true(S_ISFIFO(st.st_mode)); /* and it stays what it was */
    pd_free(path);
}

static int make_cache(void **state) {
    int made = make_folder(state);
    pd_env_set("PERIDOT_CACHE_DIR", test_folder);
    return made;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_and_replaces),
        cmocka_unit_test(another_name_is_none),
        cmocka_unit_test(every_damaged_byte_is_none),
        cmocka_unit_test(a_pipe_is_none),
    };
    return cmocka_run_group_tests(tests, make_cache, remove_folder);
}
