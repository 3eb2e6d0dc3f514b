"""A checkpoint with the tensors of google/gemma-3-4b-it-qat-q4_0-unquantized and random values,
through `peridot convert --type q4_0`: what the files hold, how fast, and in how much memory.

    run.sh qat [--keep]      8.6 GB of checkpoint and 3.4 GB of files under build/, then removed

Names and shapes are those that transformers' classes have for the released config.json; that their
bytes are the published index's total_size says that none is missing. Two shards of at most 5 GB.
Keys and types are compared with what llama.cpp's conversion (commit 00bd27a6) and its quantiser
write for this checkpoint; every difference is printed, and must be one of KNOWN. Some rows are
quantised here too, by the formula of ggml's reference, and must be equal byte for byte.

SPDX-License-Identifier: MIT
"""
import argparse
import json
import os
import re
import resource
import shutil
import struct
import subprocess
import sys
import time

import numpy as np
import torch
from transformers import Gemma3Config, Gemma3ForConditionalGeneration

import texts
from common import PERIDOT, ROOT, Report

PUBLISHED_BYTES = 8600158944  # metadata.total_size of the released 4B's index
SHARD_BYTES = 5 * 10**9
PIECE = 1 << 24  # values written at once
NAME = "gemma-3-4b-it-qat-q4_0"

CONFIG = {  # the released one: what is a default is left out
    "architectures": ["Gemma3ForConditionalGeneration"], "boi_token_index": 255999,
    "eoi_token_index": 256000, "eos_token_id": [1, 106], "image_token_index": 262144,
    "initializer_range": 0.02, "mm_tokens_per_image": 256, "model_type": "gemma3",
    "text_config": {"hidden_size": 2560, "intermediate_size": 10240, "model_type": "gemma3_text",
                    "num_hidden_layers": 34, "sliding_window": 1024,
                    "rope_scaling": {"factor": 8.0, "rope_type": "linear"}},
    "torch_dtype": "bfloat16", "transformers_version": "4.50.0.dev0",
    "vision_config": {"hidden_size": 1152, "image_size": 896, "intermediate_size": 4304,
                      "model_type": "siglip_vision_model", "num_attention_heads": 16,
                      "num_hidden_layers": 27, "patch_size": 14, "vision_use_head": False}}
GENERATION = {"bos_token_id": 2, "cache_implementation": "hybrid", "do_sample": True,
              "eos_token_id": [1, 106], "pad_token_id": 0, "top_k": 64, "top_p": 0.95}
PREPROCESSOR = {"do_normalize": True, "image_mean": [0.5] * 3, "image_std": [0.5] * 3,
                "image_processor_type": "Gemma3ImageProcessor", "image_seq_length": 256, "resample": 2,
                "rescale_factor": 1 / 255, "size": {"height": 896, "width": 896}}

# key: (type of GGUF, value; None: any), as llama.cpp writes them
G = "gemma3."
TEXT_KEYS = {
    "general.architecture": ("str", "gemma3"), "general.type": ("str", "model"),
    "general.name": ("str", None), "general.size_label": ("str", None),
    "general.file_type": ("u32", 2), "general.quantization_version": ("u32", 2),
    "general.sampling.top_k": ("i32", 64), "general.sampling.top_p": ("f32", 0.95),
    G + "context_length": ("u32", 131072), G + "embedding_length": ("u32", 2560),
    G + "block_count": ("u32", 34), G + "feed_forward_length": ("u32", 10240),
    G + "attention.head_count": ("u32", 8), G + "attention.head_count_kv": ("u32", 4),
    G + "attention.key_length": ("u32", 256), G + "attention.value_length": ("u32", 256),
    G + "attention.layer_norm_rms_epsilon": ("f32", 1e-6),
    G + "attention.sliding_window": ("u32", 1024), G + "rope.freq_base": ("f32", 1e6),
    G + "rope.freq_base_swa": ("f32", 1e4), G + "rope.scaling.type": ("str", "linear"),
    G + "rope.scaling.factor": ("f32", 8.0), "tokenizer.ggml.model": ("str", "llama"),
    "tokenizer.ggml.pre": ("str", "default"), "tokenizer.ggml.tokens": ("[str]", 262208),
    "tokenizer.ggml.scores": ("[f32]", 262208), "tokenizer.ggml.token_type": ("[i32]", 262208),
    "tokenizer.ggml.bos_token_id": ("u32", 2), "tokenizer.ggml.eos_token_id": ("u32", 106),
    "tokenizer.ggml.unknown_token_id": ("u32", 3), "tokenizer.ggml.padding_token_id": ("u32", 0),
    "tokenizer.ggml.add_bos_token": ("bool", True), "tokenizer.ggml.add_eos_token": ("bool", False),
    "tokenizer.ggml.add_space_prefix": ("bool", False), "tokenizer.chat_template": ("str", None)}
