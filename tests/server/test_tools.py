#!/usr/bin/env python3
"""Tools of `peridot serve`: calls that fit in the three interfaces, whole and streamed; which of them are made;
their results in conversations; what is refused.

    test_tools.py PERIDOT [NAME...]

The model in the box knows nothing of tools: what it writes is held in shape by the grammar alone, and where a
call is not required, a bias makes it begin with one.

SPDX-License-Identifier: MIT
"""
import contextlib
import json
import re
import sys

import serve
from serve import check, same, test

PROGRAM = sys.argv[1]
CHAT, RESPONSES, MESSAGES = "/v1/chat/completions", "/v1/responses", "/v1/messages"
COUNTS = {RESPONSES: RESPONSES + "/input_tokens", MESSAGES: MESSAGES + "/count_tokens"}
QUESTION = "What is the capital of France?"
ANSWER = "The capital of France is Paris."
ASKED = [{"role": "user", "content": QUESTION}]
WEATHER = {
    "type": "object",
    "properties": {
        "city": {"type": "string", "maxLength": 8},
        "days": {"type": "integer", "minimum": 1, "maximum": 14},
        "unit": {"enum": ["C", "F"]},
    },
    "required": ["city", "days"],
    "additionalProperties": False,
}
TOOLS = [("get_weather", "What the weather will be.", WEATHER),
         ("now", "The time.", {"type": "object", "properties": {}}),
         ("list.add", None, {"type": "object", "properties": {"items": {"type": "array", "items": {"type": "boolean"},
                                                                        "minItems": 1, "maxItems": 3}},
                             "required": ["items"], "additionalProperties": False})]

# Of which no call fits into a few tokens.
LONG = [("f", None, {"type": "object", "properties": {"text": {"type": "string", "minLength": 500}},
                     "required": ["text"]})]


def chat_tools(tools=None):
    return [{"type": "function", "function": {"name": n, **({"description": d} if d else {}), "parameters": p}}
            for n, d, p in tools or TOOLS]


def responses_tools(tools=None):
    return [{"type": "function", "name": n, "description": d, "parameters": p, "strict": True}
            for n, d, p in tools or TOOLS]


def messages_tools(tools=None):
    return [{"name": n, **({"description": d} if d else {}), "input_schema": p} for n, d, p in tools or TOOLS]


def check_fits(name, text):
    """By hand, so that it does not depend on what is tested."""
    value = json.loads(text) if isinstance(text, str) else text
    check(isinstance(value, dict), name, "has arguments", text)
    if name == "get_weather":
        check({"city", "days"} <= set(value) <= set(WEATHER["properties"]), "names of", text)
        check(isinstance(value["city"], str) and len(value["city"]) <= 8, "city in", text)
        check(isinstance(value["days"], int) and 1 <= value["days"] <= 14, "days in", text)
        check(value.get("unit", "C") in ("C", "F"), "unit in", text)
    elif name == "now":
        same(value, {})
    else:
        same((name, list(value)), ("list.add", ["items"]))
        check(1 <= len(value["items"]) <= 3 and all(isinstance(i, bool) for i in value["items"]), "items in", text)


def bias_of(server, text, bias=100):
    """To begin with: a bias on one token, which many later ones overcome by the grammar alone."""
    ids = server.ok("/tokenize", {"content": text})["tokens"]
    return {str(ids[0]): bias}


# ---- chat completions ---------------------------------------------------------------------------


def chat(server, messages=None, **more):
    body = {"messages": messages or ASKED, "tools": chat_tools(), "max_tokens": 400, **more}
    return server.ok(CHAT, body)["choices"]


