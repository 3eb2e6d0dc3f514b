#!/usr/bin/env bash
# Vulkan calls that fail under `run` and `logits`, a sample of them: the exit code that fits the error,
# one sentence, no file left, no Vulkan object left (tests/fault/layer/fault_layer.c makes them fail and
# counts; tests/fault/test_vulkan_calls.c tries every call, but through the library).
# SPDX-License-Identifier: MIT
. "$(dirname "$0")/lib.sh"
model=$golden/small-q4_0.gguf
[ -n "${FAULT_LAYER_DATA-}" ] || skip "this build has no Vulkan backend"
"$PERIDOT" devices | grep -q '^vulkan.*llvmpipe' || skip "there is no llvmpipe"

export PERIDOT_CACHE_DIR=$work/cache # what is kept there changes the calls: filled once, below
export XDG_DATA_HOME=$FAULT_LAYER_DATA PERIDOT_FAULT_LAYER=1 PERIDOT_FAULT_REPORT=$work/report

# codes_of RESULT CALL: the exit codes that fit.
codes_of() {
  case $2:$1 in
  vkCreateInstance:* | vkEnumerate*:*) echo 0 8 9 10 11 12 ;;
  vkCreateComputePipelines:-4) echo 12 ;;
  vkCreateComputePipelines:*) echo 0 11 ;;
  vkCreateShaderModule:* | vkCreate*Layout:* | vkCreatePipelineCache:* | vkGetPipelineCacheData:* | vkDeviceWaitIdle:*)
    echo 0 8 9 11 12 ;;
  *:-1) echo 8 ;;
  *:-2) echo 9 ;;
  *:-4) echo 12 ;;
  *) echo 11 ;;
  esac
}

# try N WHICH EVER ARGS...
try() {
  local number=$1 which=$2 ever=$3 rc what calls failed name result leaks word
  shift 3
  what="call $number of peridot $1"
  rm -f "$work/report"
  PERIDOT_FAULT_CALL=$number PERIDOT_FAULT_WHICH=$which PERIDOT_FAULT_EVER_AFTER=$ever \
    timeout 120 "$PERIDOT" "$@" >"$work/out" 2>"$work/err" </dev/null
  rc=$?
  [ -s "$work/report" ] || { fail "$what: exit code $rc, no report: $(cat "$work/err")" && return; }
  read -r word calls word failed name result word leaks <"$work/report"
  what="$what, $name with $result"
  [ "$failed" -gt 0 ] || { n_beyond=$((n_beyond + 1)) && return; }
  [ "$leaks" -eq 0 ] || fail "$what: $leaks objects leaked: $(cat "$work/err")"
  if [ "$ever" -eq 0 ]; then
    case " $(codes_of "$result" "$name") " in
    *" $rc "*) ;;
    *) fail "$what: exit code $rc: $(cat "$work/err")" ;;
    esac
  else
    case $rc in
    8 | 9 | 10 | 11 | 12) ;;
    0) case $name in vkGetPipelineCacheData | vkDeviceWaitIdle) ;; *) fail "$what: no error" ;; esac ;;
    *) fail "$what: exit code $rc: $(cat "$work/err")" ;;
    esac
  fi
  n_tried=$((n_tried + 1))
  [ $rc -eq 0 ] && return
  [ "$(grep -c '^peridot: .* ' "$work/err")" -eq 1 ] || fail "$what: not one sentence: $(cat "$work/err")"
  [ "$(wc -l <"$work/err")" -le 2 ] || fail "$what: more than a sentence: $(cat "$work/err")"
  [ ! -e "$work/x.f32" ] || fail "$what: a failed logits left its file"
}

# walk ARGS...: some calls from the first to the last, once each and with all later ones.
walk() {
  local n_calls word at which=0
  n_tried=0 n_beyond=0
  expect_ok "$@"
  expect_ok "$@" # now the caches are filled
  read -r word n_calls word <"$work/report"
  [ "$n_calls" -gt 300 ] || fail "peridot $1 makes $n_calls calls: the layer is not there"
  rm -f "$work/x.f32"
  for ((at = 3; at <= n_calls; at += n_calls / 13)); do
    try "$at" $((which++)) 0 "$@"
    rm -f "$work/x.f32"
    try $((at + 7)) $((which++)) 1 "$@"
    rm -f "$work/x.f32"
  done
  echo "$1: $n_tried of $n_calls calls failed"
  # threads build pipelines while the weights are loaded, so that the last numbers may be beyond the end
  [ "$n_beyond" -le 4 ] || fail "peridot $1: $n_beyond calls never came"
}

walk run -m "$model" --device vulkan:llvmpipe -p "hello there" --raw -n 8 --temp 0
walk logits -m "$model" --device vulkan:llvmpipe --tokens 2,3,4,5 -o "$work/x.f32"

# A device that never finishes: given up after the time limit, by its name, with what it was given; and
# nothing of it is waited for or destroyed.
hang() {
  local at=$1 rc
  shift
  PERIDOT_FAULT_CALL=$at PERIDOT_FAULT_HANG=1 PERIDOT_DEVICE_TIMEOUT=1 \
    timeout 60 "$PERIDOT" "$@" >"$work/out" 2>"$work/err" </dev/null
  rc=$?
  [ $rc -eq 12 ] || fail "a device that hangs from call $at of $1 on: exit code $rc: $(cat "$work/err")"
  grep -q '^peridot: .*llvmpipe.* did not finish what it was given within 1 seconds' "$work/err" ||
    fail "a device that hangs from call $at of $1 on: $(cat "$work/err")"
}

unset PERIDOT_FAULT_REPORT
for at in 60 200 260; do
  hang $at run -m "$model" --device vulkan:llvmpipe -p "hello there" --raw -n 8 --temp 0
  hang $at logits -m "$model" --device vulkan:llvmpipe --tokens 2,3,4,5 -o "$work/x.f32"
done
run_calls=$(PERIDOT_FAULT_REPORT=$work/report "$PERIDOT" run -m "$model" --device vulkan:llvmpipe \
  -p "hello there" --raw -n 8 --temp 0 >/dev/null 2>&1 && cut -d' ' -f2 "$work/report")
# While tokens are generated, which of these numbers meet, the work that hangs is named.
n_named=0
for share in 80 85 90 95; do
  hang $((run_calls * share / 100)) run -m "$model" --device vulkan:llvmpipe -p "hello there" --raw -n 64 --temp 0
  grep -q 'between embed, embed(.*, and sample, sample(' "$work/err" && n_named=$((n_named + 1))
done
[ $n_named -gt 0 ] || fail "what hangs is never named: $(cat "$work/err")"
PERIDOT_DEVICE_TIMEOUT=0 expect_error 2 PERIDOT_DEVICE_TIMEOUT run -m "$model" --device vulkan:llvmpipe -p x

# Its listing alone: the CPU is still there.
for at in 1 2 3 4 5 6 7 8 9; do
  PERIDOT_FAULT_CALL=$at expect_ok devices
  grep -q '^cpu ' "$work/out" || fail "call $at of devices: no CPU"
done
finish
