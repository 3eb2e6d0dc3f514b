#!/usr/bin/env python3
"""/v1/responses and /v1/messages of `peridot serve`, with the model in the box: every field of an answer, the
events of a stream in their order, usage, stop sequences, pictures, what is refused and in which form; and that
pictures are fetched from nowhere near.

    test_interfaces.py PERIDOT [NAME...]

SPDX-License-Identifier: MIT
"""
import contextlib
import http.server
import json
import os
import re
import sys
import tempfile
import threading

import serve
from serve import check, same, test

PROGRAM = sys.argv[1]
ARGUMENTS = ["--device", serve.DEVICE, "--parallel", "4", "--media-path", serve.sample(""), "--allow-image-urls"]
RESPONSES, MESSAGES, CHAT = "/v1/responses", "/v1/messages", "/v1/chat/completions"
COUNTS = {RESPONSES: RESPONSES + "/input_tokens", MESSAGES: MESSAGES + "/count_tokens"}
QUESTION = "What is the capital of France?"
ANSWER = "The capital of France is Paris."
ASKED = [{"role": "user", "content": QUESTION}]
LOOK = "What is in the picture?"
LOGPROBS = "message.output_text.logprobs"


# ---- asking -------------------------------------------------------------------------------------


def respond(server, input=QUESTION, **more):
    return server.ok(RESPONSES, {"input": input, "temperature": 0, **more})


def message(server, messages=None, **more):
    return server.ok(MESSAGES, {"messages": messages or ASKED, "temperature": 0, "max_tokens": 100, **more})


def chat(server, messages, **more):
    return server.ok(CHAT, {"messages": messages, "temperature": 0, **more})["choices"][0]["message"]["content"]


def text_of(response):
    same([item["type"] for item in response["output"]], ["message"])
    return "".join(part["text"] for part in response["output"][0]["content"])


def words_of(found):
    return "".join(block["text"] for block in found["content"])


def named_events(server, path, body):
    """[(name, data)] of a stream; comments are passed over, and a name has to be its data's type."""
    connection, response = server.send(path, {**body, "stream": True})
    with contextlib.closing(connection):
        text = response.read().decode()
    same(response.status, 200, text[:500])
    check(response.headers["Content-Type"].startswith("text/event-stream"), response.headers)
    check(text.endswith("\n\n"), "the stream ends within an event:", text[-100:])
    found = []
    for event in text.split("\n\n")[:-1]:
        lines = [line for line in event.split("\n") if not line.startswith(":")]
        if lines:
            same([line.split(": ")[0] for line in lines], ["event", "data"], "an event's lines:")
            name, data = lines[0].removeprefix("event: "), json.loads(lines[1].removeprefix("data: "))
            same(data["type"], name)
            found.append((name, data))
    return found


def expect_fields(found, fields, what):
    same(sorted(found), sorted(fields.split()), f"fields of {what}:")


def is_int(value):
    return isinstance(value, int) and not isinstance(value, bool)


# ---- responses ----------------------------------------------------------------------------------

RESPONSE = ("id object created_at status model output error incomplete_details temperature top_p instructions "
            "max_output_tokens metadata user top_logprobs background store previous_response_id parallel_tool_calls "
            "tool_choice tools truncation reasoning text usage")


def check_response(response, status="completed"):
    expect_fields(response, RESPONSE, "a response")
    same((response["object"], response["status"]), ("response", status))
    check(re.fullmatch("resp_[0-9a-f]{16}", response["id"]), response["id"])
    check(is_int(response["created_at"]), response["created_at"])
    same((response["error"], response["previous_response_id"], response["store"]), (None, None, False))
    same(response["text"], {"format": {"type": "text"}})
    if status == "in_progress":
        same((response["output"], response["usage"]), ([], None))
        return
    item, usage = response["output"][0], response["usage"]
    expect_fields(item, "id type status role content", "an item")
    same((item["type"], item["status"], item["role"]), ("message", status, "assistant"))
    same(item["id"], response["id"].replace("resp_", "msg_"))
    expect_fields(item["content"][0], "type text annotations logprobs", "a part")
    same((item["content"][0]["type"], item["content"][0]["annotations"]), ("output_text", []))
    expect_fields(usage, "input_tokens input_tokens_details output_tokens output_tokens_details total_tokens", "usage")
    same(usage["total_tokens"], usage["input_tokens"] + usage["output_tokens"])
    expect_fields(usage["input_tokens_details"], "cached_tokens cache_write_tokens", "details")
    check(is_int(usage["input_tokens_details"]["cached_tokens"]), usage)
    same(usage["output_tokens_details"], {"reasoning_tokens": 0})


