#!/usr/bin/env bash
# `score`: perplexity, log-probabilities and divergences against what follows from `logits`, on every
# device, for all ways of cutting a text; and what is refused.
# SPDX-License-Identifier: MIT
. "$(dirname "$0")/lib.sh"
command -v python3 >/dev/null || skip "python3 is not installed"
command -v jq >/dev/null || skip "jq is not installed"
tool=$(dirname "$0")/score_tool.py
small=$golden/small-q4_0.gguf
ids=$(jq -r '.text[] | select(.model == "small-q4_0.gguf").tokens | map(tostring) | join(",")' \
  "$golden/manifest.json")
long=$ids,${ids#2,},${ids#2,} # 118 tokens

# check DEVICE MODEL REFERENCE IDS CTX STRIDE WHOLE WINDOWS
check() {
  timeout 200 python3 "$tool" "$PERIDOT" "$@" || fail "score $*"
}

devices="cpu-ref cpu"
"$PERIDOT" devices --json | grep -q llvmpipe && devices="$devices vulkan:llvmpipe"
for device in $devices; do
  check "$device" "$small" - "$long" 32 0 0 0
done
check cpu "$small" - "$long" 16 8 0 0
check cpu "$small" - "$long" 32 0 1 2
check cpu "$small" - "$long" 31 5 0 3
check cpu "$small" - "$ids" 512 0 0 0           # shorter than a window
check cpu "$small" - "${ids#2,},3,4" 8 0 0 0    # without <bos>: windows stay as they are

# The same weights in other types are the reference.
"$PERIDOT" quantize "$small" "$work/f16.gguf" f16 >"$work/log" 2>&1 || fail "quantize: $(cat "$work/log")"
"$PERIDOT" quantize "$work/f16.gguf" "$work/q8.gguf" q4_1 --embedding q8_0 >"$work/log" 2>&1 ||
  fail "quantize: $(cat "$work/log")"
check cpu "$work/q8.gguf" "$work/f16.gguf" "$long" 32 0 0 0
check cpu-ref "$work/q8.gguf" "$work/f16.gguf" "$ids" 16 4 0 2

# A model does not differ from itself, and little in other precisions and on other devices.
expect_ok score -m "$small" --tokens "$long" -c 40 --device cpu --against "$small" --json
expect_text "KL of a model from itself" 0 "$(jq .kl_max "$work/out")"
expect_text "same best" 1 "$(jq .same_best "$work/out")"
expect_ok score -m "$small" --tokens "$long" -c 40 --device cpu --against-device cpu-ref --precision exact --json
expect_text "cpu against cpu-ref" true "$(jq '.kl_max < 1e-9 and .reference.device == "cpu-ref"' "$work/out")"
expect_ok score -m "$small" --tokens "$long" -c 40 --device cpu --against-precision exact --json
expect_text "f16 against exact" true "$(jq '.kl_max > 0 and .kl_max < 1e-4' "$work/out")"

# Text comes as it does to the other commands, and as the same tokens.
printf 'The keeper climbed the narrow stairs every evening.' >"$work/text"
expect_ok tokenize -m "$small" -f "$work/text"
tokens=$(tr ' ' ',' <"$work/out")
expect_ok score -m "$small" --tokens "$tokens" --device cpu --json
by_ids=$(jq -c .model "$work/out")
expect_ok score -m "$small" -f "$work/text" --device cpu --json -o "$work/items.jsonl"
expect_text "the text and its tokens" "$by_ids" "$(jq -c .model "$work/out")"
expect_text "the text of the items" "$(cat "$work/text")" \
  "$(jq -rj .text "$work/items.jsonl" | sed 's/^▁//; s/▁/ /g; s/^ //')"
expect_ok score -m "$small" -f "$work/text" --device cpu
grep -Eq '^perplexity +[0-9.]+ \+- [0-9.]+ ' "$work/out" || fail "text: $(cat "$work/out")"

mkdir "$work/empty"
expect_error 2 "nothing to score" score -m "$small" --tokens 2 --device cpu -o "$work/empty/x"
expect_error 2 "below the window" score -m "$small" --tokens "$ids" -c 16 --stride 16 --device cpu
expect_error 2 "vocabulary ends at" score -m "$small" --tokens 2,600 --device cpu
expect_error 2 "pictures" score -m "$small" --tokens "2,<image>" --device cpu
expect_error 2 "cannot be used with" score -m "$small" --tokens 2,3 -p text --device cpu
expect_error 3 "nowhere" score -m "$small" --tokens 2,3 --device cpu -o "$work/nowhere/x"
expect_error 3 "missing.gguf" score -m "$small" --tokens 2,3 --device cpu --against "$work/missing.gguf" -o "$work/empty/x"
expect_ok synth --preset tiny -c 64 -o "$work/short.gguf"
expect_error 7 "made for 64" score -m "$work/short.gguf" --tokens "$long" -c 100 --device cpu -o "$work/empty/x"
expect_error 2 "different tokens|vocabulary" score -m "$small" -f "$work/text" --device cpu \
  --against "$golden/small-f16.gguf" -o "$work/empty/x"
expect_nothing_in "$work/empty"
finish
