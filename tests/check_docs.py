#!/usr/bin/env python3
"""Checks that README.md, CONTRIBUTING.md, docs/*.md and src/README.md tell the truth about what can
be looked up:

  links      every relative link leads to a file, and to a heading of it where it names one
  flags      every command and flag in a `peridot COMMAND --flag` exists, by `peridot COMMAND --help`; a
             flag alone is some command's, or of a script in tools/
  variables  every PERIDOT_* that the pages name occurs in the sources, and every one that the sources
             read from the environment is in docs/environment.md
  features   docs/environment.md has a row for every word of PERIDOT_DISABLE, and no other
  files      every source file that they name exists, by its name without the folder
  pictures   tools/plots.py makes the committed SVGs
  front      README.md has no line of more than 110 characters

Usage: check_docs.py ROOT PERIDOT     exit 0: all true, 1: one line for each thing that is not
It first proves on broken copies that it can fail.

SPDX-License-Identifier: MIT
"""
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

FRONT_WIDTH = 110
VARIABLE = re.compile(r"PERIDOT_[A-Z][A-Z_]*[A-Z]")


def pages(root):
    found = [root / "README.md", root / "CONTRIBUTING.md", root / "src/README.md"]
    found += sorted((root / "docs").glob("*.md"))
    return {page: page.read_text(encoding="utf-8") for page in found}


def fences(text):
    """The text without its code blocks, and the lines of the blocks."""
    prose, code, inside = [], [], False
    for line in text.splitlines():
        if line.startswith("```"):
            inside = not inside
        else:
            (code if inside else prose).append(line)
    return "\n".join(prose), code


# ---- links --------------------------------------------------------------------------------------

def anchors(path):
    """As GitHub makes them of headings."""
    prose, _ = fences(path.read_text(encoding="utf-8"))
    for heading in re.findall(r"^#+ +(.*)$", prose, re.M):
        yield re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def check_links(root, texts):
    for page, text in texts.items():
        prose, _ = fences(text)
        for target in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`\n]*`", "", prose)):
            if re.match(r"[a-z]+:", target):
                continue
            name, _, anchor = target.partition("#")
            path = (page.parent / name).resolve() if name else page
            if not path.exists():
                yield f"{page.relative_to(root)}: {target} leads nowhere"
            elif anchor and anchor not in anchors(path):
                yield f"{page.relative_to(root)}: {target}: there is no such heading"


# ---- commands and flags -------------------------------------------------------------------------

COMMAND_LINE = re.compile(r"\s*(?:\$ |eval )?(?:\S*=\S* |/usr/bin/time -v )*(?:\S*/)?peridot(?: (.*))?$")


