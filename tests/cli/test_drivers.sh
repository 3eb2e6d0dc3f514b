#!/usr/bin/env bash
# Vulkan drivers and loaders that are broken: the CPU stays usable, and whoever asks for a GPU is told.
# A driver that crashes takes the program with it, since it runs in the same process; so does a file
# that the dynamic linker or the Vulkan loader crash on, such as half a library.
# SPDX-License-Identifier: MIT
. "$(dirname "$0")/lib.sh"
model=$golden/small-q4_0.gguf
[ -n "${BROKEN_DRIVER_LIBRARY-}" ] || skip "this build has no Vulkan backend"

# no_gpu WHAT PATTERN: with the environment as it is.
no_gpu() {
  local what=$1 pattern=$2
  expect_ok devices
  expect_text "$what: devices" "cpu cpu-ref" "$(grep -Eo '^cpu(-ref)?' "$work/out" | tr '\n' ' ' | sed 's/ $//')"
  grep -Eq "^[^ ]* .*($pattern)|^($pattern)" "$work/out" || fail "$what: devices does not say why: $(cat "$work/out")"
  [ ! -s "$work/err" ] || fail "$what: devices writes to standard error: $(cat "$work/err")"
  expect_error 10 "no GPU can be used through Vulkan; there are cpu, cpu-ref .*($pattern)" \
    run -m "$model" -p hello -n 1 --device vulkan
  expect_error 10 "there is no device vulkan:0; .*($pattern)" \
    logits -m "$model" --tokens 2 -o "$work/x.f32" --device vulkan:0
  [ ! -e "$work/x.f32" ] || fail "$what: a failed logits left its file"
  expect_ok run -m "$model" -p hello --raw -n 1 --temp 0 --timings
  grep -q '^device  *cpu:' "$work/err" || fail "$what: run did not take the CPU: $(cat "$work/err")"
}

# driver_is WHAT LIBRARY [JSON]: the only driver there is; both names of the variable, old and new.
driver_is() {
  export VK_DRIVER_FILES=$work/driver.json VK_ICD_FILENAMES=$work/driver.json
  printf '%s' "${3-{ \"file_format_version\": \"1.0.0\", \"ICD\": { \"library_path\": \"$2\", \"api_version\": \"1.3.0\" \} \}}" \
    >"$work/driver.json"
}

none='no Vulkan driver reports a device|the Vulkan driver fails to list its devices'
echo 'This is a text.' >"$work/text.so"
: >"$work/empty.so"
head -c 40 "$BROKEN_DRIVER_LIBRARY" >"$work/cut.so"
for library in "$work/missing.so" "$work/text.so" "$work/empty.so" "$work/cut.so" "$work" libc.so.6 ""; do
  driver_is "library $library" "$library"
  no_gpu "library $library" "$none"
done
for json in '' '{' 'null' '[]' '{"ICD": {}}' '{"file_format_version": "1.0.0"}'; do
  driver_is "manifest" "" "$json"
  no_gpu "manifest $json" "$none"
done
export VK_DRIVER_FILES=$work/none.json VK_ICD_FILENAMES=$work/none.json
no_gpu "no manifest" "$none"

driver_is "broken" "$BROKEN_DRIVER_LIBRARY"
for fault in refuse nothing instance empty; do
  export BROKEN_DRIVER=$fault
  no_gpu "driver that does $fault" "$none"
done
export BROKEN_DRIVER=failing
no_gpu "driver that fails to list" "$none"

# No loader: one that cannot be opened stands before it in the search.
mkdir "$work/lib"
for name in libvulkan.so.1 libvulkan.so; do cp "$work/text.so" "$work/lib/$name"; done
export LD_LIBRARY_PATH=$work/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
no_gpu "no loader" 'no Vulkan library was found \(libvulkan.so.1\)'
finish
