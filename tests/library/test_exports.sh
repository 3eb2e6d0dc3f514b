#!/bin/bash
# A library exports the functions that the headers declare, all of them and nothing else; a shared
# one has a versioned name. The test of wrong use tries all of them.
#
# Usage: test_exports.sh INCLUDE MISUSE.c LIBRARY...
#
# SPDX-License-Identifier: MIT
set -eu
include=$1
misuse=$2
shift 2

# Functions alone: a type that points to one is in parentheses, and a comment has stars.
declared() {
    gcc -fpreprocessed -dD -E -P -x c "$include/peridot.h" "$include/peridot_text.h" \
        "$include/peridot_measure.h" "$include/peridot_batch.h" "$include/peridot_files.h" 2>/dev/null |
        grep -v '^typedef' | grep -oE '\bpd_[a-z0-9_]+\(' | tr -d '(' | sort -u
}

exported() { # library
    case $1 in
    *.a) nm -g --defined-only "$1" ;;
    *) nm -D --defined-only "$1" ;;
    esac 2>/dev/null | awk 'NF == 3 { print $3 }' | sort -u
}

[ "$(declared | wc -l)" -gt 50 ] || { echo "the headers declare $(declared | wc -l) functions"; exit 1; }
failed=0
for library in "$@"; do
    diff <(declared) <(exported "$library") >/tmp/exports.$$ || {
        echo "$library: < declared and missing, > exported and not declared"
        head -n 20 /tmp/exports.$$
        failed=1
    }
    rm -f /tmp/exports.$$
    case $library in
    *.a) continue ;;
    esac
    readelf -d "$library" | grep -qE 'SONAME.*\.so\.[0-9]' || {
        echo "$library: its name (SONAME) has no version"
        failed=1
    }
done
for name in $(declared); do
    grep -q "\b$name(" "$misuse" || { echo "$misuse does not try $name"; failed=1; }
done
exit $failed
