#!/usr/bin/env bash
# Runs a test of this folder with the Python that has Pillow and numpy, where one has: some of them draw
# pictures.   run_python.sh TEST.py PERIDOT [NAME...]   SPDX-License-Identifier: MIT
set -u
here=$(cd "$(dirname "$0")" && pwd)
python=$(for p in /usr/bin/python3 python3; do
  "$p" -c 'import numpy, PIL' 2>/dev/null && echo "$p" && break
done)
[ -n "$python" ] || python=$(command -v python3) || { echo "skipped: python3 is not installed"; exit 77; }
test=$1
shift
exec "$python" "$here/$test" "$@"
