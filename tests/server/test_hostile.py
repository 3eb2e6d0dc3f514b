#!/usr/bin/env python3
"""Clients of `peridot serve` that are slow, leave, lie or send damaged requests: it lives, it answers each in the
form that errors have, nothing is left behind, and a good request is answered as before.

    test_hostile.py PERIDOT [NAME...]

PERIDOT_TEST_MUTATIONS: how many damaged requests (500; 10000 with PERIDOT_TEST_LONG). PERIDOT_TEST_SEED: other ones.

SPDX-License-Identifier: MIT
"""
import contextlib
import json
import os
import random
import socket
import struct
import sys
import threading
import time

import serve
from serve import check, same, test

PROGRAM = sys.argv[1]
CHAT, TEXT = "/v1/chat/completions", "/v1/completions"
KEY = "correct-horse"
ASKED = {"messages": [{"role": "user", "content": "What is the capital of France?"}], "temperature": 0}
ANSWER = "The capital of France is Paris."
NEVER = {"1": -100, "106": -100}  # <eos>, <end_of_turn>
LONG = {"prompt": "Once", "max_tokens": 1500, "logit_bias": NEVER, "stream": True, "temperature": 1}
N_MUTATIONS = int(os.environ.get("PERIDOT_TEST_MUTATIONS", "10000" if os.environ.get("PERIDOT_TEST_LONG") else "500"))
SEED = int(os.environ.get("PERIDOT_TEST_SEED", "1"))


