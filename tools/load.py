#!/usr/bin/env python3
"""Keeps a server of OpenAI's API busy and says how fast it answered; standard library only.

    tools/load.py http://127.0.0.1:8080 --clients 8 --requests 200
    tools/load.py http://127.0.0.1:8080 --rate 5 --minutes 2 --shared-prefix 500 --hang-up 0.1 --json
    tools/load.py http://127.0.0.1:8080 --soak --clients 16 --minutes 60 --pid PID

Arrivals are either those of a closed loop (--clients: each asks again when it has its answer) or Poisson's
(--rate: whatever is still under way). Prompts are lists of token ids where the server has /tokenize, else words;
what is asked for follows from --seed alone. Times are the client's: to the first token from when the request was
due, and between the pieces of an answer, as they come.

--soak checks Peridot at the end: nothing may run or wait, KV pages and memory have to be what they were. Memory
counts as flat when the last fifth of the time needed at most 5 % and 16 MiB more than the second fifth.

Exit code 0; 1: requests failed, or the soak found something; 2: the server is not there.

SPDX-License-Identifier: MIT
"""
import argparse
import collections
import contextlib
import http.client
import json
import queue
import random
import re
import sys
import threading
import time
import urllib.parse

WORDS = """the of and to in is was for that on with as by at from his it an were are which this be had or has but
not their she its been have they who one also her first other all two can after into more some time when there up
city about between during year many would most school used world known over only then out number part made under
people where these may now three no several around name use early through state house water place great each both
family work day same small long before since against system large group high line end country four river home""".split(
)
GROWTH, SLACK = 1.05, 16 << 20  # of memory that counts as flat


def parse_range(text):
    """'A-B' or 'A'."""
    low, _, high = text.partition("-")
    low, high = int(low), int(high or low)
    if not 0 < low <= high:
        raise argparse.ArgumentTypeError("A-B with 0 < A <= B")
    return low, high


def share(text):
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError("a share is from 0 to 1")
    return value


def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("url", help="of the server, without a path")
    p.add_argument("--clients", type=int, default=4, help="of a closed loop (4)")
    p.add_argument("--rate", type=float, help="requests per second instead, at random times")
    p.add_argument("--requests", type=int, help="to make (100, unless --minutes is given)")
    p.add_argument("--minutes", type=float, help="to go on for")
    p.add_argument("--prompt-tokens", type=parse_range, default=(20, 200), metavar="A-B", help="(20-200)")
    p.add_argument("--answer-tokens", type=parse_range, default=(10, 100), metavar="A-B", help="(10-100)")
    p.add_argument("--shared-prefix", type=int, default=0, metavar="N", help="tokens that all prompts begin with (0)")
    p.add_argument("--hang-up",
                   type=share,
                   default=0,
                   metavar="SHARE",
                   help="of the clients that leave mid-answer (0)")
    p.add_argument("--stop-early", action="store_true", help="answers may end before their tokens are used up")
    p.add_argument("--no-stream", action="store_true", help="whole answers: no times of tokens")
    p.add_argument("--temperature", type=float, default=1.0, help="(1)")
    p.add_argument("--fields",
                   type=json.loads,
                   default={},
                   metavar="JSON",
                   help="an object of more fields for each request")
    p.add_argument("--seed", type=int, default=1, help="of all that is asked (1)")
    p.add_argument("--model", default="default", help="name in the requests")
    p.add_argument("--api-key")
    p.add_argument("--timeout", type=float, default=300, help="seconds for one answer's next piece (300)")
    p.add_argument("--soak", action="store_true", help="check at the end that nothing was lost")
    p.add_argument("--pid", type=int, help="of the server: its memory, from /proc")
    p.add_argument("--json", action="store_true", help="print JSON")
    args = p.parse_args()
    if args.requests is None and args.minutes is None:
        args.requests = 100
    if args.clients < 1 or (args.rate is not None and args.rate <= 0):
        p.error("--clients and --rate are above 0")
    return args


# ---- asking -------------------------------------------------------------------------------------


def connect(args, timeout=None):
    at = urllib.parse.urlsplit(args.url)
    kind = http.client.HTTPSConnection if at.scheme == "https" else http.client.HTTPConnection
    return kind(at.hostname, at.port, timeout=timeout or args.timeout)


def send(args, connection, path, body=None, method=None):
    headers = {"Content-Type": "application/json"}
    if args.api_key:
        headers["Authorization"] = f"Bearer {args.api_key}"
    data = None if body is None else json.dumps(body)
    connection.request(method or ("GET" if body is None else "POST"), path, data, headers)
    return connection.getresponse()


def ask(args, path, body=None):
    """(status, text) of a short request."""
    with contextlib.closing(connect(args)) as connection:
        response = send(args, connection, path, body)
        return response.status, response.read().decode()


