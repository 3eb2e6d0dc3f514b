/* `peridot chat`: a conversation, from a terminal, or of one message from a pipe.
 *
 *     line editor --> commands (/...), or a question --> ask.c --> answer.c --> standard output
 *
 * Nothing but answers, and on a terminal the roles, goes to standard output. Whatever fails in a
 * turn is one sentence, and the conversation goes on, unless the device is gone or nobody reads any
 * more.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/env.h"
#include "base/file.h"
#include "base/process.h"
#include "base/terminal.h"
#include "cli/chat/commands.h"

enum { MESSAGE_MAX_BYTES = 1 << 30 };

/* ---- what is shown -------------------------------------------------------------------------- */

void chat_note(const char *format, ...) {
    va_list list;
    va_start(list, format);
    vfprintf(stderr, format, list);
    va_end(list);
    fputc('\n', stderr);
}

/* \1 around what takes no room, for the line editor; the answers' label is written as it is. */
const char *chat_label(const chat_job *job, chat_role role) {
    if (role == CHAT_USER) return job->has_colour ? "\1\033[1;32m\1you>\1\033[0m\1 " : "you> ";
    return job->has_colour ? "\033[1;36mmodel>\033[0m " : "model> ";
}

static void choose_colour(chat_job *job) {
    const char *wish = cli_text(job->o, OPT_COLOR), *never = pd_env("NO_COLOR");
    bool terminal = pd_is_terminal(stdout);
    job->shows_roles = job->interactive && terminal;
    job->has_colour = strcmp(wish, "always") == 0 ||
                      (strcmp(wish, "auto") == 0 && terminal && !(never && never[0]));
}

/* ---- preparing ------------------------------------------------------------------------------ */

static pd_status read_pictures(chat_job *job, pd_error *err) {
    const char *paths = cli_text(job->o, OPT_IMAGE);
    char *list = paths ? pd_strdup(paths) : NULL, *rest = list;
    pd_status status = PD_OK;
    if (paths && !list) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory for the paths");
    while (rest && status == PD_OK) {
        char *path = rest, *end = strchr(path, '\n');
        rest = end ? end + 1 : NULL;
        if (end) *end = '\0';
        status = chat_pictures_read(&job->attached, path, cli_given(job->o, OPT_PAN_AND_SCAN), err);
    }
    pd_free(list);
    return status;
}

/* What needs no model. *system: pd_free. */
static pd_status check_options(chat_job *job, char **system, size_t *n_system, pd_error *err) {
    const char *message = cli_text(job->o, OPT_CHAT_PROMPT);
    if (message) PD_TRY(cli_check_utf8("the message", message, strlen(message), err));
    PD_TRY(cli_read_system(job->o, system, n_system, err));
    PD_TRY(read_pictures(job, err));
    PD_TRY(cli_sampling_read(job->o, &job->sampling, err));
    PD_TRY(pd_sampler_init(&job->sampler, &job->sampling.desc, err));
    return cli_stop_create(job->o, &job->stop, err);
}

/* By the option, else by the file. */
static pd_status choose_template(chat_job *job, const char *system, size_t n_system,
                                 pd_error *err) {
    const char *wish = cli_text(job->o, OPT_CHAT_TEMPLATE);
    bool tuned = pd_model_get_info(job->model)->is_instruction_tuned;
    chat_conversation *c = &job->conversation;
    c->raw = wish ? strcmp(wish, "none") == 0 : !tuned;
    if (c->raw && !wish)
        chat_note("the model is a pre-trained one, which goes on with texts and answers nobody "
                  "(--chat-template gemma takes it for another)");
    PD_TRY(chat_set_system(c, system, n_system, err));
    if (!c->raw || !c->system) return PD_OK;
    return PD_RAISE(err, PD_ERR_ARGUMENT, "without a chat template there is no --system-prompt");
}

static pd_status create_session(chat_job *job, pd_error *err) {
    uint32_t n_ctx = cli_u32(job->o, OPT_CHAT_CTX);
    if (cli_given(job->o, OPT_CHAT_CTX) && n_ctx == 0)
        n_ctx = pd_model_get_info(job->model)->n_ctx_train;
    pd_session_desc desc = cli_session(job->o, n_ctx);
    desc.progress = chat_prompt_progress;
    desc.progress_ctx = job;
    pd_fit fit = {0};
    if (n_ctx == 0) PD_TRY(cli_fit_session(job->model, &desc, &fit, err));
    cli_print_fit(job->o, &fit);
    return pd_session_create(job->model, &desc, &job->session, err);
}

static pd_status prepare(chat_job *job, pd_error *err) {
    char *system = NULL;
    size_t n_system = 0;
    pd_status status;
    PD_TRY_GOTO(check_options(job, &system, &n_system, err));
    PD_TRY_GOTO(cli_open_model(job->o, CLI_OPEN_ALL, &job->model, err));
    PD_TRY_GOTO(cli_sampling_bind(&job->sampling, job->model, err));
    job->sampler.desc.grammar = job->sampling.grammar;
    PD_TRY_GOTO(choose_template(job, system, n_system, err));
    status = create_session(job, err);
done:
    pd_free(system);
    return status;
}

/* ---- one turn ------------------------------------------------------------------------------- */

/* What an edited message replaces; NULL: nothing. */
static chat_turn *edited_turn(chat_job *job) {
    if (!job->editing) return NULL;
    return job->draft.typed ? &job->draft : chat_last(&job->conversation);
}

