/* The report: Markdown, a row as soon as it is measured, or one JSON object at the end. Field names
 * that llama-bench has mean here what they mean there.
 *
 * SPDX-License-Identifier: MIT
 */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/memory.h"
#include "bench_peer.h"

#ifndef PERIDOT_COMMIT
#define PERIDOT_COMMIT "unknown"
#endif

static const double BUSY_LOAD = 0.5;

struct bench_peer_report {
    const bench_peer_options *o;
    const pd_model *model;
    const peer *p;
    double load;
    cJSON *json, *tests; /* NULL for Markdown */
};

static void test_name(const bench_peer_test *t, char *out, size_t size) {
    char depth[24] = "";
    if (t->n_depth) snprintf(depth, sizeof depth, " @ d%u", t->n_depth);
    if (t->n_seqs) snprintf(depth, sizeof depth, " x %u", t->n_seqs);
    snprintf(out, size, "%s%u%s", t->is_gen ? "tg" : "pp", t->n_tokens, depth);
}

static void date_text(char *out, size_t size) {
    time_t now = time(NULL);
    struct tm utc;
    if (!gmtime_r(&now, &utc) || strftime(out, size, "%Y-%m-%dT%H:%M:%SZ", &utc) == 0) out[0] = 0;
}

/* Other programs hurt threads that wait for each other by spinning far more than they hurt those
 * that take work when they are free, so a busy machine makes the ratio meaningless. */
static double load_average(void) {
    double load;
    return getloadavg(&load, 1) == 1 ? load : -1;
}

static void model_type(const bench_peer_report *r, char *out, size_t size) {
    const pd_model_info *info = pd_model_get_info(r->model);
    snprintf(out, size, "gemma3 %s %s", info->size_label, info->file_type);
}

/* ---- Markdown ------------------------------------------------------------------------------- */

static void print_head(const bench_peer_report *r) {
    const pd_device_info *device = pd_model_get_device(r->model);
    const pd_model_info *info = pd_model_get_info(r->model);
    char date[32], type[64];
    date_text(date, sizeof date);
    model_type(r, type, sizeof type);
    printf("- model: %s (%s, %.1f MiB)\n", r->o->model_path, type,
           (double)info->file_bytes / 1048576);
    printf("- peridot %s (%s): %s, %s; precision %s\n", PD_VERSION_STRING, PERIDOT_COMMIT,
           device->id, device->name, r->o->precision_name);
    printf("- llama.cpp %s: %s, %s\n", peer_get_info(r->p)->release,
           r->o->peer_on_vulkan ? "vulkan" : "cpu", peer_get_info(r->p)->device);
    printf("- threads: %u; rounds: %u; load average before: %.2f; date: %s\n", r->o->n_threads,
           r->o->n_rounds, r->load, date);
    printf("- ratio: peridot / llama.cpp within a round, median [min..max]; logits: relative L2 "
           "between the two\n\n");
    printf("| %-16s | %19s | %19s | %-22s | %-7s |\n", "test", "peridot tok/s", "llama.cpp tok/s",
           "ratio", "logits");
    printf(
        "| ---------------- | ------------------: | ------------------: | ---------------------- | "
        "------- |\n");
    fflush(stdout);
}

static void print_row(const bench_peer_test *t, const bench_peer_summary *s) {
    char name[64], ours[64], peers[64], ratio[64], logits[16] = "";
    test_name(t, name, sizeof name);
    snprintf(ours, sizeof ours, "%.2f ± %.2f", s->ours_ts, s->ours_stddev);
    snprintf(peers, sizeof peers, "%.2f ± %.2f", s->peers_ts, s->peers_stddev);
    snprintf(ratio, sizeof ratio, "%.2f [%.2f..%.2f]", s->ratio_median, s->ratio_min, s->ratio_max);
    if (!t->n_seqs) snprintf(logits, sizeof logits, "%.1e", t->logits_diff);
    /* the sign ± is two bytes and one column */
    printf("| %-16s | %20s | %20s | %-22s | %-7s |\n", name, ours, peers, ratio, logits);
    fflush(stdout);
}

/* ---- JSON ----------------------------------------------------------------------------------- */

