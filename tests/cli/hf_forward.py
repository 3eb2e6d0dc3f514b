#!/usr/bin/env python3
"""Gemma 3's forward pass from a checkpoint in Hugging Face's layout: config.json and safetensors
files, nothing of Peridot's and no GGUF. float64 and as plain as the published model's own code,
which is where formulas, names and defaults come from. Compares what Peridot computed from the
converted file, and fails when the relative L2 distance is above LIMIT.

    logits HF TYPE EMBEDDING IDS GOT.f32 [PIXELS.f32]   IDS with commas; <image> takes the pixels
    image HF TYPE PIXELS.f32 GOT.f32

TYPE is that of the converted matrices, EMBEDDING of the embedding: f32, bf16 (both exact, as the
checkpoint is bf16), f16, q8_0, q4_0.  SPDX-License-Identifier: MIT"""
import json, os, sys
import numpy as np

LIMIT = 1e-5  # sums in float32 there, and 7 layers


# ---- values -------------------------------------------------------------------------------------
def read_safetensors(folder):
    out = {}
    for name in sorted(os.listdir(folder)):
        if not name.endswith(".safetensors"):
            continue
        data = np.fromfile(os.path.join(folder, name), np.uint8)
        n = int(data[:8].view("<u8")[0])
        for key, t in json.loads(data[8:8 + n].tobytes()).items():
            if key == "__metadata__":
                continue
            assert t["dtype"] == "BF16", key
            a, b = t["data_offsets"]
            wide = np.frombuffer(data[8 + n + a:8 + n + b].tobytes(), "<u2").astype("<u4") << 16
            out[key] = wide.view("<f4").reshape(t["shape"])
    return out


def stored(x, kind):
    """What is left of float32 values [rows, cols] in a stored type: blocks of 32 along cols."""
    if kind in ("f32", "bf16"):
        return x.astype(np.float64)
    if kind == "f16" or x.shape[-1] % 32:  # rows without whole blocks stay f16
        return x.astype("<f2").astype(np.float64)
    b = x.reshape(-1, 32)
    most = np.take_along_axis(b, np.abs(b).argmax(1)[:, None], 1)
    d = (most / np.float32(-8) if kind == "q4_0" else np.abs(most) / np.float32(127))
    inverse = np.divide(np.float32(1), d, out=np.zeros_like(d), where=d != 0)
    if kind == "q4_0":
        q = np.minimum(15, np.trunc(b * inverse + np.float32(8.5))) - 8
    else:
        q = np.trunc(np.abs(b * inverse) + np.float32(0.5)) * np.sign(b)
    return (d.astype("<f2").astype(np.float64) * q).reshape(x.shape)


# ---- operations ---------------------------------------------------------------------------------
def rms(x, w):
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + 1e-6) * (1 + w.astype(np.float64))


def layer_norm(x, w, b):
    x = x - x.mean(-1, keepdims=True)
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + 1e-6) * w + b


def gelu(x):
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


