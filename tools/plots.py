#!/usr/bin/env python3
"""The pictures of the documentation, written as SVG with nothing but Python's standard library.

    tools/plots.py [--into DIR]     default: docs/

  speed.svg      Peridot beside llama.cpp, from the records in tests/data/perf
  layers.svg     the folders of src/ and which may include which
  toy.svg        how the toy learned, from tools/demo/pip-toy/curve.csv
  terminal.svg   a session in a terminal, from docs/terminal.txt: lines that begin with "$ " are what
                 was typed, everything else is what the programs printed

Each brings its own background and follows the reader's dark or light mode. Equal input gives equal
bytes: the test tree.docs makes them anew and compares.

SPDX-License-Identifier: MIT
"""
import argparse
import csv
import math
import pathlib
import re
import sys
from html import escape

ROOT = pathlib.Path(__file__).resolve().parent.parent

# Two palettes by role. Every text reaches a contrast of 4.5 with what it stands on.
STYLE = """<style>
  text { font-family: system-ui, -apple-system, "Segoe UI", Helvetica, Arial, sans-serif; }
  .ground { fill: #ffffff; stroke: #d0d7de; }
  .ink { fill: #1f2328; } .faint { fill: #59636e; } .rule { stroke: #d0d7de; } .one { stroke: #59636e; }
  .faster { fill: #1a7f37; } .slower { fill: #bc4c00; } .span { stroke: #1f2328; }
  .box { fill: #eef4fb; stroke: #8fb3dd; } .arrow { stroke: #59636e; fill: none; } .head { fill: #59636e; }
  @media (prefers-color-scheme: dark) {
    .ground { fill: #0d1117; stroke: #3d444d; }
    .ink { fill: #f0f6fc; } .faint { fill: #9198a1; } .rule { stroke: #3d444d; } .one { stroke: #9198a1; }
    .faster { fill: #3fb950; } .slower { fill: #f0883e; } .span { stroke: #f0f6fc; }
    .box { fill: #17263a; stroke: #3a6ea5; } .arrow { stroke: #9198a1; } .head { fill: #9198a1; }
  }
</style>"""


def text(x, y, content, role="ink", size=14, anchor="start", more=""):
    return (f'<text class="{role}" x="{x:g}" y="{y:g}" font-size="{size}" text-anchor="{anchor}"{more}>'
            f"{escape(content)}</text>")


def picture(width, height, title, parts):
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" role="img">',
        f"<title>{escape(title)}</title>", STYLE,
        f'<rect class="ground" x="0.5" y="0.5" width="{width - 1}" height="{height - 1}" rx="8"/>',
        *parts, "</svg>", ""])


# ---- speed --------------------------------------------------------------------------------------

def tables(path):
    """Every table of a Markdown file, as a list of rows of cells; the first row is the header."""
    table = []
    for line in path.read_text(encoding="utf-8").splitlines() + [""]:
        if line.startswith("|"):
            cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
            if not all(re.fullmatch(r":?-+:?", cell) for cell in cells):
                table.append(cells)
        elif table:
            yield table
            table = []


def ratio_of(cell):
    """'5.38 [4.94..5.75]' -> (5.38, 4.94, 5.75); one round: (6.6, None, None)"""
    match = re.fullmatch(r"([\d.]+)(?: \[([\d.]+)\.\.([\d.]+)\])?", cell)
    if not match:
        sys.exit(f"plots.py: not a ratio: {cell}")
    low, high = match.group(2), match.group(3)
    return float(match.group(1)), low and float(low), high and float(high)


def test_name(short):
    kind, n = short[:2], short[2:]
    return {"pp": f"prompt of {n} tokens", "tg": f"generating {n} tokens"}[kind]


def comparisons(path, which=slice(None)):
    """(what, ratio, low, high, figures) of each row of the tables that compare the two engines."""
    found = [table for table in tables(path) if "peridot tok/s" in table[0]]
    for header, *rows in found[which]:
        for row in rows:
            cell = dict(zip(header, row))
            figures = f'{cell["peridot tok/s"]} and {cell["llama.cpp tok/s"]} tokens/s'
            yield (test_name(cell["test"]), *ratio_of(cell["ratio"]), figures)


