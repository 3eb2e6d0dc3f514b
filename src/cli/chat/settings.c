/* /set: how answers are drawn, by the names and within the ranges of the flags.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "cli/chat/chat.h"

/* The first name is the flag's without its dashes. */
static const struct {
    cli_option_id option;
    const char *others[2];
} settings[] = {
    {OPT_TEMP, {"temperature"}},
    {OPT_TOP_K, {NULL}},
    {OPT_TOP_P, {NULL}},
    {OPT_MIN_P, {NULL}},
    {OPT_SEED, {NULL}},
    {OPT_REPEAT_PENALTY, {NULL}},
    {OPT_REPEAT_LAST_N, {NULL}},
    {OPT_PRESENCE_PENALTY, {NULL}},
    {OPT_FREQUENCY_PENALTY, {NULL}},
    {OPT_PREDICT, {"n", "max-tokens"}},
};
enum { N_SETTINGS = sizeof settings / sizeof *settings };

const char *chat_setting_name(size_t i) {
    return i < N_SETTINGS ? cli_option_get(settings[i].option)->name + 2 : NULL;
}

/* top_k is top-k */
static bool is_name(const char *word, const char *name) {
    for (; name && *word && *name; word++, name++)
        if ((*word == '_' ? '-' : *word) != *name) return false;
    return name && !*word && !*name;
}

static pd_status find(const char *word, size_t *out, pd_error *err) {
    uint32_t best = 3;
    const char *nearest = NULL;
    for (*out = 0; *out < N_SETTINGS; ++*out) {
        const char *name = chat_setting_name(*out);
        if (is_name(word, name)) return PD_OK;
        for (int k = 0; k < 2; k++)
            if (is_name(word, settings[*out].others[k])) return PD_OK;
        uint32_t distance = pd_word_distance(word, name);
        if (distance < best) {
            best = distance;
            nearest = name;
        }
    }
    pd_status status = PD_RAISE(err, PD_ERR_ARGUMENT, "there is no setting \"%s\"", word);
    return nearest ? pd_error_hint(err, status, "did you mean %s?", nearest)
                   : pd_error_hint(err, status, "/set lists them");
}

/* ---- values --------------------------------------------------------------------------------- */

double chat_setting_get(const chat_job *job, size_t i) {
    cli_option_id id = settings[i].option;
    if (id == OPT_SEED) return (double)job->sampler.desc.seed; /* also the one that nobody chose */
    const cli_value *v = &job->options.values[id];
    return cli_option_get(id)->kind == KIND_INT ? (double)v->integer : v->real;
}

/* The sampler takes what the options say now; a new seed begins its draws anew. */
static pd_status apply(chat_job *job, cli_option_id id, const cli_value *value, pd_error *err) {
    cli_value *v = &job->options.values[id], old = *v;
    v->integer = value->integer;
    v->real = value->real;
    pd_sampler_desc desc = job->sampler.desc;
    cli_sampling_take(&job->options, &desc);
    if (id != OPT_SEED) desc.seed = job->sampler.desc.seed;
    pd_sampler sampler;
    pd_status status = pd_sampler_init(&sampler, &desc, err);
    if (status != PD_OK) {
        *v = old;
        return status;
    }
    if (id != OPT_SEED) sampler.n_drawn = job->sampler.n_drawn;
    job->sampler = sampler;
    return PD_OK;
}

pd_status chat_setting_put(chat_job *job, size_t i, double value, pd_error *err) {
    const cli_option *opt = cli_option_get(settings[i].option);
    bool whole = opt->kind == KIND_INT;
    if (!(value >= opt->min && value <= opt->max) || (whole && value != floor(value)))
        return PD_RAISE(err, PD_ERR_ARGUMENT, "%s must be a %snumber from %.0f to %.0f",
                        chat_setting_name(i), whole ? "whole " : "", opt->min, opt->max);
    cli_value v = {.integer = whole ? (int64_t)value : 0, .real = value};
    return apply(job, settings[i].option, &v, err);
}

/* ---- the command ---------------------------------------------------------------------------- */

static void print(const chat_job *job, size_t i) {
    fprintf(stderr, "%-18s %.10g\n", chat_setting_name(i), chat_setting_get(job, i));
}

pd_status chat_set(chat_job *job, char *words, pd_error *err) {
    char *name = strtok_r(words, " \t=", &words), *value = strtok_r(NULL, " \t", &words);
    size_t i;
    if (!name) {
        for (i = 0; i < N_SETTINGS; i++) print(job, i);
        return PD_OK;
    }
    PD_TRY(find(name, &i, err));
    if (value) {
        cli_value v = {0};
        if (strtok_r(NULL, " \t", &words))
            return PD_RAISE(err, PD_ERR_ARGUMENT, "/set takes a name and one value");
        PD_TRY(cli_option_number(cli_option_get(settings[i].option), chat_setting_name(i), value,
                                 &v, err));
        PD_TRY(apply(job, settings[i].option, &v, err));
    }
    print(job, i);
    return PD_OK;
}
