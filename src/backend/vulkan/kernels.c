/* Tile sizes by shape and device.
 *
 * Nothing here assumes a subgroup size: the shaders meet in shared memory. The software rasteriser
 * gets tile sizes of its own, through the same shaders: it runs 8 invocations as one vector, loads
 * are what it pays for, and a barrier switches contexts.
 *
 * SPDX-License-Identifier: MIT
 */
#include "backend/vulkan/kernels.h"

#include <string.h>

#include "args.h"
#include "engine/step.h"

enum { MAX_SPLITS = 32, MAX_TILE_QUERIES = 16, ATTENTION_WG = 128 };

static pd_vk_pipeline_desc desc_of(const char *shader, uint32_t n_buffers, size_t push_bytes,
                                   uint32_t n_constants, const uint32_t *constants) {
    pd_vk_pipeline_desc d = {.shader = shader,
                             .n_buffers = n_buffers,
                             .push_bytes = (uint32_t)push_bytes,
                             .n_constants = n_constants};
    memcpy(d.constants, constants, n_constants * sizeof *constants);
    return d;
}
#define DESC(shader, n_buffers, args, ...)                                                         \
    desc_of(shader, n_buffers, sizeof(struct args), sizeof((uint32_t[]){__VA_ARGS__}) / 4,         \
            (const uint32_t[]){__VA_ARGS__})

static uint32_t div_up(uint32_t n, uint32_t by) {
    return (n + by - 1) / by;
}
static uint32_t min_u32(uint32_t a, uint32_t b) {
    return a < b ? a : b;
}
static uint32_t max_u32(uint32_t a, uint32_t b) {
    return a > b ? a : b;
}

/* The device's limit is at least 128 (Vulkan's minimum). */
static uint32_t workgroup_size(const pd_vk_device *d, uint32_t wanted) {
    uint32_t limit = d->properties.limits.maxComputeWorkGroupInvocations;
    while (wanted > limit) wanted /= 2;
    return wanted;
}

uint32_t pd_vk_wtype(pd_type type) {
    switch (type) {
    case PD_TYPE_F32: return PD_W_F32;
    case PD_TYPE_F16: return PD_W_F16;
    case PD_TYPE_BF16: return PD_W_BF16;
    case PD_TYPE_Q4_0: return PD_W_Q4_0;
    case PD_TYPE_Q4_1: return PD_W_Q4_1;
    case PD_TYPE_Q5_0: return PD_W_Q5_0;
    case PD_TYPE_Q5_1: return PD_W_Q5_1;
    case PD_TYPE_Q8_0: return PD_W_Q8_0;
    case PD_TYPE_Q4_K: return PD_W_Q4_K;
    case PD_TYPE_Q5_K: return PD_W_Q5_K;
    case PD_TYPE_Q6_K: return PD_W_Q6_K;
    }
    return PD_W_F32;
}

/* ---- matrices ------------------------------------------------------------------------------- */

/* Few weight rows: more lanes along K, so that there are enough invocations to fill a GPU. */
static pd_vk_product choose_matvec(uint32_t wtype, uint32_t n_weight_rows, uint32_t n_blocks,
                                   uint32_t n_cols, bool geglu) {
    uint32_t wg = 128, lanes = n_weight_rows <= 8192 ? 16 : 8, rows = n_cols > 4 ? 2 : 4;
    if (n_weight_rows <= 2048 || wtype <= PD_W_BF16)
        rows = 2; /* unquantised: 64 or 128 bytes a block */
    while (lanes > n_blocks) lanes /= 2;
    pd_vk_product m = {.is_matvec = true, .tile_m = wg / lanes * rows, .tile_n = n_cols};
    m.desc = DESC("matvec", 5, pd_args_matmul, wg, wtype, lanes, rows, n_cols, geglu);
    return m;
}

static pd_vk_product choose_matmul(uint32_t wtype, uint32_t max_rows, bool geglu) {
    pd_vk_product m = {.tile_m = 64, .tile_n = max_rows <= 32 ? 32 : 64};
    uint32_t tm = 8, tn = m.tile_n / 8;
    uint32_t wg = m.tile_m / tm * (m.tile_n / tn);
    m.desc = DESC("matmul", 5, pd_args_matmul, wg, wtype, m.tile_m, m.tile_n, tm, tn, geglu);
    return m;
}