def command_lines(text):
    """The words behind each `peridot` that is a command line or a span of code."""
    prose, code = fences(text)
    spans = [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", prose)]
    for line in code + spans:
        line = re.sub(r"\"[^\"]*\"|'[^']*'", "TEXT", line)
        for part in re.split(r"&&|\|(?!\d)|;|#|\$\(", line):
            match = COMMAND_LINE.match(part)
            if match and match.group(1):
                yield match.group(1).split()


class Program:
    def __init__(self, path):
        self.path, self.helps = path, {}

    def help_of(self, command):
        if command not in self.helps:
            asked = [self.path, "--help"] if command is None else [self.path, command, "--help"]
            done = subprocess.run(asked, capture_output=True, text=True, check=False)
            self.helps[command] = done.stdout if done.returncode == 0 else None
        return self.helps[command]

    def has(self, command):
        return re.fullmatch(r"[a-z][a-z-]*", command) is not None and self.help_of(command) is not None

    def flags_of(self, command):
        # the heads of the lines: what they say may name flags of other commands
        heads = re.findall(r"^ {2,6}(-[^ ,]+(?:, -[^ ,]+)*)", self.help_of(command), re.M)
        return {flag for head in heads for flag in head.split(", ")}


def check_flags(root, texts, program):
    for page, text in texts.items():
        where = page.relative_to(root)
        for words in command_lines(text):
            command, flags = words[0], words[1:]
            if command.startswith("-"):  # peridot --help, or as llama-cli
                if command in program.flags_of(None):
                    continue
                command, flags = "run", words
            elif command != "COMMAND" and not program.has(command):
                yield f"{where}: peridot {command} is no command"
                continue
            known = {"--help", "--flag"} if command == "COMMAND" else program.flags_of(command)
            for flag in flags:
                name = flag.rstrip(").,")
                if re.match(r"--?[a-zA-Z]", name) and name not in known:
                    yield f"{where}: peridot {command} has no {name}"


def check_lone_flags(root, texts, program):
    """Flags without a command: some command or script of tools/ must have them, or pass them over."""
    commands = re.findall(r"^  ([a-z][a-z-]+)  ", program.help_of(None), re.M)
    known = set().union(*(program.flags_of(command) for command in [None, *commands]))
    for path in [*(root / "tools").glob("*.sh"), root / "tools/plots.py", *(root / "src").rglob("habits.c")]:
        known |= set(re.findall(r"--[a-z][a-z-]*", path.read_text(encoding="utf-8")))
    for page, text in texts.items():
        prose, _ = fences(text)
        for flag in re.findall(r"`(--[a-z][a-z-]*)", prose):
            if flag not in known:
                yield f"{page.relative_to(root)}: nothing has {flag}"


# ---- environment variables ----------------------------------------------------------------------

def source_texts(root):
    for folder in ("src", "include", "shaders", "tests", "tools", "third_party"):
        for path in sorted((root / folder).rglob("*")):
            kind = path.suffix in (".c", ".h", ".sh", ".py", ".txt", ".cmake", ".in", ".mjs")
            if kind and path.is_file() and path.name != "check_docs.py":
                yield path, path.read_text(encoding="utf-8", errors="replace")
    for name in ("CMakeLists.txt", "CMakePresets.json"):
        yield root / name, (root / name).read_text(encoding="utf-8")


def check_variables(root, texts):
    known, read = set(), set()
    for path, text in source_texts(root):
        known |= set(VARIABLE.findall(text))
        if path.suffix in (".c", ".h"):
            read |= set(re.findall(r'getenv\("(PERIDOT_\w+)"\)', text))
            # by way of a table or a function's argument: in src a whole string is a variable's name
            if path.is_relative_to(root / "src"):
                read |= set(re.findall(r'"(PERIDOT_[A-Z_]+)"', text))
    for page, text in texts.items():
        for name in sorted(set(VARIABLE.findall(text)) - known):
            yield f"{page.relative_to(root)}: {name} is nowhere in the sources"
    listed = set(VARIABLE.findall(texts.get(root / "docs/environment.md", "")))
    for name in sorted(read - listed):
        yield f"docs/environment.md: {name} is missing"


def check_features(root, texts):
    source = (root / "src/backend/vulkan/device/features.h").read_text()
    words = set(re.findall(r'^ *X\(\w+, \w+, "([\w-]+)"', source, re.MULTILINE))
    table = texts[root / "docs/environment.md"].split("Names for `PERIDOT_DISABLE`", 1)[-1]
    rows = set(re.findall(r"^\| `([a-z0-9-]+)` \|", table, re.MULTILINE))
    for word in sorted(words ^ rows):
        yield f"docs/environment.md: PERIDOT_DISABLE's {word} is " + ("missing" if word in words else "unknown")


# ---- files --------------------------------------------------------------------------------------

def check_files(root, texts):
    """By their last name: files move between folders more often than they are renamed."""
    names = {path.name for folder in ("src", "include", "shaders", "tests", "tools", "third_party")
             for path in (root / folder).rglob("*")} | {"fuzz_ENTRY.c"}
    for page, text in texts.items():
        prose, _ = fences(text)
        for span in re.findall(r"`([\w./-]+\.(?:[ch]|comp|glsl|sh|py))`", prose):
            if span.rsplit("/", 1)[-1] not in names:
                yield f"{page.relative_to(root)}: there is no {span}"


# ---- pictures and the front page ----------------------------------------------------------------

def check_pictures(root):
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, root / "tools/plots.py", "--into", folder]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            yield f"tools/plots.py: {(done.stderr.strip() or 'failed').splitlines()[-1]}"
            return
        made = {path.name: path.read_bytes() for path in pathlib.Path(folder).glob("*.svg")}
    kept = {path.name: path.read_bytes() for path in (root / "docs").glob("*.svg")}
    for name in sorted(made.keys() | kept.keys()):
        if made.get(name) != kept.get(name):
            yield f"docs/{name} is not what tools/plots.py makes"


