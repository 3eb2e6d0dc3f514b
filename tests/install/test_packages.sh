#!/bin/bash
# What cpack makes: Debian packages of which lintian has neither errors nor warnings to tell, with what
# belongs into each; and an archive whose program and library work from where it is unpacked.
#
# Usage: test_packages.sh CPACK BUILD
#
# SPDX-License-Identifier: MIT
set -eu
cpack=$1 build=$2
for program in dpkg-shlibdeps lintian; do
  command -v $program >/dev/null || { echo "skipped: $program is missing"; exit 77; }
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$build"
umask 077 # shows nowhere
"$cpack" -G 'DEB;TGZ' -B "$work" >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }

has() { # package, path...
  local package=$1 path
  shift
  dpkg -c "$work/${package}"_*.deb | sed 's/.* \.\//\//' >"$work/list"
  for path in "$@"; do
    grep -qE "^$path\$" "$work/list" || { echo "$package lacks $path"; cat "$work/list"; exit 1; }
  done
}
has peridot /usr/bin/peridot /usr/share/man/man1/peridot.1.gz /usr/share/man/man1/peridot-run.1.gz \
  /usr/share/doc/peridot/copyright
has libperidot-dev /usr/include/peridot.h '/usr/lib/.*pkgconfig/peridot.pc' \
  '/usr/lib/.*cmake/Peridot/PeridotConfig.cmake' '/usr/lib/.*libperidot.(a|so -> .*)'
dpkg -f "$work"/peridot_*.deb Depends | grep -q 'libc6 (>=' || { echo "no dependencies"; exit 1; }

lintian --allow-root --fail-on none "$work"/*.deb >"$work/lint" 2>&1 || true
# Only a build for the prefix /usr has a folder for each architecture; and ldconfig is called by cpack.
known='pkg-config-unavailable-for-cross-compilation|maintscript-calls-ldconfig'
if grep -E '^[EW]: ' "$work/lint" | grep -vE "$known"; then exit 1; fi

mkdir "$work/unpacked"
tar -xzf "$work"/peridot-*.tar.gz -C "$work/unpacked" --strip-components 1
"$work/unpacked/bin/peridot" --version
[ "$(find "$work/unpacked" -name 'libperidot.*' -type f | wc -l)" -eq 1 ] || { echo "no library"; exit 1; }
