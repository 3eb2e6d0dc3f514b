#!/bin/bash
# What is installed runs from where it was put, and headers and a library are beside it.
#
# Usage: test_installed.sh CMAKE BUILD
#
# SPDX-License-Identifier: MIT
set -eu
folder=$(mktemp -d)
trap 'rm -r "$folder"' EXIT
"$1" --install "$2" --prefix "$folder" >/dev/null
"$folder/bin/peridot" --version
ls "$folder"/include/peridot.h "$folder"/include/peridot_measure.h
ls "$folder"/lib*/libperidot.*
