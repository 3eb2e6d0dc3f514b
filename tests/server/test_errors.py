#!/usr/bin/env python3
"""What `peridot serve` refuses, with which status, and which field it names; and that it goes on after it.

    test_errors.py PERIDOT [NAME...]

SPDX-License-Identifier: MIT
"""
import base64
import json
import sys

import serve
from serve import check, same, test

PROGRAM = sys.argv[1]
CHAT, TEXT = "/v1/chat/completions", "/v1/completions"
ASKED = [{"role": "user", "content": "What is the capital of France?"}]
BASE = {CHAT: {"messages": ASKED, "max_tokens": 2}, TEXT: {"prompt": "Hello", "max_tokens": 2}}

# field: values that are of a wrong type or out of range, for both endpoints
BOTH = {
    "max_tokens": ["2", -5, 1.5, [], {}, True, 1e99],
    "temperature": ["0", -1, [], True, 1e999],
    "top_p": ["1", -0.1, 1.1, {}],
    "top_k": ["1", 1.5, []],
    "min_p": ["0", -1, 2],
    "n": ["1", 0, -1, 1000, 1.5, True],
    "stream": ["true", 1, {}],
    "stream_options": ["usage", 3, [], {"include_usage": 1}],
    "stop": [3, {}, [1], True, [["x"]]],
    "seed": ["1", 1.5, [], True],
    "presence_penalty": ["1", 3, -3, []],
    "frequency_penalty": ["1", 3, -3, []],
    "repeat_penalty": ["1", -1, []],
    "logit_bias": ["x", 3, {"5": "high"}, {"no number": 1}, {"99999999": 1}, {"-1": 1}],
}
CHAT_ONLY = {
    "messages": ["x", {}, 3, [], None, ["x"], [{"content": "no role"}], [{"role": "king", "content": "x"}],
                 [{"role": 3, "content": "x"}], [{"role": "user", "content": 3}],
                 [{"role": "user", "content": [3]}], [{"role": "user", "content": [{"type": "text"}]}],
                 [{"role": "user", "content": [{"type": "sound", "sound": "x"}]}]],
    "logprobs": ["true", 2, []],
    "top_logprobs": ["2", -1, 1000, 1.5],
    "max_completion_tokens": ["2", -5, 1.5],
    "response_format": ["json", 3, {"type": 3}, {"type": "poem"}],
}
TEXT_ONLY = {
    "prompt": [3, {}, True, None, [1.5], ["x", 3], [-1], [99999999], [[2, 99999999]], [True]],
    "logprobs": ["2", -1, 1000, 1.5],
    "echo": ["true", 1, []],
}


def check_value(server, path, field, value):
    body = {**BASE[path], field: value}
    if field == "top_logprobs":
        body["logprobs"] = True
    answer = server.ask(path, json.dumps(body).replace("Infinity", "1e999").encode())
    check(answer.status == 400, "status", answer.status)
    error = serve.error_of(answer)
    check((error["param"] or "").split(".")[0].split("[")[0] == field, "param is", error["param"], "of", error)
    same(error["type"], "invalid_request_error")


def check_table(server, path, table):
    """Tells all that are not as they should be."""
    wrong = []
    for field, value in [(f, v) for f, values in table.items() for v in values]:
        try:
            check_value(server, path, field, value)
        except AssertionError as error:
            wrong.append(f"{field}={value!r}: {error}")
    check(not wrong, path, "\n  ".join(["", *wrong]))


@test
def wrong_types_chat(server):
    check_table(server, CHAT, {**BOTH, **CHAT_ONLY})


@test
def wrong_types_completions(server):
    check_table(server, TEXT, {**BOTH, **TEXT_ONLY})


@test
def null_is_absent(server):
    for path, table in ((CHAT, {**BOTH, **CHAT_ONLY}), (TEXT, {**BOTH, **TEXT_ONLY})):
        nothing = {field: None for field in table if field not in ("messages", "prompt", "max_tokens")}
        server.ok(path, {**BASE[path], **nothing})


@test
def nothing_asked(server):
    for path, field in ((CHAT, "messages"), (TEXT, "prompt")):
        same(server.refused(path, {"max_tokens": 2})["param"], field)


@test
def unknown_fields(server):
    for path, body in BASE.items():
        server.ok(path, {**body, "model": "some/other-model", "user": "me", "metadata": {"a": [1, 2]}, "store": True,
                         "service_tier": "auto", "banana": None, "": 3, "top_a": 1.0, "parallel_tool_calls": False})


@test
def names_of_models(server):
    """Any is taken, and told again as far as there is room: whole characters of it."""
    for name in ("\U0001f600" * 50, "a" + "\U0001f600" * 50, "\u00e9" * 200, '"\\\t', "x" * 5000):
        for path, body in BASE.items():
            told = server.ok(path, {**body, "model": name})["model"]
            check(told and name.startswith(told.rstrip("?")), repr(name[:10]), "became", repr(told))


@test
def other_endpoints(server):
    for path, field, values in (("/tokenize", "content", [3, [], {}, None]),
                                ("/detokenize", "tokens", ["x", 3, [1.5], ["x"], [99999999], [-1]]),
                                ("/apply-template", "messages", ["x", 3, [3]])):
        for value in values:
            error = server.refused(path, {field: value})
            check(error["param"], f"{path} {field}={value!r}: no param in", error)


