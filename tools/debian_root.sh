#!/usr/bin/env bash
# A whole Debian of another release in a folder, kept between runs: to build and test Peridot with the
# compilers, glslang and drivers that it has.
#
#   tools/debian_root.sh make SUITE                 trixie, sid, bookworm; prints the folder
#   tools/debian_root.sh install SUITE PACKAGE...   what is missing of them; NAME/trixie-backports
#                                                   takes a package from there
#   tools/debian_root.sh run SUITE COMMAND...       in the same working folder, this tree mounted
#
# Roots lie in build/roots, or where PERIDOT_ROOTS says. Needs debootstrap and the rights of root. The
# mirror is the one that this machine's own apt uses. What is mounted for `run` lives in a mount
# namespace of its own and is gone with the command. Compilers and their launchers that this machine's
# environment names are not heeded: the root may have none of them.
#
# Ends with 77 and a reason where a root cannot be had.
# SPDX-License-Identifier: MIT
set -euo pipefail
tree=$(cd "$(dirname "$0")/.." && pwd)
roots=${PERIDOT_ROOTS:-$tree/build/roots}

skip() {
  echo "$*" >&2
  exit 77
}

# Where this machine's apt gets Debian itself from.
mirror() {
  apt-get indextargets --format '$(ORIGIN) $(LABEL) $(REPO_URI)' 'Created-By: Packages' 2>/dev/null |
    awk '$1 == "Debian" && $2 == "Debian" { print $3; exit }'
}

# Settings by which this machine's apt, resolver and certificates work here.
copy_settings() {
  local root=$1 file
  for file in /etc/apt/apt.conf.d /etc/hosts /etc/resolv.conf; do
    [ -e "$file" ] && cp -rL "$file" "$root/etc/${file#/etc/}.copy"
  done
  mkdir -p "$root/etc/apt/apt.conf.d"
  # hooks run programs that a small root does not have
  [ -d "$root/etc/apt/apt.conf.d.copy" ] && grep -rL -E 'Invoke|Pkgs' "$root/etc/apt/apt.conf.d.copy" |
    xargs -r cp -t "$root/etc/apt/apt.conf.d"
  rm -rf "$root/etc/apt/apt.conf.d.copy"
  for file in hosts resolv.conf; do
    [ -e "$root/etc/$file.copy" ] && mv "$root/etc/$file.copy" "$root/etc/$file"
  done
}

write_sources() {
  local root=$1 suite=$2 from=$3
  echo "deb $from $suite main"
  [ "$suite" = trixie ] && echo "deb $from trixie-backports main"
  return 0
} >"$1/etc/apt/sources.list"

make_root() {
  local suite=$1 root=$roots/$1 from
  [ -e "$root/.complete" ] && return
  [ "$(id -u)" -eq 0 ] || skip "a Debian root needs the rights of root"
  command -v debootstrap >/dev/null || skip "a Debian root needs the package debootstrap"
  from=$(mirror)
  [ -n "$from" ] || skip "apt names no mirror of Debian on this machine"
  rm -rf "$root"
  mkdir -p "$root"
  debootstrap --variant=minbase --include=ca-certificates "$suite" "$root" "$from" \
    >"$roots/$suite.log" 2>&1 || skip "debootstrap $suite failed: $(tail -n 1 "$roots/$suite.log")"
  copy_settings "$root"
  write_sources "$root" "$suite" "$from"
  run_in "$suite" apt-get update -q >>"$roots/$suite.log" 2>&1 ||
    skip "apt-get update in $suite failed: $(tail -n 1 "$roots/$suite.log")"
  touch "$root/.complete"
}

# run_in SUITE COMMAND...
run_in() {
  local root=$roots/$1
  shift
  ROOT=$root TREE=$tree unshare --mount --propagation private bash -c '
    mount -t proc proc "$ROOT/proc"
    for d in dev sys; do mount --rbind "/$d" "$ROOT/$d"; done
    mount -t tmpfs -o mode=1777 tmpfs "$ROOT/tmp"
    mkdir -p "$ROOT$TREE" # behind that: the tree may lie in /tmp
    mount --bind "$TREE" "$ROOT$TREE"
    unset ROOT TREE
    exec chroot "$0" env -u CC -u CXX -u CMAKE_C_COMPILER_LAUNCHER -u CMAKE_CXX_COMPILER_LAUNCHER \
      HOME=/root LANG=C.UTF-8 DEBIAN_FRONTEND=noninteractive \
      PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
      bash -c "cd \"\$0\" && exec \"\$@\"" "$@"' \
    "$root" "$(in_tree)" "$@"
}

# The working folder where it lies in the tree, else the tree.
in_tree() {
  case $PWD/ in
  "$tree"/*) echo "$PWD" ;;
  *) echo "$tree" ;;
  esac
}

install_in() {
  local suite=$1 missing=() package
  shift
  for package in "$@"; do
    run_in "$suite" dpkg-query -W -f '${Status}' "${package%/*}" 2>/dev/null | grep -q 'ok installed' ||
      missing+=("$package")
  done
  [ ${#missing[@]} -eq 0 ] && return
  run_in "$suite" apt-get install -q -y --no-install-recommends "${missing[@]}" \
    >>"$roots/$suite.log" 2>&1 ||
    skip "installing ${missing[*]} in $suite failed: $(tail -n 1 "$roots/$suite.log")"
}

action=${1-} suite=${2-}
[ -n "$suite" ] || { sed -n '2,/^# SPDX/p' "$0" | sed 's/^# \{0,1\}//' >&2; exit 2; }
shift 2
case $action in
make) make_root "$suite" >&2 && echo "$roots/$suite" ;;
install) make_root "$suite" && install_in "$suite" "$@" ;;
run) make_root "$suite" && run_in "$suite" "$@" ;;
*) echo "$0: unknown action \"$action\": make, install or run" >&2; exit 2 ;;
esac
