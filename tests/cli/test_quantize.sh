#!/usr/bin/env bash
# `quantize`, `verify` and `inspect A B`: types and fallbacks, what is copied, what a quantisation
# costs, damage that is found, and no half files.  SPDX-License-Identifier: MIT
. "$(dirname "$0")/lib.sh"
command -v jq >/dev/null || skip "jq is not installed"
mkdir "$work/folder"

# types FILE: "TYPE:tensors" of each, sorted
types() {
  "$PERIDOT" inspect "$1" --json | jq -r '.types | to_entries | map("\(.key):\(.value.tensors)") | sort | join(" ")'
}

# ---- types and fallbacks ---------------------------------------------------------------------
# Rows of the tiny model have 128 values; those of attn_output and ffn_down 256. Two layers: 14
# matrices, 13 vectors and the embedding.
expect_ok synth -o "$work/f32.gguf" --type f32 --layers 2
while read -r type expected; do
  expect_ok quantize "$work/f32.gguf" "$work/$type.gguf" "$type"
  expect_text "types of $type" "$expected" "$(types "$work/$type.gguf")"
  expect_ok verify "$work/$type.gguf"
  expect_ok quantize "$work/f32.gguf" "$work/one.gguf" "$type" 1
  cmp "$work/one.gguf" "$work/$type.gguf" || fail "$type: one thread writes another file than all"
  expect_ok run -m "$work/$type.gguf" -p hello --raw -n 2 --temp 0 --ids --no-perf --device cpu
done <<'TYPES'
f16 F16:15 F32:13
bf16 BF16:15 F32:13
q8_0 F32:13 Q8_0:15
q4_0 F32:13 Q4_0:14 Q8_0:1
q4_1 F32:13 Q4_1:14 Q8_0:1
q5_0 F32:13 Q5_0:14 Q8_0:1
q5_1 F32:13 Q5_1:14 Q8_0:1
q4_k F32:13 Q4_K:4 Q5_0:10 Q8_0:1
q5_k F32:13 Q5_1:10 Q5_K:4 Q8_0:1
q6_k F32:13 Q6_K:4 Q8_0:11
TYPES
expect_ok quantize "$work/f32.gguf" "$work/t.gguf" Q4_0 --embedding f16
expect_text "types with --embedding" "F16:1 F32:13 Q4_0:14" "$(types "$work/t.gguf")"
expect_ok quantize "$work/f32.gguf" "$work/t.gguf" Q4_0 --pure --threads 2
expect_text "types with --pure" "F32:13 Q4_0:15" "$(types "$work/t.gguf")"
rm "$work/t.gguf"
expect_ok quantize "$work/f32.gguf" "$work/t.gguf" Q4_0 --dry-run
[ ! -e "$work/t.gguf" ] || fail "--dry-run wrote a file"
grep -q 'total .* 28 tensors' "$work/out" || fail "--dry-run printed no total: $(cat "$work/out")"

# ---- settings, and what is copied ------------------------------------------------------------
expect_ok quantize "$work/f32.gguf" "$work/same.gguf" f32
expect_ok inspect "$work/f32.gguf" "$work/same.gguf" --json
jq -e '.tensors == [] and (.settings | keys) == ["general.quantization_version"]' "$work/out" \
  >"$work/jq" || fail "a copy differs: $(cat "$work/out")"
keys() { "$PERIDOT" inspect "$1" --json | jq -c '.metadata | keys_unsorted'; }
expect_text "keys" "$(keys "$work/same.gguf")" "$(keys "$work/q4_k.gguf")"
expect_text "file type" '[14,2]' "$("$PERIDOT" inspect "$work/q4_k.gguf" --json |
  jq -c '[.metadata["general.file_type", "general.quantization_version"]]')"
expect_ok quantize "$work/same.gguf" "$work/again.gguf" f32
cmp "$work/same.gguf" "$work/again.gguf" || fail "a file of the wanted type was not copied as it is"

# A split model becomes one file, the very one that the whole gives, and a missing part is told.
if command -v python3 >/dev/null; then
  ok_split() { python3 "$(dirname "$0")/split_gguf.py" "$@" || fail "split_gguf.py $*"; }
  ok_split "$work/f32.gguf" "$work/split" 3
  for type in q4_0 f32; do
    expect_ok quantize "$work/f32.gguf" "$work/whole.gguf" $type
    expect_ok quantize "$work/split-00001-of-00003.gguf" "$work/joined.gguf" $type
    cmp "$work/whole.gguf" "$work/joined.gguf" || fail "a split model as $type is not the whole one"
  done
  expect_ok inspect "$work/split-00001-of-00003.gguf" --json
  expect_text "tensors of a split model" 28 "$(jq '[.types[].tensors] | add' "$work/out")"
  mkdir "$work/parts"
  cp "$work"/split-0000[13]-of-00003.gguf "$work/parts"
  expect_error 3 'split-00002-of-00003.gguf' quantize "$work/parts/split-00001-of-00003.gguf" \
    "$work/folder/out.gguf" q4_0
  expect_error 2 'part 2 of 3' quantize "$work/split-00002-of-00003.gguf" "$work/folder/out.gguf" q4_0
  expect_nothing_in "$work/folder"
  rm -r "$work/parts" "$work"/split-* "$work/whole.gguf" "$work/joined.gguf"