def check_front(root, texts):
    for n, line in enumerate(texts[root / "README.md"].splitlines(), 1):
        if len(line) > FRONT_WIDTH:
            yield f"README.md:{n}: a line of {len(line)} characters"


def check_tree(root, program):
    texts = pages(root)
    yield from check_links(root, texts)
    yield from check_flags(root, texts, program)
    yield from check_lone_flags(root, texts, program)
    yield from check_variables(root, texts)
    yield from check_features(root, texts)
    yield from check_files(root, texts)
    yield from check_pictures(root)
    yield from check_front(root, texts)


# ---- the proof that it can fail -----------------------------------------------------------------

BREAKS = [  # file, what is added at its end, what must be said of it
    ("README.md", "[x](docs/absent.md)", "leads nowhere"),
    ("docs/images.md", "[x](commands.md#absent)", "no such heading"),
    ("docs/commands.md", "`peridot run --absent`", "peridot run has no --absent"),
    ("docs/commands.md", "```sh\nA=1 build/peridot bench -m M -zz | cat\n```", "peridot bench has no -zz"),
    ("docs/commands.md", "`peridot list --device cpu`", "peridot list has no --device"),
    ("docs/commands.md", "`peridot absent`", "peridot absent is no command"),
    ("docs/images.md", "`--absent`", "nothing has --absent"),
    ("docs/testing.md", "PERIDOT_ABSENT", "PERIDOT_ABSENT is nowhere"),
    ("src/base/file.c", 'char *a(void) { return getenv("PERIDOT_ABSENT"); }', "PERIDOT_ABSENT is missing"),
    ("src/options/options.c", 'static const char *a = "PERIDOT_ABSENT";', "PERIDOT_ABSENT is missing"),
    ("docs/environment.md", "| `absent` | nothing |", "PERIDOT_DISABLE's absent is unknown"),
    ("src/backend/vulkan/device/features.h", ' X(A, a, "absent", 0, true)', "PERIDOT_DISABLE's absent is missing"),
    ("src/README.md", "`plan/absent.c`", "there is no plan/absent.c"),
    ("docs/speed.svg", "<!-- -->", "docs/speed.svg is not what"),
    ("docs/terminal.txt", "$ more", "docs/terminal.svg is not what"),
    ("README.md", "x" * (FRONT_WIDTH + 1), "a line of 111 characters"),
]


def copy_tree(root, to):
    for name in ("docs", "src", "include", "shaders", "third_party", "tools", "tests"):
        shutil.copytree(root / name, to / name, ignore=shutil.ignore_patterns("*.gguf", "__pycache__"))
    for name in ("README.md", "CONTRIBUTING.md", "LICENSE", "CMakeLists.txt", "CMakePresets.json"):
        shutil.copy(root / name, to / name)


def self_test(root, program):
    with tempfile.TemporaryDirectory() as folder:
        copy = pathlib.Path(folder).resolve()
        copy_tree(root, copy)
        for name, addition, expected in BREAKS:
            path = copy / name
            whole = path.read_bytes()
            path.write_bytes(whole + f"\n{addition}\n".encode())
            said = list(check_tree(copy, program))
            path.write_bytes(whole)
            if not any(expected in line for line in said):
                yield f"self-test: {addition!r} at the end of {name} was not noticed"


def main():
    if len(sys.argv) != 3 or not pathlib.Path(sys.argv[1], "docs").is_dir():
        print("usage: check_docs.py ROOT PERIDOT", file=sys.stderr)
        return 2
    root, program = pathlib.Path(sys.argv[1]).resolve(), Program(sys.argv[2])
    wrong = list(self_test(root, program)) or list(check_tree(root, program))
    print("\n".join(wrong) if wrong else "the documentation is true where it can be looked up")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
