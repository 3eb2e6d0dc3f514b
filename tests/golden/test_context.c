/* Several sequences in one context: what each computes does not depend on who else is in its steps.
 *
 * Three sequences of different lengths are prefilled in one step and go on by batches of one row
 * each, drawing tokens; one leaves, another joins, with its prompt in a step in which the others
 * decode. Every position's logits and every token are compared with those of the same sequence
 * alone in a context of the same size.
 *
 * On cpu-ref the bits are equal: a row is computed by itself. Elsewhere the kernels follow from the
 * program, and on the CPU from the number of rows: one row alone takes other ones than three, which
 * add up in another order. Rounding then differs as between any two backends at precision exact:
 * BOUND is the one of golden/test_walk.c.
 *
 * Besides: outputs that another sequence's step has written over, rows that are dropped again
 * (speculation), steps that fail, and pages that are shared. Random walks: test_context_walk.c.
 * PERIDOT_TEST_DEVICES overrides the list of devices.
 *
 * SPDX-License-Identifier: MIT
 */
#include "support_context.h"

/* What one sequence is: so many tokens at first, and so many drawn. */
typedef struct text {
    uint32_t n_prompt, n_drawn;
    pd_sampler_desc sampler;
    uint32_t ids[MAX_TOKENS]; /* the prompt, then what was drawn */
    uint32_t n;
    float logits[MAX_TOKENS][N_VOCAB]; /* that each drawn token was drawn from */
} text;

static const text plans[N_TEXTS] = {
    {.n_prompt = 40, .n_drawn = 30, .sampler = {.temp = 1, .top_k = 64, .top_p = 0.95f, .seed = 3}},
    {.n_prompt = 23, .n_drawn = 9},
    {.n_prompt = 64, .n_drawn = 26, .sampler = {.temp = 2, .top_k = 200, .seed = 8}},
    {.n_prompt = 31, .n_drawn = 12, .sampler = {.temp = 1, .top_k = 40, .min_p = 0.01f, .seed = 1}},
};

static text alone[N_TEXTS], together[N_TEXTS];

static void start(text *out, uint32_t t) {
    *out = plans[t];
    for (; out->n < out->n_prompt; out->n++) out->ids[out->n] = token_at(t, out->n);
}

/* ---- drawing together ----------------------------------------------------------------------- */

typedef struct player {
    pd_sequence seq;
    text *text;
    pd_sample_params params;
} player;

/* What the sequence is to compute next: the rest of its text. */
static pd_batch_item next_item(player *p) {
    pd_sampler sampler = {.desc = p->text->sampler, .n_drawn = p->text->n - p->text->n_prompt};
    assert_true(pd_sampler_to_params(&sampler, &p->params));
    uint32_t first = p->seq.tokens.n;
    return (pd_batch_item){.seq = &p->seq,
                           .ids = p->text->ids + first,
                           .n = p->text->n - first,
                           .outs = PD_OUTS_LAST,
                           .sampling = &p->params};
}

static bool is_done(const player *p) {
    return p->text->n == p->text->n_prompt + p->text->n_drawn;
}

/* One step of those that are there. */
static void play(pd_context *c, player *const players[], uint32_t n) {
    pd_batch_item items[N_SEQS];
    for (uint32_t i = 0; i < n; i++) items[i] = next_item(players[i]);
    run(c, items, n);
    for (uint32_t i = 0; i < n; i++)
        assert_int_equal(items[i].seq->tokens.n + items[i].n, players[i]->text->n);
    pd_context_keep(c, items, n);
    for (uint32_t i = 0; i < n; i++) {
        text *t = players[i]->text;
        assert_int_equal(players[i]->seq.tokens.n, t->n);
        assert_true(pd_output_is_at_hand(&players[i]->seq.out));
        read_logits(c, &players[i]->seq, t->logits[t->n - t->n_prompt]);
        t->ids[t->n++] = items[i].out.result.id;
    }
}

