/* Bodies of requests: the first byte chooses what reads them, conversations of three interfaces,
 * prompts or a picture's address.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "fuzz.h"
#include "server/prompt.h"
#include "server/settings.h"

static pd_model *model(void) {
    static pd_model *m;
    pd_error err;
    pd_model_desc desc = {.vocab_only = true};
    if (!m && pd_model_open(PERIDOT_TEST_DATA "/golden/small-q4_0.gguf", &desc, &m, &err) != PD_OK)
        fuzz_check(false, "the golden model cannot be opened");
    return m;
}

static pd_server server = {.desc = {.max_images = 4, .image = {.max_pixels = 1 << 16}}};

static void read_messages(const srv_form *form, srv_fields *f) {
    pd_error err = {0};
    srv_prompt p = {0};
    srv_settings s = {0};
    if (fuzz_clean(srv_read_tools(model(), f, form->tools, &s, &err), &err) &&
        fuzz_clean(srv_conversation_read(&server, model(), form, &s.tools, f, &p, &err), &err))
        for (size_t i = 0; i < p.n_ids; i++) fuzz_check(p.ids[i] < 600, "an id out of range");
    srv_prompt_free(&p);
    srv_settings_free(&s);
}

static void read_prompts(srv_fields *f) {
    pd_error err = {0};
    srv_prompt *prompts;
    size_t n;
    if (fuzz_clean(srv_prompts_read(model(), f, &prompts, &n, &err), &err))
        for (size_t i = 0; i < n; i++) fuzz_check(prompts[i].n_ids > 0, "an empty prompt");
    for (size_t i = 0; i < n; i++) srv_prompt_free(&prompts[i]);
    pd_free(prompts);
}

static void read_body(char kind, const char *text, size_t n) {
    pd_error err = {0};
    cJSON *body;
    srv_settings settings;
    if (!fuzz_clean(srv_json_parse(text, n, &body, &err), &err)) return;
    srv_fields f = {.object = body};
    if (fuzz_clean(srv_settings_read(&server, model(), &f, &settings, &err), &err))
        fuzz_clean(pd_sampler_init(&(pd_sampler){.n_drawn = 0}, &settings.sampler, &err), &err);
    srv_settings_free(&settings);
    if (kind == '1')
        read_prompts(&f);
    else
        read_messages(kind == '3'   ? &srv_responses_form
                      : kind == '4' ? &srv_messages_form
                                    : &srv_chat_form,
                      &f);
    cJSON_Delete(body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    pd_error err = {0};
    pd_image image = {0};
    uint64_t fetch_ns = 0;
    if (n == 0) return 0;
    char *text = malloc(n); /* the zero behind it takes the first byte's place */
    fuzz_check(text != NULL, "no memory");
    memcpy(text, data + 1, n - 1);
    text[n - 1] = '\0';
    if (data[0] == '2') {
        fuzz_clean(srv_image_read(&server, text, &fetch_ns, &image, &err), &err);
        pd_image_free(&image);
    } else {
        read_body((char)data[0], text, n - 1);
    }
    free(text);
    return 0;
}
