/* `peridot quantize IN OUT TYPE [THREADS]`: a model, or an image encoder, with its matrices in
 * another type; arguments as llama-quantize has them.
 *
 * SPDX-License-Identifier: MIT
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"

/* ---- what is asked for ---------------------------------------------------------------------- */

static pd_status check_type(const char *name, pd_error *err) {
    if (pd_type_find(name)) return PD_OK;
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

static pd_status read_desc(const cli_options *o, pd_quantize_desc *desc, pd_error *err) {
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
    PD_TRY(check_type(o->args[2], err));
    PD_TRY(read_threads(o, &desc->work.n_threads, err));
    desc->embedding = cli_text(o, OPT_EMBEDDING);
    desc->pure = cli_given(o, OPT_PURE);
    desc->dry_run = cli_given(o, OPT_DRY_RUN);
    if (desc->embedding && desc->pure)
        return PD_RAISE(err, PD_ERR_ARGUMENT, "--pure and --embedding cannot be used together");
    return PD_OK;
}

/* ---- what it came to ------------------------------------------------------------------------ */

static void print_group(const pd_quantize_group *g) {
    char before[32], after[32];
    if (strcmp(g->from, g->to) == 0) {
        printf("  %-4s kept    %6" PRIu64 " tensors  %12s", g->from, g->n_tensors,
               pd_size_text(g->in_bytes, before));
    } else {
        printf("  %-4s -> %-4s %6" PRIu64 " tensors  %12s -> %s", g->from, g->to, g->n_tensors,
               pd_size_text(g->in_bytes, before), pd_size_text(g->out_bytes, after));
    }
    printf("%s\n", g->is_head ? "  (embedding, output)" : "");
}

static void print_report(const pd_quantize_report *r, const char *in, const char *out) {
    char before[32], after[32];
    printf("%s -> %s\n", in, out);
    for (uint32_t i = 0; i < r->n_groups; i++) print_group(&r->groups[i]);
    printf("  total        %6" PRIu64 " tensors  %12s -> %s, %.2f bits per value\n", r->n_tensors,
           pd_size_text(r->in_bytes, before), pd_size_text(r->out_bytes, after),
           r->n_values ? 8.0 * (double)r->out_bytes / (double)r->n_values : 0);
    if (r->n_fallback)
        printf("  %" PRIu64 " of them have rows that the blocks of the wanted type do not divide\n",
               r->n_fallback);
}

static void tell_speed(const pd_quantize_report *r, const char *out) {
    char read[32], written[32];
    fprintf(stderr, "%s: %.2f s, %s read, %s written\n", out, (double)r->ns / 1e9,
            pd_rate_text(r->in_bytes, r->ns, read), pd_rate_text(r->out_bytes, r->ns, written));
}

pd_status cli_quantize(const cli_options *o, pd_error *err) {
    cli_progress bar;
    pd_quantize_report r;
    pd_quantize_desc desc = {.work = cli_work_begin(o, "quantising", &bar)};
    PD_TRY(read_desc(o, &desc, err));
    pd_status status = pd_files_quantize(o->args[0], o->args[1], o->args[2], &desc, &r, err);
    cli_progress_end(&bar);
    if (status != PD_OK) return status;
    if (!desc.dry_run) tell_speed(&r, o->args[1]);
    print_report(&r, o->args[0], o->args[1]);
    return PD_OK;
}
