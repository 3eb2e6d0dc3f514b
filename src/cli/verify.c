/* `peridot verify FILE`: is this file whole and sound?
 *
 * What is wrong is listed on standard output and makes the command fail: with ERR_FORMAT for
 * values, and with what a run would fail with.
 *
 * SPDX-License-Identifier: MIT
 */
#include <inttypes.h>

#include "cli/json.h"

static void print_digests(const pd_verification *v) {
    char bytes[32];
    printf("%s: %s\n", v->path, pd_size_text(v->n_bytes, bytes));
    for (uint32_t i = 0; i < v->n_files; i++) {
        const pd_verified_file *f = &v->files[i];
        const char *space = v->n_files > 1 ? "  " : "", *name = v->n_files > 1 ? f->name : "";
        printf("  xxh3    %s%s%s\n", f->xxh3, space, name);
        printf("  sha256  %s%s%s\n", f->sha256, space, name);
    }
}

static void print_stats(const pd_verification *v) {
    printf("\n  %-36s %-5s %12s %12s %12s %12s %8s\n", "tensor", "type", "min", "max", "mean",
           "rms", "zeros");
    for (uint64_t i = 0; i < v->n_tensors; i++) {
        const pd_verified_tensor *t = &v->tensors[i];
        uint64_t n_finite = t->n_values - t->n_not_finite;
        printf("  %-36s %-5s %12.5g %12.5g %12.5g %12.5g %6.2f %%\n", t->name, t->type,
               (double)t->min, (double)t->max, t->mean, t->rms,
               100.0 * (double)t->n_zero / (n_finite ? (double)n_finite : 1));
    }
    printf("\n");
}

static void print_findings(const pd_verification *v) {
    uint64_t n_values = 0;
    for (uint64_t i = 0; i < v->n_tensors; i++) {
        const pd_verified_tensor *t = &v->tensors[i];
        if (t->wrong[0]) printf("  wrong: %s: %s\n", t->name, t->wrong);
        if (t->odd[0]) printf("  odd:   %s: %s\n", t->name, t->odd);
        n_values += t->n_values;
    }
    bool runs = v->unusable.status == PD_OK;
    if (!runs) printf("  wrong: %s\n", v->unusable.message);
    printf("  %" PRIu64 " tensors, %" PRIu64 " values: ", v->n_tensors, n_values);
    if (v->n_wrong)
        printf("%" PRIu64 " tensors are wrong\n", v->n_wrong);
    else
        printf("%s\n", runs ? "sound" : "sound, but no model to run");
}

/* ---- as JSON -------------------------------------------------------------------------------- */

static void add_files(cJSON *root, const pd_verification *v) {
    cJSON *files = cJSON_AddArrayToObject(root, "files");
    for (uint32_t i = 0; i < v->n_files; i++) {
        const pd_verified_file *f = &v->files[i];
        cJSON *j = cli_add_object(files);
        cJSON_AddStringToObject(j, "name", f->name);
        cJSON_AddNumberToObject(j, "bytes", (double)f->n_bytes);
        CLI_ADD_TEXTS(j, {"xxh3", f->xxh3}, {"sha256", f->sha256});
    }
}

static void add_tensor(cJSON *j, const pd_verified_tensor *t) {
    CLI_ADD_TEXTS(j, {"name", t->name}, {"type", t->type});
    CLI_ADD_NUMBERS(j, {"values", (double)t->n_values}, {"not_finite", (double)t->n_not_finite},
                    {"zeros", (double)t->n_zero});
    if (t->n_values > t->n_not_finite) {
        CLI_ADD_NUMBERS(j, {"min", (double)t->min}, {"max", (double)t->max}, {"mean", t->mean},
                        {"rms", t->rms});
    }
    if (t->wrong[0]) cJSON_AddStringToObject(j, "wrong", t->wrong);
    if (t->odd[0]) cJSON_AddStringToObject(j, "odd", t->odd);
}

static pd_status print_json(const pd_verification *v, pd_error *err) {
    cJSON *root = cJSON_CreateObject();
    bool runs = v->unusable.status == PD_OK;
    cJSON_AddBoolToObject(root, "sound", v->n_wrong == 0 && runs);
    if (!runs) cJSON_AddStringToObject(root, "wrong", v->unusable.message);
    add_files(root, v);
    cJSON *tensors = cJSON_AddArrayToObject(root, "tensors");
    for (uint64_t i = 0; i < v->n_tensors; i++) add_tensor(cli_add_object(tensors), &v->tensors[i]);
    return cli_print_json(root, err);
}

/* ---- the command ---------------------------------------------------------------------------- */

static pd_status report(const pd_verification *v, const cli_options *o, pd_error *err) {
    if (cli_given(o, OPT_JSON)) {
        PD_TRY(print_json(v, err));
    } else {
        print_digests(v);
        if (cli_given(o, OPT_VERBOSE)) print_stats(v);
        print_findings(v);
    }
    if (v->n_wrong == 0) return pd_error_again(err, &v->unusable);
    const pd_verified_tensor *first = &v->tensors[v->first_wrong];
    return PD_RAISE(err, PD_ERR_FORMAT, "%" PRIu64 " of %" PRIu64 " tensors are wrong: %s: %s",
                    v->n_wrong, v->n_tensors, first->name, first->wrong);
}

pd_status cli_verify(const cli_options *o, pd_error *err) {
    const char *path;
    uint32_t n_paths;
    cli_progress bar;
    pd_verification *v;
    PD_TRY(cli_model_paths(o, &path, 1, &n_paths, err));
    const pd_files_work work = cli_work_begin(o, "reading", &bar);
    pd_status status = pd_files_verify(path, &work, &v, err);
    cli_progress_end(&bar);
    if (status == PD_OK) status = report(v, o, err);
    pd_verification_free(v);
    return status;
}
