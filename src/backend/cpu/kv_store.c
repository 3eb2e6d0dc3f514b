/* Memory of the KV pages: a store begins without pages, and grows one layer after the other.
 *
 * Each layer's pages are zeroed memory that the system commits when it is touched first, so that a
 * long context costs nothing until it is used; pages that cannot fit are refused at once all the
 * same. A layer that grows moves to new memory; programs look for it at every step.
 *
 * SPDX-License-Identifier: MIT
 */
#include "backend/cpu/cpu.h"

#include "base/clock.h"

enum { ALIGNMENT = 64 };

/* ---- how much ------------------------------------------------------------------------------- */

/* Of K, or of V, in one layer. */
static bool half_bytes(const pd_kv_store *kv, uint32_t n_pages, uint64_t *out) {
    uint64_t page_bytes;
    return pd_mul_u64(kv->head_bytes, kv->shape.n_kv_heads, &page_bytes) &&
           pd_mul_u64(page_bytes, n_pages, out) && *out < SIZE_MAX / 2 - ALIGNMENT;
}

static uint64_t held_half(const pd_kv_store *kv, uint32_t layer) {
    return (uint64_t)kv->layers[layer].n_pages * kv->shape.n_kv_heads * kv->head_bytes;
}

/* The most that growing takes beyond what is held: old and new memory of a layer are there at the
 * same time. */
static bool growth_bytes(const pd_kv_store *kv, const uint32_t n_pages[2], uint64_t *most) {
    uint64_t more = 0, half;
    *most = 0;
    for (uint32_t l = 0; l < kv->shape.n_layers; l++) {
        uint32_t wanted = n_pages[kv->layer_is_global[l]];
        if (wanted <= kv->layers[l].n_pages) continue;
        if (!half_bytes(kv, wanted, &half) || !pd_add_u64(more, 2 * half, &more)) return false;
        if (more > *most) *most = more;
        more -= 2 * held_half(kv, l);
    }
    return true;
}

static pd_status check_host_memory(uint64_t bytes, pd_error *err) {
    uint64_t free_bytes = pd_host_memory_free_bytes();
    if (free_bytes == 0 || bytes <= free_bytes) return PD_OK;
    const double mib = 1048576.0;
    return PD_RAISE(err, PD_ERR_MEMORY_DEVICE,
                    "the KV pages need %.1f MiB, the machine has %.1f MiB free: %.1f MiB are "
                    "missing",
                    (double)bytes / mib, (double)free_bytes / mib,
                    (double)(bytes - free_bytes) / mib);
}

/* ---- growing -------------------------------------------------------------------------------- */

/* To memory of `half` bytes for K and for V: the pages that the store has had. */
static void move_layer(pd_kv_store *kv, uint32_t l, void *memory, uint64_t half) {
    uint64_t used = kv->n_pages[kv->layer_is_global[l]], page_bytes;
    page_bytes = (uint64_t)kv->shape.n_kv_heads * kv->head_bytes;
    uint8_t *k = (uint8_t *)pd_round_up((uintptr_t)memory, ALIGNMENT), *v = k + half;
    if (used) {
        memcpy(k, kv->k[l], used * page_bytes);
        memcpy(v, kv->v[l], used * page_bytes);
    }
    pd_free(kv->layers[l].memory);
    kv->layers[l].memory = memory;
    kv->k[l] = k;
    kv->v[l] = v;
}

static pd_status grow_layer(pd_cpu *cpu, pd_kv_store *kv, uint32_t l, uint32_t n_pages,
                            pd_error *err) {
    uint64_t half = 0, held = held_half(kv, l);
    (void)half_bytes(kv, n_pages, &half); /* growth_bytes has tried it */
    PD_TRY(pd_cpu_reserve(cpu, "KV pages", &cpu->stats.kv_bytes, 2 * half, err));
    if (!cpu->counts_only) {
        void *memory = pd_alloc(2 * half + ALIGNMENT, 1);
        if (!memory) {
            cpu->stats.kv_bytes -= 2 * half;
            return PD_RAISE(err, PD_ERR_MEMORY_DEVICE, "no host memory for %.1f MiB of KV pages",
                            (double)(2 * half) / 1048576.0);
        }
        move_layer(kv, l, memory, half);
    }
    cpu->stats.kv_bytes -= 2 * held;
    kv->layers[l].n_pages = n_pages;
    return PD_OK;
}

