/* A model, or an image encoder, with its matrices in another type. Mixes of types (Q4_K_M) are not
 * made: the type is what every matrix of the layers gets, as far as its shape allows
 * (quantize_plan.c).
 *
 * Types are decoded to f32 and encoded by the reference quantisers of file/quant.h. A tensor that
 * has its type already is copied byte for byte. Disk full, a request to stop and failures leave no
 * file.
 *
 * SPDX-License-Identifier: MIT
 */
#include "pack/quantize.h"

#include <inttypes.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"

static pd_status read_types(const char *type, const pd_quantize_desc *desc, quantize_job *job,
                            pd_error *err) {
    PD_TRY(pack_type("the matrices", type, PD_TYPE_F32, &job->type, err));
    job->head_named = desc->embedding != NULL;
    if (job->head_named && desc->pure)
        return PD_RAISE(err, PD_ERR_ARGUMENT, "`pure` and `embedding` cannot be used together");
    pd_type other = desc->pure ? job->type : pd_type_embedding(job->type);
    return pack_type("the embedding", desc->embedding, other, &job->head_type, err);
}

static void log_tensors(const quantize_job *job) {
    if (job->report->n_requantised)
        pd_log(PD_LOG_WARN, "quantize",
               "%" PRIu64
               " tensors are quantised already; their errors stay, and new ones are added",
               job->report->n_requantised);
    for (uint64_t i = 0; i < job->report->n_tensors; i++) {
        const quantize_tensor *t = &job->tensors[i];
        pd_log(PD_LOG_INFO, "quantize", "%s: %s -> %s%s", t->from->name,
               pd_type_name((uint32_t)t->from->type), pd_type_name((uint32_t)t->type),
               t->is_fallback ? ", since the wanted blocks do not divide its rows" : "");
    }
}

static pd_status write_file(const quantize_job *job, pd_error *err) {
    uint64_t header_bytes = pd_gguf_file_bytes(job->in) - job->report->in_bytes;
    PD_TRY(pd_disk_check(job->out_path, job->report->out_bytes + header_bytes, err));
    pd_gguf_writer *w = NULL;
    uint64_t start_ns = pd_clock_ns();
    PD_TRY(pd_gguf_writer_open(job->out_path, &w, err));
    quantize_declare(job, w);
    pd_status status = quantize_write_data(job, w, err);
    if (status != PD_OK) {
        pd_gguf_writer_abort(w);
        return status;
    }
    PD_TRY(pd_gguf_writer_commit(w, err));
    job->report->ns = pd_clock_ns() - start_ns;
    return PD_OK;
}

pd_status pd_files_quantize(const char *in, const char *out, const char *type,
                            const pd_quantize_desc *desc, pd_quantize_report *report,
                            pd_error *err) {
    static const pd_quantize_desc none;
    pd_quantize_report unread;
    PD_NEED(err, in);
    PD_NEED(err, out);
    PD_NEED(err, type);
    if (!desc) desc = &none;
    if (!report) report = &unread;
    *report = (pd_quantize_report){0};
    quantize_job job = {.in_path = in, .out_path = out, .work = &desc->work, .report = report};
    pd_status status = read_types(type, desc, &job, err);
    if (status == PD_OK) status = pd_gguf_check_output(out, in, err);
    if (status == PD_OK) status = pd_gguf_open(in, &job.in, err);
    if (status == PD_OK) status = quantize_plan(&job, err);
    if (status == PD_OK) log_tensors(&job);
    if (status == PD_OK && !desc->dry_run) status = write_file(&job, err);
    pd_free(job.tensors);
    pd_gguf_close(job.in);
    return status;
}
