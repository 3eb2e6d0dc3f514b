#!/usr/bin/env bash
# peridot convert: checkpoints in their several forms against expected bytes that a script works out
# on its own; what the files compute; what is refused.  SPDX-License-Identifier: MIT
. "$(dirname "$0")/lib.sh"
command -v python3 >/dev/null || skip "python3 is not installed"
tool=$(dirname "$0")/convert_tool.py
cd "$work" || exit 1

ok() { # command...
  "$@" >out.txt 2>err.txt || { fail "$* failed: $(head -c 500 err.txt)"; return 1; }
}
refused() { # words that the message must hold, command...
  local words=$1
  shift
  if "$@" >out.txt 2>err.txt; then fail "$* succeeded, expected \"$words\""
  elif ! grep -qF -- "$words" err.txt; then fail "$*: \"$(cat err.txt)\" does not say \"$words\""
  fi
}
logits() { # model, out
  ok "$PERIDOT" logits -m "$1" --tokens 2,10,300,7,300,12,500,601,40 -o "$2" --device cpu-ref
}

ok "$PERIDOT" synth --hf --preset tiny -o hf
ok "$PERIDOT" synth --hf --preset tiny -o again
diff -r hf again >/dev/null || fail "equal seeds gave unequal folders"

# ---- every type ---------------------------------------------------------------------------------
ok "$PERIDOT" convert hf -o f32.gguf --type f32 --mmproj-type f32
ok python3 "$tool" check hf f32.gguf F32 F32
ok python3 "$tool" check-mmproj hf mmproj-f32.gguf F32
ok "$PERIDOT" convert hf -o bf16.gguf --type bf16 --mmproj-type bf16
ok python3 "$tool" check hf bf16.gguf BF16 BF16
ok python3 "$tool" check-mmproj hf mmproj-bf16.gguf BF16
ok "$PERIDOT" convert hf --output=f16.gguf --type f16 --mmproj pictures.gguf --threads 3
ok python3 "$tool" check hf f16.gguf F16 F16
ok python3 "$tool" check-mmproj hf pictures.gguf F16
ok "$PERIDOT" convert hf -o q4_0.gguf --embedding q4_0 --mmproj-type q8_0
ok python3 "$tool" check hf q4_0.gguf Q4_0 Q4_0
ok python3 "$tool" check-mmproj hf mmproj-q4_0.gguf Q8_0
ok "$PERIDOT" convert hf -o q4_0b.gguf --type q4_0 --no-mmproj
ok python3 "$tool" check hf q4_0b.gguf Q4_0 Q8_0 # rows of 128 are too short for q6_k
[ -e mmproj-q4_0b.gguf ] && fail "--no-mmproj wrote an image encoder"

# quantize takes the same way from bf16 on
ok "$PERIDOT" quantize bf16.gguf two-steps.gguf q4_0
cmp -s q4_0b.gguf two-steps.gguf || fail "convert --type q4_0 is not bf16 and quantize q4_0"
ok "$PERIDOT" verify q4_0b.gguf
ok "$PERIDOT" verify mmproj-q4_0.gguf

# ---- the files compute --------------------------------------------------------------------------
logits f32.gguf f32.logits
logits bf16.gguf bf16.logits
cmp -s f32.logits bf16.logits || fail "the same values as f32 and bf16 gave different logits"
logits q4_0.gguf q4_0.logits
cmp -s f32.logits q4_0.logits && fail "q4_0 gave the logits of f32"
ok "$PERIDOT" embed-image -m bf16.gguf --image "$golden/image.png" -o image.f32 --device cpu

# ---- other forms of the same checkpoint ---------------------------------------------------------
for dtype in F32 F16; do
  mkdir "new$dtype"
  cp hf/tokenizer.json hf/tokenizer_config.json hf/preprocessor_config.json hf/generation_config.json "new$dtype"
  ok python3 "$tool" rename hf "new$dtype" "$dtype"
