# The parts of gpu_report.sh, in the order in which they run. Each leaves tables ($work/NAME.tsv) and
# raw results; none stops the others.
#
# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2034,SC2154

prepare_tables() {
  table parts part state seconds at_most_seconds
  table troubles part kind what
  table tests test result seconds remark
  table kernels type n k rows median_ms best_ms gb_s gflop_s copy_percent peak_percent
  table switches without pp_tok_s tg_tok_s pp_change_percent tg_change_percent
  table image run encoder_ms on_device_ms copy_percent peak_percent command_s
  table peer test peridot_tok_s llama_cpp_tok_s ratio ratio_min ratio_max logits_diff
}

# skip_part WHY: that is no failure
skip_part() {
  trouble noted "$1"
  part_state=skipped
}

# percent A B: of B, or nothing
percent() {
  awk -v a="$1" -v b="${2:-0}" 'BEGIN { if (a != "" && b > 0) printf "%.1f", 100 * a / b }'
}

# ---- devices -------------------------------------------------------------------------------------

list_devices() {
  run 20 "the list of devices" "$package/bin/peridot" devices &&
    cp "$work/out" "$work/devices.txt"
  run 20 "the list of devices as JSON" "$package/bin/peridot" devices --json &&
    cp "$work/out" "$work/devices.json"
}

# Everything depends on the list and on a first run, so that they may take longer than the part has:
# a third of all the time.
part_devices() {
  local rest=$deadline
  tick
  deadline=$((now + budget / 3))
  find_device
  list_devices
  deadline=$rest
  [ -n "$no_device" ] && return
  run 60 "measured speeds" "$package/bin/peridot" devices --measure --json &&
    cp "$work/out" "$work/devices.json"
}

# ---- tests ---------------------------------------------------------------------------------------

# The programs, those first that say most.
test_programs() {
  local first="golden_test_logits golden_test_generate ops_test_matmul ops_test_qkv_attention
    ops_test_vulkan_coopmat ops_test_norm golden_test_vision" name
  for name in $first; do [ -x "$package/tests/$name" ] && echo "$name"; done
  for name in "$package"/tests/*; do
    name=${name##*/}
    [[ " ${first//$'\n'/ } " == *" $name "* ]] || echo "$name"
  done
}

# start_test NAME: with a cache of its own, since kernels are timed badly while others run. Where it
# is alone it may take half of the time that is left, so that one that hangs leaves some to the rest.
start_test() {
  local limit
  part_of_rest $((jobs > 1 ? 1 : 2))
  limit=$((most * 1000))
  [ "$limit" -le $((deadline - now)) ] || limit=$((deadline - now))
  start "$limit" "$work/tests/$1.txt" "$work/tests/$1.txt" env "PERIDOT_CACHE_DIR=$work/cache-tests" \
    "PERIDOT_TEST_DEVICES=$device_id" "$package/tests/$1"
  test_of[$child]=$1
  test_begin[$child]=$now
  test_until[$child]=$((now + limit + 5000))
}

# first_failure FILE: of cmocka's output, the test's name and what it found
first_failure() {
  awk '
    /^\[  ERROR / && !why { why = $0; sub(/.*---[[:space:]]*/, "", why) }
    /^\[  FAILED / && !/listed below/ && !name { name = $NF }
    END { print name (why ? ": " why : "") }' "$1" | head -c 300
}

# end_test PID: its result, from $rc
end_test() {
  local name=${test_of[$1]} result=failed remark='' output=$work/tests/${test_of[$1]}.txt
  seconds_since "${test_begin[$1]}"
  case $rc in
  0) result=passed ;;
  77) result=skipped remark=$(grep -i -m 1 skip "$output" | head -c 200) ;;
  124) result=cut remark="stopped after $seconds s" ;;
  199) remark="does not end, not even killed" ;;
  *) remark="exit code $rc: $(first_failure "$output")" ;;
  esac
  [ "$rc" = 137 ] && [ "${seconds%.*}" -ge $(((test_until[$1] - test_begin[$1]) / 1000 - 5)) ] &&
    result=cut remark="killed after $seconds s"
  [ -n "$stopped" ] && [ "$result" != passed ] && result=cut remark="stopped on request"
  row tests "$name" "$result" "$seconds" "$remark"
  n_result[$result]=$((n_result[$result] + 1))
  [ $result = failed ] && trouble failed "$name: $remark"
  [ $result = cut ] && trouble cut "$name: $remark"
  unset "test_of[$1]"
}

