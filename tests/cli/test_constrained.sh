#!/usr/bin/env bash
# Answers in a grammar, on the command line: schemas, GBNF, regular expressions, choices; the answer alone
# on standard output; what is refused.
# SPDX-License-Identifier: MIT
. "$(dirname "$0")/lib.sh"
model=$golden/small-q4_0.gguf
ask=(run -m "$model" --device cpu -p "hello there" --raw -q --temp 1)

# ---- what is written -----------------------------------------------------------------------------
schema='{"type": "object", "properties": {"name": {"type": "string", "maxLength": 12}, "sizes": {"type": "array",
  "items": {"type": "integer", "minimum": 3, "maximum": 40}, "minItems": 1, "maxItems": 3}},
  "required": ["name", "sizes"], "additionalProperties": false}'
echo "$schema" >"$work/schema.json"
fits='(.name | type == "string" and length <= 12) and (.sizes | length >= 1 and length <= 3) and
  all(.sizes[]; . >= 3 and . <= 40 and floor == .) and (keys == ["name", "sizes"])'
for seed in 1 2 3 4 5; do
  expect_ok "${ask[@]}" --seed $seed -j "$schema"
  jq -e "$fits" "$work/out" >"$work/jq" || fail "seed $seed: $(cat "$work/out")"
  cp "$work/out" "$work/by_text"
  expect_ok "${ask[@]}" --seed $seed --json-schema-file "$work/schema.json"
  cmp "$work/out" "$work/by_text" || fail "the schema's file says something else"
done
# As few tokens as an object may have: it is complete all the same.
expect_ok "${ask[@]}" --seed 6 -n 40 -j "$schema"
jq -e "$fits" "$work/out" >"$work/jq" || fail "little room: $(cat "$work/out")"
expect_ok "${ask[@]}" --seed 7 -n 60 -j '{}'
jq -e . "$work/out" >"$work/jq" || fail "any JSON: $(cat "$work/out")"

expect_ok "${ask[@]}" --seed 1 --regex '[0-9]{3}-[a-f]{4} (yes|no)'
grep -Exq '[0-9]{3}-[a-f]{4} (yes|no)' "$work/out" || fail "a regular expression: $(cat "$work/out")"
expect_ok "${ask[@]}" --seed 1 --grammar 'root ::= "<" [a-z]{2,5} ">"'
grep -Exq '<[a-z]{2,5}>' "$work/out" || fail "a grammar: $(cat "$work/out")"
printf 'root ::= item ("," item){1,2}\nitem ::= [0-9] | "(" root ")"\n' >"$work/list.gbnf"
expect_ok "${ask[@]}" --seed 1 --grammar-file "$work/list.gbnf"
grep -Exq '[0-9(),]+' "$work/out" || fail "a grammar's file: $(cat "$work/out")"
expect_ok "${ask[@]}" --seed 1 --choice red --choice "dark blue" --choice gr\"een
grep -Exq 'red|dark blue|gr"een' "$work/out" || fail "choices: $(cat "$work/out")"

# Each answer of a conversation is one.
printf 'one\n' | timeout 60 "$PERIDOT" chat -m "$model" --device cpu -q --choice yes --choice no \
  --chat-template gemma >"$work/out" 2>"$work/err"
grep -Exq 'yes|no' "$work/out" || fail "chat: $(cat "$work/out" "$work/err")"

# ---- what is refused -----------------------------------------------------------------------------
expect_error 2 "one only of --json-schema, --grammar, --regex and --choice" "${ask[@]}" -j '{}' --regex a
expect_error 2 "one only of" "${ask[@]}" -j '{}' -jf "$work/schema.json"
expect_error 2 "not supported" "${ask[@]}" -j '{"if": {}}'
expect_error 2 "JSON" "${ask[@]}" -j '{"type": '
expect_error 2 "no rule root" "${ask[@]}" --grammar 'x ::= "a"'
expect_error 2 "\]|class" "${ask[@]}" --regex '[a'
expect_error 3 "nowhere" "${ask[@]}" --grammar-file "$work/nowhere"
finish
