/* A LoRA adapter in PEFT's layout, added to a checkpoint's matrices:
 *
 *     W + scale * B A     A: [rank, cols], B: [rows, rank]
 *     scale = lora_alpha / rank, or lora_alpha / sqrt(rank) with use_rslora
 *
 *     adapter_config.json           r must be the matrices' own, unless rank_pattern varies it
 *     adapter_model.safetensors     base_model.model.NAME.lora_A.weight, .lora_B.weight, where NAME
 *                                   is the checkpoint's name of the matrix without ".weight"
 *
 * Whatever else an adapter may hold (DoRA's magnitudes, embeddings, whole modules, biases) is
 * refused rather than left out.
 *
 * SPDX-License-Identifier: MIT
 */
#include <cjson/cJSON.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "pack/convert.h"
#include "pack/tensor_pass.h"
#include "file/json.h"

enum { MAX_CONFIG = 1 << 24, MAX_RANK = 1 << 14 };

struct convert_lora {
    pd_safetensors *file;
    bool *used; /* per tensor of the file */
    float alpha;
    uint32_t rank; /* of all matrices; 0: of each its own */
    bool by_root;
    pd_arena arena;
    float *a, *b; /* of `loaded` */
    const convert_delta *loaded;
};

/* ---- adapter_config.json -------------------------------------------------------------------- */

/* Absent, null, false or empty: whatever else it is, it is meant to do something. */
static bool is_unset(const cJSON *item) {
    bool list = cJSON_IsObject(item) || cJSON_IsArray(item);
    return !item || cJSON_IsNull(item) || cJSON_IsFalse(item) || (list && !item->child);
}

static pd_status refuse_variants(const cJSON *root, const char *path, pd_error *err) {
    static const char *const refused[] = {"use_dora", "alpha_pattern", "modules_to_save",
                                          "fan_in_fan_out"};
    const cJSON *type = cJSON_GetObjectItemCaseSensitive(root, "peft_type");
    if (!cJSON_IsString(type) || strcmp(type->valuestring, "LORA") != 0)
        return PD_RAISE(err, PD_ERR_UNSUPPORTED, "\"%s\" does not describe a LoRA adapter", path);
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++)
        if (!is_unset(cJSON_GetObjectItemCaseSensitive(root, refused[i])))
            return PD_RAISE(err, PD_ERR_UNSUPPORTED, "\"%s\" sets %s, which Peridot does not merge",
                            path, refused[i]);
    return PD_OK;
}

/* "r" is the rank of every pair of matrices unless "rank_pattern" names exceptions. */
static pd_status read_rank(convert_lora *l, const cJSON *root, const char *path, pd_error *err) {
    const cJSON *r = cJSON_GetObjectItemCaseSensitive(root, "r");
    bool varies = !is_unset(cJSON_GetObjectItemCaseSensitive(root, "rank_pattern"));
    double v = cJSON_IsNumber(r) ? r->valuedouble : 0;
    if (!is_unset(r) && !(v >= 1 && v <= (double)MAX_RANK && floor(v) == v))
        return PD_RAISE(err, PD_ERR_MODEL, "r in \"%s\" is no rank from 1 to %d", path, MAX_RANK);
    l->rank = varies ? 0 : (uint32_t)v;
    return PD_OK;
}

static pd_status read_settings(convert_lora *l, const cJSON *root, const char *path,
                               pd_error *err) {
    const cJSON *alpha = cJSON_GetObjectItemCaseSensitive(root, "lora_alpha");
    const cJSON *by_root = cJSON_GetObjectItemCaseSensitive(root, "use_rslora");
    PD_TRY(refuse_variants(root, path, err));
    PD_TRY(read_rank(l, root, path, err));
    if (!cJSON_IsNumber(alpha) || !isfinite(alpha->valuedouble))
        return PD_RAISE(err, PD_ERR_MODEL, "lora_alpha is missing in \"%s\"", path);
    if (!is_unset(by_root) && !cJSON_IsTrue(by_root))
        return PD_RAISE(err, PD_ERR_MODEL, "use_rslora in \"%s\" is neither true nor false", path);
    l->alpha = (float)alpha->valuedouble;
    l->by_root = cJSON_IsTrue(by_root);
    return PD_OK;
}

static pd_status read_config(convert_lora *l, const char *path, pd_error *err) {
    char *text = NULL;
    size_t n;
    PD_TRY(pd_file_read_all(path, MAX_CONFIG, &text, &n, err));
    cJSON *root = pd_json_parse(text, n);
    pd_free(text);
    pd_status status = root ? read_settings(l, root, path, err)
                            : PD_RAISE(err, PD_ERR_FORMAT, "\"%s\" is not valid JSON", path);
    cJSON_Delete(root);
    return status;
}

/* ---- life ----------------------------------------------------------------------------------- */

static pd_status open_all(convert_lora *l, const char *folder, pd_error *err) {
    const char *config = pd_arena_printf(&l->arena, "%s/adapter_config.json", folder);
    const char *model = pd_arena_printf(&l->arena, "%s/adapter_model.safetensors", folder);
    if (!config || !model) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory for a path");
    PD_TRY(read_config(l, config, err));
    PD_TRY(pd_safetensors_open(model, &l->file, err));
    if (pd_safetensors_count(l->file) == 0)
        return PD_RAISE(err, PD_ERR_MODEL, "\"%s\" holds no matrices", model);
    l->used = pd_arena_alloc(&l->arena, pd_safetensors_count(l->file) + 1, sizeof *l->used);
    return l->used ? PD_OK : PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory for an adapter");
}

