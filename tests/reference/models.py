"""Logits and greedy continuations of small random models, made and saved by transformers, against
what Peridot computes from the converted checkpoint.

The reference is transformers in float32 with eager attention. In --precision exact the largest
difference of a position's logits, over the largest of these logits, must stay below TOLERANCE: sums
are made in float32 on both sides, in other orders. Continuations must be equal; where they part,
the two leading logits of the reference must be closer than TOLERANCE, and are printed.

SPDX-License-Identifier: MIT
"""
import copy
import json
import os
import shutil

import numpy as np
import torch
from PIL import Image
from transformers import (Gemma3Config, Gemma3ForCausalLM, Gemma3ForConditionalGeneration,
                          Gemma3TextConfig)
from transformers.models.gemma3.image_processing_pil_gemma3 import Gemma3ImageProcessorPil

from common import peridot, tool

TOLERANCE = 1e-4
CLASS_F16 = 1e-2  # what docs/precision.md says of the default precision: L2 over all positions
N_CONTINUE = 100
IMAGE, MARKERS, N_TOKENS = 262144, [255999, 256000], 262144
LINEAR_8 = {"rope_type": "linear", "factor": 8.0}

TEXT = dict(vocab_size=700, hidden_size=64, intermediate_size=96, num_hidden_layers=7,
            num_attention_heads=4, num_key_value_heads=2, head_dim=32, query_pre_attn_scalar=32,
            sliding_window=24, max_position_embeddings=1024)
VISION = dict(model_type="siglip_vision_model", hidden_size=48, intermediate_size=80,
              num_hidden_layers=2, num_attention_heads=4, image_size=112, patch_size=14,
              vision_use_head=False)

# name: what differs from TEXT, and how it is saved
TEXT_CASES = {
    "text f32, sharded": dict(scaling=LINEAR_8, shard="40KB", ways=True),
    "text f32, old config": dict(scaling=LINEAR_8, old=True),
    "text f32, head of its own": dict(tie_word_embeddings=False, scaling=LINEAR_8),
    "text f32, head of its own, old config": dict(tie_word_embeddings=False, old=True),
    "text f32, pattern of 3, old config": dict(pattern=3, old=True, num_attention_heads=2,
                                               num_key_value_heads=2),
    "text f32, global layers 1 and 4": dict(layer_types=[1, 4], scaling=LINEAR_8),
    "text bf16, as the 1B": dict(hidden_size=160, intermediate_size=224, head_dim=256,
                                 query_pre_attn_scalar=256, num_attention_heads=2,
                                 num_key_value_heads=1, sliding_window=64, n_ids=230,
                                 dtype="bfloat16", old=True, ways=True),
    "text bf16, as the 27B": dict(hidden_size=96, num_attention_heads=2, num_key_value_heads=1,
                                  num_hidden_layers=62, query_pre_attn_scalar=48,
                                  scaling=LINEAR_8, dtype="bfloat16"),
}
IMAGE_CASES = {
    "images f32": dict(scaling=LINEAR_8, shard="20MB", ways=True),
    "images f32, old config": dict(scaling=LINEAR_8, old=True),
    "images bf16, released config": dict(scaling=LINEAR_8, old=True, sparse=True,
                                         dtype="bfloat16"),
    "images f32, window of 8": dict(sliding_window=8),
    "images f32, head of its own": dict(tie_word_embeddings=False),
    "images f32, with SigLIP's head": dict(vision=dict(vision_use_head=True)),
    "images bf16, 256 rows each": dict(scaling=LINEAR_8, dtype="bfloat16", sliding_window=300,
                                       rows=256, vision=dict(image_size=896, num_hidden_layers=1)),
}


# ---- making checkpoints -------------------------------------------------------------------------


def fill(model, seed):
    """Values of a size at which attention and norms matter."""
    torch.manual_seed(seed)
    for name, p in model.named_parameters():
        is_layer_norm = "layer_norm" in name or "layernorm" in name and "vision" in name
        adds = "post_attention" in name or "post_feedforward" in name  # else tokens repeat
        if p.dim() == 1:
            p.data.normal_(1 if is_layer_norm and name.endswith("weight") or adds else 0, 0.25)
        elif "position_embedding" in name:
            p.data.normal_(0, 0.5)
        else:
            p.data.normal_(0, (p[0].numel() if p.dim() > 1 else 1)**-0.5)
    if not hasattr(model.config, "vision_config"):
        return
    # rows of pictures as large as those of tokens
    projection = model.model.multi_modal_projector.mm_input_projection_weight
    projection.data.normal_(0, projection.shape[0]**-0.5)