fi

# f16 to f32 and back loses nothing; quantising twice is warned of, and twice the same is a copy.
expect_ok quantize "$work/f16.gguf" "$work/wide.gguf" f32
expect_ok quantize "$work/wide.gguf" "$work/back.gguf" f16
cmp "$work/f16.gguf" "$work/back.gguf" || fail "f16 to f32 and back changed the file"
expect_ok quantize "$work/q8_0.gguf" "$work/t.gguf" q4_0
grep -q '^quantize: warning: 14 tensors are quantised already' "$work/err" ||
  fail "no warning of quantising twice: $(cat "$work/err")"
expect_ok quantize "$work/q4_0.gguf" "$work/t.gguf" q4_0
grep -q warning "$work/err" && fail "a warning of copying: $(cat "$work/err")"
cmp "$work/q4_0.gguf" "$work/t.gguf" || fail "q4_0 to q4_0 is no copy"

# ---- image encoders --------------------------------------------------------------------------
# Of a layer's matrices ffn_down has rows of 432 values, which no block divides.
expect_ok synth -o "$work/mm.gguf" --mmproj --layers 2
expect_ok quantize "$work/mm.gguf" "$work/mm8.gguf" q8_0
expect_ok inspect "$work/mm8.gguf" --json
jq -e '.image_encoder.n_layers == 2 and .types.Q8_0.tensors == 10 and
  ([.tensors[] | select(.type == "F16").name] | sort) == ["mm.input_projection.weight",
   "v.blk.0.ffn_down.weight", "v.blk.1.ffn_down.weight"] and
  all(.tensors[] | select(.name == "v.position_embd.weight" or .name == "v.patch_embd.weight");
      .type == "F32")' "$work/out" >"$work/jq" || fail "mmproj: $(jq -c '.types' "$work/out")"
expect_error 2 'neither an embedding' quantize "$work/mm.gguf" "$work/t.gguf" q8_0 --embedding f16

# ---- what it costs ---------------------------------------------------------------------------
# A level of Q8_0 is 1/127 of a block's largest value, 2.0 to 2.5 standard deviations of these
# weights: an error of step / sqrt(12), 0.0045 to 0.0057.
expect_ok inspect "$work/f32.gguf" "$work/q8_0.gguf" --json
jq -e '.equal == false and (.tensors | length) == 15 and
  all(.tensors[]; .relative_rms > 0.004 and .relative_rms < 0.0065 and .type_b == "Q8_0")' \
  "$work/out" >"$work/jq" || fail "differences of q8_0: $(cat "$work/out")"
expect_ok inspect "$work/f32.gguf" "$work/q8_0.gguf"
tail -n 1 "$work/out" | grep -q '^different: 2 settings and 15 of 28 tensors' ||
  fail "inspect A B: $(tail -n 1 "$work/out")"
expect_ok inspect -m "$work/f32.gguf" "$work/f32.gguf"
tail -n 1 "$work/out" | grep -q '^equal: 0 settings and 0 of 28' || fail "inspect A A"
expect_ok inspect "$work/f32.gguf" "$golden/small-f16.gguf" # other shapes, other names

# Logits of the golden model, whose matrices are f16, and of its Q8_0. Errors of 0.0057 in each of
# n matrices one behind the other add up to 0.0057 sqrt(n); a layer has at most 5 in a row (v, output,
# then gate or up, down), and the head is one more.
tokens=$(jq -r '[.text[] | select(.model == "small-f16.gguf")][0].tokens | map(tostring) | join(",")' \
  "$golden/manifest.json")
layers=$("$PERIDOT" inspect "$golden/small-f16.gguf" --json | jq .model.n_layers)
expect_ok quantize "$golden/small-f16.gguf" "$work/g8.gguf" q8_0
expect_ok logits -m "$golden/small-f16.gguf" --tokens "$tokens" -o "$work/a.f32" --device cpu-ref
expect_ok logits -m "$work/g8.gguf" --tokens "$tokens" -o "$work/b.f32" --device cpu-ref
relative=$(paste <(od -An -v -w4 -tf4 "$work/a.f32") <(od -An -v -w4 -tf4 "$work/b.f32") |
  awk '{d += ($2 - $1)^2; s += $1 * $1} END {print sqrt(d / s)}')
