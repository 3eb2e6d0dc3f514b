/* Images: known pixels of each format, the eight orientations, resizing vectors, windows, the
 * golden image bit for bit, limits, and headers that lie. tests/image compares with Pillow itself,
 * and tests/fault/test_image_damage.c cuts and damages files.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE /* memmem */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "image/image.h"
#include "support_golden.h"

#define IMAGES(name) test_data("images/" name)

static pd_image decode(const pd_bytes *b) {
    pd_image image;
    pd_error err;
    must(pd_image_decode(b->data, b->n, NULL, &image, &err), &err);
    return image;
}

/* Fails with the status, with words of the sentence in it, and without an image. */
static void refuse(const void *data, size_t n, const pd_image_limits *limits, pd_status status,
                   const char *words) {
    pd_image image;
    pd_error err = {0};
    assert_int_equal(pd_image_decode(data, n, limits, &image, &err), status);
    if (!strstr(err.message, words)) fail_msg("\"%s\" lacks \"%s\"", err.message, words);
    assert_null(image.rgb);
    assert_int_equal(pd_image_decode(data, n, limits, &image, NULL), status);
}

/* ---- writing small files ----------------------------------------------------------------------
 */

static void write_be32(pd_bytes *b, uint32_t v) {
    const uint8_t bytes[4] = {(uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8),
                              (uint8_t)v};
    pd_bytes_write(b, bytes, 4);
}

static void write_le16(pd_bytes *b, uint32_t v) {
    const uint8_t bytes[2] = {(uint8_t)v, (uint8_t)(v >> 8)};
    pd_bytes_write(b, bytes, 2);
}

static void write_le32(pd_bytes *b, uint32_t v) {
    write_le16(b, v & 0xffff);
    write_le16(b, v >> 16);
}

/* The checksum of a PNG's chunks (ISO 3309). */
static uint32_t crc_of(const char *data, size_t n) {
    uint32_t crc = 0xffffffff;
    for (size_t i = 0; i < n; i++) {
        crc ^= (uint8_t)data[i];
        for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
    }
    return ~crc;
}

/* The checksum of what zlib data unpacks to. */
static uint32_t adler_of(const uint8_t *data, size_t n) {
    uint32_t a = 1, b = 0;
    for (size_t i = 0; i < n; i++) {
        a = (a + data[i]) % 65521;
        b = (b + a) % 65521;
    }
    return b << 16 | a;
}

static void write_chunk(pd_bytes *b, const char *type, const void *data, size_t n) {
    write_be32(b, (uint32_t)n);
    pd_bytes_write(b, type, 4);
    pd_bytes_write(b, data, n);
    write_be32(b, crc_of(b->data + b->n - n - 4, n + 4));
}

static void write_ihdr(pd_bytes *b, uint32_t width, uint32_t height, uint8_t depth, uint8_t kind) {
    pd_bytes header = {0};
    const uint8_t rest[5] = {depth, kind};
    write_be32(&header, width);
    write_be32(&header, height);
    pd_bytes_write(&header, rest, sizeof rest);
    pd_bytes_write(b, "\x89PNG\r\n\x1a\n", 8);
    write_chunk(b, "IHDR", header.data, header.n);
    pd_bytes_free(&header);
}

/* 8-bit RGB; `zlib` is the content of IDAT, `exif` of eXIf or NULL. */
static pd_bytes png(uint32_t width, uint32_t height, const pd_bytes *zlib, const pd_bytes *exif) {
    pd_bytes b = {0};
    write_ihdr(&b, width, height, 8, 2);
    if (exif) write_chunk(&b, "eXIf", exif->data, exif->n);
    write_chunk(&b, "IDAT", zlib->data, zlib->n);
    write_chunk(&b, "IEND", "", 0);
    return b;
}

/* zlib data of one stored block. */
static pd_bytes stored(const void *data, size_t n) {
    pd_bytes b = {0};
    pd_bytes_write(&b, "\x78\x01\x01", 3);
    write_le16(&b, (uint32_t)n);
    write_le16(&b, ~(uint32_t)n & 0xffff);
    pd_bytes_write(&b, data, n);
    write_be32(&b, adler_of(data, n));
    return b;
}

