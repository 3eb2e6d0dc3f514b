/* All kernels that the shader report has compiled.  SPDX-License-Identifier: MIT */
#include <string.h>

#include "args.h"
#include "backend/vulkan/kernels/kernels.h"

typedef struct desc_list {
    pd_vk_pipeline_desc *items;
    uint32_t n, cap;
} desc_list;

static void add_once(desc_list *l, pd_vk_pipeline_desc d) {
    uint32_t stored = l->n < l->cap ? l->n : l->cap;
    for (uint32_t i = 0; i < stored; i++) {
        const pd_vk_pipeline_desc *o = &l->items[i];
        if (!strcmp(o->shader, d.shader) && !memcmp(o->constants, d.constants, sizeof d.constants))
            return;
    }
    if (l->n < l->cap) l->items[l->n] = d;
    l->n++;
}

static const uint32_t formats[] = {PD_ACT_F32, PD_ACT_F16, PD_ACT_I16};
enum { N_FORMATS = sizeof formats / sizeof *formats };

static void add_matrix(desc_list *l, const pd_vk_caps *c, const pd_vk_tuning *t,
                       pd_vk_product_shape s) {
    static const uint32_t max_rows[] = {1, PD_VK_MATVEC_MAX_COLS, 32, 512};
    for (uint32_t f = 0; f < N_FORMATS; f++)
        for (uint32_t i = 0; i < sizeof max_rows / sizeof *max_rows; i++) {
            if (!pd_vk_has_format(c, formats[f])) break;
            if (s.epilogue == PD_VK_EPILOGUE_BEST && max_rows[i] > PD_VK_MATVEC_MAX_COLS) continue;
            s.max_rows = max_rows[i];
            s.x_format = formats[f];
            s.y_format = s.epilogue == PD_VK_EPILOGUE_GEGLU ? formats[f] : PD_ACT_F32;
            add_once(l, pd_vk_choose_product(c, t, &s).desc);
            if (c->coopmat && s.x_format == PD_ACT_F16 && s.max_rows > PD_VK_MATVEC_MAX_COLS)
                add_once(l, pd_vk_choose_coopmat(c, &s).desc);
        }
}

static void add_attention(desc_list *l, const pd_vk_caps *c, pd_vk_attention_shape s) {
    static const uint32_t max_rows[] = {1, PD_VK_MATVEC_MAX_ROWS, 512};
    for (uint32_t f = 0; f < N_FORMATS; f++) {
        if (!pd_vk_has_format(c, formats[f])) continue;
        s.kv_f32 = formats[f] == PD_ACT_F32;
        s.y_format = formats[f];
        for (uint32_t i = 0; i < sizeof max_rows / sizeof *max_rows; i++) {
            s.max_rows = max_rows[i];
            add_once(l, pd_vk_choose_attention(c, &s).desc);
        }
        add_once(l, pd_vk_choose_merge(s.head_dim, formats[f]));
    }
    for (uint32_t f32 = 0; f32 < 2; f32++)
        add_once(l, pd_vk_choose_rope(s.head_dim, f32 != 0, false));
}

static void add_model(desc_list *l, const pd_vk_caps *c, const pd_vk_tuning *t, uint32_t width,
                      uint32_t ff, uint32_t heads, uint32_t kv_heads, uint32_t head_dim) {
    pd_vk_product_shape m[] = {
        {.n_weight_rows = (heads + 2 * kv_heads) * head_dim, .n_blocks = width / 32},
        {.n_weight_rows = width, .n_blocks = heads * head_dim / 32},
        {.n_weight_rows = 2 * ff, .n_blocks = width / 32, .epilogue = PD_VK_EPILOGUE_GEGLU},
        {.n_weight_rows = width, .n_blocks = ff / 32}};
    for (uint32_t i = 0; i < sizeof m / sizeof *m; i++) {
        m[i].wtype = PD_WEIGHT_Q4_0;
        add_matrix(l, c, t, m[i]);
    }
    for (uint32_t f = 0; f < N_FORMATS; f++)
        for (uint32_t residual = 0; residual < 2 && pd_vk_has_format(c, formats[f]); residual++)
            add_once(l, pd_vk_choose_norm(c, width, residual != 0, formats[f]));
    add_attention(l, c,
                  (pd_vk_attention_shape){
                      .head_dim = head_dim, .group = heads / kv_heads, .max_visible = 131072});
}

