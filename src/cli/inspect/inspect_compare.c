/* `peridot inspect A B`: what pd_files_compare finds, as text or as JSON. The exit code is 0
 * whatever the answer: it is in the text.
 *
 * SPDX-License-Identifier: MIT
 */
#include <inttypes.h>

#include "cli/inspect/inspect.h"
#include "cli/json.h"

/* ---- as text -------------------------------------------------------------------------------- */

static void print_tensor(const pd_compared_tensor *t) {
    char a_bytes[32], b_bytes[32];
    const uint64_t *a = t->shape_a, *b = t->shape_b;
    if (!t->type_a || !t->type_b) {
        printf("%s %-36s %-5s %s\n", t->type_a ? "-" : "+", t->name,
               t->type_a ? t->type_a : t->type_b,
               pd_size_text(t->type_a ? t->n_bytes_a : t->n_bytes_b, a_bytes));
        return;
    }
    printf("  %-36s %-5s %-5s", t->name, t->type_a, t->type_b);
    if (t->same_shape)
        printf(" %10.3g %10.3g at %-10" PRIu64, t->rms, t->worst, t->worst_at);
    else
        printf(" another shape: %" PRIu64 " x %" PRIu64 " and %" PRIu64 " x %" PRIu64 " ", a[2],
               a[3], b[2], b[3]);
    printf(" %s, %s\n", pd_size_text(t->n_bytes_a, a_bytes), pd_size_text(t->n_bytes_b, b_bytes));
}

static void print_text(const pd_comparison *c, const char *a, const char *b) {
    printf("- %s\n+ %s\n\nsettings that differ\n", a, b);
    for (uint64_t i = 0; i < c->n_settings_differ; i++) {
        const pd_compared_setting *s = &c->settings[i];
        if (s->a.kind) inspect_print_setting("- ", s->key, &s->a);
        if (s->b.kind) inspect_print_setting("+ ", s->key, &s->b);
    }
    if (c->n_settings_differ == 0) printf("  none\n");
    printf("\ntensors that differ\n");
    if (c->n_tensors_differ > 0)
        printf("  %-36s %-5s %-5s %10s %10s\n", "", "-", "+", "rms / rms", "worst");
    for (uint64_t i = 0; i < c->n_tensors; i++)
        if (!c->tensors[i].same_bytes) print_tensor(&c->tensors[i]);
    if (c->n_tensors_differ == 0) printf("  none\n");
    printf("\n%s: %" PRIu64 " settings and %" PRIu64 " of %" PRIu64 " tensors differ\n",
           c->n_settings_differ + c->n_tensors_differ ? "different" : "equal", c->n_settings_differ,
           c->n_tensors_differ, c->n_tensors);
}

/* ---- as JSON -------------------------------------------------------------------------------- */

/* {"a": ..., "b": ...}; a side that lacks it has no member. */
static cJSON *setting_json(const pd_compared_setting *s) {
    cJSON *j = cJSON_CreateObject();
    if (s->a.kind) inspect_add_json(j, "a", inspect_setting_json(&s->a));
    if (s->b.kind) inspect_add_json(j, "b", inspect_setting_json(&s->b));
    return j;
}

static void add_tensor(cJSON *j, const pd_compared_tensor *t) {
    CLI_ADD_TEXTS(j, {"name", t->name}, {"type_a", t->type_a}, {"type_b", t->type_b});
    if (t->type_a) cJSON_AddNumberToObject(j, "bytes_a", (double)t->n_bytes_a);
    if (t->type_b) cJSON_AddNumberToObject(j, "bytes_b", (double)t->n_bytes_b);
    if (t->type_a && t->type_b) cJSON_AddBoolToObject(j, "same_shape", t->same_shape);
    if (!t->same_shape) return;
    CLI_ADD_NUMBERS(j, {"values", (double)t->n_values}, {"values_that_differ", (double)t->n_differ},
                    {"relative_rms", t->rms}, {"worst", t->worst},
                    {"worst_at", (double)t->worst_at});
}

static pd_status print_json(const pd_comparison *c, pd_error *err) {
    cJSON *root = cJSON_CreateObject();
    cJSON *settings = cJSON_AddObjectToObject(root, "settings"); /* that differ */
    for (uint64_t i = 0; i < c->n_settings_differ; i++)
        inspect_add_json(settings, c->settings[i].key, setting_json(&c->settings[i]));
    cJSON *tensors = cJSON_AddArrayToObject(root, "tensors"); /* that differ */
    for (uint64_t i = 0; i < c->n_tensors; i++)
        if (!c->tensors[i].same_bytes) add_tensor(cli_add_object(tensors), &c->tensors[i]);
    cJSON_AddBoolToObject(root, "equal", c->n_settings_differ + c->n_tensors_differ == 0);
    return cli_print_json(root, err);
}

pd_status inspect_compare(const cli_options *o, const char *a, const char *b, pd_error *err) {
    cli_progress bar;
    pd_comparison *c;
    const pd_files_work work = cli_work_begin(o, "comparing", &bar);
    pd_status status = pd_files_compare(a, b, &work, &c, err);
    cli_progress_end(&bar);
    if (status == PD_OK && cli_given(o, OPT_JSON))
        status = print_json(c, err);
    else if (status == PD_OK)
        print_text(c, a, b);
    pd_comparison_free(c);
    return status;
}
