#!/usr/bin/env bash
# `bench`: rows, names and fields; never how fast.
# SPDX-License-Identifier: MIT
. "$(dirname "$0")/lib.sh"
command -v jq >/dev/null || skip "jq is not installed"
model=$golden/small-q4_0.gguf
bench="bench -m $model --device cpu -r 2"

# shellcheck disable=SC2086
expect_ok $bench -p 8,16 -n 4 -pg 8,2 -d 0,24
names=$(awk -F ' *[|] *' '/±/ {print $(NF - 2)}' "$work/out" | tr '\n' ';')
expect_text "test names" \
  "pp8;pp16;tg4;pp8+tg2;pp8 @ d24;pp16 @ d24;tg4 @ d24;pp8+tg2 @ d24;" "$names"

# shellcheck disable=SC2086
expect_ok $bench -p 8-32*2 -n 0 -o json
expect_text "prompt lengths of 8-32*2" "8,16,32" "$(jq -r 'map(.n_prompt | tostring) | join(",")' "$work/out")"
jq -e 'all(.[]; (.samples_ns | length) == 2 and (.samples_ts | length) == 2 and .avg_ts > 0 and
  .stddev_ts >= 0 and .n_gen == 0 and .n_depth == 0 and .n_batch == 512 and .n_threads > 0 and
  .model_n_params > 0 and .model_size > 0 and (.build_commit | length) > 0 and
  (.cpu_info | length) > 0 and (.test_time | test("^20..-..-..T..:..:..Z$")) and
  ((.avg_ns - (.samples_ns | add / length)) | fabs) <= 1 and
  ((.samples_ts[0] - 1e9 * .n_prompt / .samples_ns[0]) | fabs) < 1e-3 * .samples_ts[0])' \
  "$work/out" >"$work/jq" || fail "bench -o json: $(cat "$work/out")"

# shellcheck disable=SC2086
expect_ok $bench -p 0 -n 2-6+2 -o jsonl
expect_text "lengths of 2-6+2" "2,4,6" "$(jq -r .n_gen "$work/out" | tr '\n' ',' | sed 's/,$//')"
expect_text "lines" 3 "$(wc -l <"$work/out" | tr -d ' ')"

# shellcheck disable=SC2086
expect_ok $bench -p 8 -n 2 -b 4,8 -o csv
expect_text "lines of CSV" 5 "$(wc -l <"$work/out" | tr -d ' ')"
head -n 1 "$work/out" | grep -q '^build_commit,.*,n_prompt,n_gen,n_depth,.*,avg_ts,stddev_ts$' ||
  fail "CSV names: $(head -n 1 "$work/out")"
finish
