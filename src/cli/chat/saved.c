/* /save and /load. A file is there whole or not at all, of one of two kinds:
 *
 *     JSON (saved_json.c), by a name in .json: the words, for any model; pictures by their paths
 *     a session file, by any other name: what was computed as well. Its note is
 *         the same JSON, a zero byte, then the pictures' files one behind the other, in the JSON's
 *         order and each as long as it says there
 *
 * Which of them a file is, its first bytes say. A session file holds nothing that was taken back:
 * the session is cut to the conversation first.
 *
 * SPDX-License-Identifier: MIT
 */
#include <string.h>

#include "base/file.h"
#include "base/words.h"
#include "cli/chat/chat.h"

enum { JSON_MAX_BYTES = 1 << 28 };

/* ---- writing -------------------------------------------------------------------------------- */

/* Nothing that is read is written over. */
static pd_status check_path(const chat_job *job, const char *path, pd_error *err) {
    const chat_conversation *c = &job->conversation;
    PD_TRY(cli_check_output(job->o, path, err));
    for (size_t i = 0; i < c->n; i++)
        for (size_t k = 0; k < c->turns[i].pictures.n; k++)
            PD_TRY(pd_file_check_output(path, c->turns[i].pictures.items[k].path, err));
    return PD_OK;
}

static bool is_json_name(const char *path) {
    size_t n = strlen(path), n_end = strlen(".json");
    return n >= n_end && pd_same_in_any_case(path + n - n_end, ".json");
}

static void add_pictures(pd_bytes *note, const chat_conversation *c) {
    pd_bytes_write(note, "", 1);
    for (size_t i = 0; i < c->n; i++)
        for (size_t k = 0; k < c->turns[i].pictures.n; k++) {
            const chat_picture *p = &c->turns[i].pictures.items[k];
            pd_bytes_write(note, p->bytes, p->n_bytes);
        }
}

static pd_status save_session(chat_job *job, const char *path, pd_bytes *note, pd_error *err) {
    add_pictures(note, &job->conversation);
    if (note->failed)
        return PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory for the pictures");
    PD_TRY(chat_cut_session(job, err));
    return pd_session_save(job->session, path, note->data, note->n, err);
}

static pd_status save_json(const char *path, pd_bytes *text, pd_error *err) {
    pd_bytes_write(text, "\n", 1);
    if (text->failed)
        return PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory for the JSON text");
    return pd_file_write_all(path, text->data, text->n, err);
}

pd_status chat_save(chat_job *job, const char *path, pd_error *err) {
    pd_bytes text = {0};
    PD_TRY(check_path(job, path, err));
    pd_status status = chat_write_json(job, &text, err);
    if (status == PD_OK)
        status =
            is_json_name(path) ? save_json(path, &text, err) : save_session(job, path, &text, err);
    pd_bytes_free(&text);
    return status;
}

/* ---- reading -------------------------------------------------------------------------------- */

/* What cannot be opened is none: whoever reads it then says why. */
static bool is_session_file(const char *path) {
    const size_t n = strlen(PD_SESSION_FILE_MAGIC);
    pd_mapping m;
    if (pd_mapping_open(path, &m, NULL) != PD_OK) return false;
    bool is = m.size >= n && memcmp(m.data, PD_SESSION_FILE_MAGIC, n) == 0;
    pd_mapping_close(&m);
    return is;
}

static pd_status load_json(chat_job *job, const char *path, pd_error *err) {
    char *text = NULL;
    size_t n = 0;
    PD_TRY(pd_file_read_regular(path, JSON_MAX_BYTES, &text, &n, err));
    if (strlen(text) < n) text[0] = '\0'; /* no text, and so no JSON */
    pd_status status = chat_read_json(job, text, NULL, err);
    pd_free(text);
    return status;
}

static pd_status read_note(chat_job *job, const char *path, const pd_session_file *file,
                           pd_error *err) {
    const char *end = memchr(file->note, 0, file->n_note);
    if (!end)
        return PD_RAISE(err, PD_ERR_FORMAT,
                        "the session file \"%s\" was not saved by a chat: it has no conversation",
                        path);
    size_t n_text = (size_t)(end - file->note) + 1;
    pd_reader pictures = {.data = (const uint8_t *)file->note + n_text,
                          .size = file->n_note - n_text};
    return chat_read_json(job, file->note, &pictures, err);
}

/* Without it there is a conversation all the same. */
static pd_status load_computed(chat_job *job, const char *path, pd_device_kind device,
                               pd_error *err) {
    pd_status status = pd_session_load(job->session, path, err);
    if (status == PD_ERR_DEVICE_LOST) return status;
    if (status != PD_OK)
        chat_note("it will be computed again: %s", err->message);
    else if (device != pd_model_get_device(job->model)->kind)
        chat_note("it was computed on another kind of device: rounding may differ");
    return PD_OK;
}

static void tell_loaded(chat_job *job) {
    size_t n = job->conversation.n;
    chat_turn_free(&job->draft);
    chat_pictures_free(&job->attached);
    chat_note("the conversation has %zu question%s with answers", n, n == 1 ? "" : "s");
}

static pd_status load_session(chat_job *job, const char *path, pd_error *err) {
    pd_session_file file;
    PD_TRY(pd_session_file_read(path, &file, err));
    pd_status status = read_note(job, path, &file, err);
    pd_device_kind device = file.device;
    pd_session_file_free(&file);
    PD_TRY(status);
    tell_loaded(job);
    return load_computed(job, path, device, err);
}

pd_status chat_load(chat_job *job, const char *path, pd_error *err) {
    if (is_session_file(path)) return load_session(job, path, err);
    PD_TRY(load_json(job, path, err));
    tell_loaded(job);
    return PD_OK;
}
