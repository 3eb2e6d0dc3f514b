/* Prompts as texts and as token ids. Gemma without its <bos> answers noise, and harnesses that send
 * ids leave it out: it is put in front, and neither echoed nor scored.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "server/prompt.h"

static pd_status raise_no_memory(pd_error *err) {
    return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for a request");
}

void srv_prompt_free(srv_prompt *p) {
    for (size_t i = 0; i < p->n_images; i++) pd_image_free(&p->images[i]);
    pd_free(p->images);
    pd_free(p->ids);
    *p = (srv_prompt){0};
}

pd_status srv_encode(const pd_model *m, const char *text, size_t n, bool bos, bool special,
                     srv_prompt *out, pd_error *err) {
    pd_tokenize_desc desc = {.no_bos = !bos, .parse_special = special};
    size_t n_max = pd_tokenize_bound(n);
    out->ids = pd_alloc(n_max ? n_max : 1, sizeof *out->ids);
    if (!out->ids) return raise_no_memory(err);
    return pd_tokenize(m, text, n, &desc, out->ids, n_max, &out->n_ids, err);
}

pd_status srv_ids_read(const pd_model *m, srv_fields *f, const char *name, const cJSON *list,
                       srv_prompt *out, pd_error *err) {
    const cJSON *item;
    uint32_t n_vocab = pd_model_get_info(m)->n_vocab;
    if (!cJSON_IsArray(list)) return srv_refuse(f, name, "a list of token ids", list, err);
    out->ids = pd_alloc((size_t)cJSON_GetArraySize(list) + 1, sizeof *out->ids);
    if (!out->ids) return raise_no_memory(err);
    cJSON_ArrayForEach(item, list) {
        double id = cJSON_IsNumber(item) ? item->valuedouble : -1;
        if (!(id >= 0 && id < n_vocab) || id != floor(id))
            return srv_refuse(f, name, "a list of token ids of the model", item, err);
        out->ids[out->n_ids++] = (uint32_t)id;
    }
    return PD_OK;
}

/* In front, unless it is there. */
static pd_status add_bos(srv_prompt *p, pd_error *err) {
    if (p->n_ids > 0 && p->ids[0] == PD_TOKEN_BOS) return PD_OK;
    uint32_t *ids = pd_alloc(p->n_ids + 1, sizeof *ids);
    if (!ids) return raise_no_memory(err);
    ids[0] = PD_TOKEN_BOS;
    if (p->n_ids) memcpy(ids + 1, p->ids, p->n_ids * sizeof *ids);
    pd_free(p->ids);
    p->ids = ids;
    p->n_ids++;
    p->n_hidden = 1;
    return PD_OK;
}

static pd_status read_one(const pd_model *m, srv_fields *f, const cJSON *j, bool bos,
                          srv_prompt *out, pd_error *err) {
    if (cJSON_IsArray(j)) {
        PD_TRY(srv_ids_read(m, f, "prompt", j, out, err));
    } else if (cJSON_IsString(j)) {
        PD_TRY(srv_encode(m, j->valuestring, strlen(j->valuestring), false, true, out, err));
    } else {
        return srv_refuse(f, "prompt", "a string, a list of token ids, or a list of these", j, err);
    }
    if (bos) PD_TRY(add_bos(out, err));
    if (out->n_ids > 0) return PD_OK;
    srv_blame(f, "prompt");
    return PD_RAISE(err, PD_ERR_ARGUMENT, "the prompt is empty");
}

pd_status srv_prompts_read(const pd_model *m, srv_fields *f, srv_prompt **out, size_t *n,
                           pd_error *err) {
    enum { MAX_PROMPTS = 4096 };
    bool bos = true;
    *out = NULL;
    *n = 0;
    PD_TRY(srv_get_bool(f, "add_bos", &bos, err));
    const cJSON *j = srv_get(f, "prompt"), *item;
    if (!j) {
        srv_blame(f, "prompt");
        return PD_RAISE(err, PD_ERR_ARGUMENT, "the request has no prompt");
    }
    bool is_list = cJSON_IsArray(j) && j->child && !cJSON_IsNumber(j->child);
    int n_prompts = is_list ? cJSON_GetArraySize(j) : 1;
    if (n_prompts > MAX_PROMPTS) {
        srv_blame(f, "prompt");
        return PD_RAISE(err, PD_ERR_ARGUMENT, "a request can have at most %d prompts", MAX_PROMPTS);
    }
    *out = pd_alloc((size_t)n_prompts, sizeof **out);
    if (!*out) return raise_no_memory(err);
    *n = (size_t)n_prompts;
    if (!is_list) return read_one(m, f, j, bos, &(*out)[0], err);
    size_t i = 0;
    cJSON_ArrayForEach(item, j) PD_TRY(read_one(m, f, item, bos, &(*out)[i++], err));
    return PD_OK;
}
