/* Steps as timelines, in a file for Perfetto and chrome://tracing.  SPDX-License-Identifier: MIT */
#ifndef PD_MEASURE_TRACE_H
#define PD_MEASURE_TRACE_H

#include "peridot_measure.h"

typedef struct pd_trace pd_trace;

/* Errors: IO, MEMORY_HOST. */
pd_status pd_trace_open(const char *path, pd_trace **out, pd_error *err);
/* What follows belongs to the step of that name, which holds nothing that JSON escapes. */
void pd_trace_begin(pd_trace *t, const char *name);
void pd_trace_add(pd_trace *t, const pd_profile_op *op);
/* Frees the trace; the file appears only when `keep` and nothing failed. Errors: IO. */
pd_status pd_trace_close(pd_trace *t, bool keep, pd_error *err);

#endif
