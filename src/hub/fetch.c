/* `peridot fetch USER/REPO[:TYPE]`: a model from the Hugging Face hub, and the path to open it by.
 * Also --hf-repo, with which the other commands fetch the model they open.
 *
 *     listing --choose--> wanted files --store--> those that are missing --GET--> checked files
 *
 * What is complete in the folder is not transferred again; the listing tells whether it is still
 * what the server has. Without a network, asked for or found out, the last listing takes its place,
 * as long as nothing of it is missing.
 *
 * SPDX-License-Identifier: MIT
 */
#include "hub/fetch.h"

#include <string.h>

#include "base/clock.h"
#include "base/folder.h"
#include "base/log.h"
#include "cli/json.h"

typedef struct fetch_job {
    fetch_place place;
    fetch_store store;
    fetch_http *http;
    fetch_list list, known; /* the server's, and the store's of the last time */
    fetch_choice choice;
    bool with_mmproj, offline;
    unsigned n_retries;
} fetch_job;

/* ---- without a network ---------------------------------------------------------------------- */

static pd_status raise_not_cached(const fetch_job *job, const char *path, pd_error *err) {
    pd_status status = PD_RAISE(err, PD_ERR_IO, "%s%s%s is not complete in \"%s\"", job->place.repo,
                                path ? ": " : "", path ? path : "", job->store.folder);
    return pd_error_hint(err, status, "fetch it once without --offline");
}

static pd_status use_stored(fetch_job *job, pd_error *err) {
    fetch_list none = {0};
    PD_TRY(fetch_store_read(&job->store, &job->place, &job->known, err));
    if (job->known.n == 0) return raise_not_cached(job, NULL, err);
    fetch_list_free(&job->list);
    job->list = job->known;
    job->known = none;
    PD_TRY(fetch_choose(&job->place, &job->list, job->with_mmproj, &job->choice, err));
    for (size_t i = 0; i < job->list.n; i++) {
        const fetch_file *f = &job->list.files[i];
        if (f->wanted && !fetch_store_holds(&job->store, f))
            return raise_not_cached(job, f->path, err);
    }
    return PD_OK;
}

/* A network that is not there is no harm when everything is. */
static pd_status use_stored_instead(fetch_job *job, pd_status status, pd_error *err) {
    pd_error other = {0};
    bool may = status == PD_ERR_IO && !fetch_http_answered(job->http);
    if (!may || use_stored(job, &other) != PD_OK) return status;
    pd_log(PD_LOG_WARN, "fetch", "%s; using what was fetched before", err ? err->message : "");
    return PD_OK;
}

/* ---- transfers ------------------------------------------------------------------------------ */

/* n_bytes came now, what the file has besides came earlier. */
static void report_file(const fetch_file *f, uint64_t n_bytes, uint64_t start_ns) {
    char size[32], speed[32];
    double seconds = (double)(pd_clock_ns() - start_ns) / 1e9;
    fprintf(stderr, "%s: %s in %.1f s, %s/s\n", f->path, pd_size_text(f->size, size), seconds,
            pd_size_text((uint64_t)((double)n_bytes / seconds), speed));
}

static pd_status get_missing(fetch_job *job, fetch_run *run, pd_error *err) {
    for (size_t i = 0; i < job->list.n; i++) {
        fetch_file *f = &job->list.files[i];
        if (!f->wanted || f->have) continue;
        uint64_t start_ns = pd_clock_ns(), before = run->done;
        pd_status status = fetch_part_get(run, f, err);
        cli_progress_end(&run->progress);
        PD_TRY(status);
        report_file(f, run->done - before, start_ns);
        if (run->commit[0]) memcpy(job->list.commit, run->commit, sizeof run->commit);
        PD_TRY(fetch_store_write(&job->store, &job->place, &job->list, err));
    }
    return PD_OK;
}

static pd_status fill_store(fetch_job *job, pd_error *err) {
    fetch_run run = {
        .http = job->http, .place = &job->place, .store = &job->store, .n_retries = job->n_retries};
    PD_TRY(fetch_store_lock(&job->store, err));
    PD_TRY(fetch_store_read(&job->store, &job->place, &job->known, err));
    PD_TRY(fetch_store_mark(&job->store, &job->list, &job->known, err));
    if (!job->list.commit[0]) memcpy(job->list.commit, job->known.commit, sizeof job->list.commit);
    fetch_store_count(&job->store, &job->list, &run.total, &run.done);
    const char *inside = fetch_store_path(&job->store, FETCH_STATE_NAME);
    if (!inside) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory for a path");
    PD_TRY(pd_disk_check(inside, run.total - run.done, err));
    PD_TRY(fetch_store_write(&job->store, &job->place, &job->list, err));
    return get_missing(job, &run, err);
}

static pd_status fetch_all(fetch_job *job, pd_error *err) {
    if (job->offline) return use_stored(job, err);
    PD_TRY(fetch_http_create(&job->place, &job->http, err));
    pd_status status = fetch_list_get(job->http, &job->place, job->n_retries, &job->list, err);
    if (status != PD_OK) return use_stored_instead(job, status, err);
    PD_TRY(fetch_choose(&job->place, &job->list, job->with_mmproj, &job->choice, err));
    return fill_store(job, err);
}

static void job_free(fetch_job *job) {
    fetch_http_destroy(job->http);
    fetch_store_close(&job->store);
    fetch_list_free(&job->list);
    fetch_list_free(&job->known);
    fetch_place_free(&job->place);
}

/* ---- results -------------------------------------------------------------------------------- */

/* The file to open, or the folder that `convert` takes. */
static const char *result_path(fetch_job *job) {
    return job->choice.model ? fetch_store_path(&job->store, job->choice.model->path)
                             : job->store.folder;
}

