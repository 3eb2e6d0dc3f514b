/* Loading weights. Most stay where they are, in the file's mapping, which the system is asked to
 * read ahead. The matrices that the integer kernels multiply are packed for them (packed.h), by all
 * threads; the file's pages are not needed then, but for rows that are looked up.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE /* madvise */
#include "backend/cpu/cpu.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

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

static uint64_t held_bytes(const wanted *w) {
    pd_cpu_packing packing;
    if (!w->packed || !pd_cpu_packing_of(w->t->type, &packing)) return w->t->n_bytes;
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

static pd_status pack(pd_cpu *cpu, const wanted *w, pd_cpu_weight *out, pd_error *err) {
    uint64_t bytes = held_bytes(w);
    out->packed = pd_alloc_aligned_unset(bytes);
    if (!out->packed)
        return PD_RAISE(err, PD_ERR_MEMORY_DEVICE, "no host memory for %s: %.1f MiB", w->t->name,
                        (double)bytes / 1048576.0);
    uint32_t n_groups = groups_of(w->t), k = (uint32_t)w->t->ne[0];
    pack_job job = {w->t, bytes / n_groups, pd_type_row_bytes(pd_type_get(w->t->type), k),
                    out->packed};
    pd_pool_run(cpu->pool, n_groups, 8, pack_groups, &job);
    return PD_OK;
}

/* Starts reading the tensor's pages; a refusal does no harm. */
static void read_ahead(const pd_tensor *t) {
    long page = sysconf(_SC_PAGESIZE);
    if (page <= 0) return;
    uintptr_t begin = (uintptr_t)t->data & ~((uintptr_t)page - 1);
    uintptr_t end = (uintptr_t)t->data + t->n_bytes;
    (void)madvise((void *)begin, end - begin, MADV_WILLNEED);
}

static pd_status place(pd_cpu *cpu, const wanted *w, pd_cpu_weight *out, pd_error *err) {
    *out = (pd_cpu_weight){.data = w->t->data, .is_packed = w->packed};
    if (cpu->counts_only) return PD_OK;
    read_ahead(w->t);
    return w->packed ? pack(cpu, w, out, err) : PD_OK;
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

pd_status pd_cpu_load(pd_backend *b, const pd_plan *plan, pd_progress_fn progress, void *ctx,
                      pd_error *err) {
    pd_cpu *cpu = (pd_cpu *)b;
    uint32_t n = 0, n_placed = 0;
    wanted *list = new_tensors(cpu, plan, &n);
    if (!list) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for the list of weights");
    pd_status status = PD_OK;
    pd_cpu_weight *first;
    uint64_t total = 0, done = 0, held = 0;
    for (uint32_t i = 0; i < n; i++) {
        total += list[i].t->n_bytes;
        held += held_bytes(&list[i]);
    }
    PD_TRY_GOTO(make_room(cpu, n, err));
    first = cpu->weights + cpu->n_weights;
    PD_TRY_GOTO(pd_cpu_reserve(cpu, "weights", &cpu->stats.weight_bytes, held, err));
    while (n_placed < n && status == PD_OK) {
        const wanted *w = &list[n_placed];
        status = place(cpu, w, &first[n_placed++], err);
        done += w->t->n_bytes;
        if (status == PD_OK && progress && !progress(ctx, done, total))
            status = PD_RAISE(err, PD_ERR_CANCELLED, "loading the weights was stopped on request");
    }
    if (status == PD_OK) {
        cpu->n_weights += n;
        qsort(cpu->weights, cpu->n_weights, sizeof *cpu->weights, compare_weights);
    } else {
        cpu->stats.weight_bytes -= held;
        for (uint32_t i = 0; i < n_placed; i++) pd_free_aligned(first[i].packed);
    }
done:
    pd_free(list);
    return status;
}

void pd_cpu_free_weights(pd_cpu *cpu) {
    for (uint32_t i = 0; !cpu->is_recount && i < cpu->n_weights; i++)
        pd_free_aligned(cpu->weights[i].packed);
    pd_free(cpu->weights);
}
