/* Which shader with which specialisation constants serves a shape on a device. The only place where
 * tile sizes are chosen.  SPDX-License-Identifier: MIT
 */
#ifndef PD_VULKAN_KERNELS_H
#define PD_VULKAN_KERNELS_H

#include "backend/vulkan/kernels/pipeline.h"
#include "file/quant.h"

/* Columns of a matvec; and rows up to which products go through it, some columns at a time: memory
 * is the limit there, and tiles of weight rows would be too few to fill a GPU. */
enum { PD_VK_MATVEC_MAX_COLS = 8, PD_VK_MATVEC_MAX_ROWS = 16 };

/* A kernel for matrix products and how its workgroups cut the result. */
typedef struct pd_vk_product {
    pd_vk_pipeline_desc desc;
    bool is_matvec;  /* workgroups: weight rows along x and y, rows of x along z; else x and y */
    uint32_t tile_m; /* weight rows of one workgroup */
    uint32_t tile_n; /* rows of x of one workgroup */
} pd_vk_product;
typedef struct pd_vk_product_shape {
    uint32_t wtype, n_weight_rows, n_blocks;
    uint32_t max_rows;           /* most rows of x */
    uint32_t epilogue;           /* PD_VK_EPILOGUE_* */
    uint32_t x_format, y_format; /* PD_ACT_* of what is read and written */
} pd_vk_product_shape;
pd_vk_product pd_vk_choose_product(const pd_vk_caps *c, const pd_vk_tuning *t,
                                   const pd_vk_product_shape *s);

/* PD_ACT_* that products of a program of at most max_rows rows like to read best. */
uint32_t pd_vk_choose_input(const pd_vk_caps *c, const pd_vk_tuning *t, pd_precision precision,
                            uint32_t max_rows);

/* The same on matrix units, for more than a few rows; needs caps.coopmat. Reads PD_ACT_F16; writes
 * PD_ACT_F32, and PD_ACT_F16 where the outputs of all slices of the matrix are multiples of 4.
 */
pd_vk_product pd_vk_choose_coopmat(const pd_vk_caps *c, const pd_vk_product_shape *s);

typedef struct pd_vk_attention {
    pd_vk_pipeline_desc desc;
    uint32_t tile_rows, heads; /* rows and query heads of one workgroup */
    uint32_t n_head_groups;    /* workgroups per KV head */
    uint32_t n_splits;         /* of the visible positions */
    bool merges;               /* the splits itself; else attention_merge has to */
} pd_vk_attention;
typedef struct pd_vk_attention_shape {
    uint32_t head_dim, group; /* query heads per KV head */
    bool kv_f32;
    uint32_t max_rows, max_visible; /* most positions that a row can see */
    uint32_t y_format;              /* PD_ACT_* */
} pd_vk_attention_shape;
pd_vk_attention pd_vk_choose_attention(const pd_vk_caps *c, const pd_vk_attention_shape *s);
/* Rows of an attention tile, without the rest: what the step's tiles are cut to. */
uint32_t pd_vk_tile_rows(const pd_vk_caps *c, uint32_t group, uint32_t head_dim, uint32_t max_rows);

pd_vk_pipeline_desc pd_vk_choose_norm(const pd_vk_caps *c, uint32_t width, bool residual,
                                      uint32_t y_format);
pd_vk_pipeline_desc pd_vk_choose_embed(uint32_t wtype);
/* plain: neither norm nor rotation */
pd_vk_pipeline_desc pd_vk_choose_rope(uint32_t head_dim, bool kv_f32, bool plain);
/* Rows of `width` values with their padding. */
pd_vk_pipeline_desc pd_vk_choose_layernorm(const pd_vk_caps *c, uint32_t width, uint32_t y_format);
pd_vk_pipeline_desc pd_vk_choose_pool_norm(const pd_vk_caps *c, uint32_t width, uint32_t y_format);
pd_vk_pipeline_desc pd_vk_choose_merge(uint32_t head_dim, uint32_t y_format);
pd_vk_pipeline_desc pd_vk_choose_gather(void);
/* For parts of so many values, a power of two of at least 16. */
pd_vk_pipeline_desc pd_vk_choose_sample_parts(const pd_vk_caps *c, uint32_t part);
pd_vk_pipeline_desc pd_vk_choose_sample(const pd_vk_caps *c, uint32_t part);
pd_vk_pipeline_desc pd_vk_choose_log_prob(const pd_vk_caps *c);
pd_vk_pipeline_desc pd_vk_choose_repack(uint32_t wtype);

/* PD_WEIGHT_* of a stored type. */
uint32_t pd_vk_wtype(pd_type type);

/* Every pipeline that the shapes of the five Gemma 3 sizes use with Q4_0, and one of each kernel
 * for every other weight type, in the formats that the device has: what the shader report compiles.
 * Returns how many; fills at most cap. */
uint32_t pd_vk_kernel_list(const pd_vk_caps *c, const pd_vk_tuning *t, pd_vk_pipeline_desc *out,
                           uint32_t cap);

#endif
