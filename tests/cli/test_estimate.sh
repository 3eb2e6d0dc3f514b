#!/usr/bin/env bash
# `estimate`: its figures are those of a run, its largest context is the largest that runs, and what it
# cannot estimate it says. To the byte on every device: golden.estimate.  SPDX-License-Identifier: MIT
. "$(dirname "$0")/lib.sh"
command -v python3 >/dev/null || skip "python3 is not installed"
export PERIDOT_TUNE=off # a tuner's own buffers may be the peak of so small a model
model=$work/tiny.gguf
expect_ok synth --preset tiny -o "$model"
expect_ok synth --preset tiny --mmproj -o "$work/mmproj-tiny.gguf"

devices="cpu"
"$PERIDOT" devices | grep -q llvmpipe && devices="cpu vulkan:llvmpipe"

# same_peak DEVICE CTX ARGS...: the peak of the row is the peak of a run
same_peak() {
  local device=$1 ctx=$2 said held
  shift 2
  expect_ok estimate "$model" -c "$ctx" --device "$device" "$@"
  said=$(awk -v ctx="$ctx" '$1 == ctx { print $(NF - 2), $(NF - 1) }' "$work/out")
  expect_ok run "$model" x --raw -n 2 --temp 0 -c "$ctx" --device "$device" --timings "$@"
  held=$(sed -n 's/.*peak memory \([0-9.]* [A-Za-z]*\).*/\1/p' "$work/err")
  [ -n "$held" ] || fail "run says nothing of its peak: $(cat "$work/err")"
  expect_text "peak of $ctx positions on $device $*" "$held" "$said"
}
for device in $devices; do
  same_peak "$device" 64
  same_peak "$device" 2048 -b 100 --precision exact
done
same_peak cpu 512 --head q4_0
same_peak cpu 512 --no-repack

# Under a limit the largest context is created, and the next one is not.
expect_ok estimate -m "$model" --device cpu -t 1 --memory-limit 2 -b 16 --json
most=$(python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["largest"]["n_ctx"])' "$work/out")
[ "$most" -gt 64 ] && [ "$most" -lt 2048 ] || fail "the largest context of 2 MiB is $most"
expect_ok run "$model" x --raw -n 1 --device cpu -t 1 --memory-limit 2 -b 16 -c "$most"
expect_error 9 "MiB" run "$model" x --raw -n 1 --device cpu -t 1 --memory-limit 2 -b 16 -c $((most + 64))

# The parts are the whole.
expect_ok estimate "$model" --mmproj "$work/mmproj-tiny.gguf" -c 64-256*2,0 -np 3 --device cpu --json
python3 - "$work/out" <<'EOF' || fail "estimate --json: $(cat "$work/out")"
import json, sys
e = json.load(open(sys.argv[1]))
assert [r["n_ctx"] for r in e["contexts"]] == [64, 128, 256, 2048]
parts = ("weight", "image_weight", "kv_global", "kv_local", "prefill", "decode", "image", "step")
for r in e["contexts"] + [e["largest"]]:
    assert r["total_bytes"] == sum(r[p + "_bytes"] for p in parts) <= r["peak_bytes"]
    assert r["n_seqs"] == 3 and r["fits"] and r["image_weight_bytes"] > 0 < r["image_bytes"]
assert e["largest"]["n_ctx"] == 2048 and e["host"]["vocab_bytes"] > 0
assert e["device"]["id"] == "cpu" and e["device"]["limit_bytes"] > 0
EOF
expect_ok estimate "$model" --device cpu --memory-limit 1 --json
grep -q '"largest":.*null' "$work/out" || fail "something fits 1 MiB: $(cat "$work/out")"
expect_ok estimate "$model" --device cpu --memory-limit 1
grep -q '^no context fits: 64 positions' "$work/out" || fail "nothing fits: $(cat "$work/out")"

expect_error 2 "--model FILE is missing" estimate
expect_error 3 "absent" estimate "$work/absent.gguf"
expect_error 10 "no device is called" estimate "$model" --device nix
expect_error 7 "4096 positions.* made for 2048" estimate "$model" -c 64,4096 --device cpu
expect_error 2 "--ctx-size" estimate "$model" -c many --device cpu
expect_error 2 "-np must be from 1" estimate "$model" -np 0 --device cpu
expect_error 5 "image encoder" estimate "$work/mmproj-tiny.gguf" --device cpu
expect_error 3 "absent" estimate "$model" --mmproj "$work/absent.gguf" --device cpu
finish
