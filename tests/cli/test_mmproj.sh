#!/usr/bin/env bash
# Image encoders: `synth --mmproj` writes them as released files are, and `inspect` tells of them.
# SPDX-License-Identifier: MIT
. "$(dirname "$0")/lib.sh"
command -v jq >/dev/null || skip "jq is not installed"

# check JQ WHAT: a condition on the last inspect --json
check() {
  jq -e "$1" "$work/out" >"$work/jq" || fail "$2: $(jq -c '.image_encoder, .types' "$work/out")"
}

# The file depends on the options alone; weights of one tensor not on how many layers there are.
expect_ok synth --mmproj -o "$work/a.gguf" --seed 7
expect_ok synth --mmproj -o "$work/b.gguf" --seed 7
cmp -s "$work/a.gguf" "$work/b.gguf" || fail "equal seeds gave different files"
expect_ok synth --mmproj -o "$work/b.gguf" --seed 8
cmp -s "$work/a.gguf" "$work/b.gguf" && fail "different seeds gave equal files"

# The tiny one fits the tiny model. Only what blocks of 32 divide is quantised, and the projection is not.
expect_ok synth -o "$work/model.gguf"
width=$("$PERIDOT" inspect -m "$work/model.gguf" --json | jq .model.n_embd)
for type in f32 f16 bf16 q8_0 q4_0 q5_1; do
  expect_ok synth --mmproj --type $type -o "$work/t.gguf"
  expect_ok inspect -m "$work/t.gguf" --json
  name=$(echo $type | tr '[:lower:]' '[:upper:]')
  check ".image_encoder.n_embd_out == $width and .image_encoder.n_tokens == 16 and
    .image_encoder.head_dim == 72 and .types.$name.tensors >= 10" "the tiny encoder in $type"
  case $type in q*) check '.types.F16.tensors == 3 and .types.F32.tensors == 26' "fallbacks of $type" ;; esac
done
expect_ok inspect -m "$work/t.gguf"
grep -q '^  images of 224 x 224 pixels in 256 patches of 14 become 16 tokens of 128 values$' \
  "$work/out" || fail "inspect of the tiny encoder: $(head -n 6 "$work/out")"
grep -q '^  2 layers in Q5_1, width 288, 4 heads of 72, feed-forward 432$' "$work/out" ||
  fail "inspect of the tiny encoder: $(head -n 6 "$work/out")"

# The real layout, with one layer of 27.
free_kib=$(df -Pk "$work" | awk 'NR == 2 {print $4}')
if [ "$free_kib" -gt 200000 ]; then
  for size in 4b:2560 12b:3840 27b:5376; do
    expect_ok synth --mmproj --preset ${size%:*} --layers 1 -o "$work/m.gguf"
    expect_ok inspect -m "$work/m.gguf" --json
    check ".image_encoder == {n_params: (416866032 - 26 * 15239504 + (${size#*:} + 1) * 1152),
      image_size: 896, patch_size: 14, n_patches: 4096, n_tokens: 256, n_layers: 1, n_embd: 1152,
      n_ff: 4304, n_heads: 16, head_dim: 72, n_embd_out: ${size#*:}} and (.tensors | length) == 23" \
      "the encoder of ${size%:*}"
  done
  jq -e '[.tensors[] | select(.name == "v.patch_embd.weight")][0] |
    .shape == [1152, 3, 14, 14] and .type == "F32"' "$work/out" >"$work/jq" || fail "the patches"
fi

# What cannot be.
expect_error 2 'has no image encoder' synth --mmproj --preset 1b -o "$work/x.gguf"
expect_error 2 'has no image encoder' synth --mmproj --preset 270m -o "$work/x.gguf"
for option in "--vocab 1000" "--qat" "--embd-type q8_0" "--ctx-size 100" "--tokenizer t.json"; do
  # shellcheck disable=SC2086
  expect_error 2 "${option%% *} is for text models" synth --mmproj $option -o "$work/x.gguf"
done
expect_error 2 'at most 64' synth --mmproj --layers 65 -o "$work/x.gguf"
[ ! -e "$work/x.gguf" ] || fail "a refused synth left a file"
"$PERIDOT" inspect -m "$golden/mm-mmproj.gguf" --plan | grep -q 'l00.attn_out .*bias add' || fail "the encoder has no plan"
expect_error 5 'image encoder' run -m "$golden/mm-mmproj.gguf" -p hello

# An encoder that is not sound is listed all the same, with the reason.
sed 's/clip\.vision\.patch_size/clip.vision.patch_sizf/' "$golden/mm-mmproj.gguf" >"$work/bad.gguf"
expect_ok inspect -m "$work/bad.gguf"
grep -q '^not a model to run: the key clip.vision.patch_size is absent' "$work/out" ||
  fail "inspect of a bad encoder: $(tail -n 1 "$work/out")"
expect_ok inspect -m "$work/bad.gguf" --json
check 'has("not_a_model") and (has("image_encoder") | not)' "inspect --json of a bad encoder"
finish
