"""`peridot serve` through the package `openai`: what comes back has to fit its types, and its errors their classes.

    through_openai.py PERIDOT [NAME...]

SPDX-License-Identifier: MIT
"""
import base64
import contextlib
import json
import sys

import openai

import serve
from serve import check, same, test

PROGRAM = sys.argv[1]
KEY = "a-key"
ASKED = [{"role": "user", "content": "What is the capital of France?"}]
ANSWER = "The capital of France is Paris."


def client_of(server, **more):
    return openai.OpenAI(**{"base_url": server.url("/v1"), "api_key": KEY, "max_retries": 0, "timeout": 120, **more})


def url_of(name):
    return serve.data_url(serve.sample(name))


@test
def models(server):
    found = client_of(server).models.list().data
    same(len(found), 1)
    same(client_of(server).models.retrieve(found[0].id).id, found[0].id)


@test
def chat(server):
    answer = client_of(server).chat.completions.create(model="x", messages=ASKED, temperature=0)
    same(answer.choices[0].message.content, ANSWER)
    same(answer.choices[0].finish_reason, "stop")
    same(answer.usage.total_tokens, answer.usage.prompt_tokens + answer.usage.completion_tokens)
    check(answer.usage.prompt_tokens_details.cached_tokens >= 0, "cached_tokens")
    type(answer).model_validate(answer.model_dump())


@test
def chat_streamed(server):
    create = client_of(server).chat.completions.create
    chunks = list(
        create(model="x", messages=ASKED, temperature=0, stream=True, stream_options={"include_usage": True}))
    same("".join(c.choices[0].delta.content or "" for c in chunks if c.choices), ANSWER)
    same(chunks[-1].choices, [])
    check(chunks[-1].usage.completion_tokens > 5, "usage:", chunks[-1].usage)
    with client_of(server).chat.completions.stream(model="x", messages=ASKED, temperature=0) as stream:
        same(stream.get_final_completion().choices[0].message.content, ANSWER)


@test
def leaving(server):
    stream = client_of(server).chat.completions.create(model="x", messages=ASKED, stream=True, n=8)
    next(iter(stream))
    stream.close()
    server.wait_idle()


@test
def pictures(server):
    content = [{"type": "image_url", "image_url": {"url": url_of("1.png"), "detail": "auto"}},
               {"type": "text", "text": "What is in the picture?"}]
    answer = client_of(server).chat.completions.create(model="x",
                                                       messages=[{"role": "user", "content": content}],
                                                       temperature=0)
    check("circle" in answer.choices[0].message.content, "says", answer.choices[0].message.content)


@test
def log_probs(server):
    answer = client_of(server).chat.completions.create(model="x",
                                                       messages=ASKED,
                                                       temperature=0,
                                                       logprobs=True,
                                                       top_logprobs=2)
    content = answer.choices[0].logprobs.content
    same("".join(t.token for t in content), ANSWER)
    same(bytes(b for t in content for b in t.bytes).decode(), ANSWER)
    check(all(len(t.top_logprobs) == 2 and t.logprob <= 0 for t in content), "logprobs:", content)


@test
def several(server):
    answer = client_of(server).chat.completions.create(model="x", messages=ASKED, temperature=2, n=3, seed=1)
    same([c.index for c in answer.choices], [0, 1, 2])


@test
def completions(server):
    create = client_of(server).completions.create
    answer = create(model="x", prompt="The capital of France", temperature=0, max_tokens=20, logprobs=2)
    same(answer.choices[0].text, " is Paris.")
    same(len(answer.choices[0].logprobs.tokens), len(answer.choices[0].logprobs.token_logprobs))
    chunks = create(model="x", prompt="The capital of France", temperature=0, max_tokens=20, stream=True)
    same("".join(c.choices[0].text for c in chunks), " is Paris.")
    both = create(model="x",
                  prompt=["The capital of France is", "The capital of Italy is"],
                  temperature=0,
                  max_tokens=20)
    same([c.text for c in both.choices], [" Paris.", " Rome."])
    echoed = create(model="x", prompt=[[2, 600]], temperature=0, max_tokens=1, echo=True, logprobs=1)
    same(len(echoed.choices[0].logprobs.token_logprobs), 3)


@test
def responses(server):
    create = client_of(server).responses.create
    answer = create(model="x", input="What is the capital of France?", temperature=0)
    same(answer.output_text, ANSWER)
    same(answer.status, "completed")
    check(answer.usage.output_tokens > 5, "usage:", answer.usage)
    short = create(model="x", input="What is the capital of France?", temperature=0, max_output_tokens=2)
    same(short.status, "incomplete")
    same(short.incomplete_details.reason, "max_output_tokens")
    loud = create(model="x",
                  input="What is the capital of France?",
                  instructions="Answer in capital letters.",
                  temperature=0)
    same(
        loud.output_text,
        serve.run_json(PROGRAM, "--temp", "0", "-sys", "Answer in capital letters.", "-p",
                       ASKED[0]["content"])["text"])
    talk = [
        *ASKED, {"role": "assistant", "content": ANSWER},
        {"role": "user", "content": "What is the capital of Italy?"}
    ]
    check("Rome" in create(model="x", input=talk, temperature=0).output_text, "a conversation")


