"""Decoding and resizing against Pillow, on which the reference pipeline stands.

Resizing must agree in every byte, and so must the decoding of everything lossless. JPEG decoders
differ in the rounding of the inverse DCT, of colour and of the interpolation of subsampled colour:
there the largest and the mean difference are bounded.

Needs $IMAGE_TOOL. SPDX-License-Identifier: MIT
"""
import os
import random
import struct
import subprocess
import sys
import tempfile
import warnings
import zlib

from PIL import Image, ImageFilter, ImageOps

warnings.simplefilter("ignore")  # Pillow's on transparency that it drops
TOOL = os.environ["IMAGE_TOOL"]
work = tempfile.TemporaryDirectory()
rng = random.Random(20)
failures = []
checks = 0


def path_of(name):
    return os.path.join(work.name, name)


def check(ok, sentence):
    global checks
    checks += 1
    if not ok:
        failures.append(sentence)
        print("FAILED:", sentence)


def ours(name, size=None):
    out = path_of("out.rgb")
    command = [TOOL, path_of(name), out] + [str(n) for n in size or ()]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120)
    if result.returncode != 0:
        return None, result.stderr.strip()
    with open(out, "rb") as f:
        return tuple(map(int, result.stdout.split())), f.read()


def theirs(name):
    return ImageOps.exif_transpose(Image.open(path_of(name))).convert("RGB")


def expect_same(name, expected=None):
    """expected: what Pillow's image is, where Pillow itself cannot be asked."""
    image = expected or theirs(name)
    size, pixels = ours(name)
    if size is None:
        check(False, f"{name}: {pixels}")
    elif size != image.size:
        check(False, f"{name}: {size} instead of {image.size}")
    else:
        other = image.tobytes()
        wrong = sum(a != b for a, b in zip(pixels, other))
        most = max(abs(a - b) for a, b in zip(pixels, other))
        check(pixels == other, f"{name}: {wrong} of {len(other)} bytes differ, by at most {most}")


def write(name, data):
    with open(path_of(name), "wb") as f:
        f.write(data)


def noise(width, height, channels=3):
    mode = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}[channels]
    return Image.frombytes(mode, (width, height), rng.randbytes(width * height * channels))


