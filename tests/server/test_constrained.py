#!/usr/bin/env python3
"""Answers of `peridot serve` that have to fit: JSON schemas in the three interfaces, whole and streamed, beside
answers without one; grammars, regular expressions, choices; what is refused.

    test_constrained.py PERIDOT [NAME...]

SPDX-License-Identifier: MIT
"""
import json
import re
import sys

import serve
from serve import check, same, test

PROGRAM = sys.argv[1]
CHAT, TEXT, RESPONSES, MESSAGES = "/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/messages"
ASKED = [{"role": "user", "content": "What is the capital of France?"}]
SCHEMA = {
    "type": "object",
    "properties": {
        "city": {"type": "string", "minLength": 2, "maxLength": 16},
        "people": {"type": "integer", "minimum": -5, "maximum": 3000000},
        "rivers": {"type": "array", "items": {"enum": ["Seine", "Marne"]}, "maxItems": 3},
        "mayor": {"anyOf": [{"type": "null"}, {"$ref": "#/$defs/person"}]},
    },
    "required": ["city", "people"],
    "additionalProperties": False,
    "$defs": {"person": {"type": "object", "properties": {"name": {"type": "string", "maxLength": 8}},
                         "required": ["name"], "additionalProperties": False}},
}


def check_fits(text):
    """By hand, so that it does not depend on what is tested."""
    value = json.loads(text)
    check(set(value) <= set(SCHEMA["properties"]) and {"city", "people"} <= set(value), "names of", text)
    check(isinstance(value["city"], str) and 2 <= len(value["city"]) <= 16, "city in", text)
    check(isinstance(value["people"], int) and -5 <= value["people"] <= 3000000, "people in", text)
    rivers, mayor = value.get("rivers", []), value.get("mayor")
    check(len(rivers) <= 3 and all(r in ("Seine", "Marne") for r in rivers), "rivers in", text)
    check(mayor is None or (list(mayor) == ["name"] and len(mayor["name"]) <= 8), "mayor in", text)


def wanted(schema=None):
    return {"type": "json_schema", "json_schema": {"name": "city", "strict": True, "schema": schema or SCHEMA}}


def chat(server, **more):
    return server.ok(CHAT, {"messages": ASKED, "max_tokens": 200, **more})["choices"]


def said(server, **more):
    return chat(server, **more)[0]["message"]["content"]


# ---- schemas ------------------------------------------------------------------------------------


@test
def schemas_in_chats(server):
    for seed in range(12):
        choice = chat(server, response_format=wanted(), seed=seed)[0]
        check_fits(choice["message"]["content"])
        same(choice["finish_reason"], "stop")


@test
def schemas_in_streams(server):
    for seed in range(4):
        chunks = server.stream(CHAT, {"messages": ASKED, "response_format": wanted(), "seed": seed})
        text = "".join(c["choices"][0]["delta"].get("content") or "" for c in chunks)
        check_fits(text)
        same(text, said(server, response_format=wanted(), seed=seed), "whole and streamed:")


@test
def schemas_in_other_interfaces(server):
    plain = {"type": "json_schema", "name": "city", "schema": SCHEMA}
    for seed in range(3):
        found = server.ok(RESPONSES, {"input": "Hello", "text": {"format": plain}, "seed": seed})
        check_fits(found["output"][0]["content"][0]["text"])
        same(found["text"], {"format": plain}, "the format repeated:")
        found = server.ok(MESSAGES, {"messages": ASKED, "max_tokens": 200, "output_config": {"format": plain}})
        check_fits(found["content"][0]["text"])
        found = server.ok(TEXT, {"prompt": "Paris", "max_tokens": 200, "json_schema": SCHEMA, "seed": seed})
        check_fits(found["choices"][0]["text"])


@test
def any_object(server):
    for seed in range(6):
        value = json.loads(said(server, response_format={"type": "json_object"}, seed=seed, max_tokens=60))
        check(isinstance(value, dict), value)
    check_fits(said(server, response_format={"type": "json_object", "schema": SCHEMA}))


