#!/usr/bin/env python3
"""What test_convert.sh needs: independent readers of safetensors and GGUF, the expected bytes of
every tensor by the layouts' definitions, and checkpoints in other forms. Standard library only.

    check HF GGUF TYPE EMBEDDING     every tensor and the metadata of a text file
    check-mmproj HF GGUF TYPE        of an image encoder
    sp-model HF OUT                  the tokenizer.json as a SentencePiece tokenizer.model
    cut-layers HF OUT N              the first N layers of the text model, without images
    rename HF OUT DTYPE              one file, newer names, values as F32 or F16
    lora HF OUT                      an adapter for some of the matrices
    check-lora HF LORA GGUF          W + alpha / r * B A, in an F32 file

SPDX-License-Identifier: MIT"""
import array, json, math, os, re, struct, sys

SIZES = {"BF16": 2, "F16": 2, "F32": 4}
TYPES = {0: ("F32", 1, 4), 1: ("F16", 1, 2), 2: ("Q4_0", 32, 18), 8: ("Q8_0", 32, 34),
         14: ("Q6_K", 256, 210), 30: ("BF16", 1, 2)}


def f32(x):
    return struct.unpack("<f", struct.pack("<f", x))[0]


# ---- safetensors --------------------------------------------------------------------------------
def read_safetensors(folder):
    """name -> (dtype, shape, bytes)"""
    out = {}
    for name in sorted(os.listdir(folder)):
        if not name.endswith(".safetensors"):
            continue
        data = open(os.path.join(folder, name), "rb").read()
        n, = struct.unpack_from("<Q", data)
        for key, t in json.loads(data[8:8 + n]).items():
            if key != "__metadata__":
                a, b = t["data_offsets"]
                out[key] = (t["dtype"], t["shape"], data[8 + n + a:8 + n + b])
    return out


def write_safetensors(path, tensors):
    header, at = {}, 0
    for name, (dtype, shape, data) in tensors.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + len(data)]}
        at += len(data)
    text = json.dumps(header).encode()
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text)
        for _, _, data in tensors.values():
            f.write(data)


