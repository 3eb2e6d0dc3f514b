/* Images that are refused: unknown formats, limits, headers that lie, checksums, files that cost
 * more than they show. tests/fault/test_image_damage.c cuts and damages files.
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

#include "support_image_files.h"

/* ---- refusing ----------------------------------------------------------------------------------
 */

static void test_unknown_and_unread_formats(void **state) {
    (void)state;
    refuse("", 0, NULL, PD_ERR_FORMAT, "empty");
    refuse("hello, world, this is text", 26, NULL, PD_ERR_UNSUPPORTED, "no known format");
    refuse("\x89PNG", 4, NULL, PD_ERR_FORMAT, "cut short");
    refuse("RIFF\x10\0\0\0WEBPVP8 ", 16, NULL, PD_ERR_FORMAT, "cut short");
    refuse("RIFF\x0c\0\0\0WEBPVP8L\0\0\0\0", 20, NULL, PD_ERR_FORMAT, "no valid header");
    refuse("RIFF\x0c\0\0\0WEBPVP8L\x01\0\0\0", 20, NULL, PD_ERR_FORMAT, "a chunk beyond");
    refuse("RIFF\x08\0\0\0WAVEfmt ", 16, NULL, PD_ERR_UNSUPPORTED, "other than WebP");
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
        {0x55555556, 3},          {65535, 65535},           {8192, 8193}};
    static const uint8_t row[] = {0, 1, 2, 3};
    pd_bytes zlib = stored(row, sizeof row);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        uint32_t w = sizes[i][0], h = sizes[i][1];
        pd_bytes file = png(w, h, &zlib, NULL);
        refuse(file.data, file.n, NULL, PD_ERR_UNSUPPORTED, "at most 67108864");
        pd_bytes_free(&file);
        char pnm[64];
        snprintf(pnm, sizeof pnm, "P6 %u %u 255\n123", w, h);
        refuse(pnm, strlen(pnm), NULL, PD_ERR_FORMAT, "cut short");
    }
    pd_bytes largest = png(9248, 6944, &zlib, NULL);
    refuse(largest.data, largest.n, NULL, PD_ERR_FORMAT, "Not enough image data");
    pd_bytes_free(&largest);
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

/* One pixel; `size` and `codes` are the frame's code size and its only block of one byte. */
static void check_gif(uint8_t size, uint8_t codes, const char *words) {
    uint8_t gif[] = "GIF89a\1\0\1\0\x80\0\0abcdef,\0\0\0\0\1\0\1\0\0\2\1\0\0;";
    gif[sizeof gif - 6] = size;
    gif[sizeof gif - 4] = codes;
    if (words) {
        refuse(gif, sizeof gif - 1, NULL, PD_ERR_FORMAT, words);
        return;
    }
    pd_image image;
    pd_error err;
    must(pd_image_decode(gif, sizeof gif - 1, NULL, &image, &err), &err);
    assert_memory_equal(image.rgb, "def", 3);
    pd_image_free(&image);
}

static void test_gif_codes(void **state) {
    (void)state;
    check_gif(2, 4 | 1 << 3, NULL); /* clear, colour 1 */
    check_gif(2, 1, NULL);          /* without a clear */
    check_gif(2, 4 | 5 << 3, "end early");
    check_gif(2, 4 | 6 << 3, "impossible code");
    check_gif(2, 4 | 4 << 3, "end early"); /* clear, clear, and two bits */
    check_gif(0, 1, "impossible size");
    check_gif(9, 1, "impossible size");
    check_gif(113, 1, "impossible size");
    check_gif(255, 1, "impossible size");
}

