/* Programs of the CPU backends: a plan's operations and buffers copied, its arena and the threads'
 * work memory taken once; a run is a walk through a table of functions.
 *
 * SPDX-License-Identifier: MIT
 */
#include "backend/cpu/cpu.h"
#include "base/clock.h"

/* ---- compiling ------------------------------------------------------------------------------ */

static bool copy_plan(pd_program *p, const pd_plan *plan) {
    p->desc = plan->desc;
    p->desc.kv.layer_is_global = NULL;
    p->n_ops = plan->n_ops;
    p->n_bufs = plan->n_bufs;
    p->ops = pd_alloc(plan->n_ops, sizeof *p->ops);
    p->bufs = pd_alloc(plan->n_bufs, sizeof *p->bufs);
    p->packed = pd_alloc(plan->n_ops, sizeof *p->packed);
    if (!p->ops || !p->bufs || !p->packed) return false;
    if (plan->n_ops) memcpy(p->ops, plan->ops, plan->n_ops * sizeof *p->ops);
    if (plan->n_bufs) memcpy(p->bufs, plan->bufs, plan->n_bufs * sizeof *p->bufs);
    return true;
}

static uint64_t rope_bytes(const pd_program *p) {
    return pd_round_up((uint64_t)p->desc.max_rows * (p->desc.kv.head_dim / 2) * 4, 64);
}

static void *take(uint8_t **at, uint64_t bytes) {
    uint8_t *p = *at;
    *at += pd_round_up(bytes, 64);
    return p;
}

static bool takes_integers(const pd_program *p, const pd_op *op) {
    return pd_cpu_takes_integers(p->cpu, op, p->desc.precision);
}

static void find_packed(pd_program *p) {
    for (uint32_t i = 0; i < p->n_ops; i++) {
        if (!takes_integers(p, &p->ops[i])) continue;
        const pd_op_matmul *op = &p->ops[i].matmul;
        for (uint32_t j = 0; j < op->n_weights; j++)
            p->packed[i][j] = pd_cpu_packed(p->cpu, op->weights[j]);
    }
}

/* Of all rows of the largest activations that are multiplied in integers or on a matrix unit:
 * values, and scales. */
static void quants_bytes(const pd_program *p, uint64_t *values, uint64_t *scales) {
    uint64_t most = 0, tiles = 0;
    for (uint32_t i = 0; i < p->n_ops; i++) {
        const pd_op_matmul *op = &p->ops[i].matmul;
        if (p->ops[i].kind != PD_OP_MATMUL) continue;
        uint32_t rows = pd_cpu_max_rows(p, op->out);
        uint64_t n = takes_integers(p, &p->ops[i]) ? rows * op->weights[0]->ne[0] : 0;
        if (n > most) most = n;
        n = pd_cpu_takes_matrix(p, &p->ops[i], rows) ? pd_cpu_matrix_x_bytes(op, rows) : 0;
        if (n > tiles) tiles = n;
    }
    *values = pd_round_up(most * sizeof(int16_t), 64);
    if (tiles > *values) *values = tiles;
    *scales = pd_round_up(most / PD_CPU_BLOCK * sizeof(pd_cpu_block_scale), 64);
}

/* The arena, the threads' memory and the step's tables come as one block. */
static pd_status allocate(pd_program *p, uint64_t arena_bytes, pd_error *err) {
    bool fast = !p->cpu->reference;
    uint64_t work = fast ? pd_cpu_fast_work_bytes(p) : pd_cpu_ref_work_bytes(p);
    p->work_bytes = pd_round_up(work + 64, 64);
    uint64_t tiles = fast ? pd_round_up(p->desc.max_rows * sizeof *p->tiles, 64) : 0;
    uint64_t partials = fast ? pd_round_up(pd_cpu_attention_partial_bytes(p), 64) : 0;
    uint64_t values, scales;
    quants_bytes(p, &values, &scales);
    uint64_t bytes = pd_round_up(arena_bytes, 64) + p->cpu->n_threads * p->work_bytes + tiles +
                     partials + values + scales + 2 * p->n_ropes * rope_bytes(p);
    PD_TRY(pd_cpu_reserve(p->cpu, "scratch memory", &p->cpu->stats.scratch_bytes, bytes, err));
    p->held_bytes = bytes;
    if (p->cpu->counts_only) return PD_OK;
    uint8_t *at = pd_alloc_aligned(bytes, 1);
    if (!at) {
        return PD_RAISE(err, PD_ERR_MEMORY_DEVICE, "no host memory for plan %s: %.1f MiB",
                        p->desc.name, (double)bytes / 1048576.0);
    }
    p->scratch = take(&at, arena_bytes);
    p->work = take(&at, p->cpu->n_threads * p->work_bytes);
    p->tiles = take(&at, tiles);
    p->partials = take(&at, partials);
    p->quants.values = take(&at, values);
    p->x_tiles = (uint16_t *)(void *)p->quants.values;
    p->quants.scales = take(&at, scales);
    for (uint32_t i = 0; i < p->n_ropes; i++) {
        p->ropes[i].cosines = take(&at, rope_bytes(p));
        p->ropes[i].sines = take(&at, rope_bytes(p));
    }
    return PD_OK;
}

