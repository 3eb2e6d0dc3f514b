#!/usr/bin/env bash
# `run`: tokens, text, limits, timings, progress, JSON, and Ctrl-C.
# SPDX-License-Identifier: MIT
. "$(dirname "$0")/lib.sh"
model=$golden/small-q4_0.gguf

# Greedy generation is the same on the reference and on the fast CPU backend, and again.
expect_ok run -m "$model" -p "Hello there" -n 24 --temp 0 --raw --ids --ignore-eos --no-perf --device cpu-ref
reference=$(cat "$work/out")
[ "$(wc -w <"$work/out")" -eq 24 ] || fail "24 ids were asked for: $reference"
[ "$(wc -l <"$work/out")" -eq 1 ] || fail "ids must be on one line: $reference"
[ ! -s "$work/err" ] || fail "--no-perf and yet: $(cat "$work/err")"
for threads in 1 3; do
  expect_ok run -m "$model" -p "Hello there" -n 24 --temp 0 --raw --ids --ignore-eos --no-perf \
    --device cpu -t $threads
  expect_text "greedy ids on the CPU with $threads threads" "$reference" "$(cat "$work/out")"
done
expect_ok run -m "$model" -p "Hello there" -n 24 --temp 0 --raw --ids --ignore-eos --no-perf \
  --device cpu -b 3
expect_text "greedy ids with a batch of 3" "$reference" "$(cat "$work/out")"

# A file, a pipe and a flag are the same prompt.
printf 'Hello there' >"$work/prompt"
expect_ok run -m "$model" -f "$work/prompt" -n 24 --temp 0 --raw --ids --ignore-eos --no-perf --device cpu
expect_text "prompt from a file" "$reference" "$(cat "$work/out")"
found=$("$PERIDOT" run -m "$model" -n 24 --temp 0 --raw --ids --ignore-eos --no-perf --device cpu <"$work/prompt")
expect_text "prompt from a pipe" "$reference" "$found"

# The environment sets, a flag wins.
export PERIDOT_MODEL=$model PERIDOT_TEMP=0 PERIDOT_DEVICE=cpu PERIDOT_PREDICT=3 PERIDOT_QUIET=1
expect_ok run -p "Hello there" --raw --ids --ignore-eos
expect_text "three ids by the environment" "$(echo "$reference" | cut -d' ' -f1-3)" "$(cat "$work/out")"
expect_ok run -p "Hello there" --raw --ids --ignore-eos -n 5
expect_text "five ids by the flag" "$(echo "$reference" | cut -d' ' -f1-5)" "$(cat "$work/out")"
unset PERIDOT_MODEL PERIDOT_TEMP PERIDOT_DEVICE PERIDOT_PREDICT PERIDOT_QUIET

# Equal seeds draw equally; the seed that was used is told and can be used again.
sampled="run --timings -m $model -p hello -n 24 --raw --ids --ignore-eos --device cpu --temp 2"
# shellcheck disable=SC2086
expect_ok $sampled
first=$(cat "$work/out")
seed=$(sed -n 's/^sampler .* seed \([0-9]*\)$/\1/p' "$work/err")
[ -n "$seed" ] || fail "no seed in the timing block: $(cat "$work/err")"
# shellcheck disable=SC2086
expect_ok $sampled --seed "$seed"
expect_text "the same seed" "$first" "$(cat "$work/out")"
# shellcheck disable=SC2086
expect_ok $sampled --seed $((seed + 1))
[ "$first" != "$(cat "$work/out")" ] || fail "another seed drew the same 24 tokens"

# The timing block
for line in '^start  .* ms to the first token: read .*, device .*, upload .*, pipelines .*, prompt .*, first token .*$' \
  '^prompt  .* tokens, .* tok/s, first token after .* ms$' \
  '^generated  24 tokens, .* tok/s, .* GB/s of weights read$' \
  '^device  .*cpu: .*, precision f16, peak memory ' '^sampler  .*temp 2, top-k 64, top-p 0.95' \
  '^logits  .*hash [0-9a-f]{16}$'; do
  grep -Eq "$line" "$work/err" || fail "the timing block lacks \"$line\": $(cat "$work/err")"
