/* Errors, the log, and small texts: on standard error, but for what a model says and for lines
 * whose caller names the stream.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "base/os_file.h"
#include "base/terminal.h"
#include "cli/commands.h"

int cli_report_error(const pd_error *err) {
    fprintf(stderr, "peridot: %s\n", err->message[0] ? err->message : pd_status_text(err->status));
    if (err->hint[0]) fprintf(stderr, "  %s\n", err->hint);
    return pd_status_exit_code(err->status);
}

void cli_print_start(FILE *out, const pd_model *model, const cli_start *s) {
    const pd_load_stats *load = pd_model_get_load_stats(model);
    fprintf(out, "%.1f ms to the first token: read %.1f, device %.1f, ",
            cli_ms(load->total_ns + s->pipelines_ns + s->prompt_ns + s->token_ns),
            cli_ms(load->read_ns), cli_ms(load->device_ns));
    if (load->head_ns) fprintf(out, "head %.1f, ", cli_ms(load->head_ns));
    fprintf(out, "upload %.1f, pipelines %.1f", cli_ms(load->upload_ns), cli_ms(s->pipelines_ns));
    if (s->build)
        fprintf(out, " (%u, %u shaders compiled)", s->build->n_pipelines, s->build->n_shaders);
    fprintf(out, ", prompt %.1f, first token %.1f\n", cli_ms(s->prompt_ns), cli_ms(s->token_ns));
}

/* ---- log ------------------------------------------------------------------------------------ */

static FILE *log_stream; /* NULL: standard error */
static int log_failure;  /* errno of the first line that --log-file could not take */

static void log_line(void *ctx, pd_log_level level, const char *subsystem, const char *line) {
    static const char *const names[] = {"error", "warning", "info", "debug"};
    (void)ctx;
    FILE *out = log_stream ? log_stream : stderr;
    fprintf(out, "%s: %s: %s\n", subsystem, names[level], line);
    if (fflush(out) != 0 && log_stream && !log_failure) log_failure = errno;
}

static pd_status raise_log(const char *path, int error, pd_error *err) {
    return PD_RAISE(err, PD_ERR_IO, "cannot write the log file \"%s\": %s", path, strerror(error));
}

pd_status cli_log_begin(const cli_options *o, pd_error *err) {
    const char *path = cli_text(o, OPT_LOG_FILE);
    if (path) {
        log_stream = pd_stream_open(path, "w");
        if (!log_stream) return raise_log(path, errno, err);
    }
    uint32_t verbose = o->values[OPT_VERBOSE].given;
    pd_log_level level = verbose >= 2 ? PD_LOG_DEBUG : verbose || path ? PD_LOG_INFO : PD_LOG_WARN;
    pd_log_set(log_line, NULL, level);
    for (uint32_t i = 0; i < o->n_passed; i++)
        pd_log(PD_LOG_DEBUG, "cli", "%s changes nothing here", o->passed_over[i]);
    return PD_OK;
}

pd_status cli_log_end(const cli_options *o, pd_error *err) {
    pd_log_set(NULL, NULL, PD_LOG_ERROR);
    if (log_stream && fclose(log_stream) != 0 && !log_failure) log_failure = errno;
    log_stream = NULL;
    return log_failure ? raise_log(cli_text(o, OPT_LOG_FILE), log_failure, err) : PD_OK;
}

void cli_write_text(char *text, size_t n) {
    bool terminal = pd_is_terminal(stdout);
    for (size_t i = 0; terminal && i < n; i++) {
        unsigned char c = (unsigned char)text[i], next = i + 1 < n ? (unsigned char)text[i + 1] : 0;
        bool control = (c < 0x20 && c != '\n' && c != '\t') || c == 0x7f;
        if (c == 0xc2 && next >= 0x80 && next < 0xa0) text[i] = text[i + 1] = '?'; /* C1 */
        if (control) text[i] = '?';
    }
    fwrite(text, 1, n, stdout);
}

pd_status cli_check_stdout(pd_error *err) {
    errno = 0;
    if (fflush(stdout) == 0 && !ferror(stdout)) return PD_OK;
    return PD_RAISE(err, PD_ERR_IO, "cannot write to standard output%s%s", errno ? ": " : "",
                    errno ? strerror(errno) : "");
}