pd_status pd_cpu_compile(pd_backend *b, const pd_plan *plan, pd_kv_store *kv, pd_program **out,
                         pd_error *err) {
    pd_cpu *cpu = (pd_cpu *)b;
    pd_status status = PD_OK;
    *out = NULL;
    pd_program *p = pd_alloc(1, sizeof *p);
    if (!p || !copy_plan(p, plan)) {
        status = PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory to compile plan %s", plan->desc.name);
        goto done;
    }
    p->cpu = cpu;
    p->kv = kv;
    p->n_ropes = cpu->reference ? 0 : plan->n_rotations;
    for (uint32_t i = 0; i < p->n_ropes; i++) p->ropes[i].rotation = plan->rotations[i];
    PD_TRY_GOTO(allocate(p, plan->scratch_bytes, err));
    find_packed(p);
    *out = p;
done:
    if (status != PD_OK) pd_cpu_destroy(b, p);
    return status;
}

void pd_cpu_destroy(pd_backend *b, pd_program *p) {
    pd_cpu *cpu = (pd_cpu *)b;
    if (!p) return;
    cpu->stats.scratch_bytes -= p->held_bytes;
    pd_free_aligned(p->scratch);
    pd_free(p->ops);
    pd_free(p->bufs);
    pd_free(p->packed);
    pd_free(p);
}

/* ---- running -------------------------------------------------------------------------------- */

static void begin_step(pd_program *p, const pd_step *step) {
    p->step = step;
    if (p->cpu->reference) return;
    pd_cpu_attention_prepare(p);
    pd_cpu_rope_prepare(p);
}

/* `cpu-ref`'s function, and `cpu`'s. */
static void (*const op_functions[PD_OP_KIND_COUNT][2])(pd_program *, const pd_op *) = {
#define PD_CPU_FUNCTIONS(NAME, name) [PD_OP_##NAME] = {pd_cpu_ref_##name, pd_cpu_fast_##name},
    PD_OP_LIST(PD_CPU_FUNCTIONS)
#undef PD_CPU_FUNCTIONS
};

/* False: it works on output rows, and the step has none. */
static bool run_op(pd_program *p, const pd_op *op) {
    pd_buf_id written = pd_op_get_access(op).writes[0];
    if (pd_cpu_rows(p, written) == 0) return false;
    op_functions[op->kind][!p->cpu->reference](p, op);
    return true;
}

pd_status pd_cpu_run(pd_program *p, const pd_step *step, pd_error *err) {
    pd_status status = PD_OK;
    if (p->cpu->counts_only) return PD_OK;
    begin_step(p, step);
    for (uint32_t i = 0; i < p->n_ops && status == PD_OK; i++) {
        if (step->between && i > 0) step->between(step->between_ctx);
        if (step->cancel && atomic_load(step->cancel))
            status = PD_RAISE(err, PD_ERR_CANCELLED, "stopped in the middle of a step");
        else
            run_op(p, &p->ops[i]);
    }
    p->step = NULL;
    return status;
}

/* Products of the matrix unit for each of the op's; 0: others do it. */
static uint32_t passes_of(const pd_program *p, const pd_op *op, uint32_t n_rows) {
    if (op->kind == PD_OP_ATTENTION) return pd_cpu_attention_passes(p);
    return pd_cpu_takes_matrix(p, op, n_rows) ? pd_cpu_matrix_passes(p, op) : 0;
}

