#!/bin/sh
# The toy from nothing to GGUF files, or on from where an earlier run stopped:
#
#     tools/demo/train.sh [flags of train.py]
#
# makes a virtual environment in build/demo-venv, trains into build/demo, writes the checkpoint to
# build/demo/pip-toy, and converts it with build/dev/peridot.
#
# SPDX-License-Identifier: MIT
set -eu
cd "$(dirname "$0")/../.."
venv=build/demo-venv
peridot=${PERIDOT:-build/dev/peridot}

if [ ! -x "$venv/bin/python" ]; then
  python3 -m venv "$venv"
  "$venv/bin/pip" install torch --index-url https://download.pytorch.org/whl/cpu ||
    "$venv/bin/pip" install torch
  "$venv/bin/pip" install numpy pillow safetensors
fi
nice -n 19 "$venv/bin/python" tools/demo/train.py "$@"
"$venv/bin/python" tools/demo/export.py --exact --into build/demo/pip-toy
"$peridot" convert build/demo/pip-toy -o build/demo/pip-toy-q4_0.gguf --type q4_0 \
  --mmproj build/demo/mmproj-pip-toy-f16.gguf --mmproj-type f16
"$venv/bin/python" tools/demo/evaluate.py --q4_0
