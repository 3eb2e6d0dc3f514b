#!/usr/bin/env python3
"""Drives http_tool, a server over src/server, as clients do: well-meant ones, slow ones, ones that leave, and
ones that want to break in.

usage: test_http.py HTTP_TOOL [NAME]...

SPDX-License-Identifier: MIT
"""
import http.client
import json
import os
import re
import resource
import select
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import warnings

TOOL = sys.argv[1]
SLOW = float(os.environ.get("PERIDOT_TEST_PATIENCE", "1"))  # sanitizers make it slower
resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, resource.getrlimit(resource.RLIMIT_NOFILE)[1]),) * 2)
tests = []


def test(function):
    tests.append(function)
    return function


def check(condition, *what):
    if not condition:
        raise AssertionError(" ".join(str(w) for w in what))


class Server:
    """A http_tool; leaving the block stops it and checks that nothing is left."""

    def __init__(self, *args, expect_open=None):
        self.log = tempfile.TemporaryFile("w+", errors="replace")
        self.process = subprocess.Popen([TOOL, *args], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=self.log, text=True)
        first = self.process.stdout.readline().split(None, 1)
        check(first and first[0] == "port", "the server does not start:", first, self.text())
        self.port = int(first[1])

    def text(self):
        self.log.seek(0)
        return self.log.read()

    def ask(self, command):
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        words = self.process.stdout.readline().split()
        check(len(words) == 10, "no state:", words, self.text())
        return {words[i]: int(words[i + 1]) for i in range(0, 10, 2)}

    def state(self):
        return self.ask("state")

    def wait(self, seconds=10, **want):
        end = time.monotonic() + seconds * SLOW
        while True:
            state = self.state()
            if all(state[k] == v for k, v in want.items()):
                return state
            check(time.monotonic() < end, "waiting for", want, "in vain:", state)
            time.sleep(0.02)

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if kind is None:
            state = self.ask("stop")
            check(state["twice"] == 0, "told twice:", state)
        else:
            self.process.stdin.close()
        rc = self.process.wait(20 * SLOW)
        if rc != 0 or kind:
            print(self.text()[-6000:])
        check(rc == 0, "the server ended with", rc)

    def connect(self, timeout=10):
        s = socket.create_connection(("127.0.0.1", self.port), timeout * SLOW)
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return s

    def http(self, timeout=10):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout * SLOW)

    def get(self, path, method="GET", body=None, headers={}):
        c = self.http()
        c.request(method, path, body, headers)
        r = c.getresponse()
        data = r.read()
        c.close()
        return r.status, data, r.headers

    def raw(self, text, timeout=10, half_close=False):
        """Sends bytes and returns all that comes until the server closes."""
        with self.connect(timeout) as s:
            s.sendall(text if isinstance(text, bytes) else text.encode())
            if half_close:
                s.shutdown(socket.SHUT_WR)
            return read_all(s)


def read_all(s):
    parts = []
    try:
        while part := s.recv(65536):
            parts.append(part)
    except ConnectionError:
        parts.append(b"<reset>")
    return b"".join(parts)


def read_until(s, end):
    data = b""
    while end not in data:
        part = s.recv(65536)
        check(part, "closed before", end, data)
        data += part
    return data


def error_of(data, status, kind, code):
    """A body is an error in OpenAI's form."""
    e = json.loads(data)["error"]
    check(set(e) == {"message", "type", "param", "code"}, e)
    check(e["type"] == kind and e["code"] == code and e["param"] is None and e["message"], status, e)


