/* Small image files as bytes, for the tests of decoding.  SPDX-License-Identifier: MIT */
#ifndef PD_TEST_SUPPORT_IMAGE_FILES_H
#define PD_TEST_SUPPORT_IMAGE_FILES_H

#include <string.h>

#include "base/bytes.h"
#include "image/image.h"
#include "support_golden.h"

#define IMAGES(name) test_data("images/" name)

static inline pd_image decode(const pd_bytes *b) {
    pd_image image;
    pd_error err;
    must(pd_image_decode(b->data, b->n, NULL, &image, &err), &err);
    return image;
}

/* Fails with the status, with words of the sentence in it, and without an image. */
static inline void refuse(const void *data, size_t n, const pd_image_limits *limits,
                          pd_status status, const char *words) {
    pd_image image;
    pd_error err = {0};
    assert_int_equal(pd_image_decode(data, n, limits, &image, &err), status);
    if (!strstr(err.message, words)) fail_msg("\"%s\" lacks \"%s\"", err.message, words);
    assert_null(image.rgb);
    assert_int_equal(pd_image_decode(data, n, limits, &image, NULL), status);
}

/* ---- writing small files ----------------------------------------------------------------------
 */

static inline void write_be32(pd_bytes *b, uint32_t v) {
    const uint8_t bytes[4] = {(uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8),
                              (uint8_t)v};
    pd_bytes_write(b, bytes, 4);
}

static inline void write_le16(pd_bytes *b, uint32_t v) {
    const uint8_t bytes[2] = {(uint8_t)v, (uint8_t)(v >> 8)};
    pd_bytes_write(b, bytes, 2);
}

static inline void write_le32(pd_bytes *b, uint32_t v) {
    write_le16(b, v & 0xffff);
    write_le16(b, v >> 16);
}

/* The checksum of a PNG's chunks (ISO 3309). */
static inline uint32_t crc_of(const char *data, size_t n) {
    uint32_t crc = 0xffffffff;
    for (size_t i = 0; i < n; i++) {
        crc ^= (uint8_t)data[i];
        for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
    }
    return ~crc;
}

/* The checksum of what zlib data unpacks to. */
static inline uint32_t adler_of(const uint8_t *data, size_t n) {
    uint32_t a = 1, b = 0;
    for (size_t i = 0; i < n; i++) {
        a = (a + data[i]) % 65521;
        b = (b + a) % 65521;
    }
    return b << 16 | a;
}

static inline void write_chunk(pd_bytes *b, const char *type, const void *data, size_t n) {
    write_be32(b, (uint32_t)n);
    pd_bytes_write(b, type, 4);
    pd_bytes_write(b, data, n);
    write_be32(b, crc_of(b->data + b->n - n - 4, n + 4));
}

static inline void write_ihdr(pd_bytes *b, uint32_t width, uint32_t height, uint8_t depth,
                              uint8_t kind) {
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
static inline pd_bytes png(uint32_t width, uint32_t height, const pd_bytes *zlib,
                           const pd_bytes *exif) {
    pd_bytes b = {0};
    write_ihdr(&b, width, height, 8, 2);
    if (exif) write_chunk(&b, "eXIf", exif->data, exif->n);
    write_chunk(&b, "IDAT", zlib->data, zlib->n);
    write_chunk(&b, "IEND", "", 0);
    return b;
}

/* zlib data of one stored block. */
static inline pd_bytes stored(const void *data, size_t n) {
    pd_bytes b = {0};
    pd_bytes_write(&b, "\x78\x01\x01", 3);
    write_le16(&b, (uint32_t)n);
    write_le16(&b, ~(uint32_t)n & 0xffff);
    pd_bytes_write(&b, data, n);
    write_be32(&b, adler_of(data, n));
    return b;
}

#endif
