"""Scenes and their pictures: shapes on a grid of nine places, or a digit, a number or a word.

A scene is drawn at some side, mostly a larger one than the model's, and brought to the model's with
Pillow's BILINEAR, which the engine's resize equals byte for byte.

SPDX-License-Identifier: MIT
"""
import dataclasses
import inspect
import math

import numpy as np
from PIL import Image, ImageDraw, ImageFont

SIDE, CELL, GRID = 126, 42, 9
SHAPES = ["circle", "square", "triangle", "star", "heart", "cross", "ring", "diamond"]
SIZES = ["small", "large"]
PLACES = ["at the top left", "at the top", "at the top right",
          "at the left", "in the middle", "at the right",
          "at the bottom left", "at the bottom", "at the bottom right"]
COLOURS = {"red": (215, 35, 35), "orange": (245, 140, 20), "yellow": (245, 222, 40),
           "green": (40, 160, 60), "blue": (40, 80, 215), "purple": (125, 45, 170),
           "pink": (245, 135, 185), "black": (18, 18, 18), "white": (247, 247, 247)}
BACKGROUNDS = {**{k: COLOURS[k] for k in ("white", "black", "yellow", "green", "blue", "pink")},
               "grey": (130, 130, 130)}
COLOUR_NAMES, BACKGROUND_NAMES = list(COLOURS), list(BACKGROUNDS)
WORDS = ("CAT DOG SUN CAR BUS HAT CUP KEY BOX FOX PIG COW BEE ANT OWL EGG JAM TEA ICE SKY SEA MAP PEN BED "
         "TOY RED YES NO STOP GO HI OK UP ON OFF OPEN EXIT TREE FISH BIRD MOON STAR SHIP BOOK BALL CAKE MILK "
         "RAIN SNOW WIND FIRE LAKE ROAD DOOR HOME LOVE HELP PLAY ZOO GEM VAN FROG DUCK LION BEAR").split()
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
TEXT_SLOTS = 4

# Lines of a stroke font on a grid of 3 by 5 points: x, y pairs in 0-2, 0-4, y down.
_GLYPHS = {
    "A": "04 02 10 22 24/03 23", "B": "00 04 14 23 12 02/00 10 21 12", "C": "20 00 04 24",
    "D": "00 04 14 23 21 10 00",
    "E": "20 00 04 24/02 12", "F": "20 00 04/02 12", "G": "20 00 04 24 22 12", "H": "00 04/20 24/02 22",
    "I": "10 14", "J": "20 24 04 03", "K": "00 04/20 02 24", "L": "00 04 24", "M": "04 00 12 20 24",
    "N": "04 00 24 20", "O": "00 20 24 04 00", "P": "04 00 20 22 02", "Q": "00 20 24 04 00/13 24",
    "R": "04 00 20 22 02/12 24", "S": "20 00 02 22 24 04", "T": "00 20/10 14", "U": "00 04 24 20",
    "V": "00 14 20", "W": "00 04 12 24 20", "X": "00 24/20 04", "Y": "00 12 20/12 14", "Z": "00 20 04 24",
    "0": "00 20 24 04 00/20 04", "1": "01 10 14/04 24", "2": "00 20 22 02 04 24", "3": "00 20 24 04/02 22",
    "4": "00 02 22/20 24", "5": "20 00 02 22 24 04", "6": "20 00 04 24 22 02", "7": "00 20 14",
    "8": "00 20 24 04 00/02 22", "9": "22 02 00 20 24 04"}


@dataclasses.dataclass
class Item:
    shape: str
    colour: str
    size: str
    place: int  # 0-8, row by row


@dataclasses.dataclass
class Scene:
    background: str
    items: list          # of Item, by place
    text: str = ""       # a digit, a number of two digits or a word
    colour: str = ""     # of the text


# How far pictures vary, 0-1: grows during training.
_level = [1.0]


def set_level(level):
    _level[0] = level


# ---- making scenes --------------------------------------------------------------------------------

def _colour_on(rng, background):
    return rng.choice([c for c in COLOUR_NAMES if c != background])


def _background(rng):
    return rng.choice(("white", "black") if rng.random() > _level[0] else BACKGROUND_NAMES)


def shapes_scene(rng, n=None):
    background = _background(rng)
    n = rng.choice([1, 1, 2, 2, 3, 3, 4, 5]) if n is None else n
    few = rng.random() < 0.4  # repeated shapes and colours, so that there is something to count
    shapes = rng.sample(SHAPES, 2) if few else SHAPES
    colours = [c for c in COLOUR_NAMES if c != background]
    colours = rng.sample(colours, 2) if few and rng.random() < 0.5 else colours
    items = [Item(rng.choice(shapes), rng.choice(colours), rng.choice(SIZES), p)
             for p in sorted(rng.sample(range(9), n))]
    return Scene(background, items)


