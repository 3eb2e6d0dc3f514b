/* See vision.h.  SPDX-License-Identifier: MIT */
#include "engine/vision.h"

#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "base/hash.h"
#include "engine/check.h"
#include "engine/nonfinite.h"
#include "plan/plan.h"
#include "engine/profile.h"
#include "image/image.h"

enum { CACHE_BYTES = 64 << 20, MAX_CACHED = 64 };

typedef struct cached_rows {
    uint64_t hash, last_use; /* last_use 0: empty */
    float *rows;
} cached_rows;

struct pd_vision {
    bool is_twin; /* file, config and weights are another one's */
    pd_gguf *file;
    pd_vision_config config;
    pd_vision_weights weights;
    pd_precision precision;
    pd_backend *backend; /* once loaded */
    pd_plan plan;
    pd_kv_store *store;
    pd_program *program;
    pd_buf_id patches, image;
    pd_step_row *step_rows; /* [patches] */
    uint32_t *out_rows;     /* [n_tokens] */
    uint32_t *pages;        /* all of the store's, in order */
    float *host_patches;    /* [patches, width of the buffer] */
    cached_rows cache[MAX_CACHED];
    uint64_t n_uses;
    pd_vision_stats stats;
    void (*between)(void *ctx);
    void *between_ctx;
};

static uint32_t patch_count(const pd_vision *v) {
    return v->config.grid * v->config.grid;
}

/* ---- life ----------------------------------------------------------------------------------- */

static pd_status read_file(pd_vision *v, const char *path, uint32_t text_n_embd, pd_error *err) {
    PD_TRY(pd_gguf_open(path, &v->file, err));
    PD_TRY(pd_vision_config_read(v->file, &v->config, err));
    PD_TRY(pd_vision_check_text(&v->config, text_n_embd, err));
    return pd_vision_weights_bind(v->file, &v->config, &v->weights, err);
}

pd_status pd_vision_open(const char *path, uint32_t text_n_embd, pd_precision precision,
                         pd_vision **out, pd_error *err) {
    *out = NULL;
    pd_vision *v = pd_alloc(1, sizeof *v);
    if (!v) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for the image encoder");
    v->precision = precision;
    pd_status status = read_file(v, path, text_n_embd, err);
    if (status == PD_OK)
        *out = v;
    else
        pd_vision_close(v);
    return status;
}

static void free_host_buffers(pd_vision *v) {
    pd_free(v->step_rows);
    pd_free(v->out_rows);
    pd_free(v->pages);
    pd_free(v->host_patches);
    v->step_rows = NULL;
    v->out_rows = v->pages = NULL;
    v->host_patches = NULL;
}

void pd_vision_close(pd_vision *v) {
    if (!v) return;
    if (v->program) v->backend->v->destroy(v->backend, v->program);
    if (v->store) v->backend->v->kv_destroy(v->backend, v->store);
    pd_plan_free(&v->plan);
    for (uint32_t i = 0; i < MAX_CACHED; i++) pd_free(v->cache[i].rows);
    free_host_buffers(v);
    if (!v->is_twin) pd_vision_weights_free(&v->weights);
    if (v->file && !v->is_twin) pd_gguf_close(v->file);
    pd_free(v);
}

static pd_status make_plan(pd_vision *v, pd_error *err) {
    PD_TRY(pd_plan_vision(&v->config, &v->weights, v->precision, &v->plan, err));
    v->patches = pd_plan_find_buf(&v->plan, "patches");
    v->image = pd_plan_find_buf(&v->plan, "image");
    return PD_OK;
}

pd_status pd_vision_load(pd_vision *v, pd_backend *backend, pd_progress_fn progress, void *ctx,
                         pd_error *err) {
    v->backend = backend;
    PD_TRY(make_plan(v, err));
    backend->v->expect(backend, &v->plan, 1);
    return backend->v->load(backend, &v->plan, progress, ctx, err);
}

