/* How answers are drawn and where they end, by the options.  SPDX-License-Identifier: MIT */
#include "cli/commands.h"
#include "sample/biases.h"

void cli_sampling_take(const cli_options *o, pd_sampler_desc *desc) {
    pd_sampler_desc d = cli_sampler(o);
    d.logit_bias = desc->logit_bias;
    d.n_logit_bias = desc->n_logit_bias;
    *desc = d;
}

pd_status cli_sampling_read(const cli_options *o, cli_sampling *out, pd_error *err) {
    *out = (cli_sampling){.desc = cli_sampler(o)};
    const char *biases = cli_text(o, OPT_LOGIT_BIAS);
    if (!biases) return PD_OK;
    PD_TRY(pd_biases_parse("--logit-bias", biases, &out->biases, &out->desc.n_logit_bias, err));
    out->desc.logit_bias = out->biases;
    return PD_OK;
}

pd_status cli_sampling_check(const cli_sampling *s, const pd_model *model, pd_error *err) {
    return pd_biases_check("--logit-bias", s->biases, s->desc.n_logit_bias,
                           pd_model_get_info(model)->n_vocab, err);
}

void cli_sampling_free(cli_sampling *s) {
    pd_free(s->biases);
    *s = (cli_sampling){0};
}

pd_status cli_stop_create(const cli_options *o, pd_stop **out, pd_error *err) {
    const cli_value *v = &o->values[OPT_STOP];
    return pd_stop_create(v->texts, v->given, out, err);
}
