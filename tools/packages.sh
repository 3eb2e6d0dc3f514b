# Sourced by quickstart.sh and test.sh: installs Debian packages that are missing.
# SPDX-License-Identifier: MIT

# What building Peridot needs; third_party/README.md says why each. With mesa-vulkan-drivers comes
# llvmpipe, so that Vulkan works on machines without a GPU.
build_packages="cmake ninja-build gcc g++ pkg-config libc6-dev libvulkan-dev libvulkan-volk-dev
  glslang-dev glslang-tools spirv-tools libcjson-dev libxxhash-dev libssl-dev libstb-dev
  libedit-dev libpng-dev libwebp-dev libcurl4-openssl-dev libsystemd-dev libmicrohttpd-dev ca-certificates
  libjs-marked node-dompurify mesa-vulkan-drivers"

say() {
  printf '\n== %s\n' "$*"
}

die() {
  echo "$0: $*" >&2
  exit 1
}

# install_packages NAME...: those of them that are not installed yet
install_packages() {
  local missing=() name root=()
  command -v apt-get >/dev/null || die "this script installs Debian packages; elsewhere, install" \
    "the like of these and build with cmake --preset release: $*"
  for name in "$@"; do
    dpkg-query -W -f '${Status}' "$name" 2>/dev/null | grep -q 'ok installed' || missing+=("$name")
  done
  [ ${#missing[@]} -eq 0 ] && return
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || die "please install as root: apt-get install ${missing[*]}"
    root=(sudo)
  fi
  say "installing ${missing[*]}"
  "${root[@]}" apt-get update -q
  DEBIAN_FRONTEND=noninteractive "${root[@]}" apt-get install -q -y --no-install-recommends \
    "${missing[@]}"
}

# build PRESET [CMAKE ARGUMENT...]
build() {
  local preset=$1
  shift
  say "building $preset"
  if ! cmake --preset "$preset" "$@" >"build/$preset.configure.log" 2>&1; then
    cat "build/$preset.configure.log"
    echo "configuring $preset failed"
    return 1
  fi
  cmake --build --preset "$preset"
}

use_ccache() {
  if command -v ccache >/dev/null; then
    export CMAKE_C_COMPILER_LAUNCHER=ccache CMAKE_CXX_COMPILER_LAUNCHER=ccache
  fi
}