def values(tensor):
    dtype, _, data = tensor
    if dtype == "BF16":
        wide = array.array("I", [h << 16 for h in array.array("H", data)])
        return array.array("f", wide.tobytes())
    if dtype == "F16":
        return array.array("f", struct.unpack("<%de" % (len(data) // 2), data))
    return array.array("f", data)


# ---- GGUF ---------------------------------------------------------------------------------------
def read_gguf(path):
    """metadata, name -> (type, ne, bytes)"""
    data = open(path, "rb").read()
    pos = 4
    scalar = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q",
              12: "d"}

    def take(fmt):
        nonlocal pos
        v, = struct.unpack_from("<" + fmt, data, pos)
        pos += struct.calcsize("<" + fmt)
        return v

    def text():
        nonlocal pos
        n = take("Q")
        pos += n
        return data[pos - n:pos].decode("utf-8", "surrogateescape")

    def value(kind):
        if kind == 8:
            return text()
        if kind == 9:
            item, n = take("I"), take("Q")
            return [value(item) for _ in range(n)]
        return take(scalar[kind])

    assert data[:4] == b"GGUF" and take("I") == 3
    n_tensors, n_values = take("Q"), take("Q")
    meta = {}
    for _ in range(n_values):
        key = text()
        meta[key] = value(take("I"))
    listed = []
    for _ in range(n_tensors):
        name = text()
        ne = [take("Q") for _ in range(take("I"))]
        listed.append((name, ne, take("I"), take("Q")))
    start = (pos + 31) // 32 * 32
    tensors = {}
    for name, ne, kind, offset in listed:
        type_name, block, size = TYPES[kind]
        n = size
        for d in ne:
            n *= d
        assert offset % 32 == 0
        tensors[name] = (type_name, ne, data[start + offset:start + offset + n // block])
    return meta, tensors


# ---- names --------------------------------------------------------------------------------------
TEXT = {
    "input_layernorm": "attn_norm", "post_attention_layernorm": "post_attention_norm",
    "pre_feedforward_layernorm": "ffn_norm", "post_feedforward_layernorm": "post_ffw_norm",
    "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output", "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
TOWER = {"layer_norm1": "ln1", "layer_norm2": "ln2", "self_attn.q_proj": "attn_q",
         "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
         "self_attn.out_proj": "attn_out", "mlp.fc1": "ffn_up", "mlp.fc2": "ffn_down"}
WHOLE = {
    "embeddings.patch_embedding.weight": "v.patch_embd.weight",
    "embeddings.patch_embedding.bias": "v.patch_embd.bias",
    "embeddings.position_embedding.weight": "v.position_embd.weight",
    "post_layernorm.weight": "v.post_ln.weight", "post_layernorm.bias": "v.post_ln.bias",
    "multi_modal_projector.mm_input_projection_weight": "mm.input_projection.weight",
    "multi_modal_projector.mm_soft_emb_norm.weight": "mm.soft_emb_norm.weight",
}


def gguf_name(name):
    """(is of the image encoder, name in GGUF) of a checkpoint's tensor in the released form"""
    for end, whole in WHOLE.items():
        if name.endswith(end):
            return True, whole
    vision = name.startswith("vision_tower.")
    m = re.search(r"layers\.(\d+)\.(.*)\.(weight|bias)$", name)
    if m:
        table = TOWER if vision else TEXT
        return vision, "%s.%s.%s.%s" % ("v.blk" if vision else "blk", m[1], table[m[2]], m[3])
    if name.endswith("embed_tokens.weight"):
        return False, "token_embd.weight"
    assert name.endswith("model.norm.weight"), name
    return False, "output_norm.weight"


# ---- stored forms -------------------------------------------------------------------------------
def q4_0(x):
    out = bytearray()
    for at in range(0, len(x), 32):
        b = x[at:at + 32]
        most = max(b, key=abs)
        d = f32(most / -8)
        inverse = f32(1 / d) if d else 0.0
        q = [min(15, int(f32(f32(v * inverse) + 8.5))) for v in b]
        out += struct.pack("<e", d) + bytes(q[i] | q[i + 16] << 4 for i in range(16))
    return bytes(out)


def q8_0(x):
    out = bytearray()
    for at in range(0, len(x), 32):
        b = x[at:at + 32]
        d = f32(max(abs(v) for v in b) / 127)
        inverse = f32(1 / d) if d else 0.0
        scaled = [f32(v * inverse) for v in b]
        q = [int(abs(v) + 0.5) * (1 if v >= 0 else -1) for v in scaled]
        out += struct.pack("<e32b", d, *q)
    return bytes(out)


def stored(x, type_name):
    if type_name == "F32":
        return x.tobytes()
    if type_name == "F16":
        return struct.pack("<%de" % len(x), *x)
    if type_name == "BF16":  # of values that came from bf16
        return array.array("H", x.tobytes())[1::2].tobytes()
    return {"Q4_0": q4_0, "Q8_0": q8_0}[type_name](x)


def is_norm(name):
    return name.endswith("norm.weight")


def expected_type(name, shape, kind, embedding, vision):
    if name == "token_embd.weight":
        return embedding
    if len(shape) != 2 or name in ("v.position_embd.weight", "v.patch_embd.weight"):
        return "F32"
    if name == "mm.input_projection.weight" and kind.startswith("Q"):
        return "F16"
    return kind if not kind.startswith("Q") or shape[1] % 32 == 0 else "F16"


def check_tensors(folder, path, kind, embedding, vision):
    meta, found = read_gguf(path)
    wanted = {}
    n_vocab = len(meta.get("tokenizer.ggml.tokens", []))
    for name, tensor in read_safetensors(folder).items():
        of_images, short = gguf_name(name)
        if of_images == vision:
            wanted[short] = tensor
    assert set(wanted) == set(found), set(wanted) ^ set(found)
    for name, tensor in wanted.items():
        shape = list(tensor[1])
        x = values(tensor)
        if name == "token_embd.weight":
            assert n_vocab <= shape[0]
            shape[0] = n_vocab
            x = x[:n_vocab * shape[1]]
        if is_norm(name):
            x = array.array("f", [v + 1.0 for v in x])
        type_name, ne, data = found[name]
        assert ne == shape[::-1], (name, ne, shape)
        assert type_name == expected_type(name, shape, kind, embedding, vision), (name, type_name)
        slow = type_name.startswith("Q") and ".blk.0." not in "." + name
        if type_name in ("Q6_K",) or (slow and name != "token_embd.weight"):
            assert any(data), name
            continue
        assert data == stored(x, type_name), "%s differs" % name
    expect(meta, {"general.size_label": size_label(sum(math.prod(ne) for _, ne, _ in found.values()))})
    return meta


def size_label(n):
    digits, unit = next((n / 10**e, unit) for e, unit in ((9, "B"), (6, "M"), (3, "K"))
                        if n >= 10**e or unit == "K")
    whole = str(round(digits)).lstrip("0")
    return "%.*f%s" % (max(2 - len(whole), 0), digits, unit)


FILE_TYPES = {"F32": 0, "F16": 1, "Q4_0": 2, "Q8_0": 7, "BF16": 32}


def expect(meta, wanted):
    for key, value in wanted.items():
        got = meta.get(key)
        if isinstance(value, float):
            value = f32(value)
        assert got == value, "%s is %r, expected %r" % (key, got, value)


def check_text(folder, path, kind, embedding):
    meta = check_tensors(folder, path, kind, embedding, False)
    config = json.load(open(os.path.join(folder, "config.json")))
    text = config.get("text_config", config)
    expect(meta, {
        "general.architecture": "gemma3", "general.file_type": FILE_TYPES[kind],
        "general.sampling.top_k": 64, "general.sampling.top_p": 0.95, "general.sampling.temp": None,
        "gemma3.embedding_length": text["hidden_size"],
        "gemma3.block_count": text["num_hidden_layers"],
        "gemma3.feed_forward_length": text["intermediate_size"],
        "gemma3.attention.head_count": text["num_attention_heads"],
        "gemma3.attention.head_count_kv": text["num_key_value_heads"],
        "gemma3.attention.key_length": text.get("head_dim", 256),
        "gemma3.attention.value_length": text.get("head_dim", 256),
        "gemma3.attention.sliding_window": text["sliding_window"],
        "gemma3.context_length": text.get("max_position_embeddings", 131072),
        "gemma3.attention.layer_norm_rms_epsilon": 1e-6,
        "gemma3.rope.freq_base": 1e6, "gemma3.rope.freq_base_swa": 1e4,
        "gemma3.rope.scaling.factor": (text.get("rope_scaling") or {}).get("factor"),
        "tokenizer.ggml.model": "llama", "tokenizer.ggml.pre": "default",
        "tokenizer.ggml.bos_token_id": 2, "tokenizer.ggml.eos_token_id": 1,
        "tokenizer.ggml.unknown_token_id": 3, "tokenizer.ggml.padding_token_id": 0,
        "tokenizer.ggml.add_bos_token": True, "tokenizer.ggml.add_eos_token": False,
        "tokenizer.ggml.add_space_prefix": False,
        "tokenizer.chat_template": json.load(
            open(os.path.join(folder, "tokenizer_config.json")))["chat_template"],
    })
    check_vocab(folder, meta)


def check_vocab(folder, meta):
    root = json.load(open(os.path.join(folder, "tokenizer.json")))
    tokens = [None] * len(root["model"]["vocab"])
    for piece, i in root["model"]["vocab"].items():
        tokens[i] = piece
    types = [6 if re.fullmatch("<0x[0-9A-F]{2}>", t) else 1 for t in tokens]
    scores = [0.0 if i < 494 else 494.0 - i for i in range(len(tokens))]
    config = json.load(open(os.path.join(folder, "config.json")))
    n_vocab = config.get("text_config", config).get("vocab_size", len(tokens))
    for i in range(len(tokens), n_vocab):
        tokens.append("[PAD%d]" % i)
        types.append(5)
        scores.append(-1000.0)
    for added in root["added_tokens"]:
        i = added["id"]
        if i >= len(tokens):
            continue
        control = added["special"] or i == 4 or tokens[i].startswith("<unused")
        types[i], scores[i] = (3 if control else 4), -1000.0
        if not control:
            tokens[i] = tokens[i].replace("\u2581", " ")
    assert meta["tokenizer.ggml.tokens"] == tokens
    assert meta["tokenizer.ggml.token_type"] == types
    assert meta["tokenizer.ggml.scores"] == scores


def check_mmproj(folder, path, kind):
    meta = check_tensors(folder, path, kind, None, True)
    config = json.load(open(os.path.join(folder, "config.json")))
    v = config["vision_config"]
    expect(meta, {
        "general.architecture": "clip", "general.type": "mmproj",
        "general.file_type": FILE_TYPES[kind], "clip.has_vision_encoder": True,
        "clip.projector_type": "gemma3", "clip.use_gelu": True,
        "clip.vision.image_size": v["image_size"], "clip.vision.patch_size": v["patch_size"],
        "clip.vision.embedding_length": v["hidden_size"],
        "clip.vision.feed_forward_length": v["intermediate_size"],
        "clip.vision.block_count": v["num_hidden_layers"],
        "clip.vision.projection_dim": config["text_config"]["hidden_size"],
        "clip.vision.attention.head_count": v["num_attention_heads"],
        "clip.vision.attention.layer_norm_epsilon": 1e-6,
        "clip.vision.image_mean": [0.5] * 3, "clip.vision.image_std": [0.5] * 3,
        "clip.vision.projector.scale_factor": None,
    })


# ---- checkpoints in other forms -----------------------------------------------------------------
def write_sp_model(folder, out):
    root = json.load(open(os.path.join(folder, "tokenizer.json")))
    added = {a["id"]: a for a in root["added_tokens"]}

    def varint(n):
        b = bytearray()
        while n > 127:
            b.append(n & 127 | 128)
            n >>= 7
        return bytes(b + bytes([n]))

    def message(number, data):
        return varint(number << 3 | 2) + varint(len(data)) + data

    with open(out, "wb") as f:
        for piece, i in sorted(root["model"]["vocab"].items(), key=lambda p: p[1]):
            body = message(1, piece.encode())
            body += struct.pack("<Bf", 2 << 3 | 5, 0.0 if i < 494 else 494.0 - i)
            if i in added:
                body += varint(3 << 3) + varint(2 if i == 3 else 3 if added[i]["special"] else 4)
            elif re.fullmatch("<0x[0-9A-F]{2}>", piece):
                body += varint(3 << 3) + varint(6)
            f.write(message(1, body))
        f.write(message(2, varint(3 << 3) + varint(2)))  # a trainer's setting


def rename(folder, out, dtype):
    tensors = {}
    for name, t in read_safetensors(folder).items():
        name = name.replace("language_model.model.", "model.language_model.")
        name = re.sub(r"^(vision_tower|multi_modal)", r"model.\1", name)
        tensors[name] = (dtype, t[1], stored(values(t), dtype))
    embedding = next(t for n, t in tensors.items() if n.endswith("embed_tokens.weight"))
    tensors["lm_head.weight"] = embedding  # a tied one that was saved all the same
    write_safetensors(os.path.join(out, "model.safetensors"), tensors)
    config = json.load(open(os.path.join(folder, "config.json")))
    text = config["text_config"]
    text["rope_parameters"] = {
        "full_attention": {"rope_type": "default", "rope_theta": 1000000.0},
        "sliding_attention": {"rope_type": "default", "rope_theta": 10000.0}}
    text["layer_types"] = ["full_attention" if i % 6 == 5 else "sliding_attention"
                           for i in range(text["num_hidden_layers"])]
    json.dump(config, open(os.path.join(out, "config.json"), "w"))


def cut_layers(folder, out, n):
    os.mkdir(out)
    tensors = {}
    for name, t in read_safetensors(folder).items():
        m = re.search(r"^language_model\..*layers\.(\d+)\.", name)
        if name.startswith("language_model.") and (not m or int(m[1]) < int(n)):
            tensors[name] = t
    write_safetensors(os.path.join(out, "model.safetensors"), tensors)
    config = json.load(open(os.path.join(folder, "config.json")))["text_config"]
    config["num_hidden_layers"] = int(n)
    json.dump(config, open(os.path.join(out, "config.json"), "w"))
    with open(os.path.join(out, "tokenizer.json"), "wb") as f:
        f.write(open(os.path.join(folder, "tokenizer.json"), "rb").read())


LORA = ("layers.0.self_attn.q_proj", "layers.1.mlp.down_proj", "layers.2.mlp.gate_proj")
RANK, ALPHA = 4, 6


def lora(folder, out):
    tensors, seed = {}, 1
    for name, (_, shape, _) in read_safetensors(folder).items():
        if not any(name.endswith(m + ".weight") for m in LORA) or name.startswith("vision"):
            continue
        for side, dims in (("A", [RANK, shape[1]]), ("B", [shape[0], RANK])):
            x = array.array("f")
            for _ in range(dims[0] * dims[1]):
                seed = (seed * 1103515245 + 12345) % (1 << 31)
                x.append(seed / (1 << 31) - 0.5)
            key = "base_model.model.%s.lora_%s.weight" % (name[:-len(".weight")], side)
            tensors[key] = ("F32", dims, x.tobytes())
    assert len(tensors) == 2 * len(LORA)
    write_safetensors(os.path.join(out, "adapter_model.safetensors"), tensors)
    json.dump({"peft_type": "LORA", "r": RANK, "lora_alpha": ALPHA, "use_dora": False,
               "modules_to_save": None, "alpha_pattern": {}},
              open(os.path.join(out, "adapter_config.json"), "w"))


def check_lora(folder, adapter, path):
    _, found = read_gguf(path)
    sides = read_safetensors(adapter)
    changed = 0
    for name, tensor in read_safetensors(folder).items():
        of_images, short = gguf_name(name)
        if of_images or is_norm(short) or short == "token_embd.weight":
            continue
        x, y = values(tensor), array.array("f", found[short][2])
        key = "base_model.model.%s.lora_%%s.weight" % name[:-len(".weight")]
        if key % "A" not in sides:
            assert x == y, "%s was changed" % short
            continue
        a, b = values(sides[key % "A"]), values(sides[key % "B"])
        rows, cols = tensor[1]
        for r in range(rows):
            for c in range(cols):
                terms = [b[r * RANK + k] * a[k * cols + c] for k in range(RANK)]
                w = x[r * cols + c]
                exact = w + ALPHA / RANK * sum(terms)
                # every sum and product rounds once: RANK products and sums, the scale, the last sum
                bound = (2 * RANK + 2) * 2.0**-24 * (abs(w) + ALPHA / RANK * sum(map(abs, terms)))
                assert abs(y[r * cols + c] - exact) <= bound, (short, r, c)
        changed += x != y
    assert changed == len(LORA)


COMMANDS = {"check": check_text, "check-mmproj": check_mmproj, "sp-model": write_sp_model,
            "rename": rename, "cut-layers": cut_layers, "lora": lora, "check-lora": check_lora}
COMMANDS[sys.argv[1]](*sys.argv[2:])
