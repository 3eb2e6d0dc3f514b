/* The safetensors reader: headers through cJSON, then one sorted directory.
 *
 * Per file: the header's entries are read, sorted by offset, and must cover the data end to end.
 * Over all files: entries are sorted by name, no name may come twice, and what an index promises
 * must be there. cJSON takes some twenty times a header's size for the time of parsing; headers of
 * released checkpoints are below 200 kB, and 100 MB is the format's own limit.
 *
 * SPDX-License-Identifier: MIT
 */
#include "file/safetensors.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/folder.h"
#include "base/memory.h"
#include "base/os_file.h"
#include "file/json.h"

enum { MAX_HEADER = 100000000, MAX_INDEX = 1 << 27, MAX_PARTS = 4096, MAX_TENSORS = 1 << 20 };
enum { FORGET_UNIT = 1 << 16 }; /* at least a page on every system */

typedef struct part {
    pd_mapping mapping;
    const char *label; /* the file's name without its folders, for messages */
} part;

struct pd_safetensors {
    pd_arena arena; /* names, types, labels */
    part *parts;
    uint32_t n_parts;
    pd_safetensor *tensors;
    uint32_t n_tensors, room;
};

static const struct {
    const char *name;
    uint32_t bits;
    bool is_float;
    pd_type type;
} dtypes[] = {
    {"F32", 32, true, PD_TYPE_F32},     {"F16", 16, true, PD_TYPE_F16},
    {"BF16", 16, true, PD_TYPE_BF16},   {"F64", 64, false, PD_TYPE_F32},
    {"I64", 64, false, PD_TYPE_F32},    {"I32", 32, false, PD_TYPE_F32},
    {"I16", 16, false, PD_TYPE_F32},    {"I8", 8, false, PD_TYPE_F32},
    {"U64", 64, false, PD_TYPE_F32},    {"U32", 32, false, PD_TYPE_F32},
    {"U16", 16, false, PD_TYPE_F32},    {"U8", 8, false, PD_TYPE_F32},
    {"BOOL", 8, false, PD_TYPE_F32},    {"F8_E4M3", 8, false, PD_TYPE_F32},
    {"F8_E5M2", 8, false, PD_TYPE_F32},
};

static pd_status raise_memory(pd_error *err) {
    return PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory for a checkpoint's directory");
}

/* Names go into messages, and from there to terminals. */
static bool is_printable(const char *s) {
    size_t left = strlen(s);
    while (left > 0) {
        size_t n = pd_utf8_length((const uint8_t *)s, left);
        if (n == 0 || (n == 1 && ((uint8_t)*s < 0x20 || *s == 0x7f))) return false;
        s += n;
        left -= n;
    }
    return true;
}

static pd_status raise_name(const char *file, pd_error *err) {
    return PD_RAISE(err, PD_ERR_FORMAT, "\"%s\" holds a name that is not printable text", file);
}

/* ---- one entry of a header ------------------------------------------------------------------ */

/* A whole number below 2^53, which a double holds exactly. */
static bool get_whole(const cJSON *item, uint64_t *out) {
    double v = cJSON_IsNumber(item) ? item->valuedouble : -1;
    if (!(v >= 0 && v <= 9007199254740991.0)) return false;
    *out = (uint64_t)v;
    return (double)*out == v;
}

static pd_status read_dtype(const cJSON *entry, const part *p, pd_safetensor *t, uint32_t *bits,
                            pd_error *err) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(entry, "dtype");
    if (!cJSON_IsString(item) || !is_printable(item->valuestring))
        return PD_RAISE(err, PD_ERR_FORMAT, "\"%s\": the tensor \"%.80s\" has no dtype", p->label,
                        t->name);
    for (size_t i = 0; i < sizeof dtypes / sizeof dtypes[0]; i++) {
        if (strcmp(item->valuestring, dtypes[i].name) != 0) continue;
        t->dtype = dtypes[i].name;
        t->type = dtypes[i].type;
        t->is_float = dtypes[i].is_float;
        *bits = dtypes[i].bits;
        return PD_OK;
    }
    return PD_RAISE(err, PD_ERR_UNSUPPORTED,
                    "\"%s\": the tensor \"%.80s\" has the unknown dtype \"%.20s\"", p->label,
                    t->name, item->valuestring);
}

