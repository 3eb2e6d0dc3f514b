# The machine that gpu_report.sh runs on: libraries it lacks, where its driver is, the device that
# is meant, clocks and power.
#
#     prepare_folders   $work (short-lived) and $package, a path without odd characters
#     prepare_programs  ${ours[@]}: the environment of our programs, and of nothing else
#     find_device       $device_id, $no_device; the environment under which the driver is found
#     start_sampler     clocks and power, each line with the part that ran
#
# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2034,SC2154

# Everything that is written but the results. Programs see the package through a link in it, so that
# no path has a colon or a blank, which lists of library folders cannot hold.
prepare_folders() {
  work=$(mktemp -d "${TMPDIR:-/tmp}/gpu-report.XXXXXX") || exit 2
  ln -s "$here" "$work/package"
  package=$work/package
  mkdir "$work/lib" "$work/cache" "$work/cache-tests" "$work/models" "$work/tests" "$work/tmp"
  trap clean_up EXIT
  trap on_signal INT TERM HUP
}

clean_up() {
  [ -n "${sampler-}" ] && kill "$sampler" 2>/dev/null
  end_children
  rm -rf "$work" ${shm:+"$shm"}
}

# ---- libraries -----------------------------------------------------------------------------------

library_path() {
  library_path=$package/bin:$work/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
}

take_library() {
  [ -e "$package/lib/$1" ] && [ ! -e "$work/lib/$1" ] && ln -s "$package/lib/$1" "$work/lib/$1"
}

# The dynamic linker's answers about a program: what it would load, and its complaints.
linker_says() { # LD_PRELOAD PROGRAM
  LD_LIBRARY_PATH=$library_path LD_PRELOAD=$1 LD_TRACE_LOADED_OBJECTS=1 LD_WARN=1 LD_BIND_NOW=1 \
    "$2" 2>&1 </dev/null
}

# Of the libraries that were carried along those that this machine lacks, or has in too old a
# version. All others are its own: a driver that is loaded into our program wants the machine's.
choose_libraries() {
  local names name program
  library_path
  names=$(cd "$package/lib" && echo *.so*)
  while read -r name; do take_library "$name"; done < <(
    linker_says "$names" "$package/bin/peridot" |
      sed -n "s/^ERROR: ld.so: object '\(.*\)' from LD_PRELOAD cannot be preloaded.*/\1/p")
  for program in "$package/bin/peridot" "$package/bin/kernel_bench" "$package"/tests/*; do
    while read -r name; do take_library "$name"; done < <(linker_says '' "$program" |
      sed -n 's,.*/\(lib[^/: ]*\): version .* not found.*,\1,p; s,^[[:space:]]*\(lib[^ ]*\) => not found,\1,p')
  done
  true
}

# The user's own settings of Peridot must not change what is measured.
prepare_programs() {
  local name
  for name in "${!PERIDOT_@}"; do unset "$name"; done
  export PATH TMPDIR=$work/tmp
  choose_libraries
  drivers=()
  set_environment
}

set_environment() {
  ours=(env "LD_LIBRARY_PATH=$library_path" "PERIDOT_CACHE_DIR=$work/cache"
    "PERIDOT_TEST_DATA=$package/data" ${drivers[@]+"${drivers[@]}"})
}

# ---- the device ----------------------------------------------------------------------------------

# Lists of driver manifests where the loader does not look by itself: containers of NVIDIA's, NixOS.
driver_lists() {
  local folder file list
  [ -n "${VK_DRIVER_FILES-}${VK_ICD_FILENAMES-}" ] && return
  for folder in /usr/local/nvidia/share/vulkan/icd.d /usr/local/nvidia/vulkan/icd.d \
    /usr/local/nvidia /run/opengl-driver/share/vulkan/icd.d /opt/amdgpu/share/vulkan/icd.d \
    /opt/amdgpu/etc/vulkan/icd.d; do
    list=
    for file in "$folder"/*icd*.json; do [ -f "$file" ] && list=$list${list:+:}$file; done
    [ -n "$list" ] && echo "$list"
  done
}

# probe: opens the device and computes with it once, without tuning. Its id.
probe() {
  run 60 "a first run on $device" env PERIDOT_TUNE=off "$package/bin/peridot" bench \
    -m "$work/models/probe.gguf" -dev "$device" -p 8 -n 1 -r 1 -o jsonl || return 1
  device_id=$(sed -n 's/.*"devices":"\([^"]*\)".*/\1/p;q' "$work/out")
  [ -n "$device_id" ]
}

