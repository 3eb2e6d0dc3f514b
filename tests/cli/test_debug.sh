#!/usr/bin/env bash
# The debug commands' contracts: tokenize, detokenize, logits, inspect, devices.
# SPDX-License-Identifier: MIT
. "$(dirname "$0")/lib.sh"
command -v jq >/dev/null || skip "jq is not installed"
model=$golden/small-q4_0.gguf
manifest=$golden/manifest.json

# tokenize and detokenize are each other's inverse, byte for byte.
text=$'  Hello,\tna\xc3\xafve  world\n\n\xf0\x9f\xa6\x99 \xe6\x97\xa5 <b>x</b> </s>\n'
expect_ok tokenize -m "$model" -p "$text"
ids=$(cat "$work/out")
expect_text "lines of ids" 1 "$(wc -l <"$work/out" | tr -d ' ')"
echo "$ids" | grep -Eq '^2( [0-9]+)+$' || fail "not ids behind <bos>: $ids"
expect_ok detokenize -m "$model" --tokens "$ids"
printf '%s' "$text" | cmp -s - "$work/out" || fail "the text changed: $(od -c "$work/out" | head)"
expect_ok detokenize -m "$model" --tokens "$(echo "$ids" | tr ' ' ',')"
printf '%s' "$text" | cmp -s - "$work/out" || fail "commas between ids changed the text"
echo "$ids" >"$work/ids"
expect_ok detokenize -m "$model" --tokens "@$work/ids"
printf '%s' "$text" | cmp -s - "$work/out" || fail "ids from a file changed the text"
found=$(printf '%s' "$text" | "$PERIDOT" tokenize -m "$model")
expect_text "text from a pipe" "$ids" "$found"
printf '%s' "$text" >"$work/text"
expect_ok tokenize -m "$model" -f "$work/text" --no-bos
expect_text "--no-bos" "${ids#2 }" "$(cat "$work/out")"
expect_ok tokenize -m "$model" -f "$work/text" --json
expect_text "ids in JSON" "$ids" "$(jq -r '.ids | map(tostring) | join(" ")' "$work/out")"
expect_text "first text in JSON" "<bos>" "$(jq -r '.texts[0]' "$work/out")"
expect_ok tokenize -m "$model" --no-bos -p '<start_of_turn>'
[ "$(cat "$work/out")" != 105 ] || fail "plain text became a control token"
expect_ok tokenize -m "$model" --no-bos --parse-special -p '<start_of_turn>'
expect_text "--parse-special" 105 "$(cat "$work/out")"
expect_ok detokenize -m "$model" --tokens 2,105,107
expect_text "hidden control tokens" "0a" "$(od -An -tx1 "$work/out" | tr -d ' \n')"
expect_ok detokenize -m "$model" --tokens 2,105 --show-special
expect_text "--show-special" "<bos><start_of_turn>" "$(cat "$work/out")"

# logits: [n_tokens, n_vocab] float32, the same through prompt steps of any size.
tokens=$(jq -r '.text[0].tokens | map(tostring) | join(",")' "$manifest")
size=$(stat -c %s "$golden/$(jq -r '.text[0].logits' "$manifest")")
expect_ok logits -m "$golden/$(jq -r '.text[0].model' "$manifest")" --tokens "$tokens" \
  -o "$work/a.f32" --device cpu-ref
expect_text "bytes of logits" "$size" "$(stat -c %s "$work/a.f32")"
[ ! -s "$work/out" ] || fail "logits wrote to standard output"
expect_ok logits -m "$golden/$(jq -r '.text[0].model' "$manifest")" --tokens "$tokens" \
  -o "$work/b.f32" --device cpu-ref -b 7
cmp -s "$work/a.f32" "$work/b.f32" || fail "the reference's logits depend on --batch-size"
expect_ok logits -m "$golden/$(jq -r '.text[0].model' "$manifest")" --tokens "$tokens" \
  -o "$work/c.f32" --device cpu-ref --decode-after 11
cmp -s "$work/a.f32" "$work/c.f32" || fail "the reference's logits depend on --decode-after"

# inspect
expect_ok inspect -m "$model"
for line in '^model$' '^metadata \(' '^tensors \(' 'general.architecture +string gemma3' \
  'tokenizer.ggml.tokens +array +600 x string' 'blk.0.attn_q.weight +Q4_0 +\[' '^by type$' \
  'keys and values of'; do
  grep -Eq "$line" "$work/out" || fail "inspect lacks \"$line\""
done
expect_ok inspect -m "$model" --json
jq -e '.model.n_vocab == 600 and .metadata["general.architecture"] == "gemma3" and
  .metadata["tokenizer.ggml.tokens"].count == 600 and
  (.tensors | length) == ([.types[].tensors] | add) and
  ([.tensors[].bytes] | add) == ([.types[].bytes] | add)' "$work/out" >"$work/jq" ||
  fail "inspect --json: $(head -c 300 "$work/out")"
expect_ok inspect -m "$model" --plan
grep -q '^plan prefill: ' "$work/out" || fail "no prefill plan"
grep -q '^plan decode: ' "$work/out" || fail "no decode plan"
expect_ok inspect -m "$golden/mm-mmproj.gguf"
grep -q '^image encoder$' "$work/out" || fail "inspect of an mmproj: $(head -n 4 "$work/out")"
expect_ok inspect -m "$golden/mm-mmproj.gguf" --json
jq -e '.image_encoder.n_tokens == 16 and (.tensors | length) > 0' "$work/out" >"$work/jq" ||
  fail "inspect --json of an mmproj"

# devices, and its alias
expect_ok devices
grep -q '^cpu ' "$work/out" || fail "devices lacks the CPU: $(cat "$work/out")"
grep -q '^cpu-ref ' "$work/out" || fail "devices lacks the reference: $(cat "$work/out")"
expect_ok devices --json
jq -e '[.devices[].id] | index("cpu") != null and index("cpu-ref") != null' "$work/out" \
  >"$work/jq" || fail "devices --json: $(cat "$work/out")"
jq -e '.devices | map(select(.id | startswith("vulkan")) | has("uuid") and has("features") and
  has("max_binding_bytes")) | all' "$work/out" >"$work/jq" || fail "devices --json lacks fields"
expect_ok --list-devices
grep -q '^cpu ' "$work/out" || fail "--list-devices"
expect_ok run --list-devices
grep -q '^cpu ' "$work/out" || fail "run --list-devices"
finish