static void add_head(bench_peer_report *r) {
    const pd_device_info *device = pd_model_get_device(r->model);
    const pd_model_info *info = pd_model_get_info(r->model);
    cJSON *j = r->json;
    char date[32], type[64];
    date_text(date, sizeof date);
    model_type(r, type, sizeof type);
    cJSON_AddStringToObject(j, "date", date);
    cJSON_AddStringToObject(j, "model_filename", r->o->model_path);
    cJSON_AddStringToObject(j, "model_type", type);
    cJSON_AddNumberToObject(j, "model_size", (double)info->file_bytes);
    cJSON_AddNumberToObject(j, "model_n_params", (double)info->n_params);
    cJSON_AddStringToObject(j, "peridot_version", PD_VERSION_STRING);
    cJSON_AddStringToObject(j, "peridot_commit", PERIDOT_COMMIT);
    cJSON_AddStringToObject(j, "peridot_device", device->id);
    cJSON_AddStringToObject(j, "peridot_device_name", device->name);
    cJSON_AddStringToObject(j, "peridot_driver", device->driver);
    cJSON_AddStringToObject(j, "peridot_precision", r->o->precision_name);
    cJSON_AddStringToObject(j, "peer_release", peer_get_info(r->p)->release);
    cJSON_AddStringToObject(j, "peer_backend", r->o->peer_on_vulkan ? "vulkan" : "cpu");
    cJSON_AddStringToObject(j, "peer_device_name", peer_get_info(r->p)->device);
    cJSON_AddNumberToObject(j, "n_threads", r->o->n_threads);
    cJSON_AddNumberToObject(j, "n_rounds", r->o->n_rounds);
    cJSON_AddNumberToObject(j, "load_average", r->load);
    r->tests = cJSON_AddArrayToObject(j, "tests");
}

static void add_side(cJSON *test, const char *name, double ts, double stddev, const uint64_t *ns,
                     uint32_t n) {
    cJSON *side = cJSON_AddObjectToObject(test, name);
    cJSON_AddNumberToObject(side, "avg_ts", ts);
    cJSON_AddNumberToObject(side, "stddev_ts", stddev);
    cJSON *samples = cJSON_AddArrayToObject(side, "samples_ns");
    for (uint32_t i = 0; i < n; i++)
        cJSON_AddItemToArray(samples, cJSON_CreateNumber((double)ns[i]));
}

static void add_test(bench_peer_report *r, const bench_peer_test *t, const bench_peer_summary *s) {
    cJSON *j = cJSON_CreateObject();
    char name[64];
    test_name(t, name, sizeof name);
    cJSON_AddStringToObject(j, "test", name);
    cJSON_AddNumberToObject(j, "n_prompt", t->is_gen ? 0 : t->n_tokens);
    cJSON_AddNumberToObject(j, "n_gen", t->is_gen ? t->n_tokens : 0);
    cJSON_AddNumberToObject(j, "n_depth", t->n_depth);
    cJSON_AddNumberToObject(j, "n_sequences", t->n_seqs ? t->n_seqs : 1);
    add_side(j, "peridot", s->ours_ts, s->ours_stddev, t->ours_ns, t->n_rounds);
    add_side(j, "peer", s->peers_ts, s->peers_stddev, t->peers_ns, t->n_rounds);
    cJSON_AddNumberToObject(j, "ratio_median", s->ratio_median);
    cJSON_AddNumberToObject(j, "ratio_min", s->ratio_min);
    cJSON_AddNumberToObject(j, "ratio_max", s->ratio_max);
    cJSON_AddItemToObject(j, "ratios", cJSON_CreateDoubleArray(s->ratios, (int)t->n_rounds));
    cJSON_AddNumberToObject(j, "logits_diff", t->logits_diff);
    cJSON_AddItemToArray(r->tests, j);
}

/* ---- both ----------------------------------------------------------------------------------- */

pd_status bench_peer_report_create(const bench_peer_options *o, const pd_model *model,
                                   const peer *p, bench_peer_report **out, pd_error *err) {
    bench_peer_report *r = *out = pd_alloc(1, sizeof *r);
    if (!r) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for the report");
    *r = (bench_peer_report){.o = o, .model = model, .p = p, .load = load_average()};
    if (r->load > BUSY_LOAD)
        fprintf(stderr, "bench_peer: the load average is %.2f; measure on an idle machine\n",
                r->load);
    if (!o->json) {
        print_head(r);
        return PD_OK;
    }
    r->json = cJSON_CreateObject();
    if (!r->json) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for the report");
    add_head(r);
    return PD_OK;
}

void bench_peer_report_add(bench_peer_report *r, const bench_peer_test *test) {
    bench_peer_summary summary;
    bench_peer_summarize(test, &summary);
    if (r->json)
        add_test(r, test, &summary);
    else
        print_row(test, &summary);
}

void bench_peer_report_destroy(bench_peer_report *r) {
    if (!r) return;
    char *text = r->json ? cJSON_Print(r->json) : NULL;
    if (text) puts(text);
    cJSON_free(text);
    cJSON_Delete(r->json);
    pd_free(r);
}