static pd_status read_shape(const cJSON *entry, const part *p, pd_safetensor *t, pd_error *err) {
    const cJSON *shape = cJSON_GetObjectItemCaseSensitive(entry, "shape");
    if (!cJSON_IsArray(shape))
        return PD_RAISE(err, PD_ERR_FORMAT, "\"%s\": the tensor \"%.80s\" has no shape", p->label,
                        t->name);
    t->n_values = 1;
    for (uint32_t i = 0; i < PD_SAFETENSOR_MAX_DIMS; i++) t->shape[i] = 1;
    for (const cJSON *item = shape->child; item; item = item->next) {
        if (t->n_dims == PD_SAFETENSOR_MAX_DIMS)
            return PD_RAISE(err, PD_ERR_UNSUPPORTED,
                            "\"%s\": the tensor \"%.80s\" has more than %d dimensions", p->label,
                            t->name, PD_SAFETENSOR_MAX_DIMS);
        uint64_t n;
        if (!get_whole(item, &n) || !pd_mul_u64(t->n_values, n, &t->n_values))
            return PD_RAISE(err, PD_ERR_FORMAT,
                            "\"%s\": the shape of the tensor \"%.80s\" is not one of whole numbers "
                            "that have a product",
                            p->label, t->name);
        t->shape[t->n_dims++] = n;
    }
    return PD_OK;
}

static pd_status read_place(const cJSON *entry, const part *p, uint64_t data_at, uint32_t bits,
                            pd_safetensor *t, pd_error *err) {
    const cJSON *range = cJSON_GetObjectItemCaseSensitive(entry, "data_offsets");
    uint64_t begin, end, needed, data_bytes = p->mapping.size - data_at;
    if (!cJSON_IsArray(range) || cJSON_GetArraySize(range) != 2 ||
        !get_whole(range->child, &begin) || !get_whole(range->child->next, &end))
        return PD_RAISE(err, PD_ERR_FORMAT,
                        "\"%s\": the tensor \"%.80s\" has no data_offsets of two whole numbers",
                        p->label, t->name);
    if (begin > end || end > data_bytes)
        return PD_RAISE(err, PD_ERR_FORMAT,
                        "\"%s\": the tensor \"%.80s\" lies at bytes %" PRIu64 " to %" PRIu64
                        ", but the file has %" PRIu64 " bytes of data",
                        p->label, t->name, begin, end, data_bytes);
    if (!pd_mul_u64(t->n_values, bits / 8, &needed) || needed != end - begin)
        return PD_RAISE(err, PD_ERR_FORMAT,
                        "\"%s\": the tensor \"%.80s\" has %" PRIu64 " bytes of data, but its shape "
                        "holds %" PRIu64 " values of %s",
                        p->label, t->name, end - begin, t->n_values, t->dtype);
    t->offset = data_at + begin;
    t->n_bytes = end - begin;
    t->data = p->mapping.data + t->offset;
    return PD_OK;
}

static pd_status add_entry(pd_safetensors *s, uint32_t i_part, uint64_t data_at, const cJSON *entry,
                           pd_error *err) {
    const part *p = &s->parts[i_part];
    uint32_t bits = 0;
    if (!is_printable(entry->string)) return raise_name(p->label, err);
    if (s->n_tensors == s->room) {
        uint32_t room = s->room ? 2 * s->room : 1024;
        pd_safetensor *more = room > MAX_TENSORS ? NULL : pd_alloc(room, sizeof *more);
        if (!more) return raise_memory(err);
        if (s->n_tensors > 0) memcpy(more, s->tensors, s->n_tensors * sizeof *more);
        pd_free(s->tensors);
        s->tensors = more;
        s->room = room;
    }
    pd_safetensor *t = &s->tensors[s->n_tensors];
    *t = (pd_safetensor){.name = pd_arena_strdup(&s->arena, entry->string), .part = i_part};
    if (!t->name) return raise_memory(err);
    PD_TRY(read_dtype(entry, p, t, &bits, err));
    PD_TRY(read_shape(entry, p, t, err));
    PD_TRY(read_place(entry, p, data_at, bits, t, err));
    s->n_tensors++;
    return PD_OK;
}

/* ---- one file ------------------------------------------------------------------------------- */

static int by_place(const void *left, const void *right) {
    const pd_safetensor *a = left, *b = right;
    if (a->offset != b->offset) return a->offset < b->offset ? -1 : 1;
    return a->n_bytes < b->n_bytes ? -1 : a->n_bytes > b->n_bytes; /* empty ones first */
}

