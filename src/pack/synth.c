/* A GGUF file in the real layout, of any of the family's shapes, with random weights: a text model
 * or an image encoder. It computes what a trained one of that shape computes, at the same speed,
 * and says nothing of sense. The file depends on the descriptor alone.
 *
 * SPDX-License-Identifier: MIT
 */
#include "pack/synth.h"

typedef struct synth_job {
    const char *path;
    const pd_synth_desc *desc;
    bool is_vision;
    synth_text text; /* one of the two */
    synth_vision vision;
    synth_list tensors;
    uint64_t total_bytes;
} synth_job;

/* ---- what to write -------------------------------------------------------------------------- */

static pd_status prepare(synth_job *job, pd_error *err) {
    if (job->is_vision) {
        PD_TRY(synth_vision_read(job->desc, &job->vision, err));
        PD_TRY(synth_vision_list(&job->vision, &job->tensors, err));
    } else {
        PD_TRY(synth_text_read(job->desc, &job->text, err));
        PD_TRY(synth_text_list(&job->text, &job->tensors, err));
    }
    for (uint32_t i = 0; i < job->tensors.n; i++)
        job->total_bytes += synth_tensor_bytes(&job->tensors.items[i]);
    return PD_OK;
}

/* ---- writing -------------------------------------------------------------------------------- */

enum { PIECE_BYTES = 1 << 20 };

/* piece: [PIECE_BYTES] */
static pd_status write_tensor(const synth_job *job, const synth_tensor *t, uint8_t *piece,
                              uint64_t *done_bytes, pd_gguf_writer *w, pd_error *err) {
    uint64_t block_bytes = pd_type_get(t->type)->block_bytes;
    uint64_t n_blocks = synth_tensor_bytes(t) / block_bytes, most = PIECE_BYTES / block_bytes;
    for (uint64_t first = 0, n; first < n_blocks; first += n) {
        n = n_blocks - first < most ? n_blocks - first : most;
        synth_fill(t, job->desc->seed, first, n, piece);
        pd_gguf_write_data(w, piece, n * block_bytes);
        *done_bytes += n * block_bytes;
        PD_TRY(pack_tell(&job->desc->work, *done_bytes, job->total_bytes, err));
    }
    return PD_OK;
}

static pd_status write_tensors(const synth_job *job, pd_gguf_writer *w, pd_error *err) {
    uint8_t *piece = pd_alloc(PIECE_BYTES, 1);
    if (!piece) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory for a model");
    uint64_t done_bytes = 0;
    pd_status status = pack_tell(&job->desc->work, 0, job->total_bytes, err);
    for (uint32_t i = 0; i < job->tensors.n && status == PD_OK; i++)
        status = write_tensor(job, &job->tensors.items[i], piece, &done_bytes, w, err);
    pd_free(piece);
    return status;
}

static pd_status write_file(const synth_job *job, pd_error *err) {
    pd_gguf_writer *w = NULL;
    PD_TRY(pd_gguf_writer_open(job->path, &w, err));
    if (job->is_vision) {
        synth_vision_write_values(&job->vision, w);
    } else {
        synth_text_write_values(&job->text, w);
    }
    for (uint32_t i = 0; i < job->tensors.n; i++) {
        const synth_tensor *t = &job->tensors.items[i];
        pd_gguf_write_tensor(w, t->name, t->type, t->n_dims, t->ne);
    }
    pd_gguf_begin_data(w);
    pd_status status = write_tensors(job, w, err);
    if (status == PD_OK) return pd_gguf_writer_commit(w, err);
    pd_gguf_writer_abort(w);
    return status;
}

static void make_report(const synth_job *job, pd_synth_report *out) {
    *out =
        (pd_synth_report){.n_tensors = job->tensors.n, .n_files = 1, .n_bytes = job->total_bytes};
    if (job->is_vision) {
        out->preset = job->vision.name;
        out->type = pd_type_name(job->vision.type);
    } else {
        out->preset = job->text.shape.name;
        out->type = pd_type_name(job->text.type);
        out->embedding = pd_type_name(job->tensors.items[0].type);
    }
}

static pd_status synth_gguf(const char *path, const pd_synth_desc *desc, pd_synth_report *report,
                            pd_error *err) {
    synth_job job = {.path = path, .desc = desc, .is_vision = desc->kind == PD_SYNTH_MMPROJ};
    pd_status status = prepare(&job, err);
    if (status == PD_OK && desc->tokenizer)
        status = pd_file_check_output(path, desc->tokenizer, err);
    if (status == PD_OK) status = pd_disk_check(path, job.total_bytes, err);
    if (status == PD_OK) status = write_file(&job, err);
    if (status == PD_OK && report) make_report(&job, report);
    synth_list_free(&job.tensors);
    synth_text_free(&job.text);
    return status;
}

pd_status pd_files_synth(const char *path, const pd_synth_desc *desc, pd_synth_report *report,
                         pd_error *err) {
    static const pd_synth_desc none;
    PD_NEED(err, path);
    if (!desc) desc = &none;
    if (report) *report = (pd_synth_report){0};
    switch (desc->kind) {
    case PD_SYNTH_TEXT:
    case PD_SYNTH_MMPROJ: return synth_gguf(path, desc, report, err);
    case PD_SYNTH_CHECKPOINT: return synth_hf(path, desc, report, err);
    }
    return PD_RAISE(err, PD_ERR_ARGUMENT, "%d is no kind of made-up model", (int)desc->kind);
}
