/* `peridot devices --test`: every kernel that a device could use, beside the reference.
 *
 * SPDX-License-Identifier: MIT
 */
#include "cli/device_test.h"

#include <string.h>

#include "cli/json.h"
#include "measure/device_test.h"

typedef struct test_job {
    cJSON *tests;                /* with --json */
    pd_device_test_result first; /* that failed */
    bool has_failed;
    char disabled[32]; /* what was switched off in the line before */
} test_job;

/* ---- one test ------------------------------------------------------------------------------- */

static void describe(const pd_device_test_result *r, char *out, size_t size) {
    const pd_compare_op *f = &r->fault;
    if (r->n_beyond > 0)
        snprintf(out, size, "%s%s (%s), off by %.1e where %.1e may be", f->is_image ? "image " : "",
                 f->name, f->part, f->deviation.row_nmse, f->bound);
    else
        snprintf(out, size, "%.300s", r->failure.message);
}

static void print_result(test_job *job, const pd_device_test_result *r) {
    char text[384];
    const pd_device_test *t = &r->test;
    if (strcmp(job->disabled, t->disabled) != 0) {
        printf("  without %s\n", t->disabled);
        snprintf(job->disabled, sizeof job->disabled, "%s", t->disabled);
    }
    printf("  %-6s %-7s %-6s %4u results", t->type, t->shape, cli_precision_name(t->precision),
           r->n_ops);
    describe(r, text, sizeof text);
    if (pd_device_test_holds(r))
        printf(" within their bounds\n");
    else if (r->n_beyond > 0)
        printf(", %u beyond: %s\n", r->n_beyond, text);
    else
        printf(", then: %s\n", text);
}

static void add_result(cJSON *list, const pd_device_test_result *r) {
    const pd_device_test *t = &r->test;
    cJSON *j = cli_add_object(list);
    CLI_ADD_TEXTS(j, {"type", t->type}, {"shape", t->shape},
                  {"precision", cli_precision_name(t->precision)}, {"disabled", t->disabled});
    CLI_ADD_NUMBERS(j, {"results", r->n_ops}, {"beyond", r->n_beyond});
    cJSON_AddBoolToObject(j, "holds", pd_device_test_holds(r));
    if (r->n_beyond > 0) {
        CLI_ADD_TEXTS(j, {"operation", r->fault.name}, {"part", r->fault.part});
        CLI_ADD_NUMBERS(j, {"nmse", r->fault.deviation.row_nmse}, {"bound", r->fault.bound});
    }
    if (r->failure.status != PD_OK) CLI_ADD_TEXTS(j, {"failure", r->failure.message});
}

/* A pd_device_test_fn. */
static void on_test(void *ctx, const pd_device_test_result *r) {
    test_job *job = ctx;
    if (!job->has_failed && !pd_device_test_holds(r)) {
        job->has_failed = true;
        job->first = *r;
    }
    if (job->tests)
        add_result(job->tests, r);
    else
        print_result(job, r);
}

static bool goes_on(void *ctx) {
    (void)ctx;
    return !cli_interrupted() && !ferror(stdout);
}

/* ---- a device ------------------------------------------------------------------------------- */

static void verdict_text(const pd_device_verdict *v, char *out, size_t size) {
    if (v->n_failed == 0)
        snprintf(out, size, "%s computes what it should: %u tests", v->info.id, v->n_tests);
    else
        snprintf(out, size, "%s computes something else in %u of %u tests%s%s%s", v->info.id,
                 v->n_failed, v->n_tests, v->avoided_by[0] ? "; without " : "", v->avoided_by,
                 v->avoided_by[0] ? " it does not" : "");
}

static void print_verdict(const pd_device_verdict *v) {
    char text[256];
    verdict_text(v, text, sizeof text);
    printf("  %s, in %.1f s%s\n", text, (double)v->ns / 1e9,
           !v->is_kept        ? ""
           : v->avoided_by[0] ? "; from now on it is not used"
                              : "; kept");
}

static pd_status raise_differs(const test_job *job, const pd_device_verdict *v, pd_error *err) {
    char text[256], fault[384];
    verdict_text(v, text, sizeof text);
    describe(&job->first, fault, sizeof fault);
    pd_status status = PD_RAISE(
        err, PD_ERR_DIFFERS, "%s; the first: %s %s, %s%s%s: %s", text, job->first.test.type,
        job->first.test.shape, cli_precision_name(job->first.test.precision),
        job->first.test.disabled[0] ? ", without " : "", job->first.test.disabled, fault);
    if (!v->avoided_by[0]) return status;
    return pd_error_hint(err, status, "PERIDOT_DISABLE=%s avoids it", v->avoided_by);
}

pd_status cli_test_device(const cli_options *o, const pd_device_info *d, cJSON *json,
                          pd_error *err) {
    test_job job = {0};
    pd_device_verdict v;
    char text[256];
    if (json) job.tests = cJSON_AddArrayToObject(json, "tests");
    cli_interrupt_install();
    const pd_device_test_desc desc = {.device = d->id,
                                      .n_threads = cli_u32(o, OPT_THREADS),
                                      .types = cli_text(o, OPT_TEST_TYPES),
                                      .fn = on_test,
                                      .goes_on = goes_on,
                                      .ctx = &job};
    PD_TRY(pd_device_run_tests(&desc, &v, err));
    verdict_text(&v, text, sizeof text);
    if (json) {
        CLI_ADD_TEXTS(json, {"verdict", text}, {"avoided_by", v.avoided_by});
        CLI_ADD_NUMBERS(json, {"tests_failed", v.n_failed}, {"test_seconds", (double)v.ns / 1e9});
        cJSON_AddBoolToObject(json, "kept", v.is_kept);
    } else {
        print_verdict(&v);
    }
    return job.has_failed ? raise_differs(&job, &v, err) : PD_OK;
}
