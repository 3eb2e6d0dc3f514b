/* Images: known pixels of each format, the eight orientations, resizing vectors, windows, and the
 * golden image bit for bit. tests/image compares with Pillow itself, test_image_refused.c holds
 * what is refused.
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

#include "support_data.h"
#include "support_image_files.h"

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
                 {"film.gif", 60},     {"lossless.webp", 0},    {"alpha.webp", 0},
                 {"lossy.webp", 40}};
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

/* lossy_webp.png has Pillow's pixels of it; RFC 6386 leaves no freedom up to Y, U and V, and the
 * conversion to RGB rounds once. */
static void test_lossy_webp(void **state) {
    (void)state;
    pd_image ours, pillows;
    pd_error err;
    must(pd_image_read(IMAGES("lossy.webp"), NULL, &ours, &err), &err);
    must(pd_image_read(IMAGES("lossy_webp.png"), NULL, &pillows, &err), &err);
    assert_int_equal(ours.width, pillows.width);
    assert_int_equal(ours.height, pillows.height);
    for (size_t i = 0; i < 3 * (size_t)ours.width * ours.height; i++)
        assert_in_range(ours.rgb[i] + 2 - pillows.rgb[i], 0, 4);
    pd_image_free(&ours);
    pd_image_free(&pillows);
}

/* The file with another chunk at its end, and the size in its heading as it has to be; libwebp
 * wants the form with a VP8X for it. */
static pd_bytes webp_with(const char *name, const char type[4], const pd_bytes *data) {
    size_t n;
    pd_bytes b = {0};
    pd_image image;
    pd_error err;
    char *file = read_file(name, &n);
    must(pd_image_decode(file, n, NULL, &image, &err), &err);
    pd_bytes_write(&b, "RIFF", 4);
    write_le32(&b, (uint32_t)(4 + 18 + (n - 12) + 8 + data->n + data->n % 2));
    pd_bytes_write(&b, "WEBPVP8X", 8);
    write_le32(&b, 10);
    write_le32(&b, memcmp(type, "EXIF", 4) == 0 ? 8 : 0);
    write_le16(&b, (image.width - 1) & 0xffff);
    write_le32(&b, (image.height - 1) << 8);
    pd_bytes_write(&b, file + 12, n - 12);
    pd_bytes_write(&b, type, 4);
    write_le32(&b, (uint32_t)data->n);
    pd_bytes_write(&b, data->data, data->n);
    pd_bytes_write(&b, "\0", data->n % 2);
    pd_image_free(&image);
    free(file);
    return b;
}

static void test_orientation_of_webp(void **state) {
    (void)state;
    pd_image upright;
    pd_error err;
    must(pd_image_read(IMAGES("lossless.webp"), NULL, &upright, &err), &err);
    for (int headed = 0; headed < 2; headed++) {
        pd_bytes tiff = exif_block(3, headed), exif = {0};
        if (headed) pd_bytes_write(&exif, "Exif\0\0", 6);
        pd_bytes_write(&exif, tiff.data, tiff.n);
        pd_bytes file = webp_with(IMAGES("lossless.webp"), "EXIF", &exif);
        pd_image image = decode(&file);
        size_t n = (size_t)upright.width * upright.height;
        assert_int_equal(image.width, upright.width);
        for (size_t i = 0; i < n; i++)
            assert_memory_equal(image.rgb + 3 * i, upright.rgb + 3 * (n - 1 - i), 3);
        pd_image_free(&image);
        pd_bytes_free(&tiff);
        pd_bytes_free(&exif);
        pd_bytes_free(&file);
    }
    pd_bytes none = {0}, animated = webp_with(IMAGES("lossless.webp"), "ANIM", &none);
    refuse(animated.data, animated.n, NULL, PD_ERR_UNSUPPORTED,
           "animated WebP images are not read");
    pd_bytes_free(&animated);
    pd_image_free(&upright);
}

static void test_read_names_the_file(void **state) {
    (void)state;
    pd_image image;
    pd_error err = {0};
    assert_int_equal(pd_image_read("/nowhere/x.png", NULL, &image, &err), PD_ERR_IO);
    assert_non_null(strstr(err.message, "/nowhere/x.png"));
    const char *text = test_data("golden/manifest.json"); /* no picture */
    assert_int_equal(pd_image_read(text, NULL, &image, &err), PD_ERR_UNSUPPORTED);
    assert_non_null(strstr(err.message, text));
    assert_int_equal(pd_image_read(text, NULL, &image, NULL), PD_ERR_UNSUPPORTED);
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
        cmocka_unit_test(test_lossy_webp),
        cmocka_unit_test(test_orientation_of_webp),
        cmocka_unit_test(test_read_names_the_file),
        cmocka_unit_test(test_resize_vectors),
        cmocka_unit_test(test_golden_pixels),
        cmocka_unit_test(test_pack),
        cmocka_unit_test(test_crops),
        cmocka_unit_test(test_crop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