def text_config(case):
    """A case's Gemma3TextConfig."""
    settings = {k: case.get(k, v) for k, v in TEXT.items()}
    settings["tie_word_embeddings"] = case.get("tie_word_embeddings", True)
    settings["rope_parameters"] = {
        "full_attention": {"rope_theta": 1e6, **case.get("scaling", {"rope_type": "default"})},
        "sliding_attention": {"rope_theta": 1e4, "rope_type": "default"}}
    n, pattern = settings["num_hidden_layers"], case.get("pattern", 6)
    is_global = case.get("layer_types", [i for i in range(n) if (i + 1) % pattern == 0])
    settings["layer_types"] = ["full_attention" if i in is_global else "sliding_attention"
                               for i in range(n)]
    return Gemma3TextConfig(**settings)


def make_model(case, with_images, seed):
    """A model of random values, in float32."""
    text = text_config(dict(case, vocab_size=262208) if with_images else case)
    if not with_images:
        model = Gemma3ForCausalLM(text)
    else:
        config = Gemma3Config(text_config=text.to_dict(),
                              vision_config={**VISION, **case.get("vision", {})},
                              mm_tokens_per_image=case.get("rows", 16),
                              tie_word_embeddings=case.get("tie_word_embeddings", True))
        model = Gemma3ForConditionalGeneration(config)
    with torch.no_grad():
        fill(model, seed)
    return model


def rewrite_text_config(text, case):
    """The fields that the first versions of transformers wrote, in place of today's."""
    ropes = text.pop("rope_parameters")
    text.pop("layer_types")
    text.pop("_sliding_window_pattern", None)
    text["sliding_window_pattern"] = case.get("pattern", 6)
    text["rope_theta"] = ropes["full_attention"]["rope_theta"]
    text["rope_local_base_freq"] = ropes["sliding_attention"]["rope_theta"]
    text["rope_scaling"] = case.get("scaling")
    if "dtype" in text:
        text["torch_dtype"] = text.pop("dtype")
    if case.get("sparse"):  # as released: what is a default is left out
        defaults = Gemma3TextConfig().to_dict()
        for name in [n for n in text if n in defaults and text[n] == defaults[n]]:
            del text[name]
        for name in ["sliding_window_pattern", "rope_theta", "rope_local_base_freq"]:
            del text[name]


def rewrite_config(folder, case):
    """config.json of another time."""
    path = os.path.join(folder, "config.json")
    with open(path) as f:
        root = json.load(f)
    rewrite_text_config(root.get("text_config", root), case)
    if "text_config" in root:
        root["torch_dtype"] = root.pop("dtype", "float32")
    with open(path, "w") as f:
        json.dump(root, f, indent=2)


def save(model, case, folder, tokenizer):
    """A checkpoint with a tokenizer, and the reference that transformers loads from it."""
    dtype = getattr(torch, case.get("dtype", "float32"))
    model.to(dtype).save_pretrained(folder, max_shard_size=case.get("shard", "5GB"))
    if case.get("old"):
        rewrite_config(folder, case)
    if hasattr(model.config, "vision_config"):
        size = model.config.vision_config.image_size
        Gemma3ImageProcessorPil(size={"height": size, "width": size}, image_mean=[0.5] * 3,
                                image_std=[0.5] * 3).save_pretrained(folder)
    shutil.copy(tokenizer, os.path.join(folder, "tokenizer.json"))
    return type(model).from_pretrained(folder, dtype=torch.float32,
                                       attn_implementation="eager").eval()


def make_tokenizers(work):
    """One for models of 700 tokens, one for those with images: Peridot's made-up ones."""
    small, large = os.path.join(work, "small"), os.path.join(work, "large")
    peridot("synth", "--hf", "--preset", "270m", "--layers", "1", "--vocab", "700", "-o", small)
    peridot("synth", "--hf", "--preset", "tiny", "--vocab", "262144", "-o", large)
    return [os.path.join(folder, "tokenizer.json") for folder in (small, large)]


# ---- the reference ------------------------------------------------------------------------------


