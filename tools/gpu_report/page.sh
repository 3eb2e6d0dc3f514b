# What gpu_report.sh leaves behind: report.md and report.json from the parts' tables, and the files to
# attach; and `report`, which does everything in order.
#
# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2034,SC2154

# ---- tables in two forms -------------------------------------------------------------------------

table_markdown() { # NAME
  awk -F '\t' '
    function short(x) { # numbers of many digits
      if (x !~ /^-?[0-9]+\.[0-9][0-9][0-9][0-9]+$/) return x
      return sprintf(x < 0.1 && x > -0.1 ? "%.2g" : "%.2f", x)
    }
    { gsub(/\|/, "\\|"); line = "|" }
    NR == 1 { gsub("_", " ") }
    {
      for (i = 1; i <= NF; i++) line = line " " short($i) " |"
      print line
    }
    NR == 1 { line = "|"; for (i = 1; i <= NF; i++) line = line (i > 1 ? " --: |" : " --- |"); print line }
  ' "$work/$1.tsv"
}

# An array of objects.
table_json() { # NAME
  awk -F '\t' '
    function value(name, text) {
      if (text == "") return "null"
      if (text ~ /^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?$/) return text
      gsub(/\\/, "\\\\", text); gsub(/"/, "\\\"", text)
      return "\"" text "\""
    }
    NR == 1 { n = split($0, name, "\t"); printf "["; next }
    {
      printf "%s\n    {", (NR > 2 ? "," : "")
      for (i = 1; i <= n; i++) printf "%s\"%s\": %s", (i > 1 ? ", " : ""), name[i], value(name[i], $i)
      printf "}"
    }
    END { printf "]" }' "$work/$1.tsv"
}

has_rows() { # NAME
  [ "$(wc -l <"$work/$1.tsv")" -gt 1 ]
}

section() { # TITLE NAME TEXT: a table under a heading, if there is something in it
  has_rows "$2" || return 0
  printf '\n## %s\n\n' "$1"
  [ -n "$3" ] && printf '%s\n\n' "$3"
  table_markdown "$2"
}

json_text() {
  local s=${1//\\/\\\\}
  s=${s//\"/\\\"}
  printf '"%s"' "${s//[[:cntrl:]]/ }"
}

# ---- what the page is made of --------------------------------------------------------------------

about() { # NAME: a line of what the package says about itself
  sed -n "s/^$1: //p" "$here/about.txt" 2>/dev/null | head -n 1
}

processor() {
  sed -n 's/^model name[[:space:]]*: //p' /proc/cpuinfo | head -n 1
}

system_name() {
  (. /etc/os-release 2>/dev/null && printf '%s' "${PRETTY_NAME-}")
}

# Mean and largest clock and power of each part.
clocks_table() {
  awk -F , '
    BEGIN { print "part\tdevice\tsamples\tmean_clock_mhz\tmost_clock_mhz\tmean_power_w\tmost_power_w\tmost_temperature_c" }
    NR == 1 { next }
    {
      key = $2 "\t" $3
      if (!(key in n)) order[++keys] = key
      n[key]++; clock[key] += $4; power[key] += $6
      if ($4 + 0 > top_clock[key]) top_clock[key] = $4 + 0
      if ($6 + 0 > top_power[key]) top_power[key] = $6 + 0
      if ($7 + 0 > top_heat[key]) top_heat[key] = $7 + 0
    }
    END {
      for (i = 1; i <= keys; i++) {
        key = order[i]
        printf "%s\t%d\t%.0f\t%d\t%.1f\t%.1f\t%d\n", key, n[key], clock[key] / n[key], top_clock[key],
          power[key] / n[key], top_power[key], top_heat[key]
      }
    }' "$results/clocks.csv"
}

finish_tables() {
  find_verdict
  awk -v copy="$copy_gb_s" -v peak="$peak_gflop_s" -f "$here/gpu_report/rows.awk" \
    "$results/bench.jsonl" >"$work/speed.tsv"
  shown=$(awk -F '\t' 'NR > 1 && $3 == 0 { print $1; exit }' "$work/speed.tsv")
  awk -v what=operations -v preset="$shown" -f "$here/gpu_report/rows.awk" "$results/bench.jsonl" \
    >"$work/operations.tsv"
  clocks_table >"$work/clocks.tsv"
  # For the page, which is to stay one: tests that did not pass, operations that take time.
  awk -F '\t' 'NR == 1 || $2 != "passed"' "$work/tests.tsv" >"$work/other_tests.tsv"
  awk -F '\t' 'NR == 1 || $5 >= 1' "$work/operations.tsv" >"$work/main_operations.tsv"
}

rounded() { # NUMBER: with one digit behind the point
  [ -n "$1" ] && printf '%.1f' "$1" || printf '?'
}

verdict_sentence() {
  local counts="${n_result[passed]} test programs passed, ${n_result[failed]} failed, \
${n_result[skipped]} skipped, ${n_result[cut]} cut"
  case $verdict in
  holds) echo "**Correct**: $counts." ;;
  failed) echo "**WRONG**: $counts: $(tests_that failed | tr '\n' ' ')" ;;
  incomplete) echo "**Not known to be correct**: $counts." ;;
  *) echo "Correctness was not asked for." ;;
  esac
}

