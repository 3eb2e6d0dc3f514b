#!/usr/bin/env python3
"""A real Gemma 3 as the judge: the tests that need its weights.

    tests/real/main.py MODEL.gguf WORK [PART ...]

    load        the file as it is on cpu, cpu-ref and Vulkan: the same greedy tokens
    greedy      20 prompts x 200 greedy tokens beside llama.cpp
    perplexity  English and French beside llama.cpp, on the same windows
    devices     KL divergence between devices at every precision
    types       quantized to f16, q8_0 and q4_0: perplexity, and KL from the file as it is
    choices     multiple choice beside llama.cpp (choices.py makes the items)
    sampled     three transcripts, to be read by a person

Parts run in this order; all of them without PART. Tables go to standard output; the exit code is 1 where a
bound is missed. Run by `tools/test.sh --real-model`, which prepares what the parts need: PERIDOT (the program),
PERIDOT_PEER (folder of check_peer and score_peer), PERIDOT_PEER_LIBS, PERIDOT_TEXTS (folder of en.txt, fr.txt
and the items). A part that lacks something is skipped with its reason.

SPDX-License-Identifier: MIT
"""

import json
import math
import os
import pathlib
import re
import subprocess
import sys

HERE = pathlib.Path(__file__).parent
WINDOW, N_WINDOWS = 512, 80  # llama-perplexity's: the second half of each is scored
N_TYPE_WINDOWS = 16  # of both texts, for each type that the model is quantized to
LONG_TOKENS = 600
N_GREEDY = 200

# What may differ. With the weights in f32, llama.cpp rounds no activations, but keeps K and V in f16: logits'
# relative L2 stays below this, and tokens change places only where they are nearer than that.
F32_DISTANCE = 2e-2
PERPLEXITY_RATIO = 0.0005  # with the weights in f32; measured: 1.00000
KL_LIMIT = {"exact": 1e-5, "f16": 1e-3, "q8": 2e-2}


class Skip(Exception):
    """What a part lacks, as a sentence."""


class Bench:
    """The programs, the model, and what has failed so far."""

    def __init__(self, model, work):
        self.model, self.work = model, pathlib.Path(work)
        self.work.mkdir(parents=True, exist_ok=True)
        self.peridot = os.environ.get("PERIDOT", "build/dev/peridot")
        self.peer = os.environ.get("PERIDOT_PEER")
        self.libs = os.environ.get("PERIDOT_PEER_LIBS")
        self.texts = os.environ.get("PERIDOT_TEXTS")
        self.failures = []

    def run(self, *arguments, stdin=""):
        """The output of a Peridot command."""
        result = subprocess.run([self.peridot, *map(str, arguments)], input=stdin, capture_output=True, text=True)
        if result.returncode:
            raise RuntimeError(f"peridot {arguments[0]}: {result.stderr.strip()}")
        return result.stdout

    def json(self, *arguments, **more):
        """The same, parsed."""
        return json.loads(self.run(*arguments, "--json", **more))

    def ids(self, text):
        """Token ids of a text, <bos> first."""
        path = self.work / "text"
        path.write_text(text, encoding="utf-8")
        return self.json("tokenize", "-m", self.model, "-f", path)["ids"]

    def need_peer(self):
        """The folder of the programs that have llama.cpp in them."""
        if not self.peer or not self.libs:
            raise Skip("llama.cpp cannot be had")
        return self.peer

    def text(self, name):
        """A file of the folder of texts."""
        path = pathlib.Path(self.texts or "") / name
        if not self.texts or not path.exists():
            raise Skip(f"there is no {name}")
        return path

    def f32(self):
        """The model with its weights in f32: the same values, larger."""
        path = self.work / "f32.gguf"
        if not path.exists():
            self.run("quantize", self.model, path, "f32")
        return path

    def expect(self, what, good):
        """Counts a bound that is missed."""
        print(f"  {'PASS' if good else 'FAIL'}: {what}", flush=True)
        if not good:
            self.failures.append(what)


def prompts(bench):
    """The prompts as token ids; the last one is longer than the window of local layers."""
    texts = json.loads((HERE / "prompts.json").read_text(encoding="utf-8"))
    long_text = " ".join(bench.text("en.txt").read_text(encoding="utf-8").split()[2000:3000])
    return [bench.ids(text) if text != "LONG" else bench.ids(long_text)[:LONG_TOKENS] for text in texts]


# ---- the same tokens everywhere --------------------------------------------------------------------------------


def vulkan_device(bench):
    """A Vulkan device to compare with; a software one where there is no GPU."""
    return "vulkan:llvmpipe" if "llvmpipe" in bench.run("devices") else "vulkan"


