/* See bind.h.  SPDX-License-Identifier: MIT */
#include "model/bind.h"

#include <inttypes.h>
#include <stdio.h>

uint64_t pd_tensor_values(const pd_tensor *t) {
    return t->ne[0] * t->ne[1] * t->ne[2] * t->ne[3]; /* the reader checked the product */
}

const char *pd_tensor_shape_text(const pd_tensor *t, char *out, size_t size) {
    size_t n = 0;
    for (uint32_t i = t->n_dims; i-- > 0 && n < size;)
        n += (size_t)snprintf(out + n, size - n, n == 0 ? "[%" PRIu64 : ", %" PRIu64, t->ne[i]);
    if (n + 1 < size) snprintf(out + n, size - n, "]");
    return out;
}

pd_status pd_tensor_bind(const pd_gguf *g, const char *name, uint64_t rows, uint64_t cols,
                         const pd_tensor **out, pd_error *err) {
    const pd_tensor *t = pd_gguf_find_tensor(g, name);
    if (!t)
        return PD_RAISE(err, PD_ERR_MODEL,
                        "the tensor %s is absent, expected [%" PRIu64 ", %" PRIu64 "]", name, rows,
                        cols);
    char shape[96];
    if (t->ne[0] != cols || t->ne[1] != rows || t->ne[2] != 1 || t->ne[3] != 1)
        return PD_RAISE(err, PD_ERR_MODEL,
                        "the tensor %s is %s, expected [%" PRIu64 ", %" PRIu64 "]", name,
                        pd_tensor_shape_text(t, shape, sizeof shape), rows, cols);
    *out = t;
    return PD_OK;
}
