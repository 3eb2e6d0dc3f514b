# gpu_report.sh --pack: a folder with everything that a machine with a GPU needs but its driver.
#
#     gpu_report.sh, gpu_report/   this script and its parts
#     bin/                         peridot, kernel_bench, libperidot_core.so
#     tests/                       test programs that a device matters to
#     lib/                         libraries, of which a machine uses those that it lacks
#     data/                        what the tests read
#     peer/                        bench_peer and llama.cpp's libraries (--with-peer)
#     about.txt                    commit, date, system
#
# The programs share one libperidot_core.so, so that thirty of them are not thirty copies of the compiler
# of shaders: a build of its own in build/package.
#
# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2034,SC2154
root=$(cd "$here/.." && pwd)
build=$root/build/package
most_kib=65536

# The test programs that a device matters to.
test_names() {
  local source kind
  for kind in ops golden unit; do
    for source in "$root/tests/$kind"/test_*.c; do echo "${kind}_$(basename "$source" .c)"; done
  done | grep -E '^(ops_|golden_|unit_test_(vulkan_|measure$))' | grep -v '^golden_test_tokenizer'
}

build_programs() {
  [ -n "$programs" ] && return
  programs=$build
  local launcher=()
  command -v ccache >/dev/null &&
    launcher=(-DCMAKE_C_COMPILER_LAUNCHER=ccache -DCMAKE_CXX_COMPILER_LAUNCHER=ccache)
  mkdir -p "$build"
  # no rpath: on the other machine it would name folders of this one
  # shellcheck disable=SC2046
  if ! { cmake -S "$root" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DPERIDOT_SHARED_CORE=ON \
    -DCMAKE_SKIP_BUILD_RPATH=ON -DPERIDOT_TESTS=ON -DPERIDOT_TOOLS=ON ${launcher[@]+"${launcher[@]}"} &&
    cmake --build "$build" --target peridot-cli kernel_bench $(test_names); } >"$build/build.log" 2>&1; then
    tail -n 30 "$build/build.log" >&2
    refuse "the programs do not build; see $build/build.log"
  fi
}

refuse() {
  echo "gpu_report: $*" >&2
  exit 3
}

copy_programs() {
  local file
  mkdir -p "$pack_dir"/{bin,tests,lib,data} && pack_dir=$(cd "$pack_dir" && pwd) ||
    refuse "$pack_dir cannot be made"
  cp "$programs/peridot" "$programs/kernel_bench" "$pack_dir/bin/" ||
    refuse "$programs is no build folder with tools"
  [ ! -e "$programs/libperidot_core.so" ] || cp -L "$programs/libperidot_core.so" "$pack_dir/bin/"
  for file in $(test_names); do
    cp "$programs/tests/$file" "$pack_dir/tests/" || refuse "$programs is no build folder with tests"
  done
  cp -r "$root"/tests/data/{golden,images,shaders} "$pack_dir/data/"
  cp "$here/gpu_report.sh" "$pack_dir/"
  cp -r "$here/gpu_report" "$pack_dir/"
}

# Without what belongs to the C library, which is as new as the system that it comes with. Besides
# what programs are linked to: the Vulkan loader, and what NVIDIA's driver wants even where there is
# no display.
copy_libraries() {
  local file name path extra="libvulkan.so.1 libX11.so.6 libXext.so.6"
  for file in "$pack_dir"/bin/{peridot,kernel_bench} "$pack_dir"/tests/* "$pack_dir"/peer/bench_peer; do
    [ -f "$file" ] && LD_LIBRARY_PATH=$pack_dir/bin LD_TRACE_LOADED_OBJECTS=1 LD_PRELOAD=$extra \
      "$file" 2>/dev/null
  done | awk '$2 == "=>" && $3 ~ /^\// { print $1, $3 }' | sort -u |
    while read -r name path; do
      case $name in
      ld-linux* | libc.so* | libm.so* | libdl.so* | libpthread.so* | librt.so* | libresolv.so* | \
        libutil.so* | libanl.so* | libmvec.so* | libperidot_core.so*) ;;
      *) cp -L "$path" "$pack_dir/lib/$name" ;;
      esac
    done
  for name in $extra; do
    [ -e "$pack_dir/lib/$name" ] || echo "gpu_report: $name is not here, and so not in the package" >&2
  done
}

copy_peer() {
  local libs=${PERIDOT_PEER_NPM:-$root/build/npm-peer}/node_modules/@node-llama-cpp
  [ -n "$with_peer" ] || return 0
  "$root/tools/bench_peer.sh" >&2 || refuse "llama.cpp cannot be had; without --with-peer it is left out"
  mkdir -p "$pack_dir/peer/libs"
  cp "${PERIDOT_PEER_BUILD:-$root/build/peer}/bench_peer" "$pack_dir/peer/"
  # the build for Vulkan alone: what it computes on processors is not asked for
  (cd "$libs" && find . -path './*-vulkan/*' -name '*.so*' -exec cp -L --parents {} "$pack_dir/peer/libs" \;)
  [ -n "$(ls "$pack_dir/peer/libs")" ] || refuse "llama.cpp comes without Vulkan for $(uname -m)"
}

describe() {
  local commit
  commit=$(git -C "$root" describe --always --dirty 2>/dev/null)
  echo "commit: ${commit:-unknown}"
  echo "date: $(date -u +%Y-%m-%d)"
  echo "system: $(. /etc/os-release && echo "$PRETTY_NAME"), $(uname -m), $(ldd --version | head -n 1)"
}

pack() {
  local kib peer_kib=0
  if [ -e "$pack_dir" ] && [ -n "$(ls -A "$pack_dir")" ]; then usage_error "$pack_dir is not empty"; fi
  build_programs
  copy_programs
  copy_peer
  copy_libraries
  command -v strip >/dev/null &&
    find "$pack_dir"/{bin,tests,lib} "$pack_dir"/peer/bench_peer* -type f -exec strip --strip-unneeded {} + 2>/dev/null
  describe >"$pack_dir/about.txt"
  kib=$(du -sk "$pack_dir" | cut -f 1)
  [ -n "$with_peer" ] && peer_kib=$(du -sk "$pack_dir/peer" | cut -f 1)
  echo "$pack_dir: $((kib / 1024)).$((kib % 1024 * 10 / 1024)) MiB, of which llama.cpp $((peer_kib / 1024)) MiB;" \
    "$(find "$pack_dir/tests" -type f | wc -l) test programs, $(find "$pack_dir/lib" -type f | wc -l) libraries"
  [ $((kib - peer_kib)) -le $most_kib ] || [ "$programs" != "$build" ] ||
    refuse "more than $((most_kib / 1024)) MiB without llama.cpp"
}