/* The TIFF structure of an EXIF block with entries before and behind the orientation. */
static pd_bytes exif_block(uint32_t orientation, bool big) {
    pd_bytes b = {0};
    const uint32_t entries[3][4] = {
        {0x0100, 4, 1, 3}, {0x0112, 3, 1, orientation}, {0x0128, 3, 1, 2}};
    pd_bytes_write(&b, big ? "MM\0*\0\0\0\x08\0\x03" : "II*\0\x08\0\0\0\x03\0", 10);
    for (int e = 0; e < 3; e++) {
        const uint32_t *f = entries[e];
        if (big) {
            write_be32(&b, f[0] << 16 | f[1]);
            write_be32(&b, f[2]);
            write_be32(&b, f[1] == 3 ? f[3] << 16 : f[3]);
        } else {
            write_le32(&b, f[1] << 16 | f[0]);
            write_le32(&b, f[2]);
            write_le32(&b, f[3]);
        }
    }
    write_be32(&b, 0);
    return b;
}

/* ---- decoding ----------------------------------------------------------------------------------
 */

static void test_png_pixels(void **state) {
    (void)state;
    static const uint8_t rows[] = {0, 1, 2, 3, 4, 5, 6, 0, 250, 251, 252, 253, 254, 255};
    pd_bytes zlib = stored(rows, sizeof rows), file = png(2, 2, &zlib, NULL);
    pd_image image = decode(&file);
    static const uint8_t expected[] = {1, 2, 3, 4, 5, 6, 250, 251, 252, 253, 254, 255};
    assert_int_equal(image.width, 2);
    assert_int_equal(image.height, 2);
    assert_memory_equal(image.rgb, expected, sizeof expected);
    pd_image_free(&image);
    assert_null(image.rgb);
    pd_bytes_free(&zlib);
    pd_bytes_free(&file);
}

/* What each orientation makes of abc/def, row by row. */
static const char *const turned[9] = {NULL,     "abcdef", "cbafed", "fedcba", "defabc",
                                      "adbecf", "daebfc", "fcebda", "cfbead"};

static void check_turned(const pd_image *image, uint32_t orientation) {
    assert_int_equal(image->width, orientation >= 5 ? 2 : 3);
    assert_int_equal(image->height, orientation >= 5 ? 3 : 2);
    for (size_t i = 0; i < 6; i++)
        for (size_t c = 0; c < 3; c++)
            assert_int_equal(image->rgb[3 * i + c], turned[orientation][i] + (int)c);
}

static void test_orientation_of_png(void **state) {
    (void)state;
    uint8_t rows[20] = {0};
    for (size_t i = 0; i < 6; i++)
        for (size_t c = 0; c < 3; c++)
            rows[1 + i / 3 + 3 * i + c] = (uint8_t)("abcdef"[i] + (int)c);
    pd_bytes zlib = stored(rows, sizeof rows);
    for (uint32_t orientation = 0; orientation <= 9; orientation++) {
        for (int big = 0; big < 2; big++) {
            pd_bytes exif = exif_block(orientation, big);
            pd_bytes file = png(3, 2, &zlib, &exif);
            pd_image image = decode(&file);
            check_turned(&image, orientation == 0 || orientation == 9 ? 1 : orientation);
            pd_image_free(&image);
            pd_bytes_free(&exif);
            pd_bytes_free(&file);
        }
    }
    pd_bytes_free(&zlib);
}

/* A damaged EXIF block, of any length, leaves the image as it is. */
static void test_damaged_exif_is_ignored(void **state) {
    (void)state;
    static const uint8_t rows[] = {0, 1, 2, 3, 0, 4, 5, 6};
    pd_bytes zlib = stored(rows, sizeof rows);
    for (int big = 0; big < 2; big++) {
        pd_bytes whole = exif_block(6, big);
        for (size_t n = 0; n <= whole.n; n++) {
            pd_bytes exif = {0};
            pd_bytes_write(&exif, whole.data, n);
            pd_bytes file = png(1, 2, &zlib, &exif);
            pd_image image = decode(&file);
            assert_int_equal(image.width, n >= 34 ? 2 : 1); /* 34: behind the orientation's entry */
            pd_image_free(&image);
            pd_bytes_free(&exif);
            pd_bytes_free(&file);
        }
        memset(whole.data + 4, 0xff, 4); /* a directory far behind the end */
        pd_bytes file = png(1, 2, &zlib, &whole);
        pd_image image = decode(&file);
        assert_int_equal(image.width, 1);
        pd_image_free(&image);
        pd_bytes_free(&file);
        pd_bytes_free(&whole);
    }
    pd_bytes_free(&zlib);
}

