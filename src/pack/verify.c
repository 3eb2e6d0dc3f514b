/* Is a file whole and sound? The structure is checked as a run does; then every value is decoded
 * and looked at (verify_stats.c says what counts as wrong), and digests are made, to be compared
 * with what the file's origin says.
 *
 * SPDX-License-Identifier: MIT
 */
#include "pack/verify.h"

#include <math.h>

#include "base/memory.h"
#include "pack/structure.h"

static pd_status allocate(verification *v, pd_error *err) {
    uint64_t n = pd_gguf_tensor_count(v->file);
    v->stats = pd_alloc(n, sizeof *v->stats);
    v->findings = pd_alloc(n, sizeof *v->findings);
    v->tensors = pd_alloc(n, sizeof *v->tensors);
    v->files = pd_alloc(pd_gguf_part_count(v->file), sizeof *v->files);
    if (v->stats && v->findings && v->tensors && v->files) return PD_OK;
    return PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory for the list of tensors");
}

/* A file that cannot be run is read all the same: its digests tell whether it came so. */
static pd_status check_structure(verification *v, pd_error *err) {
    pd_error *why = &v->report.unusable;
    why->status = pack_check_structure(v->file, why);
    if (why->status != PD_ERR_MEMORY_HOST) return PD_OK;
    if (err) *err = *why;
    return why->status;
}

static pd_verified_tensor report_tensor(const pd_tensor *t, const verify_stats *s,
                                        const verify_finding *f) {
    double n = s->n > s->n_bad ? (double)(s->n - s->n_bad) : 1;
    return (pd_verified_tensor){.name = t->name,
                                .type = pd_type_name((uint32_t)t->type),
                                .n_values = s->n,
                                .n_not_finite = s->n_bad,
                                .n_zero = s->n_zero,
                                .min = s->min,
                                .max = s->max,
                                .mean = s->sum / n,
                                .rms = sqrt(s->sum_sq / n),
                                .wrong = f->wrong,
                                .odd = f->odd};
}

static void make_report(verification *v) {
    pd_verification *r = &v->report;
    r->path = pd_gguf_path(v->file);
    r->n_bytes = pd_gguf_file_bytes(v->file);
    r->files = v->files;
    r->n_files = pd_gguf_part_count(v->file);
    r->tensors = v->tensors;
    r->n_tensors = pd_gguf_tensor_count(v->file);
    for (uint32_t i = 0; i < r->n_files; i++) {
        v->files[i].name = pd_gguf_part_name(v->file, i);
        v->files[i].n_bytes = pd_gguf_part_mapping(v->file, i)->size;
    }
    for (uint64_t i = 0; i < r->n_tensors; i++)
        v->tensors[i] = report_tensor(pd_gguf_tensor_at(v->file, i), &v->stats[i], &v->findings[i]);
}

static pd_status verify_file(verification *v, const char *path, pd_error *err) {
    PD_TRY(pd_gguf_open(path, &v->file, err));
    PD_TRY(check_structure(v, err));
    PD_TRY(allocate(v, err));
    PD_TRY(verify_read(v, err));
    make_report(v);
    return PD_OK;
}

pd_status pd_files_verify(const char *path, const pd_files_work *work, pd_verification **out,
                          pd_error *err) {
    static const pd_files_work none;
    PD_NEED(err, out);
    *out = NULL;
    PD_NEED(err, path);
    verification *v = pd_alloc(1, sizeof *v);
    if (!v) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory for a file");
    v->work = work ? work : &none;
    pd_status status = verify_file(v, path, err);
    if (status == PD_OK)
        *out = &v->report;
    else
        pd_verification_free(&v->report);
    return status;
}

void pd_verification_free(pd_verification *report) {
    verification *v = (verification *)report;
    if (!v) return;
    pd_free(v->stats);
    pd_free(v->findings);
    pd_free(v->tensors);
    pd_free(v->files);
    pd_gguf_close(v->file);
    pd_free(v);
}
