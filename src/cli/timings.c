/* The block of figures at the end of a run. Speeds are by the clock on the wall: the prompt's until
 * the first token is drawn, generation's from there on, so that nothing is left out of them.
 *
 * SPDX-License-Identifier: MIT
 */
#include <inttypes.h>

#include "cli/run.h"

static double ms(uint64_t ns) {
    return (double)ns / 1e6;
}

static double per_second(uint64_t n, uint64_t ns) {
    return ns ? (double)n * 1e9 / (double)ns : 0;
}

static void print_load(const run_job *job, const pd_session_stats *stats) {
    const pd_load_stats *load = pd_model_get_load_stats(job->model);
    const pd_build_stats *build = &stats->build;
    uint64_t prompt_ns = job->prompt_ns - job->start_ns, token_ns = job->first_ns - job->prompt_ns;
    fprintf(stderr, "start      %.1f ms to the first token: read %.1f, device %.1f, ",
            ms(load->total_ns + stats->compile_ns + prompt_ns + token_ns), ms(load->read_ns),
            ms(load->device_ns));
    if (load->head_ns) fprintf(stderr, "head %.1f, ", ms(load->head_ns));
    fprintf(stderr, "upload %.1f, pipelines %.1f, prompt %.1f, first token %.1f\n",
            ms(load->upload_ns), ms(stats->compile_ns), ms(prompt_ns), ms(token_ns));
    if (build->n_pipelines)
        fprintf(
            stderr,
            "pipelines  %u built in %.1f ms, %u shaders compiled in %.1f ms (threads' time, from "
            "the upload's beginning)\n",
            build->n_pipelines, ms(build->pipeline_ns), build->n_shaders, ms(build->shader_ns));
}

static void print_images(const run_job *job) {
    const pd_vision_stats *s = pd_model_get_vision_stats(job->model);
    if (s->n_encoded == 0) return;
    fprintf(stderr,
            "images     %u of %u rows encoded in %.1f ms, %u known; program made in %.1f ms\n",
            s->n_encoded, pd_model_get_vision(job->model)->n_tokens, ms(s->encode_ns), s->n_cached,
            ms(s->compile_ns));
}

/* The prompt's time without that of its images. */
static void print_speeds(const run_job *job) {
    const pd_vision_stats *images = pd_model_get_vision_stats(job->model);
    uint64_t prompt_ns = job->first_ns - job->start_ns - images->encode_ns - images->compile_ns;
    size_t n_prompt = job->n_prompt;
    if (job->n_generated == 0) n_prompt = pd_session_count(job->session); /* stopped within it */
    fprintf(stderr, "prompt     %zu token%s, %.2f tok/s, first token after %.1f ms\n", n_prompt,
            n_prompt == 1 ? "" : "s", per_second(n_prompt, prompt_ns), ms(prompt_ns));
    fprintf(stderr, "generated  %" PRIu64 " token%s", job->n_generated,
            job->n_generated == 1 ? "" : "s");
    if (job->n_generated > 1) {
        double speed = per_second(job->n_generated - 1, job->last_ns - job->first_ns);
        double bytes = (double)pd_model_get_info(job->model)->weight_bytes_per_token;
        fprintf(stderr, ", %.2f tok/s, %.2f GB/s of weights read", speed, speed * bytes / 1e9);
    }
    fprintf(stderr, "\n");
}

/* Last, since it computes positions again. The answer is out already: a failure is only told. */
static void print_head_cost(const run_job *job) {
    pd_error err;
    if (cli_interrupted()) return;
    if (cli_print_head_cost(job->o, job->session, job->model, &err) != PD_OK)
        fprintf(stderr, "head       not compared: %s\n", err.message);
}

static void print_sampler(const pd_sampler_desc *d) {
    if (d->temp <= 0) {
        fprintf(stderr, "sampler    greedy\n");
        return;
    }
    fprintf(stderr, "sampler    temp %g, top-k %u, top-p %g, min-p %g, seed %" PRIu64 "\n",
            (double)d->temp, d->top_k, (double)d->top_p, (double)d->min_p, d->seed);
}

void run_print_timings(const run_job *job) {
    /* A hash of the last logits lets two builds or devices be compared by eye. */
    const float *logits;
    pd_session_resume(job->session);
    bool has_logits = pd_session_logits(job->session, &logits, NULL) == PD_OK;
    const pd_session_stats *stats = pd_session_get_stats(job->session);
    const pd_device_info *device = pd_model_get_device(job->model);
    char peak[32];
    fflush(stdout);
    fprintf(stderr, "\n");
    print_load(job, stats);
    print_images(job);
    print_speeds(job);
    fprintf(stderr, "device     %s: %s, precision %s, peak memory %s\n", device->id, device->name,
            cli_precision_name(job->precision), pd_size_text(stats->device_peak_bytes, peak));
    print_sampler(&job->sampler.desc);
    if (has_logits) fprintf(stderr, "logits     hash %016" PRIx64 "\n", stats->logits_hash);
    print_head_cost(job);
}
