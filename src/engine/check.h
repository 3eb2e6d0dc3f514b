/* One device's operations on what another one computed.  SPDX-License-Identifier: MIT */
#ifndef PD_ENGINE_CHECK_H
#define PD_ENGINE_CHECK_H

#include "backend/backend.h"

/* A program, and a step that it could run. */
typedef struct pd_check_side {
    pd_backend *backend;
    const pd_plan *plan;
    pd_program *program;
    pd_kv_store *store;
    const pd_step *step; /* of one sequence */
} pd_check_side;

/* Runs both sides' step, operation by operation, as pd_session_check has it. Of the two steps the
 * pages may differ, nothing else. Errors: ARGUMENT (they differ), MEMORY_HOST, DEVICE, CANCELLED
 * (fn wanted no more). */
pd_status pd_check_step(const pd_check_side *side, const pd_check_side *reference, pd_check_fn fn,
                        void *ctx, pd_error *err);

#endif
