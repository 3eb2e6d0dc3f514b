/* A batch: its life, its thread, and what comes in.  SPDX-License-Identifier: MIT */
#include "batch/batch.h"

#include "base/memory.h"
#include "engine/estimate.h"

enum { DEFAULT_PARALLEL = 8, DEFAULT_WAITING = 1024, DEFAULT_STEP_MS = 100 };
#define DEFAULT_CACHE_BYTES (UINT64_C(4) << 30)

/* ---- the thread ----------------------------------------------------------------------------- */

static void append(pd_request **list, pd_request *r) {
    while (*list) list = &(*list)->next;
    *list = r;
}

/* Waits for work. False: the batch is to end. */
static bool take_in(pd_batch *b) {
    pd_mutex_lock(b->lock);
    while (!b->ends && !b->incoming && !b->requests && !b->clears)
        pd_condition_wait(b->changed, b->lock);
    append(&b->requests, b->incoming);
    b->incoming = NULL;
    bool goes_on = !b->ends, clears = b->clears;
    b->clears = false;
    pd_mutex_unlock(b->lock);
    if (clears) pd_prefix_forget_all(b);
    return goes_on;
}

static void drop_cancelled(pd_batch *b) {
    pd_error err;
    PD_RAISE(&err, PD_ERR_CANCELLED, "the request was cancelled");
    for (pd_request *r = b->requests; r; r = r->next)
        if (atomic_load(&r->cancelled)) pd_request_fail(b, r, &err);
}

/* Where nothing can be computed any more. */
static void drop_all(pd_batch *b, const pd_error *err) {
    for (pd_request *r = b->requests; r; r = r->next) pd_request_fail(b, r, err);
}

static bool is_lost(pd_batch *b, pd_error *err) {
    pd_mutex_lock(b->lock);
    *err = b->lost;
    pd_mutex_unlock(b->lock);
    return err->status != PD_OK;
}

/* Lets go of requests that are done, and tells how things are. */
static void settle(pd_batch *b) {
    uint32_t n_waiting = 0;
    for (pd_request **at = &b->requests; *at;) {
        pd_request *r = *at;
        if (r->n_ended < r->desc.n_choices) {
            n_waiting += !r->placed_at;
            at = &r->next;
            continue;
        }
        *at = r->next;
        pd_request_release(r);
    }
    pd_prefix_count_pages(b, &b->counted);
    b->counted.n_running = b->n_places;
    pd_mutex_lock(b->lock);
    uint64_t n_requests = b->stats.n_requests;
    for (const pd_request *r = b->incoming; r; r = r->next) n_waiting++;
    b->n_waiting = n_waiting;
    b->stats = b->counted;
    b->stats.n_requests = n_requests;
    pd_mutex_unlock(b->lock);
}

static void run(void *ctx) {
    pd_batch *b = ctx;
    pd_error err;
    while (take_in(b)) {
        drop_cancelled(b);
        if (is_lost(b, &err)) drop_all(b, &err);
        pd_batch_give_places(b);
        if (b->n_places > 0) pd_batch_step(b);
        settle(b);
        pd_batch_remind(b);
    }
    PD_RAISE(&err, PD_ERR_CANCELLED, "the requests were ended");
    drop_all(b, &err);
    settle(b);
}

/* ---- life ----------------------------------------------------------------------------------- */

static pd_status set_defaults(pd_batch *b, const pd_batch_desc *desc, pd_error *err) {
    pd_batch_desc *d = &b->desc;
    *d = *desc;
    if (d->n_parallel > PD_MAX_PARALLEL)
        return PD_RAISE(err, PD_ERR_ARGUMENT,
                        "%u sequences at once were asked for, but at most %d are", d->n_parallel,
                        PD_MAX_PARALLEL);
    if (!d->max_waiting) d->max_waiting = DEFAULT_WAITING;
    if (!d->cache_bytes) d->cache_bytes = DEFAULT_CACHE_BYTES;
    if (!d->step_ms) d->step_ms = DEFAULT_STEP_MS;
    d->session = (pd_session_desc){.n_ctx = desc->session.n_ctx,
                                   .n_chunk = desc->session.n_chunk,
                                   .precision = desc->session.precision,
                                   .checkpoint_positions = desc->session.checkpoint_positions};
    return PD_OK;
}

static pd_status create_context_for(pd_batch *b, uint32_t n, pd_error *err) {
    pd_session_desc desc = b->desc.session;
    if (!desc.checkpoint_positions) desc.checkpoint_positions = 2 * n * b->model->config.window;
    return pd_context_create(b->model, &desc, n, &b->context, err);
}

/* Without a wish, half as many sequences until there is memory for them. */
static pd_status create_context(pd_batch *b, pd_error *err) {
    uint32_t n = b->desc.n_parallel ? b->desc.n_parallel : DEFAULT_PARALLEL;
    if (!b->desc.session.n_ctx) PD_TRY(pd_fit_default(b->model, &b->desc.session, err));
    pd_status status = create_context_for(b, n, err);
    while (status == PD_ERR_MEMORY_DEVICE && !b->desc.n_parallel && n > 1)
        status = create_context_for(b, n /= 2, err);
    b->desc.n_parallel = b->room = n;
    return status;
}

