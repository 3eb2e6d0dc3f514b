/* --help of the program and of each subcommand, printed from the tables of option_table.h.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdio.h>
#include <string.h>

#include "options/options.h"

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
