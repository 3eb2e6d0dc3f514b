/* The GGUF reader's public half: opening, split files, and looking things up.
 *
 * A split file's parts are named PREFIX-00001-of-0000N.gguf and carry split.no (from 0),
 * split.count and split.tensors.count; the first part holds all keys. They are opened together and
 * their tensors form one directory. Everything handed out was checked when the file was opened
 * (gguf_parse.c); the functions here only read.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/folder.h"
#include "file/gguf.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/memory.h"
#include "file/gguf_parse.h"

enum { MAX_PARTS = 99999 }; /* five digits in the name */

/* ---- values -------------------------------------------------------------------------------- */

static bool get_number(const pd_gguf *g, const char *key, double *out) {
    const pd_gguf_value *v = pd_gguf_find(g, key);
    return v && gguf_value_number(v, out);
}

bool pd_gguf_get_u32(const pd_gguf *g, const char *key, uint32_t *out) {
    double number;
    if (!get_number(g, key, &number)) return false;
    if (!(number >= 0 && number <= (double)UINT32_MAX) || number != floor(number)) return false;
    *out = (uint32_t)number;
    return true;
}

bool pd_gguf_get_f32(const pd_gguf *g, const char *key, float *out) {
    double number;
    if (!get_number(g, key, &number) || !(fabs(number) <= 3.4028234663852886e38)) return false;
    *out = (float)number;
    return true;
}

bool pd_gguf_get_bool(const pd_gguf *g, const char *key, bool *out) {
    double number;
    if (!get_number(g, key, &number) || (number != 0 && number != 1)) return false;
    *out = number != 0;
    return true;
}

pd_string pd_gguf_string_next(const pd_gguf_value *array, uint64_t *cursor) {
    pd_reader r = {array->data, array->n_bytes, *cursor};
    pd_string s = {"", 0};
    uint64_t n;
    const uint8_t *data;
    if (r.pos > r.size || !pd_read_u64(&r, &n) || !pd_read_bytes(&r, n, &data)) return s;
    *cursor = r.pos;
    return (pd_string){(const char *)data, n};
}

bool pd_gguf_get_string(const pd_gguf *g, const char *key, pd_string *out) {
    const pd_gguf_value *v = pd_gguf_find(g, key);
    if (!v || v->kind != PD_GGUF_STRING) return false;
    uint64_t cursor = 0;
    *out = pd_gguf_string_next(v, &cursor);
    return true;
}

const pd_gguf_value *pd_gguf_find(const pd_gguf *g, const char *key) {
    return gguf_part_find(&g->parts[0], key, strlen(key));
}

/* ---- opening ------------------------------------------------------------------------------- */

static const char *base_name(const char *path) {
    const char *name = path + pd_path_name_at(path);
    return *name ? name : path;
}

static pd_status open_part(pd_gguf *g, uint32_t i, const char *path, pd_error *err) {
    gguf_part *part = &g->parts[i];
    snprintf(part->label, sizeof part->label, "%s", base_name(path));
    PD_TRY(pd_mapping_open(path, &part->mapping, err));
    return gguf_parse_part(g, i, err);
}

/* Value of one of the split.* keys in one part; `absent` when it is not there. */
static uint32_t split_value(const gguf_part *part, const char *key, uint32_t absent) {
    const pd_gguf_value *v = gguf_part_find(part, key, strlen(key));
    double number;
    if (!v || !gguf_value_number(v, &number)) return absent;
    return number >= 0 && number < (double)UINT32_MAX ? (uint32_t)number : UINT32_MAX;
}

/* Length of the path in front of "-00001-of-0000N.gguf"; 0 when it is not named so. */
static size_t split_prefix(const char *path, uint32_t n_parts) {
    char tail[40];
    int n_tail = snprintf(tail, sizeof tail, "-00001-of-%05" PRIu32 ".gguf", n_parts);
    size_t n = strlen(path);
    if (n <= (size_t)n_tail || strcmp(path + n - (size_t)n_tail, tail) != 0) return 0;
    return n - (size_t)n_tail;
}

static pd_status open_next(pd_gguf *g, uint32_t i, uint32_t n_parts, size_t n_prefix,
                           pd_error *err) {
    pd_bytes path = {0};
    pd_bytes_write(&path, g->path, n_prefix);
    pd_bytes_printf(&path, "-%05" PRIu32 "-of-%05" PRIu32 ".gguf", i + 1, n_parts);
    if (path.failed) {
        pd_bytes_free(&path);
        return PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory for a path");
    }
    g->n_parts = i + 1;
    pd_status status = open_part(g, i, path.data, err);
    pd_bytes_free(&path);
    PD_TRY(status);
    const gguf_part *part = &g->parts[i];
    uint32_t no = split_value(part, "split.no", 0), count = split_value(part, "split.count", 0);
    if (no != i || count != n_parts)
        return PD_RAISE(err, PD_ERR_FORMAT,
                        "%s calls itself part %" PRIu64 " of %" PRIu32 ", expected part %" PRIu32
                        " of %" PRIu32,
                        part->label, (uint64_t)no + 1, count, i + 1, n_parts);
    return PD_OK;
}

