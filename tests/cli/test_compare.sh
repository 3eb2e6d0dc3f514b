#!/usr/bin/env bash
# `compare`: devices that compute what they should; reports as text and as JSON; faults in shaders, each
# named by its operation and layer; a device that fails or is lost in the middle; bad requests.
# SPDX-License-Identifier: MIT
. "$(dirname "$0")/lib.sh"
model=$golden/small-q4_0.gguf
image=(-m "$golden/mm-q4_0.gguf" --mmproj "$golden/mm-mmproj.gguf" --image "$golden/image.png")
long="The quick brown fox jumps over the lazy dog. The quick brown fox jumps over the lazy dog. Again."

# ---- what is right -------------------------------------------------------------------------------
for precision in exact f16 q8; do
  expect_ok compare -m "$model" --raw -p "$long" --devices cpu -n 8 --precision $precision
  grep -q "^  draws  *all 8 are what the host draws" "$work/out" || fail "no draws: $(cat "$work/out")"
  grep -q "^  cpu computes what cpu-ref computes, within the bounds of $precision\.$" "$work/out" ||
    fail "no verdict: $(cat "$work/out")"
done
expect_ok compare "${image[@]}" --raw -p "<image> hello" --devices cpu -n 4 --json
jq -e '.schema == 1 and .devices[0].holds and .devices[0].complete and .devices[0].device == "cpu" and
       .reference.device == "cpu-ref" and .answer_tokens == 4 and
       (.devices[0].probabilities.tokens | length) == 4 and
       ([.devices[0].operations[] | select(.image)] | length) > 20 and
       ([.devices[0].operations[] | select(.part == "V" and (.image | not))] | length) == 7' \
  "$work/out" >"$work/jq" || fail "JSON: $(head -c 600 "$work/out")"

# Speed behind so many tokens.
expect_ok compare -m "$model" --raw -p hello --devices cpu -n 2 -d 0,64 --json
jq -e '[.devices[0].depths[].n_depth] == [0, 64] and
  all(.devices[0].depths[]; .prompt_per_second > 0 and .answer_per_second > 0)' "$work/out" >"$work/jq" ||
  fail "depths: $(jq -c '.devices[0].depths' "$work/out")"
expect_error 7 "--n-depth 100000 and a prompt of 128 tokens need 100129 positions" compare -m "$model" --raw -p x --devices cpu -d 100000

# Another reference, several devices, steps in small chunks.
expect_ok compare -m "$model" --raw -p "$long" --devices cpu-ref,cpu -b 16 -n 2 --reference cpu-ref
[ "$(grep -c 'computes what' "$work/out")" -eq 2 ] || fail "two verdicts: $(cat "$work/out")"
expect_ok compare -m "$model" --raw -p "$long" --devices cpu-ref --reference cpu -n 2

# A page that needs nothing else, whatever the prompt says; the same JSON is in it.
expect_ok compare -m "$model" --raw -p '</script><b>&' --devices cpu,cpu-ref -n 4 --html "$work/report.html"
grep -v 'www.w3.org/2000/svg' "$work/report.html" | grep -nE '(src|href)=|https?://|@import|url\(' &&
  fail "the page asks for more than it has"
[ "$(grep -c '</script>' "$work/report.html")" -eq 2 ] || fail "a prompt ends the page's script"
sed -n 's,^<script type="application/json" id="report">\(.*\)</script>$,\1,p' "$work/report.html" >"$work/page.json"
jq -e '.command | test("^peridot compare .*--prompt .</script><b>&.")' "$work/page.json" >"$work/jq" ||
  fail "the page's JSON: $(head -c 300 "$work/page.json")"