/* The tower's shapes: weights in halves, 4096 rows. */
static void add_image_encoder(desc_list *l, const pd_vk_caps *c, const pd_vk_tuning *t,
                              uint32_t width, uint32_t ff, uint32_t heads) {
    static const uint32_t epilogues[] = {PD_VK_EPILOGUE_BIAS, PD_VK_EPILOGUE_BIAS_GELU,
                                         PD_VK_EPILOGUE_BIAS_ADD};
    for (uint32_t format = PD_ACT_F32; format <= PD_ACT_F16; format++) {
        for (uint32_t i = 0; i < sizeof epilogues / sizeof *epilogues; i++) {
            bool gelu = epilogues[i] == PD_VK_EPILOGUE_BIAS_GELU;
            pd_vk_product_shape s = {.wtype = PD_WEIGHT_F16,
                                     .n_weight_rows = gelu ? ff : width,
                                     .n_blocks = width / 32,
                                     .max_rows = 4096,
                                     .epilogue = epilogues[i],
                                     .x_format = format,
                                     .y_format = gelu ? format : PD_ACT_F32};
            add_once(l, pd_vk_choose_product(c, t, &s).desc);
        }
        pd_vk_attention_shape a = {.head_dim = width / heads,
                                   .group = 1,
                                   .kv_f32 = format == PD_ACT_F32,
                                   .max_rows = 4096,
                                   .max_visible = 4096,
                                   .y_format = format};
        add_once(l, pd_vk_choose_attention(c, &a).desc);
        add_once(l, pd_vk_choose_rope(a.head_dim, a.kv_f32, true));
        add_once(l, pd_vk_choose_layernorm(c, width, format));
        add_once(l, pd_vk_choose_pool_norm(c, width, format));
    }
}

uint32_t pd_vk_kernel_list(const pd_vk_caps *c, const pd_vk_tuning *t, pd_vk_pipeline_desc *out,
                           uint32_t cap) {
    desc_list l = {.items = out, .cap = cap};
    add_model(&l, c, t, 640, 2048, 4, 1, 256);
    add_model(&l, c, t, 1152, 6912, 4, 1, 256);
    add_model(&l, c, t, 2560, 10240, 8, 4, 256);
    add_model(&l, c, t, 3840, 15360, 16, 8, 256);
    add_model(&l, c, t, 5376, 21504, 32, 16, 128);
    add_image_encoder(&l, c, t, 1152, 4304, 16);
    for (uint32_t wtype = 0; wtype < PD_WEIGHT_COUNT; wtype++) {
        pd_vk_product_shape head = {.wtype = wtype, .n_weight_rows = 262144, .n_blocks = 80};
        pd_vk_product_shape gate_up = {.wtype = wtype,
                                       .n_weight_rows = 2 * 10240,
                                       .n_blocks = 80,
                                       .epilogue = PD_VK_EPILOGUE_GEGLU};
        add_matrix(&l, c, t, head);
        head.epilogue = PD_VK_EPILOGUE_BEST;
        add_matrix(&l, c, t, head);
        add_matrix(&l, c, t, gate_up);
        add_once(&l, pd_vk_choose_embed(wtype));
        add_once(&l, pd_vk_choose_repack(wtype));
    }
    add_once(&l, pd_vk_choose_gather());
    add_once(&l, pd_vk_choose_sample_parts(c, 64));
    add_once(&l, pd_vk_choose_sample(c, 64));
    add_once(&l, pd_vk_choose_log_prob(c));
    return l.n;
}
