/* A made-up checkpoint in the layout of the released ones: BF16 safetensors, in two
 * files or more where there is an image encoder, and the files around them. Data is streamed.
 *
 * As in the released checkpoints, the embedding of a model for images has 64 rows more than there
 * are tokens, and config.json does not name the vocabulary's size.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/os_file.h"
#include "pack/synth.h"
#include "model/hf_names.h"

enum { SPARE_ROWS = 64, REAL_TOKENS = 262144, PIECE_VALUES = 1 << 19 };
#define MAX_FILE_BYTES UINT64_C(5000000000)

typedef struct plan {
    synth_hf_model model;
    const pd_synth_desc *desc;
    pd_hf_weights lists[2]; /* text, images */
    synth_list values[2];   /* what a GGUF file of the same would get: mean and spread */
    uint64_t total_bytes, done_bytes, file_bytes;
    uint32_t n_files;
} plan;

/* Weights of both lists, counted through. */
static const pd_hf_weight *weight_at(const plan *p, uint32_t i) {
    return i < p->lists[0].n ? &p->lists[0].items[i] : &p->lists[1].items[i - p->lists[0].n];
}

static uint32_t weight_count(const plan *p) {
    return p->lists[0].n + p->lists[1].n;
}

static uint64_t value_count(const pd_hf_weight *w) {
    return w->shape[0] * w->shape[1] * w->shape[2] * w->shape[3];
}

/* ---- what to write -------------------------------------------------------------------------- */

static pd_status read_model(const pd_synth_desc *desc, synth_hf_model *m, pd_error *err) {
    if (desc->type || desc->embedding)
        return PD_RAISE(err, PD_ERR_ARGUMENT, "a checkpoint's type is bf16, and no other");
    m->tokenizer = desc->tokenizer;
    PD_TRY(synth_text_read(desc, &m->text, err));
    m->has_vision = synth_vision_of(&m->text.shape, &m->vision);
    m->n_rows = m->text.shape.n_vocab;
    if (!m->has_vision) return PD_OK;
    if (m->n_rows > REAL_TOKENS) m->n_rows = m->text.vocab.n = REAL_TOKENS; /* without padding */
    m->n_rows += SPARE_ROWS;
    return PD_OK;
}

/* The names and shapes are those that a reader of the folder expects. */
static pd_status make_lists(plan *p, pd_error *err) {
    synth_hf_model *m = &p->model;
    pd_hf_config config;
    PD_TRY(pd_hf_config_read(m->folder, &config, err));
    config.text.n_vocab = m->n_rows;
    PD_TRY(pd_hf_text_weights(&config.text, true, &p->lists[0], err));
    PD_TRY(synth_text_list(&m->text, &p->values[0], err));
    if (m->has_vision) {
        PD_TRY(pd_hf_vision_weights(&config.vision, &p->lists[1], err));
        PD_TRY(synth_vision_list(&m->vision, &p->values[1], err));
    }
    for (uint32_t i = 0; i < weight_count(p); i++)
        p->total_bytes += 2 * value_count(weight_at(p, i));
    p->file_bytes = m->has_vision ? p->total_bytes / 2 + 1 : p->total_bytes;
    if (m->has_vision && p->file_bytes > MAX_FILE_BYTES) p->file_bytes = MAX_FILE_BYTES;
    return PD_OK;
}

/* ---- names and values of one tensor --------------------------------------------------------- */

static const char *full_name(plan *p, const pd_hf_weight *w) {
    const char *prefix = w->part == PD_HF_TOWER       ? "vision_tower.vision_model."
                         : w->part == PD_HF_PROJECTOR ? "multi_modal_projector."
                         : p->model.has_vision        ? "language_model.model."
                                                      : "model.";
    return pd_arena_printf(&p->model.arena, "%s%s", prefix, w->hf_name);
}

static synth_tensor values_of(const plan *p, const pd_hf_weight *w) {
    synth_tensor t = {.type = PD_TYPE_BF16};
    for (int k = 0; k < 2; k++)
        for (uint32_t i = 0; i < p->values[k].n; i++)
            if (strcmp(p->values[k].items[i].name, w->name) == 0) t = p->values[k].items[i];
    t.type = PD_TYPE_BF16;
    if (w->role == PD_HF_NORM) t.mean -= 1;
    return t;
}

/* ---- files ---------------------------------------------------------------------------------- */

/* A folder with half of its files would pass for a checkpoint. */
static void remove_written(const synth_hf_model *m) {
    for (uint32_t i = 0; i < m->n_written; i++) pd_path_remove(m->written[i]);
    if (m->made_folder) pd_folder_remove(m->folder);
}

/* How many weights from `first` on go into one file. */
static uint32_t weights_of_file(const plan *p, uint32_t first) {
    uint64_t bytes = 0;
    uint32_t i = first;
    for (; i < weight_count(p); i++) {
        bytes += 2 * value_count(weight_at(p, i));
        if (bytes > p->file_bytes && i > first) break;
    }
    return i - first;
}

static const char *file_name(plan *p, uint32_t i) {
    if (!p->model.has_vision) return "model.safetensors";
    return pd_arena_printf(&p->model.arena, "model-%05" PRIu32 "-of-%05" PRIu32 ".safetensors",
                           i + 1, p->n_files);
}

