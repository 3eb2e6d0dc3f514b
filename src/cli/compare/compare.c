/* `peridot compare`: does a device compute the right thing, on the user's own model and prompt?
 *
 * The reference's model stays open; the devices' are opened one after the other, so that no more
 * than two are in memory. A device that fails ends its own part, and the report has what was done.
 *
 * SPDX-License-Identifier: MIT
 */
#include "cli/compare/compare.h"

#include <string.h>

#include "base/clock.h"
#include "measure/devices.h"

/* ---- devices -------------------------------------------------------------------------------- */

static pd_status add_device(compare_job *job, const char *name, size_t n, pd_error *err) {
    if (job->n_devices == COMPARE_MAX_DEVICES)
        return PD_RAISE(err, PD_ERR_ARGUMENT, "at most %d devices can be compared at once",
                        COMPARE_MAX_DEVICES);
    snprintf(job->devices[job->n_devices++].wish, sizeof job->devices->wish, "%.*s", (int)n, name);
    return PD_OK;
}

/* Every GPU that can be used, and the processor. */
static pd_status add_usual_devices(compare_job *job, pd_error *err) {
    enum { MAX_LISTED = 64 };
    pd_device_info *list = pd_alloc(MAX_LISTED, sizeof *list);
    if (!list) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory to list devices");
    uint32_t n = 0;
    pd_status status = pd_device_list(list, MAX_LISTED, &n, NULL, err);
    for (uint32_t i = 0; i < n && i < MAX_LISTED && status == PD_OK; i++) {
        bool is_gpu = list[i].usable && !pd_device_is_cpu(&list[i]);
        if (is_gpu && list[i].kind != PD_DEVICE_SOFTWARE)
            status = add_device(job, list[i].id, strlen(list[i].id), err);
    }
    pd_free(list);
    return status == PD_OK ? add_device(job, "cpu", 3, err) : status;
}

static pd_status choose_devices(compare_job *job, pd_error *err) {
    const char *list = cli_text(job->o, OPT_COMPARE_DEVICES), *word;
    size_t n;
    snprintf(job->reference.wish, sizeof job->reference.wish, "%s",
             cli_text(job->o, OPT_REFERENCE));
    if (!list) return add_usual_devices(job, err);
    while ((word = pd_next_word(&list, &n))) PD_TRY(add_device(job, word, n, err));
    if (job->n_devices > 0) return PD_OK;
    return PD_RAISE(err, PD_ERR_ARGUMENT, "--devices names none");
}

/* ---- opening -------------------------------------------------------------------------------- */

static pd_session_desc session_desc(const compare_job *job) {
    return cli_session(job->o, job->job.n_prompt + job->job.n_tokens + 1);
}

static pd_status open_side(compare_job *job, compare_device *d, pd_compare_side *side,
                           pd_error *err) {
    uint64_t t0 = pd_clock_ns();
    PD_TRY(cli_open_on(job->o, d->wish, NULL, &side->model, err));
    d->load_ns = pd_clock_ns() - t0;
    d->info = *pd_model_get_device(side->model);
    return PD_OK;
}

/* A pd_prompt_progress_fn. What comes behind a prompt has a progress of its own. */
static bool on_prompt(void *ctx, uint32_t n_done, uint32_t n_total) {
    compare_job *job = ctx;
    if (strncmp(job->label, "prompt", 6) != 0) return !cli_interrupted();
    return cli_progress_update_tokens(&job->progress, n_done, n_total);
}

static pd_status make_session(compare_job *job, pd_compare_side *side, pd_error *err) {
    pd_session_desc desc = session_desc(job);
    desc.progress = on_prompt;
    desc.progress_ctx = job;
    return pd_session_create(side->model, &desc, &side->session, err);
}

static void close_side(pd_compare_side *side) {
    cli_interrupt_watch(NULL, NULL);
    pd_session_destroy(side->session);
    pd_model_close(side->model);
    side->session = NULL;
    side->model = NULL;
}

