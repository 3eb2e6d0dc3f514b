/* One `peridot chat`, and what its files share.  SPDX-License-Identifier: MIT */
#ifndef PD_CLI_CHAT_H
#define PD_CLI_CHAT_H

#include "base/printf_like.h"
#include "cli/chat/conversation.h"
#include "cli/chat/line_editor.h"
#include "cli/commands.h"

/* Of the last answer. Speeds are by the clock on the wall, as run's are. */
typedef struct chat_figures {
    uint64_t n_prompt; /* positions of the conversation up to the answer */
    uint32_t n_reused; /* ... that were computed before */
    uint64_t n_answer; /* tokens drawn */
    uint64_t prompt_ns, answer_ns;
} chat_figures;

typedef struct chat_job {
    cli_options options; /* as given; /set changes values of its own copy */
    const cli_options *o;
    pd_model *model;
    pd_session *session;
    cli_sampling sampling;
    pd_sampler sampler; /* one for all answers, so that each draws anew */
    pd_stop *stop;
    cli_progress progress; /* of the prompt */
    chat_conversation conversation;
    chat_turn draft;        /* a question that got no answer; typed is NULL: there is none */
    chat_pictures attached; /* to the next message */
    bool editing;           /* the next message is in place of the draft or the last question */
    bool multiline;         /* Enter makes a new line */
    bool interactive;       /* not one message from a pipe */
    bool shows_roles, has_colour;
    bool quit;
    bool is_lost;     /* the device: no answer will come any more */
    pd_error failure; /* of the last message */
    line_editor *editor;
    chat_figures figures;
} chat_job;

/* ---- chat.c --------------------------------------------------------------------------------- */

/* A line on standard error. */
void chat_note(const char *format, ...) PD_PRINTF_LIKE(1, 2);
typedef enum chat_role { CHAT_USER, CHAT_MODEL } chat_role;
/* "you> ", coloured if so; static. */
const char *chat_label(const chat_job *job, chat_role role);

/* ---- ask.c ---------------------------------------------------------------------------------- */

/* Asks a question, which it takes over: answers it on standard output, and makes both part of the
 * conversation. Without any token drawn the question becomes the draft. Errors: those of the
 * engine; CANCELLED alone is none when at least a token came. */
pd_status chat_ask(chat_job *job, chat_turn *question, pd_error *err);
/* The session's pd_prompt_progress_fn; ctx is the job. */
bool chat_prompt_progress(void *ctx, uint32_t n_done, uint32_t n_total);
/* Answers the last question anew; without any token drawn its answer stays. */
pd_status chat_ask_again(chat_job *job, pd_error *err);
/* What the session has of the conversation and its answers stays, all else goes; nothing is
 * computed. */
pd_status chat_cut_session(chat_job *job, pd_error *err);

/* ---- answer.c ------------------------------------------------------------------------------- */

/* Generates behind the session's sequence, with room for n_max tokens, writes the text as it comes,
 * and makes it the answer of the last turn. *n_drawn: tokens. Errors: as pd_session_generate; what
 * came before is the answer then. */
pd_status chat_generate(chat_job *job, uint64_t n_max, uint64_t *n_drawn, pd_error *err);

/* ---- settings.c ----------------------------------------------------------------------------- */

/* NAME VALUE; nothing, or a name alone: prints. Errors: ARGUMENT. */
pd_status chat_set(chat_job *job, char *words, pd_error *err);
/* The i-th name; NULL behind the last one. */
const char *chat_setting_name(size_t i);
/* The number that it has, and giving it another one. Errors: ARGUMENT (out of range). */
double chat_setting_get(const chat_job *job, size_t i);
pd_status chat_setting_put(chat_job *job, size_t i, double value, pd_error *err);

/* ---- saved.c -------------------------------------------------------------------------------- */

/* The whole conversation as a file, but by a name in .json with what the session has computed of
 * it, to which that is cut. Errors: ARGUMENT (it is read: the model, a picture), IO, MEMORY_HOST,
 * those of pd_session_save. */
pd_status chat_save(chat_job *job, const char *path, pd_error *err);
/* Takes the place of the conversation, or leaves it as it is, and says what came of it. Errors: IO,
 * FORMAT (damaged), ARGUMENT (of another template; a picture that is another one now), MEMORY_HOST,
 * DEVICE_LOST. */
pd_status chat_load(chat_job *job, const char *path, pd_error *err);

/* ---- saved_json.c --------------------------------------------------------------------------- */

/* The conversation with its settings. Errors: MEMORY_HOST. */
pd_status chat_write_json(const chat_job *job, pd_bytes *out, pd_error *err);
/* The same back, or nothing of it. pictures: the bytes of all their files, one behind the other;
 * NULL: read by their paths. Errors: as chat_load. */
pd_status chat_read_json(chat_job *job, const char *text, pd_reader *pictures, pd_error *err);

#endif
