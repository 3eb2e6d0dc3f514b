/* Estimates against what is then held: models of several shapes, opened twice on every device, once
 * for estimates and once in earnest, with contexts and chunks of several sizes, with an image
 * encoder and without. Weights, KV pages and scratch memory must be the same to the byte: both come
 * from the same functions. A session whose pages grow, and that was saved, ends where its estimate
 * is. What opening a model makes of estimates: golden.fit. PERIDOT_TEST_DEVICES overrides the list
 * of devices.
 *
 * SPDX-License-Identifier: MIT
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "engine/context.h"
#include "peridot_measure.h"
#include "support_folder.h"
#include "support_golden.h"

typedef struct sample {
    bool sees; /* mm-q4_0.gguf with mm-mmproj.gguf, else small-q4_0.gguf */
    pd_session_desc session;
    uint32_t n_seqs;
    pd_head_type head;
} sample;

static const sample samples[] = {
    {.n_seqs = 1},
    {.session = {.n_ctx = 64, .n_chunk = 16}},
    {.session = {.n_ctx = 100, .n_chunk = 1}},
    {.session = {.n_ctx = 200}, .head = PD_HEAD_Q4_0},
    {.session = {.n_ctx = 192, .n_chunk = 64}, .n_seqs = 5},
    {.session = {.n_ctx = 128, .all_logits = true}},
    {.session = {.precision = PD_PRECISION_EXACT}},
    {.session = {.checkpoint_positions = PD_NO_CHECKPOINTS}},
    {.sees = true},
    {.sees = true, .session = {.n_ctx = 64}},
    {.sees = true, .session = {.n_ctx = 8}}, /* shorter than an image's 16 rows */
};

static pd_model_desc desc_of(const sample *s, const char *device) {
    return (pd_model_desc){.device = device,
                           .n_threads = 2,
                           .mmproj = s->sees ? GOLDEN("mm-mmproj.gguf") : NULL,
                           .head = s->head,
                           .session = s->session};
}

/* As saving and loading a sequence does. */
static void copy_page(pd_model *m, pd_context *c, bool global) {
    pd_error err;
    void *page = calloc(pd_kv_page_bytes(&c->stages[PD_STAGE_DECODE].plan.desc.kv, global) + 1, 1);
    must(m->backend->v->kv_read(m->backend, c->store, global, 0, page, &err), &err);
    must(m->backend->v->kv_write(m->backend, c->store, global, 0, page, &err), &err);
    free(page);
}

/* What the estimate counts with: a context, an image, logits, and pages on their way where there
 * are checkpoints. */
static void use(pd_model *m, pd_context *c) {
    pd_error err;
    pd_sequence seq = {0};
    uint32_t id = PD_TOKEN_BOS, n_vocab = m->config.n_vocab;
    float *logits = malloc(n_vocab * sizeof *logits);
    pd_batch_item item = {.seq = &seq, .ids = &id, .n = 1, .outs = PD_OUTS_LAST};
    must(pd_context_join(c, &seq, &err), &err);
    if (!c->desc.all_logits) {
        must(pd_context_run(c, &item, 1, NULL, &err), &err);
        pd_context_keep(c, &item, 1);
        must(pd_context_read_logits(c, &seq, NULL, logits, &err), &err);
    }
    pd_context_leave(c, &seq);
    for (int global = 0; c->desc.checkpoint_positions && global < 2; global++)
        copy_page(m, c, global);
    free(logits);
}

static void encode(pd_model *m) {
    pd_error err;
    const pd_vision_info *v = pd_model_get_vision(m);
    if (!v) return;
    float *chw = calloc(3ul * v->image_size * v->image_size, sizeof *chw);
    float *rows = calloc((size_t)v->n_tokens * v->n_embd_out, sizeof *rows);
    must(pd_model_embed_pixels(m, chw, rows, &err), &err);
    free(chw);
    free(rows);
}

