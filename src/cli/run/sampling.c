/* How `run` draws and where it ends, by the options.  SPDX-License-Identifier: MIT */
#include "base/clock.h"
#include "cli/run/run.h"
#include "sample/biases.h"

/* A seed that nobody chose: from the system, else from the clock. */
static uint64_t new_seed(void) {
    uint32_t seed = 0;
    FILE *f = fopen("/dev/urandom", "rbe");
    bool good = f && fread(&seed, sizeof seed, 1, f) == 1;
    if (f) fclose(f);
    return good ? seed : (uint32_t)pd_clock_ns();
}

/* The window's -1 and 0 as in llama.cpp; to a sampler 0 is the default. Penalties that do nothing
 * become 0. */
static void take_window(const cli_options *o, pd_sampler_desc *desc) {
    int64_t last_n = cli_int(o, OPT_REPEAT_LAST_N);
    desc->repeat_last_n = last_n < 0 ? UINT32_MAX : (uint32_t)last_n;
    if (desc->repeat_penalty == 1) desc->repeat_penalty = 0;
    if (last_n == 0) desc->repeat_penalty = desc->presence_penalty = desc->frequency_penalty = 0;
}

pd_status run_init_sampler(run_job *job, pd_error *err) {
    const cli_options *o = job->o;
    int64_t seed = cli_int(o, OPT_SEED);
    pd_sampler_desc desc = {.seed = seed < 0 ? new_seed() : (uint64_t)seed};
    if (cli_given(o, OPT_LOG_PROBS) && !cli_given(o, OPT_JSON))
        return PD_RAISE(err, PD_ERR_ARGUMENT, "--logprobs needs --json");
#define TAKE_SETTING(option, field) desc.field = (__typeof__(desc.field))cli_real(o, OPT_##option);
    CLI_SAMPLER_LIST(TAKE_SETTING)
    CLI_PENALTY_LIST(TAKE_SETTING)
#undef TAKE_SETTING
    take_window(o, &desc);
    const char *biases = cli_text(o, OPT_LOGIT_BIAS);
    if (biases)
        PD_TRY(pd_biases_parse("--logit-bias", biases, &job->biases, &desc.n_logit_bias, err));
    desc.logit_bias = job->biases;
    return pd_sampler_init(&job->sampler, &desc, err);
}

pd_status run_check_biases(const run_job *job, pd_error *err) {
    return pd_biases_check("--logit-bias", job->biases, job->sampler.desc.n_logit_bias,
                           pd_model_get_info(job->model)->n_vocab, err);
}

pd_status run_create_stop(run_job *job, pd_error *err) {
    const cli_value *v = &job->o->values[OPT_STOP];
    return pd_stop_create(v->texts, v->given, &job->stop, err);
}
