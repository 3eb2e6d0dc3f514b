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

/* FAMILY: of shaders/interface.h. Constants come by name: [PD_WORKGROUP] = 64, ... */
#define DESC(FAMILY, name, args, ...)                                                              \
    (pd_vk_pipeline_desc) {                                                                        \
        .shader = name, .push_bytes = sizeof(struct args), .n_buffers = PD_##FAMILY##_BINDINGS,    \
        .n_constants = PD_##FAMILY##_CONSTANTS, .constants = {                                     \
            __VA_ARGS__                                                                            \
        }                                                                                          \
    }

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
static uint32_t workgroup_size(const pd_vk_caps *c, uint32_t wanted) {
    while (wanted > c->max_workgroup_size) wanted /= 2;
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
    m.desc = DESC(MATVEC, matvec_shader(s),
                  pd_args_matmul, [PD_WORKGROUP] = wg, [PD_MATVEC_WTYPE] = s->wtype,
                  [PD_MATVEC_LANES] = lanes, [PD_MATVEC_ROWS] = rows, [PD_MATVEC_COLS] = cols,
                  [PD_MATVEC_EPILOGUE] = s->epilogue, [PD_MATVEC_XTYPE] = s->x_format,
                  [PD_MATVEC_YTYPE] = s->y_format, [PD_MATVEC_STEP] = step);
    return m;
}

/* Columns that an invocation takes at a time. Two leave room for more subgroups than four and take
 * the same instructions, as far as compilers show; but NVIDIA's counts 1.1 times the cycles, and in
 * halves, whose sums wait for one another, 1.5 times. */
static uint32_t matvec_step(const pd_vk_caps *c, const pd_vk_product_shape *s) {
    enum { VENDOR_NVIDIA = 0x10de };
    return s->wtype > PD_WEIGHT_BF16 && s->x_format == PD_ACT_F16 && c->vendor_id == VENDOR_NVIDIA
               ? 4
               : 2;
}

/* Of an invocation. A block of Q5_K or Q6_K, and of what is not quantised, takes 64 bytes or more.
 */
static uint32_t most_columns(const pd_vk_caps *c, uint32_t wtype) {
    if (c->many_products) return PD_VK_MATVEC_MAX_COLS;
    return is_quantised(wtype) && wtype < PD_WEIGHT_Q5_K ? 2 : 1;
}

/* Few weight rows: fewer of them to an invocation and more lanes along K, so that there are enough
 * invocations to fill a GPU. */
static pd_vk_product choose_matvec(const pd_vk_caps *c, const pd_vk_tuning *t,
                                   const pd_vk_product_shape *s) {
    enum { ENOUGH_INVOCATIONS = 65536 }; /* 100 compute units with 5 or 10 subgroups each */
    uint32_t wg = 128, lanes = t->lanes, rows = t->rows;
    uint32_t widest = s->max_rows <= 2 ? workgroup_size(c, 512) : wg; /* by shared memory */
    if (s->max_rows > 4 || s->wtype <= PD_WEIGHT_BF16)
        rows = 2; /* unquantised: 64 or 128 bytes a block */
    if (!c->many_products) rows = 2;
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
    uint32_t cols = min_u32(s->max_rows, most_columns(c, s->wtype));
    return matvec(s, wg, lanes, rows, cols, min_u32(cols, matvec_step(c, s)));
}

/* 16 KiB of shared memory, Vulkan's minimum, hold a tile of half the width. */
static pd_vk_product choose_matmul(const pd_vk_caps *c, const pd_vk_product_shape *s) {
    bool narrow = s->max_rows <= 32 || c->max_shared_bytes < 32768;
    pd_vk_product m = {.tile_m = 64, .tile_n = narrow ? 32 : 64};
    uint32_t tm = 8, tn = narrow || s->x_format != PD_ACT_F32 ? 4 : 8;
    if (s->x_format == PD_ACT_I16 &&
        s->wtype == PD_WEIGHT_Q6_K) { /* two scales per block and row */
        m.tile_n = 32;
        tn = 2;
    }
    uint32_t wg = m.tile_m / tm * (m.tile_n / tn);
    m.desc =
        DESC(MATMUL, matmul_shader(s), pd_args_matmul, [PD_WORKGROUP] = wg,
             [PD_MATMUL_WTYPE] = s->wtype, [PD_MATMUL_BM] = m.tile_m, [PD_MATMUL_BN] = m.tile_n,
             [PD_MATMUL_TM] = tm, [PD_MATMUL_TN] = tn, [PD_MATMUL_EPILOGUE] = s->epilogue,
             [PD_MATMUL_XTYPE] = s->x_format, [PD_MATMUL_YTYPE] = s->y_format);
    return m;
}

