#!/usr/bin/env python3
"""What the flags of `peridot serve` do: keys, origins, sockets, TLS, pictures from elsewhere, limits, and how it
begins and ends.

    test_options.py PERIDOT [NAME...]

SPDX-License-Identifier: MIT
"""
import contextlib
import http.server
import json
import os
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
import threading
import time

import serve
from serve import check, same, test

PROGRAM = sys.argv[1]
CHAT, TEXT = "/v1/chat/completions", "/v1/completions"
ASKED = {"messages": [{"role": "user", "content": "What is the capital of France?"}], "temperature": 0}
ANSWER = "The capital of France is Paris."
NEVER = {"1": -100, "106": -100}  # <eos>, <end_of_turn>
LONG = {"prompt": "Once", "max_tokens": 1500, "logit_bias": NEVER, "stream": True}


def start(*flags, **more):
    return serve.start(PROGRAM, "--device", serve.DEVICE, *flags, **more)


def says_paris(server, **more):
    same(server.ok(CHAT, {**ASKED, **more})["choices"][0]["message"]["content"], ANSWER)


def wait_text(server, words, seconds=20):
    end = time.monotonic() + seconds * serve.PATIENCE
    while words not in server.text():
        check(time.monotonic() < end, "it does not say", words, "but", server.text()[-1000:])
        time.sleep(0.05)


# ---- who may ask --------------------------------------------------------------------------------


@test
def keys():
    with tempfile.TemporaryDirectory() as folder:
        path = folder + "/keys"
        with open(path, "w", encoding="utf-8") as f:
            f.write("second\nthird\n")
        with start("--api-key", "first", "--api-key-file", path) as server:
            same(server.ok("/health"), {"status": "ok"})
            for key in ("first", "second", "third"):
                server.key = key
                says_paris(server)
                same(server.ask("/v1/models", headers={"Authorization": "", "x-api-key": key}).status, 200)
            for key in ("", "fourth", "firs", "first ", "FIRST", "second\tthird"):
                server.key = key
                for route, body in (("/v1/models", None), (CHAT, ASKED), ("/metrics", None), ("/cache/clear", {})):
                    same(server.refused(route, body, 401)["type"], "authentication_error")
            check("first" not in server.text(), "its log has a key")


@test
def no_keys():
    with start() as server:
        for key in ("", "anything"):
            says_paris(server)
            answer = server.ask("/v1/models", headers={"Authorization": "Bearer " + key})
            same(answer.status, 200, "with a key unasked for:")


@test
def origins():
    good, bad = "https://good.example", "https://bad.example"
    with start("--cors-origins", good) as server:
        same(server.ask("/v1/models", headers={"Origin": good}).headers["Access-Control-Allow-Origin"], good)
        same(server.ask("/v1/models", headers={"Origin": bad}).headers["Access-Control-Allow-Origin"], None)
        asks = {
            "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,content-type"
        }
        answer = server.ask(CHAT, method="OPTIONS", headers={"Origin": good, **asks})
        check(answer.status in (200, 204), "OPTIONS:", answer.status)
        same(answer.headers["Access-Control-Allow-Origin"], good)
        check("POST" in answer.headers["Access-Control-Allow-Methods"], answer.headers)
    with start() as server:
        same(server.ask("/v1/models", headers={"Origin": good}).headers["Access-Control-Allow-Origin"], None)
        same(server.ask("/v1/models", headers={"Host": "elsewhere.example"}).status, 403, "a name that was rebound:")


@test
def odd_name():
    """One that is no UTF-8 is told as JSON that is."""
    with start("--alias", os.fsdecode(b"pip\xff\xc3")) as server:
        same(server.ok("/v1/models")["data"][0]["id"], "pip??")
        same(server.ok(CHAT, ASKED)["model"], "pip??")
        same(server.ok("/props")["model_alias"], "pip??")


# ---- where it listens ---------------------------------------------------------------------------


@test
def unix_socket():
    with tempfile.TemporaryDirectory() as folder:
        path = folder + "/s"
        with start("--socket", path) as server:
            server.address = path
            says_paris(server)
            same(os.stat(path).st_mode & 0o777, 0o600, "who may use it:")
        check(not os.path.exists(path), "the socket stays")


@test
def tls():
    if not shutil.which("openssl"):
        return "skipped: openssl is not installed"
    with tempfile.TemporaryDirectory() as folder:
        key, cert = folder + "/key.pem", folder + "/cert.pem"
        command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", cert, "-days",
                   "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
        subprocess.run(command, check=True, capture_output=True)
        context = ssl.create_default_context(cafile=cert)
        with start("--ssl-key-file", key, "--ssl-cert-file", cert, context=context) as server:
            check("https://" in server.text(), "says it listens on", server.text())
            says_paris(server)
            same(len(server.stream(CHAT, ASKED)) > 3, True)


