#!/usr/bin/env bash
# --help, --version and completion come from the tables and say what the program does.
# SPDX-License-Identifier: MIT
. "$(dirname "$0")/lib.sh"

expect_ok --help
commands=$(sed -n 's/^  \([a-z]*\)  .*/\1/p' "$work/out")
[ "$(echo "$commands" | wc -l)" -ge 8 ] || fail "--help lists few commands: $commands"
for command in $commands; do
  expect_ok "$command" --help
  grep -q "^usage: peridot $command" "$work/out" || fail "$command --help has no usage line"
  grep -q -- '--verbose' "$work/out" || fail "$command --help lacks --verbose"
  [ "$(awk 'length > 100' "$work/out" | wc -l)" -eq 0 ] || fail "$command --help has long lines"
  # Every flag in the help is known: alone it may lack something, but is never unknown.
  sed -n 's/^ .* \(--[a-z-]*\).*/\1/p' "$work/out" | sort -u >"$work/flags"
  while read -r flag; do
    [ "$command $flag" = "devices --test" ] && continue # would do so; test_device_test.sh knows it
    nothing=()
    [ "$command" = record ] && nothing=(-p 0 -n 0) # that is refused; else it would measure for minutes
    (cd "$work" && "$PERIDOT" "$command" "${nothing[@]}" "$flag" >o 2>e </dev/null)
    grep -q "unknown flag" "$work/e" && fail "$command does not know its $flag"
  done <"$work/flags"
done
expect_ok run -h
grep -q '^usage: peridot run' "$work/out" || fail "run -h"
expect_ok --version
grep -Eq '^peridot [0-9]+\.[0-9]+\.[0-9]+ \(commit .*, backends: cpu, cpu-ref' "$work/out" ||
  fail "--version: $(cat "$work/out")"

# Completion, asked as bash asks it
expect_ok --completion-bash
cp "$work/out" "$work/completion"
complete_words() { # the words of a command line, the last one being completed
  (cd "$work" && bash -c '. "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _peridot
    IFS="|"; echo "${COMPREPLY[*]}"' bash "$work/completion" "$@")
}
expect_text "completion of a command" tokenize "$(complete_words peridot tok)"
expect_text "completion of a flag" "--top-k|--top-p" "$(complete_words peridot run --top)"
expect_text "completion of a choice" "exact" "$(complete_words peridot run --precision e)"
expect_text "completion of another command's flag" "" "$(complete_words peridot synth --top)"
touch "$work/my model.gguf" "$work/my other.gguf" "$work/q.gguf"
expect_text "completion of files with spaces" "my model.gguf|my other.gguf" \
  "$(complete_words peridot run -m my | tr '|' '\n' | sort | tr '\n' '|' | sed 's/|$//')"
expect_text "completion of a file argument" "my model.gguf" "$(complete_words peridot verify "my m")"
expect_text "completion of a type argument" "q4_0|q4_1|q4_k" \
  "$(complete_words peridot quantize a.gguf b.gguf q4)"
expect_text "completion of a type" "q6_k" "$(complete_words peridot convert --type q6)"
for flag in --device -dev; do
  expect_text "completion of a device" "cpu|cpu-ref" "$(complete_words "$PERIDOT" run $flag cpu)"
done
expect_text "completion of the reference's device" "vulkan" \
  "$(VK_DRIVER_FILES=/no VK_ICD_FILENAMES=/no complete_words "$PERIDOT" score --against-device vul)"
expect_text "completion of a text" "" "$(complete_words peridot run -p q)"
bash -n "$work/completion" || fail "the completion is no bash"
finish
