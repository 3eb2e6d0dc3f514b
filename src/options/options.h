/* The command line's options: one table, and what was read into it.
 *
 * The table (option_table.h) feeds the parser, the environment, --help of the program and of each
 * subcommand, manual pages and shells' completion. A flag wins over its environment variable, which
 * wins over the default. The same spelling may mean different things to different subcommands (-p
 * is a prompt to `run` and a list of lengths to `bench`): each is a row of its own, with the
 * commands it is for.
 *
 * Whatever is not understood is refused in one sentence: unknown flags (with the nearest known one
 * as the hint), flags of another subcommand, missing values, values out of range.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_OPTIONS_OPTIONS_H
#define PD_OPTIONS_OPTIONS_H

#include "base/error.h"
#include "base/memory.h"
#include "options/option_table.h"

typedef enum cli_command {
#define CLI_COMMAND_ENUM(id, ...) CLI_##id,
    CLI_COMMAND_LIST(CLI_COMMAND_ENUM)
#undef CLI_COMMAND_ENUM
        CLI_COMMAND_COUNT
} cli_command;

typedef enum cli_option_id {
#define CLI_OPTION_ENUM(id, ...) OPT_##id,
    CLI_OPTION_LIST(CLI_OPTION_ENUM)
#undef CLI_OPTION_ENUM
        OPT_COUNT
} cli_option_id;

typedef enum cli_kind {
    KIND_FLAG,   /* no value; counts how often it was given */
    KIND_STRING, /* any text */
    KIND_FILE,   /* a path that is read: completed with file names */
    KIND_OUTPUT, /* a path that is written: never one that is read, see outputs.c */
    KIND_DEVICE, /* any text: completed with the devices there are */
    KIND_FILES,  /* a path each time: all of them, [given], are in cli_value.texts */
    KIND_TEXTS,  /* any text each time: the same */
    KIND_CHOICE, /* one word of the value column, where they stand separated by | */
    KIND_LIST,   /* text of several values; given again, it grows by a comma and the new text */
    KIND_INT,    /* whole number within [min, max] */
    KIND_REAL    /* finite number within [min, max] */
} cli_kind;

typedef struct cli_option {
    cli_kind kind;
    const char *name, *alias, *env; /* "--model", "-m" or NULL, "PERIDOT_MODEL" or NULL */
    double min, max;                /* of numbers; both exact in a double */
    const char *fallback;           /* the default as text; NULL: none, or said in the help */
    const char *value;              /* what stands for the value in help: "FILE" */
    uint32_t commands;              /* bit per cli_command */
    const char *help;
} cli_option;

typedef struct cli_command_info {
    const char *name, *needs, *summary; /* needs: what must be given, as a usage line shows it */
    uint32_t n_args;                    /* without a flag in front */
} cli_command_info;

enum { CLI_MAX_ARGS = 256, CLI_MAX_PASSED = 16 };

typedef struct cli_value {
    uint32_t given;   /* how often: on the command line, or 1 by the environment */
    bool from_env;    /* and not on the command line */
    const char *text; /* as given (last), or the default; NULL when neither is there */
    const char **texts;
    int64_t integer;
    double real;
} cli_value;

typedef struct cli_options {
    cli_command command;
    cli_value values[OPT_COUNT];
    const char *args[CLI_MAX_ARGS]; /* without a flag in front, in their order */
    uint32_t n_args;
    bool wants_help;
    bool uses_toy; /* no model was named, and the program has brought one (cli/toy.c) */
    const char *passed_over[CLI_MAX_PASSED]; /* flags of other programs, for the log */
    uint32_t n_passed;
    pd_arena arena; /* of lists */
} cli_options;

/* argv[0] is the first argument behind the subcommand's name. Errors: ARGUMENT, MEMORY_HOST. */
pd_status cli_options_parse(cli_command command, int argc, char **argv, cli_options *out,
                            pd_error *err);
void cli_options_free(cli_options *o);

/* A number as the option takes it, into v; `source` begins the sentence of an error: the flag or
 * variable as the user spelled it. Errors: ARGUMENT (none, or out of range). */
pd_status cli_option_number(const cli_option *opt, const char *source, const char *text,
                            cli_value *v, pd_error *err);

const cli_option *cli_option_get(cli_option_id id);
const cli_command_info *cli_command_get(cli_command command);
const char *cli_command_name(cli_command command);
bool cli_command_find(const char *name, cli_command *out);

static inline bool cli_given(const cli_options *o, cli_option_id id) {
    return o->values[id].given > 0;
}
/* Errors: ARGUMENT when the option has no value. */
pd_status cli_need(const cli_options *o, cli_option_id id, pd_error *err);
/* The name of the first of n options that was given; NULL: none was. */
const char *cli_first_given(const cli_options *o, const cli_option_id *ids, size_t n);
static inline const char *cli_text(const cli_options *o, cli_option_id id) {
    return o->values[id].text;
}
static inline int64_t cli_int(const cli_options *o, cli_option_id id) {
    return o->values[id].integer;
}
static inline uint32_t cli_u32(const cli_options *o, cli_option_id id) {
    return (uint32_t)o->values[id].integer;
}
static inline double cli_real(const cli_options *o, cli_option_id id) {
    return o->values[id].real;
}

/* values.c: options as the library's own values. */
pd_precision cli_precision(const cli_options *o, cli_option_id id, pd_precision fallback);
const char *cli_precision_name(pd_precision p);
pd_head_type cli_head(const cli_options *o);
pd_sampler_desc cli_sampler(const cli_options *o); /* but for the biases */

/* help.c: to standard output. */
void cli_help_program(void);
void cli_help_command(cli_command command);
/* completion.c */
void cli_completion_bash(void);
void cli_completion_zsh(void);
void cli_completion_fish(void);

#endif
