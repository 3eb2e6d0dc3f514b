/* A compiled plan: its dispatches, the command buffers that hold them, and its memory.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_VULKAN_PROGRAM_H
#define PD_VULKAN_PROGRAM_H

#include "args.h"
#include "backend/vulkan/program/backend.h"
#include "backend/vulkan/program/upload.h"

/* What a dispatch's row axis counts; its number of workgroups there is ceil(count / per_group). */
typedef enum pd_vk_count {
    PD_VK_COUNT_NONE,
    PD_VK_COUNT_ROWS,
    PD_VK_COUNT_OUTS,
    PD_VK_COUNT_TILES
} pd_vk_count;

/* Bytes of the scratch buffer, for hazards. */
typedef enum pd_vk_access {
    PD_VK_KEPT = 0, /* not written by any dispatch, or ordered by way of another binding */
    PD_VK_READ = 1,
    PD_VK_WRITTEN = 2 /* or both */
} pd_vk_access;

typedef struct pd_vk_binding {
    pd_vk_slice slice;
    unsigned access; /* pd_vk_access */
} pd_vk_binding;

enum { PD_VK_STEPS_IN_FLIGHT = 4, PD_VK_PUSH_BYTES = 48 };

typedef struct pd_vk_dispatch {
    const pd_vk_pipeline *pipeline;
    VkDescriptorSet set;
    uint32_t n_buffers;
    pd_vk_binding bindings[PD_VK_MAX_BUFFERS]; /* [n_buffers] */
    uint8_t push[PD_VK_PUSH_BYTES];
    uint32_t groups[3];
    pd_vk_count count; /* NONE: groups as they are; else groups[axis] is computed per step */
    uint32_t axis, per_group;
    uint32_t first, most; /* of the row axis' workgroups, those from `first` on; most 0: all */
    int32_t indirect;     /* entry of the step buffer's dispatch table; -1: direct */
    uint32_t op_index;
    double flops; /* predicted work at the plan's most rows */
} pd_vk_dispatch;

/* What is submitted at once. A program whose steps can run ahead has a command buffer for each
 * step in flight: some drivers optimise SIMULTANEOUS_USE buffers poorly. */
typedef struct pd_vk_segment {
    uint32_t first, end;                         /* dispatches */
    VkCommandBuffer cmds[PD_VK_STEPS_IN_FLIGHT]; /* all alike; null: only the first is needed */
    VkFence fence;
    bool pending;
} pd_vk_segment;

/* Word offsets in the step buffer; the layout is in shaders/args.h. */
typedef struct pd_vk_step_layout {
    uint32_t rows_at, tiles_at, outs_at, sampling_at, tables_at, masks_at;
    uint32_t max_pages;    /* words of one table */
    uint32_t table_stride; /* words per sequence: both tables */
    uint32_t mask_words;   /* of one; 0 where nothing is drawn */
    uint32_t n_words;
} pd_vk_step_layout;

/* An indirect dispatch's table entry. */
typedef struct pd_vk_grid {
    uint32_t groups[3];
    pd_vk_count count;
    uint32_t axis, per_group, first, most;
} pd_vk_grid;

struct pd_program {
    pd_vk_backend *backend;
    pd_kv_store *kv;
    pd_vk_tuning tuning; /* which kernels compute it */
    pd_plan_desc desc;
    pd_buf *bufs; /* copies of the plan's */
    pd_op *ops;
    uint32_t n_bufs, n_ops, n_rotations;
    pd_rotation rotations[PD_MAX_ROTATIONS];
    uint8_t *formats; /* [n_bufs] PD_ACT_*: how a buffer's rows are stored */

    pd_vk_buffer scratch; /* the plan's arena, then partial results and their counters */
    uint64_t partial_offset, partial_bytes;
    uint64_t arrived_offset, arrived_bytes;
    pd_vk_buffer step;      /* pd_vk_step_layout */
    pd_vk_buffer constants; /* rotation tables: [n_rotations][head_dim / 2] {high, low} */
    pd_vk_buffer readback;  /* small output buffers, copied after every run */
    uint64_t *readback_at;  /* [n_bufs] offset in readback, or UINT64_MAX */
    pd_vk_buffer ring;      /* programs of one row that end with a draw: results of steps ahead,
                               [PD_RING_STEPS][4] words that the host reads */

    pd_vk_step_layout layout;
    uint32_t tile_rows; /* most rows of an attention tile */

    pd_vk_dispatch *dispatches;
    uint32_t n_dispatches, cap_dispatches;
    pd_vk_grid grids[PD_STEP_MAX_DISPATCHES];
    uint32_t n_grids;
    pd_vk_segment *segments;
    uint32_t n_segments, n_barriers;
    VkFence step_fences[PD_VK_STEPS_IN_FLIGHT]; /* of steps that run ahead; with a ring only */
    VkDescriptorPool pool;
    bool is_bound;
    uint32_t bound_generation; /* kv's when it was */
};

