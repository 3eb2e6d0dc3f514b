/* `peridot verify --json`.  SPDX-License-Identifier: MIT */
#include <math.h>

#include "cli/json.h"
#include "pack/verify.h"

static void add_parts(cJSON *root, const verification *v) {
    cJSON *parts = cJSON_AddArrayToObject(root, "files");
    for (uint32_t i = 0; i < pd_gguf_part_count(v->file); i++) {
        cJSON *j = cJSON_CreateObject();
        cJSON_AddStringToObject(j, "name", pd_gguf_part_name(v->file, i));
        cJSON_AddNumberToObject(j, "bytes", (double)pd_gguf_part_mapping(v->file, i)->size);
        cJSON_AddStringToObject(j, "xxh3", v->digests[i].xxh3);
        cJSON_AddStringToObject(j, "sha256", v->digests[i].sha256);
        cJSON_AddItemToArray(parts, j);
    }
}

static cJSON *tensor_json(const pd_tensor *t, const verify_stats *s, const verify_finding *f) {
    cJSON *j = cJSON_CreateObject();
    double n = s->n > s->n_bad ? (double)(s->n - s->n_bad) : 1;
    cJSON_AddStringToObject(j, "name", t->name);
    cJSON_AddStringToObject(j, "type", pd_type_name((uint32_t)t->type));
    cJSON_AddNumberToObject(j, "values", (double)s->n);
    cJSON_AddNumberToObject(j, "not_finite", (double)s->n_bad);
    cJSON_AddNumberToObject(j, "zeros", (double)s->n_zero);
    if (s->n > s->n_bad) {
        cJSON_AddNumberToObject(j, "min", (double)s->min);
        cJSON_AddNumberToObject(j, "max", (double)s->max);
        cJSON_AddNumberToObject(j, "mean", s->sum / n);
        cJSON_AddNumberToObject(j, "rms", sqrt(s->sum_sq / n));
    }
    if (f->wrong[0]) cJSON_AddStringToObject(j, "wrong", f->wrong);
    if (f->odd[0]) cJSON_AddStringToObject(j, "odd", f->odd);
    return j;
}

pd_status verify_print_json(const verification *v, pd_error *err) {
    cJSON *root = cJSON_CreateObject();
    bool runs = v->structure.status == PD_OK;
    cJSON_AddBoolToObject(root, "sound", v->n_wrong == 0 && runs);
    if (!runs) cJSON_AddStringToObject(root, "wrong", v->structure.message);
    add_parts(root, v);
    cJSON *tensors = cJSON_AddArrayToObject(root, "tensors");
    for (uint64_t i = 0; i < pd_gguf_tensor_count(v->file); i++)
        cJSON_AddItemToArray(
            tensors, tensor_json(pd_gguf_tensor_at(v->file, i), &v->stats[i], &v->findings[i]));
    return cli_print_json(root, err);
}
