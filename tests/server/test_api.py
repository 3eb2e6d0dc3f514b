#!/usr/bin/env python3
"""Every endpoint of `peridot serve` as a client of OpenAI's API sees it, with the model in the box: which fields
there are and of what type, what each setting does, and that greedy answers are those of `peridot run`.

    test_api.py PERIDOT [NAME...]

SPDX-License-Identifier: MIT
"""
import json
import math
import random
import sys
import tempfile
import time

import serve
from serve import check, same, test

PROGRAM = sys.argv[1]
ARGUMENTS = ["--device", serve.DEVICE, "--parallel", "4"]
CHAT, TEXT = "/v1/chat/completions", "/v1/completions"
QUESTION = "What is the capital of France?"
ANSWER = "The capital of France is Paris."
STORY = "Tell me a short story."
ASKED = [{"role": "user", "content": QUESTION}]


def chat(server, messages=None, **more):
    return server.ok(CHAT, {"messages": messages or ASKED, "temperature": 0, **more})


def said(server, messages=None, **more):
    return chat(server, messages, **more)["choices"][0]["message"]["content"]


def complete(server, prompt="The capital of France", **more):
    return server.ok(TEXT, {"prompt": prompt, "temperature": 0, "max_tokens": 8, **more})


def written(server, prompt="The capital of France", **more):
    return complete(server, prompt, **more)["choices"][0]["text"]


def ids_of(server, text, special=False):
    return server.ok("/tokenize", {"content": text, "add_special": special})["tokens"]


def run_says(*flags):
    return serve.run_json(PROGRAM, "--temp", "0", *flags)


def near(found, expected, *words):
    """Rows that are computed beside others, or behind what was kept, are rounded otherwise: F16 has 11 bits."""
    check(abs(found - expected) <= max(1, abs(expected)) * 2**-11, *words)


def is_int(value):
    return isinstance(value, int) and not isinstance(value, bool)


def check_usage(usage, n_prompt=None, n_drawn=None):
    for name in ("prompt_tokens", "completion_tokens", "total_tokens"):
        check(is_int(usage[name]), name, "is no whole number:", usage)
    same(usage["total_tokens"], usage["prompt_tokens"] + usage["completion_tokens"], "total_tokens:")
    check(is_int(usage["prompt_tokens_details"]["cached_tokens"]), "no cached_tokens:", usage)
    if n_prompt is not None:
        same(usage["prompt_tokens"], n_prompt, "prompt_tokens:")
    if n_drawn is not None:
        same(usage["completion_tokens"], n_drawn, "completion_tokens:")


def check_head(answer, kind):
    same(answer["object"], kind)
    check(isinstance(answer["id"], str) and answer["id"], "no id:", answer)
    check(is_int(answer["created"]) and answer["created"] > 1.6e9, "created:", answer["created"])
    check(isinstance(answer["model"], str) and answer["model"], "model:", answer)


# ---- what it is ---------------------------------------------------------------------------------


@test
def health(server):
    for path in ("/health", "/v1/health"):
        same(server.ok(path), {"status": "ok"}, path)


@test
def models(server):
    for path in ("/v1/models", "/models"):
        listed = server.ok(path)
        same(listed["object"], "list")
        same(len(listed["data"]), 1, "models:")
        model = listed["data"][0]
        same(model["object"], "model")
        check(isinstance(model["id"], str) and model["id"], "id:", model)
        check(is_int(model["created"]) and isinstance(model["owned_by"], str), "created, owned_by:", model)
        meta = model["meta"]
        for name in ("n_vocab", "n_ctx_train", "n_embd", "n_params", "size"):
            check(is_int(meta[name]) and meta[name] > 0, f"meta.{name}:", meta)
        same(sorted(model["architecture"]["input_modalities"]), ["image", "text"])
    same(server.ok(f"/v1/models/{model['id']}")["id"], model["id"])


@test
def props(server):
    found = server.ok("/props")
    same(found["total_slots"], 4)
    check(is_int(found["default_generation_settings"]["n_ctx"]), "no n_ctx:", found)
    same(found["modalities"]["vision"], True)
    params = found["default_generation_settings"]["params"]
    same([params[n] for n in ("temperature", "top_k", "min_p", "repeat_penalty", "n_predict")], [1, 64, 0, 1, -1])
    for name in ("model_alias", "build_info", "device"):
        check(isinstance(found[name], str) and found[name], name, found)


