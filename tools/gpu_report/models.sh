# The models of gpu_report.sh: which fit, where they have room, making them in the background, and
# waiting for one.
#
# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2034,SC2154

# Megabytes of `synth --qat`: 18/32 bytes a weight of the layers and 2 of the embedding.
declare -A model_mb=([tiny]=2 [270m]=400 [1b]=1010 [4b]=3170 [12b]=8090 [27b]=17250 [mmproj]=860)
declare -A maker=() # preset: process that makes it

# model PRESET: its file, there when it is complete
model() {
  echo "$work/models/$1.gguf"
}

# choose_room: how much the models may take of shared memory and of the disk. What a model takes of
# memory twice, as a file and on a device that has no memory of its own, is counted twice.
choose_room() {
  local left
  left=$(($(memory_left) * 8 / 10 - 2000))
  [ "$(device_field unified_memory)" = true ] && left=$((left / 2))
  shm='' shm_mb=0 disk_mb=$(folder_left "$work")
  disk_mb=$((${disk_mb:-0} * 9 / 10))
  case $(df --output=fstype "$work" | tail -n 1) in
  tmpfs | ramfs) [ "$left" -lt "$disk_mb" ] && disk_mb=$left ;; # it is memory as well
  *) shm=$(mktemp -d /dev/shm/gpu-report.XXXXXX 2>/dev/null) && shm_mb=$(folder_left "$shm") ;;
  esac
  [ "$left" -lt "${shm_mb:-0}" ] && shm_mb=$left
  shm_mb=$((shm_mb > 0 ? shm_mb : 0)) disk_mb=$((disk_mb > 0 ? disk_mb : 0))
}

# make NAME FLAG...: in the background, in memory if there is room
make() {
  local name=$1 mb=${model_mb[$1]} folder
  shift
  if [ "$mb" -le "$shm_mb" ]; then
    folder=$shm shm_mb=$((shm_mb - mb))
  elif [ "$mb" -le "$disk_mb" ]; then
    folder=$work/models disk_mb=$((disk_mb - mb))
  else
    trouble failed "$name is not made: no room for $mb MB in memory or in ${TMPDIR%/*}"
    return 1
  fi
  nice "${ours[@]}" "$package/bin/peridot" synth "$@" -o "$folder/$name.gguf" \
    >"$work/$name.synth" 2>&1 </dev/null &
  maker[$name]=$!
  children[$!]=synth
  [ "$folder" = "$work/models" ] || ln -s "$folder/$name.gguf" "$(model "$name")"
}

# fits PRESET: weights, keys and values of a few thousand positions, and what steps need
fits() {
  local bytes
  bytes=$(device_field memory_free_bytes)
  [ "${bytes:-0}" -gt 0 ] || bytes=$(device_field memory_bytes)
  [ "${bytes:-0}" -eq 0 ] || [ $((model_mb[$1] * 11 / 10 + 300)) -le $((bytes / 1000000)) ]
}

start_models() {
  local preset
  models=()
  choose_room
  for preset in ${presets//,/ }; do
    if ! fits "$preset"; then
      trouble "$([ "$presets" = "$all_presets" ] && echo noted || echo failed)" \
        "$preset is left out: its ${model_mb[$preset]} MB do not fit the device"
    elif make "$preset" --preset "$preset" --qat; then
      models+=("$preset")
    fi
  done
  # The encoder goes with a model of its width.
  image_model=
  for preset in 4b tiny 12b 27b; do
    [[ -z $image_model && " ${models[*]-} " == *" $preset "* ]] && image_model=$preset
  done
  [[ -n $image_model && ,$parts, == *,image,* ]] && make mmproj --preset "$image_model" --mmproj
  picture >"$work/picture.ppm"
}

# A picture of 96 x 64: stripes, a slope, noise.
picture() {
  awk 'BEGIN {
    printf "P6\n96 64\n255\n"
    for (y = 0; y < 64; y++)
      for (x = 0; x < 96; x++)
        printf "%c%c%c", 1 + x * 2, x % 16 < 8 ? 30 : 220, 1 + (x * 7919 + y * 104729) % 251
  }'
}

# ready NAME: 0 it is complete, 1 not yet, 2 it will never be
ready() {
  local pid=${maker[$1]-}
  [ -z "$pid" ] && return 2
  [ "$pid" = 'done' ] || ! kill -0 "$pid" 2>/dev/null || return 1
  if [ "$pid" != 'done' ]; then
    unset "children[$pid]"
    maker[$1]='done'
    [ -s "$(model "$1")" ] || trouble failed "making $1: $(tail -n 1 "$work/$1.synth" | head -c 500)"
  fi
  [ -s "$(model "$1")" ] || return 2
}

# wait_for NAME: until it is complete; false when it never is, or the part's time is over
wait_for() {
  local state
  while [ -z "$stopped" ]; do
    ready "$1"
    state=$?
    [ $state -eq 1 ] || return $state
    tick
    if [ "$now" -ge "$deadline" ]; then
      trouble cut "$1 was not made in time"
      return 1
    fi
    sleep 0.2
  done
  return 1
}
