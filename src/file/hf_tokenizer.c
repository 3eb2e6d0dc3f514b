/* A Hugging Face tokenizer.json as the token list of a GGUF.
 *
 * Of the file's object, model.vocab (token -> id) and added_tokens (id, content, special) are used.
 * Added tokens beyond the vocabulary's end (<image_soft_token>, 262144) come back with padding.
 *
 * SPDX-License-Identifier: MIT
 */
#include "file/hf_tokenizer.h"
#include "file/json.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <string.h>

enum {
    MAX_TOKENS = 1 << 22,
    FIRST_PIECE = 494,
    FIRST_CHARACTER = 236743,
    REAL_COUNT = 262144,
    N_HEAD = 498, /* of a pruned list */
    N_CHARACTERS = 200
};
enum { TYPE_NORMAL = 1, TYPE_CONTROL = 3, TYPE_USER = 4, TYPE_UNUSED = 5, TYPE_BYTE = 6 };

static pd_status arrays_alloc(pd_hf_tokenizer *t, uint32_t n, pd_error *err) {
    t->tokens = pd_arena_alloc(&t->arena, n, sizeof *t->tokens);
    t->scores = pd_arena_alloc(&t->arena, n, sizeof *t->scores);
    t->types = pd_arena_alloc(&t->arena, n, sizeof *t->types);
    t->n = n;
    if (!t->tokens || !t->scores || !t->types)
        return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for %" PRIu32 " tokens", n);
    return PD_OK;
}

static bool is_byte(pd_string s) {
    return s.n == 6 && memcmp(s.data, "<0x", 3) == 0 && s.data[5] == '>';
}

static pd_status read_vocab(const cJSON *vocab, pd_hf_tokenizer *t, pd_error *err) {
    for (const cJSON *item = vocab->child; item; item = item->next) {
        double id = cJSON_IsNumber(item) ? item->valuedouble : -1;
        if (!(id >= 0 && id < t->n) || t->tokens[(uint32_t)id].data)
            return PD_RAISE(err, PD_ERR_UNSUPPORTED,
                            "token \"%.40s\" has the id %g, but the %" PRIu32
                            " tokens must have the ids from 0 up, each once",
                            item->string, id, t->n);
        uint32_t i = (uint32_t)id;
        char *copy = pd_arena_strdup(&t->arena, item->string);
        if (!copy) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for the tokens' texts");
        t->tokens[i] = (pd_string){copy, strlen(copy)};
        t->scores[i] = i < FIRST_PIECE ? 0 : (float)FIRST_PIECE - (float)i;
        t->types[i] = is_byte(t->tokens[i]) ? TYPE_BYTE : TYPE_NORMAL;
    }
    return PD_OK;
}

void pd_hf_tokenizer_write_spaces(pd_string *s) {
    char *text = (char *)(uintptr_t)s->data; /* our own copy */
    uint64_t n = 0;
    for (uint64_t i = 0; i < s->n;) {
        bool mark = s->n - i >= 3 && memcmp(text + i, "\xE2\x96\x81", 3) == 0;
        text[n++] = mark ? ' ' : text[i];
        i += mark ? 3 : 1;
    }
    s->n = n;
}

static void mark_added(pd_hf_tokenizer *t, const cJSON *item) {
    const cJSON *id = cJSON_GetObjectItemCaseSensitive(item, "id");
    if (!cJSON_IsNumber(id) || !(id->valuedouble >= 0 && id->valuedouble < t->n)) return;
    uint32_t i = (uint32_t)id->valuedouble;
    pd_string *s = &t->tokens[i];
    bool control = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(item, "special")) || i == 4 ||
                   (s->n > 7 && memcmp(s->data, "<unused", 7) == 0);
    t->types[i] = control ? TYPE_CONTROL : TYPE_USER;
    t->scores[i] = -1000;
    if (!control) pd_hf_tokenizer_write_spaces(s);
}

static pd_status convert(const cJSON *root, const char *path, pd_hf_tokenizer *t, pd_error *err) {
    const cJSON *model = cJSON_GetObjectItemCaseSensitive(root, "model");
    const cJSON *type = cJSON_GetObjectItemCaseSensitive(model, "type");
    const cJSON *vocab = cJSON_GetObjectItemCaseSensitive(model, "vocab");
    const cJSON *added = cJSON_GetObjectItemCaseSensitive(root, "added_tokens");
    if (!cJSON_IsString(type) || strcmp(type->valuestring, "BPE") != 0 || !cJSON_IsObject(vocab))
        return PD_RAISE(err, PD_ERR_UNSUPPORTED, "\"%s\" is not the tokenizer.json of a BPE model",
                        path);
    uint32_t n = 0;
    for (const cJSON *item = vocab->child; item && n <= MAX_TOKENS; item = item->next) n++;
    if (n == 0 || n > MAX_TOKENS)
        return PD_RAISE(err, PD_ERR_UNSUPPORTED, "\"%s\" has %s tokens", path,
                        n == 0 ? "no" : "too many");
    PD_TRY(arrays_alloc(t, n, err));
    PD_TRY(read_vocab(vocab, t, err));
    if (cJSON_IsArray(added))
        for (const cJSON *item = added->child; item; item = item->next) mark_added(t, item);
    return PD_OK;
}

