#!/usr/bin/env bash
# Writes the seeds of the fuzzing entries: OUT/<entry>/..., from the golden files and what `synth`
# makes, cut to what is parsed. Needs $PERIDOT and $PERIDOT_TEST_DATA.  SPDX-License-Identifier: MIT
set -eu
: "${PERIDOT:?names the peridot program}" "${PERIDOT_TEST_DATA:?names tests/data}"
golden=$PERIDOT_TEST_DATA/golden
out=${1:?usage: corpus.sh OUT}
rm -rf "$out"
for entry in gguf mmproj safetensors index hf_config hf_tokenizer sp_model image text chat arguments lora session request grammar; do
  mkdir -p "$out/$entry"
done
cat >"$out/request/chat" <<'END'
0{"model":"m","messages":[{"role":"system","content":"Be brief."},{"role":"user","content":[{"type":"text","text":"a"},
{"type":"image_url","image_url":{"url":"data:image/png;base64,iVBORw0KGgo="}}]},{"role":"assistant","content":"b"},
{"role":"user","content":"c\u00e9\n"}],"temperature":0.5,"top_p":0.9,"stop":["x","yy"],"n":2,"logit_bias":{"5":-1.5},
"stream":true,"stream_options":{"include_usage":true},"logprobs":true,"top_logprobs":3,"max_tokens":7,"seed":-3}
END
echo '1{"prompt":[[2,5,6],[7,8]],"max_tokens":1,"logprobs":1,"echo":true,"add_bos":false,"logit_bias":[[3,1],[4,false]]}' \
  >"$out/request/ids"
echo '1{"prompt":["one","two <start_of_turn>"],"stop":"\\n","top_k":40,"min_p":0.1,"repeat_last_n":-1}' >"$out/request/texts"
echo '3{"instructions":"Be brief.","input":[{"role":"user","content":[{"type":"input_text","text":"a"},
{"type":"input_image","image_url":"data:image/png;base64,iVBORw0KGgo="}]},{"type":"message","role":"assistant","content":[
{"type":"output_text","text":"b"}]}],"max_output_tokens":5,"text":{"format":{"type":"text"}}}' >"$out/request/responses"
echo '4{"system":[{"type":"text","text":"a"}],"max_tokens":4,"messages":[{"role":"user","content":[{"type":"image","source":{
"type":"base64","media_type":"image/png","data":"iVBORw0KGgo="}},{"type":"text","text":"c"}]}],"stop_sequences":["x"]}' \
  >"$out/request/messages"
echo '0{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":null,"tool_calls":[{"id":"i","type":"function",
"function":{"name":"f","arguments":"{\"x\":[1]}"}},{"id":"j","function":{"name":"g"}}]},{"role":"tool","tool_call_id":"i",
"content":"r"}],"tools":[{"type":"function","function":{"name":"f","description":"d","parameters":{"type":"object"}}}],
"tool_choice":{"type":"function","function":{"name":"f"}},"parallel_tool_calls":false}' >"$out/request/tools"
echo '3{"input":[{"type":"message","role":"user","content":"a"},{"type":"function_call","call_id":"i","name":"f","arguments":""},
{"type":"function_call","call_id":"j","name":"f","arguments":"{}"},{"type":"function_call_output","call_id":"i","output":[
{"type":"input_text","text":"r"}]}],"tools":[{"type":"function","name":"f"}],"tool_choice":"required"}' \
  >"$out/request/function_calls"
echo '4{"max_tokens":4,"messages":[{"role":"user","content":"a"},{"role":"assistant","content":[{"type":"text","text":"b"},
{"type":"tool_use","id":"i","name":"f","input":{"x":1}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"i",
"is_error":true,"content":[{"type":"text","text":"r"}]}]}],"tools":[{"name":"f","input_schema":{"type":"object"}}],
"tool_choice":{"type":"any","disable_parallel_tool_use":true}}' >"$out/request/tool_use"
{ printf '2data:image/png;base64,'; base64 -w 0 "$PERIDOT_TEST_DATA/golden/image.png" | head -c 4000; } >"$out/request/picture"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Up to the tensors' data: metadata and directory.
for name in small-q4_0 small-f16 small-q8_0-scaled; do
  head -c 24000 "$golden/$name.gguf" >"$out/gguf/$name"
done
head -c 66000 "$golden/rule-27b-q4_0.gguf" >"$out/gguf/rule-27b"
head -c 8000 "$golden/mm-mmproj.gguf" >"$out/mmproj/golden"
"$PERIDOT" synth --preset tiny --layers 1 --vocab 600 -o "$work/tiny.gguf" >"$work/log" 2>&1 || cat "$work/log"
head -c 32000 "$work/tiny.gguf" >"$out/gguf/tiny"
"$PERIDOT" synth --preset tiny --mmproj --layers 1 -o "$work/mmproj.gguf" >"$work/log" 2>&1 || cat "$work/log"
head -c 8000 "$work/mmproj.gguf" >"$out/mmproj/tiny"