@test
def response_fields(server):
    response = respond(server, instructions="Answer.", metadata={"a": "b"}, model="some-name", user="me",
                       top_p=0.5, max_output_tokens=50)
    check_response(response)
    same(text_of(response), ANSWER)
    same((response["instructions"], response["metadata"], response["model"], response["user"]),
         ("Answer.", {"a": "b"}, "some-name", "me"))
    same((response["temperature"], response["top_p"], response["max_output_tokens"]), (0, 0.5, 50))
    same(response["incomplete_details"], None)
    same(response["output"][0]["content"][0]["logprobs"], [])
    same(response["usage"]["output_tokens"], 8, "with the token that ends the turn:")


@test
def response_that_is_cut(server):
    response = respond(server, max_output_tokens=3)
    check_response(response, "incomplete")
    same(response["incomplete_details"], {"reason": "max_output_tokens"})
    same((text_of(response), response["usage"]["output_tokens"]), ("The capital of", 3))


@test
def response_inputs(server):
    """Every way to write a conversation is the same one to chat completions."""
    turns = [{"role": "system", "content": "Be short."}, *ASKED, {"role": "assistant", "content": ANSWER},
             {"role": "user", "content": "And of Italy?"}]
    wanted = chat(server, turns)
    same(text_of(respond(server, turns)), wanted)
    same(text_of(respond(server, turns[1:], instructions="Be short.")), wanted)
    same(text_of(respond(server, [{"role": "developer", "content": "Be short."}, *turns[1:]])), wanted)
    parts = [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": QUESTION}]},
             {"type": "message", "id": "msg_1", "status": "completed", "role": "assistant",
              "content": [{"type": "output_text", "text": ANSWER, "annotations": []}]},
             {"role": "user", "content": [{"type": "input_text", "text": "And of "},
                                          {"type": "input_text", "text": "Italy?"}]}]
    same(text_of(respond(server, parts, instructions="Be short.")), wanted)
    first = respond(server)
    again = [*ASKED, *first["output"], turns[-1]]  # as clients that keep no state with the server do
    same(text_of(respond(server, again)), chat(server, turns[1:]))


@test
def response_ignores(server):
    same(text_of(respond(server, store=True, reasoning={"effort": "high"}, truncation="auto", tools=[],
                         tool_choice="auto", parallel_tool_calls=False, service_tier="auto", n=3,
                         include=["reasoning.encrypted_content"],
                         text={"format": {"type": "text"}, "verbosity": "low"}, previous_response_id=None)), ANSWER)


@test
def response_log_probs(server):
    plain = respond(server, top_logprobs=2)
    same((plain["output"][0]["content"][0]["logprobs"], plain["top_logprobs"]), ([], 0), "not asked for:")
    response = respond(server, top_logprobs=2, include=[LOGPROBS])
    same(response["top_logprobs"], 2)
    entries = response["output"][0]["content"][0]["logprobs"]
    same("".join(entry["token"] for entry in entries), ANSWER)
    same(bytes(b for entry in entries for b in entry["bytes"]).decode(), ANSWER)
    body = {"messages": ASKED, "temperature": 0, "logprobs": True, "top_logprobs": 2}
    same(entries, server.ok(CHAT, body)["choices"][0]["logprobs"]["content"])


BEGIN = ["response.created", "response.in_progress", "response.output_item.added", "response.content_part.added"]
DELTA = "response.output_text.delta"
END = ["response.output_text.done", "response.content_part.done", "response.output_item.done"]


