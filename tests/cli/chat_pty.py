"""A `peridot chat` on a terminal of its own, for the tests of it: chat_terminal.py, chat_files.py.

Their usage: PERIDOT MODEL SLOW_MODEL FOLDER EDITOR     EDITOR: libedit or plain
They print a line for each thing that is not as it should be, and exit with 1 if there is any.

SPDX-License-Identifier: MIT
"""
import os
import pty
import re
import select
import signal
import sys
import time

PERIDOT, MODEL, SLOW, FOLDER, EDITOR = sys.argv[1:]
LIBEDIT = EDITOR == "libedit"
TIMEOUT = 60
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]|\x1b[()][A-Z0-9]|[\r\x07\x0f\x00]")
NO_END = ["-l", "1-inf", "-l", "106-inf"]
SHORT = ["-n", "12", "--temp", "1", "--seed", "5", "--timings", *NO_END]
failures = 0


def fail(text):
    global failures
    failures += 1
    print(f"FAILED: {text}", file=sys.stderr)


class Chat:
    """A chat on a terminal of its own; out: a descriptor for its standard output instead."""

    def __init__(self, *arguments, model=MODEL, term=None, out=None, **environment):
        self.name = " ".join(arguments) or "chat"
        self.seen, self.at, self.raw = "", 0, b""
        variables = dict(os.environ, TERM=term or ("xterm" if LIBEDIT else "dumb"), LANG="C.UTF-8",
                         XDG_STATE_HOME=os.path.join(FOLDER, "state"), HOME=FOLDER, **environment)
        variables.pop("NO_COLOR", None) if "NO_COLOR" not in environment else None
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            if out is not None:
                os.dup2(out, 1)
            os.execve(PERIDOT, [PERIDOT, "chat", "-m", model, "--device", "cpu", *arguments], variables)
        self.expect("you> ")

    def type(self, text):
        os.write(self.fd, text.encode())

    def line(self, text):
        """A message or command, and Enter; what is shown up to the next prompt."""
        before = self.at
        self.type(text + "\r")
        self.expect(r"\nyou> ")
        return self.seen[before:self.at]

    def read(self, seconds):
        """False: the other end is closed."""
        if not select.select([self.fd], [], [], seconds)[0]:
            return True
        try:
            piece = os.read(self.fd, 65536)
        except OSError:
            return False
        self.raw += piece
        self.seen = ESCAPES.sub("", self.raw.decode(errors="replace"))
        return bool(piece)

    def read_rest(self):
        """What is there already."""
        while self.fd >= 0 and select.select([self.fd], [], [], 0)[0] and self.read(0):
            pass

    def expect(self, pattern):
        """Reads until the pattern comes behind what was expected before; the match, or None."""
        end = time.monotonic() + TIMEOUT
        while True:
            match = re.compile(pattern, re.DOTALL).search(self.seen, self.at)
            if match:
                self.at = match.end()
                return match
            if time.monotonic() > end or not self.read(0.1):
                match = re.compile(pattern, re.DOTALL).search(self.seen, self.at)
                if not match:
                    fail(f"{self.name}: no {pattern!r} in {self.seen[self.at:][-1500:]!r}")
                return match

    def end(self, expected=0):
        """Waits for the program's end: its exit code, or minus a signal's number."""
        deadline = time.monotonic() + TIMEOUT
        while time.monotonic() < deadline:
            done, status = os.waitpid(self.pid, os.WNOHANG)
            if done:
                self.read_rest()
                code = os.waitstatus_to_exitcode(status)
                if expected is not None and code != expected:
                    fail(f"{self.name}: ended with {code} instead of {expected}: {self.seen[-500:]!r}")
                return code
            if self.fd >= 0:
                self.read(0.05)
            else:
                time.sleep(0.05)
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        fail(f"{self.name}: did not end")
        return None

    def quit(self):
        self.type("/quit\r")
        return self.end()


def check(good, what, text=""):
    if not good:
        fail(f"{what}: {text[-1500:]!r}" if text else what)


def says(chat, line, pattern):
    text = chat.line(line)
    check(re.search(pattern, text, re.DOTALL), f"{line!r} does not say {pattern!r}", text)
    return text


def shown(text):
    """The answer."""
    match = re.search(r"model> (.*)\nprompt \d", text, re.DOTALL)
    return match.group(1) if match else ""


def figures(text):
    """Prompt, reused and answer of --timings."""
    m = re.search(r"prompt (\d+) tokens?, (\d+) reused, (\d+) computed .* answer (\d+) tokens?", text)
    if not m:
        fail(f"no figures in {text[-500:]!r}")
        return 0, 0, 0
    prompt, reused, computed, answer = map(int, m.groups())
    check(prompt == reused + computed, f"figures that do not add up: {m.group(0)}")
    return prompt, reused, answer


def run(tests):
    """All of them, or those that CHAT_TEST names; the exit code."""
    only = os.environ.get("CHAT_TEST")
    for test in tests:
        if not only or test.__name__ in only.split(","):
            before, start = failures, time.monotonic()
            test()
            print(f"{test.__name__} {time.monotonic() - start:.1f} s{' FAILED' if failures > before else ''}")
    return 1 if failures else 0


def tests_of(module):
    """Its functions of that name."""
    return [f for name, f in sorted(module.items()) if name.startswith("test_")]
