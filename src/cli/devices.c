/* `peridot devices`: what --device can name, and what decides how fast each will be.
 *
 * SPDX-License-Identifier: MIT
 */
#include <string.h>

#include "cli/device_test.h"
#include "cli/json.h"
#include "measure/device_test.h"
#include "measure/devices.h"

static void print_measurement(const pd_device_measurement *m) {
    if (m->failure[0]) printf("           not measured: %s\n", m->failure);
    if (!m->done) return;
    printf("           measured   read %.1f GB/s, copy %.1f GB/s", m->speed.read_gb_s,
           m->speed.copy_gb_s);
    for (int i = 0; i < PD_PEAK_COUNT; i++)
        if (m->speed.gflop_s[i] > 0)
            printf(", %s %.1f GFLOP/s", pd_peak_name((pd_peak)i), m->speed.gflop_s[i]);
    printf(", dispatch %.2f us", m->speed.dispatch_us);
    if (m->speed.barrier_us > 0) printf(" (its barrier %.2f us)", m->speed.barrier_us);
    printf("\n");
}

static void print_coopmats(const pd_device_info *d) {
    if (d->n_coopmats == 0) return;
    printf("           matrices  ");
    for (uint32_t i = 0; i < d->n_coopmats; i++) {
        const pd_coopmat_info *c = &d->coopmats[i];
        printf("%s %ux%ux%u %s", i ? "," : "", c->m, c->n, c->k, c->a);
        if (strcmp(c->a, c->b) != 0) printf("*%s", c->b);
        printf("->%s", c->result);
    }
    printf("\n");
}

static void print_device(const pd_device_info *d, const pd_device_measurement *m) {
    char a[32], b[32];
    printf("%-10s %s (%s)\n", d->id, d->name, pd_device_kind_name(d->kind));
    if (!d->usable) printf("           not usable: %s\n", d->unusable_reason);
    printf("           memory     %s", pd_size_text(d->memory_bytes, a));
    if (d->memory_free_bytes) printf(", %s free", pd_size_text(d->memory_free_bytes, b));
    printf("\n");
    print_measurement(m);
    if (pd_device_is_cpu(d)) return;
    printf("           driver     %s, Vulkan %s\n", d->driver, d->api_version);
    printf("           uuid       %s (vendor 0x%04x, device 0x%04x)\n", d->uuid, d->vendor_id,
           d->device_id);
    printf("           limits     binding %s, allocation %s, shared memory %s, workgroup %u, "
           "subgroup %u (%u..%u)\n",
           pd_size_text(d->max_binding_bytes, a), pd_size_text(d->max_alloc_bytes, b),
           pd_size_text(d->shared_memory_bytes, (char[32]){0}), d->max_workgroup_size,
           d->subgroup_size, d->subgroup_size_min, d->subgroup_size_max);
    pd_device_feature features[PD_DEVICE_N_FEATURES];
    pd_device_features(d, features);
    printf("           features  ");
    for (int i = 0; i < PD_DEVICE_N_FEATURES; i++)
        if (features[i].has) printf(" %s", features[i].name);
    printf("\n");
    print_coopmats(d);
}

void cli_add_device_speed(cJSON *j, const pd_device_speed *s) {
    CLI_ADD_NUMBERS(j, {"copy_gb_s", s->copy_gb_s}, {"read_gb_s", s->read_gb_s});
    cJSON *peaks = cJSON_AddObjectToObject(j, "gflop_s");
    for (int i = 0; i < PD_PEAK_COUNT; i++)
        if (s->gflop_s[i] > 0)
            cJSON_AddNumberToObject(peaks, pd_peak_name((pd_peak)i), s->gflop_s[i]);
    CLI_ADD_TEXTS(j, {"matrix_peak", pd_peak_name(s->best)});
    CLI_ADD_NUMBERS(j, {"dispatch_us", s->dispatch_us}, {"barrier_us", s->barrier_us});
}

static void add_measurement(cJSON *j, const pd_device_measurement *m) {
    if (m->failure[0]) cJSON_AddStringToObject(j, "not_measured", m->failure);
    if (m->done) cli_add_device_speed(j, &m->speed);
}

static void add_coopmats_json(cJSON *device, const pd_device_info *d) {
    cJSON *list = cJSON_AddArrayToObject(device, "coopmats");
    for (uint32_t i = 0; i < d->n_coopmats; i++) {
        const pd_coopmat_info *c = &d->coopmats[i];
        cJSON *j = cli_add_object(list);
        CLI_ADD_NUMBERS(j, {"m", c->m}, {"n", c->n}, {"k", c->k});
        CLI_ADD_TEXTS(j, {"a", c->a}, {"b", c->b}, {"result", c->result});
    }
}