pd_status pd_hf_tokenizer_read(const char *path, pd_hf_tokenizer *out, pd_error *err) {
    pd_mapping file;
    *out = (pd_hf_tokenizer){0};
    PD_TRY(pd_mapping_open(path, &file, err));
    cJSON *root = pd_json_parse((const char *)file.data, (size_t)file.size);
    pd_mapping_close(&file);
    if (!root) return PD_RAISE(err, PD_ERR_FORMAT, "\"%s\" is not valid JSON", path);
    pd_status status = convert(root, path, out, err);
    cJSON_Delete(root);
    if (status != PD_OK) pd_hf_tokenizer_free(out);
    return status;
}

void pd_hf_tokenizer_free(pd_hf_tokenizer *t) {
    pd_arena_destroy(&t->arena);
    *t = (pd_hf_tokenizer){0};
}

/* Which id of the full list stands at place i of a list pruned to n. */
static uint32_t pruned_id(uint32_t i, uint32_t n) {
    if (i < N_HEAD) return i;
    if (i < N_HEAD + 2) return PD_TOKEN_START_OF_IMAGE + (i - N_HEAD);
    uint32_t n_pieces = n > N_HEAD + 2 + N_CHARACTERS ? n - (N_HEAD + 2 + N_CHARACTERS) : 0;
    i -= N_HEAD + 2;
    return i < n_pieces ? N_HEAD + i : FIRST_CHARACTER + (i - n_pieces);
}

static pd_status pad(pd_hf_tokenizer *t, const pd_hf_tokenizer *old, pd_error *err) {
    for (uint32_t i = old->n; i < t->n; i++) {
        bool soft = i == REAL_COUNT;
        char *text = soft ? pd_arena_strdup(&t->arena, "<image_soft_token>")
                          : pd_arena_printf(&t->arena, "[PAD%" PRIu32 "]", i);
        if (!text) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for padding tokens");
        t->tokens[i] = (pd_string){text, strlen(text)};
        t->scores[i] = -1000;
        t->types[i] = soft ? TYPE_CONTROL : TYPE_UNUSED;
    }
    return PD_OK;
}

pd_status pd_hf_tokenizer_resize(pd_hf_tokenizer *t, uint32_t n, pd_error *err) {
    if (n == t->n) return PD_OK;
    if (n > MAX_TOKENS ||
        (n < t->n && (n < FIRST_PIECE || n > FIRST_CHARACTER || t->n != REAL_COUNT)))
        return PD_RAISE(err, PD_ERR_ARGUMENT,
                        "a vocabulary of %" PRIu32 " tokens cannot be made %" PRIu32 " long", t->n,
                        n);
    pd_hf_tokenizer old = *t; /* its arrays stay in the arena, which moves on */
    PD_TRY(arrays_alloc(t, n, err));
    for (uint32_t i = 0; i < n && i < (n < old.n ? n : old.n); i++) {
        uint32_t from = n < old.n ? pruned_id(i, n) : i;
        t->tokens[i] = old.tokens[from];
        t->scores[i] = old.scores[from];
        t->types[i] = old.types[from];
    }
    return n > old.n ? pad(t, &old, err) : PD_OK;
}

void pd_hf_tokenizer_write(const pd_hf_tokenizer *t, uint32_t eos, pd_gguf_writer *w) {
    pd_gguf_write_string(w, "tokenizer.ggml.model", "llama");
    pd_gguf_write_string(w, "tokenizer.ggml.pre", "default");
    pd_gguf_write_strings(w, "tokenizer.ggml.tokens", t->tokens, t->n);
    pd_gguf_write_f32s(w, "tokenizer.ggml.scores", t->scores, t->n);
    pd_gguf_write_i32s(w, "tokenizer.ggml.token_type", t->types, t->n);
    pd_gguf_write_u32(w, "tokenizer.ggml.bos_token_id", PD_TOKEN_BOS);
    pd_gguf_write_u32(w, "tokenizer.ggml.eos_token_id", eos);
    pd_gguf_write_u32(w, "tokenizer.ggml.unknown_token_id", PD_TOKEN_UNK);
    pd_gguf_write_u32(w, "tokenizer.ggml.padding_token_id", PD_TOKEN_PAD);
    pd_gguf_write_bool(w, "tokenizer.ggml.add_bos_token", true);
    pd_gguf_write_bool(w, "tokenizer.ggml.add_eos_token", false);
    pd_gguf_write_bool(w, "tokenizer.ggml.add_space_prefix", false);
}