static void test_bmp_headers_that_lie(void **state) {
    (void)state;
    static const struct {
        uint32_t offset, header, width, height, bits, method;
        uint32_t used;
        pd_status status;
    } cases[] = {
        {54, 40, 1, 1, 24, 0, 0, PD_OK},
        {54, 40, 1, 0xffffffff, 24, 0, 0, PD_OK}, /* top row first */
        {54, 40, 1, 0x80000000, 24, 0, 0, PD_ERR_FORMAT},
        {54, 40, 0x80000000, 1, 24, 0, 0, PD_ERR_FORMAT},
        {54, 40, 0x7fffffff, 0x7fffffff, 32, 0, 0, PD_ERR_FORMAT},
        {54, 40, 0, 0, 24, 0, 0, PD_ERR_FORMAT},
        {55, 40, 1, 1, 24, 0, 0, PD_ERR_FORMAT},
        {0xffffffff, 40, 1, 1, 24, 0, 0, PD_ERR_FORMAT},
        {54, 0xfffffff0, 1, 1, 8, 0, 0, PD_ERR_UNSUPPORTED},
        {54, 0x80000000, 1, 1, 24, 0, 0, PD_ERR_UNSUPPORTED},
        {54, 0x7f000028, 1, 1, 24, 0, 0, PD_ERR_UNSUPPORTED},
        {54, 41, 1, 1, 24, 0, 0, PD_ERR_UNSUPPORTED},
        {53, 40, 1, 1, 24, 0, 0, PD_ERR_FORMAT},
        {54, 40, 1, 1, 24, 0, 256, PD_OK},
        {54, 40, 1, 1, 24, 0, 0xffffffff, PD_ERR_FORMAT},
        {54, 40, 1, 1, 8, 0, 257, PD_ERR_FORMAT},
        {54, 39, 1, 1, 24, 0, 0, PD_ERR_UNSUPPORTED},
        {54, 40, 1, 1, 8, 1, 0, PD_ERR_UNSUPPORTED},
        {54, 40, 1, 1, 24, 3, 0, PD_ERR_UNSUPPORTED},
        {54, 40, 1, 1, 0, 0, 0, PD_ERR_UNSUPPORTED},
        {54, 40, 1, 1, 7, 0, 0, PD_ERR_UNSUPPORTED},
        {54, 40, 1, 1, 32, 3, 0, PD_ERR_FORMAT}, /* the masks are not there */
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
        for (int k = 0; k < 3; k++) write_le32(&b, 0);
        write_le32(&b, cases[i].used);
        write_le32(&b, 0);
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

/* What a scan refers to must have been defined, and not after it. */
static void test_jpeg_without_tables(void **state) {
    (void)state;
    char names[2][256];
    snprintf(names[0], sizeof names[0], "%s", IMAGES("baseline.jpg"));
    snprintf(names[1], sizeof names[1], "%s", IMAGES("progressive.jpg"));
    static const char *const markers[] = {"\xff\xdb", "\xff\xc4"};
    for (int f = 0; f < 2; f++) {
        for (int m = 0; m < 2; m++) {
            size_t n, length;
            uint8_t *jpeg = (uint8_t *)read_file(names[f], &n);
            uint8_t *at = memmem(jpeg, n, markers[m], 2);
            assert_non_null(at);
            length = 2 + ((size_t)at[2] << 8 | at[3]);
            memmove(at, at + length, n - length - (size_t)(at - jpeg));
            refuse(jpeg, n - length, NULL, PD_ERR_FORMAT, "a table that is not there");
            free(jpeg);
        }
    }
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
    /* said to be of 67 million pixels, it gets fewer; the frame's height is behind its precision */
    char *frame = memmem(file.data, file.n, "\xff\xc2", 2);
    assert_non_null(frame);
    memcpy(frame + 5, "\x20\0\x20\0", 4);
    refuse(file.data, file.n, NULL, PD_ERR_FORMAT, "more than 16 scans");
    pd_bytes_free(&file);
    free(jpeg);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unknown_and_unread_formats),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_headers_that_lie),
        cmocka_unit_test(test_gif_codes),
        cmocka_unit_test(test_bmp_headers_that_lie),
        cmocka_unit_test(test_png_bomb),
        cmocka_unit_test(test_png_checksums),
        cmocka_unit_test(test_png_kinds),
        cmocka_unit_test(test_png_empty_chunks),
        cmocka_unit_test(test_jpeg_huffman_tables),
        cmocka_unit_test(test_jpeg_scans),
        cmocka_unit_test(test_jpeg_without_tables),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
