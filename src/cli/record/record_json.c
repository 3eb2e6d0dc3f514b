/* A record as JSON: docs/records.md has the schema.  SPDX-License-Identifier: MIT */
#include <inttypes.h>

#include "cli/record/record.h"
#include "measure/devices.h"

/* What the system does not tell is left out. */
static void add_conditions(cJSON *j, const pd_conditions *c, bool with_machine) {
    if (with_machine) {
        CLI_ADD_TEXTS(j, {"governor", c->governor[0] ? c->governor : NULL},
                      {"profile", c->profile[0] ? c->profile : NULL},
                      {"power", c->power[0] ? c->power : NULL});
        if (c->load >= 0) CLI_ADD_NUMBERS(j, {"load", c->load});
    }
    if (c->mhz > 0) CLI_ADD_NUMBERS(j, {"mhz", c->mhz});
    if (c->celsius > 0) CLI_ADD_NUMBERS(j, {"celsius", c->celsius});
}

static void add_verdict(cJSON *root, const pd_device_verdict *v) {
    cJSON *j = cJSON_AddObjectToObject(root, "self_test");
    cJSON_AddBoolToObject(j, "holds", v->n_failed == 0);
    CLI_ADD_NUMBERS(j, {"tests", v->n_tests}, {"failed", v->n_failed},
                    {"seconds", (double)v->ns / 1e9});
    CLI_ADD_TEXTS(j, {"avoided_by", v->avoided_by[0] ? v->avoided_by : NULL});
}

static void add_test(cJSON *list, const pd_record_test *t) {
    cJSON *j = cli_add_object(list);
    char name[64], hash[17];
    pd_bench_name(&t->test, name);
    snprintf(hash, sizeof hash, "%016" PRIx64, t->result.logits_hash);
    CLI_ADD_TEXTS(j, {"test", name}, {"time", t->result.test_time});
    CLI_ADD_NUMBERS(
        j, {"n_prompt", t->test.n_prompt}, {"n_gen", t->test.n_gen}, {"n_depth", t->test.n_depth},
        {"tokens_per_second", t->result.median}, {"slowest", t->result.slowest},
        {"fastest", t->result.fastest}, {"memory_percent", t->memory_percent},
        {"arithmetic_percent", t->arithmetic_percent}, {"dispatches", t->result.step.n_dispatches},
        {"barriers", t->result.step.n_barriers}, {"submits", t->result.step.n_submits});
    if (t->joules_per_token > 0) CLI_ADD_NUMBERS(j, {"joules_per_token", t->joules_per_token});
    CLI_ADD_TEXTS(j, {"logits_hash", hash});
    add_conditions(j, &t->behind, false);
    cJSON *samples = cJSON_AddArrayToObject(j, "samples_ns");
    for (uint32_t i = 0; i < t->result.n_samples; i++)
        cJSON_AddItemToArray(samples, cJSON_CreateNumber((double)t->result.samples_ns[i]));
}

static void add_model(cJSON *list, const char *type, const pd_record_model *m) {
    cJSON *j = cli_add_object(list);
    CLI_ADD_TEXTS(j, {"preset", m->preset}, {"type", type});
    CLI_ADD_NUMBERS(j, {"file_bytes", (double)m->file_bytes}, {"load_ms", cli_ms(m->load_ns)},
                    {"memory_bytes", (double)m->peak_bytes});
    cJSON *tests = cJSON_AddArrayToObject(j, "tests");
    for (uint32_t i = 0; i < m->n_tests; i++) add_test(tests, &m->tests[i]);
    if (m->failure.status != PD_OK) CLI_ADD_TEXTS(j, {"failure", m->failure.message});
}

cJSON *record_json(const cli_options *o, const pd_record *r) {
    cJSON *root = cJSON_CreateObject();
    CLI_ADD_TEXTS(root, {"record", "peridot"});
    CLI_ADD_NUMBERS(root, {"schema", RECORD_SCHEMA});
    CLI_ADD_TEXTS(
        root, {"peridot", PD_VERSION_STRING}, {"commit", PERIDOT_COMMIT}, {"begun", r->time},
        {"precision", cli_precision_name(cli_precision(o, OPT_PRECISION, PD_PRECISION_F16))});
    cli_add_provenance(root, o);
    cJSON *device = cJSON_AddObjectToObject(root, "device");
    cli_add_device(device, &r->info);
    if (pd_device_is_cpu(&r->info)) CLI_ADD_TEXTS(device, {"driver", r->info.driver});
    cli_add_device_speed(device, &r->speed);
    add_conditions(cJSON_AddObjectToObject(root, "conditions"), &r->before, true);
    CLI_ADD_NUMBERS(root, {"repetitions", cli_u32(o, OPT_RECORD_REPEAT)});
    if (r->has_verdict) add_verdict(root, &r->verdict);
    cJSON *models = cJSON_AddArrayToObject(root, "models");
    for (uint32_t i = 0; i < r->n_models; i++) add_model(models, r->type, &r->models[i]);
    return root;
}
