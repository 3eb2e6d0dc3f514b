/* The order of a first start's tests, and what becomes of their verdict: see selftest.h.
 *
 * SPDX-License-Identifier: MIT
 */
#include "backend/vulkan/tune/selftest.h"

#include <stdio.h>
#include <string.h>

#include "args.h"
#include "backend/vulkan/kernels/cache.h"
#include "backend/vulkan/tune/findings.h"
#include "backend/vulkan/kernels/kernels.h"
#include "backend/vulkan/tune/marker.h"
#include "backend/vulkan/device/probe.h"
#include "backend/vulkan/tune/trial.h"
#include "backend/vulkan/program/upload.h"
#include "base/clock.h"
#include "base/log.h"

enum { SELFTEST_VERSION = 2 };

/* What was found: PERIDOT_DISABLE's words for what is not used, and why, for people. */
typedef struct verdict {
    char disabled[64];
    char reason[256];
} verdict;

/* A kind of kernels, and the capability that it stands or falls with. Later ones need what the
 * ones before them test. */
typedef struct stage {
    const char *capability; /* in PERIDOT_DISABLE's words */
    pd_precision precision;
    uint32_t format; /* PD_ACT_* of what products read */
    bool matrix_units;
} stage;

static const stage stages[] = {
    {"last-arrival", PD_PRECISION_EXACT, PD_ACT_F32, false},
    {"fp16", PD_PRECISION_F16, PD_ACT_F16, false},
    {"int8dot", PD_PRECISION_Q8, PD_ACT_I16, false},
    {"coopmat", PD_PRECISION_F16, PD_ACT_F16, true},
};
enum { N_STAGES = sizeof stages / sizeof stages[0] };

/* The mark of the first stage without its capability. */
static const char SIMPLEST[] = "simplest";

static bool has_capability(const pd_vk_caps *c, const stage *s) {
    if (s->format == PD_ACT_F32) return c->last_arrival;
    return s->matrix_units ? c->coopmat : pd_vk_has_format(c, s->format);
}

/* ---- one stage ------------------------------------------------------------------------------ */

/* Runs the trial with a stage's kernels. Those that do not compile, where simpler ones do, are a
 * fault as well. A device's other refusals are no verdict: whoever needs that kernel will see. */
static pd_status try_kernels(const pd_vk_trial *t, pd_vk_backend *b, const stage *s,
                             char fault[PD_VK_FAULT_CHARS], pd_error *err) {
    pd_vk_tuning tuning = pd_vk_rules_of_thumb(&b->device->caps);
    tuning.decode_format = tuning.prefill_format = s->format;
    tuning.matrix_units = s->matrix_units;
    pd_status status = pd_vk_trial_run(t, b, &tuning, s->precision, fault, err);
    return status == PD_ERR_DEVICE ? PD_ERR_UNSUPPORTED : status;
}

/* What is tried now, behind all that is not used by then: a driver may crash more than once. */
static void mark(pd_vk_marker *m, const verdict *v, const char *what) {
    char words[sizeof m->found];
    snprintf(words, sizeof words, "%s%s%.16s", v->disabled, v->disabled[0] ? "," : "", what);
    pd_vk_marker_write(m, words);
}

static void drop(pd_vk_device *d, verdict *v, const char *capability, const char *reason) {
    size_t n = strlen(v->disabled), m = strlen(v->reason);
    (void)pd_vk_caps_disable(&d->caps, capability, NULL);
    snprintf(v->disabled + n, sizeof v->disabled - n, "%s%s", n ? "," : "", capability);
    snprintf(v->reason + m, sizeof v->reason - m, "%s%s: %s", m ? "; " : "", capability, reason);
}

static pd_status raise_wrong(const pd_vk_device *d, const char *fault, pd_error *err) {
    pd_status status =
        PD_RAISE(err, PD_ERR_DEVICE, "the driver of %s (%s) computes wrong results: %s",
                 d->info.name, d->info.driver, fault);
    return pd_error_hint(err, status, "PERIDOT_SELFTEST=off goes on all the same");
}

/* The first stage tests the simplest kernels there are, whether or not they have its capability:
 * what is wrong without it too cannot be helped. */
static pd_status try_stage(const pd_vk_trial *t, pd_vk_backend *b, const stage *s, pd_vk_marker *m,
                           verdict *v, pd_error *err) {
    pd_vk_device *d = b->device;
    char fault[PD_VK_FAULT_CHARS];
    bool is_first = s == stages, has = has_capability(&d->caps, s);
    if (!is_first && !has) return PD_OK;
    mark(m, v, has ? s->capability : SIMPLEST);
    PD_TRY(try_kernels(t, b, s, fault, err));
    if (!fault[0]) return PD_OK;
    if (!has) return raise_wrong(d, fault, err);
    drop(d, v, s->capability, fault);
    return is_first ? try_stage(t, b, s, m, v, err) : PD_OK;
}

/* ---- all of them ---------------------------------------------------------------------------- */

