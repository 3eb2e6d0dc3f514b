/* How `run` draws and where it ends, by the options.  SPDX-License-Identifier: MIT */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "cli/run/run.h"

/* ---- bias ----------------------------------------------------------------------------------- */

/* "15043+1", "15043-inf": moves *at behind it. */
static bool read_bias(const char **at, pd_logit_bias *out) {
    char *end;
    if (!isdigit((unsigned char)**at)) return false;
    errno = 0;
    unsigned long long id = strtoull(*at, &end, 10);
    if (errno || id > UINT32_MAX || (*end != '+' && *end != '-')) return false;
    *at = end;
    *out = (pd_logit_bias){(uint32_t)id, strtof(*at, &end)};
    bool good = end != *at && (*end == ',' || *end == '\0');
    *at = end;
    return good;
}

static pd_status read_biases(run_job *job, pd_sampler_desc *desc, pd_error *err) {
    const char *text = cli_text(job->o, OPT_LOGIT_BIAS);
    if (!text) return PD_OK;
    job->biases = pd_alloc(strlen(text) + 1, sizeof *job->biases);
    if (!job->biases) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for the biases");
    desc->logit_bias = job->biases;
    for (const char *at = text, *end;; at = end + 1) {
        end = at;
        if (!read_bias(&end, &job->biases[desc->n_logit_bias++]))
            return PD_RAISE(err, PD_ERR_ARGUMENT,
                            "--logit-bias takes an id and a bias as in 15043+1, but \"%.*s\" is "
                            "none",
                            (int)strcspn(at, ","), at);
        if (!*end) return PD_OK;
    }
}

pd_status run_check_biases(const run_job *job, pd_error *err) {
    const pd_sampler_desc *d = &job->sampler.desc;
    uint32_t n_vocab = pd_model_get_info(job->model)->n_vocab;
    for (size_t i = 0; i < d->n_logit_bias; i++)
        if (d->logit_bias[i].id >= n_vocab)
            return PD_RAISE(err, PD_ERR_ARGUMENT,
                            "--logit-bias is for token %u, but the model's vocabulary has %u",
                            d->logit_bias[i].id, n_vocab);
    return PD_OK;
}

/* ---- sampler -------------------------------------------------------------------------------- */

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
    PD_TRY(read_biases(job, &desc, err));
    return pd_sampler_init(&job->sampler, &desc, err);
}

pd_status run_create_stop(run_job *job, pd_error *err) {
    const cli_value *v = &job->o->values[OPT_STOP];
    return pd_stop_create(v->texts, v->given, &job->stop, err);
}
