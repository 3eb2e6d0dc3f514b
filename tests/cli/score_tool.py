"""Computes what `peridot score` should say from the logits that `peridot logits` writes, in double.

    score_tool.py PERIDOT DEVICE MODEL REFERENCE|- IDS CTX STRIDE WHOLE WINDOWS

STRIDE 0: none; WHOLE 0 or 1; WINDOWS 0: all. Exits with 1 and a line for each figure that is wrong.
SPDX-License-Identifier: MIT
"""
import array
import json
import math
import os
import subprocess
import sys
import tempfile

peridot, device, model, reference, ids = sys.argv[1:6]
ctx, stride, whole, most = map(int, sys.argv[6:10])
ids = [int(i) for i in ids.split(",")]
work = tempfile.mkdtemp()
precision = ["--device", device, "--precision", "exact"]


def run(*args):
    return subprocess.run([peridot, *args], check=True, stdout=subprocess.PIPE, text=True).stdout


def rows(path, tokens):
    """ln softmax of the logits of every position of a window."""
    out = os.path.join(work, "logits.f32")
    run("logits", "-m", path, "--tokens", ",".join(map(str, tokens)), "-o", out, *precision)
    values = array.array("f", open(out, "rb").read())
    width = len(values) // len(tokens)
    result = []
    for r in range(len(tokens)):
        row = values[r * width:(r + 1) * width]
        top = max(row)
        log_sum = top + math.log(math.fsum(math.exp(v - top) for v in row))
        result.append([v - log_sum for v in row])
    return result


def windows():
    """(first token, tokens, first position that is scored), as llama-perplexity cuts a text."""
    length = ctx + stride // 2
    n = len(ids)
    if n <= length:
        return [(0, n, 0)]
    if stride:
        starts = range(0, ((n - length + stride - 1) // stride) * stride, stride)
        first = length - stride - 1
    else:
        starts = range(0, n // ctx * ctx, ctx)
        first = ctx // 2
    return [(s, length, 0 if whole else first) for s in starts][:most or None]


items = []
for number, (start, length, first) in enumerate(windows()):
    tokens = ids[start:start + length]
    if ids[0] == 2:
        tokens[0] = 2
    q = rows(model, tokens)
    p = rows(reference, tokens) if reference != "-" else None
    for i in range(first, length - 1):
        item = {"window": number, "position": i + 1, "id": tokens[i + 1],
                "log_prob": q[i][tokens[i + 1]], "best": q[i].index(max(q[i]))}
        if p:
            item["reference_log_prob"] = p[i][tokens[i + 1]]
            item["kl"] = math.fsum(math.exp(a) * (a - b) for a, b in zip(p[i], q[i]))
        items.append(item)

args = ["score", "-m", model, "--tokens", ",".join(map(str, ids)), "-c", str(ctx), "--json",
        "-o", os.path.join(work, "items.jsonl"), *precision]
args += ["--stride", str(stride)] if stride else []
args += ["--whole"] if whole else []
args += ["--windows", str(most)] if most else []
args += ["--against", reference] if reference != "-" else []
total = json.loads(run(*args))
found = [json.loads(line) for line in open(os.path.join(work, "items.jsonl"))]

bad = 0


def expect(what, expected, value, tolerance):
    global bad
    if not abs(expected - value) <= tolerance:
        print(f"{device} {os.path.basename(model)} {what}: expected {expected}, found {value}")
        bad += 1


# Logits are of the size of 10 and their relative error in f32 is some 1e-6; the figures are
# logarithms and means of those, and KL is quadratic in the differences between two models.
nll = [-i["log_prob"] for i in items]
mean = math.fsum(nll) / len(nll)
spread = math.fsum((v - mean) ** 2 for v in nll) / len(nll)
error = math.sqrt(spread / (len(nll) - 1)) if len(nll) > 1 else 0
expect("scored", len(items), total["scored"], 0)
expect("lines", len(items), len(found), 0)
expect("nll", mean, total["model"]["nll"], 2e-5)
expect("perplexity", 1, total["model"]["perplexity"] / math.exp(mean), 2e-5)
expect("nll error", error, total["model"]["nll_error"], 2e-5)
for a, b in zip(items, found):
    for key in ("window", "position", "id", "best"):
        expect(f"{key} at {a['window']}, {a['position']}", a[key], b[key], 0)
    expect(f"log_prob at {a['window']}, {a['position']}", a["log_prob"], b["log_prob"], 1e-4)
if reference != "-":
    divergences = sorted(i["kl"] for i in items)
    n = len(divergences)
    for key, value in (("kl_mean", math.fsum(divergences) / n), ("kl_max", divergences[-1]),
                       ("kl_median", divergences[math.ceil(0.5 * n) - 1]),
                       ("kl_p99", divergences[math.ceil(0.99 * n) - 1])):
        expect(key, value, total[key], 2e-5 + 1e-4 * value)
    expect("ratio", math.exp(mean + math.fsum(i["reference_log_prob"] for i in items) / n),
           total["perplexity_ratio"], 5e-5)
    for a, b in zip(items, found):
        expect(f"kl at {a['window']}, {a['position']}", a["kl"], b["kl"], 2e-5 + 1e-4 * a["kl"])
sys.exit(1 if bad else 0)