@test
def paths_and_methods(server):
    for path in ("/", "/v1", "/v1/complete", "/v2/completions", "/v1/completions/", "/v1/models/none", "/%00",
                 "/../etc/passwd"):
        answer = server.ask(path)
        if path == "/" and answer.status == 200:  # a page of its own
            continue
        check(answer.status in (400, 404), path, "answers", answer.status)
        serve.error_of(answer)
    for method, path in (("GET", CHAT), ("GET", TEXT), ("DELETE", TEXT), ("PUT", CHAT), ("POST", "/v1/models"),
                         ("POST", "/health")):
        answer = server.ask(path, {} if method in ("POST", "PUT") else None, method=method)
        same(answer.status, 405, f"{method} {path}:")
        check(answer.headers["Allow"], f"{method} {path}: no Allow")
        serve.error_of(answer)


@test
def no_json(server):
    for path in (CHAT, TEXT, "/tokenize"):
        for body in (b"", b"{", b"nonsense", b"[]", b"3", b"null", b'"x"', b'{"prompt": "x"} more', b"\xff\xfe",
                     b'{"prompt": "x",}', b'{"prompt": \'x\'}', b'{"prompt": "\\ud800"}', b'{"prompt": "\\u0000',
                     b"{" * 200):
            check(server.refused(path, body)["message"], path, body)


@test
def bad_utf8(server):
    for bad in (b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xf8\x88\x80\x80\x80", b"\xc0\xaf", b"a\x80b",
                b"\xf4\x90\x80\x80"):
        server.refused(TEXT, b'{"max_tokens": 1, "prompt": "' + bad + b'"}')
        server.refused(CHAT, b'{"max_tokens": 1, "messages": [{"role": "user", "content": "' + bad + b'"}]}')
        server.refused("/tokenize", b'{"content": "' + bad + b'"}')


@test
def deep_nesting(server):
    for opening in (b"[", b'{"a":', b'{"messages":['):
        for path in (CHAT, TEXT, "/tokenize"):
            server.refused(path, opening * (10_000_000 // len(opening)))
    server.refused(TEXT, b'{"prompt": ' + b"[" * 5_000_000 + b"]" * 5_000_000 + b"}")
    server.refused(CHAT, b'{"messages": ' + b"[" * 100_000 + b"]" * 100_000 + b"}")


@test
def context_overflow(server):
    n_ctx = server.ok("/props")["default_generation_settings"]["n_ctx"]
    words = "word " * n_ctx * 2
    bodies = [(TEXT, {"prompt": words}), (CHAT, {"messages": [{"role": "user", "content": words}]}),
              (TEXT, {"prompt": [2] * (n_ctx + 1)}), (TEXT, {"prompt": ["x", words]}),
              (TEXT, {"prompt": words, "stream": True}),
              (TEXT, {"prompt": words, "echo": True, "logprobs": 1, "max_tokens": 1})]
    for path, body in bodies:
        error = server.refused(path, body)
        same(error["code"], "context_length_exceeded")
        check(str(n_ctx) in error["message"], "does not say how much there is:", error["message"])


def pictured(url, **more):
    return {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": url, **more}},
                                                      {"type": "text", "text": "What?"}]}], "max_tokens": 2}


@test
def bad_pictures(server):
    with open(serve.sample("1.png"), "rb") as f:
        png = f.read()
    half = base64.b64encode(png[:len(png) // 2]).decode()
    urls = [
        "", "x", "data:", "data:image/png;base64,", "data:image/png;base64,!!!!", "data:image/png;base64,QUJD",
        "data:image/png," + half, "data:image/png;base64," + half, "data:text/plain;base64,QUJD",
        "http://127.0.0.1:1/x.png", "https://127.0.0.1:1/x.png", "file:///etc/passwd",
        "file://" + serve.sample("1.png"),
        serve.sample("1.png"), "ftp://x/y", "javascript:1"
    ]
    for url in urls:
        error = server.refused(CHAT, pictured(url))
        check((error["param"] or "").startswith("messages"), f"{url[:40]!r}: param is", error["param"])
    for value in (3, None, [], {"url": 3}, {}):
        body = pictured("x")
        body["messages"][0]["content"][0]["image_url"] = value
        server.refused(CHAT, body)


@test
def too_many_answers(server):
    error = server.refused(TEXT, {"prompt": ["a"] * 100, "n": 100, "max_tokens": 1})
    same((error["param"], error["message"]), ("n", "a request can have at most 4096 answers"))


@test
def too_many_pictures(server):
    url = serve.data_url(serve.sample("1.png"))
    many = [{"type": "image_url", "image_url": {"url": url}}] * 500
    server.refused(CHAT, {"messages": [{"role": "user", "content": many}], "max_tokens": 2})


@test
def goes_on(server):
    answer = server.ok(CHAT, {"messages": ASKED, "temperature": 0})
    same(answer["choices"][0]["message"]["content"], "The capital of France is Paris.")
    server.wait_idle()


def without_encoder():
    """A model without one: words are answered, pictures refused."""
    arguments = ["-m", serve.golden("small-q4_0.gguf"), "--device", serve.DEVICE]
    with serve.start(PROGRAM, *arguments) as server:
        server.ok(TEXT, {"prompt": "a", "max_tokens": 2})
        error = server.refused(CHAT, pictured(serve.data_url(serve.sample("1.png"))))
        check("image" in error["message"] or "picture" in error["message"], "says:", error["message"])
        same(server.ok("/v1/models")["data"][0]["architecture"]["input_modalities"], ["text"])


def main():
    if not serve.has_toy(PROGRAM):
        serve.skip("the toy is not built")
    names = sys.argv[2:]
    if not names or "without_encoder" in names:
        if not serve.attempt(without_encoder):
            sys.exit(1)
        names = [n for n in names if n != "without_encoder"]
        if sys.argv[2:] and not names:
            return
    serve.run(lambda: serve.start(PROGRAM, "--device", serve.DEVICE), names)


if __name__ == "__main__":
    main()