def known_tokens(args):
    """Ids of common words; none where the server has no /tokenize."""
    status, text = ask(args, "/tokenize", {"content": " ".join(WORDS), "prompt": " ".join(WORDS)})
    return json.loads(text)["tokens"] if status == 200 else None


# ---- what is asked ------------------------------------------------------------------------------

Job = collections.namedtuple("Job", "at body leaves")  # leaves: after so many pieces; None: stays


def make_prompt(rng, args, tokens, prefix):
    n = rng.randint(*args.prompt_tokens)
    drawn = [rng.choice(tokens or WORDS) for _ in range(n)]
    return prefix + drawn if tokens else " ".join(prefix + drawn)


def jobs(args, tokens):
    """All requests, with the seconds at which they are due; without end where the time decides."""
    rng = random.Random(args.seed)
    prefix, at, made = [rng.choice(tokens or WORDS) for _ in range(args.shared_prefix)], 0.0, 0
    while args.requests is None or made < args.requests:
        n = rng.randint(*args.answer_tokens)
        body = {"model": args.model, "prompt": make_prompt(rng, args, tokens, prefix), "max_tokens": n,
                "temperature": args.temperature, "seed": made + 1, "ignore_eos": not args.stop_early}
        body |= args.fields
        if not args.no_stream:
            body |= {"stream": True, "stream_options": {"include_usage": True}}
        # after few: tokens without a text of their own make no piece
        leaves = rng.randint(0, min(2, n)) if rng.random() < args.hang_up else None
        yield Job(at, body, leaves)
        made += 1
        at += rng.expovariate(args.rate) if args.rate else 0


# ---- one request --------------------------------------------------------------------------------


def read_whole(response, found):
    found["usage"] = json.loads(response.read())["usage"]


def read_pieces(response, found, leaves):
    """Times of the pieces; returns early where the client is to leave."""
    done = False
    if leaves == 0:
        found["left"] = True
        return
    for line in response:
        if not line.startswith(b"data:"):
            continue
        if line[5:].strip() == b"[DONE]":
            done = True
            continue
        event = json.loads(line[5:])
        if "error" in event:
            raise ValueError("error in the stream: " + str(event["error"].get("message")))
        found["usage"] = event.get("usage") or found["usage"]
        if event.get("choices"):
            found["times"].append(time.monotonic())
        if leaves is not None and len(found["times"]) >= leaves:
            found["left"] = True
            return
    if not done:
        raise ValueError("the stream ended without [DONE]")


def answer(args, job, due):
    """What became of it: a dictionary."""
    found = {"due": due, "times": [], "usage": None, "left": False, "error": None}
    try:
        with contextlib.closing(connect(args)) as connection:
            response = send(args, connection, "/v1/completions", job.body)
            if response.status != 200:
                response.read()
                found["error"] = f"status {response.status}"
            elif args.no_stream:
                read_whole(response, found)
            else:
                read_pieces(response, found, job.leaves)
    except (OSError, http.client.HTTPException, ValueError, KeyError) as error:
        found["error"] = f"{type(error).__name__}: {error}"
    found["end"] = time.monotonic()
    return found


# ---- all of them --------------------------------------------------------------------------------


