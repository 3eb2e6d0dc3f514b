/* The figures at the end of a run: a line of them on a terminal, all with --timings or -v.
 *
 * SPDX-License-Identifier: MIT
 */
#include <inttypes.h>

#include "base/terminal.h"
#include "cli/run/run.h"

static const char *plural(uint64_t n) {
    return n == 1 ? "" : "s";
}

static void print_load(const run_job *job, const pd_session_stats *stats) {
    const pd_build_stats *build = &stats->build;
    const pd_run_times *t = &job->times;
    const cli_start start = {.pipelines_ns = stats->compile_ns,
                             .prompt_ns = t->prompt_ns - t->start_ns,
                             .token_ns = t->first_ns - t->prompt_ns};
    fprintf(stderr, "start      ");
    cli_print_start(stderr, job->model, &start);
    if (build->n_pipelines)
        fprintf(
            stderr,
            "pipelines  %u built in %.1f ms, %u shaders compiled in %.1f ms (threads' time, from "
            "the upload's beginning)\n",
            build->n_pipelines, cli_ms(build->pipeline_ns), build->n_shaders,
            cli_ms(build->shader_ns));
}

static void print_images(const run_job *job) {
    const pd_vision_stats *s = pd_model_get_vision_stats(job->model);
    if (s->n_encoded == 0) return;
    fprintf(stderr,
            "images     %u of %u rows encoded in %.1f ms, %u known; program made in %.1f ms\n",
            s->n_encoded, pd_model_get_vision(job->model)->n_tokens, cli_ms(s->encode_ns),
            s->n_cached, cli_ms(s->compile_ns));
}

static void print_speeds(const run_job *job, const pd_run_figures *f) {
    fprintf(stderr,
            "prompt     %" PRIu64 " token%s, %.2f tok/s, first token after %.1f ms\n"
            "generated  %" PRIu64 " token%s",
            f->n_prompt, plural(f->n_prompt), f->prompt_speed, cli_ms(f->prompt_ns), f->n_generated,
            plural(f->n_generated));
    double bytes = (double)pd_model_get_info(job->model)->weight_bytes_per_token;
    if (f->generated_speed > 0)
        fprintf(stderr, ", %.2f tok/s, %.2f GB/s of weights read", f->generated_speed,
                f->generated_speed * bytes / 1e9);
    fprintf(stderr, "\n");
}

/* Last, since it computes positions again. The answer is out already: a failure is only told. */
static void print_head_cost(const run_job *job) {
    pd_error err;
    if (cli_interrupted()) return;
    if (cli_print_head_cost(job->o, job->session, job->model, &err) != PD_OK)
        fprintf(stderr, "head       not compared: %s\n", err.message);
}

static void print_penalties(const pd_sampler_desc *d) {
    bool any = false;
#define PRINT_PENALTY(option, field)                                                               \
    if (d->field != 0) {                                                                           \
        fprintf(stderr, "%s %g, ", cli_option_get(OPT_##option)->name + 2, (double)d->field);      \
        any = true;                                                                                \
    }
    CLI_PENALTY_LIST(PRINT_PENALTY)
#undef PRINT_PENALTY
    if (any && d->repeat_last_n == UINT32_MAX)
        fprintf(stderr, "over all tokens, ");
    else if (any)
        fprintf(stderr, "over %" PRIu32 " tokens, ", d->repeat_last_n);
    if (d->n_logit_bias) fprintf(stderr, "biases %zu, ", d->n_logit_bias);
}

static void print_sampler(const pd_sampler_desc *d) {
    fprintf(stderr, "sampler    ");
    print_penalties(d);
    if (d->temp <= 0) {
        fprintf(stderr, "greedy\n");
        return;
    }
#define PRINT_SETTING(option, field)                                                               \
    fprintf(stderr, "%s %g, ", cli_option_get(OPT_##option)->name + 2, (double)d->field);
    CLI_SAMPLER_LIST(PRINT_SETTING)
#undef PRINT_SETTING
    fprintf(stderr, "seed %" PRIu64 "\n", d->seed);
}

static void print_all(const run_job *job) {
    pd_run_figures f = pd_run_figures_of(&job->times, job->model, job->session);
    const pd_session_stats *stats = pd_session_get_stats(job->session);
    const pd_device_info *device = pd_model_get_device(job->model);
    char peak[32];
    fprintf(stderr, "\n");
    print_load(job, stats);
    print_images(job);
    print_speeds(job, &f);
    fprintf(stderr, "device     %s: %s, precision %s, peak memory %s\n", device->id, device->name,
            cli_precision_name(job->precision), pd_size_text(stats->device_peak_bytes, peak));
    print_sampler(&job->sampler.desc);
    if (f.has_logits) fprintf(stderr, "logits     hash %016" PRIx64 "\n", f.logits_hash);
    print_head_cost(job);
}

static void print_line(const run_job *job) {
    pd_run_figures f = pd_run_figures_of(&job->times, job->model, job->session);
    fprintf(stderr, "prompt %" PRIu64 " token%s at %.1f tok/s, answer %" PRIu64 " token%s",
            f.n_prompt, plural(f.n_prompt), f.prompt_speed, f.n_generated, plural(f.n_generated));
    if (f.generated_speed > 0) fprintf(stderr, " at %.1f tok/s", f.generated_speed);
    fprintf(stderr, "\n");
}

void run_print_timings(const run_job *job) {
    const cli_options *o = job->o;
    if (cli_given(o, OPT_QUIET)) return;
    fflush(stdout);
    if (cli_given(o, OPT_TIMINGS) || cli_given(o, OPT_VERBOSE))
        print_all(job);
    else if (pd_is_terminal(stderr))
        print_line(job);
}
