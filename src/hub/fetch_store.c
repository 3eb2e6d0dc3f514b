/* The folder that a repository's files go to.
 *
 *     <cache>/models/<user>/<name>/<revision>/    or the folder that was named
 *         model-q4_0.gguf                         complete and checked; never anything else
 *         model-q8_0.gguf.0123456789ab.part       begun; the digits are those of its id
 *         .peridot-fetch.json                     the listing, and which files are complete
 *
 * A file gets its name when its content is known to be right, so a name with the size and the id of
 * the listing needs no second look. A file that is there without being in the listing, copied by
 * hand say, is read and kept if it is the right one. One process at a time works in a folder.
 *
 * SPDX-License-Identifier: MIT
 */
#include <cjson/cJSON.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/folder.h"
#include "base/log.h"
#include "base/os_file.h"
#include "hub/fetch.h"
#include "file/json.h"

enum { MAX_STATE_BYTES = 64 << 20, PART_DIGITS = 12 };

static pd_status raise_memory(pd_error *err) {
    return PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory for a path");
}

/* ---- the folder ----------------------------------------------------------------------------- */

pd_status fetch_store_open(fetch_place *place, const char *folder, const hub_watch *watch,
                           fetch_store *out, pd_error *err) {
    *out = (fetch_store){.watch = watch, .lock = -1};
    if (folder) {
        out->folder = pd_arena_strdup(&out->arena, folder);
        return out->folder ? PD_OK : raise_memory(err);
    }
    char *root = pd_cache_path("models");
    if (!root) {
        pd_status status = PD_RAISE(err, PD_ERR_IO, "there is no cache folder that can be written");
        return pd_error_hint(err, status, "name one with PERIDOT_CACHE_DIR, or -o DIR");
    }
    const char *revision = fetch_place_revision_folder(place);
    if (revision)
        out->folder = pd_arena_printf(&out->arena, "%s/%s/%s", root, place->repo, revision);
    pd_free(root);
    return out->folder ? PD_OK : raise_memory(err);
}

const char *fetch_store_path(fetch_store *s, const char *path) {
    return pd_arena_printf(&s->arena, "%s/%s", s->folder, path);
}

/* Makes the folders of `path` up to its last slash. */
static pd_status make_folders(const char *path, pd_error *err) {
    char *copy = pd_strdup(path);
    if (!copy) return raise_memory(err);
    pd_status status = PD_OK;
    for (char *at = strchr(copy + 1, '/'); at && status == PD_OK; at = strchr(at + 1, '/')) {
        *at = '\0';
        if (!pd_path_is_folder(copy) && !pd_folder_make(copy, 0777) && errno != EEXIST)
            status = PD_RAISE(err, PD_ERR_IO, "cannot make the folder \"%s\": %s", copy,
                              strerror(errno));
        *at = '/';
    }
    pd_free(copy);
    return status;
}

pd_status fetch_store_lock(fetch_store *s, pd_error *err) {
    const char *inside = fetch_store_path(s, "");
    if (!inside) return raise_memory(err);
    PD_TRY(make_folders(inside, err));
    s->lock = pd_folder_open_lock(s->folder);
    if (s->lock < 0)
        return PD_RAISE(err, PD_ERR_IO, "cannot open the folder \"%s\": %s", s->folder,
                        strerror(errno));
    for (bool told = false; pd_fd_lock(s->lock) == PD_LOCK_BUSY; told = true) {
        if (!told)
            pd_log(PD_LOG_WARN, "fetch", "waiting for another process that fetches into %s",
                   s->folder);
        if (fetch_stopped(s->watch)) return PD_RAISE(err, PD_ERR_CANCELLED, "stopped on request");
        pd_sleep_ms(200);
    }
    return PD_OK;
}

void fetch_store_unlock(fetch_store *s) {
    if (s->lock >= 0) pd_fd_close(s->lock);
    s->lock = -1;
}

void fetch_store_close(fetch_store *s) {
    fetch_store_unlock(s);
    pd_arena_destroy(&s->arena);
    *s = (fetch_store){.lock = -1};
}

