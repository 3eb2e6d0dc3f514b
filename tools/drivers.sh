#!/usr/bin/env bash
# Peridot against Vulkan drivers and compilers that this machine's own Debian does not have: builds it in
# a Debian 13 kept under build/roots (tools/debian_root.sh) and runs there
#
#   matrices      operations, golden models and the backend's unit tests on llvmpipe 26, whose matrix
#                 units execute, with the kernels and the tuner of a GPU, under its validation layer
#   widths        the same on subgroups of 4 and of 16
#   swiftshader   the same on another vendor's code: subgroups of 4, no small types
#   compare       `peridot compare` of golden models on llvmpipe 26, also with subgroups of 4, and on
#                 SwiftShader: no operation is beyond its bound
#   shims         a text and an image model end to end through the drivers of NVIDIA, Adreno, Apple and
#                 AMD over hardware that is not there: they compile everything and compute nothing
#   table         what those compilers make of every kernel: no spills, and nothing worse than the tables
#                 in tests/data/shader_report (tools/shader_report.c)
#   start         seconds and memory of a first and of a second run of a 270M model on each of them
#
# Usage: tools/drivers.sh [--fast] [--sid] [--write] [PART...]
#   --fast   of each part what takes seconds; of the table one chip of each driver
#   --sid    in a Debian sid too: the newest glslang, gcc, Mesa and validation layer
#   --write  makes the tables anew instead of comparing with them
#
# A part that this machine cannot run is skipped with the reason. Ends with 1 when something failed, with
# 77 when nothing could run. One line per part is left in build/drivers/summary.
# SPDX-License-Identifier: MIT
set -euo pipefail
cd "$(dirname "$0")/.."
. tools/packages.sh

fast=0 table=--compare suites=(trixie) parts=()
for argument in "$@"; do
  case $argument in
  --fast) fast=1 ;;
  --sid) suites=(trixie sid) ;;
  --write) table=--write ;;
  matrices | widths | swiftshader | compare | shims | table | start) parts+=("$argument") ;;
  *) die "usage: tools/drivers.sh [--fast] [--sid] [--write]" \
    "[matrices|widths|swiftshader|compare|shims|table|start]..." ;;
  esac
