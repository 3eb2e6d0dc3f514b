"""Starts `peridot serve`, asks it, and stops it: what the tests of tests/server have in common.

    with serve.start(PROGRAM, "--device", "cpu") as server:
        server.ok("/v1/completions", {"prompt": "Hello", "max_tokens": 4})

`test` and `run` make a small runner of functions: each gets a running server, a failure is told with what the
server wrote meanwhile, and the others go on. A server has to end on SIGTERM with exit code 0, or that is a
failure of its own.

SPDX-License-Identifier: MIT
"""
import base64
import contextlib
import http.client
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import types

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
PATIENCE = float(os.environ.get("PERIDOT_TEST_PATIENCE", "1"))  # sanitizers make all of it slower
DEVICE = os.environ.get("PERIDOT_TEST_DEVICE", "cpu")  # to serve on, and to compare with
LISTENING = re.compile(r"peridot: listening on (\S+)")
SECONDS = 120  # that one answer may take


def check(good, *words):
    if not good:
        raise AssertionError(" ".join(str(w) for w in words))


def same(found, expected, what=""):
    check(found == expected, what, "expected", repr(expected)[:600], "found", repr(found)[:600])


def environment(**more):
    """This one's without what would change a server, and with no cache of the user's."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("PERIDOT_") or k == "PERIDOT_CACHE_DIR"}
    return {**kept, **more}


def has_toy(program):
    return os.path.exists(os.path.join(os.path.dirname(program), "share/peridot"))


def golden(name):
    return os.path.join(ROOT, "tests/data/golden", name)


def sample(name):
    return os.path.join(ROOT, "samples", name)


def data_url(path, kind="image/png"):
    with open(path, "rb") as f:
        return f"data:{kind};base64,{base64.b64encode(f.read()).decode()}"


# ---- one connection -----------------------------------------------------------------------------


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout):
        super().__init__("localhost", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def body_of(body):
    """(bytes, what headers it needs); anything but bytes and text is sent as JSON."""
    if body is None or isinstance(body, bytes):
        return body, {"Content-Type": "application/json"} if body else {}
    return json.dumps(body).encode(), {"Content-Type": "application/json"}


def read_events(response):
    """The data of Server-Sent Events as they come; comments are passed over."""
    data = []
    for line in response:
        line = line.rstrip(b"\r\n")
        if line.startswith(b"data:"):
            data.append(line[5:].removeprefix(b" "))
        elif not line and data:
            yield b"\n".join(data).decode()
            data = []
    check(not data, "the stream ends within an event:", data)


def metrics_of(text):
    """{name with labels: value} of Prometheus' text."""
    found = {}
    for line in text.splitlines():
        if line and not line.startswith("#"):
            name, value = line.rsplit(" ", 1)
            found[name] = float(value)
    return found


# ---- a server -----------------------------------------------------------------------------------


