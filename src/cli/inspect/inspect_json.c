/* `peridot inspect --json`: metadata, tensors and totals as one JSON object. Arrays of metadata are
 * summarised by kind and length; texts that are not UTF-8 are left out, since JSON cannot hold
 * them.
 *
 * SPDX-License-Identifier: MIT
 */
#include <string.h>

#include "cli/inspect/inspect.h"
#include "cli/json.h"
#include "engine/kv.h"
#include "pack/setting.h"
#include "pack/structure.h"

static bool is_text(const char *text, uint64_t n) {
    return memchr(text, '\0', n) == NULL && pd_utf8_valid_bytes(text, n) == n;
}

cJSON *inspect_setting_json(const pd_setting *s) {
    if (s->text) return is_text(s->text, s->n) ? cJSON_CreateString(s->text) : NULL;
    if (strcmp(s->kind, "bool") == 0) return cJSON_CreateBool(s->number != 0);
    if (!s->item_kind) return cJSON_CreateNumber(s->number);
    cJSON *j = cJSON_CreateObject();
    cJSON_AddStringToObject(j, "array_of", s->item_kind);
    cJSON_AddNumberToObject(j, "count", (double)s->n);
    return j;
}

void inspect_add_json(cJSON *object, const char *key, cJSON *item) {
    if (item && is_text(key, strlen(key)))
        cJSON_AddItemToObject(object, key, item);
    else
        cJSON_Delete(item);
}

static void add_metadata(cJSON *root, pack_inspection *in) {
    cJSON *metadata = cJSON_AddObjectToObject(root, "metadata");
    for (uint64_t i = 0; i < pd_gguf_value_count(in->file); i++) {
        const pd_gguf_value *v = pd_gguf_value_at(in->file, i);
        const char *key = pack_setting_key(v, &in->arena);
        pd_setting s;
        if (key && pack_setting(v, &in->arena, &s))
            inspect_add_json(metadata, key, inspect_setting_json(&s));
    }
}

static void add_tensors(cJSON *root, const pd_gguf *g) {
    cJSON *tensors = cJSON_AddArrayToObject(root, "tensors");
    for (uint64_t i = 0; i < pd_gguf_tensor_count(g); i++) {
        const pd_tensor *t = pd_gguf_tensor_at(g, i);
        cJSON *j = cli_add_object(tensors);
        if (is_text(t->name, strlen(t->name))) cJSON_AddStringToObject(j, "name", t->name);
        cJSON_AddStringToObject(j, "type", pd_type_name(t->type));
        cJSON *shape = cJSON_AddArrayToObject(j, "shape"); /* the contiguous dimension last */
        for (uint32_t d = t->n_dims; d-- > 0;)
            cJSON_AddItemToArray(shape, cJSON_CreateNumber((double)t->ne[d]));
        cJSON_AddNumberToObject(j, "bytes", (double)t->n_bytes);
    }
}

static void add_types(cJSON *root, const pd_gguf *g) {
    pack_type_total totals[PACK_MAX_TYPES];
    uint32_t n = pack_count_types(g, totals);
    cJSON *types = cJSON_AddObjectToObject(root, "types");
    for (uint32_t i = 0; i < n; i++) {
        cJSON *j = cJSON_AddObjectToObject(types, pd_type_name(totals[i].type));
        CLI_ADD_NUMBERS(j, {"tensors", (double)totals[i].n_tensors},
                        {"bytes", (double)totals[i].n_bytes});
    }
}

static void add_vision(cJSON *root, const pack_inspection *in) {
    const pd_vision_config *c = &in->vision;
    cJSON *j = cJSON_AddObjectToObject(root, "image_encoder");
    CLI_ADD_NUMBERS(
        j, {"n_params", (double)in->vision_weights->n_params}, {"image_size", c->image_size},
        {"patch_size", c->patch_size}, {"n_patches", c->grid * c->grid}, {"n_tokens", c->n_tokens},
        {"n_layers", c->n_layers}, {"n_embd", c->n_embd}, {"n_ff", c->n_ff},
        {"n_heads", c->n_heads}, {"head_dim", c->head_dim}, {"n_embd_out", c->n_embd_out});
}

static void add_model(cJSON *root, const pack_inspection *in) {
    if (in->is_vision) {
        add_vision(root, in);
        return;
    }
    if (!in->is_model) {
        cJSON_AddStringToObject(root, "not_a_model", in->why_not.message);
        return;
    }
    const pd_config *c = &in->config;
    cJSON *j = cJSON_AddObjectToObject(root, "model");
    cJSON_AddStringToObject(j, "size_label", c->size_label);
    CLI_ADD_NUMBERS(j, {"n_params", (double)in->weights->n_params}, {"n_layers", c->n_layers},
                    {"n_embd", c->n_embd}, {"n_ff", c->n_ff}, {"n_heads", c->n_heads},
                    {"n_kv_heads", c->n_kv_heads}, {"head_dim", c->head_dim},
                    {"n_vocab", c->n_vocab}, {"n_ctx_train", c->n_ctx_train}, {"window", c->window},
                    {"weight_bytes_per_token", (double)in->weights->bytes_per_token});
    cJSON_AddStringToObject(j, "head_type", pd_type_name((uint32_t)in->weights->output->type));
    uint32_t n_ctx = c->n_ctx_train < 8192 ? c->n_ctx_train : 8192;
    CLI_ADD_NUMBERS(j, {"head_bytes", (double)in->weights->output->n_bytes},
                    {"kv_bytes_at_8192", (double)pd_kv_f16_bytes(c, n_ctx, INSPECT_CHUNK)});
}

pd_status inspect_print_json(pack_inspection *in, pd_error *err) {
    cJSON *root = cJSON_CreateObject();
    cJSON_AddNumberToObject(root, "file_bytes", (double)pd_gguf_file_bytes(in->file));
    add_model(root, in);
    add_metadata(root, in);
    add_types(root, in->file);
    add_tensors(root, in->file);
    return cli_print_json(root, err);
}
