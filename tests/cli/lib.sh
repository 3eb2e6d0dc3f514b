#!/usr/bin/env bash
# Shared by the tests of the command line. Needs $PERIDOT (the program) and $PERIDOT_TEST_DATA.
# Every check prints what it expected and what it found when it fails; the script ends with
# `finish`, which fails if any check did.  SPDX-License-Identifier: MIT
set -u
: "${PERIDOT:?names the peridot program}" "${PERIDOT_TEST_DATA:?names tests/data}"
golden=$PERIDOT_TEST_DATA/golden
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# The environment must not change what the tests see.
for name in $(env | sed -n 's/^\(PERIDOT_[A-Z_]*\)=.*/\1/p'); do
  case $name in PERIDOT_TEST_DATA | PERIDOT_TOKENIZER_*) ;; *) unset "$name" ;; esac
done
export PERIDOT_TOY= # no model where none is named
failures=0

fail() {
  echo "FAILED: $*" >&2
  failures=$((failures + 1))
}

finish() {
  if [ "$failures" -gt 0 ]; then
    echo "$failures checks failed" >&2
    exit 1
  fi
  exit 0
}

skip() {
  echo "skipped: $*"
  exit 77
}

# expect_error CODE PATTERN ARGS...: peridot ARGS exits with CODE, writes nothing to standard output,
# and one sentence that matches PATTERN to standard error, with at most one line of advice.
expect_error() {
  local code=$1 pattern=$2 rc
  shift 2
  timeout 120 "$PERIDOT" "$@" >"$work/out" 2>"$work/err" </dev/null
  rc=$?
  [ $rc -eq "$code" ] || fail "peridot $*: exit code $rc instead of $code: $(cat "$work/err")"
  [ ! -s "$work/out" ] || fail "peridot $*: wrote to standard output: $(head -c 200 "$work/out")"
  [ "$(wc -l <"$work/err")" -le 2 ] || fail "peridot $*: more than a sentence: $(cat "$work/err")"
  head -n 1 "$work/err" | grep -Eq "^peridot: .*($pattern)" ||
    fail "peridot $*: the sentence does not match \"$pattern\": $(cat "$work/err")"
  tail -n +2 "$work/err" | grep -Evq '^  [^ ]' && fail "peridot $*: bad advice: $(cat "$work/err")"
  return 0
}

# expect_ok ARGS...: peridot ARGS succeeds; its output is in $work/out and $work/err.
expect_ok() {
  timeout 300 "$PERIDOT" "$@" >"$work/out" 2>"$work/err" </dev/null
  local rc=$?
  [ $rc -eq 0 ] || fail "peridot $*: exit code $rc: $(cat "$work/err")"
}

# expect_text WHAT EXPECTED FOUND
expect_text() {
  [ "$2" = "$3" ] || fail "$1: expected \"$2\", found \"$3\""
}

# Leftovers of an unfinished file, temporary ones included.
expect_nothing_in() {
  local found
  found=$(ls -A "$1")
  [ -z "$found" ] || fail "left behind in $1: $found"
}

shaders=$(cd "$(dirname "$0")/../../shaders" && pwd)
# plant FILE OLD NEW: the shaders in $work/shaders, with OLD, which is there once, replaced by NEW.
plant() {
  rm -rf "$work/shaders"
  cp -r "$shaders" "$work/shaders"
  python3 - "$work/shaders/$1" "$2" "$3" <<'PY' || fail "no single place in $1 for the fault: $2"
import sys
path, old, new = sys.argv[1:]
with open(path, encoding="utf-8") as f:
    text = f.read()
if text.count(old) != 1:
    sys.exit(1)
with open(path, "w", encoding="utf-8") as f:
    f.write(text.replace(old, new))
PY
}
