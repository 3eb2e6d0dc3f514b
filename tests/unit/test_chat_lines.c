/* What the lines of `chat` are made of: histories, completion, wide characters.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/env.h"
#include "support_folder.h"

#include <sys/stat.h>

#include "base/memory.h"
#include "cli/chat/commands.h"
#include "cli/chat/history.h"
#include "cli/chat/wide.h"

/* ---- histories ------------------------------------------------------------------------------- */

typedef struct recalled {
    size_t n;
    char first[128], last[128];
} recalled;

static void recall(void *ctx, const char *text) {
    recalled *r = ctx;
    if (r->n++ == 0) snprintf(r->first, sizeof r->first, "%s", text);
    snprintf(r->last, sizeof r->last, "%s", text);
}

static recalled read_history(void) {
    recalled r = {0};
    chat_history_read(in_folder("history"), recall, &r);
    return r;
}

static void test_messages(void **state) {
    (void)state;
    static const char *const texts[] = {"one", "two\nlines\n", "\\n is no newline",
                                        "\\",  "a\\\\b",       "\xc3\xa4 \xf0\x9f\x98\x80",
                                        " ",   "/quit"};
    assert_int_equal(read_history().n, 0);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        chat_history_append(in_folder("history"), texts[i]);
        recalled r = read_history();
        assert_int_equal(r.n, i + 1);
        assert_string_equal(r.first, "one");
        assert_string_equal(r.last, texts[i]);
    }
    struct stat st;
    assert_int_equal(stat(in_folder("history"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    chat_history_read(NULL, recall, NULL);
    chat_history_append(NULL, "x");
    chat_history_append("/nonexistent/history", "x");
    unlink(in_folder("history"));
}

static void put_lines(size_t n, size_t length) {
    FILE *f = fopen(in_folder("history"), "w");
    assert_non_null(f);
    for (size_t i = 0; i < n; i++) fprintf(f, "%0*zu\n", (int)length, i);
    fclose(f);
}

static off_t history_bytes(void) {
    struct stat st;
    assert_int_equal(stat(in_folder("history"), &st), 0);
    return st.st_size;
}

/* Both bounds: of lines and of bytes. */
static void test_bounds(void **state) {
    (void)state;
    put_lines(2 * CHAT_HISTORY_MAX, 4);
    recalled r = read_history();
    assert_int_equal(r.n, CHAT_HISTORY_MAX);
    assert_string_equal(r.first, "1000");
    assert_int_equal(history_bytes(), 5 * 2 * CHAT_HISTORY_MAX); /* not yet */
    put_lines(2 * CHAT_HISTORY_MAX + 1, 4);
    assert_int_equal(read_history().n, CHAT_HISTORY_MAX);
    assert_int_equal(history_bytes(), 5 * CHAT_HISTORY_MAX);
    put_lines(50, CHAT_HISTORY_MAX_BYTES / 40);
    assert_true(read_history().n < 30);
    assert_true(history_bytes() <= CHAT_HISTORY_MAX_BYTES / 2);
    off_t before = history_bytes();
    char *text = pd_alloc(CHAT_HISTORY_MAX_LINE + 1, 1);
    memset(text, 'x', CHAT_HISTORY_MAX_LINE);
    chat_history_append(in_folder("history"), text);
    assert_int_equal(history_bytes(), before);
    pd_free(text);
    unlink(in_folder("history"));
}

static void test_no_history(void **state) {
    (void)state;
    put_bytes("history", "a\0b\n", 4);
    assert_int_equal(read_history().n, 0);
    put_bytes("history", "a line and a half\nha", 20);
    assert_int_equal(read_history().n, 1);
    unlink(in_folder("history"));
    assert_int_equal(mkfifo(in_folder("history"), 0600), 0); /* nobody may wait for it */
    assert_int_equal(read_history().n, 0);
    chat_history_append(in_folder("history"), "x");
    unlink(in_folder("history"));
}

/* ---- completion ------------------------------------------------------------------------------ */

/* found: the candidates, each with a comma behind it; at: where they begin */
static void expect_candidates(const char *line, size_t at, const char *found) {
    chat_candidates c = {0};
    char list[1024] = "";
    chat_complete(line, &c);
    for (size_t i = 0; i < c.n; i++)
        snprintf(list + strlen(list), sizeof list - strlen(list), "%s,", c.list[i]);
    assert_string_equal(list, found);
    if (c.n) assert_int_equal(c.at, at);
    chat_candidates_free(&c);
}

static void test_completion(void **state) {
    (void)state;
    char line[256], found[256];
    expect_candidates("/he", 1, "help,");
    expect_candidates("/s", 1, "system ,set ,stats,save ,");
    expect_candidates("/x", 1, "");
    expect_candidates("help", 0, "");
    expect_candidates("", 0, "");
    expect_candidates("/help a", 6, "");
    expect_candidates("/set top-", 5, "top-k ,top-p ,");
    put_bytes("picture.png", "", 0);
    put_bytes(".hidden.png", "", 0);
    mkdir(in_folder("pictures"), 0700);
    snprintf(line, sizeof line, "/image  %s/pic", test_folder);
    snprintf(found, sizeof found, "%s/picture.png,%s/pictures/,", test_folder, test_folder);
    expect_candidates(line, 8, found);
    snprintf(line, sizeof line, "/load %s/.h", test_folder);
    snprintf(found, sizeof found, "%s/.hidden.png,", test_folder);
    expect_candidates(line, 6, found);
    pd_env_set("HOME", test_folder);
    expect_candidates("/save ~/pictures", 6, "~/pictures/,");
    expect_candidates("/save /nonexistent/x", 6, "");
    rmdir(in_folder("pictures"));
}

static void expect_path(const char *typed, const char *path) {
    char *expanded = chat_expand_path(typed);
    assert_string_equal(expanded, path);
    pd_free(expanded);
}

static void test_paths(void **state) {
    (void)state;
    pd_env_set("HOME", "/home/me");
    expect_path("a b", "a b");
    expect_path("~/a", "/home/me/a");
    expect_path("\"a b\"", "a b");
    expect_path("'~/a b'", "/home/me/a b");
    expect_path("~a", "~a");
    expect_path("'a", "'a");
    expect_path("", "");
    assert_true(chat_is_command("/help"));
    assert_true(chat_is_command("/etc/passwd")); /* said to be none, then */
    assert_false(chat_is_command("/etc/passwd\nis pasted"));
    assert_true(chat_is_command("/system of\ntwo lines"));
    assert_false(chat_is_command(" /help"));
    assert_false(chat_is_whole_command("/helpless"));
}

/* ---- wide characters ------------------------------------------------------------------------- */

static void test_wide(void **state) {
    (void)state;
    static const char text[] = "a\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\n",
                      bad[] = "\xff\xc3z\xf0\x9f";
    wchar_t *wide = chat_wide_from_utf8(text, sizeof text - 1);
    const wchar_t expected[] = {'a', 0xe4, 0x20ac, 0x1f600, '\n', 0};
    assert_memory_equal(wide, expected, sizeof expected);
    char *back = chat_wide_to_utf8(wide, 5);
    assert_string_equal(back, text);
    pd_free(back);
    pd_free(wide);
    wide = chat_wide_from_utf8(bad, sizeof bad - 1);
    const wchar_t replaced[] = {0xfffd, 0xfffd, 'z', 0xfffd, 0xfffd, 0};
    assert_memory_equal(wide, replaced, sizeof replaced);
    wide[0] = 0xd800;
    back = chat_wide_to_utf8(wide, 1);
    assert_string_equal(back, "\xef\xbf\xbd");
    pd_free(back);
    pd_free(wide);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_messages),   cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_no_history), cmocka_unit_test(test_completion),
        cmocka_unit_test(test_paths),      cmocka_unit_test(test_wide),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
