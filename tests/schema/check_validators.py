#!/usr/bin/env python3
"""Gives answers that schema_tool draws at random to independent validators: Ajv with ajv-formats, and
Python's jsonschema. Every answer has to be valid; and of JSON-Schema-Test-Suite no instance that is
marked invalid may be accepted.

  schemas   the lists *.json beside this script, each {"name", "schema"} and, where wanted, "refused":
            words of the message, "accepts" and "rejects": values, "draft7": true
  suite     JSON-Schema-Test-Suite, out of the source package of Python's jsonschema

Usage: check_validators.py SCHEMA_TOOL FOLDER     FOLDER: for what is fetched
Exit 0: all valid, 1: a line for each that is not, 77: no validator can be had

SPDX-License-Identifier: MIT
"""
import collections
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile
import warnings

warnings.simplefilter("ignore")
HERE = pathlib.Path(__file__).parent
N_ANSWERS = 20
SOURCE_OF_SUITE = "jsonschema==4.26.0"
DRAFTS = ["draft2020-12", "draft7"]
NOTES = ["draft7/optional/content.json"]  # tests that contentEncoding is more than a note

Case = collections.namedtuple("Case", "name schema draft7 rejects accepts refused")


# ---- what is fetched ----------------------------------------------------------------------------

def run_quietly(command, seconds=240, **more):
    try:
        return subprocess.run(command, capture_output=True, timeout=seconds, **more).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def find_ajv(folder):
    """The folder with the packages, or None."""
    npm = folder / "npm"
    if not shutil.which("node"):
        return None
    if not (npm / "node_modules/ajv-formats").is_dir():
        npm.mkdir(parents=True, exist_ok=True)
        (npm / "package.json").write_text('{"private": true}')
        if not shutil.which("npm") or not run_quietly(
                ["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "ajv@8",
                 "ajv-formats@3"], cwd=npm):
            return None
    return npm


def find_jsonschema():
    try:
        import jsonschema
        return jsonschema
    except ImportError:
        return None


def find_suite(folder):
    """The suite's folder tests/, or None."""
    place = folder / "schema_suite"
    found = list(place.glob("*/json/tests"))
    if found:
        return found[0]
    place.mkdir(parents=True, exist_ok=True)
    run_quietly([sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary",
                 ":all:", "--dest", str(place), SOURCE_OF_SUITE])
    for package in place.glob("*.tar.gz"):
        with tarfile.open(package) as tar:
            members = [m for m in tar.getmembers() if "/json/tests/" in m.name and m.isfile()]
            tar.extractall(place, members, filter="data")
    found = list(place.glob("*/json/tests"))
    return found[0] if found else None


# ---- cases --------------------------------------------------------------------------------------

def own_cases():
    for path in sorted(HERE.glob("*.json")):
        for entry in json.loads(path.read_text(encoding="utf-8")):
            yield Case(f"{path.stem}: {entry['name']}", entry["schema"], entry.get("draft7", False),
                       entry.get("rejects", []), entry.get("accepts", []), entry.get("refused"))


def suite_cases(tests):
    for draft in DRAFTS:
        for path in sorted((tests / draft).rglob("*.json")):
            if path.relative_to(tests).as_posix() in NOTES:
                continue
            for group in json.loads(path.read_text(encoding="utf-8")):
                rejects = [t["data"] for t in group["tests"] if not t["valid"]]
                accepts = [t["data"] for t in group["tests"] if t["valid"]]
                yield Case(f"{draft}/{path.stem}: {group['description']}", group["schema"],
                           draft == "draft7", rejects, accepts, None)


def compact(value):
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def is_text(value):
    """Without halves of surrogate pairs, which are no UTF-8."""
    try:
        compact(value).encode()
        return True
    except UnicodeEncodeError:
        return False


# ---- the program and the validators -------------------------------------------------------------

def exchange(command, requests):
    lines = "".join(json.dumps(r) + "\n" for r in requests)
    done = subprocess.run(command, input=lines, capture_output=True, text=True, encoding="utf-8",
                          timeout=600)
    if done.returncode != 0:
        sys.exit(f"{command[0]} failed: {done.stderr[-2000:]}")
    return [json.loads(line) for line in done.stdout.split("\n") if line]


def judge_by_ajv(npm, cases, answers):
    requests = [{"schema": c.schema, "draft7": c.draft7, "answers": a}
                for c, a in zip(cases, answers)]
    return [reply.get("valid") for reply in
            exchange(["node", str(HERE / "ajv_check.cjs"), str(npm)], requests)]


