#!/usr/bin/env bash
# `list`: what fetch has put into the cache folder, and nothing that is begun or not its own.
# SPDX-License-Identifier: MIT
. "$(dirname "$0")/lib.sh"
command -v python3 >/dev/null || skip "python3 is not installed"
export PERIDOT_CACHE_DIR=$work/cache

expect_ok list
[ ! -s "$work/out" ] || fail "an empty cache lists $(cat "$work/out")"
grep -q 'peridot fetch' "$work/err" || fail "an empty cache says nothing of fetch"
expect_ok list --json
grep -q '"files":.*\[\]' "$work/out" || fail "an empty cache as JSON: $(cat "$work/out")"

main=$work/cache/models/google/gemma-3-1b/main
other=$work/cache/models/me/mine/v2
mkdir -p "$main" "$other/sub folder"
head -c 2048 /dev/zero >"$main/model-q4_0.gguf"
head -c 3 /dev/zero >"$main/model-q8_0.gguf.0123456789ab.part"
echo '{}' >"$main/.peridot-fetch.json"
head -c 5 /dev/zero >"$other/sub folder/a.gguf"
touch "$work/cache/models/stray" "$work/cache/models/me/stray" "$work/cache/spirv-1.bin"
ln -s loop "$main/loop"

expected="    2.00 KiB  google/gemma-3-1b  model-q4_0.gguf
     5 bytes  me/mine@v2  sub folder/a.gguf"
for list in list -cl --cache-list; do
  expect_ok $list
  expect_text "peridot $list" "$expected" "$(cat "$work/out")"
done
expect_ok list --json
python3 - "$work/out" "$main/model-q4_0.gguf" <<'EOF' || fail "list --json: $(cat "$work/out")"
import json, sys
files = json.load(open(sys.argv[1]))["files"]
assert [f["bytes"] for f in files] == [2048, 5]
assert files[0]["path"] == sys.argv[2] and files[0]["repo"] == "google/gemma-3-1b"
assert files[1]["repo"] == "me/mine@v2" and files[1]["file"] == "sub folder/a.gguf"
EOF
finish
