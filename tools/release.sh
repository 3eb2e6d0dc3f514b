#!/usr/bin/env bash
# Makes what a release consists of, in build/archives: an archive for each system, Debian's packages, the
# list of what is in them (SPDX), and the list of SHA-256. The same commit gives the same bytes.
#
# Usage: tools/release.sh [--twice] [SYSTEM]...      default: all
#
#   linux-x86_64, linux-aarch64    any Linux with a C library of GNU's from 2.31 on (tools/portable.sh)
#   macos-aarch64, macos-x86_64    macOS 13 and later (tools/portable.sh)
#   windows-x86_64                 Windows 10 and later (tools/windows.sh)
#   debian-amd64, debian-arm64     packages, for this machine's Debian and for Debian 13 (tools/arm.sh)
#
#   --twice    builds everything again from nothing, and compares
#
# Ends with 77 and a reason where a Debian root or zig cannot be had.
# SPDX-License-Identifier: MIT
set -euo pipefail
cd "$(dirname "$0")/.."
. tools/packages.sh

out=$PWD/build/archives
version=$(sed -n 's/.*define PD_VERSION_STRING "\(.*\)"/\1/p' include/peridot.h)
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export SOURCE_DATE_EPOCH

# stage SYSTEM BUILD: everything that its build installs, in build/stage/peridot-VERSION-SYSTEM
stage() {
  name=peridot-$version-$1
  rm -rf "build/stage/$name"
  cmake --install "build/$2" --prefix "$PWD/build/stage/$name" >/dev/null
  cp README.md LICENSE "build/stage/$name"
  find "build/stage/$name" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
}

pack_tar() {
  stage "$1" "$1"
  tar -C build/stage --sort=name --owner=0 --group=0 --numeric-owner --mode=go=rX,u+rw -cf - "$name" | gzip -9n >"$out/$name.tar.gz"
}

pack_zip() {
  stage "$1" "$2"
  rm -f "$out/$name.zip"
  (cd build/stage && find "$name" -type f | LC_ALL=C sort | TZ=UTC zip -q -X -9 -@ "$out/$name.zip")
}

make_system() {
  case $1 in
  linux-* | macos-*) tools/portable.sh "$1" && pack_tar "$1" ;;
  windows-x86_64)
    tools/windows.sh build
    pack_zip "$1" windows
    ;;
  debian-amd64)
    build package
    (cd build/package && rm -f ./*.deb && cpack -G DEB >/dev/null && cp ./*.deb "$out")
    ;;
  debian-arm64) tools/arm.sh build package && cp build/arm/*.deb "$out" ;;
  esac
}

make_all() {
  local system name
  rm -rf "$out"
  mkdir -p "$out"
  for system in "${systems[@]}"; do make_system "$system"; done
  for name in libjs-marked node-dompurify; do # the page's, of the build for this machine
    dpkg-query -W -f '${Version}\n' $name >"build/libraries/sources/$name.version"
  done
  python3 tools/packaging/sbom.py "$version" "$(git rev-parse HEAD)" "$SOURCE_DATE_EPOCH" build/libraries/sources "$out" \
    >"build/peridot-$version.spdx.json"
  mv "build/peridot-$version.spdx.json" "$out"
  (cd "$out" && sha256sum -- *) >build/SHA256SUMS
  mv build/SHA256SUMS "$out"
}

twice=0
[ "${1-}" = --twice ] && twice=1 && shift
systems=("$@")
[ ${#systems[@]} -gt 0 ] || systems=(linux-x86_64 linux-aarch64 macos-aarch64 macos-x86_64 windows-x86_64 debian-amd64 debian-arm64)
for system in "${systems[@]}"; do
  case $system in
  linux-x86_64 | linux-aarch64 | macos-aarch64 | macos-x86_64 | windows-x86_64 | debian-amd64 | debian-arm64) ;;
  *) die "no such system: $system" ;;
  esac
done

mkdir -p build
# shellcheck disable=SC2086
install_packages $build_packages git zip dpkg-dev python3 python3-venv
use_ccache
make_all
if [ $twice -eq 1 ]; then
  cp "$out/SHA256SUMS" build/SHA256SUMS.first
  rm -rf build/{linux,macos}-* build/libraries/*-* build/windows build/package build/arm build/release
  export CCACHE_DISABLE=1
  make_all
  say "twice"
  diff build/SHA256SUMS.first "$out/SHA256SUMS" && echo "the same bytes again"
fi
say "archives"
cat "$out/SHA256SUMS"
