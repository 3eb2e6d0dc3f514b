#!/usr/bin/env python3
"""What lm-evaluation-harness needs of `peridot serve`, by its own requests (tools/eval/harness.py), while another
client keeps the server busy: the same sums as `peridot score --choices`, the same twice, and every rule that the
harness relies on without looking.

    test_lm_eval.py PERIDOT [NAME...]

SPDX-License-Identifier: MIT
"""
import contextlib
import json
import os
import random
import sys
import tempfile
import threading

import serve
from serve import check, same, test

sys.path.insert(0, os.path.join(serve.ROOT, "tools/eval"))
import harness  # noqa: E402

PROGRAM = sys.argv[1]
TEXT = "/v1/completions"
NEAR = 1e-5  # of a log-probability
CAPITALS = {"France": "Paris", "Italy": "Rome", "Spain": "Madrid", "Germany": "Berlin", "Japan": "Tokyo",
            "Norway": "Oslo", "Egypt": "Cairo", "Greece": "Athens"}


def items():
    """Short ones, and some behind several examples, which share a long beginning."""
    rng, made = random.Random(4), []
    shots = "".join(f"Question: What is the capital of {c}?\nAnswer: {t}\n\n" for c, t in CAPITALS.items()) * 3
    for country, capital in CAPITALS.items():
        others = rng.sample([c for c in CAPITALS.values() if c != capital], 3)
        choices = [" " + c for c in rng.sample([capital, *others], 4)]
        gold = choices.index(" " + capital)
        made.append({"query": f"The capital of {country} is", "choices": choices, "gold": gold})
        made.append({"query": f"{shots}Question: What is the capital of {country}?\nAnswer:",
                     "choices": [c + "." for c in choices], "gold": gold})
    made.append(
        {"query": "Ärger über ein", "choices": [" Ungeheuer", " \U0001f600!", "\n\nzwei  Zeilen", "é"], "gold": 0})
    return made


def scored(made, *flags):
    """The sums of `peridot score --choices`, choice by choice."""
    with tempfile.TemporaryDirectory() as folder:
        path, out = folder + "/items.jsonl", folder + "/out.jsonl"
        with open(path, "w", encoding="utf-8") as f:
            f.writelines(json.dumps(i) + "\n" for i in made)
        serve.peridot(PROGRAM, "score", "--choices", path, "--device", serve.DEVICE, "--precision", "exact", "-o", out,
                      *flags)
        return [json.loads(line) for line in open(out, encoding="utf-8")]


def asker(server):
    return lambda path, body=None: server.ok(path, body)


def near(found, expected, what):
    check(abs(found - expected) <= NEAR * max(1, abs(expected)), what, "is", found, "and should be", expected)


