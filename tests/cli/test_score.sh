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
# Multiple choice: the log-probabilities of what a choice adds to its query, as `score` of the whole has them.
cat >"$work/items.jsonl" <<'JSON'
{"query": "The keeper climbed the narrow", "choices": [" stairs", " evening", " lamp"], "gold": 0}
{"query": "The keeper ", "choices": ["climbed", "stairs every evening."], "gold": 1}

JSON
for device in $devices; do
  expect_ok score -m "$small" --choices "$work/items.jsonl" --device "$device" --precision exact --json \
    -o "$work/choices.jsonl"
  python3 - "$work/choices.jsonl" "$work/out" "$PERIDOT" "$small" "$device" <<'PYTHON' || fail "choices on $device"
import json, subprocess, sys

choices = [json.loads(line) for line in open(sys.argv[1])]
found, peridot, model, device = json.load(open(sys.argv[2])), *sys.argv[3:]
assert [(c["item"], c["choice"]) for c in choices] == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1)], choices
for c in choices:
    ids = ",".join(map(str, c["ids"]))
    subprocess.run([peridot, "score", "-m", model, "--tokens", ids, "--whole", "--device", device, "--precision",
                    "exact", "-o", sys.argv[1] + ".whole"], check=True, stdout=subprocess.DEVNULL)
    tokens = [json.loads(line)["log_prob"] for line in open(sys.argv[1] + ".whole")]
    assert abs(sum(tokens[c["first"]:]) - c["log_prob"]) < 1e-4, (c, tokens)
def share(key):
    right = 0
    for item in (0, 1):
        best = max((c for c in choices if c["item"] == item), key=key)
        right += best["gold"]
    return right / 2
assert found["items"] == 2 and found["choices"] == 5, found
assert found["accuracy"] == share(lambda c: c["log_prob"]), found
assert found["accuracy_normalised"] == share(lambda c: c["log_prob"] / c["bytes"]), found
PYTHON
done
# The blank at a query's end belongs to the choice.
expect_ok tokenize -m "$small" -p "The keeper"
expect_text "where a choice begins" "$(($(wc -w <"$work/out") - 1))" \
  "$(jq -s '.[3].first' "$work/choices.jsonl")"

refuse_items() { # PATTERN LINE
  printf '%s\n' "$2" >"$work/bad.jsonl"
  expect_error "${3:-4}" "$1" score -m "$small" --choices "$work/bad.jsonl" --device cpu -o "$work/empty/x"
}
good='{"query": "a", "choices": ["b", "c"], "gold": 0}'
refuse_items 'line 1 is not an item' 'not JSON'
refuse_items 'line 2 is not an item' "$good
{\"query\": \"a\", \"choices\": [\"b\"], \"gold\": 0}"
refuse_items 'line 1 is not an item' '{"query": "a", "choices": ["b", "c"], "gold": 2}'
refuse_items 'line 1 is not an item' '{"query": "a", "choices": ["b", ""], "gold": 0}'
refuse_items 'line 1 is not an item' '{"query": "a", "choices": ["b", "c"], "gold": 0.5}'
refuse_items 'nothing to score' '' 2
expect_error 2 'choices and --file cannot be used together' score -m "$small" --choices "$work/bad.jsonl" -f "$work/text"
expect_nothing_in "$work/empty"
finish