done

# Timings: all with -v too, none where standard error is no terminal, a line of them where it is one;
# -q wins.
short="run -m $model -p hello -n 3 --temp 0 --raw --ids --ignore-eos --device cpu"
# shellcheck disable=SC2086
{
  expect_ok $short -v
  grep -q '^generated  3 tokens' "$work/err" || fail "-v and no timings: $(cat "$work/err")"
  expect_ok $short
  expect_text "standard error of a run in a pipe" "" "$(cat "$work/err")"
  expect_ok $short -v -q
  grep -q '^generated' "$work/err" && fail "-q and timings: $(cat "$work/err")"
}
if command -v python3 >/dev/null; then
  # terminal ARGS...: standard error of a run, on a terminal; standard output is a pipe
  terminal() {
    python3 - "$PERIDOT" "$@" <<'EOF'
import os, pty, subprocess, sys
ours, theirs = pty.openpty()
process = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL, stderr=theirs)
os.close(theirs)
text = b""
try:
    while piece := os.read(ours, 4096):
        text += piece
except OSError:
    pass  # the other end is closed
process.wait()
sys.stdout.buffer.write(text)
EOF
  }
  # shellcheck disable=SC2086
  {
    TERM=xterm terminal $short >"$work/err"
    tail -n 1 "$work/err" | grep -Eq '^.*prompt 6 tokens at [0-9.]+ tok/s, answer 3 tokens at [0-9.]+ tok/s' ||
      fail "a terminal, and no line of timings: $(cat "$work/err")"
    grep -Eq 'prompt \[[.]{24}\]   0 %  0 of 6 tokens' "$work/err" || fail "no bar: $(cat -A "$work/err")"
    TERM=dumb terminal $short >"$work/err"
    expect_text "lines on a dumb terminal" 1 "$(wc -l <"$work/err")"
    expect_text "a quiet run on a terminal" "" "$(TERM=xterm terminal $short -q)"
  }
fi

# Progress where there is no terminal: lines, the last of which is whole.
# shellcheck disable=SC2086
expect_ok $short --progress -b 2
grep -Eq '^loading 100 %  .* of .*/s$' "$work/err" || fail "--progress of loading: $(cat "$work/err")"
grep -Eq '^prompt   0 %  0 of 6 tokens$' "$work/err" || fail "--progress at the start: $(cat "$work/err")"
grep -Eq '^prompt 100 %  6 of 6 tokens  [0-9.]+ tok/s$' "$work/err" || fail "--progress: $(cat "$work/err")"

# One object, and nothing else.
json="run -m $model -p hello -n 7 --temp 0 --raw --ignore-eos --device cpu --json"
# shellcheck disable=SC2086
{
  expect_ok ${json% --json}
  text=$(cat "$work/out")
  expect_ok ${json% --json} --ids
  ids=$(cat "$work/out")
  expect_ok $json
}
expect_text "standard error beside JSON" "" "$(cat "$work/err")"
if command -v jq >/dev/null; then
  field() {
    jq -r "$1" "$work/out"
  }
  expect_text "the text in JSON" "$text" "$(field .text)"
  expect_text "the ids in JSON" "$ids" "$(field '.ids | map(tostring) | join(" ")')"
  expect_text "the rest of JSON" "length false $model Q4_0 cpu 0 64 256 f16 6 7" \
    "$(field '[.finish_reason, .context_full, .model.path, .model.type, .device.id, .settings.temp,
               .settings.top_k, .settings.n_ctx, .settings.precision, .timings.prompt_n,
               .timings.predicted_n] | map(tostring) | join(" ")')"
  expect_text "speeds in JSON" true \
    "$(field '.timings.prompt_per_second > 0 and .timings.predicted_ms > 0 and (.logits_hash | length) == 16')"
  # shellcheck disable=SC2086
  expect_ok $json -c 9 -n 100
  expect_text "a full context in JSON" "length true 4" \
    "$(field '[.finish_reason, .context_full, .timings.predicted_n] | map(tostring) | join(" ")')"
  # shellcheck disable=SC2086
  expect_ok $json -n 0
  expect_text "no answer in JSON" '"" []' "$(field '[.text, .ids] | map(tojson) | join(" ")')"
