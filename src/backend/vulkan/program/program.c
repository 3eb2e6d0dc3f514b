/* A program's life: memory, compilation, host access to its buffers.  SPDX-License-Identifier: MIT
 */
#include "backend/vulkan/program/program.h"

#include <string.h>

#include "backend/vulkan/program/activation.h"
#include "backend/vulkan/kernels/kernels.h"
#include "base/log.h"

enum { SMALL_OUTPUT_BYTES = 16384 }; /* copied back after every run */

/* ---- memory --------------------------------------------------------------------------------- */

static uint32_t count_mask_words(const pd_program *p) {
    for (uint32_t i = 0; i < p->n_ops; i++) {
        if (p->ops[i].kind != PD_OP_SAMPLE) continue;
        uint32_t n = p->bufs[p->ops[i].sample.x].width;
        return pd_div_up(n < PD_SAMPLE_END ? n : PD_SAMPLE_END, 32);
    }
    return 0;
}

/* Any output may have a mask: together they are a 32nd of the logits. */
static void lay_out_step(pd_program *p) {
    const pd_plan_desc *d = &p->desc;
    pd_vk_step_layout *l = &p->layout;
    l->rows_at = PD_STEP_ROWS;
    l->tiles_at = l->rows_at + 4 * d->max_rows;
    l->outs_at = l->tiles_at + 2 * d->max_rows;
    l->sampling_at = l->outs_at + d->max_outs;
    l->tables_at = l->sampling_at + PD_SAMPLE_WORDS * d->max_outs;
    l->max_pages = pd_div_up(d->max_positions, PD_PAGE_POSITIONS);
    l->table_stride = 2 * l->max_pages;
    l->masks_at = l->tables_at + d->max_seqs * l->table_stride;
    l->mask_words = count_mask_words(p);
    l->n_words = l->masks_at + d->max_outs * l->mask_words;
}

static pd_status create_constants(pd_program *p, pd_error *err) {
    uint64_t bytes = 4ull * p->desc.kv.head_dim * p->n_rotations;
    if (bytes == 0) return PD_OK;
    PD_TRY(pd_vk_buffer_create(&p->backend->memory, PD_VK_DEVICE, PD_VK_FOR_STEPS, bytes,
                               "the rotation tables", &p->constants, err));
    uint32_t *words = pd_alloc(1, bytes);
    if (!words) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for the rotation tables");
    pd_vk_fill_rotations(p, words);
    pd_vk_slice to = {p->constants.handle, 0, bytes};
    pd_status status = pd_vk_copy_in(p->backend, to, words, err);
    pd_free(words);
    return status;
}

static pd_status create_readback(pd_program *p, pd_error *err) {
    uint64_t bytes = 0;
    p->readback_at = pd_alloc(p->n_bufs, sizeof *p->readback_at);
    if (!p->readback_at) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for a program");
    for (uint32_t i = 0; i < p->n_bufs; i++) {
        bool small = p->bufs[i].role == PD_BUF_OUTPUT && p->formats[i] == PD_ACT_F32 &&
                     p->bufs[i].bytes <= SMALL_OUTPUT_BYTES;
        p->readback_at[i] = small ? bytes : UINT64_MAX;
        if (small) bytes += p->bufs[i].bytes;
    }
    if (bytes == 0) return PD_OK;
    return pd_vk_buffer_create(&p->backend->memory, PD_VK_READBACK, PD_VK_FOR_STEPS, bytes,
                               "read-back", &p->readback, err);
}

static pd_status clear_counters(pd_program *p, pd_error *err) {
    void *zeros = pd_alloc(1, p->arrived_bytes);
    if (!zeros) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for a program");
    pd_vk_slice to = {p->scratch.handle, p->arrived_offset, p->arrived_bytes};
    pd_status status = pd_vk_copy_in(p->backend, to, zeros, err);
    pd_free(zeros);
    return status;
}

static pd_status create_memory(pd_program *p, uint64_t plan_bytes, pd_error *err) {
    pd_vk_memory *m = &p->backend->memory;
    p->partial_offset = plan_bytes;
    p->partial_bytes = pd_vk_partial_bytes(p);
    p->arrived_offset = plan_bytes + p->partial_bytes;
    p->arrived_bytes = pd_vk_arrived_bytes(p);
    PD_TRY(pd_vk_buffer_create(m, PD_VK_DEVICE, PD_VK_FOR_SCRATCH,
                               p->arrived_offset + p->arrived_bytes, "activations", &p->scratch,
                               err));
    PD_TRY(clear_counters(p, err));
    PD_TRY(pd_vk_buffer_create(m, PD_VK_STEP, PD_VK_FOR_STEPS, 4ull * p->layout.n_words,
                               "the step buffer", &p->step, err));
    if (p->step.mapped) memset(p->step.mapped, 0, p->step.bytes);
    PD_TRY(create_constants(p, err));
    PD_TRY(pd_vk_run_ahead_create(p, err));
    return create_readback(p, err);
}

