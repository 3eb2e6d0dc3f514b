#!/usr/bin/env bash
# `run`: bias, penalties, stop strings, log-probabilities.  SPDX-License-Identifier: MIT
. "$(dirname "$0")/lib.sh"
model=$golden/small-q4_0.gguf
run=(run -m "$model" -p "Hello there" -n 24 --temp 0 --raw --ignore-eos --device cpu)
ids_of() {
  expect_ok "${run[@]}" --ids "$@"
  cat "$work/out"
}
text_of() {
  expect_ok "${run[@]}" "$@"
  cat "$work/out"
}
expect_other() { # WHAT NOT FOUND
  [ "$2" != "$3" ] || fail "$1 changes nothing: $3"
}
plain=$(ids_of)
text=$(text_of)
first=${plain%% *}

# Each setting alone changes the answer; its default does not.
expect_other --repeat-penalty "$plain" "$(ids_of --repeat-penalty 1.8)"
expect_other --presence-penalty "$plain" "$(ids_of --presence-penalty 2)"
expect_other --frequency-penalty "$plain" "$(ids_of --frequency-penalty 2 --repeat-last-n -1)"
expect_other --repeat-last-n "$(ids_of --repeat-penalty 1.8)" "$(ids_of --repeat-penalty 1.8 --repeat-last-n 1)"
expect_text "--repeat-last-n 0" "$plain" "$(ids_of --repeat-penalty 1.8 --repeat-last-n 0)"
expect_text "the defaults" "$plain" "$(ids_of --repeat-penalty 1 --presence-penalty 0 \
  --frequency-penalty 0 --repeat-last-n 64)"
for flag in -l --logit-bias; do
  found=$(ids_of $flag "$first-inf")
  [[ " $found " != *" $first "* ]] || fail "$flag $first-inf, and yet: $found"
  expect_text "$flag that favours one token" "9 9 9" "$(ids_of $flag 9+1000 -n 3)"
done
expect_text "biases by comma and by flag" "$(ids_of -l "9+3,$first-2.5")" "$(ids_of -l 9+3 -l "$first-2.5")"
expect_ok "${run[@]}" --timings --repeat-penalty 1.5 --presence-penalty 0.5 -l 9+1
grep -q '^sampler  *repeat-penalty 1.5, presence-penalty 0.5, over 64 tokens, biases 1, greedy$' "$work/err" ||
  fail "the sampler in the timings: $(cat "$work/err")"
expect_ok "${run[@]}" --timings --repeat-penalty 1
grep -q '^sampler  *greedy$' "$work/err" || fail "a greedy sampler in the timings: $(cat "$work/err")"

# What cannot be used is one sentence.
bad() { # PATTERN ARGS...
  local pattern=$1
  shift
  expect_error 2 "$pattern" "${run[@]}" "$@"
}
bad 'must be from 0 to 1000, but is -1' --repeat-penalty -1
bad 'takes a number' --repeat-penalty strong
bad 'must be from -1 to' --repeat-last-n -2
bad 'takes a whole number' --repeat-last-n 1.5
for flag in --presence-penalty --frequency-penalty; do
  bad 'must be from -2 to 2, but is 2.1' $flag 2.1
  bad 'takes a number' $flag nan
done
for bias in x 5 5+ +1 "5-inf," 5,1 5:1 5+1x -5+1 4294967296+1 99999999999999999999+1; do
  bad 'takes an id and a bias as in 15043\+1, but ".*" is none' --logit-bias="$bias"
done
bad 'the bias of token 5 is inf, but must be a number or -inf' -l 5+inf
bad 'the bias of token 5 is -?nan' -l 5+nan
bad 'for token 600, but the model.s vocabulary has 600' -l 600+1
bad 'stop string 2 is empty' --stop a --stop ''
bad 'stop string 1 is not UTF-8 at byte 1' --stop $'a\xff'
bad 'needs a value' --stop
bad '--logprobs needs --json' --logprobs 3
bad 'must be from 0 to 256, but is 257' --json --logprobs 257
bad 'takes a whole number' --json --logprobs many

# The answer up to a stop string: one within a token, one over several, the first of two, none.
for stop in ml '></' "${text:9:6}"; do
  expect_text "--stop $stop" "${text%%"$stop"*}" "$(text_of --stop "$stop")"
done
for flag in -r --reverse-prompt; do
  expect_text "$flag" "${text%%ml*}" "$(text_of $flag ml)"
done
expect_text "two of --stop" "${text%%ml*}" "$(text_of --stop '></' --stop ml)"
expect_text "--stop with a beginning at the end" "$text" "$(text_of --stop "${text: -3}x")"
expect_text "--stop with the whole answer" "" "$(text_of --stop "${text:0:3}")"
expect_text "--stop with --ids ends with the token that completes it" "$first $first" \
  "$(ids_of --stop '></')"

command -v jq >/dev/null || finish
field() {
  jq -r "$1" "$work/out"
}
expect_ok "${run[@]}" --json --stop '></'
expect_text "--stop in JSON" "stop ${text%%></*} 2 false" \
  "$(field '[.finish_reason, .text, (.ids | length), .context_full] | map(tostring) | join(" ")')"
expect_text "no log-probabilities without --logprobs" false "$(field 'has("log_probs")')"
expect_ok "${run[@]}" --json --logprobs 3 --presence-penalty 0.5
expect_text "settings in JSON" "1 0.5 0 64" "$(field '.settings | [.repeat_penalty, .presence_penalty,
  .frequency_penalty, .repeat_last_n] | map(tostring) | join(" ")')"
expect_ok "${run[@]}" --json --logprobs 3
expect_text "ids with --logprobs" "$plain" "$(field '.ids | map(tostring) | join(" ")')"
expect_text "ids of --logprobs" "$plain" "$(field '.log_probs | map(.id | tostring) | join(" ")')"
expect_text "greedy tokens are the most probable ones, of three, with their text" true \
  "$(field 'all(.log_probs[]; (.top | length) == 3 and .top[0].id == .id and .top[0].log_prob == .log_prob
    and .log_prob < 0 and .top[1].log_prob <= .log_prob and (.text | type) == "string")')"
expect_ok "${run[@]}" --json --logprobs 0
expect_text "--logprobs 0" 0 "$(field '[.log_probs[].top | length] | max')"
expect_ok "${run[@]}" --json --logprobs 2 -n 0
expect_text "no tokens, no log-probabilities" '[]' "$(field '.log_probs | tojson')"
finish
