/* Reads arguments and environment into cli_options by the one table of option_table.h.
 *
 * Order: defaults, then environment, then flags; a later flag replaces an earlier one, except that
 * lists grow (which is why no list has an environment variable). "--name value" and "--name=value"
 * mean the same; so do "-n 4" and "-n4" where -n takes numbers, and "-v -v" and "-vv". What has no
 * flag in front, and all behind "--", is an argument where the command takes any. A value that is
 * itself the exact spelling of a flag is taken for a forgotten value; --name=--flag says that it
 * was meant.
 *
 * SPDX-License-Identifier: MIT
 */
#include "options/options.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/env.h"
#include "base/words.h"
#include "options/habits.h"

/* ---- values ------------------------------------------------------------------------------- */

pd_status cli_option_number(const cli_option *opt, const char *source, const char *text,
                            cli_value *v, pd_error *err) {
    bool whole = opt->kind == KIND_INT;
    char *end = NULL;
    errno = 0;
    long long integer = 0;
    double real = 0;
    if (whole) {
        integer = strtoll(text, &end, 10);
        real = (double)integer;
    } else {
        real = strtod(text, &end);
    }
    if (end == text || *end != '\0' || (!whole && !isfinite(real)))
        return PD_RAISE(err, PD_ERR_ARGUMENT, "%s takes a %s, but \"%s\" is none", source,
                        whole ? "whole number" : "number", text);
    if (errno == ERANGE || real < opt->min || real > opt->max)
        return PD_RAISE(err, PD_ERR_ARGUMENT, "%s must be from %.0f to %.0f, but is %s", source,
                        opt->min, opt->max, text);
    v->integer = integer;
    v->real = real;
    return PD_OK;
}

static bool choice_holds(const char *choices, const char *word) {
    size_t n = strlen(word);
    for (const char *at = choices; at; at = strchr(at, '|') ? strchr(at, '|') + 1 : NULL)
        if (n > 0 && strncmp(at, word, n) == 0 && (at[n] == '|' || at[n] == '\0')) return true;
    return false;
}

static pd_status append_list(cli_options *o, cli_value *v, const char *text, pd_error *err) {
    if (v->given) text = pd_arena_printf(&o->arena, "%s,%s", v->text, text);
    if (!text) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory for the arguments");
    v->text = text;
    return PD_OK;
}

static pd_status append_text(cli_options *o, cli_value *v, const char *text, pd_error *err) {
    const char **texts = pd_arena_alloc(&o->arena, v->given + 1, sizeof *texts);
    if (!texts) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory for the arguments");
    for (uint32_t i = 0; i < v->given; i++) texts[i] = v->texts[i];
    texts[v->given] = v->text = text;
    v->texts = texts;
    return PD_OK;
}

static pd_status set_value(cli_options *o, cli_option_id id, const char *source, const char *text,
                           pd_error *err) {
    const cli_option *opt = cli_option_get(id);
    cli_value *v = &o->values[id];
    switch (opt->kind) {
    case KIND_FLAG: break;
    case KIND_LIST: PD_TRY(append_list(o, v, text, err)); break;
    case KIND_FILES:
    case KIND_TEXTS: PD_TRY(append_text(o, v, text, err)); break;
    case KIND_STRING:
    case KIND_DEVICE:
    case KIND_FILE:
    case KIND_OUTPUT: v->text = text; break;
    case KIND_CHOICE:
        if (!choice_holds(opt->value, text))
            return PD_RAISE(err, PD_ERR_ARGUMENT, "%s must be one of %s, but is \"%s\"", source,
                            opt->value, text);
        v->text = text;
        break;
    case KIND_INT:
    case KIND_REAL:
        PD_TRY(cli_option_number(opt, source, text, v, err));
        v->text = text;
        break;
    }
    v->given++;
    return PD_OK;
}

/* ---- defaults and environment --------------------------------------------------------------- */

static pd_status set_default(cli_options *o, cli_option_id id, pd_error *err) {
    if (!cli_option_get(id)->fallback) return PD_OK;
    PD_TRY(set_value(o, id, cli_option_get(id)->name, cli_option_get(id)->fallback, err));
    o->values[id].given = 0;
    return PD_OK;
}