static pd_status create_parts(pd_batch *b, pd_error *err) {
    uint32_t n_vocab = b->model->config.n_vocab;
    b->lock = pd_mutex_create();
    b->changed = pd_condition_create();
    b->logits = pd_alloc(n_vocab, sizeof *b->logits);
    b->kept = pd_alloc(PD_MAX_KEPT_SEQUENCES, sizeof *b->kept);
    if (!b->lock || !b->changed || !b->logits || !b->kept)
        return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for a batch");
    PD_TRY(pd_sampler_scratch_create(n_vocab, &b->scratch, err));
    PD_TRY(pd_model_begin_turn(b->model, err));
    pd_status status = create_context(b, err);
    pd_model_end_turn(b->model);
    return status;
}

static void destroy_parts(pd_batch *b) {
    bool is_turn = pd_turns_take(b->model->turns);
    if (b->context) pd_prefix_forget_all(b);
    pd_context_destroy(b->context);
    if (is_turn) pd_turns_give(b->model->turns);
    pd_sampler_scratch_destroy(b->scratch);
    pd_condition_destroy(b->changed);
    pd_mutex_destroy(b->lock);
    pd_free(b->logits);
    pd_free(b->kept);
    pd_free(b);
}

pd_status pd_batch_create(pd_model *model, const pd_batch_desc *desc, pd_batch **out,
                          pd_error *err) {
    static const pd_batch_desc defaults = {0};
    PD_NEED(err, out);
    *out = NULL;
    PD_NEED(err, model);
    PD_TRY(pd_model_check_computes(model, err));
    pd_batch *b = pd_alloc(1, sizeof *b);
    if (!b) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for a batch");
    b->model = model;
    pd_status status = set_defaults(b, desc ? desc : &defaults, err);
    if (status == PD_OK) status = create_parts(b, err);
    if (status == PD_OK) status = pd_thread_start(run, b, &b->thread, err);
    if (status != PD_OK) {
        destroy_parts(b);
        return status;
    }
    pd_model_hold(model);
    *out = b;
    return PD_OK;
}

void pd_batch_destroy(pd_batch *b) {
    if (!b) return;
    pd_model *m = b->model;
    pd_mutex_lock(b->lock);
    b->ends = true;
    atomic_store(&b->cancel, 1);
    pd_condition_wake(b->changed);
    pd_mutex_unlock(b->lock);
    pd_thread_join(b->thread);
    destroy_parts(b);
    pd_model_release(m);
}

uint32_t pd_batch_n_ctx(const pd_batch *b) {
    return b ? b->context->desc.n_ctx : 0;
}
uint32_t pd_batch_n_parallel(const pd_batch *b) {
    return b ? b->desc.n_parallel : 0;
}

bool pd_batch_is_lost(pd_batch *b) {
    if (!b) return false;
    pd_mutex_lock(b->lock);
    bool lost = b->lost.status != PD_OK;
    pd_mutex_unlock(b->lock);
    return lost;
}

/* ---- handing over --------------------------------------------------------------------------- */

static pd_status hand_over(pd_batch *b, pd_request *r, pd_error *err) {
    pd_status status = PD_OK;
    pd_mutex_lock(b->lock);
    if (b->lost.status != PD_OK)
        status = pd_error_again(err, &b->lost);
    else if (b->n_waiting >= b->desc.max_waiting)
        status = PD_RAISE(err, PD_ERR_BUSY, "%u requests are waiting already", b->n_waiting);
    if (status == PD_OK) {
        atomic_fetch_add(&r->n_holds, 1);
        append(&b->incoming, r);
        b->n_waiting++;
        b->stats.n_requests++;
        pd_condition_wake(b->changed);
    }
    pd_mutex_unlock(b->lock);
    return status;
}

pd_status pd_batch_submit(pd_batch *b, const pd_request_desc *desc, pd_request **out,
                          pd_error *err) {
    PD_NEED(err, out);
    *out = NULL;
    PD_NEED(err, b);
    PD_NEED(err, desc);
    PD_TRY(pd_request_create(b, desc, out, err));
    pd_status status = hand_over(b, *out, err);
    if (status != PD_OK) {
        pd_request_release(*out);
        *out = NULL;
    }
    return status;
}

void pd_request_cancel(pd_request *r) {
    if (!r) return;
    pd_mutex_lock(r->batch->lock);
    atomic_store(&r->cancelled, 1);
    if (r->batch->only == r) atomic_store(&r->batch->cancel, 1);
    pd_condition_wake(r->batch->changed);
    pd_mutex_unlock(r->batch->lock);
}

void pd_request_wait(pd_request *r) {
    if (!r) return;
    pd_mutex_lock(r->batch->lock);
    while (!r->is_done) pd_condition_wait(r->batch->changed, r->batch->lock);
    pd_mutex_unlock(r->batch->lock);
}

void pd_request_free(pd_request *r) {
    pd_request_release(r);
}

/* ---- what it does --------------------------------------------------------------------------- */

void pd_batch_get_stats(pd_batch *b, pd_batch_stats *out) {
    if (!out) return;
    *out = (pd_batch_stats){0};
    if (!b) return;
    pd_mutex_lock(b->lock);
    *out = b->stats;
    out->n_waiting = b->n_waiting;
    pd_mutex_unlock(b->lock);
}

void pd_batch_clear(pd_batch *b) {
    if (!b) return;
    pd_mutex_lock(b->lock);
    b->clears = true;
    pd_condition_wake(b->changed);
    pd_mutex_unlock(b->lock);
}
