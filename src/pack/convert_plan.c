/* Which tensor of a checkpoint becomes which tensor of a file, and in which type.
 *
 * Types follow llama.cpp's converter and quantiser: matrices of layers get the wanted type, as far
 * as its blocks divide their rows; norms, biases, the patches' convolution and the positions are
 * F32; the projector, which is stored transposed, keeps 16 bits where the rest is quantised. Rows
 * of the embedding behind the vocabulary's end are padding and left out.
 *
 * SPDX-License-Identifier: MIT
 */
#include <inttypes.h>
#include <string.h>

#include "base/log.h"
#include "pack/convert.h"

/* ---- from names to places ------------------------------------------------------------------- */

static pd_status bind_tensor(convert_file *file, const pd_hf_weight *w, const pd_safetensor *t,
                             pd_error *err) {
    convert_tensor *c = &file->tensors[w - file->weights.items];
    if (c->from)
        return PD_RAISE(err, PD_ERR_MODEL, "\"%.80s\" and \"%.80s\" are the same tensor",
                        c->from->name, t->name);
    c->weight = w;
    c->from = t;
    return PD_OK;
}

/* Left out on purpose: the output matrix where it is the embedding again, numbers that are no
 * weights, and SigLIP's head, which Gemma 3 does not use. */
static bool is_ignored(pd_hf_part part, const char *rest) {
    if (part == PD_HF_OUTPUT) return true;
    if (part != PD_HF_TOWER) return false;
    return strncmp(rest, "head.", 5) == 0 || strcmp(rest, "embeddings.position_ids") == 0;
}

static pd_status bind_all(convert_job *job, pd_error *err) {
    for (uint32_t i = 0; i < pd_safetensors_count(job->in); i++) {
        const pd_safetensor *t = pd_safetensors_at(job->in, i);
        pd_hf_part part;
        const char *rest = pd_hf_strip(t->name, &part);
        bool of_images = part == PD_HF_TOWER || part == PD_HF_PROJECTOR;
        if (of_images && !job->has_vision) continue;
        convert_file *file = of_images ? &job->vision : &job->text;
        const pd_hf_weight *w = pd_hf_find(&file->weights, part, rest);
        if (w) {
            PD_TRY(bind_tensor(file, w, t, err));
        } else if (is_ignored(part, rest)) {
            pd_log(PD_LOG_INFO, "convert", "%s is left out", t->name);
        } else {
            return PD_RAISE(err, PD_ERR_UNSUPPORTED,
                            "the checkpoint holds \"%.120s\", which is not a tensor of the Gemma 3 "
                            "that config.json describes",
                            t->name);
        }
    }
    return PD_OK;
}

/* ---- one tensor ----------------------------------------------------------------------------- */

static const char *shape_text(uint32_t n_dims, const uint64_t *shape, char out[96]) {
    size_t n = 0;
    for (uint32_t i = 0; i < n_dims && i < 4; i++)
        n += (size_t)snprintf(out + n, 96 - n, "%s%" PRIu64, i ? ", " : "", shape[i]);
    out[n] = '\0';
    return out;
}

static pd_status check_shape(const pd_hf_weight *w, const pd_safetensor *t, pd_error *err) {
    bool same = t->n_dims == w->n_dims;
    for (uint32_t i = 0; i < w->n_dims && same; i++) {
        bool rows_of_tokens = w->role == PD_HF_EMBEDDING && i == 0;
        same = t->shape[i] == w->shape[i] || (rows_of_tokens && t->shape[i] > w->shape[i]);
    }
    char found[96], wanted[96];
    if (!same)
        return PD_RAISE(err, PD_ERR_MODEL, "the tensor \"%.120s\" is [%s], expected [%s]", t->name,
                        shape_text(t->n_dims, t->shape, found),
                        shape_text(w->n_dims, w->shape, wanted));
    if (t->is_float) return PD_OK;
    return PD_RAISE(err, PD_ERR_UNSUPPORTED,
                    "the tensor \"%.120s\" is stored as %s, Peridot converts BF16, F16 and F32",
                    t->name, t->dtype);
}

