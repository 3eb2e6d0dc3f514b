"""Asks the toy through the program, and counts answers that are right word for word.

SPDX-License-Identifier: MIT
"""
import json
import math
import os
import subprocess

from PIL import Image

import pictures
import questions

MIX = {"shapes": 7, "read": 3, "two": 2, "text": 4}  # questions of each topic


def add(totals, kind, right):
    """totals: kind -> (right, asked)"""
    a, b = totals.get(kind, (0, 0))
    totals[kind] = (a + int(right), b + 1)


def tell(totals):
    for kind, (a, b) in sorted(totals.items()):
        print(f"{kind:22} {a:5} of {b:5}  {100 * a / b:6.1f} %")
    a, b = (sum(x[i] for x in totals.values()) for i in (0, 1))
    print(f"{'all':22} {a:5} of {b:5}  {100 * a / b:6.1f} %")


def topics(rng):
    while True:
        yield rng.choices(list(MIX), list(MIX.values()))[0]


def save_images(scenes, rng, folder, size=None):
    """--image flags for pictures of the scenes, brought to size (width, height) if there is one."""
    flags = []
    for i, scene in enumerate(scenes):
        path = os.path.join(folder, f"{i}.png")
        image = Image.fromarray(pictures.render(scene, rng))
        (image.resize(size, Image.BILINEAR) if size else image).save(path)
        flags += ["--image", path]
    return flags


def program(peridot, *flags, errors="strict"):
    done = subprocess.run([peridot, *flags], capture_output=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr.decode())
    return done.stdout.decode(errors=errors)


def first_questions(rng, n):
    """(system text or "", the first turn) of n conversations."""
    for _, topic in zip(range(n), topics(rng)):
        system, turns = questions.conversation(rng, topic)
        yield system, next(turns)


def question_flags(flags, system, turn, rng, folder, size=None):
    """`run` with a first question; flags: the program and its --model and --device."""
    flags = [flags[0], "run", *flags[1:], "--temp", "0", "--no-perf", "--quiet", "-p", turn.question]
    if system:
        flags += ["-sys", system]
    return flags + save_images(turn.images or [], rng, folder, size)


def answer(flags, system, turn, rng, folder, size=None):
    """What `run` says."""
    return program(*question_flags(flags, system, turn, rng, folder, size)).strip()


def answer_and_probability(flags):
    """What a `run` with these flags says, and the probability that it gave to all of it."""
    said = json.loads(program(*flags, "--json", "--logprobs", "1"))
    return said["text"].strip(), math.exp(sum(token["log_prob"] for token in said["log_probs"]))


def long_talk(rng, tokens, least):
    """A conversation in text, as a template has it, up to a question behind at least that many tokens;
    and the answer."""
    system, turns = questions.conversation(rng, "text")
    while system:
        system, turns = questions.conversation(rng, "text")
    text, n = "", 1
    for turn in turns:
        question, answer = f"user\n{turn.question}", f"model\n{turn.answer}"
        text += f"<start_of_turn>{question}<end_of_turn>\n<start_of_turn>model\n"
        n += len(tokens.encode(question)) + len(tokens.encode("\n")) + 3
        if n >= least:
            return text, turn.answer
        text += f"{turn.answer}<end_of_turn>\n"
        n += len(tokens.encode(answer)) + len(tokens.encode("\n")) + 1
    raise AssertionError("conversations have no end")


def through_run(args, rng, folder):
    totals, flags = {}, [args.peridot, "-m", args.gguf, "--device", args.device]
    for system, turn in first_questions(rng, args.n):
        said = answer(flags, system, turn, rng, folder)
        add(totals, turn.kind, said == turn.answer)
        if args.verbose and said != turn.answer:
            print(f"{turn.question!r}: {said!r} instead of {turn.answer!r}")
    return totals
