/* Peridot's second header: how fast a device is, where a step's time goes, how probable a text is,
 * what a requantised head costs, and how much memory a model takes. Conventions as in peridot.h.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PERIDOT_MEASURE_H
#define PERIDOT_MEASURE_H

#include "peridot.h"

#ifdef __cplusplus
extern "C" {
#endif
#ifdef __GNUC__
#pragma GCC visibility push(default) /* what a library of Peridot exports, and nothing else */
#endif

/* ---------------------------------------------------------------------------------------------
 * Devices
 * ------------------------------------------------------------------------------------------- */

/* What a device does per nanosecond when nothing else is asked of it: the measure of a profile. */
typedef enum pd_peak {
    PD_PEAK_F32,   /* 32-bit fused multiply-add */
    PD_PEAK_F16,   /* the same with pairs of 16-bit floats */
    PD_PEAK_INT8,  /* 4x8-bit integer dot product, accumulated */
    PD_PEAK_INT16, /* 2x16-bit integer dot product, accumulated */
    PD_PEAK_BF16,  /* tiles of bfloat16, summed in f32 */
    PD_PEAK_COUNT
} pd_peak;
const char *pd_peak_name(pd_peak peak); /* "f32 FMA", ... */

typedef struct pd_device_speed {
    double copy_gb_s; /* bytes read and bytes written, between buffers larger than most caches */
    double read_gb_s; /* bytes read, from such a buffer */
    double gflop_s[PD_PEAK_COUNT]; /* additions and multiplications; 0: the device cannot */
    pd_peak best;                  /* the largest of them */
    double dispatch_us;            /* an empty dispatch and the barrier behind it (the CPU: an empty
                                      loop over all threads) */
    double barrier_us; /* of it the barrier: what it takes more than without; 0: there are none */
} pd_device_speed;

/* Opens the device, measures it, best of several repetitions of each, and closes it. Less than a
 * second on a GPU; a second more where its kernels have not been chosen yet. n_threads: as in
 * pd_model_desc. Errors: NO_DEVICE, MEMORY_DEVICE, DEVICE. */
pd_status pd_device_measure(const char *device, uint32_t n_threads, pd_device_speed *out,
                            pd_error *err);

/* As pd_device_measure, on the model's device and in what memory it has left; counts as a call on
 * one of the model's sessions. Errors: ARGUMENT (vocab_only) besides. */
pd_status pd_model_measure(pd_model *model, pd_device_speed *out, pd_error *err);

/* ---------------------------------------------------------------------------------------------
 * Texts
 * ------------------------------------------------------------------------------------------- */

/* Called with the logits of some rows, [n_rows, n_vocab], in order. */
typedef pd_status (*pd_logits_fn)(void *ctx, uint32_t first_pos, uint32_t n_rows,
                                  const float *logits, pd_error *err);
/* Like sync_prompt, handing out the logits of the positions from `first` on, which are computed
 * anew; rows of images are among them. Errors: as sync_prompt; ARGUMENT (a session without
 * all_logits, no position from `first` on); what fn returns. */
pd_status pd_session_score(pd_session *session, const pd_prompt *prompt, uint32_t first,
                           pd_logits_fn fn, void *ctx, pd_error *err);

/* How probable a text is: log_probs[i] = ln P(ids[first + i + 1] | ids[0 .. first + i]) for
 * i < n_ids - 1 - first, over all n_vocab ids; best[i] is the id that pd_session_argmax would have
 * given in its place (NULL: not wanted). The sums are made on the device. Positions before `first`
 * that are computed already stay. Errors: as pd_session_score. */
pd_status pd_session_log_probs(pd_session *session, const uint32_t *ids, size_t n_ids,
                               uint32_t first, float *log_probs, uint32_t *best, pd_error *err);

/* ---------------------------------------------------------------------------------------------
 * Where time goes
 * ------------------------------------------------------------------------------------------- */

