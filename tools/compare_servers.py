#!/usr/bin/env python3
"""The same requests to two servers of the same model, and field by field in what their answers differ; standard
library only.

    tools/compare_servers.py http://127.0.0.1:8080 http://127.0.0.1:8081 [NAME...]
    tools/compare_servers.py --start build/dev/peridot MODEL.gguf [--mmproj P.gguf] [NAME...]

--start runs both itself, on the processor: `peridot serve`, and llama-server of Debian sid, in a root that
tools/debian_root.sh makes (package llama.cpp-tools; as root, some 100 MB). --server names another llama-server.

Fields are compared by their type and, where they do not depend on time or chance, by their value; numbers agree
within --tolerance. A line for each difference. Serious are a request that one server answers and the other
refuses, and texts of greedy answers that differ: those that are known are in MEANT with a reason, and in
docs/serving.md; for any other the exit code is 1. 77: skipped.

SPDX-License-Identifier: MIT
"""
import argparse
import base64
import contextlib
import http.client
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time
import urllib.parse

ROOT = pathlib.Path(__file__).resolve().parents[1]
ASKED = [{"role": "user", "content": "What is the capital of France?"}]
TALK = [{"role": "system", "content": "Answer in capital letters."}, *ASKED,
        {"role": "assistant", "content": "THE CAPITAL OF FRANCE IS PARIS."},
        {"role": "user", "content": "What is the capital of Italy?"}]
GREEDY = {"temperature": 0, "max_tokens": 24, "seed": 1}
CHAT, TEXT = "/v1/chat/completions", "/v1/completions"



def picture():
    data = base64.b64encode((ROOT / "samples/1.png").read_bytes()).decode()
    return {"type": "image_url", "image_url": {"url": "data:image/png;base64," + data}}


