/* The conversation as JSON:
 *
 *     {"format": "peridot chat", "version": 1, "model": NAME, "template": "gemma" or "none",
 *      "system": TEXT, or absent,
 *      "settings": {"temp": 1, "top-k": 64, ...}, "n_drawn": 17,
 *      "turns": [{"role": "user", "text": AS TYPED,
 *                 "images": [{"path": P, "sha256": HEX, "bytes": N}]},
 *                {"role": "assistant", "text": AS SHOWN, "ids": AS DRAWN}, ...]}
 *
 * What is loaded may have become anything: all of it is read before any of it counts.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>
#include <string.h>

#include "cli/chat/chat.h"
#include "cli/json.h"

/* ---- writing -------------------------------------------------------------------------------- */

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
                add(j, "text", cli_text_json(text, n));
    return good ? j : NULL;
}

static bool add_turns(cJSON *root, const chat_conversation *c) {
    cJSON *list = cJSON_AddArrayToObject(root, "turns"), *question = NULL, *reply = NULL;
    bool good = list != NULL;
    for (size_t i = 0; good && i < c->n; i++) {
        const chat_turn *t = &c->turns[i];
        good = (question = add_turn(list, "user", t->typed, t->n_typed)) != NULL &&
               add_pictures(question, &t->pictures) &&
               (reply = add_turn(list, "assistant", t->answer, t->n_answer)) != NULL &&
               add_ids(reply, t);
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
           (!c->system || add(root, "system", cli_text_json(c->system, c->n_system))) &&
           add_settings(root, job) && add_turns(root, c);
}

pd_status chat_write_json(const chat_job *job, pd_bytes *out, pd_error *err) {
    cJSON *root = cJSON_CreateObject();
    char *text = add_all(root, job) ? cJSON_PrintUnformatted(root) : NULL;
    cJSON_Delete(root);
    if (text) pd_bytes_write(out, text, strlen(text));
    bool good = text && !out->failed;
    cJSON_free(text);
    return good ? PD_OK : PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory for the JSON text");
}

/* ---- reading turns -------------------------------------------------------------------------- */

static pd_status raise_damaged(const char *what, pd_error *err) {
    return PD_RAISE(err, PD_ERR_FORMAT, "the file holds no conversation that can be read: %s",
                    what);
}

/* NULL: absent, or no string of valid UTF-8 */
static const char *get_text(const cJSON *object, const char *name) {
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));
    return text && cli_check_utf8("", text, strlen(text), NULL) == PD_OK ? text : NULL;
}

static bool is_text(const cJSON *object, const char *name, const char *expected) {
    const char *text = get_text(object, name);
    return text && strcmp(text, expected) == 0;
}

/* A whole number below `end`. */
static bool get_whole(const cJSON *item, double end, double *out) {
    if (!cJSON_IsNumber(item)) return false;
    *out = item->valuedouble;
    return *out >= 0 && *out < end && *out == floor(*out);
}

/* A conversation being read. */
typedef struct source {
    const chat_job *job;
    pd_reader *pictures; /* their files' bytes; NULL: they are where their paths say */
} source;

static pd_status read_pixels(const source *s, const char *path, double n_bytes, chat_pictures *out,
                             pd_error *err) {
    bool windows = cli_given(s->job->o, OPT_PAN_AND_SCAN);
    const uint8_t *bytes;
    if (!s->pictures) return chat_pictures_read(out, path, windows, err);
    if (!pd_read_bytes(s->pictures, (uint64_t)n_bytes, &bytes))
        return raise_damaged("a picture is missing", err);
    return chat_pictures_take(out, path, (const char *)bytes, (size_t)n_bytes, windows, err);
}

static pd_status read_picture(const source *s, const cJSON *item, chat_pictures *out,
                              pd_error *err) {
    const char *path = get_text(item, "path"), *sum = get_text(item, "sha256");
    double n_bytes;
    if (!path || !sum ||
        !get_whole(cJSON_GetObjectItemCaseSensitive(item, "bytes"), 0x1p53, &n_bytes))
        return raise_damaged("a picture has no path, sum or size", err);
    PD_TRY(read_pixels(s, path, n_bytes, out, err));
    const chat_picture *p = &out->items[out->n - 1];
    if (strcmp(p->sha256, sum) == 0 && (double)p->n_bytes == n_bytes) return PD_OK;
    return PD_RAISE(err, PD_ERR_ARGUMENT,
                    "the picture \"%.200s\" is another one than the conversation was saved with",
                    path);
}

static pd_status read_question(const source *s, const cJSON *item, chat_turn *out, pd_error *err) {
    const char *text = get_text(item, "text");
    const cJSON *images = cJSON_GetObjectItemCaseSensitive(item, "images"), *image;
    chat_pictures pictures = {0};
    pd_status status = PD_OK;
    if (!is_text(item, "role", "user") || !text)
        return raise_damaged("a question was expected, with its text", err);
    if (images && !cJSON_IsArray(images)) return raise_damaged("the pictures are no list", err);
    cJSON_ArrayForEach(image, images) {
        status = read_picture(s, image, &pictures, err);
        if (status != PD_OK) break;
    }
    if (status != PD_OK) {
        chat_pictures_free(&pictures);
        return status;
    }
    return chat_turn_make(text, strlen(text), &pictures, out, err);
}

