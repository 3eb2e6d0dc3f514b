/* `peridot verify --json`.  SPDX-License-Identifier: MIT */
#include "cli/json.h"
#include "cli/inspect/verify.h"

static void add_files(cJSON *root, const pd_verification *v) {
    cJSON *files = cJSON_AddArrayToObject(root, "files");
    for (uint32_t i = 0; i < v->n_files; i++) {
        const pd_verified_file *f = &v->files[i];
        cJSON *j = cJSON_CreateObject();
        cJSON_AddStringToObject(j, "name", f->name);
        cJSON_AddNumberToObject(j, "bytes", (double)f->n_bytes);
        cJSON_AddStringToObject(j, "xxh3", f->xxh3);
        cJSON_AddStringToObject(j, "sha256", f->sha256);
        cJSON_AddItemToArray(files, j);
    }
}

static cJSON *tensor_json(const pd_verified_tensor *t) {
    cJSON *j = cJSON_CreateObject();
    cJSON_AddStringToObject(j, "name", t->name);
    cJSON_AddStringToObject(j, "type", t->type);
    cJSON_AddNumberToObject(j, "values", (double)t->n_values);
    cJSON_AddNumberToObject(j, "not_finite", (double)t->n_not_finite);
    cJSON_AddNumberToObject(j, "zeros", (double)t->n_zero);
    if (t->n_values > t->n_not_finite) {
        cJSON_AddNumberToObject(j, "min", (double)t->min);
        cJSON_AddNumberToObject(j, "max", (double)t->max);
        cJSON_AddNumberToObject(j, "mean", t->mean);
        cJSON_AddNumberToObject(j, "rms", t->rms);
    }
    if (t->wrong[0]) cJSON_AddStringToObject(j, "wrong", t->wrong);
    if (t->odd[0]) cJSON_AddStringToObject(j, "odd", t->odd);
    return j;
}

pd_status verify_print_json(const pd_verification *v, pd_error *err) {
    cJSON *root = cJSON_CreateObject();
    bool runs = v->unusable.status == PD_OK;
    cJSON_AddBoolToObject(root, "sound", v->n_wrong == 0 && runs);
    if (!runs) cJSON_AddStringToObject(root, "wrong", v->unusable.message);
    add_files(root, v);
    cJSON *tensors = cJSON_AddArrayToObject(root, "tensors");
    for (uint64_t i = 0; i < v->n_tensors; i++)
        cJSON_AddItemToArray(tensors, tensor_json(&v->tensors[i]));
    return cli_print_json(root, err);
}
