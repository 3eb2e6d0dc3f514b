#!/bin/bash
# Checks that includes point one way through the tree, so that there is no circle between folders:
#
#     base < file < model < text, image < plan < backend < engine < sample < pack, hub < cli, server
#
# A folder may include its own headers and those to its left. text and image, pack and hub, cli and
# server stand side by side. plan is what is to be computed: it needs neither text nor image. Under
# backend/ each device's folder sees backend's own headers, plan and what is left of it; vulkan has
# rooms, also in an order: device < kernels < program < tune < vulkan. Whatever is right of backend
# knows of it only the narrow interface, backend/backend.h. The headers that C shares with the
# shaders (shaders/*.h) are for plan, backend and engine; include/ is for all. Every quoted include
# must exist, named from src.
#
# Usage: check_includes.sh ROOT     exit 0: clean, 1: a back edge, each on a line of its own
# It first proves on a throw-away tree that it can fail.
#
# SPDX-License-Identifier: MIT
set -u

# Folders that the given one may include from, besides itself.
allowed() {
    local below_plan="base file model" below_backend="base file model plan backend"
    local vulkan=backend/vulkan
    case $1 in
    base) echo "" ;;
    file) echo "base" ;;
    model) echo "base file" ;;
    text | image) echo "base file model" ;;
    plan) echo "$below_plan" ;;
    backend) echo "$below_plan plan" ;;
    backend/cpu | $vulkan/device) echo "$below_backend" ;;
    $vulkan/kernels) echo "$below_backend $vulkan/device" ;;
    $vulkan/precompile) echo "$below_backend $vulkan/device $vulkan/kernels" ;; # a program of the build
    $vulkan/program) echo "$below_backend $vulkan/device $vulkan/kernels" ;;
    $vulkan/tune) echo "$below_backend $vulkan/device $vulkan/kernels $vulkan/program" ;;
    $vulkan)
        echo "$below_backend $vulkan/device $vulkan/kernels $vulkan/program $vulkan/tune" ;;
    engine) echo "base file model text image plan" ;;
    sample) echo "base file model text image plan engine" ;;
    pack | hub) echo "base file model text image plan engine sample" ;;
    cli | server) echo "base file model text image plan engine sample pack hub" ;;
    *) echo "UNKNOWN" ;;
    esac
}

