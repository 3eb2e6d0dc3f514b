/* Going back: an answer made again, a question edited, an earlier turn edited, a branch, a session
 * from a file. Each has to give the bits that a session gives that went the same way without ever
 * going back, and to compute no more than reaches back to the checkpoint.
 *
 * PERIDOT_TEST_DEVICES overrides the list of devices.
 *
 * SPDX-License-Identifier: MIT
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/hash.h"
#include "engine/session.h"
#include "support_folder.h"
#include "support_golden.h"
#include "support_validation.h"

/* small-q4_0.gguf has a window of 16 and 600 tokens. A turn is a question, of which the first three
 * tokens open it in every turn, and an answer. */
enum { CONTEXT = 900, QUESTION = 23, ANSWER = 19, MAX_TURNS = 12 };

typedef struct talk {
    pd_session *s;
    uint32_t ids[CONTEXT], n;               /* all that was said */
    uint32_t questions[MAX_TURNS], n_turns; /* what was asked, by number */
    uint64_t hashes[MAX_TURNS],
        ends[MAX_TURNS]; /* of the logits that an answer began with; where */
    uint32_t n_computed; /* by the last turn's prompt */
} talk;

static uint32_t question_token(uint32_t question, uint32_t i) {
    return i < 3 ? 5 + i : 3 + (question * 131 + i * 37 + question * i) % 500;
}

static pd_model *open_model(const char *name, const char *device) {
    pd_model *m;
    pd_error err;
    must(pd_model_open(test_data(name), &(pd_model_desc){.device = device, .n_threads = 2}, &m,
                       &err),
         &err);
    return m;
}

static pd_session *open_session(pd_model *m) {
    pd_session *s;
    pd_error err;
    pd_session_desc desc = {.n_ctx = CONTEXT,
                            .n_chunk = 64,
                            .precision = PD_PRECISION_EXACT,
                            .checkpoint_positions = CONTEXT};
    must(pd_session_create(m, &desc, &s, &err), &err);
    return s;
}

static bool take(void *ctx, uint32_t id) {
    talk *t = ctx;
    t->ids[t->n++] = id;
    return true;
}

static uint32_t n_computed(pd_session *s) {
    const pd_session_stats *stats = pd_session_get_stats(s);
    return stats->n_prompt + stats->n_decode;
}

static uint64_t last_hash(pd_session *s) {
    pd_error err;
    const float *logits;
    must(pd_session_logits(s, &logits, &err), &err);
    return pd_session_get_stats(s)->logits_hash;
}

/* The question behind what was said; then the answer. */
static void ask(talk *t, uint32_t question) {
    pd_error err;
    pd_sampler sampler = {.desc = {.temp = 1, .top_k = 40, .seed = question}};
    pd_generate_desc desc = {.n_max = ANSWER, .ignore_stop = true, .fn = take, .fn_ctx = t};
    for (uint32_t i = 0; i < QUESTION; i++) t->ids[t->n++] = question_token(question, i);
    uint32_t before = n_computed(t->s);
    must(pd_session_sync(t->s, t->ids, t->n, &err), &err);
    t->n_computed = n_computed(t->s) - before;
    t->hashes[t->n_turns] = last_hash(t->s);
    must(pd_session_generate(t->s, &sampler, &desc, &err), &err);
    t->questions[t->n_turns] = question;
    t->ends[t->n_turns++] = t->n;
}

/* The first n turns stay. */
static void forget(talk *t, uint32_t n) {
    t->n_turns = n;
    t->n = n ? (uint32_t)t->ends[n - 1] : 1;
}

static void begin(talk *t, pd_session *s) {
    *t = (talk){.s = s, .n = 1};
    t->ids[0] = 2;
}

/* The same turns in a session that never went back. */
static void expect_as_new(pd_model *m, const talk *t, const char *device, const char *what) {
    static talk fresh;
    begin(&fresh, open_session(m));
    for (uint32_t i = 0; i < t->n_turns; i++) {
        ask(&fresh, t->questions[i]);
        if (fresh.hashes[i] != t->hashes[i])
            fail_msg("%s, %s: turn %u has other logits", device, what, i);
    }
    assert_int_equal(fresh.n, t->n);
    assert_memory_equal(fresh.ids, t->ids, 4 * t->n);
    pd_session_destroy(fresh.s);
}

/* ---- going back ----------------------------------------------------------------------------- */

