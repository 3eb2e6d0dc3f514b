#!/usr/bin/env bash
# Output files appear when complete or not at all, and lost output is an error.
# SPDX-License-Identifier: MIT
. "$(dirname "$0")/lib.sh"
model=$golden/small-q4_0.gguf
[ -w /dev/full ] || skip "this system has no /dev/full"
mkdir "$work/folder"

expect_error 3 'No such file' synth -o "$work/none/x.gguf"
expect_error 3 'No space left' synth -o /dev/full
expect_error 3 'directory' synth -o "$work/folder"
expect_error 3 'No such file' logits -m "$model" --tokens 2,3 -o "$work/none/x.f32" --device cpu
expect_error 3 'No space left' logits -m "$model" --tokens 2,3 -o /dev/full --device cpu
expect_error 2 'has the id' logits -m "$model" --tokens 2,9999 -o "$work/folder/x.f32" --device cpu
expect_error 3 'No such file' logits -m "$work/none" --tokens 2 -o "$work/folder/x.f32" --device cpu
expect_nothing_in "$work/folder"

# What was there before stays when the new file fails.
echo precious >"$work/folder/old.f32"
expect_error 2 'has the id' logits -m "$model" --tokens 2,9999 -o "$work/folder/old.f32" --device cpu
expect_text "the old file" precious "$(cat "$work/folder/old.f32")"
rm "$work/folder/old.f32"

# A stopped synth leaves nothing, and says so by its exit code. (Without --foreground, timeout sends the
# signal twice, and a second Ctrl-C ends the program at once.)
timeout --foreground -s INT 0.5 "$PERIDOT" synth -o "$work/folder/big.gguf" --preset 12b 2>"$work/err"
rc=$?
[ $rc -eq 124 ] || fail "synth was not stopped by SIGINT: exit code $rc"
grep -q '^peridot: stopped on request' "$work/err" || fail "a stopped synth said: $(cat "$work/err")"
expect_nothing_in "$work/folder"

# A killed one neither, where the file system has files without a name.
expect_killed() { # ARGS...: peridot ARGS is killed once it has a file open in the folder
  local pid rc attempt
  for attempt in 1 2 3 4 5; do
    "$PERIDOT" "$@" >/dev/null 2>&1 &
    pid=$!
    while [ -d /proc/$pid/fd ]; do
      find /proc/$pid/fd -lname "$work/folder/*" 2>/dev/null | grep -q . && break
    done
    kill -KILL $pid 2>/dev/null
    wait $pid 2>/dev/null
    rc=$?
    [ $rc -eq 137 ] && break
    rm -f "$work/folder"/* # it was faster than we are
  done
  [ $rc -eq 137 ] || fail "peridot $*: was not killed in $attempt attempts: exit code $rc"
  expect_nothing_in "$work/folder"
}
if command -v python3 >/dev/null &&
  python3 -c 'import os, sys; os.open(sys.argv[1], os.O_TMPFILE | os.O_WRONLY)' "$work" 2>/dev/null; then
  expect_ok synth --preset 270m --layers 4 --vocab 700 --type f16 -o "$work/f16.gguf"
  expect_killed quantize "$work/f16.gguf" "$work/folder/out.gguf" q6_k 1
  expect_ok synth --hf --preset 270m --layers 4 --vocab 700 -o "$work/hf"
  expect_killed convert "$work/hf" -o "$work/folder/out.gguf" --type q6_k --threads 1
  rm -r "$work/f16.gguf" "$work/hf"
fi

# Standard output that cannot be written
for command in "tokenize -m $model -p hello" "devices" "inspect -m $model" "--help" "--version" \
  "run -m $model -p hello -n 4 --device cpu --no-perf"; do
  # shellcheck disable=SC2086
  "$PERIDOT" $command >/dev/full 2>"$work/err" </dev/null
  rc=$?
  [ $rc -eq 3 ] || fail "peridot $command >/dev/full: exit code $rc instead of 3"
  grep -q '^peridot: cannot write to standard output' "$work/err" ||
    fail "peridot $command >/dev/full said: $(cat "$work/err")"
done

# The log goes where it is wanted.
expect_ok run -m "$model" -p hello -n 2 --device cpu --no-perf --log-file "$work/log"
[ -e "$work/log" ] || fail "--log-file made no file"
[ ! -s "$work/err" ] || fail "--log-file and yet: $(cat "$work/err")"
"$PERIDOT" run -m "$model" -p hello -n 2 --device cpu --no-perf -v -v --log-file /dev/full >"$work/out" 2>"$work/err"
expect_text "exit code of a log that is lost" 3 $?
grep -q '^peridot: cannot write the log file "/dev/full": No space left' "$work/err" ||
  fail "a log that is lost said: $(cat "$work/err")"

# A checkpoint's folder is complete or not there; one that was there stays, and what was in it.
mkdir "$work/there"
echo precious >"$work/there/note"
for folder in fresh there; do
  (
    trap '' XFSZ
    ulimit -f 600
    exec "$PERIDOT" synth --hf --preset tiny -o "$work/$folder"
  ) >"$work/out" 2>"$work/err"
  expect_text "exit code of a checkpoint on a full disk" 3 $?
  grep -q '^peridot: cannot write .*File too large' "$work/err" || fail "full disk: $(cat "$work/err")"
done
[ -e "$work/fresh" ] && fail "left behind: $(ls -A "$work/fresh")"
expect_text "the folder that was there" note "$(ls -A "$work/there")"
expect_error 3 'cannot write the log file' devices --log-file "$work/none/log"
finish