# reap_tests MOST: until no more than so many run
reap_tests() {
  local pid
  while [ ${#test_of[@]} -gt "$1" ]; do
    for pid in "${!test_of[@]}"; do
      ended "$pid" "${test_until[$pid]}" && end_test "$pid"
    done
    [ ${#test_of[@]} -gt "$1" ] && sleep 0.1
  done
}

run_tests() { # NAME...
  local -A test_of=() test_begin=() test_until=()
  local name jobs=$(($(nproc) / 2))
  jobs=$((jobs < 1 ? 1 : jobs > 4 ? 4 : jobs))
  for name; do
    tick
    if [ -n "$stopped" ] || [ $((deadline - now)) -lt 500 ]; then
      row tests "$name" cut 0 "no time left"
      n_result[cut]=$((n_result[cut] + 1))
      continue
    fi
    start_test "$name"
    reap_tests $((jobs - 1))
  done
  reap_tests 0
  grep -q $'\tcut\t0\t' "$work/tests.tsv" && trouble cut "tests without time left: $(
    awk -F '\t' '$2 == "cut" && $3 == 0 { printf "%s ", $1 }' "$work/tests.tsv")"
}

tests_that() { # RESULT
  awk -F '\t' -v result="$1" '$2 == result { print $1 }' "$work/tests.tsv"
}

part_tests() {
  local name
  # shellcheck disable=SC2046
  run_tests $(test_programs)
  for name in $(tests_that failed); do test_again "$name"; done
}

# What the other parts have left of the time goes to tests that were cut.
cut_tests_again() {
  local names begin
  names=$(tests_that cut)
  tick
  deadline=$((started + budget - budget * page_share / 100))
  if [ -z "$names" ] || [ -n "$stopped" ] || [ $((deadline - now)) -lt 5000 ]; then return; fi
  part=tests part_state=ok begin=$now
  printf tests >"$work/part"
  forget cut
  awk -F '\t' '$2 != "cut"' "$work/tests.tsv" >"$work/kept.tsv" && mv "$work/kept.tsv" "$work/tests.tsv"
  n_result[cut]=0
  # shellcheck disable=SC2086
  run_tests $names
  seconds_since "$begin"
  row parts "tests again" "$part_state" "$seconds" "$(((deadline - begin) / 1000))"
}

# A failure beside other programs, or one that every run shows?
test_again() {
  part_of_rest 2
  run "$most" "$1 again, alone" env "PERIDOT_CACHE_DIR=$work/cache-tests" \
    "PERIDOT_TEST_DEVICES=$device_id" "$package/tests/$1" && trouble noted "$1 passes when run alone"
}

# The tests' verdict: holds, failed, or incomplete (some, or all, have not said anything).
find_verdict() {
  verdict=incomplete
  [ ${n_result[passed]} -gt 0 ] && [ ${n_result[cut]} -eq 0 ] && verdict=holds
  [ ${n_result[failed]} -gt 0 ] && verdict=failed
  case ,$parts, in *,tests,*) ;; *) verdict="not asked for" ;; esac
}

# ---- bench ---------------------------------------------------------------------------------------

# What is worth most first; depths that the preset's context allows.
bench_list() {
  local wanted
  for wanted in tiny:0,256 4b:0,4096 27b:0,4096 1b:0,4096 12b:0,4096 1b:32000 270m:0,4096 4b:32000; do
    [[ " ${models[*]-} " == *" ${wanted%%:*} "* ]] && echo "$wanted"
  done
}

# lengths PRESET: $n_prompt and $n_gen; "tiny" is for trying this script out where nothing is fast
lengths() {
  n_prompt=512 n_gen=128
  [ "$1" = tiny ] && n_prompt=64 n_gen=16
  true
}

bench_one() { # PRESET DEPTHS
  local repeat=3 n_prompt n_gen
  [ "$2" = 32000 ] && repeat=1
  lengths "$1"
  part_of_rest $((${#queue[@]} > 1 ? 2 : 1))
  run "$most" "$1 at depth $2" "$package/bin/peridot" bench -m "$(model "$1")" -dev "$device_id" \
    --profile -o jsonl -p $n_prompt -n $n_gen -d "$2" -r $repeat
  cat "$work/out" >>"$results/bench.jsonl" # also the tests before one that was cut
}

# next_of_queue: $next, the first whose model is complete, or never will be; the first of all when the
# part's time is over. A model that is still being made does not hold up those behind it.
next_of_queue() {
  while [ -z "$stopped" ]; do
    for next in "${!queue[@]}"; do
      ready "${queue[next]%%:*}"
      [ $? -eq 1 ] || return
    done
    next=0
    tick
    [ "$now" -lt "$deadline" ] || return
    sleep 0.2
  done
}

part_bench() {
  local queue=() next=0
  mapfile -t queue < <(bench_list)
  [ ${#queue[@]} -gt 0 ] || skip_part "no model fits"
  while [ ${#queue[@]} -gt 0 ] && [ -z "$stopped" ]; do
    next_of_queue
    wait_for "${queue[next]%%:*}" && bench_one "${queue[next]%%:*}" "${queue[next]##*:}"
    unset "queue[next]"
    queue=("${queue[@]}")
  done
}

# ---- kernels -------------------------------------------------------------------------------------

# The matrices of a layer by preset: outputs x inputs (query, key and value together; attention's
# output; gate and up, which are one operation; down).
kernel_shapes() {
  [[ ,$presets, == *,tiny,* ]] && echo 512x128 128x256 256x128+geglu 128x256
  [[ ,$presets, == *,4b,* ]] && echo 4096x2560 2560x2048 10240x2560+geglu 2560x10240
  [[ ,$presets, == *,27b,* ]] && echo 8192x5376 5376x4096 21504x5376+geglu 5376x21504
}

kernel_one() { # NxK[+geglu] ROWS
  local n=${1%%x*} k=${1#*x} geglu=() numbers
  [ "$k" = "${k%+geglu}" ] || geglu=(--geglu)
  k=${k%+geglu}
  run 20 "matrix $1, rows $2" "$package/bin/kernel_bench" --device "$device_id" --precision f16 \
    --n "$n" --k "$k" --rows "$2" --seconds 0.3 ${geglu[@]+"${geglu[@]}"} || return
  numbers=$(sed -n 's/.*median \([^ ]*\) ms, best \([^ ]*\) ms; best \([^ ]*\) GB.s, \([^ ]*\) GFLOP.*/\1 \2 \3 \4/p' "$work/out")
  # shellcheck disable=SC2086
  set -- "$2" $numbers
  row kernels "Q4_0${geglu[0]+ geglu}" "$n" "$k" "$1" "${2-}" "${3-}" "${4-}" "${5-}" \
    "$(percent "${4-}" "$copy_gb_s")" "$(percent "${5-}" "$peak_gflop_s")"
}

part_kernels() {
  local rows shape
  for rows in 1 512; do
    for shape in $(kernel_shapes); do
      [ -n "$stopped" ] || kernel_one "$shape" $rows
    done
  done
}

# ---- switches ------------------------------------------------------------------------------------

# The model that the parts which need but one take.
choose_main_model() {
  local preset
  main_model=
  for preset in 4b 1b 12b 27b 270m tiny; do
    [[ -z $main_model && " ${models[*]-} " == *" $preset "* ]] && main_model=$preset
  done
  [ -n "$main_model" ] || { skip_part "no model fits" && return 1; }
  wait_for "$main_model"
}

# speed_without SWITCH N: $pp and $tg, tokens per second; N runs are to come
speed_without() {
  local n_prompt n_gen
  lengths "$main_model"
  part_of_rest "$2"
  run "$most" "$main_model ${1:+without }${1:-as it is}" env "PERIDOT_DISABLE=$1" "$package/bin/peridot" \
    bench -m "$(model "$main_model")" -dev "$device_id" -o jsonl -p $n_prompt -n $((n_gen / 2)) -r 2
  pp=$(sed -n 's/.*"n_gen":0,.*"avg_ts":\([^,]*\).*/\1/p' "$work/out")
  tg=$(sed -n 's/.*"n_prompt":0,.*"avg_ts":\([^,]*\).*/\1/p' "$work/out")
}

part_switches() {
  local switch pp tg base_pp base_tg n=8
  choose_main_model || return
  speed_without '' $n
  base_pp=$pp base_tg=$tg
  [ -n "$base_pp" ] && row switches nothing "$pp" "$tg" 0 0
  for switch in coopmat int8dot conditional last-arrival fp16 subgroup timestamps; do
    [ -n "$stopped" ] && return
    n=$((n - 1))
    speed_without $switch $n
    [ -n "$pp$tg" ] && row switches $switch "$pp" "$tg" "$(change "$pp" "$base_pp")" "$(change "$tg" "$base_tg")"
  done
}

# change NEW OLD: in percent
change() {
  awk -v a="$1" -v b="${2:-0}" 'BEGIN { if (a != "" && b > 0) printf "%+.1f", 100 * (a / b - 1) }' | tr -d +
}

# ---- image ---------------------------------------------------------------------------------------

# The first time with pipelines to build, then with all that is cached.
part_image() {
  local again n=2
  [ -n "$image_model" ] || { skip_part "no model with an image encoder fits" && return; }
  wait_for mmproj && wait_for "$image_model" || return
  for again in first again; do
    part_of_rest $n
    n=1
    run "$most" "an image, $again" "$package/bin/peridot" embed-image -m "$(model "$image_model")" \
      --mmproj "$(model mmproj)" --image "$work/picture.ppm" --device "$device_id" --precision f16 \
      --profile -o "$work/image.f32" || return
    # "N rows of M values from WxH pixels in T ms"; "all COUNT T ms 100.0 % B GB/s P % F GFLOP/s Q %"
    row image "$again" "$(sed -n 's/.* pixels in \(.*\) ms$/\1/p' "$work/err")" \
      "$(awk '$1 == "all" { print $3 }' "$work/err")" "$(awk '$1 == "all" { print $9 }' "$work/err")" \
      "$(awk '$1 == "all" { print $13 }' "$work/err")" "$seconds"
  done
}

# ---- peer ----------------------------------------------------------------------------------------

# llama.cpp on the same file and device, taking turns. Its result comes at the end: depths and
# rounds are few.
part_peer() {
  local n_prompt n_gen
  choose_main_model || return
  lengths "$main_model"
  run 600 "$main_model beside llama.cpp" "$package/peer/bench_peer" -m "$(model "$main_model")" \
    --peer-libs "$package/peer/libs" -p $n_prompt -n $((n_gen / 2)) -r 3 --peridot-device "$device_id" -o json || return
  awk '
    function value() { sub(/^[^:]*:[[:space:]]*/, ""); gsub(/[",]/, ""); return $0 }
    /^\t"tests":/ { inside = 1 }
    !inside { next }
    /"test":/ { test = value() }
    /"peridot":/ { side = 1 }
    /"peer":/ { side = 2 }
    /"avg_ts":/ { ts[side] = value() }
    /"ratio_median":/ { median = value() }
    /"ratio_min":/ { low = value() }
    /"ratio_max":/ { high = value() }
    /"logits_diff":/ { print test "\t" ts[1] "\t" ts[2] "\t" median "\t" low "\t" high "\t" value() }
  ' "$work/out" >>"$work/peer.tsv"
}
