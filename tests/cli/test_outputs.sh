#!/usr/bin/env bash
# No command writes over a file that it reads, by whatever name or link it is given.
# SPDX-License-Identifier: MIT
. "$(dirname "$0")/lib.sh"
command -v python3 >/dev/null || skip "python3 is not installed"
tools=$(cd "$(dirname "$0")" && pwd)
cd "$work" || exit 1

# kept FILE ARGS...: peridot ARGS is refused, and FILE is afterwards what it was
kept() {
  local file=$1 before
  shift
  before=$(sha256sum "$file")
  expect_error 2 'is the input itself|is a file of the input' "$@"
  expect_text "$file after peridot $*" "$before" "$(sha256sum "$file")"
}

cp "$golden/small-q4_0.gguf" model.gguf
cp "$golden/image.png" image.png
expect_ok synth --preset tiny -o tiny.gguf
expect_ok synth --preset tiny --mmproj -o mmproj-tiny.gguf
ln -s tiny.gguf link.gguf
ln tiny.gguf hard.gguf
printf 'hello' >text.txt
printf '2,3' >ids.txt

# ---- every file of a checkpoint and of an adapter -------------------------------------------------
expect_ok synth --hf --preset tiny -o hf
mkdir lora
python3 "$tools/convert_tool.py" lora hf lora || fail "no adapter to try"
for file in hf/*; do
  kept "$file" convert hf -o "$file" --no-mmproj
  kept "$file" convert hf -o x.gguf --mmproj "$file"
done
for file in lora/*; do
  kept "$file" convert hf --lora lora -o "$file" --no-mmproj
done
ln -s hf/config.json to-config
ln hf/model-00001-of-00003.safetensors hard-shard
ln -s hf folder
kept hf/config.json convert hf -o to-config --no-mmproj
kept hf/config.json convert folder -o hf/../hf/config.json --no-mmproj
kept hf/model-00001-of-00003.safetensors convert hf -o hard-shard --no-mmproj
kept hf/config.json convert hf -o x.gguf --no-mmproj --log-file hf/config.json
ln hf/tokenizer.json mmproj-x.gguf # where the image encoder would go
kept hf/tokenizer.json convert hf -o x.gguf
rm mmproj-x.gguf
[ -e x.gguf ] && fail "a refused conversion left x.gguf"
expect_ok convert hf -o hf/model.gguf # a file beside the checkpoint's may be made again
expect_ok convert hf -o hf/model.gguf
kept hf/tokenizer.json synth --hf --preset tiny -o hf --tokenizer hf/tokenizer.json
kept hf/tokenizer.json synth --preset tiny -o hf/tokenizer.json --tokenizer hf/tokenizer.json

# ---- models, whole and in parts -------------------------------------------------------------------
kept tiny.gguf quantize tiny.gguf tiny.gguf q8_0
kept tiny.gguf quantize link.gguf hard.gguf q8_0
python3 "$tools/split_gguf.py" tiny.gguf part 3 >split.txt 2>&1 || fail "no split model: $(cat split.txt)"
first=part-00001-of-00003.gguf
for file in part-*.gguf; do
  kept "$file" quantize "$first" "$file" q8_0
  kept "$file" logits -m "$first" --tokens 2,3 -o "$file" --device cpu
  kept "$file" score -m tiny.gguf --against "$first" -p "hello you" -o "$file" --device cpu
done
kept tiny.gguf logits -m tiny.gguf --tokens 2,3 -o link.gguf --device cpu
kept ids.txt logits -m tiny.gguf --tokens @ids.txt -o ids.txt --device cpu
kept image.png logits -m tiny.gguf --tokens '2,<image>' --image image.png -o image.png --device cpu
kept mmproj-tiny.gguf logits -m tiny.gguf --tokens '2,<image>' --image image.png -o mmproj-tiny.gguf --device cpu
kept text.txt score -m tiny.gguf -f text.txt -o text.txt --device cpu
kept tiny.gguf score -m tiny.gguf -f text.txt -o tiny.gguf --device cpu
kept image.png embed-image -m tiny.gguf --image image.png -o image.png --device cpu
kept image.png embed-image -m tiny.gguf --image image.png -o x.f32 --dump-pixels image.png --device cpu
kept mmproj-tiny.gguf embed-image -m tiny.gguf --image image.png -o mmproj-tiny.gguf --device cpu
kept tiny.gguf bench -m tiny.gguf -p 8 -n 0 -r 1 --profile --trace tiny.gguf --device cpu

# ---- the log --------------------------------------------------------------------------------------
kept tiny.gguf run -m tiny.gguf -p hello -n 1 --device cpu --log-file tiny.gguf
kept tiny.gguf verify tiny.gguf --log-file link.gguf
kept text.txt tokenize -m tiny.gguf -f text.txt --log-file text.txt
"$PERIDOT" tokenize -m tiny.gguf --log-file text.txt <text.txt >out.txt 2>err.txt
expect_text "a log over standard input" 2 $?
expect_text "text.txt" hello "$(cat text.txt)"
expect_error 2 'are the same file' embed-image -m tiny.gguf --image image.png -o x.f32 --dump-pixels ./x.f32 --device cpu

# What is no file may be read and written at once.
expect_ok embed-image -m tiny.gguf --image image.png -o /dev/null --dump-pixels /dev/null --device cpu
finish