def text_scene(rng):
    background = _background(rng)
    kind = rng.random()
    if kind < 0.35:
        text = str(rng.randrange(10))
    elif kind < 0.5:
        text = str(rng.randrange(10, 100))
    else:
        text = rng.choice(WORDS)
    return Scene(background, [], text, _colour_on(rng, background))


# ---- drawing --------------------------------------------------------------------------------------

def _jitter(rng, rgb, amount):
    return tuple(min(255, max(0, c + rng.randint(-amount, amount))) for c in rgb)


def _turned(points, cx, cy, r, angle):
    c, s = math.cos(angle) * r, math.sin(angle) * r
    return [(cx + x * c - y * s, cy + x * s + y * c) for x, y in points]


def _star():
    return [((1 if i % 2 == 0 else 0.42) * math.sin(i * math.pi / 5),
             -(1 if i % 2 == 0 else 0.42) * math.cos(i * math.pi / 5)) for i in range(10)]


def _heart():
    t = [i * 2 * math.pi / 48 for i in range(48)]
    return [(math.sin(a) ** 3, -(13 * math.cos(a) - 5 * math.cos(2 * a) - 2 * math.cos(3 * a)
                                 - math.cos(4 * a)) / 16) for a in t]


_POLYGONS = {
    "square": [(-0.82, -0.82), (0.82, -0.82), (0.82, 0.82), (-0.82, 0.82)],
    "triangle": [(0, -0.95), (0.95, 0.75), (-0.95, 0.75)],
    "star": _star(), "heart": _heart(),
    "cross": [(-0.32, -1), (0.32, -1), (0.32, -0.32), (1, -0.32), (1, 0.32), (0.32, 0.32), (0.32, 1),
              (-0.32, 1), (-0.32, 0.32), (-1, 0.32), (-1, -0.32), (-0.32, -0.32)],
    "diamond": [(0, -1.05), (0.68, 0), (0, 1.05), (-0.68, 0)]}


