/* What a model and its contexts hold, found by creating them on a backend that only counts
 * (pd_backend_desc.counts_only): what is counted is what the same functions allocate otherwise, and
 * there is no second set of formulas.
 *
 * estimate.c counts one context; fit.c asks what fits: before anything is loaded, for contexts
 * without a wish of their own, and for the hint when one found no memory.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_ENGINE_ESTIMATE_H
#define PD_ENGINE_ESTIMATE_H

#include "engine/context.h"

/* ---- estimate.c ----------------------------------------------------------------------------- */

/* A model that only counts, with the same file and weights, on a device that begins with what from
 * holds there; to be ended before from is closed. Errors: MEMORY_HOST. */
pd_status pd_counting_begin(const pd_model *from, pd_model *out, pd_error *err);
void pd_counting_end(pd_model *counting);

/* Of a model that counts, behind its weights: fills in m->loaded. text: as the backend was before
 * the image encoder's. */
void pd_estimate_loaded(pd_model *m, const pd_backend_stats *text);
/* A context beside what m holds, with what the first image makes, and logits. m itself may compute.
 * Errors: as pd_model_estimate. */
pd_status pd_estimate_context(const pd_model *m, const pd_session_desc *desc, uint32_t n_seqs,
                              pd_estimate *out, pd_error *err);
/* Whether it stays within the limit. */
bool pd_estimate_fits(const pd_estimate *e);

/* ---- fit.c ---------------------------------------------------------------------------------- */

/* The largest context of up to most_pages pages that fits; *n_pages is 0, and *out the estimate of
 * one page, when none does. Errors: as pd_estimate_context. */
pd_status pd_fit_most(const pd_model *m, const pd_session_desc *desc, uint32_t n_seqs,
                      uint32_t most_pages, uint32_t *n_pages, pd_estimate *out, pd_error *err);
/* Before anything is loaded: whether weights, the session and an image fit the device's limit. A
 * session without n_ctx gets the largest one that does for the model's default. Without a limit
 * nothing is counted. Errors: MEMORY_DEVICE with what is needed, what there is, and as the hint
 * what would fit; MEMORY_HOST, and those of loading. */
pd_status pd_fit_check(pd_model *m, const pd_session_desc *session, pd_error *err);
/* The default of an open model, if it is not known yet: the largest that fits beside what is there,
 * and the same from then on, so that sessions share a context. Errors: MEMORY_HOST, DEVICE. */
pd_status pd_fit_default(pd_model *m, const pd_session_desc *session, pd_error *err);
/* See pd_model_fit. */
pd_status pd_fit_session(pd_model *m, const pd_session_desc *session, pd_fit *out, pd_error *err);
/* A context of n_ctx positions found no memory: the hint names the largest one that would. */
void pd_fit_hint(const pd_model *m, const pd_session_desc *desc, uint32_t n_seqs, uint32_t n_ctx,
                 pd_error *err);

#endif
