#!/usr/bin/env bash
# The page in a real browser: Debian's Chromium, driven by playwright-core from npm, with axe-core.
#   run.sh PERIDOT FOLDER [NAME...]     FOLDER: for what npm brings, and for the pictures
# Ends with 77 and a reason where one of them cannot be had.  SPDX-License-Identifier: MIT
set -u
here=$(cd "$(dirname "$0")" && pwd)
program=$1
folder=$2
shift 2

skip() {
  echo "skipped: $*"
  exit 77
}

chromium=$(command -v chromium || command -v chromium-browser) || skip "chromium is not installed"
command -v node >/dev/null || skip "node is not installed"
export PAGE_MODULES=$folder PAGE_PICTURES=$folder/pictures CHROMIUM=$chromium
mkdir -p "$PAGE_PICTURES" || exit 1
if [ ! -e "$folder/node_modules/playwright-core" ] || [ ! -e "$folder/node_modules/axe-core" ]; then
  command -v npm >/dev/null || skip "npm is not installed"
  npm install --prefix "$folder" --ignore-scripts --no-audit --no-fund --no-save \
    playwright-core@1.65.1 axe-core@4.14.1 >"$folder/npm.log" 2>&1 ||
    skip "npm does not bring playwright-core and axe-core: $(tail -n 1 "$folder/npm.log")"
fi
exec node "$here/test_page.mjs" "$program" "$@"