static pd_status set_from_environment(cli_options *o, cli_option_id id, pd_error *err) {
    const cli_option *opt = cli_option_get(id);
    const char *text = opt->env ? pd_env(opt->env) : NULL;
    if (!text || text[0] == '\0') return PD_OK;
    if (opt->kind == KIND_FLAG) {
        if (choice_holds("0|off|no|false", text)) return PD_OK;
        if (!choice_holds("1|on|yes|true", text))
            return PD_RAISE(err, PD_ERR_ARGUMENT, "%s must be 1 or 0, but is \"%s\"", opt->env,
                            text);
    }
    PD_TRY(set_value(o, id, opt->env, text, err));
    o->values[id].from_env = true;
    return PD_OK;
}

/* ---- flags ---------------------------------------------------------------------------------- */

static bool spelled(const cli_option *opt, const char *flag, size_t n) {
    return (strlen(opt->name) == n && memcmp(opt->name, flag, n) == 0) ||
           (opt->alias && strlen(opt->alias) == n && memcmp(opt->alias, flag, n) == 0);
}

static cli_option_id find_flag(uint32_t commands, const char *flag, size_t n) {
    const char *ours = cli_habit_name(flag, n);
    if (ours) return find_flag(commands, ours, strlen(ours));
    for (uint32_t i = 0; i < OPT_COUNT; i++)
        if ((cli_option_get(i)->commands & commands) && spelled(cli_option_get(i), flag, n))
            return (cli_option_id)i;
    return OPT_COUNT;
}

static pd_status raise_unknown(cli_command command, const char *flag, size_t n, pd_error *err) {
    const char *name = cli_command_name(command);
    cli_option_id other = find_flag(FOR_ALL, flag, n);
    if (other != OPT_COUNT) {
        pd_status status =
            PD_RAISE(err, PD_ERR_ARGUMENT, "%.*s is not a flag of %s", (int)n, flag, name);
        for (uint32_t c = 0; c < CLI_COMMAND_COUNT; c++)
            if (cli_option_get(other)->commands & 1u << c)
                return pd_error_hint(err, status, "it belongs to %s; see peridot %s --help",
                                     cli_command_name(c), name);
        return status;
    }
    pd_status status = PD_RAISE(err, PD_ERR_ARGUMENT, "unknown flag %.*s", (int)n, flag);
    char wanted[41];
    snprintf(wanted, sizeof wanted, "%.*s", (int)n, flag);
    uint32_t best = 1 + (uint32_t)n / 3;
    const char *nearest = NULL;
    for (uint32_t i = 0; i < OPT_COUNT; i++) {
        if (!(cli_option_get(i)->commands & 1u << command)) continue;
        uint32_t d = pd_word_distance(wanted, cli_option_get(i)->name);
        if (d <= best && (!nearest || d < best)) {
            best = d;
            nearest = cli_option_get(i)->name;
        }
    }
    if (nearest) return pd_error_hint(err, status, "did you mean %s?", nearest);
    return pd_error_hint(err, status, "peridot %s --help lists the flags", name);
}

static pd_status take_argument(cli_options *o, const char *text, pd_error *err) {
    cli_command command = o->command;
    if (o->n_args < cli_command_get(command)->n_args) {
        o->args[o->n_args++] = text;
        return PD_OK;
    }
    if (cli_command_get(command)->n_args > 0) {
        pd_status status =
            PD_RAISE(err, PD_ERR_ARGUMENT, "\"%s\" is one argument too many: %s takes at most %u",
                     text, cli_command_name(command), cli_command_get(command)->n_args);
        return pd_error_hint(err, status, "peridot %s --help says which",
                             cli_command_name(command));
    }
    pd_status status = PD_RAISE(err, PD_ERR_ARGUMENT, "\"%s\" is not a flag", text);
    if (1u << command & FOR_MODEL)
        return pd_error_hint(err, status, "a model is given with -m FILE%s",
                             1u << command & FOR_TEXT ? ", text with -p TEXT" : "");
    return status;
}

static pd_status pass_over(cli_options *o, int argc, char **argv, int *i, size_t n, pd_error *err) {
    int n_words = 0;
    if (1u << o->command & FOR_COMPUTE)
        PD_TRY(cli_habit_pass(o->command, argv[*i], *i + 1 < argc ? argv[*i + 1] : NULL, &n_words,
                              err));
    if (n_words == 0) return raise_unknown(o->command, argv[*i], n, err);
    if (o->n_passed < CLI_MAX_PASSED) o->passed_over[o->n_passed++] = argv[*i];
    *i += n_words - 1;
    return PD_OK;
}

