#!/usr/bin/env python3
"""Fresh pictures and questions for the model in the box, and how many of its answers are right.

    words.py PERIDOT [-n QUESTIONS] [--seed N]

Through `run`, the first questions of conversations, on the processor; the same of them on cpu-ref and
through Vulkan on llvmpipe, and all of them at once over HTTP, whose answers must be the same. Through
`chat`, conversations in text that refer back to what was said. An answer is right when it is so word for
word; LEAST is a bound that wrong arithmetic falls below, four standard deviations under what the model
reaches (docs/toy.md). Then words that are drawn where nothing is sure, beside those recorded in draws.json:
they change with the least of errors.

SPDX-License-Identifier: MIT
"""
import argparse
import base64
import concurrent.futures
import json
import os
import random
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "..", "tools", "demo"), os.path.join(HERE, "..", "server")]
import ask  # noqa: E402
import draws  # noqa: E402
import questions  # noqa: E402
import serve  # noqa: E402

LEAST, LEAST_CHAT, LEAST_DRAWN = 0.92, 0.9, 0.9
failures = []


def check(good, words):
    print(("" if good else "FAILED: ") + words)
    if not good:
        failures.append(words)


def has_llvmpipe(peridot):
    return "llvmpipe" in ask.program(peridot, "devices")


def through_run(peridot, device, seed, n):
    """The answers, and the right ones."""
    rng, said, right = random.Random(seed), [], []
    with tempfile.TemporaryDirectory() as folder:
        for system, turn in ask.first_questions(rng, n):
            said.append(ask.answer([peridot, "--device", device], system, turn, rng, folder))
            right.append(turn)
    return said, right


def check_run(peridot, seed, n):
    said, turns = through_run(peridot, "cpu", seed, n)
    totals = {}
    for answer, turn in zip(said, turns):
        ask.add(totals, turn.kind, answer == turn.answer)
    ask.tell(totals)
    share = sum(a == t.answer for a, t in zip(said, turns)) / n
    check(share >= LEAST, f"run on cpu: {100 * share:.1f} % of {n} answers are right, at least "
                          f"{100 * LEAST:.0f} % are wanted")
    return said


def check_device(peridot, device, seed, said):
    others, _ = through_run(peridot, device, seed, len(said))
    same = sum(a == b for a, b in zip(said, others))
    # precisions round otherwise on each, and what the model is not sure of may go either way
    check(same >= 0.95 * len(said), f"run on {device}: {same} of {len(said)} answers are the same as on cpu")


def messages(system, turn, rng, folder):
    """A first question as OpenAI's clients send it."""
    parts = []
    for path in ask.save_images(turn.images or [], rng, folder)[1::2]:
        with open(path, "rb") as f:
            url = "data:image/png;base64," + base64.b64encode(f.read()).decode()
        parts.append({"type": "image_url", "image_url": {"url": url}})
    parts.append({"type": "text", "text": turn.question})
    head = [{"role": "system", "content": system}] if system else []
    return head + [{"role": "user", "content": parts}]


def check_http(peridot, seed, said):
    """The same questions, eight at a time; each is computed as it is alone."""
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        asked = [messages(system, turn, rng, folder) for system, turn in ask.first_questions(rng, len(said))]
    with serve.start(peridot, "--device", "cpu", "--deterministic") as server:

        def answer(talk_so_far):
            body = {"messages": talk_so_far, "temperature": 0}
            return server.ok("/v1/chat/completions", body)["choices"][0]["message"]["content"].strip()

        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            others = list(pool.map(answer, asked))
    same = sum(a == b for a, b in zip(said, others))
    check(same == len(said), f"over HTTP: {same} of {len(said)} answers are the same as from run")


def talk(rng, n):
    """Questions of one conversation and their answers."""
    while True:
        system, turns = questions.conversation(rng, "text")
        if not system:
            return [next(turns) for _ in range(n)]


def through_chat(peridot, turns, folder):
    """Holds the conversation as in a terminal; returns the file that it was saved in."""
    saved, typed = os.path.join(folder, "talk.json"), os.path.join(folder, "typed")
    if os.path.exists(saved):
        os.remove(saved)
    with open(typed, "w", encoding="utf-8") as f:
        f.write("".join(t.question + "\n" for t in turns) + f"/save {saved}\n/quit\n")
    with open(typed, encoding="utf-8") as f:
        subprocess.run(["script", "-qec", f"'{peridot}' chat --device cpu --temp 0 -c 512", "/dev/null"],
                       stdin=f, capture_output=True, check=True, env={**os.environ, "TERM": "dumb"})
    return saved


def check_chat(peridot, seed, n):
    rng, right, asked = random.Random(seed), 0, 0
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(n):
            turns = talk(rng, 4)
            with open(through_chat(peridot, turns, folder), encoding="utf-8") as f:
                said = [t["text"] for t in json.load(f)["turns"] if t["role"] == "assistant"]
            asked += len(turns)
            right += sum(a.strip() == t.answer for a, t in zip(said, turns))
    check(right >= LEAST_CHAT * asked, f"chat on cpu: {right} of {asked} answers are right, at least "
                                       f"{100 * LEAST_CHAT:.0f} % are wanted")


def check_draws(peridot, device, cases):
    # a draw may fall between two tokens to the last bits of its float, once in some ten thousand tokens
    for about, good in draws.same(peridot, device, cases).items():
        check(sum(good) >= LEAST_DRAWN * len(good),
              f"run on {device}: {sum(good)} of {len(good)} recorded words about {about} are drawn again")


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    p.add_argument("peridot")
    p.add_argument("-n", type=int, default=200, help="questions (200)")
    p.add_argument("--seed", type=int, default=20261129)
    args = p.parse_args()
    os.environ.pop("PERIDOT_TOY", None)
    if not os.path.exists(os.path.join(os.path.dirname(args.peridot), "share/peridot")):
        print("skipped: the toy is not built")
        sys.exit(77)
    said = check_run(args.peridot, args.seed, args.n)
    check_http(args.peridot, args.seed, said)
    check_device(args.peridot, "cpu-ref", args.seed, said[:20])
    recorded = draws.read()
    check_draws(args.peridot, "cpu", recorded)
    check_draws(args.peridot, "cpu-ref", recorded[:8])
    if has_llvmpipe(args.peridot):
        check_device(args.peridot, "vulkan:llvmpipe", args.seed, said[:10])
        check_draws(args.peridot, "vulkan:llvmpipe", recorded[:8])
    check_chat(args.peridot, args.seed, 10)
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
