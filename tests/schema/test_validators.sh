#!/usr/bin/env bash
# Runs check_validators.py, which fetches what it needs into the folder. Needs $SCHEMA_TOOL.
# Usage: test_validators.sh FOLDER
# SPDX-License-Identifier: MIT
set -u
: "${SCHEMA_TOOL:?names the schema_tool program}"
command -v python3 >/dev/null || { echo "skipped: python3 is not installed"; exit 77; }
python=python3
for each in python3 /usr/bin/python3; do
  "$each" -c 'import jsonschema' 2>/dev/null && python=$each && break
done
exec "$python" "$(dirname "$0")/check_validators.py" "$SCHEMA_TOOL" "$1"
