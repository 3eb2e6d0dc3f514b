/* Opening a model: file -> settings and weights -> vocabulary -> device -> what fits it (fit.c) ->
 * the head in another type -> weights on the device.
 *
 * Everything about the file is checked before a device is touched. The weights are placed by
 * walking the decode plan, which names each of them once.
 *
 * SPDX-License-Identifier: MIT
 */
#include "engine/estimate.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "grammar/token_tree.h"
#include "model/tuning.h"

static void fill_info(pd_model *m) {
    const pd_config *c = &m->config;
    pd_tuning tuning = pd_tuning_read(m->file);
    m->info = (pd_model_info){.n_vocab = c->n_vocab,
                              .n_ctx_train = c->n_ctx_train,
                              .n_layers = c->n_layers,
                              .n_embd = c->n_embd,
                              .n_ff = c->n_ff,
                              .n_heads = c->n_heads,
                              .n_kv_heads = c->n_kv_heads,
                              .head_dim = c->head_dim,
                              .window = c->window,
                              .file_bytes = pd_gguf_file_bytes(m->file),
                              .has_chat_template = tuning.has_chat_template,
                              .is_instruction_tuned = tuning.is_instruction_tuned};
    snprintf(m->info.name, sizeof m->info.name, "%s", c->name);
    snprintf(m->info.size_label, sizeof m->info.size_label, "%s", c->size_label);
    if (!m->weights) return;
    snprintf(m->info.file_type, sizeof m->info.file_type, "%s",
             pd_type_name(m->weights->main_type));
    m->info.n_params = m->weights->n_params;
    m->info.weight_bytes_per_token = m->weights->bytes_per_token;
    const pd_tensor *head = m->weights->output, *stored = m->lm_head.stored;
    snprintf(m->info.head_type, sizeof m->info.head_type, "%s", pd_type_name(head->type));
    snprintf(m->info.head_file_type, sizeof m->info.head_file_type, "%s",
             pd_type_name(stored->type));
    m->info.head_bytes = head->n_bytes;
    m->info.head_file_bytes = stored->n_bytes;
}

static void fill_vision_info(pd_model *m) {
    const pd_vision_config *c = pd_vision_get_config(m->vision);
    const pd_vision_weights *w = pd_vision_get_weights(m->vision);
    m->vision_info = (pd_vision_info){.image_size = c->image_size,
                                      .patch_size = c->patch_size,
                                      .n_patches = c->grid * c->grid,
                                      .n_tokens = c->n_tokens,
                                      .n_embd_out = c->n_embd_out,
                                      .n_layers = c->n_layers,
                                      .n_embd = c->n_embd,
                                      .n_ff = c->n_ff,
                                      .n_heads = c->n_heads,
                                      .n_params = w->n_params,
                                      .file_bytes = pd_vision_get_file_bytes(m->vision)};
    snprintf(m->vision_info.file_type, sizeof m->vision_info.file_type, "%s",
             pd_type_name(w->main_type));
}

static pd_status read_file(pd_model *m, const char *path, const pd_model_desc *desc,
                           pd_error *err) {
    PD_TRY(pd_gguf_open(path, &m->file, err));
    PD_TRY(pd_config_read(m->file, &m->config, err));
    PD_TRY(pd_vocab_open(m->file, &m->vocab, err));
    if (desc->mmproj && !desc->vocab_only) {
        PD_TRY(pd_vision_open(desc->mmproj, m->config.n_embd, desc->session.precision, &m->vision,
                              err));
        fill_vision_info(m);
    }
    if (desc->vocab_only || desc->vision_only) return PD_OK;
    m->weights = pd_alloc(1, sizeof *m->weights);
    if (!m->weights) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for the weight table");
    PD_TRY(pd_weights_bind(m->file, &m->config, m->weights, err));
    return pd_lm_head_choose(m->weights, desc->head, &m->lm_head, err);
}

/* A GPU has its own copy: neither the file's pages nor the new head need stay in memory. Nor need
 * those that the processor has packed, but for rows of the embedding, which are read again. */
