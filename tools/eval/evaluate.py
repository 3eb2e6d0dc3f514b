#!/usr/bin/env python3
"""How many multiple-choice items a model answers right, as a table; standard library only.

    tools/eval/evaluate.py [--peridot PROGRAM] ITEMS.jsonl ... -- -m MODEL.gguf [FLAG ...]

What stands behind -- goes to `peridot score --choices`, which does the work: a device, a precision. Items are
made by items.py, or by anything that writes {"query": ..., "choices": [...], "gold": N}.

SPDX-License-Identifier: MIT
"""

import argparse
import json
import pathlib
import shutil
import subprocess
import sys


def program():
    """The built program, or the installed one."""
    root = pathlib.Path(__file__).resolve().parents[2]
    built = [p for p in (root / "build/release/peridot", root / "build/dev/peridot") if p.exists()]
    return str(built[0]) if built else shutil.which("peridot")


def evaluate(peridot, flags, path, out=None):
    """What `peridot score --choices` says of a file, as a dictionary; single choices go to the file `out`."""
    command = [peridot, "score", "--choices", path, "--json", *flags, *(["-o", out] if out else [])]
    result = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    if result.returncode:
        raise RuntimeError(result.stderr.strip())
    return json.loads(result.stdout)


def row(name, found):
    """A line of the table."""
    return (f"| {name} | {found['items']} | {found['accuracy']:.3f} ± {found['accuracy_error']:.3f} "
            f"| {found['accuracy_normalised']:.3f} ± {found['accuracy_normalised_error']:.3f} |")


def main():
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peridot", default=program(), help="the program")
    parser.add_argument("items", nargs="+", help="files of items")
    own = sys.argv[1:]
    split = own.index("--") if "--" in own else len(own)
    arguments, flags = parser.parse_args(own[:split]), own[split + 1:]
    if not arguments.peridot:
        sys.exit("evaluate: peridot is neither built nor installed")
    print("| task | items | accuracy | per byte |\n|---|---|---|---|")
    for path in arguments.items:
        try:
            print(row(pathlib.Path(path).stem, evaluate(arguments.peridot, flags, path)), flush=True)
        except RuntimeError as error:
            sys.exit(str(error))


if __name__ == "__main__":
    main()
