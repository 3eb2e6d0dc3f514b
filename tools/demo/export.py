#!/usr/bin/env python3
"""Writes the toy as a Hugging Face checkpoint, which `peridot convert` reads.

    tools/demo/export.py [--from FILE] [--into DIR]

FILE is a state.pt of train.py or a model.safetensors. Weights are written as BF16, but with
--exact as F32; matrices that Q4_0 rounds are better rounded from F32.

SPDX-License-Identifier: MIT
"""
import argparse
import json
import os

import torch
from safetensors.torch import load_file, save_file

import model as m
import tokenizer as tk

HERE = os.path.dirname(os.path.abspath(__file__))
TEMPLATE = (
    "{{ bos_token }}{% if messages[0]['role'] == 'system' %}{% set first = messages[0]['content'] + "
    "'\\n\\n' %}"
    "{% set rest = messages[1:] %}{% else %}{% set first = '' %}{% set rest = messages %}{% endif %}"
    "{% for message in rest %}{{ '<start_of_turn>' + ('model' if message['role'] == 'assistant' else "
    "message['role'])"
    " + '\\n' + (first if loop.first else '') }}{% if message['content'] is string %}"
    "{{ message['content'] | trim }}{% else %}{% for item in message['content'] %}{% if item['type'] == 'image' %}"
    "{{ '<start_of_image>' }}{% else %}{{ item['text'] | trim }}{% endif %}{% endfor %}{% endif %}"
    "{{ '<end_of_turn>\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<start_of_turn>model\\n' }}{% "
    "endif %}")


def load_all(path):
    """name -> float32 tensor, the heads for labels included if there are."""
    tensors = load_file(path) if path.endswith(".safetensors") else torch.load(path)["params"]
    return {n: t.float() for n, t in tensors.items()}


def load(path):
    """name -> float32 tensor, without what only training needs."""
    return {n: t for n, t in load_all(path).items() if not n.startswith("aux.")}


def config(c):
    return {
        "architectures": ["Gemma3ForConditionalGeneration"], "model_type": "gemma3",
        "boi_token_index": tk.START_OF_IMAGE, "eoi_token_index": tk.END_OF_IMAGE,
        "image_token_index": 262144, "eos_token_id": [tk.EOS, tk.END_OF_TURN],
        "mm_tokens_per_image": c.soft_tokens, "tie_word_embeddings": True, "torch_dtype": "bfloat16",
        "text_config": {
            "model_type": "gemma3_text", "vocab_size": c.n_vocab, "hidden_size": c.width,
            "intermediate_size": c.ff,
            "num_hidden_layers": c.layers, "num_attention_heads": c.heads, "num_key_value_heads": c.kv_heads,
            "head_dim": c.head_dim, "query_pre_attn_scalar": c.head_dim, "sliding_window": c.window,
            "sliding_window_pattern": c.pattern, "rope_theta": c.base_global,
            "rope_local_base_freq": c.base_local,
            "rms_norm_eps": c.eps, "max_position_embeddings": 2048, "hidden_activation": "gelu_pytorch_tanh"},
        "vision_config": {
            "model_type": "siglip_vision_model", "hidden_size": c.v_width, "intermediate_size": c.v_ff,
            "num_hidden_layers": c.v_layers, "num_attention_heads": c.v_heads, "image_size": c.side,
            "patch_size": c.patch, "layer_norm_eps": c.eps, "hidden_act": "gelu_pytorch_tanh",
            "vision_use_head": False}}


def write_json(path, value):
    with open(path, "w", encoding="utf-8") as f:
        json.dump(value, f, indent=1)
        f.write("\n")


def export(params, c, tokens, into, exact):
    os.makedirs(into, exist_ok=True)
    kind = torch.float32 if exact else torch.bfloat16
    for file in ("model", "labels"):  # no converter reads the latter; train.py --from does
        part = {n: t.detach().to(kind).contiguous() for n, t in params.items()
                if n.startswith("aux.") == (file == "labels")}
        if part:
            save_file(part, os.path.join(into, file + ".safetensors"), {"format": "pt"})
    write_json(os.path.join(into, "config.json"), config(c))
    write_json(os.path.join(into, "generation_config.json"),
               {"bos_token_id": tk.BOS, "eos_token_id": [tk.EOS, tk.END_OF_TURN], "pad_token_id": tk.PAD,
                "do_sample": True, "top_k": 64, "top_p": 0.95})
    write_json(os.path.join(into, "preprocessor_config.json"),
               {"image_processor_type": "Gemma3ImageProcessor", "do_resize": True, "do_rescale": True,
                "do_normalize": True, "image_mean": [0.5] * 3, "image_std": [0.5] * 3, "resample": 2,
                "rescale_factor": 1 / 255, "image_seq_length": c.soft_tokens,
                "size": {"height": c.side, "width": c.side}})
    write_json(os.path.join(into, "processor_config.json"),
               {"processor_class": "Gemma3Processor", "image_seq_length": c.soft_tokens})
    write_json(os.path.join(into, "tokenizer_config.json"),
               {"tokenizer_class": "GemmaTokenizer", "bos_token": "<bos>", "eos_token": "<eos>",
                "pad_token": "<pad>",
                "unk_token": "<unk>", "boi_token": "<start_of_image>", "eoi_token": "<end_of_image>",
                "add_bos_token": True, "add_eos_token": False, "chat_template": TEMPLATE})
    with open(os.path.join(into, "tokenizer.model"), "wb") as f:
        f.write(tokens.sentencepiece())


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--from", dest="start", default="build/demo/state.pt",
                   help="weights (build/demo/state.pt)")
    p.add_argument("--into", default="build/demo/pip-toy",
                   help="the checkpoint's folder (build/demo/pip-toy)")
    p.add_argument("--exact", action="store_true", help="F32 instead of BF16")
    args = p.parse_args()
    tokens = tk.Tokenizer.read(os.path.join(HERE, "pieces.txt"))
    export(load_all(args.start), m.Config(n_vocab=len(tokens)), tokens, args.into, args.exact)


if __name__ == "__main__":
    main()