def _draw_item(draw, rng, item, scale, background, vary):
    large = item.size == "large"
    r = rng.uniform(14.5, 19) if large else rng.uniform(7.2, 9.8)
    room = max(0.0, CELL / 2 - r - 1) * (0.8 if large else 0.6) * vary
    cx = (item.place % 3 + 0.5) * CELL + rng.uniform(-room, room)
    cy = (item.place // 3 + 0.5) * CELL + rng.uniform(-room, room)
    cx, cy, r = cx * scale, cy * scale, r * scale
    colour = _jitter(rng, COLOURS[item.colour], 14)
    if item.shape in ("circle", "ring"):
        draw.ellipse((cx - r, cy - r, cx + r, cy + r), fill=colour)
        if item.shape == "ring":
            q = r * rng.uniform(0.5, 0.62)
            draw.ellipse((cx - q, cy - q, cx + q, cy + q), fill=background)
    else:
        angle = rng.uniform(-0.14, 0.14) * vary
        draw.polygon(_turned(_POLYGONS[item.shape], cx, cy, r, angle), fill=colour)


HAS_FONT = "size" in inspect.signature(ImageFont.load_default).parameters  # since Pillow 10.1
_fonts = {}


def _font(size):
    if size not in _fonts:
        _fonts[size] = ImageFont.load_default(size)
    return _fonts[size]


def _between(rng, low, high, vary):
    """In the middle of low and high, or as far from it as `vary` allows."""
    return (low + high) / 2 + (high - low) * (rng.random() - 0.5) * vary


def _draw_typed(draw, rng, scene, side, colour, vary):
    """In Pillow's own font, sometimes bold. Returns the letters' boxes."""
    room, height = side * _between(rng, 0.55, 0.9, vary), side * _between(rng, 0.3, 0.6, vary)
    font = _font(100)
    x0, y0, x1, y1 = font.getbbox(scene.text)
    size = max(8, int(100 * min(room / (x1 - x0), height / (y1 - y0))))
    font = _font(size)
    bold = rng.choice([0, 0, max(1, size // 28)])
    x0, y0, x1, y1 = draw.textbbox((0, 0), scene.text, font=font, stroke_width=bold)
    x = _between(rng, 0.02, 0.98, vary) * max(0, side - (x1 - x0)) - x0
    y = _between(rng, 0.02, 0.98, vary) * max(0, side - (y1 - y0)) - y0
    draw.text((x, y), scene.text, fill=colour, font=font, stroke_width=bold)
    ends = [x + font.getlength(scene.text[:i]) for i in range(len(scene.text) + 1)]
    return [(ends[i], y + y0, ends[i + 1], y + y1) for i in range(len(scene.text))]


def _draw_strokes(draw, rng, scene, side, colour, vary):
    """In lines. Returns the letters' boxes."""
    n = len(scene.text)
    room, height = side * _between(rng, 0.5, 0.85, vary), side * _between(rng, 0.25, 0.6, vary)
    w = min(room / (n + (n - 1) * 0.35), height * 0.75)  # of one letter
    h = min(height, w * rng.uniform(1.3, 1.8))
    total = w * (n + (n - 1) * 0.35)
    thick = max(2, int(w * rng.uniform(0.12, 0.24)))
    x = thick + _between(rng, 0.02, 0.98, vary) * max(0, side - total - 2 * thick)
    y = thick + _between(rng, 0.02, 0.98, vary) * max(0, side - h - 2 * thick)
    slant = rng.uniform(-0.12, 0.12) * vary
    for i, letter in enumerate(scene.text):
        for line in _GLYPHS[letter].split("/"):
            points = [(x + i * w * 1.35 + int(p[0]) / 2 * w + slant * (2 - int(p[1])) / 4 * h,
                       y + int(p[1]) / 4 * h) for p in line.split()]
            draw.line(points, fill=colour, width=thick, joint="curve")
            for px, py in (points[0], points[-1]):
                draw.ellipse((px - thick / 2, py - thick / 2, px + thick / 2, py + thick / 2), fill=colour)
    return [(x + i * w * 1.35, y, x + i * w * 1.35 + w, y + h) for i in range(n)]


def render(scene, rng):
    """The picture as RGB bytes [SIDE, SIDE, 3]."""
    return render_with_boxes(scene, rng)[0]


def draw(scene, rng, side, vary):
    """A picture of side x side pixels and its letters' boxes; vary, 0-1: how far from the usual."""
    boxes = []
    background = _jitter(rng, BACKGROUNDS[scene.background], 8)
    image = Image.new("RGB", (side, side), background)
    canvas = ImageDraw.Draw(image)
    for item in scene.items:
        _draw_item(canvas, rng, item, side / SIDE, background, vary)
    if scene.text:
        colour = _jitter(rng, COLOURS[scene.colour], 14)
        write = _draw_typed if rng.random() < 0.6 and HAS_FONT else _draw_strokes
        boxes = write(canvas, rng, scene, side, colour, vary)
    return image, boxes


def render_with_boxes(scene, rng):
    """The same, and the boxes of its letters as shares of its side: (left, top, right, bottom) each."""
    vary = _level[0] * rng.random() ** 0.5
    side = SIDE if rng.random() < 0.25 else rng.randint(150, 300)
    image, boxes = draw(scene, rng, side, vary)
    if side != SIDE:
        image = image.resize((SIDE, SIDE), Image.BILINEAR)
    out = np.asarray(image)
    if rng.random() < 0.3:  # a little noise
        noise = np.random.default_rng(rng.getrandbits(32)).integers(-5, 6, out.shape)
        out = np.clip(out + noise, 0, 255).astype(np.uint8)
    return out, [[v / side for v in box] for box in boxes]


def labels(scene):
    """What the tower is asked in training only: [9 shapes, 9 colours, 9 sizes, background, text colour,
    4 letters]; 0 is none."""
    cells = [[0] * 9 for _ in range(3)]
    for item in scene.items:
        cells[0][item.place] = 1 + SHAPES.index(item.shape)
        cells[1][item.place] = 1 + COLOUR_NAMES.index(item.colour)
        cells[2][item.place] = 1 + SIZES.index(item.size)
    letters = [1 + LETTERS.index(c) for c in scene.text] + [0] * (TEXT_SLOTS - len(scene.text))
    colour = 1 + COLOUR_NAMES.index(scene.colour) if scene.text else 0
    return cells[0] + cells[1] + cells[2] + [BACKGROUND_NAMES.index(scene.background), colour] + letters


def patch_labels(scene, boxes):
    """What is in each patch, in training only: [81 letters, 81 places of theirs in the text]; 0 is none. A
    patch shows the letter that has most of it, and some at least."""
    grid = np.arange(GRID)
    most = np.full((GRID, GRID), 0.12)
    letter, slot = np.zeros((GRID, GRID), int), np.zeros((GRID, GRID), int)
    for i, box in enumerate(boxes):
        left, top, right, bottom = (v * GRID for v in box)
        across = np.clip(np.minimum(grid + 1, right) - np.maximum(grid, left), 0, 1)
        down = np.clip(np.minimum(grid + 1, bottom) - np.maximum(grid, top), 0, 1)
        share = down[:, None] * across[None, :]
        here = share > most
        letter[here], slot[here] = 1 + LETTERS.index(scene.text[i]), 1 + i
        most = np.maximum(most, share)
    return letter.reshape(-1).tolist() + slot.reshape(-1).tolist()
