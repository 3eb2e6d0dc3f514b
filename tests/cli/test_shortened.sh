#!/usr/bin/env bash
# A file that is shortened while it is in use: one sentence that names it, and the exit code of a
# file that cannot be read.
# SPDX-License-Identifier: MIT
. "$(dirname "$0")/lib.sh"

# expect_shortened FILE ARGS...: peridot ARGS runs until FILE, which it reads over and over, has
# lost all but its first page.
expect_shortened() {
  local file=$1 rc
  shift
  timeout 120 "$PERIDOT" "$@" >"$work/out" 2>"$work/err" </dev/null &
  local process=$!
  for _ in $(seq 600); do
    [ -s "$work/out" ] && break
    sleep 0.05
  done
  [ -s "$work/out" ] || fail "peridot $*: no output in 30 s: $(cat "$work/err")"
  truncate -s 4096 "$file"
  wait $process
  rc=$?
  [ $rc -eq 3 ] || fail "peridot $*: exit code $rc instead of 3: $(cat "$work/err")"
  sed -i '/^cpu: warning/d' "$work/err" # of more threads than processors
  [ "$(grep -c . "$work/err")" -eq 1 ] || fail "peridot $*: not one sentence: $(cat "$work/err")"
  grep -qF "peridot: \"$file\" was shortened" "$work/err" ||
    fail "peridot $*: the sentence does not name $file: $(cat "$work/err")"
}

for threads in 1 2; do
  model="$work/a model.gguf"
  expect_ok synth --preset tiny -o "$model" -c 16777216
  expect_shortened "$model" run -m "$model" -p hi --raw -n 16000000 -c 65536 --ids --ignore-eos \
    --no-perf --device cpu -t $threads
done

finish