# name: (path, body; None: GET)
REQUESTS = {
    "health": ("/health", None),
    "models": ("/v1/models", None),
    "props": ("/props", None),
    "slots": ("/slots", None),
    "chat": (CHAT, {"messages": ASKED, **GREEDY}),
    "chat-talk": (CHAT, {"messages": TALK, **GREEDY}),
    "chat-length": (CHAT, {"messages": ASKED, **GREEDY, "max_tokens": 2}),
    "chat-stop": (CHAT, {"messages": ASKED, **GREEDY, "stop": [" of"]}),
    "chat-logprobs": (CHAT, {"messages": ASKED, **GREEDY, "logprobs": True, "top_logprobs": 3}),
    "chat-stream": (CHAT, {"messages": ASKED, **GREEDY, "stream": True, "stream_options": {"include_usage": True}}),
    "chat-continue": (CHAT, {"messages": [*ASKED, {"role": "assistant", "content": "The capital of"}], **GREEDY}),
    "chat-two": (CHAT, {"messages": ASKED, **GREEDY, "n": 2}),
    "chat-picture": (CHAT, {"messages": [{"role": "user", "content": [
        picture(), {"type": "text", "text": "What is in the picture?"}]}], **GREEDY, "max_tokens": 60}),
    "completion": (TEXT, {"prompt": "The capital of France", **GREEDY}),
    "completion-ids": (TEXT, {"prompt": [2, 562, 674], **GREEDY, "max_tokens": 4}),
    "completion-lists": (TEXT, {"prompt": ["The capital of France", "The capital of Spain"], **GREEDY}),
    "completion-logprobs": (TEXT, {"prompt": "The capital of France", **GREEDY, "logprobs": 2}),
    "completion-echo": (TEXT, {"prompt": "The capital", **GREEDY, "echo": True, "logprobs": 1, "max_tokens": 1}),
    "completion-none": (TEXT, {"prompt": "The capital", **GREEDY, "max_tokens": 0}),
    "completion-bias": (TEXT, {"prompt": "The capital of France", **GREEDY, "logit_bias": {"552": -100}}),
    "completion-penalty": (TEXT, {"prompt": "The capital of", **GREEDY, "presence_penalty": 2, "repeat_last_n": 64}),
    "completion-stream": (TEXT, {"prompt": "The capital of France", **GREEDY, "stream": True}),
    "tokenize": ("/tokenize", {"content": "Hello <eos> there\n", "add_special": True, "with_pieces": True}),
    "tokenize-plain": ("/tokenize", {"content": "Hello <eos> there\n", "parse_special": False}),
    "detokenize": ("/detokenize", {"tokens": [562, 674, 635]}),
    "template": ("/apply-template", {"messages": TALK}),
    "embeddings": ("/v1/embeddings", {"input": "x"}),
    "wrong-type": (CHAT, {"messages": "x"}),
    "wrong-number": (CHAT, {"messages": ASKED, "temperature": "hot"}),
    "wrong-role": (CHAT, {"messages": [{"role": "king", "content": "x"}], **GREEDY}),
    "wrong-json": (CHAT, b"{"),
    "wrong-path": ("/v1/none", {}),
    "too-long": (TEXT, {"prompt": "word " * 9000, **GREEDY}),
    "bad-picture": (CHAT, {"messages": [{"role": "user", "content": [
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,QUJD"}}]}], **GREEDY}),
}

# Serious differences from llama.cpp, and why.
MEANT = {
    "chat-continue": "an answer is what was generated; llama.cpp repeats what it goes on from",
    "chat-two": "llama.cpp makes as many choices as it has slots",
    "completion-ids": "llama.cpp takes texts alone here; harnesses send token ids",
    "completion-lists": "llama.cpp takes one prompt here",
    "completion-echo": "llama.cpp ignores echo, without which no harness can score",
    "completion-none": "llama.cpp generates one token where none is asked for",
    "wrong-role": "a role that is none is a mistake; llama.cpp hands it to the template",
}

# Of time and chance, and what is a server's own: by type alone.
LOOSE = re.compile(r"(^|\.)(id|created|model|system_fingerprint|owned_by|message|(prompt|predicted|queue)_ms|"
                   r"\w+_per_\w+ms|\w+_per_second|build_info|model_path|model_alias|chat_template|size|bytes|"
                   r"cached_tokens|cache_n|prompt_n)$")


# ---- asking -------------------------------------------------------------------------------------


def ask(url, path, body, timeout=120):
    """(status, type, text)"""
    at = urllib.parse.urlsplit(url)
    with contextlib.closing(http.client.HTTPConnection(at.hostname, at.port, timeout=timeout)) as connection:
        data = body if isinstance(body, bytes) or body is None else json.dumps(body)
        connection.request("GET" if body is None else "POST", path, data, {"Content-Type": "application/json"})
        response = connection.getresponse()
        return response.status, (response.headers["Content-Type"] or "").split(";")[0], response.read().decode()


def parsed(kind, text):
    """A tree; of a stream one with its first, its last, and what the events in between say together."""
    if kind == "application/json":
        return json.loads(text)
    if kind != "text/event-stream":
        return {"text": text}
    data = [line[6:] for line in text.splitlines() if line.startswith("data: ")]
    events = [json.loads(d) for d in data if d != "[DONE]"]
    choices = [c for e in events for c in e["choices"]]
    words = "".join(c.get("text") or (c.get("delta") or {}).get("content") or "" for c in choices)
    return {"first": events[0], "end": choices[-1], "last": events[-1], "said": words, "done": data[-1] == "[DONE]"}


# ---- comparing ----------------------------------------------------------------------------------


def kind_of(value):
    names = {dict: "object", list: "list", str: "string", bool: "boolean", int: "number", float: "number"}
    return names.get(type(value), "null")


def shown(value):
    return json.dumps(value, ensure_ascii=False)[:100]


def both_objects(path, a, b, near):
    for name in sorted({*a, *b}):
        where = f"{path}.{name}" if path else name
        if name not in a or name not in b:
            value, who = (a[name], "the first") if name in a else (b[name], "the second")
            yield where, f"only {who} has it: {kind_of(value)} {shown(value)}"
        else:
            yield from differences(where, a[name], b[name], near)


def differences(path, a, b, near):
    """(field, sentence) of each."""
    if kind_of(a) != kind_of(b):
        yield path, f"{kind_of(a)} {shown(a)} and {kind_of(b)} {shown(b)}"
    elif isinstance(a, dict):
        yield from both_objects(path, a, b, near)
    elif isinstance(a, list):
        if len(a) != len(b):
            yield path, f"{len(a)} entries and {len(b)}"
        for i, (x, y) in enumerate(zip(a, b)):
            yield from differences(f"{path}[{i}]", x, y, near)
    elif not LOOSE.search(path) and a != b:
        if kind_of(a) != "number" or abs(a - b) > near * max(1, abs(b)):
            yield path, f"{shown(a)} and {shown(b)}"


def words_of(tree):
    """The texts of an answer."""
    if "said" in tree:
        return [tree["said"]]
    return [c.get("text") or (c.get("message") or {}).get("content") for c in tree.get("choices") or []]


def compare(name, first, second, near):
    """The differences of a request as lines; whether one of them is serious."""
    path, body = REQUESTS[name]
    (status, kind, text), (status2, kind2, text2) = ask(first, path, body), ask(second, path, body)
    lines, serious = [], (status < 400) != (status2 < 400)
    if status != status2:
        lines.append(f"status {status} and {status2}")
    if kind != kind2:
        lines.append(f"Content-Type {kind} and {kind2}")
    if serious:
        return lines + [f"{text[:160]}", f"{text2[:160]}"], True
    a, b = parsed(kind, text), parsed(kind2, text2)
    serious = status < 400 and isinstance(a, dict) and words_of(a) != words_of(b)
    return lines + [f"{where or 'all of it'}: {words}" for where, words in differences("", a, b, near)], serious


# ---- starting both ------------------------------------------------------------------------------


def skip(words):
    print(f"skipped: {words}")
    sys.exit(77)


def peer_command(given):
    """How llama-server is called: the one that is named, or that of the root."""
    if given:
        return [given]
    tool = str(ROOT / "tools/debian_root.sh")
    done = subprocess.run([tool, "install", "sid", "llama.cpp-tools"], capture_output=True, text=True, check=False)
    if done.returncode:
        skip((done.stderr or done.stdout).strip().splitlines()[-1])
    return [tool, "run", "sid", "llama-server"]


@contextlib.contextmanager
def running(command, url, log, seconds=120):
    """A server until the block ends; waits until it is healthy."""
    process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=ROOT,
                               start_new_session=True)
    try:
        end = time.monotonic() + seconds
        while True:
            with contextlib.suppress(OSError, http.client.HTTPException):
                if ask(url, "/health", None)[0] == 200:
                    break
            if process.poll() is not None or time.monotonic() > end:
                log.seek(0)
                skip(f"{command[0]} does not start: {log.read().decode(errors='replace')[-300:]}")
            time.sleep(0.2)
        yield url
    finally:
        os.killpg(process.pid, 15)  # the root's runner too
        process.wait()


@contextlib.contextmanager
def both(args):
    """The addresses of two servers that this starts. Files have to lie in the tree: the root sees no others."""
    files = ["-m", args.start[1], *(["--mmproj", args.mmproj] if args.mmproj else [])]
    rest = ["--host", "127.0.0.1", "-c", "2048", "-np", "1"]
    own = [args.start[0], "serve", *files, *rest, "--device", "cpu", "--port", str(args.port)]
    peer = [*peer_command(args.server), *files, *rest, "-ngl", "0", "--port", str(args.port + 1), "--jinja"]
    with contextlib.ExitStack() as stack:
        urls = [f"http://127.0.0.1:{args.port + i}" for i in (0, 1)]
        for command, url in zip((own, peer), urls):
            stack.enter_context(running(command, url, stack.enter_context(tempfile.TemporaryFile())))
        yield urls


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("names", nargs="*", help="two addresses, unless --start is given; then names of requests")
    p.add_argument("--start", nargs=2, metavar=("PERIDOT", "MODEL"), help="run both servers with this model")
    p.add_argument("--mmproj", help="with --start: the image encoder")
    p.add_argument("--server", help="with --start: a llama-server")
    p.add_argument("--port", type=int, default=18650, help="with --start: this one and the next")
    p.add_argument("--tolerance", type=float, default=0.01, help="of numbers, relative above 1 (0.01)")
    args = p.parse_args()
    if not args.start and len(args.names) < 2:
        p.error("two addresses, or --start")
    with both(args) if args.start else contextlib.nullcontext(args.names[:2]) as urls:
        found = [tell(name, urls, args.tolerance) for name in args.names[0 if args.start else 2:] or REQUESTS]
    sys.exit(1 if any(found) else 0)


def tell(name, urls, near):
    lines, serious = compare(name, *urls, near)
    reason = MEANT.get(name) if serious else None
    weight = f", meant: {reason}" if reason else ", serious" if serious else ""
    print(f"{name}: " + (f"differs{weight}" if lines else "the same"))
    for line in lines:
        print("    " + line)
    return serious and not reason


if __name__ == "__main__":
    main()