/* What it measured stands between what every device has and what a GPU has. */
static void add_device(cJSON *j, const pd_device_info *d, const pd_device_measurement *m) {
    CLI_ADD_TEXTS(j, {"id", d->id}, {"name", d->name}, {"kind", pd_device_kind_name(d->kind)});
    cJSON_AddBoolToObject(j, "usable", d->usable);
    if (!d->usable) cJSON_AddStringToObject(j, "unusable_reason", d->unusable_reason);
    CLI_ADD_NUMBERS(j, {"memory_bytes", (double)d->memory_bytes},
                    {"memory_free_bytes", (double)d->memory_free_bytes});
    add_measurement(j, m);
    if (pd_device_is_cpu(d)) return;
    CLI_ADD_TEXTS(j, {"uuid", d->uuid}, {"driver", d->driver}, {"api_version", d->api_version});
    CLI_ADD_NUMBERS(
        j, {"vendor_id", d->vendor_id}, {"device_id", d->device_id},
        {"max_binding_bytes", (double)d->max_binding_bytes},
        {"max_alloc_bytes", (double)d->max_alloc_bytes},
        {"shared_memory_bytes", d->shared_memory_bytes},
        {"max_workgroup_size", d->max_workgroup_size}, {"subgroup_size", d->subgroup_size},
        {"subgroup_size_min", d->subgroup_size_min}, {"subgroup_size_max", d->subgroup_size_max});
    pd_device_feature features[PD_DEVICE_N_FEATURES];
    pd_device_features(d, features);
    cJSON *names = cJSON_AddObjectToObject(j, "features");
    for (int i = 0; i < PD_DEVICE_N_FEATURES; i++)
        cJSON_AddBoolToObject(names, features[i].name, features[i].has);
    add_coopmats_json(j, d);
}

void cli_add_device(cJSON *j, const pd_device_info *d) {
    add_device(j, d, &(pd_device_measurement){0});
}

/* A device's own tests; the first failure is the command's, the others are tested all the same. */
static pd_status test(const cli_options *o, const pd_device_info *d, cJSON *json, pd_error *first) {
    pd_error err = {0};
    bool can_be = d->usable && d->kind != PD_DEVICE_CPU_REFERENCE;
    pd_status status = cli_given(o, OPT_TEST) && can_be ? cli_test_device(o, d, json, &err) : PD_OK;
    if (status != PD_OK && first->status == PD_OK) *first = err;
    return status == PD_ERR_CANCELLED ? status : PD_OK;
}

static pd_status devices_json(const cli_options *o, const pd_device_info *list,
                              const pd_device_measurement *measured, uint32_t n, const char *note,
                              pd_error *err) {
    pd_error failure = {0};
    cJSON *root = cJSON_CreateObject();
    cJSON *devices = cJSON_AddArrayToObject(root, "devices");
    for (uint32_t i = 0; i < n; i++) {
        cJSON *j = cli_add_object(devices);
        add_device(j, &list[i], &measured[i]);
        if (test(o, &list[i], j, &failure) != PD_OK) break;
    }
    if (note) cJSON_AddStringToObject(root, "vulkan_note", note);
    PD_TRY(cli_print_json(root, err));
    return pd_error_again(err, &failure);
}

static pd_status devices_text(const cli_options *o, const pd_device_info *list,
                              const pd_device_measurement *measured, uint32_t n, const char *note,
                              pd_error *err) {
    pd_error failure = {0};
    for (uint32_t i = 0; i < n; i++) {
        print_device(&list[i], &measured[i]);
        if (test(o, &list[i], NULL, &failure) != PD_OK) break;
    }
    if (note) printf("%s\n", note);
    return pd_error_again(err, &failure);
}

/* Leaves what --device names, all of them where it fits several. */
static pd_status keep_wished(const cli_options *o, pd_device_info *list, uint32_t *n,
                             pd_error *err) {
    const char *wish = o->n_args > 0 ? o->args[0] : cli_text(o, OPT_DEVICE);
    bool is_meant = o->n_args > 0 || !o->values[OPT_DEVICE].from_env;
    if (o->command != CLI_DEVICES || !wish || !is_meant) return PD_OK;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < *n; i++)
        if (pd_device_fits(&list[i], wish)) list[kept++] = list[i];
    *n = kept;
    bool is_reference = kept == 1 && list[0].kind == PD_DEVICE_CPU_REFERENCE;
    if (cli_given(o, OPT_TEST) && is_reference)
        return PD_RAISE(err, PD_ERR_ARGUMENT, "cpu-ref is what others are compared with");
    if (cli_given(o, OPT_TEST) && kept == 1 && !list[0].usable)
        return PD_RAISE(err, PD_ERR_NO_DEVICE, "%s is not usable: %s", list[0].id,
                        list[0].unusable_reason);
    if (kept > 0) return PD_OK;
    return PD_RAISE(err, PD_ERR_NO_DEVICE, "no device is called \"%s\"", wish);
}

static pd_status check_types(const cli_options *o, pd_error *err) {
    if (cli_given(o, OPT_TEST_TYPES) && !cli_given(o, OPT_TEST))
        return PD_RAISE(err, PD_ERR_ARGUMENT, "--types needs --test");
    return pd_device_test_check_types(cli_text(o, OPT_TEST_TYPES), err);
}

pd_status cli_devices(const cli_options *o, pd_error *err) {
    enum { MAX_DEVICES = 64 };
    pd_device_info *list = pd_alloc(MAX_DEVICES, sizeof *list);
    pd_device_measurement *measured = pd_alloc(MAX_DEVICES, sizeof *measured);
    pd_status status = PD_OK;
    uint32_t n = 0;
    const char *note = NULL;
    if (!list || !measured)
        status = PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory to list devices");
    if (status == PD_OK) status = check_types(o, err);
    if (status == PD_OK) status = pd_device_list(list, MAX_DEVICES, &n, &note, err);
    if (n > MAX_DEVICES) n = MAX_DEVICES;
    if (status == PD_OK) status = keep_wished(o, list, &n, err);
    if (status == PD_OK && (cli_given(o, OPT_MEASURE) || cli_given(o, OPT_TEST)))
        pd_devices_measure(list, n, measured);
    if (status == PD_OK)
        status = cli_given(o, OPT_JSON) ? devices_json(o, list, measured, n, note, err)
                                        : devices_text(o, list, measured, n, note, err);
    pd_free(list);
    pd_free(measured);
    return status;
}
