"""A small vocabulary in Gemma 3's layout: learned by byte pairs, written as tokenizer.model.

    0-237    Gemma's own head: <pad> <eos> <bos> <unk> ... turn markers (105, 106), runs of
             newlines (107-137) and spaces (138-167), HTML tags
    238-493  bytes <0x00>..<0xFF>, for characters without a token
    494-     pieces in the order they were merged; 498 and 499 are the image markers
    last     single characters

SPDX-License-Identifier: MIT
"""
import collections
import re
import struct

PAD, EOS, BOS, UNK, START_OF_TURN, END_OF_TURN = 0, 1, 2, 3, 105, 106
FIRST_NEWLINE, FIRST_SPACES, FIRST_BYTE, FIRST_PIECE = 107, 138, 238, 494
START_OF_IMAGE, END_OF_IMAGE = 498, 499
SPACE = "\u2581"
NORMAL, UNKNOWN, CONTROL, USER_DEFINED, BYTE = 1, 2, 3, 4, 6
CHARACTERS = [SPACE] + [chr(c) for c in range(0x21, 0x7F)]
TAGS = ["table caption thead tbody tfoot tr th td", "h1 h2 h3 h4 h5 h6 blockquote",
        "strong em b i u s sub sup code", "a html body img span bbox ul li div iframe footer"]
# No piece crosses the border between two of these.
WORD = re.compile(r" ?[A-Za-z]+| ?[^A-Za-z0-9\s]+|[0-9]| ")
TAG = "</?(?:" + "|".join(" ".join(TAGS).split()) + ")>"
PART = re.compile(rf"({TAG}|\n+|  +)")


def head():
    """The first 494 tokens: (text, type)."""
    out = [(t, CONTROL) for t in ("<pad>", "<eos>", "<bos>")]
    out += [("<unk>", UNKNOWN), ("<mask>", USER_DEFINED), ("[multimodal]", USER_DEFINED)]
    out += [(f"<unused{i}>", USER_DEFINED) for i in range(99)]
    out += [("<start_of_turn>", USER_DEFINED), ("<end_of_turn>", USER_DEFINED)]
    out += [("\n" * n, USER_DEFINED) for n in range(1, 32)]
    out += [(SPACE * n, USER_DEFINED) for n in range(2, 32)]
    for names in TAGS:
        for mark in ("<", "</"):
            out += [(f"{mark}{name}>", USER_DEFINED) for name in names.split()]
    out += [(f"<0x{b:02X}>", BYTE) for b in range(256)]
    assert len(out) == FIRST_PIECE
    return out


def learn(texts, n_tokens):
    """Merges by byte pairs over an iterable of texts, until there are n_tokens tokens."""
    counts = collections.Counter()
    for text in texts:
        counts.update(w.replace(" ", SPACE) for w in WORD.findall(text))
    words = [(list(w), 1 + n ** 0.5) for w, n in counts.items()]  # rare words get whole tokens too
    pieces = []
    room = n_tokens - FIRST_PIECE - 2 - len(CHARACTERS)
    while len(pieces) < room:
        pairs = collections.Counter()
        for symbols, n in words:
            for pair in zip(symbols, symbols[1:]):
                pairs[pair] += n
        if not pairs:
            break
        best = max(pairs, key=lambda p: (pairs[p], p))
        pieces.append("".join(best))
        for symbols, _ in words:
            i = 0
            while i + 1 < len(symbols):
                if (symbols[i], symbols[i + 1]) == best:
                    symbols[i:i + 2] = ["".join(best)]
                i += 1
    return pieces


class Tokenizer:
    """Encodes as the engine does: runs first, then merges of the lowest id within each word."""

    def __init__(self, pieces):
        self.tokens = head()
        at = START_OF_IMAGE - FIRST_PIECE
        self.tokens += [(p, NORMAL) for p in pieces[:at]]
        self.tokens += [("<start_of_image>", USER_DEFINED), ("<end_of_image>", USER_DEFINED)]
        self.tokens += [(p, NORMAL) for p in pieces[at:] + CHARACTERS]
        self.ids = {t: i for i, (t, kind) in enumerate(self.tokens) if kind == NORMAL}
        self.tags = {t: i for i, (t, _) in enumerate(self.tokens[:FIRST_BYTE]) if re.fullmatch(TAG, t)}
        self.cache = {}

    @staticmethod
    def read(path):
        """One piece a line."""
        with open(path, encoding="utf-8") as f:
            return Tokenizer(f.read().split("\n")[:-1])

    def write(self, path):
        with open(path, "w", encoding="utf-8") as f:
            for text, kind in self.tokens[FIRST_PIECE:-len(CHARACTERS)]:
                if kind == NORMAL:
                    f.write(text + "\n")

    def __len__(self):
        return len(self.tokens)

    def _merge(self, word):
        symbols = list(word)
        while True:
            ranks = [self.ids.get(a + b, 1 << 30) for a, b in zip(symbols, symbols[1:])]
            best = min(ranks, default=1 << 30)
            if best == 1 << 30:
                break
            i = ranks.index(best)
            symbols[i:i + 2] = [symbols[i] + symbols[i + 1]]
        out = []
        for s in symbols:
            if s in self.ids:
                out.append(self.ids[s])
            else:
                out += [FIRST_BYTE + b for b in s.encode()]
        return out

    def _word(self, word):
        if word not in self.cache:
            self.cache[word] = self._merge(word.replace(" ", SPACE))
        return self.cache[word]

    def encode(self, text):
        out = []
        for part in PART.split(text):
            if not part:
                continue
            if part in self.tags:
                out.append(self.tags[part])
            elif part[0] == "\n":
                out.append(FIRST_NEWLINE + len(part) - 1)
            elif len(part) > 1 and part.isspace():
                out.append(FIRST_SPACES + len(part) - 2)
            else:
                for word in WORD.findall(part):
                    out += self._word(word)
        return out

    def decode(self, ids):
        out = b""
        for i in ids:
            text, kind = self.tokens[i]
            if kind == BYTE:
                out += bytes([i - FIRST_BYTE])
            elif kind == NORMAL or FIRST_NEWLINE <= i < FIRST_BYTE:
                out += text.replace(SPACE, " ").encode()
        return out.decode(errors="replace")

    def sentencepiece(self):
        """The bytes of a tokenizer.model: ModelProto, of which field 1 is the pieces."""
        out = b""
        for i, (text, kind) in enumerate(self.tokens):
            score = float(FIRST_PIECE - i) if kind == NORMAL else 0.0
            data = text.encode()
            piece = b"\x0a" + _varint(len(data)) + data + b"\x15" + struct.pack("<f", score)
            piece += b"\x18" + _varint(kind)
            out += b"\x0a" + _varint(len(piece)) + piece
        # trainer: BPE with bytes; normalizer: identity, no space in front
        trainer = b"\x18\x02\x98\x02\x01"
        normalizer = b"\x0a\x08identity\x18\x00\x20\x00\x28\x01"
        out += b"\x12" + _varint(len(trainer)) + trainer
        out += b"\x1a" + _varint(len(normalizer)) + normalizer
        return out


def _varint(n):
    out = b""
    while n > 127:
        out += bytes([n & 127 | 128])
        n >>= 7
    return out + bytes([n])