static void put_header(plan *p, uint32_t first, uint32_t n, pd_bytes *b) {
    uint64_t at = 0;
    pd_bytes_printf(b, "{\"__metadata__\": {\"format\": \"pt\"}");
    for (uint32_t i = first; i < first + n; i++) {
        const pd_hf_weight *w = weight_at(p, i);
        uint64_t end = at + 2 * value_count(w);
        pd_bytes_printf(b, ",\"%s\":{\"dtype\":\"BF16\",\"shape\":[", full_name(p, w));
        for (uint32_t k = 0; k < w->n_dims; k++)
            pd_bytes_printf(b, "%s%" PRIu64, k ? "," : "", w->shape[k]);
        pd_bytes_printf(b, "],\"data_offsets\":[%" PRIu64 ",%" PRIu64 "]}", at, end);
        at = end;
    }
    pd_bytes_write(b, "}", 1);
    while (b->n % 8 && !b->failed) pd_bytes_write(b, " ", 1);
}

static pd_status write_values(plan *p, const pd_hf_weight *w, uint8_t *piece, pd_file_writer *out,
                              pd_error *err) {
    synth_tensor t = values_of(p, w);
    uint64_t n_values = value_count(w);
    for (uint64_t first = 0, n; first < n_values; first += n) {
        n = n_values - first < PIECE_VALUES ? n_values - first : PIECE_VALUES;
        synth_fill(&t, p->desc->seed, first, n, piece);
        pd_file_writer_write(out, piece, 2 * n);
        p->done_bytes += 2 * n;
        PD_TRY(pack_tell(&p->desc->work, p->done_bytes, p->total_bytes, err));
    }
    return PD_OK;
}

static pd_status write_file(plan *p, uint32_t number, uint32_t first, uint32_t n, uint8_t *piece,
                            pd_error *err) {
    pd_file_writer out;
    pd_bytes header = {0};
    const char *name = file_name(p, number);
    put_header(p, first, n, &header);
    if (!name || header.failed) {
        pd_bytes_free(&header);
        return PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory for a model");
    }
    pd_status status = synth_hf_open(&p->model, name, &out, err);
    bool opened = status == PD_OK;
    if (opened) {
        uint8_t size[8];
        for (unsigned i = 0; i < 8; i++) size[i] = (uint8_t)((uint64_t)header.n >> 8 * i);
        pd_file_writer_write(&out, size, sizeof size);
        pd_file_writer_write(&out, header.data, header.n);
        for (uint32_t i = first; i < first + n && status == PD_OK; i++)
            status = write_values(p, weight_at(p, i), piece, &out, err);
    }
    pd_bytes_free(&header);
    if (status == PD_OK) return pd_file_writer_commit(&out, err);
    if (opened) pd_file_writer_abort(&out);
    return status;
}

static pd_status write_index(plan *p, pd_error *err) {
    pd_bytes b = {0};
    pd_file_writer out;
    pd_bytes_printf(&b, "{\"metadata\": {\"total_size\": %" PRIu64 "}, \"weight_map\": {",
                    p->total_bytes);
    for (uint32_t number = 0, first = 0, n; number < p->n_files; number++, first += n) {
        n = weights_of_file(p, first);
        for (uint32_t i = first; i < first + n; i++)
            pd_bytes_printf(&b, "%s\n  \"%s\": \"%s\"", i ? "," : "", full_name(p, weight_at(p, i)),
                            file_name(p, number));
    }
    pd_bytes_printf(&b, "}}\n");
    pd_status status = b.failed
                           ? PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory for a model")
                           : synth_hf_open(&p->model, "model.safetensors.index.json", &out, err);
    if (status == PD_OK) {
        pd_file_writer_write(&out, b.data, b.n);
        status = pd_file_writer_commit(&out, err);
    }
    pd_bytes_free(&b);
    return status;
}

static pd_status write_all(plan *p, pd_error *err) {
    synth_hf_model *m = &p->model;
    m->made_folder = pd_folder_make(m->folder, 0777);
    if (!m->made_folder && errno != EEXIST)
        return PD_RAISE(err, PD_ERR_IO, "cannot make \"%s\": %s", m->folder, strerror(errno));
    PD_TRY(synth_hf_write_texts(m, err));
    PD_TRY(make_lists(p, err));
    for (uint32_t first = 0; first < weight_count(p); p->n_files++)
        first += weights_of_file(p, first);
    uint8_t *piece = pd_alloc(PIECE_VALUES, 2);
    if (!piece) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory for a model");
    pd_status status = pack_tell(&p->desc->work, 0, p->total_bytes, err);
    for (uint32_t number = 0, first = 0; number < p->n_files && status == PD_OK; number++) {
        uint32_t n = weights_of_file(p, first);
        status = write_file(p, number, first, n, piece, err);
        first += n;
    }
    pd_free(piece);
    if (status == PD_OK && m->has_vision) status = write_index(p, err);
    return status;
}

pd_status synth_hf(const char *folder, const pd_synth_desc *desc, pd_synth_report *report,
                   pd_error *err) {
    plan p = {.model.folder = folder, .desc = desc};
    pd_status status = read_model(desc, &p.model, err);
    if (status == PD_OK) status = write_all(&p, err);
    if (status != PD_OK) remove_written(&p.model);
    if (status == PD_OK && report)
        *report = (pd_synth_report){.preset = p.model.text.shape.name,
                                    .type = pd_type_name(PD_TYPE_BF16),
                                    .embedding = pd_type_name(PD_TYPE_BF16),
                                    .n_tensors = weight_count(&p),
                                    .n_files = p.n_files,
                                    .n_bytes = p.total_bytes};
    for (int i = 0; i < 2; i++) {
        pd_hf_weights_free(&p.lists[i]);
        synth_list_free(&p.values[i]);
    }
    synth_text_free(&p.model.text);
    pd_arena_destroy(&p.model.arena);
    return status;
}
