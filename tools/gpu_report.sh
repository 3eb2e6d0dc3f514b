#!/usr/bin/env bash
# Peridot on a real GPU, as one page: correctness, speeds, and what limits them.
#
#     tools/gpu_report.sh --pack DIR [--with-peer]     on a machine that builds Peridot
#     DIR/gpu_report.sh [FLAGS] [RESULTS]              on the machine with the GPU
#
# The first makes a folder that needs nothing installed but a GPU's driver, bash, coreutils, awk and
# sed: programs, tests with their data, and the libraries that a machine may lack. The second makes
# models with random weights there, runs everything below, and leaves in RESULTS (default:
# gpu-report-DATE in the working folder) report.md, report.json, and what to attach to them: at most
# 8 files of less than 16 MiB each.
#
#   --minutes N       time for everything (default: 7)
#   --device D        as peridot's --device (default: vulkan, the best real GPU)
#   --presets LIST    models by comma: tiny,270m,1b,4b,12b,27b (default: all but tiny that fit)
#   --parts LIST      parts by comma: devices,tests,bench,kernels,switches,image,peer (default: all)
#   --with-peer       pack: take llama.cpp along, for the part "peer" (see tools/bench_peer.sh)
#   --programs BUILD  pack: take the programs of this build folder instead of building
#
# Exit code: 0 all that was asked for ran and every test passed, 1 a test failed, 2 a flag that cannot
# be used, 3 no test failed but something was cut or did not work (the page says what), 130 stopped;
# the page is then about what was done before.
#
# The parts run in the order of their worth. Each has a share of the time and must end when the
# shares up to its own are over: what one leaves over the next may use, and one that hangs takes
# nothing from the others. Expected with the default of 420 s on 16 cores and a GPU of 80 GB, where
# `synth` writes 250 MB/s a thread (the five models and the image encoder are 31 GB; all are written
# at once):
#
#   until    part       what
#    34 s    devices    list, a first run, measured speeds: some 10 s; then the models are begun
#   126 s    tests      operations, golden models, Vulkan unit tests, four at a time. Meanwhile the
#                       models get ready: 1b 4 s, 4b 13 s, 12b 33 s, 27b 70 s after they are begun
#   260 s    bench      4b, 27b, 1b and 12b at depths 0 and 4096, 1b at 32000, 270m, 4b at 32000
#   294 s    kernels    the matrices of the 4B and the 27B, one row and 512
#   353 s    switches   4b with each feature of PERIDOT_DISABLE left alone
#   378 s    image      the 4B's image encoder, first and again
#   412 s    peer       4b beside llama.cpp
#   420 s               the page
#
# SPDX-License-Identifier: MIT
set -u
export LC_ALL=C
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

all_parts=devices,tests,bench,kernels,switches,image,peer
pack_dir='' with_peer='' programs='' results=''
all_presets=4b,27b,1b,12b,270m # that fit; in the order in which they are begun
minutes=7 device=vulkan presets=$all_presets parts=$all_parts

usage_error() {
  echo "gpu_report: $*; see --help" >&2
  exit 2
}

print_help() {
  sed -n '2,/^# SPDX/{/^# SPDX/d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"
  exit 0
}

# check_list FLAG LIST ALLOWED: every word of LIST is one of ALLOWED
check_list() {
  local word
  for word in ${2//,/ }; do
    case ,$3, in *,"$word",*) ;; *) usage_error "$1 does not know \"$word\" ($3)" ;; esac
  done
  [ -n "${2//,/}" ] || usage_error "$1 takes a list of $3"
}

parse_flags() {
  local value
  while [ $# -gt 0 ]; do
    value=${2-}
    case $1 in
    --help | -h) print_help ;;
    --with-peer) with_peer=1 ;;
    --pack | --programs | --minutes | --device | --presets | --parts)
      [ -n "$value" ] || usage_error "$1 takes a value"
      case $1 in
      --pack) pack_dir=$value ;;
      --programs) programs=$value ;;
      --minutes) minutes=$value ;;
      --device) device=$value ;;
      --presets) presets=$value ;;
      --parts) parts=$value ;;
      esac
      shift
      ;;
    -*) usage_error "unknown flag $1" ;;
    *)
      [ -z "$results" ] || usage_error "one folder for the results, not \"$results\" and \"$1\""
      results=$1
      ;;
    esac
    shift
  done
  [[ $minutes =~ ^[0-9]{1,4}(\.[0-9]+)?$ && $minutes =~ [1-9] ]] ||
    usage_error "--minutes takes a number, not \"$minutes\""
  check_list --presets "$presets" tiny,270m,1b,4b,12b,27b
  check_list --parts "$parts" "$all_parts"
}

main() {
  parse_flags "$@"
  if [ -n "$pack_dir" ]; then
    [ -z "$results" ] || usage_error "--pack takes no folder for results"
    . "$here/gpu_report/pack.sh" || exit 2
    pack
    return
  fi
  [ -z "$with_peer$programs" ] || usage_error "--with-peer and --programs go with --pack"
  [ -x "$here/bin/peridot" ] ||
    usage_error "there are no programs beside this script: make a folder with --pack, and run it there"
  local file
  for file in run machine models parts page; do . "$here/gpu_report/$file.sh" || exit 2; done
  report
}

main "$@"
exit