/* ---- the listing ---------------------------------------------------------------------------- */

static bool is_text(const cJSON *object, const char *name, const char *text) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
    return cJSON_IsString(item) && strcmp(item->valuestring, text) == 0;
}

static bool read_entry(const cJSON *item, fetch_list *out) {
    const cJSON *path = cJSON_GetObjectItemCaseSensitive(item, "path");
    const cJSON *id = cJSON_GetObjectItemCaseSensitive(item, "id");
    const cJSON *size = cJSON_GetObjectItemCaseSensitive(item, "size");
    if (!cJSON_IsString(path) || !fetch_is_safe(path->valuestring) || !cJSON_IsString(id) ||
        !fetch_is_id(id->valuestring) || !cJSON_IsNumber(size) || !(size->valuedouble >= 0) ||
        size->valuedouble > 9007199254740992.0)
        return true; /* not of ours: left out */
    if (!fetch_list_add(out, path->valuestring, (uint64_t)size->valuedouble, id->valuestring))
        return false;
    out->files[out->n - 1].have = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(item, "complete"));
    return true;
}

static bool read_entries(const cJSON *root, const fetch_place *place, fetch_list *out) {
    if (!is_text(root, "repo", place->repo) || !is_text(root, "revision", place->revision))
        return true;
    const cJSON *files = cJSON_GetObjectItemCaseSensitive(root, "files");
    const cJSON *commit = cJSON_GetObjectItemCaseSensitive(root, "commit");
    if (cJSON_IsString(commit))
        snprintf(out->commit, sizeof out->commit, "%s", commit->valuestring);
    for (const cJSON *item = cJSON_IsArray(files) ? files->child : NULL; item; item = item->next)
        if (!read_entry(item, out)) return false;
    fetch_list_sort(out);
    return true;
}

pd_status fetch_store_read(fetch_store *s, const fetch_place *place, fetch_list *out,
                           pd_error *err) {
    *out = (fetch_list){0};
    const char *path = fetch_store_path(s, FETCH_STATE_NAME);
    char *text;
    size_t n;
    if (!path) return raise_memory(err);
    if (!pd_path_can_read(path)) return PD_OK;
    PD_TRY(pd_file_read_regular(path, MAX_STATE_BYTES, &text, &n, err));
    cJSON *root = pd_json_parse(text, n);
    pd_free(text);
    bool good = read_entries(root, place, out);
    cJSON_Delete(root);
    return good ? PD_OK : raise_memory(err);
}

static char *print_state(const fetch_place *place, const fetch_list *list) {
    cJSON *root = cJSON_CreateObject();
    cJSON_AddStringToObject(root, "repo", place->repo);
    cJSON_AddStringToObject(root, "revision", place->revision);
    cJSON_AddStringToObject(root, "commit", list->commit);
    cJSON *files = cJSON_AddArrayToObject(root, "files");
    for (size_t i = 0; i < list->n; i++) {
        const fetch_file *f = &list->files[i];
        if (!fetch_is_safe(f->path)) continue;
        cJSON *item = cJSON_CreateObject();
        cJSON_AddStringToObject(item, "path", f->path);
        cJSON_AddNumberToObject(item, "size", (double)f->size);
        cJSON_AddStringToObject(item, "id", f->id);
        if (f->have) cJSON_AddTrueToObject(item, "complete");
        cJSON_AddItemToArray(files, item);
    }
    char *text = cJSON_Print(root);
    cJSON_Delete(root);
    return text;
}

pd_status fetch_store_write(fetch_store *s, const fetch_place *place, const fetch_list *list,
                            pd_error *err) {
    const char *path = fetch_store_path(s, FETCH_STATE_NAME);
    char *text = print_state(place, list);
    pd_status status =
        path && text ? pd_file_write_all(path, text, strlen(text), err) : raise_memory(err);
    cJSON_free(text);
    return status;
}

/* ---- what is there -------------------------------------------------------------------------- */

