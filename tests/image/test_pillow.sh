#!/usr/bin/env bash
# Runs compare_with_pillow.py with a Python that has Pillow. Needs $IMAGE_TOOL.
# SPDX-License-Identifier: MIT
set -u
: "${IMAGE_TOOL:?names the image_tool program}"
for python in python3 /usr/bin/python3; do
  "$python" -c 'import PIL' 2>/dev/null && exec "$python" "$(dirname "$0")/compare_with_pillow.py"
done
echo "skipped: no Python with Pillow (Debian: python3-pil)"
exit 77