done
mkdir -p named/hf # general.name is the folder's
mv newF32/* named/hf
ok "$PERIDOT" convert named/hf -o new.gguf --type f32 --mmproj-type f32
cmp -s f32.gguf new.gguf || fail "newer names and fields, F32: another text file"
cmp -s mmproj-f32.gguf mmproj-new.gguf || fail "newer names, F32: another image encoder"
mkdir untied # the output matrix is the same, but stands by itself
cp named/hf/* untied
sed -i 's/^{/{"tie_word_embeddings": false, /' untied/config.json
ok "$PERIDOT" convert untied -o untied.gguf --type f32 --no-mmproj
logits untied.gguf untied.logits
cmp -s f32.logits untied.logits || fail "lm_head.weight gave other logits than the embedding"
[ "$(wc -c <untied.gguf)" -gt $(($(wc -c <f32.gguf) + 4 * 128 * 1024)) ] ||
  fail "lm_head.weight is not in the file"
cp -r hf padded # as tools save it that write every field: padding rows stay, as unused tokens
sed -i 's/"text_config": {/"text_config": {"vocab_size": 1088, /' padded/config.json
ok "$PERIDOT" convert padded -o padded.gguf --type bf16 --no-mmproj
ok python3 "$tool" check padded padded.gguf BF16 BF16
sed -i 's/"vocab_size": 1088/"vocab_size": 1089/' padded/config.json
refused "is [1088, 128], expected [1089, 128]" "$PERIDOT" convert padded -o x.gguf
sed -i 's/"vocab_size": 1089/"vocab_size": 1000/' padded/config.json
refused "the tokenizer has 1024 tokens" "$PERIDOT" convert padded -o x.gguf
ok "$PERIDOT" convert newF16 -o newF16.gguf --type q8_0 --no-mmproj
rm named/hf/tokenizer.json
ok python3 "$tool" sp-model hf named/hf/tokenizer.model
ok "$PERIDOT" convert named/hf -o sp.gguf --type f32 --no-mmproj
cmp -s f32.gguf sp.gguf || fail "tokenizer.model gave another file than tokenizer.json"
size=$(wc -c <named/hf/tokenizer.model)
head -c $((size - 5)) named/hf/tokenizer.model >cut && mv cut named/hf/tokenizer.model
refused "is not a SentencePiece model, or cut short" "$PERIDOT" convert named/hf -o x.gguf
rm named/hf/tokenizer.model
refused "has neither tokenizer.json nor tokenizer.model" "$PERIDOT" convert named/hf -o x.gguf

ok "$PERIDOT" synth --hf --preset 270m --layers 1 --vocab 700 -o flat
ok "$PERIDOT" convert flat -o flat.gguf --type bf16
ok python3 "$tool" check flat flat.gguf BF16 BF16
[ -e mmproj-flat.gguf ] && fail "a text model got an image encoder"
refused "no image encoder" "$PERIDOT" convert flat -o x.gguf --mmproj y.gguf
refused "blocks of 256 values" "$PERIDOT" convert flat -o x.gguf --embedding q6_k

# ---- an adapter ---------------------------------------------------------------------------------
mkdir lora
ok python3 "$tool" lora hf lora
ok "$PERIDOT" convert hf --lora lora -o lora.gguf --type f32 --no-mmproj
ok python3 "$tool" check-lora hf lora lora.gguf
refused "do not fit its [1024, 640]" "$PERIDOT" convert flat --lora lora -o x.gguf
ok python3 "$tool" cut-layers hf cut 2
refused "layers.2.mlp.gate_proj.lora_A.weight\", which belongs to no matrix" \
  "$PERIDOT" convert cut --lora lora -o x.gguf
# adapter WORDS SETTING: the adapter with a setting more, or changed, is refused
adapter() {
  rm -rf odd && cp -r lora odd
  python3 - odd/adapter_config.json "$2" <<'PYTHON' || fail "no adapter with $2"
import json, sys
settings = json.load(open(sys.argv[1]))
settings.update(json.loads("{" + sys.argv[2] + "}"))
json.dump(settings, open(sys.argv[1], "w"))
PYTHON
  refused "$1" "$PERIDOT" convert hf --lora odd -o x.gguf --no-mmproj
}
adapter "sets use_dora" '"use_dora": true'
adapter "sets use_dora" '"use_dora": 1'
adapter "sets fan_in_fan_out" '"fan_in_fan_out": 1'
adapter "sets modules_to_save" '"modules_to_save": "embed_tokens"'
adapter "sets alpha_pattern" '"alpha_pattern": "x"'
adapter "neither true nor false" '"use_rslora": "true"'
adapter "but r in adapter_config.json is 64" '"r": 64'
adapter "is no rank" '"r": "4"'
adapter "is no rank" '"r": 2.5'
adapter "lora_alpha" '"lora_alpha": "4"'
adapter "LoRA" '"peft_type": "LOHA"'
rm -rf odd && cp -r lora odd
python3 - <<'PYTHON' || fail "no empty adapter"
open("odd/adapter_model.safetensors", "wb").write((8).to_bytes(8, "little") + b"{}      ")
PYTHON
refused "holds no matrices" "$PERIDOT" convert hf --lora odd -o x.gguf --no-mmproj
rm -rf odd && cp -r lora odd # ranks may differ where the settings say so
sed -i 's/^{/{"rank_pattern": {"q_proj": 4}, /; s/"r": [0-9]*/"r": 64/' odd/adapter_config.json
ok "$PERIDOT" convert hf --lora odd -o ranks.gguf --type f32 --no-mmproj
cmp -s lora.gguf ranks.gguf || fail "rank_pattern changed what the adapter adds"