static pd_status check_split(pd_gguf *g, uint32_t n_parts, size_t *n_prefix, pd_error *err) {
    const gguf_part *first = &g->parts[0];
    uint32_t no = split_value(first, "split.no", 0);
    if (n_parts > MAX_PARTS)
        return PD_RAISE(err, PD_ERR_FORMAT, "%s: split.count is %" PRIu32 ", expected at most %d",
                        first->label, n_parts, MAX_PARTS);
    if (no != 0)
        return PD_RAISE(err, PD_ERR_ARGUMENT,
                        "%s is part %" PRIu64 " of %" PRIu32
                        " of a split model; open the part whose name ends in -00001-of-%05" PRIu32
                        ".gguf",
                        first->label, (uint64_t)no + 1, n_parts, n_parts);
    *n_prefix = split_prefix(g->path, n_parts);
    if (*n_prefix == 0)
        return PD_RAISE(err, PD_ERR_ARGUMENT,
                        "%s is the first of %" PRIu32
                        " parts, but its name does not end in -00001-of-%05" PRIu32
                        ".gguf, so the others cannot be found",
                        first->label, n_parts, n_parts);
    return PD_OK;
}

static pd_status open_split(pd_gguf *g, uint32_t n_parts, pd_error *err) {
    size_t n_prefix;
    PD_TRY(check_split(g, n_parts, &n_prefix, err));
    gguf_part *parts = pd_alloc(n_parts, sizeof *parts);
    if (!parts) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory for the parts");
    parts[0] = g->parts[0];
    pd_free(g->parts);
    g->parts = parts;
    for (uint32_t i = 1; i < n_parts; i++) PD_TRY(open_next(g, i, n_parts, n_prefix, err));
    uint32_t n_tensors = split_value(&g->parts[0], "split.tensors.count", (uint32_t)g->n_tensors);
    if (n_tensors != g->n_tensors)
        return PD_RAISE(err, PD_ERR_FORMAT,
                        "%s: split.tensors.count is %" PRIu32 ", but its parts hold %" PRIu64
                        " tensors",
                        g->parts[0].label, n_tensors, g->n_tensors);
    return PD_OK;
}

static pd_status open_all(pd_gguf *g, const char *path, pd_error *err) {
    g->path = pd_strdup(path);
    g->parts = pd_alloc(1, sizeof *g->parts);
    if (!g->path || !g->parts)
        return PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory to open a file");
    g->n_parts = 1;
    PD_TRY(open_part(g, 0, path, err));
    uint32_t n_parts = split_value(&g->parts[0], "split.count", 1);
    return n_parts > 1 ? open_split(g, n_parts, err) : PD_OK;
}

pd_status pd_gguf_open(const char *path, pd_gguf **out, pd_error *err) {
    *out = NULL;
    pd_gguf *g = pd_alloc(1, sizeof *g);
    if (!g) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory to open a file");
    pd_status status = open_all(g, path, err);
    if (status != PD_OK) {
        pd_gguf_close(g);
        return status;
    }
    *out = g;
    return PD_OK;
}

void pd_gguf_close(pd_gguf *g) {
    if (!g) return;
    for (uint32_t i = 0; i < g->n_parts; i++) {
        pd_mapping_close(&g->parts[i].mapping);
        pd_free(g->parts[i].values);
        pd_free(g->parts[i].value_index.slots);
    }
    pd_free(g->parts);
    pd_free(g->tensors);
    pd_free(g->tensor_index.slots);
    pd_free(g->path);
    pd_free(g);
}

/* ---- looking ------------------------------------------------------------------------------- */

const char *pd_gguf_path(const pd_gguf *g) {
    return g->path;
}

uint64_t pd_gguf_file_bytes(const pd_gguf *g) {
    uint64_t sum = 0;
    for (uint32_t i = 0; i < g->n_parts; i++) sum += g->parts[i].mapping.size;
    return sum;
}

uint64_t pd_gguf_value_count(const pd_gguf *g) {
    return g->parts[0].n_values;
}

const pd_gguf_value *pd_gguf_value_at(const pd_gguf *g, uint64_t i) {
    return i < g->parts[0].n_values ? &g->parts[0].values[i] : NULL;
}

uint64_t pd_gguf_tensor_count(const pd_gguf *g) {
    return g->n_tensors;
}

const pd_tensor *pd_gguf_tensor_at(const pd_gguf *g, uint64_t i) {
    return i < g->n_tensors ? &g->tensors[i] : NULL;
}

uint32_t pd_gguf_part_count(const pd_gguf *g) {
    return g->n_parts;
}

const pd_mapping *pd_gguf_part_mapping(const pd_gguf *g, uint32_t part) {
    return &g->parts[part].mapping;
}

const char *pd_gguf_part_name(const pd_gguf *g, uint32_t part) {
    return g->parts[part].label;
}

void pd_gguf_forget(const pd_gguf *g, const pd_tensor *t) {
    pd_mapping_forget(&g->parts[t->part].mapping, t->offset, t->n_bytes);
}
