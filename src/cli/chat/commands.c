/* See commands.h.  SPDX-License-Identifier: MIT */
#include "cli/chat/commands.h"

#include <ctype.h>
#include <inttypes.h>
#include <string.h>

typedef struct call {
    chat_job *job;
    char *argument;       /* behind the name, without the space around it */
    const char **initial; /* of the next line */
} call;

/* ---- the conversation ----------------------------------------------------------------------- */

static pd_status run_system(call *c, pd_error *err) {
    if (c->job->conversation.raw)
        return PD_RAISE(err, PD_ERR_ARGUMENT, "without a chat template there is no system prompt");
    PD_TRY(chat_set_system(&c->job->conversation, c->argument, strlen(c->argument), err));
    chat_note(c->job->conversation.system ? "the system prompt is set"
                                          : "there is no system prompt");
    return PD_OK;
}

static pd_status run_reset(call *c, pd_error *err) {
    (void)err;
    chat_clear(&c->job->conversation);
    chat_turn_free(&c->job->draft);
    chat_pictures_free(&c->job->attached);
    chat_note("the conversation begins anew%s",
              c->job->conversation.system ? "; the system prompt stays" : "");
    return PD_OK;
}

static pd_status raise_nothing(pd_error *err) {
    return PD_RAISE(err, PD_ERR_ARGUMENT, "there is no question yet");
}

static pd_status run_regen(call *c, pd_error *err) {
    chat_turn again = c->job->draft;
    if (again.typed) {
        c->job->draft = (chat_turn){0};
        return chat_ask(c->job, &again, err);
    }
    return chat_last(&c->job->conversation) ? chat_ask_again(c->job, err) : raise_nothing(err);
}

static pd_status run_undo(call *c, pd_error *err) {
    chat_turn last;
    if (!chat_last(&c->job->conversation)) return raise_nothing(err);
    chat_take_last(&c->job->conversation, &last);
    chat_turn_free(&last);
    chat_note("the last question and its answer are gone; %zu left", c->job->conversation.n);
    return PD_OK;
}

/* The question is replaced when the edited one is sent: until then nothing is lost. */
static pd_status run_edit(call *c, pd_error *err) {
    chat_job *job = c->job;
    const chat_turn *t = job->draft.typed ? &job->draft : chat_last(&job->conversation);
    if (!t) return raise_nothing(err);
    job->editing = true;
    *c->initial = t->typed;
    return PD_OK;
}

/* ---- files ---------------------------------------------------------------------------------- */

/* The argument as a path; pd_free. */
static pd_status take_path(const call *c, char **path, pd_error *err) {
    *path = chat_expand_path(c->argument);
    return *path ? PD_OK : PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory for the path");
}

static pd_status run_image(call *c, pd_error *err) {
    chat_job *job = c->job;
    char *path;
    if (!pd_model_get_vision(job->model)) {
        pd_status status =
            PD_RAISE(err, PD_ERR_ARGUMENT, "the model was opened without an image encoder");
        return pd_error_hint(err, status, "name its mmproj file with --mmproj FILE");
    }
    PD_TRY(take_path(c, &path, err));
    pd_status status =
        chat_pictures_read(&job->attached, path, cli_given(job->o, OPT_PAN_AND_SCAN), err);
    pd_free(path);
    if (status == PD_OK)
        chat_note("%zu picture%s go%s with the next message", job->attached.n,
                  job->attached.n == 1 ? "" : "s", job->attached.n == 1 ? "es" : "");
    return status;
}

static pd_status run_save(call *c, pd_error *err) {
    char *path;
    PD_TRY(take_path(c, &path, err));
    pd_status status = chat_save(c->job, path, err);
    if (status == PD_OK) chat_note("the conversation is in \"%s\"", path);
    pd_free(path);
    return status;
}

static pd_status run_load(call *c, pd_error *err) {
    char *path;
    PD_TRY(take_path(c, &path, err));
    pd_status status = chat_load(c->job, path, err);
    pd_free(path);
    return status;
}

