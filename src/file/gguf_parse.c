/* Parses one GGUF file: header, key-values, tensor directory.
 *
 * Nothing in the file is believed before it was compared with the file's size: a count of entries
 * is refused when even the smallest entries would not fit into the bytes that are left, and only
 * then is memory taken for them. A tensor's bytes must lie inside the file, at a multiple of the
 * alignment, behind those of the tensor before it (as every writer lays them out), so that two
 * tensors never share bytes. Names and keys must be printable ASCII, since they go into messages.
 *
 * Format: ggml's gguf.h, version 3, little-endian; the layout is drawn in gguf.h.
 *
 * SPDX-License-Identifier: MIT
 */
#include "file/gguf_parse.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/hash.h"
#include "base/memory.h"

enum {
    MIN_VALUE_BYTES = 8 + 4 + 1,      /* length of an empty key, type, one byte */
    MIN_TENSOR_BYTES = 8 + 4 + 4 + 8, /* length of an empty name, n_dims, type, offset */
    MIN_ALIGNMENT = 8,
    DEFAULT_ALIGNMENT = 32
};

typedef struct parser {
    pd_gguf *g;
    gguf_part *part;
    uint32_t part_no;
    pd_reader r;
    const char *file;
    const char *noun;    /* what is being read, for messages: "key" or "tensor", NULL: the header */
    uint64_t no, n_noun; /* ... its number and how many there are */
    pd_string name;      /* ... and its name, once that is read */
    char text[96];
    pd_error *err;
    uint64_t n_tensors; /* of this part */
} parser;

/* ---- names --------------------------------------------------------------------------------- */

bool name_index_create(name_index *index, uint64_t n_names) {
    uint64_t slots = 16;
    if (n_names > UINT32_MAX / 4) return false;
    while (slots < 2 * n_names) slots *= 2;
    index->slots = pd_alloc((size_t)slots, sizeof *index->slots);
    index->mask = slots - 1;
    return index->slots != NULL;
}

int64_t name_index_find(const name_index *index, const char *name, size_t n, name_same_fn same,
                        const void *ctx) {
    if (!index->slots) return -1;
    for (uint64_t at = pd_hash(name, n) & index->mask;; at = (at + 1) & index->mask) {
        uint32_t slot = index->slots[at];
        if (slot == 0) return -1;
        if (same(ctx, slot - 1, name, n)) return slot - 1;
    }
}

void name_index_add(name_index *index, const char *name, size_t n, uint32_t position) {
    uint64_t at = pd_hash(name, n) & index->mask;
    while (index->slots[at] != 0) at = (at + 1) & index->mask;
    index->slots[at] = position + 1;
}

static bool same_key(const void *ctx, uint32_t position, const char *name, size_t n) {
    const pd_string *key = &((const gguf_part *)ctx)->values[position].key;
    return key->n == n && memcmp(key->data, name, n) == 0;
}

const pd_gguf_value *gguf_part_find(const gguf_part *part, const char *key, size_t n) {
    int64_t at = name_index_find(&part->value_index, key, n, same_key, part);
    return at < 0 ? NULL : &part->values[at];
}

/* ---- primitive reads ----------------------------------------------------------------------- */

/* Begins item i of n; its name is not known yet. */
static void begin_item(parser *p, const char *noun, uint64_t i, uint64_t n) {
    p->noun = noun;
    p->no = i + 1;
    p->n_noun = n;
    p->name = (pd_string){0};
}

/* Words for it; made only when an error needs them. */
static const char *what(parser *p) {
    int shown = (int)(p->name.n < 64 ? p->name.n : 64);
    if (!p->noun) {
        snprintf(p->text, sizeof p->text, "the header");
    } else if (p->name.n > 0) {
        snprintf(p->text, sizeof p->text, "%s %.*s", p->noun, shown, p->name.data);
    } else {
        snprintf(p->text, sizeof p->text, "%s %" PRIu64 " of %" PRIu64, p->noun, p->no, p->n_noun);
    }
    return p->text;
}

static pd_status raise_end(parser *p, uint64_t n) {
    return PD_RAISE(p->err, PD_ERR_FORMAT,
                    "%s: the file ends inside its header: %s needs %" PRIu64 " bytes at %" PRIu64
                    ", the file has %" PRIu64,
                    p->file, what(p), n, p->r.pos, p->r.size);
}

