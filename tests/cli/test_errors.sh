#!/usr/bin/env bash
# What users do wrong, and what they are told: the exit code, and one sentence.
# SPDX-License-Identifier: MIT
. "$(dirname "$0")/lib.sh"
model=$golden/small-q4_0.gguf

# commands and flags
expect_error 2 'unknown command "frob"' frob
expect_error 2 'unknown command "rum"' rum
grep -q 'did you mean run?' "$work/err" || fail "no suggestion for rum"
expect_error 2 'unknown flag --frob' --frob
expect_error 2 'prompt is empty' -m "$model"
expect_error 2 'unknown flag --promt' run --promt x
grep -q 'did you mean --prompt?' "$work/err" || fail "no suggestion for --promt"
expect_error 2 '\-\-raw is not a flag of bench' bench --raw
expect_error 2 '\-m needs a value' run -m
expect_error 2 '\-m needs a value .*--raw follows' run -m --raw
expect_error 2 '\-\-raw takes no value' run --raw=1
expect_error 3 'No such file' run model.gguf hello
expect_error 2 '"model" is neither a flag nor' run model hello
expect_error 2 '\-\-temp takes a number' run --temp hot
expect_error 2 '\-\-temp must be from 0' run --temp -1
expect_error 2 '\-\-temp takes a number' run --temp nan
expect_error 2 '\-n takes a whole number' run -n 1.5
expect_error 2 '\-n takes a whole number' run -n ""
expect_error 2 '\-\-seed must be' run --seed 99999999999999999999
expect_error 2 '\-\-precision must be one of exact\|f16\|q8' run --precision f17
expect_error 2 '\-\-precision must be one of' run --precision f1
expect_error 2 '\-\-prompt and --file' run -m "$model" -p a -f b
expect_error 2 '\-\-prompt was given more than once' run -m "$model" -p a -p b
expect_error 2 '\-\-file was given more than once' tokenize -m "$model" -f a -f b
expect_error 2 '\-t must be from 1 to 4096' run -m "$model" -p a -t 4097
for list in bogus avx2,bogus avx5; do
  export PERIDOT_CPU_DISABLE=$list
  expect_error 2 "PERIDOT_CPU_DISABLE names \"${list#avx2,}\"; known are avx512, avx2, vnni, amx, i8mm, dotprod and integer" \
    run -m "$model" -p a --device cpu
done
unset PERIDOT_CPU_DISABLE
export PERIDOT_TEMP=hot
expect_error 2 'PERIDOT_TEMP takes a number' run -m "$model" -p a
unset PERIDOT_TEMP
export PERIDOT_QUIET=maybe
expect_error 2 'PERIDOT_QUIET must be 1 or 0' run -m "$model" -p a
unset PERIDOT_QUIET

# missing pieces
expect_error 2 '\-\-model FILE is missing' run -p hello
expect_error 2 '\-\-model FILE is missing' tokenize -p hello
expect_error 2 '\-\-model FILE is missing' inspect
expect_error 2 '\-\-model FILE is missing' bench
expect_error 2 '\-\-tokens IDS is missing' detokenize -m "$model"
expect_error 2 '\-\-output FILE is missing' logits -m "$model" --tokens 2
expect_error 2 '\-\-output FILE is missing' synth

# texts
expect_error 2 'prompt is empty' run -m "$model" -p ""
expect_error 2 'prompt is empty' run -m "$model"
expect_error 2 'not valid UTF-8 at byte 2 \(0xff\)' run -m "$model" -p $'ab\xff'
printf 'abc\xe2\x82' >"$work/cut.txt"
expect_error 2 'not valid UTF-8 at byte 3 \(0xe2\)' run -m "$model" -f "$work/cut.txt"
expect_error 2 'system prompt is not valid UTF-8 at byte 0' run -m "$model" -p a -sys $'\xc0\x80'
expect_error 3 'No such file' run -m "$model" -f "$work/none.txt"
expect_error 2 'parse-special needs --raw' run -m "$model" -p a --parse-special
expect_error 2 'raw knows no --system-prompt' run -m "$model" -p a --raw -sys b