fi

# Limits: -n 0 computes the prompt alone; a full context ends the answer and says so.
expect_ok run -m "$model" -p hello -n 0 --device cpu
[ ! -s "$work/out" ] || fail "-n 0 printed: $(cat "$work/out")"
n=$("$PERIDOT" tokenize -m "$model" -p hello | wc -w)
expect_ok run -m "$model" -p hello --raw --ids --ignore-eos -n 100 -c $((n + 5)) --device cpu --no-perf
expect_text "tokens until the context is full" 6 "$(wc -w <"$work/out" | tr -d ' ')"
grep -q "context of $((n + 5)) tokens is full" "$work/err" || fail "a full context went unsaid"
expect_ok run -m "$model" -p hello --raw --ids --ignore-eos -n 6 -c $((n + 5)) --device cpu --no-perf
[ ! -s "$work/err" ] || fail "6 tokens fit exactly, and yet: $(cat "$work/err")"

# Text is whole characters and ends with a newline, whatever the tokens were.
for seed in 1 2 3 4 5 6 7 8; do
  expect_ok run -m "$model" -p hello -n 40 --temp 4 --top-k 0 --top-p 1 --seed $seed --ignore-eos \
    --device cpu --no-perf
  iconv -f UTF-8 -t UTF-8 "$work/out" >"$work/checked" 2>&1 || fail "seed $seed: not UTF-8"
  [ "$(tail -c 1 "$work/out" | wc -l)" -eq 1 ] || fail "seed $seed: no newline at the end"
done

# The template is what --raw leaves out.
expect_ok run -m "$model" -p hello -sys "Be brief." -n 4 --temp 0 --ids --device cpu --timings
chat=$(sed -n 's/^prompt *\([0-9]*\) tokens.*/\1/p' "$work/err")
[ "$chat" -gt "$n" ] || fail "the chat prompt has $chat tokens, the raw one $n"

# A file with another template gets a line on standard error, once, and none where no template is used.
sed 's/%}<start_of_turn>/%}<START_of_turn>/g' "$model" >"$work/other.gguf"
expect_ok run -m "$work/other.gguf" -p hello -n 1 --device cpu --no-perf
expect_text "warnings of another template" 1 "$(grep -c 'warning: .*another chat template' "$work/err")"
expect_ok run -m "$work/other.gguf" -p hello --raw -n 1 --device cpu --no-perf
expect_text "warnings with --raw" "" "$(cat "$work/err")"
expect_ok run -m "$model" -p hello -n 1 --device cpu --no-perf
expect_text "warnings of Gemma's template" "" "$(cat "$work/err")"

# Ctrl-C ends the answer, not the report.
expect_ok synth -o "$work/slow.gguf" --preset tiny --ctx-size 1000000
"$PERIDOT" run --timings -m "$work/slow.gguf" -p hello --ids --raw --ignore-eos --device cpu -c 0 \
  >"$work/out" 2>"$work/err" </dev/null &
pid=$!
for _ in $(seq 100); do
  [ "$(wc -w <"$work/out")" -gt 2 ] && break
  sleep 0.1
done
kill -INT $pid
wait $pid
rc=$?
[ $rc -eq 130 ] || fail "Ctrl-C: exit code $rc instead of 130"
grep -q '^generated ' "$work/err" || fail "Ctrl-C: no timings: $(cat "$work/err")"
grep -q '^peridot: stopped' "$work/err" || fail "Ctrl-C went unsaid: $(cat "$work/err")"
[ "$(tail -c 1 "$work/out" | wc -l)" -eq 1 ] || fail "Ctrl-C: no newline at the end"
finish
