/* Opens a model as the options say.  SPDX-License-Identifier: MIT */
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/os_file.h"
#include "cli/images.h"
#include "model/mmproj_find.h"

/* Conversations, whose length nobody knows, and whose pictures may come later. */
static bool takes_turns(const cli_options *o) {
    return o->command == CLI_CHAT || o->command == CLI_SERVE;
}

pd_session_desc cli_session(const cli_options *o, uint32_t n_ctx) {
    bool logits = o->command == CLI_LOGITS, vision = o->command == CLI_EMBED_IMAGE;
    bool goes_back = takes_turns(o); /* and grows; the others' memory is known beforehand */
    pd_precision usual = logits || vision ? PD_PRECISION_EXACT : PD_PRECISION_F16;
    return (pd_session_desc){.n_ctx = n_ctx,
                             .n_chunk = cli_u32(o, OPT_BATCH),
                             .precision = cli_precision(o, OPT_PRECISION, usual),
                             .all_logits = logits || o->command == CLI_SCORE,
                             .checkpoint_positions = goes_back ? 0 : PD_NO_CHECKPOINTS,
                             .all_pages = !goes_back};
}

/* The context that the options ask for, more than any model's for a model's own; 0: none. */
static uint32_t wanted_ctx(const cli_options *o) {
    if (o->command == CLI_SCORE) return cli_u32(o, OPT_SCORE_CTX) + cli_u32(o, OPT_STRIDE) / 2;
    cli_option_id id = o->command == CLI_CHAT    ? OPT_CHAT_CTX
                       : o->command == CLI_SERVE ? OPT_SERVE_CTX
                                                 : OPT_CTX_SIZE;
    if (!cli_given(o, id)) return 0;
    uint32_t n_ctx = cli_u32(o, id);
    return n_ctx ? n_ctx : UINT32_MAX;
}

static pd_status raise_no_model(pd_error *err) {
    pd_status status = PD_RAISE(err, PD_ERR_ARGUMENT, "--model FILE is missing");
    return pd_error_hint(err, status,
                         "name a Gemma 3 GGUF file, fetch one with -hf USER/REPO, or make one to "
                         "try: peridot synth -o tiny.gguf");
}

pd_status cli_model_paths(const cli_options *o, const char **paths, uint32_t n_max, uint32_t *n,
                          pd_error *err) {
    const cli_value *model = &o->values[OPT_MODEL];
    *n = 0;
    if (model->given && (!model->from_env || o->n_args == 0)) paths[(*n)++] = model->text;
    for (uint32_t i = 0; i < o->n_args; i++) {
        if (*n == n_max)
            return PD_RAISE(err, PD_ERR_ARGUMENT, "\"%s\" is one file too many", o->args[i]);
        paths[(*n)++] = o->args[i];
    }
    return *n > 0 ? PD_OK : raise_no_model(err);
}

static pd_model_desc model_desc(const cli_options *o, const char *device) {
    return (pd_model_desc){.device = device,
                           .n_threads = cli_u32(o, OPT_THREADS),
                           .memory_limit_bytes = (uint64_t)cli_int(o, OPT_MEMORY_LIMIT) << 20,
                           .no_repack = cli_given(o, OPT_NO_REPACK),
                           .head = cli_head(o),
                           .session = cli_session(o, wanted_ctx(o))};
}

/* A folder with a checkpoint has what convert needs. */
static pd_status hint_checkpoint(const char *path, pd_error *err) {
    pd_bytes config = {0};
    pd_bytes_printf(&config, "%s/config.json", path);
    bool found = config.data && !config.failed && pd_path_exists(config.data);
    pd_bytes_free(&config);
    if (!found) return PD_ERR_IO;
    return pd_error_hint(err, PD_ERR_IO, "peridot convert %s -o MODEL.gguf makes a file of it",
                         path);
}

static pd_status open_with_progress(const char *path, pd_model_desc *desc, pd_model **out,
                                    pd_error *err) {
    cli_progress progress;
    cli_interrupt_install();
    cli_progress_begin(&progress, "loading");
    desc->progress = cli_progress_update;
    desc->progress_ctx = &progress;
    pd_status status = pd_model_open(path, desc, out, err);
    cli_progress_end(&progress);
    return status == PD_ERR_IO ? hint_checkpoint(path, err) : status;
}

