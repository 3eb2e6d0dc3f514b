/* A text to see on what a requantised head costs, where nobody gives one.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_MEASURE_HEAD_TEXT_H
#define PD_MEASURE_HEAD_TEXT_H

#include "peridot_measure.h"

/* What the session has to be. */
pd_session_desc pd_head_text_session(const pd_model *model, pd_precision precision);
/* Makes the text its sequence, for pd_session_head_cost. Errors: those of pd_session_sync. */
pd_status pd_head_text_sync(const pd_model *model, pd_session *session, pd_error *err);

#endif
