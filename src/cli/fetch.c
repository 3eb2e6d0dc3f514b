/* `peridot fetch USER/REPO[:TYPE]`: a model from the Hugging Face hub, and the path to open it by.
 * Also --hf-repo, with which the other commands fetch the model they open.
 *
 * SPDX-License-Identifier: MIT
 */
#include <string.h>

#include "base/folder.h"
#include "cli/json.h"
#include "hub/hub.h"

/* ---- while it lasts ------------------------------------------------------------------------- */

static void begin(void *ctx, const char *what, uint64_t bytes_before) {
    cli_progress *p = ctx;
    cli_progress_begin(p, what);
    p->start_bytes = bytes_before;
}

static void progress(void *ctx, uint64_t bytes_done, uint64_t bytes_total) {
    cli_progress_update(ctx, bytes_done, bytes_total);
}

static void end(void *ctx) {
    cli_progress_end(ctx);
}

static void tell_fetched(void *ctx, const char *name, uint64_t size, uint64_t n_bytes,
                         uint64_t ns) {
    char size_text[32], speed[32];
    (void)ctx;
    fprintf(stderr, "%s: %s in %.1f s, %s\n", name, pd_size_text(size, size_text), (double)ns / 1e9,
            pd_rate_text(n_bytes, ns, speed));
}

static pd_status fetch(hub_desc *desc, hub_model **out, pd_error *err) {
    cli_progress bar = {0};
    desc->watch = (hub_watch){.cancel = cli_interrupt_flag(),
                              .begin = begin,
                              .progress = progress,
                              .end = end,
                              .fetched = tell_fetched,
                              .ctx = &bar};
    cli_interrupt_install();
    return hub_fetch(desc, out, err);
}

/* ---- results -------------------------------------------------------------------------------- */

static void add_path(cJSON *root, const char *name, const char *path) {
    if (path)
        cJSON_AddStringToObject(root, name, path);
    else
        cJSON_AddNullToObject(root, name);
}

static pd_status print_json(const hub_model *m, pd_error *err) {
    cJSON *root = cJSON_CreateObject();
    CLI_ADD_TEXTS(root, {"repo", m->repo}, {"revision", m->revision});
    add_path(root, "commit", m->commit);
    cJSON_AddStringToObject(root, "folder", m->folder);
    add_path(root, "model", m->model);
    add_path(root, "mmproj", m->mmproj);
    cJSON *files = cJSON_AddArrayToObject(root, "files");
    for (size_t i = 0; i < m->n_files; i++) {
        const hub_file *f = &m->files[i];
        cJSON *item = cli_add_object(files);
        cJSON_AddStringToObject(item, "name", f->name);
        cJSON_AddNumberToObject(item, "bytes", (double)f->size);
        cJSON_AddStringToObject(item, strlen(f->id) == 64 ? "sha256" : "git_sha1", f->id);
    }
    return cli_print_json(root, err);
}

/* An image encoder in another folder than the model is not found by itself. */
static void tell_mmproj(const hub_model *m) {
    if (!m->model || !m->mmproj) return;
    size_t n = pd_path_name_at(m->model);
    if (n == pd_path_name_at(m->mmproj) && memcmp(m->model, m->mmproj, n) == 0) return;
    fprintf(stderr, "pass its image encoder with --mmproj %s\n", m->mmproj);
}

/* ---- the commands --------------------------------------------------------------------------- */

pd_status cli_fetch(const cli_options *o, pd_error *err) {
    hub_desc desc = {.file = cli_text(o, OPT_FETCH_FILE),
                     .revision = cli_text(o, OPT_REVISION),
                     .folder = cli_text(o, OPT_FETCH_OUTPUT),
                     .with_mmproj = !cli_given(o, OPT_NO_MMPROJ),
                     .offline = cli_given(o, OPT_OFFLINE),
                     .n_retries = cli_u32(o, OPT_RETRIES)};
    hub_model *m;
    if (o->n_args < 1) {
        pd_status missing = PD_RAISE(err, PD_ERR_ARGUMENT, "USER/REPO is missing");
        return pd_error_hint(err, missing, "such as google/gemma-3-4b-it-qat-q4_0-gguf");
    }
    desc.what = o->args[0];
    PD_TRY(fetch(&desc, &m, err));
    pd_status status = PD_OK;
    if (cli_given(o, OPT_JSON)) {
        status = print_json(m, err);
    } else {
        tell_mmproj(m);
        puts(m->model ? m->model : m->folder);
    }
    hub_model_free(m);
    return status;
}

/* As if the option had been given; `given` is left to those that ask for the file. */
static pd_status set_path(cli_options *o, cli_option_id id, const char *path, pd_error *err) {
    o->values[id].text = pd_arena_strdup(&o->arena, path);
    if (o->values[id].text) return PD_OK;
    return PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory for a path");
}

static pd_status set_model(cli_options *o, const hub_model *m, pd_error *err) {
    if (!m->model) {
        pd_status status =
            PD_RAISE(err, PD_ERR_UNSUPPORTED, "%s holds a checkpoint, not a GGUF file", m->repo);
        return pd_error_hint(err, status, "peridot fetch %.80s, then peridot convert", m->repo);
    }
    PD_TRY(set_path(o, OPT_MODEL, m->model, err));
    o->values[OPT_MODEL].given = 1;
    o->values[OPT_MODEL].from_env = false;
    return m->mmproj ? set_path(o, OPT_MMPROJ, m->mmproj, err) : PD_OK;
}

pd_status cli_fetch_model(cli_options *o, pd_error *err) {
    hub_desc desc = {
        .what = cli_text(o, OPT_HF_REPO), .offline = cli_given(o, OPT_OFFLINE), .n_retries = 5};
    const cli_value *model = &o->values[OPT_MODEL];
    hub_model *m;
    if (model->given && !model->from_env)
        return PD_RAISE(err, PD_ERR_ARGUMENT, "--model and --hf-repo cannot be used together");
    /* hundreds of megabytes: only for those who show pictures, and have no other encoder */
    desc.with_mmproj =
        !cli_given(o, OPT_MMPROJ) && (cli_given(o, OPT_IMAGE) || o->command == CLI_EMBED_IMAGE);
    PD_TRY(fetch(&desc, &m, err));
    pd_status status = set_model(o, m, err);
    hub_model_free(m);
    return status;
}
