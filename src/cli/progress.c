/* How far long work is, on standard error: on a terminal a bar, drawn at most ten times a second;
 * with --progress elsewhere a line a second, and one at the end.
 *
 *     loading [##########..........]  52 %  1.2 of 2.3 GiB  812 MiB/s  0:02 left
 *     prompt   52 %  1024 of 1969 tokens  211.3 tok/s  0:04 left
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/env.h"
#include "base/terminal.h"
#include "cli/commands.h"

enum { BAR_CELLS = 24 };

static bool forced, off; /* by the options */

void cli_progress_configure(const cli_options *o) {
    forced = cli_given(o, OPT_PROGRESS);
    off = cli_given(o, OPT_QUIET);
}

static bool draws_bars(void) {
    const char *terminal = pd_env("TERM");
    bool dumb = terminal && strcmp(terminal, "dumb") == 0; /* it cannot wipe a line */
    return !dumb && pd_is_terminal(stderr);
}

void cli_progress_begin(cli_progress *p, const char *label) {
    *p = (cli_progress){
        .label = label, .start_ns = pd_clock_ns(), .active = !off && (forced || draws_bars())};
}

/* "  1:02 left", unless it cannot be told. */
static void print_time_left(uint64_t n, double speed) {
    char text[32];
    double seconds = speed > 0 ? (double)n / speed : HUGE_VAL;
    if (seconds < 1000 * 3600.0)
        fprintf(stderr, "  %s left", pd_time_text((uint64_t)seconds, text));
}

static void print_amounts(const cli_progress *p, uint64_t done, uint64_t total, double speed) {
    char done_text[32], total_text[32], speed_text[32];
    if (p->counts_tokens) {
        fprintf(stderr, "%llu of %llu tokens", (unsigned long long)done, (unsigned long long)total);
        if (speed > 0) fprintf(stderr, "  %.1f tok/s", speed);
    } else {
        fprintf(stderr, "%s of %s  %s/s", pd_size_text(done, done_text),
                pd_size_text(total, total_text), pd_size_text((uint64_t)speed, speed_text));
    }
}

static void draw(cli_progress *p, uint64_t done, uint64_t total, uint64_t now_ns) {
    char bar[BAR_CELLS + 1];
    double share = total ? (double)done / (double)total : 1;
    if (share > 1) share = 1;
    for (int i = 0; i < BAR_CELLS; i++) bar[i] = i < (int)(share * (double)BAR_CELLS) ? '#' : '.';
    bar[BAR_CELLS] = '\0';
    double seconds = (double)(now_ns - p->start_ns) / 1e9;
    uint64_t fresh = done > p->start_bytes ? done - p->start_bytes : 0;
    double speed = seconds > 0 ? (double)fresh / seconds : 0;
    bool bars = draws_bars();
    if (bars)
        fprintf(stderr, "\r%s [%s] %3d %%  ", p->label, bar, (int)(share * 100));
    else
        fprintf(stderr, "%s %3d %%  ", p->label, (int)(share * 100));
    print_amounts(p, done, total, speed);
    if (done < total) print_time_left(total - done, speed);
    fprintf(stderr, bars ? " \033[K" : "\n");
    fflush(stderr);
    p->drawn = bars;
    p->shown_ns = now_ns;
}

bool cli_progress_update(void *ctx, uint64_t bytes_done, uint64_t bytes_total) {
    cli_progress *p = ctx;
    if (bytes_done == 0) p->start_ns = pd_clock_ns(); /* what went before is no part of the speed */
    if (p->active) {
        uint64_t now_ns = pd_clock_ns(), pause_ns = draws_bars() ? 100000000 : 1000000000;
        bool ends = !draws_bars() && bytes_done == bytes_total;
        if (ends || now_ns - p->shown_ns >= pause_ns) draw(p, bytes_done, bytes_total, now_ns);
    }
    return !cli_interrupted();
}

bool cli_progress_update_tokens(void *ctx, uint32_t n_done, uint32_t n_total) {
    cli_progress *p = ctx;
    p->counts_tokens = true;
    return cli_progress_update(p, n_done, n_total);
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
