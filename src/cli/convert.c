/* `peridot convert DIR -o MODEL.gguf`: a checkpoint as GGUF files.  SPDX-License-Identifier: MIT */
#include "cli/commands.h"

static void tell_written(void *ctx, const pd_written_file *f) {
    char in[32], to[32], speed[32];
    double seconds = (double)f->ns / 1e9;
    cli_progress_end(ctx);
    fprintf(stderr, "%s: %s, %u tensors, %s -> %s in %.1f s, %s/s\n", f->path, f->type,
            f->n_tensors, pd_size_text(f->in_bytes, in), pd_size_text(f->out_bytes, to), seconds,
            pd_size_text((uint64_t)((double)f->in_bytes / seconds), speed));
}

pd_status cli_convert(const cli_options *o, pd_error *err) {
    const char *path = cli_text(o, OPT_OUTPUT);
    cli_progress bar;
    if (o->n_args < 1) return PD_RAISE(err, PD_ERR_ARGUMENT, "the checkpoint's folder is missing");
    if (!path) return PD_RAISE(err, PD_ERR_ARGUMENT, "--output FILE is missing");
    pd_convert_desc desc = {.type = cli_text(o, OPT_TYPE),
                            .embedding = cli_text(o, OPT_EMBEDDING),
                            .mmproj = cli_text(o, OPT_CONVERT_MMPROJ),
                            .mmproj_type = cli_text(o, OPT_MMPROJ_TYPE),
                            .no_mmproj = cli_given(o, OPT_NO_MMPROJ),
                            .lora = cli_text(o, OPT_LORA),
                            .written = tell_written,
                            .written_ctx = &bar,
                            .work = cli_work_begin(o, "converting", &bar)};
    pd_status status = pd_files_convert(o->args[0], path, &desc, err);
    cli_progress_end(&bar);
    return status;
}
