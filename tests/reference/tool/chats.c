/* Chats and texts to ids, with a tokenizer.json and no model.
 *
 * A line is {"turns": [{"role", "text", "images": [[byte, windows], ...]}, ...]} for the chat
 * template, or {"text", "images", "special": whether control tokens are parsed} for a text as it
 * stands. The answer is "ids ...", or "refused" with the sentence. Each picture is one id.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tool.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cjson/cJSON.h>

#include "base/memory.h"
#include "file/hf_tokenizer.h"
#include "text/chat.h"

enum { MAX_TURNS = 64, MAX_IMAGES = 16, MAX_IDS = 1 << 20, N_VOCAB = 262208 };

/* A vocabulary is read from a GGUF: one that is gone as soon as it is open. */
static pd_status open_vocab(const char *path, pd_vocab **out, pd_error *err) {
    char temp[] = "/tmp/peridot-reference-XXXXXX";
    pd_hf_tokenizer t;
    pd_gguf_writer *w;
    pd_gguf *g = NULL;
    int file = mkstemp(temp);
    if (file < 0) return PD_RAISE(err, PD_ERR_IO, "cannot make %s", temp);
    close(file);
    PD_TRY(pd_hf_tokenizer_read(path, &t, err));
    PD_TRY(pd_hf_tokenizer_resize(&t, N_VOCAB, err));
    PD_TRY(pd_gguf_writer_open(temp, &w, err));
    pd_gguf_write_string(w, "general.architecture", "gemma3");
    pd_hf_tokenizer_write(&t, PD_TOKEN_END_OF_TURN, w);
    pd_gguf_begin_data(w);
    pd_status status = pd_gguf_writer_commit(w, err);
    pd_hf_tokenizer_free(&t);
    if (status == PD_OK) status = pd_gguf_open(temp, &g, err);
    unlink(temp);
    if (status == PD_OK) status = pd_vocab_open(g, out, err);
    if (g) pd_gguf_close(g);
    return status;
}

static size_t read_places(const cJSON *item, pd_image_place out[MAX_IMAGES]) {
    size_t n = 0;
    for (const cJSON *p = item ? item->child : NULL; p && n < MAX_IMAGES; p = p->next)
        out[n++] =
            (pd_image_place){(size_t)p->child->valuedouble, (uint32_t)p->child->next->valuedouble};
    return n;
}

static const char *text_of(const cJSON *item, const char *name) {
    const cJSON *text = cJSON_GetObjectItemCaseSensitive(item, name);
    return cJSON_IsString(text) ? text->valuestring : "";
}

static pd_status encode_chat(const pd_vocab *v, const cJSON *turns, uint32_t *ids, size_t *n,
                             pd_error *err) {
    static pd_image_place places[MAX_TURNS][MAX_IMAGES];
    pd_chat_turn list[MAX_TURNS];
    size_t n_turns = 0;
    for (const cJSON *t = turns->child; t && n_turns < MAX_TURNS; t = t->next, n_turns++) {
        const char *text = text_of(t, "text");
        size_t n_images =
            read_places(cJSON_GetObjectItemCaseSensitive(t, "images"), places[n_turns]);
        list[n_turns] =
            (pd_chat_turn){text_of(t, "role"), text, strlen(text), places[n_turns], n_images};
    }
    return pd_vocab_chat_encode(v, list, n_turns, ids, MAX_IDS, n, err);
}

/* As pd_tokenize does it for a model's file that asks for <bos>. */
static pd_status encode_text(const pd_vocab *v, const cJSON *item, uint32_t *ids, size_t *n,
                             pd_error *err) {
    pd_image_place places[MAX_IMAGES];
    const char *text = text_of(item, "text");
    bool special = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(item, "special"));
    size_t n_images = read_places(cJSON_GetObjectItemCaseSensitive(item, "images"), places);
    pd_span_list list;
    PD_TRY(pd_template_text(text, strlen(text), places, n_images, &list, err));
    ids[0] = PD_TOKEN_BOS;
    pd_status status =
        pd_vocab_encode_spans(v, list.spans, list.n, special, ids + 1, MAX_IDS - 1, n, err);
    ++*n;
    pd_span_list_free(&list);
    return status;
}

static pd_status answer(const pd_vocab *v, const char *line, uint32_t *ids, pd_error *err) {
    cJSON *item = cJSON_Parse(line);
    if (!item) return PD_RAISE(err, PD_ERR_FORMAT, "not JSON: %.80s", line);
    const cJSON *turns = cJSON_GetObjectItemCaseSensitive(item, "turns");
    size_t n = 0;
    pd_status status =
        turns ? encode_chat(v, turns, ids, &n, err) : encode_text(v, item, ids, &n, err);
    if (status == PD_OK) {
        printf("ids");
        for (size_t i = 0; i < n; i++) printf(" %u", ids[i]);
        printf("\n");
    } else {
        printf("refused %s\n", err->message);
    }
    cJSON_Delete(item);
    return PD_OK;
}

pd_status tool_chats(int argc, char **argv, pd_error *err) {
    (void)argc;
    static char line[TOOL_MAX_LINE];
    static uint32_t ids[MAX_IDS];
    pd_vocab *v = NULL;
    pd_status status = open_vocab(argv[0], &v, err);
    while (status == PD_OK && tool_read_line(line)) status = answer(v, line, ids, err);
    pd_vocab_close(v);
    return status;
}
