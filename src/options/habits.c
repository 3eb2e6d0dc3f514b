/* See habits.h.  SPDX-License-Identifier: MIT */
#include "options/habits.h"

#include <stdlib.h>
#include <string.h>

#include "base/os_file.h"

/* ---- flags ---------------------------------------------------------------------------------- */

typedef enum value_kind {
    NO_VALUE,
    ONE_VALUE,
    SWITCH_VALUE
} value_kind; /* on, off, auto, or none */

static const struct {
    const char *name, *alias;
    value_kind value;
} passed_over[] = {
    {"--gpu-layers", "-ngl", ONE_VALUE}, /* all layers are on the device */
    {"--n-gpu-layers", NULL, ONE_VALUE},
    {"--flash-attn", "-fa", SWITCH_VALUE}, /* there is no other attention */
    {"--ubatch-size", "-ub", ONE_VALUE},   /* --batch-size is what is computed at once */
    {"--threads-batch", "-tb", ONE_VALUE},
    {"--mlock", NULL, NO_VALUE},
    {"--mmap", NULL, NO_VALUE},
    {"--no-mmap", NULL, NO_VALUE},
    {"--warmup", NULL, NO_VALUE},
    {"--no-warmup", NULL, NO_VALUE},
    {"--verbose-prompt", NULL, NO_VALUE},
    {"--no-display-prompt", NULL, NO_VALUE},
    {"--simple-io", NULL, NO_VALUE},
    {"--single-turn", "-st", NO_VALUE},   /* of run */
    {"--conversation", "-cnv", NO_VALUE}, /* of chat, as is the next one */
    {"--interactive", "-i", NO_VALUE},
    {"--jinja", NULL, NO_VALUE}, /* Gemma's template, as always */
};

static const struct {
    const char *name, *alias;
    const char *instead, *in_chat; /* NULL: it is passed over */
} refused[] = {
    {"--conversation", "-cnv", "run answers one prompt; peridot chat holds a conversation", NULL},
    {"--interactive", "-i", "run answers one prompt; peridot chat holds a conversation", NULL},
    {"--no-conversation", "-no-cnv", "--raw takes the text without the chat template",
     "peridot run answers one prompt"},
    {"--single-turn", "-st", NULL, "peridot run answers one prompt"},
};

static const struct {
    const char *theirs, *ours;
} spellings[] = {{"--n-predict", "--predict"},   {"-npl", "--parallel"}, /* llama-batched-bench's */
                 {"-npp", "--n-prompt"},         {"-ntg", "--n-gen"},
                 {"--no-perf", "--quiet"},       {"--reverse-prompt", "--stop"},
                 {"--system", "--system-prompt"}};

static bool is_switch(const char *word) {
    static const char *const words[] = {"on", "off", "auto", "0", "1"};
    for (size_t i = 0; word && i < sizeof words / sizeof *words; i++)
        if (strcmp(word, words[i]) == 0) return true;
    return false;
}

static bool is_either(const char *flag, size_t n, const char *name, const char *alias) {
    return (strlen(name) == n && strncmp(flag, name, n) == 0) ||
           (alias && strlen(alias) == n && strncmp(flag, alias, n) == 0);
}

static pd_status check_refused(cli_command command, const char *flag, size_t n, pd_error *err) {
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        const char *instead = command == CLI_CHAT ? refused[i].in_chat : refused[i].instead;
        if (!instead || !is_either(flag, n, refused[i].name, refused[i].alias)) continue;
        pd_status status = PD_RAISE(err, PD_ERR_ARGUMENT, "unknown flag %.*s", (int)n, flag);
        return pd_error_hint(err, status, "%s", instead);
    }
    return PD_OK;
}

pd_status cli_habit_pass(cli_command command, const char *flag, const char *next, int *n_words,
                         pd_error *err) {
    const char *equals = strchr(flag, '=');
    size_t n = equals ? (size_t)(equals - flag) : strlen(flag);
    *n_words = 0;
    PD_TRY(check_refused(command, flag, n, err));
    for (size_t i = 0; i < sizeof passed_over / sizeof *passed_over; i++) {
        if (!is_either(flag, n, passed_over[i].name, passed_over[i].alias)) continue;
        value_kind kind = passed_over[i].value;
        const char *value = equals ? equals + 1 : kind == NO_VALUE ? NULL : next;
        bool layers = i < 2;
        if (kind == ONE_VALUE && !value)
            return PD_RAISE(err, PD_ERR_ARGUMENT, "%.*s needs a value", (int)n, flag);
        if (layers && strcmp(value, "0") == 0) {
            pd_status status = PD_RAISE(err, PD_ERR_ARGUMENT,
                                        "%.*s is not a flag of Peridot, and 0 "
                                        "would change the device",
                                        (int)n, flag);
            return pd_error_hint(err, status, "--device cpu computes on the CPU");
        }
        bool takes_next =
            !equals && (kind == ONE_VALUE || (kind == SWITCH_VALUE && is_switch(next)));
        *n_words = takes_next ? 2 : 1;
        return PD_OK;
    }
    return PD_OK;
}

const char *cli_habit_name(const char *flag, size_t n) {
    for (size_t i = 0; i < sizeof spellings / sizeof *spellings; i++)
        if (is_either(flag, n, spellings[i].theirs, NULL)) return spellings[i].ours;
    return NULL;
}

/* ---- commands ------------------------------------------------------------------------------- */

