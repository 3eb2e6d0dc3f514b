#!/bin/bash
# Every public header compiles alone, as C11 and as C++17, by each compiler there is.
#
# Usage: test_headers.sh INCLUDE
#
# SPDX-License-Identifier: MIT
set -eu
failed=0 n_tried=0
try() { # COMPILER FLAGS HEADER
  command -v "$1" >/dev/null || return 0
  n_tried=$((n_tried + 1))
  # shellcheck disable=SC2086
  echo "#include \"$(basename "$3")\"" |
    "$1" $2 -Wall -Wextra -pedantic -Werror -I "$(dirname "$3")" -fsyntax-only - || failed=1
}
for header in "$1"/*.h; do
  try gcc "-x c -std=c11 -Wstrict-prototypes" "$header"
  try clang "-x c -std=c11 -Wstrict-prototypes" "$header"
  try g++ "-x c++ -std=c++17" "$header"
  try clang++ "-x c++ -std=c++17" "$header"
done
[ $n_tried -gt 0 ] || { echo "skipped: neither gcc nor clang"; exit 77; }
exit $failed
