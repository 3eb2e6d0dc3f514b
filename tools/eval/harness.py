#!/usr/bin/env python3
"""Multiple choice through a server, with the very requests that EleutherAI's lm-evaluation-harness sends, and what
it makes of their answers; standard library only.

    tools/eval/harness.py http://127.0.0.1:8080 ITEMS.jsonl... [--as local-completions|gguf] [--batch N]

The functions follow lm_eval/models/api_models.py, openai_completions.py, utils.py (its tokenizer on the server) and
gguf.py of version 0.4.9, as far as these ask something of a server. `check_scored` says what they rely on without
looking: two arrays of one entry for each token of the prompt and one behind them, nothing for the first, numbers
that are finite, and one value for one token wherever it stands.

SPDX-License-Identifier: MIT
"""
import argparse
import contextlib
import http.client
import json
import math
import pathlib
import sys
import urllib.parse

SEED = 1234


# ---- asking -------------------------------------------------------------------------------------


def sender(url, key="", timeout=300):
    """A function of a path and a body: the JSON of the answer."""
    at = urllib.parse.urlsplit(url)
    kind = http.client.HTTPSConnection if at.scheme == "https" else http.client.HTTPConnection

    def ask(path, body=None):
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {key}"}
        with contextlib.closing(kind(at.hostname, at.port, timeout=timeout)) as connection:
            data = None if body is None else json.dumps(body)
            connection.request("GET" if body is None else "POST", path, data, headers)
            response = connection.getresponse()
            text = response.read().decode()
        if response.status != 200:
            raise ValueError(f"{path} answers {response.status}: {text[:300]}")
        return json.loads(text)

    return ask


def encode(ask, text):
    """By its tokenizer on the server."""
    return ask("/tokenize", {"prompt": text, "add_special_tokens": False})["tokens"]


def encode_pair(ask, context, continuation):
    """Spaces at the end of a context belong to the continuation."""
    n = len(context) - len(context.rstrip())
    if n:
        context, continuation = context[:-n], context[-n:] + continuation
    before = encode(ask, context)
    return before, encode(ask, context + continuation)[len(before):]


# ---- local-completions --------------------------------------------------------------------------


def score_body(prompts):
    return {
        "model": "x", "prompt": prompts, "temperature": 0, "max_tokens": 1, "logprobs": 1, "seed": SEED, "echo": True
    }


def check_scored(logprobs, n):
    """n: entries that there have to be."""
    values, tops = logprobs["token_logprobs"], logprobs["top_logprobs"]
    assert len(values) == len(tops) == n, f"{len(values)} values and {len(tops)} of the best for {n} tokens"
    assert values[0] is None and tops[0] is None, f"the first token has {values[0]}, {tops[0]}"
    for value, top in zip(values[1:], tops[1:]):
        assert all(math.isfinite(v) and v <= 0 for v in (value, *top.values())), f"{value} and {top}"
        assert value <= max(top.values()), f"{value} is above the best of {top}"


def sum_of(logprobs, n_context):
    """(sum of the continuation, whether it is the greedy one): parse_logprobs."""
    values, tops = logprobs["token_logprobs"][n_context:-1], logprobs["top_logprobs"][n_context:-1]
    return sum(values), all(value == max(top.values()) for value, top in zip(values, tops))


def score_tokens(ask, pairs):
    """[(sum, greedy)] of (context, continuation) in one request of token lists."""
    answer = ask("/v1/completions", score_body([a + b for a, b in pairs]))
    choices = sorted(answer["choices"], key=lambda c: c["index"])
    assert [c["index"] for c in choices] == list(range(len(pairs))), f"choices {[c['index'] for c in choices]}"
    for choice, (context, continuation) in zip(choices, pairs):
        check_scored(choice["logprobs"], len(context) + len(continuation) + 1)
    return [sum_of(c["logprobs"], len(a)) for c, (a, _) in zip(choices, pairs)]


