/* The subcommands, and what several of them share. Each command prints its results to standard
 * output and returns a status; only main prints errors and exits.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_CLI_COMMANDS_H
#define PD_CLI_COMMANDS_H

#include <stdatomic.h>
#include <stdio.h>

#include "base/bytes.h"
#include "base/words.h"
#include "options/options.h"
#include "file/gguf.h"
#include "measure/profile.h"
#include "measure/trace.h"
#include "peridot_files.h"
#include "peridot_grammar.h"

#ifndef PERIDOT_COMMIT
#define PERIDOT_COMMIT "unknown" /* else by the build */
#endif

/* One for each command. */
#define CLI_COMMAND_PROTOTYPE(id, name, function, ...)                                             \
    pd_status function(const cli_options *o, pd_error *err);
CLI_COMMAND_LIST(CLI_COMMAND_PROTOTYPE)
#undef CLI_COMMAND_PROTOTYPE

/* ---- input.c: what the user hands over ------------------------------------------------------- */

/* -p, else -f, else standard input (refused when that is a terminal). *data: pd_free. */
pd_status cli_read_text(const cli_options *o, char **data, size_t *n, pd_error *err);
/* --system-prompt, or what its file holds; NULL: neither is given. *data: pd_free. */
pd_status cli_read_system(const cli_options *o, char **data, size_t *n, pd_error *err);
/* Errors: ARGUMENT naming the first byte that is not UTF-8; `what` begins the sentence. */
pd_status cli_check_utf8(const char *what, const char *text, size_t n, pd_error *err);

typedef struct cli_ids {
    uint32_t *ids; /* pd_free */
    size_t n;
} cli_ids;
/* A text's ids; it may be NULL when n_bytes is 0. Errors: those of pd_tokenize, MEMORY_HOST. */
pd_status cli_encode(const pd_model *model, const char *text, size_t n_bytes,
                     const pd_tokenize_desc *desc, cli_ids *out, pd_error *err);
/* --tokens: at least one id; <image> is PD_TOKEN_IMAGE. */
pd_status cli_read_ids(const cli_options *o, cli_ids *out, pd_error *err);
/* Errors: ARGUMENT when an id is not below n_vocab, places of images aside. */
pd_status cli_check_ids(const cli_ids *ids, uint32_t n_vocab, pd_error *err);

/* ---- outputs.c: what is written is never what is read ---------------------------------------- */

/* All that the options name for writing. Errors: ARGUMENT when it is a file that the command reads,
 * by whatever name, or is written twice. */
pd_status cli_check_outputs(const cli_options *o, pd_error *err);
/* Writes the file that an option names as pd_file_write does; without it fn has no writer: NULL. */
pd_status cli_write_output(const cli_options *o, cli_option_id id, pd_file_write_fn fn, void *ctx,
                           pd_error *err);
/* The same of a file that the options do not name. */
pd_status cli_check_output(const cli_options *o, const char *output, pd_error *err);

/* ---- open.c: models and sessions by the options -------------------------------------------- */

/* The files of a command that takes them with -m or without a flag, from one to n_max. The
 * environment's model counts when there is no other. */
pd_status cli_model_paths(const cli_options *o, const char **paths, uint32_t n_max, uint32_t *n,
                          pd_error *err);

typedef enum cli_open_what {
    CLI_OPEN_ALL,     /* with the image encoder when the options have an --image */
    CLI_OPEN_VOCAB,   /* the vocabulary alone */
    CLI_OPEN_VISION,  /* the image encoder alone */
    CLI_OPEN_ESTIMATE /* as ALL, for pd_model_estimate alone */
} cli_open_what;

/* Opens --model with a progress bar, on the device the options name. */
pd_status cli_open_model(const cli_options *o, cli_open_what what, pd_model **out, pd_error *err);
/* The same for a session that the options do not tell; NULL: they do. */
pd_status cli_open_model_for(const cli_options *o, cli_open_what what, const pd_session_desc *first,
                             pd_model **out, pd_error *err);
