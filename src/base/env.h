/* Environment variables, in UTF-8.  SPDX-License-Identifier: MIT */
#ifndef PD_BASE_ENV_H
#define PD_BASE_ENV_H

#include <stdbool.h>

/* NULL: not set. Valid until it is set again. */
const char *pd_env(const char *name);
/* NULL removes it. No other thread may read the environment then. */
void pd_env_set(const char *name, const char *value);
void pd_env_each(void (*fn)(void *ctx, const char *name, const char *value), void *ctx);

#endif
