/* Mappings, whole reads, the all-or-nothing writer, the cache folder; and the clock.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE /* O_TMPFILE */
#include "base/env.h"
#include "support_folder.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/folder.h"
#include "base/memory.h"
#include "support_skip.h"

static void expect_content(const char *name, const char *text) {
    char *data;
    size_t n;
    assert_int_equal(pd_file_read_all(in_folder(name), 1000, &data, &n, NULL), PD_OK);
    assert_string_equal(data, text);
    assert_int_equal(n, strlen(text));
    pd_free(data);
}

static unsigned count_entries(void) {
    unsigned n = 0;
    DIR *d = opendir(test_folder);
    assert_non_null(d);
    for (struct dirent *e = readdir(d); e; e = readdir(d)) n += e->d_name[0] != '.';
    closedir(d);
    return n;
}

static void test_mapping(void **state) {
    (void)state;
    pd_mapping m;
    pd_error err;
    put_text("text", "hello");
    assert_int_equal(pd_mapping_open(in_folder("text"), &m, &err), PD_OK);
    assert_int_equal(m.size, 5);
    assert_memory_equal(m.data, "hello", 5);
    pd_mapping_forget(&m, 0, 5); /* what is forgotten can be read again */
    pd_mapping_forget(&m, 3, 100);
    assert_memory_equal(m.data, "hello", 5);
    pd_mapping_close(&m);
    pd_mapping_close(&m);

    put_text("nothing", "");
    assert_int_equal(pd_mapping_open(in_folder("nothing"), &m, &err), PD_ERR_FORMAT);
    assert_int_equal(pd_mapping_open(in_folder("absent"), &m, &err), PD_ERR_IO);
    assert_non_null(strstr(err.message, "absent"));
    assert_int_equal(pd_mapping_open(test_folder, &m, &err), PD_ERR_IO);
    assert_non_null(strstr(err.message, "directory"));
    assert_int_equal(mkfifo(in_folder("pipe"), 0600), 0);
    assert_int_equal(pd_mapping_open(in_folder("pipe"), &m, &err), PD_ERR_IO);
    unlink(in_folder("pipe"));
    unlink(in_folder("nothing"));
    unlink(in_folder("text"));
}

static void test_read_all(void **state) {
    (void)state;
    char *data;
    size_t n;
    pd_error err;
    put_text("text", "0123456789");
    assert_int_equal(pd_file_read_all(in_folder("text"), 10, &data, &n, &err), PD_OK);
    assert_int_equal(n, 10);
    pd_free(data);
    assert_int_equal(pd_file_read_all(in_folder("text"), 9, &data, &n, &err), PD_ERR_IO);
    assert_int_equal(pd_file_read_all(in_folder("absent"), 9, &data, &n, &err), PD_ERR_IO);
    assert_int_equal(pd_file_read_all(test_folder, 9, &data, &n, &err), PD_ERR_IO);
    put_text("text", "");
    expect_content("text", "");
    unlink(in_folder("text"));
}

typedef pd_status open_fn(const char *path, pd_file_writer *w, pd_error *err);