@test
def metrics(server):
    said(server)
    answer = server.ask("/metrics")
    check(answer.headers["Content-Type"].startswith("text/plain"), answer.headers["Content-Type"])
    typed = [line.split()[2:4] for line in answer.data.decode().splitlines() if line.startswith("# TYPE")]
    check(typed and all(kind in ("counter", "gauge", "histogram") for _, kind in typed), "types:", typed)
    found = serve.metrics_of(answer.data.decode())
    for name in ("prompt_tokens_total", "tokens_predicted_total", "n_decode_total", "requests_processing",
                 "requests_deferred", "kv_cache_usage_ratio", "sequences_kept",
                 'kv_pages{kind="global"}', 'kv_pages{kind="local"}',
                 'kv_pages_used{kind="global"}', 'kv_pages_used{kind="local"}'):
        check("peridot:" + name in found, "no", name, "in", sorted(found))
    before = found["peridot:tokens_predicted_total"]
    drawn = chat(server)["usage"]["completion_tokens"]
    grown = server.wait_idle()["peridot:tokens_predicted_total"] - before
    check(drawn <= grown <= drawn + 1, "tokens_predicted_total grew by", grown, "for", drawn)


@test
def cache_clear(server):
    complete(server, [2] + [600] * 300)
    check(server.wait_idle()["peridot:sequences_kept"] > 0, "nothing is kept")
    server.clear()


@test
def embeddings(server):
    server.refused("/v1/embeddings", {"input": "x"}, 501)


# ---- tokens -------------------------------------------------------------------------------------

TEXTS = ["Hello there", "", " two  spaces", "\n\n\ttabs\n", "Grüße, 世界 \U0001f600", "<eos>", "x" * 3000,
         "<start_of_turn>user\nHi<end_of_turn>\n"]


@test
def tokenize(server):
    for text in TEXTS:
        for name in ("content", "prompt"):
            ids = server.ok("/tokenize", {name: text})["tokens"]
            flags = ["--no-bos", "--parse-special", "--json"]
            same(ids, json.loads(serve.peridot(PROGRAM, "tokenize", *flags, text=text))["ids"], repr(text[:40]))
            back = server.ok("/detokenize", {"tokens": ids})
            same(back["content"], text, "detokenize:")
            same(back["prompt"], text, "detokenize:")
    bos = server.ok("/tokenize", {"content": "a", "add_special": True})["tokens"]
    same(bos, [2, *ids_of(server, "a")], "add_special:")
    same(server.ok("/tokenize", {"prompt": "a", "add_special_tokens": True})["tokens"], bos, "add_special_tokens:")
    same(ids_of(server, "<eos>"), [1])
    check(len(server.ok("/tokenize", {"content": "<eos>", "parse_special": False})["tokens"]) > 1, "parse_special")
    pieces = server.ok("/tokenize", {"content": "Hello there", "with_pieces": True})["tokens"]
    same("".join(p["piece"] for p in pieces), "Hello there", "with_pieces:")
    same([p["id"] for p in pieces], ids_of(server, "Hello there"))


@test
def tokenizer_info(server):
    found = server.ok("/tokenizer_info")
    same([found[name] for name in ("bos_token", "eos_token", "pad_token")], ["<bos>", "<eos>", "<pad>"])


@test
def apply_template(server):
    system = [{"role": "system", "content": "Answer in capital letters."}]
    talk = [*ASKED, {"role": "assistant", "content": ANSWER}, {"role": "user", "content": "And of Italy?"}]
    for messages in (ASKED, system + ASKED, talk):
        prompt = server.ok("/apply-template", {"messages": messages})["prompt"]
        check(prompt.endswith("<start_of_turn>model\n"), "no turn to answer in:", prompt)
        ids = ids_of(server, prompt, special=not prompt.startswith("<bos>"))
        answer = chat(server, messages)
        same(answer["usage"]["prompt_tokens"], len(ids), "tokens of the template:")
        for form in (prompt, ids):
            same(written(server, form, max_tokens=64), answer["choices"][0]["message"]["content"], "as completion:")