static pd_status raise_memory(parser *p) {
    return PD_RAISE(p->err, PD_ERR_MEMORY_HOST, "%s: not enough memory for its directory", p->file);
}

static pd_status take_u32(parser *p, uint32_t *out) {
    return pd_read_u32(&p->r, out) ? PD_OK : raise_end(p, 4);
}

static pd_status take_u64(parser *p, uint64_t *out) {
    return pd_read_u64(&p->r, out) ? PD_OK : raise_end(p, 8);
}

static pd_status take_bytes(parser *p, uint64_t n, const uint8_t **out) {
    return pd_read_bytes(&p->r, n, out) ? PD_OK : raise_end(p, n);
}

static pd_status take_string(parser *p, pd_string *out) {
    const uint8_t *data;
    PD_TRY(take_u64(p, &out->n));
    PD_TRY(take_bytes(p, out->n, &data));
    out->data = (const char *)data;
    return PD_OK;
}

static pd_status take_name(parser *p, pd_string *out) {
    PD_TRY(take_string(p, out));
    for (uint64_t i = 0; i < out->n; i++)
        if (out->data[i] < 0x21 || out->data[i] > 0x7e)
            return PD_RAISE(p->err, PD_ERR_FORMAT,
                            "%s: the name of %s holds the byte 0x%02x, expected printable ASCII",
                            p->file, what(p), (unsigned char)out->data[i]);
    return PD_OK;
}

/* ---- header -------------------------------------------------------------------------------- */

static pd_status parse_magic(parser *p) {
    static const uint8_t magic[4] = {'G', 'G', 'U', 'F'};
    const uint8_t *m = p->r.data;
    uint64_t n = p->r.size < 4 ? p->r.size : 4;
    if (n == 4 && memcmp(m, magic, 4) == 0) {
        p->r.pos = 4;
        return PD_OK;
    }
    char hex[16] = "", text[5] = "";
    for (uint64_t i = 0; i < n; i++) {
        snprintf(hex + 3 * i, sizeof hex - 3 * i, "%02x ", m[i]);
        text[i] = m[i] >= 0x20 && m[i] < 0x7f ? (char)m[i] : '.';
    }
    return PD_RAISE(p->err, PD_ERR_FORMAT,
                    "%s is not a GGUF file: it begins with the bytes %s(\"%s\"), not with \"GGUF\"",
                    p->file, hex, text);
}

static pd_status parse_version(parser *p) {
    uint32_t version;
    PD_TRY(take_u32(p, &version));
    if (version == 3) return PD_OK;
    if ((version & 0xffff) == 0 && version != 0)
        return PD_RAISE(p->err, PD_ERR_UNSUPPORTED,
                        "%s is a big-endian GGUF file (version field 0x%08" PRIx32
                        "); Peridot reads little-endian ones",
                        p->file, version);
    return PD_RAISE(p->err, PD_ERR_UNSUPPORTED,
                    "%s is a GGUF file of version %" PRIu32 "; Peridot reads version 3", p->file,
                    version);
}

static pd_status check_count(parser *p, const char *noun, uint64_t n, uint64_t min_bytes) {
    uint64_t left = p->r.size - p->r.pos;
    if (n <= left / min_bytes && n < UINT32_MAX / 4) return PD_OK;
    return PD_RAISE(p->err, PD_ERR_FORMAT,
                    "%s: the header announces %" PRIu64 " %s, but only %" PRIu64
                    " bytes follow: the file is truncated or damaged",
                    p->file, n, noun, left);
}

/* ---- key-values ---------------------------------------------------------------------------- */

static const uint8_t kind_bytes[] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};

static pd_status check_bools(parser *p, const pd_gguf_value *v) {
    for (uint64_t i = 0; i < v->n_bytes; i++)
        if (v->data[i] > 1)
            return PD_RAISE(p->err, PD_ERR_FORMAT,
                            "%s: %s is a bool with the value %u, expected 0 or 1", p->file, what(p),
                            v->data[i]);
    return PD_OK;
}