static const char *mmproj_path(fetch_job *job) {
    return job->choice.mmproj ? fetch_store_path(&job->store, job->choice.mmproj->path) : NULL;
}

static void add_path(cJSON *root, const char *name, const char *path) {
    if (path)
        cJSON_AddStringToObject(root, name, path);
    else
        cJSON_AddNullToObject(root, name);
}

static pd_status print_json(fetch_job *job, pd_error *err) {
    cJSON *root = cJSON_CreateObject();
    cJSON_AddStringToObject(root, "repo", job->place.repo);
    cJSON_AddStringToObject(root, "revision", job->place.revision);
    add_path(root, "commit", job->list.commit[0] ? job->list.commit : NULL);
    cJSON_AddStringToObject(root, "folder", job->store.folder);
    add_path(root, "model", job->choice.model ? result_path(job) : NULL);
    add_path(root, "mmproj", mmproj_path(job));
    cJSON *files = cJSON_AddArrayToObject(root, "files");
    for (size_t i = 0; i < job->list.n; i++) {
        const fetch_file *f = &job->list.files[i];
        if (!f->wanted) continue;
        cJSON *item = cJSON_CreateObject();
        cJSON_AddStringToObject(item, "name", f->path);
        cJSON_AddNumberToObject(item, "bytes", (double)f->size);
        cJSON_AddStringToObject(item, strlen(f->id) == 64 ? "sha256" : "git_sha1", f->id);
        cJSON_AddItemToArray(files, item);
    }
    return cli_print_json(root, err);
}

/* An image encoder in another folder than the model is not found by itself. */
static void tell_mmproj(fetch_job *job) {
    const char *model = job->choice.model ? job->choice.model->path : NULL;
    const char *mmproj = job->choice.mmproj ? job->choice.mmproj->path : NULL;
    if (!model || !mmproj) return;
    size_t n = pd_path_name_at(model);
    if (n == pd_path_name_at(mmproj) && memcmp(model, mmproj, n) == 0) return;
    const char *path = mmproj_path(job);
    if (path) fprintf(stderr, "its image encoder is to be named: --mmproj %s\n", path);
}

static pd_status print_result(fetch_job *job, bool json, pd_error *err) {
    if (json) return print_json(job, err);
    const char *path = result_path(job);
    if (!path) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory for a path");
    tell_mmproj(job);
    puts(path);
    return PD_OK;
}

/* ---- the commands --------------------------------------------------------------------------- */

pd_status cli_fetch(const cli_options *o, pd_error *err) {
    fetch_job job = {.with_mmproj = !cli_given(o, OPT_NO_MMPROJ),
                     .offline = cli_given(o, OPT_OFFLINE),
                     .n_retries = cli_u32(o, OPT_RETRIES)};
    job.store.lock = -1;
    if (o->n_args < 1) {
        pd_status missing = PD_RAISE(err, PD_ERR_ARGUMENT, "USER/REPO is missing");
        return pd_error_hint(err, missing, "such as google/gemma-3-4b-it-qat-q4_0-gguf");
    }
    cli_interrupt_install();
    pd_status status = fetch_place_init(o->args[0], cli_text(o, OPT_FETCH_FILE),
                                        cli_text(o, OPT_REVISION), &job.place, err);
    if (status == PD_OK)
        status = fetch_store_open(&job.place, cli_text(o, OPT_FETCH_OUTPUT), &job.store, err);
    if (status == PD_OK) status = fetch_all(&job, err);
    if (status == PD_OK) status = print_result(&job, cli_given(o, OPT_JSON), err);
    job_free(&job);
    return status;
}

/* As if the option had been given; `given` is left to those that ask for the file. */
static pd_status set_path(cli_options *o, cli_option_id id, const char *path, pd_error *err) {
    o->values[id].text = path ? pd_arena_strdup(&o->arena, path) : NULL;
    if (o->values[id].text) return PD_OK;
    return PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory for a path");
}

static pd_status set_model(cli_options *o, fetch_job *job, pd_error *err) {
    if (!job->choice.model) {
        pd_status status = PD_RAISE(err, PD_ERR_UNSUPPORTED,
                                    "%s holds a checkpoint, not a GGUF file", job->place.repo);
        return pd_error_hint(err, status, "peridot fetch %.80s, then peridot convert",
                             job->place.repo);
    }
    PD_TRY(set_path(o, OPT_MODEL, result_path(job), err));
    o->values[OPT_MODEL].given = 1;
    o->values[OPT_MODEL].from_env = false;
    return job->choice.mmproj ? set_path(o, OPT_MMPROJ, mmproj_path(job), err) : PD_OK;
}

pd_status cli_fetch_model(cli_options *o, pd_error *err) {
    fetch_job job = {.offline = cli_given(o, OPT_OFFLINE), .n_retries = 5};
    job.store.lock = -1;
    const cli_value *model = &o->values[OPT_MODEL];
    if (model->given && !model->from_env)
        return PD_RAISE(err, PD_ERR_ARGUMENT, "--model and --hf-repo cannot be used together");
    /* hundreds of megabytes: only for those who show pictures, and have no other encoder */
    job.with_mmproj =
        !cli_given(o, OPT_MMPROJ) && (cli_given(o, OPT_IMAGE) || o->command == CLI_EMBED_IMAGE);
    cli_interrupt_install();
    pd_status status = fetch_place_init(cli_text(o, OPT_HF_REPO), NULL, "main", &job.place, err);
    if (status == PD_OK) status = fetch_store_open(&job.place, NULL, &job.store, err);
    if (status == PD_OK) status = fetch_all(&job, err);
    if (status == PD_OK) status = set_model(o, &job, err);
    job_free(&job);
    return status;
}
