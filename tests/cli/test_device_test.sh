#!/usr/bin/env bash
# `devices --test`: all is well, a fault that a switch avoids, what is left behind, bad requests.
# SPDX-License-Identifier: MIT
. "$(dirname "$0")/lib.sh"
export TMPDIR=$work/tmp PERIDOT_CACHE_DIR=$work/cache
mkdir -p "$TMPDIR"

expect_ok devices --test cpu --types q4_0,q6_k --json
jq -e '(.devices | length) == 1 and (.devices[0] | .id == "cpu" and .tests_failed == 0 and .avoided_by == "" and
       (.kept | not) and (.tests | length) >= 9 and all(.tests[]; .holds and .results > 70))' "$work/out" >"$work/jq" ||
  fail "JSON: $(head -c 600 "$work/out")"
expect_ok devices --test --device cpu --types bf16
grep -q '^  cpu computes what it should: [0-9]* tests, in' "$work/out" || fail "no verdict: $(tail -n 3 "$work/out")"
[ -z "$(ls "$TMPDIR")" ] || fail "left behind: $(ls "$TMPDIR")"
expect_error 2 "no type that is tested" devices --test cpu --types q3_k
expect_error 2 "no type is named" devices --test cpu --types ,
expect_error 2 "needs --test" devices --types q4_0
expect_error 2 "what others are compared with" devices --test cpu-ref
expect_error 10 "no device is called" devices --test nowhere
TMPDIR=$work/nowhere timeout 60 "$PERIDOT" devices --test cpu >"$work/out" 2>"$work/err"
rc=$?
[ $rc -eq 3 ] || fail "no place for models: exit code $rc: $(cat "$work/err")"

"$PERIDOT" devices | grep -q '^vulkan.*llvmpipe' || {
  echo "no llvmpipe: faults in shaders are not tried"
  finish
}
# faulty: tests with the planted fault; everything but the exit code is for the caller.
faulty() {
  local rc
  PERIDOT_SHADER_DIR=$work/shaders timeout 600 "$PERIDOT" devices --test vulkan:llvmpipe --types q4_0 >"$work/out" 2>"$work/err"
  rc=$?
  [ $rc -eq 14 ] || fail "a fault: exit code $rc: $(cat "$work/err")"
}

plant dot_i16.glsl 'float(256 * part.x + part.y)' 'float(128 * part.x + part.y)'
faulty
grep -q 'q4_0   odd     q8 .* beyond: .* (output), off by' "$work/out" || fail "integers: $(cat "$work/out")"
grep -q '^peridot: vulkan:0 computes something else .*; without int8dot it does not; the first: q4_0 odd, q8: ' "$work/err" ||
  fail "integers: $(cat "$work/err")"
grep -q '^  PERIDOT_DISABLE=int8dot avoids it$' "$work/err" || fail "no advice: $(cat "$work/err")"
grep -q 'odd     exact .* within' "$work/out" || fail "integers in exact: $(cat "$work/out")"
[ -z "$(ls "$TMPDIR")" ] || fail "left behind: $(ls "$TMPDIR")"
finish
