#!/usr/bin/env bash
# Fuzzes every parser with clang's libFuzzer under the address and undefined behaviour sanitizers:
#
#     tools/fuzz.sh SECONDS [ENTRY...]     each of tests/fuzz/fuzz_ENTRY.c; default: all
#
# What was learnt stays in build/fuzz/learnt and is where the next run begins. An input that fails
# is left in build/fuzz/found; `build/fuzz/tests/fuzz_ENTRY FILE` runs it again.
# SPDX-License-Identifier: MIT
set -euo pipefail
cd "$(dirname "$0")/.."
. tools/packages.sh
seconds=${1:?usage: tools/fuzz.sh SECONDS [ENTRY...]}
shift
if [ $# -eq 0 ]; then
  for source in tests/fuzz/fuzz_*.c; do
    name=${source##*/fuzz_}
    set -- "$@" "${name%.c}"
  done
fi
mkdir -p build
# shellcheck disable=SC2086
install_packages $build_packages libcmocka-dev clang libclang-rt-dev llvm
use_ccache
CC=clang CXX=clang++ cmake --preset fuzz >build/fuzz.configure.log || {
  cat build/fuzz.configure.log
  exit 1
}
cmake --build build/fuzz --target peridot-cli "${@/#/fuzz_}"
PERIDOT=build/fuzz/peridot PERIDOT_TEST_DATA=tests/data bash tests/fuzz/corpus.sh build/fuzz/corpus

export ASAN_OPTIONS=detect_leaks=1:allocator_may_return_null=1
failed=0
for name in "$@"; do
  say "$name"
  longest=$(find "build/fuzz/corpus/$name" -type f -printf '%s\n' | sort -n | tail -n 1)
  mkdir -p "build/fuzz/learnt/$name" build/fuzz/found
  "build/fuzz/tests/fuzz_$name" -max_total_time="$seconds" -max_len=$((longest > 1024 ? longest : 1024)) \
    -timeout=20 -print_final_stats=1 -artifact_prefix="build/fuzz/found/$name-" \
    "build/fuzz/learnt/$name" "build/fuzz/corpus/$name" >"build/fuzz/$name.log" 2>&1 || failed=1
  grep -E 'SUMMARY|^fuzz:|number_of_executed|average_exec' "build/fuzz/$name.log" || true
done
exit $failed
