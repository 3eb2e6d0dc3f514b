#!/usr/bin/env bash
# `chat` on a terminal: what a user types and sees, by chat_terminal.py, and files of conversations, by
# chat_files.py; with libedit, and with plain lines, which a terminal that can do nothing gets.
# SPDX-License-Identifier: MIT
. "$(dirname "$0")/lib.sh"
command -v python3 >/dev/null || skip "python3 is not installed"

# A folder of its own: elsewhere an image encoder lies beside the model.
mkdir "$work/model"
cp "$golden/small-q4_0.gguf" "$work/model/model.gguf"
expect_ok synth -o "$work/slow.gguf" --preset tiny --ctx-size 1000000

# A NaN in the last norm: every step fails. The tensors lie one behind the other at the file's end.
expect_ok synth -o "$work/nan.gguf" --preset tiny
"$PERIDOT" inspect --json "$work/nan.gguf" >"$work/nan.json"
python3 - "$work/nan.gguf" "$work/nan.json" <<'PYTHON'
import json, os, struct, sys
tensors = json.load(open(sys.argv[2]))["tensors"]
padded = [(t["bytes"] + 31) // 32 * 32 for t in tensors]
before = [t["name"] for t in tensors].index("output_norm.weight")
with open(sys.argv[1], "r+b") as f:
    f.seek(os.path.getsize(sys.argv[1]) - sum(padded[before:]))
    f.write(struct.pack("<f", float("nan")))
PYTHON

# A device that is lost behind the first question, where the layer for that was built.
if [ -n "${FAULT_LAYER_DATA-}" ] && "$PERIDOT" devices | grep -q '^vulkan.*llvmpipe'; then
  export PERIDOT_CACHE_DIR=$work/cache XDG_DATA_HOME=$FAULT_LAYER_DATA PERIDOT_FAULT_LAYER=1
  for _ in 1 2; do # the second time nothing has to be built
    PERIDOT_FAULT_REPORT=$work/report expect_ok chat -m "$work/model/model.gguf" --device vulkan:llvmpipe \
      -n 12 -l 1-inf -l 106-inf -p hello
  done
  LOST_CALL=$(($(cut -d' ' -f2 "$work/report") + 20))
  export LOST_CALL
fi

export PYTHONDONTWRITEBYTECODE=1
for editor in ${CHAT_EDITORS:-plain}; do
  for tests in chat_terminal chat_files; do
    python3 "$(dirname "$0")/$tests.py" "$PERIDOT" "$work/model/model.gguf" "$work/slow.gguf" "$work" \
      "$editor" || fail "$tests with $editor lines"
  done
done
finish
