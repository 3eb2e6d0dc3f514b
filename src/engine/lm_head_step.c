/* Outputs of any number of rows: lm_head over the rows that prefill leaves, some at a time, so that
 * logits never take more than their share of memory. Rows are copied through the host: they are
 * less than a hundredth of the logits, and each program keeps its memory to itself.
 *
 * SPDX-License-Identifier: MIT
 */
#include "engine/context.h"

/* What follows row k in the text; anything where that is an image or not known. */
static uint32_t next_token(const pd_batch_item *item, uint32_t k) {
    uint32_t pos = item->seq->tokens.n + k;
    bool known = k + 1 < item->n || (item->score && pos + 1 < item->score->n);
    return known && item->ids[k + 1] != PD_TOKEN_EMBEDDED ? item->ids[k + 1] : 0;
}

/* Rows [first, first + n) of the scored stage's last step become lm_head's rows 0 .. n. */
static pd_status move_hidden(pd_context *c, uint32_t first, uint32_t n, pd_error *err) {
    const pd_backend_vtable *v = c->model->backend->v;
    const pd_stage *from = pd_context_scored_stage(c), *to = &c->stages[PD_STAGE_LM_HEAD];
    uint64_t row_bytes = 4ull * c->model->config.n_embd;
    PD_TRY(v->read(from->program, from->hidden, first * row_bytes, n * row_bytes, c->hidden, err));
    return v->write(to->program, to->hidden, 0, n * row_bytes, c->hidden, err);
}

/* Rows [row, row + n) of the item, which begins with the body's row `at`. The results are in
 * c->results. */
static pd_status run_rows(pd_context *c, const pd_batch_item *item, uint32_t at, uint32_t row,
                          uint32_t n, const atomic_int *cancel, pd_error *err) {
    const pd_backend_vtable *v = c->model->backend->v;
    pd_stage *stage = &c->stages[PD_STAGE_LM_HEAD];
    uint32_t pos = item->seq->tokens.n, first_out = item->n - pd_batch_item_outs(item);
    PD_TRY(move_hidden(c, at + row, n, err));
    pd_step_buf_start(&c->lm_head_step, cancel);
    pd_step_buf_add(&c->lm_head_step, (pd_page_table){0}, n, n,
                    item->sampling ? item->sampling + (row - first_out) : NULL);
    for (uint32_t i = 0; i < n; i++)
        c->lm_head_step.rows[i] = (pd_step_row){
            .token = next_token(item, row + i), .pos = pos + row + i, .end = pos + row + i + 1};
    PD_TRY(pd_context_save_outputs(c, stage, item->seq, err));
    pd_context_begin_run(c, stage);
    stage->owner = item->seq;
    PD_TRY(v->run(stage->program, &c->lm_head_step.step, err));
    PD_TRY(v->read(stage->program, stage->best, 0, n * sizeof *c->results, c->results, err));
    for (uint32_t i = 0; i < n; i++)
        PD_TRY(pd_context_check_result(c, pd_context_scored_stage(c), &c->results[i], pos, err));
    return PD_OK;
}

/* Hands out what lm_head has made of positions pos .. pos + n. */
static pd_status hand_out(pd_context *c, const pd_score *score, uint32_t pos, uint32_t n,
                          pd_error *err) {
    const pd_backend_vtable *v = c->model->backend->v;
    const pd_stage *stage = &c->stages[PD_STAGE_LM_HEAD];
    if (score->fn) {
        uint64_t bytes = 4ull * n * c->model->config.n_vocab;
        PD_TRY(v->read(stage->program, stage->logits, 0, bytes, c->logits, err));
        PD_TRY(score->fn(score->fn_ctx, pos, n, c->logits, err));
    }
    if (pos + n == score->n) n--; /* nothing follows the last position */
    uint32_t at = pos - score->first;
    for (uint32_t i = 0; score->best && i < n; i++) score->best[at + i] = c->results[i].best;
    if (!score->log_probs || n == 0) return PD_OK;
    PD_TRY(v->read(stage->program, stage->log_prob, 0, 2 * n * sizeof(float), c->log_probs, err));
    for (uint32_t i = 0; i < n; i++) {
        score->log_probs[at + i] = c->log_probs[2 * i];
        if (score->best_log_probs)
            score->best_log_probs[at + i] = c->results[i].best_value - c->log_probs[2 * i + 1];
    }
    return PD_OK;
}

/* The rows that have outputs, or are scored: to the item's end. */
static pd_status run_item(pd_context *c, pd_batch_item *item, uint32_t at, const atomic_int *cancel,
                          pd_error *err) {
    const pd_stage *stage = &c->stages[PD_STAGE_LM_HEAD];
    const pd_score *score = item->score;
    uint32_t pos = item->seq->tokens.n, first_out = item->n - pd_batch_item_outs(item);
    uint32_t row = first_out;
    if (score && score->first < pos + row) row = score->first > pos ? score->first - pos : 0;
    for (uint32_t n; row < item->n; row += n) {
        n = item->n - row < c->max_outs ? item->n - row : c->max_outs;
        PD_TRY(run_rows(c, item, at, row, n, cancel, err));
        if (score && pos + row >= score->first) PD_TRY(hand_out(c, score, pos + row, n, err));
        for (uint32_t i = 0; item->results && i < n; i++)
            item->results[row - first_out + i] = c->results[i];
        item->out = (pd_output){
            .stage = stage, .run_id = stage->run_id, .row = n - 1, .result = c->results[n - 1]};
    }
    return PD_OK;
}

pd_status pd_context_run_lm_head(pd_context *c, pd_batch_item *items, uint32_t n,
                                 const atomic_int *cancel, pd_error *err) {
    for (uint32_t i = 0, at = 0; i < n; at += items[i++].n)
        PD_TRY(run_item(c, &items[i], at, cancel, err));
    return PD_OK;
}
