/* The data of a converted file: pieces of tensors, decoded, changed and encoded by all threads
 * while one of them writes the piece before.
 *
 *     run k:   item 0             items 1..n
 *              write piece k - 1  convert the chunks of piece k, into the other buffer
 *
 * Two buffers of one piece and a chunk per thread are all the memory there is besides pages of the
 * checkpoint, which are given back behind the reader. The 1 of a norm is added in f32: in bf16 it
 * would cost the weight's lower bits.
 *
 * SPDX-License-Identifier: MIT
 */
#include <inttypes.h>
#include <stdatomic.h>

#include "pack/convert.h"
#include "pack/tensor_pass.h"

typedef struct piece {
    const convert_tensor *tensor; /* NULL: no piece */
    uint64_t first, n;            /* values */
} piece;

typedef struct pipeline {
    const convert_job *job;
    pd_gguf_writer *writer;
    uint8_t *buffers[2];
    piece ready, next; /* to be written; to be converted */
    unsigned number;   /* of next; its buffer is that one's parity */
    atomic_bool bad;   /* next holds a value that its type cannot */
} pipeline;

/* ---- one chunk ------------------------------------------------------------------------------ */

static void convert_chunk(pipeline *p, uint32_t chunk) {
    const convert_tensor *t = p->next.tensor;
    const pd_hf_weight *w = t->weight;
    float x[PASS_CHUNK];
    uint64_t at = (uint64_t)chunk * PASS_CHUNK, first = p->next.first + at;
    uint64_t n = p->next.n - at < PASS_CHUNK ? p->next.n - at : PASS_CHUNK;
    const pd_type_info *from = pd_type_get((uint32_t)t->from->type);
    pd_decode(from->type, t->from->data + pd_type_row_bytes(from, first), n, x);
    if (t->delta) convert_lora_add(p->job->lora, first, n, x);
    if (w->role == PD_HF_NORM)
        for (uint64_t i = 0; i < n; i++) x[i] += 1;
    if (!pass_fits(x, n, t->type)) atomic_store(&p->bad, true);
    uint8_t *into = p->buffers[p->number % 2];
    pd_encode(t->type, x, n, into + pd_type_row_bytes(pd_type_get((uint32_t)t->type), at));
}

static void write_ready(const pipeline *p) {
    const convert_tensor *t = p->ready.tensor;
    if (!t) return;
    pd_gguf_write_data(p->writer, p->buffers[(p->number + 1) % 2],
                       pd_type_row_bytes(pd_type_get((uint32_t)t->type), p->ready.n));
}

static void run_items(void *ctx, uint32_t begin, uint32_t end, uint32_t thread) {
    pipeline *p = ctx;
    (void)thread;
    for (uint32_t i = begin; i < end; i++) {
        if (i > 0) {
            convert_chunk(p, i - 1);
        } else {
            write_ready(p);
        }
    }
}

/* ---- pieces --------------------------------------------------------------------------------- */

static piece piece_after(const convert_file *file, const piece *p) {
    const convert_tensor *t = p->tensor ? p->tensor : file->tensors;
    uint64_t first = p->tensor ? p->first + p->n : 0;
    if (first == t->n_values) {
        t++;
        first = 0;
    }
    if (t == file->tensors + file->weights.n) return (piece){0};
    return (piece){t, first, pass_piece(t->n_values, first)};
}

static pd_status raise_bad(const piece *p, pd_error *err) {
    const convert_tensor *t = p->tensor;
    pd_status status = PD_RAISE(err, PD_ERR_FORMAT,
                                "the tensor \"%.120s\" holds a value that %s cannot hold, at or "
                                "behind position %" PRIu64,
                                t->from->name, pd_type_name((uint32_t)t->type), p->first);
    return pd_error_hint(err, status, "NaN, infinite, or above 65504; f32 and bf16 reach further");
}

static void forget(const convert_job *job, const piece *p) {
    const pd_safetensor *from = p->tensor->from;
    const pd_type_info *type = pd_type_get((uint32_t)from->type);
    pd_safetensors_forget(job->in, from, pd_type_row_bytes(type, p->first),
                          pd_type_row_bytes(type, p->n));
}

static pd_status run_pipeline(const convert_job *job, const convert_file *file, pipeline *p,
                              pd_pool *pool, pd_error *err) {
    uint64_t done = 0;
    PD_TRY(pack_tell(job->work, 0, file->in_bytes, err));
    for (p->next = piece_after(file, &p->next); p->next.tensor || p->ready.tensor; p->number++) {
        const convert_tensor *t = p->next.tensor;
        if (t && t->delta && p->next.first == 0)
            PD_TRY(convert_lora_load(job->lora, t->delta, err));
        uint32_t n_chunks = t ? pass_chunks(p->next.n) : 0;
        pd_pool_run(pool, n_chunks + 1, 1, run_items, p);
        if (atomic_load(&p->bad)) return raise_bad(&p->next, err);
        if (pd_gguf_writer_failed(p->writer)) return PD_OK; /* commit says why */
        p->ready = p->next;
        if (!p->next.tensor) break;
        forget(job, &p->next);
        done += pd_type_row_bytes(pd_type_get((uint32_t)p->next.tensor->from->type), p->next.n);
        PD_TRY(pack_tell(job->work, done, file->in_bytes, err));
        p->next = piece_after(file, &p->next);
    }
    return PD_OK;
}

pd_status convert_write_data(const convert_job *job, const convert_file *file, pd_gguf_writer *w,
                             pd_error *err) {
    pd_pool *pool = NULL;
    pipeline p = {.job = job, .writer = w};
    pd_status status = PD_OK;
    for (unsigned i = 0; i < 2 && status == PD_OK; i++) {
        p.buffers[i] = pd_alloc_aligned(PASS_PIECE, sizeof(float)); /* the widest type */
        if (!p.buffers[i]) status = PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory");
    }
    if (status == PD_OK) status = pd_pool_create(job->work->n_threads, &pool, err);
    if (status == PD_OK) status = run_pipeline(job, file, &p, pool, err);
    pd_pool_destroy(pool);
    for (unsigned i = 0; i < 2; i++) pd_free_aligned(p.buffers[i]);
    return status;
}