class Server:
    """What a running one is asked through. `address` is a (host, port), or a path of a socket."""

    def __init__(self, address, process=None, log=None, context=None):
        self.address, self.process, self.log, self.context = address, process, log, context
        self.key = None

    def connect(self, timeout=SECONDS):
        timeout *= PATIENCE
        if isinstance(self.address, str):
            return UnixConnection(self.address, timeout)
        if self.context:
            return http.client.HTTPSConnection(*self.address, timeout=timeout, context=self.context)
        return http.client.HTTPConnection(*self.address, timeout=timeout)

    def socket(self, timeout=SECONDS):
        s = socket.create_connection(self.address, timeout * PATIENCE)
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return s

    def url(self, path=""):
        return f"http{'s' if self.context else ''}://{self.address[0]}:{self.address[1]}{path}"

    def headers(self, more):
        return {**({"Authorization": f"Bearer {self.key}"} if self.key else {}), **(more or {})}

    def send(self, path, body=None, method=None, headers=None, timeout=SECONDS):
        """The connection, and the response without its body."""
        data, kind = body_of(body)
        connection = self.connect(timeout)
        connection.request(method or ("GET" if body is None else "POST"), path, data,
                           {**kind, **self.headers(headers)})
        return connection, connection.getresponse()

    def ask(self, path, body=None, method=None, headers=None, timeout=SECONDS):
        """status, headers, data and json of an answer."""
        connection, response = self.send(path, body, method, headers, timeout)
        with contextlib.closing(connection):
            data = response.read()
        found = types.SimpleNamespace(status=response.status, headers=response.headers, data=data, json=None)
        if (response.headers.get("Content-Type") or "").startswith("application/json"):
            found.json = json.loads(data)
        return found

    def ok(self, path, body=None, **more):
        """The JSON of an answer that has to be one."""
        answer = self.ask(path, body, **more)
        check(answer.status == 200, path, "answers", answer.status, answer.data[:500])
        check(answer.json is not None, path, "is no JSON:", answer.headers, answer.data[:200])
        return answer.json

    def refused(self, path, body, status=400, **more):
        """The error of an answer that has to be one of OpenAI's form."""
        answer = self.ask(path, body, **more)
        check(answer.status == status, path, f"should answer {status}, answers", answer.status, answer.data[:500],
              "to", repr(body)[:300])
        return error_of(answer)

    def events(self, path, body, timeout=SECONDS):
        """The data of each event, as it comes."""
        connection, response = self.send(path, body, timeout=timeout)
        with contextlib.closing(connection):
            if response.status != 200:
                raise AssertionError(f"{path} answers {response.status} {response.read()[:500]}")
            kind = response.headers["Content-Type"]
            check(kind.startswith("text/event-stream"), path, "streams as", kind)
            yield from read_events(response)

    def stream(self, path, body, timeout=SECONDS):
        """The events in between, which end with [DONE], parsed."""
        found = list(self.events(path, {**body, "stream": True}, timeout))
        check(found and found[-1] == "[DONE]", path, "does not end with [DONE]:", found[-2:])
        return [json.loads(event) for event in found[:-1]]

    def metrics(self):
        answer = self.ask("/metrics")
        check(answer.status == 200, "/metrics answers", answer.status)
        return metrics_of(answer.data.decode())

    def wait_idle(self, seconds=10):
        """Until nothing runs or waits; the metrics then."""
        end = time.monotonic() + seconds * PATIENCE
        while True:
            found = self.metrics()
            if not found["peridot:requests_processing"] and not found["peridot:requests_deferred"]:
                return found
            check(time.monotonic() < end, "still at work:", found)
            time.sleep(0.05)

    def clear(self, seconds=5):
        """Has it forget what is kept, after which no page may be in use."""
        self.ok("/cache/clear", {})
        end = time.monotonic() + seconds * PATIENCE
        while True:  # it is done between two steps
            found = self.metrics()
            used = {
                n: v
                for n, v in found.items()
                if v and n.startswith(("peridot:kv_pages_used", "peridot:sequences_kept"))
            }
            if not used:
                return found
            check(time.monotonic() < end, "cleared, and still in use:", used)
            time.sleep(0.02)

    def text(self):
        """What it has written to standard error."""
        with open(self.log, encoding="utf-8", errors="replace") as f:
            return f.read()

    def alive(self):
        return self.process.poll() is None


def error_of(answer):
    check(answer.json is not None, "an error without JSON:", answer.status, answer.headers, answer.data[:300])
    same(answer.json.pop("type", "error"), "error", "an error's type:")  # of those before a request is read
    same(list(answer.json), ["error"], "an error's fields:")
    error = answer.json["error"]
    same(set(error), {"message", "type", "param", "code"}, "an error's fields:")
    check(isinstance(error["message"], str) and error["message"], "an error without a sentence:", error)
    check(isinstance(error["type"], str), "an error without a type:", error)
    for name in ("param", "code"):
        check(error[name] is None or isinstance(error[name], (str, int)), name, "of an error:", error)
    return error


def wait_listening(process, path, seconds):
    """The address it says; an AssertionError with its log when it says none."""
    end = time.monotonic() + seconds * PATIENCE
    while True:
        with open(path, encoding="utf-8", errors="replace") as f:
            text = f.read()
        found = LISTENING.search(text)
        if found:
            return found[1]
        check(process.poll() is None, "the server ended with", process.returncode, text[-2000:])
        check(time.monotonic() < end, "the server does not listen:", text[-2000:])
        time.sleep(0.02)


