"""`peridot serve` through the package `anthropic`: /v1/messages with text, pictures and streams.

    through_anthropic.py PERIDOT [NAME...]

SPDX-License-Identifier: MIT
"""
import base64
import contextlib
import sys

import anthropic

import serve
from serve import check, same, test

PROGRAM = sys.argv[1]
KEY = "a-key"
ASKED = [{"role": "user", "content": "What is the capital of France?"}]
ANSWER = "The capital of France is Paris."


def client_of(server, **more):
    return anthropic.Anthropic(**{"base_url": server.url(), "api_key": KEY, "max_retries": 0, "timeout": 120, **more})


# The package knows no temperature any more.
GREEDY = {"extra_body": {"temperature": 0}}


def create(server, **more):
    asked = {"model": "x", "max_tokens": 100, "messages": ASKED, **GREEDY}
    return client_of(server).messages.create(**{**asked, **more})


@test
def text(server):
    answer = create(server)
    same([(b.type, b.text) for b in answer.content], [("text", ANSWER)])
    same((answer.type, answer.role, answer.stop_reason), ("message", "assistant", "end_turn"))
    check(answer.usage.input_tokens > 5 and answer.usage.output_tokens > 5, "usage:", answer.usage)
    same(create(server, max_tokens=2).stop_reason, "max_tokens")
    stopped = create(server, stop_sequences=[" of France"])
    same((stopped.content[0].text, stopped.stop_reason, stopped.stop_sequence), ("The capital", "stop_sequence", " of France"))


@test
def system(server):
    loud = serve.run_json(PROGRAM, "--temp", "0", "-sys", "Answer in capital letters.", "-p", ASKED[0]["content"])["text"]
    same(create(server, system="Answer in capital letters.").content[0].text, loud)
    same(create(server, system=[{"type": "text", "text": "Answer in capital letters."}]).content[0].text, loud)


@test
def picture(server):
    with open(serve.sample("1.png"), "rb") as f:
        source = {"type": "base64", "media_type": "image/png", "data": base64.b64encode(f.read()).decode()}
    content = [{"type": "image", "source": source}, {"type": "text", "text": "What is in the picture?"}]
    answer = create(server, messages=[{"role": "user", "content": content}])
    check("circle" in answer.content[0].text, "says", answer.content[0].text)


@test
def streamed(server):
    with client_of(server).messages.stream(model="x", max_tokens=100, messages=ASKED, **GREEDY) as stream:
        same("".join(stream.text_stream), ANSWER)
        final = stream.get_final_message()
    same(final.stop_reason, "end_turn")
    check(final.usage.output_tokens > 5 and final.usage.input_tokens > 5, "usage:", final.usage)
    kinds = [e.type for e in create(server, stream=True)]
    same(kinds[0], "message_start")
    same(kinds[-4:], ["content_block_delta", "content_block_stop", "message_delta", "message_stop"])


@test
def going_on(server):
    answer = create(server, messages=[*ASKED, {"role": "assistant", "content": "The capital of"}])
    same(answer.content[0].text, ANSWER[len("The capital of"):])


WEATHER = {
    "type": "object",
    "properties": {"city": {"type": "string", "maxLength": 8}, "days": {"type": "integer", "minimum": 1, "maximum": 9}},
    "required": ["city", "days"],
    "additionalProperties": False
}


def check_calls(answer):
    same(answer.stop_reason, "tool_use")
    for block in answer.content:
        same((block.type, block.name, sorted(block.input)), ("tool_use", "get_weather", ["city", "days"]))
        check(len(block.input["city"]) <= 8 and 1 <= block.input["days"] <= 9, "input", block.input)


@test
def tools(server):
    asked = {"tools": [{"name": "get_weather", "description": "The weather.", "input_schema": WEATHER}],
             "tool_choice": {"type": "any"}, "max_tokens": 300}
    answer = create(server, **asked)
    check_calls(answer)
    with client_of(server).messages.stream(model="x", messages=ASKED, **GREEDY, **asked) as stream:
        final = stream.get_final_message()
    check_calls(final)
    same([b.input for b in final.content], [b.input for b in answer.content])
    results = [{"type": "tool_result", "tool_use_id": b.id, "content": "rain"} for b in answer.content]
    talk = [*ASKED, {"role": "assistant", "content": answer.content}, {"role": "user", "content": results}]
    check_calls(create(server, messages=talk, **asked))
    raises(anthropic.BadRequestError, create, server=server, **{**asked, "tool_choice": {"type": "tool", "name": "x"}})


def raises(kind, call, **more):
    try:
        call(**more)
    except kind as error:
        return error
    raise AssertionError(f"{more} raises no {kind.__name__}")


@test
def errors(server):
    messages = client_of(server).messages.create
    error = raises(anthropic.BadRequestError, messages, model="x", max_tokens=5, messages=[{"role": "king", "content": "x"}])
    same(error.body["type"], "error")
    same(error.body["error"]["type"], "invalid_request_error")
    raises(anthropic.BadRequestError, messages, model="x", max_tokens=5, messages=[{"role": "user", "content": "x " * 5000}])
    wrong = client_of(server, api_key="wrong").messages.create
    raises(anthropic.AuthenticationError, wrong, model="x", max_tokens=5, messages=ASKED)


@contextlib.contextmanager
def with_key():
    with serve.start(PROGRAM, "--device", serve.DEVICE, "--api-key", KEY) as server:
        server.key = KEY
        yield server


if __name__ == "__main__":
    serve.run(with_key, sys.argv[2:])
