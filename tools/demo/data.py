"""Conversations as rows of token ids, in batches of a fixed make-up.

SPDX-License-Identifier: MIT
"""
import dataclasses
import random

import numpy as np

import pictures
import questions
import tokenizer as tk

SOFT = 9
TALKS = {"shapes": (2, 4), "read": (3, 2), "two": (1, 5), "text": (0, 0)}  # conversations, turns in each


@dataclasses.dataclass
class Row:
    ids: list            # of token ids; PAD where a picture's soft tokens stand
    image: list          # 0, or which picture of the row
    target: list         # True where the next token is to be learned
    doc: list
    scenes: list
    turns: list          # (kind, first, end): the positions of an answer in `ids`, its end mark included


def _put(row, ids, learn=False, image=0, doc=0):
    row.ids += ids
    row.image += [image] * len(ids)
    row.target += [learn] * len(ids)
    row.doc += [doc] * len(ids)


def turn_parts(turn, system, first):
    """The user's turn as texts and None for each picture, as Gemma's template has it."""
    parts = ["user\n" + (system + "\n\n" if first and system else "")]
    for _ in turn.images or []:
        parts[-1] += "\n\n"
        parts += [None, "\n\n"]
    parts[-1] += turn.question
    return parts


def put_conversation(row, tokens, system, turns, budget, doc, most=None):
    """Adds turns until the budget of tokens is used up; returns how many."""
    _put(row, [tk.BOS], doc=doc)
    n = 0
    for turn in turns:
        start = (len(row.ids), len(row.scenes), len(row.turns))
        _put(row, [tk.START_OF_TURN], doc=doc)
        for part in turn_parts(turn, system, n == 0):
            if part is None:
                row.scenes.append(turn.images[len(row.scenes) - start[1]])
                _put(row, [tk.START_OF_IMAGE], doc=doc)
                _put(row, [tk.PAD] * SOFT, image=len(row.scenes), doc=doc)
                _put(row, [tk.END_OF_IMAGE], doc=doc)
            else:
                _put(row, tokens.encode(part), doc=doc)
        _put(row, [tk.END_OF_TURN] + tokens.encode("\n") + \
             [tk.START_OF_TURN] + tokens.encode("model\n"), doc=doc)
        answer = tokens.encode(turn.answer) + [tk.END_OF_TURN]
        row.turns.append((turn.kind, len(row.ids), len(row.ids) + len(answer)))
        _put(row, answer, learn=True, doc=doc)
        _put(row, tokens.encode("\n"), doc=doc)
        if len(row.ids) > budget:  # this one does not fit
            for field in (row.ids, row.image, row.target, row.doc):
                del field[start[0]:]
            del row.scenes[start[1]:], row.turns[start[2]:]
            return n
        n += 1
        if n == most:
            break
    return n


def make_row(rng, tokens, topic, length):
    """A row of at most `length` tokens. It has as many pictures as its topic says, few questions to
    each, so that answers are to be seen rather than read in the answers before; the rest is text."""
    n_talks, most_turns = TALKS[topic]
    wanted = n_talks * (2 if topic == "two" else 1)
    while True:
        row = Row([], [], [], [], [], [])
        doc = 0
        while len(row.ids) + 24 < length:
            about = topic if doc < n_talks else "text"
            system, turns = questions.conversation(rng, about)
            most = rng.choice([1, 2, 4, 20, 20]) if about == "text" else rng.randint(1, most_turns)
            if not put_conversation(row, tokens, system, turns, length, doc, most):
                break
            doc += 1
        if len(row.scenes) == wanted and row.turns:
            return row


def pad(rows, length):
    """Rows -> arrays: ids, doc, image [B, T], target [B, T] (True where ids[t + 1] is to be learned),
    places [N * SOFT]."""
    n = len(rows)
    ids = np.zeros((n, length), np.int64)
    doc = np.full((n, length), -1, np.int64)
    image = np.zeros((n, length), np.int64)
    target = np.zeros((n, length), bool)
    for i, row in enumerate(rows):
        k = len(row.ids)
        ids[i, :k], doc[i, :k], image[i, :k] = row.ids, row.doc, row.image
        target[i, :k - 1] = row.target[1:]
    return ids, doc, image, target, np.flatnonzero(image.reshape(-1))


def batch(rng, tokens, length, mix):
    rows = [make_row(rng, tokens, topic, length) for topic, n in mix.items() for _ in range(n)]
    return *pad(rows, length), *draw([s for row in rows for s in row.scenes], rng), rows


def draw(scenes, rng):
    """Images [n, side, side, 3] and labels [n, 33 + 162]."""
    drawn = [pictures.render_with_boxes(s, rng) for s in scenes]
    return (np.stack([image for image, _ in drawn]),
            np.array([pictures.labels(s) + pictures.patch_labels(s, boxes)
                      for s, (_, boxes) in zip(scenes, drawn)]))


def picture_batch(rng, n):
    """For the tower alone."""
    return draw([pictures.shapes_scene(rng) if rng.random() < 0.5 else pictures.text_scene(rng)
                 for _ in range(n)], rng)


# ---- held out -------------------------------------------------------------------------------------

def weights(rows, length):
    """[B, T]: what a token of an answer counts; short answers count more than their tokens' number."""
    out = np.zeros((len(rows), length), np.float32)
    for i, row in enumerate(rows):
        for _, first, end in row.turns:
            out[i, first:end] = (end - first) ** -0.5
    return out


def held_out(tokens, length, n, seed):
    """Batches of 16 rows, n rows in all."""
    rng = random.Random(seed)
    return [batch(rng, tokens, length, {"shapes": 7, "read": 3, "two": 2, "text": 4}) for _ in range(n // 16)]


def exact_match(w, c, batches, fast=False, firsts=None):
    """kind -> (answered word for word, asked). An answer that is the likeliest token at every position
    given the ones before it is what greedy sampling writes. `fast`: in bfloat16, where that is faster.
    `firsts` gets the same for the first questions of conversations alone."""
    import torch

    import model as m
    out = {}
    for ids, doc, image, _, places, images, _, rows in batches:
        ids, doc, image, places, images = map(torch.from_numpy, (ids, doc, image, places, images))
        with torch.no_grad(), m.autocast(fast):
            given = m.project(w, c, m.tower(w, c, m.patches(images, c))[0])
            x = m.text(w, c, m.embed(w, c, ids, given, places), *m.masks(doc, image, c))
            best = m.logits(w, x).argmax(-1)
        right = best[:, :-1] == ids[:, 1:]
        for i, row in enumerate(rows):
            talk = None
            for kind, first, end in row.turns:
                for totals in [out] + [firsts] * (firsts is not None and row.doc[first] != talk):
                    a, b = totals.get(kind, (0, 0))
                    totals[kind] = (a + int(right[i, first - 1:end - 1].all()), b + 1)
                talk = row.doc[first]
    return out
