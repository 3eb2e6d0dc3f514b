/* The CPU's memory: accounting, and KV pages.
 *
 * KV pages come from zeroed memory that the system commits when it is touched first, so that a long
 * context costs nothing until it is used; a store that cannot fit is refused at once all the same.
 *
 * SPDX-License-Identifier: MIT
 */
#include "backend/cpu/cpu.h"

#include "base/clock.h"

/* ---- accounting ----------------------------------------------------------------------------- */

pd_status pd_cpu_reserve(pd_cpu *cpu, const char *what, uint64_t *field, uint64_t bytes,
                         pd_error *err) {
    pd_backend_stats *s = &cpu->stats;
    uint64_t held = s->weight_bytes + s->kv_bytes + s->scratch_bytes, total;
    bool fits = pd_add_u64(held, bytes, &total);
    if (!fits) total = UINT64_MAX;
    bool beyond = s->limit_bytes && total > s->limit_bytes && !cpu->counts_only;
    if (!fits || beyond) {
        const double mib = 1048576.0;
        return PD_RAISE(err, PD_ERR_MEMORY_DEVICE,
                        "with %.1f MiB of %s the model needs %.1f MiB, the limit is %.1f MiB: "
                        "%.1f MiB are missing",
                        (double)bytes / mib, what, (double)total / mib,
                        (double)s->limit_bytes / mib, (double)(total - s->limit_bytes) / mib);
    }
    *field += bytes;
    if (total > s->peak_bytes) s->peak_bytes = total;
    return PD_OK;
}

/* ---- KV pages ------------------------------------------------------------------------------- */

static bool kv_bytes(const pd_kv_store *kv, const pd_kv_store_desc *desc, uint64_t *out) {
    uint64_t pages = 0, page_bytes;
    for (uint32_t l = 0; l < kv->shape.n_layers; l++) {
        pages += 2ull * (kv->layer_is_global[l] ? desc->n_global_pages : desc->n_local_pages);
    }
    return pd_mul_u64(kv->head_bytes, kv->shape.n_kv_heads, &page_bytes) &&
           pd_mul_u64(pages, page_bytes, out) && *out < SIZE_MAX - 64;
}

static void place_layers(pd_kv_store *kv, const pd_kv_store_desc *desc) {
    uint8_t *at = (uint8_t *)pd_round_up((uintptr_t)kv->memory, 64);
    for (uint32_t l = 0; l < kv->shape.n_layers; l++) {
        uint64_t pages = kv->layer_is_global[l] ? desc->n_global_pages : desc->n_local_pages;
        uint64_t bytes = pages * kv->shape.n_kv_heads * kv->head_bytes;
        kv->k[l] = at;
        kv->v[l] = at + bytes;
        at += 2 * bytes;
    }
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

static bool kv_allocate_lists(pd_kv_store *kv) {
    uint32_t n = kv->shape.n_layers;
    kv->layer_is_global = pd_alloc(n, sizeof *kv->layer_is_global);
    kv->k = pd_alloc(n, sizeof *kv->k);
    kv->v = pd_alloc(n, sizeof *kv->v);
    return kv->layer_is_global && kv->k && kv->v;
}

pd_status pd_cpu_kv_create(pd_backend *b, const pd_kv_store_desc *desc, pd_kv_store **out,
                           pd_error *err) {
    pd_cpu *cpu = (pd_cpu *)b;
    pd_status status = PD_OK;
    *out = NULL;
    pd_kv_store *kv = pd_alloc(1, sizeof *kv);
    if (!kv) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for the KV pages' directory");
    kv->shape = desc->shape;
    if (!kv_allocate_lists(kv)) {
        status = PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for the KV pages' directory");
        goto done;
    }
    memcpy(kv->layer_is_global, desc->shape.layer_is_global, kv->shape.n_layers * sizeof(bool));
    kv->shape.layer_is_global = kv->layer_is_global;
    kv->value_bytes = kv->shape.f32 ? 4 : 2;
    kv->stride = pd_cpu_head_stride(kv->shape.head_dim);
    kv->head_bytes = (uint64_t)PD_PAGE_POSITIONS * kv->stride * kv->value_bytes;
    uint64_t bytes = 0;
    if (!kv_bytes(kv, desc, &bytes)) {
        status = PD_RAISE(err, PD_ERR_MEMORY_DEVICE, "the KV pages are larger than any memory");
        goto done;
    }
    if (!cpu->counts_only) PD_TRY_GOTO(check_host_memory(bytes, err));
    PD_TRY_GOTO(pd_cpu_reserve(cpu, "KV pages", &cpu->stats.kv_bytes, bytes, err));
    kv->bytes = bytes;
    if (cpu->counts_only) {
        *out = kv;
        goto done;
    }
    kv->memory = pd_alloc(bytes + 64, 1);
    if (!kv->memory) {
        status = PD_RAISE(err, PD_ERR_MEMORY_DEVICE, "no host memory for %.1f MiB of KV pages",
                          (double)bytes / 1048576.0);
        goto done;
    }
    place_layers(kv, desc);
    *out = kv;
done:
    if (status != PD_OK) pd_cpu_kv_destroy(b, kv);
    return status;
}

void pd_cpu_kv_destroy(pd_backend *b, pd_kv_store *kv) {
    pd_cpu *cpu = (pd_cpu *)b;
    if (!kv) return;
    cpu->stats.kv_bytes -= kv->bytes;
    pd_free(kv->memory);
    pd_free(kv->k);
    pd_free(kv->v);
    pd_free(kv->layer_is_global);
    pd_free(kv);
}