static void play_alone(pd_context *c, uint32_t t) {
    player p = {.text = &alone[t]}, *list[1] = {&p};
    start(p.text, t);
    join(c, &p.seq);
    while (!is_done(&p)) play(c, list, 1);
    pd_context_leave(c, &p.seq);
}

/* Whoever is done leaves; the last text joins as soon as there is room. */
static void play_together(pd_context *c) {
    player p[N_TEXTS] = {0}, *list[N_SEQS];
    uint32_t n = 0, next = 0, n_mixed = 0, n_batches = 0;
    for (;;) {
        while (n < N_SEQS && next < N_TEXTS) {
            p[next].text = &together[next];
            start(p[next].text, next);
            join(c, &p[next].seq);
            n_mixed += next == N_SEQS;
            list[n++] = &p[next++];
        }
        if (n == 0) break;
        play(c, list, n);
        n_batches +=
            c->ran >= &c->stages[PD_STAGE_BATCH] && c->ran <= &c->stages[PD_STAGE_BATCH_LAST];
        for (uint32_t i = 0; i < n;) {
            if (is_done(list[i])) {
                pd_context_leave(c, &list[i]->seq);
                list[i] = list[--n];
            } else {
                i++;
            }
        }
    }
    assert_int_equal(n_mixed, 1);
    assert_true(n_batches > 20);
}

static void compare_texts(const char *device) {
    double worst = 0;
    uint32_t n_same = 0, n_all = 0;
    for (uint32_t t = 0; t < N_TEXTS; t++) {
        for (uint32_t i = 0; i < plans[t].n_drawn; i++) {
            const float *a = alone[t].logits[i], *b = together[t].logits[i];
            double d = difference(b, a);
            bool same = memcmp(a, b, sizeof alone[t].logits[i]) == 0;
            if (d > worst) worst = d;
            n_same += same;
            n_all++;
            if (!(d <= BOUND) || (!same && strcmp(device, "cpu-ref") == 0))
                fail_msg("%s: text %u, token %u: off by %.1e", device, t, i, d);
            uint32_t k = plans[t].n_prompt + i;
            if (alone[t].ids[k] != together[t].ids[k])
                fail_msg("%s: text %u, token %u: %u alone, %u together", device, t, i,
                         alone[t].ids[k], together[t].ids[k]);
        }
    }
    print_message("%-16s %u of %u rows have equal bits, the others are off by %.1e at most\n",
                  device, n_same, n_all, worst);
}

static void several_sequences(void *ctx, const char *device) {
    (void)ctx;
    pd_model *m = open_model(device);
    pd_context *c = open_context(m, N_SEQS, false);
    for (uint32_t t = 0; t < N_TEXTS; t++) play_alone(c, t);
    play_together(c);
    compare_texts(device);
    expect_all_free(c);
    pd_context_destroy(c);
    pd_model_close(m);
}

/* ---- masks ---------------------------------------------------------------------------------- */

enum { MASK_WORDS = (N_VOCAB + 31) / 32 };

/* A third of the tokens, others for each sequence and step. */
static uint32_t *make_mask(uint32_t seq, uint32_t step) {
    uint32_t *mask = calloc(PD_SAMPLE_END / 32, sizeof *mask);
    assert_non_null(mask);
    for (uint32_t i = 0; i < N_VOCAB; i++)
        if ((i + seq + step) % 3 == 0) mask[i / 32] |= UINT32_C(1) << i % 32;
    return mask;
}

static bool look_at(void *ctx, const pd_profile_op *op) {
    (void)op;
    ++*(uint32_t *)ctx;
    return true;
}