const pd_vision_config *pd_vision_get_config(const pd_vision *v) {
    return &v->config;
}
const pd_vision_weights *pd_vision_get_weights(const pd_vision *v) {
    return &v->weights;
}
const pd_vision_stats *pd_vision_get_stats(const pd_vision *v) {
    return &v->stats;
}
uint64_t pd_vision_get_identity(const pd_vision *v) {
    return pd_gguf_identity(v->file);
}
uint64_t pd_vision_get_file_bytes(const pd_vision *v) {
    return pd_gguf_file_bytes(v->file);
}

/* ---- the program ---------------------------------------------------------------------------- */

/* All or none: the next image tries again. */
static pd_status create_host_buffers(pd_vision *v, pd_error *err) {
    uint32_t n = patch_count(v), n_pages = pd_div_up(n, PD_PAGE_POSITIONS);
    v->step_rows = pd_alloc(n, sizeof *v->step_rows);
    v->out_rows = pd_alloc(v->config.n_tokens, sizeof *v->out_rows);
    v->pages = pd_alloc(n_pages, sizeof *v->pages);
    v->host_patches = pd_alloc((size_t)n * v->plan.bufs[v->patches].width, sizeof(float));
    if (!v->step_rows || !v->out_rows || !v->pages || !v->host_patches) {
        free_host_buffers(v);
        return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for an image of %u patches", n);
    }
    for (uint32_t i = 0; i < n; i++)
        v->step_rows[i] = (pd_step_row){.token = i, .pos = i, .seq = 0, .end = n};
    for (uint32_t i = 0; i < v->config.n_tokens; i++) v->out_rows[i] = i;
    for (uint32_t i = 0; i < n_pages; i++) v->pages[i] = i;
    return PD_OK;
}

static pd_status compile(pd_vision *v, pd_error *err) {
    if (v->program) return PD_OK;
    uint64_t t0 = pd_clock_ns();
    pd_backend *b = v->backend;
    if (!v->host_patches) PD_TRY(create_host_buffers(v, err));
    pd_kv_store_desc store = {.shape = v->plan.desc.kv,
                              .n_global_pages = pd_div_up(patch_count(v), PD_PAGE_POSITIONS)};
    if (!v->store) PD_TRY(b->v->kv_create(b, &store, &v->store, err));
    PD_TRY(b->v->compile(b, &v->plan, v->store, &v->program, err));
    v->stats.compile_ns = pd_clock_ns() - t0;
    return PD_OK;
}

/* Pixels to rows of patches in the order of the convolution's weights: (channel, y, x). */
static void cut_patches(pd_vision *v, const float *chw) {
    uint32_t size = v->config.image_size, side = v->config.patch_size, grid = v->config.grid;
    uint32_t width = v->plan.bufs[v->patches].width;
    for (uint32_t p = 0; p < patch_count(v); p++) {
        float *to = v->host_patches + (size_t)p * width;
        const float *corner = chw + (size_t)(p / grid) * side * size + p % grid * side;
        for (uint32_t c = 0; c < PD_IMAGE_CHANNELS; c++)
            for (uint32_t y = 0; y < side; y++, to += side)
                memcpy(to, corner + ((size_t)c * size + y) * size, side * sizeof *to);
    }
}

static pd_status check_finite(pd_vision *v, const pd_step *step, const float *rows, pd_error *err) {
    for (uint64_t i = 0; i < (uint64_t)v->config.n_tokens * v->config.n_embd_out; i++)
        if (!isfinite(rows[i]))
            return pd_raise_nonfinite(v->backend, v->program, step, "projection",
                                      "while it encoded an image", err);
    return PD_OK;
}

/* All patches, which see each other. */
static pd_step make_step(const pd_vision *v, const pd_page_table *table, const atomic_int *cancel) {
    return (pd_step){.n_rows = patch_count(v),
                     .n_outs = v->config.n_tokens,
                     .n_seqs = 1,
                     .rows = v->step_rows,
                     .out_rows = v->out_rows,
                     .tables = table,
                     .cancel = cancel,
                     .between = v->between,
                     .between_ctx = v->between_ctx};
}

