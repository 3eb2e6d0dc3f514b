#!/usr/bin/env bash
# Builds Peridot for 64-bit Arm in a Debian 13 root and tests the processor's kernels under QEMU: on a chip
# that multiplies matrices of bytes, on one with dot products alone, and on one with neither. What QEMU
# computes is right or wrong; how fast a chip is it cannot tell.
#
# Usage: tools/arm.sh
#
# Ends with 77 and a reason where a root cannot be had, as tools/debian_root.sh does.
# SPDX-License-Identifier: MIT
set -euo pipefail
cd "$(dirname "$0")/.."
. tools/packages.sh

# A root of its own: not all libraries can be installed for two architectures at once.
export PERIDOT_ROOTS=${PERIDOT_ROOTS:-$PWD/build/roots}/arm
suite=trixie
libraries="libcmocka-dev libcjson-dev libxxhash-dev libssl-dev libstb-dev libpng-dev libwebp-dev
  libcurl4-openssl-dev libmicrohttpd-dev"

in_root() {
  tools/debian_root.sh run "$suite" "$@"
}

tools/debian_root.sh make "$suite"
in_root sh -c 'dpkg --add-architecture arm64 && apt-get update -q'
# shellcheck disable=SC2046,SC2086
in_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends \
  cmake ninja-build crossbuild-essential-arm64 qemu-user $(printf '%s:arm64 ' $libraries)

say "building for aarch64"
in_root cmake -S . -B build/arm -G Ninja -DCMAKE_TOOLCHAIN_FILE="$PWD/tools/arm.cmake" \
  -DCMAKE_BUILD_TYPE=RelWithDebInfo -DPERIDOT_VULKAN=OFF -DPERIDOT_LIBEDIT=OFF -DPERIDOT_TESTS=ON -DPERIDOT_WERROR=ON
in_root cmake --build build/arm

failed=0
for chip in neoverse-v1 cortex-a76 cortex-a53; do
  say "testing on a $chip"
  in_root env QEMU_CPU=$chip PERIDOT_TEST_DEVICES=cpu PERIDOT_TEST_SPARSE=1 ctest --test-dir build/arm --no-tests=error \
    --output-on-failure -j "$(nproc)" -R '^(unit\.(integer|quant|decode|encode)|ops|golden\.(logits|batch|generate|vision|images|head))' ||
    failed=1
done
exit $failed
