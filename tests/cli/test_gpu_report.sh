#!/usr/bin/env bash
# tools/gpu_report.sh from packing to the page, on llvmpipe with the smallest model: what is in the
# package; a whole run far from the build, with no environment and nowhere to write but the results;
# then tests that fail, hang and are skipped, a device that is not there, and a stop on request.
# SPDX-License-Identifier: MIT
. "$(dirname "$0")/lib.sh"
command -v jq >/dev/null || skip "jq is not installed"
build=$(dirname "$PERIDOT")
script=$PERIDOT_TEST_DATA/../../tools/gpu_report.sh
[ -x "$build/kernel_bench" ] && [ -x "$build/tests/ops_test_limits" ] || skip "this build has no tools or tests"
"$PERIDOT" devices --json | jq -e 'any(.devices[]; .name | test("llvmpipe"))' >/dev/null ||
  skip "no Vulkan driver offers llvmpipe"
package="$work/a package"
results=$work/results

# ---- the package ---------------------------------------------------------------------------------

timeout 200 bash "$script" --pack "$package" --programs "$build" >"$work/pack.out" 2>"$work/pack.err" ||
  fail "--pack: $(cat "$work/pack.out" "$work/pack.err")"
grep -q 'MiB, of which llama.cpp 0 MiB; [2-4][0-9] test programs, ' "$work/pack.out" || fail "--pack says $(cat "$work/pack.out")"
for file in bin/peridot bin/kernel_bench lib/libvulkan.so.1 lib/libcmocka.so.0 lib/libcjson.so.1 \
  tests/ops_test_matmul tests/golden_test_logits tests/unit_test_vulkan_tune data/golden/small-q4_0.gguf \
  gpu_report.sh gpu_report/page.sh about.txt; do
  [ -s "$package/$file" ] || fail "the package lacks $file"
done
[ -z "$(find "$package/lib" -name 'libc.so*' -o -name 'libm.so*' -o -name 'ld-linux*')" ] ||
  fail "the package holds a C library"
missing=$(for file in "$package"/bin/* "$package"/tests/*; do
  LD_LIBRARY_PATH=$package/lib:$package/bin LD_TRACE_LOADED_OBJECTS=1 "$file" | grep -v "$package\|=> /.*/lib[cm].so.6\|/ld-linux\|linux-vdso\|=> /.*/libresolv.so.2\|san.so"
done)
expect_text "libraries from elsewhere" "" "$missing"

# ---- running it ----------------------------------------------------------------------------------