def chat_stream(server, **more):
    """A choice, put together again."""
    found = {"content": "", "calls": [], "finish": None, "n": 0}
    body = {"messages": ASKED, "tools": chat_tools(), "max_tokens": 400, **more}
    for chunk in server.stream(CHAT, body):
        delta = chunk["choices"][0]["delta"]
        found["content"] += delta.get("content") or ""
        found["finish"] = chunk["choices"][0].get("finish_reason") or found["finish"]
        for call in delta.get("tool_calls", []):
            check(not found["content"], "words and calls in", found)
            found["n"] += 1
            if call["index"] == len(found["calls"]):
                same((call["type"], call["function"]["arguments"]), ("function", ""))
                found["calls"].append(call)
            else:
                same(call["index"], len(found["calls"]) - 1)
                same((list(call), list(call["function"])), (["function", "index"], ["arguments"]))
                found["calls"][-1]["function"]["arguments"] += call["function"]["arguments"]
    return found


def check_chat_calls(choice):
    same(choice["finish_reason"], "tool_calls")
    message = choice["message"]
    same(message["content"], None)
    calls = message["tool_calls"]
    for call in calls:
        same(set(call), {"id", "type", "function"})
        same(call["type"], "function")
        check_fits(call["function"]["name"], call["function"]["arguments"])
    same(len({call["id"] for call in calls}), len(calls), "ids of calls:")
    return [call["function"]["name"] for call in calls]


@test
def required(server):
    seen = set()
    for seed in range(16):
        seen.update(check_chat_calls(chat(server, tool_choice="required", seed=seed, temperature=1.5)[0]))
    check(len(seen) > 1, "of all tools only", seen, "is called")


@test
def named(server):
    for name, _, _ in TOOLS:
        choice = {"type": "function", "function": {"name": name}}
        for choices in (chat(server, tool_choice=choice), chat(server, tool_choice=choice, n=2, seed=3)):
            for found in choices:
                same(check_chat_calls(found), [name])


def words_of(server):
    """What is said greedily where tools are there: the toy is somewhat confused by them."""
    found = chat(server, temperature=0)[0]["message"]["content"]
    check(found.startswith("The capital of France is"), "says", found)
    return found


@test
def words_or_calls(server):
    """Where nothing is said: words, as without tools but for the prompt; and a call that begins like one."""
    for choice in (None, "auto"):
        found = chat(server, tool_choice=choice, temperature=0)[0]
        same((found["message"]["content"], found["finish_reason"]), (words_of(server), "stop"))
        check("tool_calls" not in found["message"], "calls in", found)
    called = chat(server, logit_bias=bias_of(server, "{", 30), seed=1, tool_choice="auto")[0]
    check_chat_calls(called)
    cut = chat(server, temperature=0, max_tokens=3)[0]
    same((cut["message"]["content"], cut["finish_reason"]), ("The capital of", "length"))
    same(chat(server, temperature=0, max_tokens=1)[0]["message"]["content"], "The")


@test
def no_calls(server):
    """With none the tools are out of the prompt, and the answer may be what it wants."""
    plain = server.ok(CHAT, {"messages": ASKED, "temperature": 0})
    found = server.ok(CHAT, {"messages": ASKED, "temperature": 0, "tools": chat_tools(), "tool_choice": "none"})
    same(found["choices"], plain["choices"])
    same(found["usage"]["prompt_tokens"], plain["usage"]["prompt_tokens"])
    for empty in ({"tools": []}, {"tools": None, "tool_choice": "auto"}):
        same(server.ok(CHAT, {"messages": ASKED, "temperature": 0, **empty})["choices"], plain["choices"])
    braces = server.ok(CHAT, {"messages": ASKED, "tools": chat_tools(), "tool_choice": "none",
                              "response_format": {"type": "json_object"}, "max_tokens": 60})["choices"][0]
    check(isinstance(json.loads(braces["message"]["content"]), dict), "no JSON:", braces)


@test
def several(server):
    """A bracket begins a list of calls, where one is allowed."""
    begin = bias_of(server, "[{", 60)
    counts = set()
    for seed in range(6):
        found = chat(server, tool_choice="required", logit_bias=begin, seed=seed, temperature=1.5, max_tokens=1500)[0]
        if found["finish_reason"] == "tool_calls":
            counts.add(len(check_chat_calls(found)))
    check(max(counts) > 1, "never more than one call:", counts)
    for seed in range(4):
        found = chat(server, tool_choice="required", logit_bias=begin, seed=seed, parallel_tool_calls=False)[0]
        same(len(check_chat_calls(found)), 1)


