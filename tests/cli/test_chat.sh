#!/usr/bin/env bash
# `chat` in pipes: one message, one answer, and nothing else; templates, limits, what is refused.
# SPDX-License-Identifier: MIT
. "$(dirname "$0")/lib.sh"
export XDG_STATE_HOME=$work/state
mkdir "$work/model"
model=$work/model/model.gguf # elsewhere an image encoder lies beside it
cp "$golden/small-q4_0.gguf" "$model"
short="-m $model --device cpu -n 16 --temp 0 -l 1-inf -l 106-inf"

# piped TEXT ARGS...: the answer is in $work/out
piped() {
  local text=$1
  shift
  printf '%s' "$text" | timeout 120 "$PERIDOT" chat "$@" >"$work/out" 2>"$work/err"
  local rc=$?
  [ $rc -eq 0 ] || fail "chat $*: exit code $rc: $(cat "$work/err")"
}

# All of standard input is a message, whose answer is run's; commands are none.
# shellcheck disable=SC2086
{
  piped "$(printf 'first line\nsecond line\n\n/quit\n')" $short
  expect_text "standard error of a piped chat" "" "$(cat "$work/err")"
  cp "$work/out" "$work/piped"
  expect_ok run $short -p "$(printf 'first line\nsecond line\n\n/quit')" -q
  expect_text "the answer of run" "$(od -c "$work/out")" "$(od -c "$work/piped")"
  [ -s "$work/piped" ] || fail "no answer"
  piped hi $short --timings
  grep -Eq '^prompt [0-9]+ tokens, 0 reused, [0-9]+ computed at .* tok/s; answer 16 tokens at' "$work/err" ||
    fail "--timings: $(cat "$work/err")"
  cp "$work/out" "$work/piped"
  expect_ok chat $short -p hi # which leaves standard input alone
  expect_text "the message of -p" "$(od -c "$work/piped")" "$(od -c "$work/out")"
  piped hi $short --color always
  expect_text "colours in a pipe" "$(od -c "$work/piped")" "$(od -c "$work/out")"
  piped hi $short -q -cnv -i
  expect_text "-cnv" "$(od -c "$work/piped")" "$(od -c "$work/out")"
}
[ ! -e "$work/state/peridot/chat_history" ] || fail "a pipe in the history"

# The system prompt, in all of its spellings.
printf 'Be brief.' >"$work/system"
# shellcheck disable=SC2086
{
  piped hi $short -sys "Be brief." --timings
  n=$(sed -n 's/^prompt \([0-9]*\) .*/\1/p' "$work/err")
  for spelling in "-sysf $work/system" "--system-prompt-file=$work/system"; do
    piped hi $short $spelling --timings
    expect_text "tokens with $spelling" "$n" "$(sed -n 's/^prompt \([0-9]*\) .*/\1/p' "$work/err")"
  done
  piped hi $short --system "Be brief." --timings
  expect_text "tokens with --system" "$n" "$(sed -n 's/^prompt \([0-9]*\) .*/\1/p' "$work/err")"
  expect_ok run $short -p hi -sysf "$work/system" --timings
  expect_text "run's tokens with -sysf" "$n" "$(sed -n 's/^prompt *\([0-9]*\) .*/\1/p' "$work/err")"
  expect_error 2 'cannot be used together' chat $short -p hi -sys a -sysf "$work/system"
  expect_error 3 'No such file' chat $short -p hi -sysf "$work/none"
  expect_error 3 'No such file' run $short -p hi -sysf "$work/none"
}

# Stop strings, and a context that ends the answer.
# shellcheck disable=SC2086
{
  piped hi $short
  first=$(head -c 1 "$work/out")
  [ -n "$first" ] && {
    piped hi $short --stop "$first"
    [ "$(wc -c <"$work/out")" -le 1 ] || fail "--stop: $(cat "$work/out")"
  }
  piped hi -m "$model" --device cpu --temp 0 -l 1-inf -l 106-inf -c 64
  grep -q 'the context of 64 tokens is full; the answer may be cut' "$work/err" ||
    fail "a full context: $(cat "$work/err")"
}