/* The same JPEG with and without an APP1 segment: the turned one has the other's corners. */
static void test_orientation_of_jpeg(void **state) {
    (void)state;
    /* where the upright image's first and last pixels lie in the stored one: 0 left or top */
    static const int first[9][2] = {{0, 0}, {0, 0}, {1, 0}, {1, 1}, {0, 1},
                                    {0, 0}, {0, 1}, {1, 1}, {1, 0}};
    size_t n;
    char *jpeg = read_file(IMAGES("baseline.jpg"), &n);
    pd_bytes plain = {jpeg, n, n, false};
    pd_image stored_image = decode(&plain);
    uint32_t w = stored_image.width, h = stored_image.height;
    for (uint32_t orientation = 1; orientation <= 8; orientation++) {
        pd_bytes exif = exif_block(orientation, orientation % 2 == 0), file = {0};
        uint32_t length = (uint32_t)exif.n + 8;
        const uint8_t marker[4] = {0xff, 0xe1, (uint8_t)(length >> 8), (uint8_t)length};
        pd_bytes_write(&file, jpeg, 2);
        pd_bytes_write(&file, marker, 4);
        pd_bytes_write(&file, "Exif\0", 6);
        pd_bytes_write(&file, exif.data, exif.n);
        pd_bytes_write(&file, jpeg + 2, n - 2);
        pd_image image = decode(&file);
        assert_int_equal(image.width, orientation >= 5 ? h : w);
        assert_int_equal(image.height, orientation >= 5 ? w : h);
        size_t x = first[orientation][0] ? w - 1 : 0, y = first[orientation][1] ? h - 1 : 0;
        size_t end = (size_t)w * h - 1;
        assert_memory_equal(image.rgb, stored_image.rgb + 3 * (y * w + x), 3);
        assert_memory_equal(image.rgb + 3 * end,
                            stored_image.rgb + 3 * ((h - 1 - y) * w + w - 1 - x), 3);
        pd_image_free(&image);
        pd_bytes_free(&exif);
        pd_bytes_free(&file);
    }
    pd_image_free(&stored_image);
    free(jpeg);
}

/* The same picture in every format: equal where nothing is lost, near where it is. */
static void test_formats_agree(void **state) {
    (void)state;
    static const struct {
        const char *name;
        int tolerance;
    } files[] = {{"small.bmp", 0},     {"packed.tga", 0},       {"small.ppm", 0},
                 {"baseline.jpg", 24}, {"progressive.jpg", 24}, {"palette.bmp", 24},
                 {"film.gif", 60}};
    pd_image png_image, image;
    pd_error err;
    must(pd_image_read(IMAGES("small.png"), NULL, &png_image, &err), &err);
    for (size_t f = 0; f < sizeof files / sizeof files[0]; f++) {
        char path[512];
        snprintf(path, sizeof path, "%s/%s", test_data("images"), files[f].name);
        must(pd_image_read(path, NULL, &image, &err), &err);
        assert_int_equal(image.width, png_image.width);
        assert_int_equal(image.height, png_image.height);
        for (size_t i = 0; i < 3 * (size_t)image.width * image.height; i++)
            if (abs(image.rgb[i] - png_image.rgb[i]) > files[f].tolerance)
                fail_msg("%s: byte %zu is %u, not %u", files[f].name, i, image.rgb[i],
                         png_image.rgb[i]);
        pd_image_free(&image);
    }
    must(pd_image_read(IMAGES("grey.jpg"), NULL, &image, &err), &err);
    for (size_t i = 0; i < (size_t)image.width * image.height; i++)
        assert_true(image.rgb[3 * i] == image.rgb[3 * i + 1] &&
                    image.rgb[3 * i] == image.rgb[3 * i + 2]);
    pd_image_free(&image);
    pd_image_free(&png_image);
}

static void test_read_names_the_file(void **state) {
    (void)state;
    pd_image image;
    pd_error err = {0};
    assert_int_equal(pd_image_read("/nowhere/x.png", NULL, &image, &err), PD_ERR_IO);
    assert_non_null(strstr(err.message, "/nowhere/x.png"));
    assert_int_equal(pd_image_read(__FILE__, NULL, &image, &err), PD_ERR_UNSUPPORTED);
    assert_non_null(strstr(err.message, __FILE__));
    assert_int_equal(pd_image_read(__FILE__, NULL, &image, NULL), PD_ERR_UNSUPPORTED);
}

/* ---- refusing ----------------------------------------------------------------------------------
 */