static void go_back(void *ctx, const char *device) {
    (void)ctx;
    static talk t;
    pd_model *m = open_model("golden/small-q4_0.gguf", device);
    begin(&t, open_session(m));
    for (uint32_t i = 0; i < 6; i++) ask(&t, i);
    assert_int_equal(t.n_computed,
                     QUESTION + 1); /* the last token of the answer, and the question */
    expect_as_new(m, &t, device, "from turn to turn");

    forget(&t, 5);
    ask(&t, 5);
    assert_int_equal(t.n_computed, 0);
    expect_as_new(m, &t, device, "an answer made again");

    forget(&t, 5);
    ask(&t, 77);
    /* restarts where the answer before ended: its last token and all of the question */
    assert_int_equal(t.n_computed, QUESTION + 1);
    expect_as_new(m, &t, device, "the last question edited");

    forget(&t, 2);
    ask(&t, 88);
    assert_int_equal(t.n_computed, QUESTION + 1);
    ask(&t, 3);
    expect_as_new(m, &t, device, "an earlier question edited");

    forget(&t, 3); /* undo, and something else */
    ask(&t, 99);
    assert_int_equal(t.n_computed, QUESTION + 1);
    expect_as_new(m, &t, device, "undone");
    pd_session_destroy(t.s);
    pd_model_close(m);
}

static void test_go_back(void **state) {
    (void)state;
    on_every_device(go_back, NULL);
}

/* ---- branches ------------------------------------------------------------------------------- */

static void branch(void *ctx, const char *device) {
    (void)ctx;
    static talk a, b;
    pd_error err;
    pd_model *m = open_model("golden/small-q4_0.gguf", device);
    begin(&a, open_session(m));
    for (uint32_t i = 0; i < 4; i++) ask(&a, i);
    b = a;
    must(pd_session_fork(a.s, &b.s, &err), &err);
    forget(&b, 3);
    ask(&b, 3);
    assert_int_equal(b.n_computed, 0); /* kept outputs go along */
    expect_as_new(m, &b, device, "a branch's answer made again");
    ask(&b, 50);
    assert_int_equal(b.n_computed, QUESTION + 1);
    ask(&a, 60);
    assert_int_equal(a.n_computed, QUESTION + 1);
    ask(&b, 51);
    forget(&a, 2); /* a mark of before the fork */
    ask(&a, 61);
    assert_int_equal(a.n_computed, QUESTION + 1);
    forget(&b, 3);
    ask(&b, 52);
    assert_int_equal(b.n_computed, QUESTION + 1);
    expect_as_new(m, &a, device, "the original");
    expect_as_new(m, &b, device, "the branch");
    pd_session_destroy(a.s);
    ask(&b, 53);
    expect_as_new(m, &b, device, "the branch alone");
    pd_session_destroy(b.s);
    pd_model_close(m);
}

static void test_branches(void **state) {
    (void)state;
    on_every_device(branch, NULL);
}

/* ---- files ---------------------------------------------------------------------------------- */

static const char note[] = "odd\0bytes"; /* what follows it stands at no multiple of anything */

static void expect_note(pd_model *m, const char *path, size_t n) {
    pd_session_file file;
    pd_error err;
    must(pd_session_file_read(path, &file, &err), &err);
    assert_int_equal(file.device, pd_model_get_device(m)->kind);
    assert_int_equal(file.n_note, n);
    assert_memory_equal(file.note, note, n);
    assert_int_equal(file.note[n], 0);
    pd_session_file_free(&file);
    assert_null(file.note);
}

static void from_file(void *ctx, const char *device) {
    static talk a, b;
    const char *path = ctx;
    pd_error err;
    pd_model *m = open_model("golden/small-q4_0.gguf", device);
    begin(&a, open_session(m));
    for (uint32_t i = 0; i < 5; i++) ask(&a, i);
    must(pd_session_save(a.s, path, NULL, 0, &err), &err);
    expect_note(m, path, 0);
    must(pd_session_save(a.s, path, note, sizeof note, &err), &err);
    expect_note(m, path, sizeof note);
    b = a;
    b.s = open_session(m);
    must(pd_session_load(b.s, path, &err), &err);
    assert_int_equal(pd_session_count(b.s), pd_session_count(a.s));
    assert_true(last_hash(b.s) == last_hash(a.s));
    pd_session_destroy(a.s);
    ask(&b, 5);
    assert_int_equal(b.n_computed, QUESTION + 1);
    forget(&b, 2); /* a checkpoint out of the file */
    ask(&b, 70);
    assert_int_equal(b.n_computed, QUESTION + 1);
    expect_as_new(m, &b, device, "from a file");
    must(pd_session_load(b.s, path, &err), &err); /* in place of what is there */
    assert_int_equal(pd_session_count(b.s), a.n - 1);
    pd_session_destroy(b.s);
    pd_model_close(m);
}

static void test_files(void **state) {
    (void)state;
    char path[512];
    snprintf(path, sizeof path, "%s", in_folder("session"));
    on_every_device(from_file, path);
}