/* A rasteriser on the CPU pays for loads and context switches, not for arithmetic: prompts go
 * through matvec too, 8 columns at a time, with one lane a row so that loads of x are the same for
 * all. */
static pd_vk_product choose_software(uint32_t wtype, uint32_t n_cols, bool geglu) {
    bool wide = n_cols > 2;
    uint32_t wg = wide ? 8 : 16, lanes = wide ? 1 : 2, rows = 8;
    if (n_cols > PD_VK_MATVEC_MAX_COLS) n_cols = PD_VK_MATVEC_MAX_COLS;
    pd_vk_product m = {.is_matvec = true, .tile_m = wg / lanes * rows, .tile_n = n_cols};
    m.desc = DESC("matvec", 5, pd_args_matmul, wg, wtype, lanes, rows, n_cols, geglu);
    return m;
}

pd_vk_product pd_vk_choose_product(const pd_vk_device *d, uint32_t wtype, uint32_t n_weight_rows,
                                   uint32_t n_blocks, uint32_t max_rows, bool geglu) {
    if (d->caps.software_tiles) return choose_software(wtype, max_rows, geglu);
    if (max_rows <= PD_VK_MATVEC_MAX_COLS)
        return choose_matvec(wtype, n_weight_rows, n_blocks, max_rows, geglu);
    return choose_matmul(wtype, max_rows, geglu);
}

/* ---- attention ------------------------------------------------------------------------------ */

uint32_t pd_vk_tile_rows(uint32_t group, uint32_t max_rows) {
    uint32_t heads = min_u32(group, MAX_TILE_QUERIES);
    return max_rows <= PD_VK_MATVEC_MAX_COLS ? 1 : max_u32(1, MAX_TILE_QUERIES / heads);
}

/* Decoding has one row: the positions are split to fill the device, two pages at least each. */
pd_vk_attention pd_vk_choose_attention(const pd_vk_device *d, uint32_t head_dim, uint32_t group,
                                       bool kv_f32, uint32_t max_rows, uint32_t max_visible) {
    (void)d;
    pd_vk_attention a = {.heads = min_u32(group, MAX_TILE_QUERIES),
                         .tile_rows = pd_vk_tile_rows(group, max_rows),
                         .n_splits = 1};
    a.n_head_groups = div_up(group, a.heads);
    if (max_rows <= PD_VK_MATVEC_MAX_COLS) {
        uint32_t n_pages = div_up(max_visible, PD_PAGE_POSITIONS) + 1;
        a.n_splits = max_u32(1, min_u32(n_pages / 2, MAX_SPLITS));
    }
    a.desc = DESC("attention", 6, pd_args_attention, ATTENTION_WG, head_dim, kv_f32, a.tile_rows,
                  a.heads);
    return a;
}

pd_vk_pipeline_desc pd_vk_choose_rope(const pd_vk_device *d, uint32_t head_dim, bool kv_f32) {
    (void)d;
    uint32_t wg = 8;
    while (wg < head_dim / 4) wg *= 2;
    return DESC("qkv_rope_store", 7, pd_args_rope, wg, head_dim, kv_f32);
}

pd_vk_pipeline_desc pd_vk_choose_merge(const pd_vk_device *d, uint32_t head_dim) {
    (void)d;
    return DESC("attention_merge", 2, pd_args_merge, 64, head_dim);
}

/* ---- the small ones ------------------------------------------------------------------------- */

pd_vk_pipeline_desc pd_vk_choose_norm(const pd_vk_device *d, uint32_t width, bool residual) {
    uint32_t wg = workgroup_size(d, d->caps.software_tiles ? 32 : 256);
    return DESC("norm", 5, pd_args_norm, wg, div_up(width / 4, wg), residual);
}

pd_vk_pipeline_desc pd_vk_choose_embed(const pd_vk_device *d, uint32_t wtype) {
    (void)d;
    return DESC("embed", 5, pd_args_embed, 64, wtype);
}

pd_vk_pipeline_desc pd_vk_choose_gather(const pd_vk_device *d) {
    (void)d;
    return DESC("gather", 3, pd_args_gather, 64);
}

