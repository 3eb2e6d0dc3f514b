#!/usr/bin/env bash
# Whether llama.cpp reads converted files as Peridot does: makes a checkpoint with random weights,
# converts it, and compares the tokens of texts and greedy continuations (check_peer; equal unless
# two candidates lie nearer than llama.cpp's rounding of activations, which is printed). Then both
# quantise the same file, taking turns, and the files are compared. By hand only; it fetches what
# tools/bench_peer.sh does, and takes minutes and about 3 GB under build/check-peer.
#
#     tools/check_peer.sh [ROUNDS]       of quantising (default: 3)
#
# PERIDOT_TOKENIZER_JSON: Gemma 3's tokenizer.json; without it a made-up vocabulary of the same
# layout is used. PERIDOT_PEER_NPM, PERIDOT_PEER_BUILD: as in tools/bench_peer.sh.
#
# SPDX-License-Identifier: MIT
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
libs=${PERIDOT_PEER_NPM:-$root/build/npm-peer}/node_modules/@node-llama-cpp
build=${PERIDOT_PEER_BUILD:-$root/build/peer}
work=$root/build/check-peer
rounds=${1:-3}
"$root/tools/bench_peer.sh"
peridot=$build/peridot
mkdir -p "$work"
cd "$work"

check() { # check_peer's arguments...
    nice "$build/check_peer" --peer-libs "$libs" -t 2 -v "$@" 2>>log.txt || differs=1
}
differs=0
: >log.txt
tokenizer=()
[ -n "${PERIDOT_TOKENIZER_JSON-}" ] && tokenizer=(--tokenizer "$PERIDOT_TOKENIZER_JSON")
"$peridot" synth --hf --preset 270m "${tokenizer[@]}" -o hf
"$peridot" convert hf -o bf16.gguf --type bf16 # for quantising: as it is
# A window that the prompts leave, and the larger models' rope scaling.
sed -i 's/"sliding_window": 512/"sliding_window": 16/
        s/"rope_scaling": null/"rope_scaling": {"factor": 8.0, "rope_type": "linear"}/' hf/config.json

prompts=(--ids 2,105,2364,107,3048,659,11045,236761,108,10979,106,107,105,4368,107
    --ids 2,818,3823,8864,37423,38167,1024,506,31770,4799,236761
    --ids 2,1708,568,720,858,578,236743,236771,236793,858,655,538,236793,858,4419,642,107,140,107)
texts=(--text 'Hello world!' --text '  Hello  world' --text 'naïve café Привет 日本語 🦙 e´'
    --text $'<start_of_turn>user\nHi<end_of_turn>\n' --text $'a\n\nb\t\tx <b>bold</b> > </b> 3.14159'
    --text '<bos><start_of_image><image_soft_token>[multimodal]')
for type in f16 bf16 q4_0; do
    "$peridot" convert hf -o $type-small.gguf --type $type
    echo "== $type"
    check -m $type-small.gguf "${prompts[@]}" "${texts[@]}"
done
echo "== q4_0, the same weights in f32 for llama.cpp"
"$peridot" quantize q4_0-small.gguf f32-small.gguf f32 >/dev/null
check -m q4_0-small.gguf --peer-model f32-small.gguf "${prompts[@]}"

echo "== what llama.cpp says about the file"
grep -E 'warn|error|not control-type|EOG|BOS|EOS|special_eo|missing' log.txt | sort | uniq -c

seconds() { # command...
    local from to
    from=$(date +%s%N)
    "$@" >>log.txt 2>&1
    to=$(date +%s%N)
    echo $(((to - from) / 1000000))
}
echo "== quantising bf16 -> q4_0, 2 threads, milliseconds of wall time, ours and llama.cpp's"
for ((i = 0; i < rounds; i++)); do
    sync
    ours=$(seconds "$peridot" quantize bf16.gguf ours.gguf q4_0 2)
    sync
    theirs=$(seconds "$build/check_peer" --peer-libs "$libs" -t 2 --quantize bf16.gguf theirs.gguf q4_0)
    echo "$ours $theirs ratio $((100 * theirs / ours))%"
done
"$peridot" inspect ours.gguf theirs.gguf || true
exit $differs
