#!/usr/bin/env python3
"""Words that the toy draws at a temperature at which hardly any token is sure: a small error in any
number of the model's soon turns them into others.

    tools/demo/draws.py PERIDOT          how many of the recorded ones it draws again
    tools/demo/draws.py PERIDOT --record writes tests/toy/draws.json anew, for another toy

Half of them follow a talk longer than the window of the local layers, half a picture of samples/. A
question has one right answer, and a model that knows it says so with wrong arithmetic as well; drawn
words have nothing to hold on to. Precision is exact, so that rounding does not change them.

SPDX-License-Identifier: MIT
"""
import argparse
import json
import os
import random

import ask
import tokenizer as tk

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.join(HERE, "..", "..")
RECORD = os.path.join(ROOT, "tests", "toy", "draws.json")
WINDOW = 128
N_TOKENS = 120
FLAGS = ["--precision", "exact", "--temp", "3", "--top-k", "0", "--top-p", "1", "--ignore-eos", "-n", str(N_TOKENS),
         "--no-perf", "--quiet"]


def prompt_flags(case):
    if "image" in case:
        return ["--image", os.path.join(ROOT, "samples", case["image"]), "-p", case["prompt"]]
    return ["--raw", "--parse-special", "-p", case["prompt"]]


def draw(peridot, device, case):
    """Words as text; what is not UTF-8, and bytes that the toy draws need not be, as replacements."""
    return ask.program(peridot, "run", "--device", device, *FLAGS, "-s", str(case["seed"]), *prompt_flags(case),
                       errors="replace").strip()


def read():
    with open(RECORD, encoding="utf-8") as f:
        return json.load(f)


def about(case):
    return "pictures" if "image" in case else "talks"


def same(peridot, device, cases):
    """about -> whether the words of each case are the recorded ones"""
    results = {"pictures": [], "talks": []}
    for case in cases:
        results[about(case)].append(draw(peridot, device, case) == case["words"])
    return results


def new_cases(n):
    rng = random.Random(11)
    tokens = tk.Tokenizer.read(os.path.join(HERE, "pieces.txt"))
    for seed in range(n):
        yield {"prompt": ask.long_talk(rng, tokens, WINDOW + 2)[0], "seed": seed}
        yield {"image": f"{1 + seed % 5}.png", "prompt": "Describe the picture.", "seed": seed}


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    p.add_argument("peridot")
    p.add_argument("--device", default="cpu")
    p.add_argument("--record", action="store_true", help="write them, as the reference draws them")
    args = p.parse_args()
    if args.record:
        cases = [{**case, "words": draw(args.peridot, "cpu-ref", case)} for case in new_cases(10)]
        with open(RECORD, "w", encoding="utf-8") as f:
            json.dump(cases, f, indent=1, ensure_ascii=False)
            f.write("\n")
        return
    for name, good in same(args.peridot, args.device, read()).items():
        print(f"{name:10} {sum(good):3} of {len(good):3} are the same words")


if __name__ == "__main__":
    main()
