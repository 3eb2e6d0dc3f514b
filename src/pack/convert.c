/* A Gemma 3 checkpoint in Hugging Face's layout (config.json, safetensors, tokenizer files) as GGUF
 * files: the text model and, where the checkpoint has one, the image encoder. Optionally a LoRA
 * adapter is merged in.
 *
 * The checkpoint is mapped and streamed through: memory does not grow with it. The files appear
 * when both are complete or not at all.
 *
 * SPDX-License-Identifier: MIT
 */
#include "pack/convert.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/folder.h"
#include "base/os_file.h"
#include "pack/structure.h"

/* ---- what is asked for ---------------------------------------------------------------------- */

static pd_status read_paths(convert_job *job, const char *path, const char *mmproj, pd_error *err) {
    job->text.path = path;
    size_t name_at = pd_path_name_at(path);
    job->vision.path =
        mmproj ? mmproj
               : pd_arena_printf(&job->arena, "%.*smmproj-%s", (int)name_at, path, path + name_at);
    char *full = pd_path_real(job->folder);
    const char *folder = full ? full : job->folder;
    job->name = pd_arena_strdup(&job->arena, folder + pd_path_name_at(folder));
    pd_free(full);
    if (!job->vision.path || !job->name)
        return PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory for a path");
    return PD_OK;
}

static pd_status read_types(convert_job *job, const pd_convert_desc *desc, pd_error *err) {
    PD_TRY(pack_type("the matrices", desc->type, PD_TYPE_Q4_0, &job->text.type, err));
    PD_TRY(pack_type("the image encoder", desc->mmproj_type, PD_TYPE_F16, &job->vision.type, err));
    job->embd_named = desc->embedding != NULL;
    return pack_type("the embedding", desc->embedding, pd_type_embedding(job->text.type),
                     &job->embd_type, err);
}

/* None of the files to write is one that is read, or the other one. */
static pd_status check_outputs(const convert_job *job, const char *lora, pd_error *err) {
    const char *outputs[2] = {job->text.path, job->vision.path};
    if (job->has_vision) PD_TRY(pd_file_check_outputs(outputs[0], outputs[1], err));
    for (int i = 0; i < (job->has_vision ? 2 : 1); i++) {
        if (lora) PD_TRY(pd_file_check_output(outputs[i], lora, err));
        PD_TRY(pd_file_check_output(outputs[i], job->folder, err));
    }
    return PD_OK;
}

static pd_status read_job(convert_job *job, const char *path, const pd_convert_desc *desc,
                          pd_error *err) {
    PD_TRY(read_paths(job, path, desc->mmproj, err));
    PD_TRY(read_types(job, desc, err));
    PD_TRY(pd_hf_config_read(job->folder, &job->config, err));
    job->has_vision = job->config.has_vision && !desc->no_mmproj;
    if (desc->mmproj && !job->has_vision)
        return PD_RAISE(err, PD_ERR_ARGUMENT, "there is no image encoder to write to \"%s\"",
                        job->vision.path);
    PD_TRY(check_outputs(job, desc->lora, err));
    PD_TRY(pd_safetensors_open(job->folder, &job->in, err));
    PD_TRY(convert_read_vocab(job, err));
    if (desc->lora) PD_TRY(convert_lora_open(desc->lora, &job->lora, err));
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
    pd_gguf_writer *writer; /* NULL: never opened */
    uint64_t ns;
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
    out->ns = pd_clock_ns() - start_ns;
    return PD_OK;
}

static void tell_written(const output *out, const pd_convert_desc *desc) {
    const convert_file *file = out->file;
    const pd_written_file written = {.path = file->path,
                                     .type = pd_type_name((uint32_t)file->type),
                                     .n_tensors = file->weights.n,
                                     .in_bytes = file->in_bytes,
                                     .out_bytes = file->out_bytes,
                                     .ns = out->ns};
    if (desc->written) desc->written(desc->written_ctx, &written);
}

/* Both files are complete before either gets its name. */
static pd_status write_files(const convert_job *job, const pd_convert_desc *desc, pd_error *err) {
    output outputs[2] = {{.file = &job->text}, {.file = &job->vision}};
    unsigned n = job->has_vision ? 2 : 1;
    pd_status status = PD_OK;
    for (unsigned i = 0; i < n && status == PD_OK; i++) status = write_file(job, &outputs[i], err);
    if (status != PD_OK) {
        for (unsigned i = 0; i < n; i++) pd_gguf_writer_abort(outputs[i].writer);
        return status;
    }
    pd_gguf_writer *writers[2] = {outputs[0].writer, outputs[1].writer};
    PD_TRY(pd_gguf_writers_commit(writers, n, err));
    for (unsigned i = 0; i < n; i++) tell_written(&outputs[i], desc);
    return PD_OK;
}

pd_status pd_files_convert(const char *folder, const char *path, const pd_convert_desc *desc,
                           pd_error *err) {
    static const pd_convert_desc none;
    PD_NEED(err, folder);
    PD_NEED(err, path);
    if (!desc) desc = &none;
    convert_job job = {.folder = folder, .work = &desc->work};
    pd_status status = read_job(&job, path, desc, err);
    if (status == PD_OK) status = write_files(&job, desc, err);
    job_free(&job);
    return status;
}