class Prompt:
    """Token ids with places for pictures, as transformers and as Peridot want them."""

    def __init__(self, rng, reference, n_ids, pictures):
        self.pictures = pictures
        self.ids = [2] + rng.integers(5, 700, n_ids - 1).tolist()
        step = n_ids // (len(pictures) + 1)
        for i in range(len(pictures)):  # from the end, so that places stay
            at = step * (len(pictures) - i)
            self.ids[at:at] = [MARKERS[0], IMAGE, MARKERS[1]]
        rows = getattr(reference.config, "mm_tokens_per_image", 0)
        self.long_ids = [t for i in self.ids for t in ([IMAGE] * rows if i == IMAGE else [i])]

    def inputs(self, reference, more=()):
        """Arguments for the model."""
        ids = torch.tensor([self.long_ids + list(more)])
        if not hasattr(reference.config, "vision_config"):
            return {"input_ids": ids}
        out = {"input_ids": ids, "token_type_ids": (ids == IMAGE).long()}
        if self.pictures:
            size = reference.config.vision_config.image_size
            processor = Gemma3ImageProcessorPil(size={"height": size, "width": size},
                                                image_mean=[0.5] * 3, image_std=[0.5] * 3)
            images = [Image.open(path) for path in self.pictures]
            out["pixel_values"] = torch.tensor(np.array(processor(images)["pixel_values"]))
        return out

    def arguments(self):
        """Flags of `peridot logits`."""
        ids = ",".join("<image>" if i == IMAGE else str(i) for i in self.ids)
        return ["--tokens", ids] + [a for p in self.pictures for a in ("--image", p)]

    def line(self):
        """A line for reference_tool."""
        return " ".join([",".join(map(str, self.ids))] + self.pictures)


def reference_logits(reference, prompt, more=()):
    """[positions, vocabulary] float32"""
    with torch.no_grad():
        return reference(**prompt.inputs(reference, more)).logits[0].numpy()


def reference_continuation(reference, prompt):
    """Greedy, past the end of turns, without the ids that Peridot never draws."""
    settings = copy.deepcopy(reference.generation_config)
    vocab = reference.config.get_text_config().vocab_size
    settings.eos_token_id = vocab  # None would be the config's
    settings.do_sample, settings.max_new_tokens = False, N_CONTINUE
    if vocab > N_TOKENS:
        settings.suppress_tokens = MARKERS + list(range(N_TOKENS, vocab))
    out = reference.generate(**prompt.inputs(reference), generation_config=settings)
    return out[0, len(prompt.long_ids):].tolist()


# ---- comparing ----------------------------------------------------------------------------------


def compare_logits(report, name, want, model, prompt, flags, precision):
    """Every position's logits on one device."""
    out = model + ".logits"
    peridot("logits", "-m", model, *prompt.arguments(), "-o", out, "--precision", precision, *flags)
    got = np.fromfile(out, "<f4").reshape(len(want), -1)
    os.unlink(out)
    want = want[:, :got.shape[1]]
    if got.shape != want.shape or not np.isfinite(got).all():
        report.check(False, name, f"shapes {got.shape} and {want.shape}, or not finite")
        return
    if precision == "exact":
        each = np.abs(got - want).max(1) / np.abs(want).max(1)
        report.check(each.max() <= TOLERANCE, name,
                     f"worst {each.max():.1e}, median {np.median(each):.1e} of {len(each)} positions")
    else:
        distance = np.linalg.norm(got - want) / np.linalg.norm(want)
        report.check(distance <= CLASS_F16, name, f"L2 {distance:.1e}")


def explain_difference(report, name, reference, prompt, want, got):
    """Where two continuations part, the reference must find both tokens equally likely."""
    at = next(i for i, (a, b) in enumerate(zip(want, got)) if a != b)
    row = reference_logits(reference, prompt, want[:at])[-1]
    gap = (row[want[at]] - row[got[at]]) / np.abs(row).max()
    report.check(0 <= gap <= TOLERANCE, name,
                 f"token {at} is {got[at]} (logit {row[got[at]]:.7g}), the reference's is "
                 f"{want[at]} ({row[want[at]]:.7g}); relative gap {gap:.1e}"
                 + (": a near-tie" if gap <= TOLERANCE else ""))


def compare_continuation(report, name, reference, prompt, want, model, mmproj, device):
    """N_CONTINUE tokens on one device."""
    line = tool("generate", model, mmproj or "-", device, N_CONTINUE, lines=[prompt.line()])[0]
    got = [int(i) for i in line.split()]
    if len(got) != len(want):
        report.check(False, name, f"{len(got)} tokens instead of {len(want)}")
    elif got == want:
        report.check(True, name, f"{len(want)} equal tokens, {len(set(want))} different ones")
    else:
        explain_difference(report, name, reference, prompt, want, got)


