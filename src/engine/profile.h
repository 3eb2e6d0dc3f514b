/* Where a step's time goes.  SPDX-License-Identifier: MIT */
#ifndef PD_ENGINE_PROFILE_H
#define PD_ENGINE_PROFILE_H

#include "backend/backend.h"

/* Runs a step again, operation by operation; see pd_session_profile. */
pd_status pd_profile_step(pd_backend *b, const pd_plan *plan, pd_program *program,
                          const pd_step *step, pd_profile_fn fn, void *ctx, pd_error *err);

/* What an operation's first view tells. */
pd_profile_op pd_profile_of(const pd_plan *plan, const pd_step *step, const pd_trace_view *v);

#endif
