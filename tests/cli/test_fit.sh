#!/usr/bin/env bash
# Under --memory-limit, run, chat and bench take the largest context that fits and say so, and refuse one
# that was asked for with what is needed, what there is, and what would fit. That this comes before
# anything is loaded: golden.fit.  SPDX-License-Identifier: MIT
. "$(dirname "$0")/lib.sh"
command -v python3 >/dev/null || skip "python3 is not installed"
export PERIDOT_TUNE=off XDG_STATE_HOME=$work/state # a tuner's own buffers may be the peak
model=$work/model.gguf
expect_ok synth --preset 270m --layers 14 --vocab 1000 -c 16384 -o "$model"

devices="cpu:68"
"$PERIDOT" devices | grep -q llvmpipe && devices="$devices vulkan:llvmpipe:80"

# largest ARGS...: what estimate says that fits
largest() {
  expect_ok estimate "$model" --json "$@"
  python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["largest"]["n_ctx"])' "$work/out"
}

# says WHAT N: one line of the context of N positions (0: any number)
says() {
  local found
  found=$(sed -n 's/^peridot: a context of \([0-9]*\) positions instead of 8192: [0-9.]* MiB of [0-9.]* MiB$/\1/p' \
    "$work/err")
  [ -n "$found" ] || fail "$1 says nothing of its context: $(cat "$work/err")"
  [ "$2" -eq 0 ] || expect_text "the context of $1" "$2" "$found"
}

# refuses MOST ARGS...: with a context of 8192 positions; *MOST would fit (0: any number)
refuses() {
  local most=$1 found
  shift
  expect_error 9 "with a context of 8192 positions needs [0-9.]* MiB, of which weights take [0-9.]* MiB" "$@"
  found=$(sed -n 's/^  a context of \([0-9]*\) positions would fit (-c)$/\1/p' "$work/err")
  [ -n "$found" ] || fail "$*: no advice: $(cat "$work/err")"
  [ "$most" -eq 0 ] || expect_text "what would fit $*" "$most" "$found"
}

for entry in $devices; do
  device=${entry%:*} limit=${entry##*:}
  # the end of a text is the most probable token, so that answers are short
  on="-m $model --device $device -t 2 --memory-limit $limit --temp 0 -l 1+1000"
  most=$(largest --device "$device" -t 2 --memory-limit "$limit")
  [ "$most" -gt 64 ] && [ "$most" -lt 8192 ] || fail "the largest context on $device is $most"
  # shellcheck disable=SC2086
  {
    expect_ok run $on x --raw
    says "run on $device" "$most"
    expect_ok run $on x --raw -q
    expect_text "run -q on $device" "" "$(cat "$work/err")"
    expect_ok run $on x --raw -n 2 # which needs no more
    grep -q "instead of" "$work/err" && fail "run -n 2 on $device: $(cat "$work/err")"
    expect_ok run $on x --raw -c "$most"
    refuses "$most" run $on x --raw -c 8192
    expect_error 9 "context of 16384 positions needs" run $on x --raw -c 0

    expect_ok chat $on -p hi
    says "chat on $device" 0
    expect_ok chat $on -p hi -q
    expect_text "chat -q on $device" "" "$(cat "$work/err")"
    refuses 0 chat $on -p hi -c 8192
    expect_error 9 "context of 16384 positions needs" chat $on -p hi -c 0

    bench="bench -m $model --device $device -t 2 --memory-limit $limit -r 1 -n 0"
    expect_ok $bench -p 8
    refuses 0 $bench -p 8000
    refuses 0 $bench -p 8 -d 64,8000 -pg 100,20
    for command in "run $on x --raw" "chat $on -p hi" "$bench -p 8"; do
      expect_error 9 "does not fit .*, with the smallest context" $command --memory-limit 30
    done
  }
done

# A prompt that the smaller context does not hold
printf "x %.0s" $(seq 5000) >"$work/long"
expect_error 7 "the prompt has .* tokens, but the context holds" run "$model" -f "$work/long" --raw \
  --device cpu -t 2 --memory-limit 68
grep -q "no larger context fits the memory" "$work/err" || fail "no reason: $(tail -n 1 "$work/err")"

# The CPU has no limit but the user's.
expect_ok run "$model" x --raw --device cpu -t 2 --temp 0 -l 1+1000 --timings
grep -q "instead of" "$work/err" && fail "run without a limit: $(cat "$work/err")"
finish
