/* Outputs of a sequence's last position: in the memory of the program that made them, copied to the
 * host, or computed once more.
 *
 * SPDX-License-Identifier: MIT
 */
#include <string.h>

#include "base/memory.h"
#include "engine/context.h"

bool pd_output_is_at_hand(const pd_output *out) {
    return out->kept || (out->stage && out->stage->run_id == out->run_id);
}

/* ---- once more ------------------------------------------------------------------------------ */

static bool can_repeat(const pd_context *c, const pd_sequence *seq, uint32_t pos) {
    return pos < seq->tokens.n && seq->tokens.ids[pos] != PD_TOKEN_EMBEDDED &&
           pd_kv_can_repeat(c->kv, seq->kv_id, pos);
}

bool pd_context_has_output(const pd_context *c, const pd_sequence *seq) {
    if (pd_output_is_at_hand(&seq->out)) return true;
    return seq->out.stage && can_repeat(c, seq, seq->tokens.n - 1);
}

pd_status pd_context_repeat(pd_context *c, pd_sequence *seq, uint32_t pos, const atomic_int *cancel,
                            pd_error *err) {
    const pd_backend_vtable *v = c->model->backend->v;
    pd_stage *decode = &c->stages[PD_STAGE_DECODE];
    if (!can_repeat(c, seq, pos))
        return PD_RAISE(err, PD_ERR_ARGUMENT, "no logits are at hand: sync the session first");
    pd_step_row row = {.token = seq->tokens.ids[pos], .pos = pos, .end = pos + 1};
    uint32_t out_row = 0;
    pd_page_table table = pd_kv_table(c->kv, seq->kv_id);
    pd_step step = {.n_rows = 1,
                    .n_outs = 1,
                    .n_seqs = 1,
                    .rows = &row,
                    .out_rows = &out_row,
                    .tables = &table,
                    .cancel = cancel};
    PD_TRY(pd_context_save_outputs(c, decode, seq, err));
    pd_output out = {.stage = decode, .run_id = pd_context_begin_run(c, decode)};
    decode->owner = seq;
    PD_TRY(v->run(decode->program, &step, err));
    PD_TRY(v->read(decode->program, decode->best, 0, sizeof out.result, &out.result, err));
    if (out.result.n_nonfinite) return pd_context_raise_nonfinite(c, decode, &step, pos, err);
    if (pos + 1 == seq->tokens.n && !pd_output_is_at_hand(&seq->out)) seq->out = out;
    return PD_OK;
}

pd_status pd_context_read_logits(pd_context *c, pd_sequence *seq, const atomic_int *cancel,
                                 float *logits, pd_error *err) {
    uint64_t bytes = 4ull * c->model->config.n_vocab;
    if (!pd_output_is_at_hand(&seq->out))
        PD_TRY(pd_context_repeat(c, seq, seq->tokens.n - 1, cancel, err));
    const pd_output *out = &seq->out;
    if (out->kept) {
        memcpy(logits, out->kept, bytes);
        return PD_OK;
    }
    return c->model->backend->v->read(out->stage->program, out->stage->logits, out->row * bytes,
                                      bytes, logits, err);
}

/* ---- copies --------------------------------------------------------------------------------- */

static pd_kept_output *find_kept(pd_sequence *seq, uint32_t n) {
    for (uint32_t i = 0; i < PD_KEPT_OUTPUTS; i++)
        if (seq->kept[i].n == n) return &seq->kept[i];
    return NULL;
}

/* A free place, or that of what was used longest ago. */
static pd_kept_output *find_place(pd_sequence *seq) {
    pd_kept_output *place = &seq->kept[0];
    for (uint32_t i = 1; i < PD_KEPT_OUTPUTS; i++) {
        const pd_kept_output *k = &seq->kept[i];
        if (place->n > 0 && (k->n == 0 || k->used < place->used)) place = &seq->kept[i];
    }
    return place;
}

pd_output pd_context_kept_output(pd_context *c, pd_sequence *seq, uint32_t n) {
    pd_kept_output *k = n ? find_kept(seq, n) : NULL;
    if (!k) return (pd_output){0};
    k->used = ++c->n_runs;
    return (pd_output){.run_id = k->run_id, .kept = k->logits, .result = k->result};
}

bool pd_context_has_kept_output(const pd_context *c, const pd_sequence *seq, uint32_t n) {
    for (uint32_t i = 0; i < PD_KEPT_OUTPUTS && n > 0; i++)
        if (seq->kept[i].n == n) return pd_context_reachable(c, seq, n) == n;
    return false;
}

pd_status pd_context_keep_output(pd_context *c, pd_sequence *seq, pd_error *err) {
    uint32_t n = seq->tokens.n;
    if (n == 0 || seq->out.kept || !pd_context_has_output(c, seq)) return PD_OK;
    pd_kept_output *k = find_place(seq);
    if (!k->logits) k->logits = pd_alloc(c->model->config.n_vocab, sizeof *k->logits);
    if (!k->logits) return PD_OK; /* a convenience */
    k->n = 0;
    PD_TRY(pd_context_read_logits(c, seq, NULL, k->logits, err));
    *k = (pd_kept_output){n, seq->out.run_id, seq->out.result, k->logits, ++c->n_runs};
    seq->out.kept = k->logits;
    return PD_OK;
}

pd_status pd_context_save_outputs(pd_context *c, const pd_stage *stage, const pd_sequence *seq,
                                  pd_error *err) {
    pd_sequence *owner = stage->owner;
    if (!owner || owner == seq || owner->out.stage != stage) return PD_OK;
    if (owner->out.kept || !pd_output_is_at_hand(&owner->out)) return PD_OK;
    bool is_decode = stage == &c->stages[PD_STAGE_DECODE]; /* which repeating would run again */
    if (is_decode && can_repeat(c, owner, owner->tokens.n - 1)) return PD_OK;
    return pd_context_keep_output(c, owner, err);
}

bool pd_context_take_output(pd_context *c, pd_sequence *to, uint32_t n, const void *logits,
                            const pd_sample_result *result) {
    pd_kept_output *k = find_place(to);
    uint64_t bytes = 4ull * c->model->config.n_vocab;
    if (!k->logits) k->logits = pd_alloc(1, bytes);
    if (!k->logits) return false;
    memcpy(k->logits, logits, bytes);
    uint64_t id = ++c->n_runs;
    *k = (pd_kept_output){n, id, *result, k->logits, id};
    return true;
}

void pd_context_copy_kept(pd_context *c, const pd_sequence *from, pd_sequence *to) {
    for (uint64_t after = 0;;) {
        const pd_kept_output *next = NULL; /* in the order in which they were used */
        for (uint32_t i = 0; i < PD_KEPT_OUTPUTS; i++) {
            const pd_kept_output *k = &from->kept[i];
            if (k->n > 0 && k->used > after && (!next || k->used < next->used)) next = k;
        }
        if (!next) break;
        after = next->used;
        pd_context_take_output(c, to, next->n, next->logits, &next->result);
    }
    to->out = pd_context_kept_output(c, to, to->tokens.n);
}

void pd_context_forget_outputs(pd_sequence *seq, uint32_t n) {
    for (uint32_t i = 0; i < PD_KEPT_OUTPUTS; i++) {
        pd_kept_output *k = &seq->kept[i];
        if (k->n > n || n == 0) {
            pd_free(k->logits);
            *k = (pd_kept_output){0};
        }
    }
}
