# Sourced: builds the libraries that Peridot stands on for other systems than Debian, as static ones, from
# the upstream sources of Debian's packages. They lie in build/libraries/SYSTEM/prefix.
# SPDX-License-Identifier: MIT

suite=trixie
sources=$PWD/build/libraries/sources

in_root() {
  tools/debian_root.sh run "$suite" "$@"
}

# cross_root PACKAGE...: the root, with its sources' list, and these packages besides
cross_root() {
  tools/debian_root.sh make "$suite"
  in_root sh -c 'list=/etc/apt/sources.list.d/sources.list
    [ -e $list ] || { sed "s/^deb /deb-src /" /etc/apt/sources.list >$list && apt-get update -q >/dev/null; }'
  tools/debian_root.sh install "$suite" cmake ninja-build gcc g++ make perl pkgconf git python3 jq dpkg-dev ccache zip \
    file libvulkan-volk-dev libvulkan-dev libstb-dev "$@"
}

# fetch NAME: the upstream sources of Debian's package, unpacked in $sources/NAME: of the newest version whose
# archive the mirror still has
fetch() {
  [ -d "$sources/$1" ] && return
  mkdir -p "$sources"
  in_root bash -c 'cd "$1" && name=$2
    for version in $(apt-cache showsrc --only-source "$name" | sed -n "s/^Version: //p" | sort -rV | uniq); do
      apt-get source -q --download-only --only-source "$name=$version" >/dev/null 2>&1 || true
      upstream=${version#*:}
      archive=$(ls "${name}_${upstream%-*}".orig.tar.?z 2>/dev/null) || continue
      mkdir -p "$name.new" && tar -xf "$archive" -C "$name.new" --strip-components=1 && echo "$version" >"$name.version" &&
        mv "$name.new" "$name" && exit
    done
    exit 1' bash "$sources" "$1" && return
  echo "the sources of $1 cannot be had" >&2
  exit 77
}

# make_library NAME COMMAND...: once, in the folder $folder/NAME of its own
make_library() {
  local name=$1
  shift
  fetch "$name"
  [ -e "$folder/$name.done" ] && return
  say "building $name for $system"
  rm -rf "${folder:?}/$name"
  mkdir -p "$folder/$name"
  in_root sh -c 'log=$1 && cd "$2" && shift 2 && "$@" >"$log" 2>&1' sh "$folder/$name.log" "$folder/$name" "$@" ||
    die "$name does not build: $folder/$name.log"
  touch "$folder/$name.done"
}

# Configuring takes longer than compiling and keeps one core busy: libraries are built side by side.
building=()

# beside COMMAND...: in the background
beside() {
  "$@" &
  building+=($!)
}

# Waits for what runs in the background; ends as the first one that failed.
finish_libraries() {
  local pid status=0
  for pid in "${building[@]}"; do
    wait "$pid" || status=$?
  done
  building=()
  [ "$status" -eq 0 ] || exit "$status"
}

# with_cmake NAME OPTION...
with_cmake() {
  local name=$1
  shift
  make_library "$name" sh -c 'source=$1 && shift && cmake -S "$source" -B . -G Ninja "$@" && cmake --build . --target install' \
    sh "$sources/$name" -DCMAKE_TOOLCHAIN_FILE="$toolchain" "${toolchain_options[@]}" -DPERIDOT_PREFIX="$prefix" \
    -DCMAKE_INSTALL_PREFIX="$prefix" -DCMAKE_INSTALL_LIBDIR=lib -DCMAKE_BUILD_TYPE=Release -DBUILD_SHARED_LIBS=OFF \
    -DCMAKE_POSITION_INDEPENDENT_CODE=ON -DCMAKE_C_VISIBILITY_PRESET=hidden -DBUILD_TESTING=OFF "$@"
}

# with_configure NAME OPTION...
with_configure() {
  local name=$1
  shift
  make_library "$name" sh -c 'source=$1 && shift && "$source/configure" "$@" && make -j2 && make install' \
    sh "$sources/$name" --host="$host" --prefix="$prefix" --disable-shared --enable-static --with-pic \
    "CC=$compiler" "${archiver[@]}" "CFLAGS=-O2 -fvisibility=hidden" "$@"
}

# Those that every system needs; but for zlib, on which others stand, finish_libraries waits for them. The
# toolchain is described by these variables:
#   system                     its name           toolchain, toolchain_options   for CMake
#   host, compiler, archiver   for configure      folder, prefix                 where they lie
make_libraries() {
  mkdir -p "$folder"
  make_library zlib sh -c 'source=$1 && shift && env "$@" "$source/configure" --static && make install' sh \
    "$sources/zlib" "prefix=$prefix" "CC=$compiler" "${archiver[@]}" "CFLAGS=-O2 -fPIC -fvisibility=hidden"
  beside with_cmake cjson -DENABLE_CJSON_TEST=OFF -DENABLE_CUSTOM_COMPILER_FLAGS=OFF -DBUILD_SHARED_AND_STATIC_LIBS=OFF
  beside with_cmake libpng1.6 -DPNG_SHARED=OFF -DPNG_TESTS=OFF -DPNG_TOOLS=OFF -DPNG_EXECUTABLES=OFF -DPNG_FRAMEWORK=OFF
  beside with_cmake libwebp -DWEBP_BUILD_ANIM_UTILS=OFF -DWEBP_BUILD_CWEBP=OFF -DWEBP_BUILD_DWEBP=OFF -DWEBP_BUILD_GIF2WEBP=OFF \
    -DWEBP_BUILD_IMG2WEBP=OFF -DWEBP_BUILD_VWEBP=OFF -DWEBP_BUILD_WEBPINFO=OFF -DWEBP_BUILD_WEBPMUX=OFF -DWEBP_BUILD_EXTRAS=OFF
  beside with_configure libmicrohttpd --disable-doc --disable-examples --disable-tools --disable-https --disable-curl \
    --with-threads=posix
  fetch xxhash
  in_root sh -c 'mkdir -p "$1/include" && cp -r /usr/include/vulkan /usr/include/vk_video /usr/include/volk.[ch] \
    /usr/include/stb "$2/xxhash/xxhash.h" "$1/include" && for name in libvulkan-dev libvulkan-volk-dev libstb-dev; do
    dpkg-query -W -f "\${Version}\n" $name >"$2/$name.version"; done' sh "$prefix" "$sources"
}

# make_curl OPTION...: HTTP alone
make_curl() {
  with_cmake curl -DBUILD_CURL_EXE=OFF -DHTTP_ONLY=ON -DCURL_USE_LIBPSL=OFF -DCURL_USE_LIBSSH2=OFF -DUSE_LIBIDN2=OFF \
    -DBUILD_LIBCURL_DOCS=OFF -DBUILD_MISC_DOCS=OFF -DENABLE_CURL_MANUAL=OFF -DCURL_BROTLI=OFF -DCURL_ZSTD=OFF \
    -DUSE_NGHTTP2=OFF "$@"
}