@test
def streams(server):
    for seed in range(6):
        more = {"tool_choice": "required", "seed": seed, "temperature": 1}
        if seed > 3:
            more.update(logit_bias=bias_of(server, "[{", 60), max_tokens=1500)
        whole, found = chat(server, **more)[0], chat_stream(server, **more)
        same([(c["function"]["name"], c["function"]["arguments"]) for c in found["calls"]],
             [(c["function"]["name"], c["function"]["arguments"]) for c in whole["message"]["tool_calls"]])
        same((found["content"], found["finish"]), ("", whole["finish_reason"]))
        same(len({c["id"] for c in found["calls"]}), len(found["calls"]))
        check(found["n"] > 2 * len(found["calls"]), "arguments come at once:", found)
    words = chat_stream(server, temperature=0)
    same((words["content"], words["calls"], words["finish"]), (words_of(server), [], "stop"))


@test
def cut_off(server):
    """What was there is kept."""
    tools = chat_tools(LONG)
    more = {"tools": tools, "tool_choice": "required", "max_tokens": 40, "seed": 1}
    found = chat(server, **more)[0]
    same(found["finish_reason"], "length")
    call, = found["message"]["tool_calls"]
    same(call["function"]["name"], "f")
    check(call["function"]["arguments"].startswith("{"), "arguments", call)
    streamed = chat_stream(server, **more)
    same((streamed["finish"], streamed["calls"][0]["function"]), ("length", call["function"]))
    short = chat(server, **{**more, "max_tokens": 1})[0]
    same((short["message"]["content"], short["finish_reason"]), (None, "length"))
    check("tool_calls" not in short["message"], "calls in", short)


@test
def log_probs_of_calls(server):
    """Each token has its entry, streamed too, and they spell the call."""
    more = {"tool_choice": "required", "seed": 5, "logprobs": True, "top_logprobs": 1}
    content = chat(server, **more)[0]["logprobs"]["content"]
    text = "".join(t["token"] for t in content)
    check(re.match(r'\[?\{"name": "', text), "log-probabilities of", text)
    body = {"messages": ASKED, "tools": chat_tools(), "max_tokens": 400, **more}
    chunks = [c["choices"][0] for c in server.stream(CHAT, body)]
    streamed = [t["token"] for c in chunks if c.get("logprobs") for t in c["logprobs"]["content"]]
    same(streamed, [t["token"] for t in content])


# ---- conversations ------------------------------------------------------------------------------


def prompt_of(server, messages, tools=None):
    return server.ok("/apply-template", {"messages": messages, **({"tools": tools} if tools else {})})["prompt"]


def call_of(i, name, arguments):
    return {"id": i, "type": "function", "function": {"name": name, "arguments": arguments}}


PARIS = '{"city": "Paris", "days": 3}'
TALK = [*ASKED, {"role": "assistant", "content": None,
                 "tool_calls": [call_of("a", "now", ""), call_of("b", "get_weather", PARIS)]},
        {"role": "tool", "tool_call_id": "a", "content": "noon"},
        {"role": "tool", "tool_call_id": "b", "content": [{"type": "text", "text": "sun, "},
                                                          {"type": "text", "text": "5 C"}]},
        {"role": "user", "content": "And now?"}]
TURNS = ("<start_of_turn>model\n"
         '[{"name": "now", "parameters": {}}, {"name": "get_weather", "parameters": {"city": "Paris", "days": 3}}]'
         "<end_of_turn>\n<start_of_turn>user\n"
         "```tool_output now\nnoon\n```\n\n```tool_output get_weather\nsun, 5 C\n```\n\nAnd now?"
         "<end_of_turn>\n<start_of_turn>model\n")


