/* Peak figures of a device, of its own or of a model's.  SPDX-License-Identifier: MIT */
#include "engine/model.h"

const char *pd_peak_name(pd_peak peak) {
    static const char *const names[PD_PEAK_COUNT] = {"f32 FMA", "f16 FMA", "int8 dot", "int16 dot",
                                                     "bf16 tiles"};
    return (unsigned)peak < PD_PEAK_COUNT ? names[peak] : "unknown";
}

static pd_status measure(pd_backend *b, pd_device_speed *out, pd_error *err) {
    PD_TRY(b->v->measure(b, out, err));
    for (int i = 0; i < PD_PEAK_COUNT; i++)
        if (out->gflop_s[i] > out->gflop_s[out->best]) out->best = (pd_peak)i;
    return PD_OK;
}

pd_status pd_device_measure(const char *device, uint32_t n_threads, pd_device_speed *out,
                            pd_error *err) {
    PD_NEED(err, out);
    pd_backend_desc desc = {.device = device, .n_threads = n_threads};
    pd_backend *b;
    PD_TRY(pd_backend_open(&desc, &b, err));
    pd_status status = measure(b, out, err);
    b->v->close(b);
    return status;
}

pd_status pd_model_measure(pd_model *m, pd_device_speed *out, pd_error *err) {
    PD_NEED(err, m);
    PD_NEED(err, out);
    if (!m->backend) return PD_RAISE(err, PD_ERR_ARGUMENT, "a model without a device has no speed");
    PD_TRY(pd_model_check_computes(m, err));
    return measure(m->backend, out, err);
}