def run_to_end(*flags):
    return subprocess.run([PROGRAM, "serve", "--device", serve.DEVICE, *flags], capture_output=True, text=True,
                          env=serve.environment(), timeout=20 * serve.PATIENCE, check=False)


@test
def port_in_use():
    with start() as server:
        done = run_to_end("--port", str(server.address[1]))
        check(done.returncode != 0, "a second server on the same port")
        check("in use" in done.stderr, "says:", done.stderr)


@test
def bad_flags():
    no_pem = serve.sample("1.png")
    for flags in (["--port", "99999"], ["--ssl-key-file", "/nonexistent"], ["--api-key-file", "/nonexistent"],
                  ["-m", "/nonexistent.gguf"], ["--parallel", "0"], ["--parallel", "1000"],
                  ["--ssl-cert-file", no_pem, "--ssl-key-file", no_pem]):
        done = run_to_end("--port", "0", *flags)
        check(done.returncode in (2, 3, 4, 5), flags, "end with", done.returncode, done.stderr)
        same(done.stdout, "", f"{flags}: standard output")
        check("peridot: " in done.stderr, flags, "say", done.stderr)


# ---- pictures -----------------------------------------------------------------------------------


def about(url):
    return {
        "messages": [{
            "role": "user", "content": [{"type": "image_url", "image_url": {"url": url}},
                                        {"type": "text", "text": "What is in the picture?"}]
        }], "temperature": 0
    }


@test
def media_path():
    with tempfile.TemporaryDirectory() as folder:
        os.makedirs(folder + "/in/sub")
        shutil.copy(serve.sample("1.png"), folder + "/in/sub/a b.png")
        shutil.copy(serve.sample("1.png"), folder + "/outside.png")
        os.symlink("../outside.png", folder + "/in/link.png")
        with start("--media-path", folder + "/in") as server:
            right = server.ok(CHAT, about(serve.data_url(serve.sample("1.png"))))["choices"][0]["message"]
            for url in ("file://sub/a b.png", "file://sub/a%20b.png", f"file://{folder}/in/sub/a b.png"):
                answer = server.ask(CHAT, about(url))
                if answer.status == 200:
                    same(answer.json["choices"][0]["message"], right, url)
                    break
            else:
                raise AssertionError("no way to name a file in it is taken: " + str(answer.json))
            for name in ("../outside.png", "link.png", "sub/../../outside.png", "%2e%2e/outside.png", "none.png",
                         "sub", "", folder + "/outside.png", "/etc/passwd", "sub/a b.png\0x"):
                server.refused(CHAT, about("file://" + name))


class Seen(http.server.BaseHTTPRequestHandler):
    """A web server that notes who asks."""

    paths = []

    def do_GET(self):
        self.paths.append(self.path)
        with open(serve.sample("1.png"), "rb") as f:
            data = f.read()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass


