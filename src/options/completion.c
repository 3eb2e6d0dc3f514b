/* Completion for bash, zsh and fish, printed from the tables of option_table.h.
 *
 * Help texts are quoted for the last two: zsh reads a spec's brackets and colons, and both shells
 * single quotes. What a flag's value may be comes from its kind: files, devices, choices, or
 * nothing.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdio.h>
#include <string.h>

#include "options/options.h"

/* With a backslash before each character of `special`. */
static void print_escaped(const char *text, const char *special) {
    for (; *text; text++) {
        if (strchr(special, *text)) putchar('\\');
        putchar(*text);
    }
}

static void print_choices(const char *choices) {
    for (; *choices; choices++) putchar(*choices == '|' ? ' ' : *choices);
}

static bool is_path(const cli_option *opt) {
    return opt->kind == KIND_FILE || opt->kind == KIND_OUTPUT || opt->kind == KIND_FILES;
}

static bool takes_type(const cli_command_info *info) {
    return strstr(info->needs, " TYPE") != NULL;
}

/* ---- zsh ------------------------------------------------------------------------------------ */

/* Inside '...' a quote ends the string: it is put between two of them. */
static void print_zsh_text(const char *text) {
    for (; *text; text++) {
        if (*text == '\'') {
            printf("'\\''");
        } else {
            char one[2] = {*text, 0};
            print_escaped(one, "[]:\\");
        }
    }
}

static void print_zsh_option(const cli_option *opt) {
    bool repeats = opt->kind == KIND_FILES || opt->kind == KIND_LIST || opt->kind == KIND_TEXTS ||
                   opt->kind == KIND_FLAG;
    const char *const spellings[] = {opt->alias, opt->name};
    for (uint32_t i = 0; i < 2; i++) {
        if (!spellings[i]) continue;
        printf(" \\\n        '");
        if (repeats) {
            printf("*");
        } else if (opt->alias) {
            printf("(%s %s)", opt->alias, opt->name);
        }
        printf("%s[", spellings[i]);
        print_zsh_text(opt->help);
        printf("]");
        if (opt->kind == KIND_CHOICE) {
            printf(":value:(");
            print_choices(opt->value);
            printf(")");
        } else if (opt->value) {
            printf(":");
            print_zsh_text(opt->value);
            printf(is_path(opt)               ? ":_files"
                   : opt->kind == KIND_DEVICE ? ":_peridot_devices"
                                              : ": ");
        }
        printf("'");
    }
}

static void print_zsh_command(cli_command command) {
    const cli_command_info *info = cli_command_get(command);
    printf("    %s)\n      _arguments", info->name);
    for (uint32_t i = 0; i < OPT_COUNT; i++) {
        const cli_option *opt = cli_option_get((cli_option_id)i);
        if (opt->commands & 1u << command) print_zsh_option(opt);
    }
    printf(" \\\n        '(-h --help)'{-h,--help}'[show the flags]'");
    if (takes_type(info)) {
        printf(" \\\n        '1:file:_files' '2:file:_files' '3:type:(");
        print_choices(CLI_TYPE_NAMES);
        printf(")'");
    } else if (info->n_args) {
        printf(" \\\n        '*:file:_files'");
    }
    printf(" ;;\n");
}

void cli_completion_zsh(void) {
    printf("#compdef peridot\n"
           "_peridot_devices() {\n"
           "  local -a found\n"
           "  found=(vulkan ${(f)\"$(_call_program devices peridot devices 2>/dev/null |\n"
           "    sed -nE 's/^(cpu|cpu-ref|vulkan:[0-9]+) .*/\\1/p')\"})\n"
           "  compadd -a found\n"
           "}\n"
           "_peridot() {\n"
           "  local -a commands\n"
           "  if (( CURRENT == 2 )); then\n"
           "    commands=(\n");
    for (uint32_t c = 0; c < CLI_COMMAND_COUNT; c++) {
        const cli_command_info *info = cli_command_get((cli_command)c);
        printf("      '%s:", info->name);
        print_zsh_text(info->summary);
        printf("'\n");
    }
    printf("    )\n"
           "    _describe command commands\n"
           "    compadd -- --help --version\n"
           "    return\n"
           "  fi\n"
           "  local command=$words[2]\n"
           "  shift words\n"
           "  (( CURRENT-- ))\n"
           "  case $command in\n");
    for (uint32_t c = 0; c < CLI_COMMAND_COUNT; c++) print_zsh_command((cli_command)c);
    printf("  esac\n"
           "}\n"
           "if [ \"$funcstack[1]\" = _peridot ]; then _peridot \"$@\"; else compdef _peridot "
           "peridot; fi\n");
}

