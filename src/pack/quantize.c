/* `peridot quantize IN OUT TYPE [THREADS]`: a model, or an image encoder, with its matrices in
 * another type; arguments as llama-quantize has them. Mixes of types (Q4_K_M) are not made: TYPE is
 * what every matrix of the layers gets, as far as its shape allows (quantize_plan.c).
 *
 * Types are decoded to f32 and encoded by the reference quantisers of file/quant.h. A tensor that
 * has its type already is copied byte for byte. Disk full, Ctrl-C and failures leave no file.
 *
 * SPDX-License-Identifier: MIT
 */
#include "pack/quantize.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"

/* ---- what is asked for ---------------------------------------------------------------------- */

static pd_status read_type(const char *name, pd_type *out, pd_error *err) {
    const pd_type_info *info = pd_type_find(name);
    if (info) {
        *out = info->type;
        return PD_OK;
    }
    pd_status status = PD_RAISE(err, PD_ERR_ARGUMENT, "TYPE must be one of %s, but is \"%s\"",
                                CLI_TYPE_NAMES, name);
    size_t n = strlen(name);
    bool mix = n > 2 && name[n - 2] == '_' && strchr("SMLsml", name[n - 1]);
    return mix ? pd_error_hint(err, status,
                               "mixes are not made; \"%.*s\" is every matrix in that "
                               "type",
                               (int)(n - 2), name)
               : status;
}

static pd_status read_threads(const cli_options *o, uint32_t *out, pd_error *err) {
    *out = cli_u32(o, OPT_THREADS);
    if (o->n_args < 4) return PD_OK;
    if (cli_given(o, OPT_THREADS) && !o->values[OPT_THREADS].from_env)
        return PD_RAISE(err, PD_ERR_ARGUMENT, "THREADS and --threads cannot be used together");
    char *end;
    unsigned long n = strtoul(o->args[3], &end, 10);
    if (*end != '\0' || end == o->args[3] || n < 1 || n > 4096)
        return PD_RAISE(err, PD_ERR_ARGUMENT, "THREADS must be from 1 to 4096, but is \"%s\"",
                        o->args[3]);
    *out = (uint32_t)n;
    return PD_OK;
}

static pd_status read_job(const cli_options *o, quantize_job *job, pd_error *err) {
    if (o->n_args < 3) {
        pd_status status = PD_RAISE(err, PD_ERR_ARGUMENT, "%s is missing",
                                    o->n_args == 0   ? "IN.gguf"
                                    : o->n_args == 1 ? "OUT.gguf"
                                                     : "TYPE");
        return pd_error_hint(err, status,
                             "peridot quantize IN.gguf OUT.gguf TYPE, where TYPE is "
                             "one of %s",
                             CLI_TYPE_NAMES);
    }
    job->in_path = o->args[0];
    job->out_path = o->args[1];
    job->dry_run = cli_given(o, OPT_DRY_RUN);
    PD_TRY(read_type(o->args[2], &job->type, err));
    PD_TRY(read_threads(o, &job->n_threads, err));
    bool named = cli_given(o, OPT_EMBEDDING), pure = cli_given(o, OPT_PURE);
    if (named && pure)
        return PD_RAISE(err, PD_ERR_ARGUMENT, "--pure and --embedding cannot be used together");
    job->head_named = named;
    job->head_type = named  ? pd_type_find(cli_text(o, OPT_EMBEDDING))->type
                     : pure ? job->type
                            : pd_type_embedding(job->type);
    return PD_OK;
}

/* ---- what it came to ------------------------------------------------------------------------ */

typedef struct group { /* of tensors with the same types before and after */
    pd_type from, to;
    bool is_head;
    uint64_t n, in_bytes, out_bytes;
} group;

enum { MAX_GROUPS = 64 };

