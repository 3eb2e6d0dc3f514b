/* `peridot synth`: a GGUF file in the real layout, of any of the family's shapes, with random
 * weights. It computes what a trained model of that shape computes, at the same speed, and says
 * nothing of sense. The file depends on the options alone: equal seeds give equal bytes.
 *
 * SPDX-License-Identifier: MIT
 */
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "cli/synth.h"

/* Hyper-parameters of the released models. "tiny" has every feature at the smallest size: local and
 * global layers, grouped heads, a window that even short prompts leave. */
static const synth_shape presets[] = {
    /* name  layers  embd    ff  heads kv  hd    vocab     ctx window factor */
    {"tiny", 7, 128, 256, 4, 2, 64, 1024, 2048, 16, 1},
    {"270m", 18, 640, 2048, 4, 1, 256, 262144, 32768, 512, 1},
    {"1b", 26, 1152, 6912, 4, 1, 256, 262144, 32768, 512, 1},
    {"4b", 34, 2560, 10240, 8, 4, 256, 262208, 131072, 1024, 8},
    {"12b", 48, 3840, 15360, 16, 8, 256, 262208, 131072, 1024, 8},
    {"27b", 62, 5376, 21504, 32, 16, 128, 262208, 131072, 1024, 8},
};

static const char chat_template[] =
    "{{ bos_token }}{% for m in messages %}<start_of_turn>"
    "{{ 'model' if m.role == 'assistant' else m.role }}\n{{ m.content | trim }}<end_of_turn>\n"
    "{% endfor %}{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}";

typedef struct synth_job {
    const char *path;
    synth_shape shape;
    pd_type type, embd_type;
    uint64_t seed;
    synth_tensor *tensors;
    uint32_t n_tensors;
    uint64_t total_bytes;
    pd_hf_tokenizer vocab;
} synth_job;

/* ---- what to write -------------------------------------------------------------------------- */

static void apply_overrides(const cli_options *o, synth_shape *shape) {
    if (cli_given(o, OPT_VOCAB)) shape->n_vocab = cli_u32(o, OPT_VOCAB);
    if (cli_given(o, OPT_LAYERS)) shape->n_layers = cli_u32(o, OPT_LAYERS);
    if (cli_given(o, OPT_SYNTH_CTX)) shape->n_ctx = cli_u32(o, OPT_SYNTH_CTX);
}

/* The embedding is also the output matrix, which the quantiser gives Q6_K with any quantised type
 * but Q8_0. */
static pd_type default_embd_type(pd_type type) {
    bool same = pd_type_get(type)->block_values == 1 || type == PD_TYPE_Q8_0;
    return same ? type : PD_TYPE_Q6_K;
}

static pd_status read_options(const cli_options *o, synth_job *job, pd_error *err) {
    job->path = cli_text(o, OPT_OUTPUT);
    if (!job->path) return PD_RAISE(err, PD_ERR_ARGUMENT, "--output FILE is missing");
    for (size_t i = 0; i < sizeof presets / sizeof presets[0]; i++)
        if (strcmp(presets[i].name, cli_text(o, OPT_PRESET)) == 0) job->shape = presets[i];
    apply_overrides(o, &job->shape);
    job->seed = (uint64_t)cli_int(o, OPT_SYNTH_SEED);
    job->type = pd_type_find(cli_text(o, OPT_TYPE))->type;
    job->embd_type = default_embd_type(job->type);
    if (cli_given(o, OPT_QAT)) {
        if (job->type != PD_TYPE_Q4_0)
            return PD_RAISE(err, PD_ERR_ARGUMENT, "--qat goes with --type q4_0 only, not %s",
                            cli_text(o, OPT_TYPE));
        job->embd_type = PD_TYPE_F16;
    }
    if (cli_given(o, OPT_EMBD_TYPE)) {
        job->embd_type = pd_type_find(cli_text(o, OPT_EMBD_TYPE))->type;
        pd_type fitting = synth_fitting_type(job->embd_type, job->shape.n_embd);
        if (fitting != job->embd_type)
            return PD_RAISE(err, PD_ERR_ARGUMENT,
                            "--embd-type %s has blocks of %u values, but a row has %u",
                            cli_text(o, OPT_EMBD_TYPE), pd_type_get(job->embd_type)->block_values,
                            job->shape.n_embd);
    }
    return PD_OK;
}

