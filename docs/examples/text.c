/* Answers a question, printing the text as it comes.   text MODEL.gguf QUESTION [DEVICE]
 *
 * SPDX-License-Identifier: MIT
 */
#include <peridot.h>
#include <stdio.h>
#include <string.h>

typedef struct reader {
    pd_model *model;
    pd_detokenizer text; /* holds back the first bytes of a character until the last has come */
} reader;

static bool print_token(void *ctx, uint32_t id) {
    reader *r = ctx;
    char bytes[PD_DETOKENIZE_MAX_BYTES];
    fwrite(bytes, 1, pd_detokenize(r->model, &r->text, id, bytes), stdout);
    return fflush(stdout) == 0; /* false ends the answer */
}

/* The question as Gemma's chat has it, in tokens; then the answer, token by token. */
static pd_status answer(reader *r, pd_session *session, const char *question, pd_error *err) {
    enum { MAX_IDS = 4096 };
    uint32_t ids[MAX_IDS];
    size_t n_ids = 0;
    pd_chat_turn turn = {.role = "user", .text = question, .n_bytes = strlen(question)};
    pd_status status = pd_chat_encode(r->model, &turn, 1, ids, MAX_IDS, &n_ids, err);
    if (status == PD_OK) status = pd_session_sync(session, ids, n_ids, err);
    pd_sampler sampler = {0};
    pd_sampler_desc gemma = {.temp = 1, .top_k = 64, .top_p = 0.95f, .seed = 1};
    if (status == PD_OK) status = pd_sampler_init(&sampler, &gemma, err);
    pd_generate_desc desc = {.n_max = 200, .fn = print_token, .fn_ctx = r};
    return status == PD_OK ? pd_session_generate(session, &sampler, &desc, err) : status;
}

int main(int argc, char **argv) {
    if (argc < 3) return fprintf(stderr, "usage: %s MODEL.gguf QUESTION [DEVICE]\n", argv[0]), 2;
    pd_error err = {0};
    reader r = {0};
    pd_session *session = NULL;
    pd_model_desc desc = {.device = argv[3]}; /* NULL: the best there is */
    pd_status status = pd_model_open(argv[1], &desc, &r.model, &err);
    if (status == PD_OK) status = pd_session_create(r.model, NULL, &session, &err);
    pd_detokenizer_init(&r.text);
    if (status == PD_OK) status = answer(&r, session, argv[2], &err);
    if (status == PD_OK) putchar('\n');
    if (status != PD_OK) fprintf(stderr, "%s\n%s\n", err.message, err.hint);
    pd_session_destroy(session); /* before its model */
    pd_model_close(r.model);
    return pd_status_exit_code(status);
}