static pd_status encode_prompt(compare_job *job, pd_error *err) {
    const pd_model *model = job->reference.result.side.model;
    uint32_t n_train = pd_model_get_info(model)->n_ctx_train;
    PD_TRY(cli_prompt_encode(job->o, model, &job->prompt, err));
    job->job.prompt = cli_prompt_view(&job->prompt);
    uint64_t n = pd_prompt_count(model, &job->job.prompt);
    if (n + job->job.n_tokens + 1 > n_train)
        return PD_RAISE(err, PD_ERR_CONTEXT,
                        "prompt and answer have %llu tokens, but the model handles %u",
                        (unsigned long long)n + job->job.n_tokens, n_train);
    PD_TRY(compare_check_depths(job, n_train, err));
    job->job.n_prompt = (uint32_t)n;
    job->job.has_image = job->job.prompt.n_images > 0;
    return PD_OK;
}

/* ---- comparing ------------------------------------------------------------------------------ */

static bool on_progress(void *ctx, const char *what, uint32_t n_done, uint32_t n_total) {
    compare_job *job = ctx;
    if (strcmp(job->label, what) != 0) {
        cli_progress_end(&job->progress);
        snprintf(job->label, sizeof job->label, "%s", what);
        cli_progress_begin(&job->progress, job->label);
    }
    return cli_progress_update_tokens(&job->progress, n_done, n_total);
}

static pd_status run_reference(compare_job *job, pd_error *err) {
    compare_device *r = &job->reference;
    job->job.reference = &r->result.side;
    PD_TRY(open_side(job, r, &r->result.side, err));
    PD_TRY(encode_prompt(job, err));
    PD_TRY(make_session(job, &r->result.side, err));
    cli_interrupt_watch(r->result.side.session, NULL);
    pd_status status = pd_compare_begin(&job->job, err);
    cli_progress_end(&job->progress);
    r->peak_bytes = pd_session_get_stats(r->result.side.session)->device_peak_bytes;
    return status;
}

static pd_status run_device(compare_job *job, compare_device *d, pd_error *err) {
    PD_TRY(open_side(job, d, &d->result.side, err));
    PD_TRY(make_session(job, &d->result.side, err));
    cli_interrupt_watch(d->result.side.session, job->job.reference->session);
    pd_status status = pd_compare_device(&job->job, &d->result, err);
    cli_progress_end(&job->progress);
    d->peak_bytes = pd_session_get_stats(d->result.side.session)->device_peak_bytes;
    PD_TRY(status);
    pd_error unused; /* without its speed the device is compared all the same */
    if (pd_model_measure(d->result.side.model, &d->speed, &unused) != PD_OK)
        d->speed = (pd_device_speed){0};
    cli_interrupt_watch(NULL, NULL);
    pd_session_destroy(d->result.side.session); /* others need its memory */
    d->result.side.session = NULL;
    return compare_time_depths(job, d, err);
}

/* A device's failure is part of the report, and so is the user's Ctrl-C, which ends the list. */
static void run_devices(compare_job *job) {
    for (uint32_t i = 0; i < job->n_devices; i++) {
        compare_device *d = &job->devices[i];
        pd_status status = run_device(job, d, &d->failure);
        d->summary = pd_compare_summarise(&d->result.forced, job->job.precision);
        close_side(&d->result.side);
        if (status == PD_ERR_CANCELLED) job->n_devices = i + 1;
    }
}

/* ---- the verdict ---------------------------------------------------------------------------- */

bool compare_holds(const compare_device *d) {
    return !pd_compare_first_fault(&d->result.ops) && d->summary.error <= d->summary.error_bound &&
           !d->result.has_wrong_draw;
}

