/* Where a system wants programs to keep what they make.  SPDX-License-Identifier: MIT */
#ifndef PD_BASE_SYSTEM_FOLDERS_H
#define PD_BASE_SYSTEM_FOLDERS_H

#include "base/bytes.h"

/* Written behind out, without a separator at the end; nothing where there is none. What can be made
 * anew: <cache>/peridot, and what a program remembers for its user: <state>/peridot. POSIX:
 * $XDG_CACHE_HOME or ~/.cache, $XDG_STATE_HOME or ~/.local/state, on macOS ~/Library/Caches and
 * ~/Library/Application Support; Windows: %LOCALAPPDATA%, with "cache" or "state" behind. */
void pd_system_cache(pd_bytes *out);
void pd_system_state(pd_bytes *out);
/* ~ itself; NULL: nobody knows. */
const char *pd_system_home(void);
const char *pd_system_temp(char out[512]); /* for files that last a while */
/* The file of certificates that programs trust here, for libraries that were built where it lay
 * somewhere else; NULL: there is none, or libraries need none. */
const char *pd_system_certificates(void);

#endif
