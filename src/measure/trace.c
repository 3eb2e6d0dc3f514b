/* See trace.h. In the Trace Event Format's JSON object form a step is a process, a kind of
 * operation a thread of it, an operation a complete event ("ph": "X") with its layer, rows, bytes
 * and flops as arguments. Times are microseconds; operations follow each other without gaps, since
 * each was timed alone.
 *
 * SPDX-License-Identifier: MIT
 */
#include <inttypes.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "measure/profile.h"
#include "measure/trace.h"

struct pd_trace {
    pd_file_writer writer;
    uint32_t n_steps, n_events;
    char kinds[PD_MAX_PROFILE_KINDS][32]; /* of this step; the index is the thread's number */
    uint32_t n_kinds;
    double now_us;
};

/* Names hold nothing that JSON escapes: they are Peridot's own. */
static void write_event(pd_trace *t, const char *text) {
    const char *separator = t->n_events++ ? ",\n" : "\n";
    pd_file_writer_write(&t->writer, separator, strlen(separator));
    pd_file_writer_write(&t->writer, text, strlen(text));
}

static void write_name(pd_trace *t, const char *what, uint32_t tid, const char *name) {
    char text[256];
    snprintf(text, sizeof text,
             "{\"name\":\"%s\",\"ph\":\"M\",\"pid\":%u,\"tid\":%u,\"args\":{\"name\":\"%s\"}}",
             what, t->n_steps, tid, name);
    write_event(t, text);
}

pd_status pd_trace_open(const char *path, pd_trace **out, pd_error *err) {
    pd_trace *t = pd_alloc(1, sizeof *t);
    if (!t) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory for a trace");
    pd_status status = pd_file_writer_open(path, &t->writer, err);
    if (status != PD_OK) {
        pd_free(t);
        return status;
    }
    static const char begin[] = "{\"displayTimeUnit\":\"ms\",\"traceEvents\":[";
    pd_file_writer_write(&t->writer, begin, sizeof begin - 1);
    *out = t;
    return PD_OK;
}

void pd_trace_begin(pd_trace *t, const char *name) {
    t->n_steps++;
    t->n_kinds = 0;
    t->now_us = 0;
    write_name(t, "process_name", 0, name);
}

static uint32_t find_thread(pd_trace *t, const char *kind) {
    for (uint32_t i = 0; i < t->n_kinds; i++)
        if (!strcmp(t->kinds[i], kind)) return i + 1;
    if (t->n_kinds == PD_MAX_PROFILE_KINDS) return 0;
    snprintf(t->kinds[t->n_kinds++], sizeof t->kinds[0], "%s", kind);
    write_name(t, "thread_name", t->n_kinds, kind);
    return t->n_kinds;
}

void pd_trace_add(pd_trace *t, const pd_profile_op *op) {
    char text[512];
    uint32_t tid = find_thread(t, op->kind);
    double us = (double)op->ns / 1e3;
    snprintf(text, sizeof text,
             "{\"name\":\"%s\",\"cat\":\"%s\",\"ph\":\"X\",\"pid\":%u,\"tid\":%u,\"ts\":%.3f,"
             "\"dur\":%.3f,\"args\":{\"layer\":%" PRId32 ",\"rows\":%u,\"bytes\":%" PRIu64
             ",\"flops\":%.0f}}",
             op->name, op->kind, t->n_steps, tid, t->now_us, us, op->layer, op->n_rows, op->bytes,
             op->flops);
    write_event(t, text);
    t->now_us += us;
}

pd_status pd_trace_close(pd_trace *t, bool keep, pd_error *err) {
    pd_status status = PD_OK;
    pd_file_writer_write(&t->writer, "\n]}\n", 4);
    if (keep)
        status = pd_file_writer_commit(&t->writer, err);
    else
        pd_file_writer_abort(&t->writer);
    pd_free(t);
    return status;
}