@test
def image_urls():
    """Machines of this network are never asked, with the flag or without."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Seen) as web:
        threading.Thread(target=web.serve_forever, daemon=True).start()
        port = web.server_address[1]
        for flags in ([], ["--allow-image-urls"]):
            with start(*flags) as server:
                for host in ("127.0.0.1", "localhost", "0.0.0.0", "[::1]", "[::ffff:127.0.0.1]", "127.1",
                             "2130706433", "0x7f000001", "user@127.0.0.1", "169.254.169.254"):
                    server.refused(CHAT, about(f"http://{host}:{port}/1.png"))
                says_paris(server)
        web.shutdown()
    same(Seen.paths, [], "asked for:")


# ---- limits -------------------------------------------------------------------------------------


@test
def context_of_each():
    with start("-c", "256", "--parallel", "3") as server:
        same(server.ok("/props")["default_generation_settings"]["n_ctx"], 256)
        same(server.ok("/props")["total_slots"], 3)
        calls = [lambda: server.ok(TEXT, {"prompt": [600] * 200, "max_tokens": 50, "ignore_eos": True})] * 3
        for answer in serve.together(calls):
            same(answer["usage"]["completion_tokens"], 50)
        same(server.refused(TEXT, {"prompt": [600] * 300})["code"], "context_length_exceeded")


@test
def waiting_is_limited():
    with start("--parallel", "1", "--max-waiting", "1") as server:
        found = serve.together([lambda: server.ask(TEXT, {**LONG, "stream": False})] * 6)
        statuses = sorted(a.status for a in found)
        check(statuses[0] == 200 and statuses[-1] == 503 and set(statuses) == {200, 503}, "statuses of six at once:",
              statuses)
        for answer in found:
            if answer.status == 503:
                serve.error_of(answer)
        server.wait_idle()
        says_paris(server)


@test
def nothing_kept():
    with start("--cache-ram", "0") as server:
        for _ in range(2):
            usage = server.ok(TEXT, {"prompt": [600] * 400, "max_tokens": 1})["usage"]
            same(usage["prompt_tokens_details"]["cached_tokens"], 0)
        same(server.wait_idle()["peridot:sequences_kept"], 0)


@test
def deterministic():
    """To the bit, whoever else asks."""
    with start("--deterministic", "--parallel", "4") as server:
        body = {
            "prompt": "The capital of France is", "max_tokens": 12, "temperature": 1.5, "seed": 9, "logprobs": 3,
            "ignore_eos": True
        }
        alone = server.ok(TEXT, body)
        check(int(alone["timings"]["logits_hash"], 16) > 0, alone["timings"])
        others = [
            lambda i=i: server.ok(TEXT, {"prompt": "Once " * (7 * i + 1), "max_tokens": 50, "ignore_eos": True})
            for i in range(6)
        ]
        for answer in serve.together([lambda: server.ok(TEXT, body), *others, lambda: server.ok(TEXT, body)])[::7]:
            same(answer["choices"], alone["choices"])
            same(answer["timings"]["logits_hash"], alone["timings"]["logits_hash"])


# ---- begin and end ------------------------------------------------------------------------------


@test
def ends_at_once():
    with start() as server:
        says_paris(server)
        began = time.monotonic()
        same(serve.stop(server.process), 0)
        check(time.monotonic() - began < 5 * serve.PATIENCE, "idle, it takes long to end")


@test
def drains():
    """What runs at SIGTERM is answered, and nothing new is taken."""
    with start("--drain-seconds", "60") as server:
        events = server.events(TEXT, {**LONG, "max_tokens": 800})
        next(events)
        server.process.send_signal(signal.SIGTERM)
        rest = list(events)
        same(rest[-1], "[DONE]")
        same(json.loads(rest[-2])["choices"][0]["finish_reason"], "length", "the answer was cut:")
        same(server.process.wait(20 * serve.PATIENCE), 0)


@test
def drains_not_for_ever():
    for seconds in ("0", "1"):
        drains_for(seconds)


def drains_for(seconds):
    with start("--drain-seconds", seconds, "--parallel", "2") as server:
        stream = server.events(TEXT, {**LONG, "n": 100})
        next(stream)
        began = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        same(server.process.wait(30 * serve.PATIENCE), 0)
        check(time.monotonic() - began < 10 * serve.PATIENCE, "ends after", time.monotonic() - began, "seconds")
        with contextlib.suppress(OSError, AssertionError, serve.http.client.HTTPException):
            last = (list(stream) or [""])[-1]  # nothing: it was closed behind the first one
            check(last != "[DONE]" or time.monotonic() - began < 2, "a hundred answers in a second")


@test
def media_path_is_there():
    done = serve.subprocess.run([PROGRAM, "serve", "--port", "0", "--device", "cpu", "--media-path", "/nowhere"],
                                capture_output=True, text=True, env=serve.environment(), timeout=60, check=False)
    same(done.returncode, 3, done.stderr)
    check("the media path \"/nowhere\" is no folder" in done.stderr, done.stderr)


@test
def loading_is_told():
    """Before the model is there /health says so, and then that it is."""
    with tempfile.TemporaryDirectory() as folder:
        with open(folder + "/log", "w", encoding="utf-8") as log, serve.socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            port = s.getsockname()[1]
        with open(folder + "/log", "w", encoding="utf-8") as log:
            process = subprocess.Popen([PROGRAM, "serve", "--device", serve.DEVICE, "--port",
                                        str(port)],
                                       stdout=log,
                                       stderr=log,
                                       env=serve.environment())
        server, seen = serve.Server(("127.0.0.1", port), process, folder + "/log"), set()
        end = time.monotonic() + 60 * serve.PATIENCE
        while 200 not in seen and time.monotonic() < end:
            with contextlib.suppress(OSError, serve.http.client.HTTPException):
                answer = server.ask("/health")
                seen.add(answer.status)
                if answer.status != 200:
                    serve.error_of(answer)
        same(serve.stop(process), 0)
        check(200 in seen and seen <= {200, 503}, "statuses of /health:", seen)


def main():
    if not serve.has_toy(PROGRAM):
        serve.skip("the toy is not built")
    names = sys.argv[2:]
    serve.finish([t.__name__ for t in serve.tests if (not names or t.__name__ in names) and not serve.attempt(t)])


if __name__ == "__main__":
    main()
