#!/usr/bin/env bash
# What the log says where a run is slower than it could be: no GPU, too many threads, no cache.
# SPDX-License-Identifier: MIT
. "$(dirname "$0")/lib.sh"
model=$golden/small-q4_0.gguf
run="run -m $model -p hello -n 2 --temp 0 --raw --ids --ignore-eos --no-perf"

# expect_logged PATTERN, expect_not_logged PATTERN: a line on standard error
expect_logged() {
  grep -Eq "$1" "$work/err" || fail "the log does not say \"$1\": $(cat "$work/err")"
}
expect_not_logged() {
  grep -Eq "$1" "$work/err" && fail "the log says \"$1\": $(cat "$work/err")"
}

# The CPU for want of a GPU, and why, at -v only.
no_driver() {
  VK_DRIVER_FILES=$work/no_driver VK_ICD_FILENAMES=$work/no_driver "$@"
}
# shellcheck disable=SC2086
{
  no_driver expect_ok $run
  expect_not_logged 'no GPU'
  no_driver expect_ok $run -v
  expect_logged 'no GPU can be used, so the CPU is; .'
  no_driver expect_ok $run -v --device cpu
  expect_not_logged 'no GPU'
}

# More threads than processors.
processors=$(nproc)
# shellcheck disable=SC2086
{
  expect_ok $run --device cpu -t "$processors"
  expect_not_logged warning
  expect_ok $run --device cpu -t $((processors + 1))
  expect_logged "cpu: warning: $((processors + 1)) threads on $processors processors"
}

# A folder that nothing can be kept in.
if "$PERIDOT" devices 2>/dev/null | grep -q llvmpipe; then
  # shellcheck disable=SC2086
  {
    PERIDOT_CACHE_DIR=$work/cache expect_ok $run --device vulkan:llvmpipe -v
    expect_not_logged 'no cache folder'
    PERIDOT_CACHE_DIR=/dev/null/cache expect_ok $run --device vulkan:llvmpipe -v
    expect_logged 'no cache folder can be written'
    [ "$(grep -c 'no cache folder' "$work/err")" -eq 1 ] || fail "said more than once"
  }
fi

finish
