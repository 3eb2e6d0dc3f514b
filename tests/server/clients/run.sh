#!/usr/bin/env bash
# Asks `peridot serve` through clients that others wrote: OpenAI's and Anthropic's packages, and
# lm-evaluation-harness with tasks of its own. They come from PyPI into an environment under build/ on the
# first run (1 GB). Uses the build `dev`.
#
#     tests/server/clients/run.sh [openai|anthropic|lm_eval]...
#
# Exit code 77: skipped, with the reason. PERIDOT_BUILD: another folder of a build.  SPDX-License-Identifier: MIT
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../../.." && pwd)
environment=$root/build/clients-python
program=${PERIDOT_BUILD:-$root/build/dev}/peridot

skip() {
  echo "skipped: $*"
  exit 77
}

# Under another name until it is complete.
make_environment() {
  local half=$environment.half log=$root/build/clients-python.log
  trap 'rm -rf "$half"' EXIT
  rm -rf "$half" "$environment"
  echo "making $environment"
  python3 -m venv "$half" >"$log" 2>&1 ||
    skip "python3 cannot make an environment (Debian: python3-venv)"
  "$half/bin/python" -m pip install --quiet --disable-pip-version-check -r "$here/requirements.txt" >>"$log" 2>&1 ||
    skip "pip cannot install tests/server/clients/requirements.txt: $(grep ERROR "$log" | tail -n 1)"
  cp "$here/requirements.txt" "$half/"
  mv "$half" "$environment"
  trap - EXIT
}

[ -x "$program" ] || skip "there is no build: cmake --preset dev && cmake --build --preset dev"
command -v python3 >/dev/null || skip "python3 is not installed"
cmp -s "$here/requirements.txt" "$environment/requirements.txt" || make_environment

# Nothing may be asked of any hub.
export HF_HUB_OFFLINE=1 HF_DATASETS_OFFLINE=1 HF_EVALUATE_OFFLINE=1 TRANSFORMERS_OFFLINE=1
export HF_HOME=$root/build/clients-home TOKENIZERS_PARALLELISM=false
export PYTHONPATH=$root/tests/server
[ $# -gt 0 ] || set -- openai anthropic lm_eval
status=0
for part in "$@"; do
  echo "== $part"
  "$environment/bin/python" "$here/through_$part.py" "$program" || status=1
done
exit $status
