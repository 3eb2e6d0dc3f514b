/* Lists of the tensors to write: names, shapes, types and the spread of their values.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>
#include <stdarg.h>

#include "pack/synth.h"

pd_status synth_list_create(uint32_t room, synth_list *out, pd_error *err) {
    *out = (synth_list){.items = pd_alloc(room, sizeof *out->items), .room = room};
    return out->items ? PD_OK : PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory for a model");
}

void synth_list_free(synth_list *l) {
    pd_free(l->items);
    *l = (synth_list){0};
}

static synth_tensor *add_tensor(synth_list *l, uint32_t n_dims, uint64_t rows, uint64_t cols,
                                const char *name, va_list args) {
    synth_tensor *t = &l->items[l->n++];
    *t = (synth_tensor){.n_dims = n_dims, .ne = {cols, rows, 1, 1}};
    vsnprintf(t->name, sizeof t->name, name, args);
    return t;
}

synth_tensor *synth_add_matrix(synth_list *l, pd_type type, uint64_t rows, uint64_t cols,
                               const char *name, ...) {
    va_list args;
    va_start(args, name);
    synth_tensor *t = add_tensor(l, 2, rows, cols, name, args);
    va_end(args);
    t->type = pd_type_fitting(type, cols);
    t->std = 1.0f / sqrtf((float)cols);
    return t;
}

synth_tensor *synth_add_vector(synth_list *l, uint64_t n, float mean, float std, const char *name,
                               ...) {
    va_list args;
    va_start(args, name);
    synth_tensor *t = add_tensor(l, 1, 1, n, name, args);
    va_end(args);
    t->type = PD_TYPE_F32;
    t->mean = mean;
    t->std = std;
    return t;
}

uint64_t synth_tensor_bytes(const synth_tensor *t) {
    uint64_t n_values = t->ne[0] * t->ne[1] * t->ne[2] * t->ne[3];
    return pd_type_row_bytes(pd_type_get(t->type), n_values);
}