/* The message takes the attached pictures with it, an edited one without any those that it had. */
static pd_status send(chat_job *job, const char *text, size_t n, pd_error *err) {
    chat_turn question, *old = edited_turn(job), last;
    job->editing = false;
    chat_pictures *pictures = job->attached.n || !old ? &job->attached : &old->pictures;
    PD_TRY(chat_turn_make(text, n, pictures, &question, err));
    if (old && old != &job->draft) {
        chat_take_last(&job->conversation, &last);
        chat_turn_free(&last);
    }
    return chat_ask(job, &question, err); /* which ends the draft */
}

static bool is_blank(const char *text) {
    return text[strspn(text, " \t\n")] == '\0';
}

static bool is_over(const chat_job *job) {
    int number = cli_interrupt_signal();
    return job->quit || job->is_lost || ferror(stdout) || (number && number != PD_STOP_INTERRUPT);
}

/* A failure is told, and over. */
static void tell(chat_job *job, pd_status status, pd_error *err) {
    job->is_lost |= status == PD_ERR_DEVICE_LOST;
    bool stopped = status == PD_ERR_CANCELLED && !is_over(job);
    err->status = status;
    if (cli_interrupt_signal() == PD_STOP_INTERRUPT) cli_interrupt_clear();
    if (stopped)
        chat_note("stopped before the answer began; /edit and /regen have the question");
    else if (status != PD_OK && !is_over(job))
        cli_report_error(err);
    job->failure = *err;
}

/* *initial: what the next line begins with */
static void take_message(chat_job *job, const pd_bytes *text, const char **initial) {
    pd_error err = {0};
    pd_status status = PD_OK;
    if (chat_is_command(text->data)) {
        job->editing = false;
        status = chat_command_run(job, text->data, initial, &err);
    } else if (!is_blank(text->data)) {
        status = send(job, text->data, text->n, &err);
    }
    tell(job, status, &err);
}

/* ---- conversations -------------------------------------------------------------------------- */

static void hold(chat_job *job) {
    pd_bytes text = {0};
    pd_error err = {0};
    const char *first = cli_text(job->o, OPT_CHAT_PROMPT), *initial = NULL;
    bool asked = false; /* whether the last thing was a Ctrl-C in an empty line */
    if (first) tell(job, send(job, first, strlen(first), &err), &err);
    while (!is_over(job)) {
        line_event event = line_editor_read(job->editor, chat_label(job, CHAT_USER), initial,
                                            job->multiline, &text);
        initial = NULL;
        if (event == LINE_END || (event == LINE_INTERRUPTED && asked)) break;
        asked = event == LINE_INTERRUPTED;
        if (event != LINE_TEXT) job->editing = false;
        if (asked) chat_note("Ctrl-C again leaves, as Ctrl-D does");
        if (event == LINE_TEXT && text.failed)
            chat_note("not enough memory for the message");
        else if (event == LINE_TEXT)
            take_message(job, &text, &initial);
    }
    pd_bytes_free(&text);
}

static pd_status end_status(const chat_job *job, pd_error *err) {
    int number = cli_interrupt_signal();
    if (job->is_lost) {
        *err = job->failure;
        return PD_ERR_DEVICE_LOST;
    }
    if (number == PD_STOP_TERMINATE || number == PD_STOP_HANG_UP)
        return PD_RAISE(err, PD_ERR_CANCELLED, "stopped by a signal");
    return PD_OK; /* main tells of output that was lost */
}

static pd_status chat_on_terminal(chat_job *job, pd_error *err) {
    char *history = pd_state_path("chat_history");
    line_editor_desc desc = {.out = pd_is_terminal(stdout) ? stdout : stderr,
                             .complete = chat_complete,
                             .is_whole = chat_is_whole_command,
                             .history = history};
    job->editor = line_editor_open(&desc);
    pd_free(history);
    if (!job->editor) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory for an editor");
    job->multiline = cli_given(job->o, OPT_MULTILINE);
    cli_interrupt_install_interactive();
    if (!cli_given(job->o, OPT_QUIET))
        chat_note("%s; /help lists the commands, Ctrl-D leaves",
                  pd_model_get_info(job->model)->name);
    hold(job);
    line_editor_close(job->editor);
    return end_status(job, err);
}

/* All of standard input, or -p, is one message. */
static pd_status read_message(const chat_job *job, char **text, size_t *n, pd_error *err) {
    const char *first = cli_text(job->o, OPT_CHAT_PROMPT);
    *text = NULL;
    *n = 0;
    if (job->interactive) return PD_OK;
    if (first) {
        *n = strlen(first);
        *text = pd_strdup(first);
        if (!*text) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory for the message");
    } else {
        PD_TRY(pd_file_read_all("-", MESSAGE_MAX_BYTES, text, n, err));
    }
    return *n ? PD_OK : PD_RAISE(err, PD_ERR_ARGUMENT, "the message is empty");
}

pd_status cli_chat(const cli_options *o, pd_error *err) {
    chat_job job = {.options = *o, .o = o, .interactive = pd_is_terminal(stdin)};
    char *message;
    size_t n;
    pd_status status;
    choose_colour(&job);
    PD_TRY_GOTO(read_message(&job, &message, &n, err));
    PD_TRY_GOTO(prepare(&job, err));
    status = job.interactive ? chat_on_terminal(&job, err) : send(&job, message, n, err);
done:
    pd_session_destroy(job.session);
    cli_sampling_free(&job.sampling);
    pd_model_close(job.model);
    chat_free(&job.conversation);
    chat_turn_free(&job.draft);
    chat_pictures_free(&job.attached);
    pd_stop_destroy(job.stop);
    pd_free(message);
    return status;
}
