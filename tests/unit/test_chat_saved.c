/* The notes of session files that a chat can and cannot go on with, whoever wrote them.
 *
 * SPDX-License-Identifier: MIT
 */
#include "cli/chat/chat.h"
#include "support_data.h"
#include "support_folder.h"

static chat_job job;
static char path[512];
static pd_session_file good; /* what a chat wrote: a question with a picture, and an answer */
static size_t n_json;        /* of its note, with the zero */

static void must(pd_status status, const pd_error *err) {
    if (status != PD_OK) fail_msg("%s", err->message);
}

static void ask(const char *text, chat_pictures *pictures) {
    static const uint32_t ids[] = {300};
    chat_turn turn;
    pd_error err;
    must(chat_turn_make(text, strlen(text), pictures, &turn, &err), &err);
    must(chat_turn_set_answer(&turn, "answer", 6, ids, 1, &err), &err);
    must(chat_push(&job.conversation, &turn, &err), &err);
}

static int open_job(void **state) {
    static char flag[] = "-m", model[] = "model.gguf", *words[] = {flag, model, NULL};
    pd_model_desc desc = {.device = "cpu", .n_threads = 1};
    pd_session_desc session = {.n_ctx = 64};
    if (make_folder(state) != 0) return -1;
    snprintf(path, sizeof path, "%s", in_folder("session"));
    if (cli_options_parse(CLI_CHAT, 2, words, &job.options, NULL) != PD_OK) return -1;
    job.o = &job.options;
    if (pd_sampler_init(&job.sampler, NULL, NULL) != PD_OK) return -1;
    if (pd_model_open(test_data("golden/small-q4_0.gguf"), &desc, &job.model, NULL) != PD_OK)
        return -1;
    return pd_session_create(job.model, &session, &job.session, NULL) == PD_OK ? 0 : -1;
}

static int close_job(void **state) {
    pd_session_file_free(&good);
    chat_free(&job.conversation);
    pd_session_destroy(job.session);
    pd_model_close(job.model);
    cli_options_free(&job.options);
    return remove_folder(state);
}

static void load_note(const char *note, size_t n, pd_status expected, const char *says) {
    pd_error err;
    must(pd_session_save(job.session, path, note, n, &err), &err);
    pd_status status = chat_load(&job, path, &err);
    if (status != expected || (status != PD_OK && !strstr(err.message, says)))
        fail_msg("%s instead of %s: %s", pd_status_name(status), pd_status_name(expected),
                 status == PD_OK ? "" : err.message);
}

static void test_pictures_travel(void **state) {
    (void)state;
    pd_error err;
    chat_pictures pictures = {0};
    must(chat_pictures_read(&pictures, test_data("images/small.png"), false, &err), &err);
    size_t n_picture = pictures.items[0].n_bytes;
    ask("what is this", &pictures);
    must(chat_save(&job, path, &err), &err);
    must(pd_session_file_read(path, &good, &err), &err);
    n_json = strlen(good.note) + 1;
    assert_int_equal(good.n_note, n_json + n_picture);
    ask("another", NULL);
    must(chat_load(&job, path, &err), &err);
    assert_int_equal(job.conversation.n, 1);
    const chat_turn *t = &job.conversation.turns[0];
    assert_string_equal(t->typed, "what is this");
    assert_int_equal(t->pictures.n, 1);
    assert_memory_equal(t->pictures.items[0].bytes, good.note + n_json, n_picture);
}

static void test_bad_notes(void **state) {
    (void)state;
    pd_error err;
    char *note = malloc(good.n_note + 1);
    assert_non_null(note);
    memcpy(note, good.note, good.n_note + 1);
    ask("another", NULL); /* two turns: a note that counts would leave one */
    load_note(NULL, 0, PD_ERR_FORMAT, "was not saved by a chat");
    load_note("plain", 5, PD_ERR_FORMAT, "was not saved by a chat");
    load_note("plain", 6, PD_ERR_FORMAT, "it is no JSON object");
    load_note("{\"format\": \"diary\"}", 20, PD_ERR_FORMAT, "it is of another kind");
    load_note(note, n_json - 1, PD_ERR_FORMAT, "was not saved by a chat");
    load_note(note, n_json, PD_ERR_FORMAT, "a picture is missing");
    load_note(note, good.n_note - 1, PD_ERR_FORMAT, "a picture is missing");
    load_note(note, good.n_note + 1, PD_ERR_FORMAT, "more pictures than questions name");
    char *sum = strstr(note, "\"sha256\":\"");
    assert_non_null(sum);
    sum[10] = sum[10] == '0' ? '1' : '0';
    load_note(note, good.n_note, PD_ERR_ARGUMENT, "is another one");
    memcpy(note, good.note, good.n_note);
    note[n_json] ^= 1;
    load_note(note, good.n_note, PD_ERR_UNSUPPORTED, "small.png\": ");
    assert_int_equal(job.conversation.n, 2);
    must(pd_session_save(job.session, path, good.note, good.n_note, &err), &err);
    must(chat_load(&job, path, &err), &err);
    assert_int_equal(job.conversation.n, 1);
    free(note);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pictures_travel),
        cmocka_unit_test(test_bad_notes),
    };
    return cmocka_run_group_tests(tests, open_job, close_job);
}