browser=$(command -v chromium || command -v chromium-browser || command -v google-chrome)
for width in 390 1280; do
  [ -n "$browser" ] || continue
  sed 's,</body>,<script>document.body.dataset.over = document.documentElement.scrollWidth - innerWidth</script>&,' \
    "$work/report.html" >"$work/wide.html"
  HOME=$work timeout 60 "$browser" --headless --no-sandbox --disable-gpu --virtual-time-budget=5000 \
    --window-size=$width,1000 --dump-dom "file://$work/wide.html" >"$work/dom" 2>"$work/err"
  [ "$(grep -o 'class="verdict"' "$work/dom" | wc -l)" -eq 2 ] || fail "verdicts at $width: $(head -c 300 "$work/err")"
  [ "$(grep -o '<svg' "$work/dom" | wc -l)" -ge 8 ] || fail "plots at $width"
  grep -q 'data-over="\(0\|-[0-9]*\)"' "$work/dom" || fail "wider than a window of $width: $(grep -o 'data-over="[^"]*"' "$work/dom")"
done
[ -n "$browser" ] || echo "no chromium: the page was not drawn"

# ---- what is refused -----------------------------------------------------------------------------
expect_error 2 "names none" compare -m "$model" --raw -p x --devices ,
expect_error 2 "at most 8 devices" compare -m "$model" --raw -p x --devices cpu,cpu,cpu,cpu,cpu,cpu,cpu,cpu,cpu
expect_error 7 "the model handles" compare -m "$model" --raw -p x --devices cpu -n 5000
expect_error 10 "no such device|nothing like|is called" compare -m "$model" --raw -p x --reference nowhere
expect_error 3 "nowhere" compare -m "$model" --raw -p x --devices cpu --html "$work/nowhere/report.html"
expect_error 2 "input itself" compare -m "$model" --raw -p x --devices cpu --html "$model"
expect_error 2 "prompt is empty" compare -m "$model" -p ""

# A device that is not there ends its own part.
timeout 120 "$PERIDOT" compare -m "$model" --raw -p x --devices nowhere,cpu -n 2 >"$work/out" 2>"$work/err"
rc=$?
[ $rc -eq 10 ] || fail "a device that is not there: exit code $rc"
grep -q "nowhere was not compared to the end" "$work/out" || fail "nowhere: $(cat "$work/out")"
grep -q "cpu computes what" "$work/out" || fail "the others go on: $(cat "$work/out")"

# Ctrl-C while operations are compared, which takes seconds here: what was done is told, and no other
# device is tried.
"$PERIDOT" compare -m "$model" --raw -p "$long$long$long$long$long$long$long$long" --devices cpu,nowhere -n 4 \
  --steps 400 -n 400 --progress >"$work/out" 2>"$work/err" &
pid=$!
for _ in $(seq 600); do
  grep -q "^operations on cpu" "$work/err" && break
  kill -0 $pid 2>"$work/jq" || break
  sleep 0.1
done
kill -INT $pid
wait $pid
rc=$?
[ $rc -eq 130 ] || fail "stopped: exit code $rc: $(tail -n 3 "$work/err")"
grep -q "cpu was not compared to the end" "$work/out" || fail "stopped: $(cat "$work/out")"
grep -q "same best token" "$work/out" || fail "stopped: what was done is gone: $(cat "$work/out")"
grep -q "nowhere" "$work/out" && fail "stopped: another device was tried: $(cat "$work/out")"

# ---- what is wrong -------------------------------------------------------------------------------
"$PERIDOT" devices | grep -q '^vulkan.*llvmpipe' || {
  echo "no llvmpipe: faults in shaders are not tried"
  finish
}
expect_ok compare -m "$model" --raw -p "$long" --devices vulkan:llvmpipe -n 4
expect_ok compare "${image[@]}" --raw -p "<image> hello" --devices vulkan:llvmpipe -n 2

# finds NAME PART ARGS...: the first operation beyond its bound; the exit code.
finds() {
  local name=$1 part=$2 rc found
  shift 2
  PERIDOT_SELFTEST=off PERIDOT_SHADER_DIR=$work/shaders timeout 300 "$PERIDOT" compare \
    --devices vulkan:llvmpipe -n 2 --steps 1 --json "$@" >"$work/out" 2>"$work/err"
  rc=$?
  [ $rc -eq 14 ] || fail "a fault in $name: exit code $rc: $(cat "$work/err")"
  found=$(jq -r 'first(.devices[0].operations[] | select(.holds | not) | .name + " " + .part)' "$work/out")
  expect_text "the fault's place" "$name $part" "$found"
  grep -q "^peridot: vulkan:0 computes something else than cpu-ref: .*$name ($part)" "$work/err" ||
    fail "no sentence about $name: $(cat "$work/err")"
}

text=(-m "$model" --raw -p "$long")
# the base of local layers in global ones: layer 5 is the first
plant qkv_rope_store.comp 'turns_per_position[args.rope_first + j]' 'turns_per_position[j]'
finds l05.rope_store output "${text[@]}"
# the first page of several is left out: in the global layer, whose rows see more than one
plant attention.comp 'for (uint n = t.first_page; n < t.last_page; n++) {' \
  'for (uint n = t.first_page + (args.window == 0u && t.last_page > 1u ? 1u : 0u); n < t.last_page; n++) {'
finds l05.attention output "${text[@]}"
# V beyond what halves hold; a NaN follows, which would end a run
plant qkv_rope_store.comp 'v_words[at + element % CHUNK / 2u] = pack_halves(v);' \
  'v_words[at + element % CHUNK / 2u] = packHalf2x16(v * 65536.0);'
finds l00.rope_store V "${text[@]}"
# a window that is one shorter
plant attention.comp 'p + args.window > pos);' 'p + args.window > pos + 1u);'
finds l00.attention output "${text[@]}"
# rows of an image that see only what is before them
plant attention.comp 'row_end[i] = step_words[row + 3u];' 'row_end[i] = step_words[row + 1u] + 1u;'
finds l00.attention output "${image[@]}" --raw -p "<image> hello"
# a scale from the neighbouring block, in products alone
plant weights.glsl 'half_at(ws[row * ((n_blocks + 1u) / 2u) + b / 2u], b & 1u)' \
  'half_at(ws[row * ((n_blocks + 1u) / 2u) + b / 2u], (b & 1u) ^ 1u)'
cp "$shaders/weights.glsl" "$work/shaders/weights_right.glsl"
sed -i 's/#include "weights.glsl"/#include "weights_right.glsl"/' "$work/shaders/embed.comp"
finds l00.qkv output "${text[@]}"
# a sum that loses a lane
plant reduce.glsl 'if (i < n) reduce_scratch[i] += reduce_scratch[i + n];' \
  'if (i < n && n != 1u) reduce_scratch[i] += reduce_scratch[i + n];'
finds first_norm output "${text[@]}"
# the best of a row taken from the start of its part
plant sample.comp 'add_candidate(b, part.x, i * PART + (part.y & 0xffffu));' \
  'add_candidate(b, part.x, i * PART);'
finds sample token "${text[@]}"
# draws by another random number: no operation shows it, since those draw the best ones
plant sample.comp 'reached[n_kept - 1u], block.a)' 'reached[n_kept - 1u], block.a >> 1)'
PERIDOT_SELFTEST=off PERIDOT_SHADER_DIR=$work/shaders timeout 300 "$PERIDOT" compare "${text[@]}" \
  --devices vulkan:llvmpipe -n 16 --steps 1 --json >"$work/out" 2>"$work/err"
rc=$?
[ $rc -eq 14 ] || fail "a fault in draws: exit code $rc: $(cat "$work/err")"
jq -e '.devices[0].draws.holds == false and (.devices[0].operations | all(.holds))' "$work/out" >"$work/jq" ||
  fail "a fault in draws: $(jq -c '.devices[0].draws' "$work/out")"
grep -q "draws something else than its own logits say: token" "$work/err" || fail "draws: $(cat "$work/err")"
# a driver that takes small halves for zero, which scales of Q6_K are
plant weights.glsl 'if (magnitude.x < 0x400u) both.x = (word & 0x8000u) == 0u ? tiny.x : -tiny.x;' \
  'if (magnitude.x < 0x400u) both.x = 0.0;'
finds embed output -m "$golden/small-q6_k.gguf" --raw -p "$long"

# ---- a device that is lost in the middle ---------------------------------------------------------
if [ -n "${FAULT_LAYER_DATA-}" ]; then
  XDG_DATA_HOME=$FAULT_LAYER_DATA PERIDOT_FAULT_LAYER=1 PERIDOT_FAULT_REPORT=$work/report PERIDOT_FAULT_CALL=0 \
    timeout 120 "$PERIDOT" compare "${text[@]}" --devices vulkan:llvmpipe -n 4 >"$work/out" 2>"$work/err"
  read -r _ calls _ <"$work/report"
  XDG_DATA_HOME=$FAULT_LAYER_DATA PERIDOT_FAULT_LAYER=1 PERIDOT_FAULT_REPORT=$work/report \
    PERIDOT_FAULT_CALL=$((calls * 3 / 4)) PERIDOT_FAULT_WHICH=2 PERIDOT_FAULT_EVER_AFTER=1 \
    timeout 120 "$PERIDOT" compare "${text[@]}" --devices vulkan:llvmpipe,cpu -n 4 >"$work/out" 2>"$work/err"
  rc=$?
  case $rc in 8 | 9 | 11 | 12) ;; *) fail "a device lost in the middle: exit code $rc: $(cat "$work/err")" ;; esac
  grep -q "was not compared to the end" "$work/out" || fail "lost: $(cat "$work/out")"
  grep -q "same best token 4 of 4" "$work/out" || fail "lost: what was done is gone: $(cat "$work/out")"
  grep -q "cpu computes what" "$work/out" || fail "lost: the others go on: $(cat "$work/out")"
fi
finish