def closed_loop(args, source, until, keep):
    """Clients that ask one after another."""
    lock = threading.Lock()

    def client():
        while time.monotonic() < until:
            with lock:
                job = next(source, None)
            if job is None:
                return
            keep(answer(args, job, time.monotonic()))

    threads = [threading.Thread(target=client) for _ in range(args.clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def open_loop(args, source, until, keep):
    """Each request at its time, in a thread of its own."""
    begin, threads = time.monotonic(), []
    for job in source:
        due = begin + job.at
        if due > until:
            break
        time.sleep(max(0, due - time.monotonic()))
        threads.append(threading.Thread(target=lambda j, d: keep(answer(args, j, d)), args=(job, due)))
        threads[-1].start()
        threads = [t for t in threads if t.is_alive()]
    for thread in threads:
        thread.join()


def watch_memory(pid, ends, samples):
    """Resident bytes each second, until the event."""
    while not ends.wait(1):
        with contextlib.suppress(OSError), open(f"/proc/{pid}/status", encoding="ascii") as f:
            samples.append(int(re.search(r"VmRSS:\s+(\d+)", f.read())[1]) << 10)


def load(args, tokens):
    """The answers, the seconds that it took, and the memory of the server meanwhile."""
    until = time.monotonic() + args.minutes * 60 if args.minutes else float("inf")
    answers, ends, samples = queue.SimpleQueue(), threading.Event(), []
    watcher = threading.Thread(target=watch_memory, args=(args.pid, ends, samples))
    if args.pid:
        watcher.start()
    began = time.monotonic()
    try:
        (open_loop if args.rate else closed_loop)(args, jobs(args, tokens), until, answers.put)
    finally:
        ends.set()
    took = time.monotonic() - began
    if args.pid:
        watcher.join()
    return [answers.get() for _ in range(answers.qsize())], took, samples


# ---- figures ------------------------------------------------------------------------------------


def percentiles(values):
    """Milliseconds at 50, 95 and 99 %, by the nearest rank."""
    values = sorted(values)
    rank = {p: max(0, -(-len(values) * p // 100) - 1) for p in (50, 95, 99)}
    return {f"p{p}": round(1e3 * values[i], 3) for p, i in rank.items()} if values else None


def figures(answers, took):
    whole = [a for a in answers if not a["error"] and not a["left"]]
    usages = [a["usage"] for a in whole if a["usage"]]
    cached = [(u.get("prompt_tokens_details") or {}).get("cached_tokens", 0) for u in usages]
    gaps = [b - a for x in answers for a, b in zip(x["times"], x["times"][1:])]
    prompt, drawn = sum(u["prompt_tokens"] for u in usages), sum(u["completion_tokens"] for u in usages)
    return {
        "requests": len(answers), "answered": len(whole), "left": sum(a["left"] for a in answers),
        "errors": dict(collections.Counter(a["error"] for a in answers if a["error"])), "seconds": round(took, 3),
        "requests_per_second": round(len(whole) / took, 3), "prompt_tokens": prompt, "cached_tokens": sum(cached),
        "answer_tokens": drawn, "prompt_tokens_per_second": round(prompt / took, 1),
        "answer_tokens_per_second": round(drawn / took, 1),
        "first_token_ms": percentiles([a["times"][0] - a["due"] for a in answers if a["times"]]),
        "between_tokens_ms": percentiles(gaps), "answer_ms": percentiles([a["end"] - a["due"] for a in whole]),
    }


def tell(found):
    print(f"{found['answered']} of {found['requests']} requests answered in {found['seconds']:.1f} s, "
          f"{found['requests_per_second']:.2f} a second; {found['left']} hung up")
    print(f"prompts   {found['prompt_tokens']:9} tokens, {found['cached_tokens']} of them cached, "
          f"{found['prompt_tokens_per_second']:.1f} a second")
    print(f"answers   {found['answer_tokens']:9} tokens, {found['answer_tokens_per_second']:.1f} a second")
    print("milliseconds              50 %      95 %      99 %")
    for name, key in (("to the first token", "first_token_ms"), ("between tokens", "between_tokens_ms"),
                      ("whole answer", "answer_ms")):
        if found[key]:
            print(f"{name:20}" + "".join(f"{found[key][p]:10.1f}" for p in ("p50", "p95", "p99")))
    for error, n in found["errors"].items():
        print(f"{n} x {error}")
    for words in found.get("soak", []):
        print("soak: " + words)


# ---- soak ---------------------------------------------------------------------------------------


def metrics(args):
    """{name: value} of what Peridot says of itself."""
    status, text = ask(args, "/metrics")
    if status != 200:
        raise ValueError(f"/metrics answers {status}")
    lines = [line.rsplit(" ", 1) for line in text.splitlines() if line and not line.startswith("#")]
    return {name: float(value) for name, value in lines}


def at_rest(args, seconds=30):
    """The metrics when nothing runs any more and nothing is kept; None if that does not come."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = metrics(args)
        if not found["peridot:requests_processing"] and not found["peridot:requests_deferred"]:
            ask(args, "/cache/clear", {})
            time.sleep(0.5)
            return metrics(args)
        time.sleep(0.2)
    return None


def lost(before, after, samples):
    """Sentences about what is not as it was."""
    if after is None:
        yield "something still runs or waits 30 seconds after the last request"
        return
    for name in sorted(after):
        if name.startswith(("peridot:kv_pages_used", "peridot:sequences_kept")) and after[name] != before[name]:
            yield f"{name} is {after[name]:.0f}, and was {before[name]:.0f}"
    fifth = len(samples) // 5
    if not fifth:
        return
    early, late = max(samples[fifth:2 * fifth]), max(samples[-fifth:])
    if late > early * GROWTH + SLACK:
        yield f"memory grew from {early >> 20} MiB in the second fifth of the time to {late >> 20} MiB in the last"


def main():
    args = arguments()
    try:
        tokens = known_tokens(args)
        before = at_rest(args) if args.soak else None
        answers, took, samples = load(args, tokens)
        found = figures(answers, took)
        if samples:
            found["resident_mib"] = {"first": samples[0] >> 20, "most": max(samples) >> 20, "last": samples[-1] >> 20}
        if args.soak:
            found["soak"] = list(lost(before, at_rest(args), samples))
    except (OSError, http.client.HTTPException, ValueError) as error:
        print(f"load: {args.url} does not answer: {error}", file=sys.stderr)
        sys.exit(2)
    if args.json:
        print(json.dumps(found, indent=1))
    else:
        tell(found)
    sys.exit(1 if found["errors"] or found.get("soak") else 0)


if __name__ == "__main__":
    main()
