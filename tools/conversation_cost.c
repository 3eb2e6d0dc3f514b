/* What a conversation costs: positions computed again when something earlier is asked anew, and the
 * time to the first token of an answer.
 *
 *     conversation_cost MODEL.gguf [DEVICE [TURNS [FILE]]]
 *
 * Turns of 130 tokens of question and 70 of answer, drawn greedily; 30 of them, so 6000 positions,
 * unless told otherwise. The conversation is held with checkpoints and without, and written to
 * FILE, which is gone at the end: each line of the table begins with what it holds. A row is
 * "equal" when the logits behind the question have the hash that they had when it was asked first.
 *
 * SPDX-License-Identifier: MIT
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/memory.h"
#include "peridot.h"

enum { N_QUESTION = 130, N_ANSWER = 70, N_TURN = N_QUESTION + N_ANSWER, MAX_TURNS = 500 };

typedef struct talk {
    pd_model *model;
    pd_session *session;
    const char *path;
    uint32_t n_turns;
    uint32_t *ids;    /* [n_turns * N_TURN + 1], <bos> first */
    uint64_t *hashes; /* [n_turns] behind each question */
    double ms;        /* of the last question, to its first token */
    uint32_t n_computed;
} talk;

/* Words that no two questions share; `other` makes another question of the same length. */
static uint32_t question_token(uint32_t turn, uint32_t i, bool other) {
    return 1000 + (turn * 2654435761u + i * 40503u + other * 7919u) % 20000;
}

static uint32_t question_end(uint32_t turn) {
    return 1 + turn * N_TURN + N_QUESTION;
}

static void put_question(talk *t, uint32_t turn, bool other) {
    for (uint32_t i = 0; i < N_QUESTION; i++)
        t->ids[1 + turn * N_TURN + i] = question_token(turn, i, other);
}

static uint32_t count_computed(const talk *t) {
    const pd_session_stats *s = pd_session_get_stats(t->session);
    return s->n_prompt + s->n_decode;
}

/* The beginning of n positions and the token behind it; *hash of its logits. */
static pd_status ask(talk *t, uint32_t n, uint64_t *hash, pd_error *err) {
    uint32_t before = count_computed(t), id;
    const float *logits;
    uint64_t start_ns = pd_clock_ns();
    PD_TRY(pd_session_sync(t->session, t->ids, n, err));
    PD_TRY(pd_session_argmax(t->session, &id, err));
    t->ms = (double)(pd_clock_ns() - start_ns) * 1e-6;
    t->n_computed = count_computed(t) - before;
    PD_TRY(pd_session_logits(t->session, &logits, err));
    *hash = pd_session_get_stats(t->session)->logits_hash;
    return PD_OK;
}

typedef struct answer {
    uint32_t *ids;
    uint32_t n;
} answer;

static bool take(void *ctx, uint32_t id) {
    answer *a = ctx;
    a->ids[a->n++] = id;
    return true;
}

static pd_status hold(talk *t, pd_error *err) {
    pd_sampler greedy;
    PD_TRY(pd_sampler_init(&greedy, &(pd_sampler_desc){.temp = 0}, err));
    for (uint32_t turn = 0; turn < t->n_turns; turn++) {
        put_question(t, turn, false);
        PD_TRY(ask(t, question_end(turn), &t->hashes[turn], err));
        answer a = {.ids = t->ids + question_end(turn)};
        pd_generate_desc desc = {.n_max = N_ANSWER, .ignore_stop = true, .fn = take, .fn_ctx = &a};
        PD_TRY(pd_session_generate(t->session, &greedy, &desc, err));
    }
    return pd_session_save(t->session, t->path, NULL, 0, err);
}

/* ---- the table ------------------------------------------------------------------------------ */

static void print_row(const talk *t, const char *what, const char *equal) {
    printf("| %s | %" PRIu32 " | %.1f | %s |\n", what, t->n_computed, t->ms, equal);
    fflush(stdout);
}