static pd_status parse_strings(parser *p, pd_gguf_value *v) {
    uint64_t begin = p->r.pos;
    v->data = p->r.data + begin;
    for (uint64_t i = 0; i < v->count; i++) {
        pd_string s;
        PD_TRY(take_string(p, &s));
    }
    v->n_bytes = p->r.pos - begin;
    return PD_OK;
}

/* The items, whose kind and count are known. */
static pd_status parse_items(parser *p, pd_gguf_value *v, pd_gguf_kind kind) {
    if (kind == PD_GGUF_STRING) {
        PD_TRY(check_count(p, "strings in an array", v->count, 8));
        return parse_strings(p, v);
    }
    if (!pd_mul_u64(v->count, kind_bytes[kind], &v->n_bytes))
        return check_count(p, "items in an array", v->count, kind_bytes[kind]);
    PD_TRY(take_bytes(p, v->n_bytes, &v->data));
    return kind == PD_GGUF_BOOL ? check_bools(p, v) : PD_OK;
}

static pd_status take_kind(parser *p, pd_gguf_kind *out) {
    uint32_t kind;
    PD_TRY(take_u32(p, &kind));
    if (kind > PD_GGUF_F64)
        return PD_RAISE(p->err, PD_ERR_FORMAT,
                        "%s: %s has the value type %" PRIu32 ", expected 0 to 12", p->file, what(p),
                        kind);
    *out = (pd_gguf_kind)kind;
    return PD_OK;
}

static pd_status parse_value(parser *p, pd_gguf_value *v) {
    PD_TRY(take_name(p, &v->key));
    p->name = v->key;
    if (gguf_part_find(p->part, v->key.data, (size_t)v->key.n))
        return PD_RAISE(p->err, PD_ERR_FORMAT, "%s: %s appears twice", p->file, what(p));
    PD_TRY(take_kind(p, &v->kind));
    v->count = 1;
    v->item_kind = v->kind;
    if (v->kind != PD_GGUF_ARRAY) return parse_items(p, v, v->kind);
    PD_TRY(take_kind(p, &v->item_kind));
    if (v->item_kind == PD_GGUF_ARRAY)
        return PD_RAISE(p->err, PD_ERR_UNSUPPORTED, "%s: %s is an array of arrays", p->file,
                        what(p));
    PD_TRY(take_u64(p, &v->count));
    return parse_items(p, v, v->item_kind);
}

static pd_status parse_values(parser *p, uint64_t n) {
    gguf_part *part = p->part;
    PD_TRY(check_count(p, "keys", n, MIN_VALUE_BYTES));
    part->values = pd_alloc((size_t)n, sizeof *part->values);
    if (!part->values || !name_index_create(&part->value_index, n)) return raise_memory(p);
    for (uint64_t i = 0; i < n; i++) {
        pd_gguf_value *v = &part->values[i];
        begin_item(p, "key", i, n);
        PD_TRY(parse_value(p, v));
        name_index_add(&part->value_index, v->key.data, (size_t)v->key.n, (uint32_t)i);
        part->n_values = i + 1;
    }
    return PD_OK;
}

static pd_status find_alignment(parser *p, uint64_t *out) {
    static const char key[] = "general.alignment";
    const pd_gguf_value *v = gguf_part_find(p->part, key, sizeof key - 1);
    double number;
    *out = DEFAULT_ALIGNMENT;
    if (!v) return PD_OK;
    if (v->kind != PD_GGUF_U32 || !gguf_value_number(v, &number))
        return PD_RAISE(p->err, PD_ERR_FORMAT, "%s: general.alignment is not a u32", p->file);
    *out = (uint64_t)number;
    if (*out >= MIN_ALIGNMENT && (*out & (*out - 1)) == 0) return PD_OK;
    return PD_RAISE(p->err, PD_ERR_FORMAT,
                    "%s: general.alignment is %" PRIu64 ", expected a power of two of at least %d",
                    p->file, *out, MIN_ALIGNMENT);
}

/* ---- tensor directory ---------------------------------------------------------------------- */

