#!/usr/bin/env bash
# Manual pages and completion for zsh and fish: of every command and flag, and without a word from
# the programs that read them, where those are installed. Needs $WRITE_MAN too.
# SPDX-License-Identifier: MIT
. "$(dirname "$0")/lib.sh"

expect_ok --help
commands=$(sed -n 's/^  \([a-z][a-z-]*\)  .*/\1/p' "$work/out")

# ---- manual pages --------------------------------------------------------------------------------

lint() { # page
  if command -v mandoc >/dev/null; then
    mandoc -Tlint -Wwarning "$1" >"$work/lint" 2>&1 || fail "mandoc: $(head -n 3 "$work/lint")"
  fi
  if command -v groff >/dev/null; then # what `man --warnings` asks
    groff -man -Tutf8 -ww -z "$1" 2>"$work/lint"
    [ ! -s "$work/lint" ] || fail "groff: $(head -n 3 "$work/lint")"
  fi
}

for command in "" $commands; do
  "$WRITE_MAN" 2026-01-31 "$command" >"$work/page.1" || fail "no page of $command"
  lint "$work/page.1"
  grep -q '^\.TH PERIDOT.* 1 "2026-01-31"' "$work/page.1" || fail "the page of $command has no header"
  [ -n "$command" ] || continue
  expect_ok "$command" --help
  sed -n 's/^ .* \(--[a-z-]*\).*/\1/p' "$work/out" | sort -u >"$work/flags"
  sed 's/\\-/-/g' "$work/page.1" >"$work/page"
  while read -r flag; do
    grep -q -- "$flag" "$work/page" || fail "the page of $command lacks $flag"
  done <"$work/flags"
done
"$WRITE_MAN" 2026-01-31 | sed 's/\\-/-/g' >"$work/page"
for command in $commands; do
  grep -q "peridot-$command" "$work/page" || fail "the program's page lacks $command"
done
"$WRITE_MAN" 2026-01-31 nothing >"$work/page" 2>"$work/err"
expect_text "exit code for a page of nothing" 2 $?

# ---- completion ----------------------------------------------------------------------------------

expect_ok --completion-fish
cp "$work/out" "$work/peridot.fish"
expect_ok --completion-zsh
cp "$work/out" "$work/_peridot"
for command in $commands; do
  grep -q -- "-a $command -d" "$work/peridot.fish" || fail "completion for fish lacks $command"
  grep -q "^    $command)" "$work/_peridot" || fail "completion for zsh lacks $command"
done
ln -s "$PERIDOT" "$work/peridot"
export PATH=$work:$PATH HOME=$work

fish_words() { # command line
  fish --no-config -c 'source $argv[1]; complete -C $argv[2]' "$work/peridot.fish" "$1" 2>&1 |
    cut -f 1 | tr '\n' ' '
}
if command -v fish >/dev/null; then
  expect_text "fish: a command" "tokenize " "$(fish_words 'peridot tok')"
  expect_text "fish: a flag" "--top-k --top-p " "$(fish_words 'peridot run --top')"
  expect_text "fish: a choice" "exact " "$(fish_words 'peridot run --precision e')"
  expect_text "fish: another command's flag" "" "$(fish_words 'peridot synth --top')"
  expect_text "fish: a type argument" "q4_0 q4_1 q4_k " "$(fish_words 'peridot quantize a b q4')"
  expect_text "fish: a device" "cpu cpu-ref " "$(fish_words 'peridot run --device cp')"
fi

# zsh completes for nobody but a terminal: one is made, and what comes from it is awaited.
cat >"$work/ask.zsh" <<'END'
zmodload zsh/zpty || exit 1
zpty shell zsh -f -i
zpty -w shell "fpath=($1 \$fpath); autoload -U compinit; compinit -u -d $1/dump; echo rea''dy"
zpty -r shell line '*ready*' || exit 1
zpty -w -n shell $2$'\t'
zpty -r shell line "*$3*"
END
zsh_completes() { # command line, what has to come behind it after a TAB, and is not in it
  timeout 60 zsh -f "$work/ask.zsh" "$work" "$1" "$2" >/dev/null 2>&1 || fail "zsh: no $2 after \"$1\""
}
if command -v zsh >/dev/null; then
  zsh -n "$work/_peridot" || fail "the completion is no zsh"
  zsh_completes 'peridot tok' enize
  zsh_completes 'peridot run --predi' ct
  zsh_completes 'peridot run --precision e' xact
  zsh_completes 'peridot quantize a b q5_' q5_k
  zsh_completes 'peridot run --device vulk' an
fi
finish
