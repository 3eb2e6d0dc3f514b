#!/usr/bin/env bash
# --head: what run, bench, logits and inspect do with it and say of it.
# SPDX-License-Identifier: MIT
. "$(dirname "$0")/lib.sh"
command -v jq >/dev/null || skip "jq is not installed"
model=$golden/small-f16.gguf # its head: 520 rows of 64 values
line='^head +F16 -> Q8_0, 65\.00 KiB -> 34\.53 KiB per token, KL ([0-9.e+-]+) nats \(worst ([0-9.e+-]+)\) over ([1-8]) positions, same top token ([0-8])/([1-8])$'

# check_line FILE POSITIONS: one such line, a cost above 0 and below 0.01, not above the worst.
check_line() {
  [ "$(grep -c '^head ' "$1")" -eq 1 ] || fail "not one line of the head: $(cat "$1")"
  found=$(grep '^head ' "$1")
  [[ $found =~ $line ]] || fail "the head's line: $found"
  local kl=${BASH_REMATCH[1]} worst=${BASH_REMATCH[2]} n=${BASH_REMATCH[3]} same=${BASH_REMATCH[4]}
  awk -v kl="$kl" -v worst="$worst" 'BEGIN { exit !(kl > 0 && kl <= worst && worst < 0.01) }' ||
    fail "KL $kl, worst $worst"
  expect_text "positions" "$2" "$n"
  [ "$same" -le "$n" ] || fail "$same of $n are the same"
  expect_text "positions behind the slash" "$n" "${BASH_REMATCH[5]}"
}

run="run -m $model -p Hello --raw --temp 0 --ids --ignore-eos --device cpu --timings"
# shellcheck disable=SC2086
expect_ok $run --head q8_0 -n 12
check_line "$work/err" 8
grep -Eq '^start .* ms to the first token: read .*, device .*, head .*, upload .*, pipelines .*' "$work/err" ||
  fail "the start line lacks the head: $(cat "$work/err")"
n=$("$PERIDOT" tokenize -m "$model" -p Hello | wc -w)
# shellcheck disable=SC2086
expect_ok $run --head q8_0 -n 0
check_line "$work/err" "$((n < 8 ? n : 8))"
# shellcheck disable=SC2086
PERIDOT_HEAD=q8_0 expect_ok $run -n 2
check_line "$work/err" "$((n + 1 < 8 ? n + 1 : 8))"
# shellcheck disable=SC2086
expect_ok $run --head q8_0 -n 2 --no-perf
[ ! -s "$work/err" ] || fail "--no-perf and yet: $(cat "$work/err")"
# shellcheck disable=SC2086
expect_ok $run -n 2
grep -q '^head ' "$work/err" && fail "a line of the head without --head: $(cat "$work/err")"

# A head that would not shrink stays, and that is said; one that cannot be made is refused.
expect_ok run -m "$golden/small-q6_k.gguf" -p Hello --raw -n 2 --device cpu --head q8_0 --timings
grep -Eq '^head +Q6_K kept: q8_0 would not be smaller$' "$work/err" || fail "unsaid: $(cat "$work/err")"
expect_error 5 'token_embd.weight cannot become Q6_K: its rows have 64 values' \
  run -m "$model" -p Hello --device cpu --head q6_k
expect_error 2 'head' run -m "$model" -p Hello --device cpu --head q3_k

# bench: the line on standard error, the type in the rows.
expect_ok bench -m "$model" --device cpu -p 4 -n 2 -r 1 -o json --head q8_0
check_line "$work/err" 8
expect_text "head of the rows" "Q8_0 Q8_0" "$(jq -r 'map(.head_type) | join(" ")' "$work/out")"
expect_ok bench -m "$model" --device cpu -p 4 -n 0 -r 1 -o json
expect_text "head of the row" "F16" "$(jq -r '.[0].head_type' "$work/out")"
[ ! -s "$work/err" ] || fail "bench without --head: $(cat "$work/err")"

# logits change, a little.
for head in keep q8_0; do
  expect_ok logits -m "$model" --tokens 2,10,20 -o "$work/$head.f32" --device cpu --head $head
done
cmp -s "$work/keep.f32" "$work/q8_0.f32" && fail "--head q8_0 changed no logit"

# inspect counts with it: 520 * (64 * 2 - 2 * 34) bytes less.
bytes() {
  "$PERIDOT" inspect -m "$model" --json --head "$1" | jq "$2"
}
expect_text "bytes saved" 31200 \
  $(($(bytes keep .model.weight_bytes_per_token) - $(bytes q8_0 .model.weight_bytes_per_token)))
expect_text "head type" '"Q8_0"' "$(bytes q8_0 .model.head_type)"
expect_ok inspect -m "$model" --plan --head q8_0
expect_text "operations on the new table" 4 "$(grep -c 'token_embd.weight:Q8_0\[520,64\]' "$work/out" | tr -d ' ')"
expect_error 5 'cannot become Q6_K' inspect -m "$model" --head q6_k
finish