# What products reach, by kind; the best is what percentages are of.
peaks() {
  awk -v best="$peak_name" '
    /"gflop_s":/ { inside = 1; next }
    inside && /}/ { exit }
    inside {
      gsub(/[",\t]/, ""); split($0, a, ":")
      printf "%s%s %.0f%s", (n++ ? ", " : ""), a[1], a[2], (a[1] == best ? " (best)" : "")
    }' "$work/device.txt"
}

# The device as `devices` prints it: its name at a line's start, what it has indented below.
print_device() {
  [ -s "$work/devices.txt" ] || return
  printf '```\n'
  awk -v id="${device_id:-.}" '/^[^ ]/ { shown = $1 == id || id == "." } shown' "$work/devices.txt"
  printf '```\n\n'
}

# Who was measured, where, and with what: one line each.
print_machine() {
  local peaks
  peaks=$(peaks)
  echo "- measured: copy $(rounded "$copy_gb_s") GB/s; peaks ${peaks:-?} GFLOP/s; a dispatch $(rounded "$(device_field dispatch_us)") us"
  echo "- machine: $(processor), $(nproc) processors, $(awk '/^MemTotal/ { print int($2 / 1048576 + .5) }' /proc/meminfo) GiB; $(system_name), Linux $(uname -r)"
  echo "- Peridot $(about commit) packed $(about date) on $(about system)"
  echo "- $date, $total_s of $((budget / 1000)) s; models: ${models[*]-none}"
}

print_page() {
  printf '# Peridot on %s\n\n%s\n\n' "${device_name:-no device}" "$(verdict_sentence)"
  print_device
  print_machine
  section "What was cut, failed, or is to be known" troubles ""
  section "Speed" speed "Tokens per second; percentages of the measured copy bandwidth and arithmetic \
peak; between: what a step takes more than its operations one by one."
  section "Switches" switches "$main_model with a feature left alone (PERIDOT_DISABLE), in percent of \
the first row: negative is what the feature is worth."
  section "Beside llama.cpp" peer "$main_model; ratio above 1: Peridot is faster (median and range)."
  section "Image" image "$image_model's encoder; the first run builds its pipelines."
  section "Kernels" kernels "One matrix in one submission each, waited for by the host (--precision f16)."
  section "Where the time of a step goes" main_operations "Of ${shown:-no model}; what takes less than 1 % is left out."
  section "Tests that did not pass" other_tests ""
  section "Clocks and power" clocks ""
  section "Parts" parts ""
}

print_json() {
  local name
  printf '{\n  "verdict": %s,\n  "complete": %s,\n  "device_asked_for": %s,\n  "device_id": %s,\n' \
    "$(json_text "$verdict")" "$(complete && echo true || echo false)" \
    "$(json_text "$device")" "$(json_text "$device_id")"
  printf '  "commit": %s,\n  "date": %s,\n  "seconds": %s,\n  "seconds_asked_for": %s,\n' \
    "$(json_text "$(about commit)")" "$(json_text "$date")" "$total_s" "$((budget / 1000))"
  printf '  "processor": %s,\n  "n_processors": %s,\n  "system": %s,\n' \
    "$(json_text "$(processor)")" "$(nproc)" "$(json_text "$(system_name)")"
  name=$(printf ', "%s"' ${models[@]+"${models[@]}"})
  printf '  "models": [%s],\n' "$([ ${#models[@]} -gt 0 ] && echo "${name#, }")"
  printf '  "main_model": %s,\n  "image_model": %s,\n' "$(json_text "$main_model")" "$(json_text "$image_model")"
  printf '  "device": {\n%s  }' "$(cat "$work/device.txt")"
  for name in troubles tests speed operations kernels switches image peer clocks parts; do
    printf ',\n  "%s": ' $name
    table_json $name
  done
  printf '\n}\n'
}

# ---- files to attach -----------------------------------------------------------------------------

most_bytes=16000000

# Tuning tables, compiled shaders and pipelines; what is too large goes without pipelines.
pack_caches() {
  command -v tar >/dev/null || { trouble noted "no cache.tgz: there is no tar" && return; }
  tar -C "$work" -czf "$results/cache.tgz" cache 2>/dev/null
  [ "$(stat -c %s "$results/cache.tgz" 2>/dev/null || echo 0)" -lt $most_bytes ] ||
    tar -C "$work" --exclude='pipelines-*' -czf "$results/cache.tgz" cache
}

limit_files() {
  local file
  for file in "$results"/*.*; do
    [ "$(stat -c %s "$file")" -lt $most_bytes ] && continue
    case $file in
    *.tgz) rm "$file" ;; # no use in part
    *) truncate -s $most_bytes "$file" ;;
    esac
    trouble noted "${file##*/} was too large"
  done
}

collect_tests() {
  local file
  for file in "$work"/tests/*.txt; do
    [ -f "$file" ] || continue
    printf '\n==== %s\n' "$(basename "$file" .txt)"
    head -c 400000 "$file"
  done >"$results/tests.txt"
}

# ---- everything ----------------------------------------------------------------------------------

prepare_results() {
  date=$(date -u +%Y-%m-%dT%H:%M:%SZ)
  results=${results:-gpu-report-$(date -u +%Y%m%d-%H%M%S)}
  mkdir -p "$results" && results=$(cd "$results" && pwd) || exit 2
  [ -z "$(ls -A "$results")" ] || usage_error "$results is not empty"
  : >"$results/log.txt" && : >"$results/bench.jsonl" && : >"$results/clocks.csv" || exit 2
}

report() {
  drm=${GPU_REPORT_DRM:-/sys/class/drm}
  prepare_results
  tick
  started=$now budget=$(awk -v m="$minutes" 'BEGIN { printf "%d", m * 60000 }') spent=0
  declare -gA n_result=([passed]=0 [failed]=0 [skipped]=0 [cut]=0)
  device_id='' device_name='' copy_gb_s='' peak_gflop_s='' peak_name='' no_device=''
  main_model='' image_model='' shm='' models=()
  prepare_folders
  prepare_tables
  : >"$work/device.txt" && : >"$work/devices.json"
  deadline=$((started + budget))
  prepare_programs
  run_all_parts
  write_results
  finish
}

# Whatever parts are asked for, the device is found first.
run_all_parts() {
  local name
  shares_asked
  case ,$parts, in
  *,devices,*) run_part devices ;;
  *) part_devices ;;
  esac
  read_device
  if [ -z "$no_device$stopped" ]; then
    start_sampler
    start_models
  fi
  for name in tests bench kernels switches image peer; do run_part $name; done
  cut_tests_again
  part=end
}

write_results() {
  [ -n "${sampler-}" ] && kill "$sampler" 2>/dev/null && sampler=
  end_children
  [ -s "$work/devices.json" ] && cp "$work/devices.json" "$results/devices.json"
  pack_caches
  collect_tests
  seconds_since "$started"
  total_s=$seconds
  finish_tables
  limit_files
  print_page >"$results/report.md"
  print_json >"$results/report.json"
}

finish() {
  echo "gpu_report: $(verdict_sentence) See $results/report.md" >&2
  [ "$verdict" = failed ] && exit 1
  [ -n "$stopped" ] && exit 130
  complete || exit 3
  exit 0
}
