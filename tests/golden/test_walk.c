/* Random walks: a session is synced, continued, cancelled, scored, profiled, asked for what it must
 * refuse, and fails in the middle of all that; after every step its state is compared with that of
 * a session that computed the same sequence from nothing.
 *
 * The test keeps a sequence of its own. What a call that succeeds leaves is known to the position;
 * one that was cancelled or failed may have left any part of it, never anything else, and whatever
 * comes next must work. Logits: equal bits on cpu-ref, where a row does not depend on the others of
 * its step; elsewhere within 1e-5, since the chunks differ. The tokens that cpu-ref draws must be
 * those of the sampler over the other session's logits.
 *
 * PERIDOT_WALK_SEED=n walks from that seed alone; PERIDOT_TEST_LONG walks for minutes.
 * PERIDOT_TEST_DEVICES overrides the list of devices.
 *
 * SPDX-License-Identifier: MIT
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/model.h"
#include "engine/session.h"
#include "fault/support_backend.h"
#include "support_golden.h"
#include "support_sparse.h"
#include "support_validation.h"

enum { CONTEXT = 150, CHUNK = 24, MAX_PICTURES = 8, N_PICTURES = 100, MAX_POSITIONS = 256 };

static const double BOUND = 1e-5;

/* ids with PD_TOKEN_IMAGE for pictures[pictures[i]], as prompts have them. */
typedef struct line {
    uint32_t ids[MAX_POSITIONS], n;
    uint32_t pictures[MAX_PICTURES], n_pictures;
} line;

typedef struct walk {
    pd_model *m;
    pd_session *s;
    bool all_logits, exact;
    uint32_t n_vocab, n_image; /* positions of an image */
    line now;                  /* a token more than the session has: generate handed it over last */
    bool complete;             /* the last call succeeded: outputs are at hand */
    pd_session *other;         /* that it was forked from, or that was; NULL: none */
    line other_now;
    bool other_complete;
    uint64_t random;
    char text[160]; /* what is being done, for messages */
} walk;

static uint8_t rgb[N_PICTURES][3 * 4 * 3]; /* more than are kept once encoded */

static uint32_t any(walk *w, uint32_t n) { /* below n; splitmix64 */
    uint64_t z = w->random += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return (uint32_t)((z ^ z >> 31) >> 32) % n;
}