pd_vk_pipeline_desc pd_vk_choose_argmax(const pd_vk_device *d) {
    return DESC("argmax", 2, pd_args_argmax, workgroup_size(d, d->caps.software_tiles ? 32 : 256));
}

pd_vk_pipeline_desc pd_vk_choose_argmax_merge(const pd_vk_device *d) {
    (void)d;
    return DESC("argmax_merge", 2, pd_args_argmax, 64);
}

pd_vk_pipeline_desc pd_vk_choose_repack(const pd_vk_device *d, uint32_t wtype) {
    (void)d;
    return DESC("repack", 4, pd_args_repack, 64, wtype);
}

/* ---- the list for the shader report ---------------------------------------------------------- */

typedef struct desc_list {
    pd_vk_pipeline_desc *items;
    uint32_t n, cap;
} desc_list;

static void add_once(desc_list *l, pd_vk_pipeline_desc d) {
    uint32_t stored = min_u32(l->n, l->cap);
    for (uint32_t i = 0; i < stored; i++) {
        const pd_vk_pipeline_desc *o = &l->items[i];
        if (!strcmp(o->shader, d.shader) && !memcmp(o->constants, d.constants, sizeof d.constants))
            return;
    }
    if (l->n < l->cap) l->items[l->n] = d;
    l->n++;
}

static void add_matrix(desc_list *l, const pd_vk_device *d, uint32_t wtype, uint32_t n, uint32_t k,
                       bool geglu) {
    static const uint32_t max_rows[] = {1, PD_VK_MATVEC_MAX_COLS, 32, 512};
    for (uint32_t i = 0; i < sizeof max_rows / sizeof *max_rows; i++)
        add_once(l, pd_vk_choose_product(d, wtype, n, k / 32, max_rows[i], geglu).desc);
}

static void add_model(desc_list *l, const pd_vk_device *d, uint32_t width, uint32_t ff,
                      uint32_t heads, uint32_t kv_heads, uint32_t head_dim) {
    add_matrix(l, d, PD_W_Q4_0, (heads + 2 * kv_heads) * head_dim, width, false);
    add_matrix(l, d, PD_W_Q4_0, width, heads * head_dim, false);
    add_matrix(l, d, PD_W_Q4_0, 2 * ff, width, true);
    add_matrix(l, d, PD_W_Q4_0, width, ff, false);
    for (uint32_t residual = 0; residual < 2; residual++)
        add_once(l, pd_vk_choose_norm(d, width, residual != 0));
    for (uint32_t f32 = 0; f32 < 2; f32++) {
        add_once(l, pd_vk_choose_rope(d, head_dim, f32 != 0));
        add_once(l,
                 pd_vk_choose_attention(d, head_dim, heads / kv_heads, f32 != 0, 1, 131072).desc);
        add_once(l,
                 pd_vk_choose_attention(d, head_dim, heads / kv_heads, f32 != 0, 512, 131072).desc);
    }
    add_once(l, pd_vk_choose_merge(d, head_dim));
}

uint32_t pd_vk_kernel_list(const pd_vk_device *d, pd_vk_pipeline_desc *out, uint32_t cap) {
    desc_list l = {.items = out, .cap = cap};
    add_model(&l, d, 640, 2048, 4, 1, 256);
    add_model(&l, d, 1152, 6912, 4, 1, 256);
    add_model(&l, d, 2560, 10240, 8, 4, 256);
    add_model(&l, d, 3840, 15360, 16, 8, 256);
    add_model(&l, d, 5376, 21504, 32, 16, 128);
    for (uint32_t wtype = PD_W_F32; wtype <= PD_W_Q6_K; wtype++) {
        add_matrix(&l, d, wtype, 262144, 2560, false);
        add_matrix(&l, d, wtype, 2 * 10240, 2560, true);
        add_once(&l, pd_vk_choose_embed(d, wtype));
        add_once(&l, pd_vk_choose_repack(d, wtype));
    }
    add_once(&l, pd_vk_choose_gather(d));
    add_once(&l, pd_vk_choose_argmax(d));
    add_once(&l, pd_vk_choose_argmax_merge(d));
    return l.n;
}
