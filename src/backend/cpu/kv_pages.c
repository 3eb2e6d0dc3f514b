/* KV pages to and from the layout that all backends share (pd_kv_page_bytes).
 * SPDX-License-Identifier: MIT
 */
#include "backend/cpu/cpu.h"

/* `head` lies position by position, or, as `cpu` has its keys, dimension by dimension. */
typedef struct head_layout {
    bool by_dimension;
    uint32_t head_dim, stride, value_bytes;
} head_layout;

/* Positions whose values lie side by side on both sides. */
static void copy_rows(const head_layout *t, uint8_t *head, uint8_t *host, bool in) {
    uint64_t row = (uint64_t)t->head_dim * t->value_bytes;
    for (uint32_t slot = 0; slot < PD_PAGE_POSITIONS; slot++, host += row) {
        uint8_t *at = head + (uint64_t)slot * t->stride * t->value_bytes;
        memcpy(in ? at : host, in ? host : at, row);
    }
}

static void copy_turned(const head_layout *t, uint8_t *head, uint8_t *host, bool in) {
    uint64_t n = t->value_bytes;
    for (uint64_t slot = 0; slot < PD_PAGE_POSITIONS; slot++)
        for (uint64_t j = 0; j < t->head_dim; j++, host += n) {
            uint8_t *at = head + (j * PD_PAGE_POSITIONS + slot) * n;
            memcpy(in ? at : host, in ? host : at, n);
        }
}

/* in: from `host`, which is not written then. */
static void copy_page(const pd_cpu *cpu, const pd_kv_store *kv, bool global, uint32_t page,
                      uint8_t *host, bool in) {
    const pd_kv_shape *s = &kv->shape;
    uint64_t bytes = (uint64_t)PD_PAGE_POSITIONS * s->head_dim * kv->value_bytes;
    for (uint32_t l = 0; l < s->n_layers; l++) {
        if (kv->layer_is_global[l] != global) continue;
        for (uint32_t h = 0; h < 2 * s->n_kv_heads; h++, host += bytes) {
            bool is_k = h < s->n_kv_heads;
            head_layout t = {is_k && !cpu->reference, s->head_dim, kv->stride, kv->value_bytes};
            uint8_t *head =
                pd_cpu_page(kv, is_k ? kv->k : kv->v, l, page, is_k ? h : h - s->n_kv_heads);
            (t.by_dimension ? copy_turned : copy_rows)(&t, head, host, in);
        }
    }
}

pd_status pd_cpu_kv_read(pd_backend *b, pd_kv_store *kv, bool global, uint32_t page, void *dst,
                         pd_error *err) {
    const pd_cpu *cpu = (const pd_cpu *)b;
    (void)err;
    if (cpu->counts_only)
        memset(dst, 0, pd_kv_page_bytes(&kv->shape, global));
    else
        copy_page(cpu, kv, global, page, dst, false);
    return PD_OK;
}

pd_status pd_cpu_kv_write(pd_backend *b, pd_kv_store *kv, bool global, uint32_t page,
                          const void *src, pd_error *err) {
    const pd_cpu *cpu = (const pd_cpu *)b;
    (void)err;
    if (!cpu->counts_only) copy_page(cpu, kv, global, page, (uint8_t *)(uintptr_t)src, true);
    return PD_OK;
}