/* ---- life ----------------------------------------------------------------------------------- */

static pd_status copy_plan(pd_program *p, const pd_plan *plan, pd_error *err) {
    p->desc = plan->desc;
    p->n_bufs = plan->n_bufs;
    p->n_ops = plan->n_ops;
    p->n_rotations = plan->n_rotations;
    memcpy(p->rotations, plan->rotations, sizeof p->rotations);
    p->bufs = pd_alloc(p->n_bufs, sizeof *p->bufs);
    p->ops = pd_alloc(p->n_ops, sizeof *p->ops);
    p->formats = pd_alloc(p->n_bufs, sizeof *p->formats);
    if (!p->bufs || !p->ops || !p->formats)
        return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for a program");
    memcpy(p->bufs, plan->bufs, p->n_bufs * sizeof *p->bufs);
    memcpy(p->ops, plan->ops, p->n_ops * sizeof *p->ops);
    return PD_OK;
}

/* The program's description: what lowering needs to know besides where memory is. */
static pd_status describe(pd_program *p, const pd_plan *plan, pd_error *err) {
    PD_TRY(copy_plan(p, plan, err));
    const pd_kv_shape *kv = &p->desc.kv;
    p->tile_rows = 1;
    if (kv->n_kv_heads)
        p->tile_rows = pd_vk_tile_rows(&p->backend->device->caps, kv->n_heads / kv->n_kv_heads,
                                       kv->head_dim, p->desc.max_rows);
    pd_vk_choose_formats(p);
    lay_out_step(p);
    return PD_OK;
}

/* Whether it may be the kernels' fault (drivers refuse some, compilers too, and limits differ) and
 * simpler ones are left to try; takes to them. */
static bool simplify(pd_vk_tuning *t, pd_status failure) {
    if (failure != PD_ERR_DEVICE && failure != PD_ERR_INTERNAL && failure != PD_ERR_UNSUPPORTED)
        return false;
    if (!t->matrix_units && t->decode_format == PD_ACT_F32 && t->prefill_format == PD_ACT_F32)
        return false;
    t->matrix_units = false;
    t->decode_format = t->prefill_format = PD_ACT_F32;
    return true;
}

static pd_status compile_parts(pd_program *p, const pd_plan *plan, pd_error *err) {
    PD_TRY(describe(p, plan, err));
    PD_TRY(create_memory(p, plan->scratch_bytes, err));
    if (p->backend->memory.counts_only) return PD_OK;
    return pd_vk_bind(p, err);
}

pd_status pd_vk_program_create(pd_vk_backend *b, const pd_plan *plan, pd_kv_store *kv,
                               const pd_vk_tuning *tuning, pd_program **out, pd_error *err) {
    *out = NULL;
    pd_program *p = pd_alloc(1, sizeof *p);
    if (!p) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for a program");
    p->backend = b;
    p->kv = kv;
    p->tuning = *tuning;
    pd_error reason;
    pd_status status = compile_parts(p, plan, &reason);
    if (status == PD_OK) {
        *out = p;
        return PD_OK;
    }
    pd_vk_program_destroy(&b->base, p);
    pd_vk_tuning simpler = *tuning;
    if (simplify(&simpler, status)) {
        pd_log(PD_LOG_WARN, "vulkan", "%s goes on with plain f32 kernels: %s", plan->desc.name,
               reason.message);
        return pd_vk_program_create(b, plan, kv, &simpler, out, err);
    }
    if (err) *err = reason;
    return status;
}

pd_status pd_vk_program_compile(pd_backend *base, const pd_plan *plan, pd_kv_store *kv,
                                pd_program **out, pd_error *err) {
    pd_vk_backend *b = (pd_vk_backend *)base;
    return pd_vk_program_create(b, plan, kv, &b->tuning, out, err);
}

void pd_vk_program_destroy(pd_backend *base, pd_program *p) {
    if (!p) return;
    pd_vk_backend *b = (pd_vk_backend *)base;
    pd_vk_erase(p);
    pd_vk_run_ahead_destroy(p);
    pd_vk_buffer_destroy(&b->memory, &p->scratch);
    pd_vk_buffer_destroy(&b->memory, &p->step);
    pd_vk_buffer_destroy(&b->memory, &p->constants);
    pd_vk_buffer_destroy(&b->memory, &p->readback);
    pd_free(p->dispatches);
    pd_free(p->readback_at);
    pd_free(p->formats);
    pd_free(p->bufs);
    pd_free(p->ops);
    pd_free(p);
}

/* ---- pipelines beforehand -------------------------------------------------------------------- */

