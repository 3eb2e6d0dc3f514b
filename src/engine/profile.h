/* Where a step's time goes.  SPDX-License-Identifier: MIT */
#ifndef PD_ENGINE_PROFILE_H
#define PD_ENGINE_PROFILE_H

#include "backend/backend.h"

/* Runs a step again, operation by operation; see pd_session_profile. */
pd_status pd_profile_step(pd_backend *b, const pd_plan *plan, pd_program *program,
                          const pd_step *step, pd_profile_fn fn, void *ctx, pd_error *err);

/* "l03.gate_up" -> "gate_up" */
const char *pd_profile_kind(const pd_op *op);

#endif