/* "-n4": the flag of one letter that a number is stuck to; OPT_COUNT: none. */
static cli_option_id find_stuck(const cli_options *o, const char *flag) {
    bool stuck = isalpha((unsigned char)flag[1]) && isdigit((unsigned char)flag[2]);
    cli_option_id id = stuck ? find_flag(1u << o->command, flag, 2) : OPT_COUNT;
    if (id == OPT_COUNT) return id;
    cli_kind kind = cli_option_get(id)->kind;
    return kind == KIND_INT || kind == KIND_REAL || kind == KIND_LIST ? id : OPT_COUNT;
}

static bool is_verbose(const char *flag) {
    return flag[1] == 'v' && flag[2] == 'v' && flag[strspn(flag + 1, "v") + 1] == '\0';
}

/* A flag that the table does not have as it is spelled. */
static pd_status parse_unknown(cli_options *o, int argc, char **argv, int *i, size_t n,
                               pd_error *err) {
    const char *flag = argv[*i];
    cli_option_id stuck = find_stuck(o, flag);
    char source[3] = {flag[0], flag[1], '\0'};
    if (stuck != OPT_COUNT) {
        o->values[stuck].from_env = false;
        return set_value(o, stuck, source, flag + 2, err);
    }
    if (!is_verbose(flag)) return pass_over(o, argc, argv, i, n, err);
    o->values[OPT_VERBOSE].given += (uint32_t)strlen(flag + 1);
    return PD_OK;
}

/* Handles argv[*i], and the argument behind it when that is its value. */
static pd_status parse_flag(cli_options *o, int argc, char **argv, int *i, pd_error *err) {
    const char *flag = argv[*i];
    if (flag[0] != '-') return take_argument(o, flag, err);
    const char *equals = strchr(flag, '=');
    size_t n = equals ? (size_t)(equals - flag) : strlen(flag);
    cli_option_id id = find_flag(1u << o->command, flag, n);
    if (id == OPT_COUNT) return parse_unknown(o, argc, argv, i, n, err);
    char source[64];
    snprintf(source, sizeof source, "%.*s", (int)n, flag);
    if (cli_option_get(id)->kind == KIND_FLAG) {
        if (equals)
            return PD_RAISE(err, PD_ERR_ARGUMENT, "%s takes no value, but was given \"%s\"", source,
                            equals + 1);
        return set_value(o, id, source, NULL, err);
    }
    o->values[id].from_env = false;
    if (equals) return set_value(o, id, source, equals + 1, err);
    if (*i + 1 >= argc)
        return PD_RAISE(err, PD_ERR_ARGUMENT, "%s needs a value (%s)", source,
                        cli_option_get(id)->value);
    const char *value = argv[*i + 1];
    if (find_flag(1u << o->command, value, strlen(value)) != OPT_COUNT) {
        pd_status status =
            PD_RAISE(err, PD_ERR_ARGUMENT, "%s needs a value (%s), but the flag %s follows", source,
                     cli_option_get(id)->value, value);
        return pd_error_hint(err, status, "if that is the value, write %s=%s", source, value);
    }
    ++*i;
    return set_value(o, id, source, value, err);
}

pd_status cli_options_parse(cli_command command, int argc, char **argv, cli_options *out,
                            pd_error *err) {
    *out = (cli_options){.command = command};
    for (int i = 0; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) out->wants_help = true;
    if (out->wants_help) return PD_OK;
    for (uint32_t id = 0; id < OPT_COUNT; id++) {
        if (!(cli_option_get(id)->commands & 1u << command)) continue;
        PD_TRY(set_default(out, (cli_option_id)id, err));
        PD_TRY(set_from_environment(out, (cli_option_id)id, err));
    }
    int i = 0;
    for (; i < argc && strcmp(argv[i], "--") != 0; i++)
        PD_TRY(parse_flag(out, argc, argv, &i, err));
    for (i++; i < argc; i++) PD_TRY(take_argument(out, argv[i], err));
    PD_TRY(cli_habit_output(out, err));
    return cli_habit_arguments(out, err);
}

void cli_options_free(cli_options *o) {
    pd_arena_destroy(&o->arena);
}

const char *cli_first_given(const cli_options *o, const cli_option_id *ids, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (cli_given(o, ids[i])) return cli_option_get(ids[i])->name;
    return NULL;
}

pd_status cli_need(const cli_options *o, cli_option_id id, pd_error *err) {
    const cli_option *option = cli_option_get(id);
    if (cli_text(o, id)) return PD_OK;
    return PD_RAISE(err, PD_ERR_ARGUMENT, "%s %s is missing", option->name, option->value);
}
