/* What the functions of peridot_files.h share.  SPDX-License-Identifier: MIT */
#ifndef PD_PACK_WORK_H
#define PD_PACK_WORK_H

#include "base/error.h"
#include "file/quant.h"
#include "peridot_files.h"

/* The type of that name; NULL: `fallback`. Errors: ARGUMENT, which says what it was to be for. */
pd_status pack_type(const char *what, const char *name, pd_type fallback, pd_type *out,
                    pd_error *err);

/* Tells the caller. Errors: CANCELLED when it wants to stop. */
pd_status pack_tell(const pd_files_work *work, uint64_t bytes_done, uint64_t bytes_total,
                    pd_error *err);

#endif