@test
def template_holds(server):
    """What users write is text, and closes no turn."""
    plain = chat(server, [{"role": "user", "content": "a b"}])["usage"]["prompt_tokens"]
    words = chat(server, [{"role": "user", "content": "a<end_of_turn>b"}])["usage"]["prompt_tokens"]
    check(words > plain + 2, "<end_of_turn> in a message is a token:", words, "against", plain)


# ---- shapes -------------------------------------------------------------------------------------


@test
def completion_shape(server):
    answer = complete(server)
    check_head(answer, "text_completion")
    check_usage(answer["usage"], len(ids_of(server, "The capital of France", special=True)))
    choice, = answer["choices"]
    same(choice["index"], 0)
    same(choice["logprobs"], None)
    same(choice["finish_reason"], "stop")
    same(choice["text"], " is Paris.")


@test
def chat_shape(server):
    answer = chat(server)
    check_head(answer, "chat.completion")
    check_usage(answer["usage"])
    choice, = answer["choices"]
    same(choice["index"], 0)
    same(choice["message"]["role"], "assistant")
    same(choice["message"]["content"], ANSWER)
    same(choice["logprobs"], None)
    same(choice["finish_reason"], "stop")
    timings = answer["timings"]
    for name in ("cache_n", "prompt_n", "prompt_ms", "predicted_n", "predicted_ms", "prompt_per_second",
                 "predicted_per_second"):
        check(isinstance(timings[name], (int, float)), name, "in", timings)
    same(timings["logits_hash"], chat(server)["timings"]["logits_hash"])
    same(timings["cache_n"], answer["usage"]["prompt_tokens_details"]["cached_tokens"])
    same(timings["prompt_n"] + timings["cache_n"], answer["usage"]["prompt_tokens"])


@test
def chat_stream(server):
    chunks = server.stream(CHAT, {"messages": ASKED, "temperature": 0, "stream_options": {"include_usage": True}})
    for chunk in chunks:
        check_head(chunk, "chat.completion.chunk")
    same(len({c["id"] for c in chunks}), 1, "ids of one answer:")
    same(chunks[-1]["choices"], [], "the last chunk:")
    same({k: chunks[-1]["usage"][k] for k in ("prompt_tokens", "completion_tokens")},
         {k: chat(server)["usage"][k] for k in ("prompt_tokens", "completion_tokens")})
    check_usage(chunks[-1]["usage"])
    check(all(c.get("usage") is None for c in chunks[:-1]), "usage before the end")
    choices = [c["choices"][0] for c in chunks[:-1]]
    check(all(len(c["choices"]) == 1 for c in chunks[:-1]), "choices in a chunk")
    same(choices[0]["delta"]["role"], "assistant")
    same([c["finish_reason"] for c in choices], [None] * (len(choices) - 1) + ["stop"])
    same("".join(c["delta"].get("content") or "" for c in choices), ANSWER)
    check(len(choices) > 5, "the answer comes in", len(choices), "pieces")
    check("usage" not in server.stream(CHAT, {"messages": ASKED, "temperature": 0})[-1], "usage unasked for")


@test
def completion_stream(server):
    body = {"prompt": "The capital of France", "temperature": 0, "max_tokens": 4}
    chunks = server.stream(TEXT, {**body, "stream_options": {"include_usage": True}})
    for chunk in chunks:
        check_head(chunk, "text_completion")
    choices = [c["choices"][0] for c in chunks[:-1]]
    same("".join(c["text"] for c in choices), written(server, max_tokens=4))
    same(choices[-1]["finish_reason"], complete(server, max_tokens=4)["choices"][0]["finish_reason"])
    check_usage(chunks[-1]["usage"])


@test
def stream_is_live(server):
    """The first words come before the last ones are computed, and characters come whole."""
    never = {"1": -100, "106": -100}  # what ends an answer
    body = {"prompt": "Once", "max_tokens": 600, "temperature": 1, "seed": 3, "logit_bias": never, "stream": True}
    shares = []
    for _ in range(5):  # where other programs compute too, a client may sleep while an answer comes
        times = [time.monotonic()]
        for event in server.events(TEXT, body):
            times.append(time.monotonic())
            event.encode("utf-8", "strict")
        check(len(times) > 100, "events:", len(times))
        shares.append((times[1] - times[0]) / (times[-1] - times[0]))
        if shares[-1] < 0.5:
            return
    check(False, "the first piece came after these shares of the time:", shares)


