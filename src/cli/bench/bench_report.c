/* Rows of `peridot bench` as a Markdown table, CSV, a JSON array or JSON lines, each written as
 * soon as it is measured.
 *
 * SPDX-License-Identifier: MIT
 */
#include <inttypes.h>
#include <string.h>

#include "cli/bench/bench.h"
#include "cli/json.h"
#include "measure/devices.h"

static bool on_cpu(const bench_context *c) {
    return pd_device_is_cpu(pd_model_get_device(c->model));
}

static const char *backend_name(const bench_context *c) {
    return on_cpu(c) ? "CPU" : "Vulkan";
}

/* out: at least 64 bytes. */
static const char *model_type(const bench_context *c, char *out) {
    const pd_model_info *info = pd_model_get_info(c->model);
    snprintf(out, 64, "gemma3 %s %s", info->size_label, info->file_type);
    return out;
}

bool bench_prints(const bench_context *c, const char *format) {
    return strcmp(cli_text(c->o, OPT_BENCH_OUTPUT), format) == 0;
}

/* ---- one row as fields ---------------------------------------------------------------------- */

void bench_add_model_fields(cJSON *j, const bench_context *c) {
    const pd_model_info *info = pd_model_get_info(c->model);
    const pd_device_info *device = pd_model_get_device(c->model);
    char type[64];
    cJSON_AddStringToObject(j, "build_commit", PERIDOT_COMMIT);
    cJSON_AddNumberToObject(j, "build_number", 0);
    CLI_ADD_TEXTS(j, {"cpu_info", c->cpu_info}, {"gpu_info", on_cpu(c) ? "" : device->name},
                  {"backends", backend_name(c)}, {"model_filename", cli_text(c->o, OPT_MODEL)},
                  {"model_type", model_type(c, type)});
    CLI_ADD_NUMBERS(j, {"model_size", (double)info->file_bytes},
                    {"model_n_params", (double)info->n_params});
    cJSON_AddStringToObject(j, "head_type", info->head_type);
}

/* What it took to the first token of the first test. */
static void add_start_fields(cJSON *j, const bench_context *c) {
    const pd_load_stats *load = pd_model_get_load_stats(c->model);
    CLI_ADD_NUMBERS(
        j, {"start_read_ns", (double)load->read_ns}, {"start_device_ns", (double)load->device_ns},
        {"start_head_ns", (double)load->head_ns}, {"start_upload_ns", (double)load->upload_ns},
        {"start_pipelines_ns", (double)c->start.pipelines_ns},
        {"start_prompt_ns", (double)c->start.prompt_ns},
        {"start_token_ns", (double)c->start.token_ns}, {"start_n_pipelines", c->build.n_pipelines},
        {"start_n_shaders_compiled", c->build.n_shaders});
}

static void add_test_fields(cJSON *j, const bench_context *c, const bench_row *row) {
    const char *kv = c->precision == PD_PRECISION_EXACT ? "f32" : "f16";
    CLI_ADD_NUMBERS(j, {"n_batch", row->test.n_batch}, {"n_ubatch", row->test.n_ubatch},
                    {"n_threads", c->n_threads});
    CLI_ADD_TEXTS(j, {"type_k", kv}, {"type_v", kv});
    cJSON_AddNumberToObject(j, "n_gpu_layers",
                            on_cpu(c) ? 0 : pd_model_get_info(c->model)->n_layers + 1);
    CLI_ADD_TEXTS(j, {"devices", pd_model_get_device(c->model)->id},
                  {"precision", cli_precision_name(c->precision)});
    CLI_ADD_NUMBERS(j, {"n_dispatches", row->result.step.n_dispatches},
                    {"n_layer_dispatches", row->result.step.n_layer_dispatches},
                    {"n_barriers", row->result.step.n_barriers},
                    {"n_submits", row->result.step.n_submits}, {"n_prompt", row->test.n_prompt},
                    {"n_gen", row->test.n_gen}, {"n_depth", row->test.n_depth});
    cJSON_AddStringToObject(j, "test_time", row->result.test_time);
    CLI_ADD_NUMBERS(j, {"avg_ns", (double)(int64_t)row->result.ns.mean},
                    {"stddev_ns", (double)(int64_t)row->result.ns.stddev},
                    {"avg_ts", row->result.speed.mean}, {"stddev_ts", row->result.speed.stddev});
    char hash[17];
    snprintf(hash, sizeof hash, "%016" PRIx64, row->result.logits_hash);
    cJSON_AddStringToObject(j, "logits_hash", hash);
}