/* One slice per layer and no memory: enough to see which pipelines a plan takes. */
static bool outline_kv(const pd_kv_shape *shape, pd_kv_store *kv, pd_vk_kv_slice *slice) {
    uint32_t n = shape->n_layers;
    kv->shape = *shape;
    kv->layer_is_global = pd_alloc(n + 1, sizeof *kv->layer_is_global);
    kv->layers = pd_alloc(n + 1, sizeof *kv->layers);
    if (!kv->layer_is_global || !kv->layers) return false;
    slice->n_heads = shape->n_kv_heads;
    for (uint32_t i = 0; i < n; i++) {
        kv->layer_is_global[i] = shape->layer_is_global[i];
        kv->layers[i].n_slices = 1;
        kv->layers[i].slices = slice;
    }
    return true;
}

/* Lowers the plan to dispatches that nothing is bound to, for the pipelines that this declares. A
 * failure stays silent: compiling the plan in earnest will tell. */
static void declare_pipelines(pd_vk_backend *b, const pd_plan *plan) {
    pd_kv_store kv = {0};
    pd_vk_kv_slice slice = {0};
    pd_program *p = pd_alloc(1, sizeof *p);
    if (p) p->backend = b; /* destroying it needs that, whatever else fails */
    if (p && outline_kv(&plan->desc.kv, &kv, &slice)) {
        p->kv = &kv;
        p->tuning = b->tuning;
        if (describe(p, plan, NULL) == PD_OK) (void)pd_vk_lower(p, NULL);
    }
    if (p) pd_vk_program_destroy(&b->base, p);
    pd_free(kv.layer_is_global);
    pd_free(kv.layers);
}

void pd_vk_build_expected(pd_vk_backend *b) {
    for (uint32_t i = 0; i < b->n_expected; i++) declare_pipelines(b, &b->expected[i]);
    if (b->n_expected > 0) pd_vk_pipelines_begin(b->pipelines);
}

void pd_vk_program_count(const pd_program *p, pd_step_counts *out) {
    *out = (pd_step_counts){
        .n_dispatches = p->n_dispatches, .n_barriers = p->n_barriers, .n_submits = p->n_segments};
    for (uint32_t i = 0; i < p->n_dispatches; i++)
        out->n_layer_dispatches += p->ops[p->dispatches[i].op_index].layer >= 0;
}

/* ---- host access ---------------------------------------------------------------------------- */

/* Where bytes [offset, offset + n) of a buffer's f32 values lie in its packed form: whole blocks.
 */
static pd_vk_slice packed_slice(const pd_program *p, pd_buf_id buf, uint64_t offset, uint64_t n) {
    uint64_t at = p->bufs[buf].offset;
    if (p->formats[buf] == PD_ACT_F32) return (pd_vk_slice){p->scratch.handle, at + offset, n};
    uint32_t units = pd_vk_block_units(p->formats[buf]); /* of 16 bytes, for 128 bytes of f32 */
    return (pd_vk_slice){p->scratch.handle, at + offset / 8 * units, n / 8 * units};
}

pd_status pd_vk_program_write(pd_program *p, pd_buf_id buf, uint64_t offset, uint64_t n,
                              const void *src, pd_error *err) {
    if (n == 0) return PD_OK;
    pd_vk_slice to = packed_slice(p, buf, offset, n);
    if (p->formats[buf] == PD_ACT_F32) return pd_vk_copy_in(p->backend, to, src, err);
    void *packed = pd_alloc(1, to.bytes);
    if (!packed) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory to write a buffer");
    pd_vk_activation_encode(p->formats[buf], src, n / 4, packed);
    pd_status status = pd_vk_copy_in(p->backend, to, packed, err);
    pd_free(packed);
    return status;
}

/* The buffer's rows as they are now, in f32. */
pd_status pd_vk_program_peek(pd_program *p, pd_buf_id buf, uint64_t offset, uint64_t n, void *dst,
                             pd_error *err) {
    pd_vk_slice from = packed_slice(p, buf, offset, n);
    if (p->formats[buf] == PD_ACT_F32) return pd_vk_copy_out(p->backend, from, dst, err);
    void *packed = pd_alloc(1, from.bytes);
    if (!packed) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory to read a buffer");
    pd_status status = pd_vk_copy_out(p->backend, from, packed, err);
    if (status == PD_OK) pd_vk_activation_decode(p->formats[buf], packed, n / 4, dst);
    pd_free(packed);
    return status;
}

pd_status pd_vk_program_read(pd_program *p, pd_buf_id buf, uint64_t offset, uint64_t n, void *dst,
                             pd_error *err) {
    if (n == 0) return PD_OK;
    if (p->readback_at[buf] == UINT64_MAX) return pd_vk_program_peek(p, buf, offset, n, dst, err);
    if (p->readback.mapped)
        memcpy(dst, p->readback.mapped + p->readback_at[buf] + offset, n);
    else
        memset(dst, 0, n); /* memory that only counts */
    return PD_OK;
}