pd_status convert_lora_open(const char *folder, convert_lora **out, pd_error *err) {
    convert_lora *l = pd_alloc(1, sizeof *l);
    if (!l) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory for an adapter");
    *out = l; /* closed by the caller, also after an error */
    return open_all(l, folder, err);
}

void convert_lora_close(convert_lora *l) {
    if (!l) return;
    pd_safetensors_close(l->file);
    pd_arena_destroy(&l->arena);
    pd_free(l->a);
    pd_free(l->b);
    pd_free(l);
}

/* ---- the two matrices of a tensor ----------------------------------------------------------- */

/* Is `name` what the adapter calls `side` ("lora_A", "lora_B") of the tensor? */
static bool is_side(const char *name, const pd_hf_weight *w, const char *side) {
    static const char prefix[] = "base_model.model.";
    pd_hf_part part;
    if (strncmp(name, prefix, sizeof prefix - 1) != 0) return false;
    const char *rest = pd_hf_strip(name + sizeof prefix - 1, &part);
    size_t stem = strlen(w->hf_name) - strlen("weight"); /* with its dot */
    if (part != w->part || strncmp(rest, w->hf_name, stem) != 0) return false;
    rest += stem;
    size_t n = strlen(side);
    return strncmp(rest, side, n) == 0 && strcmp(rest + n, ".weight") == 0;
}

static const pd_safetensor *find_side(convert_lora *l, const pd_hf_weight *w, const char *side) {
    for (uint32_t i = 0; i < pd_safetensors_count(l->file); i++) {
        const pd_safetensor *t = pd_safetensors_at(l->file, i);
        if (l->used[i] || !is_side(t->name, w, side)) continue;
        l->used[i] = true;
        return t;
    }
    return NULL;
}

pd_status convert_lora_find(convert_lora *l, const pd_hf_weight *w, const convert_delta **out,
                            pd_error *err) {
    *out = NULL;
    if (w->role != PD_HF_MATRIX) return PD_OK;
    const pd_safetensor *a = find_side(l, w, "lora_A"), *b = find_side(l, w, "lora_B");
    if (!a && !b) return PD_OK;
    if (!a || !b)
        return PD_RAISE(err, PD_ERR_MODEL, "the adapter has only one of the two matrices for %s",
                        w->name);
    bool fits = a->is_float && b->is_float && a->n_dims == 2 && b->n_dims == 2 &&
                a->shape[1] == w->shape[1] && b->shape[0] == w->shape[0] &&
                a->shape[0] == b->shape[1] && a->shape[0] > 0 && a->shape[0] <= MAX_RANK;
    if (!fits)
        return PD_RAISE(err, PD_ERR_MODEL,
                        "the adapter's matrices for %s do not fit its [%" PRIu64 ", %" PRIu64 "]",
                        w->name, w->shape[0], w->shape[1]);
    if (l->rank != 0 && a->shape[0] != l->rank)
        return PD_RAISE(err, PD_ERR_MODEL,
                        "the adapter's matrices for %s have the rank %" PRIu64
                        ", but r in adapter_config.json is %" PRIu32,
                        w->name, a->shape[0], l->rank);
    convert_delta *d = pd_arena_alloc(&l->arena, 1, sizeof *d);
    if (!d) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory for an adapter");
    d->a = a;
    d->b = b;
    d->rank = (uint32_t)a->shape[0];
    d->scale = l->alpha / (l->by_root ? sqrtf((float)d->rank) : (float)d->rank);
    *out = d;
    return PD_OK;
}

pd_status convert_lora_check(const convert_lora *l, pd_error *err) {
    for (uint32_t i = 0; i < pd_safetensors_count(l->file); i++)
        if (!l->used[i])
            return PD_RAISE(err, PD_ERR_MODEL,
                            "the adapter holds \"%.120s\", which belongs to no matrix that is "
                            "converted",
                            pd_safetensors_at(l->file, i)->name);
    return PD_OK;
}

/* ---- adding it ------------------------------------------------------------------------------ */

static float *decode(const pd_safetensor *t) {
    float *x = pd_alloc((size_t)t->n_values, sizeof *x);
    if (x) pd_decode(t->type, t->data, t->n_values, x);
    return x;
}

pd_status convert_lora_load(convert_lora *l, const convert_delta *d, pd_error *err) {
    pd_free(l->a);
    pd_free(l->b);
    l->loaded = d;
    l->a = decode(d->a);
    l->b = decode(d->b);
    if (l->a && l->b) return PD_OK;
    return PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory for an adapter");
}

void convert_lora_add(const convert_lora *l, uint64_t first, uint64_t n, float *x) {
    const convert_delta *d = l->loaded;
    uint64_t cols = d->a->shape[1];
    float sum[PASS_CHUNK];
    for (uint64_t i = 0, run; i < n; i += run) {
        uint64_t row = (first + i) / cols, col = (first + i) % cols;
        run = cols - col < n - i ? cols - col : n - i;
        memset(sum, 0, run * sizeof *sum);
        for (uint32_t k = 0; k < d->rank; k++) {
            float b = l->b[row * d->rank + k];
            const float *a = l->a + k * cols + col;
            for (uint64_t j = 0; j < run; j++) sum[j] += b * a[j];
        }
        for (uint64_t j = 0; j < run; j++) x[i + j] += d->scale * sum[j];
    }
}
