/* What a report says of itself: the command that does it again, when and by which build it was
 * made, and what of the environment matters.
 *
 * SPDX-License-Identifier: MIT
 */
#include <string.h>

#include "base/clock.h"
#include "base/env.h"
#include "base/process.h"
#include "cli/json.h"

/* In single quotes, as a shell reads it. */
static void quote(pd_bytes *out, const char *text) {
    pd_bytes_write(out, "'", 1);
    for (; *text; text++)
        pd_bytes_write(out, *text == '\'' ? "'\\''" : text, *text == '\'' ? 4 : 1);
    pd_bytes_write(out, "'", 1);
}

static void add_option(pd_bytes *out, const cli_option *option, const cli_value *v) {
    uint32_t n = option->kind == KIND_FILES || option->kind == KIND_TEXTS ? v->given : 1;
    for (uint32_t i = 0; i < n; i++) {
        pd_bytes_printf(out, " %s", option->name);
        if (option->kind == KIND_FLAG) continue;
        pd_bytes_write(out, " ", 1);
        quote(out, n > 1 ? v->texts[i] : v->text);
    }
}

/* What does it again: options as they were given, but for where the report goes. */
static void add_command(cJSON *root, const cli_options *o) {
    pd_bytes text = {0};
    pd_bytes_printf(&text, "peridot %s", cli_command_name(o->command));
    for (uint32_t i = 0; i < OPT_COUNT; i++) {
        const cli_value *v = &o->values[i];
        const cli_option *option = cli_option_get((cli_option_id)i);
        bool counts = v->given && !v->from_env && option->kind != KIND_OUTPUT && i != OPT_JSON;
        if (counts && (option->commands >> o->command & 1)) add_option(&text, option, v);
    }
    for (uint32_t i = 0; i < o->n_args; i++) {
        pd_bytes_write(&text, " ", 1);
        quote(&text, o->args[i]);
    }
    if (!text.failed) cJSON_AddItemToObject(root, "command", cli_text_json(text.data, text.n));
    pd_bytes_free(&text);
}

/* A pd_env_each function. What may hold secrets is left out. */
static void add_variable(void *ctx, const char *name, const char *value) {
    bool counts = strncmp(name, "PERIDOT_", 8) == 0 || strncmp(name, "VK_", 3) == 0 ||
                  strncmp(name, "MESA_", 5) == 0;
    if (!counts || strstr(name, "TOKEN") || strstr(name, "API_KEY") || strstr(value, "TOKEN") ||
        strstr(value, "API_KEY"))
        return;
    cJSON_AddItemToObject(ctx, name, cli_text_json(value, strlen(value)));
}

static void add_build(cJSON *root) {
    char system[256], now[32];
    pd_system_name(system, sizeof system);
    pd_clock_utc(now);
    CLI_ADD_TEXTS(root, {"time", now});
    cJSON *j = cJSON_AddObjectToObject(root, "build");
    CLI_ADD_TEXTS(j, {"compiler", __VERSION__}, {"system", system});
}

void cli_add_provenance(cJSON *root, const cli_options *o) {
    add_command(root, o);
    add_build(root);
    pd_env_each(add_variable, cJSON_AddObjectToObject(root, "environment"));
}
