/* How answers are drawn and where they end, by the options.  SPDX-License-Identifier: MIT */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "cli/commands.h"

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

static pd_status read_biases(const char *text, cli_sampling *out, pd_error *err) {
    if (!text) return PD_OK;
    out->biases = pd_alloc(strlen(text) + 1, sizeof *out->biases);
    if (!out->biases) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for the biases");
    out->desc.logit_bias = out->biases;
    for (const char *at = text, *end;; at = end + 1) {
        end = at;
        if (!read_bias(&end, &out->biases[out->desc.n_logit_bias++]))
            return PD_RAISE(err, PD_ERR_ARGUMENT,
                            "--logit-bias takes an id and a bias as in 15043+1, but \"%.*s\" is "
                            "none",
                            (int)strcspn(at, ","), at);
        if (!*end) return PD_OK;
    }
}

pd_status cli_sampling_check(const cli_sampling *s, const pd_model *model, pd_error *err) {
    const pd_sampler_desc *d = &s->desc;
    uint32_t n_vocab = pd_model_get_info(model)->n_vocab;
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

void cli_sampling_take(const cli_options *o, pd_sampler_desc *desc) {
    int64_t seed = cli_int(o, OPT_SEED);
    desc->seed = seed < 0 ? new_seed() : (uint64_t)seed;
#define TAKE_SETTING(option, field)                                                                \
    desc->field = (__typeof__(desc->field))cli_real(o, OPT_##option);
    CLI_SAMPLER_LIST(TAKE_SETTING)
    CLI_PENALTY_LIST(TAKE_SETTING)
#undef TAKE_SETTING
    take_window(o, desc);
}

pd_status cli_sampling_read(const cli_options *o, cli_sampling *out, pd_error *err) {
    *out = (cli_sampling){0};
    cli_sampling_take(o, &out->desc);
    pd_status status = read_biases(cli_text(o, OPT_LOGIT_BIAS), out, err);
    if (status != PD_OK) cli_sampling_free(out);
    return status;
}

void cli_sampling_free(cli_sampling *s) {
    pd_free(s->biases);
    *s = (cli_sampling){0};
}

pd_status cli_stop_create(const cli_options *o, pd_stop **out, pd_error *err) {
    const cli_value *v = &o->values[OPT_STOP];
    return pd_stop_create(v->texts, v->given, out, err);
}