/* One operation of a step. */
typedef struct pd_profile_op {
    const char *name; /* "l03.gate_up"; valid during the call */
    const char *kind; /* "gate_up": the same in every layer */
    int32_t layer;    /* -1: outside the layers */
    uint32_t n_rows;  /* tokens, or outputs */
    uint64_t ns;      /* device time, one operation at a time: overlap is not seen */
    uint64_t bytes;   /* that it cannot help reading or writing: each weight once, K and V of every
                         visible position once, activations as 4-byte values */
    double flops;     /* multiplications and additions of its matrix products and attention */
    pd_peak peak;     /* what they are done with; PD_PEAK_COUNT: not told, the device's best */
    uint32_t passes;  /* products of that kind that one of flops takes; 0: one */
} pd_profile_op;
/* Return false to stop. */
typedef bool (*pd_profile_fn)(void *ctx, const pd_profile_op *op);

/* Runs the session's last step again, operation by operation, and tells where its time goes, in the
 * order of the plan. The sequence stays as it is. Slow. Errors: ARGUMENT (nothing was computed
 * yet), DEVICE. */
pd_status pd_session_profile(pd_session *session, pd_profile_fn fn, void *ctx, pd_error *err);

/* The same for the image that was encoded last. Errors: ARGUMENT (none was), DEVICE. */
pd_status pd_model_profile_image(pd_model *model, pd_profile_fn fn, void *ctx, pd_error *err);

/* ---------------------------------------------------------------------------------------------
 * Whether a device computes the right thing
 * ------------------------------------------------------------------------------------------- */

/* What an operation wrote on a device and on the reference, from the same inputs. */
typedef struct pd_check_op {
    pd_profile_op op; /* the device's; ns, bytes and flops in the first part shown alone */
    const char *part; /* "output", "residual", "K", "V", or "token": best tokens, by how far their
                         logits on the reference are apart, and the values told of them */
    uint32_t first;   /* position of row 0; the others follow, but for outputs' */
    uint32_t n_rows, width; /* some columns behind the values may be padding, all zero */
    uint32_t head_dim;      /* columns of a head; 0: there are no heads */
    /* The largest relative error that the arithmetic of either may make of a value by rounding it:
     * half a unit of the largest of the 32 values that share a scale where there are scales; 0:
     * 32-bit floats. K and V: of their pages. */
    double rounding;
    const float *got, *expected; /* [n_rows, width] the device's and the reference's; valid during
                                    the call */
} pd_check_op;
/* Return false to stop. */
typedef bool (*pd_check_fn)(void *ctx, const pd_check_op *op);

/* Makes both sequences equal to the prompt, as pd_session_sync_prompt does, but operation by
 * operation. Behind each one the reference's result takes the place of the device's, in K and V
 * too: what is shown is an error of that operation alone, and a NaN ends nothing. The two are of
 * one file on two devices, opened and made alike. There are no logits afterwards, and forks of the
 * session have the reference's K and V too. Slow. Errors: as sync_prompt; ARGUMENT (the two are of
 * one model, or compute in different steps), MEMORY_HOST. */
pd_status pd_session_check(pd_session *session, pd_session *reference, const pd_prompt *prompt,
                           pd_check_fn fn, void *ctx, pd_error *err);

/* The same of the image that both have encoded last, which runs again. */
pd_status pd_model_check_image(pd_model *model, pd_model *reference, pd_check_fn fn, void *ctx,
                               pd_error *err);

/* ---------------------------------------------------------------------------------------------
 * The output head
 * ------------------------------------------------------------------------------------------- */

/* What requantising the head did to the next token's probabilities at the last positions. */
typedef struct pd_head_cost {
    uint32_t n_positions; /* at most 8 */
    uint32_t n_same;      /* of them: the most probable token is the same */
    double kl_mean;       /* KL(p || q) in nats: p with the head as the file stores it, */
    double kl_max;        /* q as the device computed it; the mean and the worst position */
} pd_head_cost;