static pd_status parse_tensor_name(parser *p, pd_tensor *t) {
    pd_string name;
    PD_TRY(take_name(p, &name));
    if (name.n == 0 || name.n >= sizeof t->name)
        return PD_RAISE(p->err, PD_ERR_FORMAT,
                        "%s: the name of %s has %" PRIu64 " bytes, expected 1 to %zu", p->file,
                        what(p), name.n, sizeof t->name - 1);
    memcpy(t->name, name.data, (size_t)name.n);
    p->name = name;
    if (pd_gguf_find_tensor(p->g, t->name))
        return PD_RAISE(p->err, PD_ERR_FORMAT, "%s: %s appears twice", p->file, what(p));
    return PD_OK;
}

static pd_status parse_shape(parser *p, pd_tensor *t) {
    uint64_t product = 1;
    PD_TRY(take_u32(p, &t->n_dims));
    if (t->n_dims < 1 || t->n_dims > PD_GGUF_MAX_DIMS)
        return PD_RAISE(p->err, PD_ERR_FORMAT,
                        "%s: %s has %" PRIu32 " dimensions, expected 1 to %d", p->file, what(p),
                        t->n_dims, PD_GGUF_MAX_DIMS);
    for (uint32_t i = 0; i < PD_GGUF_MAX_DIMS; i++) t->ne[i] = 1;
    for (uint32_t i = 0; i < t->n_dims; i++) {
        PD_TRY(take_u64(p, &t->ne[i]));
        if (t->ne[i] == 0)
            return PD_RAISE(p->err, PD_ERR_FORMAT, "%s: dimension %" PRIu32 " of %s is 0", p->file,
                            i, what(p));
        if (!pd_mul_u64(product, t->ne[i], &product) || product > INT64_MAX)
            return PD_RAISE(p->err, PD_ERR_FORMAT, "%s: %s has more than 2^63 values", p->file,
                            what(p));
    }
    return PD_OK;
}

static pd_status parse_type(parser *p, pd_tensor *t) {
    uint32_t id;
    PD_TRY(take_u32(p, &id));
    const pd_type_info *type = pd_type_get(id);
    if (!type)
        return PD_RAISE(p->err, PD_ERR_UNSUPPORTED,
                        "%s: %s is stored as %s (type %" PRIu32 "), which Peridot does not handle",
                        p->file, what(p), pd_type_name(id), id);
    t->type = type->type;
    if (t->ne[0] % type->block_values != 0)
        return PD_RAISE(p->err, PD_ERR_FORMAT,
                        "%s: %s has rows of %" PRIu64 " values, expected a multiple of %" PRIu32
                        " for %s",
                        p->file, what(p), t->ne[0], type->block_values, type->name);
    uint64_t bytes = t->ne[0] / type->block_values;
    bool fits = pd_mul_u64(bytes, type->block_bytes, &bytes);
    for (uint32_t i = 1; i < PD_GGUF_MAX_DIMS; i++)
        fits = fits && pd_mul_u64(bytes, t->ne[i], &bytes);
    if (!fits)
        return PD_RAISE(p->err, PD_ERR_FORMAT, "%s: %s has more than 2^64 bytes", p->file, what(p));
    t->n_bytes = bytes;
    return PD_OK;
}

static bool same_tensor(const void *ctx, uint32_t position, const char *name, size_t n) {
    const char *own = ((const pd_gguf *)ctx)->tensors[position].name;
    return strncmp(own, name, n) == 0 && own[n] == '\0';
}

const pd_tensor *pd_gguf_find_tensor(const pd_gguf *g, const char *name) {
    size_t n = strlen(name);
    if (n >= sizeof g->tensors->name) return NULL;
    int64_t at = name_index_find(&g->tensor_index, name, n, same_tensor, g);
    return at < 0 ? NULL : &g->tensors[at];
}

/* Room for n more tensors, and an index over all of them. */
static bool reserve_tensors(pd_gguf *g, uint64_t n) {
    uint64_t total = g->n_tensors + n;
    pd_tensor *tensors = pd_alloc((size_t)total, sizeof *tensors);
    name_index index = {0};
    if (!tensors || !name_index_create(&index, total)) {
        pd_free(tensors);
        return false;
    }
    if (g->n_tensors > 0) memcpy(tensors, g->tensors, (size_t)g->n_tensors * sizeof *tensors);
    for (uint64_t i = 0; i < g->n_tensors; i++)
        name_index_add(&index, tensors[i].name, strlen(tensors[i].name), (uint32_t)i);
    pd_free(g->tensors);
    pd_free(g->tensor_index.slots);
    g->tensors = tensors;
    g->tensor_index = index;
    return true;
}

