#!/usr/bin/env bash
# Builds Peridot for 64-bit Windows in a Debian 13 root by MinGW-w64, and runs its tests there under Wine.
# Libraries that Debian has for Linux alone are built from its source packages; they and the compiler's own
# are linked into the program, which needs nothing but Windows, and a GPU's driver for Vulkan.
#
# Usage: tools/windows.sh [build|test]...     default: both
#
#   build   build/windows/peridot.exe, peridot.dll with its import library, and a zip of all of it
#   test    the tests that mean something there, under Wine, on the processor and on llvmpipe
#
# Ends with 77 and a reason where a root cannot be had, as tools/debian_root.sh does.
# SPDX-License-Identifier: MIT
set -euo pipefail
cd "$(dirname "$0")/.."
. tools/packages.sh

# A root of its own: it has Wine in it.
export PERIDOT_ROOTS=${PERIDOT_ROOTS:-$PWD/build/roots}/windows
suite=trixie
libraries=$PWD/build/windows-libraries
prefix=$libraries/prefix
packages="cmake ninja-build gcc g++ make pkgconf git python3 jq dpkg-dev ccache
  gcc-mingw-w64-x86-64-posix g++-mingw-w64-x86-64-posix mingw-w64-tools libz-mingw-w64-dev
  libvulkan-volk-dev libvulkan-dev libstb-dev wine wine64 mesa-vulkan-drivers"

in_root() {
  tools/debian_root.sh run "$suite" "$@"
}

# ---- libraries ------------------------------------------------------------------------------------

# fetch NAME: the upstream sources of Debian's package, unpacked in $libraries/NAME
fetch() {
  [ -d "$libraries/$1" ] && return
  in_root bash -c 'cd "$1" && apt-get source -q --download-only --only-source "$2" >/dev/null 2>&1; mkdir -p "$2.new" &&
    tar -xf "$(ls "$2"_*.orig.tar.?z | tail -n 1)" -C "$2.new" --strip-components=1 && mv "$2.new" "$2"' \
    bash "$libraries" "$1" || die "the sources of $1 cannot be had"
}

# with_cmake NAME OPTION...
with_cmake() {
  local name=$1
  shift
  fetch "$name"
  [ -e "$libraries/$name.done" ] && return
  say "building $name for Windows"
  in_root sh -c 'log=$1 source=$2 && shift 2 && { cmake -S "$source" -B "$source/windows" -G Ninja "$@" &&
    cmake --build "$source/windows" --target install; } >"$log" 2>&1' \
    sh "$libraries/$name.log" "$libraries/$name" -DCMAKE_TOOLCHAIN_FILE="$PWD/tools/windows.cmake" \
    -DPERIDOT_PREFIX="$prefix" -DCMAKE_INSTALL_PREFIX="$prefix" -DCMAKE_BUILD_TYPE=Release -DBUILD_SHARED_LIBS=OFF \
    -DBUILD_TESTING=OFF "$@" || die "$name does not build: $libraries/$name.log"
  touch "$libraries/$name.done"
}

with_configure() {
  local name=$1
  shift
  fetch "$name"
  [ -e "$libraries/$name.done" ] && return
  say "building $name for Windows"
  in_root sh -c 'log=$1 source=$2 && shift 2 && mkdir -p "$source/windows" && cd "$source/windows" && { ../configure "$@" &&
    make -j2 && make install; } >"$log" 2>&1' sh "$libraries/$name.log" "$libraries/$name" \
    --host=x86_64-w64-mingw32 --prefix="$prefix" --disable-shared --enable-static \
    CC=x86_64-w64-mingw32-gcc-posix "$@" || die "$name does not build: $libraries/$name.log"
  touch "$libraries/$name.done"
}

