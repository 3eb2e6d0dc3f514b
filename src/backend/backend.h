/* The narrow interface between the engine and whatever computes: twenty-one functions that take
 * plans, not operations. The engine validates; a backend may assume that a plan is well formed and
 * a step within the plan's limits. One thread at a time per backend.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_BACKEND_BACKEND_H
#define PD_BACKEND_BACKEND_H

#include "plan/plan.h"
#include "plan/step.h"
#include "peridot_measure.h"

typedef struct pd_backend pd_backend;   /* an opened device and the weights on it */
typedef struct pd_kv_store pd_kv_store; /* memory of the KV pages */
typedef struct pd_program pd_program;   /* a compiled plan with its scratch memory */

typedef struct pd_kv_store_desc {
    pd_kv_shape shape;
    uint32_t n_global_pages, n_local_pages;
} pd_kv_store_desc;

typedef struct pd_backend_stats {
    uint64_t weight_bytes, kv_bytes, scratch_bytes; /* held now */
    uint64_t step_bytes;  /* of scratch_bytes: steps' rows and tables, read-back, host copies */
    uint64_t peak_bytes;  /* most that was held at once, staging included */
    uint64_t limit_bytes; /* what may be held; 0: no limit known */
    pd_build_stats build;
} pd_backend_stats;

/* One operation's output as `trace` shows it: rows of `width` 4-byte values. An operation that
 * writes two buffers is shown twice, with its time in the first view only. */
typedef struct pd_trace_view {
    uint32_t op_index;
    const pd_op *op;
    pd_buf_id buf;
    uint32_t n_rows, width;
    const void *data; /* valid during the call */
    uint64_t ns;      /* what the operation took, by the device's clock where it has one */
    pd_peak peak;     /* pd_profile_op */
    uint32_t passes;
    float rounding; /* pd_check_op */
} pd_trace_view;
/* Operations [first, end) of a plan, as far as it has so many. */
typedef struct pd_op_range {
    uint32_t first, end;
} pd_op_range;
#define PD_ALL_OPS ((pd_op_range){0, UINT32_MAX})

/* Return false to stop early. */
typedef bool (*pd_trace_fn)(void *ctx, const pd_trace_view *view);

/* Steps of one row each, of which every one computes the token that the one before it drew. */
typedef struct pd_run_ahead {
    const pd_step *first; /* one row, one output, with sampling, but no mask; the tables reach over
                             all steps */
    uint32_t n_steps;     /* at most */
    uint32_t stops[2];    /* tokens that end the run when sampled; PD_SAMPLE_NO_ID: none */
    /* Gets what the sample operation wrote in each step, in order, as soon as it is there. The run
     * ends when it returns false, at one of stops, and at values that are not finite. */
    bool (*fn)(void *ctx, const pd_sample_result *result);
    void *ctx;
} pd_run_ahead;

typedef struct pd_run_ahead_end {
    uint32_t n_dropped; /* steps computed ahead that turned out not to be wanted */
    bool intact; /* output buffers are those of the last step that fn got, not of a later one */
} pd_run_ahead_end;