def devices(bench):
    """Names of the devices to compare."""
    found = ["cpu", "cpu-ref"]
    if "vulkan" in bench.run("devices"):
        found.append(vulkan_device(bench))
    return found


def part_load(bench):
    """Opens the file as it is on every device."""
    answers = {}
    for device in devices(bench):
        answers[device] = bench.run(
            "run", "-m", bench.model, "--device", device, "--precision", "exact", "--raw", "-p",
            "The quick brown fox", "-n", 12, "--temp", 0, "--no-perf")
        print(f"  {device}: {answers[device].strip()!r}")
    bench.expect("every device continues alike", len(set(answers.values())) == 1)


def part_greedy(bench):
    """Greedy tokens beside llama.cpp: with the weights in f32, where only K and V are rounded, and with the file
    itself, where llama.cpp rounds activations to 8 bits and tokens near a tie change places."""
    check = pathlib.Path(bench.need_peer()) / "check_peer"
    lists = [argument for ids in prompts(bench) for argument in ("--ids", ",".join(map(str, ids)))]
    for name, peer_model, limit in (("weights in f32", bench.f32(), F32_DISTANCE), ("the file", bench.model, None)):
        out = subprocess.run([check, "--peer-libs", bench.libs, "-m", bench.model, "--peer-model", peer_model, "-n",
                              str(N_GREEDY), *lists], capture_output=True, text=True, check=False).stdout
        report_greedy(bench, name, out, limit)


def report_greedy(bench, name, out, limit):
    """Counts what check_peer found; every difference is shown with both sides' leads."""
    found = re.findall(r"(\d+) of (\d+) greedy tokens equal, logits' relative L2 at most (\S+)", out)
    same, total = sum(int(f[0]) for f in found), sum(int(f[1]) for f in found)
    worst = max((float(f[2]) for f in found), default=math.inf)
    print(f"  llama.cpp, {name}: {same} of {total} tokens equal, logits' relative L2 at most {worst:.1e}")
    ties = re.findall(r"at (\d+): (\d+) here, (\d+) there; here \d+ leads by (\S+), there \d+ by (\S+)", out)
    for position, ours, theirs, lead, their_lead in ties:
        print(f"    position {position}: {ours} or {theirs}; leads {lead} and {their_lead}")
    (bench.work / f"greedy-{name.replace(' ', '-')}.txt").write_text(out, encoding="utf-8")
    if limit:
        bench.expect(f"{len(found)} prompts, relative L2 at most {limit}", len(found) == 20 and worst <= limit)
        bench.expect("equal up to near-ties", all(float(t[3]) + float(t[4]) < 0.1 for t in ties))


# ---- perplexity ------------------------------------------------------------------------------------------------