/* ---- fish ----------------------------------------------------------------------------------- */

static void print_fish_rule(const char *command) {
    printf("complete -c peridot -n '__peridot_command %s'", command);
}

static void print_fish_text(const char *text) {
    printf(" -d '");
    print_escaped(text, "'\\");
    printf("'\n");
}

/* "-m" is short, "-hf" of the old kind, "--model" long. */
static void print_fish_spelling(const char *flag) {
    if (flag[1] == '-') {
        printf(" -l %s", flag + 2);
    } else {
        printf(flag[2] ? " -o %s" : " -s %s", flag + 1);
    }
}

static void print_fish_option(const char *command, const cli_option *opt) {
    print_fish_rule(command);
    if (opt->alias) print_fish_spelling(opt->alias);
    print_fish_spelling(opt->name);
    if (is_path(opt)) {
        printf(" -rF");
    } else if (opt->kind == KIND_DEVICE) {
        printf(" -xa '(__peridot_devices)'");
    } else if (opt->kind == KIND_CHOICE) {
        printf(" -xa '");
        print_choices(opt->value);
        printf("'");
    } else if (opt->kind != KIND_FLAG) {
        printf(" -x");
    }
    print_fish_text(opt->help);
}

static void print_fish_command(cli_command command) {
    const cli_command_info *info = cli_command_get(command);
    printf("complete -c peridot -n __peridot_no_command -a %s", info->name);
    print_fish_text(info->summary);
    for (uint32_t i = 0; i < OPT_COUNT; i++) {
        const cli_option *opt = cli_option_get((cli_option_id)i);
        if (opt->commands & 1u << command) print_fish_option(info->name, opt);
    }
    print_fish_rule(info->name);
    printf(" -s h -l help");
    print_fish_text("show the flags");
    if (info->n_args) {
        print_fish_rule(info->name);
        printf(" -F\n");
    }
    if (takes_type(info)) {
        print_fish_rule(info->name);
        printf(" -a '");
        print_choices(CLI_TYPE_NAMES);
        printf("'\n");
    }
}

void cli_completion_fish(void) {
    printf("function __peridot_no_command\n"
           "  test (count (commandline -opc)) -eq 1\n"
           "end\n"
           "function __peridot_command\n"
           "  set -l words (commandline -opc)\n"
           "  test (count $words) -ge 2; and test $words[2] = $argv[1]\n"
           "end\n"
           "function __peridot_devices\n"
           "  echo vulkan\n"
           "  peridot devices 2>/dev/null | string replace -rf '^(cpu|cpu-ref|vulkan:[0-9]+) .*' "
           "'$1'\n"
           "end\n"
           "complete -c peridot -f\n"
           "complete -c peridot -n __peridot_no_command -s h -l help -d 'list the commands'\n"
           "complete -c peridot -n __peridot_no_command -l version -d 'version, build and "
           "backends'\n");
    for (uint32_t c = 0; c < CLI_COMMAND_COUNT; c++) print_fish_command((cli_command)c);
}

/* ---- bash ----------------------------------------------------------------------------------- */

static void print_flags(uint32_t command_bit) {
    for (uint32_t i = 0; i < OPT_COUNT; i++) {
        const cli_option *opt = cli_option_get((cli_option_id)i);
        if (opt->commands & command_bit) printf(" %s", opt->name);
    }
    printf(" --help");
}

/* "command:flag) what to offer;;" for flags with something known behind them. */
static void print_value_cases(cli_command command) {
    for (uint32_t i = 0; i < OPT_COUNT; i++) {
        const cli_option *opt = cli_option_get((cli_option_id)i);
        if (!(opt->commands & 1u << command) || opt->kind == KIND_FLAG) continue;
        printf("    %s:%s", cli_command_name(command), opt->name);
        if (opt->alias) printf("|%s:%s", cli_command_name(command), opt->alias);
        if (is_path(opt)) {
            printf(") _peridot_files; return;;\n");
        } else if (opt->kind == KIND_DEVICE) {
            printf(") words=$(_peridot_devices);;\n");
        } else if (opt->kind == KIND_CHOICE) {
            printf(") words=\"");
            print_choices(opt->value);
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
        if (takes_type(info)) {
            printf("; [ \"$COMP_CWORD\" -ge 4 ] && COMPREPLY+=($(compgen -W \"");
            print_choices(CLI_TYPE_NAMES);
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
