/* `peridot verify FILE`: is this file whole and sound? The structure is checked as a run does; then
 * every value is decoded and looked at (verify_stats.c says what counts as wrong), and the digests
 * are printed, to be compared with what the file's origin says.
 *
 * What is wrong is listed on standard output and makes the command fail: with ERR_FORMAT for
 * values, and with what a run would fail with.
 *
 * SPDX-License-Identifier: MIT
 */
#include "pack/verify.h"

#include <inttypes.h>
#include <math.h>

static void print_digests(const verification *v) {
    uint32_t n = pd_gguf_part_count(v->file);
    char bytes[32];
    printf("%s: %s\n", pd_gguf_path(v->file), pd_size_text(pd_gguf_file_bytes(v->file), bytes));
    for (uint32_t i = 0; i < n; i++) {
        const char *space = n > 1 ? "  " : "", *name = n > 1 ? pd_gguf_part_name(v->file, i) : "";
        printf("  xxh3    %s%s%s\n", v->digests[i].xxh3, space, name);
        printf("  sha256  %s%s%s\n", v->digests[i].sha256, space, name);
    }
}

static void print_stats(const verification *v) {
    printf("\n  %-36s %-5s %12s %12s %12s %12s %8s\n", "tensor", "type", "min", "max", "mean",
           "rms", "zeros");
    for (uint64_t i = 0; i < pd_gguf_tensor_count(v->file); i++) {
        const pd_tensor *t = pd_gguf_tensor_at(v->file, i);
        const verify_stats *s = &v->stats[i];
        double n = s->n > s->n_bad ? (double)(s->n - s->n_bad) : 1;
        printf("  %-36s %-5s %12.5g %12.5g %12.5g %12.5g %6.2f %%\n", t->name,
               pd_type_name((uint32_t)t->type), (double)s->min, (double)s->max, s->sum / n,
               sqrt(s->sum_sq / n), 100.0 * (double)s->n_zero / n);
    }
    printf("\n");
}

static void print_findings(const verification *v) {
    uint64_t n_values = 0, n = pd_gguf_tensor_count(v->file);
    for (uint64_t i = 0; i < n; i++) {
        const char *name = pd_gguf_tensor_at(v->file, i)->name;
        const verify_finding *f = &v->findings[i];
        if (f->wrong[0]) printf("  wrong: %s: %s\n", name, f->wrong);
        if (f->odd[0]) printf("  odd:   %s: %s\n", name, f->odd);
        n_values += v->stats[i].n;
    }
    if (v->structure.status != PD_OK) printf("  wrong: %s\n", v->structure.message);
    printf("  %" PRIu64 " tensors, %" PRIu64 " values: ", n, n_values);
    if (v->n_wrong)
        printf("%" PRIu64 " tensors are wrong\n", v->n_wrong);
    else
        printf("%s\n", v->structure.status == PD_OK ? "sound" : "sound, but no model to run");
}

static pd_status report(const verification *v, const cli_options *o, pd_error *err) {
    if (cli_given(o, OPT_JSON)) {
        PD_TRY(verify_print_json(v, err));
    } else {
        print_digests(v);
        if (cli_given(o, OPT_VERBOSE)) print_stats(v);
        print_findings(v);
    }
    if (v->n_wrong == 0) {
        if (err) *err = v->structure;
        return v->structure.status;
    }
    return PD_RAISE(err, PD_ERR_FORMAT, "%" PRIu64 " of %" PRIu64 " tensors are wrong: %s: %s",
                    v->n_wrong, pd_gguf_tensor_count(v->file),
                    pd_gguf_tensor_at(v->file, v->first_wrong)->name,
                    v->findings[v->first_wrong].wrong);
}

static pd_status allocate(verification *v, pd_error *err) {
    uint64_t n = pd_gguf_tensor_count(v->file);
    v->stats = pd_alloc(n, sizeof *v->stats);
    v->findings = pd_alloc(n, sizeof *v->findings);
    v->digests = pd_alloc(pd_gguf_part_count(v->file), sizeof *v->digests);
    if (v->stats && v->findings && v->digests) return PD_OK;
    return PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory for the list of tensors");
}

/* A file that cannot be run is read all the same: its digests tell whether it came so. */
static pd_status check_structure(verification *v, pd_error *err) {
    v->structure.status = cli_check_structure(v->file, &v->structure);
    if (v->structure.status != PD_ERR_MEMORY_HOST) return PD_OK;
    if (err) *err = v->structure;
    return v->structure.status;
}

pd_status cli_verify(const cli_options *o, pd_error *err) {
    const char *paths[2];
    uint32_t n_paths;
    PD_TRY(cli_model_paths(o, paths, &n_paths, err));
    if (n_paths > 1) return PD_RAISE(err, PD_ERR_ARGUMENT, "\"%s\" is one file too many", paths[1]);
    verification v = {.n_threads = cli_u32(o, OPT_THREADS)};
    cli_interrupt_install();
    pd_status status = pd_gguf_open(paths[0], &v.file, err);
    if (status == PD_OK) status = check_structure(&v, err);
    if (status == PD_OK) status = allocate(&v, err);
    if (status == PD_OK) status = verify_read(&v, err);
    if (status == PD_OK) status = report(&v, o, err);
    pd_free(v.stats);
    pd_free(v.findings);
    pd_free(v.digests);
    pd_gguf_close(v.file);
    return status;
}