def check_response_events(events, status):
    names = [name for name, _ in events]
    n = names.count(DELTA)
    same(names, BEGIN + [DELTA] * n + END + ["response." + status], "events:")
    same([data["sequence_number"] for _, data in events], list(range(len(events))))
    last = events[-1][1]["response"]
    check_response(last, status)
    for _, data in events[:2]:
        check_response(data["response"], "in_progress")
        same(data["response"]["id"], last["id"])
    item = events[2][1]["item"]
    same(item, {"id": last["output"][0]["id"], "type": "message", "status": "in_progress", "role": "assistant",
                "content": []})
    for _, data in events[3:-2]:
        same((data["item_id"], data["output_index"], data["content_index"]), (item["id"], 0, 0))
    same(events[3][1]["part"], {"type": "output_text", "text": "", "annotations": [], "logprobs": []})
    deltas = [data for name, data in events if name == DELTA]
    text, part = "".join(data["delta"] for data in deltas), last["output"][0]["content"][0]
    same(part["text"], text)
    same([entry for data in deltas for entry in data["logprobs"]], part["logprobs"])
    same((events[-4][1]["text"], events[-4][1]["logprobs"]), (text, part["logprobs"]))
    same(events[-3][1]["part"], part)
    same(events[-2][1]["item"], last["output"][0])
    return last


@test
def response_streams(server):
    body = {"input": QUESTION, "temperature": 0, "metadata": {"k": "v"}}
    for more in ({}, {"include": [LOGPROBS], "top_logprobs": 1}, {"max_output_tokens": 1}, {"max_output_tokens": 4}):
        status = "incomplete" if "max_output_tokens" in more else "completed"
        last = check_response_events(named_events(server, RESPONSES, {**body, **more}), status)
        whole = respond(server, **{**body, **more})
        same([*last["output"][0]["content"]], [*whole["output"][0]["content"]])
        same(last["metadata"], {"k": "v"})
        same({**last["usage"], "input_tokens_details": 0}, {**whole["usage"], "input_tokens_details": 0})


@test
def response_refusals(server):
    for field, values in {
            "input": [None, 3, {}, [], ["x"], [{"content": "no role"}], [{"role": "king", "content": "x"}],
                      [{"type": "function_call", "name": "f"}], [{"type": 3, "role": "user", "content": "x"}],
                      [{"type": "item_reference", "id": "x"}],
                      [{"role": "user", "content": [{"type": "text", "text": "x"}]}],
                      [{"role": "user", "content": [{"type": "input_text"}]}],
                      [{"role": "user", "content": [{"type": "input_file", "file_id": "x"}]}],
                      [{"role": "user", "content": [{"type": "input_image", "file_id": "x"}]}],
                      [*ASKED, {"role": "system", "content": "late"}]],
            "instructions": [3, {}, [3]],
            "previous_response_id": ["resp_0"], "conversation": ["c", {"id": "c"}], "prompt": [{"id": "p"}],
            "background": [True, "yes"], "metadata": ["x", [], 3],
            "max_output_tokens": [0, -1, 1.5, "3", True], "top_logprobs": [-1, 1000, "2"], "include": ["x", [3]],
            "tools": [[{"type": "web_search"}]],
            "text": ["x", 3], "text.format": [{"type": "poem"}, {"type": "json_schema"}, "x"],
            "temperature": ["0", -1], "stream": ["x"]}.items():
        for value in values:
            sent = {"text": {"format": value}} if field == "text.format" else {field: value}
            error = server.refused(RESPONSES, {"input": QUESTION, **sent})
            same((error["param"] or "").split("[")[0], field, f"{value!r}: param of {error}:")
            same(error["type"], "invalid_request_error")
            if field != "stream":
                server.refused(RESPONSES, {"input": QUESTION, **sent, "stream": True})


# ---- messages -----------------------------------------------------------------------------------

MESSAGE = "id type role model content stop_reason stop_sequence usage"
USAGE = "input_tokens cache_creation_input_tokens cache_read_input_tokens output_tokens"


def check_message(found, reason, sequence=None):
    expect_fields(found, MESSAGE, "a message")
    check(re.fullmatch("msg_[0-9a-f]{16}", found["id"]), found["id"])
    same((found["type"], found["role"]), ("message", "assistant"))
    same((found["stop_reason"], found["stop_sequence"]), (reason, sequence))
    expect_fields(found["usage"], USAGE, "usage")
    check(all(is_int(n) for n in found["usage"].values()), found["usage"])
    for block in found["content"]:
        expect_fields(block, "type text", "a block")
        same(block["type"], "text")


@test
def message_fields(server):
    found = message(server, model="some-name", metadata={"user_id": "x"}, service_tier="auto", n=3, tools=[],
                    thinking={"type": "disabled"}, output_config={"effort": "low"})
    check_message(found, "end_turn")
    same((words_of(found), found["model"], len(found["content"])), (ANSWER, "some-name", 1))
    same(found["usage"]["output_tokens"], 8)