pd_status pd_cpu_kv_grow(pd_backend *b, pd_kv_store *kv, uint32_t n_global_pages,
                         uint32_t n_local_pages, pd_error *err) {
    pd_cpu *cpu = (pd_cpu *)b;
    const uint32_t n_pages[2] = {n_local_pages, n_global_pages};
    uint64_t most;
    if (!growth_bytes(kv, n_pages, &most))
        return PD_RAISE(err, PD_ERR_MEMORY_DEVICE, "the KV pages are larger than any memory");
    if (!cpu->counts_only) PD_TRY(check_host_memory(most, err));
    PD_TRY(pd_cpu_check(cpu, "KV pages", most, err));
    for (uint32_t l = 0; l < kv->shape.n_layers; l++) {
        uint32_t wanted = n_pages[kv->layer_is_global[l]];
        if (wanted > kv->layers[l].n_pages) PD_TRY(grow_layer(cpu, kv, l, wanted, err));
    }
    for (int global = 0; global < 2; global++)
        if (n_pages[global] > kv->n_pages[global]) kv->n_pages[global] = n_pages[global];
    return PD_OK;
}

/* ---- life ----------------------------------------------------------------------------------- */

static bool describe(pd_kv_store *kv, const pd_kv_shape *shape) {
    uint32_t n = shape->n_layers;
    kv->shape = *shape;
    kv->value_bytes = shape->f32 ? 4 : 2;
    kv->stride = pd_cpu_head_stride(shape->head_dim);
    kv->head_bytes = (uint64_t)PD_PAGE_POSITIONS * kv->stride * kv->value_bytes;
    kv->layer_is_global = pd_alloc(n, sizeof *kv->layer_is_global);
    kv->k = pd_alloc(n, sizeof *kv->k);
    kv->v = pd_alloc(n, sizeof *kv->v);
    kv->layers = pd_alloc(n, sizeof *kv->layers);
    if (!kv->layer_is_global || !kv->k || !kv->v || !kv->layers) return false;
    memcpy(kv->layer_is_global, shape->layer_is_global, n * sizeof *kv->layer_is_global);
    kv->shape.layer_is_global = kv->layer_is_global;
    return true;
}

pd_status pd_cpu_kv_create(pd_backend *b, const pd_kv_store_desc *desc, pd_kv_store **out,
                           pd_error *err) {
    pd_status status = PD_OK;
    *out = NULL;
    pd_kv_store *kv = pd_alloc(1, sizeof *kv);
    if (!kv || !describe(kv, &desc->shape)) {
        status = PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for the KV pages' directory");
        goto done;
    }
    PD_TRY_GOTO(pd_cpu_kv_grow(b, kv, desc->n_global_pages, desc->n_local_pages, err));
    *out = kv;
done:
    if (status != PD_OK) pd_cpu_kv_destroy(b, kv);
    return status;
}

void pd_cpu_kv_destroy(pd_backend *b, pd_kv_store *kv) {
    pd_cpu *cpu = (pd_cpu *)b;
    if (!kv) return;
    for (uint32_t l = 0; kv->layers && l < kv->shape.n_layers; l++) {
        cpu->stats.kv_bytes -= 2 * held_half(kv, l);
        pd_free(kv->layers[l].memory);
    }
    pd_free(kv->layers);
    pd_free(kv->k);
    pd_free(kv->v);
    pd_free(kv->layer_is_global);
    pd_free(kv);
}