/* activation.c: fills p->formats. */
void pd_vk_choose_formats(pd_program *p);

/* Work that one submission may hold: about 50 ms, so that no watchdog wakes and a cancelled prompt
 * stops soon. Single dispatches are cut to it too. */
double pd_vk_submission_flops(const pd_vk_backend *b);

/* lower.c: fills p->dispatches from p->ops. */
pd_status pd_vk_lower(pd_program *p, pd_error *err);
/* Scratch bytes that lowering needs beyond the plan's own: partial results. */
uint64_t pd_vk_partial_bytes(const pd_program *p);
/* ... and counters of the splits that have written theirs: 0 before the first run. */
uint64_t pd_vk_arrived_bytes(const pd_program *p);
/* rotations.c: the rotation tables, [n_rotations][head_dim / 2] pairs of words. */
void pd_vk_fill_rotations(const pd_program *p, uint32_t *words);

/* record.c: descriptor sets, and dispatches to segments of command buffers. */
pd_status pd_vk_record(pd_program *p, pd_error *err);
/* Undoes it, or what there is of it. */
void pd_vk_erase(pd_program *p);
/* Records one operation's dispatches, behind a full barrier. */
void pd_vk_record_op(const pd_program *p, VkCommandBuffer cmd, uint32_t op_index);

/* bind.c: lowers and records, unless that is done and the KV store is the same as then. */
pd_status pd_vk_bind(pd_program *p, pd_error *err);

/* step_buffer.c */
void pd_vk_write_step(pd_program *p, const pd_step *step);

/* submit.c */
pd_status pd_vk_raise_if_lost(const pd_vk_device *d, pd_error *err);
/* Adds to the message of a lost device which dispatches [first, end) it had been given; returns
 * `status`. */
pd_status pd_vk_name_work(const pd_program *p, uint32_t first, uint32_t end, pd_status status,
                          pd_error *err);
/* The segment's command buffer of a turn: 0 for single steps, which step in flight otherwise. */
pd_status pd_vk_submit_segment(pd_program *p, uint32_t segment, uint32_t turn, VkFence fence,
                               pd_error *err);
pd_status pd_vk_program_run(pd_program *p, const pd_step *step, pd_error *err);

/* trace.c */
pd_status pd_vk_program_trace(pd_program *p, const pd_step *step, pd_op_range range, pd_trace_fn fn,
                              void *ctx, pd_error *err);

/* run_ahead.c */
pd_status pd_vk_run_ahead_create(pd_program *p,
                                 pd_error *err); /* ring and fences, where they apply */
void pd_vk_run_ahead_destroy(pd_program *p);
pd_status pd_vk_program_run_ahead(pd_program *p, const pd_run_ahead *ahead, pd_run_ahead_end *end,
                                  pd_error *err);

/* program.c */
/* With the kernels of b->tuning. */
pd_status pd_vk_program_compile(pd_backend *b, const pd_plan *plan, pd_kv_store *kv,
                                pd_program **out, pd_error *err);
/* With those of `tuning`; with plain ones where they cannot be built, which (*out)->tuning tells.
 */
pd_status pd_vk_program_create(pd_vk_backend *b, const pd_plan *plan, pd_kv_store *kv,
                               const pd_vk_tuning *tuning, pd_program **out, pd_error *err);
void pd_vk_program_destroy(pd_backend *b, pd_program *p);
pd_status pd_vk_program_write(pd_program *p, pd_buf_id buf, uint64_t offset, uint64_t n,
                              const void *src, pd_error *err);
pd_status pd_vk_program_read(pd_program *p, pd_buf_id buf, uint64_t offset, uint64_t n, void *dst,
                             pd_error *err);
/* The buffer's rows as they are now, in f32, past the copies made for read. */
pd_status pd_vk_program_peek(pd_program *p, pd_buf_id buf, uint64_t offset, uint64_t n, void *dst,
                             pd_error *err);

void pd_vk_program_count(const pd_program *p, pd_step_counts *out);

/* measure.c */
pd_status pd_vk_measure(pd_backend *b, pd_device_speed *out, pd_error *err);

/* kv_store.c, kv_pages.c */
pd_status pd_vk_kv_create(pd_backend *b, const pd_kv_store_desc *desc, pd_kv_store **out,
                          pd_error *err);
void pd_vk_kv_destroy(pd_backend *b, pd_kv_store *kv);
pd_status pd_vk_kv_grow(pd_backend *b, pd_kv_store *kv, uint32_t n_global_pages,
                        uint32_t n_local_pages, pd_error *err);
pd_status pd_vk_kv_read(pd_backend *b, pd_kv_store *kv, bool global, uint32_t page, void *dst,
                        pd_error *err);
pd_status pd_vk_kv_write(pd_backend *b, pd_kv_store *kv, bool global, uint32_t page,
                         const void *src, pd_error *err);

#endif
