/* `peridot synth`: a GGUF file in the real layout, of any of the family's shapes, with random
 * weights: a text model, or with --mmproj an image encoder. It computes what a trained one of that
 * shape computes, at the same speed, and says nothing of sense. The file depends on the options
 * alone: equal seeds give equal bytes.
 *
 * SPDX-License-Identifier: MIT
 */
#include <inttypes.h>
#include <string.h>

#include "pack/synth.h"

typedef struct synth_job {
    const char *path;
    uint64_t seed;
    bool is_vision;
    synth_text text; /* one of the two */
    synth_vision vision;
    synth_list tensors;
    uint64_t total_bytes;
} synth_job;

/* ---- what to write -------------------------------------------------------------------------- */

static pd_status prepare(const cli_options *o, synth_job *job, pd_error *err) {
    job->path = cli_text(o, OPT_OUTPUT);
    if (!job->path) return PD_RAISE(err, PD_ERR_ARGUMENT, "--output FILE is missing");
    job->seed = (uint64_t)cli_int(o, OPT_SYNTH_SEED);
    job->is_vision = cli_given(o, OPT_SYNTH_MMPROJ);
    if (job->is_vision) {
        PD_TRY(synth_vision_read(o, &job->vision, err));
        PD_TRY(synth_vision_list(&job->vision, &job->tensors, err));
    } else {
        PD_TRY(synth_text_read(o, &job->text, err));
        PD_TRY(synth_text_list(&job->text, &job->tensors, err));
    }
    for (uint32_t i = 0; i < job->tensors.n; i++)
        job->total_bytes += synth_tensor_bytes(&job->tensors.items[i]);
    return PD_OK;
}

/* ---- writing -------------------------------------------------------------------------------- */

static pd_status write_tensors(const synth_job *job, pd_gguf_writer *w, pd_error *err) {
    enum { PIECE_BYTES = 1 << 20 };
    uint8_t *piece = pd_alloc(PIECE_BYTES, 1);
    if (!piece) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory for a model");
    cli_progress progress;
    cli_progress_begin(&progress, "writing");
    bool go_on = true;
    uint64_t done_bytes = 0;
    for (uint32_t i = 0; i < job->tensors.n && go_on; i++) {
        const synth_tensor *t = &job->tensors.items[i];
        uint64_t block_bytes = pd_type_get(t->type)->block_bytes;
        uint64_t n_blocks = synth_tensor_bytes(t) / block_bytes, most = PIECE_BYTES / block_bytes;
        for (uint64_t first = 0, n; first < n_blocks && go_on; first += n) {
            n = n_blocks - first < most ? n_blocks - first : most;
            synth_fill(t, job->seed, first, n, piece);
            pd_gguf_write_data(w, piece, n * block_bytes);
            done_bytes += n * block_bytes;
            go_on = cli_progress_update(&progress, done_bytes, job->total_bytes);
        }
    }
    cli_progress_end(&progress);
    pd_free(piece);
    return go_on ? PD_OK : PD_RAISE(err, PD_ERR_CANCELLED, "stopped on request");
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

static void print_summary(const synth_job *job) {
    char size[32], what[96];
    if (job->is_vision) {
        snprintf(what, sizeof what, "image encoder of %s, %s layers", job->vision.name,
                 pd_type_name(job->vision.type));
    } else {
        snprintf(what, sizeof what, "%s, %s layers, %s embedding", job->text.shape.name,
                 pd_type_name(job->text.type), pd_type_name(job->tensors.items[0].type));
    }
    fprintf(stderr, "%s: %s, %u tensors, %s; the weights are random\n", job->path, what,
            job->tensors.n, pd_size_text(job->total_bytes, size));
}

pd_status cli_synth(const cli_options *o, pd_error *err) {
    synth_job job = {0};
    cli_interrupt_install();
    if (cli_given(o, OPT_SYNTH_HF)) return synth_hf(o, err);
    pd_status status = prepare(o, &job, err);
    if (status == PD_OK) status = pd_disk_check(job.path, job.total_bytes, err);
    if (status == PD_OK) status = write_file(&job, err);
    if (status == PD_OK) print_summary(&job);
    synth_list_free(&job.tensors);
    synth_text_free(&job.text);
    return status;
}