# The tests that a whole run has time for here.
mkdir "$work/kept" "$work/elsewhere" "$work/tmp" "$work/fake"
mv "$package"/tests/{ops_test_limits,ops_test_embed,unit_test_vulkan_coopmat_caps} "$work/kept/"
rm "$package"/tests/* && mv "$work"/kept/* "$package/tests/"
chmod -R a-w "$package"
trap 'chmod -R u+w "$package"; rm -rf "$work"' EXIT

# A driver's tool that answers as NVIDIA's does.
cat >"$work/fake/nvidia-smi" <<'SMI'
#!/bin/sh
case "$*" in *-L*) exit 0 ;; esac
while sleep 0.2; do echo "NVIDIA Made Up, 1980, 2619, 301.50, 41, 97"; done
SMI
chmod +x "$work/fake/nvidia-smi"

# report CODE FLAG...: runs it with a new folder of results
report() {
  local code=$1 rc
  shift
  rm -rf "$results"
  (cd "$work/elsewhere" && exec env -i "PATH=$work/fake:$PATH" "TMPDIR=$work/tmp" ${VK_ICD_FILENAMES+"VK_ICD_FILENAMES=$VK_ICD_FILENAMES"} \
    timeout 330 bash "$package/gpu_report.sh" --device vulkan:llvmpipe --presets tiny "$@" "$results") \
    >"$work/out" 2>"$work/err"
  rc=$?
  [ $rc -eq "$code" ] || fail "gpu_report.sh $*: exit code $rc instead of $code: $(cat "$work/err")"
  check_files "$*"
}

check_files() {
  jq -e . "$results/report.json" >/dev/null || fail "$1: report.json is no JSON: $(cat "$results/report.json")"
  grep -q '^# Peridot on ' "$results/report.md" || fail "$1: report.md has no title"
  [ "$(find "$results" -type f | wc -l)" -le 8 ] || fail "$1: too many files: $(ls "$results")"
  [ -z "$(find "$results" -mindepth 1 | grep -Ev '/results/[A-Za-z0-9._-]+$')" ] || fail "$1: names: $(ls "$results")"
  [ -z "$(find "$results" -size +15M)" ] || fail "$1: a file is too large"
  expect_nothing_in "$work/tmp"
  expect_nothing_in "$work/elsewhere"
}

# expect_json WHAT FILTER [SHOWN]: FILTER holds of report.json, of which SHOWN is printed if not
expect_json() {
  jq -e "$2" "$results/report.json" >/dev/null || fail "$1: $2 is not so of $(jq -c "${3-.}" "$results/report.json" | head -c 1500)"
}

report 0 --minutes 5
expect_json "verdict" '.verdict == "holds" and .complete == true and .models == ["tiny"] and (.commit | length) > 0'
expect_json "device" '.device.id == .device_id and (.device.name | test("llvmpipe")) and .device.copy_gb_s > 0 and
  .device.dispatch_us > 0 and .device.shared_memory_bytes > 0 and (.device.features.fp16 | type) == "boolean"'
expect_json "tests" '(.tests | length) == 3 and all(.tests[]; .result == "passed" and .seconds >= 0)' .tests
expect_json "speed" '(.speed | map("\(.test) @ \(.depth)")) == ["pp64 @ 0", "tg16 @ 0", "pp64 @ 256", "tg16 @ 256"] and
  all(.speed[]; .preset == "tiny" and .tok_s > 0 and .copy_percent > 0 and .peak_percent > 0 and
    .dispatches > 50 and .step_ms > 0 and .start_ms > 0)' .speed
expect_json "operations" '(.operations | map(select(.test == "tg16" and .operation == "gate_up")) | length) == 1 and
  ([.operations[] | select(.test == "pp64") | .percent] | add | . > 99 and . < 101)' .operations
expect_json "kernels" '(.kernels | length) == 8 and all(.kernels[]; .best_ms > 0 and .gflop_s > 0 and (.rows == 1 or .rows == 512)) and
  (.kernels | map("\(.n)x\(.k)") | unique) == ["128x256", "256x128", "512x128"]' .kernels
expect_json "switches" '(.switches | map(.without)) == ["nothing", "coopmat", "int8dot", "conditional", "last-arrival",
  "fp16", "subgroup", "timestamps"] and all(.switches[]; .pp_tok_s > 0 and .tg_tok_s > 0 and
  (.pp_change_percent | type) == "number" and (.tg_change_percent | type) == "number")' .switches
expect_json "image" '(.image | map(.run)) == ["first", "again"] and all(.image[]; .encoder_ms > 0 and .on_device_ms > 0)' .image
expect_json "clocks" 'any(.clocks[]; .part == "bench" and .device == "NVIDIA Made Up" and .mean_clock_mhz == 1980 and .most_power_w == 301.5)' .clocks
expect_json "parts" '(.parts | map("\(.part) \(.state)") | join(",")) ==
  "devices ok,tests ok,bench ok,kernels ok,switches ok,image ok" and (.parts | map(.seconds) | add) <= .seconds + 1' .parts
expect_json "what was left out" 'any(.troubles[]; .part == "peer" and .kind == "noted")'
# percentages: of the bytes of the last step's profile, and of the device's own bandwidth
expected=$(jq -s '.[0].device.copy_gb_s as $copy | .[1:][] | select(.n_gen > 0 and .n_depth == 0) |
  (.profile | map(.op_bytes) | add) * .avg_ts / 1e9 / $copy * 1000 | round / 10' "$results/report.json" "$results/bench.jsonl")
expect_text "copy percent of tg16" "$expected" "$(jq '.speed[1].copy_percent' "$results/report.json")"
for heading in Speed Switches Image Kernels "Where the time of a step goes" "Clocks and power" Parts; do
  grep -q "^## $heading$" "$results/report.md" || fail "report.md has no $heading"
done
grep -q '^\*\*Correct\*\*: 3 test programs passed, 0 failed' "$results/report.md" || fail "report.md: $(head -n 4 "$results/report.md")"
tar -tzf "$results/cache.tgz" | grep -q '^cache/.*bin$' || fail "cache.tgz: $(tar -tzf "$results/cache.tgz" | tr '\n' ' ')"

# ---- what goes wrong -----------------------------------------------------------------------------

# plant NAME: a test program with the script's text from standard input
plant() {
  chmod u+w "$package/tests"
  (echo '#!/bin/sh' && cat) >"$package/tests/$1"
  chmod +x "$package/tests/$1"
}

plant ops_test_planted <<<'echo "[  ERROR   ] --- 3 != 4" >&2; echo "[  FAILED  ] test_of_planted"; exit 1'
plant ops_test_absent <<<'echo "skipped: nothing to test here"; exit 77'
report 1 --minutes 0.5 --parts tests
expect_json "a failure" '.verdict == "failed" and (.tests | map(select(.result == "passed")) | length) == 3 and
  any(.tests[]; .test == "ops_test_planted" and .result == "failed" and (.remark | . == "exit code 1: test_of_planted: 3 != 4")) and
  any(.tests[]; .test == "ops_test_absent" and .result == "skipped" and .remark == "skipped: nothing to test here") and
  any(.troubles[]; .kind == "failed" and (.what | test("ops_test_planted")))' "[.verdict, .tests]"
grep -q '^\*\*WRONG\*\*: .* 1 failed, 1 skipped.*: ops_test_planted' "$results/report.md" || fail "report.md: $(head -n 4 "$results/report.md")"
grep -q 'FAILED.*test_of_planted' "$results/tests.txt" || fail "tests.txt: $(cat "$results/tests.txt")"

# One that cannot be ended politely, first of all, and leaves time to the others.
rm "$package/tests/ops_test_planted"
plant ops_test_a_hang <<<"trap '' TERM; while :; do sleep 1; done"
report 3 --minutes 0.5 --parts tests
expect_json "a hang" '.verdict == "incomplete" and .complete == false and
  any(.tests[]; .test == "ops_test_a_hang" and .result == "cut") and
  (.tests | map(select(.result == "passed")) | length) == 3 and .seconds < 45 and
  any(.troubles[]; .kind == "cut" and (.what | test("ops_test_a_hang")))' "[.verdict, .seconds, .tests, .troubles]"
grep -q 'ops_test_a_hang' "$results/report.md" || fail "report.md does not name what was cut"

report 3 --minutes 0.5 --device voodoo
expect_json "no device" '.device_id == "" and any(.troubles[]; .kind == "failed" and (.what | test("no device is called"))) and
  (.parts | map(.state) | unique) == ["failed", "not run"]'

# Stopped while a test hangs: the page is there, and nothing goes on.
rm -rf "$results"
(cd "$work/elsewhere" && exec env -i "PATH=$PATH" "TMPDIR=$work/tmp" bash "$package/gpu_report.sh" \
  --device vulkan:llvmpipe --presets tiny --parts tests,bench "$results") >"$work/out" 2>"$work/err" &
for _ in $(seq 200); do grep -q ' tests, at most' "$work/err" && break; sleep 0.1; done
sleep 1
kill -TERM $!
wait $!
expect_text "exit code of a stop" 130 $?
check_files "stopped"
expect_json "stopped" '.complete == false and (.parts | map("\(.part) \(.state)") | contains(["tests stopped", "bench not run"]))'

# ---- flags ---------------------------------------------------------------------------------------

# expect_usage PATTERN FLAG...
expect_usage() {
  local pattern=$1
  shift
  bash "$package/gpu_report.sh" "$@" >"$work/out" 2>"$work/err"
  expect_text "exit code of $*" 2 $?
  grep -Eq "$pattern" "$work/err" || fail "gpu_report.sh $*: $(cat "$work/err")"
}
expect_usage 'unknown flag --what' --what
expect_usage '"8b"' --presets 4b,8b
expect_usage '"speed"' --parts speed
expect_usage '"soon"' --minutes soon
expect_usage 'is not empty' --device vulkan:llvmpipe "$results"
expect_usage 'go with --pack' --with-peer
bash "$package/gpu_report.sh" --help | grep -q -- '--minutes N' || fail "--help"
finish
