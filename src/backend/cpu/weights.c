/* Loading weights. Most stay where they are, in the file's mapping, which the system is asked to
 * read ahead. The matrices that the integer kernels multiply are packed for them (packed.h), by all
 * threads; the file's pages are not needed then, but for rows that are looked up.
 *
 * SPDX-License-Identifier: MIT
 */
#include "backend/cpu/cpu.h"
#include "base/pages.h"

#include <stdlib.h>

/* A tensor that a plan names. */
typedef struct wanted {
    const pd_tensor *t;
    bool packed;
} wanted;

static int compare_wanted(const void *a, const void *b) {
    const wanted *v = a, *w = b;
    uintptr_t x = (uintptr_t)v->t->data, y = (uintptr_t)w->t->data;
    if (x != y) return x < y ? -1 : 1;
    return (int)w->packed - (int)v->packed;
}

static int compare_weights(const void *a, const void *b) {
    uintptr_t x = (uintptr_t)((const pd_cpu_weight *)a)->data;
    uintptr_t y = (uintptr_t)((const pd_cpu_weight *)b)->data;
    return x < y ? -1 : x > y;
}

static const pd_cpu_weight *find(const pd_cpu *cpu, const pd_tensor *t) {
    pd_cpu_weight key = {.data = t->data};
    if (cpu->n_weights == 0) return NULL;
    return bsearch(&key, cpu->weights, cpu->n_weights, sizeof key, compare_weights);
}

const uint8_t *pd_cpu_packed(const pd_cpu *cpu, const pd_tensor *t) {
    const pd_cpu_weight *w = find(cpu, t);
    return w ? w->packed : NULL;
}

/* ---- which weights are packed --------------------------------------------------------------- */

static bool can_be_packed(const pd_op *op) {
    pd_cpu_packing packing;
    for (uint32_t i = 0; i < op->matmul.n_weights; i++)
        if (!pd_cpu_packing_of(op->matmul.weights[i]->type, &packing)) return false;
    return true;
}

static bool allows_integers(const pd_cpu *cpu, const pd_op *op, pd_precision precision) {
    return cpu->integer && precision != PD_PRECISION_EXACT && op->kind == PD_OP_MATMUL;
}

bool pd_cpu_takes_integers(const pd_cpu *cpu, const pd_op *op, pd_precision precision) {
    if (!allows_integers(cpu, op, precision)) return false;
    for (uint32_t i = 0; i < op->matmul.n_weights; i++) {
        const pd_cpu_weight *w = find(cpu, op->matmul.weights[i]);
        if (!w || !w->is_packed) return false;
    }
    return true;
}

/* The plan's tensors that are not loaded yet, each once; NULL when memory ran out. */
static wanted *new_tensors(const pd_cpu *cpu, const pd_plan *plan, uint32_t *n_out) {
    wanted *list = pd_alloc(plan->n_ops * PD_OP_MAX_WEIGHTS + 1, sizeof *list);
    if (!list) return NULL;
    uint32_t n = 0, kept = 0;
    for (uint32_t i = 0; i < plan->n_ops; i++) {
        const pd_op *op = &plan->ops[i];
        const pd_tensor *tensors[PD_OP_MAX_WEIGHTS];
        bool packs = allows_integers(cpu, op, plan->desc.precision) && can_be_packed(op);
        uint32_t m = pd_op_get_weights(op, true, tensors);
        for (uint32_t j = 0; j < m; j++)
            list[n++] = (wanted){tensors[j], packs && j < op->matmul.n_weights};
    }
    qsort(list, n, sizeof *list, compare_wanted);
    for (uint32_t i = 0; i < n; i++) {
        bool repeated = kept && list[kept - 1].t->data == list[i].t->data;
        if (!repeated && !find(cpu, list[i].t)) list[kept++] = list[i];
    }
    *n_out = kept;
    return list;
}

static uint32_t groups_of(const pd_tensor *t) {
    return pd_div_up((uint32_t)t->ne[1], PD_CPU_GROUP_ROWS);
}

static uint64_t packed_bytes(const wanted *w) {
    pd_cpu_packing packing;
    if (!w->packed || !pd_cpu_packing_of(w->t->type, &packing)) return 0;
    return groups_of(w->t) * pd_cpu_group_bytes(&packing, (uint32_t)w->t->ne[0]);
}

/* ---- packing -------------------------------------------------------------------------------- */

typedef struct pack_job {
    const pd_tensor *t;
    uint64_t group_bytes, row_bytes;
    uint8_t *out;
} pack_job;

static void pack_groups(void *ctx, uint32_t begin, uint32_t end, uint32_t thread) {
    const pack_job *job = ctx;
    uint32_t n_rows = (uint32_t)job->t->ne[1];
    (void)thread;
    for (uint32_t g = begin; g < end; g++) {
        uint32_t row = g * PD_CPU_GROUP_ROWS, rest = n_rows - row;
        pd_cpu_pack_group(job->t->type, job->t->data + row * job->row_bytes, job->row_bytes,
                          rest < PD_CPU_GROUP_ROWS ? rest : PD_CPU_GROUP_ROWS,
                          (uint32_t)job->t->ne[0], job->out + g * job->group_bytes);
    }
}

