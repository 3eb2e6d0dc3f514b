#!/usr/bin/env bash
# Runs words.py where Python, Pillow and numpy are.   test_words.sh PERIDOT  SPDX-License-Identifier: MIT
set -u
here=$(cd "$(dirname "$0")" && pwd)
python=$(for p in /usr/bin/python3 python3; do
  "$p" -c 'import numpy, PIL' 2>/dev/null && echo "$p" && break
done)
[ -n "$python" ] || { echo "skipped: no Python with Pillow and numpy"; exit 77; }
exec "$python" "$here/words.py" "$@"
