/* How answers are drawn, what they may be, and where they end, by the options.
 * SPDX-License-Identifier: MIT */
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "cli/commands.h"
#include "cli/json.h"
#include "sample/biases.h"

void cli_sampling_take(const cli_options *o, pd_sampler_desc *desc) {
    pd_sampler_desc d = cli_sampler(o);
    d.logit_bias = desc->logit_bias;
    d.n_logit_bias = desc->n_logit_bias;
    d.grammar = desc->grammar;
    *desc = d;
}

/* ---- grammars ------------------------------------------------------------------------------- */

typedef struct grammar_option {
    cli_option_id option;
    pd_grammar_kind kind;
    bool is_file;
} grammar_option;

static const grammar_option grammar_options[] = {
    {OPT_JSON_SCHEMA, PD_GRAMMAR_JSON_SCHEMA, false},
    {OPT_JSON_SCHEMA_FILE, PD_GRAMMAR_JSON_SCHEMA, true},
    {OPT_GRAMMAR, PD_GRAMMAR_GBNF, false},
    {OPT_GRAMMAR_FILE, PD_GRAMMAR_GBNF, true},
    {OPT_REGEX, PD_GRAMMAR_REGEX, false},
    {OPT_CHOICE, PD_GRAMMAR_CHOICES, false},
};
enum {
    N_GRAMMAR_OPTIONS = sizeof grammar_options / sizeof *grammar_options,
    MAX_GRAMMAR = 1 << 24
};

static pd_status find_grammar(const cli_options *o, const grammar_option **out, pd_error *err) {
    *out = NULL;
    for (size_t i = 0; i < N_GRAMMAR_OPTIONS; i++) {
        const grammar_option *each = &grammar_options[i];
        if (!cli_given(o, each->option)) continue;
        if (*out)
            return PD_RAISE(
                err, PD_ERR_ARGUMENT,
                "an answer can follow one only of --json-schema, --grammar, --regex and --choice");
        *out = each;
    }
    return PD_OK;
}

/* The choices as a JSON list. */
static char *choices_text(const cli_value *v) {
    cJSON *list = cJSON_CreateStringArray(v->texts, (int)v->given);
    char *text = cJSON_PrintUnformatted(list), *copy = text ? pd_strdup(text) : NULL;
    cJSON_free(text);
    cJSON_Delete(list);
    return copy;
}

static pd_status read_grammar(const cli_options *o, cli_sampling *out, pd_error *err) {
    const grammar_option *found;
    PD_TRY(find_grammar(o, &found, err));
    if (!found) return PD_OK;
    out->grammar_kind = found->kind;
    const char *text = found->kind == PD_GRAMMAR_CHOICES ? NULL : cli_text(o, found->option);
    if (found->is_file)
        return pd_file_read_all(text, MAX_GRAMMAR, &out->grammar_text, &out->n_grammar_text, err);
    out->grammar_text = text ? pd_strdup(text) : choices_text(&o->values[found->option]);
    if (!out->grammar_text)
        return PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory for a grammar");
    out->n_grammar_text = strlen(out->grammar_text);
    return PD_OK;
}

pd_status cli_sampling_read(const cli_options *o, cli_sampling *out, pd_error *err) {
    *out = (cli_sampling){.desc = cli_sampler(o)};
    const char *biases = cli_text(o, OPT_LOGIT_BIAS);
    PD_TRY(read_grammar(o, out, err));
    if (!biases) return PD_OK;
    PD_TRY(pd_biases_parse("--logit-bias", biases, &out->biases, &out->desc.n_logit_bias, err));
    out->desc.logit_bias = out->biases;
    return PD_OK;
}

pd_status cli_sampling_bind(cli_sampling *s, pd_model *model, pd_error *err) {
    PD_TRY(pd_biases_check("--logit-bias", s->biases, s->desc.n_logit_bias,
                           pd_model_get_info(model)->n_vocab, err));
    if (!s->grammar_text) return PD_OK;
    PD_TRY(pd_grammar_create(model, s->grammar_kind, s->grammar_text, s->n_grammar_text,
                             &s->grammar, err));
    s->desc.grammar = s->grammar;
    return PD_OK;
}

void cli_sampling_free(cli_sampling *s) {
    pd_grammar_destroy(s->grammar);
    pd_free(s->grammar_text);
    pd_free(s->biases);
    *s = (cli_sampling){0};
}

pd_status cli_stop_create(const cli_options *o, pd_stop **out, pd_error *err) {
    const cli_value *v = &o->values[OPT_STOP];
    return pd_stop_create(v->texts, v->given, out, err);
}
