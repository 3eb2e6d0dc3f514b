/* A backend whose n-th call fails: any backend's functions, put between it and the engine.
 *
 * What fails has done its work before, or half of it: results that are not to be trusted are the
 * harder case. A failed read leaves NaNs.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_TEST_SUPPORT_BACKEND_H
#define PD_TEST_SUPPORT_BACKEND_H

#include <string.h>

#include "backend/backend.h"

static const pd_backend_vtable *real_backend;  /* one backend at a time */
static uint32_t n_backend_calls, failing_call; /* failing_call 0: none fails */

static bool fails_now(void) {
    return ++n_backend_calls == failing_call;
}

static pd_status pass_or_fail(pd_status status, bool fails, const char *what, pd_error *err) {
    if (status != PD_OK || !fails) return status;
    return PD_RAISE(err, PD_ERR_DEVICE, "a call that was to fail: %s", what);
}

static pd_status failing_kv_create(pd_backend *b, const pd_kv_store_desc *desc, pd_kv_store **out,
                                   pd_error *err) {
    *out = NULL;
    if (fails_now()) return pass_or_fail(PD_OK, true, "kv_create", err);
    return real_backend->kv_create(b, desc, out, err);
}

static pd_status failing_kv_grow(pd_backend *b, pd_kv_store *kv, uint32_t n_global,
                                 uint32_t n_local, pd_error *err) {
    if (fails_now()) return pass_or_fail(PD_OK, true, "kv_grow", err);
    return real_backend->kv_grow(b, kv, n_global, n_local, err);
}

static pd_status failing_kv_read(pd_backend *b, pd_kv_store *kv, bool global, uint32_t page,
                                 void *dst, pd_error *err) {
    bool fails = fails_now();
    return pass_or_fail(real_backend->kv_read(b, kv, global, page, dst, err), fails, "kv_read",
                        err);
}

static pd_status failing_kv_write(pd_backend *b, pd_kv_store *kv, bool global, uint32_t page,
                                  const void *src, pd_error *err) {
    if (fails_now()) return pass_or_fail(PD_OK, true, "kv_write", err);
    return real_backend->kv_write(b, kv, global, page, src, err);
}

static pd_status failing_compile(pd_backend *b, const pd_plan *plan, pd_kv_store *kv,
                                 pd_program **out, pd_error *err) {
    *out = NULL;
    if (fails_now()) return pass_or_fail(PD_OK, true, "compile", err);
    return real_backend->compile(b, plan, kv, out, err);
}

static pd_status failing_run(pd_program *p, const pd_step *step, pd_error *err) {
    bool fails = fails_now();
    return pass_or_fail(real_backend->run(p, step, err), fails, "run", err);
}

/* Half of the steps are computed and handed over before it fails. */
static pd_status failing_run_ahead(pd_program *p, const pd_run_ahead *ahead, pd_run_ahead_end *end,
                                   pd_error *err) {
    pd_run_ahead half = *ahead;
    if (!fails_now()) return real_backend->run_ahead(p, ahead, end, err);
    *end = (pd_run_ahead_end){0};
    half.n_steps /= 2;
    pd_status status = half.n_steps ? real_backend->run_ahead(p, &half, end, err) : PD_OK;
    end->intact = false;
    return pass_or_fail(status, true, "run_ahead", err);
}

static pd_status failing_write(pd_program *p, pd_buf_id buf, uint64_t offset, uint64_t n,
                               const void *src, pd_error *err) {
    bool fails = fails_now();
    return pass_or_fail(real_backend->write(p, buf, offset, n, src, err), fails, "write", err);
}

static pd_status failing_read(pd_program *p, pd_buf_id buf, uint64_t offset, uint64_t n, void *dst,
                              pd_error *err) {
    bool fails = fails_now();
    pd_status status = real_backend->read(p, buf, offset, n, dst, err);
    if (fails) memset(dst, 0xff, n);
    return pass_or_fail(status, fails, "read", err);
}

static pd_status failing_trace(pd_program *p, const pd_step *step, pd_op_range range,
                               pd_trace_fn fn, void *ctx, pd_error *err) {
    bool fails = fails_now();
    return pass_or_fail(real_backend->trace(p, step, range, fn, ctx, err), fails, "trace", err);
}

static void wrap_backend(pd_backend *b) {
    static pd_backend_vtable table;
    real_backend = b->v;
    table = *b->v;
    table.kv_create = failing_kv_create;
    table.kv_grow = failing_kv_grow;
    table.kv_read = failing_kv_read;
    table.kv_write = failing_kv_write;
    table.compile = failing_compile;
    table.run = failing_run;
    if (table.run_ahead) table.run_ahead = failing_run_ahead;
    table.write = failing_write;
    table.read = failing_read;
    table.trace = failing_trace;
    b->v = &table;
    failing_call = 0;
}

static void unwrap_backend(pd_backend *b) {
    b->v = real_backend;
}

#endif
