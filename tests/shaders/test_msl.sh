#!/usr/bin/env bash
# Every module that MoltenVK could be given becomes Metal's language by SPIRV-Cross, which is what MoltenVK
# does with it, and asks for no more buffers than Metal has. Modules with matrix units or integer dot
# products are left out: MoltenVK lists no such capability, so that they are never chosen there.
#
#   test_msl.sh FOLDER      of *.spv
#
# SPDX-License-Identifier: MIT
set -u
command -v spirv-cross >/dev/null && command -v spirv-dis >/dev/null || {
  echo "skipped: spirv-cross or spirv-dis is not installed"
  exit 77
}
most_buffers=31
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
n=0 left_out=0 failed=0
for module in "$1"/*.spv; do
  name=$(basename "$module")
  # 6022 is CooperativeMatrixKHR, which older tools do not know by name
  if spirv-dis "$module" 2>&1 | grep -qE '(^ *OpCapability (CooperativeMatrix|DotProduct)|capability operand: 6022)'; then
    left_out=$((left_out + 1))
    continue
  fi
  n=$((n + 1))
  if ! spirv-cross --msl --msl-version 20300 "$module" >"$work/msl" 2>"$work/err"; then
    echo "FAILED: $name: $(head -c 300 "$work/err")"
    failed=$((failed + 1))
    continue
  fi
  grep -q '^kernel void ' "$work/msl" || { echo "FAILED: $name is no kernel" && failed=$((failed + 1)); }
  highest=$(grep -o '\[\[buffer([0-9]*)\]\]' "$work/msl" | tr -dc '0-9\n' | sort -n | tail -n 1)
  [ "${highest:-0}" -lt $most_buffers ] || { echo "FAILED: $name has a buffer $highest" && failed=$((failed + 1)); }
done
echo "$n modules in Metal's language, $left_out for capabilities that MoltenVK has not"
[ $n -ge 15 ] || { echo "FAILED: these are not all modules" && failed=$((failed + 1)); }
[ $failed -eq 0 ]
