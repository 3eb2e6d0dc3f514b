/* A SentencePiece tokenizer.model as the token list of a GGUF.
 *
 * The file is a protobuf message, ModelProto of sentencepiece_model.proto, of which field 1 is
 * read: the pieces, in the order of their ids.
 *
 *     ModelProto     1: SentencePiece, repeated; others (trainer, normalizer) are skipped
 *     SentencePiece  1: string piece   2: float score   3: enum type, default 1
 *                    (1 normal, 2 unknown, 3 control, 4 user-defined, 5 unused, 6 byte)
 *     field          varint (number << 3 | kind), then kind 0: varint, 1: 8 bytes,
 *                    2: varint length and bytes, 5: 4 bytes
 *
 * What converters know of added tokens from tokenizer_config.json is here a rule for Gemma 3's
 * layout: all pieces that are neither ordinary nor bytes have the score -1000; the special ones and
 * <unused...> are control, the others user-defined, with real spaces.
 *
 * SPDX-License-Identifier: MIT
 */
#include <inttypes.h>
#include <string.h>

#include "base/bytes.h"
#include "file/hf_tokenizer.h"

enum { MAX_TOKENS = 1 << 22, LAST_SPECIAL = 4 };
enum { TYPE_NORMAL = 1, TYPE_CONTROL = 3, TYPE_USER = 4, TYPE_BYTE = 6 };
enum { KIND_VARINT = 0, KIND_8 = 1, KIND_BYTES = 2, KIND_4 = 5 };

typedef struct proto_field {
    uint64_t number, value; /* value: of a varint */
    uint32_t kind;
    pd_reader bytes; /* of a message or string */
    float real;      /* of 4 bytes */
} proto_field;

/* ---- protobuf ------------------------------------------------------------------------------- */

static bool read_varint(pd_reader *r, uint64_t *out) {
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        uint8_t byte;
        if (!pd_read_u8(r, &byte)) return false;
        v |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *out = v;
            return true;
        }
    }
    return false;
}

static bool read_field(pd_reader *r, proto_field *f) {
    uint64_t key, n;
    const uint8_t *skipped;
    if (!read_varint(r, &key)) return false;
    f->number = key >> 3;
    f->kind = (uint32_t)(key & 7);
    switch (f->kind) {
    case KIND_VARINT: return read_varint(r, &f->value);
    case KIND_8: return pd_read_bytes(r, 8, &skipped);
    case KIND_4: return pd_read_f32(r, &f->real);
    case KIND_BYTES:
        f->bytes = (pd_reader){0};
        return read_varint(r, &n) && pd_read_bytes(r, n, &f->bytes.data) && (f->bytes.size = n, 1);
    default: return false; /* groups, which the format gave up */
    }
}

/* ---- pieces --------------------------------------------------------------------------------- */

typedef struct piece {
    pd_string text;
    float score;
    uint64_t type;
} piece;

static bool read_piece(pd_reader r, piece *out) {
    *out = (piece){{"", 0}, 0, TYPE_NORMAL};
    while (r.pos < r.size) {
        proto_field f;
        if (!read_field(&r, &f)) return false;
        if (f.number == 1 && f.kind == KIND_BYTES)
            out->text = (pd_string){(const char *)f.bytes.data, f.bytes.size};
        if (f.number == 2 && f.kind == KIND_4) out->score = f.real;
        if (f.number == 3 && f.kind == KIND_VARINT) out->type = f.value;
    }
    return true;
}

static bool is_control(uint32_t id, pd_string s) {
    static const char *const markers[] = {"<start_of_turn>", "<end_of_turn>", "<start_of_image>",
                                          "<end_of_image>"};
    if (id <= LAST_SPECIAL || (s.n > 7 && memcmp(s.data, "<unused", 7) == 0)) return true;
    for (int i = 0; i < 4; i++)
        if (strlen(markers[i]) == s.n && memcmp(markers[i], s.data, s.n) == 0) return true;
    return false;
}

static pd_status put_piece(pd_hf_tokenizer *t, uint32_t id, const piece *p, pd_error *err) {
    char *copy = pd_arena_alloc(&t->arena, (size_t)p->text.n + 1, 1);
    if (!copy) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for the tokens' texts");
    memcpy(copy, p->text.data, (size_t)p->text.n);
    t->tokens[id] = (pd_string){copy, p->text.n};
    t->scores[id] = p->score;
    t->types[id] = p->type == TYPE_BYTE ? TYPE_BYTE : TYPE_NORMAL;
    if (p->type == TYPE_NORMAL || p->type == TYPE_BYTE) return PD_OK;
    bool control = is_control(id, p->text);
    t->scores[id] = -1000;
    t->types[id] = control ? TYPE_CONTROL : TYPE_USER;
    if (!control) pd_hf_tokenizer_write_spaces(&t->tokens[id]);
    return PD_OK;
}

static bool is_piece(const proto_field *f) {
    return f->number == 1 && f->kind == KIND_BYTES;
}

static pd_status count_pieces(pd_reader r, const char *path, uint32_t *out, pd_error *err) {
    uint32_t n = 0;
    while (r.pos < r.size && n <= MAX_TOKENS) {
        proto_field f;
        piece p;
        if (!read_field(&r, &f) || (is_piece(&f) && !read_piece(f.bytes, &p)))
            return PD_RAISE(err, PD_ERR_FORMAT,
                            "\"%s\" is not a SentencePiece model, or cut short: what is at byte "
                            "%" PRIu64 " is none of its fields",
                            path, r.pos);
        n += is_piece(&f);
    }
    *out = n;
    if (n > 0 && n <= MAX_TOKENS) return PD_OK;
    return PD_RAISE(err, PD_ERR_UNSUPPORTED, "\"%s\" has %s tokens", path, n ? "too many" : "no");
}

static pd_status read_all(pd_reader r, const char *path, pd_hf_tokenizer *t, pd_error *err) {
    PD_TRY(count_pieces(r, path, &t->n, err));
    t->tokens = pd_arena_alloc(&t->arena, t->n, sizeof *t->tokens);
    t->scores = pd_arena_alloc(&t->arena, t->n, sizeof *t->scores);
    t->types = pd_arena_alloc(&t->arena, t->n, sizeof *t->types);
    if (!t->tokens || !t->scores || !t->types)
        return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for %" PRIu32 " tokens", t->n);
    for (uint32_t id = 0; id < t->n;) {
        proto_field f;
        piece p;
        if (!read_field(&r, &f)) break; /* counted before: it does not happen */
        if (!is_piece(&f) || !read_piece(f.bytes, &p)) continue;
        PD_TRY(put_piece(t, id++, &p, err));
    }
    return PD_OK;
}

pd_status pd_sp_model_read(const char *path, pd_hf_tokenizer *out, pd_error *err) {
    pd_mapping file;
    *out = (pd_hf_tokenizer){0};
    PD_TRY(pd_mapping_open(path, &file, err));
    pd_status status = read_all((pd_reader){file.data, file.size, 0}, path, out, err);
    pd_mapping_close(&file);
    if (status != PD_OK) pd_hf_tokenizer_free(out);
    return status;
}
