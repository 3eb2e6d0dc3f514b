/* The program: finds the subcommand, reads its options, runs it, and turns its status into the exit
 * code. The only place that reports a failure.
 *
 * SPDX-License-Identifier: MIT
 */
#include <string.h>

#include "base/process.h"
#include "base/terminal.h"
#include "cli/commands.h"
#include "options/habits.h"

typedef pd_status (*command_fn)(const cli_options *o, pd_error *err);

static const command_fn command_fns[CLI_COMMAND_COUNT] = {
#define COMMAND_FUNCTION(id, name, function, ...) function,
    CLI_COMMAND_LIST(COMMAND_FUNCTION)
#undef COMMAND_FUNCTION
};

static void print_version(void) {
#ifdef PERIDOT_HAS_VULKAN
    const char *backends = "cpu, cpu-ref, vulkan";
#else
    const char *backends = "cpu, cpu-ref";
#endif
    printf("peridot %s (commit %s, compiler %s, backends: %s)\n", PD_VERSION_STRING, PERIDOT_COMMIT,
           __VERSION__, backends);
}

/* The model's path is known only now. */
static pd_status fetch_model(cli_options *o, pd_error *err) {
    PD_TRY(cli_fetch_model(o, err));
    return cli_check_outputs(o, err);
}

static pd_status run_command(cli_command command, int argc, char **argv, pd_error *err) {
    cli_options o;
    pd_status status = cli_options_parse(command, argc, argv, &o, err);
    if (status == PD_OK && o.wants_help) {
        cli_help_command(command);
    } else if (status == PD_OK) {
        cli_progress_configure(&o);
        cli_take_toy(&o);
        status = cli_check_outputs(&o, err);
        if (status == PD_OK) status = cli_log_begin(&o, err);
        command_fn fn = cli_given(&o, OPT_LIST_DEVICES) ? cli_devices : command_fns[command];
        if (status == PD_OK && fn != cli_devices && cli_given(&o, OPT_HF_REPO))
            status = fetch_model(&o, err);
        if (status == PD_OK) status = fn(&o, err);
        pd_error lost = {0};
        lost.status = cli_log_end(&o, &lost);
        if (status == PD_OK) status = pd_error_again(err, &lost);
    }
    cli_options_free(&o);
    return status;
}

static pd_status raise_unknown_command(const char *name, pd_error *err) {
    pd_status status = PD_RAISE(err, PD_ERR_ARGUMENT, "unknown command \"%s\"", name);
    const char *instead = cli_habit_command(name);
    if (instead) return pd_error_hint(err, status, "%s", instead);
    for (uint32_t c = 0; c < CLI_COMMAND_COUNT; c++)
        if (pd_word_distance(name, cli_command_name((cli_command)c)) <= 2)
            return pd_error_hint(err, status, "did you mean %s?", cli_command_name((cli_command)c));
    return pd_error_hint(err, status, "peridot --help lists the commands");
}

static pd_status dispatch(int argc, char **argv, pd_error *err) {
    const char *first = argc > 1 ? argv[1] : "--help";
    cli_command command;
    if (strcmp(first, "--list-devices") == 0)
        return run_command(CLI_DEVICES, argc - 2, argv + 2, err);
    if (strcmp(first, "--cache-list") == 0 || strcmp(first, "-cl") == 0)
        return run_command(CLI_LIST, argc - 2, argv + 2, err);
    if (cli_command_find(first, &command)) return run_command(command, argc - 2, argv + 2, err);
    if (strcmp(first, "help") == 0 && argc > 2) {
        if (!cli_command_find(argv[2], &command)) return raise_unknown_command(argv[2], err);
        cli_help_command(command);
    } else if (strcmp(first, "--help") == 0 || strcmp(first, "-h") == 0 ||
               strcmp(first, "help") == 0) {
        cli_help_program();
    } else if (strcmp(first, "--version") == 0) {
        print_version();
    } else if (strcmp(first, "--completion-bash") == 0) {
        cli_completion_bash();
    } else if (strcmp(first, "--completion-zsh") == 0) {
        cli_completion_zsh();
    } else if (strcmp(first, "--completion-fish") == 0) {
        cli_completion_fish();
    } else if (first[0] == '-') {
        return run_command(CLI_RUN, argc - 1, argv + 1, err); /* as llama-cli */
    } else {
        return raise_unknown_command(first, err);
    }
    return PD_OK;
}

int main(int argc, char **argv) {
    pd_error err = {0};
    pd_terminal_begin();
    pd_program_arguments(&argc, &argv);
    cli_bus_error_install();
    pd_status status = dispatch(argc, argv, &err);
    if (status == PD_OK) status = cli_check_stdout(&err);
    if (status == PD_OK) return 0;
    fflush(stdout);
    err.status = status;
    return cli_report_error(&err);
}