@contextlib.contextmanager
def busy(server):
    """Two clients that ask for other things all the time; their failures are told."""
    ends, errors = threading.Event(), []

    def client(i):
        rng = random.Random(i)
        while not ends.is_set():
            body = {"prompt": "Once upon a time " * rng.randint(1, 60), "max_tokens": rng.randint(1, 40), "seed": i}
            try:
                server.ok(TEXT, body)
            except Exception as error:  # pylint: disable=broad-except
                errors.append(error)
                return

    threads = [threading.Thread(target=client, args=(i,)) for i in range(2)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        ends.set()
        for thread in threads:
            thread.join()
    check(not errors, "the clients beside it:", errors)


@test
def remote_tokenizer(server):
    ask = asker(server)
    info = ask("/tokenizer_info")
    check(info["eos_token"] == "<eos>", "eos_token:", info)
    same(harness.encode(ask, info["eos_token"])[0], 1, "eos_token's id first:")
    for context, continuation in harness.pairs_of(items()):
        a, b = harness.encode_pair(ask, context, continuation)
        same(ask("/detokenize", {"tokens": a + b})["prompt"], context + continuation, "there and back:")


@test
def as_score(server):
    """Rules 1, 2, 3, 5 for each, in requests of 1 and of 8, and the sums."""
    made = items()
    expected = [line["log_prob"] for line in scored(made)]
    for batch in (1, 8):
        server.ok("/cache/clear", {})
        with busy(server):
            found = harness.score_local(asker(server), harness.pairs_of(made), batch)
        for (total, _), value, pair in zip(found, expected, harness.pairs_of(made)):
            near(total, value, f"{pair[0][-30:]!r}{pair[1]!r}, {batch} at a time:")
    return f"accuracy {harness.accuracy(made, found)[0]:.3f}"


@test
def through_gguf(server):
    made = items()
    expected = [line["log_prob"] for line in scored(made)]
    with busy(server):
        found = harness.score_gguf(asker(server), harness.pairs_of(made))
    for (total, _), value, pair in zip(found, expected, harness.pairs_of(made)):
        near(total, value, f"{pair[0][-30:]!r}{pair[1]!r}:")


def thrice(server):
    """What a list of requests is answered, with nothing kept, with all of it kept, and with nothing again."""
    pairs = [harness.encode_pair(asker(server), *pair) for pair in harness.pairs_of(items())]
    bodies, found = [harness.score_body([a + b for a, b in pairs[i:i + 4]]) for i in range(0, len(pairs), 4)], []
    for clear in (True, False, True):
        if clear:
            server.ok("/cache/clear", {})
        with busy(server):
            answers = [sorted(server.ok(TEXT, b)["choices"], key=lambda c: c["index"]) for b in bodies]
        found.append([x for choices in answers for c in choices for x in c["logprobs"]["token_logprobs"][1:-1]])
    return found


@test
def the_same_twice(server):
    """Whatever else runs, and whether or not anything is kept."""
    first, *others = thrice(server)
    for other in others:
        for x, y in zip(first, other, strict=True):
            near(y, x, "the same once more:")


def to_the_bit():
    """With --deterministic, and in the usual precision."""
    with serve.start(PROGRAM, "--device", serve.DEVICE, "--parallel", "4", "--deterministic") as server:
        first, *others = thrice(server)
        for other in others:
            same([(x, y) for x, y in zip(first, other, strict=True) if x != y], [], "what differs:")


def logprobs_of(server, prompt, **more):
    return server.ok(TEXT, {**harness.score_body(prompt), **more})["choices"][0]["logprobs"]


@test
def entries(server):
    """One for each token of the prompt and one behind them, also where that ends an answer (rules 1 and 7)."""
    turn = server.ok("/apply-template",
                     {"messages": [{"role": "user", "content": "What is the capital of France?"}]})["prompt"]
    whole = harness.encode(asker(server), turn + "The capital of France is Paris.")
    for prompt in (whole, whole[1:] if whole[0] == 2 else whole, whole[-3:], [700], [2, 600]):
        harness.check_scored(logprobs_of(server, [prompt]), len(prompt) + 1)
        harness.check_scored(logprobs_of(server, prompt), len(prompt) + 1)
    last = logprobs_of(server, [whole])
    same(list(last["top_logprobs"][-1]), ["<end_of_turn>"], "what is drawn behind an answer:")
    prompt = harness.encode(asker(server), "The capital of France is")
    for stop in ([" Paris"], ["Paris", "<eos>"], ["aris"]):
        harness.check_scored(logprobs_of(server, [prompt], stop=stop), len(prompt) + 1)
    harness.check_scored(logprobs_of(server, [prompt], max_tokens=0), len(prompt))
    n_ctx = server.ok("/props")["default_generation_settings"]["n_ctx"]
    for n in (n_ctx - 2, n_ctx - 1):
        harness.check_scored(logprobs_of(server, [[600] * n]), n + 1)


@test
def bos(server):
    """What is sent without <bos> is read behind one, which is not told; add_bos: false turns that off."""
    prompt = harness.encode(asker(server), "The capital of France is Paris")
    bare, led = logprobs_of(server, [prompt])["token_logprobs"], logprobs_of(server, [[2, *prompt]])["token_logprobs"]
    same(bare[1:], led[2:], "behind <bos>, told and not:")
    off = logprobs_of(server, [prompt], add_bos=False)
    harness.check_scored(off, len(prompt) + 1)
    check(abs(off["token_logprobs"][1] - bare[1]) > 1e-3, "add_bos: false changes nothing:", off["token_logprobs"])
    text = logprobs_of(server, "The capital of France is Paris")["token_logprobs"]
    same(text[-len(bare) + 1:], bare[1:], "as text:")
    spelled = logprobs_of(server, "<bos>The capital of France is Paris")["token_logprobs"]
    same(spelled[-len(bare) + 1:], bare[1:], "as text with <bos>:")


@test
def plain_numbers(server):
    """Log-softmax over all words, whatever the request says of sampling (rule 5)."""
    prompt = harness.encode(asker(server), "The capital of France is Paris")
    plain = logprobs_of(server, [prompt])
    other = logprobs_of(server, [prompt], temperature=2, top_k=1, top_p=0.1, min_p=0.9, presence_penalty=2.0,
                        repeat_penalty=3, logit_bias={"600": 50})
    same(other["token_logprobs"][:-1], plain["token_logprobs"][:-1], "with settings:")
    for n in (0, 1, 5, 20):
        again = logprobs_of(server, [prompt], logprobs=n)
        same(again["token_logprobs"][:-1], plain["token_logprobs"][:-1], f"logprobs={n}:")
    impossible = logprobs_of(server, [[2, 0, 0, 5, 100, 200, 3]])["token_logprobs"]  # <pad>, unused ones
    check(all(v is None or v >= -9999 for v in impossible), "below -9999:", impossible)


@test
def one_value(server):
    """A token's number is the same text wherever it stands (rule 3); texts that collide keep the larger (4)."""
    prompt = harness.encode(asker(server), "The capital of France is Paris. \U0001f600\u00e9\u4e16")
    body = {**harness.score_body([prompt]), "logprobs": 20}
    answer = server.ask(TEXT, body)
    found = json.loads(answer.data, parse_float=str)["choices"][0]["logprobs"]
    for token, value, top in list(zip(found["tokens"], found["token_logprobs"], found["top_logprobs"]))[1:]:
        check(top.get(token, value) == value, f"{token!r}: {value} and", top.get(token))
        check(token in top or float(value) <= min(map(float, top.values())), f"{token!r} of {value} is not among",
              top)
    same(len(found["tokens"]), len(prompt) + 1, "tokens:")
    same(len(found["text_offset"]), len(prompt) + 1, "text_offset:")


@test
def text_offsets(server):
    """Characters, not bytes."""
    for text in ("The capital of France", "Grüße, 世界 \U0001f600 again"):
        choice = server.ok(
            TEXT, {"prompt": text, "logprobs": 10, "temperature": 0.0, "max_tokens": 1, "echo": True})["choices"][0]
        found = choice["logprobs"]
        check(choice["text"].startswith(text), "not echoed:", choice["text"])
        same(found["text_offset"][-1], len(text), "where the answer begins:")
        same(found["text_offset"], sorted(found["text_offset"]), "offsets:")
        for offset, token in zip(found["text_offset"], found["tokens"]):
            if "\ufffd" not in token and not token.startswith("<"):
                same(choice["text"][offset:offset + len(token)], token, f"at {offset}:")


@test
def generation(server):
    ask = asker(server)
    with busy(server):
        same(harness.generate_local(ask, harness.encode(ask, "The capital of France"), ["\n\n", "Question:"], 32),
             " is Paris.")
        same(harness.generate_local(ask, ["The capital of France"], ["is"], 32), " ")
        same(harness.chat_local(ask, "What is the capital of France?", ["\n\n"], 32),
             "The capital of France is Paris.")
        same(harness.generate_gguf(ask, "The capital of France", ["\n"]), " is Paris.")


@test
def queue_waits(server):
    """More at once than there is room for: none is refused (rule 6)."""
    prompt = harness.encode(asker(server), "The capital of France is Paris") * 20
    calls = [lambda i=i: logprobs_of(server, [[600 + i, *prompt]]) for i in range(48)]
    for found in serve.together(calls):
        harness.check_scored(found, len(prompt) + 2)


def main():
    if not serve.has_toy(PROGRAM):
        serve.skip("the toy is not built")
    names = sys.argv[2:]
    if (not names or names == ["to_the_bit"]) and not serve.attempt(to_the_bit):
        sys.exit(1)
    if names == ["to_the_bit"]:
        return
    serve.run(lambda: serve.start(PROGRAM, "--device", serve.DEVICE, "--parallel", "4", "--precision", "exact"), names)


if __name__ == "__main__":
    main()
