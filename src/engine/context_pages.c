/* A sequence's next pages: the pool grows as its sequences do, and pages that others hold as well
 * are copied before they are written.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/memory.h"
#include "engine/context.h"

/* Half as many pages again are taken where there is room, else as many as are needed; where there
 * is none for these either, marks are given up (pd_kv_reserve). */
static pd_status grow(pd_context *c, uint32_t seq, uint32_t n, pd_error *err) {
    const pd_backend_vtable *v = c->model->backend->v;
    pd_kv_pages there = pd_kv_page_counts(c->kv);
    for (int modest = 0; modest < 2; modest++) {
        pd_kv_pages want = pd_kv_wanted_pages(c->kv, seq, n, modest);
        if (want.n_global == there.n_global && want.n_local == there.n_local) return PD_OK;
        pd_status status = v->kv_grow(c->model->backend, c->store,
                                      c->has_global ? want.n_global : 0, want.n_local, err);
        if (status == PD_OK) return pd_kv_extend(c->kv, want, err);
        if (status != PD_ERR_MEMORY_DEVICE) return status;
    }
    return PD_ERR_MEMORY_DEVICE;
}

static pd_status copy_pages(pd_context *c, const pd_kv_copies *copies, pd_error *err) {
    pd_backend *b = c->model->backend;
    for (uint32_t i = 0; i < copies->n; i++) {
        bool global = copies->list[i].global;
        if (global && !c->has_global) continue;
        void *page =
            pd_alloc(pd_kv_page_bytes(&c->stages[PD_STAGE_DECODE].plan.desc.kv, global), 1);
        if (!page) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory to copy a KV page");
        pd_status status = b->v->kv_read(b, c->store, global, copies->list[i].from, page, err);
        if (status == PD_OK)
            status = b->v->kv_write(b, c->store, global, copies->list[i].to, page, err);
        pd_free(page);
        PD_TRY(status);
    }
    return PD_OK;
}

pd_status pd_context_reserve(pd_context *c, pd_sequence *seq, uint32_t n, pd_error *err) {
    pd_kv_copies copies;
    pd_error no_growth;
    pd_status grown = grow(c, seq->kv_id, n, &no_growth);
    if (grown != PD_OK && grown != PD_ERR_MEMORY_DEVICE) {
        if (err) *err = no_growth;
        return grown;
    }
    pd_status status = pd_kv_reserve(c->kv, seq->kv_id, n, &copies, err);
    if (status == PD_ERR_MEMORY_DEVICE && grown != PD_OK && err) *err = no_growth; /* says more */
    PD_TRY(status);
    status = copy_pages(c, &copies, err);
    if (status != PD_OK) pd_kv_undo_copies(c->kv, seq->kv_id, &copies);
    return status;
}