@test
def little_room(server):
    """The shortest one has 24 characters: it is complete, however few tokens there are."""
    for n in (27, 30, 40, 60):
        for seed in range(4):
            check_fits(said(server, response_format=wanted(), seed=seed, max_tokens=n))
    choice = chat(server, response_format=wanted(), max_tokens=4)[0]
    same(choice["finish_reason"], "length")


@test
def several_answers(server):
    for choice in chat(server, response_format=wanted(), n=3, seed=5):
        check_fits(choice["message"]["content"])


@test
def with_log_probs(server):
    choice = chat(server, response_format=wanted(), logprobs=True, top_logprobs=2, seed=3)[0]
    check_fits(choice["message"]["content"])
    tokens = choice["logprobs"]["content"]
    same("".join(t["token"] for t in tokens), choice["message"]["content"])
    check(all(t["logprob"] <= 0 and len(t["top_logprobs"]) == 2 for t in tokens), "log-probabilities")


@test
def beside_others(server):
    """In the same steps: other schemas, other kinds, and answers that are free."""
    free = said(server, temperature=0)
    ways = [lambda seed=seed: check_fits(said(server, response_format=wanted(), seed=seed)) for seed in range(6)]
    ways += [lambda: same(said(server, temperature=0), free, "a free answer:") for _ in range(3)]
    ways += [lambda: check(re.fullmatch("[a-f]{4}-[0-9]{2}", said(server, regex="[a-f]{4}-[0-9]{2}")))] * 3
    serve.together(ways)


# ---- grammars, regular expressions, choices ------------------------------------------------------


@test
def other_kinds(server):
    for seed in range(5):
        text = said(server, grammar='root ::= "<" item ("," item)* ">"\nitem ::= [a-z]{2,5}', seed=seed)
        check(re.fullmatch("<[a-z]{2,5}(,[a-z]{2,5})*>", text), text)
        text = said(server, regex="(yes|no), [0-9]{1,3} (times|x)", seed=seed)
        check(re.fullmatch("(yes|no), [0-9]{1,3} (times|x)", text), text)
        check(said(server, choices=["Paris", 'a "b"', "\u00e9\u00e8"], seed=seed) in ("Paris", 'a "b"', "\u00e9\u00e8"))
    both = [f"The capital of France is {city}." for city in ("Lyon", "Paris")]
    same(said(server, choices=both, temperature=0), both[1], "the more probable one:")


@test
def what_is_known(server):
    """Nothing is left to the model."""
    text = "The answer to this question is known from the very beginning to its end."
    same(said(server, choices=[text]), text)


# ---- what is refused ------------------------------------------------------------------------------


@test
def refused(server):
    bad = {
        "response_format": [wanted({"type": "strange"}), wanted({"not": {}}), wanted({"$ref": "http://x/y"}),
                            wanted({"type": "integer", "minimum": 3, "maximum": 2}), {"type": "json_schema"},
                            wanted(3), {"type": "grammar"}],
        "json_schema": [3, {"type": ["object", "x"]}, {"pattern": "["}, {"$ref": "#/$defs/none"}],
        "grammar": [3, "root ::= x", "no rules", 'root ::= root "a" | "b"'],
        "regex": [3, "(", "(?=a)b", "a{2,1}"],
        "choices": ["x", [], [1], {}],
    }
    for field, values in bad.items():
        for value in values:
            for stream in (False, True):
                error = server.refused(CHAT, {"messages": ASKED, field: value, "stream": stream})
                same(error["param"], field, f"{value!r}: {error}:")
    error = server.refused(CHAT, {"messages": ASKED, "response_format": wanted({"properties": {"a": {"if": {}}}})})
    check('"if"' in error["message"] and "#/properties/a" in error["message"], error)
    error = server.refused(CHAT, {"messages": ASKED, "grammar": 'root ::= "a"', "regex": "a"})
    check("one grammar or schema only" in error["message"], error)


def main():
    if not serve.has_toy(PROGRAM):
        serve.skip("the toy is not built")
    serve.run(lambda: serve.start(PROGRAM, "--device", serve.DEVICE, "--parallel", "4"), sys.argv[2:])


if __name__ == "__main__":
    main()
