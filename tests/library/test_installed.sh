#!/bin/bash
# What is installed runs from where it was put, and headers, a library and manual pages are beside it.
#
# Usage: test_installed.sh CMAKE BUILD
#
# SPDX-License-Identifier: MIT
set -eu
folder=$(mktemp -d)
trap 'rm -r "$folder"' EXIT
"$1" --install "$2" --prefix "$folder" >/dev/null
"$folder/bin/peridot" --version
ls "$folder"/include/peridot.h "$folder"/include/peridot_measure.h "$folder"/share/doc/peridot/copyright
find "$folder" -name 'libperidot.*' | grep .

# A page of each command, and completion; not where a cross build could not run the program.
for command in "" $("$folder/bin/peridot" --help | sed -n 's/^  \([a-z][a-z-]*\)  .*/-\1/p'); do
    ls "$folder/share/man/man1/peridot$command.1"
done
find "$folder/share" -path '*bash-completion/completions/peridot' -o -name _peridot -o -name peridot.fish |
    wc -l | grep -qx 3