/* Computes the sequence's last positions (up to 8, fewer where the window is gone) once more, one
 * at a time, and compares the device's logits with those of the stored head on the same final
 * hidden states, in f32 on the CPU. Tokens that are never drawn are left out. The changed embedding
 * of a tied head is thereby in p and q alike: the figure is the head's cost alone. The device's
 * arithmetic is part of q.
 * The sequence stays as it is; keys and values of these positions may change in their last bits.
 * Errors: ARGUMENT (the head was kept, or nothing was computed yet), MEMORY_HOST, CANCELLED,
 * DEVICE, NUMERIC. */
pd_status pd_session_head_cost(pd_session *session, pd_head_cost *out, pd_error *err);

/* ---------------------------------------------------------------------------------------------
 * Memory
 * ------------------------------------------------------------------------------------------- */

/* What a model and a context of it hold, in bytes; on the device but for the last fields. */
typedef struct pd_estimate {
    uint32_t n_ctx, n_chunk, n_seqs; /* as the context would have them */
    uint64_t weight_bytes;           /* of the text model */
    uint64_t image_weight_bytes;
    uint64_t kv_global_bytes, kv_local_bytes; /* pages of a kind, checkpoints' included */
    uint64_t prefill_bytes;                   /* activations of prompt steps */
    uint64_t decode_bytes;                    /* ... of steps of one row, and of a row of each */
    uint64_t image_bytes;                     /* ... of the image encoder, with its K and V */
    uint64_t step_bytes;  /* steps' rows and page tables, read-back and copies to and from the host,
                             those of logits and images included, and with checkpoints those of
                             pages that are saved, loaded and branched off */
    uint64_t total_bytes; /* the sum of the above */
    uint64_t peak_bytes;  /* most at once: while loading, staging buffers are there as well, and a
                             layer's pages twice while they grow (all_pages: they do not) */
    uint64_t limit_bytes; /* what there is: the limit that was set, else what the device has or the
                             driver leaves; 0: not known */
    /* The host's memory. The CPU's weights are the mapping, not a copy of it; a GPU's mapping is
     * given back once it was read, and so is the new head. */
    uint64_t host_map_bytes;   /* the files */
    uint64_t host_head_bytes;  /* the output head, when it is requantised */
    uint64_t host_vocab_bytes; /* tables of the tokenizer */
} pd_estimate;

/* What a context for n_seqs sequences (0: 1) would take of an estimate_only model's device: made by
 * going through its creation, and an image's encoding, with a device that only counts. session may
 * be NULL for the defaults. Errors: ARGUMENT (a model opened for more than estimates),
 * MEMORY_DEVICE (not for want of memory: a part that is larger than the device takes in one piece),
 * MEMORY_HOST, and those of pd_session_create. */
pd_status pd_model_estimate(pd_model *model, const pd_session_desc *session, uint32_t n_seqs,
                            pd_estimate *out, pd_error *err);

/* The largest n_ctx, a multiple of 64 up to the model's own, whose estimate stays within its
 * limit_bytes; session->n_ctx is not used. *n_ctx is 0, and *out the estimate of 64 positions, when
 * nothing fits. Errors: as pd_model_estimate. */
pd_status pd_model_estimate_most(pd_model *model, const pd_session_desc *session, uint32_t n_seqs,
                                 uint32_t *n_ctx, pd_estimate *out, pd_error *err);

/* What a session would get of an open model's device. */
typedef struct pd_fit {
    uint32_t n_ctx;        /* the largest up to the wanted one, a multiple of 64 if less; 0: none */
    uint32_t n_ctx_wanted; /* the session's, or the usual default */
    uint64_t bytes;        /* held then at most, for an image and logits too; 0: not counted */
    uint64_t limit_bytes;  /* what may be held; 0: not known, and whatever is wanted counts as
                              fitting */
} pd_fit;
/* Beside what the model and its sessions hold already. session may be NULL for the defaults;
 * without n_ctx it gets what pd_session_create gives it. Errors: ARGUMENT (a model that computes
 * nothing), CONTEXT, MEMORY_HOST, DEVICE. */
pd_status pd_model_fit(pd_model *model, const pd_session_desc *session, pd_fit *out, pd_error *err);

#ifdef __GNUC__
#pragma GCC visibility pop
#endif
#ifdef __cplusplus
}
#endif

#endif
