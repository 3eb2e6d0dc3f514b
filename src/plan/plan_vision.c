/* Gemma 3's image encoder, as a plan: the SigLIP tower and the projector, for one image.
 *
 *     h = pos + Wp patches + bp                       rows are patches, left to right, then down
 *     per layer:  x = layernorm(h)
 *                 q | k | v = W x + b                 q scaled by head_dim^-0.5
 *                 h = h + Wo attention(q, k, v) + bo  every patch sees every patch
 *                 x = layernorm(h)
 *                 h = h + W2 gelu(W1 x + b1) + b2
 *     x     = layernorm(h)
 *     image = M norm(mean of pool x pool patches of x)
 *
 * A patch's row is token r at position r, so the position table is what `embed` looks up. K and V
 * go through the pages that text uses, one layer after the other through the same ones: attention
 * is the same operation, with an end that is the last patch's for all rows.
 *
 * Formulas: Hugging Face's modeling_siglip.py and modeling_gemma3.py; names in comments are GGUF's.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdio.h>

#include "plan/plan.h"

typedef struct vision_bufs {
    pd_buf_id patches; /* [patches, 3 * patch * patch] pixels */
    pd_buf_id h;       /* [patches, D] residual stream */
    pd_buf_id x;       /* [patches, D] normalised input of the next matrices */
    pd_buf_id qkv;     /* [patches, 3 D] */
    pd_buf_id q;       /* [patches, D] scaled */
    pd_buf_id attn;    /* [patches, D] */
    pd_buf_id ff;      /* [patches, F] */
    pd_buf_id post;    /* [patches, D] the tower's output */
    pd_buf_id pooled;  /* [tokens, D] */
    pd_buf_id image;   /* [tokens, H] */
} vision_bufs;

/* The width of a buffer that products read. */
static uint32_t padded(uint32_t width) {
    return (uint32_t)pd_round_up(width, 32);
}

static vision_bufs add_bufs(pd_plan *p, const pd_vision_config *c) {
    uint32_t d = padded(c->n_embd);
    uint32_t pixels = PD_IMAGE_CHANNELS * c->patch_size * c->patch_size;
    return (vision_bufs){
        .patches = pd_plan_add_buf(p, "patches", PD_ROWS_TOKENS, padded(pixels), PD_BUF_INPUT),
        .h = pd_plan_add_buf(p, "h", PD_ROWS_TOKENS, d, PD_BUF_SCRATCH),
        .x = pd_plan_add_buf(p, "x", PD_ROWS_TOKENS, d, PD_BUF_SCRATCH),
        .qkv = pd_plan_add_buf(p, "qkv", PD_ROWS_TOKENS, 3 * c->n_embd, PD_BUF_SCRATCH),
        .q = pd_plan_add_buf(p, "q", PD_ROWS_TOKENS, c->n_embd, PD_BUF_SCRATCH),
        .attn = pd_plan_add_buf(p, "attn", PD_ROWS_TOKENS, d, PD_BUF_SCRATCH),
        .ff = pd_plan_add_buf(p, "ff", PD_ROWS_TOKENS, padded(c->n_ff), PD_BUF_SCRATCH),
        .post = pd_plan_add_buf(p, "post", PD_ROWS_TOKENS, d, PD_BUF_SCRATCH),
        .pooled = pd_plan_add_buf(p, "pooled", PD_ROWS_OUTPUTS, d, PD_BUF_SCRATCH),
        .image = pd_plan_add_buf(p, "image", PD_ROWS_OUTPUTS, c->n_embd_out, PD_BUF_OUTPUT),
    };
}

static void add_matmul(pd_plan *p, int32_t layer, const char *name, pd_op_matmul m) {
    pd_plan_add_op(p, layer, name, &(pd_op){.kind = PD_OP_MATMUL, .matmul = m});
}

static void add_layernorm(pd_plan *p, int32_t layer, const char *name, pd_op_layernorm n) {
    pd_plan_add_op(p, layer, name, &(pd_op){.kind = PD_OP_LAYERNORM, .layernorm = n});
}