make_libraries() {
  tools/debian_root.sh make "$suite"
  in_root sh -c 'sed "s/^deb /deb-src /" /etc/apt/sources.list >/etc/apt/sources.list.d/sources.list &&
    apt-get update -q >/dev/null'
  # shellcheck disable=SC2086
  tools/debian_root.sh install "$suite" $packages
  mkdir -p "$libraries"
  with_cmake cjson -DENABLE_CJSON_TEST=OFF -DENABLE_CUSTOM_COMPILER_FLAGS=OFF -DBUILD_SHARED_AND_STATIC_LIBS=OFF
  with_cmake libpng1.6 -DPNG_SHARED=OFF -DPNG_TESTS=OFF -DPNG_TOOLS=OFF -DPNG_EXECUTABLES=OFF
  with_cmake libwebp -DWEBP_BUILD_ANIM_UTILS=OFF -DWEBP_BUILD_CWEBP=OFF -DWEBP_BUILD_DWEBP=OFF -DWEBP_BUILD_GIF2WEBP=OFF \
    -DWEBP_BUILD_IMG2WEBP=OFF -DWEBP_BUILD_VWEBP=OFF -DWEBP_BUILD_WEBPINFO=OFF -DWEBP_BUILD_WEBPMUX=OFF -DWEBP_BUILD_EXTRAS=OFF
  with_cmake curl -DBUILD_CURL_EXE=OFF -DCURL_USE_SCHANNEL=ON -DCURL_USE_OPENSSL=OFF -DHTTP_ONLY=ON -DCURL_USE_LIBPSL=OFF \
    -DCURL_USE_LIBSSH2=OFF -DUSE_LIBIDN2=OFF -DBUILD_LIBCURL_DOCS=OFF -DBUILD_MISC_DOCS=OFF -DENABLE_CURL_MANUAL=OFF \
    -DCURL_BROTLI=OFF -DCURL_ZSTD=OFF -DUSE_NGHTTP2=OFF
  with_cmake cmocka -DWITH_EXAMPLES=OFF
  with_configure libmicrohttpd --disable-doc --disable-examples --disable-https --disable-curl --with-threads=posix
  fetch xxhash
  in_root sh -c 'mkdir -p "$1/include" && cp -r /usr/include/vulkan /usr/include/vk_video /usr/include/volk.[ch] \
    /usr/include/stb "$2/xxhash.h" "$1/include"' sh "$prefix" "$libraries/xxhash"
}

# ---- main -----------------------------------------------------------------------------------------

part_build() {
  mkdir -p build
  # shellcheck disable=SC2086
  install_packages $build_packages
  use_ccache
  build release # whose SPIR-V it takes, and whose answers it is compared with
  make_libraries
  say "building for Windows"
  in_root cmake --preset windows -DPERIDOT_PREFIX="$prefix" -DPERIDOT_SPIRV_DIR="$PWD/build/release/generated/spirv" \
    -DCMAKE_C_COMPILER_LAUNCHER=ccache
  in_root cmake --build --preset windows
  in_root sh -c 'cd build/windows && cpack -G ZIP' | grep generated
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
    --output-on-failure -j "$(nproc)" -R "$2" \
    -E '_(gpu_tiles|small_.*|.*cut|precompiled|few_products|merged_apart)$' || failed=1
}

# The command line's own tests, by a script in the program's place: those that ask for no terminal, no
# compiler of shaders, no /dev/full and no text that is not UTF-8, which no argument of Windows can hold.
scripts="help tokenize log list synth images score estimate bench record head fit"

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
  local toy=build/release/share/peridot/pip-toy-q4_0.gguf question="What is the capital of France?" here there
  say "the program under Wine"
  local flags=(-m "$toy" -p "$question" --temp 1 --seed 7 -n 20 --ids --precision exact -q)
  here=$(build/release/peridot run "${flags[@]}" --device cpu)
  for device in cpu vulkan:llvmpipe; do
    there=$(in_wine wine build/windows/peridot.exe run "${flags[@]}" --device $device 2>/dev/null)
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

part_test() {
  run_tests cpu-ref,cpu '^(unit|ops|golden)' # unit tests of Vulkan take the device that there is
  run_tests vulkan:llvmpipe '^(ops\.(norm|embed|log_prob)|golden\.(batch|images|vision)|unit\.measure)$'
  run_scripts
  run_program
}

parts=("$@")
[ ${#parts[@]} -gt 0 ] || parts=(build test)
for part in "${parts[@]}"; do
  case $part in build | test) "part_$part" ;; *) die "usage: tools/windows.sh [build|test]..." ;; esac
done
exit $failed
