#!/usr/bin/env python3
"""Multiple-choice items with known answers, from data that packages carry; standard library only.

    tools/eval/items.py capitals FOLDER > capitals.jsonl
        FOLDER: countryinfo/data of the Python package countryinfo (MIT). Capitals of countries and
        countries of capitals; the other choices come from the same region.
    tools/eval/items.py definitions FOLDER > definitions.jsonl
        FOLDER: /usr/share/wordnet of Debian's wordnet-base (WordNet 3.0, WordNet licence). Common
        nouns by their definitions; the other choices are nouns of the same field.

500 items each, the same every time. An item is a line of what `peridot score --choices` reads:
{"query": "...", "choices": [" a", " b", " c", " d"], "gold": 2}.

SPDX-License-Identifier: MIT
"""

import json
import pathlib
import random
import sys

N_ITEMS, N_CHOICES, SEED = 500, 4, 3
MIN_USES = 3  # of a word in its first sense in WordNet's tagged texts


def item(rng, query, right, others):
    """One item; the choices are shuffled."""
    choices = [right, *rng.sample(others, N_CHOICES - 1)]
    rng.shuffle(choices)
    return {"query": query, "choices": [" " + c for c in choices], "gold": choices.index(right)}


# ---- capitals --------------------------------------------------------------------------------------------------


def read_countries(folder):
    """[(name, capital, region)] of countries whose capital is not named after them."""
    found = []
    for path in sorted(pathlib.Path(folder).glob("*.json")):
        data = json.loads(path.read_text(encoding="utf-8"))
        name, capital, region = data.get("name"), data.get("capital"), data.get("region")
        if not (isinstance(capital, str) and name and region):
            continue
        if name not in capital and capital not in name:
            found.append((name, capital, region))
    return found


def capitals(folder):
    """Both directions for every country, as far as the region has enough others."""
    rng, items = random.Random(SEED), []
    countries = read_countries(folder)
    for name, capital, region in countries:
        others = [c for c in countries if c[2] == region and c[0] != name]
        if len(others) < N_CHOICES - 1:
            continue
        items.append(item(rng, f"Question: What is the capital of {name}?\nAnswer:", capital,
                          [c[1] for c in others]))
        items.append(item(rng, f"Question: {capital} is the capital of which country?\nAnswer:", name,
                          [c[0] for c in others]))
        items.append(item(rng, f"The capital of {name} is the city of", capital, [c[1] for c in others]))
    return rng.sample(items, N_ITEMS)


# ---- definitions -----------------------------------------------------------------------------------------------


def read_uses(folder):
    """{(word, offset of its most used sense)} of nouns that are used often enough."""
    often, found = set(), set()
    for line in (pathlib.Path(folder) / "cntlist.rev").read_text(encoding="utf-8").splitlines():
        key, number, uses = line.split(" ")
        word, kind = key.split("%")
        if kind.startswith("1:") and number == "1" and int(uses) >= MIN_USES and word.isalpha():
            often.add(word)
    for line in (pathlib.Path(folder) / "index.noun").read_text(encoding="utf-8").splitlines():
        word, *rest = line.split()
        if word in often:  # its senses end the line, the most used first
            found.add((word, rest[-int(rest[1])]))
    return found


def read_nouns(folder):
    """[(word, field, definition)]"""
    uses, found = read_uses(folder), []
    for line in (pathlib.Path(folder) / "data.noun").read_text(encoding="utf-8").splitlines():
        if line.startswith(" "):
            continue
        data, gloss = line.split(" | ", 1)
        offset, field, _, n_words, *rest = data.split(" ")
        words = [rest[2 * i] for i in range(int(n_words, 16))]
        definition = gloss.split(";")[0].strip()
        word = words[0]
        if (word, offset) in uses and not any(w.lower() in definition.lower() for w in words):
            found.append((word, field, definition))
    return found


def definitions(folder):
    """A noun for a definition."""
    rng = random.Random(SEED)
    nouns, items = read_nouns(folder), []
    for word, field, definition in rng.sample(nouns, min(len(nouns), 2 * N_ITEMS)):
        others = sorted({n[0] for n in nouns if n[1] == field and n[0] != word})
        if len(others) >= N_CHOICES - 1:
            items.append(item(rng, f"Definition: {definition}\nWord:", word, others))
    return items[:N_ITEMS]


TASKS = {"capitals": capitals, "definitions": definitions}


def main():
    """Prints the items of a task."""
    if len(sys.argv) != 3 or sys.argv[1] not in TASKS:
        sys.exit(__doc__)
    try:
        items = TASKS[sys.argv[1]](sys.argv[2])
    except (OSError, ValueError, KeyError) as error:
        sys.exit(f"items: {sys.argv[2]} does not hold what {sys.argv[1]} is made of: {error}")
    if len(items) != N_ITEMS:
        sys.exit(f"items: {sys.argv[2]} gives {len(items)} items of {N_ITEMS}")
    for one in items:
        print(json.dumps(one, ensure_ascii=False))


if __name__ == "__main__":
    main()
