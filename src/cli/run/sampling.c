/* How `run` draws and where it ends, by the options.  SPDX-License-Identifier: MIT */
#include "cli/run/run.h"
#include "sample/biases.h"

pd_status run_init_sampler(run_job *job, pd_error *err) {
    const cli_options *o = job->o;
    pd_sampler_desc desc = cli_sampler(o);
    if (cli_given(o, OPT_LOG_PROBS) && !cli_given(o, OPT_JSON))
        return PD_RAISE(err, PD_ERR_ARGUMENT, "--logprobs needs --json");
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