def window_rows(ids):
    """Rows of score_peer for the windows of a text: `peridot score`'s."""
    rows = []
    for i in range(min(N_WINDOWS, len(ids) // WINDOW)):
        window = [ids[0], *ids[i * WINDOW + 1:(i + 1) * WINDOW]]
        rows.append({"ids": window, "first": WINDOW // 2})
    return rows


def score_rows(bench, rows, peer_model, precision):
    """(tokens, our sum, llama.cpp's sum) of each row, in nats."""
    program = pathlib.Path(bench.need_peer()) / "score_peer"
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    result = subprocess.run([program, "--peer-libs", bench.libs, "-m", bench.model, "--peer-model", peer_model,
                             "--precision", precision], input=lines, capture_output=True, text=True)
    if result.returncode:
        raise RuntimeError(result.stderr.strip())
    answers = [json.loads(line) for line in result.stdout.splitlines()]
    return [(a["n"], a["ours"], a["theirs"]) for a in answers]


def perplexity(sums, side):
    """exp of the mean of -ln P."""
    return math.exp(-sum(s[side] for s in sums) / sum(s[0] for s in sums))


def part_perplexity(bench):
    """Both engines over the same windows. With the weights in f32 llama.cpp rounds no activations either, and both
    must agree. With the file itself it rounds them to 8 bits: how far that takes it from its own result in f32 is
    shown, and is all that may set the two apart."""
    for name in ("en.txt", "fr.txt"):
        rows = window_rows(bench.ids(bench.text(name).read_text(encoding="utf-8")))
        found = {}
        for what, peer_model in (("weights in f32", bench.f32()), ("the file", bench.model)):
            sums = score_rows(bench, rows, peer_model, "f16")
            ours, theirs = perplexity(sums, 1), perplexity(sums, 2)
            found[what] = ours, theirs
            print(f"  {name}, {sum(s[0] for s in sums)} tokens, llama.cpp, {what}: Peridot {ours:.4f}, "
                  f"llama.cpp {theirs:.4f}, ratio {ours / theirs:.5f}", flush=True)
        ours, exact = found["weights in f32"]
        rounded = found["the file"][1]
        print(f"  {name}: llama.cpp's rounding of activations alone: {rounded / exact - 1:+.4%}")
        bench.expect(f"{name}: within {PERPLEXITY_RATIO:.2%} of llama.cpp in f32",
                     abs(ours / exact - 1) <= PERPLEXITY_RATIO)


# ---- divergence ------------------------------------------------------------------------------------------------


def score(bench, name, *arguments, windows=8):
    """`peridot score --json` over the first windows of a text."""
    return bench.json("score", "-f", bench.text(name), "--windows", windows, *arguments)


def part_devices(bench):
    """KL(cpu-ref at exact || device at a precision)."""
    for device in devices(bench):
        for precision in ("exact", "f16", "q8"):
            windows = 2 if device != "cpu" else 8
            found = score(bench, "en.txt", "-m", bench.model, "--device", device, "--precision", precision,
                          "--against-device", "cpu", "--against-precision", "exact", windows=windows)
            kl = found["kl_mean"]
            print(f"  {device} {precision}: KL {kl:.2e} nats over {windows} windows", flush=True)
            bench.expect(f"{device} at {precision}: KL at most {KL_LIMIT[precision]}", kl <= KL_LIMIT[precision])


def part_types(bench):
    """What quantizing costs this model."""
    for kind in ("f16", "q8_0", "q4_0"):
        path = bench.work / f"{kind}.gguf"
        if not path.exists():
            bench.run("quantize", bench.model, path, kind)
        for name in ("en.txt", "fr.txt"):
            found = score(bench, name, "-m", path, "--device", "cpu", "--against", bench.model,
                          windows=N_TYPE_WINDOWS)
            print(f"  {kind} ({path.stat().st_size / 1e6:.0f} MB), {name}: {json.dumps(found)}", flush=True)


# ---- multiple choice -------------------------------------------------------------------------------------------


def choice_sums(bench, path):
    """The choices of a file as rows of score_peer, by item: [(is right, row, bytes)]."""
    items = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        c = json.loads(line)
        items.setdefault(c["item"], []).append((c["gold"], {"ids": c["ids"], "first": c["first"]}, c["bytes"]))
    return list(items.values())


def accuracy(items, value):
    """The share of items whose right choice has the highest value."""
    return sum(max(item, key=value)[0] for item in items) / len(items)


def part_choices(bench):
    """Accuracy beside llama.cpp's on the same tokens."""
    for task in ("capitals", "definitions"):
        out = bench.work / f"{task}.jsonl"
        found = bench.json("score", "-m", bench.model, "--device", "cpu", "--choices", bench.text(f"{task}.jsonl"),
                           "-o", out)
        items = choice_sums(bench, out)
        sums = iter(score_rows(bench, [c[1] for item in items for c in item], bench.model, "f16"))
        theirs = [[(gold, next(sums)[2], n) for gold, _, n in item] for item in items]
        plain, normalised = accuracy(theirs, lambda c: c[1]), accuracy(theirs, lambda c: c[1] / c[2])
        print(f"  {task}: {found['items']} items, Peridot {found['accuracy']:.3f} ± {found['accuracy_error']:.3f} "
              f"(per byte {found['accuracy_normalised']:.3f}), llama.cpp {plain:.3f} (per byte {normalised:.3f})")
        bench.expect(f"{task}: within 2 %", abs(found["accuracy"] - plain) <= 0.02)


# ---- transcripts -----------------------------------------------------------------------------------------------


def part_sampled(bench):
    """Three sampled texts, for a person to read."""
    for seed, prompt in enumerate(("The old lighthouse keeper", "Question: Why is the sky blue?\nAnswer:",
                                   "Recipe for apple pie:"), 1):
        text = bench.run("run", "-m", bench.model, "--device", "cpu", "--raw", "-p", prompt, "-n", 200, "--seed", seed,
                         "--no-perf")
        print(f"--- {prompt!r}, seed {seed}\n{prompt}{text}")


PARTS = {"load": part_load, "greedy": part_greedy, "perplexity": part_perplexity, "devices": part_devices,
         "types": part_types, "choices": part_choices, "sampled": part_sampled}


def main():
    """Runs the parts that are named."""
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    bench = Bench(sys.argv[1], sys.argv[2])
    for name in sys.argv[3:] or PARTS:
        print(f"== {name}", flush=True)
        try:
            PARTS[name](bench)
        except Skip as reason:
            print(f"  skipped: {reason}")
    print(f"== {len(bench.failures)} bounds missed")
    sys.exit(1 if bench.failures else 0)


if __name__ == "__main__":
    main()