static void test_unknown_and_unread_formats(void **state) {
    (void)state;
    refuse("", 0, NULL, PD_ERR_FORMAT, "empty");
    refuse("hello, world, this is text", 26, NULL, PD_ERR_UNSUPPORTED, "no known format");
    refuse("\x89PNG", 4, NULL, PD_ERR_FORMAT, "cut short");
    refuse("RIFF\x10\0\0\0WEBPVP8 ", 16, NULL, PD_ERR_UNSUPPORTED, "WebP");
    refuse("\0\0\0\x20"
           "ftypavif",
           12, NULL, PD_ERR_UNSUPPORTED, "AVIF");
    refuse("II*\0\x08\0\0\0", 8, NULL, PD_ERR_UNSUPPORTED, "TIFF");
    refuse("P3\n1 1\n255\n1 2 3\n", 17, NULL, PD_ERR_UNSUPPORTED, "plain");
    refuse("P6\n1 1\n0\n123", 12, NULL, PD_ERR_FORMAT, "maximum");
    refuse("P6\n1 x\n255\n123", 14, NULL, PD_ERR_FORMAT, "damaged");
}

static void test_limits(void **state) {
    (void)state;
    static const char file[] = "P6 3 2 255\n123456789abcdefghi";
    size_t n = sizeof file - 1;
    pd_image image;
    pd_image_limits fits = {n, 6}, bytes = {n - 1, 6}, pixels = {n, 5};
    assert_int_equal(pd_image_decode(file, n, &fits, &image, NULL), PD_OK);
    assert_memory_equal(image.rgb, "123456789abcdefghi", 18);
    pd_image_free(&image);
    refuse(file, n, &bytes, PD_ERR_UNSUPPORTED, "at most 28");
    refuse(file, n, &pixels, PD_ERR_UNSUPPORTED, "at most 5");
}

/* Sizes that overflow one product or another, or ask for far too much. */
static void test_headers_that_lie(void **state) {
    (void)state;
    static const uint32_t sizes[][2] = {
        {0xffffffff, 0xffffffff}, {0x7fffffff, 0x7fffffff}, {0x80000000, 2}, {0x10000, 0x10000},
        {0x55555556, 3},          {65535, 65535},           {1, 100000001}};
    static const uint8_t row[] = {0, 1, 2, 3};
    pd_bytes zlib = stored(row, sizeof row);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        uint32_t w = sizes[i][0], h = sizes[i][1];
        pd_bytes file = png(w, h, &zlib, NULL);
        refuse(file.data, file.n, NULL, PD_ERR_UNSUPPORTED, "at most 100000000");
        pd_bytes_free(&file);
        char pnm[64];
        snprintf(pnm, sizeof pnm, "P6 %u %u 255\n123", w, h);
        refuse(pnm, strlen(pnm), NULL, PD_ERR_FORMAT, "cut short");
    }
    pd_bytes strip = png(65536, 1, &zlib, NULL);
    refuse(strip.data, strip.n, NULL, PD_ERR_UNSUPPORTED, "at most 65535");
    pd_bytes_free(&strip);
    pd_bytes empty = png(0, 5, &zlib, NULL);
    refuse(empty.data, empty.n, NULL, PD_ERR_FORMAT, "0 x 5");
    pd_bytes_free(&empty);
    pd_bytes_free(&zlib);
    refuse("P5 99999999999 1 255\n1", 22, NULL, PD_ERR_FORMAT, "damaged");
    static const uint8_t tga[18] = {[2] = 2, [12] = 0xff, 0xff, 0xff, 0xff, 24, 0};
    refuse(tga, sizeof tga, NULL, PD_ERR_FORMAT, "cut short");
    static const char gif[] = "GIF89a\xff\xff\xff\xff\x80\0\0abcdef,\0\0\0\0\x01\0\x01\0\0\x02\x02"
                              "\x44\x01\0;";
    refuse(gif, sizeof gif - 1, NULL, PD_ERR_UNSUPPORTED, "65535 x 65535");
}

