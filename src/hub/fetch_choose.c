/* Which of a repository's files make a model.
 *
 * A type is looked for in the names of the GGUF files without regard to case: as a whole word, so
 * that f16 is not found in bf16 and q4_k not in q4_k_m, and only where no name has it so, anywhere.
 * Without a type it is q4_0, then q4_k_m, then the first file by name. Image encoders (mmproj) and
 * importance matrices (imatrix) are no models. Of a split file, PREFIX-00001-of-000NN.gguf, all
 * parts are wanted. A repository without GGUF files gives what `convert` reads of a checkpoint.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/folder.h"
#include "base/words.h"
#include "hub/fetch.h"

/* ---- names ---------------------------------------------------------------------------------- */

static bool ends_with(const char *text, const char *end) {
    size_t n = strlen(text), m = strlen(end);
    return n >= m && pd_same_in_any_case(text + n - m, end);
}

static bool is_word_char(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

static bool holds(const char *text, const char *part, bool as_word) {
    size_t n = strlen(part);
    for (const char *at = text; *at; at++) {
        if (!pd_same_n_in_any_case(at, part, n)) continue;
        bool word = (at == text || !is_word_char(at[-1])) && !is_word_char(at[n]);
        if (word || !as_word) return true;
    }
    return false;
}

/* The "-00001-of-00003.gguf" at a name's end: where it begins, the part's number and their count;
 * false when there is none. */
static bool read_split(const char *path, size_t *at, unsigned *no, unsigned *count) {
    enum { TAIL = 20 };
    size_t n = strlen(path);
    if (n < TAIL) return false;
    const char *tail = path + n - TAIL, shape[] = "-NNNNN-of-NNNNN.gguf";
    for (size_t i = 0; i < TAIL; i++) {
        bool digit = tail[i] >= '0' && tail[i] <= '9';
        if (shape[i] == 'N' ? !digit : tail[i] != shape[i]) return false;
    }
    *at = n - TAIL;
    *no = (unsigned)strtoul(tail + 1, NULL, 10);
    *count = (unsigned)strtoul(tail + 10, NULL, 10);
    return true;
}

static bool is_later_part(const char *path) {
    size_t at;
    unsigned no, count;
    return read_split(path, &at, &no, &count) && no != 1;
}

static bool is_gguf(const char *path) {
    return ends_with(path, ".gguf");
}

static const char *name_of(const char *path) {
    return path + pd_path_name_at(path);
}

static bool is_mmproj(const fetch_file *f) {
    return is_gguf(f->path) && holds(name_of(f->path), "mmproj", false) && !is_later_part(f->path);
}

static bool is_model(const fetch_file *f) {
    return is_gguf(f->path) && !holds(name_of(f->path), "mmproj", false) &&
           !holds(name_of(f->path), "imatrix", false) && !is_later_part(f->path);
}

/* ---- choosing ------------------------------------------------------------------------------- */

typedef bool (*kind_fn)(const fetch_file *f);

/* The first file of a kind whose path holds the type; NULL as type: the first one at all. */
static fetch_file *find_first(const fetch_list *list, kind_fn kind, const char *type,
                              bool as_word) {
    for (size_t i = 0; i < list->n; i++)
        if (kind(&list->files[i]) && (!type || holds(list->files[i].path, type, as_word)))
            return &list->files[i];
    return NULL;
}

static fetch_file *find_preferred(const fetch_list *list, kind_fn kind, const char *const *types) {
    fetch_file *f = NULL;
    for (; *types && !f; types++) f = find_first(list, kind, *types, true);
    return f ? f : find_first(list, kind, NULL, false);
}

/* Sets `wanted` of a file, or of all parts of a split one. */
static pd_status want(fetch_list *list, fetch_file *file, pd_error *err) {
    size_t at;
    unsigned no, count;
    if (!fetch_is_safe(file->path))
        return PD_RAISE(err, PD_ERR_FORMAT,
                        "the repository has a file whose name could lie outside its folder");
    file->wanted = true;
    if (!read_split(file->path, &at, &no, &count)) return PD_OK;
    for (unsigned i = 1; i <= count; i++) {
        char *part =
            pd_arena_printf(&list->arena, "%.*s-%05u-of-%05u.gguf", (int)at, file->path, i, count);
        if (!part) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory for a name");
        fetch_file *f = fetch_list_find(list, part);
        if (!f) return PD_RAISE(err, PD_ERR_FORMAT, "the repository lacks the part %s", part);
        f->wanted = true;
    }
    return PD_OK;
}

/* ---- what there is instead ------------------------------------------------------------------ */

/* "a, b, c and 5 more" of the models, in a hint's length: types, as far as names end with one. */
static void print_types(const fetch_list *list, char *out, size_t n_out) {
    size_t n = 0, n_left = 0;
    out[0] = '\0';
    for (size_t i = 0; i < list->n; i++) {
        const char *path = list->files[i].path;
        if (!is_model(&list->files[i]) || !fetch_is_safe(path)) continue;
        size_t end = strlen(path) - strlen(".gguf"), split_at, from;
        unsigned no, count;
        if (read_split(path, &split_at, &no, &count)) end = split_at;
        for (from = end; from > 0 && !strchr("-./", path[from - 1]);) from--;
        if (n + (end - from) + 24 > n_out)
            n_left++;
        else
            n += (size_t)snprintf(out + n, n_out - n, "%s%.*s", n ? ", " : "", (int)(end - from),
                                  path + from);
    }
    if (n_left) snprintf(out + n, n_out - n, " and %zu more", n_left);
}

static pd_status raise_no_type(const fetch_place *p, const fetch_list *list, pd_error *err) {
    char types[200];
    print_types(list, types, sizeof types);
    pd_status status =
        PD_RAISE(err, PD_ERR_ARGUMENT, "%s has no model of the type %s", p->repo, p->type);
    return types[0] ? pd_error_hint(err, status, "it has %s", types)
                    : pd_error_hint(err, status,
                                    "it has no GGUF file of a model; without a type "
                                    "its checkpoint is fetched, for peridot convert");
}

static pd_status raise_no_file(const fetch_place *p, const fetch_list *list, pd_error *err) {
    const fetch_file *nearest = NULL;
    uint32_t best = 12;
    for (size_t i = 0; i < list->n; i++) {
        uint32_t d = pd_word_distance(p->file, list->files[i].path);
        if (d >= best || !fetch_is_safe(list->files[i].path)) continue;
        best = d;
        nearest = &list->files[i];
    }
    pd_status status =
        PD_RAISE(err, PD_ERR_ARGUMENT, "%s has no file \"%.200s\"", p->repo, p->file);
    return nearest ? pd_error_hint(err, status, "did you mean %.200s?", nearest->path) : status;
}

/* ---- checkpoints ---------------------------------------------------------------------------- */

static bool is_checkpoint_file(const fetch_file *f) {
    static const char *const names[] = {"config.json",
                                        "generation_config.json",
                                        "preprocessor_config.json",
                                        "processor_config.json",
                                        "chat_template.json",
                                        "chat_template.jinja",
                                        "tokenizer.json",
                                        "tokenizer.model",
                                        "tokenizer_config.json",
                                        "special_tokens_map.json",
                                        "added_tokens.json",
                                        "adapter_config.json"};
    if (strchr(f->path, '/')) return false;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(f->path, names[i]) == 0) return true;
    return ends_with(f->path, ".safetensors") || ends_with(f->path, ".safetensors.index.json");
}