void compare_verdict(const compare_job *job, const compare_device *d, char *out, size_t size) {
    const pd_compare_op *fault = pd_compare_first_fault(&d->result.ops);
    const char *name = d->info.id[0] ? d->info.id : d->wish;
    if (fault)
        snprintf(out, size,
                 "%s computes something else than %s: the first operation beyond its bound is "
                 "%s%s (%s), off by %.1e where %.1e may be",
                 name, job->reference.info.id, fault->is_image ? "the image encoder's " : "",
                 fault->name, fault->part, fault->deviation.row_nmse, fault->bound);
    else if (d->result.has_wrong_draw)
        snprintf(out, size,
                 "%s draws something else than its own logits say: token %u of its drawn answer is "
                 "%u, but the host draws %u",
                 name, d->result.n_draws, d->result.side.drawn.ids[d->result.n_draws - 1],
                 d->result.right_draw);
    else if (!compare_holds(d))
        snprintf(
            out, size,
            "every operation of %s is within its bounds by itself, but its logits are not: off "
            "by %.1e where %.1e may be",
            name, d->summary.error, d->summary.error_bound);
    else if (d->failure.status != PD_OK)
        snprintf(out, size, "%s was not compared to the end: %.300s", name, d->failure.message);
    else
        snprintf(out, size, "%s computes what %s computes, within the bounds of %s", name,
                 job->reference.info.id, cli_precision_name(job->job.precision));
}

/* The worst that was found: something else than it should be, before a failure. */
static pd_status judge(const compare_job *job, pd_error *err) {
    char text[512];
    for (uint32_t i = 0; i < job->n_devices; i++) {
        if (compare_holds(&job->devices[i])) continue;
        compare_verdict(job, &job->devices[i], text, sizeof text);
        return PD_RAISE(err, PD_ERR_DIFFERS, "%s", text);
    }
    for (uint32_t i = 0; i < job->n_devices; i++)
        if (job->devices[i].failure.status != PD_OK)
            return pd_error_again(err, &job->devices[i].failure);
    return PD_OK;
}

/* ---- the command ---------------------------------------------------------------------------- */

static pd_status report(const compare_job *job, pd_error *err) {
    if (cli_given(job->o, OPT_JSON))
        PD_TRY(compare_print_json(job, err));
    else
        compare_print(job);
    return cli_check_stdout(err);
}

static void take_options(compare_job *job) {
    const cli_options *o = job->o;
    job->job.n_tokens = cli_u32(o, OPT_COMPARE_N);
    job->job.n_checked = cli_u32(o, OPT_COMPARE_STEPS);
    job->job.precision = cli_precision(o, OPT_PRECISION, PD_PRECISION_F16);
    job->job.drawing = (pd_sampler_desc){
        .temp = 1, .top_k = 64, .top_p = 0.95f, .seed = (uint64_t)cli_int(o, OPT_COMPARE_SEED)};
    job->job.progress = on_progress;
    job->job.progress_ctx = job;
}

/* A pd_file_write_fn: the page, if there is to be one, is opened before the long work. */
static pd_status run_all(void *ctx, pd_file_writer *writer, pd_error *err) {
    compare_job *job = ctx;
    PD_TRY(run_reference(job, err));
    run_devices(job);
    job->is_done = true;
    return compare_write_page(job, writer, err);
}

/* A page that could not be written takes nothing from the report. */
static pd_status compare_all(compare_job *job, pd_error *err) {
    pd_error failure = {0};
    take_options(job);
    PD_TRY(choose_devices(job, err));
    PD_TRY(compare_read_depths(job, err));
    PD_TRY(cli_prompt_read(job->o, &job->prompt, err));
    (void)cli_write_output(job->o, OPT_COMPARE_HTML, run_all, job, &failure);
    if (job->is_done) PD_TRY(report(job, err));
    PD_TRY(pd_error_again(err, &failure));
    return judge(job, err);
}

pd_status cli_compare(const cli_options *o, pd_error *err) {
    compare_job *job = pd_alloc(1, sizeof *job);
    if (!job) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory for a comparison");
    job->o = o;
    pd_status status = compare_all(job, err);
    for (uint32_t i = 0; i < job->n_devices; i++) {
        close_side(&job->devices[i].result.side);
        pd_compare_result_free(&job->devices[i].result);
        pd_free(job->devices[i].depths);
    }
    pd_free(job->depths.values);
    if (job->job.reference) pd_compare_end(&job->job);
    close_side(&job->reference.result.side);
    cli_prompt_free(&job->prompt);
    pd_free(job);
    return status;
}
