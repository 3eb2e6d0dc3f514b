/* Raising and passing errors. The status table itself is PD_STATUS_LIST in peridot.h.
 *
 *     if (n > max) return PD_RAISE(err, PD_ERR_CONTEXT, "the prompt has %zu tokens, ...", n);
 *     PD_TRY(pd_gguf_open(path, &g, err));
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_BASE_ERROR_H
#define PD_BASE_ERROR_H

#include "base/printf_like.h"
#include "peridot.h"

/* Fills *err (NULL is allowed) and returns `status`, so that a caller can `return` it. */
pd_status pd_error_raise(pd_error *err, const char *file, int line, pd_status status,
                         const char *format, ...) PD_PRINTF_LIKE(5, 6);

/* Adds advice to an error that was raised; returns its status. */
pd_status pd_error_hint(pd_error *err, pd_status status, const char *format, ...)
    PD_PRINTF_LIKE(3, 4);

/* Puts the words before an error's message, to say where: "line 3 of the grammar: "; returns its
 * status. */
pd_status pd_error_before(pd_error *err, pd_status status, const char *format, ...)
    PD_PRINTF_LIKE(3, 4);

/* Raises an error that was kept again, if it is one; returns its status. */
pd_status pd_error_again(pd_error *err, const pd_error *kept);

/* errno as words: strerror's, and of a file that Windows does not open twice that it is so. */
const char *pd_errno_text(int error);

#define PD_RAISE(err, status, ...) pd_error_raise((err), __FILE__, __LINE__, (status), __VA_ARGS__)

/* At the head of a public function: an argument that must not be NULL. */
#define PD_NEED(err, pointer)                                                                      \
    do {                                                                                           \
        if (!(pointer))                                                                            \
            return PD_RAISE((err), PD_ERR_ARGUMENT, "%s: %s is NULL", __func__, #pointer);         \
    } while (0)

/* Returns from the calling function when `call` failed. */
#define PD_TRY(call)                                                                               \
    do {                                                                                           \
        pd_status pd_try_status_ = (call);                                                         \
        if (pd_try_status_ != PD_OK) return pd_try_status_;                                        \
    } while (0)

/* The same with a clean-up label; the function has `pd_status status`. */
#define PD_TRY_GOTO(call)                                                                          \
    do {                                                                                           \
        status = (call);                                                                           \
        if (status != PD_OK) goto done;                                                            \
    } while (0)

#endif