static pd_status prepare(const cli_options *o, synth_job *job, pd_error *err) {
    const char *tokenizer = cli_text(o, OPT_TOKENIZER);
    if (tokenizer) {
        PD_TRY(pd_hf_tokenizer_read(tokenizer, &job->vocab, err));
    } else {
        PD_TRY(synth_make_vocab(&job->vocab, err));
    }
    PD_TRY(pd_hf_tokenizer_resize(&job->vocab, job->shape.n_vocab, err));
    job->tensors = synth_list_tensors(&job->shape, job->type, job->embd_type, &job->n_tensors);
    if (!job->tensors) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory for a model");
    for (uint32_t i = 0; i < job->n_tensors; i++)
        job->total_bytes += synth_tensor_bytes(&job->tensors[i]);
    return PD_OK;
}

/* Writing for minutes only to find the disk full helps nobody. */
static pd_status check_disk(const synth_job *job, pd_error *err) {
    char folder[4096];
    const char *slash = strrchr(job->path, '/');
    int n = slash ? (int)(slash - job->path) + 1 : 1;
    if ((size_t)n >= sizeof folder || strncmp(job->path, "/dev/", 5) == 0) return PD_OK;
    snprintf(folder, sizeof folder, "%.*s", n, slash ? job->path : ".");
    struct statvfs fs;
    if (statvfs(folder, &fs) != 0) return PD_OK; /* opening the file will say more */
    uint64_t free_bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
    if (free_bytes >= job->total_bytes) return PD_OK;
    char needed[32], left[32];
    return PD_RAISE(err, PD_ERR_IO, "cannot write \"%s\": it needs %s, but the disk has %s left",
                    job->path, cli_bytes_text(job->total_bytes, needed),
                    cli_bytes_text(free_bytes, left));
}

/* ---- writing -------------------------------------------------------------------------------- */

/* general.file_type, by llama.cpp's numbers. */
static uint32_t file_type(pd_type type) {
    switch (type) {
    case PD_TYPE_F32: return 0;
    case PD_TYPE_F16: return 1;
    case PD_TYPE_Q4_0: return 2;
    case PD_TYPE_Q4_1: return 3;
    case PD_TYPE_Q8_0: return 7;
    case PD_TYPE_Q5_0: return 8;
    case PD_TYPE_Q5_1: return 9;
    case PD_TYPE_Q4_K: return 14;
    case PD_TYPE_Q5_K: return 16;
    case PD_TYPE_Q6_K: return 18;
    case PD_TYPE_BF16: return 32;
    }
    return 0;
}

static void write_values(const synth_job *job, pd_gguf_writer *w) {
    const synth_shape *s = &job->shape;
    char name[64];
    snprintf(name, sizeof name, "synthetic gemma 3 %s", s->name);
    pd_gguf_write_string(w, "general.architecture", "gemma3");
    pd_gguf_write_string(w, "general.name", name);
    pd_gguf_write_string(w, "general.description", "random weights, made by peridot synth");
    pd_gguf_write_u32(w, "general.file_type", file_type(job->type));
    pd_gguf_write_u32(w, "gemma3.context_length", s->n_ctx);
    pd_gguf_write_u32(w, "gemma3.embedding_length", s->n_embd);
    pd_gguf_write_u32(w, "gemma3.block_count", s->n_layers);
    pd_gguf_write_u32(w, "gemma3.feed_forward_length", s->n_ff);
    pd_gguf_write_u32(w, "gemma3.attention.head_count", s->n_heads);
    pd_gguf_write_u32(w, "gemma3.attention.head_count_kv", s->n_kv_heads);
    pd_gguf_write_u32(w, "gemma3.attention.key_length", s->head_dim);
    pd_gguf_write_u32(w, "gemma3.attention.value_length", s->head_dim);
    pd_gguf_write_f32(w, "gemma3.attention.layer_norm_rms_epsilon", 1e-6f);
    pd_gguf_write_u32(w, "gemma3.attention.sliding_window", s->window);
    pd_gguf_write_f32(w, "gemma3.rope.freq_base", 1e6f);
    if (s->rope_factor != 1.0f) {
        pd_gguf_write_string(w, "gemma3.rope.scaling.type", "linear");
        pd_gguf_write_f32(w, "gemma3.rope.scaling.factor", s->rope_factor);
    }
    pd_hf_tokenizer_write(&job->vocab, w);
    pd_gguf_write_string(w, "tokenizer.chat_template", chat_template);
}

