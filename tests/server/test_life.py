#!/usr/bin/env python3
"""What docs/serving.md says with curl, and a device that is lost in the middle of an answer.

    test_life.py PERIDOT [NAME...]

SPDX-License-Identifier: MIT
"""
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

import serve
from serve import check, same, test

PROGRAM = sys.argv[1]
PAGE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "docs", "serving.md")
QUESTION = {"messages": [{"role": "user", "content": "What is the capital of France?"}], "temperature": 0}
LONG = {"prompt": "Once", "max_tokens": 60, "ignore_eos": True, "temperature": 0, "stream": True}


# ---- the page -----------------------------------------------------------------------------------


def curl_lines():
    """Commands of the page's shell blocks that ask the server with curl, each on its own."""
    with open(PAGE, encoding="utf-8") as f:
        blocks = re.findall(r"```sh\n(.*?)```", f.read(), re.DOTALL)
    return [line for block in blocks for line in re.findall(r"^curl .*?(?=^curl |\Z)", block, re.DOTALL | re.MULTILINE)]


@test
def the_page():
    if not shutil.which("curl"):
        return "skipped: curl is not installed"
    lines = curl_lines()
    check(len(lines) >= 4, "commands on the page:", lines)
    with serve.start(PROGRAM, "--device", "cpu") as server:
        for line in lines:
            check("http://127.0.0.1:8080" in line, "another address:", line)
            command = line.replace("http://127.0.0.1:8080", server.url()).replace("curl ", "curl -sS --fail ", 1)
            found = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60, check=False)
            same(found.returncode, 0, f"{line}\n{found.stderr}")
            if "/metrics" not in line:
                check(not json.loads(found.stdout).get("error"), "an error:", line, found.stdout)
    return None


# ---- a lost device ------------------------------------------------------------------------------


def faults(folder, **more):
    report = os.path.join(folder, "report")
    env = {"XDG_DATA_HOME": os.environ["FAULT_LAYER_DATA"], "PERIDOT_FAULT_LAYER": "1",
           "PERIDOT_FAULT_REPORT": report, "PERIDOT_CACHE_DIR": os.path.join(folder, "cache"), **more}
    return serve.start(PROGRAM, "--device", "vulkan:0", env=env)


def count_calls(folder, n_tokens):
    with faults(folder) as server:
        list(server.events("/v1/completions", {**LONG, "max_tokens": n_tokens}))
    with open(os.path.join(folder, "report"), encoding="utf-8") as f:
        return int(f.read().split()[1])


def wait_healthy(server, seconds=60):
    """Whether it was not in between."""
    end, was_away = time.monotonic() + seconds * serve.PATIENCE, False
    while server.ask("/health").status != 200:
        was_away = True
        check(time.monotonic() < end, "the model does not come back:", server.text()[-2000:])
        time.sleep(0.02)
    return was_away


def loses(folder, call, which):
    """One of the driver's calls fails in one of its ways; whether that lost the device, and all is well again."""
    with faults(folder, PERIDOT_FAULT_CALL=str(call), PERIDOT_FAULT_WHICH=str(which)) as server:
        events = list(server.events("/v1/completions", LONG))
        if events[-1] == "[DONE]":
            return False  # it was none that matters
        end = time.monotonic() + 2 * serve.PATIENCE
        while "was lost" not in server.text():
            if time.monotonic() > end:
                return False
            time.sleep(0.1)
        wait_healthy(server)
        answer = server.ok("/v1/chat/completions", QUESTION)["choices"][0]["message"]["content"]
        same(answer, "The capital of France is Paris.")
        check("there again" in server.text(), "the log:", server.text()[-2000:])
        check(server.alive(), "the process has ended")
    return True


@test
def a_lost_device():
    if not os.environ.get("FAULT_LAYER_DATA") or "llvmpipe" not in serve.peridot(PROGRAM, "devices"):
        return "skipped: no fault layer, or no llvmpipe"
    with tempfile.TemporaryDirectory() as folder:
        count_calls(folder, 2)  # what is compiled once is in the cache
        call = (count_calls(folder, 2) + count_calls(folder, 60)) // 2
        # the first way of those that submit or wait; calls between them know no such way
        check(any(loses(folder, call + i, 0) for i in range(6)), "no call has lost the device")
    return None


def main():
    if not serve.has_toy(PROGRAM):
        serve.skip("the toy is not built")
    names = sys.argv[2:]
    serve.finish([t.__name__ for t in serve.tests if (not names or t.__name__ in names) and not serve.attempt(t)])


if __name__ == "__main__":
    main()