# The folder that a file or header, named from src, counts to.
place_of() {
    local folder=${1%/*}
    case $folder in
    backend/vulkan/* | backend/vulkan | backend/cpu) echo "$folder" ;;
    *) echo "${1%%/*}" ;;
    esac
}

sees_shaders() {
    case $1 in
    plan | engine | backend | backend/*) return 0 ;;
    *) return 1 ;;
    esac
}

# One line "FILE: reason" per include that is not allowed.
check_line() { # root file place header
    local root=$1 file=$2 place=$3 header=$4 target
    if [ ! -f "$root/src/$header" ]; then
        [ -f "$root/include/$header" ] && return 0
        [ -f "$root/shaders/$header" ] && sees_shaders "$place" && return 0
        echo "$file: \"$header\" is not a header under src, named from there"
        return 1
    fi
    target=$(place_of "$header")
    [ "$target" = "$place" ] && return 0
    [ "$place/$header" = engine/backend/backend.h ] && return 0
    case " $(allowed "$place") " in *" $target "*) return 0 ;; esac
    echo "$file: $place may not include \"$header\""
    return 1
}

check_tree() { # root
    local root=$1 bad=0 file place header
    while IFS= read -r file; do
        place=$(place_of "${file#"$root"/src/}")
        if [ "$(allowed "$place")" = UNKNOWN ]; then
            echo "$file: the folder $place has no place in the order"
            bad=1
            continue
        fi
        while IFS= read -r header; do
            check_line "$root" "$file" "$place" "$header" || bad=1
        done < <(sed -nE 's/^[[:space:]]*#[[:space:]]*include[[:space:]]*"([^"]*)".*/\1/p' "$file")
    done < <(find "$root/src" -name '*.[ch]' | sort)
    return $bad
}

# ---- the proof that it can fail -----------------------------------------------------------------

self_test() {
    local t failed=0
    t=$(mktemp -d) || return 1
    mkdir -p "$t/include" "$t/shaders"
    touch "$t/include/peridot.h" "$t/include/peridot_measure.h" "$t/shaders/args.h"
    for folder in base file model text image plan engine backend/cpu backend/vulkan/device \
        backend/vulkan/kernels backend/vulkan/program backend/vulkan/tune sample pack hub cli server; do
        mkdir -p "$t/src/$folder"
        touch "$t/src/$folder/x.h"
    done
    touch "$t/src/backend/backend.h" "$t/src/backend/x.h" "$t/src/backend/vulkan/x.h"
    expect() { # clean|back folder header
        printf '#include <stdio.h>\n  #  include "%s"\n' "$3" >"$t/src/$2/probe.c"
        local found=clean
        check_tree "$t" >/dev/null || found=back
        rm "$t/src/$2/probe.c"
        [ "$found" = "$1" ] && return
        echo "self-test: $2 including \"$3\" was judged $found, expected $1"
        failed=1
    }
    local case
    for case in "base base/x.h" "file base/x.h" "model file/x.h" "text model/x.h" "plan model/x.h" \
        "plan args.h" "engine text/x.h" "engine plan/x.h" "engine backend/backend.h" "engine args.h" \
        "backend plan/x.h" "backend/cpu plan/x.h" "backend/cpu backend/x.h" \
        "backend/vulkan/device backend/backend.h" "backend/vulkan/kernels backend/vulkan/device/x.h" \
        "backend/vulkan/tune backend/vulkan/program/x.h" "backend/vulkan backend/vulkan/tune/x.h" \
        "backend/vulkan/kernels args.h" "sample engine/x.h" "pack model/x.h" "hub file/x.h" \
        "cli file/x.h" "cli engine/x.h" "cli pack/x.h" "server sample/x.h" "base peridot.h" \
        "cli peridot_measure.h"; do
        expect clean $case
    done
    for case in "base file/x.h" "file model/x.h" "model text/x.h" "text image/x.h" "model plan/x.h" \
        "text engine/x.h" "image text/x.h" "plan text/x.h" "plan backend/backend.h" "plan engine/x.h" \
        "engine sample/x.h" "engine backend/x.h" "engine backend/vulkan/x.h" "engine cli/x.h" \
        "backend engine/x.h" "backend backend/cpu/x.h" "backend/cpu engine/x.h" \
        "backend/cpu backend/vulkan/x.h" "backend/vulkan/device backend/vulkan/kernels/x.h" \
        "backend/vulkan/kernels backend/vulkan/program/x.h" \
        "backend/vulkan/program backend/vulkan/tune/x.h" "backend/vulkan/tune backend/vulkan/x.h" \
        "backend/vulkan cli/x.h" "sample backend/backend.h" "sample cli/x.h" "pack hub/x.h" \
        "pack cli/x.h" "hub pack/x.h" "hub cli/x.h" "cli server/x.h" "server cli/x.h" \
        "cli backend/vulkan/x.h" "file args.h" "file absent.h" "file x.h"; do
        expect back $case
    done
    mkdir "$t/src/stray" "$t/src/backend/vulkan/stray"
    touch "$t/src/stray/x.c"
    check_tree "$t" >/dev/null && echo "self-test: an unknown folder passed" && failed=1
    mv "$t/src/stray/x.c" "$t/src/backend/vulkan/stray/x.c"
    check_tree "$t" >/dev/null && echo "self-test: an unknown room passed" && failed=1
    rm -r "$t"
    return $failed
}

if [ $# -ne 1 ] || [ ! -d "$1/src" ]; then
    echo "usage: $0 ROOT" >&2
    exit 2
fi
self_test || exit 1
check_tree "$1" || exit 1
echo "includes point one way"
