#!/usr/bin/env bash
# Builds Peridot for 64-bit Windows in a Debian 13 root by MinGW-w64, and runs its tests there under Wine.
# Libraries that Debian has for Linux alone are built from its source packages; they and the compiler's own
# are linked into the program, which needs nothing but Windows, and a GPU's driver for Vulkan.
#
# Usage: tools/windows.sh [build|test]...     default: both
#
#   build   build/windows/peridot.exe
#   test    the tests that mean something there, under Wine and a display that nobody sees (Wine's Vulkan
#           wants one), on the processor and on llvmpipe
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
  libvulkan-volk-dev libvulkan-dev libstb-dev wine wine64 xvfb xauth mesa-vulkan-drivers"

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
}

# ---- main -----------------------------------------------------------------------------------------

part_build() {
  make_libraries
  say "building for Windows"
  in_root cmake --preset windows -DPERIDOT_PREFIX="$prefix" -DPERIDOT_XXHASH_SOURCE="$libraries/xxhash" \
    -DCMAKE_C_COMPILER_LAUNCHER=ccache
  in_root cmake --build --preset windows
}

make_libraries