static void add_attention(pd_plan *p, int32_t layer, const vision_bufs *b,
                          const pd_vision_config *c, const pd_vision_layer *w) {
    add_layernorm(p, layer, "ln1",
                  (pd_op_layernorm){b->h, b->x, w->ln1_weight, w->ln1_bias, c->norm_eps});
    add_matmul(p, layer, "qkv",
               (pd_op_matmul){.x = b->x,
                              .out = b->qkv,
                              .n_weights = 3,
                              .weights = {w->attn_q, w->attn_k, w->attn_v},
                              .biases = {w->attn_q_bias, w->attn_k_bias, w->attn_v_bias},
                              .epilogue = PD_EPILOGUE_BIAS});
    pd_op_qkv_rope_store store = {.qkv = b->qkv, .out = b->q, .q_scale = c->attn_scale};
    pd_plan_add_op(p, layer, "store",
                   &(pd_op){.kind = PD_OP_QKV_ROPE_STORE, .qkv_rope_store = store});
    pd_op_attention attention = {.q = b->q, .out = b->attn};
    pd_plan_add_op(p, layer, "attention",
                   &(pd_op){.kind = PD_OP_ATTENTION, .attention = attention});
    add_matmul(p, layer, "attn_out",
               (pd_op_matmul){.x = b->attn,
                              .out = b->h,
                              .n_weights = 1,
                              .weights = {w->attn_out},
                              .biases = {w->attn_out_bias},
                              .epilogue = PD_EPILOGUE_BIAS_ADD});
}

static void add_feed_forward(pd_plan *p, int32_t layer, const vision_bufs *b,
                             const pd_vision_config *c, const pd_vision_layer *w) {
    add_layernorm(p, layer, "ln2",
                  (pd_op_layernorm){b->h, b->x, w->ln2_weight, w->ln2_bias, c->norm_eps});
    add_matmul(p, layer, "ffn_up",
               (pd_op_matmul){.x = b->x,
                              .out = b->ff,
                              .n_weights = 1,
                              .weights = {w->ffn_up},
                              .biases = {w->ffn_up_bias},
                              .epilogue = PD_EPILOGUE_BIAS_GELU});
    add_matmul(p, layer, "ffn_down",
               (pd_op_matmul){.x = b->ff,
                              .out = b->h,
                              .n_weights = 1,
                              .weights = {w->ffn_down},
                              .biases = {w->ffn_down_bias},
                              .epilogue = PD_EPILOGUE_BIAS_ADD});
}

static void add_patches(pd_plan *p, const vision_bufs *b, const pd_vision_weights *w) {
    pd_op_embed positions = {
        .table = w->position_embd, .embeddings = PD_BUF_NONE, .out = b->h, .scale = 1.0f};
    pd_plan_add_op(p, -1, "positions", &(pd_op){.kind = PD_OP_EMBED, .embed = positions});
    add_matmul(p, -1, "patch_embd",
               (pd_op_matmul){.x = b->patches,
                              .out = b->h,
                              .n_weights = 1,
                              .weights = {w->patch_embd},
                              .biases = {w->patch_bias},
                              .epilogue = PD_EPILOGUE_BIAS_ADD});
}

static void add_projector(pd_plan *p, const vision_bufs *b, const pd_vision_config *c,
                          const pd_vision_weights *w) {
    add_layernorm(
        p, -1, "post_ln",
        (pd_op_layernorm){b->h, b->post, w->post_ln_weight, w->post_ln_bias, c->norm_eps});
    pd_op_pool_norm pool = {.x = b->post,
                            .out = b->pooled,
                            .grid = c->grid,
                            .pool = c->pool,
                            .weight = w->soft_emb_norm,
                            .eps = c->norm_eps};
    pd_plan_add_op(p, -1, "pool", &(pd_op){.kind = PD_OP_POOL_NORM, .pool_norm = pool});
    add_matmul(p, -1, "projection",
               (pd_op_matmul){
                   .x = b->pooled, .out = b->image, .n_weights = 1, .weights = {w->projection}});
}

/* Every layer's K and V in turn, in the pages of one. */
static pd_plan_desc plan_desc(const pd_vision_config *c, pd_precision precision) {
    static const bool one_layer[1] = {true};
    return (pd_plan_desc){.name = "vision",
                          .max_rows = c->grid * c->grid,
                          .max_outs = c->n_tokens,
                          .max_seqs = 1,
                          .max_positions = c->grid * c->grid,
                          .precision = precision,
                          .kv = {.n_layers = 1,
                                 .n_heads = c->n_heads,
                                 .n_kv_heads = c->n_heads,
                                 .head_dim = c->head_dim,
                                 .f32 = precision == PD_PRECISION_EXACT,
                                 .layer_is_global = one_layer}};
}

pd_status pd_plan_vision(const pd_vision_config *c, const pd_vision_weights *w,
                         pd_precision precision, pd_plan *out, pd_error *err) {
    pd_plan_desc d = plan_desc(c, precision);
    pd_plan_init(out, &d);
    vision_bufs b = add_bufs(out, c);
    add_patches(out, &b, w);
    for (uint32_t i = 0; i < c->n_layers; i++) {
        add_attention(out, (int32_t)i, &b, c, &w->layers[i]);
        add_feed_forward(out, (int32_t)i, &b, c, &w->layers[i]);
    }
    add_projector(out, &b, c, w);
    return pd_plan_finish(out, err);
}