/* --model on another device than the options name, which is NULL for the usual choice. */
pd_status cli_open_on(const cli_options *o, const char *device, const pd_session_desc *first,
                      pd_model **out, pd_error *err);
/* A second model beside --model, with the other options as they are. */
pd_status cli_open_other_model(const cli_options *o, const char *path, const char *device,
                               pd_model **out, pd_error *err);

/* The session that the options ask for, n_ctx aside; that of logits and score has all_logits. */
pd_session_desc cli_session(const cli_options *o, uint32_t n_ctx);
/* Makes n_ctx the largest that the device has memory for, up to what it is or to the default. Where
 * nothing fits it stays, and creating the session will tell. */
pd_status cli_fit_session(pd_model *model, pd_session_desc *desc, pd_fit *fit, pd_error *err);
/* A line on standard error where that is less than was wanted. */
void cli_print_fit(const cli_options *o, const pd_fit *fit);
typedef pd_status (*cli_session_fn)(void *ctx, pd_session *session, pd_error *err);
/* Calls fn with a session of its own, which Ctrl-C cancels. */
pd_status cli_with_session(pd_model *model, const pd_session_desc *desc, cli_session_fn fn,
                           void *ctx, pd_error *err);

/* head_cost.c. Measures what --head did at the session's last positions and prints a line of it, or
 * why nothing was done, to standard error; nothing without --head. Errors: those of
 * pd_session_head_cost. */
pd_status cli_print_head_cost(const cli_options *o, pd_session *session, const pd_model *model,
                              pd_error *err);

/* ---- sampling.c: how answers are drawn and where they end ------------------------------------ */

typedef struct cli_sampling {
    pd_sampler_desc desc;
    pd_logit_bias *biases; /* desc's */
    pd_grammar *grammar;   /* desc's, once it is bound */
    pd_grammar_kind grammar_kind;
    char *grammar_text; /* [n_grammar_text] NULL: there is none */
    size_t n_grammar_text;
} cli_sampling;

/* Errors: ARGUMENT (a bias that is none, two grammars), MEMORY_HOST, those of files. */
pd_status cli_sampling_read(const cli_options *o, cli_sampling *out, pd_error *err);
void cli_sampling_free(cli_sampling *s); /* before the model is closed */
/* The options' settings into *desc, but for biases and grammar; without a seed a new one. */
void cli_sampling_take(const cli_options *o, pd_sampler_desc *desc);
/* To the model's tokens: the grammar is made. Errors: ARGUMENT (a bias for a token that the model
 * has not), those of pd_grammar_create. */
pd_status cli_sampling_bind(cli_sampling *s, pd_model *model, pd_error *err);
/* --stop. Errors: those of pd_stop_create. */
pd_status cli_stop_create(const cli_options *o, pd_stop **out, pd_error *err);

/* ---- interrupt.c: Ctrl-C -------------------------------------------------------------------- */

/* The first SIGINT or SIGTERM sets a flag and cancels the session; a second one ends the process.
 * cli_open_model installs it; before that the first one ends the process. */
void cli_interrupt_install(void);
/* For commands that go on behind it: SIGHUP counts as well, output that nobody reads is an error
 * like any other and no signal, and only the third signal in a row ends the process. */
void cli_interrupt_install_interactive(void);
bool cli_interrupted(void);
pd_status cli_check_interrupt(pd_error *err); /* Errors: CANCELLED once interrupted. */
int cli_interrupt_signal(void); /* the last one's number; 0: none since cli_interrupt_clear */
void cli_interrupt_clear(void);
const atomic_int *cli_interrupt_flag(void);                       /* not 0 once interrupted */
void cli_interrupt_watch(pd_session *session, pd_session *other); /* NULL: none */
void cli_interrupt_watch_model(pd_model *model); /* for images without a session; NULL: none */