static pd_page_table make_table(const pd_vision *v) {
    uint32_t n_pages = pd_div_up(patch_count(v), PD_PAGE_POSITIONS);
    return (pd_page_table){v->pages, v->pages, n_pages};
}

pd_status pd_vision_encode(pd_vision *v, const float *chw, const atomic_int *cancel, float *rows,
                           pd_error *err) {
    PD_TRY(compile(v, err));
    const pd_backend_vtable *b = v->backend->v;
    uint64_t t0 = pd_clock_ns();
    cut_patches(v, chw);
    pd_page_table table = make_table(v);
    pd_step step = make_step(v, &table, cancel);
    uint64_t patch_bytes = 4ull * patch_count(v) * v->plan.bufs[v->patches].width;
    uint64_t row_bytes = 4ull * v->config.n_tokens * v->config.n_embd_out;
    PD_TRY(b->write(v->program, v->patches, 0, patch_bytes, v->host_patches, err));
    PD_TRY(b->run(v->program, &step, err));
    PD_TRY(b->read(v->program, v->image, 0, row_bytes, rows, err));
    v->stats.encode_ns += pd_clock_ns() - t0;
    v->stats.n_encoded++;
    return check_finite(v, &step, rows, err);
}

/* ---- counting ------------------------------------------------------------------------------- */

pd_status pd_vision_twin(const pd_vision *v, pd_vision **out, pd_error *err) {
    *out = pd_alloc(1, sizeof **out);
    if (!*out) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for the image encoder");
    (*out)->is_twin = true;
    (*out)->file = v->file;
    (*out)->config = v->config;
    (*out)->weights = v->weights;
    (*out)->precision = v->precision;
    return PD_OK;
}

bool pd_vision_has_program(const pd_vision *v) {
    return v->program;
}

/* The patches are there already, and zero. */
pd_status pd_vision_rehearse(pd_vision *v, pd_backend *backend, pd_error *err) {
    v->backend = backend;
    PD_TRY(make_plan(v, err));
    PD_TRY(compile(v, err));
    uint64_t patch_bytes = 4ull * patch_count(v) * v->plan.bufs[v->patches].width;
    uint64_t n_values = (uint64_t)v->config.n_tokens * v->config.n_embd_out;
    float *rows = pd_alloc(n_values, sizeof *rows);
    if (!rows) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for the rows of an image");
    const pd_backend_vtable *b = backend->v;
    pd_status status = b->write(v->program, v->patches, 0, patch_bytes, v->host_patches, err);
    if (status == PD_OK) status = b->read(v->program, v->image, 0, 4 * n_values, rows, err);
    pd_free(rows);
    return status;
}

pd_status pd_vision_profile(pd_vision *v, pd_profile_fn fn, void *ctx, pd_error *err) {
    if (v->stats.n_encoded == 0)
        return PD_RAISE(err, PD_ERR_ARGUMENT, "no image was encoded that could be profiled");
    pd_page_table table = make_table(v);
    pd_step step = make_step(v, &table, NULL);
    return pd_profile_step(v->backend, &v->plan, v->program, &step, fn, ctx, err);
}

static pd_check_side side_of(const pd_vision *v, const pd_step *step) {
    return (pd_check_side){.backend = v->backend,
                           .plan = &v->plan,
                           .program = v->program,
                           .store = v->store,
                           .step = step};
}

pd_status pd_vision_check(pd_vision *v, pd_vision *reference, pd_check_fn fn, void *ctx,
                          pd_error *err) {
    if (v->stats.n_encoded == 0 || reference->stats.n_encoded == 0)
        return PD_RAISE(err, PD_ERR_ARGUMENT, "no image was encoded on both devices");
    pd_page_table tables[2] = {make_table(v), make_table(reference)};
    pd_step steps[2] = {make_step(v, &tables[0], NULL), make_step(reference, &tables[1], NULL)};
    pd_check_side side = side_of(v, &steps[0]), other = side_of(reference, &steps[1]);
    return pd_check_step(&side, &other, fn, ctx, err);
}

