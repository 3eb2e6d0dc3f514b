#!/bin/bash
# Names, folders and files that Windows makes trouble with: what can be done is done, and what cannot is one
# sentence and an exit code, with nothing half-written left. Run under Wine with the rights of root, in a mount
# namespace of its own.
#
# Usage: bad_input.sh PERIDOT.EXE HELPER.EXE TOY.GGUF
#
# SPDX-License-Identifier: MIT
set -u
peridot=$1 helper=$2 toy=$3
work=$(mktemp -d)
trap 'umount "$work/full" "$work/read-only" 2>/dev/null; rm -rf "$work"' EXIT
failed=0

report() { # NAME OK
  if [ "$2" = yes ]; then echo "$1: as it should be"; else
    echo "$1: FAILED"
    sed 's/^/    /' "$work/out" "$work/err"
    failed=1
  fi
}

# works NAME ARGUMENT...: exit code 0
works() {
  local name=$1
  shift
  wine "$peridot" "$@" >"$work/out" 2>"$work/err" </dev/null && report "$name" yes || report "$name" no
}

# refused NAME CODE PATTERN ARGUMENT...: that exit code, and one sentence of that kind
refused() {
  local name=$1 code=$2 pattern=$3 got=0 good=no
  shift 3
  wine "$peridot" "$@" >"$work/out" 2>"$work/err" </dev/null || got=$?
  [ $got -eq "$code" ] && [ "$(grep -c '^peridot: ' "$work/err")" -eq 1 ] && grep -qE "$pattern" "$work/err" && good=yes
  [ $good = yes ] || echo "exit code $got" >>"$work/err"
  report "$name" $good
}

question=(-p "What is the capital of France?" --temp 0 -q --device cpu)

# ---- names ----------------------------------------------------------------------------------------

long=$work/😀😀/$(printf 'x%.0s' $(seq 150))/$(printf 'é%.0s' $(seq 100))
mkdir -p "$long"
cp "$toy" "$long/modèle 🪨.gguf"
works "a model at a path of 300 characters, with emoji" run -m "Z:$long/modèle 🪨.gguf" "${question[@]}"
works "a file written there" synth --preset tiny -o "Z:$long/neu 🪨.gguf"
[ -s "$long/neu 🪨.gguf" ] && report "  and found there" yes || report "  and found there" no
refused "a model that is not there" 3 'no such|No such|not' run -m "Z:$long/fehlt.gguf" "${question[@]}"
refused "NUL as a model" 3 'NUL' run -m NUL "${question[@]}"
refused "CON as a model" 3 'CON' run -m CON "${question[@]}"
works "NUL as what is written" logits -m "Z:$toy" --tokens 2,5 -o NUL --device cpu

# ---- folders and disks ----------------------------------------------------------------------------

mkdir "$work/read-only" "$work/full"
mount -t tmpfs -o size=64k tmpfs "$work/full"
mount -t tmpfs -o ro tmpfs "$work/read-only"
refused "a read-only folder" 3 'read-only|ermission|denied|cannot' synth --preset tiny -o "Z:$work/read-only/x.gguf"
refused "a full volume" 3 'left' synth --preset tiny -o "Z:$work/full/x.gguf"
[ -z "$(ls "$work/full")" ] && report "  and nothing is left there" yes || report "  and nothing is left there" no

# ---- files that are open elsewhere ----------------------------------------------------------------

# held FILE: until the helper is killed
held() {
  wine "$helper" hold "Z:$1" 60 >"$work/held" &
  holder=$!
  for _ in $(seq 100); do grep -q held "$work/held" && return; sleep 0.1; done
  echo "the helper does not start"
  failed=1
}

release() {
  kill $holder 2>/dev/null
  wait $holder 2>/dev/null
}

cp "$toy" "$work/open.gguf"
held "$work/open.gguf"
refused "a model that another program keeps to itself" 3 'another program' run -m "Z:$work/open.gguf" "${question[@]}"
refused "an output that another program keeps to itself" 3 'another program' synth --preset tiny -o "Z:$work/open.gguf"
release
cmp -s "$toy" "$work/open.gguf" && report "  which stays as it was" yes || report "  which stays as it was" no
[ "$(find "$work" -name '*.tmp-*' | wc -l)" -eq 0 ] && report "  and nothing is left beside it" yes ||
  report "  and nothing is left beside it" no

# ---- no console -----------------------------------------------------------------------------------

wine "$helper" detached "\"Z:$peridot\" synth --preset tiny -o \"Z:$work/quiet.gguf\"" >"$work/out" 2>"$work/err" &&
  [ -s "$work/quiet.gguf" ] && report "no console" yes || report "no console" no
wine "$helper" detached "\"Z:$peridot\" run -m \"Z:$work/missing.gguf\" -p x" >"$work/out" 2>"$work/err"
[ $? -eq 3 ] && report "no console, and something is wrong" yes || report "no console, and something is wrong" no

exit $failed
