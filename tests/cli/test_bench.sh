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
  .stddev_ts >= 0 and .n_gen == 0 and .n_depth == 0 and .n_batch == 2048 and .n_ubatch == 512 and
  .start_read_ns > 0 and .start_prompt_ns > 0 and .start_n_pipelines == 0 and
  .n_dispatches > .n_layer_dispatches and .n_layer_dispatches > 0 and .n_threads > 0 and
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
head -n 1 "$work/out" | grep -q '^build_commit,.*,n_prompt,n_gen,n_depth,.*,avg_ts,stddev_ts,logits_hash$' ||
  fail "CSV names: $(head -n 1 "$work/out")"
# shellcheck disable=SC2086
expect_ok $bench -p 24 -n 0 -b 8,16 -ub 4,16 -o jsonl
expect_text "batches" "8 4;8 8;16 4;16 16;" "$(jq -r '"\(.n_batch) \(.n_ubatch)"' "$work/out" | tr '\n' ';')"

# A profile: all operations of the last step, with what they must compute: 7 layers, width 96, feed
# forward 160, 600 tokens; a prompt of 6 has one row of logits.
# shellcheck disable=SC2086
expect_ok $bench -p 6 -n 2 --profile --trace "$work/trace.json" -o json
expect_text "gate_up of 6 rows and of one" "$((4 * 160 * 96 * 6 * 7)),$((4 * 160 * 96 * 7))" \
  "$(jq -r '[.[].profile[] | select(.op == "gate_up") | .op_flops] | join(",")' "$work/out")"
expect_text "logits" "$((2 * 600 * 96)) $((2 * 600 * 96))" \
  "$(jq -r '[.[].profile[] | select(.op == "logits") | .op_flops] | join(" ")' "$work/out")"
jq -e 'all(.[]; .device_copy_gb_s > 0 and .device_gflop_s > 0 and .device_dispatch_us > 0 and
  (.device_peak | test("^(f32 FMA|int(8|16) dot|bf16 tiles)$")) and .device_read_gb_s > 0 and (.profile | map(.op_count) | add) == .n_dispatches and
  all(.profile[]; .op_bytes > 0 and .op_copy_percent > 0))' "$work/out" >"$work/jq" ||
  fail "bench --profile: $(cat "$work/out")"
jq -e --slurpfile rows "$work/out" '.traceEvents as $e |
  ($e | map(select(.name == "process_name").args.name)) == ["pp6", "tg2"] and
  ($e | map(select(.ph == "X" and .name == "l03.gate_up").args.layer)) == [3, 3] and
  ($e | map(select(.ph == "X")) | all(.dur >= 0 and .args.bytes > 0)) and
  ($e | map(select(.ph == "X")) | length) == ([$rows[0][].profile[].op_count] | add)' \
  "$work/trace.json" >"$work/jq" || fail "bench --trace: $(head -c 2000 "$work/trace.json")"

# shellcheck disable=SC2086
expect_ok $bench -p 64 -n 0 --profile -o md
found=$(grep -c 'above 100 %' "$work/err")
above=$(awk '/GB\/s/ && $9 + 0 > 100 { n = 1 } END { print n + 0 }' "$work/err")
[ "$found" -eq "$above" ] || fail "a share above 100 % is not explained: $(cat "$work/err")"
expect_ok $bench -p 6 -n 0 --profile -o csv
head -n 1 "$work/out" | grep -q ',device_copy_gb_s,.*,op,op_count,op_ns,.*,op_peak_percent$' ||
  fail "CSV names of a profile: $(head -n 1 "$work/out")"
expect_text "fields of each line" 1 "$(awk -F, '{print NF}' "$work/out" | sort -u | wc -l | tr -d ' ')"
# shellcheck disable=SC2086
expect_error 3 'no-such-folder' $bench -p 6 -n 0 --trace "$work/no-such-folder/trace.json"

# Several sequences at once: rows of every pair of lengths, and what they add up to.
# shellcheck disable=SC2086
expect_ok $bench -p 32,40 -n 4 --parallel 1,3 -o json
expect_text "rows of --parallel" "32+4*1 36;32+4*3 108;40+4*1 44;40+4*3 132;" \
  "$(jq -r '.[] | "\(.pp)+\(.tg)*\(.pl) \(.n_kv)"' "$work/out" | tr '\n' ';')"