/* The entries from `first` on are of one file: they must cover its data end to end. */
static pd_status check_cover(pd_safetensors *s, uint32_t first, const part *p, uint64_t data_at,
                             pd_error *err) {
    uint64_t at = data_at;
    if (s->n_tensors > first)
        qsort(s->tensors + first, s->n_tensors - first, sizeof *s->tensors, by_place);
    for (uint32_t i = first; i < s->n_tensors; i++) {
        const pd_safetensor *t = &s->tensors[i];
        if (t->offset != at)
            return PD_RAISE(err, PD_ERR_FORMAT,
                            "\"%s\": the tensor \"%.80s\" begins at byte %" PRIu64
                            " of the data, but %s there at byte %" PRIu64,
                            p->label, t->name, t->offset - data_at,
                            t->offset < at ? "the one before it ends only"
                                           : "what is before it ends already",
                            at - data_at);
        at += t->n_bytes;
    }
    if (at == p->mapping.size) return PD_OK;
    return PD_RAISE(err, PD_ERR_FORMAT,
                    "\"%s\" goes on for %" PRIu64 " bytes behind its last tensor", p->label,
                    p->mapping.size - at);
}

static pd_status read_header(const part *p, cJSON **out, uint64_t *data_at, pd_error *err) {
    pd_reader r = {p->mapping.data, p->mapping.size, 0};
    const uint8_t *text;
    uint64_t n;
    *out = NULL;
    if (!pd_read_u64(&r, &n) || n > MAX_HEADER || !pd_read_bytes(&r, n, &text))
        return PD_RAISE(err, PD_ERR_FORMAT,
                        "\"%s\" is not a safetensors file, or cut short: it has %" PRIu64
                        " bytes and its header does not end within them",
                        p->label, p->mapping.size);
    *data_at = r.pos;
    cJSON *root = n > 0 && text[0] == '{' ? pd_json_parse((const char *)text, (size_t)n) : NULL;
    if (cJSON_IsObject(root)) {
        *out = root;
        return PD_OK;
    }
    cJSON_Delete(root);
    return PD_RAISE(err, PD_ERR_FORMAT, "the header of \"%s\" is not a JSON object", p->label);
}

static pd_status open_part(pd_safetensors *s, const char *path, pd_error *err) {
    uint32_t i_part = s->n_parts, first = s->n_tensors;
    part *p = &s->parts[i_part];
    cJSON *root;
    uint64_t data_at = 0; /* gcc 12 does not see that read_header sets it */
    p->label = pd_arena_strdup(&s->arena, path + pd_path_name_at(path));
    if (!p->label) return raise_memory(err);
    PD_TRY(pd_mapping_open(path, &p->mapping, err));
    s->n_parts++;
    PD_TRY(read_header(p, &root, &data_at, err));
    pd_status status = PD_OK;
    for (const cJSON *entry = root->child; entry && status == PD_OK; entry = entry->next)
        if (strcmp(entry->string, "__metadata__") != 0)
            status = add_entry(s, i_part, data_at, entry, err);
    cJSON_Delete(root);
    return status == PD_OK ? check_cover(s, first, p, data_at, err) : status;
}

/* ---- the directory of all files ------------------------------------------------------------- */

static int by_name(const void *left, const void *right) {
    const pd_safetensor *a = left, *b = right;
    return strcmp(a->name, b->name);
}

static pd_status sort_names(pd_safetensors *s, pd_error *err) {
    if (s->n_tensors > 0) qsort(s->tensors, s->n_tensors, sizeof *s->tensors, by_name);
    for (uint32_t i = 1; i < s->n_tensors; i++)
        if (strcmp(s->tensors[i - 1].name, s->tensors[i].name) == 0)
            return PD_RAISE(err, PD_ERR_FORMAT,
                            "the tensor \"%.80s\" is there twice: in \"%s\" "
                            "and \"%s\"",
                            s->tensors[i].name, s->parts[s->tensors[i - 1].part].label,
                            s->parts[s->tensors[i].part].label);
    return PD_OK;
}

static bool part_is_open(const pd_safetensors *s, const char *label) {
    for (uint32_t i = 0; i < s->n_parts; i++)
        if (strcmp(s->parts[i].label, label) == 0) return true;
    return false;
}

/* A file's name out of an index must stay in the index's folder. */
static bool is_plain_name(const cJSON *item) {
    const char *name = cJSON_IsString(item) ? item->valuestring : "";
    return name[0] != '\0' && name[0] != '.' && !strpbrk(name, "/\\:") && is_printable(name);
}

