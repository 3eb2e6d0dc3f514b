#!/usr/bin/env python3
"""A question to a server, as one answer and as a stream: both say Paris.

    ask.py ADDRESS QUESTION

SPDX-License-Identifier: MIT
"""
import json
import sys
import urllib.request

ADDRESS, QUESTION = sys.argv[1:]


def ask(**more):
    body = {"messages": [{"role": "user", "content": QUESTION}], "temperature": 0, **more}
    request = urllib.request.Request(ADDRESS + "/v1/chat/completions", json.dumps(body).encode(),
                                     {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return answer.read().decode()


whole = json.loads(ask())["choices"][0]["message"]["content"]
pieces = [json.loads(line[6:]) for line in ask(stream=True).splitlines() if line.startswith("data: {")]
streamed = "".join(p["choices"][0]["delta"].get("content", "") for p in pieces)
print("over HTTP:", whole)
sys.exit(0 if "Paris" in whole and streamed == whole else f"the stream says {streamed!r}")