static void check_one(const char *device, uint32_t i, const char *what, uint64_t estimated,
                      uint64_t held) {
    if (estimated != held)
        fail_msg("sample %u on %s: %s were estimated as %llu bytes, but are %llu", i, device, what,
                 (unsigned long long)estimated, (unsigned long long)held);
}

static void compare(const char *device, uint32_t i, const pd_estimate *e, const pd_model *m,
                    bool is_host) {
    pd_backend_stats s;
    m->backend->v->stats(m->backend, &s);
    uint64_t kv = e->kv_global_bytes + e->kv_local_bytes;
    check_one(device, i, "weights", e->weight_bytes + e->image_weight_bytes, s.weight_bytes);
    check_one(device, i, "all", e->total_bytes, s.weight_bytes + s.kv_bytes + s.scratch_bytes);
    check_one(device, i, "peak bytes", e->peak_bytes, s.peak_bytes);
    check_one(device, i, "step buffers", e->step_bytes, s.step_bytes);
    check_one(device, i, "KV and scratch", kv + e->image_bytes + e->prefill_bytes + e->decode_bytes,
              s.kv_bytes + s.scratch_bytes - s.step_bytes);
    if (!m->vision) check_one(device, i, "KV pages", kv, s.kv_bytes);
    assert_true(e->prefill_bytes == 0 || e->prefill_bytes >= e->decode_bytes);
    assert_int_equal(e->host_head_bytes, m->lm_head.requantised ? m->info.head_bytes : 0);
    assert_true(is_host || e->step_bytes > 0);
}

static void compare_sample(const char *device, uint32_t i) {
    const sample *s = &samples[i];
    pd_error err;
    pd_model *counted, *real;
    pd_estimate e;
    pd_model_desc desc = desc_of(s, device);
    const char *path = s->sees ? GOLDEN("mm-q4_0.gguf") : GOLDEN("small-q4_0.gguf");
    must(pd_model_open(path, &desc, &real, &err), &err);
    desc.estimate_only = true;
    must(pd_model_open(path, &desc, &counted, &err), &err);
    pd_context *c;
    pd_session_desc full = s->session;
    full.all_pages = true;
    must(pd_model_estimate(counted, &full, s->n_seqs, &e, &err), &err);
    must(pd_context_create(real, &full, s->n_seqs ? s->n_seqs : 1, &c, &err), &err);
    assert_int_equal(e.n_ctx, c->desc.n_ctx);
    assert_int_equal(e.n_chunk, c->desc.n_chunk);
    encode(real);
    use(real, c);
    compare(device, i, &e, real, strncmp(device, "cpu", 3) == 0);
    pd_context_destroy(c);
    pd_model_close(counted);
    pd_model_close(real);
}

static void samples_on(void *ctx, const char *device) {
    (void)ctx;
    for (uint32_t i = 0; i < sizeof samples / sizeof samples[0]; i++) compare_sample(device, i);
}

static void test_samples(void **state) {
    (void)state;
    on_every_device(samples_on, NULL);
}

/* ---- pages that grow ------------------------------------------------------------------------ */

/* Texts of some tokens until the context is full, with a checkpoint behind each. */
static void fill_session(pd_session *s) {
    enum { MESSAGE = 23 };
    static uint32_t ids[2048];
    pd_error err;
    uint32_t n_ctx = pd_session_n_ctx(s);
    for (uint32_t i = 0; i < n_ctx; i++) ids[i] = i ? 3 + i * 37 % 500 : PD_TOKEN_BOS;
    for (uint32_t n = MESSAGE; n < n_ctx; n += MESSAGE)
        must(pd_session_sync(s, ids, n, &err), &err);
    must(pd_session_sync(s, ids, n_ctx, &err), &err);
}

static void save_and_load(pd_session *s) {
    pd_error err;
    const char *path = in_folder("session");
    must(pd_session_save(s, path, NULL, 0, &err), &err);
    must(pd_session_load(s, path, &err), &err);
    unlink(path);
}