static pd_status read_ids(const chat_job *job, const cJSON *list, uint32_t **out, size_t *n,
                          pd_error *err) {
    const cJSON *item;
    double id, n_vocab = pd_model_get_info(job->model)->n_vocab;
    *n = 0;
    *out = NULL;
    if (!cJSON_IsArray(list)) return raise_damaged("an answer has no tokens", err);
    *out = pd_alloc((size_t)cJSON_GetArraySize(list) + 1, sizeof **out);
    if (!*out) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory for an answer");
    cJSON_ArrayForEach(item, list) {
        if (!get_whole(item, 0x1p32, &id)) return raise_damaged("a token is no number", err);
        bool usable = id < n_vocab && id < (double)PD_TOKEN_IMAGE &&
                      !pd_model_is_stop(job->model, (uint32_t)id);
        if (!usable) return raise_damaged("a token is none of this model", err);
        (*out)[(*n)++] = (uint32_t)id;
    }
    return PD_OK;
}

/* Tokens that another vocabulary wrote do not spell the text; what of it they do not is made anew.
 */
static pd_status read_answer(const chat_job *job, const cJSON *item, chat_turn *t, pd_error *err) {
    const char *text = get_text(item, "text");
    uint32_t *ids = NULL, *spelled = NULL;
    size_t n, n_spelled;
    if (!is_text(item, "role", "assistant") || !text)
        return raise_damaged("an answer was expected, with its text", err);
    pd_status status;
    PD_TRY_GOTO(read_ids(job, cJSON_GetObjectItemCaseSensitive(item, "ids"), &ids, &n, err));
    PD_TRY_GOTO(chat_spell(job->model, ids, n, text, strlen(text), &spelled, &n_spelled, err));
    status = chat_turn_set_answer(t, text, strlen(text), spelled, n_spelled, err);
done:
    pd_free(ids);
    pd_free(spelled);
    return status;
}

static pd_status read_turns(const source *s, const cJSON *list, chat_conversation *out,
                            pd_error *err) {
    if (!cJSON_IsArray(list)) return raise_damaged("there is no list of turns", err);
    for (const cJSON *item = list->child; item; item = item->next) {
        chat_turn turn = {0};
        PD_TRY(read_question(s, item, &turn, err));
        PD_TRY(chat_push(out, &turn, err));
        item = item->next;
        if (!item) return raise_damaged("the last question has no answer", err);
        PD_TRY(read_answer(s->job, item, chat_last(out), err));
    }
    return PD_OK;
}

/* ---- reading the rest ----------------------------------------------------------------------- */

static pd_status read_conversation(const source *s, const cJSON *root, chat_conversation *out,
                                   pd_error *err) {
    const char *system = get_text(root, "system");
    out->raw = s->job->conversation.raw;
    if (!is_text(root, "format", "peridot chat"))
        return raise_damaged("it is of another kind", err);
    double version;
    if (!get_whole(cJSON_GetObjectItemCaseSensitive(root, "version"), 2, &version) || version != 1)
        return raise_damaged("it is of an unknown version", err);
    if (!is_text(root, "template", out->raw ? "none" : "gemma"))
        return PD_RAISE(
            err, PD_ERR_ARGUMENT,
            "the conversation was not saved with --chat-template %s, as this one is held",
            out->raw ? "none" : "gemma");
    if (cJSON_GetObjectItemCaseSensitive(root, "system") && !system)
        return raise_damaged("the system prompt is no text", err);
    if (system && out->raw) return raise_damaged("a plain text has no system prompt", err);
    PD_TRY(chat_set_system(out, system, system ? strlen(system) : 0, err));
    return read_turns(s, cJSON_GetObjectItemCaseSensitive(root, "turns"), out, err);
}

/* Into a copy of the job, whose settings count only if all are good. */
static pd_status read_settings(chat_job *copy, const cJSON *root, pd_error *err) {
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(root, "settings");
    double n_drawn;
    if (!cJSON_IsObject(list)) return raise_damaged("there are no settings", err);
    for (size_t i = 0; chat_setting_name(i); i++) {
        const cJSON *item = cJSON_GetObjectItemCaseSensitive(list, chat_setting_name(i));
        if (!cJSON_IsNumber(item)) return raise_damaged("a setting is missing", err);
        pd_error unused;
        if (chat_setting_put(copy, i, item->valuedouble, &unused) != PD_OK)
            return raise_damaged("a setting is out of its range", err);
    }
    if (!get_whole(cJSON_GetObjectItemCaseSensitive(root, "n_drawn"), 0x1p53, &n_drawn))
        return raise_damaged("the number of draws is none", err);
    copy->sampler.n_drawn = (uint64_t)n_drawn;
    return PD_OK;
}

static pd_status read_all(chat_job *job, const cJSON *root, pd_reader *pictures, pd_error *err) {
    chat_conversation c = {0};
    chat_job copy = *job;
    pd_status status = read_conversation(&(source){job, pictures}, root, &c, err);
    if (status == PD_OK && pictures && pictures->pos < pictures->size)
        status = raise_damaged("it has more pictures than questions name", err);
    if (status == PD_OK) status = read_settings(&copy, root, err);
    if (status != PD_OK) {
        chat_free(&c);
        return status;
    }
    chat_free(&job->conversation);
    job->conversation = c;
    job->options = copy.options;
    job->sampler = copy.sampler;
    return PD_OK;
}

pd_status chat_read_json(chat_job *job, const char *text, pd_reader *pictures, pd_error *err) {
    cJSON *root = cJSON_ParseWithOpts(text, NULL, true);
    pd_status status = cJSON_IsObject(root) ? read_all(job, root, pictures, err)
                                            : raise_damaged("it is no JSON object", err);
    cJSON_Delete(root);
    return status;
}
