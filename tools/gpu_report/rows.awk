# Lines of `peridot bench --profile -o jsonl` as a table. speed (the default): a row for each test.
# -v what=operations -v preset=P: where the time of that model's steps goes, at depth 0.
#
# A step is a token, or the last --ubatch-size (or fewer) tokens of a prompt; the profile holds the
# bytes and the arithmetic of one. With t seconds a step
#
#     copy % = 100 bytes / t / copy bandwidth        peak % = 100 flops / t / arithmetic peak
#
# where both bounds are the device's own, measured before (-v copy=GB/s -v peak=GFLOP/s).
# between_ms is what a step takes more, or less, than its operations one by one.
#
# SPDX-License-Identifier: MIT

function text(line, key) { # the value of a field, the first of that name
  if (!match(line, "\"" key "\":(\"[^\"]*\"|[^,}]*)")) return ""
  line = substr(line, RSTART + length(key) + 3, RLENGTH - length(key) - 3)
  gsub(/"/, "", line)
  return line
}

function sum(list, key,    total) {
  total = 0
  while (match(list, "\"" key "\":[^,}]*")) {
    total += substr(list, RSTART + length(key) + 3, RLENGTH - length(key) - 3)
    list = substr(list, RSTART + RLENGTH)
  }
  return total
}

function percent(a, b) { return b > 0 ? sprintf("%.1f", 100 * a / b) : "" }

function preset_of(line,    name) {
  name = text(line, "model_filename")
  sub(/.*\//, "", name)
  sub(/\.gguf$/, "", name)
  return name
}

function speed_row(line, profile,    rows, ts, n, start) {
  n = text(line, "n_prompt") + 0
  rows = n ? text(line, "n_ubatch") + 0 : 1
  if (n && n < rows) rows = n
  else if (n && n % rows) rows = n % rows
  ts = text(line, "avg_ts") + 0
  start = text(line, "start_read_ns") + text(line, "start_device_ns") + text(line, "start_upload_ns") \
    + text(line, "start_pipelines_ns") + text(line, "start_prompt_ns") + text(line, "start_token_ns")
  printf "%s\t%s\t%d\t%.2f\t%.2f\t%.3f\t%.3f\t%s\t%s\t%d\t%d\t%d\t%.0f\n", preset_of(line),
    n ? "pp" n : "tg" text(line, "n_gen"), text(line, "n_depth"), ts, text(line, "stddev_ts"),
    1000 * rows / ts, 1000 * rows / ts - sum(profile, "op_ns") / 1e6,
    percent(sum(profile, "op_bytes") * ts / rows / 1e9, copy),
    percent(sum(profile, "op_flops") * ts / rows / 1e9, peak),
    text(line, "n_dispatches"), text(line, "n_barriers"), text(line, "n_submits"), start / 1e6
}

function operation_rows(line, profile,    total, one, name) {
  total = sum(profile, "op_ns")
  name = text(line, "n_prompt") + 0 ? "pp" text(line, "n_prompt") : "tg" text(line, "n_gen")
  while (match(profile, /\{[^}]*\}/)) {
    one = substr(profile, RSTART, RLENGTH)
    profile = substr(profile, RSTART + RLENGTH)
    printf "%s\t%s\t%d\t%.3f\t%s\t%.1f\t%.1f\n", name, text(one, "op"), text(one, "op_count"),
      text(one, "op_ns") / 1e6, percent(text(one, "op_ns"), total), text(one, "op_copy_percent"),
      text(one, "op_peak_percent")
  }
}

BEGIN {
  if (what == "operations") print "test\toperation\tcount\tms\tpercent\tcopy_percent\tpeak_percent"
  else print "preset\ttest\tdepth\ttok_s\tstddev\tstep_ms\tbetween_ms\tcopy_percent\tpeak_percent" \
    "\tdispatches\tbarriers\tsubmits\tstart_ms"
}
/^\{.*"samples_ts".*\}$/ {
  profile = $0
  if (!sub(/.*"profile":\[/, "", profile)) profile = ""
  sub(/\].*/, "", profile)
  if (what != "operations") speed_row($0, profile)
  else if (preset_of($0) == preset && text($0, "n_depth") + 0 == 0) operation_rows($0, profile)
}