static void test_bmp_headers_that_lie(void **state) {
    (void)state;
    static const struct {
        uint32_t offset, header, width, height, bits, method;
        pd_status status;
    } cases[] = {
        {54, 40, 1, 1, 24, 0, PD_OK},
        {54, 40, 1, 0xffffffff, 24, 0, PD_OK}, /* top row first */
        {54, 40, 1, 0x80000000, 24, 0, PD_ERR_FORMAT},
        {54, 40, 0x80000000, 1, 24, 0, PD_ERR_FORMAT},
        {54, 40, 0x7fffffff, 0x7fffffff, 32, 0, PD_ERR_FORMAT},
        {54, 40, 0, 0, 24, 0, PD_ERR_FORMAT},
        {55, 40, 1, 1, 24, 0, PD_ERR_FORMAT},
        {0xffffffff, 40, 1, 1, 24, 0, PD_ERR_FORMAT},
        {54, 0xfffffff0, 1, 1, 8, 0, PD_ERR_FORMAT},
        {54, 39, 1, 1, 24, 0, PD_ERR_UNSUPPORTED},
        {54, 40, 1, 1, 8, 1, PD_ERR_UNSUPPORTED},
        {54, 40, 1, 1, 24, 3, PD_ERR_UNSUPPORTED},
        {54, 40, 1, 1, 0, 0, PD_ERR_UNSUPPORTED},
        {54, 40, 1, 1, 7, 0, PD_ERR_UNSUPPORTED},
        {54, 40, 1, 1, 32, 3, PD_ERR_FORMAT}, /* the masks are not there */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        pd_bytes b = {0};
        pd_bytes_write(&b, "BM\0\0\0\0\0\0\0", 10);
        write_le32(&b, cases[i].offset);
        write_le32(&b, cases[i].header);
        write_le32(&b, cases[i].width);
        write_le32(&b, cases[i].height);
        write_le32(&b, 1 | cases[i].bits << 16);
        write_le32(&b, cases[i].method);
        for (int k = 0; k < 5; k++) write_le32(&b, 0);
        write_le32(&b, 0x00010203);
        pd_image image;
        pd_status status = pd_image_decode(b.data, b.n, NULL, &image, NULL);
        if (status != cases[i].status) fail_msg("case %zu: %s", i, pd_status_name(status));
        if (status == PD_OK) assert_memory_equal(image.rgb, "\1\2\3", 3);
        pd_image_free(&image);
        pd_bytes_free(&b);
    }
}

/* Every byte of a small PNG counts: changed in any way, the image is refused. */
static void test_png_checksums(void **state) {
    (void)state;
    const uint8_t rows[14] = {0, 1, 2, 3, 4, 5, 6, 0, 7, 8, 9, 10, 11, 12};
    pd_bytes zlib = stored(rows, sizeof rows), file = {0};
    write_ihdr(&file, 2, 2, 8, 2);
    write_chunk(&file, "tEXt", "Title\0x", 7);
    write_chunk(&file, "IDAT", zlib.data, zlib.n);
    write_chunk(&file, "IEND", "", 0);
    pd_image image = decode(&file);
    pd_image_free(&image);
    for (size_t i = 0; i < file.n; i++) {
        pd_error err = {0};
        file.data[i] ^= 0x10;
        if (pd_image_decode(file.data, file.n, NULL, &image, &err) == PD_OK)
            fail_msg("byte %zu may be changed", i);
        file.data[i] ^= 0x10;
    }
    pd_bytes_free(&file);
    /* the chunk's checksum is right, that of the pixels is not */
    zlib.data[zlib.n - 1] ^= 1;
    file = png(2, 2, &zlib, NULL);
    refuse(file.data, file.n, NULL, PD_ERR_FORMAT, "incorrect data check");
    pd_bytes_free(&file);
    pd_bytes_free(&zlib);
}

/* The standard's table 8; each kind of colour has its depths. */
static void test_png_kinds(void **state) {
    (void)state;
    static const uint32_t depths[7] = {
        [0] = 1 | 2 | 4 | 8 | 16, [2] = 8 | 16, [3] = 1 | 2 | 4 | 8, [4] = 8 | 16, [6] = 8 | 16};
    const uint8_t row[9] = {0};
    static const uint8_t samples[7] = {1, 0, 3, 1, 2, 0, 4};
    for (uint8_t kind = 0; kind < 8; kind++) {
        for (uint32_t depth = 0; depth <= 32; depth++) {
            bool legal =
                kind < 7 && depth && (depths[kind] & depth) == depth && (depth & (depth - 1)) == 0;
            size_t n = 1 + (legal ? (samples[kind] * depth + 7) / 8 : 8);
            pd_bytes zlib = stored(row, n), file = {0};
            pd_image image;
            write_ihdr(&file, 1, 1, (uint8_t)depth, kind);
            if (kind == 3) write_chunk(&file, "PLTE", row, 3);
            write_chunk(&file, "IDAT", zlib.data, zlib.n);
            write_chunk(&file, "IEND", "", 0);
            pd_error err = {0};
            pd_status status = pd_image_decode(file.data, file.n, NULL, &image, &err);
            if (status != (legal ? PD_OK : PD_ERR_FORMAT))
                fail_msg("kind %u of depth %u: %d, %s", kind, depth, (int)status, err.message);
            pd_image_free(&image);
            pd_bytes_free(&zlib);
            pd_bytes_free(&file);
        }
    }
}

