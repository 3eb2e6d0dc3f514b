/* What `quantize` does with each tensor and each setting.
 *
 * llama.cpp's rules: matrices whose name ends in ".weight" get the wanted type, norms and all
 * vectors stay as they are. The output matrix (the embedding where that is both) gets more bits.
 * Where blocks do not divide a row, pd_type_fitting says what is taken instead.
 *
 * Of an image encoder only the layers' matrices change. The patches' convolution has rows of 14
 * values; positions are added rather than multiplied, so that their errors do not average out; the
 * projection is stored transposed, and blocks would lie across the rows that are summed. Together
 * they are a hundredth of the file.
 *
 * Settings are copied as they are, but general.file_type and general.quantization_version describe
 * the new file, split.* would be wrong for one file, and the writer's alignment is the default.
 *
 * SPDX-License-Identifier: MIT
 */
#include <string.h>

#include "base/memory.h"
#include "pack/quantize.h"

enum { QUANTIZATION_VERSION = 2 }; /* ggml's GGML_QNT_VERSION: the layouts of quant.c */

/* ---- tensors -------------------------------------------------------------------------------- */

static bool begins(const char *name, const char *with) {
    return strncmp(name, with, strlen(with)) == 0;
}

static bool ends(const char *name, const char *with) {
    size_t n = strlen(name), m = strlen(with);
    return n >= m && strcmp(name + n - m, with) == 0;
}

static bool is_changed(const pd_tensor *t) {
    if (t->n_dims != 2 || !ends(t->name, ".weight") || ends(t->name, "_norm.weight")) return false;
    bool vision = begins(t->name, "v.") || begins(t->name, "mm.");
    return !vision || begins(t->name, "v.blk.");
}

static bool is_head(const pd_gguf *g, const pd_tensor *t) {
    if (strcmp(t->name, "output.weight") == 0) return true;
    return strcmp(t->name, "token_embd.weight") == 0 && !pd_gguf_find_tensor(g, "output.weight");
}

/* A named type is for both of two matrices; the rule is for the one that makes the logits. */
static pd_type wanted_type(const quantize_job *job, const quantize_tensor *t) {
    bool named = job->head_named && strcmp(t->from->name, "token_embd.weight") == 0;
    return t->is_head || named ? job->head_type : job->type;
}

static pd_status plan_tensor(quantize_job *job, quantize_tensor *t, pd_error *err) {
    const pd_tensor *from = t->from;
    t->type = from->type;
    if (!is_changed(from)) return PD_OK;
    t->is_head = is_head(job->in, from);
    pd_type wanted = wanted_type(job, t);
    t->type = pd_type_fitting(wanted, from->ne[0]);
    t->is_fallback = t->type != wanted;
    if (t->is_head && t->is_fallback && job->head_named)
        return PD_RAISE(err, PD_ERR_ARGUMENT,
                        "%s has blocks of %u values, but a row of %s has %llu",
                        pd_type_name((uint32_t)wanted), pd_type_get((uint32_t)wanted)->block_values,
                        from->name, (unsigned long long)from->ne[0]);
    job->report->n_fallback += t->is_fallback;
    if (t->type != from->type && pd_type_get((uint32_t)from->type)->block_values != 1)
        job->report->n_requantised++;
    return PD_OK;
}

/* Counts a tensor in the report, with those of the same types. */
static void count_tensor(const quantize_job *job, const quantize_tensor *t) {
    pd_quantize_report *r = job->report;
    const pd_type_info *from = pd_type_get((uint32_t)t->from->type);
    const pd_type_info *to = pd_type_get((uint32_t)t->type);
    uint64_t n_values = t->from->n_bytes / from->block_bytes * from->block_values;
    uint64_t out_bytes = pd_type_row_bytes(to, n_values);
    r->n_values += n_values;
    r->in_bytes += t->from->n_bytes;
    r->out_bytes += out_bytes;
    uint32_t k = 0;
    while (k < r->n_groups && (r->groups[k].from != from->name || r->groups[k].to != to->name ||
                               r->groups[k].is_head != t->is_head))
        k++;
    if (k == PD_MAX_QUANTIZE_GROUPS) return;
    pd_quantize_group *g = &r->groups[k];
    if (k == r->n_groups) {
        *g = (pd_quantize_group){.from = from->name, .to = to->name, .is_head = t->is_head};
        r->n_groups++;
    }
    g->n_tensors++;
    g->in_bytes += t->from->n_bytes;
    g->out_bytes += out_bytes;
}

pd_status quantize_plan(quantize_job *job, pd_error *err) {
    job->report->n_tensors = pd_gguf_tensor_count(job->in);
    job->tensors = pd_alloc(job->report->n_tensors, sizeof *job->tensors);
    if (!job->tensors) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory for a model");
    bool has_head = false;
    for (uint64_t i = 0; i < job->report->n_tensors; i++) {
        quantize_tensor *t = &job->tensors[i];
        t->from = pd_gguf_tensor_at(job->in, i);
        PD_TRY(plan_tensor(job, t, err));
        has_head = has_head || t->is_head;
        count_tensor(job, t);
    }
    if (job->head_named && !has_head)
        return PD_RAISE(err, PD_ERR_ARGUMENT,
                        "\"%s\" has neither an embedding nor an output matrix", job->in_path);
    return PD_OK;
}

/* ---- settings ------------------------------------------------------------------------------- */

static bool has_key(const pd_gguf_value *v, const char *key) {
    return v->key.n == strlen(key) && memcmp(v->key.data, key, v->key.n) == 0;
}

static void write_settings(const quantize_job *job, pd_gguf_writer *w) {
    static const char type[] = "general.file_type", version[] = "general.quantization_version";
    for (uint64_t i = 0; i < pd_gguf_value_count(job->in); i++) {
        const pd_gguf_value *v = pd_gguf_value_at(job->in, i);
        if (has_key(v, type)) {
            pd_gguf_write_u32(w, type, pd_type_file_number(job->type));
        } else if (has_key(v, version)) {
            pd_gguf_write_u32(w, version, QUANTIZATION_VERSION);
        } else if (!has_key(v, "general.alignment") &&
                   !(v->key.n > 6 && memcmp(v->key.data, "split.", 6) == 0)) {
            pd_gguf_write_value(w, v);
        }
    }
    if (!pd_gguf_find(job->in, type)) pd_gguf_write_u32(w, type, pd_type_file_number(job->type));
    if (!pd_gguf_find(job->in, version)) pd_gguf_write_u32(w, version, QUANTIZATION_VERSION);
}

void quantize_declare(const quantize_job *job, pd_gguf_writer *w) {
    write_settings(job, w);
    for (uint64_t i = 0; i < job->report->n_tensors; i++) {
        const quantize_tensor *t = &job->tensors[i];
        pd_gguf_write_tensor(w, t->from->name, t->type, t->from->n_dims, t->from->ne);
    }
    pd_gguf_begin_data(w);
}
