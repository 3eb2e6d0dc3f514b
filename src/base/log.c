/* The log: hands finished lines to one callback.
 *
 * This is the only process-wide state of the library. Function and context are read together under
 * a lock, the call itself happens outside it, so a callback may log or change the callback.
 * Lines are cut at 1023 bytes.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/log.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>

static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;
static pd_log_fn log_fn;
static void *log_ctx;
static atomic_int log_max_level = -1; /* -1: no callback */

void pd_log_set(pd_log_fn fn, void *ctx, pd_log_level max_level) {
    pthread_mutex_lock(&log_lock);
    log_fn = fn;
    log_ctx = ctx;
    atomic_store(&log_max_level, fn ? (int)max_level : -1);
    pthread_mutex_unlock(&log_lock);
}

bool pd_log_wants(pd_log_level level) {
    return (int)level <= atomic_load_explicit(&log_max_level, memory_order_relaxed);
}

void pd_log(pd_log_level level, const char *subsystem, const char *format, ...) {
    if (!pd_log_wants(level)) return;
    pthread_mutex_lock(&log_lock);
    pd_log_fn fn = log_fn;
    void *ctx = log_ctx;
    pthread_mutex_unlock(&log_lock);
    if (!fn) return;
    char line[1024];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(line, sizeof line, format, args);
    va_end(args);
    if (n >= 0) fn(ctx, level, subsystem, line);
}
