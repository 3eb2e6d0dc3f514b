/* `peridot synth`: a model of any of the family's shapes with random weights.
 *
 * SPDX-License-Identifier: MIT
 */
#include <string.h>

#include "cli/commands.h"

static pd_status check_options(const cli_options *o, pd_synth_kind kind, pd_error *err) {
    static const cli_option_id of_gguf[] = {OPT_TYPE, OPT_EMBD_TYPE, OPT_QAT, OPT_SYNTH_MMPROJ};
    static const cli_option_id of_text[] = {OPT_EMBD_TYPE, OPT_QAT, OPT_VOCAB, OPT_SYNTH_CTX,
                                            OPT_TOKENIZER};
    const char *other = NULL;
    if (kind == PD_SYNTH_CHECKPOINT)
        other = cli_first_given(o, of_gguf, sizeof of_gguf / sizeof *of_gguf);
    else if (kind == PD_SYNTH_MMPROJ)
        other = cli_first_given(o, of_text, sizeof of_text / sizeof *of_text);
    if (other)
        return PD_RAISE(err, PD_ERR_ARGUMENT, "%s is for %s", other,
                        kind == PD_SYNTH_CHECKPOINT
                            ? "GGUF files and cannot be used with --hf"
                            : "text models and cannot be used with --mmproj");
    if (!cli_text(o, OPT_OUTPUT))
        return PD_RAISE(err, PD_ERR_ARGUMENT, "--output %s is missing",
                        kind == PD_SYNTH_CHECKPOINT ? "FOLDER" : "FILE");
    const char *type = cli_text(o, OPT_TYPE);
    if (cli_given(o, OPT_QAT) && type && strcmp(type, "q4_0") != 0)
        return PD_RAISE(err, PD_ERR_ARGUMENT, "--qat goes with --type q4_0 only, not %s", type);
    return PD_OK;
}

/* A number that was not given is 0. */
static pd_synth_desc read_desc(const cli_options *o, pd_synth_kind kind) {
    pd_synth_desc desc = {.kind = kind,
                          .preset = cli_text(o, OPT_PRESET),
                          .type = cli_text(o, OPT_TYPE),
                          .embedding = cli_text(o, OPT_EMBD_TYPE),
                          .n_layers = cli_u32(o, OPT_LAYERS),
                          .n_vocab = cli_u32(o, OPT_VOCAB),
                          .n_ctx = cli_u32(o, OPT_SYNTH_CTX),
                          .tokenizer = cli_text(o, OPT_TOKENIZER),
                          .seed = (uint64_t)cli_int(o, OPT_SYNTH_SEED)};
    if (cli_given(o, OPT_QAT) && !desc.embedding) desc.embedding = "f16";
    return desc;
}

static void tell(const pd_synth_report *r, const char *path, pd_synth_kind kind) {
    char size[32], what[96];
    switch (kind) {
    case PD_SYNTH_TEXT:
        snprintf(what, sizeof what, ", %s layers, %s embedding, %u tensors", r->type, r->embedding,
                 r->n_tensors);
        break;
    case PD_SYNTH_MMPROJ:
        snprintf(what, sizeof what, ", %s layers, %u tensors", r->type, r->n_tensors);
        break;
    case PD_SYNTH_CHECKPOINT:
        snprintf(what, sizeof what, ", %u tensors in %u files", r->n_tensors, r->n_files);
        break;
    }
    fprintf(stderr, "%s: %s%s%s, %s; the weights are random\n", path,
            kind == PD_SYNTH_MMPROJ ? "image encoder of " : "", r->preset, what,
            pd_size_text(r->n_bytes, size));
}

pd_status cli_synth(const cli_options *o, pd_error *err) {
    pd_synth_kind kind = cli_given(o, OPT_SYNTH_HF)       ? PD_SYNTH_CHECKPOINT
                         : cli_given(o, OPT_SYNTH_MMPROJ) ? PD_SYNTH_MMPROJ
                                                          : PD_SYNTH_TEXT;
    const char *path = cli_text(o, OPT_OUTPUT);
    pd_synth_report report;
    cli_progress bar;
    PD_TRY(check_options(o, kind, err));
    pd_synth_desc desc = read_desc(o, kind);
    desc.work = cli_work_begin(o, "writing", &bar);
    pd_status status = pd_files_synth(path, &desc, &report, err);
    cli_progress_end(&bar);
    if (status == PD_OK) tell(&report, path, kind);
    return status;
}