static pd_peak peak_of(const pd_program *p, uint32_t op_index, uint32_t passes) {
    const pd_op *op = &p->ops[op_index];
    if (passes) return PD_PEAK_BF16;
    if (!p->packed[op_index][0]) return PD_PEAK_F32;
    return pd_cpu_choose_integer(p, op) == p->cpu->integer ? PD_PEAK_INT16 : PD_PEAK_INT8;
}

/* Bytes are whole numbers up to 127, 16-bit integers up to 32639; a bfloat16 has 8 binary places,
 * two that stand for one number 16. */
static float rounding_of(const pd_program *p, uint32_t op_index, uint32_t passes) {
    pd_peak peak = peak_of(p, op_index, passes);
    if (peak == PD_PEAK_BF16) return passes == 1 ? 0x1p-9f : 0x1p-16f;
    return peak == PD_PEAK_INT8 ? 0x1p-8f : peak == PD_PEAK_INT16 ? 0x1p-16f : 0;
}

static bool show(pd_program *p, uint32_t op_index, pd_buf_id buf, uint64_t ns, pd_trace_fn fn,
                 void *ctx) {
    uint32_t n_rows = pd_cpu_rows(p, buf);
    uint32_t passes = passes_of(p, &p->ops[op_index], n_rows);
    pd_trace_view view = {.op_index = op_index,
                          .op = &p->ops[op_index],
                          .buf = buf,
                          .n_rows = n_rows,
                          .width = p->bufs[buf].width,
                          .data = pd_cpu_buf(p, buf),
                          .ns = ns,
                          .peak = peak_of(p, op_index, passes),
                          .passes = passes,
                          .rounding = rounding_of(p, op_index, passes)};
    return fn(ctx, &view);
}

pd_status pd_cpu_trace(pd_program *p, const pd_step *step, pd_op_range range, pd_trace_fn fn,
                       void *ctx, pd_error *err) {
    (void)err;
    begin_step(p, step);
    bool go_on = true;
    for (uint32_t i = range.first; i < p->n_ops && i < range.end && go_on; i++) {
        uint64_t t0 = pd_clock_ns();
        if (!run_op(p, &p->ops[i])) continue;
        uint64_t ns = pd_clock_ns() - t0;
        pd_op_access a = pd_op_get_access(&p->ops[i]);
        for (int k = 0; k < 2 && go_on; k++) {
            if (a.writes[k] != PD_BUF_NONE) go_on = show(p, i, a.writes[k], k ? 0 : ns, fn, ctx);
        }
    }
    p->step = NULL;
    return PD_OK;
}

void pd_cpu_count_step(const pd_program *p, pd_step_counts *out) {
    *out = (pd_step_counts){.n_dispatches = p->n_ops};
    for (uint32_t i = 0; i < p->n_ops; i++) out->n_layer_dispatches += p->ops[i].layer >= 0;
}

/* ---- host access ---------------------------------------------------------------------------- */

static pd_status check_range(const pd_program *p, pd_buf_id buf, uint64_t offset, uint64_t n,
                             pd_error *err) {
    uint64_t end;
    bool inside = buf < p->n_bufs && pd_add_u64(offset, n, &end) && end <= p->bufs[buf].bytes;
    if (inside) return PD_OK;
    return PD_RAISE(err, PD_ERR_INTERNAL, "access behind the end of buffer %u of plan %s", buf,
                    p->desc.name);
}

pd_status pd_cpu_write(pd_program *p, pd_buf_id buf, uint64_t offset, uint64_t n, const void *src,
                       pd_error *err) {
    PD_TRY(check_range(p, buf, offset, n, err));
    if (n && p->scratch) memcpy((uint8_t *)pd_cpu_buf(p, buf) + offset, src, n);
    return PD_OK;
}

pd_status pd_cpu_read(pd_program *p, pd_buf_id buf, uint64_t offset, uint64_t n, void *dst,
                      pd_error *err) {
    PD_TRY(check_range(p, buf, offset, n, err));
    if (n && p->scratch)
        memcpy(dst, (uint8_t *)pd_cpu_buf(p, buf) + offset, n);
    else if (n)
        memset(dst, 0, n); /* counts_only */
    return PD_OK;
}
