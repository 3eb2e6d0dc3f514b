/* `peridot list`: the models that were fetched, by repository.  SPDX-License-Identifier: MIT */
#include "cli/json.h"
#include "hub/hub.h"

typedef struct listing {
    cJSON *json;      /* NULL: lines of text */
    uint64_t n_files; /* so far */
} listing;

static void show_file(void *ctx, const hub_entry *e) {
    listing *l = ctx;
    char size[32];
    l->n_files++;
    if (l->json) {
        cJSON *item = cli_add_object(l->json);
        CLI_ADD_TEXTS(item, {"repo", e->repo}, {"file", e->name}, {"path", e->path});
        cJSON_AddNumberToObject(item, "bytes", (double)e->n_bytes);
    } else {
        printf("%12s  %s  %s\n", pd_size_text(e->n_bytes, size), e->repo, e->name);
    }
}

static pd_status list_json(pd_error *err) {
    cJSON *root = cJSON_CreateObject();
    listing l = {.json = cJSON_AddArrayToObject(root, "files")};
    pd_status status = PD_OK;
    if (!l.json)
        status = PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory for the JSON text");
    else
        status = hub_list(show_file, &l, err);
    if (status == PD_OK) return cli_print_json(root, err);
    cJSON_Delete(root);
    return status;
}

pd_status cli_list(const cli_options *o, pd_error *err) {
    listing l = {0};
    if (cli_given(o, OPT_JSON)) return list_json(err);
    PD_TRY(hub_list(show_file, &l, err));
    if (l.n_files == 0)
        fprintf(stderr, "no models were fetched; peridot fetch USER/REPO does that\n");
    return PD_OK;
}