static void check_close(const char *device, const char *what, uint64_t estimated, uint64_t held) {
    if (held > estimated || held + held / 50 < estimated)
        fail_msg("%s: %s were estimated as %llu bytes, but are %llu", device, what,
                 (unsigned long long)estimated, (unsigned long long)held);
}

static void growing_on(void *ctx, const char *device) {
    (void)ctx;
    pd_error err;
    pd_model *counted, *real;
    pd_session *s;
    pd_estimate e;
    pd_backend_stats held;
    const pd_session_desc session = {.n_ctx = 1024, .n_chunk = 64};
    pd_model_desc desc = {.device = device, .n_threads = 2, .session = session};
    const char *path = GOLDEN("small-q4_0.gguf");
    must(pd_model_open(path, &desc, &real, &err), &err);
    desc.estimate_only = true;
    must(pd_model_open(path, &desc, &counted, &err), &err);
    must(pd_model_estimate(counted, &session, 1, &e, &err), &err);
    must(pd_session_create(real, &session, &s, &err), &err);
    fill_session(s);
    save_and_load(s);
    real->backend->v->stats(real->backend, &held);
    check_close(device, "KV pages", e.kv_global_bytes + e.kv_local_bytes, held.kv_bytes);
    check_close(device, "step buffers", e.step_bytes, held.step_bytes);
    check_close(device, "all", e.total_bytes,
                held.weight_bytes + held.kv_bytes + held.scratch_bytes);
    check_close(device, "peak bytes", e.peak_bytes, held.peak_bytes);
    pd_session_destroy(s);
    pd_model_close(counted);
    pd_model_close(real);
}

static void test_growing(void **state) {
    (void)state;
    on_every_device(growing_on, NULL);
}

/* ---- the largest context -------------------------------------------------------------------- */

/* Under the limit that a context needs exactly, it is the largest; one byte less, and it is the
 * next smaller one, which then can be created in earnest. */
static void most_on(void *ctx, const char *device) {
    (void)ctx;
    pd_error err;
    pd_model *m;
    pd_estimate e, most;
    uint32_t n_ctx;
    const pd_session_desc want = {.n_ctx = 256, .n_chunk = 16};
    pd_model_desc desc = {.device = device, .n_threads = 2, .estimate_only = true};
    const char *path = GOLDEN("small-q4_0.gguf");
    must(pd_model_open(path, &desc, &m, &err), &err);
    uint32_t n_train = pd_model_get_info(m)->n_ctx_train;
    must(pd_model_estimate_most(m, &want, 1, &n_ctx, &most, &err), &err);
    assert_int_equal(n_ctx, n_train / 64 * 64);
    assert_int_equal(most.n_ctx, n_ctx);
    m->loaded.peak_bytes = 0; /* staging would be more than such a small model's context */
    must(pd_model_estimate(m, &want, 1, &e, &err), &err);
    m->loaded.limit_bytes = e.peak_bytes;
    must(pd_model_estimate_most(m, &want, 1, &n_ctx, &most, &err), &err);
    assert_int_equal(n_ctx, 256);
    assert_int_equal(most.total_bytes, e.total_bytes);
    m->loaded.limit_bytes--;
    must(pd_model_estimate_most(m, &want, 1, &n_ctx, &most, &err), &err);
    assert_int_equal(n_ctx, 192);
    m->loaded.limit_bytes = 1;
    must(pd_model_estimate_most(m, &want, 1, &n_ctx, &most, &err), &err);
    assert_int_equal(n_ctx, 0);
    assert_int_equal(most.n_ctx, 64);
    pd_model_close(m);
}

static void test_most(void **state) {
    (void)state;
    on_every_device(most_on, NULL);
}

/* ---- the hint ------------------------------------------------------------------------------- */

enum { N_MANY = 64 }; /* sequences, for which so small a model needs some memory */

/* A context that finds no memory names the largest one that does: that one can be created, and the
 * next one cannot. Weights, and another context, are there as well. */
