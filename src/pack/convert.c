/* `peridot convert DIR -o MODEL.gguf`: a Gemma 3 checkpoint in Hugging Face's layout (config.json,
 * safetensors, tokenizer files) as GGUF files: the text model and, where the checkpoint has one,
 * the image encoder. Optionally a LoRA adapter is merged in.
 *
 * The checkpoint is mapped and streamed through: memory does not grow with it. The files appear
 * when both are complete or not at all.
 *
 * SPDX-License-Identifier: MIT
 */
#include "pack/convert.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/folder.h"
#include "pack/structure.h"

/* ---- what is asked for ---------------------------------------------------------------------- */

static pd_type type_of(const cli_options *o, cli_option_id id, pd_type absent) {
    return cli_given(o, id) ? pd_type_find(cli_text(o, id))->type : absent;
}

static pd_status read_paths(const cli_options *o, convert_job *job, pd_error *err) {
    if (o->n_args < 1) return PD_RAISE(err, PD_ERR_ARGUMENT, "the checkpoint's folder is missing");
    job->folder = o->args[0];
    job->text.path = cli_text(o, OPT_OUTPUT);
    if (!job->text.path) return PD_RAISE(err, PD_ERR_ARGUMENT, "--output FILE is missing");
    size_t name_at = pd_path_name_at(job->text.path);
    job->vision.path = cli_text(o, OPT_CONVERT_MMPROJ);
    if (!job->vision.path)
        job->vision.path = pd_arena_printf(&job->arena, "%.*smmproj-%s", (int)name_at,
                                           job->text.path, job->text.path + name_at);
    char *full = realpath(job->folder, NULL);
    const char *folder = full ? full : job->folder;
    job->name = pd_arena_strdup(&job->arena, folder + pd_path_name_at(folder));
    free(full);
    if (!job->vision.path || !job->name)
        return PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory for a path");
    return PD_OK;
}

static pd_status read_job(const cli_options *o, convert_job *job, pd_error *err) {
    PD_TRY(read_paths(o, job, err));
    job->text.type = type_of(o, OPT_TYPE, PD_TYPE_Q4_0);
    job->vision.type = type_of(o, OPT_MMPROJ_TYPE, PD_TYPE_F16);
    job->embd_named = cli_given(o, OPT_EMBEDDING);
    job->embd_type = type_of(o, OPT_EMBEDDING, pd_type_embedding(job->text.type));
    job->n_threads = cli_u32(o, OPT_THREADS);
    PD_TRY(pd_hf_config_read(job->folder, &job->config, err));
    job->has_vision = job->config.has_vision && !cli_given(o, OPT_NO_MMPROJ);
    if (cli_given(o, OPT_CONVERT_MMPROJ) && !job->has_vision)
        return PD_RAISE(err, PD_ERR_ARGUMENT, "there is no image encoder to write to \"%s\"",
                        job->vision.path);
    if (job->has_vision) {
        PD_TRY(pd_file_check_outputs(job->text.path, job->vision.path, err));
        PD_TRY(cli_check_output(o, job->vision.path, err)); /* main knows of given ones only */
    }
    PD_TRY(pd_safetensors_open(job->folder, &job->in, err));
    PD_TRY(convert_read_vocab(job, err));
    if (cli_given(o, OPT_LORA)) PD_TRY(convert_lora_open(cli_text(o, OPT_LORA), &job->lora, err));
    return convert_plan(job, err);
}

static void job_free(convert_job *job) {
    convert_lora_close(job->lora);
    pd_safetensors_close(job->in);
    pd_hf_tokenizer_free(&job->vocab);
    pd_hf_weights_free(&job->text.weights);
    pd_hf_weights_free(&job->vision.weights);
    pd_free(job->chat_template);
    pd_arena_destroy(&job->arena);
}

/* ---- writing -------------------------------------------------------------------------------- */

static pd_status fill_file(const convert_job *job, const convert_file *file, pd_gguf_writer *w,
                           pd_error *err) {
    if (file == &job->vision) {
        convert_write_vision_values(job, w);
    } else {
        convert_write_text_values(job, w);
    }
    for (uint32_t i = 0; i < file->weights.n; i++) {
        const pd_hf_weight *from = &file->weights.items[i];
        uint64_t ne[PD_GGUF_MAX_DIMS];
        for (uint32_t k = 0; k < from->n_dims; k++) ne[k] = from->shape[from->n_dims - 1 - k];
        pd_gguf_write_tensor(w, from->name, file->tensors[i].type, from->n_dims, ne);
    }
    pd_gguf_begin_data(w);
    return convert_write_data(job, file, w, err);
}

typedef struct output {
    const convert_file *file;
    pd_gguf_writer *writer; /* NULL: committed, or never opened */
    double seconds;
} output;

/* What checkpoints may hold and models may not (a token of megabytes, one that is not UTF-8) shows
 * when the file is read as a run reads it. */
static pd_status check_written(const convert_job *job, const pd_gguf_writer *w, pd_error *err) {
    pd_gguf *g = NULL;
    pd_error why = {0};
    pd_status status = pd_gguf_writer_read(w, &g, &why);
    if (status == PD_OK && g) status = pack_check_structure(g, &why);
    pd_gguf_close(g);
    if (status == PD_OK) return PD_OK;
    return PD_RAISE(err, status, "what \"%s\" holds gives no model that can be run: %s",
                    job->folder, why.message);
}

static pd_status write_file(const convert_job *job, output *out, pd_error *err) {
    uint64_t start_ns = pd_clock_ns();
    PD_TRY(pd_disk_check(out->file->path, out->file->out_bytes, err));
    PD_TRY(pd_gguf_writer_open(out->file->path, &out->writer, err));
    PD_TRY(fill_file(job, out->file, out->writer, err));
    PD_TRY(pd_gguf_writer_finish(out->writer, err));
    PD_TRY(check_written(job, out->writer, err));
    out->seconds = (double)(pd_clock_ns() - start_ns) / 1e9;
    return PD_OK;
}

static void print_summary(const output *out) {
    const convert_file *file = out->file;
    char in[32], to[32], speed[32];
    fprintf(stderr, "%s: %s, %" PRIu32 " tensors, %s -> %s in %.1f s, %s/s\n", file->path,
            pd_type_name((uint32_t)file->type), file->weights.n, pd_size_text(file->in_bytes, in),
            pd_size_text(file->out_bytes, to), out->seconds,
            pd_size_text((uint64_t)((double)file->in_bytes / out->seconds), speed));
}

/* Both files are complete before either gets its name. */
static pd_status write_files(const convert_job *job, pd_error *err) {
    output outputs[2] = {{.file = &job->text}, {.file = &job->vision}};
    unsigned n = job->has_vision ? 2 : 1;
    pd_status status = PD_OK;
    for (unsigned i = 0; i < n && status == PD_OK; i++) status = write_file(job, &outputs[i], err);
    for (unsigned i = 0; i < n && status == PD_OK; i++) {
        status = pd_gguf_writer_commit(outputs[i].writer, err);
        outputs[i].writer = NULL;
        if (status == PD_OK) print_summary(&outputs[i]);
    }
    for (unsigned i = 0; i < n; i++) pd_gguf_writer_abort(outputs[i].writer);
    return status;
}

pd_status cli_convert(const cli_options *o, pd_error *err) {
    convert_job job = {0};
    cli_interrupt_install();
    pd_status status = read_job(o, &job, err);
    if (status == PD_OK) status = write_files(&job, err);
    job_free(&job);
    return status;
}