# token ids
expect_error 2 'takes token ids, but "x" is none' detokenize -m "$model" --tokens 2,x
expect_error 2 'takes token ids, but "-1" is none' detokenize -m "$model" --tokens=-1
expect_error 2 'takes token ids' detokenize -m "$model" --tokens 99999999999999999999
expect_error 2 'holds no token id' detokenize -m "$model" --tokens " , "
expect_error 2 'token 1 has the id 600, but the vocabulary ends at 599' \
  detokenize -m "$model" --tokens 2,600
expect_error 2 'token 2 has the id 600' \
  logits -m "$model" --tokens 2,3,600 -o "$work/x.f32" --device cpu
expect_error 2 'decode-after must be below the number of tokens, 3, but is 3' \
  logits -m "$model" --tokens 2,3,4 -o "$work/x.f32" --device cpu --decode-after 3
[ ! -e "$work/x.f32" ] || fail "a failed logits left its file"

# contexts
expect_error 7 'prompt has [0-9]+ tokens, but the context holds 4' \
  run -m "$model" -p hello -c 4 --device cpu
expect_error 7 'context of 100000 positions was asked for' \
  run -m "$model" -p hello -c 100000 --device cpu
expect_error 7 'positions, but the model has' bench -m "$model" -p 100000 -n 0 --device cpu

# devices
expect_error 10 'no device is called "blob"' run -m "$model" -p hello --device blob
expect_error 10 'vulkan:77' run -m "$model" -p hello --device vulkan:77

# files that are no models
expect_error 3 'No such file' run -m "$work/none.gguf" -p hello
expect_error 3 'directory' run -m "$work" -p hello
: >"$work/empty.gguf"
expect_error 4 'empty' run -m "$work/empty.gguf" -p hello
head -c 3000 "$model" >"$work/cut.gguf"
expect_error 4 'truncated|damaged' inspect -m "$work/cut.gguf"
head -c 100000 "$model" >"$work/cut.gguf"
expect_error 4 'truncated|damaged|beyond|ends' run -m "$work/cut.gguf" -p hello --device cpu
echo 'This is a text, and no model at all.' >"$work/text.gguf"
expect_error 4 'GGUF' inspect -m "$work/text.gguf"
expect_error 5 'clip' run -m "$golden/mm-mmproj.gguf" -p hello --device cpu

# lists of bench
expect_error 2 'takes numbers or ranges, but "x" is neither' bench -m "$model" -p x
expect_error 2 'nothing to measure' bench -m "$model" -p 0 -n 0
expect_error 2 'nothing to measure' bench -m "$model" -p 0,0 -n 0 -pg 0,0 -d 8
expect_error 2 'neither' bench -m "$model" -p 8-4
expect_error 2 'neither' bench -m "$model" -p 0-8*2
expect_error 2 'neither' bench -m "$model" -p 4-8*1
expect_error 2 'must be from' bench -m "$model" -n 99999999
expect_error 2 'pairs P,G' bench -m "$model" -pg 5
expect_error 2 'must be one of md' bench -m "$model" -o xml
expect_error 2 'must be from 1' bench -m "$model" -b 0
expect_error 2 'plan and --json' inspect -m "$model" --plan --json
# Nobody reads: nothing more is computed. What bench is asked for would take hours.
if [ -w /dev/full ]; then
  for arguments in "bench -p 4-200+1 -r 10000" "run -p hello --raw -n 500 --ignore-eos --timings"; do
    # shellcheck disable=SC2086
    timeout 60 "$PERIDOT" $arguments -m "$model" --device cpu >/dev/full 2>"$work/err"
    expect_text "exit code of $arguments with nowhere to write" 3 $?
    grep -q 'cannot write to standard output' "$work/err" || fail "$arguments: $(cat "$work/err")"
  done
  grep -q 'generated  1 token' "$work/err" || fail "run went on: $(cat "$work/err")"
fi

# A short vocabulary has the markers of images at ids of its own.
expect_ok synth --preset tiny -o "$work/short.gguf"
expect_ok synth --preset tiny --mmproj -o "$work/mmproj-short.gguf"
expect_ok run -m "$work/short.gguf" --image "$PERIDOT_TEST_DATA/images/small.png" -p hello -n 1 --device cpu

finish
