/* The tables of option_table.h, and looking things up in them.  SPDX-License-Identifier: MIT */
#include <string.h>

#include "options/options.h"

static const cli_option options[OPT_COUNT] = {
#define OPTION_ROW(id, kind, name, alias, env, min, max, fallback, value, commands, help)          \
    {KIND_##kind, name, alias, env, min, max, fallback, value, commands, help},
    CLI_OPTION_LIST(OPTION_ROW)
#undef OPTION_ROW
};

static const cli_command_info command_infos[CLI_COMMAND_COUNT] = {
#define COMMAND_ROW(id, name, function, n_args, needs, summary) {name, needs, summary, n_args},
    CLI_COMMAND_LIST(COMMAND_ROW)
#undef COMMAND_ROW
};

const cli_option *cli_option_get(cli_option_id id) {
    return &options[id];
}

const cli_command_info *cli_command_get(cli_command command) {
    return &command_infos[command];
}

const char *cli_command_name(cli_command command) {
    return command_infos[command].name;
}

bool cli_command_find(const char *name, cli_command *out) {
    for (uint32_t i = 0; i < CLI_COMMAND_COUNT; i++) {
        if (strcmp(name, command_infos[i].name) != 0) continue;
        *out = (cli_command)i;
        return true;
    }
    return false;
}
