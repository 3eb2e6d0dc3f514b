#!/usr/bin/env bash
# Builds Peridot for 64-bit Windows in a Debian 13 root by MinGW-w64, and runs its tests there under Wine.
# Libraries that Debian has for Linux alone are built from its source packages; they and the compiler's own
# are linked into the program, which needs nothing but Windows, and a GPU's driver for Vulkan.
#
# Usage: tools/windows.sh [build|test|quick]...     default: build test
#
#   build   build/windows/peridot.exe, peridot.dll with its import library; tools/release.sh packs them
#   test    the tests that mean something there, under Wine, on the processor and on llvmpipe
#   quick   of both what takes minutes; beside the build dev where there is no release
#
# Ends with 77 and a reason where a root cannot be had, as tools/debian_root.sh does.
# SPDX-License-Identifier: MIT
set -euo pipefail
cd "$(dirname "$0")/.."
. tools/packages.sh
. tools/libraries.sh

system=windows-x86_64
folder=$PWD/build/libraries/$system
prefix=$folder/prefix
host=x86_64-w64-mingw32
compiler=$host-gcc-posix
archiver=()
toolchain=$PWD/tools/windows.cmake
toolchain_options=()

# ---- main -----------------------------------------------------------------------------------------

# A build of this tree that runs here, whose SPIR-V, manual pages and toy it takes, and whose answers it is
# compared with.
host_build=build/release

# build_targets TARGET...: none: all
build_targets() {
  mkdir -p build
  # shellcheck disable=SC2086
  install_packages $build_packages
  use_ccache
  build "${host_build#build/}"
  cross_root gcc-mingw-w64-x86-64-posix g++-mingw-w64-x86-64-posix mingw-w64-tools wine wine64 mesa-vulkan-drivers
  make_libraries
  beside make_curl -DCURL_USE_SCHANNEL=ON -DCURL_USE_OPENSSL=OFF
  beside with_cmake cmocka -DWITH_EXAMPLES=OFF
  finish_libraries
  say "building for Windows"
  in_root cmake --preset windows -DPERIDOT_PREFIX="$prefix" -DPERIDOT_HOST_BUILD="$PWD/$host_build" \
    -DCMAKE_C_COMPILER_LAUNCHER=ccache
  in_root cmake --build --preset windows ${1:+--target "$@"}
}

part_build() {
  build_targets
}

# Wine keeps what it has of Windows there.
in_wine() {
  in_root env WINEPREFIX="$PWD/build/wine" WINEDEBUG=-all XDG_RUNTIME_DIR=/tmp \
    PERIDOT_CACHE_DIR="$PWD/build/windows-cache" "$@"
}

failed=0

# run_tests DEVICES PATTERN
run_tests() {
  say "testing on $1 under Wine"
  in_wine PERIDOT_TEST_SPARSE=1 PERIDOT_TEST_DEVICES="$1" ctest --test-dir build/windows --no-tests=error \
    --output-on-failure -j "$(nproc)" -R "$2" || failed=1
}

# The command line's own tests, by a script in the program's place: those that ask for no terminal, no
# compiler of shaders, no /dev/full and no text that is not UTF-8, which no argument of Windows can hold.
scripts="help log list synth images score estimate bench record head fit"

run_scripts() {
  local name
  printf '#!/bin/sh\nexec wine "%s" "$@"\n' "$PWD/build/windows/peridot.exe" >build/windows/peridot-in-wine
  chmod +x build/windows/peridot-in-wine
  for name in $scripts; do
    say "cli.$name under Wine"
    in_wine PERIDOT="$PWD/build/windows/peridot-in-wine" PERIDOT_TEST_DATA="$PWD/tests/data" \
      sh -c 'cd tests && timeout 600 bash "cli/test_$1.sh"' sh "$name" && echo passed || failed=1
  done
}

# The same answer as on Linux, drawn, to the token; in a pipe; and over HTTP.
run_program() {
  local toy=$host_build/share/peridot/pip-toy-q4_0.gguf question="What is the capital of France?" here there
  say "the program under Wine"
  local flags=(-m "$toy" -p "$question" --temp 1 --seed 7 -n 20 --ids --precision exact -q)
  here=$("$host_build/peridot" run "${flags[@]}" --device cpu)
  for device in cpu vulkan:llvmpipe; do
    there=$(in_wine wine build/windows/peridot.exe run "${flags[@]}" --device $device 2>/dev/null) || true
    [ "$here" = "$there" ] && echo "the tokens of Linux on $device" && continue
    echo "on $device: $there instead of $here"
    failed=1
  done
  echo "$question" | in_wine wine build/windows/peridot.exe chat -m "$toy" --device cpu --temp 0 2>/dev/null |
    grep "Paris" || { echo "no answer in a pipe" && failed=1; }
  in_wine sh -c 'wine build/windows/peridot.exe serve -m "$1" --device cpu --port 18080 2>build/windows/serve.log &
    for i in 1 2 3 4 5 6 7 8 9 10; do sleep 1; grep -q listening build/windows/serve.log && break; done
    python3 tests/windows/ask.py http://127.0.0.1:18080 "$2"; rc=$?; kill $!; exit $rc' sh "$toy" "$question" || failed=1
}

run_bad_input() {
  say "bad input under Wine"
  in_wine bash tests/windows/bad_input.sh "$PWD/build/windows/peridot.exe" "$PWD/build/windows/tests/windows_helper.exe" \
    "$PWD/$host_build/share/peridot/pip-toy-q4_0.gguf" || failed=1
}

part_test() {
  run_tests cpu-ref,cpu '^(unit|ops|golden)' # unit tests of Vulkan take the device that there is
  run_tests vulkan:llvmpipe '^(ops\.(norm|embed|log_prob)|golden\.(batch|images|vision)|unit\.measure)$'
  run_scripts
  run_program
  run_bad_input
}

part_quick() {
  [ -x build/release/peridot ] || host_build=build/dev
  build_targets peridot-cli peridot_toy windows_helper unit_test_bytes unit_test_words unit_test_memory unit_test_thread \
    unit_test_gguf unit_test_config unit_test_sample ops_test_norm golden_test_generate golden_test_images
  run_tests cpu '^(unit\.(bytes|words|memory|thread|gguf|config|sample)|ops\.norm|golden\.(generate|images))$'
  run_program
  run_bad_input
}

parts=("$@")
[ ${#parts[@]} -gt 0 ] || parts=(build test)
for part in "${parts[@]}"; do
  case $part in build | test | quick) "part_$part" ;; *) die "usage: tools/windows.sh [build|test|quick]..." ;; esac
done
exit $failed