static void hint_on(void *ctx, const char *device) {
    (void)ctx;
    pd_error err = {0};
    pd_model *m;
    pd_session *other;
    pd_context *c;
    pd_backend_stats before, after;
    unsigned n_ctx = 0;
    pd_session_desc session = {.n_ctx = 64, .n_chunk = 16};
    pd_model_desc desc = {.device = device, .n_threads = 2, .memory_limit_bytes = 48 << 20};
    must(pd_model_open(GOLDEN("small-q4_0.gguf"), &desc, &m, &err), &err);
    must(pd_session_create(m, &session, &other, &err), &err);
    session.precision = PD_PRECISION_EXACT;
    session.all_pages = true;
    session.checkpoint_positions = PD_NO_CHECKPOINTS; /* no copies of pages, which come later */
    session.n_ctx = pd_model_get_info(m)->n_ctx_train;
    m->backend->v->stats(m->backend, &before);
    pd_status status = pd_context_create(m, &session, N_MANY, &c, &err);
    if (status == PD_OK) fail_msg("%s: %u positions fit 48 MiB", device, session.n_ctx);
    assert_int_equal(status, PD_ERR_MEMORY_DEVICE);
    m->backend->v->stats(m->backend, &after);
    assert_int_equal(after.weight_bytes + after.kv_bytes, before.weight_bytes + before.kv_bytes);
    assert_int_equal(after.scratch_bytes - after.step_bytes,
                     before.scratch_bytes - before.step_bytes);
    if (sscanf(err.hint, "a context of %u positions would fit", &n_ctx) != 1)
        fail_msg("%s: the hint is \"%s\"", device, err.hint);
    session.n_ctx = n_ctx;
    must(pd_context_create(m, &session, N_MANY, &c, &err), &err);
    pd_context_destroy(c);
    session.n_ctx = n_ctx + 64;
    assert_int_equal(pd_context_create(m, &session, N_MANY, &c, &err), PD_ERR_MEMORY_DEVICE);
    pd_session_destroy(other);
    pd_model_close(m);
}

static void test_hint(void **state) {
    (void)state;
    on_every_device(hint_on, NULL);
}

/* ---- what is refused ------------------------------------------------------------------------ */

static void test_refused(void **state) {
    (void)state;
    pd_error err;
    pd_model *counted, *real;
    pd_session *session;
    pd_estimate e;
    pd_device_speed speed;
    const char *path = GOLDEN("mm-q4_0.gguf");
    float pixel = 0;
    pd_model_desc desc = {.device = "cpu", .n_threads = 1, .mmproj = GOLDEN("mm-mmproj.gguf")};
    must(pd_model_open(path, &desc, &real, &err), &err);
    desc.estimate_only = true;
    must(pd_model_open(path, &desc, &counted, &err), &err);
    assert_int_equal(pd_model_estimate(real, NULL, 1, &e, &err), PD_ERR_ARGUMENT);
    assert_int_equal(pd_model_estimate(counted, NULL, 100000, &e, &err), PD_ERR_ARGUMENT);
    assert_int_equal(pd_session_create(counted, NULL, &session, &err), PD_ERR_ARGUMENT);
    assert_int_equal(pd_model_measure(counted, &speed, &err), PD_ERR_ARGUMENT);
    assert_int_equal(pd_model_embed_pixels(counted, &pixel, &pixel, &err), PD_ERR_ARGUMENT);
    pd_session_desc beyond = {.n_ctx = 1u << 24};
    assert_int_equal(pd_model_estimate(counted, &beyond, 1, &e, &err), PD_ERR_CONTEXT);
    pd_model_close(counted);
    desc.vocab_only = true;
    must(pd_model_open(path, &desc, &counted, &err), &err);
    assert_int_equal(pd_model_estimate(counted, NULL, 1, &e, &err), PD_ERR_ARGUMENT);
    pd_model_close(counted);
    pd_model_close(real);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_samples),
                                       cmocka_unit_test(test_growing), cmocka_unit_test(test_most),
                                       cmocka_unit_test(test_hint), cmocka_unit_test(test_refused)};
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