@test
def requests():
    with Server() as s:
        status, data, headers = s.get("/describe?x=a%20b&y", headers={"X-One": "1"})
        d = json.loads(data)
        check(status == 200 and d["path"] == "/describe" and d["x"] == "a b" and d["method"] == "GET", d)
        check(d["headers"]["X-One"] == "1" and d["client"] == "127.0.0.1" and d["n_body"] == 0, d)
        check(headers["X-Told"] == "yes" and "X-Injected" not in headers, headers)
        check("Date" in headers and headers["Content-Type"] == "application/json", headers)
        for n in (0, 1, 100, 65535, 65536, 65537, 300000, 5000000):
            body = os.urandom(n)
            status, data, _ = s.get("/echo", "POST", body, {"Content-Type": "image/png"})
            check(status == 200 and data == body, n, status, len(data))
            d = json.loads(s.get("/describe", "POST", body)[1])
            check(d["n_body"] == n and d["behind_body"] == 0, d)
        status, data, _ = s.get("/nothing\u00e9".encode("utf-8").decode("latin1").replace("\u00c3\u00a9", "%C3%A9"))
        check(status == 404, status)
        error_of(data, status, "not_found_error", None)
        status, data, headers = s.get("/describe", "HEAD")
        check(status == 200 and data == b"" and int(headers["Content-Length"]) > 10, headers)
        status, data, headers = s.get("/stream?n=2", "HEAD")
        check(status == 200 and data == b"", status, data)
        status, data, _ = s.get("/forgotten")
        check(status == 500, status)
        error_of(data, status, "server_error", "no_answer")
        status, data, headers = s.get("/describe", "OPTIONS")
        check(status == 204 and "GET" in headers["Allow"], status, headers)
        check(s.get("/describe", "PATCH", b"x")[0] == 200)
        check(b" 405 " in s.raw("TRACE / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"))
        check(b" 405 " in s.raw("CONNECT a:1 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"))
        # the form that proxies are asked in
        got = s.raw("GET http://localhost/describe?x=1 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        check(b'"path":"/describe"' in got, got)
        got = s.raw("GET /describe HTTP/1.0\r\n\r\n")
        check(b" 200 " in got and b'"path":"/describe"' in got, got)
        got = s.raw("GET /stream?n=3&bytes=4 HTTP/1.0\r\n\r\n")
        check(got.endswith(b"data" * 3), got)


@test
def connections():
    with Server() as s:
        c = s.http()
        for i in range(20):  # keep-alive
            c.request("POST", "/echo", b"x" * i)
            check(c.getresponse().read() == b"x" * i)
            sock = c.sock
            c.request("GET", "/stream?n=2&ms=1&bytes=4")
            check(c.getresponse().read() == b"datadata")
            check(c.sock is sock and sock, "the connection was closed")
            c.request("POST", "/echo", b"y", {"Host": "elsewhere.example"})  # refused, and goes on
            r = c.getresponse()
            check(r.status == 403 and r.read(), r.status)
            check(c.sock is sock)
        c.close()
        got = s.raw("GET /echo HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        check(b"onnection: close" in got and not got.endswith(b"<reset>"), got)
        # pipelined, of all kinds
        one = "POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello"
        two = "GET /stream?n=2&ms=1&bytes=4 HTTP/1.1\r\nHost: localhost\r\n\r\n"
        last = "GET /late?ms=50 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        got = s.raw((one + two) * 10 + last)
        check(got.count(b"hello") == 10 and got.count(b"4\r\ndata\r\n4\r\ndata\r\n0\r\n\r\n") +
              got.count(b"8\r\ndatadata\r\n0\r\n\r\n") == 10 and got.endswith(b"late"), got)
        # chunked, with a trailer, in small pieces
        text = (b"POST /echo HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
                b"5\r\nhello\r\n6\r\n world\r\n0\r\nTrailer: 1\r\n\r\n")
        check(s.raw(text).endswith(b"\r\n\r\nhello world"))
        with s.connect() as c:
            for i in range(len(text)):
                c.sendall(text[i:i + 1])
            check(read_all(c).endswith(b"\r\n\r\nhello world"))
        got = s.raw(text.replace(b"5\r\n", b"5;name=value\r\n"))  # libmicrohttpd 1.0.1 refuses extensions
        check(got.endswith(b"hello world") or b" 400 " in got[:14], got)
        # waits for 100
        with s.connect() as c:
            c.sendall(b"POST /echo HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n"
                      b"Content-Length: 5\r\nConnection: close\r\n\r\n")
            check(read_until(c, b"\r\n\r\n").startswith(b"HTTP/1.1 100 "))
            c.sendall(b"hello")
            check(read_all(c).endswith(b"hello"))
        # ends its sending before a quick answer
        got = s.raw("GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n", half_close=True)
        check(b" 200 " in got and got.endswith(b"ok"), got)
        check(b" 200 " not in s.raw("nonsense\r\n\r\n", half_close=True))
        s.wait(open=0)


@test
def streams():
    with Server() as s:
        with s.connect() as c:
            c.sendall(b"GET /never HTTP/1.1\r\nHost: localhost\r\n\r\n")
            start = time.monotonic()
            head = read_until(c, b"\r\n\r\n")  # the header comes at once
            check(time.monotonic() - start < 1 * SLOW and b"hunked" in head, head)
            check(b"Cache-Control: no-store" in head and b"X-Accel-Buffering: no" in head, head)
            check(b"text/event-stream" in head, head)
        c = s.http()
        c.request("GET", "/stream?n=5&ms=100&bytes=4")
        r = c.getresponse()
        times = []
        while part := r.read(4):
            check(part == b"data", part)
            times.append(time.monotonic())
        check(len(times) == 5, times)
        gaps = [b - a for a, b in zip(times, times[1:])]
        check(all(0.03 < g < 0.3 * SLOW for g in gaps), "pieces do not come one by one:", gaps)
        c.request("GET", "/stream?n=40&ms=1&bytes=65536")
        check(len(c.getresponse().read()) == 40 * 65536)
        c.close()
        s.wait(open=0)


@test
def leaving():
    """Noticed within a second, told once: in a stream, before any answer, and by closing its sending only."""
    with Server() as s:
        told = 0
        for path in ("/never", "/silent", "/stream?n=1000&ms=20"):
            for how in ("close", "reset", "half"):
                c = s.connect()
                c.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
                s.wait(open=1)
                if how == "reset":
                    c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                start = time.monotonic()
                if how == "half":
                    c.shutdown(socket.SHUT_WR)
                else:
                    c.close()
                told += 1
                s.wait(open=0)
                took = time.monotonic() - start
                check(took < 1 * SLOW, path, how, "took", took)
                state = s.state()
                check(state["ended"] == told and state["told"] <= told, path, how, state)
                if "stream" not in path:
                    check(state["told"] >= 1, state)
                c.close()
        # one that is answered late, by a worker that does not look
        c = s.connect()
        c.sendall(b"GET /late?ms=600 HTTP/1.1\r\nHost: localhost\r\n\r\n")
        s.wait(open=1)
        c.close()
        s.wait(open=0)


@test
def many():
    """500 streams; a third leaves in the middle, a third is read to its end, a third never ends."""
    with Server("n_threads=2") as s:
        def ask(path):
            c = s.connect(30)
            c.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            return c
        leavers = [ask("/stream?n=100000&ms=20&bytes=50") for _ in range(167)]
        readers = [ask("/stream?n=50&ms=20&bytes=50") for _ in range(167)]
        stayers = [ask("/never") for _ in range(166)]
        for c in leavers:
            read_until(c, b"data")
        while (state := s.state())["open"] + state["ended"] < 500:
            time.sleep(0.02)
        check(state["open"] >= 166 + 167, state)
        for c in leavers:
            c.close()
        for c in readers:
            got = read_until(c, b"0\r\n\r\n")
            check(got.count(b"data") == 50, got)
            c.close()
        s.wait(30, open=166)
        ended = s.state()
        check(ended["twice"] == 0 and ended["ended"] == 334, ended)
        for c in stayers[:100]:
            c.close()
        s.wait(open=66)
        check(s.state()["twice"] == 0)
        for c in stayers[100:]:
            c.close()
        state = s.wait(open=0, ended=500)
        check(333 - 167 - 1 <= state["told"] <= 333, state)


@test
def body_limits():
    with Server("max_body_bytes=100000", "max_bodies_bytes=250000", "max_header_bytes=4096",
                "request_seconds=20") as s:
        check(s.get("/echo", "POST", b"x" * 100000)[0] == 200)
        status, data, _ = s.get("/echo", "POST", b"x" * 100001)
        check(status == 413, status)
        error_of(data, status, "invalid_request_error", "request_too_large")
        # much too large, by a client that sends all of it before it reads
        for n in (2 << 20, 40 << 20):
            status, data, _ = s.get("/echo", "POST", b"x" * n)
            check(status == 413, status)
            error_of(data, status, "invalid_request_error", "request_too_large")
        # announced, and nothing sent: told at once
        got = s.raw("POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999\r\n\r\n")
        check(b" 413 " in got, got)
        got = s.raw("POST /echo HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 100001\r\n\r\n")
        check(got.startswith(b"HTTP/1.1 413 "), got)
        for length in ("18446744073709551616", "-1", "1x", "0x10"):
            got = s.raw(f"POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n")
            check(b" 4" in got[:14], length, got)
        got = s.raw("POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n"
                    "0\r\n\r\n")
        check(b" 400 " in got[:14], got)
        # chunked, and more than there may be
        chunk = b"2710\r\n" + b"x" * 10000 + b"\r\n"
        start = b"POST /echo HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
        got = s.raw(start + chunk * 10 + b"0\r\n\r\n", half_close=True)
        check(b" 200 " in got, got)
        time.sleep(0.3 * SLOW)  # an answer is there before its request's memory is given back
        got = s.raw(start + chunk * 11)
        check(got.startswith(b"HTTP/1.1 413 "), got[:100])
        error_of(got.partition(b"\r\n\r\n")[2], 413, "invalid_request_error", "request_too_large")
        got = s.raw(start + chunk * 300)
        check(got.startswith(b"HTTP/1.1 413 "), got[:100])
        # too much of all together: two held, a third refused, and taken once there is room
        holders = []
        for _ in range(2):
            c = s.connect()
            c.sendall(b"POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n" + b"x" * 99999)
            holders.append(c)
        time.sleep(0.3 * SLOW)
        status, data, headers = s.get("/echo", "POST", b"x" * 100000)
        check(status == 503 and headers["Retry-After"], status)
        error_of(data, status, "unavailable_error", "overloaded")
        got = s.raw(start + chunk * 9)
        check(got.startswith(b"HTTP/1.1 503 ") and b"Retry-After" in got, got[:100])
        for c in holders:
            c.sendall(b"x")
            check(b" 200 " in read_until(c, b"\r\n\r\n"))
            c.close()
        check(s.get("/echo", "POST", b"x" * 100000)[0] == 200)
        # headers
        check(s.get("/echo", headers={"X-A": "a" * 3000})[0] == 200)
        status, data, _ = s.get("/echo", headers={"X-A": "a" * 5000})
        check(status == 431, status)
        error_of(data, status, "invalid_request_error", "headers_too_large")
        got = s.raw("GET /" + "a" * 100000 + " HTTP/1.1\r\nHost: localhost\r\n\r\n")
        check(got[9:12] in (b"414", b"431") or got == b"<reset>", got[:100])
        got = s.raw("GET / HTTP/1.1\r\nHost: localhost\r\n" + "".join(f"X-{i}: 1\r\n" for i in range(20000)) + "\r\n")
        check(got[9:12] in (b"413", b"431") or got == b"<reset>", got[:100])
        s.wait(open=0)


@test
def slow_senders():
    with Server("request_seconds=1", "idle_seconds=2") as s:
        def drip(first, piece, what, most=4):
            with s.connect() as c:
                start = time.monotonic()
                c.sendall(first)
                got = b""
                while time.monotonic() - start < most * SLOW:
                    try:
                        c.sendall(piece)
                    except ConnectionError:
                        break
                    if select.select([c], [], [], 0.1)[0]:
                        got = read_all(c)
                        break
                took = time.monotonic() - start
                check(took < (most - 0.5) * SLOW, what, "was let go on for", took)
                return got, took
        drip(b"", b"G", "a request line")
        drip(b"GET / HTTP/1.1\r\nHost: localhost\r\n", b"X: 1\r\n", "a header")
        got, took = drip(b"POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10000\r\n\r\n", b"x", "a body")
        check(took > 0.7 and got.startswith(b"HTTP/1.1 408 "), took, got)
        error_of(got.partition(b"\r\n\r\n")[2], 408, "invalid_request_error", "request_timeout")
        got, took = drip(b"POST /echo HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n",
                         b"1\r\nx\r\n", "chunks")
        check(got.startswith(b"HTTP/1.1 408 "), got)
        # nothing at all; half a header; half a body; nothing more behind an answer
        for text in (b"", b"GET /", b"GET / HTTP/1.1\r\nHost: loc",
                     b"POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nhalf",
                     b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"):
            start = time.monotonic()
            s.raw(text)
            check(time.monotonic() - start < 4 * SLOW, text, time.monotonic() - start)
        # a next request that never comes to an end
        with s.connect() as c:
            c.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
            read_until(c, b"ok")
            c.sendall(b"GET /health HTTP/1.1\r\nHost:")
            start = time.monotonic()
            read_all(c)
            check(time.monotonic() - start < 4 * SLOW)
        # those that wait for an answer have all the time
        with s.connect(20) as c:
            c.sendall(b"GET /late?ms=3500 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            check(read_all(c).endswith(b"late"))
        # half requests, and gone
        for _ in range(50):
            with s.connect() as c:
                c.sendall(b"POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n" + b"x" * 70000)
        s.wait(open=0)


@test
def slow_readers():
    with Server("max_unread_bytes=1000000", "idle_seconds=2") as s:
        before = s.state()["peak_kib"]
        clients = []
        for _ in range(20):
            c = socket.socket()
            c.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            c.connect(("127.0.0.1", s.port))
            c.sendall(b"GET /flood HTTP/1.1\r\nHost: localhost\r\n\r\n")
            clients.append(c)
        s.wait(ended=20, open=0)
        after = s.state()["peak_kib"]
        if SLOW == 1:  # sanitizers keep what was freed
            check(after - before < 60000, "memory grew from", before, "to", after)
        for c in clients:
            c.close()
        # one that takes the beginning of what fits, and no more
        c = socket.socket()
        c.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        c.connect(("127.0.0.1", s.port))
        c.sendall(b"GET /stream?n=14&ms=1&bytes=65000 HTTP/1.1\r\nHost: localhost\r\n\r\n")
        s.wait(open=0, ended=21)
        time.sleep(1)
        check(read_until(c, b"0\r\n\r\n").count(b"data") == 14)
        c.close()
        # one that reads fast has all of what it asks for
        total = 0
        with s.connect() as c:
            c.sendall(b"GET /flood HTTP/1.1\r\nHost: localhost\r\n\r\n")
            while total < 50 << 20:
                total += len(c.recv(1 << 20))
        s.wait(open=0, ended=22)


@test
def keys():
    with Server("key=sesame", "key=tahini", "open=/health", "open=/v1/health") as s:
        def status(**headers):
            return s.get("/echo", headers={k.replace("_", "-"): v for k, v in headers.items()})
        for good in ("sesame", "tahini"):
            check(status(Authorization="Bearer " + good)[0] == 200)
            check(status(authorization="bearer  " + good)[0] == 200)
            check(status(x_api_key=good)[0] == 200)
        for bad in ("", "sesam", "sesame1", "sesamesesame", "Sesame", "sesame,tahini", "\u00ff"):
            code, data, headers = status(Authorization="Bearer " + bad)
            check(code == 401 and headers["WWW-Authenticate"] == "Bearer", bad, code)
            error_of(data, code, "authentication_error", "invalid_api_key")
            check(status(x_api_key=bad)[0] == 401, bad)
        check(status()[0] == 401 and status(Authorization="sesame")[0] == 401)
        check(status(Authorization="Basic c2VzYW1lOg==")[0] == 401)
        check(s.get("/health")[0] == 200 and s.get("/health/x")[0] == 401 and s.get("/health%2f")[0] == 401)
        code, data, _ = s.get("/echo", "POST", b"x" * 3000000)  # sends it all, then reads why not
        check(code == 401, code)
        s.get("/echo?key=hush-hush", headers={"Authorization": "Bearer hush-hush"})
        check("sesame" not in s.text() and "hush" not in s.text(), "a secret is in the log")


@test
def paths_and_log():
    with Server() as s:
        for path in ("/a%00b", "/a%0ab", "/a%0d%0aX: y", "/%1b%5b31m", "/%7f", "/%ff%fe", "/%c0%af", "a", "*"):
            got = s.raw(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".replace("X: y", "X:y"))
            check(b" 400 " in got[:14], path, got)
        got = s.raw(b"GET /\x1b[31m HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        check(b" 400 " in got[:14], got)
        s.raw(b"\x1b[31mX /x HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        s.get("/" + "long" * 300)
        s.get("/describe?secret=hush-hush")
        s.raw("GET /a HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        time.sleep(0.1)
        text = s.text()
        check(not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\xff\ufffd]", text), "a control character is in the log:",
              re.findall(r".*[\x00-\x09\x0b-\x1f\x7f-\xff\ufffd].*", text)[:3])
        check("hush" not in text and re.search(r"request \d+ of 127.0.0.1: GET /a: 404, [0-9.]+ ms", text), text)
        check(max(len(line) for line in text.splitlines()) < 400)


@test
def hosts():
    with Server() as s:
        for host in ("localhost", "LocalHost:99", "127.0.0.1", "127.0.0.1:1234", "127.1.2.3", "[::1]", "[::1]:8080",
                     "localhost.", "app.localhost:8080"):
            check(s.get("/echo", headers={"Host": host})[0] == 200, host)
        for host in ("example.com", "localhost.example.com", "127.0.0.1.example.com", "10.0.0.1", "[::2]", "a@localhost",
                     "notlocalhost", "", "127.0.0.1.", "0.0.0.0"):
            code, data, _ = s.get("/echo", headers={"Host": host})
            check(code == 403 or host == "127.0.0.1.", host, code)
            if code == 403:
                error_of(data, code, "permission_error", "host_not_allowed")
        got = s.raw("GET http://example.com/echo HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        check(b" 403 " in got[:14], got)
    with Server("allow_any_host=1") as s:
        check(s.get("/echo", headers={"Host": "example.com"})[0] == 200)
    with Server("host=0.0.0.0") as s:
        check(s.get("/echo", headers={"Host": "example.com"})[0] == 200)
    with Server("host=localhost") as s:
        check(s.get("/echo", headers={"Host": "example.com"})[0] == 403)
        check(s.get("/echo")[0] == 200)
    if socket.has_ipv6:
        try:
            with socket.socket(socket.AF_INET6) as probe:
                probe.bind(("::1", 0))
        except OSError:
            return
        with Server("host=::1") as s:
            c = http.client.HTTPConnection("::1", s.port, timeout=10)
            c.request("GET", "/describe")
            check(json.loads(c.getresponse().read())["client"] == "::1")
            c.request("GET", "/describe", headers={"Host": "example.com"})
            check(c.getresponse().status == 403)
            c.close()


@test
def origins():
    ask = {"Origin": "https://a.example", "Access-Control-Request-Method": "POST",
           "Access-Control-Request-Headers": "authorization, x-mine"}
    with Server("origin=https://a.example", "origin=http://b.example:3000", "key=k") as s:
        for origin in ("https://a.example", "http://b.example:3000"):
            status, _, headers = s.get("/echo", headers={"Origin": origin, "Authorization": "Bearer k"})
            check(status == 200 and headers["Access-Control-Allow-Origin"] == origin, headers)
            check(headers["Vary"] == "Origin", headers)
        status, _, headers = s.get("/echo", headers={"Origin": "https://a.example"})  # pages can read why
        check(status == 401 and headers["Access-Control-Allow-Origin"] == "https://a.example", headers)
        for origin in ("https://a.example.evil", "http://a.example", "null", "*", "https://A.example"):
            _, _, headers = s.get("/echo", headers={"Origin": origin, "Authorization": "Bearer k"})
            check("Access-Control-Allow-Origin" not in headers, origin, headers)
        status, data, headers = s.get("/echo", "OPTIONS", headers=ask)
        check(status == 204 and data == b"", status)
        check(headers["Access-Control-Allow-Headers"] == "authorization, x-mine", headers)
        check("POST" in headers["Access-Control-Allow-Methods"] and headers["Access-Control-Max-Age"], headers)
        status, data, headers = s.get("/echo", "OPTIONS", headers={**ask, "Origin": "https://evil.example"})
        check(status == 403 and "Access-Control-Allow-Origin" not in headers, headers)
        error_of(data, status, "permission_error", "origin_not_allowed")
    with Server("origin=*") as s:
        _, _, headers = s.get("/stream", headers={"Origin": "https://z.example"})
        check(headers["Access-Control-Allow-Origin"] == "*" and "Vary" not in headers, headers)
    with Server() as s:
        _, _, headers = s.get("/echo", headers={"Origin": "https://a.example"})
        check("Access-Control-Allow-Origin" not in headers, headers)
        check(s.get("/echo", "OPTIONS", headers=ask)[0] == 403)
        # what a browser sends without asking
        for origin in ("https://a.example", "null", f"http://127.0.0.1:{s.port}.evil.example"):
            status, data, _ = s.get("/echo", "POST", b"x", headers={"Origin": origin, "Content-Type": "text/plain"})
            check(status == 403, origin, status)
            error_of(data, status, "permission_error", "origin_not_allowed")
        own = f"127.0.0.1:{s.port}"
        check(s.get("/echo", "POST", b"x", headers={"Origin": "http://" + own, "Host": own})[0] == 200)
        check(s.get("/echo", "POST", b"x")[0] == 200)


@test
def rates():
    with Server("requests_per_second=2", "burst=5", "open=/health") as s:
        codes = [s.get("/echo")[0] for _ in range(12)]
        check(codes[:5] == [200] * 5 and 429 in codes[5:8] or SLOW > 1, codes)
        while True:
            code, data, headers = s.get("/echo")
            if code == 429:
                break
        error_of(data, code, "rate_limit_error", "rate_limit_exceeded")
        check(int(headers["Retry-After"]) >= 1, headers)
        check(all(s.get("/health")[0] == 200 for _ in range(20)))
        time.sleep(1.1)
        check(s.get("/echo")[0] == 200)
    with Server("max_per_address=3") as s:
        held = [s.connect() for _ in range(3)]
        for c in held:
            c.sendall(b"GET /never HTTP/1.1\r\nHost: localhost\r\n\r\n")
            read_until(c, b"\r\n\r\n")
        check(b"200" not in s.raw("GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"))
        for c in held:
            c.close()
        s.wait(open=0)
        time.sleep(0.5 * SLOW)
        check(s.get("/health")[0] == 200)
    with Server("max_connections=10") as s:
        held = [s.connect() for _ in range(30)]
        for c in held[:10]:
            c.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            check(read_all(c).endswith(b"ok"))
        for c in held:
            c.close()
        time.sleep(0.3 * SLOW)
        check(s.get("/health")[0] == 200)


def refused(*args):
    p = subprocess.run([TOOL, *args], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                       text=True, timeout=20 * SLOW)
    check(p.returncode == 1, args, p.returncode, p.stdout)
    return p.stdout


@test
def starting():
    with Server() as s:
        text = refused(f"port={s.port}")
        check("ERR_IO" in text and str(s.port) in text and "another program" in text, text)
    check("ERR_ARGUMENT" in refused("host=no.such.host.invalid"))
    check("ERR_IO" in refused("host=192.0.2.1"))
    check("ERR_ARGUMENT" in refused("max_header_bytes=10"))
    check("ERR_ARGUMENT" in refused("n_threads=1000"))
    check("ERR_ARGUMENT" in refused("tls_key=/dev/null"))
    check("ERR_ARGUMENT" in refused("key="))
    check("ERR_IO" in refused("tls_key=/no/such/file", "tls_cert=/no/such/file"))


class UnixHTTP(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=10 * SLOW)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


@test
def unix_sockets():
    folder = tempfile.mkdtemp()
    path = os.path.join(folder, "s")
    try:
        with Server("socket_path=" + path, "requests_per_second=1") as s:
            check(s.port == 0 and os.stat(path).st_mode & 0o777 == 0o600, oct(os.stat(path).st_mode))
            c = UnixHTTP(path)
            for _ in range(5):
                c.request("POST", "/describe", b"x", {"Host": "anything.example"})
                r = c.getresponse()
                check(r.status == 200 and json.loads(r.read())["client"] == "unix")
            c.close()
            check("another program" in refused("socket_path=" + path))
            check(os.path.exists(path))
            c = UnixHTTP(path)
            c.request("GET", "/never")
            s.wait(open=1)
            c.close()
            s.wait(open=0)
            s.ask("drain")
            check(not os.path.exists(path))
            s.ask("drain")
        with Server("socket_path=" + path, "socket_mode=432") as s:
            check(os.stat(path).st_mode & 0o777 == 0o660)
            s.process.kill()
            s.process.wait()
        check(False)
    except (BrokenPipeError, AssertionError):
        check(os.path.exists(path), "the socket should have been left behind")
    with Server("socket_path=" + path):  # replaces what was left
        pass
    check(not os.path.exists(path))
    with open(path, "w") as f:
        f.write("precious")
    check("no socket" in refused("socket_path=" + path) and open(path).read() == "precious")
    os.remove(path)
    os.symlink(os.path.join(folder, "elsewhere"), path)
    check("no socket" in refused("socket_path=" + path))
    check("ERR_ARGUMENT" in refused("socket_path=" + path + "x" * 200))
    check("ERR_IO" in refused("socket_path=" + folder + "/no/such/folder"))
    shutil.rmtree(folder)


@test
def tls():
    if not shutil.which("openssl"):
        print("  (without openssl there is no certificate)")
        return
    folder = tempfile.mkdtemp()
    key, cert = folder + "/key.pem", folder + "/cert.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                    "-keyout", key, "-out", cert, "-days", "2", "-subj", "/CN=localhost",
                    "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"], check=True, stderr=subprocess.DEVNULL)
    context = ssl.create_default_context(cafile=cert)
    with Server("tls_key=" + key, "tls_cert=" + cert, "request_seconds=2", "max_body_bytes=10000000") as s:
        c = http.client.HTTPSConnection("localhost", s.port, context=context, timeout=10 * SLOW)
        for n in (0, 10, 100000, 3000000):
            body = os.urandom(n)
            c.request("POST", "/echo", body)
            check(c.getresponse().read() == body, n)
            c.request("GET", "/stream?n=3&ms=20&bytes=4")
            check(c.getresponse().read() == b"data" * 3)
        for path in ("/never", "/silent", "/stream?n=1000&ms=20"):
            c.request("GET", path)
            s.wait(open=1)
            start = time.monotonic()
            c.close()
            c.sock and c.sock.close()
            s.wait(open=0) if path == "/silent" else None
            c = http.client.HTTPSConnection("localhost", s.port, context=context, timeout=10 * SLOW)
            s.wait(open=0)
            check(time.monotonic() - start < 1 * SLOW, path, time.monotonic() - start)
        c.request("POST", "/echo", b"x" * 11000000)
        check(c.getresponse().status == 413)
        c.close()
        check(b"200" not in s.raw("GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"))  # no TLS
        start = time.monotonic()
        s.raw(b"\x16\x03\x01")  # half a handshake
        check(time.monotonic() - start < 5 * SLOW)
        old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
        old.set_ciphers("ALL:@SECLEVEL=0")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
        try:
            with s.connect() as c:
                old.wrap_socket(c)
            check(False, "TLS 1.1 was taken")
        except (ssl.SSLError, ConnectionError, OSError):
            pass
    with open(key, "w") as f:
        f.write("no key")
    check("ERR_FORMAT" in refused("tls_key=" + key, "tls_cert=" + cert))
    shutil.rmtree(folder)


@test
def draining():
    with Server() as s:
        c = s.http()
        c.request("GET", "/stream?n=30&ms=20&bytes=4")
        r = c.getresponse()
        kept = s.http()
        kept.request("GET", "/health")
        kept.getresponse().read()
        s.ask("drain")
        try:
            s.connect(3).close()
            check(False, "a new connection was taken")
        except ConnectionRefusedError:
            pass
        kept.request("GET", "/health")
        check(kept.getresponse().read() == b"ok")
        check(r.read() == b"data" * 30)
        s.wait(open=0)


@test
def stopping():
    """In the middle of everything: what was ended arrives, the rest is gone."""
    for round in range(3):
        with Server("n_threads=2") as s:
            def start(text):
                c = s.connect()
                c.sendall(text)
                return c
            get = "GET {} HTTP/1.1\r\nHost: localhost\r\n\r\n"
            held = [start(get.format(p).encode()) for p in
                    ("/never", "/silent", "/stream?n=100000&ms=1", "/flood", "/late?ms=300", "/late?ms=300", "/late?ms=300",
                     "/late?ms=300") for _ in range(5)]
            held += [start(b"POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n" + b"x" * 70000)
                     for _ in range(5)]
            held += [start(b"GET /he") for _ in range(5)] + [s.connect() for _ in range(5)]
            big = start(b"POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9000000\r\n\r\n")
            if round == 0:
                time.sleep(0.5)
            else:
                time.sleep(0.02 * round)
        for c in held + [big]:
            c.close()


def main():
    names = sys.argv[2:]
    failed = []
    for t in tests:
        if names and t.__name__ not in names:
            continue
        start = time.monotonic()
        try:
            t()
            print(f"{t.__name__}: ok, {time.monotonic() - start:.1f} s", flush=True)
        except Exception as e:  # the others are of interest as well
            traceback.print_exc(file=sys.stdout)
            print(f"{t.__name__}: FAILED: {type(e).__name__}: {e}", flush=True)
            failed.append(t.__name__)
    if failed:
        print("failed:", *failed)
        sys.exit(1)


main()