/* Of the sequences of a step, all but the second have a mask, and it is gone when they have run. */
static void play_masked(pd_context *c, pd_sequence *seqs, uint32_t n, uint32_t step) {
    uint32_t ids[N_SEQS][8];
    float logits[N_VOCAB];
    pd_sample_params params[N_SEQS], without;
    pd_batch_item items[N_SEQS];
    for (uint32_t i = 0; i < n; i++) {
        uint32_t first = seqs[i].tokens.n, rows = step == 0 ? 3 + i : 1;
        for (uint32_t k = 0; k < rows; k++) ids[i][k] = token_at(i, first + k);
        params[i] = (pd_sample_params){.k = i == 2 ? 1 : 50,
                                       .scale = pd_sample_scale(2),
                                       .counter = step,
                                       .mask = i == 1 ? NULL : make_mask(i, step)};
        items[i] = (pd_batch_item){.seq = &seqs[i],
                                   .ids = ids[i],
                                   .n = rows,
                                   .outs = PD_OUTS_LAST,
                                   .sampling = &params[i]};
    }
    run(c, items, n);
    pd_context_keep(c, items, n);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t id = items[i].out.result.id;
        read_logits(c, &seqs[i], logits);
        assert_int_equal(id, pd_sample_token(&params[i], logits, N_VOCAB));
        assert_true(i == 1 || (id + i + step) % 3 == 0);
        without = (pd_sample_params){.k = 1};
        assert_int_equal(items[i].out.result.best, pd_sample_token(&without, logits, N_VOCAB));
        free((void *)(uintptr_t)params[i].mask);
    }
}

static void masked_draws(void *ctx, const char *device) {
    (void)ctx, (void)device;
    pd_error err;
    pd_model *m = open_model(device);
    pd_context *c = open_context(m, N_SEQS, false);
    pd_sequence seqs[N_SEQS];
    uint32_t nothing[MASK_WORDS] = {0}, n_ops = 0, id = token_at(0, 9);
    for (uint32_t i = 0; i < N_SEQS; i++) join(c, &seqs[i]);
    for (uint32_t step = 0; step < 12; step++) play_masked(c, seqs, N_SEQS, step);
    play_masked(c, seqs, 1, 12);
    must(pd_context_profile(c, &seqs[0], look_at, &n_ops, &err), &err);
    assert_true(n_ops > 0);

    uint32_t n[2] = {seqs[0].tokens.n, seqs[1].tokens.n};
    pd_sample_params params = {.scale = pd_sample_scale(1), .mask = nothing};
    pd_batch_item items[2] = {
        {.seq = &seqs[0], .ids = &id, .n = 1, .outs = PD_OUTS_LAST},
        {.seq = &seqs[1], .ids = &id, .n = 1, .outs = PD_OUTS_LAST, .sampling = &params}};
    for (params.k = 1; params.k <= 20; params.k += 19) {
        assert_int_equal(pd_context_run(c, items, 2, NULL, &err), PD_ERR_NUMERIC);
        assert_string_equal(err.message, "none of the tokens that may be drawn has a finite logit");
        assert_int_equal(seqs[0].tokens.n, n[0]);
        assert_int_equal(seqs[1].tokens.n, n[1]);
    }
    play_masked(c, seqs, N_SEQS, 13);
    for (uint32_t i = 0; i < N_SEQS; i++) pd_context_leave(c, &seqs[i]);
    expect_all_free(c);
    pd_context_destroy(c);
    pd_model_close(m);
}

static void test_masked_draws(void **state) {
    (void)state;
    on_every_device(masked_draws, NULL);
}

/* ---- outputs -------------------------------------------------------------------------------- */