@test
def message_that_is_cut(server):
    found = message(server, max_tokens=3)
    check_message(found, "max_tokens")
    same((words_of(found), found["usage"]["output_tokens"]), ("The capital of", 3))


@test
def message_stop_sequences(server):
    for stops, text, found_stop in ((["Paris"], "The capital of France is ", "Paris"),
                                    (["nothing", "of F", "Paris"], "The capital ", "of F"),
                                    ([" is", " is Par", "Fr"], "The capital of ", "Fr"),
                                    (["The"], "", "The")):
        found = message(server, stop_sequences=stops)
        check_message(found, "stop_sequence", found_stop)
        same(words_of(found), text)
    found = message(server, stop_sequences=["nothing", "Parisian"])
    check_message(found, "end_turn")
    same(words_of(found), ANSWER, "what could have begun one is told:")


@test
def message_conversations(server):
    turns = [*ASKED, {"role": "assistant", "content": ANSWER}, {"role": "user", "content": "And of Italy?"}]
    wanted = chat(server, [{"role": "system", "content": "Be short."}, *turns])
    same(words_of(message(server, turns, system="Be short.")), wanted)
    kept = {"type": "text", "cache_control": {"type": "ephemeral"}}
    blocks = [{"role": turn["role"], "content": [{**kept, "text": turn["content"]}]} for turn in turns]
    system = [{"type": "text", "text": "Be "}, {**kept, "text": "short."}]
    same(words_of(message(server, blocks, system=system)), wanted)


@test
def message_goes_on(server):
    """A last assistant's turn is the beginning of the answer."""
    found = message(server, [*ASKED, {"role": "assistant", "content": "The capital of France"}])
    same(words_of(found), " is Paris.")
    events = named_events(server, MESSAGES, {"messages": [*ASKED, {"role": "assistant", "content": "The capital"}],
                                             "temperature": 0, "max_tokens": 40})
    same("".join(d["delta"]["text"] for n, d in events if n == "content_block_delta"), " of France is Paris.")


@test
def message_settings(server):
    """top_k and top_p are those of the other interfaces; a seed is as well."""
    body = {"messages": ASKED, "max_tokens": 30, "temperature": 1.5, "seed": 5}
    for more in ({}, {"top_k": 2}, {"top_p": 0.4}, {"top_k": 1}):
        found = server.ok(MESSAGES, {**body, **more})
        other = server.ok(CHAT, {**body, **more})["choices"][0]["message"]["content"]
        same(words_of(found), other, str(more))
    same(words_of(server.ok(MESSAGES, {**body, "top_k": 1})), ANSWER)


