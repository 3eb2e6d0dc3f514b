#!/bin/bash
# Programs in C and C++ build and run against an installed libperidot, by pkg-config and by CMake.
# The folder is moved after installing: nothing in it may say where it was. So are examples compiled
# from what is installed, and run, pictures too.
#
# Usage: test_consumer.sh CMAKE BUILD static|shared COMPONENT...
# Needs $PERIDOT (the program), $PERIDOT_TEST_DATA and $PERIDOT_EXAMPLES; heeds $CC, $CXX, $CFLAGS and
# $CXXFLAGS, as CMake does.
#
# SPDX-License-Identifier: MIT
set -eu
cmake=$1 build=$2 kind=$3
shift 3
here=$(cd "$(dirname "$0")" && pwd)
CC=${CC:-cc} CXX=${CXX:-c++}
command -v pkg-config >/dev/null || { echo "skipped: pkg-config is missing"; exit 77; }
command -v "$CXX" >/dev/null || { echo "skipped: no C++ compiler"; exit 77; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

for component in "$@"; do
  "$cmake" --install "$build" --prefix "$work/first" --component "$component" >/dev/null
done
mv "$work/first" "$work/a place"
ln -s "a place" "$work/prefix" # pkg-config escapes spaces for a shell; the loop below splits words
prefix=$work/prefix
PKG_CONFIG_PATH=$(dirname "$(find "$work/a place" -name peridot.pc)")
PKG_CONFIG_PATH=$prefix${PKG_CONFIG_PATH#"$work/a place"}
export PKG_CONFIG_PATH
LD_LIBRARY_PATH=$(dirname "$(find "$prefix/" -name 'libperidot.*' | head -n 1)")
export LD_LIBRARY_PATH
if grep -rl "$work/first" "$prefix/"; then
  echo "these say where they were installed"
  exit 1
fi

# ---- pkg-config ----------------------------------------------------------------------------------

static_flag=
[ "$kind" = shared ] || static_flag=--static
read -ra cflags < <(pkg-config --cflags peridot)
read -ra flags <<<"${CFLAGS-}" # also for C++
read -ra libs < <(pkg-config --libs $static_flag peridot)
[ "$(pkg-config --modversion peridot)" = "$("$PERIDOT" --version | awk '{ print $2 }')" ]

compile() { # OUT COMPILER FILE
  "$2" -Wall -Wextra -pedantic -Werror "${flags[@]}" "${cflags[@]}" "$3" -o "$work/$1" "${libs[@]}"
}
compile use_c "$CC" "$here/consumer/use.c"
compile use_cpp "$CXX" "$here/consumer/use.cpp"
compile text "$CC" "$PERIDOT_EXAMPLES/text.c"
compile image "$CC" "$PERIDOT_EXAMPLES/image.c"

links_peridot() { # is libperidot.so among what the program loads?
  readelf -d "$1" | grep -q 'NEEDED.*libperidot[.]so'
}
check_kind() {
  if links_peridot "$1"; then found=shared; else found=static; fi
  [ "$found" = "$kind" ] || { echo "$1 is linked with the $found library, not the $kind one"; exit 1; }
}
model=$PERIDOT_TEST_DATA/golden/small-q4_0.gguf
for program in use_c use_cpp; do
  check_kind "$work/$program"
  "$work/$program" "$model"
done

# ---- CMake ---------------------------------------------------------------------------------------

for with_cxx in OFF ON; do
  folder=$work/cmake-$with_cxx
  "$cmake" -S "$here/consumer" -B "$folder" -DCMAKE_PREFIX_PATH="$work/a place" \
    -DCMAKE_C_COMPILER="$CC" -DCMAKE_CXX_COMPILER="$CXX" -DWITH_CXX=$with_cxx >"$work/log" 2>&1 &&
    "$cmake" --build "$folder" >>"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
  for program in "$folder"/use_c*; do
    check_kind "$program"
    "$program" "$model"
  done
done
# Another minor version may have another interface.
sed 's/Peridot 0.1 /Peridot 0.2 /' "$here/consumer/CMakeLists.txt" >"$work/CMakeLists.txt"
cp "$here/consumer/use.c" "$work"
if "$cmake" -S "$work" -B "$work/other" -DCMAKE_PREFIX_PATH="$work/a place" >"$work/log" 2>&1; then
  echo "find_package(Peridot 0.2) took what is installed"
  exit 1
fi
grep -q 'compatible with requested' "$work/log" || { cat "$work/log"; exit 1; }

# ---- the examples --------------------------------------------------------------------------------

# Of random weights no more can be asked than that text comes.
"$PERIDOT" synth -o "$work/tiny.gguf" --vocab 262144
"$PERIDOT" synth --mmproj -o "$work/mmproj.gguf"
"$work/text" "$work/tiny.gguf" "Why is the sky blue?" cpu >"$work/answer"
[ "$(wc -c <"$work/answer")" -gt 20 ] || { echo "text: no answer"; exit 1; }
"$work/image" "$work/tiny.gguf" "$work/mmproj.gguf" "$PERIDOT_TEST_DATA/golden/image.png" cpu >"$work/answer"
[ "$(wc -c <"$work/answer")" -gt 20 ] || { echo "image: no answer"; exit 1; }
code=0
"$work/text" /no/such/file hello cpu 2>"$work/error" || code=$?
[ $code -eq 3 ] && grep -q /no/such/file "$work/error" || { echo "text: a missing file gave $code"; exit 1; }