/* Intel's matrix units belong to its narrowest subgroups; elsewhere the driver's own
 * choice is good. */
static uint32_t coopmat_subgroup(const pd_vk_caps *c) {
    enum { VENDOR_INTEL = 0x8086 };
    return c->vendor_id == VENDOR_INTEL ? c->subgroup_size_min : c->subgroup_size;
}

typedef struct coopmat_tile {
    uint32_t wg, bm, bn, wm, wn, stages; /* see shaders/matmul_coopmat.glsl */
} coopmat_tile;

/* Cuts bm x bn into at most `wg` invocations' worth of subgroup tiles, as square as can be and as
 * many as have room for their results: 64 x 32 per 32 lanes in the large tile, that is 64 sums in
 * registers. */
static coopmat_tile cut_coopmat(const pd_vk_caps *c, uint32_t wg, uint32_t bm, uint32_t bn) {
    enum { SHARED_BYTES = 32768, ROW_BYTES = 80 };
    const pd_vk_coopmat *shape = &c->coopmat_shape;
    uint32_t subgroup = coopmat_subgroup(c), result = shape->m * shape->n * 4;
    uint32_t shared = min_u32(SHARED_BYTES, c->max_shared_bytes);
    uint32_t stage = (bm + bn) * ROW_BYTES, n = 1;
    coopmat_tile t = {.bm = bm, .bn = bn, .wm = bm, .wn = bn};
    wg = workgroup_size(c, wg);
    while (2 * n * subgroup <= wg && 2 * n <= c->max_subgroups &&
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

pd_vk_product pd_vk_choose_coopmat(const pd_vk_caps *c, const pd_vk_product_shape *s) {
    enum { ENOUGH_TILES = 96 }; /* to keep the compute units of most devices busy */
    const pd_vk_coopmat *shape = &c->coopmat_shape;
    coopmat_tile t = {0};
    if (c->large_coopmat &&
        div_up(s->n_weight_rows, 128) * div_up(s->max_rows, 128) >= ENOUGH_TILES)
        t = cut_coopmat(c, 256, 128, 128);
    if (t.stages == 0) t = cut_coopmat(c, 128, 64, s->max_rows <= 32 ? 32 : 64);
    t.stages = max_u32(t.stages, 1); /* the pipeline's limits tell if that is too much as well */
    pd_vk_product m = {.tile_m = t.bm, .tile_n = t.bn};
    m.desc = DESC(
        COOPMAT, "matmul_coopmat",
        pd_args_matmul, [PD_WORKGROUP] = t.wg, [PD_COOPMAT_WTYPE] = s->wtype,
        [PD_COOPMAT_BM] = t.bm, [PD_COOPMAT_BN] = t.bn, [PD_COOPMAT_WM] = t.wm,
        [PD_COOPMAT_WN] = t.wn, [PD_COOPMAT_EPILOGUE] = s->epilogue, [PD_COOPMAT_STAGES] = t.stages,
        [PD_COOPMAT_SUBGROUP] = coopmat_subgroup(c), [PD_COOPMAT_A_M] = shape->m,
        [PD_COOPMAT_A_K] = shape->k, [PD_COOPMAT_B_K] = shape->k, [PD_COOPMAT_B_N] = shape->n,
        [PD_COOPMAT_C_M] = shape->m, [PD_COOPMAT_C_N] = shape->n, [PD_COOPMAT_YTYPE] = s->y_format);
    if (c->subgroup_size_control) m.desc.subgroup_size = coopmat_subgroup(c);
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

pd_vk_product pd_vk_choose_product(const pd_vk_caps *c, const pd_vk_tuning *t,
                                   const pd_vk_product_shape *s) {
    if (c->software_tiles) return choose_software(s);
    if (s->max_rows <= PD_VK_MATVEC_MAX_ROWS) return choose_matvec(c, t, s);
    bool matrix_units = c->coopmat && t->matrix_units;
    if (matrix_units && s->x_format == PD_ACT_F16 && s->y_format != PD_ACT_I16)
        return pd_vk_choose_coopmat(c, s);
    return choose_matmul(c, s);
}

/* Software devices run the integer kernels at q8, for tests. */
uint32_t pd_vk_choose_input(const pd_vk_caps *c, const pd_vk_tuning *t, pd_precision precision,
                            uint32_t max_rows) {
    if (precision == PD_PRECISION_EXACT) return PD_ACT_F32;
    if (precision == PD_PRECISION_Q8 && c->is_software && c->int_dot) return PD_ACT_I16;
    return max_rows <= PD_VK_MATVEC_MAX_ROWS ? t->decode_format : t->prefill_format;
}

/* ---- attention ------------------------------------------------------------------------------ */

/* Queries and their scores have to fit in shared memory: 16 of 256 dimensions, and 32 of 128, take
 * 21 to 25 KiB. A query of a tile takes 8 invocations. */
static uint32_t tile_queries(const pd_vk_caps *c, uint32_t head_dim) {
    if (c->max_shared_bytes < 32768) return head_dim > 128 ? 8 : 16;
    bool wide = workgroup_size(c, 256) == 256 && !c->software_tiles;
    return head_dim <= 128 && wide ? 32 : 16;
}

uint32_t pd_vk_tile_rows(const pd_vk_caps *c, uint32_t group, uint32_t head_dim,
                         uint32_t max_rows) {
    uint32_t most = tile_queries(c, head_dim), heads = min_u32(group, most);
    return max_rows <= PD_VK_MATVEC_MAX_COLS ? 1 : max_u32(1, most / heads);
}

/* Few tiles of rows leave a device idle: the positions are split as well, down to one page each
 * (two on a rasteriser, which has no more than some cores to fill). */
static uint32_t count_splits(const pd_vk_caps *c, const pd_vk_attention_shape *s,
                             uint32_t tile_rows) {
    enum { MAX_ROWS = 64 }; /* beyond, a GPU has tiles enough */
    if (s->max_rows > MAX_ROWS) return 1;
    uint32_t n_tiles = s->max_rows <= PD_VK_MATVEC_MAX_COLS ? 1 : div_up(s->max_rows, tile_rows);
    uint32_t n_pages = div_up(s->max_visible, PD_PAGE_POSITIONS) + 1;
    return max_u32(1, min_u32(c->is_software ? n_pages / 2 : n_pages, MAX_SPLITS / n_tiles));
}

/* With many rows the queries are shared out among the workgroup's halves. */
pd_vk_attention pd_vk_choose_attention(const pd_vk_caps *c, const pd_vk_attention_shape *s) {
    pd_vk_attention a = {.heads = min_u32(s->group, tile_queries(c, s->head_dim)),
                         .tile_rows = pd_vk_tile_rows(c, s->group, s->head_dim, s->max_rows)};
    a.n_splits = count_splits(c, s, a.tile_rows);
    a.n_head_groups = div_up(s->group, a.heads);
    a.merges = a.n_splits > 1 && c->last_arrival;
    uint32_t n_queries = a.tile_rows * a.heads, wg = n_queries > 16 ? 256 : 128;
    uint32_t most_parts = wg / (s->head_dim / 4); /* each has all dimensions of V */
    uint32_t q_parts = n_queries >= 8 && n_queries % 2 == 0 && most_parts >= 2 ? 2 : 1, slots = 1;
    if (n_queries == 32 && most_parts >= 4) q_parts = 4;
    if (c->software_tiles && n_queries == 16 && most_parts >= 4) {
        q_parts = 4; /* fewer loads per multiplication */
        slots = 2;
    }
    a.desc = DESC(ATTENTION, "attention", pd_args_attention, [PD_WORKGROUP] = wg,
                  [PD_ATTENTION_HEAD_DIM] = s->head_dim, [PD_ATTENTION_KV_F32] = s->kv_f32,
                  [PD_ATTENTION_TILE_ROWS] = a.tile_rows, [PD_ATTENTION_HEADS] = a.heads,
                  [PD_ATTENTION_Q_PARTS] = q_parts, [PD_ATTENTION_MERGE] = a.merges,
                  [PD_ATTENTION_YTYPE] = s->y_format, [PD_ATTENTION_SLOTS] = slots);
    return a;
}

pd_vk_pipeline_desc pd_vk_choose_rope(uint32_t head_dim, bool kv_f32, bool plain) {
    uint32_t wg = 8;
    while (wg < head_dim / 4) wg *= 2;
    return DESC(ROPE, "qkv_rope_store", pd_args_rope, [PD_WORKGROUP] = wg,
                [PD_ROPE_HEAD_DIM] = head_dim, [PD_ROPE_KV_F32] = kv_f32, [PD_ROPE_PLAIN] = plain);
}

pd_vk_pipeline_desc pd_vk_choose_merge(uint32_t head_dim, uint32_t y_format) {
    return DESC(MERGE, "attention_merge", pd_args_merge, [PD_WORKGROUP] = 64,
                [PD_MERGE_HEAD_DIM] = head_dim, [PD_MERGE_YTYPE] = y_format);
}

/* ---- the small ones ------------------------------------------------------------------------- */

pd_vk_pipeline_desc pd_vk_choose_norm(const pd_vk_caps *c, uint32_t width, bool residual,
                                      uint32_t y_format) {
    uint32_t wg = workgroup_size(c, c->software_tiles ? 32 : 256);
    return DESC(NORM, "norm",
                pd_args_norm, [PD_WORKGROUP] = wg, [PD_NORM_ITEMS] = div_up(width / 4, wg),
                [PD_NORM_RESIDUAL] = residual, [PD_NORM_YTYPE] = y_format);
}

pd_vk_pipeline_desc pd_vk_choose_layernorm(const pd_vk_caps *c, uint32_t width, uint32_t y_format) {
    uint32_t wg = workgroup_size(c, c->software_tiles ? 32 : 256);
    return DESC(LAYERNORM, "layernorm", pd_args_layernorm, [PD_WORKGROUP] = wg,
                [PD_LAYERNORM_ITEMS] = div_up(width / 4, wg), [PD_LAYERNORM_YTYPE] = y_format);
}

pd_vk_pipeline_desc pd_vk_choose_pool_norm(const pd_vk_caps *c, uint32_t width, uint32_t y_format) {
    uint32_t wg = workgroup_size(c, c->software_tiles ? 32 : 256);
    return DESC(POOL_NORM, "pool_norm", pd_args_pool_norm, [PD_WORKGROUP] = wg,
                [PD_POOL_NORM_ITEMS] = div_up(width / 4, wg), [PD_POOL_NORM_YTYPE] = y_format);
}

pd_vk_pipeline_desc pd_vk_choose_embed(uint32_t wtype) {
    return DESC(EMBED, "embed", pd_args_embed, [PD_WORKGROUP] = 64, [PD_EMBED_WTYPE] = wtype);
}

pd_vk_pipeline_desc pd_vk_choose_gather(void) {
    return DESC(GATHER, "gather", pd_args_gather, [PD_WORKGROUP] = 64);
}

/* Their selection needs at least 16 invocations. Both wait for memory more than they work: many
 * invocations, as far as 16 KiB of shared memory allow. */
static uint32_t sample_workgroup(const pd_vk_caps *c) {
    return workgroup_size(c, c->software_tiles ? 32 : 512);
}

pd_vk_pipeline_desc pd_vk_choose_sample_parts(const pd_vk_caps *c, uint32_t part) {
    uint32_t span = c->software_tiles ? 8 : 16;
    return DESC(SAMPLE_PARTS, "sample_parts", pd_args_sample, [PD_WORKGROUP] = sample_workgroup(c),
                [PD_SAMPLE_PARTS_PART] = part, [PD_SAMPLE_PARTS_SPAN] = span);
}

pd_vk_pipeline_desc pd_vk_choose_sample(const pd_vk_caps *c, uint32_t part) {
    return DESC(SAMPLE, "sample",
                pd_args_sample, [PD_WORKGROUP] = sample_workgroup(c), [PD_SAMPLE_PART] = part);
}

pd_vk_pipeline_desc pd_vk_choose_log_prob(const pd_vk_caps *c) {
    return DESC(LOG_PROB, "log_prob", pd_args_log_prob, [PD_WORKGROUP] = sample_workgroup(c));
}

pd_vk_pipeline_desc pd_vk_choose_repack(uint32_t wtype) {
    return DESC(REPACK, "repack", pd_args_repack, [PD_WORKGROUP] = 64, [PD_REPACK_WTYPE] = wtype);
}