/* Groups are written where they will be read: a loop over them later gives each NUMA node the same
 * share. */
static void pack(pd_cpu *cpu, const wanted *w, uint8_t *out) {
    uint32_t n_groups = groups_of(w->t), k = (uint32_t)w->t->ne[0];
    pack_job job = {w->t, packed_bytes(w) / n_groups, pd_type_row_bytes(pd_type_get(w->t->type), k),
                    out};
    pd_pool_run(cpu->pool, n_groups, 8, pack_groups, &job);
}

/* In large pages where the system has them: reading weights visits every page of them. */
static pd_status add_block(pd_cpu *cpu, uint64_t bytes, pd_error *err) {
    pd_cpu_block *block = pd_alloc(1, sizeof *block);
    uint8_t *memory = pd_alloc_aligned_unset(bytes);
    if (!block || !memory) {
        pd_free(block);
        pd_free_aligned(memory);
        return PD_RAISE(err, PD_ERR_MEMORY_DEVICE, "no host memory for packed weights: %.1f MiB",
                        (double)bytes / 1048576.0);
    }
    *block = (pd_cpu_block){cpu->blocks, memory};
    cpu->blocks = block;
    pd_want_large_pages(memory, bytes);
    return PD_OK;
}

static void drop_block(pd_cpu *cpu) {
    pd_cpu_block *block = cpu->blocks;
    cpu->blocks = block->next;
    pd_free_aligned(block->memory);
    pd_free(block);
}

/* *at: where in the block the next one is packed. */
static void place(pd_cpu *cpu, const wanted *w, uint8_t **at, pd_cpu_weight *out) {
    *out = (pd_cpu_weight){.data = w->t->data, .is_packed = w->packed};
    if (cpu->counts_only) return;
    pd_read_ahead(w->t->data, w->t->n_bytes);
    if (!w->packed) return;
    out->packed = *at;
    *at += packed_bytes(w);
    pack(cpu, w, out->packed);
}

/* ---- loading -------------------------------------------------------------------------------- */

/* Room for n more weights. */
static pd_status make_room(pd_cpu *cpu, uint32_t n, pd_error *err) {
    pd_cpu_weight *all = pd_alloc(cpu->n_weights + n + 1, sizeof *all);
    if (!all) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for the list of weights");
    if (cpu->n_weights) memcpy(all, cpu->weights, cpu->n_weights * sizeof *all);
    pd_free(cpu->weights);
    cpu->weights = all;
    return PD_OK;
}

/* Places all of list; the bytes that the file has of them are told. */
static pd_status place_all(pd_cpu *cpu, const wanted *list, uint32_t n, pd_progress_fn progress,
                           void *ctx, pd_error *err) {
    uint64_t total = 0, done = 0, packed = 0;
    for (uint32_t i = 0; i < n; i++) {
        total += list[i].t->n_bytes;
        packed += packed_bytes(&list[i]);
    }
    bool has_block = packed && !cpu->counts_only;
    if (has_block) PD_TRY(add_block(cpu, packed, err));
    uint8_t *at = has_block ? cpu->blocks->memory : NULL;
    for (uint32_t i = 0; i < n; i++) {
        place(cpu, &list[i], &at, &cpu->weights[cpu->n_weights + i]);
        done += list[i].t->n_bytes;
        if (!progress || progress(ctx, done, total)) continue;
        if (has_block) drop_block(cpu);
        return PD_RAISE(err, PD_ERR_CANCELLED, "loading the weights was stopped on request");
    }
    cpu->n_weights += n;
    qsort(cpu->weights, cpu->n_weights, sizeof *cpu->weights, compare_weights);
    return PD_OK;
}

pd_status pd_cpu_load(pd_backend *b, const pd_plan *plan, pd_progress_fn progress, void *ctx,
                      pd_error *err) {
    pd_cpu *cpu = (pd_cpu *)b;
    pd_status status = PD_OK;
    uint32_t n = 0;
    uint64_t held = 0;
    wanted *list = new_tensors(cpu, plan, &n);
    if (!list) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for the list of weights");
    for (uint32_t i = 0; i < n; i++)
        held += list[i].packed ? packed_bytes(&list[i]) : list[i].t->n_bytes;
    PD_TRY_GOTO(make_room(cpu, n, err));
    PD_TRY_GOTO(pd_cpu_reserve(cpu, "weights", &cpu->stats.weight_bytes, held, err));
    status = place_all(cpu, list, n, progress, ctx, err);
    if (status != PD_OK) cpu->stats.weight_bytes -= held;
done:
    pd_free(list);
    return status;
}

void pd_cpu_free_weights(pd_cpu *cpu) {
    while (!cpu->is_recount && cpu->blocks) drop_block(cpu);
    pd_free(cpu->weights);
}
