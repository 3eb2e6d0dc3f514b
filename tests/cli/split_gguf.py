#!/usr/bin/env python3
"""Splits a GGUF file as llama.cpp's gguf-split does: PREFIX-00001-of-0000N.gguf and so on, the first
part with all settings, tensors in their order, about as many
in each. Standard library only.

    split_gguf.py IN.gguf PREFIX N

SPDX-License-Identifier: MIT"""
import struct, sys

SCALARS = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
source, prefix, n_parts = sys.argv[1], sys.argv[2], int(sys.argv[3])
data = open(source, "rb").read()
pos = 24


def number(size):
    global pos
    pos += size
    return int.from_bytes(data[pos - size:pos], "little")


def skip(n):
    global pos
    pos += n


def skip_value(kind):
    if kind == 8:
        skip(number(8))
    elif kind == 9:
        item, n = number(4), number(8)
        for _ in range(n):
            skip_value(item)
    else:
        skip(SCALARS[kind])


def padded(n):
    return (n + 31) // 32 * 32


assert data[:8] == b"GGUF\3\0\0\0"
n_tensors, n_values = struct.unpack_from("<QQ", data, 8)
for _ in range(n_values):
    skip(number(8))
    skip_value(number(4))
values = data[24:pos]
tensors = []  # (everything in front of the offset, offset)
for _ in range(n_tensors):
    begin = pos
    skip(number(8))
    skip(8 * number(4) + 4)
    tensors.append((data[begin:pos], number(8)))
start = padded(pos)
ends = [offset for _, offset in tensors[1:]] + [len(data) - start]
assert ends == sorted(ends)


def setting(key, v, kind):
    return struct.pack("<Q", len(key)) + key + struct.pack("<I", kind) + v


for part in range(n_parts):
    own = range(part * n_tensors // n_parts, (part + 1) * n_tensors // n_parts)
    keys = setting(b"split.no", struct.pack("<H", part), 2)
    keys += setting(b"split.count", struct.pack("<H", n_parts), 2)
    keys += setting(b"split.tensors.count", struct.pack("<i", n_tensors), 5)
    directory, body = b"", b""
    for i in own:
        head, offset = tensors[i]
        directory += head + struct.pack("<Q", len(body))
        piece = data[start + offset:start + ends[i]]
        body += piece.ljust(padded(len(piece)), b"\0")
    out = b"GGUF" + struct.pack("<IQQ", 3, len(own), 3 + (0 if part else n_values))
    out += (b"" if part else values) + keys + directory
    with open("%s-%05d-of-%05d.gguf" % (prefix, part + 1, n_parts), "wb") as f:
        f.write(out.ljust(padded(len(out)), b"\0") + body)