awk -v r="$relative" -v n="$((5 * layers + 1))" \
  'BEGIN {exit !(r > 0 && r <= 0.0057 * sqrt(n))}' ||
  fail "logits of Q8_0 differ by $relative of their root mean square over $layers layers"

# ---- verify ----------------------------------------------------------------------------------
expect_ok verify "$work/f32.gguf" --json
jq -e --arg sha "$(sha256sum "$work/f32.gguf" | cut -d' ' -f1)" \
  '.sound and .files[0].sha256 == $sha and (.tensors | length) == 28' "$work/out" >"$work/jq" ||
  fail "verify --json: $(head -c 500 "$work/out")"
if command -v xxhsum >/dev/null; then
  expect_text "xxh3" "$(xxhsum -H3 "$work/f32.gguf" | grep -o '[0-9a-f]\{16\}')" \
    "$(jq -r '.files[0].xxh3' "$work/out")"
fi
expect_ok verify "$work/f32.gguf" -v
grep -q '^  output_norm.weight  *F32 ' "$work/out" || fail "verify -v prints no statistics"

# damage BYTES PATTERN: the last value of the last tensor, output_norm, is replaced
damage() {
  cp "$work/f32.gguf" "$work/bad.gguf"
  printf "$1" | dd of="$work/bad.gguf" bs=1 seek="$(($(stat -c %s "$work/bad.gguf") - 4))" \
    conv=notrunc status=none
  "$PERIDOT" verify "$work/bad.gguf" >"$work/out" 2>"$work/err"
  expect_text "exit code of verify ($2)" 4 $?
  grep -Eq "^  wrong: output_norm.weight: .*($2)" "$work/out" || fail "$2: $(cat "$work/out")"
  grep -Eq "^peridot: 1 of 28 tensors are wrong: output_norm.weight" "$work/err" ||
    fail "$2: $(cat "$work/err")"
}
damage '\0\0\300\177' '1 of 128 values are NaN or infinite, the first at 127'
damage '\0\0\200\377' 'NaN or infinite'
damage '\0\44\164\111' 'magnitude 1e\+06'
head -c -512 "$work/f32.gguf" >"$work/bad.gguf"
head -c 512 /dev/zero >>"$work/bad.gguf"
"$PERIDOT" verify "$work/bad.gguf" >"$work/out" 2>"$work/err"
expect_text "exit code of verify (zeros)" 4 $?
grep -q 'all 128 values are zero' "$work/out" || fail "zeros: $(cat "$work/out")"
head -c -512 "$work/f32.gguf" >"$work/cut.gguf"
expect_error 4 'ends 512 bytes early' verify "$work/cut.gguf"
expect_error 4 'ends 512 bytes early' quantize "$work/cut.gguf" "$work/folder/x.gguf" q8_0

# What a run refuses is not sound, whatever its values are; its digests are printed all the same.
# unfit CODE PATTERN OLD NEW: with a name in the file changed to one as long
unfit() {
  sed "s/$3/$4/" "$work/f32.gguf" >"$work/bad.gguf"
  "$PERIDOT" verify "$work/bad.gguf" >"$work/out" 2>"$work/err"
  expect_text "exit code of verify ($2)" "$1" $?
  grep -Eq "^  wrong: .*($2)" "$work/out" || fail "$2: $(cat "$work/out")"
  grep -Eq "^peridot: .*($2)" "$work/err" || fail "$2: $(cat "$work/err")"
  grep -q "sha256  $(sha256sum "$work/bad.gguf" | cut -d' ' -f1)" "$work/out" || fail "$2: no digest"
  "$PERIDOT" run -m "$work/bad.gguf" -p hello -n 1 --device cpu >"$work/out" 2>"$work/err"
  expect_text "exit code of run ($2)" "$1" $?
  "$PERIDOT" verify "$work/bad.gguf" --json >"$work/out" 2>"$work/err"
  jq -e '.sound == false and (.wrong | length) > 0' "$work/out" >"$work/jq" || fail "$2: $(cat "$work/out")"
}
unfit 6 'general.architecture is absent' general.architecture general.architectur_
unfit 6 'blk.1.ffn_up.weight' blk.1.ffn_up.weight blk.1.ffn_op.weight
unfit 6 'block_count' gemma3.block_count gemma3.block_caunt
unfit 6 'no byte token <0x41>' '<0x41>' '<0xZZ>'
unfit 5 'another family' '\x06\x00\x00\x00\x00\x00\x00\x00gemma3' '\x06\x00\x00\x00\x00\x00\x00\x00gamma3'
printf 'GGUF\3\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0' >"$work/bad.gguf" # neither tensors nor settings
"$PERIDOT" verify "$work/bad.gguf" >"$work/out" 2>"$work/err"
expect_text "exit code of verify without tensors" 6 $?