@test
def responses_with_picture(server):
    content = [{"type": "input_image", "image_url": url_of("1.png"), "detail": "auto"},
               {"type": "input_text", "text": "What is in the picture?"}]
    answer = client_of(server).responses.create(model="x",
                                                input=[{"role": "user", "content": content}],
                                                temperature=0)
    check("circle" in answer.output_text, "says", answer.output_text)


@test
def responses_streamed(server):
    events = list(
        client_of(server).responses.create(model="x",
                                           input="What is the capital of France?",
                                           temperature=0,
                                           stream=True))
    same("".join(e.delta for e in events if e.type == "response.output_text.delta"), ANSWER)
    same(events[0].type, "response.created")
    same(events[-1].type, "response.completed")
    same(events[-1].response.output_text, ANSWER)
    same([e.sequence_number for e in events], list(range(len(events))))
    for kind in ("response.output_item.added", "response.content_part.added", "response.output_text.done",
                 "response.content_part.done", "response.output_item.done"):
        same(sum(e.type == kind for e in events), 1, kind)


WEATHER = {
    "type": "object",
    "properties": {"city": {"type": "string", "maxLength": 8}, "days": {"type": "integer", "minimum": 1, "maximum": 9}},
    "required": ["city", "days"],
    "additionalProperties": False
}


def check_weather(name, arguments):
    same(name, "get_weather")
    found = json.loads(arguments)
    check(len(found["city"]) <= 8 and 1 <= found["days"] <= 9 and len(found) == 2, "arguments", arguments)


@test
def tools(server):
    create = client_of(server).chat.completions.create
    asked = {
        "model": "x", "tool_choice": "required", "seed": 1,
        "tools": [{"type": "function", "function": {"name": "get_weather", "parameters": WEATHER, "strict": True}}]
    }
    answer = create(messages=ASKED, **asked)
    type(answer).model_validate(answer.model_dump())
    same(answer.choices[0].finish_reason, "tool_calls")
    call = answer.choices[0].message.tool_calls[0]
    check_weather(call.function.name, call.function.arguments)
    with client_of(server).chat.completions.stream(messages=ASKED, **asked) as stream:
        final = stream.get_final_completion().choices[0]
    same(final.finish_reason, "tool_calls")
    same(final.message.tool_calls[0].function.arguments, call.function.arguments)
    talk = [*ASKED, answer.choices[0].message]
    talk += [{"role": "tool", "tool_call_id": c.id, "content": "rain"} for c in answer.choices[0].message.tool_calls]
    same(create(messages=talk, **asked, max_tokens=60).choices[0].finish_reason, "tool_calls")
    raises(openai.BadRequestError, create, messages=ASKED, **{**asked, "tool_choice": "any"})


@test
def responses_with_tools(server):
    create = client_of(server).responses.create
    asked = {
        "model": "x", "tool_choice": "required",
        "tools": [{"type": "function", "name": "get_weather", "parameters": WEATHER, "strict": True}]
    }
    answer = create(input="What is the capital of France?", **asked)
    type(answer).model_validate(answer.model_dump())
    for item in answer.output:
        same(item.type, "function_call")
        check_weather(item.name, item.arguments)
    results = [{"type": "function_call_output", "call_id": i.call_id, "output": "rain"} for i in answer.output]
    again = create(input=[*ASKED, *answer.output, *results], **asked)
    same(again.output[0].type, "function_call")
    with client_of(server).responses.stream(input=ASKED, **asked) as stream:
        events = list(stream)
        final = stream.get_final_response()
    told = "".join(e.delta for e in events if e.type == "response.function_call_arguments.delta")
    same(told, "".join(item.arguments for item in final.output))
    check_weather(final.output[0].name, final.output[0].arguments)


def raises(kind, call, **more):
    try:
        call(**more)
    except kind as error:
        return error
    raise AssertionError(f"{more} raises no {kind.__name__}")


@test
def errors(server):
    create = client_of(server).chat.completions.create
    error = raises(openai.BadRequestError, create, model="x", messages=[{"role": "king", "content": "x"}])
    check(error.param.startswith("messages") and error.type == "invalid_request_error", "error:", error.body)
    error = raises(openai.BadRequestError, create, model="x", messages=[{"role": "user", "content": "x " * 5000}])
    same(error.code, "context_length_exceeded")
    picture = {
        "type": "image_url", "image_url": {"url": "data:image/png;base64," + base64.b64encode(b"none").decode()}
    }
    raises(openai.BadRequestError, create, model="x", messages=[{"role": "user", "content": [picture]}])
    raises(openai.AuthenticationError, client_of(server, api_key="wrong").models.list)
    raises(openai.NotFoundError, client_of(server, base_url=server.url("/v7")).models.list)
    raises(openai.APIStatusError, client_of(server).embeddings.create, model="x", input="x")
    raises(openai.APIConnectionError, client_of(server, base_url="http://127.0.0.1:1/v1").models.list)


@contextlib.contextmanager
def with_key():
    with serve.start(PROGRAM, "--device", serve.DEVICE, "--api-key", KEY) as server:
        server.key = KEY
        yield server


if __name__ == "__main__":
    serve.run(with_key, sys.argv[2:])
