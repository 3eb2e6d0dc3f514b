#!/usr/bin/env python3
"""Plants faults in a copy of the sources, one at a time, and counts what the toy still answers, how
sure it is - the probability that it gives to the answer that it says - and how much of what draws.py has
recorded is still drawn.

    tools/demo/faults.py [-n QUESTIONS] [FAULT...]

Builds in build/faults, for the processor alone. Pictures come twice as wide as high, so that it
matters how they are brought to a square; talks in text go on until they are longer than the window of
the local layers. Prints a table for docs/toy.md.

SPDX-License-Identifier: MIT
"""
import argparse
import os
import random
import shutil
import subprocess
import tempfile

import ask
import draws
import tokenizer as tk

ROOT = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
WORK = os.path.join(ROOT, "build", "faults")
TREE, BUILD = os.path.join(WORK, "tree"), os.path.join(WORK, "build")
WIDE = (300, 150)
ABOUT = ["pictures", "words", "talks"]

RESIZE = "    PD_TRY(pd_image_resize(image, v->config.image_size, v->config.image_size, &resized, err));\n"
LETTERBOX = """    uint32_t w = image->width, h = image->height, side = w > h ? w : h;
    uint8_t *rgb = pd_alloc((size_t)side * side, 3);
    if (!rgb) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for a letterbox");
    for (uint32_t y = 0; y < h; y++)
        memcpy(rgb + 3 * ((y + (side - h) / 2) * (size_t)side + (side - w) / 2),
               image->rgb + 3 * (size_t)y * w, 3 * (size_t)w);
    pd_image boxed = {side, side, rgb};
    PD_TRY(pd_image_resize(&boxed, v->config.image_size, v->config.image_size, &resized, err));
    pd_free(rgb);
"""
# name -> (file, what stands there, the fault) ...
FAULTS = {
    "none": [],
    "soft tokens see only what is before them": [
        ("src/engine/context_run.c", "end = pd_image_at(item->images, item->n_images, pos)->end;",
         "end = pos + 1;")],
    "pictures letterboxed instead of stretched": [("src/engine/vision.c", RESIZE, LETTERBOX)],
    "rope bases of local and global layers swapped": [
        ("src/model/config.c", "&c->rope_base_global, err", "&c->rope_base_LOCAL, err"),
        ("src/model/config.c", "&c->rope_base_local, err", "&c->rope_base_global, err"),
        ("src/model/config.c", "&c->rope_base_LOCAL, err", "&c->rope_base_local, err")],
    "Q4_0's nibbles swapped": [
        ("src/file/quant_32.c", "qs[j] = (uint8_t)((q[j] & 15) | (q[j + HALF] & 15) << 4);",
         "qs[j] = (uint8_t)((q[j + HALF] & 15) | (q[j] & 15) << 4);")],
    "fc1 and fc2 of the image encoder swapped": [
        ("src/model/hf_names.c", 'HF_BLOCK "mlp.fc1"', 'HF_BLOCK "mlp.FC2"'),
        ("src/model/hf_names.c", 'HF_BLOCK "mlp.fc2"', 'HF_BLOCK "mlp.fc1"'),
        ("src/model/hf_names.c", 'HF_BLOCK "mlp.FC2"', 'HF_BLOCK "mlp.fc2"')],
    "a window of 127 instead of 128": [
        ("src/plan/step.h", "return window && pos + 1 > window ? pos + 1 - window : 0;",
         "return window && pos + 2 > window ? pos + 2 - window : 0;")],
}


def copy_sources():
    shutil.rmtree(TREE, ignore_errors=True)
    os.makedirs(TREE)
    files = subprocess.run(["git", "-C", ROOT, "archive", "HEAD"], stdout=subprocess.PIPE, check=True)
    subprocess.run(["tar", "-x", "-C", TREE], input=files.stdout, check=True)


def plant(changes):
    """Returns the files as they were."""
    before = {}
    for name, old, new in changes:
        path = os.path.join(TREE, name)
        with open(path, encoding="utf-8") as f:
            text = f.read()
        if text.count(old) != 1:
            raise SystemExit(f"{name} has no single place for the fault: {old}")
        before.setdefault(path, text)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text.replace(old, new))
    return before


def build():
    """Empty, or the last words of what failed."""
    if not os.path.exists(os.path.join(BUILD, "build.ninja")):
        subprocess.run(["cmake", "-G", "Ninja", "-S", TREE, "-B", BUILD, "-DCMAKE_BUILD_TYPE=Release",
                        "-DPERIDOT_VULKAN=OFF", "-DPERIDOT_TESTS=OFF"], check=True, capture_output=True)
    done = subprocess.run(["cmake", "--build", BUILD, "--target", "peridot_toy"], capture_output=True,
                          text=True, check=False)
    refused = [line for line in (done.stdout + done.stderr).splitlines() if line.startswith("peridot: ")]
    if done.returncode and not refused:
        raise SystemExit(done.stdout[-2000:])
    return refused[-1] if refused else ""


def asked(n):
    """The flags of `run`, the right answer, and what it is about, for n first questions and n / 4 talks."""
    rng = random.Random(7)
    flags = [os.path.join(BUILD, "peridot"), "--device", "cpu"]
    tokens = tk.Tokenizer.read(os.path.join(os.path.dirname(os.path.abspath(__file__)), "pieces.txt"))
    with tempfile.TemporaryDirectory() as folder:
        for system, turn in ask.first_questions(rng, n):
            yield (ask.question_flags(flags, system, turn, rng, folder, WIDE), turn.answer,
                   "pictures" if turn.images else "words")
    for _ in range(n // 4):
        text, answer = ask.long_talk(rng, tokens, draws.WINDOW + 2)
        yield ([flags[0], "run", *flags[1:], "--temp", "0", "--no-perf", "--quiet", "--raw", "--parse-special",
                "-p", text], answer, "talks")


def score(n):
    """about -> a list of (whether the answer is right, the probability of what was said)"""
    results = {about: [] for about in ABOUT}
    for flags, answer, about in asked(n):
        said, probability = ask.answer_and_probability(flags)
        results[about].append((said == answer, probability))
    return results


def drawn_cells():
    results = draws.same(os.path.join(BUILD, "peridot"), "cpu", draws.read())
    return [f"{sum(good)} of {len(good)}" for good in results.values()]


def cell(pairs):
    n = max(1, len(pairs))
    return f"{100 * sum(r for r, _ in pairs) / n:.1f} %, {sum(p for _, p in pairs) / n:.4f}"


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    p.add_argument("faults", nargs="*", help="some of them")
    p.add_argument("-n", type=int, default=400, help="questions (400)")
    args = p.parse_args()
    copy_sources()
    print("| fault | about pictures | about words | in long talks | drawn, pictures | drawn, long talks |\n"
          "|---|--:|--:|--:|--:|--:|")
    for name in args.faults or FAULTS:
        before = plant(FAULTS[name])
        refused = build()
        if refused:
            print(f"| {name} | refused: {refused.removeprefix('peridot: ')} | | | | |", flush=True)
        else:
            results = score(args.n)
            cells = [cell(results[about]) for about in ABOUT] + drawn_cells()
            print(f"| {name} | " + " | ".join(cells) + " |", flush=True)
        for path, text in before.items():
            with open(path, "w", encoding="utf-8") as f:
                f.write(text)


if __name__ == "__main__":
    main()