static bool is_safetensors(const fetch_file *f) {
    return is_checkpoint_file(f) && ends_with(f->path, ".safetensors");
}

static pd_status choose_checkpoint(const fetch_place *place, fetch_list *list, pd_error *err) {
    if (!find_first(list, is_safetensors, NULL, false))
        return PD_RAISE(err, PD_ERR_UNSUPPORTED,
                        "%s holds neither GGUF files nor a checkpoint of safetensors", place->repo);
    for (size_t i = 0; i < list->n; i++)
        if (is_checkpoint_file(&list->files[i])) PD_TRY(want(list, &list->files[i], err));
    return PD_OK;
}

/* ---- all of it ------------------------------------------------------------------------------ */

pd_status fetch_choose(const fetch_place *place, fetch_list *list, bool with_mmproj,
                       fetch_choice *out, pd_error *err) {
    static const char *const model_types[] = {"q4_0", "q4_k_m", NULL};
    static const char *const mmproj_types[] = {"f16", "bf16", NULL};
    *out = (fetch_choice){0};
    if (place->file) {
        out->model = fetch_list_find(list, place->file);
        return out->model ? want(list, out->model, err) : raise_no_file(place, list, err);
    }
    if (place->type) {
        out->model = find_first(list, is_model, place->type, true);
        if (!out->model) out->model = find_first(list, is_model, place->type, false);
        if (!out->model) return raise_no_type(place, list, err);
    } else {
        out->model = find_preferred(list, is_model, model_types);
    }
    if (!out->model) return choose_checkpoint(place, list, err);
    PD_TRY(want(list, out->model, err));
    if (with_mmproj) out->mmproj = find_preferred(list, is_mmproj, mmproj_types);
    return out->mmproj ? want(list, out->mmproj, err) : PD_OK;
}
