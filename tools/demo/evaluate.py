#!/usr/bin/env python3
"""Asks the toy held-out questions and counts the answers that are right word for word.

    tools/demo/evaluate.py [--from FILE] [--q4_0] [-n 2000]          through PyTorch
    tools/demo/evaluate.py --gguf MODEL.gguf [--run] [-n 2000]       through the peridot program

FILE is a state.pt of train.py or a model.safetensors; --q4_0 rounds it as a Q4_0 file does. With
--gguf, `peridot logits` computes whole conversations, and an answer counts when every token of it is
the most probable one, which is what greedy sampling writes; --run asks the first question of each
conversation with `peridot run --temp 0` and compares the text.

SPDX-License-Identifier: MIT
"""
import argparse
import os
import random
import tempfile

import numpy as np
import torch

import ask
import data
import export
import model as m
import tokenizer as tk
from ask import MIX, add, tell

HERE = os.path.dirname(os.path.abspath(__file__))
LENGTH = 160


def through_torch(args, tokens, c, rng):
    w = export.load(args.start)
    if args.q4_0:
        w = m.quantized(w)
    totals, firsts = {}, {}
    while sum(b for _, b in totals.values()) < args.n:
        found = data.exact_match(w, c, [data.batch(rng, tokens, LENGTH, MIX)], firsts=firsts)
        for kind, (a, b) in found.items():
            x, y = totals.get(kind, (0, 0))
            totals[kind] = (x + a, y + b)
    print("first questions of conversations:")
    tell(firsts)
    print("all questions, with the right answers before them:")
    return totals


def token_list(row, n):
    out = []
    for i in range(n):
        if row.image[i] == 0:
            out.append(str(row.ids[i]))
        elif row.image[i] != row.image[i - 1]:
            out.append("<image>")
    return ",".join(out)


def through_logits(args, tokens, c, rng, folder):
    totals = {}
    for topic in ask.topics(rng):
        row = data.make_row(rng, tokens, topic, LENGTH)
        n = row.doc.index(1) if 1 in row.doc else len(row.ids)  # the first conversation of the row
        out = os.path.join(folder, "logits")
        flags = ask.save_images(row.scenes[:max(row.image[:n])], rng, folder)
        ask.program(args.peridot, "logits", "-m", args.gguf, "--device", args.device,
                    "--tokens", token_list(row, n), "-o", out, *flags)
        best = np.fromfile(out, np.float32).reshape(n, c.n_vocab).argmax(-1)
        for kind, first, end in row.turns:
            if end <= n:
                add(totals, kind, (best[first - 1:end - 1] == row.ids[first:end]).all())
        if sum(b for _, b in totals.values()) >= args.n:
            return totals


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--from", dest="start", default="build/demo/state.pt",
                   help="weights (build/demo/state.pt)")
    p.add_argument("--q4_0", action="store_true", help="round the weights as a Q4_0 file does")
    p.add_argument("--gguf", help="ask through the program instead")
    p.add_argument("--run", action="store_true", help="with --gguf: single questions with `peridot run`")
    p.add_argument("--peridot", default="build/dev/peridot", help="the program (build/dev/peridot)")
    p.add_argument("--device", default="cpu", help="of the program (cpu)")
    p.add_argument("-n", type=int, default=2000, help="questions (2000)")
    p.add_argument("--seed", type=int, default=424242, help="of the questions (424242)")
    p.add_argument("-v", "--verbose", action="store_true", help="with --run: show wrong answers")
    args = p.parse_args()
    torch.set_num_threads(1)
    tokens = tk.Tokenizer.read(os.path.join(HERE, "pieces.txt"))
    c, rng = m.Config(n_vocab=len(tokens)), random.Random(args.seed)
    with tempfile.TemporaryDirectory() as folder:
        if not args.gguf:
            totals = through_torch(args, tokens, c, rng)
        elif args.run:
            totals = ask.through_run(args, rng, folder)
        else:
            totals = through_logits(args, tokens, c, rng, folder)
    tell(totals)


if __name__ == "__main__":
    main()
