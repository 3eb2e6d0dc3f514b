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
expect_error 3 'cannot write the log file' devices --log-file "$work/none/log"
finish