# What is refused.
long=$(printf 'long %.0s' $(seq 100))
# shellcheck disable=SC2086
{
  expect_error 2 'the message is empty' chat $short
  expect_error 2 'stop string 1 .*UTF-8|UTF-8' chat $short -p hi --stop $'a\xff'
  expect_error 2 'the message is not valid UTF-8 at byte 1' chat $short -p $'a\xff'
  expect_error 2 'the system prompt is not valid UTF-8' chat $short -p hi -sys $'\xff'
  expect_error 2 'must be from -2 to 2' chat $short -p hi --presence-penalty 2.5
  expect_error 2 'must be from -2 to 2' chat $short -p hi --frequency-penalty -3
  expect_error 2 'must be from 0 to 1000' chat $short -p hi --repeat-penalty -1
  expect_error 2 'must be one of auto' chat $short -p hi --color on
  expect_error 2 'must be one of gemma' chat $short -p hi --chat-template chatml
  expect_error 2 'unknown flag -st' chat $short -p hi -st
  expect_error 2 '--raw is not a flag of chat' chat $short -p hi --raw
  expect_error 7 'the question has [0-9]+ tokens, but the context holds 64' chat $short -c 64 -p "$long"
  expect_error 7 'the system prompt and the question have [0-9]+ tokens, but the context holds 64' \
    chat $short -c 64 -p hi -sys "$long" --context-shift
  expect_error 7 'context' chat $short -c 1000000 -p hi
  expect_error 3 'No such file' chat -m "$work/none.gguf" -p hi
  expect_error 2 'bias' chat $short -p hi -l 99999999+1
  printf 'no picture' >"$work/broken.png"
  expect_error 5 'broken.png' chat -m "$golden/mm-q4_0.gguf" --device cpu -p hi --image "$work/broken.png"
  expect_error 2 'no image encoder' chat $short -p hi --image "$PERIDOT_TEST_DATA/images/small.png"
  expect_error 2 'cannot be used together' chat -m "$golden/mm-q4_0.gguf" -p hi --no-mmproj \
    --image "$PERIDOT_TEST_DATA/images/small.png"
}

# A model without a chat template is a pre-trained one, unless a name says otherwise.
sed 's/tokenizer[.]chat_template/tokenizer.chat_xxxxxxxx/' "$model" >"$work/model/plain.gguf"
text="-n 16 --temp 0 -l 1-inf -l 106-inf --device cpu"
# shellcheck disable=SC2086
{
  piped "Once upon a time" -m "$work/model/plain.gguf" $text
  expect_text "lines about a pre-trained model" 1 "$(grep -c 'is a pre-trained one' "$work/err")"
  cp "$work/out" "$work/piped"
  expect_ok run -m "$model" -p "Once upon a time" --raw -q $text
  expect_text "the text that goes on" "$(od -c "$work/out")" "$(od -c "$work/piped")"
  piped "Once upon a time" -m "$model" --chat-template none $text
  expect_text "--chat-template none" "$(od -c "$work/piped")" "$(od -c "$work/out")"
  expect_text "lines about what was asked for" "" "$(cat "$work/err")"
  expect_error 2 'without a chat template there is no --system-prompt' \
    chat -m "$model" --chat-template none $text -p hi -sys a
  piped hi -m "$model" $text
  cp "$work/out" "$work/piped"
  piped hi -m "$work/model/plain.gguf" --chat-template gemma $text
  expect_text "--chat-template gemma" "$(od -c "$work/piped")" "$(od -c "$work/out")"
  mv "$work/model/plain.gguf" "$work/model/plain-it.gguf"
  piped hi -m "$work/model/plain-it.gguf" $text
  expect_text "a name with -it" "$(od -c "$work/piped")" "$(od -c "$work/out")"
}

# Pictures: the encoder beside the model is found; one of another model is left out with a line.
picture=$PERIDOT_TEST_DATA/images/small.png
piped "<image> what" -m "$golden/mm-q4_0.gguf" --device cpu -n 4 --temp 0 --image "$picture" --timings
with=$(sed -n 's/^prompt \([0-9]*\) .*/\1/p' "$work/err")
piped "what" -m "$golden/mm-q4_0.gguf" --device cpu -n 4 --temp 0 --no-mmproj --timings
without=$(sed -n 's/^prompt \([0-9]*\) .*/\1/p' "$work/err")
[ "$with" -gt "$without" ] || fail "$with tokens with a picture, $without without"
piped hi -m "$golden/small-q4_0.gguf" --device cpu -n 4
expect_text "lines about another model's encoder" 1 "$(grep -c 'mmproj.gguf" is left out' "$work/err")"

# Output that cannot be written, and a Ctrl-C.
if [ -w /dev/full ]; then
  # shellcheck disable=SC2086
  echo hi | "$PERIDOT" chat $short >/dev/full 2>"$work/err"
  rc=$?
  [ $rc -eq 3 ] || fail "a full disk: exit code $rc"
  grep -q 'cannot write to standard output' "$work/err" || fail "a full disk: $(cat "$work/err")"
fi
expect_ok synth -o "$work/slow.gguf" --preset tiny --ctx-size 1000000
"$PERIDOT" chat -m "$work/slow.gguf" -p hello --device cpu -c 0 -l 1-inf -l 106-inf >"$work/out" \
  2>"$work/err" </dev/null &
pid=$!
for _ in $(seq 100); do
  [ "$(wc -c <"$work/out")" -gt 100 ] && break
  sleep 0.1
done
kill -INT $pid
wait $pid
rc=$?
[ $rc -eq 130 ] || fail "Ctrl-C: exit code $rc instead of 130"
[ "$(tail -c 1 "$work/out" | wc -l)" -eq 1 ] || fail "Ctrl-C: no newline at the end"
finish
