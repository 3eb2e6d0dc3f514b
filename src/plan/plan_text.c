/* Gemma 3's forward pass, as a plan. This file is the model; everything else makes it run.
 *
 *     h = embed(tokens) * sqrt(H), or the row of an image, unscaled
 *     x = norm(h)
 *     per layer:  qkv  = Wq x | Wk x | Wv x
 *                 q    = rope(norm(q)) * scale;   K, V pages <- rope(norm(k)), v
 *                 attn = attention(q, pages)      causal, within the window on local layers
 *                 h    = h + norm(Wo attn);       x = norm(h)
 *                 h    = h + norm(Wdown(gelu(Wgate x) * (Wup x)));   x = norm(h)  (the next
 * layer's) logits = E x   for the rows that are outputs, and the next token of each
 *
 * Gemma's sandwich norms make "norm the branch, add it, norm the sum" one operation, so the norm
 * that a layer begins with is computed by the one before it, and the final norm by the last layer.
 *
 * Formulas: Hugging Face's modeling_gemma3.py; the names in comments are GGUF's.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdio.h>

#include "plan/plan.h"

/* The buffers that all layers share. */
typedef struct text_bufs {
    pd_buf_id embeddings; /* [rows, H] rows of images, as the host puts them in; or none */
    pd_buf_id h;          /* [rows, H] residual stream */
    pd_buf_id x;          /* [rows, H] normalised input of the next matrices */
    pd_buf_id qkv;        /* [rows, (heads + 2 kv_heads) * head_dim] */
    pd_buf_id q;          /* [rows, heads * head_dim] rotated and scaled */
    pd_buf_id attn;       /* [rows, heads * head_dim] */
    pd_buf_id branch;     /* [rows, H] what a branch adds to the residual, before its norm */
    pd_buf_id ff;         /* [rows, F] gelu(gate) * up */
    pd_buf_id x_out;      /* [outs, H] final norm of the output rows */
} text_bufs;

static text_bufs add_bufs(pd_plan *p, const pd_config *c, const pd_text_plan_desc *desc) {
    bool all_rows_are_outputs = desc->max_outs == desc->max_rows || desc->max_outs == 0;
    bool keeps = desc->keeps_hidden || desc->max_outs == 0;
    pd_buf_role hidden = keeps ? PD_BUF_OUTPUT : PD_BUF_SCRATCH;
    uint32_t q_width = c->n_heads * c->head_dim, kv_width = c->n_kv_heads * c->head_dim;
    text_bufs b = {
        .h = pd_plan_add_buf(p, "h", PD_ROWS_TOKENS, c->n_embd, PD_BUF_SCRATCH),
        .x = pd_plan_add_buf(p, "x", PD_ROWS_TOKENS, c->n_embd,
                             all_rows_are_outputs ? hidden : PD_BUF_SCRATCH),
        .qkv = pd_plan_add_buf(p, "qkv", PD_ROWS_TOKENS, q_width + 2 * kv_width, PD_BUF_SCRATCH),
        .q = pd_plan_add_buf(p, "q", PD_ROWS_TOKENS, q_width, PD_BUF_SCRATCH),
        .attn = pd_plan_add_buf(p, "attn", PD_ROWS_TOKENS, q_width, PD_BUF_SCRATCH),
        .branch = pd_plan_add_buf(p, "branch", PD_ROWS_TOKENS, c->n_embd, PD_BUF_SCRATCH),
        .ff = pd_plan_add_buf(p, "ff", PD_ROWS_TOKENS, c->n_ff, PD_BUF_SCRATCH),
    };
    b.embeddings = desc->takes_embeddings
                       ? pd_plan_add_buf(p, "embeddings", PD_ROWS_TOKENS, c->n_embd, PD_BUF_INPUT)
                       : PD_BUF_NONE;
    b.x_out = all_rows_are_outputs
                  ? b.x
                  : pd_plan_add_buf(p, "x_out", PD_ROWS_OUTPUTS, c->n_embd, hidden);
    return b;
}