static void forget_file(pd_model *m, pd_precision precision) {
    pd_device_kind kind = m->backend->v->info(m->backend)->kind;
    bool is_cpu = kind == PD_DEVICE_CPU;
    if (kind == PD_DEVICE_CPU_REFERENCE || (is_cpu && precision == PD_PRECISION_EXACT)) return;
    for (uint64_t i = 0; i < pd_gguf_tensor_count(m->file); i++) {
        const pd_tensor *t = pd_gguf_tensor_at(m->file, i);
        const pd_type_info *type = pd_type_get(t->type);
        if (!is_cpu || (type && type->quant_bits)) pd_gguf_forget(m->file, t);
    }
    if (!is_cpu) pd_lm_head_drop(&m->lm_head);
}

/* The caller's progress over both parts of loading, as one. */
typedef struct load_progress {
    pd_progress_fn fn; /* NULL: nobody asked */
    void *ctx;
    uint64_t before, after; /* bytes of the parts before and behind the one that reports */
} load_progress;

static bool report(void *ctx, uint64_t done, uint64_t total) {
    const load_progress *p = ctx;
    return !p->fn || p->fn(p->ctx, p->before + done, p->before + total + p->after);
}

/* The stored head is not read again then, but for comparing. */
static pd_status fill_head(pd_model *m, load_progress *progress, pd_error *err) {
    if (!m->lm_head.requantised || m->estimate_only) return PD_OK;
    progress->after = m->weights->bytes_per_token;
    PD_TRY(pd_lm_head_fill(&m->lm_head, m->n_threads, report, progress, err));
    pd_gguf_forget(m->file, m->lm_head.stored);
    progress->before = m->lm_head.stored->n_bytes;
    progress->after = 0;
    return PD_OK;
}

static pd_status place_text(pd_model *m, const pd_session_desc *first, pd_progress_fn progress,
                            void *ctx, pd_error *err) {
    pd_text_plan_desc one = {.name = "load",
                             .max_rows = 1,
                             .max_outs = 1,
                             .max_seqs = 1,
                             .max_positions = 1,
                             .precision = first ? first->precision : PD_PRECISION_F16};
    pd_plan plan, expected[PD_STAGE_COUNT];
    uint32_t n_expected = 0;
    if (first) pd_context_plans(m, first, 1, expected, &n_expected);
    m->backend->v->expect(m->backend, expected, n_expected);
    pd_status status = pd_plan_text(&m->config, m->weights, &one, &plan, err);
    if (status == PD_OK) status = m->backend->v->load(m->backend, &plan, progress, ctx, err);
    pd_plan_free(&plan);
    for (uint32_t i = 0; i < n_expected; i++) pd_plan_free(&expected[i]);
    if (status == PD_OK && !m->estimate_only) forget_file(m, one.precision);
    return status;
}

pd_status pd_model_place(pd_model *m, const pd_session_desc *first, pd_progress_fn progress,
                         void *ctx, pd_error *err) {
    pd_backend_stats text;
    if (m->weights) PD_TRY(place_text(m, first, progress, ctx, err));
    m->backend->v->stats(m->backend, &text);
    if (m->vision) PD_TRY(pd_vision_load(m->vision, m->backend, NULL, NULL, err));
    if (m->estimate_only) pd_estimate_loaded(m, &text);
    return PD_OK;
}

/* More positions than the model has stand for what it has. */
static pd_session_desc first_session(const pd_model *m, const pd_model_desc *desc) {
    pd_session_desc first = desc->session;
    if (first.n_ctx > m->config.n_ctx_train) first.n_ctx = m->config.n_ctx_train;
    return first;
}

static pd_status open_device(pd_model *m, const pd_model_desc *desc, pd_error *err) {
    pd_backend_desc b = {.device = desc->device,
                         .n_threads = desc->n_threads,
                         .memory_limit_bytes = desc->memory_limit_bytes,
                         .no_repack = desc->no_repack,
                         .counts_only = desc->estimate_only};
    return pd_backend_open(&b, &m->backend, err);
}