/* Before anything was asked. */
static void test_empty_session(void **state) {
    (void)state;
    static talk t;
    pd_error err;
    const char *path = in_folder("session");
    pd_model *m = open_model("golden/small-q4_0.gguf", "cpu");
    begin(&t, open_session(m));
    must(pd_session_save(t.s, path, note, 1, &err), &err);
    expect_note(m, path, 1);
    ask(&t, 1);
    must(pd_session_load(t.s, path, &err), &err);
    assert_int_equal(pd_session_count(t.s), 0);
    forget(&t, 0);
    ask(&t, 2);
    expect_as_new(m, &t, "cpu", "behind an empty file");
    pd_session_destroy(t.s);
    pd_model_close(m);
}

/* ---- bad files ------------------------------------------------------------------------------ */

static void write_file(const char *path, const char *data, size_t n) {
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, n, f), n);
    fclose(f);
}

static void expect_refused(talk *t, const char *path, pd_status status) {
    pd_error err;
    uint64_t hash = last_hash(t->s);
    uint32_t n = pd_session_count(t->s);
    pd_status found = pd_session_load(t->s, path, &err);
    if (found != status)
        fail_msg("%s instead of %s", pd_status_name(found), pd_status_name(status));
    assert_int_equal(pd_session_count(t->s), n);
    assert_true(last_hash(t->s) == hash);
    pd_session_file file = {.n_note = 1};
    assert_int_equal(pd_session_file_read(path, &file, &err), status);
    assert_true(file.note == NULL && file.n_note == 0);
}

/* A note that is longer than its file, in one whose sum is right. */
static void expect_note_refused(talk *t, const char *path, char *data, size_t n) {
    uint64_t n_note = n, sum;
    memcpy(data + 12, &n_note, sizeof n_note);
    sum = pd_hash(data, n - sizeof sum);
    memcpy(data + n - sizeof sum, &sum, sizeof sum);
    write_file(path, data, n);
    expect_refused(t, path, PD_ERR_FORMAT);
}

static void test_bad_files(void **state) {
    (void)state;
    static talk t;
    pd_error err;
    pd_model *m, *other;
    pd_session *s;
    size_t n;
    char path[512], bad[512];
    snprintf(path, sizeof path, "%s", in_folder("session"));
    snprintf(bad, sizeof bad, "%s", in_folder("bad"));
    m = open_model("golden/small-q4_0.gguf", "cpu");
    begin(&t, open_session(m));
    for (uint32_t i = 0; i < 2; i++) ask(&t, i);
    must(pd_session_save(t.s, path, note, sizeof note, &err), &err);
    char *data = read_file(path, &n);
    for (size_t at = 0; at < n; at += 1 + at / 7) { /* every byte of the head, then fewer */
        data[at] ^= (char)(1u << at % 8);
        write_file(bad, data, n);
        data[at] ^= (char)(1u << at % 8);
        expect_refused(&t, bad, PD_ERR_FORMAT);
        if (at > 0) {
            write_file(bad, data, at);
            expect_refused(&t, bad, PD_ERR_FORMAT);
        }
    }
    expect_refused(&t, "/nonexistent", PD_ERR_IO);
    assert_int_equal(pd_session_save(t.s, "/nonexistent/x", NULL, 0, &err), PD_ERR_IO);
    assert_int_equal(pd_session_save(t.s, "/dev/full", NULL, 0, &err), PD_ERR_IO);
    expect_refused(&t, GOLDEN("small-q4_0.gguf"), PD_ERR_FORMAT);
    expect_note_refused(&t, bad, data, n);

    must(pd_session_create(m, &(pd_session_desc){.n_ctx = CONTEXT}, &s, &err), &err);
    assert_int_equal(pd_session_load(s, path, &err), PD_ERR_ARGUMENT); /* f16 pages */
    pd_session_destroy(s);
    pd_session_desc tight = {.n_ctx = 64, .precision = PD_PRECISION_EXACT};
    must(pd_session_create(m, &tight, &s, &err), &err);
    assert_int_equal(pd_session_load(s, path, &err), PD_ERR_CONTEXT);
    pd_session_destroy(s);
    other = open_model("golden/small-q8_0-scaled.gguf", "cpu");
    s = open_session(other);
    assert_int_equal(pd_session_load(s, path, &err), PD_ERR_MODEL);
    pd_session_destroy(s);
    pd_model_close(other);
    pd_session_destroy(t.s);
    pd_model_close(m);
    free(data);
}

int main(void) {
    PRINT_LOG();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_go_back),   cmocka_unit_test(test_branches),
        cmocka_unit_test(test_files),     cmocka_unit_test(test_empty_session),
        cmocka_unit_test(test_bad_files), cmocka_unit_test(check_validation_silent),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
