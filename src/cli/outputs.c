/* What a command writes is never what it reads: every path that the options give for writing is
 * compared with every one that they give for reading, and with the files these stand for, before
 * anything is opened. The table of options says which is which.
 *
 * SPDX-License-Identifier: MIT
 */
#include <string.h>

#include "base/file.h"
#include "cli/images.h"
#include "hub/hub.h"

/* ---- what is read --------------------------------------------------------------------------- */

/* The image encoder that nobody named. Where none is found, whoever needs it says so. */
static pd_status check_found_mmproj(const cli_options *o, const char *output, pd_error *err) {
    pd_error unused = {0};
    char *path = NULL;
    bool sees = cli_given(o, OPT_IMAGE) || o->command == CLI_EMBED_IMAGE || o->command == CLI_CHAT;
    if (!sees || !cli_text(o, OPT_MODEL) || cli_find_mmproj(o, &path, &unused) != PD_OK)
        return PD_OK;
    pd_status status = pd_gguf_check_output(output, path, err);
    pd_free(path);
    return status;
}

static pd_status check_text(const cli_options *o, const char *output, pd_error *err) {
    const char *tokens = cli_text(o, OPT_TOKENS), *file = cli_text(o, OPT_FILE);
    if (tokens && tokens[0] == '@') PD_TRY(pd_gguf_check_output(output, tokens + 1, err));
    bool takes_text = (cli_option_get(OPT_PROMPT)->commands >> o->command & 1) != 0;
    bool given = tokens || cli_text(o, OPT_PROMPT) || (file && strcmp(file, "-") != 0);
    return takes_text && !given ? pd_file_check_output(output, "/dev/stdin", err) : PD_OK;
}

static pd_status check_arguments(const cli_options *o, const char *output, pd_error *err) {
    uint32_t n = o->command == CLI_FETCH ? 0 : o->command == CLI_QUANTIZE ? 1 : o->n_args;
    for (uint32_t i = 0; i < n && i < o->n_args; i++)
        PD_TRY(pd_gguf_check_output(output, o->args[i], err));
    return PD_OK;
}

typedef struct cache_check {
    const char *output;
    pd_error err; /* its status is PD_OK until an entry is the output */
} cache_check;

static void check_entry(void *ctx, const hub_entry *e) {
    cache_check *c = ctx;
    if (c->err.status == PD_OK) c->err.status = pd_file_check_output(c->output, e->path, &c->err);
}

/* What -hf will find in the cache is known only later: none of it is written. */
static pd_status check_cache(const cli_options *o, const char *output, pd_error *err) {
    cache_check c = {.output = output};
    if (!cli_given(o, OPT_HF_REPO) && o->command != CLI_FETCH) return PD_OK;
    PD_TRY(hub_list(check_entry, &c, err));
    return pd_error_again(err, &c.err);
}

pd_status cli_check_output(const cli_options *o, const char *output, pd_error *err) {
    for (uint32_t i = 0; i < OPT_COUNT; i++) {
        const cli_value *v = &o->values[i];
        cli_kind kind = cli_option_get((cli_option_id)i)->kind;
        if (kind == KIND_FILE && v->text) PD_TRY(pd_gguf_check_output(output, v->text, err));
        for (uint32_t k = 0; kind == KIND_FILES && k < v->given; k++)
            PD_TRY(pd_gguf_check_output(output, v->texts[k], err));
    }
    PD_TRY(check_found_mmproj(o, output, err));
    PD_TRY(check_text(o, output, err));
    PD_TRY(check_cache(o, output, err));
    return check_arguments(o, output, err);
}

/* ---- what is written ------------------------------------------------------------------------ */

enum { MAX_OUTPUTS = 16 };

static uint32_t list_outputs(const cli_options *o, const char *out[MAX_OUTPUTS]) {
    uint32_t n = 0;
    if (o->command == CLI_QUANTIZE && o->n_args > 1) out[n++] = o->args[1];
    for (uint32_t i = 0; i < OPT_COUNT && n < MAX_OUTPUTS; i++)
        if (o->values[i].text && cli_option_get((cli_option_id)i)->kind == KIND_OUTPUT)
            out[n++] = o->values[i].text;
    return n;
}

pd_status cli_check_outputs(const cli_options *o, pd_error *err) {
    const char *outputs[MAX_OUTPUTS];
    uint32_t n = list_outputs(o, outputs);
    for (uint32_t i = 0; i < n; i++) {
        PD_TRY(cli_check_output(o, outputs[i], err));
        for (uint32_t k = 0; k < i; k++) PD_TRY(pd_file_check_outputs(outputs[i], outputs[k], err));
    }
    return PD_OK;
}

pd_status cli_write_output(const cli_options *o, cli_option_id id, pd_file_write_fn fn, void *ctx,
                           pd_error *err) {
    const char *path = cli_text(o, id);
    return path ? pd_file_write(path, fn, ctx, err) : fn(ctx, NULL, err);
}
