/* /save: the conversation as JSON, complete or not at all. What it holds, saved_read.c reads:
 *
 *     {"format": "peridot chat", "version": 1, "model": NAME, "template": "gemma" or "none",
 *      "system": TEXT, or absent,
 *      "settings": {"temp": 1, "top-k": 64, ...}, "n_drawn": 17,
 *      "turns": [{"role": "user", "text": AS TYPED,
 *                 "images": [{"path": P, "sha256": HEX, "bytes": N}]},
 *                {"role": "assistant", "text": AS SHOWN, "ids": AS DRAWN}, ...]}
 *
 * A zero among an answer's bytes becomes U+FFFD, since JSON's strings end at it here.
 *
 * SPDX-License-Identifier: MIT
 */
#include <string.h>

#include "cli/chat/chat.h"
#include "cli/json.h"

/* NULL: no memory, or a text with more zeros than there is memory for. */
static cJSON *text_json(const char *text, size_t n) {
    pd_bytes whole = {0};
    pd_bytes_write(&whole, "", 0);
    for (size_t i = 0; i < n; i++)
        pd_bytes_write(&whole, text[i] ? text + i : "\xef\xbf\xbd", text[i] ? 1 : 3);
    cJSON *j = whole.failed ? NULL : cJSON_CreateString(whole.n ? whole.data : "");
    pd_bytes_free(&whole);
    return j;
}

/* Each adder is false when memory ran out. */
static bool add(cJSON *object, const char *name, cJSON *item) {
    return item && cJSON_AddItemToObject(object, name, item);
}

static bool add_pictures(cJSON *turn, const chat_pictures *p) {
    if (p->n == 0) return true;
    cJSON *list = cJSON_AddArrayToObject(turn, "images");
    bool good = list != NULL;
    for (size_t i = 0; good && i < p->n; i++) {
        cJSON *j = cJSON_CreateObject();
        good = j && cJSON_AddItemToArray(list, j) &&
               add(j, "path", cJSON_CreateString(p->items[i].path)) &&
               add(j, "sha256", cJSON_CreateString(p->items[i].sha256)) &&
               add(j, "bytes", cJSON_CreateNumber((double)p->items[i].n_bytes));
    }
    return good;
}

static bool add_ids(cJSON *turn, const chat_turn *t) {
    cJSON *list = cJSON_AddArrayToObject(turn, "ids");
    bool good = list != NULL;
    for (size_t i = 0; good && i < t->n_ids; i++)
        good = cJSON_AddItemToArray(list, cJSON_CreateNumber(t->ids[i]));
    return good;
}

static cJSON *add_turn(cJSON *list, const char *role, const char *text, size_t n) {
    cJSON *j = cJSON_CreateObject();
    bool good = j && cJSON_AddItemToArray(list, j) && add(j, "role", cJSON_CreateString(role)) &&
                add(j, "text", text_json(text, n));
    return good ? j : NULL;
}

static bool add_turns(cJSON *root, const chat_conversation *c) {
    cJSON *list = cJSON_AddArrayToObject(root, "turns");
    bool good = list != NULL;
    for (size_t i = 0; good && i < c->n; i++) {
        const chat_turn *t = &c->turns[i];
        cJSON *question = add_turn(list, "user", t->typed, t->n_typed);
        good = question && add_pictures(question, &t->pictures);
        cJSON *reply = good ? add_turn(list, "assistant", t->answer, t->n_answer) : NULL;
        good = reply && add_ids(reply, t);
    }
    return good;
}

static bool add_settings(cJSON *root, const chat_job *job) {
    cJSON *j = cJSON_AddObjectToObject(root, "settings");
    bool good = j != NULL;
    for (size_t i = 0; good && chat_setting_name(i); i++)
        good = add(j, chat_setting_name(i), cJSON_CreateNumber(chat_setting_get(job, i)));
    return good && add(root, "n_drawn", cJSON_CreateNumber((double)job->sampler.n_drawn));
}

static bool add_all(cJSON *root, const chat_job *job) {
    const chat_conversation *c = &job->conversation;
    return root && add(root, "format", cJSON_CreateString("peridot chat")) &&
           add(root, "version", cJSON_CreateNumber(1)) &&
           add(root, "model", cJSON_CreateString(pd_model_get_info(job->model)->name)) &&
           add(root, "template", cJSON_CreateString(c->raw ? "none" : "gemma")) &&
           (!c->system || add(root, "system", text_json(c->system, c->n_system))) &&
           add_settings(root, job) && add_turns(root, c);
}

static pd_status write_file(const char *path, const char *text, pd_error *err) {
    pd_file_writer w;
    PD_TRY(pd_file_writer_open(path, &w, err));
    pd_file_writer_write(&w, text, strlen(text));
    pd_file_writer_write(&w, "\n", 1);
    return pd_file_writer_commit(&w, err);
}

pd_status chat_save(const chat_job *job, const char *path, pd_error *err) {
    cJSON *root = cJSON_CreateObject();
    char *text = add_all(root, job) ? cJSON_PrintUnformatted(root) : NULL;
    cJSON_Delete(root);
    if (!text) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory for the JSON text");
    pd_status status = write_file(path, text, err);
    cJSON_free(text);
    return status;
}
