/* Random walks over a context: sequences join, leave, grow together, keep less than was computed,
 * are cut, share pages, and some calls of the backend fail: whatever has outputs has those of its
 * tokens, equal bits on cpu-ref. PERIDOT_TEST_DEVICES overrides the list of devices,
 * PERIDOT_TEST_LONG walks further.
 *
 * SPDX-License-Identifier: MIT
 */
#include "fault/support_backend.h"
#include "support_context.h"
#include "support_sparse.h"

typedef struct walk {
    pd_context *c, *one; /* `one` computes a sequence anew */
    uint64_t random;
    bool exact;
    char text[64];
    struct walker {
        pd_sequence seq;
        uint32_t ids[CONTEXT + CHUNK], n;
        bool is_there;
    } all[N_SEQS];
} walk;

static uint32_t any(walk *w, uint32_t n) { /* below n; splitmix64 */
    uint64_t z = w->random += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return (uint32_t)((z ^ z >> 31) >> 32) % n;
}

static void expect_outputs(walk *w, struct walker *p) {
    float found[N_VOCAB], wanted[N_VOCAB];
    pd_sequence fresh;
    assert_int_equal(p->seq.tokens.n, p->n);
    assert_int_equal(pd_kv_length(w->c->kv, p->seq.kv_id), p->n);
    assert_memory_equal(p->seq.tokens.ids, p->ids, 4ul * p->n);
    if (!pd_context_has_output(w->c, &p->seq)) return;
    read_logits(w->c, &p->seq, found);
    join(w->one, &fresh);
    for (uint32_t n; fresh.tokens.n < p->n;) {
        n = p->n - fresh.tokens.n < CHUNK ? p->n - fresh.tokens.n : CHUNK;
        pd_batch_item item = {
            .seq = &fresh, .ids = p->ids + fresh.tokens.n, .n = n, .outs = PD_OUTS_LAST};
        run(w->one, &item, 1);
        pd_context_keep(w->one, &item, 1);
    }
    read_logits(w->one, &fresh, wanted);
    pd_context_leave(w->one, &fresh);
    bool same = memcmp(found, wanted, sizeof wanted) == 0;
    if (!(difference(found, wanted) <= BOUND) || (w->exact && !same))
        fail_msg("%s: off by %.1e", w->text, difference(found, wanted));
    assert_true(found[p->seq.out.result.best] >= found[3]);
}

static void change_members(walk *w) {
    struct walker *p = &w->all[any(w, N_SEQS)], *other = &w->all[any(w, N_SEQS)];
    if (!p->is_there) {
        join(w->c, &p->seq);
        p->is_there = true;
        p->n = 0;
        if (!other->is_there || other == p) return;
        memcpy(p->ids, other->ids, sizeof p->ids);
        p->n = pd_context_share(w->c, &other->seq, any(w, other->n + 1), &p->seq);
    } else if (any(w, 3) == 0) {
        pd_context_leave(w->c, &p->seq);
        p->is_there = false;
    } else {
        uint32_t n = any(w, 2) ? any(w, p->n + 1) : p->n - any(w, p->n / 4 + 1);
        uint32_t kept = pd_context_truncate(w->c, &p->seq, n);
        assert_true(kept <= n);
        p->n = kept;
    }
}

static void step_together(walk *w) {
    pd_error err;
    pd_batch_item items[N_SEQS];
    struct walker *players[N_SEQS];
    uint32_t n = 0;
    bool decodes = any(w, 3) > 0;
    for (uint32_t i = 0; i < N_SEQS; i++) {
        struct walker *p = &w->all[i];
        if (!p->is_there || any(w, 4) == 0 || p->n == CONTEXT) continue;
        uint32_t rows = decodes ? 1 : 1 + any(w, CHUNK / N_SEQS);
        if (rows > CONTEXT - p->n) rows = CONTEXT - p->n;
        for (uint32_t k = 0; k < rows; k++) p->ids[p->n + k] = 3 + any(w, N_VOCAB - 3);
        items[n] = (pd_batch_item){.seq = &p->seq, .ids = p->ids + p->n, .n = rows};
        items[n].outs = any(w, 5) ? PD_OUTS_LAST : PD_OUTS_NONE;
        players[n++] = p;
    }
    if (n == 0) return;
    n_backend_calls = 0;
    failing_call = any(w, 6) == 0 ? 1 + any(w, 2) : 0;
    pd_status status = pd_context_run(w->c, items, n, NULL, &err);
    assert_true(status == PD_OK ||
                (status == PD_ERR_DEVICE && failing_call && n_backend_calls >= failing_call));
    failing_call = 0;
    if (status != PD_OK || any(w, 10) == 0) return; /* computed, and not wanted */
    for (uint32_t i = 0; i < n; i++) {
        if (any(w, 6) == 0) items[i].n_kept = any(w, items[i].n + 1);
        players[i]->n += items[i].n_kept;
    }
    pd_context_keep(w->c, items, n);
}

static void run_walk(walk *w, uint32_t n_steps) {
    for (uint32_t i = 0; i < n_steps; i++) {
        if (any(w, 5) == 0)
            change_members(w);
        else
            step_together(w);
        snprintf(w->text + strlen(w->text), 16, " step %u", i);
        for (uint32_t k = 0; k < N_SEQS; k++)
            if (w->all[k].is_there && w->all[k].n > 0 && any(w, 2)) expect_outputs(w, &w->all[k]);
        *strstr(w->text, " step") = 0;
    }
}

static void walk_device(void *ctx, const char *device) {
    (void)ctx;
    bool is_long = getenv("PERIDOT_TEST_LONG") != NULL, is_fast = strcmp(device, "cpu") == 0;
    uint32_t n_walks = is_long || is_fast ? 8 : 2;
    if (tests_are_sparse()) n_walks /= 2;
    static walk w;
    pd_model *m = open_model(device);
    wrap_backend(m->backend);
    for (uint32_t seed = 0; seed < n_walks; seed++) {
        w = (walk){.random = seed, .exact = strcmp(device, "cpu-ref") == 0};
        snprintf(w.text, sizeof w.text - 16, "%s, seed %u", device, seed);
        w.c = open_context(m, N_SEQS, seed % 2 != 0);
        w.one = open_context(m, 1, false);
        run_walk(&w, is_long ? 400 : is_fast ? 100 : 60);
        for (uint32_t i = 0; i < N_SEQS; i++) pd_context_leave(w.c, &w.all[i].seq);
        expect_all_free(w.c);
        pd_context_destroy(w.c);
        pd_context_destroy(w.one);
    }
    unwrap_backend(m->backend);
    pd_model_close(m);
}

static void test_walks(void **state) {
    (void)state;
    on_every_device(walk_device, NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_walks),
                                       cmocka_unit_test(check_validation_silent)};
    PRINT_LOG();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