jq -e 'def near($a; $b): (($a - $b) | fabs) <= 1e-6 * ($b | fabs);
  .[0].speed_tg as $one | .[2].speed_tg as $other | all(.[]; .t_pp > 0 and .t_tg > 0 and
  .is_pp_shared == 0 and .n_ubatch == 512 and .n_threads > 0 and .precision == "f16" and
  near(.t; .t_pp + .t_tg) and near(.speed; .n_kv / .t) and near(.speed_tg; .tg * .pl / .t_tg) and
  near(.speed_pp; .pp * .pl / .t_pp) and (.samples_t_pp | length) == 2 and
  near(.t_tg; .samples_t_tg | add / 2) and .stddev_speed_tg >= 0 and .stddev_speed_pp >= 0 and
  near(.x1; .speed_tg / (if .pp == 32 then $one else $other end)) and
  (.test_time | test("^20..-..-..T..:..:..Z$")) and .model_n_params > 0)' \
  "$work/out" >"$work/jq" || fail "bench --parallel: $(cat "$work/out")"

# One prompt for all of them; without a sequence alone there is nothing to compare with.
# shellcheck disable=SC2086
expect_ok $bench -npp 64 -ntg 2 -npl 4,1,2 -pps -ub 40 -o jsonl
expect_text "rows of --shared-prompt" "4 72 1 40 null;1 66 1 40 1;2 68 1 40 number;" \
  "$(jq -r '[.pl, .n_kv, .is_pp_shared, .n_ubatch, (.x1 | if . and . != 1 then type else . end)] |
    map(tostring) | join(" ")' "$work/out" | tr '\n' ';')"
jq -e '((.speed_pp * .t_pp / .pp - 1) | fabs) < 1e-6' "$work/out" >"$work/jq" ||
  fail "a shared prompt is counted more than once: $(cat "$work/out")"

# shellcheck disable=SC2086
expect_ok $bench -p 32 -n 2 -np 2,1 -o csv
expect_text "lines of CSV" 3 "$(wc -l <"$work/out" | tr -d ' ')"
head -n 1 "$work/out" | grep -q ',pp,tg,pl,n_kv,t_pp,speed_pp,t_tg,speed_tg,t,speed,x1,' ||
  fail "CSV names of --parallel: $(head -n 1 "$work/out")"
# shellcheck disable=SC2086
expect_ok $bench -p 32 -n 2 --parallel 1,2
expect_text "columns" "PP TG B N_KV T_PP S_PP T_TG S_TG T S x1" \
  "$(head -n 1 "$work/out" | grep -Eo '[A-Z_]+|x1' | tr '\n' ' ' | sed 's/ $//')"
expect_text "rows" "32 2 1 34;32 2 2 68;" \
  "$(awk -F ' *[|] *' '$2 == 32 {print $2, $3, $4, $5}' "$work/out" | tr '\n' ';')"
expect_text "one alone" 1.00 "$(awk -F ' *[|] *' '$4 == 1 {print $(NF - 1)}' "$work/out")"

refused() {
  local pattern=$1
  shift
  # shellcheck disable=SC2086
  expect_error 2 "$pattern" $bench "$@"
}
refused '--parallel' --parallel 0
refused 'at most 64' --parallel 1,65
refused '--n-depth and --parallel' --parallel 2 -d 8
refused '--profile and --parallel' --parallel 2 --profile
refused '--prompt-gen and --parallel' --parallel 2 -pg 8,2
refused 'used with --parallel' --shared-prompt
refused '32 tokens or more' --parallel 2 -p 31
refused 'one or more' --parallel 2 -p 64 -n 0
# shellcheck disable=SC2086
expect_error 7 'need 2049 positions' $bench --parallel 2 -p 2000 -n 49

expect_ok devices --measure --json
jq -e '.devices | map(select(.id == "cpu")) | length == 1 and all(.copy_gb_s > 0 and .gflop_s["f32 FMA"] > 0 and
  .gflop_s["int16 dot"] > 0 and .dispatch_us > 0 and (.matrix_peak | test("^(f32 FMA|int(8|16) dot|bf16 tiles)$")))' "$work/out" >"$work/jq" || fail "devices --measure: $(cat "$work/out")"
finish