def scene(width, height):
    """Smooth and edged parts, as in a photograph."""
    image = noise(8, 6).resize((width, height), Image.BICUBIC)
    image.paste((250, 20, 30), (width // 5, height // 4, width // 2, height // 2))
    image.paste((10, 60, 220), (width // 3, height // 3, width - 9, height - 5))
    return image.filter(ImageFilter.GaussianBlur(1))


# ---- resizing -----------------------------------------------------------------------------------


def resized(image, size):
    """Across, then down, which is what resize(size) is up to Pillow 12.1. Later ones go down first
    where a picture is much taller than it is to become, and round in other places."""
    middle = image.resize((size[0], image.height), Image.BILINEAR)
    return middle.resize(size, Image.BILINEAR).tobytes()


def compare_resizes():
    sources = [(1, 1), (1, 37), (53, 1), (2, 3), (5, 5), (17, 31), (64, 48), (300, 180), (640, 201),
               (99, 1000), (1531, 7), (1024, 768)]
    sizes = [(1, 1), (3, 1), (1, 8), (2, 2), (7, 5), (48, 64), (224, 224), (299, 180), (300, 179),
             (896, 896), (1000, 3)]
    for source in sources:
        image = noise(*source)
        image.save(path_of("source.ppm"))
        for size in sizes + [source, (source[0], 11), (13, source[1])]:
            got = ours("source.ppm", size)
            want = (size, resized(image, size))
            check(got == want, f"{source} resized to {size} differs")
    for _ in range(150):
        source = [max(1, int(2 ** rng.uniform(0, 10))) for _ in "wh"]
        size = tuple(max(1, int(2 ** rng.uniform(0, 10))) for _ in "wh")
        image = noise(*source)
        image.save(path_of("source.ppm"))
        got = ours("source.ppm", size)
        check(got == (size, resized(image, size)),
              f"{source} resized to {size} differs")


# ---- PNG ----------------------------------------------------------------------------------------


def png(width, height, depth, kind, rows, extra=b"", interlaced=False):
    """rows(x0, dx, y0, dy): the packed rows of a pass, each without its filter byte."""
    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
    passes = [(0, 8, 0, 8), (4, 8, 0, 8), (0, 4, 4, 8), (2, 4, 0, 4), (0, 2, 2, 4), (1, 2, 0, 2),
              (0, 1, 1, 2)] if interlaced else [(0, 1, 0, 1)]
    raw = b"".join(b"\0" + row for p in passes if p[0] < width for row in rows(*p))
    header = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, int(interlaced))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + extra +
            chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b""))


def packed(width, height, depth, values):
    """Rows of one sample a pixel with `depth` bits, most significant first."""
    def rows(x0, dx, y0, dy):
        for y in range(y0, height, dy):
            bits = "".join(format(values[y * width + x], f"0{depth}b") for x in range(x0, width, dx))
            bits += "0" * (-len(bits) % 8)
            yield bytes(int(bits[i:i + 8], 2) for i in range(0, len(bits), 8))
    return rows


def whole(width, height, bytes_per_pixel, data):
    def rows(x0, dx, y0, dy):
        for y in range(y0, height, dy):
            yield b"".join(data[(y * width + x) * bytes_per_pixel:][:bytes_per_pixel]
                           for x in range(x0, width, dx))
    return rows


def compare_png():
    w, h = 37, 21
    for image, name in [(noise(w, h), "rgb"), (noise(w, h, 1), "grey"), (noise(w, h, 2), "grey_alpha"),
                        (noise(w, h, 4), "rgba"), (noise(w, h, 1).convert("1"), "bits"),
                        (scene(w, h).quantize(13), "palette13"), (scene(w, h).quantize(3), "palette3"),
                        (scene(w, h).quantize(200), "palette200")]:
        image.save(path_of(f"{name}.png"))
        expect_same(f"{name}.png")
    scene(w, h).quantize(50).save(path_of("palette_clear.png"), transparency=7)
    expect_same("palette_clear.png")
    scene(w, h).quantize(50).save(path_of("palette_alpha.png"), transparency=rng.randbytes(50))
    expect_same("palette_alpha.png")
    scene(w, h).save(path_of("rgb_key.png"), transparency=(250, 20, 30))
    expect_same("rgb_key.png")
    for kind, samples, mode in [(0, 1, "L"), (2, 3, "RGB"), (4, 2, "LA"), (6, 4, "RGBA")]:
        for depth in (8, 16):
            step = samples * depth // 8
            data = rng.randbytes(w * h * step)
            for interlaced in (False, True):
                name = f"kind{kind}_depth{depth}_{'adam7' if interlaced else 'plain'}.png"
                write(name, png(w, h, depth, kind, whole(w, h, step, data), b"", interlaced))
                # Pillow clips grey of 16 bits; the upper byte is what it takes for every other kind.
                upper = Image.frombytes(mode, (w, h), data[::2]) if depth == 16 else None
                expect_same(name, upper.convert("RGB") if kind == 0 and upper else None)
    for depth in (1, 2, 4):
        values = [rng.randrange(1 << depth) for _ in range(w * h)]
        for interlaced in (False, True):
            name = f"grey{depth}_{'adam7' if interlaced else 'plain'}.png"
            write(name, png(w, h, depth, 0, packed(w, h, depth, values), b"", interlaced))
            expect_same(name)


# ---- BMP, GIF, PNM, TGA -------------------------------------------------------------------------


def bmp(width, height, bits, rows, masks=b"", header=40, palette=b""):
    stride = (width * bits + 31) // 32 * 4
    assert all(len(row) <= stride for row in rows)
    data = b"".join(row.ljust(stride, b"\0") for row in rows)
    if header == 12:
        info = struct.pack("<IHHHH", 12, width, height, 1, bits)
    else:
        info = struct.pack("<IiiHHIIiiII", 40, width, height, 1, bits, 3 if masks else 0, len(data),
                           0, 0, 0, 0) + masks
    info += palette
    offset = 14 + len(info)
    return struct.pack("<2sIII", b"BM", offset + len(data), 0, offset) + info + data


def compare_bmp():
    w, h = 37, 21
    for image, name in [(noise(w, h), "rgb"), (noise(w, h, 4), "rgba"), (noise(w, h, 1), "grey"),
                        (noise(w, h, 1).convert("1"), "bits"), (scene(w, h).quantize(13), "palette13"),
                        (scene(w, h).quantize(200), "palette200")]:
        image.save(path_of(f"{name}.bmp"))
        expect_same(f"{name}.bmp")
    rows = [rng.randbytes(3 * w) for _ in range(h)]
    write("core.bmp", bmp(w, h, 24, rows, header=12))
    expect_same("core.bmp")
    for bits in (1, 4, 8):
        rows8 = [rng.randbytes((w * bits + 7) // 8) for _ in range(h)]
        palette = rng.randbytes(3 << bits)
        write(f"core{bits}.bmp", bmp(w, h, bits, rows8, header=12, palette=palette))
        expect_same(f"core{bits}.bmp")
    top_down = bytearray(bmp(w, h, 24, rows))
    top_down[22:26] = struct.pack("<i", -h)
    write("top_down.bmp", top_down)
    expect_same("top_down.bmp")
    ramp = [b"".join(struct.pack("<H", (x * 2048 // 256 + 97 * y) % 65536) for x in range(256))
            for y in range(32)] + [struct.pack("<256H", *range(k, k + 256)) for k in range(0, 65536, 256)]
    write("555.bmp", bmp(256, len(ramp), 16, ramp))
    write("565.bmp", bmp(256, len(ramp), 16, ramp, struct.pack("<III", 0xf800, 0x7e0, 0x1f)))
    expect_same("555.bmp")
    expect_same("565.bmp")


def compare_gif():
    w, h = 37, 21
    for image, name in [(noise(w, h, 1), "grey"), (scene(w, h).quantize(13), "palette13"),
                        (scene(w, h).quantize(256), "palette256"), (noise(3, 5), "small"),
                        (noise(400, 300), "large")]:
        for interlace in (0, 1):
            image.save(path_of(f"{name}_{interlace}.gif"), interlace=interlace)
            expect_same(f"{name}_{interlace}.gif")
    frames = [scene(w, h).quantize(20) for _ in range(3)]
    frames[0].save(path_of("film.gif"), save_all=True, append_images=frames[1:], duration=50)
    expect_same("film.gif")
    for clear in (None, 0, 5):
        options = {} if clear is None else {"transparency": clear}
        frames[0].save(path_of("clear.gif"), optimize=False, **options)
        expect_same("clear.gif")
        with open(path_of("clear.gif"), "rb") as f:
            data = bytearray(f.read())
        frame = data.index(struct.pack("<BHHHH", 0x2c, 0, 0, w, h))
        for background in (0, 3):
            data[6:10] = struct.pack("<HH", w + 9, h + 4)
            data[11] = background
            data[frame + 1:frame + 5] = struct.pack("<HH", 6, 3)
            write(f"inset_{clear}_{background}.gif", data)
            expect_same(f"inset_{clear}_{background}.gif")


def compare_pnm():
    w, h = 37, 21
    noise(w, h).save(path_of("rgb.ppm"))
    noise(w, h, 1).save(path_of("grey.pgm"))
    expect_same("rgb.ppm")
    expect_same("grey.pgm")
    for maxval in (1, 2, 6, 100, 254, 256, 1000, 65535):
        size = 1 if maxval < 256 else 2
        values = [rng.randrange(maxval + 1) for _ in range(3 * w * h)]
        data = b"".join(v.to_bytes(size, "big") for v in values)
        write(f"max{maxval}.ppm", b"P6 # colour\n# of\n%d\t%d\n%d\n" % (w, h, maxval) + data)
        expect_same(f"max{maxval}.ppm")
        grey = Image.frombytes("L", (w, h), bytes(round(v / maxval * 255) for v in values[:w * h]))
        write(f"max{maxval}.pgm", b"P5\n%d %d %d\n" % (w, h, maxval) + data[:w * h * size])
        expect_same(f"max{maxval}.pgm", grey.convert("RGB"))


def compare_tga():
    w, h = 37, 21
    flat = Image.new("RGB", (w, h), (1, 2, 3))
    flat.paste((200, 100, 50), (5, 5, 300 % w, 15))
    for image, name in [(noise(w, h), "rgb"), (noise(w, h, 4), "rgba"), (noise(w, h, 1), "grey"),
                        (noise(w, h, 2), "grey_alpha"), (flat, "flat"), (flat.quantize(2), "flat_palette"),
                        (scene(w, h).quantize(200), "palette")]:
        for compression in (None, "tga_rle"):
            for orientation in (1, -1):
                file = f"{name}_{compression}_{orientation}.tga"
                image.save(path_of(file), compression=compression, orientation=orientation)
                expect_same(file)
    right_to_left = bytearray(struct.pack("<BBBHHBHHHHBB", 0, 0, 2, 0, 0, 0, 0, 0, w, h, 24, 0x30))
    rows = [rng.randbytes(3 * w) for _ in range(h)]
    write("right_to_left.tga", right_to_left + b"".join(rows))
    image = Image.frombytes("RGB", (w, h), b"".join(rows), "raw", "BGR")
    expect_same("right_to_left.tga", ImageOps.mirror(image))


# ---- JPEG ---------------------------------------------------------------------------------------


# About twice what was measured with Pillow 9.4 and stb_image 2.27: 3 levels, 0.08 in the mean.
MOST, MEAN = 6, 0.15


def expect_near(name, most, mean, without_columns=0):
    image = theirs(name)
    size, pixels = ours(name)
    if size != image.size:
        check(False, f"{name}: {size} {pixels if size is None else ''} instead of {image.size}")
        return
    part = (0, 0, size[0] - without_columns, size[1])
    decoded = Image.frombytes("RGB", size, pixels).crop(part)
    off = [abs(a - b) for a, b in zip(decoded.tobytes(), image.crop(part).tobytes())]
    found = max(off), sum(off) / len(off)
    print(f"{name}: largest difference {found[0]}, mean {found[1]:.3f}")
    check(found[0] <= most and found[1] <= mean, f"{name}: beyond {most} or {mean}")


def compare_jpeg():
    image = scene(333, 250)
    for quality in (30, 75, 95):
        for subsampling in (0, 1, 2):
            for progressive in (False, True):
                name = f"q{quality}_s{subsampling}_{'progressive' if progressive else 'baseline'}.jpg"
                image.save(path_of(name), quality=quality, subsampling=subsampling,
                           progressive=progressive)
                # With colour halved across alone (1), stb_image 2.27 swaps the weights of the last
                # but one colour sample: columns at the right edge are a few levels more away.
                expect_near(name, MOST, MEAN, 2 if subsampling == 1 else 0)
    image.convert("L").save(path_of("grey.jpg"), quality=80)
    expect_near("grey.jpg", MOST, MEAN)
    image.convert("CMYK").save(path_of("cmyk.jpg"), quality=80)
    expect_near("cmyk.jpg", MOST, MEAN)
    noise(64, 48).save(path_of("noise.jpg"), quality=90, subsampling=0)
    expect_near("noise.jpg", MOST, MEAN)


def compare_webp():
    """The same libwebp in both gives the same pixels, lossy ones too; another one may round them
    otherwise."""
    w, h = 37, 21
    clear = scene(w, h).convert("RGBA")
    clear.putalpha(Image.linear_gradient("L").resize((w, h)))
    for image, name in [(noise(w, h), "rgb"), (noise(w, h, 4), "rgba"), (scene(w, h), "scene"),
                        (clear, "clear"), (noise(1, 1), "dot"), (scene(333, 250), "large"),
                        (scene(w, h).quantize(3).convert("RGB"), "few")]:
        for exact in (False, True):
            file = f"{name}_{exact}.webp"
            image.save(path_of(file), lossless=True, exact=exact)
            expect_same(file)
        for quality in (5, 60, 95):
            file = f"{name}_{quality}.webp"
            image.save(path_of(file), quality=quality)
            expect_near(file, 2, 0.1)


def compare_orientation():
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        image = scene(41, 30)
        image.save(path_of(f"turned{orientation}.png"), exif=exif.tobytes())
        expect_same(f"turned{orientation}.png")
        image.save(path_of(f"turned{orientation}.webp"), exif=exif.tobytes(), lossless=True)
        expect_same(f"turned{orientation}.webp")
        image.save(path_of(f"turned{orientation}.jpg"), exif=exif.tobytes(), quality=95, subsampling=0)
        expect_near(f"turned{orientation}.jpg", MOST, MEAN)


def main():
    compare_resizes()
    compare_png()
    compare_bmp()
    compare_gif()
    compare_pnm()
    compare_tga()
    compare_jpeg()
    compare_webp()
    compare_orientation()
    print(f"{checks} comparisons, {len(failures)} failed")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