@test
def prompts(server):
    told = prompt_of(server, ASKED, chat_tools())
    check(told.startswith("<bos><start_of_turn>user\nYou have access to functions."), "prompt", told)
    listed = told[told.index('[{"name":"'):told.index("\n\n" + QUESTION)]
    same(json.loads(listed), [{"name": n, **({"description": d} if d else {}), "parameters": p} for n, d, p in TOOLS])
    with_system = prompt_of(server, [{"role": "system", "content": "Be short."}, *ASKED], chat_tools())
    same(with_system, told.replace("You have access", "Be short.\n\nYou have access"))
    check("put them in a list" in told, "several calls are not told of:", told)
    one = server.ok("/apply-template", {"messages": ASKED, "tools": chat_tools(), "parallel_tool_calls": False})
    check("put them in a list" not in one["prompt"], "several calls are told of:", one)
    same(prompt_of(server, TALK), prompt_of(server, ASKED).removesuffix("<start_of_turn>model\n") + TURNS)


@test
def conversations(server):
    """The same in each interface, and answered."""
    chats = server.ok(CHAT, {"messages": TALK, "temperature": 0, "tools": chat_tools(), "max_tokens": 20})
    items = [{"role": "user", "content": QUESTION},
             {"type": "function_call", "call_id": "a", "name": "now", "arguments": "{}", "id": "fc_1"},
             {"type": "function_call", "call_id": "b", "name": "get_weather", "arguments": PARIS},
             {"type": "function_call_output", "call_id": "a", "output": "noon"},
             {"type": "function_call_output", "call_id": "b", "output": [{"type": "input_text", "text": "sun, 5 C"}]},
             {"role": "user", "content": "And now?"}]
    body = {"input": items, "temperature": 0, "tools": responses_tools(), "max_output_tokens": 20}
    found = server.ok(RESPONSES, body)
    expected = chats["usage"]["prompt_tokens"]
    same(found["usage"]["input_tokens"], expected)
    same(server.ok(COUNTS[RESPONSES], body)["input_tokens"], found["usage"]["input_tokens"])
    blocks = [{"type": "tool_use", "id": "a", "name": "now", "input": {}},
              {"type": "tool_use", "id": "b", "name": "get_weather", "input": {"city": "Paris", "days": 3}}]
    results = [{"type": "tool_result", "tool_use_id": "a", "content": "noon"},
               {"type": "tool_result", "tool_use_id": "b", "content": [{"type": "text", "text": "sun, 5 C"}]},
               {"type": "text", "text": "And now?"}]
    body = {"messages": [*ASKED, {"role": "assistant", "content": blocks}, {"role": "user", "content": results}],
            "temperature": 0, "tools": messages_tools(), "max_tokens": 20}
    usage = server.ok(MESSAGES, body)["usage"]
    n = usage["input_tokens"] + usage["cache_read_input_tokens"]
    check(abs(n - expected) < 8, "tokens", usage, "beside", expected)  # {"city":"Paris"} without spaces
    same(server.ok(COUNTS[MESSAGES], body)["input_tokens"], n)
    text = [{"type": "text", "text": "I look."}, *blocks]
    results[0].update(is_error=True)
    server.ok(MESSAGES, {**body, "messages": [*ASKED, {"role": "assistant", "content": text},
                                              {"role": "user", "content": results[:2]}]})


@test
def going_round(server):
    """What is called comes back with its result, and more calls are made."""
    messages = list(ASKED)
    for seed in range(3):
        message = chat(server, messages, tool_choice="required", seed=seed)[0]["message"]
        messages.append(message)
        for call in message["tool_calls"]:
            messages.append({"role": "tool", "tool_call_id": call["id"], "content": "fine"})
    same(prompt_of(server, messages).count("```tool_output"), sum(m["role"] == "tool" for m in messages))


# ---- responses ----------------------------------------------------------------------------------


def named_events(server, path, body):
    connection, response = server.send(path, {**body, "stream": True})
    with contextlib.closing(connection):
        text = response.read().decode()
    same(response.status, 200, text[:500])
    found = []
    for event in text.split("\n\n"):
        lines = dict(line.split(": ", 1) for line in event.split("\n") if line and not line.startswith(":"))
        if lines:
            found.append((lines["event"], json.loads(lines["data"])))
            same(found[-1][1]["type"], lines["event"])
    return found


