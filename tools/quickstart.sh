#!/usr/bin/env bash
# From a fresh Debian 12 or 13 to a model that describes a picture: installs what is needed, builds, and
# asks the toy that comes with the program, on the best device there is and on the processor through
# Vulkan.
# SPDX-License-Identifier: MIT
set -euo pipefail
cd "$(dirname "$0")/.."
. tools/packages.sh

parts=()
begun=$SECONDS

# part NAME: what follows the last one has taken so long
part() {
  parts+=("$(printf '%-28s %3d s' "$1" $((SECONDS - begun)))")
  begun=$SECONDS
}

mkdir -p build
# shellcheck disable=SC2086
install_packages $build_packages
use_ccache
part "installing"
build release
part "building"
peridot=build/release/peridot

say "devices"
"$peridot" devices

# ask DEVICE QUESTION [PICTURE]: says what it runs
ask() {
  echo "\$ $peridot run --device $1 -p \"$2\"${3:+ --image $3}"
  "$peridot" run --device "$1" -p "$2" ${3:+--image "$3"} --temp 0 --quiet
}

# Software rasterisers are used only when named, so "vulkan" stands for a real GPU.
best=vulkan
"$peridot" run -p Hello --temp 0 --quiet --device vulkan >/dev/null 2>&1 || best=cpu
part "looking for a GPU"

say "a picture and two questions on $best"
ask $best "What is in the picture?" samples/1.png
ask $best "What is written there?" samples/3.png
ask $best "What is in the middle?" samples/5.png
part "three answers"

if [ $best = cpu ]; then
  say "a question through Vulkan on the processor, which compiles its kernels first"
  ask vulkan:llvmpipe "What is 7 plus 5?" || echo "Vulkan cannot be used here; $peridot devices tells why."
  part "the first answer of Vulkan"
fi

say "it works"
printf '%s\n' "${parts[@]}"
cat <<EOT

This was Pip, a toy of 3 million parameters that knows pictures of shapes, small sums and a few facts.
A real Gemma 3 of 2.5 GB, from the Hugging Face hub:

  $peridot chat -hf ggml-org/gemma-3-4b-it-GGUF

or a GGUF file of your own:

  $peridot run -m gemma-3-4b-it-q4_0.gguf --image photo.jpg -p "What is this?"
EOT
