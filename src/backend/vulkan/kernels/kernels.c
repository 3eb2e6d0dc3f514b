/* Tile sizes by shape and device.
 *
 * Nothing here assumes a subgroup size: the shaders meet in shared memory, but for matmul_coopmat,
 * whose tiles are cut to whatever size its subgroups are forced to. The software rasteriser
 * gets tile sizes of its own, through the same shaders: it runs 8 invocations as one vector, loads
 * are what it pays for, and a barrier switches contexts.
 *
 * SPDX-License-Identifier: MIT
 */
#include "backend/vulkan/kernels/kernels.h"

#include <string.h>

#include "args.h"
#include "plan/step.h"

enum { MAX_SPLITS = 64 };

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
    const VkPhysicalDeviceLimits *l = &d->properties.limits;
    uint32_t limit = min_u32(l->maxComputeWorkGroupInvocations, l->maxComputeWorkGroupSize[0]);
    while (wanted > limit) wanted /= 2;
    return wanted;
}

uint32_t pd_vk_wtype(pd_type type) {
    switch (type) {
#define WTYPE_CASE(T, ...)                                                                         \
    case PD_TYPE_##T: return PD_WEIGHT_##T;
        PD_WEIGHT_TYPES(WTYPE_CASE)
#undef WTYPE_CASE
    }
    return PD_WEIGHT_F32;
}

/* ---- matrices ------------------------------------------------------------------------------- */

static bool is_quantised(uint32_t wtype) {
    return wtype >= PD_WEIGHT_Q4_0;
}

/* Integers need quantised weights; packed halves pay where quants become halves for
 * free. What is left reads any format and computes in f32. */
static const char *matvec_shader(const pd_vk_product_shape *s) {
    if (!is_quantised(s->wtype) || s->x_format == PD_ACT_F32) return "matvec";
    return s->x_format == PD_ACT_I16 ? "matvec_i16" : "matvec_f16";
}

static const char *matmul_shader(const pd_vk_product_shape *s) {
    if (s->x_format == PD_ACT_I16 && is_quantised(s->wtype)) return "matmul_i16";
    return s->x_format == PD_ACT_F16 ? "matmul_f16" : "matmul";
}

static pd_vk_product matvec(const pd_vk_product_shape *s, uint32_t wg, uint32_t lanes,
                            uint32_t rows, uint32_t cols, uint32_t step) {
    pd_vk_product m = {.is_matvec = true, .tile_m = wg / lanes * rows, .tile_n = cols};
    m.desc = DESC(matvec_shader(s), 7, pd_args_matmul, wg, s->wtype, lanes, rows, cols, s->epilogue,
                  s->x_format, s->y_format, step);
    return m;
}

/* Columns that an invocation takes at a time. Two leave room for more subgroups than four and take
 * the same instructions, as far as compilers show; but NVIDIA's counts 1.1 times the cycles, and in
 * halves, whose sums wait for one another, 1.5 times. */
static uint32_t matvec_step(const pd_vk_device *d, const pd_vk_product_shape *s) {
    enum { VENDOR_NVIDIA = 0x10de };
    return s->wtype > PD_WEIGHT_BF16 && s->x_format == PD_ACT_F16 &&
                   d->properties.vendorID == VENDOR_NVIDIA
               ? 4
               : 2;
}

/* Of an invocation. A block of Q5_K or Q6_K, and of what is not quantised, takes 64 bytes or more.
 */
static uint32_t most_columns(const pd_vk_device *d, uint32_t wtype) {
    if (!d->caps.few_products) return PD_VK_MATVEC_MAX_COLS;
    return is_quantised(wtype) && wtype < PD_WEIGHT_Q5_K ? 2 : 1;
}

/* Few weight rows: fewer of them to an invocation and more lanes along K, so that there are enough
 * invocations to fill a GPU. */