static bool has_size(const char *path, uint64_t size) {
    pd_path_info info;
    return path && pd_path_look(path, &info) && info.kind == PD_PATH_FILE && info.size == size;
}

bool fetch_store_holds(fetch_store *s, const fetch_file *file) {
    return file->have && has_size(fetch_store_path(s, file->path), file->size);
}

/* Whether a file that nobody knows has the right content. */
static pd_status check_content(const fetch_store *s, const fetch_file *file, const char *path,
                               bool *right, pd_error *err) {
    fetch_sum *sum = NULL;
    *right = false;
    int fd = pd_fd_open(path, PD_OPEN_READ);
    if (fd < 0) return PD_OK;
    pd_status status = fetch_sum_create(file, &sum, err);
    if (status == PD_OK) status = fetch_sum_read(sum, fd, path, file->size, s->watch, err);
    if (status == PD_OK) status = fetch_sum_finish(sum, right, err);
    fetch_sum_destroy(sum);
    pd_fd_close(fd);
    return status;
}

pd_status fetch_store_mark(fetch_store *s, fetch_list *list, const fetch_list *known,
                           pd_error *err) {
    for (size_t i = 0; i < list->n; i++) {
        fetch_file *f = &list->files[i];
        const fetch_file *old = fetch_list_find(known, f->path);
        bool same = old && old->have && old->size == f->size && strcmp(old->id, f->id) == 0;
        f->have = same && !f->wanted;
        if (!f->wanted) continue;
        const char *path = fetch_store_path(s, f->path);
        if (!has_size(path, f->size)) continue;
        f->have = same;
        if (!same) PD_TRY(check_content(s, f, path, &f->have, err));
    }
    return PD_OK;
}

void fetch_store_count(fetch_store *s, const fetch_list *list, uint64_t *n_missing,
                       uint64_t *n_partial) {
    *n_missing = *n_partial = 0;
    for (size_t i = 0; i < list->n; i++) {
        const fetch_file *f = &list->files[i];
        pd_path_info info;
        if (!f->wanted || f->have) continue;
        if (!pd_add_u64(*n_missing, f->size, n_missing)) *n_missing = UINT64_MAX;
        const char *part = fetch_store_part_path(s, f);
        if (part && pd_path_look(part, &info) && info.size <= f->size) *n_partial += info.size;
    }
}

/* ---- parts ---------------------------------------------------------------------------------- */

const char *fetch_store_part_path(fetch_store *s, const fetch_file *file) {
    return pd_arena_printf(&s->arena, "%s/%s.%.*s.part", s->folder, file->path, PART_DIGITS,
                           file->id);
}

/* NAME.<12 digits>.part */
static bool is_part_of(const char *entry, const char *name) {
    size_t n = strlen(name);
    return strncmp(entry, name, n) == 0 && entry[n] == '.' &&
           strspn(entry + n + 1, "0123456789abcdef") == PART_DIGITS &&
           strcmp(entry + n + 1 + PART_DIGITS, ".part") == 0;
}

pd_status fetch_store_prepare(fetch_store *s, const fetch_file *file, pd_error *err) {
    const char *part = fetch_store_part_path(s, file);
    const char *path = fetch_store_path(s, file->path);
    if (!part || !path) return raise_memory(err);
    PD_TRY(make_folders(path, err));
    size_t name_at = pd_path_name_at(path);
    char *folder_path = pd_arena_printf(&s->arena, "%.*s", (int)name_at, path);
    pd_folder folder;
    if (!folder_path) return raise_memory(err);
    PD_TRY(pd_folder_list(folder_path, &folder, err));
    for (size_t i = 0; i < folder.n; i++) {
        const char *entry = folder.names[i];
        if (!is_part_of(entry, path + name_at) || strcmp(entry, part + name_at) == 0) continue;
        const char *old = pd_arena_printf(&s->arena, "%s%s", folder_path, entry);
        if (old) pd_path_remove(old);
    }
    pd_folder_free(&folder);
    return PD_OK;
}
