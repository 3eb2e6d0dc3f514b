/* The public functions about memory: estimates, and what fits.  SPDX-License-Identifier: MIT */
#include "engine/estimate.h"

static const pd_session_desc defaults = {0};

static pd_status check_arguments(const pd_model *m, uint32_t n_seqs, pd_error *err) {
    enum { MAX_SEQS = 4096 };
    if (!m->estimate_only)
        return PD_RAISE(err, PD_ERR_ARGUMENT, "the model was not opened for estimates");
    PD_TRY(pd_context_check_model(m, err));
    if (n_seqs <= MAX_SEQS) return PD_OK;
    return PD_RAISE(err, PD_ERR_ARGUMENT, "%u sequences are more than %d", n_seqs, MAX_SEQS);
}

pd_status pd_model_estimate(pd_model *m, const pd_session_desc *session, uint32_t n_seqs,
                            pd_estimate *out, pd_error *err) {
    PD_NEED(err, m);
    PD_NEED(err, out);
    PD_TRY(check_arguments(m, n_seqs, err));
    PD_TRY(pd_model_begin_turn(m, err));
    pd_status status =
        pd_estimate_context(m, session ? session : &defaults, n_seqs ? n_seqs : 1, out, err);
    pd_model_end_turn(m);
    return status;
}

pd_status pd_model_estimate_most(pd_model *m, const pd_session_desc *session, uint32_t n_seqs,
                                 uint32_t *n_ctx, pd_estimate *out, pd_error *err) {
    PD_NEED(err, m);
    PD_NEED(err, n_ctx);
    PD_NEED(err, out);
    PD_TRY(check_arguments(m, n_seqs, err));
    uint32_t n_pages, most_pages = m->config.n_ctx_train / PD_PAGE_POSITIONS;
    *n_ctx = 0;
    PD_TRY(pd_model_begin_turn(m, err));
    pd_status status = pd_fit_most(m, session ? session : &defaults, n_seqs ? n_seqs : 1,
                                   most_pages, &n_pages, out, err);
    pd_model_end_turn(m);
    if (status == PD_OK) *n_ctx = n_pages * PD_PAGE_POSITIONS;
    return status;
}

pd_status pd_model_fit(pd_model *m, const pd_session_desc *session, pd_fit *out, pd_error *err) {
    PD_NEED(err, m);
    PD_NEED(err, out);
    PD_TRY(pd_model_check_computes(m, err));
    PD_TRY(pd_context_check_model(m, err));
    PD_TRY(pd_model_begin_turn(m, err));
    pd_status status = pd_fit_session(m, session ? session : &defaults, out, err);
    pd_model_end_turn(m);
    return status;
}