/* Pixels may lie in many chunks, empty ones among them. */
static void test_png_empty_chunks(void **state) {
    (void)state;
    const uint8_t rows[14] = {0, 1, 2, 3, 4, 5, 6, 0, 7, 8, 9, 10, 11, 12};
    pd_bytes zlib = stored(rows, sizeof rows), file = {0};
    write_ihdr(&file, 2, 2, 8, 2);
    for (int i = 0; i < 1000; i++) write_chunk(&file, "IDAT", "", 0);
    for (size_t i = 0; i < zlib.n; i++) {
        write_chunk(&file, "IDAT", zlib.data + i, 1);
        write_chunk(&file, "IDAT", "", 0);
    }
    write_chunk(&file, "IEND", "", 0);
    pd_image image = decode(&file);
    assert_memory_equal(image.rgb, rows + 1, 6);
    assert_memory_equal(image.rgb + 6, rows + 8, 6);
    pd_image_free(&image);
    pd_bytes_free(&zlib);
    pd_bytes_free(&file);
}

/* A PNG of one pixel whose data unpacks to 200 MB: deflate with fixed codes, "258 bytes from one
 * back" again and again, 13 bits each. */
static void test_png_bomb(void **state) {
    (void)state;
    enum { REPEATS = 200000000 / 258 };
    pd_bytes zlib = {0};
    uint32_t bits = 0x3 | 0x0c << 3, n_bits = 3 + 8; /* last block, fixed codes; the literal 0 */
    pd_bytes_write(&zlib, "\x78\x01", 2);
    for (uint32_t i = 0; i < REPEATS; i++) {
        bits |=
            0xa3u << n_bits; /* length code 285, its 8 bits reversed; distance code 0: 5 zeros */
        for (n_bits += 13; n_bits >= 8; n_bits -= 8, bits >>= 8) {
            uint8_t byte = (uint8_t)bits;
            pd_bytes_write(&zlib, &byte, 1);
        }
    }
    write_be32(&zlib, 0);
    pd_bytes file = png(1, 1, &zlib, NULL);
    refuse(file.data, file.n, NULL, PD_ERR_FORMAT, "unpacks to far more");
    pd_bytes_free(&zlib);
    pd_bytes_free(&file);
}

/* Huffman tables with more codes than there are would be written behind stb_image's arrays. */
static void test_jpeg_huffman_tables(void **state) {
    (void)state;
    size_t n;
    char *jpeg = read_file(IMAGES("baseline.jpg"), &n), *dht = memmem(jpeg, n, "\xff\xc4", 2);
    assert_non_null(dht);
    memset(dht + 5, 0xff, 16);
    refuse(jpeg, n, NULL, PD_ERR_FORMAT, "Huffman");
    memset(dht + 5, 0, 16);
    dht[5 + 0] = 3; /* three codes of one bit */
    refuse(jpeg, n, NULL, PD_ERR_FORMAT, "Huffman");
    free(jpeg);
}

/* Scans without end would keep the decoder busy for hours. */
static void test_jpeg_scans(void **state) {
    (void)state;
    size_t n;
    char *jpeg = read_file(IMAGES("progressive.jpg"), &n), *sos = memmem(jpeg, n, "\xff\xda", 2);
    assert_non_null(sos);
    char *next = memmem(sos + 2, n - (size_t)(sos + 2 - jpeg), "\xff\xc4", 2);
    assert_non_null(next);
    pd_bytes file = {0};
    pd_bytes_write(&file, jpeg, (size_t)(sos - jpeg));
    for (int i = 0; i < 101; i++) pd_bytes_write(&file, sos, (size_t)(next - sos));
    pd_bytes_write(&file, "\xff\xd9", 2);
    refuse(file.data, file.n, NULL, PD_ERR_FORMAT, "more than 100 scans");
    pd_bytes_free(&file);
    free(jpeg);
}

