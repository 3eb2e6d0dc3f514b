"""Gemma 3 with its image encoder, small, for training on a processor.

Names of parameters are those of Hugging Face's checkpoints. Shapes: B rows of T positions, N
pictures of P patches, H the width, V the vocabulary.

SPDX-License-Identifier: MIT
"""
import dataclasses
import math

import torch
import torch.nn.functional as F


@dataclasses.dataclass
class Config:
    n_vocab: int = 2048
    width: int = 192
    ff: int = 384
    layers: int = 6
    heads: int = 6
    kv_heads: int = 2
    head_dim: int = 32
    window: int = 128
    pattern: int = 2       # every second layer is global
    base_local: float = 1e4
    base_global: float = 1e6
    eps: float = 1e-6
    side: int = 126
    patch: int = 14
    pool: int = 3
    v_width: int = 128
    v_ff: int = 384
    v_layers: int = 5
    v_heads: int = 4

    @property
    def grid(self):
        return self.side // self.patch

    @property
    def soft_tokens(self):
        return (self.grid // self.pool) ** 2


TEXT, TOWER, PROJECTOR = "language_model.model.", "vision_tower.vision_model.", "multi_modal_projector."


def shapes(c):
    """name -> shape of every parameter."""
    q, kv = c.heads * c.head_dim, c.kv_heads * c.head_dim
    out = {TEXT + "embed_tokens.weight": (c.n_vocab, c.width)}
    for i in range(c.layers):
        p = f"{TEXT}layers.{i}."
        for norm in ("input_layernorm", "post_attention_layernorm", "pre_feedforward_layernorm",
                     "post_feedforward_layernorm"):
            out[f"{p}{norm}.weight"] = (c.width,)
        for name, shape in (("q_proj", (q, c.width)), ("k_proj", (kv, c.width)), ("v_proj", (kv, c.width)),
                            ("o_proj", (c.width, q)), ("q_norm", (c.head_dim,)), ("k_norm", (c.head_dim,))):
            out[f"{p}self_attn.{name}.weight"] = shape
        for name, shape in (("gate_proj", (c.ff, c.width)), ("up_proj", (c.ff, c.width)),
                            ("down_proj", (c.width, c.ff))):
            out[f"{p}mlp.{name}.weight"] = shape
    out[TEXT + "norm.weight"] = (c.width,)
    w = c.v_width
    out[TOWER + "embeddings.patch_embedding.weight"] = (w, 3, c.patch, c.patch)
    out[TOWER + "embeddings.patch_embedding.bias"] = (w,)
    out[TOWER + "embeddings.position_embedding.weight"] = (c.grid ** 2, w)
    for i in range(c.v_layers):
        p = f"{TOWER}encoder.layers.{i}."
        for norm in ("layer_norm1", "layer_norm2"):
            out[f"{p}{norm}.weight"] = out[f"{p}{norm}.bias"] = (w,)
        for name, rows, cols in (("self_attn.q_proj", w, w), ("self_attn.k_proj", w, w),
                                 ("self_attn.v_proj", w, w),
                                 ("self_attn.out_proj", w, w), ("mlp.fc1", c.v_ff, w),
                                 ("mlp.fc2", w, c.v_ff)):
            out[f"{p}{name}.weight"], out[f"{p}{name}.bias"] = (rows, cols), (rows,)
    out[TOWER + "post_layernorm.weight"] = out[TOWER + "post_layernorm.bias"] = (w,)
    out[PROJECTOR + "mm_soft_emb_norm.weight"] = (w,)
    out[PROJECTOR + "mm_input_projection_weight"] = (w, c.width)
    return out


def is_layer_norm(name):
    return "layer_norm" in name or "post_layernorm.w" in name


def initial(c, seed=1):
    """name -> tensor, float32."""
    g = torch.Generator().manual_seed(seed)
    out = {}
    for name, shape in shapes(c).items():
        if len(shape) == 1:
            out[name] = torch.ones(shape) if is_layer_norm(
                name) and name.endswith("weight") else torch.zeros(shape)
        elif "embed_tokens" in name or "position_embedding" in name:
            out[name] = torch.randn(shape, generator=g) * 0.03
        else:
            fan_in = shape[0] if name.endswith("projection_weight") else math.prod(shape[1:])
            out[name] = torch.randn(shape, generator=g) / math.sqrt(fan_in)
    return out


def q4_0(x):
    """What remains of x after ggml's Q4_0: blocks of 32 along the last dimension."""
    b = x.reshape(-1, 32)
    at = b.abs().argmax(-1, keepdim=True)
    d = b.gather(-1, at) / -8
    inverse = torch.where(d != 0, 1 / d, torch.zeros_like(d))
    q = torch.clamp((b * inverse + 8.5).floor(), max=15) - 8
    return (q * d.half().float()).reshape(x.shape)


def q8_0(x):
    b = x.reshape(-1, 32)
    d = b.abs().amax(-1, keepdim=True) / 127
    inverse = torch.where(d != 0, 1 / d, torch.zeros_like(d))
    return (torch.round(b * inverse) * d.half().float()).reshape(x.shape)


def is_q4_0(name):
    """What `peridot convert --type q4_0` stores so."""
    return name.startswith(TEXT + "layers.") and "_proj." in name


def quantized(params, straight_through=False):
    """The parameters as a Q4_0 file with a Q8_0 embedding and an F16 image encoder holds them."""
    out = {}
    for name, p in params.items():
        if is_q4_0(name):
            q = q4_0(p.detach() if straight_through else p)
        elif "embed_tokens" in name:
            q = q8_0(p.detach() if straight_through else p)
        else:
            q = p.half().float() if p.dim() == 2 and "position" not in name and not straight_through else p
        out[name] = p + (q - p).detach() if straight_through and q is not p else q
    return out


def fast_type():
    """bfloat16 where the processor multiplies it; elsewhere that takes nine times as long as float32."""
    with open("/proc/cpuinfo", encoding="utf-8") as f:
        return torch.bfloat16 if "avx512_bf16" in f.read() else torch.float32


FAST = fast_type()


def autocast(enabled=True):
    return torch.autocast("cpu", torch.bfloat16, enabled=enabled and FAST == torch.bfloat16)


# ---- image encoder --------------------------------------------------------------------------------

def patches(images, c):
    """uint8 [N, side, side, 3] -> float [N, P, 3 * patch * patch] in -1..1."""
    n, g, p = images.shape[0], c.grid, c.patch
    x = images.float() / 127.5 - 1
    x = x.reshape(n, g, p, g, p, 3).permute(0, 1, 3, 5, 2, 4)
    return x.reshape(n, g * g, 3 * p * p)


def tower(w, c, x):
    """patches [N, P, 588] -> soft tokens before the projector's norm [N, S, v_width], and the patches
    that they are means of [N, P, v_width]."""
    n, g = x.shape[0], c.grid
    e = TOWER + "embeddings."
    x = F.linear(x, w[e + "patch_embedding.weight"].reshape(c.v_width, -1), w[e + "patch_embedding.bias"])
    x = x.float() + w[e + "position_embedding.weight"]
    for i in range(c.v_layers):
        p = f"{TOWER}encoder.layers.{i}."

        def linear(name, y):
            return F.linear(y, w[f"{p}{name}.weight"], w[f"{p}{name}.bias"])

        def norm(name, y):
            return F.layer_norm(y, (c.v_width,), w[f"{p}{name}.weight"], w[f"{p}{name}.bias"], c.eps)
        y = norm("layer_norm1", x)
        q, k, v = (linear(f"self_attn.{m}_proj", y).view(
            n, g * g, c.v_heads, -1).transpose(1, 2) for m in "qkv")
        y = torch.softmax((q @ k.transpose(-1, -2)).float() * \
                          (c.v_width // c.v_heads) ** -0.5, -1).to(v.dtype) @ v
        x = x + linear("self_attn.out_proj", y.transpose(1, 2).reshape(n, g * g, -1))
        y = F.gelu(linear("mlp.fc1", norm("layer_norm2", x)), approximate="tanh")
        x = x + linear("mlp.fc2", y)
    x = F.layer_norm(x, (c.v_width,), w[TOWER + "post_layernorm.weight"],
                     w[TOWER + "post_layernorm.bias"], c.eps)
    s, k = g // c.pool, c.pool
    return x.view(n, s, k, s, k, c.v_width).mean((2, 4)).reshape(n, s * s, c.v_width), x


def rms_norm(x, weight, eps):
    x = x.float()
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + eps) * (1 + weight)


def project(w, c, pooled):
    """[N, S, v_width] -> [N, S, H]"""
    return rms_norm(pooled, w[PROJECTOR + "mm_soft_emb_norm.weight"], c.eps) @ w[
        PROJECTOR + "mm_input_projection_weight"]


# ---- text -----------------------------------------------------------------------------------------

def rope_table(c, n, base):
    """cos and sin [n, head_dim / 2]"""
    angle = torch.arange(n)[:, None] * base ** (-torch.arange(0, c.head_dim, 2) / c.head_dim)
    return angle.cos(), angle.sin()


def rotate(x, table):
    """x [B, heads, T, head_dim]; element j pairs with j + head_dim / 2."""
    a, b = x.chunk(2, -1)
    cos, sin = table
    return torch.cat((a * cos - b * sin, b * cos + a * sin), -1)


def masks(doc, image, c):
    """doc [B, T]: which text a position belongs to; image [B, T]: 0, or which picture. Returns what is
    added to scores, for local and global layers: [B, 1, T, T]."""
    t = doc.shape[1]
    at = torch.arange(t)
    same = doc[:, :, None] == doc[:, None, :]
    block = (image[:, :, None] == image[:, None, :]) & (image[:, :, None] > 0)
    seen = (at[:, None] >= at[None, :]) | block
    near = at[:, None] - at[None, :] < c.window
    out = []
    for visible in (same & seen & near, same & seen):
        out.append(torch.zeros(visible.shape).masked_fill(~visible, -1e9)[:, None])
    return out


def attention(q, k, v, mask, scale):
    """q [B, heads, T, d], k and v [B, kv, T, d] -> [B, heads, T, d]"""
    b, h, t, d = q.shape
    groups = h // k.shape[1]
    k, v = (x.repeat_interleave(groups, 1) for x in (k, v))
    scores = (q @ k.transpose(-1, -2)).float() * scale + mask
    return torch.softmax(scores, -1).to(v.dtype) @ v


def text(w, c, x, mask_local, mask_global):
    """x [B, T, H] -> the normed last state [B, T, H]."""
    b, t, _ = x.shape
    ropes = [rope_table(c, t, c.base_local), rope_table(c, t, c.base_global)]
    for i in range(c.layers):
        p = f"{TEXT}layers.{i}."
        is_global = i % c.pattern == c.pattern - 1

        def linear(name, y):
            return F.linear(y, w[f"{p}{name}.weight"])

        def norm(name, y):
            return rms_norm(y, w[f"{p}{name}.weight"], c.eps)
        y = norm("input_layernorm", x)
        q = linear("self_attn.q_proj", y).view(b, t, c.heads, -1).transpose(1, 2)
        k = linear("self_attn.k_proj", y).view(b, t, c.kv_heads, -1).transpose(1, 2)
        v = linear("self_attn.v_proj", y).view(b, t, c.kv_heads, -1).transpose(1, 2)
        q = rotate(norm("self_attn.q_norm", q), ropes[is_global]).to(v.dtype)
        k = rotate(norm("self_attn.k_norm", k), ropes[is_global]).to(v.dtype)
        y = attention(q, k, v, mask_global if is_global else mask_local, c.head_dim ** -0.5)
        y = linear("self_attn.o_proj", y.transpose(1, 2).reshape(b, t, -1))
        x = x + norm("post_attention_layernorm", y)
        y = norm("pre_feedforward_layernorm", x)
        y = F.gelu(linear("mlp.gate_proj", y), approximate="tanh") * linear("mlp.up_proj", y)
        x = x + norm("post_feedforward_layernorm", linear("mlp.down_proj", y))
    return rms_norm(x, w[TEXT + "norm.weight"], c.eps)


def embed(w, c, ids, given, places):
    """ids [B, T]; given [N, S, H] go to the flat positions places [N * S]."""
    x = F.embedding(ids, w[TEXT + "embed_tokens.weight"]) * math.sqrt(c.width)
    if given is None:
        return x
    flat = x.reshape(-1, c.width).index_copy(0, places, given.reshape(-1, c.width).to(x.dtype))
    return flat.view(x.shape)


def logits(w, x):
    return F.linear(x, w[TEXT + "embed_tokens.weight"]).float()
