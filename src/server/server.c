/* A server's life: it listens while the model is opened, and says so; a device that was lost is
 * opened again, while requests hear 503; in the end what is running gets its time.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/os_file.h"
#include "server/fields.h"
#include "server/parts.h"

enum { WAIT_MS = 50, DEFAULT_IMAGES = 64 };

static void wait_a_while(void) {
    pd_sleep_ms(WAIT_MS);
}

/* ---- engines -------------------------------------------------------------------------------- */

srv_engine *srv_engine_hold(pd_server *s) {
    pd_mutex_lock(s->lock);
    srv_engine *e = s->engine;
    if (e) atomic_fetch_add(&e->n_holds, 1);
    pd_mutex_unlock(s->lock);
    return e;
}

/* The last but one: the server's own goes in destroy_engine, in a thread that may wait. */
void srv_engine_release(srv_engine *e) {
    if (e) atomic_fetch_sub(&e->n_holds, 1);
}

static void set_engine(pd_server *s, srv_engine *e) {
    pd_mutex_lock(s->lock);
    s->engine = e;
    pd_mutex_unlock(s->lock);
}

/* Calls that hold it end soon: a batch that has lost its device fails them all, and in the end
 * their clients are gone. */
static void destroy_engine(srv_engine *e) {
    if (!e) return;
    while (atomic_load(&e->n_holds) > 0) wait_a_while();
    pd_batch_destroy(e->batch);
    pd_model_close(e->model);
    pd_free(e);
}

static pd_status create_batch(const pd_server *s, srv_engine *e, pd_error *err) {
    pd_batch_desc desc = s->desc.batch;
    if (desc.session.n_ctx == PD_SERVER_WHOLE_CONTEXT)
        desc.session.n_ctx = pd_model_get_info(e->model)->n_ctx_train;
    return pd_batch_create(e->model, &desc, &e->batch, err);
}

static pd_status open_engine(pd_server *s, srv_engine **out, pd_error *err) {
    srv_engine *e = pd_alloc(1, sizeof *e);
    if (!e) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for a model");
    pd_status status = s->desc.open(s->desc.ctx, &e->model, err);
    if (status == PD_OK) status = create_batch(s, e, err);
    if (status == PD_OK) {
        *out = e;
        return PD_OK;
    }
    destroy_engine(e);
    return status;
}

static void take_name(pd_server *s, const pd_model *m) {
    const char *name = s->desc.name ? s->desc.name : pd_model_get_info(m)->name;
    if (!s->name[0]) srv_copy_name(s->name, sizeof s->name, name);
}

static pd_status open_first(pd_server *s, pd_error *err) {
    srv_engine *e;
    PD_TRY(open_engine(s, &e, err));
    take_name(s, e->model);
    set_engine(s, e);
    if (s->desc.ready) s->desc.ready(s->desc.ctx, pd_http_port(s->http));
    return PD_OK;
}

/* Another try every second, as long as the server is wanted. */
static void open_again(pd_server *s) {
    srv_engine *old = s->engine, *e = NULL;
    pd_error err;
    uint64_t next = 0;
    pd_log(PD_LOG_WARN, "server", "the device was lost: the model is opened again");
    set_engine(s, NULL);
    destroy_engine(old);
    while (!e && s->desc.goes_on(s->desc.ctx)) {
        if (pd_clock_ns() >= next && open_engine(s, &e, &err) != PD_OK) {
            pd_log(PD_LOG_ERROR, "server", "the model cannot be opened: %s", err.message);
            next = pd_clock_ns() + UINT64_C(1000000000);
        }
        if (!e) wait_a_while();
    }
    set_engine(s, e);
    if (e) pd_log(PD_LOG_WARN, "server", "the model is there again");
}

/* ---- serving -------------------------------------------------------------------------------- */

static void drain(pd_server *s) {
    uint64_t end = pd_clock_ns() + s->desc.drain_seconds * UINT64_C(1000000000);
    atomic_store(&s->drains, true);
    pd_http_stop_accepting(s->http);
    uint32_t n = pd_http_n_open(s->http);
    if (n) pd_log(PD_LOG_INFO, "server", "ending; %u requests are under way", n);
    while (pd_http_n_open(s->http) > 0 && pd_clock_ns() < end) wait_a_while();
}

static pd_status serve(pd_server *s, pd_error *err) {
    PD_TRY(open_first(s, err));
    while (s->desc.goes_on(s->desc.ctx)) {
        if (pd_batch_is_lost(s->engine->batch))
            open_again(s);
        else
            wait_a_while();
    }
    drain(s);
    return PD_OK;
}

static pd_status start_http(pd_server *s, pd_error *err) {
    static const char *const open_paths[] = {
        "/health", "/v1/health",
#ifdef PERIDOT_HAS_PAGE
        "/", "/page/*", /* what the page asks for needs the key, which it asks its user for */
#endif
        NULL};
    pd_http_desc http = s->desc.http;
    http.handler = srv_handle;
    http.ctx = s;
    http.open_paths = open_paths;
    return pd_http_start(&http, &s->http, err);
}

static pd_status check_media_path(const char *path, pd_error *err) {
    if (!path || pd_path_is_folder(path)) return PD_OK;
    return PD_RAISE(err, PD_ERR_IO, "the media path \"%s\" is no folder", path);
}

pd_status pd_server_run(const pd_server_desc *desc, pd_error *err) {
    PD_TRY(check_media_path(desc->media_path, err));
    pd_server s = {.desc = *desc, .started = (uint64_t)time(NULL)};
    if (!s.desc.max_images) s.desc.max_images = DEFAULT_IMAGES;
    s.lock = pd_mutex_create();
    pd_status status =
        s.lock ? start_http(&s, err) : PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for a server");
    if (status == PD_OK) status = serve(&s, err);
    pd_http_stop(s.http); /* calls that are left are cancelled as their clients go */
    destroy_engine(s.engine);
    pd_mutex_destroy(s.lock);
    return status;
}
