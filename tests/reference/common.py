"""What the comparisons with transformers share: where programs are, and the list of results.

SPDX-License-Identifier: MIT
"""
import os
import subprocess
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("PERIDOT_BUILD", os.path.join(ROOT, "build", "dev"))
PERIDOT = os.path.join(BUILD, "peridot")
TOOL = os.path.join(BUILD, "tests", "reference_tool")


class Failed(Exception):
    """A program of ours that ended with an error; its sentence."""


def run(command, **options):
    """Runs a program and returns its standard output as text."""
    result = subprocess.run([str(c) for c in command], capture_output=True, text=True,
                            timeout=600, **options)
    if result.returncode != 0:
        lines = result.stderr.strip().splitlines() or ["no message"]
        raise Failed(f"{' '.join(map(str, command[:2]))}: exit code {result.returncode}, {lines[-1]}")
    return result.stdout


def peridot(*arguments):
    """Runs the program itself."""
    return run([PERIDOT, *arguments])


def tool(command, *arguments, lines):
    """Runs a command of reference_tool on lines of work and returns its lines."""
    return run([TOOL, command, *arguments], input="".join(line + "\n" for line in lines)).splitlines()


class Report:
    """PASS, FAIL and SKIP lines as they come, and their count at the end."""

    def __init__(self):
        self.counts = {"PASS": 0, "FAIL": 0, "SKIP": 0}
        self.failures = []
        self.start = time.time()

    def line(self, kind, name, detail):
        """One result. `detail` has the numbers."""
        self.counts[kind] += 1
        if kind == "FAIL":
            self.failures.append(f"{name}: {detail}")
        print(f"{kind}  {name}: {detail}", flush=True)

    def check(self, ok, name, detail):
        """A comparison that came out well or not."""
        self.line("PASS" if ok else "FAIL", name, detail)

    def skip(self, name, reason):
        """A comparison that cannot be made here."""
        self.line("SKIP", name, reason)

    def attempt(self, name, function, *arguments):
        """Calls a function; what it raises is a failure of that name."""
        try:
            return function(*arguments)
        except Exception as error:  # one broken case must not hide the others
            self.line("FAIL", name, f"{type(error).__name__}: {str(error).splitlines()[0]}")
            return None

    def finish(self):
        """The summary; the program's exit code."""
        print(f"\n{self.counts['PASS']} passed, {self.counts['FAIL']} failed, "
              f"{self.counts['SKIP']} skipped in {time.time() - self.start:.0f} s")
        for failure in self.failures:
            print("failed:", failure)
        return 1 if self.failures else 0
