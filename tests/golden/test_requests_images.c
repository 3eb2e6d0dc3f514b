/* Pictures in a batch: the answers are those of a session, also with several pictures, several at
 * once and shared beginnings; and answers that are running go on while one is encoded.
 *
 * SPDX-License-Identifier: MIT
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "peridot_batch.h"
#include "support_images.h"

enum { CONTEXT = 600, ANSWER = 8, MAX_PROMPT = 200, N_ASKS = 6 };

typedef struct picture_ask {
    uint32_t ids[MAX_PROMPT];
    size_t n_ids;
    pd_image images[3];
    size_t n_images;
    uint32_t got[CONTEXT], n_got, wanted[ANSWER], n_wanted;
    uint32_t *watched; /* another's n_got ... */
    uint32_t n_before; /* ... when this one's answer began */
    pd_request *request;
    pd_status status;
} picture_ask;

static pd_image make_picture(uint32_t number) {
    enum { SIDE = 6 };
    pd_image p = {SIDE, SIDE, malloc(SIDE * SIDE * 3)};
    for (uint32_t i = 0; i < SIDE * SIDE * 3; i++) p.rgb[i] = (uint8_t)(i * 37 + number * 91);
    return p;
}

/* A text, its pictures by number, a text that is its own. */
static void make(picture_ask *a, uint32_t number, size_t n_images) {
    *a = (picture_ask){.n_images = n_images};
    a->ids[a->n_ids++] = PD_TOKEN_BOS;
    for (uint32_t i = 0; i < 5; i++) a->ids[a->n_ids++] = 10 + i;
    for (size_t i = 0; i < n_images; i++) {
        a->images[i] = make_picture(number + (uint32_t)i);
        a->ids[a->n_ids++] = PD_TOKEN_IMAGE;
        a->ids[a->n_ids++] = 20 + number;
    }
    for (uint32_t i = 0; i < 30; i++) a->ids[a->n_ids++] = 30 + (number * 7 + i * 3) % 500;
}

static void unmake(picture_ask *a) {
    for (size_t i = 0; i < a->n_images; i++) free(a->images[i].rgb);
}

static pd_prompt prompt_of(const picture_ask *a) {
    return (pd_prompt){a->ids, a->n_ids, a->images, a->n_images};
}

static bool take(void *ctx, uint32_t id) {
    picture_ask *a = ctx;
    a->wanted[a->n_wanted++] = id;
    return true;
}

static void by_session(pd_model *m, picture_ask *a) {
    pd_error err;
    pd_session *s;
    pd_sampler sampler = {0};
    pd_prompt prompt = prompt_of(a);
    pd_session_desc desc = {.n_ctx = CONTEXT, .precision = PD_PRECISION_EXACT};
    pd_generate_desc g = {.n_max = ANSWER, .ignore_stop = true, .fn = take, .fn_ctx = a};
    must(pd_session_create(m, &desc, &s, &err), &err);
    must(pd_session_sync_prompt(s, &prompt, &err), &err);
    must(pd_session_generate(s, &sampler, &g, &err), &err);
    pd_session_destroy(s);
}

static bool on_event(void *ctx, const pd_event *e) {
    picture_ask *a = ctx;
    if (e->kind == PD_EVENT_TOKEN) {
        if (a->n_got == 0 && a->watched) a->n_before = *a->watched;
        a->got[a->n_got++] = e->token.id;
    }
    if (e->kind == PD_EVENT_DONE) a->status = e->status;
    return true;
}

static void submit(pd_batch *b, picture_ask *a, uint32_t n_max) {
    pd_error err;
    pd_request_desc d = {
        .prompt = prompt_of(a), .n_max = n_max, .ignore_stop = true, .fn = on_event, .ctx = a};
    must(pd_batch_submit(b, &d, &a->request, &err), &err);
}

static void finish(picture_ask *a) {
    pd_request_wait(a->request);
    pd_request_free(a->request);
}

static pd_batch *open_batch(pd_model *m, bool deterministic) {
    pd_error err;
    pd_batch *b;
    pd_batch_desc desc = {.session = {.n_ctx = CONTEXT, .precision = PD_PRECISION_EXACT},
                          .n_parallel = 3,
                          .deterministic = deterministic};
    must(pd_batch_create(m, &desc, &b, &err), &err);
    return b;
}

static void same_tokens(void *ctx, const char *device) {
    static picture_ask asks[N_ASKS];
    pd_model *m = share_model(device, PD_PRECISION_EXACT);
    for (uint32_t i = 0; i < N_ASKS; i++) { /* the fifth begins as the second */
        make(&asks[i], i == 4 ? 1 : i, i % 3);
        by_session(m, &asks[i]);
    }
    pd_batch *b = open_batch(m, *(const bool *)ctx);
    for (uint32_t i = 0; i < N_ASKS; i++) submit(b, &asks[i], ANSWER);
    for (uint32_t i = 0; i < N_ASKS; i++) {
        finish(&asks[i]);
        assert_int_equal(asks[i].status, PD_OK);
        assert_int_equal(asks[i].n_got, ANSWER);
        for (uint32_t k = 0; k < ANSWER; k++)
            if (asks[i].got[k] != asks[i].wanted[k])
                fail_msg("%s: request %u: token %u is %u, not %u", device, i, k, asks[i].got[k],
                         asks[i].wanted[k]);
        unmake(&asks[i]);
    }
    pd_batch_destroy(b);
}

static void test_same_tokens(void **state) {
    (void)state;
    bool deterministic = false;
    on_every_device(same_tokens, &deterministic);
    deterministic = true;
    on_every_device(same_tokens, &deterministic);
}

/* Encoding is some dozens of operations: without steps between them the other answer would get one
 * token in that time. On Vulkan, a test's small picture is one piece. */
static void goes_on(void *ctx, const char *device) {
    (void)ctx;
    static picture_ask talk, shown;
    if (strncmp(device, "cpu", 3) != 0) return;
    pd_model *m = share_model(device, PD_PRECISION_EXACT);
    pd_batch *b = open_batch(m, false);
    make(&talk, 40, 0);
    make(&shown, 41, 1); /* a picture that nobody has seen */
    shown.watched = &talk.n_got;
    submit(b, &talk, 400);
    submit(b, &shown, 2);
    finish(&shown);
    assert_true(shown.n_before > 15);
    finish(&talk);
    unmake(&shown);
    pd_batch_destroy(b);
}

static void test_goes_on(void **state) {
    (void)state;
    on_every_device(goes_on, NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_same_tokens),
                                       cmocka_unit_test(test_goes_on),
                                       cmocka_unit_test(check_validation_silent)};
    PRINT_LOG();
    return cmocka_run_group_tests_name("golden.requests_images", tests, read_all, free_all);
}
