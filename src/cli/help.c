/* --help of the program and of each subcommand, and completion for bash: all printed from the
 * tables of option_table.h. Other shells: completion.c.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdio.h>
#include <string.h>

#include "cli/options.h"

enum { HELP_COLUMN = 34, HELP_WIDTH = 98 };

void cli_help_program(void) {
    printf("peridot " PD_VERSION_STRING ": Gemma 3 inference on any Vulkan device, and on the CPU\n"
           "\nusage: peridot COMMAND [flags]\n\n");
    for (uint32_t i = 0; i < CLI_COMMAND_COUNT; i++)
        printf("  %-12s %s\n", cli_command_name((cli_command)i),
               cli_command_get((cli_command)i)->summary);
    printf("\n  --help       this page; peridot COMMAND --help shows a command's flags\n"
           "  --version    version, build and backends\n"
           "  --completion-bash, --completion-zsh, --completion-fish\n"
           "               a script for the shell: eval \"$(peridot --completion-bash)\"\n"
           "\nResults go to standard output, everything else to standard error.\n");
}

/* Words of `text` from column HELP_COLUMN on, `column` being where the cursor stands. */
static void print_wrapped(const char *text, int column) {
    if (column >= HELP_COLUMN) {
        printf("\n");
        column = 0;
    }
    printf("%*s", HELP_COLUMN - column, "");
    column = HELP_COLUMN;
    while (*text) {
        int n = (int)strcspn(text, " ");
        if (column > HELP_COLUMN && column + 1 + n > HELP_WIDTH) {
            printf("\n%*s", HELP_COLUMN, "");
            column = HELP_COLUMN;
        } else if (column > HELP_COLUMN) {
            column += printf(" ");
        }
        column += printf("%.*s", n, text);
        text += n;
        text += *text == ' ';
    }
    printf("\n");
}

static void print_option(const cli_option *opt) {
    bool wide = opt->value && strlen(opt->value) > 12; /* long choices go into the text */
    int column = printf("  %s%s%s%s%s", opt->alias ? opt->alias : "", opt->alias ? ", " : "    ",
                        opt->name, opt->value ? " " : "",
                        !opt->value ? ""
                        : wide      ? "X"
                                    : opt->value);
    char text[512];
    snprintf(text, sizeof text, "%s%s%s%s%s%s%s%s%s%s", opt->help, wide ? "; one of " : "",
             wide ? opt->value : "", opt->fallback ? " (default: " : "",
             opt->fallback ? opt->fallback : "", opt->fallback ? ")" : "", opt->env ? " [" : "",
             opt->env ? opt->env : "", opt->env ? "]" : "", "");
    print_wrapped(text, column);
}

void cli_help_command(cli_command command) {
    const cli_command_info *info = cli_command_get(command);
    printf("peridot %s: %s\n\nusage: peridot %s%s%s [flags]\n\n", info->name, info->summary,
           info->name, info->needs[0] ? " " : "", info->needs);
    for (uint32_t i = 0; i < OPT_COUNT; i++) {
        const cli_option *opt = cli_option_get((cli_option_id)i);
        if (opt->commands & 1u << command) print_option(opt);
    }
    printf("  -h, --help%*sthis page\n", HELP_COLUMN - 12, "");
    printf("\nA name in [brackets] is the environment variable that sets the same; flags win.\n");
}

/* ---- completion ----------------------------------------------------------------------------- */

static void print_flags(uint32_t command_bit) {
    for (uint32_t i = 0; i < OPT_COUNT; i++) {
        const cli_option *opt = cli_option_get((cli_option_id)i);
        if (opt->commands & command_bit) printf(" %s", opt->name);
    }
    printf(" --help");
}

static void print_words(const char *choices) {
    for (const char *c = choices; *c; c++) putchar(*c == '|' ? ' ' : *c);
}

/* "command:flag) what to offer;;" for flags with something known behind them. */
static void print_value_cases(cli_command command) {
    for (uint32_t i = 0; i < OPT_COUNT; i++) {
        const cli_option *opt = cli_option_get((cli_option_id)i);
        if (!(opt->commands & 1u << command) || opt->kind == KIND_FLAG) continue;
        printf("    %s:%s", cli_command_name(command), opt->name);
        if (opt->alias) printf("|%s:%s", cli_command_name(command), opt->alias);
        if (opt->kind == KIND_FILE || opt->kind == KIND_OUTPUT || opt->kind == KIND_FILES) {
            printf(") _peridot_files; return;;\n");
        } else if (opt->kind == KIND_DEVICE) {
            printf(") words=$(_peridot_devices);;\n");
        } else if (opt->kind == KIND_CHOICE) {
            printf(") words=\"");
            print_words(opt->value);
            printf("\";;\n");
        } else {
            printf(") return;;\n");
        }
    }
}

/* File names may hold spaces: one on each line, and readline told to quote them. The words of
 * devices' names are ids alone; a colon in a word is for bash the end of one. */
static void print_completion_helpers(void) {
    printf(
        "_peridot_files() {\n"
        "  local name\n"
        "  compopt -o filenames 2>/dev/null\n"
        "  while IFS= read -r name; do COMPREPLY+=(\"$name\"); done < <(compgen -f -- \"$word\")\n"
        "}\n"
        "_peridot_devices() {\n"
        "  echo vulkan\n"
        "  \"${COMP_WORDS[0]}\" devices 2>/dev/null | sed -nE 's/^(cpu|cpu-ref|vulkan:[0-9]+) "
        ".*/\\1/p'\n"
        "}\n");
}

/* What stands without a flag: files, and of `quantize` a type behind the two. */
static void print_argument_cases(void) {
    printf("  [ \"$COMP_CWORD\" -eq 1 ] && return\n"
           "  case \"$command\" in\n");
    for (uint32_t c = 0; c < CLI_COMMAND_COUNT; c++) {
        const cli_command_info *info = cli_command_get((cli_command)c);
        if (!info->n_args) continue;
        printf("  %s) _peridot_files", info->name);
        if (strstr(info->needs, " TYPE")) {
            printf("; [ \"$COMP_CWORD\" -ge 4 ] && COMPREPLY+=($(compgen -W \"");
            print_words(CLI_TYPE_NAMES);
            printf("\" -- \"$word\"))");
        }
        printf(";;\n");
    }
    printf("  esac\n");
}

void cli_completion_bash(void) {
    print_completion_helpers();
    printf("_peridot() {\n"
           "  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}\n"
           "  local command=${COMP_WORDS[1]} words=\n"
           "  COMPREPLY=()\n"
           "  if [ \"$COMP_CWORD\" -eq 1 ]; then\n    words=\"");
    for (uint32_t c = 0; c < CLI_COMMAND_COUNT; c++)
        printf("%s ", cli_command_name((cli_command)c));
    printf("--help --version\"\n  else\n    case \"$command:$before\" in\n");
    for (uint32_t c = 0; c < CLI_COMMAND_COUNT; c++) print_value_cases((cli_command)c);
    printf(
        "    esac\n"
        "    [ -z \"$words\" ] || { COMPREPLY=($(compgen -W \"$words\" -- \"$word\")); return; }\n"
        "    case \"$command\" in\n");
    for (uint32_t c = 0; c < CLI_COMMAND_COUNT; c++) {
        printf("    %s) words=\"", cli_command_name((cli_command)c));
        print_flags(1u << c);
        printf("\";;\n");
    }
    printf("    esac\n  fi\n"
           "  COMPREPLY=($(compgen -W \"$words\" -- \"$word\"))\n");
    print_argument_cases();
    printf("}\n"
           "complete -F _peridot peridot\n");
}
