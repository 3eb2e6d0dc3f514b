#!/usr/bin/env bash
# What users of llama.cpp and Ollama type, and small things that any program is expected to do.
# SPDX-License-Identifier: MIT
. "$(dirname "$0")/lib.sh"
model=$golden/small-q4_0.gguf
plain="--temp 0 --raw --ids --ignore-eos --no-perf --device cpu"

# shellcheck disable=SC2086
expect_ok run -m "$model" -p "Hello there" -n 5 $plain
reference=$(cat "$work/out")

# expect_same ARGS...: peridot ARGS gives the same ids
expect_same() {
  # shellcheck disable=SC2086
  expect_ok "$@"
  expect_text "$*" "$reference" "$(cat "$work/out")"
}

# A model and a prompt without flags; flags without a command; other spellings.
# shellcheck disable=SC2086
{
  expect_same -m "$model" -p "Hello there" -n 5 $plain
  expect_same run "$model" "Hello there" -n 5 $plain
  expect_same run "$model" -p "Hello there" -n 5 $plain
  expect_same run -m "$model" "Hello there" -n 5 $plain
  expect_same run -m "$model" -n 5 $plain -- "Hello there"
  PERIDOT_MODEL=$model expect_same run "Hello there" -n 5 $plain
  PERIDOT_MODEL=$work/none.gguf expect_same run "$model" "Hello there" -n 5 $plain
  expect_same run -m "$model" -p "Hello there" -n5 $plain
  expect_same run -m "$model" -p "Hello there" --n-predict 5 $plain
  expect_same run -m "$model" -p "Hello there" -n 5 $plain -ngl 99 --gpu-layers=all -fa -ub 64
  expect_same run -m "$model" -p "Hello there" -n 5 $plain --mlock --no-mmap --verbose-prompt -fa on
  [ ! -s "$work/err" ] || fail "flags that change nothing are talked about: $(cat "$work/err")"
  expect_same run -m "$model" -p "Hello there" -n 5 $plain --flash-attn=auto --no-mmap -vv
  grep -q 'cli: debug: --no-mmap changes nothing here' "$work/err" || fail "-vv: $(cat "$work/err")"
  expect_ok run -m "$model" -p "" -n 5 $plain # <bos> alone
  expect_ok run -m "$model" -p "-- really" -n 5 $plain
  expect_ok run -m "$model" -n 5 $plain -- "--raw"
}
expect_ok bench "$model" -p8 -n 0 -r 1 --device cpu

# What would change the answer is refused, with the way that there is.
expect_hint() { # HINT CODE PATTERN ARGS...
  local hint=$1
  shift
  expect_error "$@"
  grep -q -- "$hint" "$work/err" || fail "no advice \"$hint\": $(cat "$work/err")"
}
expect_hint '--device cpu' 2 'change the device' run -m "$model" -p a -ngl 0
expect_hint 'one prompt' 2 'unknown flag -cnv' run -m "$model" -p a -cnv
expect_hint '--raw' 2 'unknown flag -no-cnv' run -m "$model" -p a -no-cnv
expect_hint 'ggml-org/gemma-3-4b-it-GGUF' 2 'no file "gemma3"' run gemma3 hello
expect_hint 'ggml-org/gemma-3-270m-it-GGUF' 2 'no file "gemma3:270m-it-qat"' run gemma3:270m-it-qat
expect_hint '-m FILE' 2 'neither a flag nor' run llama3:8b hello
expect_hint 'in quotes' 2 '"there" is one argument too many' run -m "$model" hello there
expect_hint 'peridot fetch' 2 'unknown command "pull"' pull gemma3
mkdir "$work/checkpoint"
touch "$work/checkpoint/config.json"
expect_hint 'peridot convert' 3 'directory' run -m "$work/checkpoint" -p a --device cpu
expect_error 2 'prompt is given by --prompt' run "$model" hello -p hello
expect_error 2 'unknown flag -x4' run -m "$model" -p a -x4
expect_error 2 'unknown flag --mlock' fetch a/b --mlock
expect_error 2 '\-ngl needs a value' run -m "$model" -p a -ngl

# Raw numbers to standard output; not so what is a file of several parts.
expect_ok logits -m "$model" --tokens 2,5 -o "$work/logits" --device cpu
"$PERIDOT" logits -m "$model" --tokens 2,5 -o - --device cpu 2>/dev/null | cmp - "$work/logits" ||
  fail "logits -o - is not what goes to a file"
expect_error 2 'synth writes files' synth -o -
expect_error 2 'convert writes files' convert "$work/checkpoint" -o -

# Help, and one device.
expect_ok
grep -q '^usage: peridot COMMAND' "$work/out" || fail "peridot alone is no help"
expect_ok help bench
grep -q '^usage: peridot bench' "$work/out" || fail "help bench"
expect_error 2 'unknown command "frob"' help frob
expect_ok devices --device cpu
[ "$(grep -cE '^(cpu|cpu-ref|vulkan:[0-9]+) ' "$work/out")" -eq 1 ] || fail "devices --device cpu: $(cat "$work/out")"
expect_error 10 'no device is called "blob"' devices --device blob

# A terminal is no place for control characters, a file is.
if command -v script >/dev/null; then
  expect_ok tokenize -m "$model" --no-bos -p $'\x1b]0;a\x07'
  ids=$(tr ' ' ',' <"$work/out")
  expect_ok detokenize -m "$model" --tokens "$ids"
  expect_text "control characters in a file" $'\x1b]0;a\x07' "$(cat "$work/out")"
  script -qec "'$PERIDOT' detokenize -m '$model' --tokens $ids" /dev/null >"$work/out" </dev/null
  expect_text "control characters on a terminal" "?]0;a?" "$(tr -d '\r\n' <"$work/out")"
fi

finish