static void declare_tensors(const synth_job *job, pd_gguf_writer *w) {
    for (uint32_t i = 0; i < job->n_tensors; i++) {
        const synth_tensor *t = &job->tensors[i];
        const uint64_t ne[2] = {t->cols, t->rows};
        pd_gguf_write_tensor(w, t->name, t->type, t->rows == 1 ? 1 : 2, ne);
    }
}

static pd_status write_tensors(const synth_job *job, pd_gguf_writer *w, pd_error *err) {
    enum { PIECE_BYTES = 1 << 20 };
    uint8_t *piece = pd_alloc(PIECE_BYTES, 1);
    if (!piece) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory for a model");
    cli_progress progress;
    cli_progress_begin(&progress, "writing");
    bool go_on = true;
    uint64_t done_bytes = 0;
    for (uint32_t i = 0; i < job->n_tensors && go_on; i++) {
        const synth_tensor *t = &job->tensors[i];
        uint64_t block_bytes = pd_type_get(t->type)->block_bytes;
        uint64_t n_blocks = synth_tensor_bytes(t) / block_bytes, most = PIECE_BYTES / block_bytes;
        for (uint64_t first = 0, n; first < n_blocks && go_on; first += n) {
            n = n_blocks - first < most ? n_blocks - first : most;
            synth_fill(t, job->seed, first, n, piece);
            pd_gguf_write_data(w, piece, n * block_bytes);
            done_bytes += n * block_bytes;
            go_on = cli_progress_update(&progress, done_bytes, job->total_bytes);
        }
    }
    cli_progress_end(&progress);
    pd_free(piece);
    return go_on ? PD_OK : PD_RAISE(err, PD_ERR_CANCELLED, "stopped on request");
}

static pd_status write_file(const synth_job *job, pd_error *err) {
    pd_gguf_writer *w = NULL;
    PD_TRY(pd_gguf_writer_open(job->path, &w, err));
    write_values(job, w);
    declare_tensors(job, w);
    pd_gguf_begin_data(w);
    pd_status status = write_tensors(job, w, err);
    if (status == PD_OK) return pd_gguf_writer_commit(w, err);
    pd_gguf_writer_abort(w);
    return status;
}

pd_status cli_synth(const cli_options *o, pd_error *err) {
    synth_job job = {0};
    cli_interrupt_install();
    pd_status status = read_options(o, &job, err);
    if (status == PD_OK) status = prepare(o, &job, err);
    if (status == PD_OK) status = check_disk(&job, err);
    if (status == PD_OK) status = write_file(&job, err);
    if (status == PD_OK) {
        char size[32];
        fprintf(stderr, "%s: %s, %s layers, %s embedding, %u tensors, %s; the weights are random\n",
                job.path, job.shape.name, pd_type_name(job.type), pd_type_name(job.tensors[0].type),
                job.n_tensors, cli_bytes_text(job.total_bytes, size));
    }
    pd_free(job.tensors);
    pd_hf_tokenizer_free(&job.vocab);
    return status;
}