/* What other sequences' steps write over is kept or computed again, to the bit. */
static void outputs_of_several(void *ctx, const char *device) {
    (void)ctx, (void)device;
    pd_model *m = open_model(device);
    pd_context *c = open_context(m, N_SEQS, false);
    pd_sequence a, b;
    float before[2][N_VOCAB], after[N_VOCAB];
    join(c, &a);
    join(c, &b);
    extend(c, &a, 0, 30);
    read_logits(c, &a, before[0]);
    pd_output out = a.out;
    extend(c, &b, 1, 20);
    read_logits(c, &b, before[1]);
    assert_true(pd_output_is_at_hand(&a.out)); /* kept: decode would have made other bits of it */
    assert_memory_equal(&a.out.result, &out.result, sizeof out.result);
    read_logits(c, &a, after);
    expect_equal(after, before[0]);
    assert_true(pd_output_is_at_hand(&b.out));
    read_logits(c, &b, after);
    expect_equal(after, before[1]);
    extend(c, &a, 0, 1);
    read_logits(c, &a, before[0]);
    extend(c, &b, 1, 1);
    assert_false(pd_output_is_at_hand(&a.out)); /* which decode makes again */
    assert_true(pd_context_has_output(c, &a));
    read_logits(c, &a, after);
    expect_equal(after, before[0]);
    pd_context_leave(c, &a);
    pd_context_leave(c, &b);
    pd_context_destroy(c);
    pd_model_close(m);
}

/* Rows with an output each, of which the first two stay. */
static void dropped_rows(void *ctx, const char *device) {
    (void)ctx, (void)device;
    pd_model *m = open_model(device);
    pd_context *c = open_context(m, N_SEQS, false);
    pd_sequence a, b;
    float wanted[4][N_VOCAB], found[N_VOCAB];
    join(c, &a);
    join(c, &b);
    extend(c, &a, 0, 62); /* the rows go on into another page */
    extend(c, &b, 0, 62);
    for (uint32_t i = 0; i < 3; i++) {
        extend(c, &a, 0, 1);
        read_logits(c, &a, wanted[i]);
    }
    uint32_t ids[3] = {token_at(0, 62), token_at(0, 63), token_at(2, 64)};
    pd_sample_result results[3];
    pd_batch_item item = {.seq = &b, .ids = ids, .n = 3, .outs = PD_OUTS_ALL, .results = results};
    run(c, &item, 1);
    assert_ptr_equal(c->ran, &c->stages[PD_STAGE_BATCH + 1]); /* three rows */
    assert_int_equal(b.tokens.n, 62);
    assert_int_equal(pd_kv_length(c->kv, b.kv_id), 62);
    item.n_kept = 2;
    pd_context_keep(c, &item, 1);
    assert_int_equal(b.tokens.n, 64);
    assert_int_equal(pd_kv_length(c->kv, b.kv_id), 64);
    assert_int_equal(pd_kv_table(c->kv, b.kv_id).n_pages, 1);
    assert_int_equal(b.out.result.best, results[1].best);
    read_logits(c, &b, found);
    assert_true(difference(found, wanted[1]) <= BOUND);
    extend(c, &b, 0, 1);
    read_logits(c, &b, found);
    assert_true(difference(found, wanted[2]) <= BOUND);
    pd_context_leave(c, &a);
    pd_context_leave(c, &b);
    pd_context_destroy(c);
    pd_model_close(m);
}

/* ---- few rows ------------------------------------------------------------------------------- */

/* Steps of a prompt go through the smallest plan that they fit, and give what single rows give. */
static void few_rows(void *ctx, const char *device) {
    (void)ctx;
    static const struct {
        uint32_t n;
        pd_stage_kind stage;
    } steps[] = {{PD_FEW_ROWS, PD_STAGE_FEW},
                 {PD_FEW_ROWS + 1, PD_STAGE_SOME},
                 {PD_SOME_ROWS, PD_STAGE_SOME},
                 {PD_SOME_ROWS + 1, PD_STAGE_PREFILL}};
    pd_model *m = open_model(device);
    pd_context *c = open_context(m, 1, false);
    pd_sequence a, b;
    float wanted[N_VOCAB], found[N_VOCAB];
    join(c, &a);
    join(c, &b);
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        extend(c, &a, 0, steps[i].n);
        assert_ptr_equal(c->ran, &c->stages[steps[i].stage]);
        read_logits(c, &a, found);
        for (uint32_t k = 0; k < steps[i].n; k++) extend(c, &b, 0, 1);
        read_logits(c, &b, wanted);
        if (!(difference(found, wanted) <= BOUND))
            fail_msg("%s, %u rows: off by %.1e", device, steps[i].n, difference(found, wanted));
    }
    pd_context_leave(c, &a);
    pd_context_leave(c, &b);
    expect_all_free(c);
    pd_context_destroy(c);
    pd_model_close(m);
}