@test
def usage_of_what_is_known(server):
    """input_tokens is what had to be computed, so that it and what was read make the prompt."""
    question = [{"role": "user", "content": "Tell me a story. " * 100}]
    n = server.ok(COUNTS[MESSAGES], {"messages": question})["input_tokens"]
    server.ok("/cache/clear", {})
    for round in range(2):
        usage = message(server, question, max_tokens=1)["usage"]
        same(usage["input_tokens"] + usage["cache_read_input_tokens"], n)
        check((usage["cache_read_input_tokens"] > n // 2) == bool(round), f"round {round}:", usage)
    events = named_events(server, MESSAGES, {"messages": question, "max_tokens": 1})
    first, last = events[0][1]["message"]["usage"], events[-2][1]["usage"]
    check(first["cache_read_input_tokens"] > n // 2, first)
    same({**first, "output_tokens": 1}, last, "at the beginning and at the end:")
    details = respond(server, question[0]["content"], max_output_tokens=1)["usage"]
    same(details["input_tokens"], n)
    check(details["input_tokens_details"]["cached_tokens"] > n // 2, details)


@test
def message_streams(server):
    body = {"messages": ASKED, "temperature": 0, "max_tokens": 40}
    for more in ({}, {"max_tokens": 1}, {"stop_sequences": ["is P"]}, {"stop_sequences": ["The"]}):
        whole = server.ok(MESSAGES, {**body, **more})
        events = named_events(server, MESSAGES, {**body, **more})
        names = [name for name, _ in events if name != "ping"]
        n = names.count("content_block_delta")
        same(names, ["message_start", "content_block_start"] + ["content_block_delta"] * n +
             ["content_block_stop", "message_delta", "message_stop"], "events:")
        check(("ping", {"type": "ping"}) in events[:3], "no ping:", events[:3])
        check_message(events[0][1]["message"], None)
        same((events[0][1]["message"]["content"], events[0][1]["message"]["usage"]["output_tokens"]), ([], 0))
        same(events[1][1], {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}})
        deltas = [data for name, data in events if name == "content_block_delta"]
        for data in deltas:
            same((sorted(data), sorted(data["delta"])), (["delta", "index", "type"], ["text", "type"]))
            same((data["index"], data["delta"]["type"]), (0, "text_delta"))
        same("".join(data["delta"]["text"] for data in deltas), words_of(whole))
        same(events[-3][1], {"type": "content_block_stop", "index": 0})
        same(events[-2][1]["delta"], {name: whole[name] for name in ("stop_reason", "stop_sequence")})
        expect_fields(events[-2][1]["usage"], USAGE, "usage")
        same(events[-2][1]["usage"]["output_tokens"], whole["usage"]["output_tokens"])


def message_refused(server, path, body, status=400, kind="invalid_request_error", **more):
    answer = server.ask(path, body, **more)
    same(answer.status, status, f"{path} {body!r} {answer.data[:300]}")
    expect_fields(answer.json, "type error", "an error")
    expect_fields(answer.json["error"], "type message", "an error's error")
    same((answer.json["type"], answer.json["error"]["type"]), ("error", kind))
    check(answer.json["error"]["message"], answer.json)
    return answer.json["error"]["message"]


@test
def message_refusals(server):
    base = {"messages": ASKED, "max_tokens": 3}
    for field, values in {
            "messages": [None, "x", [], ["x"], [{"content": "x"}], [{"role": "king", "content": "x"}],
                         [{"role": "user", "content": [{"type": "image_url", "image_url": "x"}]}],
                         [{"role": "user", "content": [{"type": "tool_result", "content": "x"}]}],
                         [{"role": "user", "content": [{"type": "image"}]}],
                         [{"role": "user", "content": [{"type": "image", "source": {"type": "file", "file_id": "x"}}]}],
                         [{"role": "user", "content": [{"type": "image", "source": {"type": "base64"}}]}],
                         [{"role": "user", "content": [{"type": "image", "source": {"type": "base64", "data": "!"}}]}],
                         [{"role": "assistant",
                           "content": [{"type": "image", "source": {"type": "url", "url": "data:"}}]}]],
            "system": [3, {}, [3], [{"type": "image", "source": {"type": "base64", "data": "AAAA"}}]],
            "max_tokens": [None, 0, -1, 1.5, "3", True],
            "stop_sequences": [3, [3], {}], "tools": [[{"name": "f", "input_schema": []}], [{"type": "web_search_20250305", "name": "f"}]],
            "output_config": ["x", {"format": "x"}, {"format": {"type": "json_schema"}}],
            "temperature": ["0"], "top_k": ["1"], "stream": [1]}.items():
        for value in values:
            message_refused(server, MESSAGES, {**base, field: value})
            if field in ("messages", "system", "tools"):
                message_refused(server, COUNTS[MESSAGES], {**base, field: value})
    check("max_tokens" in message_refused(server, MESSAGES, {"messages": ASKED}), "the field is not named")
    message_refused(server, MESSAGES, b"{")
    message_refused(server, MESSAGES + "/batches", {}, 404, "not_found_error")
    message_refused(server, MESSAGES, None, 405, method="GET")
    long = [{"role": "user", "content": "word " * 300000}]
    check("token" in message_refused(server, MESSAGES, {**base, "messages": long}), "too long, and not said so")
    check("token" in message_refused(server, MESSAGES, {**base, "messages": long, "stream": True}), "streamed")


# ---- counts -------------------------------------------------------------------------------------


@test
def counts(server):
    look = {"type": "image", "source": {"type": "base64", "data": picture_data(1)}}
    pictures = [{"role": "user", "content": [look, look, {"type": "text", "text": LOOK}]}]
    for messages, system in ((ASKED, None), (ASKED, "Be short."), (pictures, None)):
        body = {"messages": messages, "max_tokens": 1, **({"system": system} if system else {})}
        n = server.ok(COUNTS[MESSAGES], body)
        usage = server.ok(MESSAGES, body)["usage"]
        same(n, {"input_tokens": usage["input_tokens"] + usage["cache_read_input_tokens"]})
    words = server.ok(COUNTS[MESSAGES], {"messages": [{"role": "user", "content": LOOK}]})
    check(n["input_tokens"] > words["input_tokens"] + 2 * 3, "pictures take no room:", n, words)
    for body in ({"input": QUESTION}, {"input": ASKED, "instructions": "Be short."}):
        n = server.ok(COUNTS[RESPONSES], body)
        same(n["object"], "response.input_tokens")
        same(n["input_tokens"], server.ok(RESPONSES, body)["usage"]["input_tokens"])
    server.refused(COUNTS[RESPONSES], {"input": []})
    server.refused(COUNTS[RESPONSES], {"input": QUESTION, "tools": [{"type": "function"}]})


# ---- pictures -----------------------------------------------------------------------------------


def picture_data(i):
    return serve.data_url(serve.sample(f"{i}.png")).split(",")[1]


def ask_pictures(server, url):
    """What each interface answers about it."""
    text = {"type": "text", "text": LOOK}
    responses = [{"role": "user", "content": [{"type": "input_image", "image_url": url, "detail": "auto"},
                                              {"type": "input_text", "text": LOOK}]}]
    blocks = [{"role": "user", "content": [{"type": "image", "source": {"type": "url", "url": url}}, text]}]
    return text_of(respond(server, responses)), words_of(message(server, blocks))


@test
def pictures(server):
    answers = set()
    for i in range(1, 6):
        url = serve.data_url(serve.sample(f"{i}.png"))
        parts = [{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": LOOK}]
        wanted = chat(server, [{"role": "user", "content": parts}])
        answers.add(wanted)
        same(ask_pictures(server, url), (wanted, wanted))
        same(ask_pictures(server, f"file:///{i}.png"), (wanted, wanted))
        source = {"type": "base64", "media_type": "image/png", "data": picture_data(i)}
        blocks = [{"role": "user", "content": [{"type": "image", "source": source}, {"type": "text", "text": LOOK}]}]
        same(words_of(message(server, blocks)), wanted)
    check(len(answers) > 2, "pictures make no difference:", answers)


class Near(http.server.BaseHTTPRequestHandler):
    """What stands for a service inside the machine."""

    asked = []

    def do_GET(self):
        Near.asked.append(self.path)
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"a secret")

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def near_service():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Near) as service:
        thread = threading.Thread(target=service.serve_forever)
        thread.start()
        try:
            yield service.server_address[1]
        finally:
            service.shutdown()
            thread.join()


def refuse_url(server, url):
    message = server.refused(CHAT, {"messages": [{"role": "user", "content": [
        {"type": "image_url", "image_url": {"url": url}}]}]})["message"]
    check("secret" not in message, url, message)
    blocks = [{"role": "user", "content": [{"type": "image", "source": {"type": "url", "url": url}}]}]
    same(message_refused(server, MESSAGES, {"messages": blocks, "max_tokens": 1}), message)
    return message


@test
def nothing_near_is_asked(server):
    with near_service() as port:
        for host in ("127.0.0.1", "localhost", "127.1", "2130706433", "0x7f.1", "0.0.0.0", "[::1]",
                     "[::ffff:127.0.0.1]", "[::]", "[64:ff9b::7f00:1]", "10.0.0.1", "169.254.169.254", "192.168.0.1",
                     "[fe80::1]", "[fd00::1]"):
            said = refuse_url(server, f"http://{host}:{port}/x.png")
            check("machine" in said or "did not come" in said or "not known" in said, host, said)
        refuse_url(server, f"https://127.0.0.1:{port}/x.png")
        refuse_url(server, f"http://name:word@127.0.0.1:{port}/x.png")
    same(Near.asked, [])


@test
def proxies_are_not_asked(_):
    with near_service() as port:
        proxy = {name: f"http://127.0.0.1:{port}" for name in ("http_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")}
        with serve.start(PROGRAM, "--device", serve.DEVICE, "--allow-image-urls", env=proxy) as server:
            refuse_url(server, f"http://127.0.0.1:{port}/x.png")
            refuse_url(server, "http://no-such-host.invalid/x.png")
    same(Near.asked, [])


@test
def urls_need_a_flag(_):
    with near_service() as port, serve.start(PROGRAM, "--device", serve.DEVICE) as server:
        check("--allow-image-urls" in refuse_url(server, f"http://127.0.0.1:{port}/x.png"), "the flag is not named")
        check("--media-path" in refuse_url(server, "file:///1.png"), "the flag is not named")
    same(Near.asked, [])


# ---- streams that fail --------------------------------------------------------------------------

LONG = {RESPONSES: {"input": QUESTION, "max_output_tokens": 60, "ignore_eos": True},
        MESSAGES: {"messages": ASKED, "max_tokens": 60, "ignore_eos": True}}


def with_faults(folder, path, body, **more):
    """The events of a stream from a device whose driver counts its calls; and their number."""
    report = os.path.join(folder, "report")
    env = {"XDG_DATA_HOME": os.environ["FAULT_LAYER_DATA"], "PERIDOT_FAULT_LAYER": "1",
           "PERIDOT_FAULT_REPORT": report, "PERIDOT_CACHE_DIR": os.path.join(folder, "cache"), **more}
    with serve.start(PROGRAM, "--device", "vulkan:0", env=env) as server:
        events = named_events(server, path, body)
    with open(report, encoding="utf-8") as f:
        return events, int(f.read().split()[1])


@test
def a_stream_that_fails(_):
    """A call of the driver's fails in the middle of an answer; which one that is, two runs without tell."""
    if not os.environ.get("FAULT_LAYER_DATA") or "llvmpipe" not in serve.peridot(PROGRAM, "devices"):
        return "skipped: no fault layer, or no llvmpipe"
    with tempfile.TemporaryDirectory() as folder:
        _, short = with_faults(folder, RESPONSES, {**LONG[RESPONSES], "max_output_tokens": 2})
        events, long = with_faults(folder, RESPONSES, LONG[RESPONSES])
        same(events[-1][0], "response.incomplete")
        check(long > short + 50, "calls of a short answer and of a long one:", short, long)
        fault = {"PERIDOT_FAULT_CALL": str((short + long) // 2)}
        events, _ = with_faults(folder, RESPONSES, LONG[RESPONSES], **fault)
        check_failed_response(events)
        events, _ = with_faults(folder, MESSAGES, LONG[MESSAGES], **fault)
        check_failed_message(events)


def check_failed_response(events):
    names = [name for name, _ in events]
    same(names, BEGIN + [DELTA] * names.count(DELTA) + ["response.failed"])
    check(1 < names.count(DELTA) < 60, "deltas:", names.count(DELTA))
    same([data["sequence_number"] for _, data in events], list(range(len(events))))
    response = events[-1][1]["response"]
    expect_fields(response, RESPONSE, "a response")
    same((response["status"], response["output"], response["usage"]), ("failed", [], None))
    same((response["error"]["code"], response["incomplete_details"]), ("server_error", None))
    check(response["error"]["message"], response["error"])


def check_failed_message(events):
    names = [name for name, _ in events if name != "ping"]
    n = names.count("content_block_delta")
    same(names, ["message_start", "content_block_start"] + ["content_block_delta"] * n + ["error"])
    check(1 < n < 60, "deltas:", n)
    error = events[-1][1]["error"]
    expect_fields(error, "type message", "an error's error")
    check(error["type"] in ("api_error", "overloaded_error") and error["message"], error)


# ---- keys ---------------------------------------------------------------------------------------


@test
def keys(_):
    with serve.start(PROGRAM, "--device", serve.DEVICE, "--api-key", "word") as server:
        body = {"messages": ASKED, "max_tokens": 1}
        for path in (MESSAGES, COUNTS[MESSAGES]):
            same(server.ask(path, body, headers={"x-api-key": "word", "anthropic-version": "2023-06-01"}).status, 200)
            answer = server.ask(path, body, headers={"x-api-key": "other"})
            same((answer.status, answer.json["type"], answer.json["error"]["type"]),
                 (401, "error", "authentication_error"))


def main():
    if not serve.has_toy(PROGRAM):
        serve.skip("the toy is not built")
    serve.run(lambda: serve.start(PROGRAM, *ARGUMENTS), sys.argv[2:])


if __name__ == "__main__":
    main()
