/* Says what a picture shows.   image MODEL.gguf MMPROJ.gguf PICTURE [DEVICE]
 *
 * What it does besides what text.c explains: the model's image encoder is opened with it, and the
 * question has a place where the picture stands.
 *
 * SPDX-License-Identifier: MIT
 */
#include <peridot.h>
#include <stdio.h>
#include <string.h>

typedef struct reader {
    pd_model *model;
    pd_detokenizer text;
} reader;

static bool print_token(void *ctx, uint32_t id) {
    reader *r = ctx;
    char bytes[PD_DETOKENIZE_MAX_BYTES];
    fwrite(bytes, 1, pd_detokenize(r->model, &r->text, id, bytes), stdout);
    return fflush(stdout) == 0;
}

static pd_status describe(reader *r, pd_session *session, const pd_image *picture, pd_error *err) {
    enum { MAX_IDS = 256 };
    const char *question = "What is in this picture?";
    uint32_t ids[MAX_IDS];
    pd_image_place before = {.at = 0}; /* in front of the question's first byte */
    pd_chat_turn turn = {.role = "user",
                         .text = question,
                         .n_bytes = strlen(question),
                         .images = &before,
                         .n_images = 1};
    pd_prompt prompt = {.ids = ids, .images = picture, .n_images = 1};
    pd_status status = pd_chat_encode(r->model, &turn, 1, ids, MAX_IDS, &prompt.n_ids, err);
    if (status == PD_OK) status = pd_session_sync_prompt(session, &prompt, err);
    pd_sampler greedy = {0}; /* always the most probable token */
    pd_generate_desc desc = {.n_max = 100, .fn = print_token, .fn_ctx = r};
    return status == PD_OK ? pd_session_generate(session, &greedy, &desc, err) : status;
}

int main(int argc, char **argv) {
    if (argc < 4)
        return fprintf(stderr, "usage: %s MODEL.gguf MMPROJ.gguf PICTURE [DEVICE]\n", argv[0]), 2;
    pd_error err = {0};
    reader r = {0};
    pd_image picture = {0};
    pd_session *session = NULL;
    pd_model_desc desc = {.device = argv[4], .mmproj = argv[2]};
    pd_status status = pd_image_read(argv[3], NULL, &picture, &err);
    if (status == PD_OK) status = pd_model_open(argv[1], &desc, &r.model, &err);
    if (status == PD_OK) status = pd_session_create(r.model, NULL, &session, &err);
    pd_detokenizer_init(&r.text);
    if (status == PD_OK) status = describe(&r, session, &picture, &err);
    if (status == PD_OK) putchar('\n');
    if (status != PD_OK) fprintf(stderr, "%s\n%s\n", err.message, err.hint);
    pd_session_destroy(session);
    pd_model_close(r.model);
    pd_image_free(&picture);
    return pd_status_exit_code(status);
}