typedef struct pd_backend_vtable {
    void (*close)(pd_backend *b);
    const pd_device_info *(*info)(const pd_backend *b);
    void (*stats)(const pd_backend *b, pd_backend_stats *out);

    /* Programs of these plans will be compiled: whatever else they need may be made while load is
     * under way. They must live until load returns. Only a hint. */
    void (*expect)(pd_backend *b, const pd_plan *plans, uint32_t n);

    /* Places every weight that the plan's operations name on the device, each once. The mapping
     * must stay open: a backend may go on reading it. Errors: MEMORY_DEVICE, DEVICE, CANCELLED. */
    pd_status (*load)(pd_backend *b, const pd_plan *plan, pd_progress_fn progress, void *ctx,
                      pd_error *err);

    pd_status (*kv_create)(pd_backend *b, const pd_kv_store_desc *desc, pd_kv_store **out,
                           pd_error *err);
    void (*kv_destroy)(pd_backend *b, pd_kv_store *kv);
    /* More pages of either kind, never fewer, between steps. What the pages hold stays, and so do
     * the programs that were compiled with the store. Layer after layer, so that one layer at most
     * is there twice. After a failure the store has the pages that it had, though it may hold
     * more memory. Errors: MEMORY_DEVICE, MEMORY_HOST, DEVICE. */
    pd_status (*kv_grow)(pd_backend *b, pd_kv_store *kv, uint32_t n_global_pages,
                         uint32_t n_local_pages, pd_error *err);
    /* One page of all layers of its kind, between steps, as pd_kv_page_bytes lays it out. */
    pd_status (*kv_read)(pd_backend *b, pd_kv_store *kv, bool global, uint32_t page, void *dst,
                         pd_error *err);
    pd_status (*kv_write)(pd_backend *b, pd_kv_store *kv, bool global, uint32_t page,
                          const void *src, pd_error *err);

    /* kv may be NULL when the plan has no KV operations. The program copies what it needs of the
     * plan, whose weights must have been loaded; it may look at them again when kv has grown. */
    pd_status (*compile)(pd_backend *b, const pd_plan *plan, pd_kv_store *kv, pd_program **out,
                         pd_error *err);
    void (*destroy)(pd_backend *b, pd_program *p);

    /* Computes one step and returns when its outputs can be read. */
    pd_status (*run)(pd_program *p, const pd_step *step, pd_error *err);
    /* Computes a chain of steps; *end is valid after a failure too. NULL: the backend gains nothing
     * by it. */
    pd_status (*run_ahead)(pd_program *p, const pd_run_ahead *ahead, pd_run_ahead_end *end,
                           pd_error *err);
    /* Host access to input and output buffers, between runs; byte offsets inside the buffer. */
    pd_status (*write)(pd_program *p, pd_buf_id buf, uint64_t offset, uint64_t n, const void *src,
                       pd_error *err);
    pd_status (*read)(pd_program *p, pd_buf_id buf, uint64_t offset, uint64_t n, void *dst,
                      pd_error *err);
    /* As run, one operation at a time, showing what each wrote and how long it took: slow, for
     * comparing backends, for profiles, and for finding the operation that made a NaN. Only those
     * of range; what the ones before it have written is still there if nothing ran since. */
    pd_status (*trace)(pd_program *p, const pd_step *step, pd_op_range range, pd_trace_fn fn,
                       void *ctx, pd_error *err);

    void (*count)(const pd_program *p, pd_step_counts *out);
    /* pd_device_speed, but for `best`. Takes memory for the time of the call. */
    pd_status (*measure)(pd_backend *b, pd_device_speed *out, pd_error *err);
    /* The same device as a backend that counts only (pd_backend_desc) and begins with what b holds,
     * its peak too. It knows b's weights; what is loaded into it, b never sees. To be closed
     * before b. NULL: there is no such thing. */
    pd_status (*recount)(pd_backend *b, pd_backend **out, pd_error *err);
    /* Has later starts leave alone what the words of its switch name, because of `reason`, in place
     * of what was found out before; "": nothing. False: it could not be kept. NULL: there is no
     * such thing. */
    bool (*keep_verdict)(pd_backend *b, const char *disabled, const char *reason);
} pd_backend_vtable;

/* Every backend's struct begins with this. */
struct pd_backend {
    const pd_backend_vtable *v;
};

typedef struct pd_backend_desc {
    const char *device;          /* as pd_model_desc.device; NULL: the default choice */
    uint32_t n_threads;          /* 0: one per core */
    uint64_t memory_limit_bytes; /* 0: the device's */
    bool no_repack;              /* pd_model_desc */
    /* For estimates: all functions go the usual way and count what they would hold, but take no
     * memory of the device for it, whatever its limit, and neither read weights nor compute. */
    bool counts_only;
} pd_backend_desc;

/* Chooses a device by the user's wish and opens it. Errors: NO_DEVICE (lists what there is). */
pd_status pd_backend_open(const pd_backend_desc *desc, pd_backend **out, pd_error *err);

/* The families behind the registry. */
pd_status pd_cpu_open(bool reference, const pd_backend_desc *desc, pd_backend **out, pd_error *err);
void pd_cpu_describe(bool reference, pd_device_info *out);

#ifdef PERIDOT_HAS_VULKAN
/* Vulkan devices in the loader's order; *note says why there are none. */
pd_status pd_vulkan_list(pd_device_info *out, uint32_t cap, uint32_t *count, const char **note,
                         pd_error *err);
pd_status pd_vulkan_open(uint32_t index, const pd_backend_desc *desc, pd_backend **out,
                         pd_error *err);
#endif

#endif
