"""What a picture becomes: pixels and token ids of Gemma3Processor, with and without pan and scan.

The pixels of transformers' Pillow-based processor must be ours in every byte before they are
normalised. Pillow up to 12.1 shrinks across first, then down, as Peridot does; later ones go down
first where a picture is much taller, which differs by one level: with those, such a picture is
compared with two resizes in that order. The torchvision-based processor rounds in its own way; how
far it is off is told, not judged.

SPDX-License-Identifier: MIT
"""
import os

import numpy as np
import PIL
from PIL import Image
from transformers import Gemma3Processor
from transformers.models.gemma3.image_processing_gemma3 import Gemma3ImageProcessor
from transformers.models.gemma3.image_processing_pil_gemma3 import Gemma3ImageProcessorPil

import texts
from common import tool

SIDE, N_PICTURES = 896, 200
BYTES = {"do_rescale": False, "do_normalize": False}
PAN = {"do_pan_and_scan": True, "pan_and_scan_min_crop_size": 256,  # Gemma3Processor's
       "pan_and_scan_max_num_crops": 4, "pan_and_scan_min_ratio_to_activate": 1.2}
SIZES = [(1, 1), (1, 900), (900, 1), (2, 2), (896, 896), (896, 300), (300, 896), (895, 897), (255, 307),
         (256, 308), (307, 256), (308, 256), (512, 426), (512, 427), (640, 256), (639, 256), (3000, 20),
         (20, 3000), (4000, 3000), (3000, 4000), (8000, 256), (256, 8000), (1025, 256), (256, 1025)]


def make_sizes(rng):
    """SIZES and random ones, from tiny to 6 megapixels, up to 1:40."""
    sizes = list(SIZES)
    while len(sizes) < N_PICTURES:
        area, ratio = 2**rng.uniform(4, 22.5), 2**(rng.normal(0, 1.8))
        width, height = int((area * ratio)**0.5), int((area / ratio)**0.5)
        if width and height and 1 / 40 <= width / height <= 40:
            sizes.append((width, height))
    return sizes


def make_picture(rng, size):
    """Noise over coarse shapes: edges at every place, and plain parts."""
    coarse = Image.fromarray(rng.integers(0, 256, (7, 5, 3), dtype=np.uint8))
    picture = np.array(coarse.resize(size, Image.NEAREST)).astype(np.int16)
    picture += rng.integers(-60, 60, picture.shape, dtype=np.int16)
    return Image.fromarray(picture.clip(0, 255).astype(np.uint8))


def processor_of(image_class, tokenizer):
    """With the settings of the released preprocessor_config.json."""
    return Gemma3Processor(image_class(size={"height": SIDE, "width": SIDE}, image_mean=[0.5] * 3,
                                       image_std=[0.5] * 3), tokenizer)


def across_then_down(picture):
    """The order of passes of Pillow up to 12.1."""
    middle = picture.resize((SIDE, picture.height), Image.BILINEAR)
    return np.array(middle.resize((SIDE, SIDE), Image.BILINEAR)).transpose(2, 0, 1)


class Pixels:
    """Counts of pictures and bytes that differ from ours."""

    def __init__(self):
        self.pictures = self.other_order = self.wrong = 0
        self.most = 0

    def add(self, got, want, source):
        """One picture or window. `source`: what it is before it is resized."""
        self.pictures += 1
        if np.array_equal(got, want):
            return
        self.most = max(self.most, int(np.abs(got.astype(int) - want.astype(int)).max()))
        if np.array_equal(got, across_then_down(source)):
            self.other_order += 1
        else:
            self.wrong += 1

    def sentence(self):
        """What is to be said of them."""
        return (f"{self.pictures} pictures and windows, {self.wrong} wrong, "
                f"{self.other_order} as before Pillow 12.2 only, difference at most {self.most}")


def our_pixels(work, path, crops):
    """[pictures, 3, SIDE, SIDE] uint8"""
    out = os.path.join(work, "pixels")
    n = int(tool("pixels", SIDE, lines=[f"{path} {out} {'crops' if crops else 'whole'}"])[0])
    return np.fromfile(out, np.uint8).reshape(n, SIDE, SIDE, 3).transpose(0, 3, 1, 2)