static pd_vk_product choose_matvec(const pd_vk_device *d, const pd_vk_product_shape *s) {
    enum { ENOUGH_INVOCATIONS = 65536 }; /* 100 compute units with 5 or 10 subgroups each */
    uint32_t wg = 128, lanes = d->tuning.lanes, rows = d->tuning.rows;
    uint32_t widest = s->max_rows <= 2 ? workgroup_size(d, 512) : wg; /* by shared memory */
    if (s->max_rows > 4 || s->wtype <= PD_WEIGHT_BF16)
        rows = 2; /* unquantised: 64 or 128 bytes a block */
    if (d->caps.few_products) rows = 2;
    if (s->n_weight_rows / rows * lanes < ENOUGH_INVOCATIONS) rows = 2;
    while (lanes < 64 && 2 * lanes <= s->n_blocks &&
           s->n_weight_rows / rows * lanes < ENOUGH_INVOCATIONS)
        lanes *= 2;
    while (lanes > s->n_blocks) lanes /= 2;
    if (s->y_format != PD_ACT_F32) /* a workgroup's outputs are whole blocks of 32 */
        while (wg / lanes * rows % 64 != 0) {
            if (2 * wg <= widest)
                wg *= 2;
            else
                lanes /= 2;
        }
    if (s->epilogue == PD_VK_EPILOGUE_BEST) /* fewer parts for sample to look at */
        while (wg / lanes * rows < 32 && 2 * wg <= widest) wg *= 2;
    uint32_t cols = min_u32(s->max_rows, most_columns(d, s->wtype));
    return matvec(s, wg, lanes, rows, cols, min_u32(cols, matvec_step(d, s)));
}

/* 16 KiB of shared memory, Vulkan's minimum, hold a tile of half the width. */
static pd_vk_product choose_matmul(const pd_vk_device *d, const pd_vk_product_shape *s) {
    bool narrow = s->max_rows <= 32 || d->caps.max_shared_bytes < 32768;
    pd_vk_product m = {.tile_m = 64, .tile_n = narrow ? 32 : 64};
    uint32_t tm = 8, tn = narrow || s->x_format != PD_ACT_F32 ? 4 : 8;
    if (s->x_format == PD_ACT_I16 &&
        s->wtype == PD_WEIGHT_Q6_K) { /* two scales per block and row */
        m.tile_n = 32;
        tn = 2;
    }
    uint32_t wg = m.tile_m / tm * (m.tile_n / tn);
    m.desc = DESC(matmul_shader(s), 6, pd_args_matmul, wg, s->wtype, m.tile_m, m.tile_n, tm, tn,
                  s->epilogue, s->x_format, s->y_format);
    return m;
}

/* Intel's matrix units belong to its narrowest subgroups; elsewhere the driver's own
 * choice is good. */
static uint32_t coopmat_subgroup(const pd_vk_device *d) {
    enum { VENDOR_INTEL = 0x8086 };
    return d->properties.vendorID == VENDOR_INTEL ? d->caps.subgroup_size_min
                                                  : d->caps.subgroup_size;
}

typedef struct coopmat_tile {
    uint32_t wg, bm, bn, wm, wn, stages; /* see shaders/matmul_coopmat.glsl */
} coopmat_tile;

/* Cuts bm x bn into at most `wg` invocations' worth of subgroup tiles, as square as can be and as
 * many as have room for their results: 64 x 32 per 32 lanes in the large tile, that is 64 sums in
 * registers. */
static coopmat_tile cut_coopmat(const pd_vk_device *d, uint32_t wg, uint32_t bm, uint32_t bn) {
    enum { SHARED_BYTES = 32768, ROW_BYTES = 80 };
    const pd_vk_coopmat *shape = &d->caps.coopmat_shape;
    uint32_t subgroup = coopmat_subgroup(d), result = shape->m * shape->n * 4;
    uint32_t shared = min_u32(SHARED_BYTES, d->caps.max_shared_bytes);
    uint32_t stage = (bm + bn) * ROW_BYTES, n = 1;
    coopmat_tile t = {.bm = bm, .bn = bn, .wm = bm, .wn = bn};
    wg = workgroup_size(d, wg);
    while (2 * n * subgroup <= wg && 2 * n <= d->caps.max_subgroups &&
           stage + 2 * n * result <= shared && (t.wm > shape->m || t.wn > shape->n)) {
        if (t.wn > shape->n && (t.wn >= t.wm || t.wm <= shape->m))
            t.wn /= 2;
        else
            t.wm /= 2;
        n *= 2;
    }
    t.wg = n * subgroup;
    t.stages = n * result < shared ? min_u32(2, (shared - n * result) / stage) : 0;
    return t;
}