static void add_matmul(pd_plan *p, int32_t layer, const char *name, pd_buf_id x, pd_buf_id out,
                       const pd_tensor *w) {
    pd_op_matmul m = {.x = x, .out = out, .n_weights = 1, .weights = {w}};
    pd_plan_add_op(p, layer, name, &(pd_op){.kind = PD_OP_MATMUL, .matmul = m});
}

/* residual += rms(branch) * post_weight;  x = rms(residual) * next_weight */
static void add_residual_norm(pd_plan *p, int32_t layer, const char *name, const text_bufs *b,
                              const pd_tensor *post_weight, const pd_tensor *next_weight,
                              float eps) {
    pd_op_norm n = {.x = b->branch,
                    .residual = b->h,
                    .out = b->x,
                    .post_weight = post_weight,
                    .weight = next_weight,
                    .eps = eps};
    pd_plan_add_op(p, layer, name, &(pd_op){.kind = PD_OP_NORM, .norm = n});
}

static void add_attention(pd_plan *p, int32_t layer, const text_bufs *b, const pd_config *c,
                          const pd_layer_weights *w) {
    bool global = c->layer_is_global[layer];
    pd_op_matmul qkv = {
        .x = b->x, .out = b->qkv, .n_weights = 3, .weights = {w->attn_q, w->attn_k, w->attn_v}};
    pd_plan_add_op(p, layer, "qkv", &(pd_op){.kind = PD_OP_MATMUL, .matmul = qkv});

    pd_op_qkv_rope_store store = {.qkv = b->qkv,
                                  .out = b->q,
                                  .q_weight = w->attn_q_norm,
                                  .k_weight = w->attn_k_norm,
                                  .eps = c->norm_eps,
                                  .rope_base = global ? c->rope_base_global : c->rope_base_local,
                                  .angle_scale = global ? c->rope_scale_global : 1.0f,
                                  .q_scale = c->attn_scale,
                                  .kv_layer = (uint32_t)layer};
    pd_plan_add_op(p, layer, "rope_store",
                   &(pd_op){.kind = PD_OP_QKV_ROPE_STORE, .qkv_rope_store = store});

    pd_op_attention attention = {
        .q = b->q, .out = b->attn, .window = global ? 0 : c->window, .kv_layer = (uint32_t)layer};
    pd_plan_add_op(p, layer, "attention",
                   &(pd_op){.kind = PD_OP_ATTENTION, .attention = attention});
    add_matmul(p, layer, "attn_out", b->attn, b->branch, w->attn_output);
}

static void add_feed_forward(pd_plan *p, int32_t layer, const text_bufs *b,
                             const pd_layer_weights *w) {
    pd_op_matmul gate_up = {.x = b->x,
                            .out = b->ff,
                            .n_weights = 2,
                            .weights = {w->ffn_gate, w->ffn_up},
                            .epilogue = PD_EPILOGUE_GEGLU};
    pd_plan_add_op(p, layer, "gate_up", &(pd_op){.kind = PD_OP_MATMUL, .matmul = gate_up});
    add_matmul(p, layer, "ffn_down", b->ff, b->branch, w->ffn_down);
}

static void add_layer(pd_plan *p, uint32_t i, const text_bufs *b, const pd_config *c,
                      const pd_weights *w) {
    const pd_layer_weights *l = &w->layers[i];
    const pd_tensor *next_norm = i + 1 < c->n_layers ? w->layers[i + 1].attn_norm : w->output_norm;
    int32_t layer = (int32_t)i;
    add_attention(p, layer, b, c, l);
    add_residual_norm(p, layer, "attn_norm", b, l->post_attn_norm, l->ffn_norm, c->norm_eps);
    add_feed_forward(p, layer, b, l);
    add_residual_norm(p, layer, "ffn_norm", b, l->post_ffn_norm, next_norm, c->norm_eps);
}

static void add_gather(pd_plan *p, const text_bufs *b) {
    if (b->x_out == b->x) return;
    pd_op_gather gather = {.x = b->x, .out = b->x_out};
    pd_plan_add_op(p, -1, "outputs", &(pd_op){.kind = PD_OP_GATHER, .gather = gather});
}

