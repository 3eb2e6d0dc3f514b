/* `peridot convert DIR -o MODEL.gguf`: a checkpoint as GGUF files.  SPDX-License-Identifier: MIT */
#include "cli/commands.h"

static void tell_written(void *ctx, const pd_written_file *f) {
    char in[32], to[32], speed[32];
    cli_progress_end(ctx);
    fprintf(stderr, "%s: %s, %u tensors, %s -> %s in %.1f s, %s\n", f->path, f->type, f->n_tensors,
            pd_size_text(f->in_bytes, in), pd_size_text(f->out_bytes, to), (double)f->ns / 1e9,
            pd_rate_text(f->in_bytes, f->ns, speed));
}

pd_status cli_convert(const cli_options *o, pd_error *err) {
    cli_progress bar;
    if (o->n_args < 1) return PD_RAISE(err, PD_ERR_ARGUMENT, "the checkpoint's folder is missing");
    PD_TRY(cli_need(o, OPT_OUTPUT, err));
    pd_convert_desc desc = {.type = cli_text(o, OPT_TYPE),
                            .embedding = cli_text(o, OPT_EMBEDDING),
                            .mmproj = cli_text(o, OPT_CONVERT_MMPROJ),
                            .mmproj_type = cli_text(o, OPT_MMPROJ_TYPE),
                            .no_mmproj = cli_given(o, OPT_NO_MMPROJ),
                            .lora = cli_text(o, OPT_LORA),
                            .written = tell_written,
                            .written_ctx = &bar,
                            .work = cli_work_begin(o, "converting", &bar)};
    pd_status status = pd_files_convert(o->args[0], cli_text(o, OPT_OUTPUT), &desc, err);
    cli_progress_end(&bar);
    return status;
}
