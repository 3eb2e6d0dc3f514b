#!/usr/bin/env bash
# Builds Peridot for systems other than the one it is built on, by zig's C compiler, which has the C
# libraries of all of them: programs that need nothing but the system itself, and for Vulkan a driver.
#
# Usage: tools/portable.sh [SYSTEM]...      default: all
#
#   linux-x86_64, linux-aarch64    any Linux with a C library of GNU's from 2.31 on
#   macos-aarch64, macos-x86_64    macOS 13 and later
#   android-aarch64                Android 9 and later, not among all: by an NDK in build/ndk
#
# What each makes lies in build/SYSTEM. What can run here is run: a model's answer has the tokens that the
# build for this machine gives. Ends with 77 and a reason where a Debian root or zig cannot be had.
# SPDX-License-Identifier: MIT
set -euo pipefail
cd "$(dirname "$0")/.."
. tools/packages.sh
. tools/libraries.sh

zig_version=0.17.1 # PyPI's ziglang

ndk_programs=$PWD/build/ndk/toolchains/llvm/prebuilt/linux-x86_64/bin

get_zig() {
  [ -x build/zig/bin/python ] || python3 -m venv build/zig || die "python3-venv is not installed"
  build/zig/bin/python -m pip install -q "ziglang==$zig_version" >build/zig/log 2>&1 && return
  echo "zig cannot be had: $(tail -n 1 build/zig/log)" >&2
  exit 77
}

# describe SYSTEM: the variables that make_libraries reads, and zig's name for it
describe() {
  system=$1
  local cpu=${system#*-}
  case $system in
  linux-*) target=$cpu-linux-gnu.2.31 name=Linux host=$cpu-linux-gnu ;;
  macos-*) target=$cpu-macos.13.0 name=Darwin host=${cpu/aarch64/arm64}-apple-darwin ;;
  esac
  folder=$PWD/build/libraries/$system
  prefix=$folder/prefix
  compiler=$folder/zig/cc
  archiver=("AR=$folder/zig/ar" "RANLIB=$folder/zig/ranlib")
  toolchain=$PWD/tools/zig.cmake
  preset=portable
  if [ "$system" = android-aarch64 ]; then
    host=aarch64-linux-android
    compiler=$ndk_programs/aarch64-linux-android28-clang
    archiver=("AR=$ndk_programs/llvm-ar" "RANLIB=$ndk_programs/llvm-ranlib")
    toolchain=$PWD/tools/android.cmake
    toolchain_options=(-DPERIDOT_NDK="$PWD/build/ndk")
    preset=android
    return
  fi
  toolchain_options=(-DPERIDOT_ZIG="$folder/zig" -DPERIDOT_SYSTEM_NAME="$name" -DPERIDOT_SYSTEM_PROCESSOR="$cpu")
}