def address_of(url):
    found = re.match(r"https?://\[?([^\]/]+?)\]?:(\d+)/?$", url)
    return (found[1], int(found[2])) if found else url.removeprefix("unix:")


def spawn(program, arguments, env, log):
    """Starts it in a folder of no meaning, so that nothing depends on where."""
    place = [] if "--socket" in arguments else ["--host", "127.0.0.1", "--port", "0"]
    command = [os.path.abspath(program), "serve", *place, *map(str, arguments)]
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment(**(env or {})),
                            cwd=os.path.dirname(log.name))


def stop(process, seconds=30):
    """Its exit code after SIGTERM; -9 if it had to be killed."""
    process.terminate()
    try:
        return process.wait(seconds * PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


@contextlib.contextmanager
def start(program, *arguments, env=None, seconds=120, context=None, code=0):
    """A server of its own; `code`: how it has to have ended. Its log is told when something fails."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "log")
        with open(path, "w", encoding="utf-8") as log:
            process = spawn(program, arguments, env, log)
        server = Server(None, process, path, context)
        try:
            server.address = address_of(wait_listening(process, path, seconds))
            yield server
            ended = stop(process)
            check(ended == code, "the server ended with", ended, "instead of", code)
        except BaseException:
            if process.poll() is None:
                stop(process, 5)
            print(f"---- the server's log (exit code {process.returncode}):\n{server.text()[-4000:]}\n----",
                  flush=True)
            raise


# ---- the program beside it ----------------------------------------------------------------------


def peridot(program, *arguments, text=None):
    """What a command prints."""
    done = subprocess.run([program, *map(str, arguments)], input=text, capture_output=True, text=True,
                          env=environment(), check=False)
    check(done.returncode == 0, "peridot", *arguments, "ended with", done.returncode, done.stderr[-500:])
    return done.stdout


def run_json(program, *arguments):
    return json.loads(peridot(program, "run", "--json", "--quiet", "--device", DEVICE, *arguments))


# ---- a runner -----------------------------------------------------------------------------------

tests = []


def test(function):
    tests.append(function)
    return function


def attempt(function, *arguments):
    """Whether it passed; it tells."""
    began = time.monotonic()
    try:
        words = function(*arguments)
    except Exception as error:  # pylint: disable=broad-except
        kind = "" if isinstance(error, AssertionError) else traceback.format_exc()
        print(f"FAILED {function.__name__}: {error}\n{kind}", flush=True)
        return False
    print(f"ok     {function.__name__} ({time.monotonic() - began:.1f} s){': ' + words if words else ''}", flush=True)
    return True


def finish(failed):
    print(f"{len(failed)} of the tests failed: {', '.join(failed)}" if failed else "all passed")
    sys.exit(1 if failed else 0)


def run(with_server, names=(), chosen=None):
    """Calls every test, or those that are named, with `with_server()`'s server."""
    chosen = [t for t in (chosen or tests) if not names or t.__name__ in names]
    check(chosen, "there is no test of that name")
    failed = []
    try:
        with with_server() as server:
            for function in chosen:
                began = len(server.text())
                if not attempt(function, server):
                    failed.append(function.__name__)
                    print("---- the server's log of it:\n" + server.text()[began:][-2000:] + "\n----")
                if not server.alive():
                    raise AssertionError(f"the server died in {function.__name__}")
    except AssertionError as error:
        print(f"FAILED the server: {error}")
        failed.append("the server")
    finish(failed)


def together(functions):
    """Calls all at once, each in a thread; their results, or the first exception."""
    results, errors = [None] * len(functions), []

    def call(i):
        try:
            results[i] = functions[i]()
        except BaseException as error:  # pylint: disable=broad-except
            errors.append(error)

    threads = [threading.Thread(target=call, args=(i,)) for i in range(len(functions))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return results


def skip(words):
    print(f"skipped: {words}")
    sys.exit(77)
