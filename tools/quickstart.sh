#!/usr/bin/env bash
# From a fresh Debian 12 or 13 to generated tokens: installs what is needed, builds, makes a small model
# with random weights, and runs it through Vulkan, on a GPU if there is one.
# SPDX-License-Identifier: MIT
set -euo pipefail
cd "$(dirname "$0")/.."
. tools/packages.sh

mkdir -p build
# shellcheck disable=SC2086
install_packages $build_packages
use_ccache
build release
peridot=build/release/peridot
model=build/quickstart-270m.gguf

say "devices"
"$peridot" devices

say "a model with the 270M's shape and random weights"
"$peridot" synth --preset 270m -o "$model"

# Software rasterisers are used only when named, so "vulkan" stands for a real GPU.
device=vulkan
if ! "$peridot" run -m "$model" -p test --raw -n 1 -q --device vulkan >/dev/null 2>&1; then
  device=vulkan:llvmpipe
  echo "No GPU can be used: running Vulkan on the processor instead, through llvmpipe (slow)."
fi

say "16 tokens on $device"
"$peridot" run -m "$model" -p "Once upon a time" --raw -n 16 --seed 1 --ignore-eos --device $device

cat <<EOT

It works. The weights of this model are random, so its text is noise. With a real model, a GGUF file
of Gemma 3 (270M, 1B, 4B, 12B or 27B):

  $peridot run -m gemma-3-4b-it-q4_0.gguf -p "Why is the sky blue?"
EOT