C = "clip.vision."
VISION_KEYS = {
    "general.architecture": ("str", "clip"), "general.type": ("str", "mmproj"),
    "general.name": ("str", None), "general.size_label": ("str", None),
    "general.file_type": ("u32", 1), "general.quantization_version": ("u32", 2),
    "clip.has_vision_encoder": ("bool", True), "clip.projector_type": ("str", "gemma3"),
    "clip.use_gelu": ("bool", True), C + "projection_dim": ("u32", 2560),
    C + "image_size": ("u32", 896), C + "patch_size": ("u32", 14), C + "embedding_length": ("u32", 1152),
    C + "feed_forward_length": ("u32", 4304), C + "block_count": ("u32", 27),
    C + "attention.head_count": ("u32", 16), C + "attention.layer_norm_epsilon": ("f32", 1e-6),
    C + "image_mean": ("[f32]", 3), C + "image_std": ("[f32]", 3)}

# Differences that are meant.
KNOWN = {
    "tokenizer.ggml.tokens", "tokenizer.ggml.scores", "tokenizer.ggml.token_type",  # no padding,
    # as in Google's own files: a config.json without vocab_size leaves it to the tokenizer
}
TYPES = {0: "F32", 1: "F16", 2: "Q4_0", 8: "Q8_0", 14: "Q6_K", 30: "BF16"}


# ---- the checkpoint -----------------------------------------------------------------------------


def tensor_list():
    """[(published name, shape)] of the classes of transformers, without any memory."""
    config = Gemma3Config.from_dict(json.loads(json.dumps(CONFIG)))
    with torch.device("meta"):
        model = Gemma3ForConditionalGeneration(config)
    out = []
    for name, p in model.named_parameters():
        name = re.sub(r"^model\.language_model\.", "language_model.model.", name)
        name = re.sub(r"^model\.vision_tower\.(vision_model\.)?", "vision_tower.vision_model.", name)
        out.append((re.sub(r"^model\.multi_modal", "multi_modal", name), tuple(p.shape)))
    return sorted(out)


def shards_of(tensors):
    """Greedily, as save_pretrained cuts."""
    shards, n_bytes = [[]], 0
    for name, shape in tensors:
        size = 2 * int(np.prod(shape))
        if shards[-1] and n_bytes + size > SHARD_BYTES:
            shards.append([])
            n_bytes = 0
        shards[-1].append((name, shape))
        n_bytes += size
    return shards


class Values:
    """bf16 values around 0: pieces of one random block, at offsets that differ."""

    def __init__(self):
        rng = np.random.default_rng(3)
        wide = rng.standard_normal(PIECE + (1 << 20), dtype=np.float32) * np.float32(0.02)
        self.block = (wide.view(np.uint32) >> 16).astype(np.uint16)
        self.at = 0

    def take(self, n):
        """The next n of at most PIECE."""
        self.at = (self.at + 77777) % (1 << 20)
        return self.block[self.at:self.at + n]


def write_shard(path, tensors, values):
    """One safetensors file."""
    header, at = {"__metadata__": {"format": "pt"}}, 0
    for name, shape in tensors:
        n = 2 * int(np.prod(shape))
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [at, at + n]}
        at += n
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text)
        for _, shape in tensors:
            left = int(np.prod(shape))
            while left:
                n = min(left, PIECE)
                f.write(values.take(n).tobytes())
                left -= n


def write_checkpoint(folder, tensors):
    """All files of the repository that a converter reads."""
    os.makedirs(folder)
    shards, values, where = shards_of(tensors), Values(), {}
    for i, shard in enumerate(shards):
        name = f"model-{i + 1:05}-of-{len(shards):05}.safetensors"
        write_shard(os.path.join(folder, name), shard, values)
        where.update({tensor: name for tensor, _ in shard})
    total = sum(2 * int(np.prod(shape)) for _, shape in tensors)
    for name, root in [("config.json", CONFIG), ("generation_config.json", GENERATION),
                       ("preprocessor_config.json", PREPROCESSOR),
                       ("model.safetensors.index.json",
                        {"metadata": {"total_size": total}, "weight_map": where})]:
        with open(os.path.join(folder, name), "w") as f:
            json.dump(root, f, indent=2)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(os.path.join(texts.folder(), name), folder)
    return len(shards)