/* The image encoder's file, where one is needed; NULL: none. A conversation may come to need the
 * one that lies beside the model, and does without if there is none. *path: pd_free. */
static pd_status choose_mmproj(const cli_options *o, cli_open_what what, char **path,
                               pd_error *err) {
    pd_error unused;
    bool named = o->values[OPT_IMAGE].given || o->values[OPT_MMPROJ].given;
    bool without = takes_turns(o) && cli_given(o, OPT_NO_MMPROJ);
    *path = NULL;
    if (without && o->values[OPT_IMAGE].given)
        return PD_RAISE(err, PD_ERR_ARGUMENT, "--image and --no-mmproj cannot be used together");
    if (without || what == CLI_OPEN_VOCAB) return PD_OK;
    if (what == CLI_OPEN_VISION || named) return cli_find_mmproj(o, path, err);
    if (takes_turns(o) && pd_mmproj_find(cli_text(o, OPT_MODEL), path, &unused) != PD_OK)
        *path = NULL;
    return PD_OK;
}

static pd_status open_on(const cli_options *o, cli_open_what what, const char *device,
                         const pd_session_desc *first, pd_model **out, pd_error *err) {
    *out = NULL;
    const char *path = cli_text(o, OPT_MODEL);
    if (!path) return raise_no_model(err);
    char *mmproj;
    PD_TRY(choose_mmproj(o, what, &mmproj, err));
    pd_model_desc desc = model_desc(o, device);
    desc.vocab_only = what == CLI_OPEN_VOCAB;
    desc.vision_only = what == CLI_OPEN_VISION;
    desc.estimate_only = what == CLI_OPEN_ESTIMATE;
    desc.mmproj = mmproj;
    if (first) desc.session = *first;
    pd_status status = open_with_progress(path, &desc, out, err);
    bool guessed = mmproj && takes_turns(o) && !cli_text(o, OPT_MMPROJ);
    if (status == PD_ERR_MODEL && guessed && !o->values[OPT_IMAGE].given) {
        pd_log(PD_LOG_WARN, "cli", "\"%s\" is left out: %s", mmproj, err->message);
        desc.mmproj = NULL;
        status = open_with_progress(path, &desc, out, err);
    }
    pd_free(mmproj);
    return status;
}

pd_status cli_open_model_for(const cli_options *o, cli_open_what what, const pd_session_desc *first,
                             pd_model **out, pd_error *err) {
    PD_TRY(open_on(o, what, cli_text(o, OPT_DEVICE), first, out, err));
    cli_tell_toy(o);
    return PD_OK;
}

pd_status cli_open_on(const cli_options *o, const char *device, const pd_session_desc *first,
                      pd_model **out, pd_error *err) {
    return open_on(o, CLI_OPEN_ALL, device, first, out, err);
}

pd_status cli_open_model(const cli_options *o, cli_open_what what, pd_model **out, pd_error *err) {
    return cli_open_model_for(o, what, NULL, out, err);
}

pd_status cli_open_other_model(const cli_options *o, const char *path, const char *device,
                               pd_model **out, pd_error *err) {
    pd_model_desc desc = model_desc(o, device);
    return open_with_progress(path, &desc, out, err);
}

pd_status cli_fit_session(pd_model *model, pd_session_desc *desc, pd_fit *fit, pd_error *err) {
    PD_TRY(pd_model_fit(model, desc, fit, err));
    if (fit->n_ctx) desc->n_ctx = fit->n_ctx;
    return PD_OK;
}

void cli_print_fit(const cli_options *o, const pd_fit *fit) {
    char held[32], limit[32];
    if (fit->n_ctx == 0 || fit->n_ctx == fit->n_ctx_wanted || cli_given(o, OPT_QUIET)) return;
    fprintf(stderr, "peridot: a context of %u positions instead of %u: %s of %s\n", fit->n_ctx,
            fit->n_ctx_wanted, pd_size_text(fit->bytes, held),
            pd_size_text(fit->limit_bytes, limit));
}

pd_status cli_with_session(pd_model *model, const pd_session_desc *desc, cli_session_fn fn,
                           void *ctx, pd_error *err) {
    pd_session *session;
    PD_TRY(pd_session_create(model, desc, &session, err));
    cli_interrupt_watch(session, NULL);
    pd_status status = fn(ctx, session, err);
    cli_interrupt_watch(NULL, NULL);
    pd_session_destroy(session);
    return status;
}