def judge_by_python(jsonschema, cases, answers):
    """Not where patterns are: Python's are no ECMA-262; nor of nullable, which is OpenAPI's."""
    for case, texts in zip(cases, answers):
        if re.search(r'"(pattern|nullable)"', json.dumps(case.schema)):
            yield None
            continue
        kind = jsonschema.Draft7Validator if case.draft7 else jsonschema.Draft202012Validator
        validator = kind(case.schema, format_checker=kind.FORMAT_CHECKER)
        try:
            yield [validator.is_valid(json.loads(text)) for text in texts]
        except Exception:  # a reference that it cannot follow: it does not judge
            yield None


# ---- the comparison -----------------------------------------------------------------------------

def reason(message):
    """A message without places and names, so that like ones count together."""
    message = re.sub(r'^#[^ ]*: ', "", message)
    return re.sub(r"(to|nothing:|format\") [^ ]+( is not supported)?$", r"\1 ...", message)[:90]


def ask_tool(tool, cases):
    requests = [{"schema": json.dumps(c.schema, ensure_ascii=False), "seed": i + 1,
                 "n": N_ANSWERS, "texts": [compact(v) for v in c.rejects + c.accepts]}
                for i, c in enumerate(cases)]
    return exchange([tool], requests)


class Report:
    def __init__(self):
        self.bad, self.refused = [], collections.Counter()
        self.counts = collections.Counter()

    def look(self, case, reply):
        """Whether the schema is understood."""
        self.counts["schemas"] += 1
        if "refused" in reply:
            self.refused[reason(reply["refused"])] += 1
            if case.refused is not None:
                if case.refused not in reply["refused"]:
                    self.bad.append(f"{case.name}: refused with other words: {reply['refused']}")
            elif case.accepts and not case.name.startswith("draft"):
                self.bad.append(f"{case.name}: refused: {reply['refused']}")
            return False
        self.counts["understood"] += 1
        if case.refused is not None:
            self.bad.append(f"{case.name}: not refused")
        n = len(case.rejects)
        for value, accepted in zip(case.rejects, reply["accepted"]):
            self.counts["invalid instances"] += 1
            if accepted:
                self.bad.append(f"{case.name}: accepts {compact(value)}")
        for value, accepted in zip(case.accepts, reply["accepted"][n:]):
            self.counts["valid instances"] += 1
            self.counts["valid instances accepted"] += accepted
            if not accepted and not case.name.startswith("draft"):
                self.bad.append(f"{case.name}: rejects {compact(value)}")
        if None in reply["answers"]:
            self.bad.append(f"{case.name}: a walk did not come to an end")
        return True

    def judge(self, who, case, texts, verdict):
        if verdict is None:
            self.counts[f"schemas that {who} does not judge"] += 1
            return
        self.counts[f"answers judged by {who}"] += len(texts)
        for text, valid in zip(texts, verdict):
            if not valid:
                self.bad.append(f"{case.name}: {who} rejects {text!r}, schema "
                                f"{json.dumps(case.schema)[:300]}")


def check(tool, cases, npm, jsonschema, report):
    cases = [c._replace(rejects=[v for v in c.rejects if is_text(v)],
                        accepts=[v for v in c.accepts if is_text(v)])
             for c in cases if is_text(c.schema)]
    replies = ask_tool(tool, cases)
    understood = [(c, [t for t in r["answers"] if t is not None])
                  for c, r in zip(cases, replies) if report.look(c, r)]
    cases, answers = [c for c, _ in understood], [a for _, a in understood]
    verdicts = {}
    if npm:
        verdicts["Ajv"] = judge_by_ajv(npm, cases, answers)
    if jsonschema:
        verdicts["jsonschema"] = list(judge_by_python(jsonschema, cases, answers))
    for who, verdict in verdicts.items():
        for case, texts, valid in zip(cases, answers, verdict):
            report.judge(who, case, texts, valid)


def main():
    tool, folder = sys.argv[1], pathlib.Path(sys.argv[2])
    npm, jsonschema, suite = find_ajv(folder), find_jsonschema(), find_suite(folder)
    if not npm and not jsonschema:
        print("skipped: neither Ajv (npm) nor Python's jsonschema can be had")
        return 77
    failed = False
    for name, cases in (("own", own_cases()), ("suite", suite_cases(suite) if suite else [])):
        report = Report()
        check(tool, list(cases), npm, jsonschema, report)
        print(f"{name}: " + ", ".join(f"{n} {what}" for what, n in report.counts.items()))
        for why, n in report.refused.most_common():
            print(f"  refused {n}: {why}")
        for line in report.bad[:100]:
            print(f"BAD {line}")
        print(f"{name}: {len(report.bad)} bad")
        failed |= bool(report.bad)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
