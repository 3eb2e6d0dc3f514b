/* One-line log messages to the callback of pd_log_set.  SPDX-License-Identifier: MIT */
#ifndef PD_BASE_LOG_H
#define PD_BASE_LOG_H

#include "base/printf_like.h"
#include "peridot.h"

/* True when a line of this level would be handed on: for messages that are costly to make. */
bool pd_log_wants(pd_log_level level);

/* subsystem: "gguf", "vulkan", "cpu", ... */
void pd_log(pd_log_level level, const char *subsystem, const char *format, ...)
    PD_PRINTF_LIKE(3, 4);

#endif
