#!/usr/bin/env bash
# Builds Peridot for 64-bit Arm in a Debian 13 root, makes its Debian packages, and tests it under QEMU: the
# processor's kernels on a chip that multiplies matrices of bytes, on one with dot products alone, and on one
# with neither. What QEMU computes is right or wrong; how fast a chip is it cannot tell.
#
# Usage: tools/arm.sh [build|test|package]...      default: all
#
#   build     build/arm, with tests
#   test      unit tests, operations and golden models on the processor; the tokens of an answer beside
#             those of this machine's own build; Vulkan on Arm's llvmpipe
#   package   build/arm/*.deb, unpacked and run
#
# Ends with 77 and a reason where a root cannot be had, as tools/debian_root.sh does.
# SPDX-License-Identifier: MIT
set -euo pipefail
cd "$(dirname "$0")/.."
. tools/packages.sh

# A root of its own: not all libraries can be installed for two architectures at once.
export PERIDOT_ROOTS=${PERIDOT_ROOTS:-$PWD/build/roots}/arm
suite=trixie
libraries="libcmocka-dev libcjson-dev libxxhash-dev libssl-dev libstb-dev libpng-dev libwebp-dev libcurl4-openssl-dev
  libmicrohttpd-dev libedit-dev libsystemd-dev libvulkan-dev libvulkan-volk-dev glslang-dev glslang-tools spirv-tools
  mesa-vulkan-drivers"

in_root() {
  tools/debian_root.sh run "$suite" "$@"
}

make_root() {
  tools/debian_root.sh make "$suite"
  in_root sh -c '[ "$(dpkg --print-foreign-architectures)" = arm64 ] || { dpkg --add-architecture arm64 && apt-get update -q; }'
  # shellcheck disable=SC2046,SC2086
  tools/debian_root.sh install "$suite" cmake ninja-build ccache git jq python3 dpkg-dev file crossbuild-essential-arm64 qemu-user \
    $(printf '%s:arm64 ' $libraries)
}

part_build() {
  say "building for aarch64"
  in_root cmake --preset arm -DCMAKE_C_COMPILER_LAUNCHER=ccache -DCMAKE_CXX_COMPILER_LAUNCHER=ccache
  in_root cmake --build --preset arm
}

failed=0

# run_tests CHIP DEVICES PATTERN
run_tests() {
  say "testing $2 on a $1"
  in_root env QEMU_CPU="$1" PERIDOT_TEST_DEVICES="$2" PERIDOT_TEST_SPARSE=1 PERIDOT_CACHE_DIR="$PWD/build/arm-cache" \
    ctest --test-dir build/arm --no-tests=error --output-on-failure -j "$(nproc)" -R "$3" \
    -E 'vulkan|radv' -LE variant || failed=1
}

# same_tokens CHIP: an answer that is drawn, in the precision that is the same everywhere
same_tokens() {
  local flags=(-m build/release/share/peridot/pip-toy-q4_0.gguf -p "What is the capital of France?" --temp 1 --seed 7 -n 20
    --ids --precision exact -q --device cpu) here there
  here=$(build/release/peridot run "${flags[@]}")
  there=$(in_root env QEMU_CPU="$1" qemu-aarch64 build/arm/peridot run "${flags[@]}" 2>/dev/null) || true
  [ "$here" = "$there" ] && echo "the tokens of this machine on a $1" && return
  echo "on a $1: $there instead of $here"
  failed=1
}

part_test() {
  local chip
  run_tests neoverse-v1 cpu-ref,cpu '^(unit|ops|golden)'
  for chip in cortex-a76 cortex-a53; do
    run_tests $chip cpu '^(unit\.(integer|quant|decode|encode)|ops|golden\.(logits|batch|generate|vision|images|head))'
  done
  for chip in neoverse-v1 cortex-a76 cortex-a53; do same_tokens $chip; done
  run_tests neoverse-v1 vulkan:llvmpipe '^(ops\.norm|golden\.batch)$'
}

part_package() {
  say "packages for arm64"
  in_root cmake --build --preset arm
  in_root sh -c 'cd build/arm && rm -f *.deb && cpack -G DEB' | grep generated
  in_root sh -c 'rm -rf build/arm-package && dpkg-deb -x build/arm/peridot_*_arm64.deb build/arm-package &&
    qemu-aarch64 build/arm-package/usr/bin/peridot run -p "What is the capital of France?" --temp 0 -q --device cpu' |
    grep Paris || failed=1
}

mkdir -p build
make_root
# shellcheck disable=SC2086
install_packages $build_packages
use_ccache
build release # whose manual pages and toy it takes, and whose answers it is compared with
parts=("$@")
[ ${#parts[@]} -gt 0 ] || parts=(build test package)
for part in "${parts[@]}"; do
  case $part in build | test | package) "part_$part" ;; *) die "usage: tools/arm.sh [build|test|package]..." ;; esac
done
exit $failed
