/* Sound files, a model's and an image encoder's, damaged in every small way: cut at every length,
 * each header byte changed, and random values written over the header. Each must end in an error or
 * a load whose views can be read to their ends; a crash, a sanitizer's report or another status
 * fails.
 *
 * The copy is changed in place, so that nothing is written but the damage itself. Truncations go
 * downwards by ftruncate; below the last tensor's end every one must be refused, and in the data
 * the message must say exactly how many bytes are missing.
 *
 * SPDX-License-Identifier: MIT
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <inttypes.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/memory.h"
#include "model/vision_weights.h"
#include "model/weights.h"
#include "support_data.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SLOWED_DOWN
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define SLOWED_DOWN
#endif

/* Reads the settings of an open file and binds its tensors. */
typedef pd_status (*bind_fn)(const pd_gguf *g, pd_error *err);

static bind_fn bind; /* of the kind of file at hand */
static char path[64];
static int fd = -1;
static uint8_t *bytes; /* the copy, mapped for writing */
static size_t n_bytes;
static uint64_t data_begin, data_end; /* first tensor's first byte, behind the last one's last */
static uint64_t read_sum;             /* keeps the reads below from being left out */

/* ---- the copy ------------------------------------------------------------------------------ */

static void find_data(void) {
    pd_gguf *g;
    assert_int_equal(pd_gguf_open(path, &g, NULL), PD_OK);
    data_begin = UINT64_MAX;
    data_end = 0;
    for (uint64_t i = 0; i < pd_gguf_tensor_count(g); i++) {
        const pd_tensor *t = pd_gguf_tensor_at(g, i);
        if (t->offset < data_begin) data_begin = t->offset;
        if (t->offset + t->n_bytes > data_end) data_end = t->offset + t->n_bytes;
    }
    pd_gguf_close(g);
    assert_true(data_begin > 1000 && data_begin < data_end && data_end <= n_bytes);
}