# ---- what settings do ---------------------------------------------------------------------------


@test
def same_as_run(server):
    for question in (QUESTION, STORY, "What is the opposite of big?", "What is 3 plus 4?", "Who are you?"):
        alone = run_says("-p", question)
        answer = chat(server, [{"role": "user", "content": question}])
        same(answer["choices"][0]["message"]["content"], alone["text"], question)
        same(answer["choices"][0]["finish_reason"], alone["finish_reason"])
        same(answer["usage"]["completion_tokens"], len(alone["ids"]), "completion_tokens:")
    for text in ("The capital of", "Three shapes on", "Once"):
        same(written(server, text, max_tokens=20), run_says("--raw", "-p", text, "-n", "20")["text"], text)


@test
def finish_reasons(server):
    for n in (1, 3):
        for name in ("max_tokens", "max_completion_tokens"):
            answer = chat(server, **{name: n})
            same(answer["choices"][0]["finish_reason"], "length")
            check_usage(answer["usage"], n_drawn=n)
            check(ANSWER.startswith(answer["choices"][0]["message"]["content"]), "a beginning:", answer["choices"])
    same(chat(server, max_tokens=100)["choices"][0]["finish_reason"], "stop")
    long = complete(server, "Once", max_tokens=40, ignore_eos=True)
    check_usage(long["usage"], n_drawn=40)
    same(long["choices"][0]["finish_reason"], "length")


@test
def until_context_is_full(server):
    n_ctx = server.ok("/props")["default_generation_settings"]["n_ctx"]
    answer = complete(server, [2] + [600] * (n_ctx - 21), max_tokens=100, ignore_eos=True)
    same(answer["choices"][0]["finish_reason"], "length")
    drawn = answer["usage"]["completion_tokens"]
    check(20 <= drawn <= 21, "tokens into what the context had left:", drawn)


@test
def system_message(server):
    for system in ("Answer in capital letters.", "You are a pirate."):
        alone = run_says("-sys", system, "-p", QUESTION)["text"]
        same(said(server, [{"role": "system", "content": system}, *ASKED]), alone, system)
        same(said(server, [{"role": "developer", "content": system}, *ASKED]), alone, system)


@test
def content_parts(server):
    parts = [{"type": "text", "text": "What is the capital "}, {"type": "text", "text": "of France?"}]
    check("Paris" in said(server, [{"role": "user", "content": parts}]), "parts of text")
    same(said(server, [{"role": "user", "content": parts[:1] + parts[1:]}]),
         said(server, [{"role": "user", "content": parts}]))


@test
def going_on(server):
    """An assistant's message at the end is continued."""
    for begin in ("The capital of", "The capital of France is"):
        answer = chat(server, [*ASKED, {"role": "assistant", "content": begin}])
        same(answer["choices"][0]["message"]["content"], ANSWER[len(begin):], "behind " + repr(begin))


@test
def conversation(server):
    talk = [{"role": "user", "content": "My name is Olga."}]
    talk += [{"role": "assistant", "content": said(server, talk)}, {"role": "user", "content": "What is my name?"}]
    check("Olga" in said(server, talk), "what was said before:", said(server, talk))


