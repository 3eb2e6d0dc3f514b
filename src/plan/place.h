/* Buffer lifetimes to offsets in one scratch arena.  SPDX-License-Identifier: MIT */
#ifndef PD_PLAN_PLACE_H
#define PD_PLAN_PLACE_H

#include "plan/plan.h"

/* Sets first_op, last_op, bytes and offset of every buffer and the plan's scratch_bytes. Input and
 * output buffers live through the whole plan; a scratch buffer from its first writer to its last
 * reader. Buffers that are alive together never overlap. */
pd_status pd_plan_place(pd_plan *p, pd_error *err);

#endif
