# Time, children and tables of gpu_report.sh: every program runs under a limit, whatever it does, and
# what happened to it is written down at once.
#
#     run_part NAME                        calls part_NAME with $deadline set by its share of the time
#     run SECONDS WHAT COMMAND...          one program; $rc, $work/out, $work/err
#     trouble failed|cut|noted TEXT        for the page, and for the exit code unless noted
#     table NAME COLUMN...   row NAME VALUE...
#
# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2034,SC2154

declare -A share=([devices]=8 [tests]=22 [bench]=32 [kernels]=8 [switches]=14 [image]=6 [peer]=8)
page_share=2
declare -A children=() # pid: what it is
stopped='' part=start part_state=ok deadline=0 now=0

tick() { now=$((${EPOCHREALTIME/./} / 1000)); } # milliseconds

# seconds_since MS: with one decimal, in $seconds
seconds_since() {
  tick
  local tenths=$(((now - $1 + 50) / 100))
  seconds=$((tenths / 10)).$((tenths % 10))
}

# ---- tables: one file each, a line of names and lines of values, separated by tabs ---------------

table() {
  local name=$1
  shift
  (IFS=$'\t' && printf '%s\n' "$*") >"$work/$name.tsv"
}

row() {
  local name=$1 values=()
  shift
  values=("${@//[[:cntrl:]]/ }") # a tab or a line's end would be another column or row
  (IFS=$'\t' && printf '%s\n' "${values[*]}") >>"$work/$name.tsv"
}

trouble() {
  row troubles "$part" "$1" "$2"
  echo "gpu_report: $part: $1: $2" >&2
  case $1 in
  failed) part_state=failed ;;
  cut) [ "$part_state" = failed ] || part_state='cut' ;;
  esac
}

# forget KIND: what came to a good end after all is no trouble of this part
forget() {
  awk -F '\t' -v part="$part" -v kind="$1" '$1 != part || $2 != kind' "$work/troubles.tsv" >"$work/kept.tsv"
  mv "$work/kept.tsv" "$work/troubles.tsv"
}

# Did all that was asked for run to its end?
complete() {
  [ -z "$stopped$no_device" ] && ! awk -F '\t' '$2 == "failed" || $2 == "cut" { found = 1 }
    END { exit !found }' "$work/troubles.tsv"
}

# ---- children ------------------------------------------------------------------------------------

# On Ctrl-C and the like: the programs end, and the page is written.
on_signal() {
  stopped=1
  trap 'exit 130' INT TERM HUP
  end_children
}

end_children() {
  [ ${#children[@]} -gt 0 ] && kill -TERM "${!children[@]}" 2>/dev/null
}

# start LIMIT_MS OUT ERR COMMAND...: in the background, for no longer than the limit; $child. OUT and
# ERR may be one file.
start() {
  local limit=$1 out=$2 err=$3
  shift 3
  : >"$out" && : >"$err"
  timeout -k 2 "$((limit / 1000)).$(printf %03d $((limit % 1000)))" "${ours[@]}" "$@" \
    >>"$out" 2>>"$err" </dev/null &
  child=$!
  children[$child]=$1
}

# ended PID UNTIL_MS: it has, with $rc, or is given up: a program that hangs inside a driver cannot
# even be killed
ended() {
  if kill -0 "$1" 2>/dev/null; then
    tick
    [ "$now" -le "$2" ] && return 1
    rc=199
  else
    wait "$1"
    rc=$?
  fi
  unset "children[$1]"
  return 0
}

# log WHAT: what a command said, in the log; a program that never stops talking is cut short
log() {
  {
    printf '\n==== %s: %s (exit code %s, %s s)\n' "$part" "$1" "$rc" "$seconds"
    head -c 200000 "$work/out"
    head -c 200000 "$work/err"
  } >>"$results/log.txt"
}

# judge WHAT LIMIT_MS: says what went wrong with a command that ended with $rc after $seconds
judge() {
  case $rc in
  0) return 0 ;;
  124) trouble cut "$1: stopped after $seconds s" ;;
  137) if [ "${seconds%.*}" -ge $(($2 / 1000)) ]; then
    trouble cut "$1: killed after $seconds s"
  else
    trouble failed "$1: killed after $seconds s, before its time was over: no memory?"
  fi ;;
  199) trouble failed "$1: does not end, not even killed, after $seconds s" ;;
  *) trouble failed "$1: exit code $rc: $(tail -n 1 "$work/err" | head -c 500)" ;;
  esac
  return 1
}

run() {
  local seconds_most=$1 what=$2 limit begin
  shift 2
  rc=125 seconds=0
  : >"$work/out" && : >"$work/err"
  [ -n "$stopped" ] && return 1
  tick
  begin=$now limit=$((deadline - now))
  [ "$limit" -gt $((seconds_most * 1000)) ] && limit=$((seconds_most * 1000))
  if [ "$limit" -lt 500 ]; then
    trouble cut "$what: no time left"
    return 1
  fi
  start "$limit" "$work/out" "$work/err" "$@"
  until ended "$child" $((begin + limit + 5000)); do sleep 0.1; done
  seconds_since "$begin"
  log "$what"
  [ -n "$stopped" ] && return 1
  judge "$what" "$limit"
}

# part_of_rest N: $most, the seconds that one of N programs may take of the part's rest, at least 5
part_of_rest() {
  tick
  most=$(((deadline - now) / 1000 / $1))
  [ "$most" -ge 5 ] || most=5
}

# ---- parts ---------------------------------------------------------------------------------------

# Without llama.cpp its share goes to the others.
shares_asked() {
  local name
  if [[ ,$parts, == *,peer,* && ! -x $package/peer/bench_peer ]]; then
    part=peer
    trouble "$([ "$parts" = "$all_parts" ] && echo noted || echo failed)" \
      "llama.cpp was not carried along (--pack --with-peer)"
    parts=$(sed 's/peer//; s/,,/,/; s/^,//; s/,$//' <<<"$parts")
  fi
  shares=$page_share
  for name in ${parts//,/ }; do shares=$((shares + share[$name])); done
}

run_part() {
  local begin
  part=$1 part_state=ok
  case ,$parts, in *,"$part",*) ;; *) return ;; esac
  tick
  begin=$now spent=$((spent + share[$part]))
  deadline=$((started + budget * spent / shares))
  if [ -n "$stopped" ] || { [ -n "$no_device" ] && [ "$part" != devices ]; }; then
    row parts "$part" "not run" 0 0
    return
  fi
  echo "gpu_report: $part, at most $(((deadline - now) / 1000)) s" >&2
  printf '%s' "$part" >"$work/part"
  "part_$part"
  seconds_since "$begin"
  [ -n "$stopped" ] && part_state=stopped
  row parts "$part" "$part_state" "$seconds" "$(((deadline - begin) / 1000))"
}