def check_items(items):
    for item in items:
        same(set(item), {"id", "type", "status", "call_id", "name", "arguments"})
        same((item["type"], item["status"]), ("function_call", "completed"))
        check_fits(item["name"], item["arguments"])
    return [(item["name"], item["arguments"]) for item in items]


@test
def responses(server):
    body = {"input": QUESTION, "tools": responses_tools(), "max_output_tokens": 1500}
    for seed in range(6):
        asked = {**body, "seed": seed, "tool_choice": "required", "parallel_tool_calls": seed < 3}
        if seed < 3:
            asked["logit_bias"] = bias_of(server, "[{", 60)
        found = server.ok(RESPONSES, asked)
        same(found["status"], "completed")
        calls = check_items(found["output"])
        same((found["tools"], found["tool_choice"]), (asked["tools"], "required"))
        same(found["parallel_tool_calls"], seed < 3)
        events = named_events(server, RESPONSES, asked)
        same([e["sequence_number"] for _, e in events], list(range(len(events))))
        same(check_items(events[-1][1]["response"]["output"]), calls)
        check_call_events(events[2:-1], calls)
    name = {"type": "function", "name": "now"}
    same([i["name"] for i in server.ok(RESPONSES, {**body, "tool_choice": name})["output"]], ["now"])
    events = named_events(server, RESPONSES, {**body, "temperature": 0})
    words = words_of(server)
    same("".join(e["delta"] for n, e in events if n == "response.output_text.delta"), words)
    same([n for n, _ in events][:4], ["response.created", "response.in_progress", "response.output_item.added",
                                      "response.content_part.added"])
    same(events[-1][1]["response"]["output"][0]["content"][0]["text"], words)


def check_call_events(events, calls):
    """added, deltas, done, done: one call behind the other."""
    prefix = "response.function_call_arguments."
    for i, (name, arguments) in enumerate(calls):
        (kind, added), events = events[0], events[1:]
        item = added["item"]
        same((kind, added["output_index"], item["name"], item["arguments"], item["status"]),
             ("response.output_item.added", i, name, "", "in_progress"))
        told = ""
        while events[0][0] == prefix + "delta":
            same((events[0][1]["item_id"], events[0][1]["output_index"]), (item["id"], i))
            told += events.pop(0)[1]["delta"]
        same(told, arguments)
        (kind, done), (last, whole), events = events[0], events[1], events[2:]
        same((kind, done["arguments"], done["name"], done["item_id"]), (prefix + "done", arguments, name, item["id"]))
        same((last, whole["item"]), ("response.output_item.done", {**item, "arguments": arguments,
                                                                   "status": "completed"}))
    same(events, [])


@test
def responses_cut_off(server):
    tools = responses_tools(LONG)
    body = {"input": QUESTION, "tools": tools, "tool_choice": "required", "max_output_tokens": 40}
    found = server.ok(RESPONSES, body)
    same((found["status"], found["output"][0]["status"]), ("incomplete", "incomplete"))
    events = named_events(server, RESPONSES, body)
    same([n for n, _ in events[-3:]], ["response.function_call_arguments.done", "response.output_item.done",
                                       "response.incomplete"])


# ---- messages -----------------------------------------------------------------------------------


