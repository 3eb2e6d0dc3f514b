/* See special.h.  SPDX-License-Identifier: MIT */
#include "text/special.h"

#include <inttypes.h>
#include <string.h>

#include "base/bytes.h"

static pd_status read_id(const pd_gguf *g, const char *key, uint32_t n_tokens, uint32_t absent,
                         uint32_t *out, pd_error *err) {
    *out = absent;
    if (!pd_gguf_find(g, key)) return PD_OK;
    if (pd_gguf_get_u32(g, key, out) && *out < n_tokens) return PD_OK;
    return PD_RAISE(err, PD_ERR_MODEL, "%s is not the id of one of the %" PRIu32 " tokens", key,
                    n_tokens);
}

static pd_status read_flag(const pd_gguf *g, const char *key, bool absent, bool *out,
                           pd_error *err) {
    *out = absent;
    if (!pd_gguf_find(g, key) || pd_gguf_get_bool(g, key, out)) return PD_OK;
    return PD_RAISE(err, PD_ERR_MODEL, "%s is neither true nor false", key);
}

static void add_stop(pd_special *s, uint32_t id) {
    if (!pd_special_is_stop(s, id)) s->stops[s->n_stops++] = id;
}

/* Templates are programs, and there are many for Gemma that write the same: its turns' markers tell
 * them from those of other families. */
static bool has_other_template(const pd_gguf *g) {
    static const char first[] = "<start_of_turn>", last[] = "<end_of_turn>";
    static const char key[] = "tokenizer.chat_template";
    pd_string s;
    if (!pd_gguf_find(g, key)) return false;
    if (!pd_gguf_get_string(g, key, &s)) return true;
    return !pd_find_bytes(s.data, s.n, first, sizeof first - 1) ||
           !pd_find_bytes(s.data, s.n, last, sizeof last - 1);
}

pd_status pd_special_read(const pd_gguf *g, uint32_t n_tokens, pd_special *out, pd_error *err) {
    uint32_t eot;
    *out = (pd_special){.start_of_image = PD_TOKEN_START_OF_IMAGE,
                        .end_of_image = PD_TOKEN_END_OF_IMAGE};
    PD_TRY(read_id(g, "tokenizer.ggml.bos_token_id", n_tokens, PD_TOKEN_BOS, &out->bos, err));
    PD_TRY(read_id(g, "tokenizer.ggml.eos_token_id", n_tokens, PD_TOKEN_EOS, &out->eos, err));
    PD_TRY(read_id(g, "tokenizer.ggml.eot_token_id", n_tokens, PD_TOKEN_END_OF_TURN, &eot, err));
    PD_TRY(read_flag(g, "tokenizer.ggml.add_bos_token", true, &out->add_bos, err));
    PD_TRY(read_flag(g, "tokenizer.ggml.add_eos_token", false, &out->add_eos, err));
    out->other_template = has_other_template(g);
    add_stop(out, out->eos);
    add_stop(out, eot);
    add_stop(out, PD_TOKEN_EOS);
    add_stop(out, PD_TOKEN_END_OF_TURN);
    return PD_OK;
}

static bool is_text(pd_string s, const char *text) {
    size_t n = strlen(text);
    return s.n == n && memcmp(s.data, text, n) == 0;
}

void pd_special_note_marker(pd_special *s, uint32_t n_tokens, uint32_t id, pd_string text) {
    if (n_tokens > PD_TOKEN_END_OF_IMAGE) return;
    if (is_text(text, "<start_of_image>")) s->start_of_image = id;
    if (is_text(text, "<end_of_image>")) s->end_of_image = id;
}

uint32_t pd_special_id(const pd_special *s, uint32_t id) {
    return id == PD_TOKEN_BOS              ? s->bos
           : id == PD_TOKEN_START_OF_IMAGE ? s->start_of_image
           : id == PD_TOKEN_END_OF_IMAGE   ? s->end_of_image
                                           : id;
}

bool pd_special_is_stop(const pd_special *s, uint32_t id) {
    for (uint32_t i = 0; i < s->n_stops; i++)
        if (s->stops[i] == id) return true;
    return false;
}

pd_status pd_special_check_text(uint32_t id, pd_string text, pd_error *err) {
    static const struct {
        uint32_t id;
        const char *text;
    } known[] = {{PD_TOKEN_EOS, "<eos>"},
                 {PD_TOKEN_BOS, "<bos>"},
                 {PD_TOKEN_START_OF_TURN, "<start_of_turn>"},
                 {PD_TOKEN_END_OF_TURN, "<end_of_turn>"}};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (id != known[i].id || is_text(text, known[i].text)) continue;
        return PD_RAISE(err, PD_ERR_MODEL, "token %" PRIu32 " is not spelled %s, as Gemma 3's is",
                        id, known[i].text);
    }
    return PD_OK;
}