/* Loads the file and asks `turn` again: as it was, or another question and then what it was. */
static pd_status ask_again(talk *t, const char *what, uint32_t turn, bool other, pd_error *err) {
    uint64_t hash;
    PD_TRY(pd_session_load(t->session, t->path, err));
    put_question(t, turn, other);
    PD_TRY(ask(t, question_end(turn), &hash, err));
    print_row(t, what, other ? "" : hash == t->hashes[turn] ? "equal" : "differs");
    if (!other) return PD_OK;
    put_question(t, turn, false);
    PD_TRY(ask(t, question_end(turn), &hash, err));
    print_row(t, "... and back to what it was", hash == t->hashes[turn] ? "equal" : "differs");
    return PD_OK;
}

static pd_status ask_fork(talk *t, pd_error *err) {
    uint32_t turn = t->n_turns - 1;
    pd_session *first = t->session;
    uint64_t hash;
    PD_TRY(pd_session_load(t->session, t->path, err));
    PD_TRY(pd_session_fork(first, &t->session, err));
    pd_status status = ask(t, question_end(turn), &hash, err);
    if (status == PD_OK)
        print_row(t, "fork, its last answer anew", hash == t->hashes[turn] ? "equal" : "differs");
    pd_session_destroy(t->session);
    t->session = first;
    return status;
}

static pd_status ask_everything(talk *t, const pd_session_desc *desc, pd_error *err) {
    pd_session *first = t->session;
    uint64_t hash;
    PD_TRY(pd_session_create(t->model, desc, &t->session, err));
    pd_status status = ask(t, question_end(t->n_turns - 1), &hash, err);
    if (status == PD_OK) print_row(t, "nothing kept: all from the start", "");
    pd_session_destroy(t->session);
    t->session = first;
    return status;
}

static pd_status measure(talk *t, const pd_session_desc *desc, pd_error *err) {
    uint32_t last = t->n_turns - 1;
    PD_TRY(hold(t, err));
    printf("| | computed | ms to the first token | logits |\n|---|--:|--:|---|\n");
    print_row(t, "the last question, as it came", "");
    PD_TRY(ask_again(t, "load, last answer anew", last, false, err));
    PD_TRY(ask_again(t, "last question edited", last, true, err));
    PD_TRY(ask_again(t, "question in the middle edited", t->n_turns / 2, true, err));
    PD_TRY(ask_again(t, "last turn undone, the one before answered anew", last - 1, false, err));
    PD_TRY(ask_fork(t, err));
    return ask_everything(t, desc, err);
}

static pd_status run(talk *t, uint32_t checkpoints, pd_error *err) {
    pd_session_desc desc = {.n_ctx = t->n_turns * N_TURN + 64, .checkpoint_positions = checkpoints};
    printf("\n%s\n\n", checkpoints ? "Without checkpoints:" : "With checkpoints:");
    PD_TRY(pd_session_create(t->model, &desc, &t->session, err));
    pd_status status = measure(t, &desc, err);
    pd_session_destroy(t->session);
    remove(t->path);
    return status;
}

int main(int argc, char **argv) {
    if (argc < 2 || argc > 5) {
        fprintf(stderr, "usage: conversation_cost MODEL.gguf [DEVICE [TURNS [FILE]]]\n");
        return 2;
    }
    long n_turns = argc > 3 ? strtol(argv[3], NULL, 10) : 30;
    if (n_turns < 2 || n_turns > MAX_TURNS) {
        fprintf(stderr, "conversation_cost: 2 to %d turns\n", MAX_TURNS);
        return 2;
    }
    talk t = {.n_turns = (uint32_t)n_turns, .path = argc > 4 ? argv[4] : "conversation.pdsession"};
    t.ids = pd_alloc(t.n_turns * N_TURN + 1, sizeof *t.ids);
    t.hashes = pd_alloc(t.n_turns, sizeof *t.hashes);
    pd_error err = {0};
    pd_status status = PD_ERR_MEMORY_HOST;
    pd_model_desc desc = {.device = argc > 2 ? argv[2] : "cpu"};
    if (t.ids && t.hashes) {
        t.ids[0] = 2; /* <bos> */
        status = pd_model_open(argv[1], &desc, &t.model, &err);
    }
    if (status == PD_OK) status = run(&t, 0, &err);
    if (status == PD_OK) status = run(&t, PD_NO_CHECKPOINTS, &err);
    if (status != PD_OK) fprintf(stderr, "conversation_cost: %s\n", err.message);
    pd_model_close(t.model);
    pd_free(t.ids);
    pd_free(t.hashes);
    return pd_status_exit_code(status);
}