static void check_writer(open_fn *open_writer) {
    pd_file_writer w;
    struct stat st;
    umask(027);
    assert_int_equal(open_writer(in_folder("out"), &w, NULL), PD_OK);
    pd_file_writer_write(&w, "one ", 4);
    pd_file_writer_write(&w, "two", 3);
    assert_int_equal(pd_file_writer_finish(&w, NULL), PD_OK);
    assert_int_not_equal(access(in_folder("out"), F_OK), 0); /* not before commit */
    assert_int_equal(pd_file_writer_commit(&w, NULL), PD_OK);
    expect_content("out", "one two");
    assert_int_equal(stat(in_folder("out"), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0640);
    assert_int_equal(st.st_nlink, 1);
    assert_int_equal(open_writer(in_folder("out"), &w, NULL), PD_OK); /* over the old one */
    pd_file_writer_write(&w, "three", 5);
    assert_int_equal(pd_file_writer_commit(&w, NULL), PD_OK);
    expect_content("out", "three");
    assert_int_equal(open_writer(in_folder("out"), &w, NULL), PD_OK);
    pd_file_writer_write(&w, "four", 4);
    assert_int_equal(pd_file_writer_finish(&w, NULL), PD_OK);
    pd_file_writer_abort(&w);
    expect_content("out", "three");
    assert_int_equal(count_entries(), 1);
    unlink(in_folder("out"));
}

static void test_writer_commits(void **state) {
    (void)state;
    check_writer(pd_file_writer_open);
    check_writer(pd_file_writer_open_named);
}

/* A plain name, its folder being the current one. */
static void test_writer_relative(void **state) {
    (void)state;
    pd_file_writer w;
    char before[4096];
    assert_non_null(getcwd(before, sizeof before));
    assert_int_equal(chdir(test_folder), 0);
    assert_int_equal(pd_file_writer_open("out", &w, NULL), PD_OK);
    pd_file_writer_write(&w, "here", 4);
    assert_int_equal(pd_file_writer_commit(&w, NULL), PD_OK);
    assert_int_equal(chdir(before), 0);
    expect_content("out", "here");
    unlink(in_folder("out"));
}

/* Somebody else's file has the first temporary name. */
static void test_writer_name_taken(void **state) {
    (void)state;
    pd_file_writer w;
    char taken[64];
    snprintf(taken, sizeof taken, "out.tmp-%ld-0", (long)getpid());
    put_text(taken, "other");
    for (int named = 0; named < 2; named++) {
        open_fn *open_writer = named ? pd_file_writer_open_named : pd_file_writer_open;
        assert_int_equal(open_writer(in_folder("out"), &w, NULL), PD_OK);
        pd_file_writer_write(&w, "new", 3);
        assert_int_equal(pd_file_writer_commit(&w, NULL), PD_OK);
        expect_content("out", "new");
        expect_content(taken, "other");
    }
    unlink(in_folder("out"));
    unlink(in_folder(taken));
}

/* Nothing is left of a process that was killed while it wrote, where the system can do that. */
static void test_writer_killed(void **state) {
    (void)state;
    int probe = open(test_folder, O_TMPFILE | O_WRONLY, 0600);
    if (probe < 0) skip_because("the file system has no files without names");
    close(probe);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        pd_file_writer w;
        if (pd_file_writer_open(in_folder("out"), &w, NULL) != PD_OK) _exit(1);
        pd_file_writer_write(&w, "lost", 4);
        if (pd_file_writer_finish(&w, NULL) != PD_OK) _exit(1);
        raise(SIGKILL);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    assert_int_equal(count_entries(), 0);
}

static pd_status write_and_end(void *ctx, pd_file_writer *w, pd_error *err) {
    (void)err;
    pd_file_writer_write(w, "text", 4);
    return *(const pd_status *)ctx;
}

static void test_written_whole(void **state) {
    (void)state;
    pd_status end = PD_ERR_CANCELLED;
    assert_int_equal(pd_file_write(in_folder("out"), write_and_end, &end, NULL), end);
    assert_int_equal(count_entries(), 0);
    end = PD_OK;
    assert_int_equal(pd_file_write(in_folder("out"), write_and_end, &end, NULL), PD_OK);
    expect_content("out", "text");
    assert_int_equal(pd_file_write_all(in_folder("out"), "new", 3, NULL), PD_OK);
    expect_content("out", "new");
    unlink(in_folder("out"));
}

static void test_writer_aborts(void **state) {
    (void)state;
    pd_file_writer w;
    put_text("out", "old");
    chmod(in_folder("out"), 0640);
    assert_int_equal(pd_file_writer_open(in_folder("out"), &w, NULL), PD_OK);
    pd_file_writer_write(&w, "new", 3);
    pd_file_writer_abort(&w);
    expect_content("out", "old");
    assert_int_equal(count_entries(), 1);

    struct stat st;
    assert_int_equal(pd_file_writer_open(in_folder("out"), &w, NULL), PD_OK);
    pd_file_writer_write(&w, "new", 3);
    assert_int_equal(pd_file_writer_commit(&w, NULL), PD_OK);
    expect_content("out", "new");
    assert_int_equal(stat(in_folder("out"), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0640); /* the replaced file's mode */
    unlink(in_folder("out"));
}

static void test_writer_follows_links(void **state) {
    (void)state;
    pd_file_writer w;
    struct stat st;
    put_text("real", "old");
    assert_int_equal(symlink("real", in_folder("link")), 0);
    assert_int_equal(pd_file_writer_open(in_folder("link"), &w, NULL), PD_OK);
    pd_file_writer_write(&w, "new", 3);
    assert_int_equal(pd_file_writer_commit(&w, NULL), PD_OK);
    expect_content("real", "new");
    assert_int_equal(lstat(in_folder("link"), &st), 0);
    assert_true(S_ISLNK(st.st_mode));
    unlink(in_folder("link"));
    unlink(in_folder("real"));
}

static void test_writer_failures(void **state) {
    (void)state;
    pd_file_writer w;
    pd_error err;
    assert_int_equal(pd_file_writer_open(in_folder("no/such"), &w, &err), PD_ERR_IO);
    assert_int_equal(pd_file_writer_open(test_folder, &w, &err), PD_ERR_IO);
    pd_file_writer_abort(&w); /* harmless */
    if (access("/dev/full", W_OK) == 0) {
        char block[8192] = {0};
        assert_int_equal(pd_file_writer_open("/dev/full", &w, &err), PD_OK);
        for (int i = 0; i < 4; i++) pd_file_writer_write(&w, block, sizeof block);
        assert_int_equal(pd_file_writer_commit(&w, &err), PD_ERR_IO);
        assert_non_null(strstr(err.message, "/dev/full"));
        assert_int_equal(access("/dev/full", W_OK), 0);
    }
    assert_int_equal(count_entries(), 0);
}

static void test_cache_path(void **state) {
    (void)state;
    pd_env_set("PERIDOT_CACHE_DIR", in_folder("own/deep"));
    char *path = pd_cache_path("x.spv");
    assert_non_null(path);
    assert_string_equal(path, in_folder("own/deep/x.spv"));
    assert_int_equal(access(in_folder("own/deep"), W_OK), 0);
    pd_free(path);
    pd_env_set("PERIDOT_CACHE_DIR", NULL);
    pd_env_set("XDG_CACHE_HOME", in_folder("xdg"));
    path = pd_cache_path("x.spv");
    assert_non_null(path);
    assert_string_equal(path, in_folder("xdg/peridot/x.spv"));
    pd_free(path);
    pd_env_set("XDG_CACHE_HOME", "relative"); /* ignored */
    pd_env_set("HOME", in_folder("home"));
    path = pd_cache_path("x.spv");
    assert_non_null(path);
    assert_string_equal(path, in_folder("home/.cache/peridot/x.spv"));
    pd_free(path);
    put_text("plain", "");
    pd_env_set("PERIDOT_CACHE_DIR", in_folder("plain")); /* a file cannot hold anything */
    assert_null(pd_cache_path("x.spv"));
}

static void test_clock(void **state) {
    (void)state;
    uint64_t a = pd_clock_ns(), b = pd_clock_ns();
    assert_true(a > 0 && b >= a);
    assert_true(pd_host_memory_bytes() > 1 << 20);
    assert_true(pd_host_memory_free_bytes() <= pd_host_memory_bytes());
    assert_true(pd_process_peak_bytes() > 4096);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mapping),
        cmocka_unit_test(test_read_all),
        cmocka_unit_test(test_writer_commits),
        cmocka_unit_test(test_writer_relative),
        cmocka_unit_test(test_writer_name_taken),
        cmocka_unit_test(test_writer_killed),
        cmocka_unit_test(test_writer_aborts),
        cmocka_unit_test(test_written_whole),
        cmocka_unit_test(test_writer_follows_links),
        cmocka_unit_test(test_writer_failures),
        cmocka_unit_test(test_cache_path),
        cmocka_unit_test(test_clock),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