def attend(q, k, v, scale, mask=None):
    """[tokens, heads, width] each -> [tokens, heads * width]"""
    k, v = (np.repeat(t, q.shape[1] // t.shape[1], 1) for t in (k, v))
    s = np.einsum("ihd,jhd->hij", q, k) * scale
    if mask is not None:
        s = np.where(mask, s, -np.inf)
    s = np.exp(s - s.max(-1, keepdims=True))
    s /= s.sum(-1, keepdims=True)
    return np.einsum("hij,jhd->ihd", s, v).reshape(len(q), -1)


def rope(x, base, factor):
    half = x.shape[-1] // 2
    angle = np.arange(len(x))[:, None, None] * base**(-np.arange(half) / half) / factor
    a, b = x[..., :half], x[..., half:]
    return np.concatenate([a * np.cos(angle) - b * np.sin(angle),
                           b * np.cos(angle) + a * np.sin(angle)], -1)


# ---- the text model -----------------------------------------------------------------------------
class Text:
    def __init__(self, folder, kind, embedding):
        root = json.load(open(os.path.join(folder, "config.json")))
        self.c = root.get("text_config", root)
        self.prefix = "language_model.model." if "text_config" in root else "model."
        self.tensors, self.kind, self.embedding = read_safetensors(folder), kind, embedding

    def matrix(self, name):
        return stored(self.tensors[self.prefix + name + ".weight"], self.kind).T

    def norm(self, x, name):
        return rms(x, self.tensors[self.prefix + name + ".weight"])

    def layer(self, x, i, causal, near, same):
        c, p = self.c, "layers.%d." % i
        width = c.get("head_dim", 256)
        is_global = (i + 1) % c.get("sliding_window_pattern", 6) == 0
        scaling = c.get("rope_scaling") or {"factor": 1}
        h = self.norm(x, p + "input_layernorm")
        q, k, v = ((h @ self.matrix(p + "self_attn.%s_proj" % m)).reshape(len(x), -1, width)
                   for m in "qkv")
        base = c.get("rope_theta", 1e6) if is_global else c.get("rope_local_base_freq", 1e4)
        factor = scaling["factor"] if is_global else 1
        q = rope(self.norm(q, p + "self_attn.q_norm"), base, factor)
        k = rope(self.norm(k, p + "self_attn.k_norm"), base, factor)
        mask = (causal if is_global else causal & near) | same
        o = attend(q, k, v, c.get("query_pre_attn_scalar", 256)**-0.5, mask)
        o = o @ self.matrix(p + "self_attn.o_proj")
        x = x + self.norm(o, p + "post_attention_layernorm")
        h = self.norm(x, p + "pre_feedforward_layernorm")
        f = gelu(h @ self.matrix(p + "mlp.gate_proj")) * (h @ self.matrix(p + "mlp.up_proj"))
        f = f @ self.matrix(p + "mlp.down_proj")
        return x + self.norm(f, p + "post_feedforward_layernorm")

    def run(self, parts):
        """parts: ids, and [tokens, hidden] for each image -> logits of every position"""
        e = stored(self.tensors[self.prefix + "embed_tokens.weight"], self.embedding)
        rows, block = [], []
        for n, part in enumerate(parts):
            is_image = not isinstance(part, int)
            rows.append(part if is_image else e[part:part + 1] * np.sqrt(e.shape[1]))
            block += [n if is_image else -1 - n] * len(rows[-1])
        x, block = np.concatenate(rows), np.array(block)
        i, j = np.arange(len(x))[:, None], np.arange(len(x))[None]
        near = i - j < self.c.get("sliding_window", 4096)
        for layer in range(self.c["num_hidden_layers"]):
            x = self.layer(x, layer, j <= i, near, block[:, None] == block[None])
        return self.norm(x, "norm") @ e.T


# ---- the image encoder --------------------------------------------------------------------------
class Tower:
    def __init__(self, folder, kind):
        root = json.load(open(os.path.join(folder, "config.json")))
        self.c, self.n_out = root["vision_config"], root["mm_tokens_per_image"]
        self.tensors, self.kind = read_safetensors(folder), kind

    def get(self, name):
        return self.tensors["vision_tower.vision_model." + name]

    def linear(self, x, name):
        return x @ stored(self.get(name + ".weight"), self.kind).T + self.get(name + ".bias")

    def norm(self, x, name):
        return layer_norm(x, self.get(name + ".weight"), self.get(name + ".bias"))

    def layer(self, x, p):
        heads = self.c["num_attention_heads"]
        h = self.norm(x, p + "layer_norm1")
        q, k, v = (self.linear(h, p + "self_attn.%s_proj" % m).reshape(len(x), heads, -1)
                   for m in "qkv")
        o = attend(q, k, v, q.shape[-1]**-0.5)
        x = x + self.linear(o, p + "self_attn.out_proj")
        h = gelu(self.linear(self.norm(x, p + "layer_norm2"), p + "mlp.fc1"))
        return x + self.linear(h, p + "mlp.fc2")

    def run(self, path):
        """pixels [3, size, size] -> [tokens, hidden of the text model]"""
        size, patch = self.c["image_size"], self.c["patch_size"]
        side, out_side = size // patch, int(round(self.n_out**0.5))
        x = np.fromfile(path, "<f4").astype(np.float64).reshape(3, side, patch, side, patch)
        x = x.transpose(1, 3, 0, 2, 4).reshape(side * side, -1)
        w = self.get("embeddings.patch_embedding.weight")
        x = x @ w.reshape(len(w), -1).T.astype(np.float64)
        x = x + self.get("embeddings.patch_embedding.bias")
        x = x + self.get("embeddings.position_embedding.weight")
        for i in range(self.c["num_hidden_layers"]):
            x = self.layer(x, "encoder.layers.%d." % i)
        x = self.norm(x, "post_layernorm")
        pool = side // out_side
        x = x.reshape(out_side, pool, out_side, pool, -1).mean((1, 3)).reshape(self.n_out, -1)
        x = rms(x, self.tensors["multi_modal_projector.mm_soft_emb_norm.weight"])
        m = self.tensors["multi_modal_projector.mm_input_projection_weight"]
        return x @ stored(m, "f16" if self.kind.startswith("q") else self.kind)


# ---- comparing ----------------------------------------------------------------------------------
def compare(expected, path):
    got = np.fromfile(path, "<f4")
    got = got.reshape(len(expected), got.size // len(expected)).astype(np.float64)
    expected = expected[:, :got.shape[1]]  # without the embedding's spare rows
    assert got.shape == expected.shape, (got.shape, expected.shape)
    distance = np.linalg.norm(got - expected) / np.linalg.norm(expected)
    print("relative L2 %.2e, %d x %d" % ((distance,) + got.shape))
    sys.exit(0 if distance <= LIMIT else "relative L2 %.2e is above %g" % (distance, LIMIT))


command, folder, kind = sys.argv[1:4]
if command == "image":
    compare(Tower(folder, kind).run(sys.argv[4]), sys.argv[5])
else:
    embedding, ids, got = sys.argv[4:7]
    images = [Tower(folder, kind).run(path) for path in sys.argv[7:]]
    parts = [images.pop(0) if t == "<image>" else int(t) for t in ids.split(",")]
    compare(Text(folder, kind, embedding).run(parts), got)