static pd_status open_parts(pd_model *m, const char *path, const pd_model_desc *desc,
                            pd_error *err) {
    uint64_t t0 = pd_clock_ns();
    m->n_threads = desc->n_threads;
    m->estimate_only = desc->estimate_only;
    PD_TRY(read_file(m, path, desc, err));
    fill_info(m);
    uint64_t t1 = pd_clock_ns();
    m->load.read_ns = t1 - t0;
    if (desc->vocab_only) return PD_OK;
    pd_session_desc first = first_session(m, desc);
    PD_TRY(open_device(m, desc, err));
    if (m->weights && !m->estimate_only) PD_TRY(pd_fit_check(m, &first, err));
    uint64_t t2 = pd_clock_ns();
    load_progress progress = {.fn = desc->progress, .ctx = desc->progress_ctx};
    PD_TRY(fill_head(m, &progress, err));
    uint64_t t3 = pd_clock_ns();
    PD_TRY(pd_model_place(m, &first, report, &progress, err));
    uint64_t t4 = pd_clock_ns();
    pd_backend_stats stats;
    m->backend->v->stats(m->backend, &stats);
    m->load.device_ns = t2 - t1;
    m->load.head_ns = m->lm_head.requantised ? t3 - t2 : 0;
    m->load.upload_ns = t4 - t3;
    m->load.total_ns = t4 - t0;
    m->load.device_bytes = stats.weight_bytes;
    return PD_OK;
}

static pd_status check_desc(const pd_model_desc *desc, pd_error *err) {
    if ((unsigned)desc->head > PD_HEAD_Q4_0)
        return PD_RAISE(err, PD_ERR_ARGUMENT, "there is no head type %d", (int)desc->head);
    return pd_check_precision(desc->session.precision, err);
}

pd_status pd_model_open(const char *path, const pd_model_desc *desc, pd_model **out,
                        pd_error *err) {
    static const pd_model_desc defaults = {0};
    PD_NEED(err, out);
    *out = NULL;
    PD_NEED(err, path);
    if (!desc) desc = &defaults;
    PD_TRY(check_desc(desc, err));
    pd_model *m = pd_alloc(1, sizeof *m);
    if (!m) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for the model");
    atomic_init(&m->n_holds, 1);
    m->turns = pd_turns_create();
    pd_status status = m->turns ? open_parts(m, path, desc, err)
                                : PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for the model");
    if (status == PD_OK)
        *out = m;
    else
        pd_model_close(m);
    return status;
}

static void destroy(pd_model *m) {
    pd_vision_close(m->vision);
    if (m->backend) m->backend->v->close(m->backend);
    pd_token_tree_destroy(atomic_load(&m->token_tree));
    if (m->vocab) pd_vocab_close(m->vocab);
    pd_free(m->weights);
    pd_lm_head_drop(&m->lm_head);
    if (m->file) pd_gguf_close(m->file);
    pd_turns_destroy(m->turns);
    pd_free(m);
}

/* The opener's hold is one more than its sessions'. */
void pd_model_close(pd_model *m) {
    if (!m) return;
    atomic_store(&m->closed, true);
    pd_model_release(m);
}

void pd_model_hold(pd_model *m) {
    atomic_fetch_add(&m->n_holds, 1);
}

void pd_model_release(pd_model *m) {
    if (atomic_fetch_sub(&m->n_holds, 1) == 1) destroy(m);
}

pd_status pd_model_begin_turn(pd_model *m, pd_error *err) {
    if (atomic_load(&m->closed)) return PD_RAISE(err, PD_ERR_ARGUMENT, "the model was closed");
    if (pd_turns_take(m->turns)) return PD_OK;
    return PD_RAISE(err, PD_ERR_ARGUMENT,
                    "a call on the model is under way in this thread: the functions that it calls "
                    "cannot start another");
}

void pd_model_end_turn(pd_model *m) {
    pd_turns_give(m->turns);
}

const pd_model_info *pd_model_get_info(const pd_model *m) {
    return m ? &m->info : NULL;
}
uint32_t pd_model_image_rows(const pd_model *m) {
    return m->vision_info.n_tokens;
}
const pd_load_stats *pd_model_get_load_stats(const pd_model *m) {
    return m ? &m->load : NULL;
}
const pd_device_info *pd_model_get_device(const pd_model *m) {
    return m && m->backend ? m->backend->v->info(m->backend) : NULL;
}