@test
def choices(server):
    warm = {"temperature": 9.0, "top_p": 1.0, "top_k": 0, "seed": 5, "max_tokens": 12}
    answer = chat(server, n=3, **warm)
    same([c["index"] for c in answer["choices"]], [0, 1, 2])
    texts = [c["message"]["content"] for c in answer["choices"]]
    same(len(set(texts)), 3, "different answers:")
    alone = chat(server, **warm)
    same(texts[0], alone["choices"][0]["message"]["content"], "the first of three:")
    same(answer["usage"]["prompt_tokens"], alone["usage"]["prompt_tokens"], "prompt_tokens of three:")
    check(alone["usage"]["completion_tokens"] < answer["usage"]["completion_tokens"] <= 36, "completion_tokens")
    chunks = server.stream(CHAT, {"messages": ASKED, "n": 3, **warm})
    for i in range(3):
        own = [c["choices"][0] for c in chunks if c["choices"] and c["choices"][0]["index"] == i]
        same("".join(c["delta"].get("content") or "" for c in own), texts[i], f"choice {i} streamed:")
        same(sum(c["finish_reason"] is not None for c in own), 1, "ends of a choice:")
        same(own[0]["delta"]["role"], "assistant")
    completed = server.ok(TEXT, {"prompt": ["The", "A"], "n": 2, "max_tokens": 3})
    same(sorted(c["index"] for c in completed["choices"]), [0, 1, 2, 3], "two prompts, twice each:")


@test
def stop_strings(server):
    none_of_it = (["nothing of it"], ["<eos>", "<end_of_turn>"], [], None, "")
    for stop, left in ((" of France", "The capital"), (["Paris", "capital"], "The "), (["tal of Fr"], "The capi"),
                       ("The", ""), (["x"] * 20 + ["is"], "The capital of France "), ("Paris.", ANSWER[:-6]),
                       *((stop, ANSWER) for stop in none_of_it)):
        answer = chat(server, stop=stop)
        same(answer["choices"][0]["message"]["content"], left, f"stop={stop}:")
        same(answer["choices"][0]["finish_reason"], "stop")
        body = {"messages": ASKED, "temperature": 0, "stop": stop}
        pieces = [c["choices"][0]["delta"].get("content") or "" for c in server.stream(CHAT, body)]
        same("".join(pieces), left, f"stop={stop}, streamed:")
    same(written(server, stop=["aris"]), " is P")


@test
def seeds(server):
    warm = {"temperature": 9, "top_k": 0, "top_p": 1, "max_tokens": 20}
    first = said(server, seed=11, **warm)
    same(said(server, seed=11, **warm), first, "the same seed:")
    check(len({said(server, seed=i, **warm) for i in range(5)}) > 2, "seeds change nothing")
    check(len({said(server, **warm) for _ in range(5)}) > 2, "no seed: always the same")
    same(said(server, seed=2**53 + 1, **warm), said(server, seed=2**53 + 1, **warm), "a large seed:")


@test
def as_run_draws(server):
    """Each setting, one at a time: the draws of `run` with the same seed, the prompt computed anew as there:
    what goes on from a known prompt takes other steps, which round otherwise."""
    plain = {"--temp": 5, "--top-k": 0, "--top-p": 1, "--min-p": 0, "--seed": 21, "-n": 24}
    names, texts = {"--temp": "temperature", "-n": "max_tokens"}, set()
    for change in ({}, {"--top-k": 3}, {"--top-p": 0.3}, {"--min-p": 0.1}, {"--repeat-penalty": 1.7},
                   {"--presence-penalty": 1.5}, {"--frequency-penalty": 1.2}, {"--seed": 22}, {"--temp": 3}):
        flags = {**plain, **change}
        alone = serve.run_json(PROGRAM, "-p", STORY, *(str(x) for pair in flags.items() for x in pair))["text"]
        body = {names.get(k, k[2:].replace("-", "_")): v for k, v in flags.items()}
        asked = [{"role": "user", "content": STORY}]
        same(said(server, asked, repeat_last_n=64, cache_prompt=False, **body), alone, f"{change}:")
        texts.add(alone)
    check(len(texts) >= 8, "settings that change nothing:", texts)


@test
def logit_bias(server):
    the, an = ids_of(server, "The")[0], ids_of(server, "An")[0]
    check(not said(server, logit_bias={str(the): -100}).startswith("The"), "a token at -100 was drawn")
    check(said(server, logit_bias={str(an): 100}, max_tokens=3).startswith("AnAn"), "a token at +100 was not")
    check(said(server, logit_bias=[[an, 100]], max_tokens=2).startswith("AnAn"), "llama.cpp's list of pairs")
    same(said(server, logit_bias={}), ANSWER)