/* Returns the logits. */
static pd_buf_id add_head(pd_plan *p, pd_buf_id x_out, uint32_t n_vocab, const pd_tensor *output) {
    pd_op_sample sample = {
        .x = pd_plan_add_buf(p, "logits", PD_ROWS_OUTPUTS, n_vocab, PD_BUF_OUTPUT),
        .out = pd_plan_add_buf(p, "best", PD_ROWS_OUTPUTS, 4, PD_BUF_OUTPUT),
    };
    add_matmul(p, -1, "logits", x_out, sample.x, output);
    pd_plan_add_op(p, -1, "sample", &(pd_op){.kind = PD_OP_SAMPLE, .sample = sample});
    return sample.x;
}

static pd_plan_desc plan_desc(const pd_config *c, const pd_text_plan_desc *desc) {
    pd_plan_desc d = {.max_rows = desc->max_rows,
                      .max_outs = desc->max_outs,
                      .max_seqs = desc->max_seqs,
                      .max_positions = desc->max_positions,
                      .precision = desc->precision,
                      .kv = {.n_layers = c->n_layers,
                             .n_heads = c->n_heads,
                             .n_kv_heads = c->n_kv_heads,
                             .head_dim = c->head_dim,
                             .f32 = desc->precision == PD_PRECISION_EXACT,
                             .layer_is_global = c->layer_is_global}};
    snprintf(d.name, sizeof d.name, "%s", desc->name);
    return d;
}

pd_status pd_plan_text(const pd_config *c, const pd_weights *w, const pd_text_plan_desc *desc,
                       pd_plan *out, pd_error *err) {
    pd_plan_desc d = plan_desc(c, desc);
    pd_plan_init(out, &d);
    text_bufs b = add_bufs(out, c, desc);

    pd_op_embed embed = {
        .table = w->token_embd, .embeddings = b.embeddings, .out = b.h, .scale = c->embd_scale};
    pd_plan_add_op(out, -1, "embed", &(pd_op){.kind = PD_OP_EMBED, .embed = embed});
    pd_op_norm first = {.x = b.h,
                        .residual = PD_BUF_NONE,
                        .out = b.x,
                        .weight = w->layers[0].attn_norm,
                        .eps = c->norm_eps};
    pd_plan_add_op(out, -1, "first_norm", &(pd_op){.kind = PD_OP_NORM, .norm = first});
    for (uint32_t i = 0; i < c->n_layers; i++) add_layer(out, i, &b, c, w);
    if (desc->max_outs > 0) {
        add_gather(out, &b);
        add_head(out, b.x_out, c->n_vocab, w->output);
    }
    return pd_plan_finish(out, err);
}

pd_status pd_plan_lm_head(const pd_config *c, const pd_weights *w, uint32_t max_outs,
                          pd_precision precision, pd_plan *out, pd_error *err) {
    pd_plan_init(out, &(pd_plan_desc){.name = "head",
                                      .max_rows = max_outs,
                                      .max_outs = max_outs,
                                      .max_seqs = 1,
                                      .precision = precision});
    pd_buf_id x = pd_plan_add_buf(out, "x", PD_ROWS_OUTPUTS, c->n_embd, PD_BUF_INPUT);
    pd_op_log_prob log_prob = {
        .x = add_head(out, x, c->n_vocab, w->output),
        .out = pd_plan_add_buf(out, "log_prob", PD_ROWS_OUTPUTS, 2, PD_BUF_OUTPUT),
    };
    pd_plan_add_op(out, -1, "log_prob", &(pd_op){.kind = PD_OP_LOG_PROB, .log_prob = log_prob});
    return pd_plan_finish(out, err);
}

pd_buf_id pd_plan_hidden(const pd_plan *p) {
    pd_buf_id x_out = pd_plan_find_buf(p, "x_out");
    return x_out != PD_BUF_NONE ? x_out : pd_plan_find_buf(p, "x");
}