/* ---- resizing, windows, packing ----------------------------------------------------------------
 */

static void check_resize(uint32_t n, const uint8_t *in, uint32_t m, const uint8_t *expected) {
    uint8_t rgb[3 * 16];
    for (uint32_t i = 0; i < 3 * n; i++) rgb[i] = in[i / 3];
    for (int down = 0; down < 2; down++) {
        pd_image image = {down ? 1 : n, down ? n : 1, rgb}, out;
        pd_error err;
        must(pd_image_resize(&image, down ? 1 : m, down ? m : 1, &out, &err), &err);
        for (uint32_t i = 0; i < 3 * m; i++) assert_int_equal(out.rgb[i], expected[i / 3]);
        pd_image_free(&out);
    }
}

static void test_resize_vectors(void **state) {
    (void)state;
    static const uint8_t row[] = {0, 50, 100, 200, 255};
    check_resize(5, row, 3, (const uint8_t[]){21, 111, 231});
    check_resize(5, row, 8, (const uint8_t[]){0, 22, 53, 84, 131, 194, 231, 255});
    check_resize(5, row, 2, (const uint8_t[]){52, 188});
    check_resize(5, row, 5, row);
    check_resize(1, (const uint8_t[]){255}, 3, (const uint8_t[]){255, 255, 255});
    pd_image image = {1, 1, (uint8_t[]){1, 2, 3}}, out;
    assert_int_equal(pd_image_resize(&image, 0, 1, &out, NULL), PD_ERR_ARGUMENT);
    assert_int_equal(pd_image_resize(&image, 1, 0, &out, NULL), PD_ERR_ARGUMENT);
    assert_int_equal(pd_image_resize(&image, 65536, 1, &out, NULL), PD_ERR_ARGUMENT);
    assert_int_equal(pd_image_resize(&image, 1, UINT32_MAX, &out, NULL), PD_ERR_ARGUMENT);
    assert_null(out.rgb);
}

static const float half[3] = {0.5f, 0.5f, 0.5f}; /* Gemma 3's mean and deviation */

static void test_golden_pixels(void **state) {
    (void)state;
    pd_image image, square;
    pd_error err;
    size_t n, bytes = 3 * 224 * 224 * sizeof(float);
    float *expected = (float *)(void *)read_file(GOLDEN("image.pixels.f32"), &n);
    assert_int_equal(n, bytes);
    must(pd_image_read(GOLDEN("image.png"), NULL, &image, &err), &err);
    must(pd_image_resize(&image, 224, 224, &square, &err), &err);
    float *chw = malloc(bytes);
    pd_image_pack(&square, half, half, chw);
    for (size_t i = 0; i < bytes / sizeof(float); i++)
        if (memcmp(chw + i, expected + i, sizeof(float)) != 0)
            fail_msg("pixel value %zu is %.9g, not %.9g", i, (double)chw[i], (double)expected[i]);
    free(chw);
    free(expected);
    pd_image_free(&image);
    pd_image_free(&square);
}

/* Both ways of writing the formula, for every value; the layout; statistics of each colour's own.
 */
static void test_pack(void **state) {
    (void)state;
    const float mean[3] = {0, 0.25f, 0.5f}, std[3] = {1, 0.5f, 0.25f};
    uint8_t rgb[256 * 3];
    float chw[3 * 256];
    for (uint32_t i = 0; i < 256; i++) {
        rgb[3 * i] = (uint8_t)i;
        rgb[3 * i + 1] = (uint8_t)(255 - i);
        rgb[3 * i + 2] = 0;
    }
    pd_image_pack(&(pd_image){64, 4, rgb}, half, half, chw);
    for (int i = 0; i < 256; i++) {
        assert_true(chw[i] == (float)i / 127.5f - 1);
        assert_true(chw[256 + i] == (float)(255 - i) / 127.5f - 1);
        assert_true(chw[512 + i] == -1);
    }
    pd_image_pack(&(pd_image){64, 4, rgb}, mean, std, chw);
    for (int i = 0; i < 256; i++) {
        assert_true(chw[i] == (float)(i * (1.0 / 255.0)));
        assert_true(chw[256 + i] == ((float)((255 - i) * (1.0 / 255.0)) - 0.25f) / 0.5f);
        assert_true(chw[512 + i] == -2);
    }
}