# Without a window every layer is global, and no local ones are spoken of.
sed 's/gemma3.attention.sliding_window/gemma3.attention.sliding_windaw/' "$work/f32.gguf" >"$work/bad.gguf"
expect_ok inspect "$work/bad.gguf"
grep -q '^  2 layers (2 global), embedding' "$work/out" || fail "no window: $(grep layers "$work/out")"

expect_error 3 'No such file' verify "$work/none.gguf"
expect_error 2 'model FILE is missing' verify

# A NaN in a matrix is not quantised into garbage. The embedding is the first tensor: its first value
# lies behind as many bytes as all tensors have.
expect_ok inspect "$work/f32.gguf" --json
data=$(($(jq '.file_bytes - ([.tensors[].bytes] | add)' "$work/out")))
cp "$work/f32.gguf" "$work/bad.gguf"
printf '\0\0\300\177' | dd of="$work/bad.gguf" bs=1 seek="$data" conv=notrunc status=none
expect_error 4 'token_embd.weight holds a value that Q8_0 cannot hold' \
  quantize "$work/bad.gguf" "$work/folder/x.gguf" q4_0

# Neither is it copied.
for type in f32 q4_0; do
  expect_error 4 'token_embd.weight holds a' quantize "$work/bad.gguf" "$work/folder/x.gguf" "$type"
done
cp "$work/f32.gguf" "$work/bad.gguf"
printf '\0\0\200\177' | dd of="$work/bad.gguf" bs=1 seek=$(($(wc -c <"$work/f32.gguf") - 4)) conv=notrunc status=none
expect_error 4 'holds a NaN or an infinity' quantize "$work/bad.gguf" "$work/folder/x.gguf" f32
expect_error 4 'holds a' quantize "$work/bad.gguf" "$work/folder/x.gguf" q8_0
expect_nothing_in "$work/folder"

# ---- what is refused, and what is left behind ------------------------------------------------
expect_error 2 'IN.gguf is missing' quantize
expect_error 2 'TYPE is missing' quantize a b
expect_error 2 'one argument too many' quantize a b q8_0 1 2
expect_error 2 'must be one of .* but is "Q4_K_M"' quantize "$work/f32.gguf" "$work/folder/x.gguf" Q4_K_M
expect_error 2 'THREADS must be' quantize "$work/f32.gguf" "$work/folder/x.gguf" q8_0 no
expect_error 2 'cannot be used together' quantize "$work/f32.gguf" "$work/folder/x.gguf" q8_0 --pure --embedding f16
expect_error 2 'blocks of 256 values, but a row of token_embd.weight has 128' \
  quantize "$work/f32.gguf" "$work/folder/x.gguf" q8_0 --embedding q6_k
expect_error 2 'is the input itself' quantize "$work/f32.gguf" "$work/f32.gguf" q8_0
expect_error 3 'No such file' quantize "$work/none.gguf" "$work/folder/x.gguf" q8_0
expect_error 3 'No such file' quantize "$work/f32.gguf" "$work/none/x.gguf" q8_0
if [ -w /dev/full ]; then
  expect_error 3 'No space left' quantize "$work/f32.gguf" /dev/full q8_0
fi
(
  trap '' XFSZ # a write beyond the limit fails, as on a full disk
  ulimit -f 64
  exec "$PERIDOT" quantize "$work/f32.gguf" "$work/folder/x.gguf" q8_0
) >/dev/null 2>"$work/err"
expect_text "exit code on a full disk" 3 $?
grep -q '^peridot: cannot write .*File too large' "$work/err" || fail "full disk: $(cat "$work/err")"
expect_nothing_in "$work/folder"

expect_ok synth -o "$work/large.gguf" --preset 4b --layers 1 --vocab 600
timeout --foreground -s INT 0.3 "$PERIDOT" quantize "$work/large.gguf" "$work/folder/x.gguf" q4_k 1 \
  >"$work/out" 2>"$work/err"
expect_text "exit code of timeout" 124 $?
grep -q '^peridot: stopped on request' "$work/err" || fail "stopped: $(cat "$work/err")"
expect_nothing_in "$work/folder"
finish