pd_vk_product pd_vk_choose_coopmat(const pd_vk_device *d, const pd_vk_product_shape *s) {
    enum { ENOUGH_TILES = 96 }; /* to keep the compute units of most devices busy */
    const pd_vk_coopmat *shape = &d->caps.coopmat_shape;
    coopmat_tile t = {0};
    if (!d->caps.coopmat_small_tiles &&
        div_up(s->n_weight_rows, 128) * div_up(s->max_rows, 128) >= ENOUGH_TILES)
        t = cut_coopmat(d, 256, 128, 128);
    if (t.stages == 0) t = cut_coopmat(d, 128, 64, s->max_rows <= 32 ? 32 : 64);
    t.stages = max_u32(t.stages, 1); /* the pipeline's limits tell if that is too much as well */
    pd_vk_product m = {.tile_m = t.bm, .tile_n = t.bn};
    m.desc = DESC("matmul_coopmat", 6, pd_args_matmul, t.wg, s->wtype, t.bm, t.bn, t.wm, t.wn,
                  s->epilogue, t.stages, coopmat_subgroup(d), shape->m, shape->k, shape->k,
                  shape->n, shape->m, shape->n, s->y_format);
    if (d->caps.subgroup_size_control) m.desc.subgroup_size = coopmat_subgroup(d);
    return m;
}

/* A rasteriser on the CPU pays for loads and context switches, not for arithmetic: prompts go
 * through matvec too, 8 columns at a time, with one lane a row so that loads of x are the same for
 * all. */
static pd_vk_product choose_software(const pd_vk_product_shape *s) {
    bool wide = s->max_rows > 2;
    uint32_t cols = min_u32(s->max_rows, PD_VK_MATVEC_MAX_COLS);
    return matvec(s, wide ? 8 : 16, wide ? 1 : 2, 8, cols, cols);
}

pd_vk_product pd_vk_choose_product(const pd_vk_device *d, const pd_vk_product_shape *s) {
    if (d->caps.software_tiles) return choose_software(s);
    if (s->max_rows <= PD_VK_MATVEC_MAX_COLS) return choose_matvec(d, s);
    bool matrix_units = d->caps.coopmat && d->tuning.matrix_units;
    if (matrix_units && s->x_format == PD_ACT_F16 && s->y_format != PD_ACT_I16)
        return pd_vk_choose_coopmat(d, s);
    return choose_matmul(d, s);
}

/* Software devices run the integer kernels at q8, for tests. */
uint32_t pd_vk_choose_input(const pd_vk_device *d, pd_precision precision, uint32_t max_rows) {
    if (precision == PD_PRECISION_EXACT) return PD_ACT_F32;
    if (precision == PD_PRECISION_Q8 && d->caps.is_software && d->caps.int_dot) return PD_ACT_I16;
    return max_rows <= PD_VK_MATVEC_MAX_COLS ? d->tuning.decode_format : d->tuning.prefill_format;
}

/* ---- attention ------------------------------------------------------------------------------ */

/* Queries and their scores have to fit in shared memory: 16 of 256 dimensions, and 32 of 128, take
 * 21 to 25 KiB. A query of a tile takes 8 invocations. */
static uint32_t tile_queries(const pd_vk_device *d, uint32_t head_dim) {
    if (d->caps.max_shared_bytes < 32768) return head_dim > 128 ? 8 : 16;
    bool wide = workgroup_size(d, 256) == 256 && !d->caps.software_tiles;
    return head_dim <= 128 && wide ? 32 : 16;
}

uint32_t pd_vk_tile_rows(const pd_vk_device *d, uint32_t group, uint32_t head_dim,
                         uint32_t max_rows) {
    uint32_t most = tile_queries(d, head_dim), heads = min_u32(group, most);
    return max_rows <= PD_VK_MATVEC_MAX_COLS ? 1 : max_u32(1, most / heads);
}

/* Decoding has one row: the positions are split to fill the device, down to one page each (two on a
 * rasteriser, which has no more than some cores to fill). With many rows the queries are shared out
 * among the workgroup's halves instead. */
