/* See tuning.h.  SPDX-License-Identifier: MIT */
#include "model/tuning.h"

#include <ctype.h>
#include <string.h>

#include "base/folder.h"
#include "base/words.h"

static bool is_word_of(const char *word, size_t n, const char *const *list) {
    for (; *list; list++)
        if (strlen(*list) == n && pd_same_n_in_any_case(*list, word, n)) return true;
    return false;
}

/* Words are letters and digits; everything else stands between them. */
static bool has_word(pd_string text, const char *const *list) {
    for (uint64_t i = 0, n; i < text.n; i += n + 1) {
        for (n = 0; i + n < text.n && isalnum((unsigned char)text.data[i + n]);) n++;
        if (is_word_of(text.data + i, (size_t)n, list)) return true;
    }
    return false;
}

static pd_string file_name(const pd_gguf *g) {
    const char *path = pd_gguf_path(g), *name = path + pd_path_name_at(path);
    return (pd_string){.data = name, .n = strlen(name)};
}

pd_tuning pd_tuning_read(const pd_gguf *g) {
    static const char *const tuned[] = {"it", "instruct", "instruction", "chat", NULL};
    static const char *const plain[] = {"pt", "base", "pretrained", NULL};
    pd_tuning t = {0};
    pd_string s;
    t.has_chat_template = pd_gguf_get_string(g, "tokenizer.chat_template", &s) && s.n > 0;
    if (pd_gguf_get_string(g, "general.finetune", &s)) {
        t.is_instruction_tuned = has_word(s, tuned);
        if (t.is_instruction_tuned || has_word(s, plain)) return t;
    }
    bool named = pd_gguf_get_string(g, "general.name", &s) && has_word(s, tuned);
    t.is_instruction_tuned = t.has_chat_template || named || has_word(file_name(g), tuned);
    return t;
}