const char *cli_habit_command(const char *name) {
    static const struct {
        const char *theirs, *instead;
    } commands[] = {
        {"pull", "peridot fetch USER/REPO downloads a model"},
        {"download", "peridot fetch USER/REPO downloads a model"},
        {"ls", "peridot list shows what was fetched"},
        {"generate", "peridot run -m MODEL.gguf -p TEXT answers a prompt"},
        {"show", "peridot inspect MODEL.gguf shows what a model is"},
        {"perplexity", "peridot score -m MODEL.gguf -f TEXT computes it"},
    };
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        if (strcmp(name, commands[i].theirs) == 0) return commands[i].instead;
    return NULL;
}

/* ---- arguments ------------------------------------------------------------------------------ */

static bool ends_with(const char *text, const char *end) {
    size_t n = strlen(text), n_end = strlen(end);
    return n >= n_end && strcmp(text + n - n_end, end) == 0;
}

static bool is_file(const char *text) {
    return pd_path_exists(text) || ends_with(text, ".gguf");
}

/* USER/REPO or USER/REPO:TYPE */
static bool is_repository(const char *text) {
    const char *slash = strchr(text, '/');
    return slash && slash > text && slash[1] && !strchr(slash + 1, '/') && text[0] != '.' &&
           text[0] != '~' && !strpbrk(text, " \t\n");
}

/* "gemma3:4b" -> "4b"; NULL: no name of a Gemma 3 in Ollama's library. */
static const char *ollama_size(const char *text) {
    static const char *const sizes[] = {"270m", "1b", "4b", "12b", "27b"};
    const char *tag = text + strlen("gemma3");
    if (strncmp(text, "gemma3", strlen("gemma3")) != 0) return NULL;
    if (!*tag || strcmp(tag, ":latest") == 0) return "4b";
    for (size_t i = 0; *tag == ':' && i < sizeof sizes / sizeof *sizes; i++) {
        size_t n = strlen(sizes[i]);
        if (strncmp(tag + 1, sizes[i], n) == 0 && (!tag[1 + n] || tag[1 + n] == '-'))
            return sizes[i];
    }
    return NULL;
}

static void set_text(cli_options *o, cli_option_id id, const char *text) {
    o->values[id] = (cli_value){.given = 1, .text = text};
}

static pd_status take_model(cli_options *o, const char *text, pd_error *err) {
    const char *size = is_file(text) ? NULL : ollama_size(text);
    if (size) {
        pd_status status = PD_RAISE(err, PD_ERR_ARGUMENT, "there is no file \"%s\"", text);
        return pd_error_hint(err, status,
                             "-hf ggml-org/gemma-3-%s-it-GGUF fetches that model from the Hugging "
                             "Face hub",
                             size);
    }
    if (is_file(text)) {
        set_text(o, OPT_MODEL, text);
    } else if (is_repository(text)) {
        set_text(o, OPT_HF_REPO, text);
        o->values[OPT_MODEL] = (cli_value){0}; /* the environment's */
    } else {
        pd_status status =
            PD_RAISE(err, PD_ERR_ARGUMENT,
                     "\"%s\" is neither a flag nor a model's file or repository", text);
        return pd_error_hint(err, status, "a model is given with -m FILE%s",
                             o->command == CLI_RUN ? ", text with -p TEXT" : "");
    }
    return PD_OK;
}

static pd_status take_prompt(cli_options *o, const char *text, pd_error *err) {
    if (!cli_given(o, OPT_PROMPT) && !cli_given(o, OPT_FILE)) {
        set_text(o, OPT_PROMPT, text);
        return PD_OK;
    }
    return PD_RAISE(err, PD_ERR_ARGUMENT,
                    "\"%s\" is one argument too many: the prompt is given by %s", text,
                    cli_given(o, OPT_PROMPT) ? "--prompt" : "--file");
}

pd_status cli_habit_arguments(cli_options *o, pd_error *err) {
    bool takes_model = o->command == CLI_RUN || o->command == CLI_CHAT || o->command == CLI_BENCH ||
                       o->command == CLI_ESTIMATE;
    if (!takes_model || o->n_args == 0) return PD_OK;
    const cli_value *model = &o->values[OPT_MODEL];
    bool named = cli_given(o, OPT_HF_REPO) || (model->given && !model->from_env),
         runs = o->command == CLI_RUN;
    const char *first = o->args[0];
    bool only_prompt = runs && o->n_args == 1 && model->given && !is_file(first) &&
                       !is_repository(first) && !ollama_size(first);
    uint32_t next = 0;
    if (!named && !only_prompt) PD_TRY(take_model(o, o->args[next++], err));
    if (runs && next < o->n_args) PD_TRY(take_prompt(o, o->args[next++], err));
    if (next < o->n_args) {
        pd_status status =
            PD_RAISE(err, PD_ERR_ARGUMENT, "\"%s\" is one argument too many", o->args[next]);
        return pd_error_hint(err, status, "a text of several words stands in quotes");
    }
    return PD_OK;
}

pd_status cli_habit_output(cli_options *o, pd_error *err) {
    const char *text = cli_text(o, OPT_OUTPUT);
    if (!text || strcmp(text, "-") != 0) return PD_OK;
    if (o->command != CLI_LOGITS && o->command != CLI_EMBED_IMAGE)
        return PD_RAISE(err, PD_ERR_ARGUMENT, "%s writes files, not to standard output",
                        cli_command_name(o->command));
    o->values[OPT_OUTPUT].text = "/dev/stdout";
    return PD_OK;
}