@test
def chat_logprobs(server):
    answer = chat(server, logprobs=True, top_logprobs=3)
    content = answer["choices"][0]["logprobs"]["content"]
    alone = run_says("-p", QUESTION, "--logprobs", "3")["log_probs"]
    same("".join(t["token"] for t in content), ANSWER)
    for found, expected in zip(content, alone):
        same(bytes(found["bytes"]).decode(), found["token"])
        same(found["token"], expected["text"])
        near(found["logprob"], expected["log_prob"], found, "and run says", expected)
        same(len(found["top_logprobs"]), 3)
        for top, other in zip(found["top_logprobs"], expected["top"]):
            same(top["token"], other["text"])
            near(top["logprob"], other["log_prob"], top, "and run says", other)
        same(found["top_logprobs"][0]["logprob"], found["logprob"], "the drawn one among the top:")
    same(chat(server, logprobs=True)["choices"][0]["logprobs"]["content"][0]["top_logprobs"], [])
    chunks = server.stream(CHAT, {"messages": ASKED, "temperature": 0, "logprobs": True, "top_logprobs": 1})
    streamed = [t for c in chunks for t in (c["choices"][0].get("logprobs") or {}).get("content") or []]
    same([t["logprob"] for t in streamed], [t["logprob"] for t in content], "streamed:")


def check_older(logprobs, n, n_top):
    """The older shape: four lists of one length."""
    for name in ("tokens", "token_logprobs", "top_logprobs", "text_offset"):
        same(len(logprobs[name]), n, name)
    for i in range(n):
        top = logprobs["top_logprobs"][i]
        if n_top == 0:
            check(not top and logprobs["token_logprobs"][i] <= 0, "none of the best were asked for:", top)
            continue
        check(n_top <= len(top) <= n_top + 1, n_top, "asked for:", top)
        for value in [logprobs["token_logprobs"][i], *top.values()]:
            check(math.isfinite(value) and value <= 0, "a log-probability of", value)
        same(top[logprobs["tokens"][i]], logprobs["token_logprobs"][i], "of one token:")


@test
def completion_logprobs(server):
    answer = complete(server, logprobs=2, max_tokens=3)
    check_older(answer["choices"][0]["logprobs"], 3, 2)
    same("".join(answer["choices"][0]["logprobs"]["tokens"]), answer["choices"][0]["text"])
    alone = run_says("--raw", "-p", "The capital of France", "-n", "3", "--logprobs", "2")["log_probs"]
    for value, expected in zip(answer["choices"][0]["logprobs"]["token_logprobs"], alone):
        near(value, expected["log_prob"], value, "and run says", expected)
    chunks = server.stream(TEXT,
                           {"prompt": "The capital of France", "temperature": 0, "max_tokens": 3, "logprobs": 2})
    streamed = [
        v for c in chunks if c["choices"] for v in (c["choices"][0]["logprobs"] or {}).get("token_logprobs", [])
    ]
    same(streamed, answer["choices"][0]["logprobs"]["token_logprobs"], "streamed:")
    # an old habit of clients: a number of none is not "no logprobs"
    check_older(complete(server, logprobs=0, max_tokens=3)["choices"][0]["logprobs"], 3, 0)


@test
def echo(server):
    plain = written(server)
    same(written(server, echo=True), "The capital of France" + plain)
    answer = complete(server, echo=True, logprobs=1, max_tokens=0)["choices"][0]
    same(answer["text"], "The capital of France")
    same(answer["finish_reason"], "length")
    check_usage(complete(server, echo=True, max_tokens=0)["usage"], n_drawn=0)
    ids = ids_of(server, "The capital of France", special=True)
    same(len(answer["logprobs"]["tokens"]), len(ids) - 1, "tokens of it, without <bos>:")
    same(written(server, max_tokens=0), "")


@test
def prompt_forms(server):
    text, other = "The capital of France", "The capital of Italy"
    ids, more = ids_of(server, text, special=True), ids_of(server, other, special=True)
    texts = [written(server, text), written(server, other)]
    for one in (text, ids, [text], [ids]):
        same(written(server, one), texts[0], f"prompt {one}:")
    for both in ([text, other], [ids, more]):
        answer = complete(server, both)
        same([c["text"] for c in sorted(answer["choices"], key=lambda c: c["index"])], texts, f"prompts {both}:")
        check_usage(answer["usage"], len(ids) + len(more))
    same(written(server, ids[1:]), texts[0], "without <bos>:")
    check(isinstance(written(server, ""), str), "an empty prompt")
    check(isinstance(written(server, [2]), str), "<bos> alone")