static pd_status open_listed(pd_safetensors *s, const char *index, const cJSON *map,
                             pd_error *err) {
    size_t folder = pd_path_name_at(index);
    for (const cJSON *item = map->child; item; item = item->next) {
        if (!is_printable(item->string)) return raise_name(index, err);
        if (!is_plain_name(item))
            return PD_RAISE(err, PD_ERR_FORMAT,
                            "\"%s\" names no file beside it for the tensor \"%.80s\"", index,
                            item->string);
        if (part_is_open(s, item->valuestring)) continue;
        if (s->n_parts == MAX_PARTS)
            return PD_RAISE(err, PD_ERR_UNSUPPORTED, "\"%s\" names more than %d files", index,
                            MAX_PARTS);
        char *path = pd_arena_printf(&s->arena, "%.*s%s", (int)folder, index, item->valuestring);
        if (!path) return raise_memory(err);
        PD_TRY(open_part(s, path, err));
    }
    PD_TRY(sort_names(s, err));
    for (const cJSON *item = map->child; item; item = item->next) {
        const pd_safetensor *t = pd_safetensors_find(s, item->string);
        if (!t || strcmp(s->parts[t->part].label, item->valuestring) != 0)
            return PD_RAISE(err, PD_ERR_FORMAT,
                            "\"%s\" says that the tensor \"%.80s\" is in \"%s\", but it is not",
                            index, item->string, item->valuestring);
    }
    return PD_OK;
}

static pd_status open_index(pd_safetensors *s, const char *path, pd_error *err) {
    char *text = NULL;
    size_t n;
    PD_TRY(pd_file_read_all(path, MAX_INDEX, &text, &n, err));
    cJSON *root = pd_json_parse(text, n);
    pd_free(text);
    const cJSON *map = cJSON_GetObjectItemCaseSensitive(root, "weight_map");
    pd_status status =
        cJSON_IsObject(map)
            ? open_listed(s, path, map, err)
            : PD_RAISE(err, PD_ERR_FORMAT, "\"%s\" is not an index of safetensors files", path);
    cJSON_Delete(root);
    return status;
}

/* ---- life ----------------------------------------------------------------------------------- */

/* The file to open for `path`, which may be a folder. */
static char *find_file(pd_arena *arena, const char *path) {
    if (!pd_path_is_folder(path)) return pd_arena_strdup(arena, path);
    char *index = pd_arena_printf(arena, "%s/model.safetensors.index.json", path);
    if (!index || pd_path_exists(index)) return index;
    return pd_arena_printf(arena, "%s/model.safetensors", path);
}

static pd_status open_all(pd_safetensors *s, const char *path, pd_error *err) {
    s->parts = pd_alloc(MAX_PARTS, sizeof *s->parts);
    const char *file = find_file(&s->arena, path);
    if (!s->parts || !file) return raise_memory(err);
    size_t n = strlen(file);
    if (n > 5 && strcmp(file + n - 5, ".json") == 0) return open_index(s, file, err);
    PD_TRY(open_part(s, file, err));
    return sort_names(s, err);
}

pd_status pd_safetensors_open(const char *path, pd_safetensors **out, pd_error *err) {
    *out = NULL;
    pd_safetensors *s = pd_alloc(1, sizeof *s);
    if (!s) return raise_memory(err);
    pd_status status = open_all(s, path, err);
    if (status == PD_OK) {
        *out = s;
    } else {
        pd_safetensors_close(s);
    }
    return status;
}

void pd_safetensors_close(pd_safetensors *s) {
    if (!s) return;
    for (uint32_t i = 0; i < s->n_parts; i++) pd_mapping_close(&s->parts[i].mapping);
    pd_free(s->parts);
    pd_free(s->tensors);
    pd_arena_destroy(&s->arena);
    pd_free(s);
}

/* ---- reading it ----------------------------------------------------------------------------- */

uint64_t pd_safetensors_bytes(const pd_safetensors *s) {
    uint64_t n = 0;
    for (uint32_t i = 0; i < s->n_parts; i++) n += s->parts[i].mapping.size;
    return n;
}

uint32_t pd_safetensors_count(const pd_safetensors *s) {
    return s->n_tensors;
}

const pd_safetensor *pd_safetensors_at(const pd_safetensors *s, uint32_t i) {
    return &s->tensors[i];
}

const pd_safetensor *pd_safetensors_find(const pd_safetensors *s, const char *name) {
    const pd_safetensor key = {.name = name};
    if (s->n_tensors == 0) return NULL;
    return bsearch(&key, s->tensors, s->n_tensors, sizeof key, by_name);
}

void pd_safetensors_forget(const pd_safetensors *s, const pd_safetensor *t, uint64_t first,
                           uint64_t n_bytes) {
    uint64_t begin = t->offset + first, end = begin + n_bytes;
    begin -= begin % FORGET_UNIT; /* with the page that the call before had to leave */
    pd_mapping_forget(&s->parts[t->part].mapping, begin, end - begin);
}