static void test_few_rows(void **state) {
    (void)state;
    on_every_device(few_rows, NULL);
}

/* ---- failures ------------------------------------------------------------------------------- */

static void failures_change_nothing(void *ctx, const char *device) {
    (void)ctx, (void)device;
    pd_error err;
    pd_model *m = open_model(device);
    pd_context *c = open_context(m, 2, false);
    pd_sequence a, b;
    float before[N_VOCAB], after[N_VOCAB];
    atomic_int cancel = 1;
    join(c, &a);
    join(c, &b);
    extend(c, &a, 0, 60);
    read_logits(c, &a, before);
    uint32_t n_pages = pages_in_use(c).n_global, ids[CONTEXT] = {0};
    pd_batch_item items[2] = {{.seq = &a, .ids = ids, .n = 70, .outs = PD_OUTS_LAST},
                              {.seq = &b, .ids = ids, .n = 70, .outs = PD_OUTS_LAST}};
    assert_int_equal(pd_context_run(c, items, 2, &cancel, &err), PD_ERR_CANCELLED);
    items[1].n = CHUNK;
    assert_int_equal(pd_context_run(c, items, 2, NULL, &err), PD_ERR_ARGUMENT);
    items[1].n = 70;
    items[1].outs = PD_OUTS_ALL;
    assert_int_equal(pd_context_run(c, items, 2, NULL, &err), PD_ERR_ARGUMENT);
    items[0].n = CONTEXT - 60 + 1;
    items[1].n = 1;
    assert_int_equal(pd_context_run(c, items, 2, NULL, &err), PD_ERR_CONTEXT);
    assert_int_equal(pages_in_use(c).n_global, n_pages);
    assert_int_equal(a.tokens.n, 60);
    assert_int_equal(b.tokens.n, 0);
    assert_false(pd_context_has_output(c, &b));
    read_logits(c, &a, after);
    assert_true(difference(after, before) <= BOUND);
    pd_context_leave(c, &a);
    pd_context_leave(c, &b);
    expect_all_free(c);
    pd_context_destroy(c);
    pd_model_close(m);
}

/* ---- shared pages --------------------------------------------------------------------------- */

/* Whichever of the two is cut back into the pages that both have and computes something else there,
 * the other one goes on as if it were alone. */
static void shared_pages_stay(void *ctx, const char *device) {
    (void)ctx, (void)device;
    enum { SHARED = 64, LONG = 70 };
    pd_model *m = open_model(device);
    pd_context *c = open_context(m, 2, false);
    float wanted[N_VOCAB], found[N_VOCAB];
    for (int cuts_copy = 0; cuts_copy < 2; cuts_copy++) {
        pd_sequence original, copy;
        join(c, &original);
        extend(c, &original, 0, SHARED);
        extend(c, &original, 0, LONG - SHARED);
        extend(c, &original, 0, 1);
        read_logits(c, &original, wanted);
        assert_int_equal(pd_context_truncate(c, &original, LONG), LONG);
        join(c, &copy);
        assert_int_equal(pd_context_share(c, &original, LONG, &copy), LONG);
        assert_int_equal(copy.tokens.n, LONG);
        assert_false(pd_context_has_output(c, &copy));
        pd_sequence *cut = cuts_copy ? &copy : &original, *other = cuts_copy ? &original : &copy;
        assert_int_equal(pd_context_truncate(c, cut, SHARED / 2), SHARED / 2);
        extend(c, cut, 1, LONG);
        extend(c, other, 0, 1);
        read_logits(c, other, found);
        expect_equal(found, wanted);
        pd_context_leave(c, &original);
        pd_context_leave(c, &copy);
        expect_all_free(c);
    }
    pd_context_destroy(c);
    pd_model_close(m);
}

