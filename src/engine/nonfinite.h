/* Which operation made a NaN or an infinity.  SPDX-License-Identifier: MIT */
#ifndef PD_ENGINE_NONFINITE_H
#define PD_ENGINE_NONFINITE_H

#include "backend/backend.h"

/* A step's result is not finite: runs it again one operation at a time and says where that began.
 * `what` ends the sentence: "in the step from position 12"; `result` is blamed when every operation
 * is finite this time. */
pd_status pd_raise_nonfinite(pd_backend *b, pd_program *p, const pd_step *step, const char *result,
                             const char *what, pd_error *err);

#endif