static void add_kind_fields(cJSON *j, const bench_context *c, const pd_profile_kind *k) {
    double ns = k->ns ? (double)k->ns : 1;
    cJSON_AddStringToObject(j, "op", k->name);
    CLI_ADD_NUMBERS(j, {"op_count", k->n_ops}, {"op_ns", (double)k->ns},
                    {"op_bytes", (double)k->bytes}, {"op_flops", k->flops},
                    {"op_gb_s", (double)k->bytes / ns}, {"op_gflop_s", k->flops / ns},
                    {"op_copy_percent", pd_profile_copy_percent(&c->speed, k)},
                    {"op_read_percent", pd_profile_read_percent(&c->speed, k)},
                    {"op_peak_percent", pd_profile_peak_percent(&c->speed, k)});
}

static void add_speed_fields(cJSON *j, const pd_device_speed *s) {
    CLI_ADD_NUMBERS(j, {"device_copy_gb_s", s->copy_gb_s}, {"device_read_gb_s", s->read_gb_s},
                    {"device_gflop_s", s->gflop_s[s->best]});
    cJSON_AddStringToObject(j, "device_peak", pd_peak_name(s->best));
    cJSON_AddNumberToObject(j, "device_dispatch_us", s->dispatch_us);
}

static bool with_profile(const bench_context *c) {
    return cli_given(c->o, OPT_BENCH_PROFILE);
}

static cJSON *row_json(const bench_context *c, const bench_row *row, bool with_samples) {
    cJSON *j = cJSON_CreateObject();
    bench_add_model_fields(j, c);
    add_start_fields(j, c);
    add_test_fields(j, c, row);
    if (with_profile(c)) add_speed_fields(j, &c->speed);
    if (!with_samples) return j;
    cJSON *kinds = with_profile(c) ? cJSON_AddArrayToObject(j, "profile") : NULL;
    for (uint32_t i = 0; kinds && i < row->profile.n; i++)
        add_kind_fields(cli_add_object(kinds), c, &row->profile.kinds[i]);
    cJSON *ns = cJSON_AddArrayToObject(j, "samples_ns");
    cJSON *ts = cJSON_AddArrayToObject(j, "samples_ts");
    for (uint32_t i = 0; i < row->result.n_samples; i++) {
        cJSON_AddItemToArray(ns, cJSON_CreateNumber((double)row->result.samples_ns[i]));
        cJSON_AddItemToArray(ts, cJSON_CreateNumber(pd_bench_sample_speed(&row->result, i)));
    }
    return j;
}

/* ---- formats -------------------------------------------------------------------------------- */

static void print_csv_text(const char *text) {
    putchar('"');
    for (; *text; text++) {
        if (*text == '"') putchar('"');
        putchar(*text);
    }
    putchar('"');
}

static void print_csv_row(const cJSON *j, bool names) {
    for (const cJSON *item = j->child; item; item = item->next) {
        char number[32];
        snprintf(number, sizeof number, "%.17g", item->valuedouble);
        if (cJSON_IsNull(item)) number[0] = '\0';
        if (names) {
            printf("%s", item->string);
        } else {
            print_csv_text(cJSON_IsString(item) ? item->valuestring : number);
        }
        putchar(item->next ? ',' : '\n');
    }
}

/* With a profile a line for each operation, which repeats the test's fields. */
static void print_csv(const bench_context *c, const bench_row *row, cJSON *j) {
    if (!with_profile(c)) {
        bench_print_csv(c, j);
        return;
    }
    for (uint32_t i = 0; i < row->profile.n; i++) {
        cJSON *line = cJSON_Duplicate(j, true);
        if (!line) return;
        add_kind_fields(line, c, &row->profile.kinds[i]);
        if (c->n_printed == 0 && i == 0) print_csv_row(line, true);
        print_csv_row(line, false);
        cJSON_Delete(line);
    }
}

