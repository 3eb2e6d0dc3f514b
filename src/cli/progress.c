/* A progress bar on standard error, drawn at most ten times a second and only on a terminal.
 *
 *     loading [##########..........]  52 %  1.2 of 2.3 GiB  812 MiB/s  0:02 left
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/commands.h"

enum { BAR_CELLS = 24 };

void cli_progress_begin(cli_progress *p, const char *label) {
    const char *terminal = getenv("TERM");
    bool dumb = terminal && strcmp(terminal, "dumb") == 0; /* it cannot wipe a line */
    *p = (cli_progress){
        .label = label, .start_ns = pd_clock_ns(), .active = !dumb && isatty(STDERR_FILENO) == 1};
}

/* "  1:02 left", "  3:04:05 left", or nothing while it cannot be told. out: at least 32 bytes. */
static const char *time_left(uint64_t n_bytes, uint64_t speed, char *out) {
    uint64_t seconds = speed ? n_bytes / speed : UINT64_MAX;
    unsigned s = (unsigned)(seconds % 60), m = (unsigned)(seconds / 60 % 60);
    unsigned h = (unsigned)(seconds / 3600 % 1000);
    out[0] = '\0';
    if (seconds >= 1000 * UINT64_C(3600)) return out;
    if (h)
        snprintf(out, 32, "  %u:%02u:%02u left", h, m, s);
    else
        snprintf(out, 32, "  %u:%02u left", m, s);
    return out;
}

static void draw(cli_progress *p, uint64_t done, uint64_t total, uint64_t now_ns) {
    char bar[BAR_CELLS + 1], done_text[32], total_text[32], speed_text[32], left[32];
    double share = total ? (double)done / (double)total : 1;
    if (share > 1) share = 1;
    for (int i = 0; i < BAR_CELLS; i++) bar[i] = i < (int)(share * (double)BAR_CELLS) ? '#' : '.';
    bar[BAR_CELLS] = '\0';
    double seconds = (double)(now_ns - p->start_ns) / 1e9;
    uint64_t fresh = done > p->start_bytes ? done - p->start_bytes : 0;
    uint64_t speed = seconds > 0 ? (uint64_t)((double)fresh / seconds) : 0;
    fprintf(stderr, "\r%s [%s] %3d %%  %s of %s  %s/s%s \033[K", p->label, bar, (int)(share * 100),
            pd_size_text(done, done_text), pd_size_text(total, total_text),
            pd_size_text(speed, speed_text),
            time_left(total > done ? total - done : 0, speed, left));
    fflush(stderr);
    p->drawn = true;
    p->shown_ns = now_ns;
}

bool cli_progress_update(void *ctx, uint64_t bytes_done, uint64_t bytes_total) {
    cli_progress *p = ctx;
    if (bytes_done == 0) p->start_ns = pd_clock_ns(); /* what went before is no part of the speed */
    if (p->active) {
        uint64_t now_ns = pd_clock_ns();
        if (now_ns - p->shown_ns >= UINT64_C(100000000)) draw(p, bytes_done, bytes_total, now_ns);
    }
    return !cli_interrupted();
}

void cli_progress_end(cli_progress *p) {
    if (p->drawn) fprintf(stderr, "\r\033[K");
    p->active = false;
}

pd_files_work cli_work_begin(const cli_options *o, const char *label, cli_progress *p) {
    cli_interrupt_install();
    cli_progress_begin(p, label);
    return (pd_files_work){
        .n_threads = cli_u32(o, OPT_THREADS), .progress = cli_progress_update, .progress_ctx = p};
}