def raw(method, path, body=b"", *more):
    """A request as bytes."""
    lines = [
        f"{method} {path} HTTP/1.1", "Host: localhost", f"Authorization: Bearer {KEY}",
        "Content-Type: application/json", f"Content-Length: {len(body)}", *more
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def post(path, body, *more):
    return raw("POST", path, json.dumps(body).encode(), *more)


def still_good(server):
    same(server.ok(CHAT, ASKED)["choices"][0]["message"]["content"], ANSWER)


def nothing_left(server):
    """Nothing runs or waits, and cleared there are no pages in use."""
    server.wait_idle(20)
    server.clear()
    still_good(server)


def read_response(stream):
    """(status, headers, body) of a file of a socket; None at its end."""
    line = stream.readline()
    if not line:
        return None
    check(line.startswith(b"HTTP/1.1 "), "no status line:", line[:200])
    headers = {}
    while (field := stream.readline().strip()):
        name, _, value = field.partition(b":")
        headers[name.lower().decode()] = value.strip().decode()
    if headers.get("transfer-encoding") == "chunked":
        body = b""
        while n := int(stream.readline(), 16):
            body += stream.read(n)
            stream.readline()
        stream.readline()
    else:
        body = stream.read(int(headers.get("content-length", 0)))
    return int(line.split()[1]), headers, body


def hang_up(s):
    """With a reset, as a killed client's kernel does."""
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    s.close()


# ---- slow ones ----------------------------------------------------------------------------------


@test
def slow_senders(server):
    """One byte at a time: the others do not wait for them."""
    request = post(CHAT, ASKED)
    sockets = [server.socket() for _ in range(20)]
    with contextlib.ExitStack() as stack:
        for s in sockets:
            stack.enter_context(s)
        for at in range(len(request)):
            for s in sockets:
                s.sendall(request[at:at + 1])
            if at % 100 == 50:
                still_good(server)
        for s in sockets:
            status, _, body = read_response(s.makefile("rb"))
            same(status, 200)
            same(json.loads(body)["choices"][0]["message"]["content"], ANSWER)
    nothing_left(server)


@test
def slow_readers(server):
    """They do not read: their answers go on or are given up, and the others' are as quick as ever."""
    with contextlib.ExitStack() as stack:
        for _ in range(6):
            s = stack.enter_context(socket.socket())
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            s.connect(server.address)
            s.sendall(post(TEXT, {**LONG, "logprobs": 20, "n": 2}))
        began = time.monotonic()
        for _ in range(3):
            still_good(server)
        check(time.monotonic() - began < 30 * serve.PATIENCE, "the others wait:", time.monotonic() - began)
    nothing_left(server)


@test
def half_requests(server):
    whole = post(CHAT, ASKED)
    for n in (0, 1, 10, len(whole) // 2, len(whole) - 1):
        for end in (hang_up, lambda s: s.close(), lambda s: s.shutdown(socket.SHUT_WR)):
            s = server.socket()
            s.sendall(whole[:n])
            end(s)
            s.close()
    with server.socket(5) as s:
        s.sendall(raw("POST", CHAT, b"{}", "Content-Length: 100"))
        s.settimeout(1)
        with contextlib.suppress(OSError):
            s.recv(1000)
    nothing_left(server)


# ---- odd ones -----------------------------------------------------------------------------------


@test
def pipelined(server):
    """Several requests in one write are answered one by one, in their order."""
    bodies = [{"prompt": "The capital of France", "max_tokens": n, "temperature": 0} for n in range(1, 9)]
    requests = [post(TEXT, b) for b in bodies]
    requests += [raw("GET", "/health"), post(TEXT, {**bodies[0], "stream": True}), post(TEXT, bodies[1])]
    with server.socket() as s, s.makefile("rb") as stream:
        s.sendall(b"".join(requests))
        found = [read_response(stream) for _ in requests]
    same([f[0] for f in found], [200] * len(found))
    for body, (_, _, text) in zip(bodies, found):
        check(json.loads(text)["usage"]["completion_tokens"] <= body["max_tokens"], "not in their order:", text)
    check(found[-2][2].endswith(b"data: [DONE]\n\n"), "the stream among them:", found[-2][2][-100:])


@test
def no_http(server):
    for text in (b"\r\n\r\n", b"\0" * 1000, b"hello\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
                 b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n",
                 b"POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
                 b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999999999999\r\n\r\n",
                 b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
                 b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n",
                 b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 50_000 + b"\r\n"):
        # what is no request yet may wait for the rest of it, or be hung up on at once
        with server.socket(2) as s, contextlib.suppress(OSError):
            s.sendall(text)
            s.shutdown(socket.SHUT_WR)
            answer = s.recv(100)
            check(not answer.startswith(b"HTTP/1.1 2"), text[:50], "is answered with", answer)
    nothing_left(server)


@test
def chunked_body(server):
    """As clients send that do not know how long it becomes."""
    body = json.dumps(ASKED).encode()
    head = (f"POST {CHAT} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {KEY}\r\n"
            "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n").encode()
    with server.socket() as s, s.makefile("rb") as stream:
        s.sendall(head)
        for at in range(0, len(body), 7):
            s.sendall(b"%x\r\n%s\r\n" % (len(body[at:at + 7]), body[at:at + 7]))
        s.sendall(b"0\r\n\r\n")
        status, _, text = read_response(stream)
    same(status, 200)
    same(json.loads(text)["choices"][0]["message"]["content"], ANSWER)


@test
def wrong_keys(server):
    own, server.key = server.key, None
    try:
        for key in ("", "x" * 10_000, KEY[:-1], KEY + "x", "\u00e9".encode().decode("latin-1"), "Bearer " + KEY):
            for path in (CHAT, TEXT, "/tokenize", "/v1/models", "/props", "/metrics", "/cache/clear", "/v1/none"):
                answer = server.ask(path, {} if path.startswith(("/v1/c", "/t", "/c")) else None,
                                    headers={"Authorization": f"Bearer {key}"})
                check(answer.status in (401, 431), path, "with a wrong key answers", answer.status)
    finally:
        server.key = own
    still_good(server)


# ---- those that leave ---------------------------------------------------------------------------


def leaver(server, rng):
    """Asks for much, reads a little, and is gone."""
    body = {**LONG, "n": rng.choice([1, 1, 3]), "stream": rng.random() < 0.7, "prompt": "Once " * rng.randint(1, 300),
            "echo": rng.random() < 0.3, "logprobs": rng.choice([None, 3])}
    if body["echo"] and body["logprobs"]:
        body["n"] = 1
    with contextlib.suppress(OSError):
        s = server.socket()
        s.sendall(post(TEXT, body))
        s.settimeout(5)
        if body["stream"]:
            for _ in range(rng.randint(0, 20)):
                s.recv(500)
        else:
            time.sleep(rng.random() * 0.3)
        rng.choice([hang_up, socket.socket.close])(s)
        s.close()


@test
def mid_answer(server):
    """Whoever leaves costs nothing any more."""
    before = server.wait_idle()["peridot:tokens_predicted_total"]
    s = server.socket()
    s.sendall(post(TEXT, LONG))
    s.recv(2000)
    s.close()
    drawn = server.wait_idle(5)["peridot:tokens_predicted_total"] - before
    check(drawn < 1500, "it was answered to the end:", drawn)
    rngs = [random.Random(SEED + i) for i in range(16)]
    for _ in range(4):
        serve.together([lambda r=r: leaver(server, r) for r in rngs])
        still_good(server)
    nothing_left(server)


@test
def leaving_while_waiting(server):
    """Before their turn has come."""
    sockets = [server.socket() for _ in range(60)]
    for s in sockets:
        s.sendall(post(TEXT, {**LONG, "n": 4}))
    time.sleep(0.3)
    for s in sockets:
        s.close()
    nothing_left(server)


@test
def storm(server):
    """All of it at once, with good clients between."""
    ends = threading.Event()

    def bad(i):
        rng = random.Random(SEED * 1000 + i)
        while not ends.is_set():
            leaver(server, rng)

    def good():
        for _ in range(10):
            still_good(server)

    threads = [threading.Thread(target=bad, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    try:
        serve.together([good] * 4)
    finally:
        ends.set()
        for thread in threads:
            thread.join()
    nothing_left(server)


# ---- damaged ones -------------------------------------------------------------------------------

EXTREMES = [
    "0", "-1", "1e309", "-1e309", "1e-400", "9007199254740993", "18446744073709551616", "-9223372036854775809",
    "4294967296", "2147483648", "0.1", "null", "true", "[]", "{}", '""', "NaN", "Infinity", "00", "1.", "--1",
    '"\\u0000"', '"\\ud800"', '"\ud7ff\U0010ffff"'
]


def seeds():
    """(path, good body): what is damaged."""
    picture = {"type": "image_url", "image_url": {"url": serve.data_url(serve.sample("1.png"))}}
    source = {"type": "image", "source": {"type": "base64", "media_type": "image/png",
                                          "data": picture["image_url"]["url"].split(",")[1]}}
    shown = [{"role": "user", "content": [picture, {"type": "text", "text": "What is in the picture?"}]}]
    few = {"max_tokens": 4, "temperature": 0.5, "seed": 1, "top_k": 20, "top_p": 0.9, "min_p": 0.01}
    full = {
        **few, "stop": ["x", "y"], "logit_bias": {"600": 1.5, "700": -100}, "presence_penalty": 0.5,
        "frequency_penalty": 0.5, "n": 2
    }
    talk = [{"role": "system", "content": "Be brief."}, *ASKED["messages"], {"role": "assistant", "content": "The"}]
    return [
        (CHAT, {**ASKED, **few}),
        (CHAT, {**ASKED, **full, "stream": True, "stream_options": {"include_usage": True}}),
        (CHAT, {"messages": shown, **few}),
        (CHAT, {"messages": talk, **few}),
        (CHAT, {**ASKED, "logprobs": True, "top_logprobs": 3, **few}),
        (CHAT, {**ASKED, **few, "response_format": {"type": "text"}, "tools": [], "user": "me", "model": "x"}),
        (TEXT, {"prompt": "The capital of France", **full}),
        (TEXT, {"prompt": [[2, 600, 700], [601, 701]], "echo": True, "logprobs": 1, "max_tokens": 1}),
        (TEXT, {"prompt": ["The", "A"], "stream": True, **few}),
        (TEXT, {"prompt": [2, 600, 700], "logprobs": 5, "suffix": None, **few}),
        ("/tokenize", {"content": "Hello <eos> there", "add_special": True, "with_pieces": True}),
        ("/detokenize", {"tokens": [2, 600, 700]}),
        ("/apply-template", ASKED),
        ("/v1/responses", {"input": "Hello", "max_output_tokens": 4, "instructions": "Be brief."}),
        ("/v1/responses", {"input": [{"role": "user", "content": [
            {"type": "input_image", "image_url": picture["image_url"]["url"]},
            {"type": "input_text", "text": "What?"}]}],
                           "max_output_tokens": 4, "stream": True, "temperature": 0.5, "top_p": 0.9}),
        ("/v1/messages", {"model": "x", "max_tokens": 4, "messages": ASKED["messages"], "system": "Be brief."}),
        ("/v1/messages", {"model": "x", "max_tokens": 4, "stream": True, "stop_sequences": ["x"], "messages": [
            {"role": "user", "content": [source, {"type": "text", "text": "What?"}]}]}),
        ("/v1/embeddings", {"input": "x"}),
    ]


def places(data):
    """Where numbers stand."""
    return [m.span() for m in serve.re.finditer(rb"-?\d+(\.\d+)?", data)]


def mutate_once(rng, data):
    n = len(data)
    a, b = sorted((rng.randrange(n + 1), min(n, rng.randrange(n + 1))))
    b = min(b, a + rng.choice([1, 4, 40, n]))
    kind = rng.randrange(7)
    if kind == 0 and n:
        return data[:a] + bytes([rng.randrange(256)]) + data[a + 1:]
    if kind == 1:
        return data[:a] + data[b:]
    if kind == 2:
        return data[:b] + data[a:b] * rng.choice([1, 1, 2, 50]) + data[b:]
    if kind == 3 and places(data):
        a, b = rng.choice(places(data))
        return data[:a] + rng.choice(EXTREMES).encode("utf-8", "surrogatepass") + data[b:]
    if kind == 4:
        return data[:a] + rng.choice([b'"', b"{", b"}", b"[", b"]", b",", b":", b"\\", b"\0", b"\xff"]) + data[a:]
    if kind == 5 and n:
        return data[:a] + bytes([data[a - 1] ^ (1 << rng.randrange(8))]) + data[a:]
    return data[:a]


def mutate_value(rng, value):
    """A tree with one of its values another."""
    if isinstance(value, dict) and value and rng.random() < 0.9:
        key = rng.choice(list(value))
        return {**value, key: mutate_value(rng, value[key])}
    if isinstance(value, list) and value and rng.random() < 0.8:
        i = rng.randrange(len(value))
        return value[:i] + [mutate_value(rng, value[i])] + value[i + 1:]
    return rng.choice([None, True, False, 0, 1, -1, 2**31, 2**32, 2**53, -2**63, 1e300, 1e-300, 0.5, "", "x", "user",
                       "\U0001f600" * 50, "<bos>" * 20, "a" * 5000, "data:image/png;base64,", [], {}, [[]], [None],
                       {"": None}, [1, 2]])


def mutated(rng, body):
    if rng.random() < 0.5:
        for _ in range(rng.choice([1, 1, 2, 3])):
            body = mutate_value(rng, body)
        return json.dumps(body).encode()
    data = json.dumps(body).encode()
    for _ in range(rng.choice([1, 1, 1, 2, 5])):
        data = mutate_once(rng, data)
    return data


def check_answer(status, headers, body, sent):
    """A status that fits, and JSON or events of JSON."""
    check(status in (200, 400, 404, 405, 413, 501), "status", status, body[:300], "to", sent[:600])
    if status == 200 and headers.get("content-type", "").startswith("text/event-stream"):
        for line in body.decode().splitlines():
            if line.startswith("data: ") and line != "data: [DONE]":
                json.loads(line[6:])
        check(b"[DONE]" in body or b"message_stop" in body or b"response." in body or b'"error"' in body,
              "a stream without an end:", body[-300:])
        return
    found = json.loads(body)
    if status != 200:
        check("error" in found and found["error"]["message"], "an error without a sentence:", found)


@test
def damaged(server):
    """Each is answered, over connections that are kept."""
    chosen, counts = seeds(), {}

    def send_some(i):
        rng, connection = random.Random(SEED * 1_000_003 + i), server.connect(60)
        for _ in range(N_MUTATIONS // 4 or 1):
            path, body = rng.choice(chosen)
            data = mutated(rng, body)
            connection.request("POST", path, data,
                               {"Content-Type": "application/json", "Authorization": f"Bearer {KEY}"})
            response = connection.getresponse()
            text = response.read()
            check_answer(response.status, {k.lower(): v for k, v in response.headers.items()}, text, data)
            counts[response.status] = counts.get(response.status, 0) + 1
        connection.close()

    try:
        serve.together([lambda i=i: send_some(i) for i in range(4)])
    finally:
        check(server.alive(), "the server died: seed", SEED)
    nothing_left(server)
    return ", ".join(f"{n} x {status}" for status, n in sorted(counts.items()))


@contextlib.contextmanager
def with_key():
    with serve.start(PROGRAM, "--device", serve.DEVICE, "--parallel", "4", "--api-key", KEY) as server:
        server.key = KEY
        yield server


def main():
    if not serve.has_toy(PROGRAM):
        serve.skip("the toy is not built")
    serve.run(with_key, sys.argv[2:])


if __name__ == "__main__":
    main()
