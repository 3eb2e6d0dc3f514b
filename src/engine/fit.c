/* See estimate.h. A limit is the user's, or what a GPU's driver leaves; the CPU has none but the
 * user's. The largest context is found by halving, and only where the wanted one does not fit.
 *
 * SPDX-License-Identifier: MIT
 */
#include "engine/estimate.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/words.h"

/* ---- the largest context -------------------------------------------------------------------- */

/* *fits is false as well, and *out not filled in, where a part is too large for one piece: *reason
 * says so then. */
static pd_status try_context(const pd_model *m, const pd_session_desc *session, uint32_t n_seqs,
                             uint32_t n_ctx, pd_estimate *out, bool *fits, pd_error *reason) {
    pd_session_desc desc = *session;
    desc.n_ctx = n_ctx;
    pd_status status = pd_estimate_context(m, &desc, n_seqs, out, reason);
    *fits = status == PD_OK && pd_estimate_fits(out);
    bool too_large = status == PD_ERR_MEMORY_DEVICE || status == PD_ERR_UNSUPPORTED;
    return too_large && n_ctx > PD_PAGE_POSITIONS ? PD_OK : status;
}

pd_status pd_fit_most(const pd_model *m, const pd_session_desc *desc, uint32_t n_seqs,
                      uint32_t most_pages, uint32_t *n_pages, pd_estimate *out, pd_error *err) {
    pd_estimate tried;
    pd_error reason;
    bool fits = false;
    uint32_t low = 0, above = most_pages + 1;
    PD_TRY(try_context(m, desc, n_seqs, PD_PAGE_POSITIONS, out, &fits, err));
    if (!fits) above = 1;
    for (uint32_t n = most_pages; low + 1 < above; n = low + (above - low) / 2) {
        pd_status status =
            try_context(m, desc, n_seqs, n * PD_PAGE_POSITIONS, &tried, &fits, &reason);
        if (status != PD_OK) return pd_error_again(err, &reason);
        if (fits) *out = tried;
        *(fits ? &low : &above) = n;
    }
    *n_pages = low;
    return PD_OK;
}

/* ---- what was wanted, or less --------------------------------------------------------------- */

typedef struct fit {
    uint32_t n_ctx;            /* the wanted one, or the largest that fits; 0: none does */
    pd_estimate wanted, found; /* found: of 64 positions when none fits */
    pd_error reason;           /* where wanted.n_ctx is 0: why it cannot be, whatever the limit */
    bool fits;                 /* what was wanted */
} fit;

static pd_status find(const pd_model *m, const pd_session_desc *session, uint32_t n_ctx, fit *out,
                      pd_error *err) {
    uint32_t n_pages;
    *out = (fit){.n_ctx = n_ctx};
    pd_status status = try_context(m, session, 1, n_ctx, &out->wanted, &out->fits, &out->reason);
    if (status != PD_OK) return pd_error_again(err, &out->reason);
    out->found = out->wanted;
    if (out->fits) return PD_OK;
    PD_TRY(pd_fit_most(m, session, 1, (n_ctx - 1) / PD_PAGE_POSITIONS, &n_pages, &out->found, err));
    out->n_ctx = n_pages * PD_PAGE_POSITIONS;
    return PD_OK;
}

/* ---- before loading ------------------------------------------------------------------------- */

static pd_status raise_nothing_fits(const pd_model *m, const pd_estimate *least, pd_error *err) {
    char weights[32], needed[32], limit[32];
    pd_status status = PD_RAISE(
        err, PD_ERR_MEMORY_DEVICE,
        "%s does not fit %s: its weights take %s, with the smallest context (%d positions) it "
        "needs %s, but there are %s",
        m->info.name, m->backend->v->info(m->backend)->id,
        pd_size_text(least->weight_bytes + least->image_weight_bytes, weights), PD_PAGE_POSITIONS,
        pd_size_text(least->peak_bytes, needed), pd_size_text(least->limit_bytes, limit));
    return pd_error_hint(err, status,
                         "choose a smaller or more strongly quantised model, or another device");
}

