/* `peridot estimate`: how much memory a model takes, for each context that was asked for, and the
 * largest context that fits. Reads no weights and takes nothing of the device.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/memory.h"
#include "base/numbers.h"
#include "cli/json.h"
#include "peridot_measure.h"

enum { MAX_CTX = 16777216 };

typedef struct estimate_job {
    pd_model *model;
    pd_session_desc session; /* n_ctx aside */
    uint32_t n_seqs;
    pd_estimate *rows; /* [n_rows] */
    uint32_t n_rows;
    pd_estimate most;    /* of the largest context, or of the least one when that does not fit */
    uint32_t most_n_ctx; /* 0: none fits */
} estimate_job;

static bool fits(const pd_estimate *e) {
    return !e->limit_bytes || e->peak_bytes <= e->limit_bytes;
}

/* ---- text ----------------------------------------------------------------------------------- */

static void print_size(const char *what, uint64_t bytes, const char *note) {
    char size[32];
    if (bytes) printf("%-14s %11s%s\n", what, pd_size_text(bytes, size), note);
}

static void print_row(const pd_estimate *e) {
    const uint64_t columns[] = {e->kv_global_bytes, e->kv_local_bytes, e->prefill_bytes,
                                e->decode_bytes,    e->step_bytes,     e->total_bytes,
                                e->peak_bytes};
    char size[32];
    printf("%8u", e->n_ctx);
    for (size_t i = 0; i < sizeof columns / sizeof *columns; i++)
        printf(" %11s", pd_size_text(columns[i], size));
    printf("  %s\n", fits(e) ? "yes" : "no");
}

static void print_text(const estimate_job *job) {
    const pd_estimate *e = &job->most;
    const pd_device_info *d = pd_model_get_device(job->model);
    char size[32];
    printf("%s on %s, %s\n", pd_model_get_info(job->model)->name, d->id, d->name);
    print_size("device memory", d->memory_bytes, "");
    print_size("free", d->memory_free_bytes, "");
    print_size("limit", e->limit_bytes, "");
    print_size("weights", e->weight_bytes, "");
    print_size("image encoder", e->image_weight_bytes, " of weights");
    print_size("", e->image_bytes, " while it works");
    print_size("host", e->host_map_bytes, " of mapped files");
    print_size("", e->host_vocab_bytes, " of vocabulary");
    print_size("", e->host_head_bytes, " of requantised head");
    printf("\n%8s %11s %11s %11s %11s %11s %11s %11s  fits\n", "context", "KV global", "KV local",
           "prompts", "tokens", "steps", "total", "peak");
    for (uint32_t i = 0; i < job->n_rows; i++) print_row(&job->rows[i]);
    if (job->most_n_ctx)
        printf("\nthe largest context that fits: %u positions, %s\n", job->most_n_ctx,
               pd_size_text(e->peak_bytes, size));
    else
        printf("\nno context fits: %u positions need %s\n", e->n_ctx,
               pd_size_text(e->peak_bytes, size));
}

/* ---- JSON ----------------------------------------------------------------------------------- */

static void add_row(cJSON *j, const pd_estimate *e) {
    CLI_ADD_NUMBERS(j, {"n_ctx", e->n_ctx}, {"n_chunk", e->n_chunk}, {"n_seqs", e->n_seqs},
                    {"weight_bytes", (double)e->weight_bytes},
                    {"image_weight_bytes", (double)e->image_weight_bytes},
                    {"kv_global_bytes", (double)e->kv_global_bytes},
                    {"kv_local_bytes", (double)e->kv_local_bytes},
                    {"prefill_bytes", (double)e->prefill_bytes},
                    {"decode_bytes", (double)e->decode_bytes},
                    {"image_bytes", (double)e->image_bytes}, {"step_bytes", (double)e->step_bytes},
                    {"total_bytes", (double)e->total_bytes}, {"peak_bytes", (double)e->peak_bytes});
    cJSON_AddBoolToObject(j, "fits", fits(e));
}

static pd_status print_json(const estimate_job *job, pd_error *err) {
    const pd_estimate *e = &job->most;
    const pd_device_info *d = pd_model_get_device(job->model);
    cJSON *root = cJSON_CreateObject();
    cJSON_AddStringToObject(root, "model", pd_model_get_info(job->model)->name);
    cJSON *device = cJSON_AddObjectToObject(root, "device");
    CLI_ADD_TEXTS(device, {"id", d->id}, {"name", d->name});
    CLI_ADD_NUMBERS(device, {"memory_bytes", (double)d->memory_bytes},
                    {"memory_free_bytes", (double)d->memory_free_bytes},
                    {"limit_bytes", (double)e->limit_bytes});
    cJSON *host = cJSON_AddObjectToObject(root, "host");
    CLI_ADD_NUMBERS(host, {"map_bytes", (double)e->host_map_bytes},
                    {"head_bytes", (double)e->host_head_bytes},
                    {"vocab_bytes", (double)e->host_vocab_bytes});
    cJSON *rows = cJSON_AddArrayToObject(root, "contexts");
    for (uint32_t i = 0; i < job->n_rows; i++) add_row(cli_add_object(rows), &job->rows[i]);
    if (job->most_n_ctx)
        add_row(cJSON_AddObjectToObject(root, "largest"), e);
    else
        cJSON_AddNullToObject(root, "largest");
    return cli_print_json(root, err);
}

/* ---- the command ---------------------------------------------------------------------------- */

static pd_status fill_row(estimate_job *job, uint32_t n_ctx, pd_estimate *row, pd_error *err) {
    pd_session_desc session = job->session;
    session.n_ctx = n_ctx ? n_ctx : pd_model_get_info(job->model)->n_ctx_train;
    return pd_model_estimate(job->model, &session, job->n_seqs, row, err);
}

/* Without a list: the context of a session that names none. */
static pd_status fill_rows(estimate_job *job, const uint32_t *n_ctx, pd_error *err) {
    job->rows = pd_alloc(job->n_rows, sizeof *job->rows);
    if (!job->rows) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory for estimates");
    if (!n_ctx) return pd_model_estimate(job->model, &job->session, job->n_seqs, job->rows, err);
    for (uint32_t i = 0; i < job->n_rows; i++) PD_TRY(fill_row(job, n_ctx[i], &job->rows[i], err));
    return PD_OK;
}

pd_status cli_estimate(const cli_options *o, pd_error *err) {
    estimate_job job = {
        .n_seqs = cli_u32(o, OPT_PARALLEL), .n_rows = 1, .session = cli_session(o, 0)};
    const char *contexts = cli_text(o, OPT_ESTIMATE_CTX);
    uint32_t *n_ctx = NULL;
    pd_status status = PD_OK;
    if (contexts)
        PD_TRY_GOTO(pd_numbers_parse("--ctx-size", contexts, 0, MAX_CTX, &n_ctx, &job.n_rows, err));
    PD_TRY_GOTO(cli_open_model(o, CLI_OPEN_ESTIMATE, &job.model, err));
    PD_TRY_GOTO(fill_rows(&job, n_ctx, err));
    PD_TRY_GOTO(pd_model_estimate_most(job.model, &job.session, job.n_seqs, &job.most_n_ctx,
                                       &job.most, err));
    if (cli_given(o, OPT_JSON))
        status = print_json(&job, err);
    else
        print_text(&job);
done:
    pd_free(n_ctx);
    pd_free(job.rows);
    pd_model_close(job.model);
    return status;
}