/* ---- the rest ------------------------------------------------------------------------------- */

static pd_status run_set(call *c, pd_error *err) {
    return chat_set(c->job, c->argument, err);
}

static double per_second(uint64_t n, uint64_t ns) {
    return ns ? (double)n * 1e9 / (double)ns : 0;
}

static pd_status run_stats(call *c, pd_error *err) {
    const chat_job *job = c->job;
    const chat_figures *f = &job->figures;
    uint64_t n_new = f->n_prompt - f->n_reused;
    (void)err;
    fprintf(stderr, "context      %" PRIu32 " of %" PRIu32 " tokens, %zu question%s\n",
            pd_session_count(job->session), pd_session_n_ctx(job->session), job->conversation.n,
            job->conversation.n == 1 ? "" : "s");
    if (f->n_answer == 0) return PD_OK;
    fprintf(stderr,
            "last prompt  %" PRIu64 " tokens: %" PRIu32 " reused, %" PRIu64
            " computed at %.1f tok/s\n"
            "last answer  %" PRIu64 " tokens",
            f->n_prompt, f->n_reused, n_new, per_second(n_new, f->prompt_ns), f->n_answer);
    if (f->n_answer > 1)
        fprintf(stderr, " at %.1f tok/s", per_second(f->n_answer - 1, f->answer_ns));
    fprintf(stderr, "\n");
    return PD_OK;
}

static pd_status run_multiline(call *c, pd_error *err) {
    (void)err;
    c->job->multiline = !c->job->multiline;
    chat_note(c->job->multiline ? "Enter makes a new line; an empty line or Ctrl-D sends"
                                : "Enter sends; Alt-Enter makes a new line");
    return PD_OK;
}

static pd_status run_quit(call *c, pd_error *err) {
    (void)err;
    c->job->quit = true;
    return PD_OK;
}

static pd_status run_help(call *c, pd_error *err);

/* ---- the table ------------------------------------------------------------------------------ */

typedef enum argument_kind { NOTHING, TEXT, SETTING, A_FILE } argument_kind;

static const struct {
    const char *name;
    argument_kind kind;
    const char *argument; /* as /help shows it; without brackets it is needed */
    pd_status (*fn)(call *c, pd_error *err);
    const char *help;
} commands[] = {
    {"help", NOTHING, "", run_help, "this list"},
    {"image", A_FILE, "FILE", run_image, "a picture for the next message, where it says <image>"},
    {"system", TEXT, "[TEXT]", run_system, "instructions from here on; without TEXT none"},
    {"regen", NOTHING, "", run_regen, "another answer to the last question"},
    {"edit", NOTHING, "", run_edit, "change the last question and ask it again"},
    {"undo", NOTHING, "", run_undo, "forget the last question and its answer"},
    {"reset", NOTHING, "", run_reset, "forget all of them"},
    {"set", SETTING, "[NAME [VALUE]]", run_set, "how answers are drawn: temp, top-k, seed, n, ..."},
    {"stats", NOTHING, "", run_stats, "tokens and speed"},
    {"save", A_FILE, "FILE", run_save,
     "the conversation into a file; in .json without what was computed"},
    {"load", A_FILE, "FILE", run_load, "... and from it"},
    {"multiline", NOTHING, "", run_multiline,
     "Enter makes a new line, an empty line sends; or not"},
    {"quit", NOTHING, "", run_quit, "leave, as Ctrl-D does"},
};
enum { N_COMMANDS = sizeof commands / sizeof *commands };

static pd_status run_help(call *c, pd_error *err) {
    (void)c;
    (void)err;
    for (size_t i = 0; i < N_COMMANDS; i++)
        fprintf(stderr, "/%-10s%-15s %s\n", commands[i].name, commands[i].argument,
                commands[i].help);
    fprintf(stderr,
            "Alt-Enter makes a new line, Ctrl-C ends an answer. A message that begins with a "
            "slash is written with a space before it.\n");
    return PD_OK;
}