static void test_crops(void **state) {
    (void)state;
    static const pd_crop_rule tiny = {1, 16, 1.2}, four = {1, 4, 1.2}, one = {256, 1, 1.2},
                              late = {256, 4, 1.5};
    static const struct {
        uint32_t width, height;
        const pd_crop_rule *rule;
        uint32_t n;
        pd_rect last;
    } cases[] = {
        {1000, 1000, NULL, 0, {0}},
        {1199, 1000, NULL, 0, {0}},
        {1200, 1000, NULL, 2, {600, 0, 600, 1000}},
        {1000, 1200, NULL, 2, {0, 600, 1000, 600}},
        {1200, 1000, &late, 0, {0}},
        {1001, 500, NULL, 2, {501, 0, 500, 500}},
        {500, 1001, NULL, 2, {0, 501, 500, 500}},
        {1250, 500, NULL, 3, {834, 0, 416, 500}}, /* 2.5 rounds up */
        {3000, 500, NULL, 4, {2250, 0, 750, 500}},
        {3000, 255, NULL, 0, {0}},
        {400, 300, NULL, 0, {0}}, /* windows of 200 pixels would be too narrow */
        {511, 300, NULL, 2, {256, 0, 255, 300}},
        {1100, 256, NULL, 4, {825, 0, 275, 256}},
        {900, 256, NULL, 3, {600, 0, 300, 256}}, /* three of at least 256 fit */
        {5, 1, &tiny, 5, {4, 0, 1, 1}},
        {5, 1, &four, 3, {4, 0, 1, 1}}, /* a fourth window would lie outside */
        {3000, 500, &one, 1, {0, 0, 3000, 500}},
        {100000, 1, &tiny, 16, {93750, 0, 6250, 1}},
        {UINT32_MAX, 1000, NULL, 4, {3221225472u, 0, 1073741823, 1000}},
        {0, 0, NULL, 0, {0}},
        {5, 0, NULL, 0, {0}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        pd_rect out[PD_MAX_CROPS];
        uint32_t n = pd_image_crops(cases[i].width, cases[i].height, cases[i].rule, out);
        if (n != cases[i].n) fail_msg("case %zu: %u windows, not %u", i, n, cases[i].n);
        if (n) assert_memory_equal(&out[n - 1], &cases[i].last, sizeof(pd_rect));
    }
}

static void test_crop(void **state) {
    (void)state;
    uint8_t rgb[4 * 3 * 3];
    for (size_t i = 0; i < sizeof rgb; i++) rgb[i] = (uint8_t)i;
    pd_image image = {4, 3, rgb}, out;
    assert_int_equal(pd_image_crop(&image, (pd_rect){1, 1, 2, 2}, &out, NULL), PD_OK);
    static const uint8_t expected[] = {15, 16, 17, 18, 19, 20, 27, 28, 29, 30, 31, 32};
    assert_int_equal(out.width, 2);
    assert_int_equal(out.height, 2);
    assert_memory_equal(out.rgb, expected, sizeof expected);
    pd_image_free(&out);
    static const pd_rect outside[] = {{0, 0, 5, 1},          {0, 0, 1, 4}, {4, 0, 1, 1},
                                      {1, 0, UINT32_MAX, 1}, {0, 0, 0, 1}, {0, UINT32_MAX, 1, 2}};
    for (size_t i = 0; i < sizeof outside / sizeof outside[0]; i++)
        assert_int_equal(pd_image_crop(&image, outside[i], &out, NULL), PD_ERR_ARGUMENT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_png_pixels),
        cmocka_unit_test(test_orientation_of_png),
        cmocka_unit_test(test_damaged_exif_is_ignored),
        cmocka_unit_test(test_orientation_of_jpeg),
        cmocka_unit_test(test_formats_agree),
        cmocka_unit_test(test_read_names_the_file),
        cmocka_unit_test(test_unknown_and_unread_formats),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_headers_that_lie),
        cmocka_unit_test(test_bmp_headers_that_lie),
        cmocka_unit_test(test_png_bomb),
        cmocka_unit_test(test_png_checksums),
        cmocka_unit_test(test_png_kinds),
        cmocka_unit_test(test_png_empty_chunks),
        cmocka_unit_test(test_jpeg_huffman_tables),
        cmocka_unit_test(test_jpeg_scans),
        cmocka_unit_test(test_resize_vectors),
        cmocka_unit_test(test_golden_pixels),
        cmocka_unit_test(test_pack),
        cmocka_unit_test(test_crops),
        cmocka_unit_test(test_crop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