@test
def cached(server):
    server.ok("/cache/clear", {})
    rng = random.Random(1)
    ids = [2] + [rng.randrange(500, 2000) for _ in range(400)]
    first, second = complete(server, ids), complete(server, ids)
    same(second["choices"][0]["text"], first["choices"][0]["text"], "from the cache:")
    same(first["usage"]["prompt_tokens_details"]["cached_tokens"], 0)
    found = second["usage"]["prompt_tokens_details"]["cached_tokens"]
    check(300 <= found < 401, "cached_tokens of 401:", found)
    same(complete(server, ids, cache_prompt=False)["usage"]["prompt_tokens_details"]["cached_tokens"], 0)
    longer = complete(server, ids + ids_of(server, "The capital of France"))
    check(longer["usage"]["prompt_tokens_details"]["cached_tokens"] >= 300, "of a longer one:", longer["usage"])


# ---- pictures -----------------------------------------------------------------------------------


def picture(path, **more):
    return {"type": "image_url", "image_url": {"url": serve.data_url(path), **more}}


def about(question, *paths):
    return [{"role": "user", "content": [*(picture(p) for p in paths), {"type": "text", "text": question}]}]


@test
def pictures(server):
    question = "What is in the picture?"
    for i in range(1, 6):
        path = serve.sample(f"{i}.png")
        same(said(server, about(question, path)), run_says("--image", path, "-p", question)["text"], path)
    plain = [{"type": "text", "text": question}]
    same(said(server, [{"role": "user", "content": [picture(serve.sample("1.png"), detail="auto"), *plain]}]),
         said(server, about(question, serve.sample("1.png"))), "with detail:")
    behind = said(server, [{"role": "user", "content": plain + [picture(serve.sample("1.png"))]}])
    same(behind, run_says("--image", serve.sample("1.png"), "-p", question + "<image>")["text"], "behind the words:")
    as_text = {"type": "image_url", "image_url": serve.data_url(serve.sample("1.png"))}
    same(said(server, [{"role": "user", "content": [as_text, *plain]}]),
         said(server, about(question, serve.sample("1.png"))))


@test
def two_pictures(server):
    question = "Which picture has more shapes?"
    both = [serve.sample("1.png"), serve.sample("2.png")]
    for paths in (both, both[::-1]):
        flags = [x for p in paths for x in ("--image", p)]
        same(said(server, about(question, *paths)), run_says(*flags, "-p", question)["text"], str(paths))


@test
def many_pictures(server):
    body = {"messages": about("How many?", *[serve.sample("1.png")] * 64), "max_tokens": 4}
    usage = server.ok(CHAT, body)["usage"]
    check(usage["prompt_tokens"] > 64 * 9, "tokens of 64 pictures:", usage)


@test
def fresh_pictures(server):
    """As tests/toy/words.py asks, with the same bound."""
    sys.path.insert(0, serve.os.path.join(serve.ROOT, "tools/demo"))
    try:
        import ask
        import pictures as painter
        from PIL import Image
    except ImportError as error:
        return f"skipped: {error}"
    rng, right, n = random.Random(20261129), 0, 80
    for system, turn in ask.first_questions(rng, n):
        with tempfile.TemporaryDirectory() as folder:
            paths = []
            for i, scene in enumerate(turn.images or []):
                paths.append(f"{folder}/{i}.png")
                Image.fromarray(painter.render(scene, rng)).save(paths[-1])
            before = [{"role": "system", "content": system}] if system else []
            right += said(server, before + about(turn.question, *paths)).strip() == turn.answer
    check(right >= 0.9 * n, right, "of", n, "answers are right")
    return f"{right} of {n} answers are right"


def main():
    if not serve.has_toy(PROGRAM):
        serve.skip("the toy is not built")
    serve.run(lambda: serve.start(PROGRAM, *ARGUMENTS), sys.argv[2:])


if __name__ == "__main__":
    main()