/* ---- all logits ----------------------------------------------------------------------------- */

typedef struct scores {
    uint32_t first, n;
} scores;

static pd_status count_scores(void *ctx, uint32_t first, uint32_t n, const float *logits,
                              pd_error *err) {
    scores *s = ctx;
    (void)logits, (void)err;
    if (s->n == 0) s->first = first;
    assert_int_equal(first, s->first + s->n);
    s->n += n;
    return PD_OK;
}

/* Outputs of all rows of one sequence, and scores of another, from the same step. */
static void all_outputs_of_several(void *ctx, const char *device) {
    (void)ctx, (void)device;
    enum { N = 50, FIRST = 11 };
    pd_error err;
    pd_model *m = open_model(device);
    pd_session *s;
    uint32_t ids[2][N], best[2][N];
    float log_probs[2][N], found[N];
    pd_session_desc desc = {.n_ctx = CONTEXT, .precision = PD_PRECISION_EXACT, .all_logits = true};
    must(pd_session_create(m, &desc, &s, &err), &err);
    for (uint32_t t = 0; t < 2; t++) {
        for (uint32_t i = 0; i < N; i++) ids[t][i] = token_at(t, i);
        must(pd_session_log_probs(s, ids[t], N, 0, log_probs[t], best[t], &err), &err);
    }
    pd_session_destroy(s);

    pd_context *c = open_context(m, 2, true);
    pd_sequence a, b;
    join(c, &a);
    join(c, &b);
    pd_sample_result results[N];
    scores counted = {0};
    pd_score score = {
        .first = FIRST, .n = N, .fn = count_scores, .fn_ctx = &counted, .log_probs = found};
    pd_batch_item items[2] = {
        {.seq = &a, .ids = ids[0], .n = N, .outs = PD_OUTS_ALL, .results = results},
        {.seq = &b, .ids = ids[1], .n = N, .outs = PD_OUTS_LAST, .score = &score}};
    run(c, items, 2);
    pd_context_keep(c, items, 2);
    for (uint32_t i = 0; i + 1 < N; i++) assert_int_equal(results[i].best, best[0][i]);
    for (uint32_t i = FIRST; i + 1 < N; i++)
        assert_true(fabs((double)found[i - FIRST] - (double)log_probs[1][i]) < 1e-4);
    assert_int_equal(counted.first, FIRST);
    assert_int_equal(counted.n, N - FIRST);
    assert_true(pd_output_is_at_hand(&b.out));
    assert_true(pd_context_has_output(c, &a));
    assert_int_equal(a.out.result.best, results[N - 1].best);
    pd_context_leave(c, &a);
    pd_context_leave(c, &b);
    pd_context_destroy(c);
    pd_model_close(m);
}

/* ---- running them --------------------------------------------------------------------------- */

static void test_several_sequences(void **state) {
    (void)state;
    on_every_device(several_sequences, NULL);
}

static void test_outputs_of_several(void **state) {
    (void)state;
    on_every_device(outputs_of_several, NULL);
}

static void test_dropped_rows(void **state) {
    (void)state;
    on_every_device(dropped_rows, NULL);
}

static void test_failures_change_nothing(void **state) {
    (void)state;
    on_every_device(failures_change_nothing, NULL);
}

static void test_shared_pages_stay(void **state) {
    (void)state;
    on_every_device(shared_pages_stay, NULL);
}

static void test_all_outputs_of_several(void **state) {
    (void)state;
    on_every_device(all_outputs_of_several, NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_several_sequences),  cmocka_unit_test(test_masked_draws),
        cmocka_unit_test(test_outputs_of_several), cmocka_unit_test(test_dropped_rows),
        cmocka_unit_test(test_few_rows),           cmocka_unit_test(test_failures_change_nothing),
        cmocka_unit_test(test_shared_pages_stay),  cmocka_unit_test(test_all_outputs_of_several),
        cmocka_unit_test(check_validation_silent),
    };
    PRINT_LOG();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