def quantising(path):
    """Rounds side by side: median and range of the ratios."""
    for header, *rows in tables(path):
        named = {row[0]: row[1:] for row in rows}
        if "ratio" not in named:
            continue
        ratios = sorted(float(cell) for cell in named["ratio"])
        median = ratios[len(ratios) // 2]
        seconds = [sorted(named[name], key=float)[len(ratios) // 2] for name in ("Peridot", "llama.cpp")]
        yield ("BF16 to Q4_0, 270M", median, ratios[0], ratios[-1], f"{seconds[0]} and {seconds[1]} s")


def speed():
    perf = ROOT / "tests/data/perf"
    groups = [("llvmpipe: Vulkan on the processor, 1B Q4_0", comparisons(perf / "2026-11-22-llvmpipe.md")),
              ("processor with AVX2, two threads, 1B Q4_0", comparisons(perf / "2026-11-30-cpu-text.md", slice(0, 1))),
              ("the same, Gemma 3 270M Q4_K_M", comparisons(perf / "2026-11-30-cpu-text.md", slice(2, 3))),
              ("processor with AMX, two threads, 1B Q4_0", comparisons(perf / "2026-11-30-cpu-amx.md", slice(0, 1))),
              ("the same, at q8", comparisons(perf / "2026-11-30-cpu-amx.md", slice(1, 2))),
              ("the same, Gemma 3 270M Q4_K_M", comparisons(perf / "2026-11-30-cpu-amx.md", slice(7, 8))),
              ("quantising", quantising(perf / "2026-11-22-quantize.md"))]
    left, right, width, y = 200, 560, 840, 86
    low, high = math.log2(0.25), math.log2(8)

    def x_of(ratio):
        return left + (math.log2(ratio) - low) / (high - low) * (right - left)

    parts, rules = [], []

    def add_rules(top, bottom):
        for ratio in (0.25, 0.5, 1, 2, 4, 8):
            x = x_of(ratio)
            role = "one" if ratio == 1 else "rule"
            rules.append(f'<line class="{role}" x1="{x:.1f}" x2="{x:.1f}" y1="{top}" y2="{bottom}"/>')

    for title, rows in groups:
        parts.append(text(20, y, title, size=13, more=' font-weight="600"'))
        y += 10
        top = y
        for what, ratio, least, most, figures in rows:
            one, end = x_of(1), x_of(ratio)
            parts.append(text(left - 12, y + 15, what, size=13, anchor="end"))
            role = "faster" if ratio >= 1 else "slower"
            parts.append(f'<rect class="{role}" x="{min(one, end):.1f}" y="{y + 3}" '
                         f'width="{abs(end - one):.1f}" height="16"/>')
            if least:
                parts.append(f'<line class="span" x1="{x_of(least):.1f}" x2="{x_of(most):.1f}" y1="{y + 11}" '
                             f'y2="{y + 11}" stroke-width="2"/>')
            parts.append(text(right + 16, y + 15, f"{ratio:.2f}", size=13, more=' font-weight="600"'))
            parts.append(text(right + 58, y + 15, figures, "faint", 11))
            y += 24
        add_rules(top, y)
        y += 22
    bottom = y - 22
    for ratio in (0.25, 0.5, 1, 2, 4, 8):
        rules.append(text(x_of(ratio), bottom + 18, f"{ratio:g}", "faint", 12, "middle"))
    rules.append(text((left + right) / 2, bottom + 38, "speed of Peridot / speed of llama.cpp; longer to the "
                      "right: Peridot is faster", "faint", 12, "middle"))
    rules.append(text(20, 28, "Peridot beside llama.cpp", size=16, more=' font-weight="600"'))
    rules.append(text(20, 48, "two cores of Xeons with AMX, and of a Zen 3 EPYC, November 2026; lines: "
                      "the range of three rounds; no GPU has been measured", "faint", 12))
    return picture(width, bottom + 54, "Speed of Peridot beside llama.cpp", rules + parts)


# ---- layers -------------------------------------------------------------------------------------

LAYERS = [  # from the top: a folder may include what lies below it
    [("cli", "the program: one file per command")],
    [("measure", "benchmarks, scores"), ("pack", "convert, quantize, synth"),
     ("hub", "models to fetch"), ("options", "flags, help")],
    [("sample", "from logits to a token")],
    [("engine", "models, sessions, KV pages, images")],
    [("backend", "the interface to what computes"), ("backend/cpu", "the reference; vector units"),
     ("backend/vulkan", "any GPU with a driver")],
    [("plan", "the forward passes as operations")],
    [("text", "Gemma's tokenizer"), ("image", "image files to pixels")],
    [("model", "settings and weights by meaning")],
    [("file", "GGUF, safetensors, number formats")],
    [("base", "errors, files, memory, threads")],
]


def layers():
    width, left, right, top, height, gap = 800, 20, 720, 44, 44, 8
    parts = [text(left, 28, "The layers of src/: a folder includes only from those below it", size=14)]
    y = top
    for row in LAYERS:
        share = (right - left - gap * (len(row) - 1)) / len(row)
        for i, (name, does) in enumerate(row):
            x = left + i * (share + gap)
            parts.append(f'<rect class="box" x="{x:.1f}" y="{y}" width="{share:.1f}" height="{height}" '
                         f'rx="5"/>')
            parts.append(text(round(x + 12, 1), y + 19, name, size=14, more=' font-weight="600"'))
            parts.append(text(round(x + 12, 1), y + 36, does, "faint", 12))
        y += height + gap
    bottom, x = y - gap, right + 30
    parts.append(f'<path class="arrow" d="M{x} {top + 4}V{bottom - 10}" stroke-width="2"/>')
    parts.append(f'<path class="head" d="M{x - 6} {bottom - 12}H{x + 6}L{x} {bottom}Z"/>')
    middle = (top + bottom) // 2
    turn = f' transform="rotate(90 {x + 22} {middle})"'
    parts.append(text(x + 22, middle, "includes", "faint", 13, "middle", turn))
    return picture(width, bottom + 16, "The layers of the source", parts)


# ---- the toy ------------------------------------------------------------------------------------

def toy_curve():
    """(minutes, phase, share of pictures whose labels are right, share of answers that are)"""
    with (ROOT / "tools/demo/pip-toy/curve.csv").open(encoding="utf-8", newline="") as f:
        return [(int(row[1]) / 60, row[2], float(row[4]), float(row[5])) for row in csv.reader(f)]


def toy():
    rows = toy_curve()
    left, right, top, bottom, last = 60, 640, 70, 270, max(row[0] for row in rows)

    def x_of(minutes):
        return left + minutes / last * (right - left)

    def y_of(share):
        return bottom - share * (bottom - top)

    def line(role, points):
        at = " ".join(f"{x_of(x):.1f},{y_of(y):.1f}" for x, y in points)
        return f'<polyline class="{role}" points="{at}" fill="none" stroke-width="2"/>'

    parts = [text(20, 28, "How the toy learned", size=16, more=' font-weight="600"'),
             text(20, 48, "held-out questions answered word for word, and fresh pictures with every label right",
                  "faint", 12)]
    for share in (0, 0.25, 0.5, 0.75, 1):
        y = y_of(share)
        parts.append(f'<line class="rule" x1="{left}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(text(left - 8, round(y + 4, 1), f"{100 * share:g} %", "faint", 12, "end"))
    step = 20 if last > 60 else 10
    for minutes in range(0, int(last) + 1, step):
        parts.append(text(round(x_of(minutes), 1), bottom + 18, str(minutes), "faint", 12, "middle"))
    parts.append(text((left + right) / 2, bottom + 38, "minutes of training", "faint", 12, "middle"))
    parts.append(line("arrow", [(row[0], row[2]) for row in rows]))
    answers = [(row[0], row[3]) for row in rows if row[1] != "tower"]
    parts.append(line("span", answers))
    parts.append(text(right + 10, round(y_of(rows[-1][3]), 1), "answers", size=12))
    parts.append(text(right + 10, round(y_of(rows[-1][2]) + 14, 1), "labels", "faint", 12))
    return picture(720, bottom + 54, "How the toy learned", parts)


# ---- terminal -----------------------------------------------------------------------------------

TERMINAL_STYLE = """<style>
  text { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; }
  .case { fill: #161b22; stroke: #6e7681; } .out { fill: #e6edf3; } .typed { fill: #7ee787; }
  .dot { fill: #6e7681; }
</style>"""


def terminal():
    lines = (ROOT / "docs/terminal.txt").read_text(encoding="utf-8").rstrip("\n").split("\n")
    # Advances differ from font to font: textLength holds every line to the same grid.
    advance, line_height, left, top = 7.4, 17, 18, 52
    width = round(2 * left + advance * max(len(line) for line in lines))
    height = top + line_height * len(lines) + 6
    parts = []
    for i, line in enumerate(lines):
        if not line:
            continue
        role = "typed" if line.startswith("$ ") else "out"
        parts.append(f'<text class="{role}" x="{left}" y="{top + i * line_height}" font-size="12" '
                     f'xml:space="preserve" textLength="{advance * len(line):.1f}" '
                     f'lengthAdjust="spacingAndGlyphs">{escape(line)}</text>')
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" role="img">',
        "<title>A session in a terminal</title>", TERMINAL_STYLE,
        f'<rect class="case" x="0.5" y="0.5" width="{width - 1}" height="{height - 1}" rx="8"/>',
        *[f'<circle class="dot" cx="{20 + 18 * i}" cy="20" r="5"/>' for i in range(3)],
        *parts, "</svg>", ""])


def main():
    parser = argparse.ArgumentParser(description="draws the pictures of the documentation")
    parser.add_argument("--into", type=pathlib.Path, default=ROOT / "docs")
    folder = parser.parse_args().into
    for name, draw in (("speed", speed), ("layers", layers), ("toy", toy), ("terminal", terminal)):
        (folder / f"{name}.svg").write_text(draw(), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
