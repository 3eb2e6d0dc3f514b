#!/bin/bash
# Checks that includes point one way through the tree:
#
#     base < file < model < text, image < engine < sample < pack, hub < cli, server
#
# A folder may include its own headers and those to its left. text and image, pack and hub, cli and
# server stand side by side; pack and hub do without the engine, and hub without models. backend hangs under engine: it includes engine and what is left of it, while engine
# knows of backend only the narrow interface, backend/backend.h. The headers that C shares with the
# shaders (shaders/*.h) are for engine and backend; include/ is for all. Every quoted
# include must exist, named from src.
#
# Usage: check_includes.sh ROOT     exit 0: clean, 1: a back edge, each on a line of its own
# It first proves on a throw-away tree that it can fail.
#
# SPDX-License-Identifier: MIT
set -u

# Folders that the given one may include from, besides itself.
allowed() {
    case $1 in
    base) echo "" ;;
    file) echo "base" ;;
    model) echo "base file" ;;
    text | image) echo "base file model" ;;
    engine) echo "base file model text image" ;;
    backend) echo "base file model text image engine" ;;
    sample) echo "base file model text image engine" ;;
    pack) echo "base file model text" ;;
    hub) echo "base file" ;;
    cli | server) echo "base file model text image engine sample pack hub" ;;
    *) echo "UNKNOWN" ;;
    esac
}

# One line "FILE: reason" per include that is not allowed.
check_line() { # root file folder header
    local root=$1 file=$2 folder=$3 header=$4 target=${4%%/*}
    case $header in
    peridot.h | peridot_measure.h | peridot_files.h) [ -f "$root/include/$header" ] && return 0 ;;
    esac
    if [ ! -f "$root/src/$header" ]; then
        case $folder in
        engine | backend) [ -f "$root/shaders/$header" ] && return 0 ;;
        esac
        echo "$file: \"$header\" is not a header under src, named from there"
        return 1
    fi
    [ "$target" = "$folder" ] && return 0
    [ "$folder/$header" = engine/backend/backend.h ] && return 0
    case " $(allowed "$folder") " in *" $target "*) return 0 ;; esac
    echo "$file: $folder may not include \"$header\""
    return 1
}

check_tree() { # root
    local root=$1 bad=0 file rest folder header
    while IFS= read -r file; do
        rest=${file#"$root"/src/}
        folder=${rest%%/*}
        if [ "$(allowed "$folder")" = UNKNOWN ]; then
            echo "$file: the folder $folder has no place in the order"
            bad=1
            continue
        fi
        while IFS= read -r header; do
            check_line "$root" "$file" "$folder" "$header" || bad=1
        done < <(sed -nE 's/^[[:space:]]*#[[:space:]]*include[[:space:]]*"([^"]*)".*/\1/p' "$file")
    done < <(find "$root/src" -name '*.[ch]' | sort)
    return $bad
}

# ---- the proof that it can fail -----------------------------------------------------------------

self_test() {
    local t failed=0
    t=$(mktemp -d) || return 1
    mkdir -p "$t/include" "$t/shaders"
    touch "$t/include/peridot.h" "$t/include/peridot_measure.h" \
        "$t/include/peridot_files.h" "$t/shaders/args.h"
    for folder in base file model text image engine backend/vulkan sample pack hub cli server; do
        mkdir -p "$t/src/$folder"
        touch "$t/src/$folder/x.h"
    done
    touch "$t/src/backend/backend.h"
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
    for case in "base base/x.h" "file base/x.h" "model file/x.h" "text model/x.h" \
        "engine text/x.h" "engine backend/backend.h" "engine args.h" "backend engine/x.h" \
        "backend/vulkan backend/backend.h" "backend/vulkan args.h" "sample engine/x.h" \
        "cli file/x.h" "cli engine/x.h" "server sample/x.h" "base peridot.h" "cli peridot_measure.h" \
        "pack text/x.h" "pack model/x.h" "pack peridot_files.h" "hub file/x.h" "cli pack/x.h" \
        "cli hub/x.h" "server pack/x.h"; do
        expect clean $case
    done
    for case in "base file/x.h" "file model/x.h" "model text/x.h" "text image/x.h" \
        "text engine/x.h" "image text/x.h" "engine sample/x.h" "engine backend/vulkan/x.h" \
        "engine cli/x.h" "backend sample/x.h" "backend/vulkan cli/x.h" "sample backend/backend.h" \
        "sample cli/x.h" "cli server/x.h" "server cli/x.h" "cli backend/vulkan/x.h" \
        "sample pack/x.h" "engine hub/x.h" "pack hub/x.h" "hub pack/x.h" "pack engine/x.h" \
        "pack cli/x.h" "hub model/x.h" "hub cli/x.h" "hub server/x.h" \
        "file args.h" "file absent.h" "file x.h"; do
        expect back $case
    done
    mkdir "$t/src/stray"
    touch "$t/src/stray/x.c"
    check_tree "$t" >/dev/null && echo "self-test: an unknown folder passed" && failed=1
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
