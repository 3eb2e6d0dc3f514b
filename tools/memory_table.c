/* What was estimated and what is then held, in device memory:
 *
 *     memory_table MODEL.gguf [DEVICE [MMPROJ.gguf]]
 *
 * A session of each of some contexts, with all its pages; a prompt, logits, a picture where there
 * is an image encoder, and a file, as the estimate counts them. One line of a table for each.
 *
 * SPDX-License-Identifier: MIT
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/temp.h"
#include "base/error.h"
#include "base/memory.h"
#include "engine/model.h"
#include "engine/session.h"
#include "peridot_measure.h"

enum { N_PROMPT = 40 };

static const uint32_t contexts[] = {512, 4096, 32768, 131072};
static const char *program = "memory_table";

static pd_status encode_picture(pd_model *m, pd_error *err) {
    const pd_vision_info *v = pd_model_get_vision(m);
    if (!v) return PD_OK;
    float *chw = pd_alloc(3 * (size_t)v->image_size * v->image_size, sizeof *chw);
    float *rows = pd_alloc((size_t)v->n_tokens * v->n_embd_out, sizeof *rows);
    pd_status status = PD_ERR_MEMORY_HOST;
    if (chw && rows) status = pd_model_embed_pixels(m, chw, rows, err);
    pd_free(chw);
    pd_free(rows);
    return status;
}

/* A file has all of its pages go through the host, and takes nothing else. */
static pd_status save(pd_session *s, pd_error *err) {
    char path[PD_TEMP_PATH];
    PD_TRY(pd_temp_folder_make(path, err));
    char file[sizeof path + 8];
    snprintf(file, sizeof file, "%s/session", path);
    pd_status status = pd_session_save(s, file, NULL, 0, err);
    if (status == PD_OK) status = pd_session_load(s, file, err);
    remove(file);
    remove(path);
    return status;
}

static pd_status use(pd_session *s, pd_error *err) {
    uint32_t ids[N_PROMPT] = {2}; /* <bos> */
    const float *logits;
    for (uint32_t i = 1; i < N_PROMPT; i++) ids[i] = 200 + i;
    PD_TRY(pd_session_sync(s, ids, N_PROMPT, err));
    PD_TRY(pd_session_append(s, 300, err));
    PD_TRY(pd_session_logits(s, &logits, err));
    return save(s, err);
}

static void print_row(const pd_estimate *e, const pd_backend_stats *s) {
    const double mib = 1 << 20;
    uint64_t held = s->weight_bytes + s->kv_bytes + s->scratch_bytes;
    printf("| %" PRIu32 " | %.2f | %.2f | %.2f | %.2f | %.2f | %.5f |\n", e->n_ctx,
           (double)(e->weight_bytes + e->image_weight_bytes) / mib,
           (double)(e->kv_global_bytes + e->kv_local_bytes) / mib,
           (double)(e->total_bytes - e->weight_bytes - e->image_weight_bytes - e->kv_global_bytes -
                    e->kv_local_bytes) /
               mib,
           (double)e->total_bytes / mib, (double)held / mib, (double)e->total_bytes / (double)held);
}

static pd_status compare(const char *path, const pd_model_desc *how, pd_error *err) {
    pd_model *counted = NULL, *real = NULL;
    pd_session *s = NULL;
    pd_estimate e;
    pd_backend_stats held;
    pd_model_desc desc = *how;
    pd_status status = pd_model_open(path, &desc, &real, err);
    desc.estimate_only = true;
    if (status == PD_OK) status = pd_model_open(path, &desc, &counted, err);
    if (status == PD_OK) status = pd_model_estimate(counted, &desc.session, 1, &e, err);
    if (status == PD_OK) status = pd_session_create(real, &desc.session, &s, err);
    if (status == PD_OK) status = encode_picture(real, err);
    if (status == PD_OK) status = use(s, err);
    if (status == PD_OK) {
        real->backend->v->stats(real->backend, &held);
        print_row(&e, &held);
    }
    pd_session_destroy(s);
    pd_model_close(counted);
    pd_model_close(real);
    return status;
}

/* A context that the model was not made for, or that does not fit, is left out with its reason. */
static void try_context(const char *path, pd_model_desc *desc, uint32_t n_ctx) {
    pd_error err = {0};
    desc->session = (pd_session_desc){.n_ctx = n_ctx, .all_pages = true};
    if (compare(path, desc, &err) != PD_OK)
        fprintf(stderr, "%s: %" PRIu32 " positions: %s\n", program, n_ctx, err.message);
    fflush(stdout);
}

int main(int argc, char **argv) {
    if (argc < 2 || argc > 4) {
        fprintf(stderr, "usage: %s MODEL.gguf [DEVICE [MMPROJ.gguf]]\n", program);
        return 2;
    }
    pd_model_desc desc = {.device = argc > 2 ? argv[2] : "cpu",
                          .mmproj = argc > 3 ? argv[3] : NULL};
    printf(
        "%s on %s, MiB\n\n| context | weights | KV | working memory | estimated | held | ratio |\n"
        "|--:|--:|--:|--:|--:|--:|--:|\n",
        argv[1], desc.device);
    for (size_t i = 0; i < sizeof contexts / sizeof *contexts; i++)
        try_context(argv[1], &desc, contexts[i]);
    return 0;
}