#define CHECK(w, condition)                                                                        \
    do {                                                                                           \
        if (!(condition)) fail_msg("%s: %s does not hold", (w)->text, #condition);                 \
    } while (0)

/* ---- sequences ------------------------------------------------------------------------------ */

static uint32_t positions(const walk *w, const line *l) {
    return l->n - l->n_pictures + l->n_pictures * w->n_image;
}

/* The first ids that take n positions, which are never a part of an image. */
static line beginning(const walk *w, const line *l, uint32_t n) {
    line out = {0};
    for (uint32_t i = 0, at = 0; at < n; i++) {
        CHECK(w, i < l->n);
        out.ids[out.n++] = l->ids[i];
        bool is_picture = l->ids[i] == PD_TOKEN_IMAGE;
        if (is_picture) {
            out.pictures[out.n_pictures] = l->pictures[out.n_pictures];
            out.n_pictures++;
        }
        at += is_picture ? w->n_image : 1;
        CHECK(w, at <= n);
    }
    return out;
}

static void add_random(walk *w, line *l, uint32_t n) {
    for (uint32_t i = 0; i < n; i++) {
        uint32_t room = CONTEXT - positions(w, l);
        if (any(w, 12) == 0 && l->n_pictures < MAX_PICTURES && room >= w->n_image) {
            l->pictures[l->n_pictures++] = any(w, N_PICTURES);
            l->ids[l->n++] = PD_TOKEN_IMAGE;
        } else if (room > 0) {
            l->ids[l->n++] = 3 + any(w, w->n_vocab - 3);
        }
    }
}

/* Something like what is there: its beginning and more behind it; sometimes all new. */
static line next_prompt(walk *w) {
    line l = w->now;
    uint32_t most = positions(w, &l) > CONTEXT ? l.n - 1 : l.n; /* the last one has no room */
    uint32_t kept = most > 2 ? most - any(w, 3) : most;
    if (any(w, 3) == 0) kept = any(w, most + 1);
    if (any(w, 6) == 0) kept = 0;
    for (l.n = 0, l.n_pictures = 0; l.n < kept; l.n++)
        l.n_pictures += w->now.ids[l.n] == PD_TOKEN_IMAGE;
    add_random(w, &l, any(w, 3) ? any(w, 6) : any(w, 60));
    if (l.n == 0) l.ids[l.n++] = 2;
    return l;
}

static pd_prompt prompt_of(const line *l, pd_image images[MAX_PICTURES]) {
    for (uint32_t i = 0; i < l->n_pictures; i++)
        images[i] = (pd_image){.width = 3, .height = 4, .rgb = rgb[l->pictures[i]]};
    return (pd_prompt){.ids = l->ids, .n_ids = l->n, .images = images, .n_images = l->n_pictures};
}

static pd_status sync_line(pd_session *s, const line *l, pd_error *err) {
    pd_image images[MAX_PICTURES];
    pd_prompt p = prompt_of(l, images);
    return pd_session_sync_prompt(s, &p, err);
}

/* ---- comparing ------------------------------------------------------------------------------ */

static pd_session *open_session(const walk *w, bool all_logits) {
    pd_session *s;
    pd_error err;
    pd_session_desc desc = {.n_ctx = CONTEXT,
                            .n_chunk = CHUNK,
                            .precision = PD_PRECISION_EXACT,
                            .all_logits = all_logits};
    must(pd_session_create(w->m, &desc, &s, &err), &err);
    return s;
}

static void expect_close(const walk *w, const float *found, const float *wanted) {
    double error = 0, squares = 0;
    if (w->exact && memcmp(found, wanted, 4ul * w->n_vocab) != 0)
        fail_msg("%s: other bits than a new session's", w->text);
    for (uint32_t i = 0; i < w->n_vocab; i++) {
        double d = (double)found[i] - (double)wanted[i];
        error += d * d;
        squares += (double)wanted[i] * (double)wanted[i];
    }
    if (!(sqrt(error / squares) <= BOUND))
        fail_msg("%s: off by %.1e from a new session", w->text, sqrt(error / squares));
}

/* What the session has computed is what it should, and has the outputs of that. */
static void expect_state(walk *w) {
    pd_error err;
    uint32_t n = pd_session_count(w->s), best;
    const float *found, *wanted;
    pd_status status = pd_session_argmax(w->s, &best, &err);
    if (status != PD_OK) { /* a sync that did not come to its end has to be asked for again */
        if (w->complete || status != PD_ERR_ARGUMENT) fail_msg("%s: %s", w->text, err.message);
        CHECK(w, pd_session_count(w->s) == n);
        return;
    }
    must(pd_session_logits(w->s, &found, &err), &err);
    CHECK(w, pd_session_count(w->s) == n && n > 0);
    for (uint32_t i = 0; i < w->n_vocab; i++) CHECK(w, found[i] <= found[best]);
    line l = beginning(w, &w->now, n);
    pd_session *fresh = open_session(w, false);
    must(sync_line(fresh, &l, &err), &err);
    must(pd_session_logits(fresh, &wanted, &err), &err);
    expect_close(w, found, wanted);
    pd_session_destroy(fresh);
}

/* ---- steps of a walk ------------------------------------------------------------------------ */

/* A call has ended that was to make the session's sequence `wanted`, of which the last `n_ahead`
 * tokens need not be computed. */
static void settle(walk *w, pd_status status, const line *wanted, uint32_t n_ahead,
                   const pd_error *err) {
    uint32_t n = pd_session_count(w->s), most = positions(w, wanted);
    bool excused = failing_call > 0 && n_backend_calls >= failing_call;
    CHECK(w, n <= most);
    if (status == PD_OK) {
        CHECK(w, n + n_ahead >= most);
        w->now = *wanted;
    } else if (status == PD_ERR_CANCELLED || (status == PD_ERR_DEVICE && excused)) {
        w->now = n + n_ahead >= most ? *wanted : beginning(w, wanted, n);
    } else {
        fail_msg("%s: %s, %s", w->text, pd_status_name(status), err->message);
    }
    w->complete = status == PD_OK;
    failing_call = 0;
    pd_session_resume(w->s);
}

static void do_sync(walk *w) {
    pd_error err;
    line l = next_prompt(w);
    bool cancels = any(w, 8) == 0;
    if (cancels) pd_session_cancel(w->s);
    pd_status status = sync_line(w->s, &l, &err);
    settle(w, status, &l, 0, &err);
}

typedef struct taker {
    walk *w;
    line line;
    uint32_t n, stop_after, cancel_after;
} taker;

static bool take(void *ctx, uint32_t id) {
    taker *t = ctx;
    t->line.ids[t->line.n++] = id;
    t->n++;
    if (t->n == t->cancel_after) pd_session_cancel(t->w->s);
    return t->n != t->stop_after;
}

static pd_sampler any_sampler(walk *w) {
    static const pd_sampler_desc descs[] = {{0},
                                            {.temp = 1, .top_k = 64, .top_p = 0.95f},
                                            {.temp = 3, .top_k = 200, .min_p = 0.01f},
                                            {.temp = 1.5f, .top_p = 0.9f}};
    pd_sampler s = {.desc = descs[any(w, 4)]};
    s.desc.seed = any(w, 1000);
    return s;
}

/* The same tokens, drawn from the logits of a session that computes them one by one. */
static void expect_tokens(walk *w, const line *before, const taker *t, pd_sampler sampler) {
    pd_error err;
    pd_session *fresh = open_session(w, false);
    line l = *before;
    for (uint32_t i = 0; i < t->n; i++) {
        uint32_t id;
        must(sync_line(fresh, &l, &err), &err);
        must(pd_session_sample(fresh, &sampler, &id, &err), &err);
        CHECK(w, id == t->line.ids[before->n + i]);
        l.ids[l.n++] = id;
    }
    pd_session_destroy(fresh);
}

static void do_generate(walk *w) {
    pd_error err;
    taker t = {.w = w, .line = w->now};
    pd_sampler sampler = any_sampler(w), first = sampler;
    uint32_t n_max = any(w, 3) ? 1 + any(w, 6) : 1 + any(w, 45);
    if (any(w, 4) == 0) t.stop_after = 1 + any(w, n_max);
    if (any(w, 4) == 0) t.cancel_after = 1 + any(w, n_max);
    pd_generate_desc desc = {.n_max = n_max, .ignore_stop = true, .fn = take, .fn_ctx = &t};
    bool has_outputs = w->complete;
    pd_status status = pd_session_generate(w->s, &sampler, &desc, &err);
    if (status == PD_ERR_ARGUMENT && !has_outputs) { /* nothing to go on from */
        CHECK(w, t.n == 0);
        w->now = beginning(w, &w->now, pd_session_count(w->s));
        failing_call = 0;
        pd_session_resume(w->s);
        return;
    }
    line before = w->now;
    settle(w, status, &t.line, 1, &err);
    CHECK(w, w->now.n == t.line.n);
    if (w->exact) expect_tokens(w, &before, &t, first);
}

typedef struct scorer {
    walk *w;
    uint32_t next;
    bool stops;
} scorer;

static pd_status on_scores(void *ctx, uint32_t first, uint32_t n, const float *logits,
                           pd_error *err) {
    scorer *c = ctx;
    CHECK(c->w, first == c->next && n > 0 && isfinite(logits[0]));
    c->next += n;
    return c->stops ? PD_RAISE(err, PD_ERR_CANCELLED, "enough") : PD_OK;
}

static void do_score(walk *w) {
    pd_error err;
    line l = next_prompt(w);
    pd_image images[MAX_PICTURES];
    pd_prompt p = prompt_of(&l, images);
    scorer c = {.w = w, .next = any(w, positions(w, &l)), .stops = any(w, 6) == 0};
    pd_status status = pd_session_score(w->s, &p, c.next, on_scores, &c, &err);
    if (!w->all_logits) {
        CHECK(w, status == PD_ERR_ARGUMENT);
        failing_call = 0;
        return;
    }
    settle(w, status, &l, 0, &err);
    if (status == PD_OK) CHECK(w, c.next == positions(w, &l));
}

/* It computes the last positions anew; the sequence stays. */
static void do_head_cost(walk *w) {
    pd_error err;
    pd_head_cost cost;
    uint32_t n = pd_session_count(w->s);
    pd_status status = pd_session_head_cost(w->s, &cost, &err);
    bool excused = failing_call > 0 && n_backend_calls >= failing_call;
    CHECK(w, status == PD_OK || status == PD_ERR_ARGUMENT || (status == PD_ERR_DEVICE && excused));
    if (status == PD_OK) CHECK(w, cost.n_positions >= 1 && cost.kl_max >= 0 && cost.kl_mean < 10);
    CHECK(w, pd_session_count(w->s) == n);
    if (excused) w->complete = false; /* an image's rows may be gone that outputs would need */
    failing_call = 0;
}

static bool skip_op(void *ctx, const pd_profile_op *op) {
    (void)op;
    return ++*(uint32_t *)ctx < 5;
}

static void do_profile(walk *w) {
    pd_error err;
    uint32_t n = pd_session_count(w->s), n_ops = 0;
    pd_status status = pd_session_profile(w->s, skip_op, &n_ops, &err);
    bool excused = failing_call > 0 && n_backend_calls >= failing_call;
    CHECK(w, status == PD_OK || status == PD_ERR_ARGUMENT || (status == PD_ERR_DEVICE && excused));
    CHECK(w, pd_session_count(w->s) == n);
    if (excused) w->complete = false; /* the same */
    failing_call = 0;
}

/* Back to anywhere; what is kept may have its outputs. */
static void do_rewind(walk *w) {
    pd_error err;
    uint32_t kept, n = pd_session_count(w->s), wish = any(w, n + 3);
    failing_call = 0;
    if (any(w, 2)) wish = n - any(w, n < 8 ? n + 1 : 8);
    must(pd_session_rewind(w->s, wish, &kept, &err), &err);
    CHECK(w, kept <= wish && kept <= n && kept == pd_session_count(w->s));
    w->now = beginning(w, &w->now, kept);
    w->complete = false;
}

/* From now on there are two, which go their own ways. */
static void do_fork(walk *w) {
    pd_error err;
    pd_session *fork;
    pd_status status = pd_session_fork(w->s, &fork, &err);
    bool excused = failing_call > 0 && n_backend_calls >= failing_call;
    failing_call = 0;
    if (status != PD_OK) {
        if (!excused) fail_msg("%s: %s", w->text, err.message);
        CHECK(w, status == PD_ERR_DEVICE && fork == NULL);
        w->complete = false;
        return;
    }
    CHECK(w, pd_session_count(fork) == pd_session_count(w->s));
    pd_session_destroy(w->other);
    w->other = w->s;
    w->other_now = w->now;
    w->other_complete = w->complete;
    w->s = fork;
}

static void do_change(walk *w) {
    failing_call = 0;
    if (!w->other) return;
    pd_session *s = w->s;
    line now = w->now;
    bool complete = w->complete;
    w->s = w->other;
    w->now = w->other_now;
    w->complete = w->other_complete;
    w->other = s;
    w->other_now = now;
    w->other_complete = complete;
}

/* What must be refused, with nothing changed. */
static void do_mistake(walk *w) {
    pd_error err;
    line l = next_prompt(w);
    uint32_t n = pd_session_count(w->s), many[CONTEXT + 1] = {0};
    pd_sampler sampler = {.desc = {.temp = -1}};
    failing_call = 0;
    l.ids[l.n - 1] = w->n_vocab;
    CHECK(w, sync_line(w->s, &l, &err) == PD_ERR_ARGUMENT);
    CHECK(w, pd_session_sync(w->s, many, CONTEXT + 1, &err) == PD_ERR_CONTEXT);
    CHECK(w, pd_session_sync(w->s, many, 0, &err) == PD_ERR_ARGUMENT);
    CHECK(w, pd_session_generate(w->s, &sampler, NULL, &err) == PD_ERR_ARGUMENT);
    CHECK(w, pd_session_count(w->s) == n);
}

/* ---- walks ---------------------------------------------------------------------------------- */

static void step(walk *w) {
    static const struct {
        const char *name;
        void (*run)(walk *w);
        uint32_t weight;
    } kinds[] = {
        {"sync", do_sync, 5},           {"generate", do_generate, 6}, {"score", do_score, 2},
        {"head cost", do_head_cost, 1}, {"profile", do_profile, 1},   {"mistakes", do_mistake, 1},
        {"rewind", do_rewind, 2},       {"fork", do_fork, 1},         {"change", do_change, 2}};
    uint32_t i = 0, at = any(w, 21);
    for (; at >= kinds[i].weight; i++) at -= kinds[i].weight;
    n_backend_calls = 0;
    failing_call = any(w, 4) == 0 ? 1 + any(w, 8) : 0;
    size_t n = strlen(w->text);
    snprintf(w->text + n, sizeof w->text - n, " %s%s at %u", kinds[i].name,
             failing_call ? " that fails" : "", pd_session_count(w->s));
    kinds[i].run(w);
    if (any(w, 3)) expect_state(w);
    w->text[n] = 0;
}

static void run_walk(pd_model *m, const char *device, uint64_t seed, uint32_t n_steps) {
    walk w = {.m = m,
              .exact = strcmp(device, "cpu-ref") == 0,
              .all_logits = seed % 2 != 0,
              .n_vocab = pd_model_get_info(m)->n_vocab,
              .n_image = pd_model_get_vision(m)->n_tokens,
              .random = seed};
    w.s = open_session(&w, w.all_logits);
    for (uint32_t i = 0; i < n_steps; i++) {
        snprintf(w.text, sizeof w.text, "%s, seed %llu, step %u:", device, (unsigned long long)seed,
                 i);
        step(&w);
    }
    pd_session_destroy(w.s);
    pd_session_destroy(w.other);
}

static void walk_device(void *ctx, const char *device) {
    (void)ctx;
    pd_error err;
    pd_model *m;
    pd_model_desc desc = {.device = device,
                          .n_threads = 2,
                          .mmproj = GOLDEN("mm-mmproj.gguf"),
                          .head = PD_HEAD_Q4_0,
                          .session = {.precision = PD_PRECISION_EXACT}};
    bool is_vulkan = strncmp(device, "vulkan", 6) == 0;
    if (!is_vulkan && getenv("PERIDOT_DISABLE")) return; /* it has been walked without */
    const char *seed = getenv("PERIDOT_WALK_SEED");
    bool is_long = getenv("PERIDOT_TEST_LONG") != NULL;
    bool is_fast = strcmp(device, "cpu") == 0; /* a step takes a millisecond */
    uint32_t n_walks = is_long   ? 100
                       : is_fast ? 16
                                 : 3,
             n_steps = is_long   ? 200
                       : is_fast ? 100
                                 : 60;
    if (tests_are_sparse()) n_walks = (n_walks + 1) / 2;
    must(pd_model_open(GOLDEN("mm-q4_0.gguf"), &desc, &m, &err), &err);
    wrap_backend(m->backend);
    if (seed)
        run_walk(m, device, strtoull(seed, NULL, 10), n_steps);
    else
        for (uint32_t i = 0; i < n_walks; i++) run_walk(m, device, i, n_steps);
    unwrap_backend(m->backend);
    pd_model_close(m);
}

static void test_walks(void **state) {
    (void)state;
    for (uint32_t i = 0; i < N_PICTURES; i++)
        for (uint32_t k = 0; k < sizeof rgb[i]; k++)
            rgb[i][k] = (uint8_t)(37 * k * (i + 1) + 91 * i);
    on_every_device(walk_device, NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_walks),
                                       cmocka_unit_test(check_validation_silent)};
    PRINT_LOG();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