/* With a directory of weights of its own, which go with it. */
static pd_status try_stages(pd_vk_backend *b, pd_vk_marker *m, verdict *v, pd_error *err) {
    pd_vk_trial *t;
    pd_vk_weights *models = b->weights, *trials;
    PD_TRY(pd_vk_trial_create(&t, err));
    pd_status status = pd_vk_weights_create(b, &trials, err);
    if (status == PD_OK) b->weights = trials;
    for (uint32_t i = 0; i < N_STAGES && status == PD_OK; i++)
        status = try_stage(t, b, &stages[i], m, v, err);
    b->weights = models;
    pd_vk_weights_destroy(trials);
    pd_vk_trial_destroy(t);
    b->memory.peak_bytes = pd_vk_memory_total(&b->memory); /* what this took is no model's */
    return status;
}

/* What earlier starts were trying when they ended. */
static pd_status heed_marker(pd_vk_device *d, const pd_vk_marker *m, verdict *v, pd_error *err) {
    static const char reason[] = "an earlier start ended while the driver was tried with it";
    for (uint32_t i = 0; i < N_STAGES; i++)
        if (strstr(m->found, stages[i].capability)) drop(d, v, stages[i].capability, reason);
    if (!strstr(m->found, SIMPLEST)) return PD_OK;
    pd_status status = PD_RAISE(err, PD_ERR_DEVICE,
                                "the driver of %s (%s) crashed or hung when it was last tried, "
                                "even with the simplest kernels",
                                d->info.name, d->info.driver);
    return pd_error_hint(err, status,
                         "the next start tries it again; PERIDOT_SELFTEST=off goes on without");
}

static pd_status find_out(pd_vk_backend *b, pd_vk_marker *m, verdict *v, pd_error *err) {
    uint64_t t0 = pd_clock_ns();
    PD_TRY(heed_marker(b->device, m, v, err));
    PD_TRY(try_stages(b, m, v, err));
    pd_log(PD_LOG_DEBUG, "selftest", "%.0f ms", (double)(pd_clock_ns() - t0) / 1e6);
    return PD_OK;
}

static bool recall(pd_vk_device *d, const char *name, verdict *v) {
    void *data;
    size_t n;
    if (!pd_vk_cache_load(name, &data, &n)) return false;
    bool fits = n == sizeof *v;
    if (fits) memcpy(v, data, n);
    pd_free(data);
    if (!fits || v->disabled[sizeof v->disabled - 1] || v->reason[sizeof v->reason - 1])
        return false;
    return pd_vk_caps_disable(&d->caps, v->disabled, NULL) == PD_OK;
}

/* One process at a time tries a device; the others wait, and find the verdict. */
static pd_status find_out_alone(pd_vk_backend *b, const char *name, verdict *v, pd_error *err) {
    pd_vk_marker m;
    pd_vk_marker_open(&m, name);
    if (recall(b->device, name, v)) {
        pd_vk_marker_close(&m, true);
        return PD_OK;
    }
    const pd_vk_caps caps = b->device->caps;
    *v = (verdict){0};
    pd_status status = find_out(b, &m, v, err);
    if (status == PD_OK) pd_vk_cache_store(name, v, sizeof *v);
    pd_vk_marker_close(&m, status != PD_ERR_DEVICE_LOST);
    if (status == PD_OK || status == PD_ERR_DEVICE || status == PD_ERR_DEVICE_LOST) return status;
    pd_log(PD_LOG_DEBUG, "selftest", "nothing is judged: %s", err ? err->message : "");
    b->device->caps = caps;
    *v = (verdict){0};
    return PD_OK;
}

pd_status pd_vk_self_test(pd_vk_backend *b, pd_error *err) {
    pd_vk_device *d = b->device;
    char name[PD_VK_FINDING_NAME];
    verdict v = {0};
    pd_error reason = {0};
    bool wanted;
    PD_TRY(pd_vk_finding_wanted(d, "PERIDOT_SELFTEST", &wanted, err));
    if (!wanted) return PD_OK;
    pd_vk_finding_name(d, "selftest", SELFTEST_VERSION, name);
    bool known = recall(d, name, &v);
    pd_status status = known ? PD_OK : find_out_alone(b, name, &v, &reason);
    if (status != PD_OK && err) *err = reason;
    if (status == PD_OK && v.disabled[0])
        pd_log(known ? PD_LOG_INFO : PD_LOG_WARN, "selftest", "%s: not used on this driver: %s",
               d->info.name, v.reason);
    if (status == PD_ERR_DEVICE_LOST)
        return pd_error_hint(err, status, "the next start leaves alone what was tried just now");
    return status;
}

bool pd_vk_self_test_keep(pd_vk_backend *b, const char *disabled, const char *reason) {
    char name[PD_VK_FINDING_NAME];
    verdict v = {0};
    pd_vk_caps caps = b->device->caps;
    snprintf(v.disabled, sizeof v.disabled, "%s", disabled);
    snprintf(v.reason, sizeof v.reason, "%s%s%s", disabled, disabled[0] ? ": " : "", reason);
    if (pd_vk_caps_disable(&caps, v.disabled, NULL) != PD_OK) return false;
    pd_vk_finding_name(b->device, "selftest", SELFTEST_VERSION, name);
    pd_vk_cache_store(name, &v, sizeof v);
    verdict found;
    bool is_there = recall(&(pd_vk_device){.caps = b->device->caps}, name, &found);
    return is_there && memcmp(&found, &v, sizeof v) == 0;
}
