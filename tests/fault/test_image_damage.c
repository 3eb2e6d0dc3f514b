/* Small sound images of every format, cut at every length and with bytes changed at random.
 *
 * Every truncation must be refused; a changed file must be refused or decoded, without a crash or a
 * sanitizer's report. Each version lies in memory of exactly its size, so that a read behind it is
 * seen.
 *
 * SPDX-License-Identifier: MIT
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "image/image.h"
#include "support_golden.h"

static const char *const files[] = {"small.png", "baseline.jpg", "progressive.jpg", "grey.jpg",
                                    "film.gif",  "palette.bmp",  "small.bmp",       "packed.tga",
                                    "small.ppm", "lossy.webp",   "lossless.webp",   "alpha.webp"};
enum { N_FILES = sizeof files / sizeof files[0], VERSIONS = 4000 };

static char *read_image(const char *name, size_t *n) {
    char path[512];
    snprintf(path, sizeof path, "%s/%s", test_data("images"), name);
    return read_file(path, n);
}

static pd_status decode(const char *bytes, size_t n) {
    static const pd_image_limits limits = {.max_pixels = 1000000};
    char *exact = malloc(n ? n : 1);
    memcpy(exact, bytes, n);
    pd_image image;
    pd_error err = {0};
    pd_status status = pd_image_decode(exact, n, &limits, &image, &err);
    if (status == PD_OK) {
        assert_non_null(image.rgb);
    } else {
        assert_null(image.rgb);
        assert_int_equal(err.status, status);
        assert_true(strlen(err.message) > 10);
    }
    pd_image_free(&image);
    free(exact);
    return status;
}

static void test_every_truncation_is_refused(void **state) {
    (void)state;
    for (size_t f = 0; f < N_FILES; f++) {
        size_t n;
        char *bytes = read_image(files[f], &n);
        bool has_magic = !strstr(files[f], ".tga");
        assert_int_equal(decode(bytes, n), PD_OK);
        for (size_t cut = 0; cut < n; cut++) {
            pd_status status = decode(bytes, cut);
            bool right =
                status == PD_ERR_FORMAT || (!has_magic && cut < 18 && status == PD_ERR_UNSUPPORTED);
            if (!right)
                fail_msg("%s cut at %zu of %zu bytes: %s", files[f], cut, n,
                         pd_status_name(status));
        }
        free(bytes);
    }
}

static uint32_t next_random(uint64_t *seed) {
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*seed >> 33);
}

static void test_changed_bytes(void **state) {
    (void)state;
    for (size_t f = 0; f < N_FILES; f++) {
        size_t n;
        char *bytes = read_image(files[f], &n), *changed = malloc(n);
        uint64_t seed = f + 1;
        uint32_t refused = 0;
        for (int version = 0; version < VERSIONS; version++) {
            memcpy(changed, bytes, n);
            for (uint32_t k = next_random(&seed) % 4 + 1; k > 0; k--) {
                /* half of the changes in the first bytes, where the structure is */
                size_t range = next_random(&seed) % 2 && n > 64 ? 64 : n;
                changed[next_random(&seed) % range] = (char)next_random(&seed);
            }
            pd_status status = decode(changed, n);
            if (status == PD_ERR_FORMAT || status == PD_ERR_UNSUPPORTED)
                refused++;
            else
                assert_int_equal(status, PD_OK);
        }
        assert_true(refused > 0);
        free(changed);
        free(bytes);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_truncation_is_refused),
        cmocka_unit_test(test_changed_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