@test
def messages(server):
    body = {"messages": ASKED, "tools": messages_tools(), "max_tokens": 1500}
    for seed in range(6):
        asked = {**body, "seed": seed, "tool_choice": {"type": "any", "disable_parallel_tool_use": seed >= 3}}
        if seed < 3:
            asked["logit_bias"] = bias_of(server, "[{", 60)
        found = server.ok(MESSAGES, asked)
        same(found["stop_reason"], "tool_use")
        calls = [(b["name"], b["input"]) for b in found["content"]]
        for block in found["content"]:
            same((set(block), block["type"]), ({"type", "id", "name", "input"}, "tool_use"))
            check_fits(block["name"], block["input"])
        check(seed < 3 or len(calls) == 1, "several calls", calls)
        check_blocks(named_events(server, MESSAGES, asked), calls)
    one = server.ok(MESSAGES, {**body, "tool_choice": {"type": "tool", "name": "now"}})
    same([(b["name"], b["input"]) for b in one["content"]], [("now", {})])
    for choice in ("auto", "none"):
        asked = {**body, "tool_choice": {"type": choice}, "temperature": 0}
        words = words_of(server) if choice == "auto" else ANSWER
        found = server.ok(MESSAGES, asked)
        same(([b["text"] for b in found["content"]], found["stop_reason"]), ([words], "end_turn"))
        events = named_events(server, MESSAGES, asked)
        same("".join(e["delta"]["text"] for n, e in events if n == "content_block_delta"), words)
        same([n for n, _ in events][-3:], ["content_block_stop", "message_delta", "message_stop"])
        same(sum(n == "content_block_start" for n, _ in events), 1)


def check_blocks(events, calls):
    blocks, is_open = [], False
    for name, event in events:
        if name == "content_block_start":
            check(not is_open, "a block within another")
            same((event["index"], event["content_block"]["input"]), (len(blocks), {}))
            blocks.append([event["content_block"]["name"], ""])
            is_open = True
        elif name == "content_block_delta":
            same((event["index"], event["delta"]["type"]), (len(blocks) - 1, "input_json_delta"))
            blocks[-1][1] += event["delta"]["partial_json"]
        elif name == "content_block_stop":
            same((event["index"], is_open), (len(blocks) - 1, True))
            is_open = False
    same([(n, json.loads(text)) for n, text in blocks], calls)
    same(events[-2][1]["delta"]["stop_reason"], "tool_use")


@test
def messages_cut_off(server):
    tools = messages_tools(LONG)
    body = {"messages": ASKED, "tools": tools, "tool_choice": {"type": "any"}, "max_tokens": 40}
    found = server.ok(MESSAGES, body)
    same((found["stop_reason"], [(b["name"], b["input"]) for b in found["content"]]), ("max_tokens", [("f", {})]))
    events = named_events(server, MESSAGES, body)
    same([n for n, _ in events[-3:]], ["content_block_stop", "message_delta", "message_stop"])


# ---- refusals -----------------------------------------------------------------------------------


@test
def refused_tools(server):
    def function(**more):
        return {"type": "function", "function": {"name": "f", **more}}

    for tools, param in (
        ("x", "tools"), ({}, "tools"), (["x"], "tools[0]"), ([{"type": "function"}], "tools[0]"),
        ([function(), {"type": "web_search"}], "tools[1]"), ([function(name=None)], "tools[0]"),
        ([function(name="")], "tools[0]"), ([function(name="a b")], "tools[0]"),
        ([function(name="x" * 65)], "tools[0]"), ([function(name=3)], "tools[0]"),
        ([function(description=3)], "tools[0]"), ([function(), function()], "tools[1]"),
        ([function(parameters="x")], "tools[0]"), ([function(name=f"f{i}") for i in range(129)], "tools"),
        ([function(parameters={"type": "string"})], "tools"),
            ([function(parameters={"type": "object", "properties": {"a": {"not": {}}}})], "tools")):
        error = server.refused(CHAT, {"messages": ASKED, "tools": tools})
        same(error["param"], param, f"{str(tools)[:80]}: {error}")
    check("tool f" in error["message"] and "#/properties/a" in error["message"], "the place is not told:", error)
    most = server.refused(CHAT, {"messages": ASKED, "tools": [function(name=f"f{i}") for i in range(128)]})
    same(most["code"], "context_length_exceeded", "as many tools as there may be:")
    server.ok(CHAT, {"messages": ASKED, "max_tokens": 1, "tools": [function(name="a-b_c.D9" + "x" * 56)]})
    asked = {"messages": ASKED, "tools": chat_tools()}
    for choice in ("any", 3, {}, {"type": "tool"}, {"type": "function"}, {"type": "allowed_tools"},
                   {"type": "function", "function": {"name": "g"}}):
        same(server.refused(CHAT, {**asked, "tool_choice": choice})["param"], "tool_choice", choice)
    for choice in ("required", {"type": "function", "function": {"name": "now"}}):
        same(server.refused(CHAT, {"messages": ASKED, "tool_choice": choice})["param"], "tool_choice", choice)
    same(server.refused(CHAT, {**asked, "parallel_tool_calls": "no"})["param"], "parallel_tool_calls")
    for both in ({"response_format": {"type": "json_object"}}, {"grammar": 'root ::= "a"'}, {"choices": ["a"]}):
        same(server.refused(CHAT, {**asked, **both})["param"], "tools", both)
    same(server.refused(CHAT, {"messages": ASKED, "functions": [{"name": "f"}]})["param"], "functions")
    same(server.refused(CHAT, {"messages": ASKED, "function_call": "auto"})["param"], "function_call")
    same(server.refused("/v1/completions", {"prompt": "x", "tools": chat_tools()})["param"], "tools")
    for path, body in ((RESPONSES, {"input": QUESTION}), (COUNTS[RESPONSES], {"input": QUESTION})):
        same(server.refused(path, {**body, "tools": [{"type": "web_search"}]})["param"], "tools[0]")
        same(server.refused(path, {**body, "tools": chat_tools()})["param"], "tools[0]")
        body.update(tools=responses_tools(), tool_choice={"type": "function", "name": "g"})
        same(server.refused(path, body)["param"], "tool_choice")