static pd_status choose_embedding(const convert_job *job, uint64_t cols, pd_type *out,
                                  pd_error *err) {
    *out = pd_type_fitting(job->embd_type, cols);
    if (*out == job->embd_type || !job->embd_named) return PD_OK;
    return PD_RAISE(err, PD_ERR_ARGUMENT,
                    "--embedding %s has blocks of %" PRIu32 " values, but a row has %" PRIu64,
                    pd_type_name((uint32_t)job->embd_type),
                    pd_type_get((uint32_t)job->embd_type)->block_values, cols);
}

static pd_status choose_type(const convert_job *job, const convert_file *file,
                             const pd_hf_weight *w, pd_type *out, pd_error *err) {
    uint64_t cols = w->shape[w->n_dims - 1];
    bool in_blocks = pd_type_get((uint32_t)file->type)->block_values != 1;
    *out = PD_TYPE_F32;
    switch (w->role) {
    case PD_HF_EMBEDDING: return choose_embedding(job, cols, out, err);
    case PD_HF_MATRIX: *out = pd_type_fitting(file->type, cols); break;
    case PD_HF_PROJECTION: *out = in_blocks ? PD_TYPE_F16 : file->type; break;
    case PD_HF_NORM:
    case PD_HF_VECTOR:
    case PD_HF_PATCHES:
    case PD_HF_POSITIONS: break;
    }
    return PD_OK;
}

static pd_status plan_tensor(convert_job *job, convert_file *file, uint32_t i, pd_error *err) {
    convert_tensor *t = &file->tensors[i];
    const pd_hf_weight *w = &file->weights.items[i];
    if (!t->from) {
        pd_status status = PD_RAISE(err, PD_ERR_MODEL, "the checkpoint has no tensor \"%s\" (%s)",
                                    w->hf_name, w->name);
        return file == &job->vision
                   ? pd_error_hint(err, status, "--no-mmproj converts the text model alone")
                   : status;
    }
    PD_TRY(check_shape(w, t->from, err));
    PD_TRY(choose_type(job, file, w, &t->type, err));
    if (job->lora) PD_TRY(convert_lora_find(job->lora, w, &t->delta, err));
    t->n_values = w->shape[0] * w->shape[1] * w->shape[2] * w->shape[3];
    file->in_bytes += pd_type_row_bytes(pd_type_get((uint32_t)t->from->type), t->n_values);
    file->out_bytes += pd_type_row_bytes(pd_type_get((uint32_t)t->type), t->n_values);
    pd_log(PD_LOG_INFO, "convert", "%s: %s %s -> %s %s%s", t->from->name, t->from->dtype,
           t->delta ? "with the adapter" : "", w->name, pd_type_name((uint32_t)t->type),
           w->role == PD_HF_NORM ? ", 1 added" : "");
    return PD_OK;
}

static pd_status create_tensors(convert_job *job, convert_file *file, pd_error *err) {
    file->tensors = pd_arena_alloc(&job->arena, file->weights.n, sizeof *file->tensors);
    return file->tensors ? PD_OK
                         : PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory for a model");
}

pd_status convert_plan(convert_job *job, pd_error *err) {
    PD_TRY(pd_hf_text_weights(&job->config.text, job->config.tied, &job->text.weights, err));
    PD_TRY(create_tensors(job, &job->text, err));
    if (job->has_vision) {
        PD_TRY(pd_hf_vision_weights(&job->config.vision, &job->vision.weights, err));
        PD_TRY(create_tensors(job, &job->vision, err));
    }
    PD_TRY(bind_all(job, err));
    for (uint32_t i = 0; i < job->text.weights.n; i++) PD_TRY(plan_tensor(job, &job->text, i, err));
    for (uint32_t i = 0; i < job->vision.weights.n; i++)
        PD_TRY(plan_tensor(job, &job->vision, i, err));
    return job->lora ? convert_lora_check(job->lora, err) : PD_OK;
}