static pd_status raise_too_large(const pd_model *m, const fit *f, pd_error *err) {
    const pd_estimate *e = &f->wanted;
    char weights[32], needed[32], limit[32];
    if (f->n_ctx == 0) return raise_nothing_fits(m, &f->found, err);
    pd_status status =
        e->n_ctx == 0
            ? pd_error_again(err, &f->reason)
            : PD_RAISE(err, PD_ERR_MEMORY_DEVICE,
                       "%s with a context of %u positions needs %s, of which weights take %s, but "
                       "there are %s on %s",
                       m->info.name, e->n_ctx, pd_size_text(e->peak_bytes, needed),
                       pd_size_text(e->weight_bytes + e->image_weight_bytes, weights),
                       pd_size_text(e->limit_bytes, limit), m->backend->v->info(m->backend)->id);
    return pd_error_hint(err, status, "a context of %u positions would fit (-c)", f->n_ctx);
}

/* counting has m's weights. */
static pd_status check_session(pd_model *m, const pd_model *counting,
                               const pd_session_desc *session, pd_error *err) {
    uint32_t usual = pd_context_usual(m);
    fit f;
    PD_TRY(find(counting, session, session->n_ctx ? session->n_ctx : usual, &f, err));
    if (f.n_ctx == 0 || (session->n_ctx && !f.fits)) return raise_too_large(m, &f, err);
    if (!session->n_ctx || session->n_ctx >= usual) m->default_ctx = f.fits ? usual : f.n_ctx;
    return PD_OK;
}

pd_status pd_fit_check(pd_model *m, const pd_session_desc *session, pd_error *err) {
    pd_model counting;
    pd_backend_stats s;
    m->backend->v->stats(m->backend, &s);
    if (!s.limit_bytes || !m->backend->v->recount) return PD_OK;
    uint64_t t0 = pd_clock_ns();
    PD_TRY(pd_counting_begin(m, &counting, err));
    pd_status status = pd_model_place(&counting, NULL, NULL, NULL, err);
    m->loaded = counting.loaded;
    if (status == PD_OK) status = check_session(m, &counting, session, err);
    pd_counting_end(&counting);
    pd_log(PD_LOG_DEBUG, "engine", "counting what would fit took %.1f ms",
           (double)(pd_clock_ns() - t0) / 1e6);
    return status;
}

/* ---- beside what an open model holds -------------------------------------------------------- */

pd_status pd_fit_default(pd_model *m, const pd_session_desc *session, pd_error *err) {
    fit f;
    if (m->default_ctx || !m->loaded.limit_bytes) return PD_OK;
    PD_TRY(find(m, session, pd_context_usual(m), &f, err));
    m->default_ctx = f.n_ctx;
    return PD_OK;
}

pd_status pd_fit_session(pd_model *m, const pd_session_desc *session, pd_fit *out, pd_error *err) {
    pd_session_desc limits;
    fit f;
    if (!session->n_ctx) PD_TRY(pd_fit_default(m, session, err));
    PD_TRY(pd_context_limits(m, session, 1, &limits, err));
    *out = (pd_fit){.n_ctx = limits.n_ctx, .limit_bytes = m->loaded.limit_bytes};
    out->n_ctx_wanted = session->n_ctx ? session->n_ctx : pd_context_usual(m);
    if (!out->limit_bytes) return PD_OK;
    PD_TRY(find(m, session, limits.n_ctx, &f, err));
    out->n_ctx = f.n_ctx;
    out->bytes = f.found.peak_bytes;
    return PD_OK;
}

void pd_fit_hint(const pd_model *m, const pd_session_desc *desc, uint32_t n_seqs, uint32_t n_ctx,
                 pd_error *err) {
    pd_estimate e;
    uint32_t n_pages = 0, most_pages = (n_ctx - 1) / PD_PAGE_POSITIONS;
    if (!m->loaded.limit_bytes || !most_pages) return;
    pd_status status = pd_fit_most(m, desc, n_seqs, most_pages, &n_pages, &e, NULL);
    if (status == PD_OK && n_pages)
        pd_error_hint(err, PD_ERR_MEMORY_DEVICE, "a context of %u positions would fit (-c)",
                      n_pages * PD_PAGE_POSITIONS);
}