static uint32_t count_groups(const quantize_job *job, group *groups) {
    uint32_t n = 0;
    for (uint64_t i = 0; i < job->n_tensors; i++) {
        const quantize_tensor *t = &job->tensors[i];
        uint32_t k = 0;
        while (k < n && (groups[k].from != t->from->type || groups[k].to != t->type ||
                         groups[k].is_head != t->is_head))
            k++;
        if (k == MAX_GROUPS) continue;
        if (k == n) groups[n++] = (group){t->from->type, t->type, t->is_head, 0, 0, 0};
        const pd_type_info *from = pd_type_get((uint32_t)t->from->type);
        uint64_t n_values = t->from->n_bytes / from->block_bytes * from->block_values;
        groups[k].n++;
        groups[k].in_bytes += t->from->n_bytes;
        groups[k].out_bytes += pd_type_row_bytes(pd_type_get((uint32_t)t->type), n_values);
    }
    return n;
}

static void print_plan(const quantize_job *job) {
    group groups[MAX_GROUPS];
    uint32_t n = count_groups(job, groups);
    char before[32], after[32];
    printf("%s -> %s\n", job->in_path, job->out_path);
    for (uint32_t i = 0; i < n; i++) {
        const group *g = &groups[i];
        if (g->from == g->to) {
            printf("  %-4s kept    %6" PRIu64 " tensors  %12s", pd_type_name((uint32_t)g->from),
                   g->n, pd_size_text(g->in_bytes, before));
        } else {
            printf("  %-4s -> %-4s %6" PRIu64 " tensors  %12s -> %s",
                   pd_type_name((uint32_t)g->from), pd_type_name((uint32_t)g->to), g->n,
                   pd_size_text(g->in_bytes, before), pd_size_text(g->out_bytes, after));
        }
        printf("%s\n", g->is_head ? "  (embedding, output)" : "");
    }
    printf("  total        %6" PRIu64 " tensors  %12s -> %s, %.2f bits per value\n", job->n_tensors,
           pd_size_text(job->in_bytes, before), pd_size_text(job->out_bytes, after),
           job->n_values ? 8.0 * (double)job->out_bytes / (double)job->n_values : 0);
    if (job->n_fallback)
        printf("  %" PRIu64 " of them have rows that the blocks of the wanted type do not divide\n",
               job->n_fallback);
}

static void log_tensors(const quantize_job *job) {
    if (job->n_requantised)
        pd_log(PD_LOG_WARN, "quantize",
               "%" PRIu64
               " tensors are quantised already; their errors stay, and new ones are added",
               job->n_requantised);
    for (uint64_t i = 0; i < job->n_tensors; i++) {
        const quantize_tensor *t = &job->tensors[i];
        pd_log(PD_LOG_INFO, "quantize", "%s: %s -> %s%s", t->from->name,
               pd_type_name((uint32_t)t->from->type), pd_type_name((uint32_t)t->type),
               t->is_fallback ? ", since the wanted blocks do not divide its rows" : "");
    }
}

/* ---- the command ---------------------------------------------------------------------------- */

static pd_status write_file(const quantize_job *job, pd_error *err) {
    uint64_t header_bytes = pd_gguf_file_bytes(job->in) - job->in_bytes;
    PD_TRY(pd_disk_check(job->out_path, job->out_bytes + header_bytes, err));
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
    double seconds = (double)(pd_clock_ns() - start_ns) / 1e9;
    char read[32], written[32];
    fprintf(stderr, "%s: %.2f s, %s/s read, %s/s written\n", job->out_path, seconds,
            pd_size_text((uint64_t)((double)job->in_bytes / seconds), read),
            pd_size_text((uint64_t)((double)job->out_bytes / seconds), written));
    return PD_OK;
}

pd_status cli_quantize(const cli_options *o, pd_error *err) {
    quantize_job job = {0};
    PD_TRY(read_job(o, &job, err));
    cli_interrupt_install();
    pd_status status = pd_gguf_open(job.in_path, &job.in, err);
    if (status == PD_OK) status = quantize_plan(&job, err);
    if (status == PD_OK) log_tensors(&job);
    if (status == PD_OK && !job.dry_run) status = write_file(&job, err);
    if (status == PD_OK) print_plan(&job);
    pd_free(job.tensors);
    pd_gguf_close(job.in);
    return status;
}