pd_vk_attention pd_vk_choose_attention(const pd_vk_device *d, const pd_vk_attention_shape *s) {
    pd_vk_attention a = {.heads = min_u32(s->group, tile_queries(d, s->head_dim)),
                         .tile_rows = pd_vk_tile_rows(d, s->group, s->head_dim, s->max_rows),
                         .n_splits = 1};
    a.n_head_groups = div_up(s->group, a.heads);
    if (s->max_rows <= PD_VK_MATVEC_MAX_COLS) {
        uint32_t n_pages = div_up(s->max_visible, PD_PAGE_POSITIONS) + 1;
        a.n_splits = max_u32(1, min_u32(d->caps.is_software ? n_pages / 2 : n_pages, MAX_SPLITS));
    }
    a.merges = a.n_splits > 1 && d->caps.last_arrival;
    uint32_t n_queries = a.tile_rows * a.heads, wg = n_queries > 16 ? 256 : 128;
    uint32_t most_parts = wg / (s->head_dim / 4); /* each has all dimensions of V */
    uint32_t q_parts = n_queries >= 8 && n_queries % 2 == 0 && most_parts >= 2 ? 2 : 1, slots = 1;
    if (n_queries == 32 && most_parts >= 4) q_parts = 4;
    if (d->caps.software_tiles && n_queries == 16 && most_parts >= 4) {
        q_parts = 4; /* fewer loads per multiplication */
        slots = 2;
    }
    a.desc = DESC("attention", 7, pd_args_attention, wg, s->head_dim, s->kv_f32, a.tile_rows,
                  a.heads, q_parts, a.merges, s->y_format, slots);
    return a;
}

pd_vk_pipeline_desc pd_vk_choose_rope(const pd_vk_device *d, uint32_t head_dim, bool kv_f32,
                                      bool plain) {
    (void)d;
    uint32_t wg = 8;
    while (wg < head_dim / 4) wg *= 2;
    return DESC("qkv_rope_store", 7, pd_args_rope, wg, head_dim, kv_f32, plain);
}

pd_vk_pipeline_desc pd_vk_choose_merge(const pd_vk_device *d, uint32_t head_dim,
                                       uint32_t y_format) {
    (void)d;
    return DESC("attention_merge", 2, pd_args_merge, 64, head_dim, y_format);
}

/* ---- the small ones ------------------------------------------------------------------------- */

pd_vk_pipeline_desc pd_vk_choose_norm(const pd_vk_device *d, uint32_t width, bool residual,
                                      uint32_t y_format) {
    uint32_t wg = workgroup_size(d, d->caps.software_tiles ? 32 : 256);
    return DESC("norm", 5, pd_args_norm, wg, div_up(width / 4, wg), residual, y_format);
}

pd_vk_pipeline_desc pd_vk_choose_layernorm(const pd_vk_device *d, uint32_t width,
                                           uint32_t y_format) {
    uint32_t wg = workgroup_size(d, d->caps.software_tiles ? 32 : 256);
    return DESC("layernorm", 4, pd_args_layernorm, wg, div_up(width / 4, wg), y_format);
}

pd_vk_pipeline_desc pd_vk_choose_pool_norm(const pd_vk_device *d, uint32_t width,
                                           uint32_t y_format) {
    uint32_t wg = workgroup_size(d, d->caps.software_tiles ? 32 : 256);
    return DESC("pool_norm", 3, pd_args_pool_norm, wg, div_up(width / 4, wg), y_format);
}

pd_vk_pipeline_desc pd_vk_choose_embed(const pd_vk_device *d, uint32_t wtype) {
    (void)d;
    return DESC("embed", 6, pd_args_embed, 64, wtype);
}

pd_vk_pipeline_desc pd_vk_choose_gather(const pd_vk_device *d) {
    (void)d;
    return DESC("gather", 3, pd_args_gather, 64);
}

/* Their selection needs at least 16 invocations. Both wait for memory more than they work: many
 * invocations, as far as 16 KiB of shared memory allow. */
static uint32_t sample_workgroup(const pd_vk_device *d) {
    return workgroup_size(d, d->caps.software_tiles ? 32 : 512);
}

pd_vk_pipeline_desc pd_vk_choose_sample_parts(const pd_vk_device *d, uint32_t part) {
    uint32_t span = d->caps.software_tiles ? 8 : 16;
    return DESC("sample_parts", 2, pd_args_sample, sample_workgroup(d), part, span);
}

pd_vk_pipeline_desc pd_vk_choose_sample(const pd_vk_device *d, uint32_t part) {
    return DESC("sample", 5, pd_args_sample, sample_workgroup(d), part);
}

pd_vk_pipeline_desc pd_vk_choose_log_prob(const pd_vk_device *d) {
    return DESC("log_prob", 3, pd_args_log_prob, sample_workgroup(d));
}

pd_vk_pipeline_desc pd_vk_choose_repack(const pd_vk_device *d, uint32_t wtype) {
    (void)d;
    return DESC("repack", 4, pd_args_repack, 64, wtype);
}
