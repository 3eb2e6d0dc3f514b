/* Greedy continuations, past the ends of turns.  SPDX-License-Identifier: MIT */
#include "tool.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "peridot.h"

enum { MAX_IDS = 1 << 16, MAX_IMAGES = 16 };

typedef struct work {
    uint32_t ids[MAX_IDS];
    pd_image images[MAX_IMAGES];
    pd_prompt prompt;
} work;

static pd_status read_work(char *line, work *w, pd_error *err) {
    char *rest = line, *ids = strsep(&rest, " "), *path;
    size_t n_ids = 0, n_images = 0;
    for (char *one; (one = strsep(&ids, ",")) && n_ids < MAX_IDS;)
        w->ids[n_ids++] = (uint32_t)strtoul(one, NULL, 10);
    while ((path = strsep(&rest, " ")) && n_images < MAX_IMAGES)
        PD_TRY(pd_image_read(path, NULL, &w->images[n_images++], err));
    w->prompt = (pd_prompt){w->ids, n_ids, w->images, n_images};
    return PD_OK;
}

static bool print_id(void *ctx, uint32_t id) {
    (void)ctx;
    printf("%u ", id);
    return true;
}

static pd_status continue_prompt(pd_model *model, uint32_t n, const work *w, pd_error *err) {
    pd_session_desc desc = {.precision = PD_PRECISION_EXACT,
                            .n_ctx = (uint32_t)pd_prompt_count(model, &w->prompt) + n};
    pd_generate_desc how = {.n_max = n, .ignore_stop = true, .fn = print_id};
    pd_sampler greedy;
    pd_session *session;
    PD_TRY(pd_sampler_init(&greedy, NULL, err));
    PD_TRY(pd_session_create(model, &desc, &session, err));
    pd_status status = pd_session_sync_prompt(session, &w->prompt, err);
    if (status == PD_OK) status = pd_session_generate(session, &greedy, &how, err);
    printf("\n");
    pd_session_destroy(session);
    return status;
}

pd_status tool_generate(int argc, char **argv, pd_error *err) {
    (void)argc;
    static char line[TOOL_MAX_LINE];
    static work w;
    pd_model *model = NULL;
    pd_model_desc desc = {.device = argv[2], .mmproj = strcmp(argv[1], "-") == 0 ? NULL : argv[1]};
    desc.session.precision = PD_PRECISION_EXACT;
    pd_status status = pd_model_open(argv[0], &desc, &model, err);
    while (status == PD_OK && tool_read_line(line)) {
        status = read_work(line, &w, err);
        if (status == PD_OK)
            status = continue_prompt(model, (uint32_t)strtoul(argv[3], NULL, 10), &w, err);
        for (size_t i = 0; i < w.prompt.n_images; i++) pd_image_free(&w.images[i]);
    }
    pd_model_close(model);
    return status;
}