# Programs in the places of a compiler's. zig checks what C leaves undefined unless it is told not to, and
# has a zlib.h among macOS's headers.
write_compilers() {
  local tool zig
  zig=$(echo "$PWD"/build/zig/lib/python3*/site-packages/ziglang/zig)
  mkdir -p "$folder/zig"
  for tool in cc c++; do
    printf '#!/bin/sh\nexec "%s" %s -target %s -fno-sanitize=all -I%s "$@"\n' "$zig" $tool "$target" "$prefix/include" \
      >"$folder/zig/$tool"
  done
  for tool in ar ranlib; do printf '#!/bin/sh\nexec "%s" %s "$@"\n' "$zig" $tool >"$folder/zig/$tool"; done
  chmod +x "$folder"/zig/*
}

# The system's own libcurl: headers, and the names of its functions for the linker.
mac_curl() {
  fetch curl
  mkdir -p "$prefix/include" "$prefix/lib/pkgconfig"
  cp -r "$sources/curl/include/curl" "$prefix/include"
  grep -ohE '\bcurl_[a-z_]+\(' src -r --include='*.c' | tr -d '(' | sort -u |
    awk 'BEGIN { printf "--- !tapi-tbd\ntbd-version: 4\ntargets: [ x86_64-macos, arm64-macos ]\n" \
      "install-name: /usr/lib/libcurl.4.dylib\nexports:\n  - targets: [ x86_64-macos, arm64-macos ]\n    symbols: [ " }
      { printf("%s_%s", (NR > 1 ? ", " : ""), $0) } END { print " ]\n..." }' >"$prefix/lib/libcurl.tbd"
  printf '%s\n' "libdir=$prefix/lib" "includedir=$prefix/include" 'supported_protocols=HTTP HTTPS' 'Name: libcurl' \
    'Description: of macOS 13' 'Version: 7.86.0' 'Libs: -L${libdir} -lcurl' 'Cflags: -I${includedir}' \
    >"$prefix/lib/pkgconfig/libcurl.pc"
}

linux_curl() {
  local cpu=${system#*-}
  make_library openssl sh -c 'source=$1 && shift && "$source/Configure" "$@" && make -j2 && make install_dev' sh \
    "$sources/openssl" "linux-$cpu" no-shared no-tests no-apps no-docs no-legacy no-module no-engine --prefix="$prefix" \
    --libdir=lib "CC=$compiler" "${archiver[@]}"
  make_curl -DCURL_USE_OPENSSL=ON -DOPENSSL_USE_STATIC_LIBS=ON
}

build_system() {
  say "building for $system"
  in_root cmake --preset "$preset" -B "build/$system" -DPERIDOT_PREFIX="$prefix" "${toolchain_options[@]}" \
    -DCMAKE_C_COMPILER_LAUNCHER=ccache
  in_root cmake --build "build/$system"
}

# ---- what can be said of it here -------------------------------------------------------------------

failed=0

# The same answer as of the build for this machine, drawn, to the token; and the newest version of the C
# library that it asks for.
check_linux() {
  local flags=(-m build/release/share/peridot/pip-toy-q4_0.gguf -p "What is the capital of France?" --temp 1 --seed 7 -n 20
    --ids --precision exact -q --device cpu) here there newest emulator=()
  [ "$system" = "linux-$(uname -m)" ] || emulator=("qemu-${system#linux-}" -L "/usr/${system#linux-}-linux-gnu")
  here=$(build/release/peridot run "${flags[@]}")
  there=$(in_root "${emulator[@]}" "build/$system/peridot" run "${flags[@]}" 2>/dev/null) || true
  newest=$(in_root sh -c 'llvm-objdump -T "$1" | grep -o "GLIBC_[0-9.]*" | sort -Vu | tail -n 1' sh "build/$system/peridot")
  echo "$system: tokens $there; asks for $newest"
  [ "$here" = "$there" ] && [ "$(printf 'GLIBC_2.31\n%s\n' "$newest" | sort -V | tail -n 1)" = GLIBC_2.31 ] && return
  echo "$system: tokens $here were expected, and nothing newer than GLIBC_2.31"
  failed=1
}

# Nothing runs it here. It may ask for the system's own libraries alone, of that version of macOS.
check_macos() {
  local libraries oldest
  libraries=$(in_root llvm-objdump --macho --dylibs-used "build/$system/peridot" | sed -n 's/^\t\([^ ]*\) .*/\1/p' | sort | tr '\n' ' ')
  oldest=$(in_root llvm-objdump --macho --private-headers "build/$system/peridot" | awk '$1 == "minos" { print $2 }')
  echo "$system: macOS $oldest, with ${libraries}"
  [ "$libraries" = "/usr/lib/libSystem.B.dylib /usr/lib/libcurl.4.dylib " ] && [ "$oldest" = 13.0 ] && return
  echo "$system: libSystem and libcurl of macOS 13.0 were expected"
  failed=1
}

# ---- main -----------------------------------------------------------------------------------------

systems=("$@")
[ ${#systems[@]} -gt 0 ] || systems=(linux-x86_64 linux-aarch64 macos-aarch64 macos-x86_64)
for system in "${systems[@]}"; do
  case $system in
  linux-x86_64 | linux-aarch64 | macos-aarch64 | macos-x86_64) ;;
  android-aarch64)
    [ -x "$ndk_programs/llvm-ar" ] || { echo "there is no Android NDK in build/ndk" >&2 && exit 77; } ;;
  *) die "no such system: $system" ;;
  esac
done
mkdir -p build
# shellcheck disable=SC2086
install_packages $build_packages python3-venv
use_ccache
build release # whose SPIR-V, manual pages and toy they take
get_zig
cross_root qemu-user libc6-arm64-cross llvm
for each in "${systems[@]}"; do
  describe "$each"
  [ "$system" = android-aarch64 ] || write_compilers
  make_libraries
  case $system in macos-*) mac_curl ;; *) linux_curl ;; esac
  finish_libraries
  build_system
  case $system in linux-*) check_linux ;; macos-*) check_macos ;; esac
done
exit $failed