/* ---- bus_error.c ---------------------------------------------------------------------------- */

/* From now on a mapped file that is shortened while it is read ends the process with a sentence. */
void cli_bus_error_install(void);

/* ---- progress.c: a bar on standard error; where that is no terminal, lines if asked for ------ */

typedef struct cli_progress {
    const char *label;  /* "loading" */
    bool counts_tokens; /* and not bytes */
    uint64_t start_ns, shown_ns;
    uint64_t start_bytes; /* done before the beginning: no part of the speed */
    bool active, drawn;
} cli_progress;

/* Whether there are any, by --progress and --quiet; before that, as without them. */
void cli_progress_configure(const cli_options *o);
void cli_progress_begin(cli_progress *p, const char *label);
/* A pd_progress_fn; ctx is the cli_progress. False once the user asked to stop. */
bool cli_progress_update(void *ctx, uint64_t bytes_done, uint64_t bytes_total);
/* A pd_prompt_progress_fn: the same of tokens. */
bool cli_progress_update_tokens(void *ctx, uint32_t n_done, uint32_t n_total);
void cli_progress_end(cli_progress *p); /* wipes the bar */
/* For the work of peridot_files.h, whose bar begins with each file; cli_progress_end is left to the
 * caller. Ctrl-C stops it: installs interrupt.c's handler. */
pd_files_work cli_work_begin(const cli_options *o, const char *label, cli_progress *p);

/* ---- toy.c: the model in the box ------------------------------------------------------------ */

/* Where a command takes a model and none is named: sets --model to the toy, if it is there. */
void cli_take_toy(cli_options *o);
/* Says on standard error that it is one, unless --quiet. */
void cli_tell_toy(const cli_options *o);

/* ---- fetch.c: models from the Hugging Face hub ---------------------------------------------- */

/* Where --hf-repo is given: fetches what is not in the cache yet, and sets --model and, when there
 * is an image encoder, --mmproj, as if they had been given. */
pd_status cli_fetch_model(cli_options *o, pd_error *err);

/* ---- profile.c ------------------------------------------------------------------------------ */

/* Where the operations of a profile go. */
typedef struct cli_profile {
    pd_kind_profile *kinds;
    pd_trace *trace; /* NULL: none */
} cli_profile;
/* A pd_profile_fn; ctx is the cli_profile. False once the user asked to stop. */
bool cli_profile_add(void *ctx, const pd_profile_op *op);

/* On standard error: "<what>, operation by operation: ..." and a line for each kind, then their
 * sum. */
void cli_print_profile(const pd_kind_profile *p, const pd_device_speed *speed, const char *what);

/* ---- report.c: what goes to the user besides results ---------------------------------------- */

/* Milliseconds. */
static inline double cli_ms(uint64_t ns) {
    return (double)ns / 1e6;
}
/* What it took to the first token once the model was open. */
typedef struct cli_start {
    uint64_t pipelines_ns, prompt_ns, token_ns;
    const pd_build_stats *build; /* NULL: not told */
} cli_start;
/* The rest of a line: the sum, and its parts from opening the model on. */
void cli_print_start(FILE *out, const pd_model *model, const cli_start *s);

/* "peridot: message", and the hint on a line of its own. Returns the exit code. */
int cli_report_error(const pd_error *err);
/* Log lines to standard error, or to --log-file. */
pd_status cli_log_begin(const cli_options *o, pd_error *err);
/* Errors: IO when lines of the log were lost. */
pd_status cli_log_end(const cli_options *o, pd_error *err);
/* What a model said to standard output. On a terminal control characters other than newlines and
 * tabs become '?', in `text` as well: nobody but the user may move the cursor or set the title. */
void cli_write_text(char *text, size_t n);
/* Flushes standard output. Errors: IO when something written there was lost. */
pd_status cli_check_stdout(pd_error *err);

#endif
