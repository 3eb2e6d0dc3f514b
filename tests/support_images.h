/* What the golden tests of images share: the golden picture, its pixels and rows, the prompts with
 * images in them, and opened models.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_TEST_SUPPORT_IMAGES_H
#define PD_TEST_SUPPORT_IMAGES_H

#include <cjson/cJSON.h>
#include <math.h>

#include "engine/model.h"
#include "support_golden.h"
#include "support_validation.h"

#define MODEL  GOLDEN("mm-q4_0.gguf")
#define MMPROJ GOLDEN("mm-mmproj.gguf")

enum { MAX_IDS = 64, MAX_IMAGES = 4, N_CTX = 128 };

#define EXACT_BOUND 1e-5
#define F16_BOUND   1e-2

/* What the golden files hold, read once. */
static pd_image picture, other_picture; /* image.png, and one of 2 x 3 pixels */
static float *pixels, *rows;            /* of image.png: [3, S, S], [n_tokens, H] */
static size_t n_rows_values;
static uint8_t other_rgb[2 * 3 * 3] = {9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 250, 99};

typedef struct golden {
    char name[32];
    pd_prompt prompt;
    uint32_t ids[MAX_IDS], n_rows, n_vocab;
    pd_image images[MAX_IMAGES];
    float *logits; /* [n_rows, n_vocab] */
} golden;

static golden cases[2]; /* mixed and mixed2 */

/* Opening builds pipelines: tests that count nothing share a model per device and precision. */
static struct shared_model {
    char device[64];
    pd_precision precision;
    pd_model *model;
} shared[16];

/* ---- reading -------------------------------------------------------------------------------- */

static inline float *read_floats(const char *name, size_t *n) {
    char path[512];
    size_t bytes;
    snprintf(path, sizeof path, "%s/%s", test_data("golden"), name);
    float *x = (float *)(void *)read_file(path, &bytes);
    *n = bytes / sizeof *x;
    return x;
}

static inline void add_ids(golden *g, const cJSON *array) {
    const cJSON *item;
    cJSON_ArrayForEach(item, array) {
        assert_true(g->prompt.n_ids < MAX_IDS);
        g->ids[g->prompt.n_ids++] = (uint32_t)item->valuedouble;
    }
}

static inline void add_image(golden *g, const pd_image *image) {
    g->ids[g->prompt.n_ids++] = PD_TOKEN_IMAGE;
    g->images[g->prompt.n_images++] = *image;
}

static inline void read_case(golden *g, const cJSON *j) {
    const char *name = cJSON_GetObjectItem(j, "logits")->valuestring;
    const cJSON *shape = cJSON_GetObjectItem(j, "shape"), *between;
    size_t n;
    snprintf(g->name, sizeof g->name, "%s", name);
    add_ids(g, cJSON_GetObjectItem(j, "before"));
    add_image(g, &picture);
    if ((between = cJSON_GetObjectItem(j, "between")) != NULL) {
        add_ids(g, between);
        add_image(g, &other_picture);
    }
    add_ids(g, cJSON_GetObjectItem(j, "after"));
    g->n_rows = (uint32_t)cJSON_GetArrayItem(shape, 0)->valuedouble;
    g->n_vocab = (uint32_t)cJSON_GetArrayItem(shape, 1)->valuedouble;
    g->logits = read_floats(name, &n);
    assert_int_equal(n, (size_t)g->n_rows * g->n_vocab);
    g->prompt.ids = g->ids;
    g->prompt.images = g->images;
}

static inline int read_all(void **state) {
    (void)state;
    pd_error err;
    size_t n;
    must(pd_image_read(GOLDEN("image.png"), NULL, &picture, &err), &err);
    other_picture = (pd_image){2, 3, other_rgb};
    pixels = read_floats("image.pixels.f32", &n);
    rows = read_floats("image.embed.f32", &n_rows_values);
    char *text = read_file(GOLDEN("manifest.json"), NULL);
    cJSON *manifest = cJSON_Parse(text);
    const cJSON *mixed = cJSON_GetObjectItem(manifest, "mixed");
    assert_int_equal(cJSON_GetArraySize(mixed), 2);
    for (int i = 0; i < 2; i++) read_case(&cases[i], cJSON_GetArrayItem(mixed, i));
    cJSON_Delete(manifest);
    free(text);
    return 0;
}

static inline int free_all(void **state) {
    (void)state;
    for (int i = 0; i < 16; i++) pd_model_close(shared[i].model);
    for (int i = 0; i < 2; i++) free(cases[i].logits);
    free(pixels);
    free(rows);
    pd_image_free(&picture);
    return 0;
}

/* ---- comparing ------------------------------------------------------------------------------ */

/* NaN counts as infinitely far. */
static inline double relative(const float *got, const float *want, size_t n) {
    double error = 0, norm = 0;
    for (size_t i = 0; i < n; i++) {
        double d = (double)got[i] - (double)want[i];
        error += d * d;
        norm += (double)want[i] * (double)want[i];
    }
    return isfinite(error) ? sqrt(error / norm) : INFINITY;
}

static inline uint32_t arg_max(const float *x, uint32_t n) {
    uint32_t best = 0;
    for (uint32_t i = 1; i < n; i++)
        if (x[i] > x[best]) best = i;
    return best;
}

static inline void check(const char *device, const char *what, double found, double bound) {
    print_message("%-16s %-40s relative L2 %.2e\n", device, what, found);
    assert_true(found <= bound);
}

static inline pd_model *open_model(const char *device, pd_precision precision) {
    pd_model *m;
    pd_error err;
    pd_model_desc desc = {
        .device = device, .mmproj = MMPROJ, .session = {.n_ctx = N_CTX, .precision = precision}};
    must(pd_model_open(MODEL, &desc, &m, &err), &err);
    return m;
}

static inline pd_model *share_model(const char *device, pd_precision precision) {
    struct shared_model *s = shared;
    while (s->model && (strcmp(s->device, device) != 0 || s->precision != precision)) s++;
    assert_true(s < shared + 15);
    if (s->model) return s->model;
    snprintf(s->device, sizeof s->device, "%s", device);
    s->precision = precision;
    return s->model = open_model(device, precision);
}

static inline double bound_of(pd_precision precision) {
    return precision == PD_PRECISION_EXACT ? EXACT_BOUND : F16_BOUND;
}

/* The picture that the second case's second image is: the golden rows backwards. */
static inline void remember_other(pd_model *m) {
    pd_error err;
    uint32_t width = pd_model_get_vision(m)->n_embd_out;
    size_t n = n_rows_values / width;
    float *reversed = malloc(n_rows_values * sizeof *reversed);
    for (size_t i = 0; i < n; i++)
        memcpy(reversed + i * width, rows + (n - 1 - i) * width, width * sizeof *rows);
    must(pd_vision_remember(m->vision, pd_vision_hash(&other_picture), reversed, &err), &err);
    free(reversed);
}

#endif
