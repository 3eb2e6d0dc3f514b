#!/bin/bash
# Checks that includes point one way through the tree, so that there is no circle between folders:
#
#     base < file < model < text, image < grammar, plan < backend < engine < sample < batch < measure, pack, hub, options < server < cli
#
# A folder may include its own headers and those to its left. text and image, pack and hub
# stand side by side, and so do grammar and plan, and measure, pack, hub and options; pack does without the engine, hub
# without models, and options knows base alone. plan is what is
# to be computed: it needs neither text nor image. Under backend/ each device's folder sees
# backend's own headers, plan and what is left of it; vulkan has rooms, also in an order: device <
# kernels < program < tune < vulkan. Whatever is right of backend knows of it only the narrow
# interface, backend/backend.h. The headers that C shares with the shaders (shaders/*.h) are for
# plan, backend and engine, the list of weight types for file as well; include/ is for all. Every quoted include must exist, named from src.
#
# Usage: check_includes.sh ROOT     exit 0: clean, 1: a back edge, each on a line of its own
# It first proves on a throw-away tree that it can fail.
#
# SPDX-License-Identifier: MIT
set -u

# folders: those that the given one may include from, besides itself. A variable, since a process for
# every include takes half a minute.
allowed() {
    local below_plan="base file model" below_backend="base file model plan backend"
    local vulkan=backend/vulkan
    case $1 in
    base) folders="" ;;
    file) folders="base" ;;
    model) folders="base file" ;;
    text | image) folders="base file model" ;;
    grammar) folders="base file model text" ;;
    plan) folders="$below_plan" ;;
    backend) folders="$below_plan plan" ;;
    backend/cpu | "$vulkan"/device) folders="$below_backend" ;;
    "$vulkan"/kernels) folders="$below_backend $vulkan/device" ;;
    "$vulkan"/precompile) folders="$below_backend $vulkan/device $vulkan/kernels" ;; # a program of the build
    "$vulkan"/program) folders="$below_backend $vulkan/device $vulkan/kernels" ;;
    "$vulkan"/tune) folders="$below_backend $vulkan/device $vulkan/kernels $vulkan/program" ;;
    "$vulkan")
        folders="$below_backend $vulkan/device $vulkan/kernels $vulkan/program $vulkan/tune" ;;
    engine) folders="base file model text image grammar plan" ;;
    sample) folders="base file model text image grammar plan engine" ;;
    batch) folders="base file model text image grammar plan engine sample" ;;
    measure) folders="base file model text image plan engine sample batch" ;;
    pack) folders="base file model text" ;;
    hub) folders="base file" ;;
    options) folders="base" ;;
    server) folders="base text image grammar engine sample batch" ;;
    cli) folders="base file model text image grammar plan engine sample batch measure pack hub options server" ;;
    *) folders="UNKNOWN" ;;
    esac
}

# place: the folder that a file or header, named from src, counts to.
place_of() {
    place=${1%/*}
    case $place in
    backend/vulkan/* | backend/vulkan | backend/cpu) ;;
    *) place=${1%%/*} ;;
    esac
}

sees_shaders() { # folder header
    case $1 in
    plan | engine | backend | backend/*) return 0 ;;
    file) [ "$2" = weight_types.h ] ;;
    *) return 1 ;;
    esac
}

# One line "FILE: reason" per include that is not allowed.
check_line() { # root file header
    local root=$1 file=$2 header=$3 from
    place_of "${file#src/}"
    from=$place
    if [ ! -f "$root/src/$header" ]; then
        [ -f "$root/include/$header" ] && return 0
        [ -f "$root/shaders/$header" ] && sees_shaders "$from" "$header" && return 0
        echo "$file: \"$header\" is not a header under src, named from there"
        return 1
    fi
    place_of "$header"
    [ "$place" = "$from" ] && return 0
    [ "$from/$header" = engine/backend/backend.h ] && return 0
    allowed "$from"
    case " $folders " in *" $place "*) return 0 ;; esac
    echo "$file: $from may not include \"$header\""
    return 1
}

check_folder() { # file
    place_of "${1#src/}"
    allowed "$place"
    [ "$folders" != UNKNOWN ] && return 0
    echo "$1: the folder $place has no place in the order"
    return 1
}

check_tree() { # root
    local root=$1 bad=0 file header
    while IFS= read -r file; do
        check_folder "$file" || bad=1
    done < <(cd "$root" && find src -name '*.[ch]' | sort)
    while IFS='"' read -r file header _; do
        check_line "$root" "${file%%:*}" "$header" || bad=1
    done < <(cd "$root" && grep -rE --include='*.[ch]' '^[[:space:]]*#[[:space:]]*include[[:space:]]*"' src)
    return $bad
}

# ---- the proof that it can fail -----------------------------------------------------------------

self_test() {
    local t failed=0
    t=$(mktemp -d) || return 1
    mkdir -p "$t/include" "$t/shaders"
    touch "$t/include/peridot.h" "$t/include/peridot_measure.h" "$t/include/peridot_files.h" \
        "$t/shaders/args.h" "$t/shaders/weight_types.h"
    for folder in base file model text image plan engine backend/cpu backend/vulkan/device \
        backend/vulkan/kernels backend/vulkan/program backend/vulkan/tune sample batch measure pack hub options \
        server cli; do
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
        "plan args.h" "file weight_types.h" "engine text/x.h" "engine plan/x.h" "engine backend/backend.h" "engine args.h" \
        "backend plan/x.h" "backend/cpu plan/x.h" "backend/cpu backend/x.h" \
        "backend/vulkan/device backend/backend.h" "backend/vulkan/kernels backend/vulkan/device/x.h" \
        "backend/vulkan/tune backend/vulkan/program/x.h" "backend/vulkan backend/vulkan/tune/x.h" \
        "backend/vulkan/kernels args.h" "sample engine/x.h" "batch sample/x.h" "measure batch/x.h" "measure engine/x.h" "pack text/x.h" \
        "hub file/x.h" "options base/x.h" "cli options/x.h" "cli file/x.h" "cli engine/x.h" "cli measure/x.h" "cli pack/x.h" "cli hub/x.h" \
        "server batch/x.h" "cli server/x.h" "base peridot.h" "cli peridot_measure.h" "pack peridot_files.h"; do
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
        "pack cli/x.h" "pack engine/x.h" "sample pack/x.h" "sample measure/x.h" "measure cli/x.h" \
        "measure pack/x.h" "measure backend/backend.h" "hub model/x.h" \
        "hub pack/x.h" "options hub/x.h" "options cli/x.h" "hub cli/x.h" "server cli/x.h" "sample batch/x.h" "server pack/x.h" \
        "cli backend/vulkan/x.h" "file args.h" "model weight_types.h" "file absent.h" "file x.h"; do
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
