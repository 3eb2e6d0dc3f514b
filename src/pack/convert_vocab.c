/* What a checkpoint's tokenizer files say: tokenizer.json or tokenizer.model for the vocabulary,
 * tokenizer_config.json for the end token and the chat template, which newer writers put into
 * chat_template.jinja. Files besides the vocabulary may be absent; base models have no template.
 *
 * SPDX-License-Identifier: MIT
 */
#include <cjson/cJSON.h>
#include <inttypes.h>
#include <string.h>

#include "base/os_file.h"
#include "pack/convert.h"
#include "file/json.h"

enum { MAX_FILE = 1 << 24 };

static const char *path_of(convert_job *job, const char *name) {
    return pd_arena_printf(&job->arena, "%s/%s", job->folder, name);
}

static bool is_there(const char *path) {
    return path && pd_path_exists(path);
}

/* ---- vocabulary ----------------------------------------------------------------------------- */

/* Where config.json names a size beyond the tokens', the rest is padding and keeps its rows;
 * otherwise the tokens are all there is. */
static pd_status fit_size(convert_job *job, pd_error *err) {
    uint32_t n = job->config.text.n_vocab;
    if (n == 0) job->config.text.n_vocab = n = job->vocab.n;
    if (n < job->vocab.n)
        return PD_RAISE(err, PD_ERR_MODEL,
                        "the tokenizer has %" PRIu32 " tokens, but vocab_size in config.json is "
                        "%" PRIu32,
                        job->vocab.n, n);
    return pd_hf_tokenizer_resize(&job->vocab, n, err);
}

static pd_status read_vocab(convert_job *job, pd_error *err) {
    const char *json = path_of(job, "tokenizer.json"), *model = path_of(job, "tokenizer.model");
    if (!json || !model) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory for a path");
    if (is_there(json)) return pd_hf_tokenizer_read(json, &job->vocab, err);
    if (is_there(model)) return pd_sp_model_read(model, &job->vocab, err);
    return PD_RAISE(err, PD_ERR_IO, "\"%s\" has neither tokenizer.json nor tokenizer.model",
                    job->folder);
}

/* ---- end token and chat template ------------------------------------------------------------ */

/* "eos_token" is a text, or an object with it. */
static void read_eos(convert_job *job, const cJSON *root) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(root, "eos_token");
    if (cJSON_IsObject(item)) item = cJSON_GetObjectItemCaseSensitive(item, "content");
    if (!cJSON_IsString(item)) return;
    for (uint32_t i = 0; i < job->vocab.n; i++) {
        const pd_string *s = &job->vocab.tokens[i];
        if (s->n != strlen(item->valuestring) || memcmp(s->data, item->valuestring, s->n) != 0)
            continue;
        job->eos = i;
        return;
    }
}

/* "chat_template" is a text, or a list of {name, template}. */
static const char *find_template(const cJSON *root) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(root, "chat_template");
    if (cJSON_IsString(item)) return item->valuestring;
    if (!cJSON_IsArray(item)) return NULL;
    for (const cJSON *one = item->child; one; one = one->next) {
        const cJSON *name = cJSON_GetObjectItemCaseSensitive(one, "name");
        const cJSON *text = cJSON_GetObjectItemCaseSensitive(one, "template");
        if (cJSON_IsString(name) && strcmp(name->valuestring, "default") == 0 &&
            cJSON_IsString(text))
            return text->valuestring;
    }
    return NULL;
}

/* The file's text, or NULL where there is none. */
static pd_status read_optional(convert_job *job, const char *name, char **out, size_t *n,
                               pd_error *err) {
    const char *path = path_of(job, name);
    *out = NULL;
    *n = 0;
    return is_there(path) ? pd_file_read_all(path, MAX_FILE, out, n, err) : PD_OK;
}

static pd_status read_settings(convert_job *job, const char *name, pd_error *err) {
    char *text;
    size_t n;
    PD_TRY(read_optional(job, name, &text, &n, err));
    if (!text) return PD_OK;
    cJSON *root = pd_json_parse(text, n);
    pd_free(text);
    if (!root)
        return PD_RAISE(err, PD_ERR_FORMAT, "\"%s/%s\" is not valid JSON", job->folder, name);
    read_eos(job, root);
    const char *chat_template = find_template(root);
    if (chat_template && !job->chat_template) job->chat_template = pd_strdup(chat_template);
    cJSON_Delete(root);
    return PD_OK;
}

pd_status convert_read_vocab(convert_job *job, pd_error *err) {
    PD_TRY(read_vocab(job, err));
    PD_TRY(fit_size(job, err));
    job->eos = job->config.eos ? job->config.eos : PD_TOKEN_EOS;
    size_t n;
    PD_TRY(read_optional(job, "chat_template.jinja", &job->chat_template, &n, err));
    PD_TRY(read_settings(job, "chat_template.json", err));
    return read_settings(job, "tokenizer_config.json", err);
}