static int make_copy(const char *source) {
    char *data;
    snprintf(path, sizeof path, "%s/peridot-test-XXXXXX",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    fd = mkstemp(path);
    if (fd < 0 || pd_file_read_all(source, 1 << 30, &data, &n_bytes, NULL) != PD_OK) return -1;
    bool written = write(fd, data, n_bytes) == (ssize_t)n_bytes;
    pd_free(data);
    if (!written) return -1;
    bytes = mmap(NULL, n_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (bytes == MAP_FAILED) return -1;
    find_data();
    return 0;
}

static int remove_copy(void **state) {
    (void)state;
    munmap(bytes, n_bytes);
    close(fd);
    return unlink(path);
}

/* ---- loading ------------------------------------------------------------------------------- */

static void read_ends(const uint8_t *data, uint64_t n) {
    if (n > 0) read_sum += (uint64_t)data[0] + data[n - 1];
}

static void read_views(const pd_gguf *g) {
    for (uint64_t i = 0; i < pd_gguf_value_count(g); i++) {
        const pd_gguf_value *v = pd_gguf_value_at(g, i);
        read_ends((const uint8_t *)v->key.data, v->key.n);
        read_ends(v->data, v->n_bytes);
        uint64_t cursor = 0;
        for (uint64_t k = 0; v->item_kind == PD_GGUF_STRING && k < v->count; k++) {
            pd_string s = pd_gguf_string_next(v, &cursor);
            read_ends((const uint8_t *)s.data, s.n);
        }
    }
    for (uint64_t i = 0; i < pd_gguf_tensor_count(g); i++) {
        const pd_tensor *t = pd_gguf_tensor_at(g, i);
        read_ends(t->data, t->n_bytes);
    }
}

static pd_status bind_text(const pd_gguf *g, pd_error *err) {
    static pd_config config;
    static pd_weights weights;
    PD_TRY(pd_config_read(g, &config, err));
    return pd_weights_bind(g, &config, &weights, err);
}

static pd_status bind_vision(const pd_gguf *g, pd_error *err) {
    static pd_vision_config config;
    static pd_vision_weights weights;
    PD_TRY(pd_vision_config_read(g, &config, err));
    PD_TRY(pd_vision_weights_bind(g, &config, &weights, err));
    read_ends(weights.projection->data, weights.projection->n_bytes);
    pd_vision_weights_free(&weights);
    return PD_OK;
}

static pd_status load(pd_error *err) {
    pd_gguf *g = NULL;
    PD_TRY(pd_gguf_open(path, &g, err));
    read_views(g);
    pd_status status = bind(g, err);
    pd_gguf_close(g);
    return status;
}

static void expect_clean(const char *what, uint64_t at) {
    pd_error err = {0};
    pd_status status = load(&err);
    bool clean = status == PD_OK || status == PD_ERR_FORMAT || status == PD_ERR_UNSUPPORTED ||
                 status == PD_ERR_MODEL || status == PD_ERR_ARGUMENT;
    if (!clean || (status != PD_OK && err.message[0] == '\0'))
        fail_msg("%s at byte %" PRIu64 ": %s \"%s\"", what, at, pd_status_name(status),
                 err.message);
}

/* ---- tests --------------------------------------------------------------------------------- */

static void test_sound_file_loads(void **state) {
    (void)state;
    pd_error err = {0};
    if (load(&err) != PD_OK) fail_msg("%s", err.message);
}

static void test_flipped_header_bytes(void **state) {
    (void)state;
    static const uint8_t masks[] = {0xff, 0x01, 0x08, 0x80};
    for (uint64_t at = 0; at < data_begin; at++) {
        for (size_t k = 0; k < sizeof masks; k++) {
            bytes[at] ^= masks[k];
            expect_clean("a flip", at);
            bytes[at] ^= masks[k];
        }
    }
}

static uint64_t random_state = 1;
static uint64_t random_u64(void) { /* splitmix64 */
    uint64_t z = random_state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

/* Numbers that tend to break arithmetic, over fields of four and eight bytes. */
static void test_overwritten_header_fields(void **state) {
    (void)state;
    static const uint64_t numbers[] = {0,          1,          UINT64_MAX, UINT64_MAX - 7,
                                       1ull << 63, 1ull << 62, 1ull << 32, UINT32_MAX,
                                       1ull << 31, 0x7fffffff, 1ull << 20, 33};
    for (int i = 0; i < 20000; i++) {
        uint8_t kept[8];
        uint64_t number = numbers[random_u64() % (sizeof numbers / sizeof numbers[0])];
        size_t width = random_u64() % 2 ? 4 : 8;
        /* Half of them near the front, where counts are. */
        uint64_t room = random_u64() % 2 ? 1000 : data_begin - 8, at = random_u64() % room;
        memcpy(kept, bytes + at, width);
        memcpy(bytes + at, &number, width);
        expect_clean("a number", at);
        memcpy(bytes + at, kept, width);
    }
}

static void expect_truncated(uint64_t length) {
    pd_gguf *g = NULL;
    pd_error err = {0};
    char words[64];
    pd_status status = pd_gguf_open(path, &g, &err);
    assert_null(g);
    if (status != PD_ERR_FORMAT)
        fail_msg("cut to %" PRIu64 ": %s \"%s\"", length, pd_status_name(status), err.message);
    if (length < data_begin) return;
    snprintf(words, sizeof words, "the file ends %" PRIu64 " bytes early", data_end - length);
    if (!strstr(err.message, words))
        fail_msg("cut to %" PRIu64 ": \"%s\", expected \"%s\"", length, err.message, words);
}

/* In the data all lengths take the same way through the reader; a sanitizer, which makes each
 * twenty times dearer, looks at every 61st of them and at all through the header. */
static bool is_tried(uint64_t length) {
#ifdef SLOWED_DOWN
    return length < data_begin + 100 || length % 61 == 0;
#else
    (void)length;
    return true;
#endif
}

/* Last: it uses the copy up. */
static void test_every_truncation(void **state) {
    (void)state;
    for (uint64_t length = data_end; length-- > 0;) {
        if (!is_tried(length)) continue;
        assert_int_equal(ftruncate(fd, (off_t)length), 0);
        expect_truncated(length);
    }
}

static int begin_text(void **state) {
    (void)state;
    bind = bind_text;
    return make_copy(test_data("golden/small-q4_0.gguf"));
}

static int begin_vision(void **state) {
    (void)state;
    bind = bind_vision;
    return make_copy(test_data("golden/mm-mmproj.gguf"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sound_file_loads),
        cmocka_unit_test(test_flipped_header_bytes),
        cmocka_unit_test(test_overwritten_header_fields),
        cmocka_unit_test(test_every_truncation),
    };
    int n_failed = cmocka_run_group_tests_name("model", tests, begin_text, remove_copy);
    return n_failed +
           cmocka_run_group_tests_name("image encoder", tests, begin_vision, remove_copy);
}