# ---- what gives no model that runs --------------------------------------------------------------
# changed FILE PROGRAM: a copy of the checkpoint in `odd` in which Python changed one JSON file, as `j`
changed() {
  rm -rf odd && cp -r hf odd
  python3 -c "
import json, sys
j = json.load(open(sys.argv[1], encoding='utf-8'))
$2
json.dump(j, open(sys.argv[1], 'w'))" "odd/$1" || fail "no checkpoint with $2"
}
changed tokenizer.json 'j["model"]["vocab"] = {"": 0}; j["added_tokens"] = []'
refused "gives no model that can be run" "$PERIDOT" convert odd -o x.gguf --no-mmproj
changed tokenizer.json 'v = j["model"]["vocab"]; k = list(v)[900]; v["x" * 10000000] = v.pop(k)'
refused "gives no model that can be run" "$PERIDOT" convert odd -o x.gguf --no-mmproj
changed tokenizer.json 'v = j["model"]["vocab"]; v["<0xZZ>"] = v.pop("<0x41>")'
refused "gives no model that can be run" "$PERIDOT" convert odd -o x.gguf --no-mmproj
while read -r file words; do # one character behind the end
  rm -rf odd && cp -r hf odd
  printf '}' >>"odd/$file"
  refused "odd/$file\" is not $words" "$PERIDOT" convert odd -o x.gguf --no-mmproj
done <<'FILES'
config.json a JSON object
generation_config.json a JSON object
tokenizer_config.json valid JSON
tokenizer.json valid JSON
model.safetensors.index.json an index of safetensors files
FILES
rm -rf odd && cp -r lora odd
printf 'x' >>odd/adapter_config.json
refused "not valid JSON" "$PERIDOT" convert hf --lora odd -o x.gguf --no-mmproj
"$PERIDOT" convert hf -o /dev/stdout --no-mmproj >pipe.gguf 2>err.txt || fail "no model through a pipe"
ok "$PERIDOT" verify pipe.gguf

# ---- what is refused ----------------------------------------------------------------------------
refused "folder is missing" "$PERIDOT" convert -o x.gguf
refused "--output FILE is missing" "$PERIDOT" convert hf
refused "are the same file" "$PERIDOT" convert hf -o x.gguf --mmproj x.gguf
refused "are the same file" "$PERIDOT" convert hf -o x.gguf --mmproj "$work/./x.gguf"
refused "config.json" "$PERIDOT" convert nowhere -o x.gguf
cp -r hf bad
sed -i 's/"model_type": "gemma3"/"model_type": "gemma2"/' bad/config.json
refused 'model_type in config.json is "gemma2"' "$PERIDOT" convert bad -o x.gguf
cp hf/config.json bad
sed -i 's/"hidden_size": 128/"hidden_size": 160/' bad/config.json
refused "expected [1024, 160]" "$PERIDOT" convert bad -o x.gguf
cp hf/config.json bad
sed -i 's/"num_hidden_layers": 7/"num_hidden_layers": 6/' bad/config.json
refused "is not a tensor of the Gemma 3" "$PERIDOT" convert bad -o x.gguf
sed -i 's/"num_hidden_layers": 6/"num_hidden_layers": 8/' bad/config.json
refused "the checkpoint has no tensor" "$PERIDOT" convert bad -o x.gguf
cp hf/config.json bad
rm bad/model-00002-of-00003.safetensors
refused "model-00002-of-00003.safetensors" "$PERIDOT" convert bad -o x.gguf
refused "No such file" "$PERIDOT" convert hf -o x.gguf --mmproj nowhere/y.gguf # both or none
for file in *.gguf; do
  case $file in x.gguf | mmproj-x.gguf | y.gguf) fail "a refused conversion left $file" ;; esac
done
refused "cannot be used with --hf" "$PERIDOT" synth --hf --type q4_0 -o x
finish