static pd_status parse_directory(parser *p, uint64_t n) {
    pd_gguf *g = p->g;
    PD_TRY(check_count(p, "tensors", n, MIN_TENSOR_BYTES));
    if (!reserve_tensors(g, n)) return raise_memory(p);
    for (uint64_t i = 0; i < n; i++) {
        pd_tensor *t = &g->tensors[g->n_tensors];
        begin_item(p, "tensor", i, n);
        t->part = p->part_no;
        PD_TRY(parse_tensor_name(p, t));
        PD_TRY(parse_shape(p, t));
        PD_TRY(parse_type(p, t));
        PD_TRY(take_u64(p, &t->offset)); /* from the start of the data, until place_tensors */
        name_index_add(&g->tensor_index, t->name, strlen(t->name), (uint32_t)g->n_tensors);
        g->n_tensors++;
    }
    return PD_OK;
}

/* ---- data ---------------------------------------------------------------------------------- */

static pd_status place_tensor(parser *p, pd_tensor *t, uint64_t data_begin, uint64_t alignment,
                              uint64_t *end) {
    uint64_t begin, behind;
    if (t->offset % alignment != 0)
        return PD_RAISE(p->err, PD_ERR_FORMAT,
                        "%s: tensor %s lies at offset %" PRIu64 ", expected a multiple of %" PRIu64,
                        p->file, t->name, t->offset, alignment);
    if (!pd_add_u64(data_begin, t->offset, &begin) || !pd_add_u64(begin, t->n_bytes, &behind))
        return PD_RAISE(p->err, PD_ERR_FORMAT,
                        "%s: tensor %s lies at the impossible offset %" PRIu64, p->file, t->name,
                        t->offset);
    if (begin < *end)
        return PD_RAISE(p->err, PD_ERR_FORMAT,
                        "%s: tensor %s begins at byte %" PRIu64
                        ", inside the tensor before it, which ends at %" PRIu64,
                        p->file, t->name, begin, *end);
    t->offset = begin;
    *end = behind;
    return PD_OK;
}

static pd_status raise_truncated(parser *p, const pd_tensor *t, uint64_t end) {
    return PD_RAISE(p->err, PD_ERR_FORMAT,
                    "%s: the file ends %" PRIu64 " bytes early: tensor %s needs bytes %" PRIu64
                    "..%" PRIu64 ", the file has %" PRIu64,
                    p->file, end - p->r.size, t->name, t->offset, t->offset + t->n_bytes,
                    p->r.size);
}

/* Offsets to views into the mapping. `first`: this part's first tensor. */
static pd_status place_tensors(parser *p, uint64_t first) {
    uint64_t alignment;
    PD_TRY(find_alignment(p, &alignment));
    uint64_t data_begin = pd_round_up(p->r.pos, alignment), end = data_begin;
    const pd_tensor *missing = NULL;
    for (uint64_t i = first; i < p->g->n_tensors; i++) {
        pd_tensor *t = &p->g->tensors[i];
        PD_TRY(place_tensor(p, t, data_begin, alignment, &end));
        if (end > p->r.size && !missing) missing = t;
        if (!missing) t->data = p->r.data + t->offset;
    }
    return missing ? raise_truncated(p, missing, end) : PD_OK;
}

pd_status gguf_parse_part(pd_gguf *g, uint32_t part, pd_error *err) {
    gguf_part *own = &g->parts[part];
    parser p = {.g = g, .part = own, .part_no = part, .file = own->label, .err = err};
    p.r = (pd_reader){own->mapping.data, own->mapping.size, 0};
    uint64_t n_tensors, n_values, first = g->n_tensors;
    PD_TRY(parse_magic(&p));
    PD_TRY(parse_version(&p));
    PD_TRY(take_u64(&p, &n_tensors));
    PD_TRY(take_u64(&p, &n_values));
    PD_TRY(parse_values(&p, n_values));
    PD_TRY(parse_directory(&p, n_tensors));
    return place_tensors(&p, first);
}
