#!/usr/bin/env bash
# Peridot and llama.cpp on the same model file, taking turns. Fetches what a comparison needs,
# builds tools/bench_peer/, and runs it with the given flags:
#
#     tools/bench_peer.sh -m model.gguf -p 64,512 -n 32 --peridot-device vulkan
#     tools/bench_peer.sh                       prepare only
#     tools/bench_peer.sh --help
#
# llama.cpp comes ready-built from the npm packages of node-llama-cpp: its shared libraries for the
# CPU and for Vulkan, and the headers of the same release out of the git bundle that they carry. No
# script of a package is run, and Node itself is needed for the first run alone. Everything stays
# under build/:
#
#     build/npm-peer   the packages        (PERIDOT_PEER_NPM: another folder, used as it is)
#     build/peer       headers and program (PERIDOT_PEER_BUILD: another folder)
#
# To measure on a machine without Node or compiler take along build/peer/bench_peer and the folder
# build/npm-peer/node_modules/@node-llama-cpp, and name the latter in --peer-libs.
#
# SPDX-License-Identifier: MIT
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
npm_dir=${PERIDOT_PEER_NPM:-$root/build/npm-peer}
build=${PERIDOT_PEER_BUILD:-$root/build/peer}
version=3.22.1
case $(uname -m) in
    x86_64) flavours="linux-x64 linux-x64-vulkan" ;;
    aarch64) flavours="linux-arm64" ;;
    *) echo "bench_peer: no llama.cpp packages for $(uname -m)" >&2; exit 1 ;;
esac

# Optional packages hold other platforms' libraries, hundreds of megabytes; ours are named instead.
fetch_packages() {
    [ -d "$npm_dir/node_modules/node-llama-cpp" ] && return
    local packages=("node-llama-cpp@$version") flavour
    for flavour in $flavours; do packages+=("@node-llama-cpp/$flavour@$version"); done
    mkdir -p "$npm_dir"
    npm install --prefix "$npm_dir" --ignore-scripts --omit=optional --no-audit --no-fund \
        "${packages[@]}"
}

extract_headers() {
    local bundle="$npm_dir/node_modules/node-llama-cpp/llama/gitRelease.bundle"
    [ "$build/include/llama.h" -nt "$bundle" ] && return
    mkdir -p "$build/include"
    rm -rf "$build/bundle.git"
    git clone --quiet --bare "$bundle" "$build/bundle.git"
    git -C "$build/bundle.git" archive HEAD include ggml/include |
        tar -x -C "$build/include" --transform 's,.*/,,' --wildcards '*.h'
    rm -rf "$build/bundle.git"
    touch "$build/include/llama.h" # archives carry the commit's time
}

build_program() {
    cmake -S "$root" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release \
        -DCMAKE_PROJECT_peridot_INCLUDE="$root/tools/bench_peer/peer.cmake" \
        -DPERIDOT_PEER_INCLUDE="$build/include" > /dev/null
    cmake --build "$build" --target bench_peer check_peer score_peer peridot-cli > "$build/build.log" || {
        cat "$build/build.log" >&2
        return 1
    }
}

fetch_packages >&2
extract_headers
build_program
[ $# -eq 0 ] && exit
exec "$build/bench_peer" --peer-libs "$npm_dir/node_modules/@node-llama-cpp" "$@"
