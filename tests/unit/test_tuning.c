/* Which files are of models that answer: by template, general.finetune and names.
 *
 * SPDX-License-Identifier: MIT
 */
#include "support_gguf_bytes.h"

#include "model/tuning.h"

typedef struct sample {
    const char *file, *name, *finetune, *chat_template; /* NULL: absent */
    bool has_template, tuned;
} sample;

static const sample samples[] = {
    {"m.gguf", NULL, NULL, NULL, false, false},
    {"m.gguf", "small one", NULL, NULL, false, false},
    {"m.gguf", "small one", NULL, "{{ bos_token }}", true, true},
    {"m.gguf", "small one", NULL, "", false, false},
    {"m.gguf", "Gemma 3 1b It", NULL, NULL, false, true},
    {"m.gguf", "gemma-3-1b-it", NULL, NULL, false, true},
    {"m.gguf", "gemma-3-1b-pt", NULL, NULL, false, false},
    {"m.gguf", "Gemma with wit", NULL, NULL, false, false}, /* no word of its own */
    {"gemma-3-4b-it-q4_0.gguf", "small one", NULL, NULL, false, true},
    {"gemma-3-4b-pt-q4_0.gguf", NULL, NULL, NULL, false, false},
    {"italian.gguf", NULL, NULL, NULL, false, false},
    {"m.gguf", NULL, "it", NULL, false, true},
    {"m.gguf", NULL, "it-qat", NULL, false, true},
    {"m.gguf", NULL, "Instruct", NULL, false, true},
    {"gemma-3-4b-it.gguf", NULL, "pt", "{{ bos_token }}", true, false}, /* said outright */
    {"gemma-3-4b-it.gguf", NULL, "medical", NULL, false, true},         /* says nothing of it */
};

static void text(pd_bytes *b, const char *key, const char *value) {
    if (!value) return;
    str(b, key);
    u32(b, PD_GGUF_STRING);
    str(b, value);
}

static pd_tuning read_sample(const sample *s) {
    pd_bytes b = {0};
    pd_gguf *g;
    pd_error err;
    head(&b, 0, (s->name ? 1u : 0) + (s->finetune ? 1u : 0) + (s->chat_template ? 1u : 0));
    text(&b, "general.name", s->name);
    text(&b, "general.finetune", s->finetune);
    text(&b, "tokenizer.chat_template", s->chat_template);
    pad(&b, 32);
    put_file(s->file, &b);
    if (pd_gguf_open(in_folder(s->file), &g, &err) != PD_OK) fail_msg("%s", err.message);
    pd_tuning t = pd_tuning_read(g);
    pd_gguf_close(g);
    return t;
}

static void test_samples(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof samples / sizeof *samples; i++) {
        pd_tuning t = read_sample(&samples[i]);
        if (t.has_chat_template != samples[i].has_template ||
            t.is_instruction_tuned != samples[i].tuned)
            fail_msg("sample %zu: template %d, tuned %d", i, t.has_chat_template,
                     t.is_instruction_tuned);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_samples)};
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
