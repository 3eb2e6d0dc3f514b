/* The model in the box reads and sees: answers that are right word for word, the same on every
 * device, asked through the public functions as any program would. Wrong masks, pixels or weights
 * become wrong words (docs/toy.md). More questions, through the program: toy.words.
 * PERIDOT_TEST_DEVICES overrides the list of devices.
 *
 * SPDX-License-Identifier: MIT
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>
#include <cmocka.h>

#include "support_golden.h"

#define TOY(name)    PERIDOT_TOY_FOLDER "/" name
#define SAMPLE(name) PERIDOT_SAMPLES "/" name

enum { MAX_IDS = 256, MAX_TEXT = 512, MAX_TURNS = 8 };

typedef struct talk {
    pd_model *model;
    pd_session *session;
    pd_chat_turn turns[MAX_TURNS];
    char answers[MAX_TURNS + 1][MAX_TEXT];
    uint32_t n;
    pd_image picture;
    pd_image_place place; /* in front of the first question */
    pd_detokenizer decoder;
} talk;

static bool add_text(void *ctx, uint32_t id) {
    talk *t = ctx;
    char bytes[PD_DETOKENIZE_MAX_BYTES + 1], *answer = t->answers[t->n];
    bytes[pd_detokenize(t->model, &t->decoder, id, bytes)] = 0;
    assert_true(strlen(answer) + strlen(bytes) < MAX_TEXT);
    strcat(answer, bytes);
    return true;
}

static void begin(talk *t, const char *device) {
    pd_error err;
    *t = (talk){0};
    pd_model_desc desc = {
        .device = device, .n_threads = 2, .mmproj = TOY("mmproj-pip-toy-f16.gguf")};
    must(pd_model_open(TOY("pip-toy-q4_0.gguf"), &desc, &t->model, &err), &err);
    must(pd_session_create(t->model, &(pd_session_desc){.n_ctx = 512}, &t->session, &err), &err);
}

static void end(talk *t) {
    pd_image_free(&t->picture);
    pd_session_destroy(t->session);
    pd_model_close(t->model);
}

/* What is said from now on has nothing before it. */
static void show(talk *t, const char *picture) {
    pd_error err;
    pd_image_free(&t->picture);
    t->picture = (pd_image){0};
    t->n = 0;
    if (picture) must(pd_image_read(picture, NULL, &t->picture, &err), &err);
}

static void put(talk *t, const char *role, const char *text) {
    assert_true(t->n < MAX_TURNS);
    bool shows = t->n == 0 && t->picture.rgb;
    t->turns[t->n] = (pd_chat_turn){.role = role,
                                    .text = text,
                                    .n_bytes = strlen(text),
                                    .images = shows ? &t->place : NULL,
                                    .n_images = shows};
    t->answers[++t->n][0] = 0;
}

static void ask(talk *t, const char *device, const char *question, const char *answer) {
    pd_error err;
    uint32_t ids[MAX_IDS];
    pd_sampler greedy = {0};
    pd_generate_desc desc = {.n_max = 120, .fn = add_text, .fn_ctx = t};
    put(t, "user", question);
    pd_prompt prompt = {.ids = ids, .images = &t->picture, .n_images = t->picture.rgb ? 1 : 0};
    must(pd_chat_encode(t->model, t->turns, t->n, ids, MAX_IDS, &prompt.n_ids, &err), &err);
    must(pd_session_sync_prompt(t->session, &prompt, &err), &err);
    pd_detokenizer_init(&t->decoder);
    must(pd_session_generate(t->session, &greedy, &desc, &err), &err);
    const char *said = t->answers[t->n];
    if (strcmp(said, answer) != 0)
        fail_msg("%s: \"%s\": \"%s\" instead of \"%s\"", device, question, said, answer);
    put(t, "model", said);
}

static void talk_on(void *ctx, const char *device) {
    (void)ctx;
    static talk t;
    begin(&t, device);
    ask(&t, device, "What is 7 plus 5?", "7 + 5 = 12.");
    ask(&t, device, "And minus 3?", "12 - 3 = 9.");
    ask(&t, device, "My name is Anna.", "Nice to meet you, Anna!");
    ask(&t, device, "What is my name?", "Your name is Anna.");
    show(&t, SAMPLE("1.png"));
    ask(&t, device, "Describe the picture.",
        "Three shapes on a white background: a large red circle at the top left, a large blue star "
        "at "
        "the right and a small green square at the bottom.");
    ask(&t, device, "What colour is the star?", "The star is blue.");
    ask(&t, device, "And how big is it?", "It is large.");
    show(&t, SAMPLE("2.png"));
    ask(&t, device, "What do you see?", "A large pink heart in the middle on a black background.");
    ask(&t, device, "How many shapes are there?", "There is one shape.");
    show(&t, SAMPLE("4.png"));
    ask(&t, device, "Which digit is in the picture?", "The digit is 7.");
    end(&t);
}

static void test_answers(void **state) {
    (void)state;
    if (access(TOY("pip-toy-q4_0.gguf"), R_OK) != 0) skip_because("the toy is not built");
    on_every_device(talk_on, NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_answers)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