find_device() {
  local list
  no_device=
  run 30 "a small model" "$package/bin/peridot" synth --preset tiny --qat -o "$work/models/probe.gguf" &&
    probe && return
  while [ -z "$stopped" ] && read -r list; do
    drivers=("VK_DRIVER_FILES=$list" "VK_ICD_FILENAMES=$list")
    set_environment
    probe || continue
    forget failed
    part_state=ok
    trouble noted "the driver was found with VK_DRIVER_FILES=$list"
    return
  done < <(driver_lists)
  no_device=1 device_id=
}

# The lines of one device in the listing, which has a line for each field.
device_lines() {
  awk -v id="$device_id" '
    /^\t"devices":/ || /^\t\t}/ { if (hit) exit; lines = ""; next }
    { lines = lines $0 "\n"; if ($0 ~ "\"id\":\t\"" id "\"") hit = 1 }
    END { if (hit) printf "%s", lines }' "$work/devices.json"
}

# device_field NAME: text without quotes, number, true, false, or nothing
device_field() {
  sed -n "s/^.*\"$1\":[[:space:]]*//p" "$work/device.txt" | sed 's/,$//; s/^"//; s/"$//; q'
}

read_device() {
  device_lines >"$work/device.txt"
  device_name=$(device_field name)
  copy_gb_s=$(device_field copy_gb_s)
  peak_name=$(device_field matrix_peak)
  peak_gflop_s=$(device_field "$peak_name")
}

# ---- memory --------------------------------------------------------------------------------------

# Megabytes of memory that the machine, and the group of processes that this one is in, has left.
memory_left() {
  local left limit used
  left=$(awk '/^MemAvailable/ { print int($2 / 1000) }' /proc/meminfo)
  read -r limit 2>/dev/null </sys/fs/cgroup/memory.max
  read -r used 2>/dev/null </sys/fs/cgroup/memory.current
  if [[ ${limit-} =~ ^[0-9]+$ && ${used-} =~ ^[0-9]+$ ]] &&
    [ $(((limit - used) / 1000000)) -lt "${left:-0}" ]; then
    left=$(((limit - used) / 1000000))
  fi
  echo "${left:-0}"
}

folder_left() { # FOLDER: megabytes
  df -B 1000000 --output=avail "$1" 2>/dev/null | tail -n 1 | tr -d ' '
}

# ---- clocks and power ----------------------------------------------------------------------------

start_sampler() {
  local smi=nvidia-smi which=()
  PATH=$PATH:/usr/local/nvidia/bin
  echo "seconds,part,device,clock_mhz,memory_mhz,power_w,temperature_c,busy_percent" >"$results/clocks.csv"
  if command -v $smi >/dev/null; then
    # Vulkan's UUID of a GPU is NVIDIA's own
    timeout 20 $smi -i "GPU-$(device_field uuid)" -L >/dev/null 2>&1 && which=(-i "GPU-$(device_field uuid)")
    sample_nvidia $smi ${which[@]+"${which[@]}"} 2>/dev/null >>"$results/clocks.csv" &
  elif compgen -G "$drm/card*/device/hwmon/hwmon*" >/dev/null; then
    sample_sysfs 2>/dev/null >>"$results/clocks.csv" &
  else
    trouble noted "no clocks and power: neither nvidia-smi nor $drm/card*/device/hwmon"
    return
  fi
  sampler=$!
}

sample_line() { # the rest of a line of clocks.csv
  tick
  printf '%s,%s,%s\n' $(((now - started) / 1000)) "$(<"$work/part")" "$1"
}

sample_nvidia() {
  local line
  trap 'kill $(jobs -p)' EXIT
  trap exit TERM
  exec {samples}< <(exec "$@" --query-gpu=name,clocks.sm,clocks.mem,power.draw,temperature.gpu,utilization.gpu \
    --format=csv,noheader,nounits -lms 500)
  while read -r line <&"$samples"; do sample_line "${line//, /,}"; done
}

# first_number FILE... DIVISOR: of the first file that can be read, or nothing
first_number() {
  local file value divisor=${*: -1}
  for file in "${@:1:$#-1}"; do
    read -r value <"$file" && echo $((value / divisor)) && return
  done
}

# AMD and Intel: what their kernel drivers offer of it (hwmon counts in microwatts and hertz).
sample_sysfs() {
  local card h
  while sleep 0.5; do
    for card in "$drm"/card*/device; do
      for h in "$card"/hwmon/hwmon*; do
        [ -d "$h" ] || continue
        sample_line "$(basename "$(dirname "$card")"),$(first_number "$h/freq1_input" 1000000),$(
          first_number "$h/freq2_input" 1000000),$(first_number "$h/power1_average" "$h/power1_input" 1000000),$(
          first_number "$h/temp1_input" 1000),$(first_number "$card/gpu_busy_percent" 1)"
      done
    done
  done
}
