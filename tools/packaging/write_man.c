/* Manual pages of the program and of each subcommand, as roff with the macros of man(7): printed
 * from the tables of option_table.h while Peridot is built, and installed.
 *
 * Usage: write_man DATE [COMMAND]     DATE stands in the footer as it is
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdio.h>
#include <string.h>

#include "options/options.h"

/* Text as it is: a minus that can be copied, no escapes, and no line that looks like a request. */
static void print_text(const char *text) {
    if (*text == '.' || *text == '\'') printf("\\&");
    for (; *text; text++) {
        if (*text == '-') {
            printf("\\-");
        } else if (*text == '\\') {
            printf("\\e");
        } else {
            putchar(*text);
        }
    }
}

static void print_bold(const char *text) {
    printf("\\fB");
    print_text(text);
    printf("\\fR");
}

static void print_header(const char *date, const char *command, const char *summary) {
    printf(".\\\" Written by tools/packaging/write_man.c\n.TH PERIDOT");
    for (const char *c = command; *c; c++)
        printf("%s%c", c == command ? "\\-" : "", *c >= 'a' && *c <= 'z' ? *c - 'a' + 'A' : *c);
    printf(" 1 \"%s\" \"peridot " PD_VERSION_STRING "\" \"User Commands\"\n.SH NAME\nperidot%s%s",
           date, command[0] ? "\\-" : "", command);
    printf(" \\- ");
    print_text(summary);
    printf("\n");
}

static void print_term(const char *text) {
    printf(".TP\n.B ");
    print_text(text);
    printf("\n");
}

/* ---- options -------------------------------------------------------------------------------- */

static void print_option(const cli_option *opt) {
    printf(".TP\n");
    if (opt->alias) {
        print_bold(opt->alias);
        printf(", ");
    }
    print_bold(opt->name);
    if (opt->value) {
        printf(" \\fI");
        print_text(opt->value);
        printf("\\fR");
    }
    printf("\n");
    print_text(opt->help);
    if (opt->fallback) {
        printf(" (default: ");
        print_text(opt->fallback);
        printf(")");
    }
    if (opt->env) printf(" [\\fB%s\\fR]", opt->env);
    printf("\n");
}

/* Rows share a variable: each is named once, with the flag of its first. */
static bool is_first_of_variable(uint32_t index) {
    const char *env = cli_option_get((cli_option_id)index)->env;
    for (uint32_t i = 0; env && i < index; i++) {
        const char *other = cli_option_get((cli_option_id)i)->env;
        if (other && strcmp(env, other) == 0) return false;
    }
    return env != NULL;
}

static void print_variables(void) {
    printf(".SH ENVIRONMENT\nThese set the same as a flag, which wins over them. A command takes "
           "the variables of the flags that it has.\n");
    for (uint32_t i = 0; i < OPT_COUNT; i++) {
        const cli_option *opt = cli_option_get((cli_option_id)i);
        if (!is_first_of_variable(i)) continue;
        print_term(opt->env);
        print_bold(opt->name);
        printf("\n");
    }
    printf(".PP\nOthers:\n");
    print_term("PERIDOT_CACHE_DIR");
    printf("the folder of fetched models, compiled shaders and what was measured of devices "
           "(default: peridot in \\fBXDG_CACHE_HOME\\fR, or in ~/.cache)\n");
    print_term("XDG_STATE_HOME");
    printf("its folder peridot has the history of \\fBchat\\fR (default: ~/.local/state)\n");
    print_term("NO_COLOR");
    printf("no colours in \\fBchat\\fR\n");
    print_term("HF_TOKEN, HF_HOME, HF_ENDPOINT");
    printf("the key to models that need one, the folder with a file token that holds it, and "
           "another hub: as for Hugging Face's own tools\n");
}

static void print_exit_statuses(void) {
    static const struct {
        int code;
        const char *text;
    } rows[] = {
#define STATUS_ROW(name, exit_code, http, text) {exit_code, text},
        PD_STATUS_LIST(STATUS_ROW)
#undef STATUS_ROW
    };
    printf(".SH EXIT STATUS\n");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        printf(".TP\n.B %d\n", rows[i].code);
        print_text(rows[i].text);
        printf("\n");
    }
}

/* ---- pages ---------------------------------------------------------------------------------- */

static void print_commands(void) {
    printf(".SH COMMANDS\n");
    for (uint32_t c = 0; c < CLI_COMMAND_COUNT; c++) {
        const cli_command_info *info = cli_command_get((cli_command)c);
        printf(".TP\n\\fBperidot\\-");
        print_text(info->name);
        printf("\\fR(1)\n");
        print_text(info->summary);
        printf("\n");
    }
}

static void print_program(const char *date) {
    print_header(date, "", "Gemma 3 inference on any Vulkan device, and on the CPU");
    printf(
        ".SH SYNOPSIS\n.B peridot\n.I COMMAND\n.RI [ flags ]\n"
        ".SH DESCRIPTION\nAnswers prompts, with pictures if need be, by a Gemma 3 model in a GGUF "
        "file; measures, checks, converts and fetches such files.\n"
        "Results go to standard output, everything else to standard error.\n");
    print_commands();
    printf(".SH OPTIONS\n");
    print_term("-h, --help");
    printf("the list of commands; behind a command, its flags\n");
    print_term("--version");
    printf("version, build and backends\n");
    print_term("--completion-bash, --completion-zsh, --completion-fish");
    printf("a script that completes commands, flags and values for the shell\n");
    print_variables();
    print_exit_statuses();
    printf(".SH EXAMPLES\n.nf\nperidot fetch USER/REPO:Q4_0\n"
           "peridot run \\-m model.gguf \\-p \"Why is the sky blue?\"\n"
           "peridot chat \\-m model.gguf\n.fi\n");
}

static void print_command(const char *date, cli_command command) {
    const cli_command_info *info = cli_command_get(command);
    print_header(date, info->name, info->summary);
    printf(".SH SYNOPSIS\n.B peridot ");
    print_text(info->name);
    printf("\n");
    if (info->needs[0]) {
        print_text(info->needs);
        printf("\n");
    }
    printf(".RI [ flags ]\n.SH OPTIONS\nA name in [brackets] is the environment variable that sets "
           "the same; flags win.\n");
    for (uint32_t i = 0; i < OPT_COUNT; i++) {
        const cli_option *opt = cli_option_get((cli_option_id)i);
        if (opt->commands & 1u << command) print_option(opt);
    }
    print_term("-h, --help");
    printf("these flags, in short\n"
           ".SH EXIT STATUS\n0 after success; what else there is,\n.BR peridot (1)\nlists.\n"
           ".SH SEE ALSO\n.BR peridot (1)\n");
}

int main(int argc, char **argv) {
    cli_command command;
    const char *name = argc > 2 ? argv[2] : "";
    if (argc < 2 || argc > 3) {
        fprintf(stderr, "usage: write_man DATE [COMMAND]\n");
        return 2;
    }
    if (!name[0]) {
        print_program(argv[1]);
    } else if (cli_command_find(name, &command)) {
        print_command(argv[1], command);
    } else {
        fprintf(stderr, "write_man: no command is called \"%s\"\n", name);
        return 2;
    }
    return fflush(stdout) == 0 && !ferror(stdout) ? 0 : 1;
}
