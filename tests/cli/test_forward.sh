#!/usr/bin/env bash
# What converted files compute, against a forward pass in numpy that reads the checkpoint itself.
# SPDX-License-Identifier: MIT
. "$(dirname "$0")/lib.sh"
here=$(cd "$(dirname "$0")" && pwd)
for python in python3 /usr/bin/python3 ''; do
  "$python" -c 'import numpy' 2>/dev/null && break
done
[ -n "$python" ] || skip "no Python with numpy (Debian: python3-numpy)"
cd "$work" || exit 1

same() { # hf_forward.py's arguments...
  "$python" "$here/hf_forward.py" "$@" >out.txt 2>&1 || fail "hf_forward.py $*: $(tail -n 1 out.txt)"
  echo "$1 $3: $(head -n 1 out.txt)"
}
picture=$golden/image.png
ids=2,10,300,7,300,12,500,601,40,77,90,101,5,9,13,17,400,401,402,403,404,33,34,35,36,37,38,39,41,42

# A model for images, as the 4B: settings that leave out what is default, linear rope scaling.
expect_ok synth --hf --preset tiny -o mm
sed -i 's/"text_config": {/&"rope_scaling": {"factor": 8.0, "rope_type": "linear"}, /' mm/config.json
expect_ok convert mm -o f32.gguf --type f32 --mmproj-type f32
expect_ok embed-image -m f32.gguf --image "$picture" --dump-pixels pixels -o got --device cpu-ref
same image mm f32 pixels got
mixed="2,10,300,<image>,12,500,601"
expect_ok logits -m f32.gguf --tokens "$mixed" --image "$picture" -o got --device cpu
same logits mm f32 f32 "$mixed" got pixels
for device in cpu-ref cpu; do
  expect_ok logits -m f32.gguf --tokens $ids -o got --device $device
  same logits mm f32 f32 $ids got
done

# From the types' rounded values on it is the same sum.
for types in "bf16 bf16" "f16 f16" "q4_0 q8_0"; do
  read -r type embedding <<<"$types"
  mmproj=$embedding
  expect_ok convert mm -o q.gguf --type "$type" --mmproj-type "$mmproj"
  expect_ok logits -m q.gguf --tokens $ids -o got --device cpu-ref
  same logits mm "$type" "$embedding" $ids got
  expect_ok embed-image -m q.gguf --pixels pixels -o got --device cpu
  same image mm "$mmproj" pixels got
done

# A text model, as the 1B: flat settings that name everything, one KV head, no scaling. The window
# is made so small that these few tokens leave it.
expect_ok synth --hf --preset 270m --layers 7 --vocab 700 -o flat
sed -i 's/"sliding_window": 512/"sliding_window": 8/' flat/config.json
expect_ok convert flat -o flat.gguf --type bf16
expect_ok logits -m flat.gguf --tokens $ids -o got --device cpu
same logits flat bf16 bf16 $ids got
finish