@test
def refused_turns(server):
    def calls(*calls, **more):
        return {"role": "assistant", "content": None, "tool_calls": list(calls), **more}

    now, result = call_of("a", "now", "{}"), {"role": "tool", "tool_call_id": "a", "content": "noon"}
    for turns, place in (
        ([{**result}], 1), ([calls(now), {**result, "tool_call_id": "b"}], 2), ([calls(now), {"role": "tool"}], 2),
        ([calls(now), {**result, "content": 3}], 2), ([calls(now), {**result, "content": ["x"]}], 2),
        ([calls(now), {**result, "content": [{"type": "image_url", "image_url": "x"}]}], 2),
        ([calls({**now, "id": None}), result], 1), ([calls({**now, "type": "custom"}), result], 1),
        ([calls("x"), result], 1), ([calls(call_of("a", "a b", "{}")), result], 1),
        ([calls(call_of("a", "now", "{")), result], 1), ([calls(call_of("a", "now", "[]")), result], 1),
        ([calls(call_of("a", "now", {})), result], 1), ([{**calls(now), "role": "user"}], 1),
        ([calls(now, function_call={"name": "now"}), result], 1),
            ([{"role": "function", "name": "now", "content": "x"}], 1)):
        same(server.refused(CHAT, {"messages": [*ASKED, *turns]})["param"], f"messages[{place}]", turns)
    error = server.refused(CHAT, {"messages": [*ASKED, calls(now)]})
    check("no result" in error["message"], "a call without a result:", error)
    for item in ({"type": "function_call_output", "call_id": "x", "output": "x"},
                 {"type": "function_call", "name": "now"}, {"type": "web_search_call", "id": "x"}):
        same(server.refused(RESPONSES, {"input": [*ASKED, item]})["param"], "input[1]", item)
    use = {"type": "tool_use", "id": "a", "name": "now", "input": {}}
    done = {"type": "tool_result", "tool_use_id": "a"}
    for turns in ([{"role": "user", "content": [use]}], [{"role": "assistant", "content": [done]}],
                  [{"role": "user", "content": [done]}], [{"role": "assistant", "content": [{**use, "input": "x"}]}],
                  [{"role": "assistant", "content": [use]},
                   {"role": "user", "content": [{**done, "content": [{"type": "image"}]}]}]):
        answer = server.ask(MESSAGES, {"messages": [*ASKED, *turns], "max_tokens": 2})
        same((answer.status, answer.json["error"]["type"]), (400, "invalid_request_error"), turns)


def with_server():
    return serve.start(PROGRAM, "--device", serve.DEVICE, "--parallel", "4")


if __name__ == "__main__":
    serve.run(with_server, sys.argv[2:])