/* ---- images --------------------------------------------------------------------------------- */

uint64_t pd_vision_hash(const pd_image *image) {
    uint64_t size = (uint64_t)image->width << 32 | image->height;
    return pd_hash_seeded(image->rgb, (size_t)image->width * image->height * PD_IMAGE_CHANNELS,
                          size);
}

/* The image's rows if they are there; else the place that they go to: one that is empty, or, when
 * there is room for no more, the one that was not used for longest. */
static cached_rows *find_place(pd_vision *v, uint64_t hash) {
    uint64_t row_bytes = 4ull * v->config.n_tokens * v->config.n_embd_out;
    uint64_t most = CACHE_BYTES / row_bytes;
    most = most < 1 ? 1 : most < MAX_CACHED ? most : MAX_CACHED;
    cached_rows *oldest = v->cache;
    for (cached_rows *c = v->cache; c < v->cache + most; c++) {
        if (c->last_use && c->hash == hash) return c;
        if (c->last_use < oldest->last_use) oldest = c;
    }
    oldest->last_use = 0;
    return oldest;
}

pd_status pd_vision_pixels(const pd_vision *v, const pd_image *image, float *chw, pd_error *err) {
    pd_image resized = {0};
    PD_TRY(pd_image_resize(image, v->config.image_size, v->config.image_size, &resized, err));
    pd_image_pack(&resized, v->config.mean, v->config.std, chw);
    pd_image_free(&resized);
    return PD_OK;
}

static pd_status encode_image(pd_vision *v, const pd_image *image, const atomic_int *cancel,
                              float *rows, pd_error *err) {
    uint64_t size = v->config.image_size;
    float *chw = pd_alloc(PD_IMAGE_CHANNELS * size * size, sizeof *chw);
    if (!chw) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for an image's pixels");
    pd_status status = pd_vision_pixels(v, image, chw, err);
    if (status == PD_OK) status = pd_vision_encode(v, chw, cancel, rows, err);
    pd_free(chw);
    return status;
}

static pd_status make_room(const pd_vision *v, cached_rows *c, pd_error *err) {
    uint64_t n = (uint64_t)v->config.n_tokens * v->config.n_embd_out;
    if (!c->rows) c->rows = pd_alloc(n, sizeof *c->rows);
    if (c->rows) return PD_OK;
    return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for the rows of an image");
}

pd_status pd_vision_rows(pd_vision *v, const pd_image *image, uint64_t hash,
                         const atomic_int *cancel, const float **rows, pd_error *err) {
    cached_rows *c = find_place(v, hash);
    if (c->last_use == 0) {
        PD_TRY(make_room(v, c, err));
        PD_TRY(encode_image(v, image, cancel, c->rows, err));
        c->hash = hash;
    } else {
        v->stats.n_cached++;
    }
    c->last_use = ++v->n_uses;
    *rows = c->rows;
    return PD_OK;
}

bool pd_vision_knows(const pd_vision *v, uint64_t hash) {
    for (const cached_rows *c = v->cache; c < v->cache + MAX_CACHED; c++)
        if (c->last_use && c->hash == hash) return true;
    return false;
}

void pd_vision_set_between(pd_vision *v, void (*fn)(void *ctx), void *ctx) {
    v->between = fn;
    v->between_ctx = ctx;
}

pd_status pd_vision_remember(pd_vision *v, uint64_t hash, const float *rows, pd_error *err) {
    cached_rows *c = find_place(v, hash);
    PD_TRY(make_room(v, c, err));
    memcpy(c->rows, rows, 4ull * v->config.n_tokens * v->config.n_embd_out);
    c->hash = hash;
    c->last_use = ++v->n_uses;
    return PD_OK;
}
