#!/usr/bin/env bash
# `synth`: the same options give the same bytes, and the file is a model of the shape asked for.
# SPDX-License-Identifier: MIT
. "$(dirname "$0")/lib.sh"
command -v jq >/dev/null || skip "jq is not installed"

expect_ok synth -o "$work/a.gguf" --seed 7
expect_ok synth -o "$work/b.gguf" --seed 7
cmp -s "$work/a.gguf" "$work/b.gguf" || fail "equal seeds gave different files"
expect_ok synth -o "$work/c.gguf" --seed 8
cmp -s "$work/a.gguf" "$work/c.gguf" && fail "different seeds gave equal files"

# Weights of one tensor do not depend on how many layers there are.
expect_ok synth -o "$work/d.gguf" --seed 7 --layers 12
expect_ok inspect -m "$work/d.gguf" --json
expect_text "layers" 12 "$(jq .model.n_layers "$work/out")"

# Every type computes, and the fast CPU backend agrees with the reference on the favourite. Blocks of
# 256 do not divide the embedding's rows of 128; attn_output and ffn_down have rows of 256.
for type in q4_0 q4_1 q5_0 q5_1 q8_0 q4_k q5_k q6_k f16 bf16 f32; do
  embedding="--embd-type $type"
  case $type in *_k) embedding= ;; esac
  # shellcheck disable=SC2086
  expect_ok synth -o "$work/t.gguf" --type $type $embedding --layers 2
  expect_ok inspect -m "$work/t.gguf" --json
  name=$(echo $type | tr '[:lower:]' '[:upper:]')
  jq -e --arg name "$name" '.types[$name].tensors >= 4' "$work/out" >"$work/jq" ||
    fail "no tensors of type $name: $(jq -c .types "$work/out")"
  expect_ok run -m "$work/t.gguf" -p hello --raw -n 4 --temp 0 --ids --ignore-eos --no-perf \
    --device cpu-ref --precision exact
  reference=$(cat "$work/out")
  expect_ok run -m "$work/t.gguf" -p hello --raw -n 4 --temp 0 --ids --ignore-eos --no-perf \
    --device cpu --precision exact
  expect_text "greedy tokens of $type" "$reference" "$(cat "$work/out")"
done
expect_error 2 'blocks of 256 values, but a row has 640' \
  synth -o "$work/x.gguf" --preset 270m --embd-type q6_k
expect_error 2 'qat goes with' synth -o "$work/x.gguf" --qat --type q8_0
expect_error 2 'must be from 600' synth -o "$work/x.gguf" --vocab 10
expect_error 2 'must be one of tiny' synth -o "$work/x.gguf" --preset 5b
[ ! -e "$work/x.gguf" ] || fail "a refused synth left a file"

# The real layout of the 270M: tensors, sizes and types as released files have them.
free_kib=$(df -Pk "$work" | awk 'NR == 2 {print $4}')
if [ "$free_kib" -gt 1000000 ]; then
  expect_ok synth -o "$work/m.gguf" --preset 270m
  expect_ok inspect -m "$work/m.gguf" --json
  jq -e '.model.size_label == "270M" and .model.n_params == 268098176 and
    (.tensors | length) == 236 and ([.tensors[].bytes] | add) == 234883584 and
    .types.Q8_0.tensors == 1 and .types.Q4_0.tensors == 126 and .model.n_vocab == 262144' \
    "$work/out" >"$work/jq" || fail "the 270M preset: $(jq -c '.model, .types' "$work/out")"
  text=$'The quick brown fox.\n\n  for (int i = 0; i < 10; i++) na\xc3\xafve \xe6\x97\xa5\xe6\x9c\xac \xf0\x9f\xa6\x99\t'
  expect_ok tokenize -m "$work/m.gguf" -p "$text"
  ids=$(cat "$work/out")
  [ "$(wc -w <"$work/out")" -lt 60 ] || fail "too many tokens for a sentence: $ids"
  expect_ok detokenize -m "$work/m.gguf" --tokens "$ids"
  printf '%s' "$text" | cmp -s - "$work/out" || fail "the made-up vocabulary changed the text"
  expect_ok tokenize -m "$work/m.gguf" -p $'\n\n\n\t  <table>'
  expect_text "ids of runs and tags" "2 109 255968 138 168" "$(cat "$work/out")"
  expect_ok synth -o "$work/m.gguf" --preset 270m --qat
  expect_ok inspect -m "$work/m.gguf" --json
  jq -e '([.tensors[].bytes] | add) == 392169984 and .types.F16.tensors == 1' \
    "$work/out" >"$work/jq" || fail "the 270M --qat: $(jq -c '.types' "$work/out")"
fi

# With the real vocabulary, text becomes the real ids.
if [ -n "${PERIDOT_TOKENIZER_JSON-}" ]; then
  expect_ok synth -o "$work/v.gguf" --tokenizer "$PERIDOT_TOKENIZER_JSON"
  expect_text "tokens of the cut vocabulary" 1024 \
    "$("$PERIDOT" inspect -m "$work/v.gguf" --json | jq .model.n_vocab)"
  expect_ok synth -o "$work/v.gguf" --tokenizer "$PERIDOT_TOKENIZER_JSON" --vocab 262144
  expect_ok tokenize -m "$work/v.gguf" -p "Hello world!"
  expect_text "ids of the real vocabulary" "2 9259 1902 236888" "$(cat "$work/out")"
fi
expect_error 3 'No such file' synth -o "$work/x.gguf" --tokenizer "$work/none.json"
expect_error 4 'JSON' synth -o "$work/x.gguf" --tokenizer "$0"
finish