static void print_markdown_begin(void) {
    printf("| %-24s | %10s | %10s | %-10s | %7s | %7s | %8s | %20s | %20s |\n", "model", "size",
           "params", "backend", "threads", "n_batch", "n_ubatch", "test", "t/s");
    printf(
        "| ------------------------ | ---------: | ---------: | ---------- | ------: | ------: | "
        "-------: | -------------------: | -------------------: |\n");
}

static void print_markdown_row(const bench_context *c, const bench_row *row) {
    const pd_model_info *info = pd_model_get_info(c->model);
    char model[64], params[32], size[32], test[64], speed[64];
    bool billions = info->n_params >= 1000000000;
    snprintf(params, sizeof params, "%.2f %s", (double)info->n_params / (billions ? 1e9 : 1e6),
             billions ? "B" : "M");
    pd_bench_name(&row->test, test);
    snprintf(speed, sizeof speed, "%.2f ± %.2f", row->result.speed.mean, row->result.speed.stddev);
    /* ± is two bytes and one column wide. */
    printf("| %-24s | %10s | %10s | %-10s | %7u | %7u | %8u | %20s | %21s |\n",
           model_type(c, model), pd_size_text(info->file_bytes, size), params, backend_name(c),
           c->n_threads, row->test.n_batch, row->test.n_ubatch, test, speed);
    if (!with_profile(c)) return;
    char what[96];
    snprintf(what, sizeof what, "last step of %s", test);
    cli_print_profile(&row->profile, &c->speed, what);
}

static void print_step(const char *what, const pd_step_counts *n, const bench_context *c) {
    if (n->n_dispatches == 0) return;
    double n_layers = pd_model_get_info(c->model)->n_layers;
    printf("%s: %u dispatches (%.1f a layer), %u barriers, %u submission%s\n", what,
           n->n_dispatches, n->n_layer_dispatches / n_layers, n->n_barriers, n->n_submits,
           n->n_submits == 1 ? "" : "s");
}

void bench_print_begin(bench_context *c) {
    if (bench_prints(c, "json")) printf("[\n");
    if (bench_prints(c, "md")) print_markdown_begin();
    fflush(stdout);
}

pd_status bench_print_json(bench_context *c, const cJSON *j, pd_error *err) {
    bool lines = bench_prints(c, "jsonl");
    char *text = lines ? cJSON_PrintUnformatted(j) : cJSON_Print(j);
    if (!text) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory for the results");
    printf("%s%s%s", !lines && c->n_printed ? ",\n" : "", text, lines ? "\n" : "");
    cJSON_free(text);
    return PD_OK;
}

void bench_print_csv(const bench_context *c, const cJSON *j) {
    if (c->n_printed == 0) print_csv_row(j, true);
    print_csv_row(j, false);
}

pd_status bench_print_row(bench_context *c, pd_error *err) {
    const bench_row *row = &c->row;
    pd_status status = PD_OK;
    if (bench_prints(c, "md")) {
        print_markdown_row(c, row);
    } else {
        bool csv = bench_prints(c, "csv");
        cJSON *j = row_json(c, row, !csv);
        if (!csv)
            status = bench_print_json(c, j, err);
        else if (j)
            print_csv(c, row, j);
        cJSON_Delete(j);
    }
    c->n_printed++;
    fflush(stdout);
    return status;
}

void bench_print_build(const bench_context *c) {
    printf("\nbuild: %s, device: %s, precision: %s\n", PERIDOT_COMMIT,
           pd_model_get_device(c->model)->name, cli_precision_name(c->precision));
}

void bench_print_end(bench_context *c) {
    if (bench_prints(c, "json")) printf("\n]\n");
    if (!bench_prints(c, "md")) return;
    bench_print_build(c);
    if (c->started) {
        printf("start: ");
        cli_print_start(stdout, c->model, &c->start);
    }
    print_step("a step of one token", &c->decode_step, c);
    print_step("a prompt's step", &c->prompt_step, c);
}