"$PERIDOT" synth --hf --preset tiny --layers 1 --vocab 600 -o "$work/hf" >"$work/log" 2>&1 || cat "$work/log"
"$PERIDOT" synth --hf --preset 270m --layers 1 --vocab 600 -o "$work/flat" >"$work/log" 2>&1 || cat "$work/log"
for file in "$work"/hf/*.safetensors; do
  size=$(od -An -t u8 -N 8 "$file")
  tail -c +9 "$file" | head -c "$size" | head -c 6000 >"$out/safetensors/$(basename "$file")"
done
echo '{"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},
"b":{"dtype":"I64","shape":[],"data_offsets":[24,32]},"c":{"dtype":"F16","shape":[0,5],"data_offsets":[32,32]}}' \
  >"$out/safetensors/three"
cp "$work/hf/model.safetensors.index.json" "$out/index/synth"
echo '{"metadata":{"total_size":8},"weight_map":{"one":"a.safetensors","two":"b.safetensors"}}' \
  >"$out/index/two"

cp "$work/flat/config.json" "$out/hf_config/flat"
{ cat "$work/hf/config.json"; printf '\0'; cat "$work/hf/preprocessor_config.json"; } \
  >"$out/hf_config/nested"
cat >"$out/hf_config/newer" <<'END'
{"model_type": "gemma3_text", "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2,
"num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 32, "query_pre_attn_scalar": 32,
"layer_types": ["sliding_attention", "full_attention"], "vocab_size": 600, "rope_parameters": {
"full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 1000000.0},
"sliding_attention": {"rope_type": "default", "rope_theta": 10000.0}}, "eos_token_id": [1, 106]}
END

cp "$work/hf/tokenizer.json" "$out/hf_tokenizer/synth"
cat >"$out/hf_tokenizer/small" <<'END'
{"added_tokens": [{"id": 0, "content": "<pad>", "special": true}, {"id": 3, "content": "▁▁",
"special": false}, {"id": 262144, "content": "<image_soft_token>", "special": true}], "model": {
"type": "BPE", "byte_fallback": true, "vocab": {"<pad>": 0, "<0x41>": 1, "a": 2, "▁▁": 3, "▁b": 4}}}
END
# pieces { piece: "<pad>" type: CONTROL }, { piece: "<0x41>" score: 0 type: BYTE }, { piece: "ab" }
printf '\012\011\012\005<pad>\030\003\012\017\012\006<0x41>\025\0\0\0\0\030\006\012\011\012\002ab\025\0\0\200\277\022\002\030\002' \
  >"$out/sp_model/three"

cp "$PERIDOT_TEST_DATA"/images/* "$out/image"
printf 'Hello world!\n\n\t  na\303\257ve <b>bold</b> > </b> 3.14 <eos><start_of_turn>' >"$out/text/mixed"
printf '\346\227\245\346\234\254 \360\237\246\231 e\314\201 \377\342\226\201x\n' >"$out/text/scripts"
printf '3\0Be brief.\0000\0 What is @ this?\n\0001\0A dog.\0000\0<start_of_turn>@@' >"$out/chat/turns"
printf '0\0Hi' >"$out/chat/one"
printf 'logits\n--tokens\n2,<image>,7 300\n-m\nx.gguf\n--decode-after=1\n-o\ny\n' >"$out/arguments/ids"
printf 'bench\n-p\n1-5,8-64*2\n-n\n16\n-r\n3\n--device\ncpu\n--precision=f16\n' >"$out/arguments/bench"
printf 'quantize\na.gguf\nb.gguf\nq4_0\n2\n--pure\n' >"$out/arguments/quantize"
printf 'run\n-p\nhi\n--temp\n0.7\n--top-k\n64\n-s\n1\n-n\n5\n--raw\n' >"$out/arguments/run"
# the notation by its number in fuzz_grammar.c, and how the answer goes on
printf '\0011root ::= item ("," item){0,3}\nitem ::= [a-z0-9]+ | "(" item ")" # nested\n' >"$out/grammar/gbnf"
printf '\0021(a|b{2,3}|[^c-f])+\\d{1,3}\\u00e4?(?:x|y)*' >"$out/grammar/regex"
printf '\0031["yes", "no", "perhaps"]' >"$out/grammar/choices"
printf '\0001{"type": "object", "properties": {"a": {"type": "integer", "minimum": -3, "maximum": 120}, "b": {"type":
"array", "items": {"$ref": "#/$defs/c"}, "maxItems": 2}}, "required": ["a"], "additionalProperties": {"type":
"boolean"}, "$defs": {"c": {"anyOf": [{"enum": ["x", 1, null]}, {"type": "string", "maxLength": 3}]}}}' \
  >"$out/grammar/schema"
printf '\0001{"properties": {"when": {"format": "date-time"}, "who": {"pattern": "^[a-z]{2,4}$"}, "n": {"type":
["number", "null"]}, "t": {"prefixItems": [{"const": "p"}, {"type": "boolean"}]}, "next": {"$ref": "#"}}}' \
  >"$out/grammar/formats"
echo '{"peft_type": "LORA", "r": 2, "lora_alpha": 6, "use_dora": false, "use_rslora": true,
"modules_to_save": null, "alpha_pattern": {}, "rank_pattern": {}, "bias": "none"}' >"$out/lora/small"

# Sessions without their checksums and without what the chat has noted in front, whose length is at byte 12.
printf 'hello there\n/save %s\n/image %s\nwhat is it?\n/save %s\n/quit\n' "$work/text" \
  "$PERIDOT_TEST_DATA/images/baseline.jpg" "$work/image" >"$work/typed"
TERM=dumb script -qec "'$PERIDOT' chat -m '$golden/mm-q4_0.gguf' --mmproj '$golden/mm-mmproj.gguf' -n 4 -c 128 \
  --device cpu-ref --precision f16" /dev/null <"$work/typed" >"$work/log" 2>&1 || cat "$work/log"
for name in text image; do
  note=$(od -An -t u8 -j 12 -N 8 "$work/$name")
  { head -c 12 "$work/$name"; printf '\0\0\0\0\0\0\0\0'; tail -c +$((21 + note)) "$work/$name" | head -c -8; } \
    >"$out/session/$name"
done