def read_rows(folder, name, first, n):
    """Rows of a tensor as float32."""
    with open(os.path.join(folder, "model.safetensors.index.json")) as f:
        path = os.path.join(folder, json.load(f)["weight_map"][name])
    with open(path, "rb") as f:
        size = struct.unpack("<Q", f.read(8))[0]
        tensor = json.loads(f.read(size))[name]
        width = tensor["shape"][-1]
        f.seek(8 + size + tensor["data_offsets"][0] + 2 * first * width)
        return (np.frombuffer(f.read(2 * n * width), "<u2").astype("<u4") << 16).view("<f4")


# ---- GGUF ---------------------------------------------------------------------------------------


class Gguf:
    """Keys and tensors of a file."""

    NUMBERS = {0: ("u8", "<B"), 1: ("i8", "<b"), 2: ("u16", "<H"), 3: ("i16", "<h"), 4: ("u32", "<I"),
               5: ("i32", "<i"), 6: ("f32", "<f"), 7: ("bool", "<?"), 10: ("u64", "<Q"),
               11: ("i64", "<q"), 12: ("f64", "<d")}

    def __init__(self, path):
        self.file = open(path, "rb")
        magic, version, n_tensors, n_keys = self.unpack("<4sIqq")
        assert magic == b"GGUF" and version == 3
        self.keys = dict(self.read_key() for _ in range(n_keys))
        self.tensors = dict(self.read_tensor() for _ in range(n_tensors))
        self.data = -(-self.file.tell() // 32) * 32

    def unpack(self, form):
        """Values of a struct."""
        return struct.unpack(form, self.file.read(struct.calcsize(form)))

    def text(self):
        """A string."""
        return self.file.read(self.unpack("<Q")[0]).decode()

    def read_key(self):
        """(key, (type, value)); of a list its length."""
        key, kind = self.text(), self.unpack("<i")[0]
        if kind == 8:
            return key, ("str", self.text())
        if kind != 9:
            name, form = self.NUMBERS[kind]
            return key, (name, self.unpack(form)[0])
        kind, n = self.unpack("<iQ")
        if kind == 8:
            for _ in range(n):
                self.text()
            return key, ("[str]", n)
        name, form = self.NUMBERS[kind]
        self.file.seek(struct.calcsize(form) * n, 1)
        return key, (f"[{name}]", n)

    def read_tensor(self):
        """(name, (shape, type, offset))"""
        name, n_dims = self.text(), self.unpack("<I")[0]
        shape = self.unpack(f"<{n_dims}q")
        return name, (shape, *self.unpack("<iQ"))

    def bytes_at(self, name, at, n):
        """Bytes of a tensor's data."""
        self.file.seek(self.data + self.tensors[name][2] + at)
        return self.file.read(n)


def q4_0(x):
    """ggml's reference quantiser: bytes of float32 values."""
    b = x.reshape(-1, 32)
    most = np.take_along_axis(b, np.abs(b).argmax(1)[:, None], 1)
    d = most / np.float32(-8)
    inverse = np.divide(np.float32(1), d, out=np.zeros_like(d), where=d != 0)
    q = np.minimum(15, np.trunc(b * inverse + np.float32(8.5))).astype(np.uint8)
    return np.concatenate([d.astype("<f2").view(np.uint8), q[:, :16] | q[:, 16:] << 4], 1).tobytes()


# ---- comparing ----------------------------------------------------------------------------------


def compare_keys(report, name, got, want):
    """Every key, its type and its value."""
    differences = []
    for key in sorted(set(got) | set(want)):
        if key not in got or key not in want:
            differences.append((key, f"{key} is {'missing' if key not in got else 'added'}"))
            continue
        (kind, value), (other_kind, other) = got[key], want[key]
        same = other is None or value == other or \
            isinstance(other, float) and abs(value - other) <= 1e-6 * abs(other)
        if kind != other_kind or not same:
            differences.append((key, f"{key} is {kind} {value}, not {other_kind} {other}"))
    for _, sentence in differences:
        print("     ", sentence)
    wrong = [key for key, _ in differences if key not in KNOWN]
    report.check(not wrong, f"{name}: keys", f"{len(got)} keys, {len(differences)} differences, "
                 f"{len(wrong)} not meant{': ' + ', '.join(wrong) if wrong else ''}")


def expected_text_type(name):
    """As llama-quantize q4_0 stores it."""
    if name == "token_embd.weight":
        return "Q6_K"
    return "F32" if name.endswith("norm.weight") else "Q4_0"


def expected_vision_type(name, shape):
    """As the conversion to f16 stores it."""
    if name in ("v.patch_embd.weight", "v.position_embd.weight") or len(shape) == 1:
        return "F32"
    return "F16"


def compare_types(report, name, tensors, expected, n):
    """Names are checked by their number, and by the program that reads them."""
    counts = {}
    wrong = []
    for tensor, (shape, kind, _) in tensors.items():
        kind = TYPES.get(kind, str(kind))
        counts[kind] = counts.get(kind, 0) + 1
        if kind != expected(tensor, shape):
            wrong.append(f"{tensor} {kind}")
    report.check(not wrong and len(tensors) == n, f"{name}: tensors",
                 f"{len(tensors)} of {n}, {counts}" + (f"; other types: {wrong[:5]}" if wrong else ""))


def compare_bytes(report, folder, gguf):
    """Rows of some matrices, quantised here."""
    wrong = n = 0
    for layer in (0, 17, 33):
        for ours, theirs in [("attn_q", "self_attn.q_proj"), ("ffn_down", "mlp.down_proj"),
                             ("attn_v", "self_attn.v_proj"), ("ffn_gate", "mlp.gate_proj")]:
            source = f"language_model.model.layers.{layer}.{theirs}.weight"
            name = f"blk.{layer}.{ours}.weight"
            width, rows = gguf.tensors[name][0]
            for first in (0, rows // 2, rows - 8):
                want = q4_0(read_rows(folder, source, first, 8))
                row_bytes = width // 32 * 18
                wrong += gguf.bytes_at(name, first * row_bytes, len(want)) != want
                n += 1
    report.check(wrong == 0, "text: bytes", f"{n} times 8 rows of q4_0, {wrong} different")


def high_water_mib(pid):
    """The most memory that a process has had; 0 when it is over."""
    try:
        with open(f"/proc/{pid}/status") as f:
            found = re.search(r"VmHWM:\s*(\d+) kB", f.read())
    except OSError:
        return 0
    return int(found[1]) / 1024 if found else 0


def convert(report, folder, out):
    """Runs the program; prints seconds, rate and peak memory."""
    start, peak = time.time(), 0
    process = subprocess.Popen([PERIDOT, "convert", folder, "-o", out, "--type", "q4_0"],
                               stderr=subprocess.PIPE, text=True)
    while process.poll() is None:  # ru_maxrss would be that of this program, before its exec
        time.sleep(0.2)
        peak = max(peak, high_water_mib(process.pid))
    seconds, sentences = time.time() - start, process.stderr.read()
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = used.ru_utime + used.ru_stime
    report.check(process.returncode == 0, "convert",
                 f"{seconds:.0f} s, {PUBLISHED_BYTES / seconds / 1e6:.0f} MB/s, {cpu:.0f} s of processors, "
                 f"peak {peak:.0f} MiB ({os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}); "
                 + sentences.strip().replace("\n", "; ").replace(os.path.dirname(out) + "/", ""))
    return process.returncode == 0


def compare_qat(report, work):
    """From the checkpoint to the comparisons."""
    folder, out = os.path.join(work, NAME + "-unquantized"), os.path.join(work, NAME + ".gguf")
    tensors = tensor_list()
    total = sum(2 * int(np.prod(shape)) for _, shape in tensors)
    report.check(total == PUBLISHED_BYTES, "tensor list", f"{len(tensors)} tensors, {total} bytes")
    n_shards = write_checkpoint(folder, tensors)
    report.check(n_shards == 2, "shards", f"{n_shards}, and the released one has 2")
    if not convert(report, folder, out):
        return
    text, vision = Gguf(out), Gguf(os.path.join(work, f"mmproj-{NAME}.gguf"))
    compare_keys(report, "text", text.keys, TEXT_KEYS)
    compare_keys(report, "images", vision.keys, VISION_KEYS)
    compare_types(report, "text", text.tensors, lambda name, _: expected_text_type(name), 444)
    compare_types(report, "images", vision.tensors, expected_vision_type, 439)
    compare_bytes(report, folder, text)
    result = subprocess.run([PERIDOT, "run", "-m", out, "-p", "Hi", "-n", "2", "--ignore-eos", "--ids",
                             "--device", "cpu", "--temp", "0", "-c", "512"], capture_output=True, text=True)
    report.check(result.returncode == 0, "run", f"ids {result.stdout.strip()}"
                 if result.returncode == 0 else result.stderr.strip()[-300:])


def main():
    """Makes the folder, and removes it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--keep", action="store_true", help="leave the files")
    keep = parser.parse_args().keep
    work = os.path.join(ROOT, "build", "reference-qat")
    shutil.rmtree(work, ignore_errors=True)
    if not texts.folder():
        print("skipped: the tokenizer's files are not there (npm)")
        return 77
    if shutil.disk_usage(ROOT).free < 16e9:
        print("skipped: there is less than 16 GB of disk")
        return 77
    os.makedirs(work)
    report = Report()
    try:
        report.attempt("qat", compare_qat, report, work)
    finally:
        if not keep:
            shutil.rmtree(work)
    return report.finish()


if __name__ == "__main__":
    sys.exit(main())
