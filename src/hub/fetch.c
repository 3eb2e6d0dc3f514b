/* A model from the Hugging Face hub, and the path to open it by.
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
#include "base/file.h"
#include "base/log.h"

typedef struct fetch_job {
    hub_model result; /* first: hub_model_free gets a pointer to it */
    fetch_place place;
    fetch_store store;
    fetch_http *http;
    fetch_list list, known; /* the server's, and the store's of the last time */
    fetch_choice choice;
    const hub_desc *desc;
    const hub_watch *watch;
    pd_arena arena; /* of the result */
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
    PD_TRY(fetch_choose(&job->place, &job->list, job->desc->with_mmproj, &job->choice, err));
    for (size_t i = 0; i < job->list.n; i++) {
        const fetch_file *f = &job->list.files[i];
        if (f->wanted && !fetch_store_holds(&job->store, f))
            return raise_not_cached(job, f->path, err);
    }
    return PD_OK;
}

/* Offline is fine if all files are cached. */
static pd_status use_stored_instead(fetch_job *job, pd_status status, pd_error *err) {
    pd_error other = {0};
    bool may = status == PD_ERR_IO && !fetch_http_answered(job->http);
    if (!may || use_stored(job, &other) != PD_OK) return status;
    pd_log(PD_LOG_WARN, "fetch", "%s; using what was fetched before", err ? err->message : "");
    return PD_OK;
}

/* ---- transfers ------------------------------------------------------------------------------ */

static pd_status get_missing(fetch_job *job, fetch_run *run, pd_error *err) {
    for (size_t i = 0; i < job->list.n; i++) {
        fetch_file *f = &job->list.files[i];
        if (!f->wanted || f->have) continue;
        uint64_t start_ns = pd_clock_ns(), before = run->done;
        pd_status status = fetch_part_get(run, f, err);
        fetch_end(job->watch);
        PD_TRY(status);
        if (job->watch->fetched)
            job->watch->fetched(job->watch->ctx, f->path, f->size, run->done - before,
                                pd_clock_ns() - start_ns);
        if (run->commit[0]) memcpy(job->list.commit, run->commit, sizeof run->commit);
        PD_TRY(fetch_store_write(&job->store, &job->place, &job->list, err));
    }
    return PD_OK;
}

static pd_status fill_store(fetch_job *job, pd_error *err) {
    fetch_run run = {.http = job->http,
                     .place = &job->place,
                     .store = &job->store,
                     .n_retries = job->desc->n_retries,
                     .watch = job->watch};
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
    if (job->desc->offline) return use_stored(job, err);
    PD_TRY(fetch_http_create(&job->place, job->watch, &job->http, err));
    pd_status status =
        fetch_list_get(job->http, &job->place, job->desc->n_retries, &job->list, err);
    if (status != PD_OK) return use_stored_instead(job, status, err);
    PD_TRY(fetch_choose(&job->place, &job->list, job->desc->with_mmproj, &job->choice, err));
    return fill_store(job, err);
}

/* ---- results -------------------------------------------------------------------------------- */

static pd_status raise_memory(pd_error *err) {
    return PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory for a path");
}

static pd_status list_files(fetch_job *job, pd_error *err) {
    hub_file *files = pd_arena_alloc(&job->arena, job->list.n + 1, sizeof *files);
    if (!files) return raise_memory(err);
    job->result.files = files;
    for (size_t i = 0; i < job->list.n; i++) {
        const fetch_file *f = &job->list.files[i];
        if (f->wanted) files[job->result.n_files++] = (hub_file){f->path, f->size, f->id};
    }
    return PD_OK;
}

static pd_status make_result(fetch_job *job, pd_error *err) {
    const fetch_file *model = job->choice.model, *mmproj = job->choice.mmproj;
    hub_model *r = &job->result;
    r->repo = job->place.repo;
    r->revision = pd_arena_strdup(&job->arena, job->place.revision);
    r->commit = job->list.commit[0] ? job->list.commit : NULL;
    r->folder = job->store.folder;
    r->model = model ? fetch_store_path(&job->store, model->path) : NULL;
    r->mmproj = mmproj ? fetch_store_path(&job->store, mmproj->path) : NULL;
    if (!r->revision || (model && !r->model) || (mmproj && !r->mmproj)) return raise_memory(err);
    return list_files(job, err);
}

/* ---- the whole ------------------------------------------------------------------------------ */

static pd_status run_job(fetch_job *job, const hub_desc *desc, pd_error *err) {
    const char *revision = desc->revision ? desc->revision : "main";
    PD_TRY(fetch_place_init(desc->what, desc->file, revision, &job->place, err));
    PD_TRY(fetch_store_open(&job->place, desc->folder, job->watch, &job->store, err));
    PD_TRY(fetch_all(job, err));
    return make_result(job, err);
}

void hub_model_free(hub_model *m) {
    fetch_job *job = (fetch_job *)m;
    if (!job) return;
    fetch_store_close(&job->store);
    fetch_list_free(&job->list);
    fetch_list_free(&job->known);
    fetch_place_free(&job->place);
    pd_arena_destroy(&job->arena);
    pd_free(job);
}

pd_status hub_fetch(const hub_desc *desc, hub_model **out, pd_error *err) {
    fetch_job *job = pd_alloc(1, sizeof *job);
    *out = NULL;
    if (!job) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory for a download");
    job->desc = desc;
    job->watch = &desc->watch;
    job->store.lock = -1;
    pd_status status = run_job(job, desc, err);
    fetch_http_destroy(job->http);
    fetch_store_unlock(&job->store);
    if (status == PD_OK)
        *out = &job->result;
    else
        hub_model_free(&job->result);
    return status;
}