done
if [ ${#parts[@]} -eq 0 ]; then
  parts=(matrices widths swiftshader compare shims table)
  [ $fast -eq 1 ] || parts+=(start)
fi

mkdir -p build/drivers
: >build/drivers/summary
failed=0 n_run=0

note() {
  printf '%-24s %s\n' "$1" "$2" | tee -a build/drivers/summary
}

in_root() {
  tools/debian_root.sh run "$suite" "$@"
}

# ---- the root and the build ---------------------------------------------------------------------

backports() {
  local name
  for name in mesa-vulkan-drivers mesa-drm-shim; do
    if [ "$suite" = trixie ]; then echo "$name/trixie-backports"; else echo "$name"; fi
  done
}

# prepare SUITE: false, with its reason noted, where there is no root or no program in it
prepare() {
  local reason status=0 packages
  suite=$1
  say "a Debian $suite with Peridot in it"
  packages=$(printf '%s\n' $build_packages | grep -v mesa)
  # shellcheck disable=SC2046,SC2086
  reason=$(tools/debian_root.sh install "$suite" $packages git libcmocka-dev vulkan-validationlayers \
    time chromium-common $(backports) 2>&1) || status=$?
  if [ $status -ne 0 ]; then
    note "$suite" "skipped: ${reason##*$'\n'}"
    return 1
  fi
  in_root sh -c "cmake --preset dev -B build/drivers/$suite && cmake --build build/drivers/$suite" \
    >"build/drivers/$suite.build.log" 2>&1 && return
  grep -E -A 5 'rror|arning' "build/drivers/$suite.build.log" | tail -n 40
  note "$suite" "did not build: build/drivers/$suite.build.log"
  failed=1
  return 1
}

# ---- tests that run -----------------------------------------------------------------------------

# Tests with a switch of their own are run by the switches here.
own_switch='gpu_tiles|moltenvk|small_|batch_cut|few_products|merged_apart'

# tests FAST: the pattern of all of them, or with --fast the one given
tests() {
  if [ $fast -eq 1 ]; then echo "$1"; else echo '^(ops|golden|unit\.vulkan)'; fi
}

# run_tests NAME PATTERN VARIABLE=VALUE...: with ctest, in the root
run_tests() {
  local name=$suite.$1 pattern=$2 log=build/drivers/$suite.$1.log
  shift 2
  say "$name"
  in_root env PERIDOT_CACHE_DIR="$PWD/build/drivers/$suite.cache" "$@" \
    ctest --test-dir "build/drivers/$suite" --no-tests=error --output-on-failure -j "$(nproc)" \
    -R "$pattern" -E "$own_switch|tokenizer" >"$log" 2>&1 || failed=1
  grep -A 99 'The following tests FAILED' "$log" || true
  note "$name" "$(grep 'tests passed' "$log" || echo "no test ran: $log")"
  n_run=$((n_run + 1))
}

as_gpu=(PERIDOT_DISABLE=software-tiles PERIDOT_TUNE=on PERIDOT_TEST_DEVICES=vulkan:llvmpipe)
[ $fast -eq 0 ] || as_gpu+=(PERIDOT_TEST_SPARSE=1)
validated=(PERIDOT_VALIDATION=core,sync,best)

part_matrices() {
  run_tests matrices "$(tests '^(ops\.(norm|qkv|log)|golden\.(logits|vision|images)|unit\.vulkan)')" \
    "${as_gpu[@]}" "${validated[@]}"
}

part_widths() {
  local pattern
  pattern=$(tests '^(ops\.(norm|qkv|log)|golden\.(logits|vision))')
  run_tests subgroup-4 "$pattern" "${as_gpu[@]}" LP_NATIVE_VECTOR_WIDTH=128
  if grep -q avx512f /proc/cpuinfo; then
    run_tests subgroup-16 "$pattern" "${as_gpu[@]}" LP_NATIVE_VECTOR_WIDTH=512
  else
    note "$suite.subgroup-16" "skipped: this processor has no vectors of 512 bits"
  fi
}

part_swiftshader() {
  run_tests swiftshader "$(tests '^(ops\.(norm|embed|log)|golden\.vision)')" PERIDOT_TEST_DEVICES=vulkan:swiftshader \
    VK_DRIVER_FILES=/usr/lib/chromium/vk_swiftshader_icd.json
}

# ---- operations beside the reference ------------------------------------------------------------

# Gemma's own layers, in types that kernels differ by, and with pictures.
compared_models() {
  local golden=tests/data/golden
  if [ $fast -eq 1 ]; then
    echo "-m $golden/small-q4_0.gguf"
  else
    printf -- "-m $golden/%s.gguf\n" small-{q4_0,q6_k,q8_0-scaled,f16,bf16} rule-27b-q4_0
  fi
  echo "-m $golden/mm-q4_0.gguf --mmproj $golden/mm-mmproj.gguf --image $golden/image.png"
}

# compare_judge NAME DEVICE VARIABLE=VALUE...: every model in every precision.
compare_judge() {
  local name=$suite.compare.$1 device=$2 log=build/drivers/$suite.compare.$1.log flags precision n=0 wrong=0
  shift 2
  : >"$log"
  while read -r flags; do
    for precision in exact f16 q8; do
      n=$((n + 1))
      # shellcheck disable=SC2086
      in_root env PERIDOT_CACHE_DIR="$PWD/build/drivers/$suite.cache" "$@" timeout 900 \
        "build/drivers/$suite/peridot" compare $flags -p "The quick brown fox jumps over the lazy dog." \
        --raw -n 4 --steps 2 --devices "$device" --precision $precision </dev/null >>"$log" 2>&1 || wrong=$((wrong + 1))
    done
  done < <(compared_models)
  if [ $wrong -gt 0 ]; then
    failed=1
    grep -a '^peridot:' "$log" || true
  fi
  note "$name" "$((n - wrong)) of $n comparisons within their bounds"
  n_run=$((n_run + 1))
}

part_compare() {
  local gpu=(PERIDOT_DISABLE=software-tiles PERIDOT_TUNE=on)
  compare_judge llvmpipe vulkan:llvmpipe "${gpu[@]}"
  compare_judge subgroup-4 vulkan:llvmpipe "${gpu[@]}" LP_NATIVE_VECTOR_WIDTH=128
  compare_judge swiftshader vulkan:swiftshader VK_DRIVER_FILES=/usr/lib/chromium/vk_swiftshader_icd.json
}

# ---- compilers over hardware that is not there --------------------------------------------------

# Name, driver, library that plays the kernel, and the chip: Mesa's own numbers.
chips='turing     nouveau   nouveau   NOUVEAU_CHIPSET=164
ampere     nouveau   nouveau   NOUVEAU_CHIPSET=172
ada        nouveau   nouveau   NOUVEAU_CHIPSET=192
blackwell  nouveau   nouveau   NOUVEAU_CHIPSET=1b2
adreno630  freedreno freedreno FD_GPU_ID=630
adreno660  freedreno freedreno FD_GPU_ID=660
adreno740  freedreno freedreno FD_GPU_ID=740
adreno750  freedreno freedreno FD_GPU_ID=750
adreno830  freedreno freedreno FD_GPU_ID=830
m1         asahi     asahi     ASAHI_CHIP=m1
vega10     radeon    amdgpu    AMDGPU_GPU_ID=vega10
navi21     radeon    amdgpu    AMDGPU_GPU_ID=navi21
navi31     radeon    amdgpu    AMDGPU_GPU_ID=navi31
gfx1201    radeon    amdgpu    AMDGPU_GPU_ID=gfx1201'

# Variables for such a chip: nothing is computed, so nothing can be tuned or tested.
chip_variables() {
  local driver=$1 shim=$2 chip=$3
  echo "$chip LD_PRELOAD=lib${shim}_noop_drm_shim.so PERIDOT_TUNE=off PERIDOT_SELFTEST=off" \
    "VK_DRIVER_FILES=/usr/share/vulkan/icd.d/${driver}_icd.json"
}

# on_chip DRIVER SHIM CHIP COMMAND...
on_chip() {
  # shellcheck disable=SC2046
  in_root env $(chip_variables "$1" "$2" "$3") \
    PERIDOT_CACHE_DIR="$PWD/build/drivers/$suite.cache" timeout 600 "${@:4}"
}

chip_is_shown() {
  on_chip "$@" "build/drivers/$suite/peridot" devices </dev/null 2>/dev/null | grep -q vulkan:0
}

# runs_through COMMAND...: to its end, or to finding that what nobody computed is a NaN (13)
runs_through() {
  local status=0
  "$@" || status=$?
  [ $status -eq 0 ] || [ $status -eq 13 ]
}

# A prompt, some tokens, and a picture; in both forms of what products read.
run_models() {
  local golden=tests/data/golden peridot=build/drivers/$suite/peridot precision
  for precision in exact f16; do
    runs_through on_chip "$@" "$peridot" run -m $golden/mm-q4_0.gguf -p hello --raw -n 8 --temp 0 \
      --ignore-eos -q --device vulkan --precision $precision || return 1
    runs_through on_chip "$@" "$peridot" logits -m $golden/mm-q4_0.gguf \
      --mmproj $golden/mm-mmproj.gguf --image $golden/image.png --tokens '2,<image>,5' \
      -o build/drivers/logits.f32 --device vulkan --precision $precision || return 1
  done
}

part_shims() {
  local name driver shim chip log
  while read -r name driver shim chip; do
    log=build/drivers/$suite.$name.log
    if ! chip_is_shown "$driver" "$shim" "$chip"; then
      note "$suite.shim.$name" "skipped: this Mesa shows no such chip"
    elif run_models "$driver" "$shim" "$chip" </dev/null >"$log" 2>&1; then
      note "$suite.shim.$name" "text and image model ran through"
      n_run=$((n_run + 1))
    else
      note "$suite.shim.$name" "FAILED: $(grep -a '^peridot:' "$log" || echo "see $log")"
      failed=1
    fi
  done <<<"$chips"
}

# One of each driver's, the newest that Debian 13 has.
fast_chips=' ampere adreno740 m1 navi31 '

part_table() {
  local name driver shim chip log
  while read -r name driver shim chip; do
    log=build/drivers/$suite.$name.table
    [ $fast -eq 1 ] && [[ $fast_chips != *" $name "* ]] && continue
    if ! chip_is_shown "$driver" "$shim" "$chip"; then
      note "$suite.table.$name" "skipped: this Mesa shows no such chip"
      continue
    fi
    on_chip "$driver" "$shim" "$chip" "build/drivers/$suite/shader_report" --table "$name" $table \
      </dev/null >"$log" 2>/dev/null || failed=1
    note "$suite.table.$name" "$(tail -n 1 "$log")"
    n_run=$((n_run + 1))
  done <<<"$chips"
}

# ---- first and second runs ------------------------------------------------------------------------

# time_run DEVICE VARIABLE=VALUE...: "seconds MB" of one run, prompt and 4 tokens
time_run() {
  local device=$1 out
  shift
  out=$(runs_through in_root env PERIDOT_CACHE_DIR="$PWD/build/drivers/$suite.start" "$@" \
    /usr/bin/time -f '%e s %M' "build/drivers/$suite/peridot" run -m build/drivers/270m.gguf -p hello \
    --raw -n 4 --temp 0 --ignore-eos -q --device "$device" 2>&1 >/dev/null </dev/null) || return 1
  tail -n 1 <<<"$out" | awk '{ printf "%s s, %d MB", $1, $3 / 1024 }'
}

time_start() {
  local name=$1 first second
  shift
  rm -rf "build/drivers/$suite.start"
  if first=$(time_run "$@" MESA_SHADER_CACHE_DISABLE=true) &&
    second=$(time_run "$@" MESA_SHADER_CACHE_DISABLE=true); then
    note "$suite.start.$name" "first run $first; second $second"
  else
    note "$suite.start.$name" "FAILED"
    failed=1
  fi
}

part_start() {
  local name driver shim chip
  in_root "build/drivers/$suite/peridot" synth --preset 270m -o build/drivers/270m.gguf \
    >/dev/null 2>&1
  time_start llvmpipe vulkan:llvmpipe
  time_start swiftshader vulkan:swiftshader VK_DRIVER_FILES=/usr/lib/chromium/vk_swiftshader_icd.json
  while read -r name driver shim chip; do
    chip_is_shown "$driver" "$shim" "$chip" || continue
    # shellcheck disable=SC2046
    time_start "$name" vulkan $(chip_variables "$driver" "$shim" "$chip")
  done <<<"$chips"
  n_run=$((n_run + 1))
}

# ---- main ---------------------------------------------------------------------------------------

for suite in "${suites[@]}"; do
  prepare "$suite" || continue
  for part in "${parts[@]}"; do "part_$part"; done
done

say "drivers"
cat build/drivers/summary
[ $failed -eq 0 ] || exit 1
[ $n_run -gt 0 ] || exit 77