/* Bytes of the name behind the slash. */
static size_t name_length(const char *line) {
    size_t n = 0;
    while (isalnum((unsigned char)line[1 + n]) || line[1 + n] == '-') n++;
    return n;
}

/* N_COMMANDS: none */
static size_t find(const char *line) {
    size_t n = name_length(line), i = 0;
    bool ends = line[1 + n] == '\0' || isspace((unsigned char)line[1 + n]);
    while (i < N_COMMANDS &&
           !(ends && strlen(commands[i].name) == n && memcmp(commands[i].name, line + 1, n) == 0))
        i++;
    return i;
}

bool chat_is_whole_command(const char *line) {
    return line[0] == '/' && find(line) < N_COMMANDS;
}

bool chat_is_command(const char *line) {
    return line[0] == '/' && (!strchr(line, '\n') || find(line) < N_COMMANDS);
}

static pd_status raise_unknown(const char *line, pd_error *err) {
    char word[32];
    uint32_t best = 3;
    const char *nearest = NULL;
    snprintf(word, sizeof word, "%.*s", (int)strcspn(line + 1, " \t\n"), line + 1);
    for (size_t i = 0; i < N_COMMANDS; i++) {
        uint32_t distance = pd_word_distance(word, commands[i].name);
        bool begins = word[0] && strncmp(word, commands[i].name, strlen(word)) == 0;
        if (begins) distance = 0;
        if (distance >= best) continue;
        best = distance;
        nearest = commands[i].name;
    }
    pd_status status = PD_RAISE(err, PD_ERR_ARGUMENT, "there is no command /%s", word);
    return nearest ? pd_error_hint(err, status, "did you mean /%s?", nearest)
                   : pd_error_hint(err, status,
                                   "/help lists them; a space before the slash makes it "
                                   "a message");
}

pd_status chat_command_run(chat_job *job, char *line, const char **initial, pd_error *err) {
    size_t i = find(line);
    if (i == N_COMMANDS) return raise_unknown(line, err);
    char *argument = line + 1 + name_length(line), *end = line + strlen(line);
    while (isspace((unsigned char)*argument)) argument++;
    while (end > argument && isspace((unsigned char)end[-1])) *--end = '\0';
    if (*argument && commands[i].kind == NOTHING)
        return PD_RAISE(err, PD_ERR_ARGUMENT, "/%s takes nothing behind it", commands[i].name);
    if (!*argument && commands[i].kind == A_FILE)
        return PD_RAISE(err, PD_ERR_ARGUMENT, "/%s needs a %s", commands[i].name,
                        commands[i].argument);
    return commands[i].fn(&(call){job, argument, initial}, err);
}

/* ---- completion ----------------------------------------------------------------------------- */

static void complete_names(const char *word, chat_candidates *out) {
    for (size_t i = 0; i < N_COMMANDS; i++)
        if (strncmp(commands[i].name, word, strlen(word)) == 0)
            chat_candidates_add(out, commands[i].name, commands[i].argument[0] ? " " : "");
}

static void complete_settings(const char *word, chat_candidates *out) {
    for (size_t i = 0; chat_setting_name(i); i++)
        if (strncmp(chat_setting_name(i), word, strlen(word)) == 0)
            chat_candidates_add(out, chat_setting_name(i), " ");
}

void chat_complete(const char *line, chat_candidates *out) {
    size_t n = line[0] == '/' ? name_length(line) : 0;
    out->at = 1;
    if (line[0] != '/') return;
    if (line[1 + n] == '\0') {
        complete_names(line + 1, out);
        return;
    }
    size_t i = find(line);
    out->at += n + strspn(line + 1 + n, " \t");
    if (i < N_COMMANDS && commands[i].kind == A_FILE) chat_complete_files(line + out->at, out);
    if (i < N_COMMANDS && commands[i].kind == SETTING) complete_settings(line + out->at, out);
}