def compare_prompt(report, name, reference, prompt, model, mmproj, devices, in_ways):
    """One prompt on every device: logits, in several ways or one, and a continuation."""
    want = reference_logits(reference, prompt)
    for device in devices:
        flags = ["--device", device]
        compare_logits(report, f"{name}, {device}", want, model, prompt, flags, "exact")
        if device == "cpu-ref" or not in_ways:
            continue
        compare_logits(report, f"{name}, {device}, f16", want, model, prompt, flags, "f16")
        compare_logits(report, f"{name}, {device}, chunks of 17", want, model, prompt,
                       flags + ["--batch-size", "17"], "exact")
        after = len(prompt.ids) - 9 if prompt.pictures else 9  # behind the last picture
        compare_logits(report, f"{name}, {device}, one by one after {after}", want, model, prompt,
                       flags + ["--decode-after", str(after)], "exact")
    tokens = reference_continuation(reference, prompt)
    for device in devices if in_ways else [d for d in devices if d != "cpu-ref"]:
        compare_continuation(report, f"{name}, {device}, continued", reference, prompt, tokens,
                             model, mmproj, device)


def make_pictures(work, rng):
    """Three of different shapes."""
    paths = []
    for i, (width, height) in enumerate([(112, 112), (301, 77), (20, 150)]):
        noise = Image.fromarray(rng.integers(0, 256, (9, 12, 3), dtype=np.uint8))
        path = os.path.join(work, f"picture{i}.ppm")
        noise.resize((width, height), Image.BICUBIC).save(path)
        paths.append(path)
    return paths


def compare_floats(report, name, prompt, reference, model, work):
    """What the image encoder reads of each picture: normalised, and rounded as the reference does."""
    want = prompt.inputs(reference)["pixel_values"].numpy()
    for path, theirs in zip(prompt.pictures, want):
        out = os.path.join(work, "floats")
        peridot("embed-image", "-m", model, "--image", path, "--dump-pixels", out, "-o", out + ".rows",
                "--device", "cpu")
        got = np.fromfile(out, "<f4").reshape(theirs.shape)
        report.check(np.array_equal(got, theirs), f"{name}, pixels of {os.path.basename(path)}",
                     f"{got.size} floats, {(got != theirs).sum()} different")


def run_case(report, name, case, with_images, work, tokenizer, devices, seed):
    """A checkpoint from its making on; the one before it is gone."""
    rng = np.random.default_rng(seed)
    folder = os.path.join(work, "checkpoint")
    shutil.rmtree(folder, ignore_errors=True)
    model = os.path.join(work, "model.gguf")
    mmproj = os.path.join(work, "mmproj-model.gguf") if with_images else None
    kind = {"bfloat16": "bf16"}.get(case.get("dtype"), "f32")
    reference = save(make_model(case, with_images, seed), case, folder, tokenizer)
    peridot("convert", folder, "-o", model, "--type", kind,
            *(["--mmproj-type", kind] if with_images else []))
    if not with_images:
        prompt = Prompt(rng, reference, case.get("n_ids", 90), [])
        compare_prompt(report, name, reference, prompt, model, None, devices, case.get("ways"))
    else:
        pictures = make_pictures(work, rng)
        for n in (1, 3) if case.get("rows", 16) < 256 else (1,):
            prompt = Prompt(rng, reference, 40, pictures[:n])
            if n == 1 and not case.get("ways") and case.get("rows", 16) < 256:
                want = reference_logits(reference, prompt)
                compare_logits(report, f"{name}, 1 in the prompt, cpu", want, model, prompt,
                               ["--device", "cpu"], "exact")
                continue
            if n > 1 and case.get("ways"):
                compare_floats(report, name, prompt, reference, model, work)
            compare_prompt(report, f"{name}, {n} in the prompt", reference, prompt, model, mmproj,
                           devices, case.get("ways") and n > 1)


def compare_models(report, work, devices, only):
    """Every case whose name contains `only`."""
    small, large = make_tokenizers(work)
    for with_images, cases, tokenizer in [(False, TEXT_CASES, small), (True, IMAGE_CASES, large)]:
        for seed, (name, case) in enumerate(cases.items()):
            if only in name:
                report.attempt(name, run_case, report, name, case, with_images, work, tokenizer,
                               devices, 100 + seed)