def windows_of(picture, n):
    """The picture and its n windows, to be resized in the other order."""
    step = -(-max(picture.size) // n) if n else 0
    wide = picture.width >= picture.height
    boxes = [(step * i, 0, min(step * (i + 1), picture.width), picture.height) if wide else
             (0, step * i, picture.width, min(step * (i + 1), picture.height)) for i in range(n)]
    return [picture] + [picture.crop(box) for box in boxes]


def compare_ids(processor, path, pictures, crops):
    """Ids of a text with one picture in it, for all of them; how many differ."""
    items, want = [], []
    for number, (picture, n) in enumerate(zip(pictures, crops)):
        text = ["{} Wide?", "See {}.", "a\n{}", "{}", "{}\n\nb", "x {}  y"][number % 6]
        text = text.format(texts.MARKER)
        shown = picture if n is not None else Image.new("RGB", (1, 1))
        out = processor(images=[[shown]], text=[text], do_pan_and_scan=n is not None)
        want.append(texts.collapse(out["input_ids"][0]))
        plain, places = texts.split_places(text, [n or 0])
        items.append({"text": plain, "images": places})
    return sum(a != b for a, b in zip(texts.ours(path, items), want))


def compare_pixels(pil, fast, picture, work, counts, fast_off):
    """One picture with all its windows; returns their number."""
    path = os.path.join(work, "picture.ppm")
    picture.save(path)
    want = np.array(pil(picture, **PAN, **BYTES)["pixel_values"])
    got = our_pixels(work, path, True)
    if len(got) != len(want):
        counts.wrong += 1
        return len(got) - 1
    for ours, theirs, source in zip(got, want, windows_of(picture, len(got) - 1)):
        counts.add(ours, theirs, source)
    if counts.pictures % 8 == 0:  # without pan and scan it is the first of these
        whole = np.array(pil(picture, **BYTES)["pixel_values"])
        counts.add(our_pixels(work, path, False)[0], whole[0], picture)
    other = np.array(fast(picture, **BYTES)["pixel_values"])[0]
    off = np.abs(other.astype(int) - got[0].astype(int))
    fast_off.append((off.max(), (off > 0).mean()))
    return len(got) - 1


def compare_pictures(report, work):
    """N_PICTURES sizes: pixels, then ids."""
    rng = np.random.default_rng(7)
    pil = Gemma3ImageProcessorPil(size={"height": SIDE, "width": SIDE})
    fast = Gemma3ImageProcessor(size={"height": SIDE, "width": SIDE})
    counts, fast_off, crops, pictures = Pixels(), [], [], []
    for size in make_sizes(rng):
        picture = make_picture(rng, size)
        crops.append(compare_pixels(pil, fast, picture, work, counts, fast_off))
        pictures.append(Image.new("RGB", size) if max(size) < 4000 else picture)
    old = int(PIL.__version__.split(".")[0]) < 12 or PIL.__version__.startswith(("12.0", "12.1"))
    report.check(counts.wrong == 0 and not (old and counts.other_order),
                 f"pixels, Pillow {PIL.__version__}", counts.sentence())
    most, parts = zip(*fast_off)
    print(f"      torchvision's: at most {max(most)} levels off, on average "
          f"{100 * np.mean(parts):.2f} % of the bytes, in the worst picture {100 * max(parts):.1f} %")
    path = texts.folder()
    if not path:
        report.skip("ids of pictures", "the tokenizer's files are not there (npm)")
        return
    processor = processor_of(Gemma3ImageProcessorPil, texts.load(path))
    for name, each in [("whole", [None] * len(crops)), ("pan and scan", crops)]:
        wrong = compare_ids(processor, path, pictures, each)
        report.check(wrong == 0, f"ids, {name}", f"{len(crops)} pictures, {wrong} different; "
                     f"{sum(bool(n) for n in each)} with windows, {sum(n or 0 for n in each)} in all")