def score_local(ask, pairs, batch):
    """[(sum, greedy)] of (context, continuation) as texts; the longest first, as the harness does."""
    encoded = [encode_pair(ask, a, b) for a, b in pairs]
    order = sorted(range(len(pairs)), key=lambda i: (-len(encoded[i][0]) - len(encoded[i][1]), encoded[i]))
    found = {}
    for at in range(0, len(order), batch):
        chosen = order[at:at + batch]
        found.update(zip(chosen, score_tokens(ask, [encoded[i] for i in chosen])))
    return [found[i] for i in range(len(pairs))]


def generate_local(ask, prompt, stop, n):
    body = {"model": "x", "prompt": prompt, "max_tokens": n, "temperature": 0, "stop": [*stop, "<eos>"], "seed": SEED}
    return ask("/v1/completions", body)["choices"][0]["text"]


# ---- local-chat-completions ---------------------------------------------------------------------


def chat_local(ask, text, stop, n):
    body = {"messages": [{"role": "user", "content": text, "type": "text"}], "model": "x", "max_tokens": n,
            "temperature": 0, "stop": stop[:4], "seed": SEED}
    return ask("/v1/chat/completions", body)["choices"][0]["message"]["content"]


# ---- gguf ---------------------------------------------------------------------------------------


def get_result(logprobs, n_characters):
    """gguf.py's: a sum, and whether the best token stands everywhere, the one behind the text included."""
    offsets, at = logprobs["text_offset"], 0
    while offsets[at] < n_characters:
        at += 1
    total, greedy = sum(logprobs["token_logprobs"][at:-1]), True
    for token, top in list(zip(logprobs["tokens"], logprobs["top_logprobs"]))[at:]:
        greedy = greedy and max(top, key=top.get) == token
    return total, greedy


def score_gguf(ask, pairs, _batch=1):
    found = []
    for context, continuation in pairs:
        body = {"prompt": context + continuation, "logprobs": 10, "temperature": 0.0, "max_tokens": 1, "echo": True}
        found.append(get_result(ask("/v1/completions", body)["choices"][0]["logprobs"], len(context)))
    return found


def generate_gguf(ask, context, stop):
    body = {"prompt": context, "logprobs": 10, "temperature": 0.0, "stop": stop}
    return ask("/v1/completions", body)["choices"][0]["text"]


# ---- a table ------------------------------------------------------------------------------------

WAYS = {"local-completions": score_local, "gguf": score_gguf}


def read_items(path):
    lines = pathlib.Path(path).read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines if line.strip()]


def pairs_of(items):
    return [(item["query"], choice) for item in items for choice in item["choices"]]


def is_right(item, sums):
    return max(range(len(sums)), key=sums.__getitem__) == item["gold"]


def accuracy(items, found):
    """(share that is right, its standard error)"""
    sums, right = [s for s, _ in found], 0
    for item in items:
        n = len(item["choices"])
        right += is_right(item, sums[:n])
        sums = sums[n:]
    share = right / len(items)
    return share, math.sqrt(share * (1 - share) / max(1, len(items) - 1))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url")
    parser.add_argument("items", nargs="+", help="files of items, as items.py makes them")
    parser.add_argument("--as", dest="way", choices=WAYS, default="local-completions")
    parser.add_argument("--batch", type=int, default=8, help="prompts of a request (8)")
    parser.add_argument("--api-key", default="")
    args = parser.parse_args()
    ask = sender(args.url, args.api_key)
    print("| task | items | accuracy |\n|---|---|---|")
    for path in args.items:
        items = read_items(path)
        try:
            share, error = accuracy(items, WAYS[args.way](ask, pairs_of(items), args.batch))
        except (OSError, http.client.HTTPException, ValueError) as failure:
            sys.exit(f"harness: {args.url}: {failure}")
        print(f"| {pathlib.Path(path).stem} | {len(items)} | {share:.3f} ± {error:.3f} |", flush=True)


if __name__ == "__main__":
    main()
