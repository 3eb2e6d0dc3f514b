/* The data of a requantised file: pieces of tensors, decoded and encoded by all threads while one
 * of them writes the piece before.
 *
 *     run k:   item 0             items 1..n
 *              write piece k - 1  convert the chunks of piece k, into the other buffer
 *
 * A tensor that keeps its type is written from the mapping, and only looked at. Two buffers of one
 * piece, a chunk per thread and the writer's own buffer are all the memory there is.
 *
 * SPDX-License-Identifier: MIT
 */
#include <inttypes.h>
#include <stdatomic.h>

#include "base/memory.h"
#include "pack/quantize.h"
#include "pack/tensor_pass.h"

typedef struct piece {
    const quantize_tensor *tensor;
    uint64_t first, n;   /* values; n = 0: no piece */
    const uint8_t *data; /* what is to be written */
    uint64_t n_bytes;
} piece;

typedef struct pipeline {
    pd_gguf_writer *writer;
    uint8_t *buffers[2];
    piece ready, next;        /* to be written; to be converted */
    uint8_t *into;            /* where next is converted to; NULL: it is only checked */
    atomic_uint_fast64_t bad; /* the first value of next that cannot be held, or UINT64_MAX */
} pipeline;

/* ---- one chunk ------------------------------------------------------------------------------ */

static void convert_chunk(pipeline *p, uint32_t chunk) {
    const quantize_tensor *t = p->next.tensor;
    float x[PASS_CHUNK];
    uint64_t at = (uint64_t)chunk * PASS_CHUNK;
    uint64_t n = p->next.n - at < PASS_CHUNK ? p->next.n - at : PASS_CHUNK;
    pd_decode(t->from->type, pass_bytes(t->from, p->next.first + at), n, x);
    if (!pass_fits(x, n, p->into ? t->type : PD_TYPE_F32)) {
        uint64_t first = p->next.first + at, known = atomic_load(&p->bad);
        while (first < known && !atomic_compare_exchange_weak(&p->bad, &known, first)) {
        }
    }
    if (p->into)
        pd_encode(t->type, x, n, p->into + pd_type_row_bytes(pd_type_get((uint32_t)t->type), at));
}

static void run_items(void *ctx, uint32_t begin, uint32_t end, uint32_t thread) {
    pipeline *p = ctx;
    (void)thread;
    for (uint32_t i = begin; i < end; i++) {
        if (i > 0) {
            convert_chunk(p, i - 1);
        } else if (p->ready.n > 0) {
            pd_gguf_write_data(p->writer, p->ready.data, p->ready.n_bytes);
        }
    }
}

/* ---- pieces --------------------------------------------------------------------------------- */

/* The piece behind `p` in the file's order; n = 0 behind the last one. */
static piece piece_after(const quantize_job *job, const piece *p) {
    const quantize_tensor *t = p->tensor ? p->tensor : job->tensors;
    uint64_t first = p->tensor ? p->first + p->n : 0;
    const quantize_tensor *end = job->tensors + job->report->n_tensors;
    for (; t < end; t++, first = 0) {
        uint64_t n = pass_values(t->from);
        if (first < n) return (piece){.tensor = t, .first = first, .n = pass_piece(n, first)};
    }
    return (piece){.tensor = end};
}

/* Where the bytes of p->next will be, and whether they must be made. */
static void place_next(pipeline *p, unsigned number) {
    const quantize_tensor *t = p->next.tensor;
    bool copied = t->type == t->from->type;
    p->into = copied ? NULL : p->buffers[number % 2];
    p->next.data = copied ? pass_bytes(t->from, p->next.first) : p->into;
    p->next.n_bytes = pd_type_row_bytes(pd_type_get((uint32_t)t->type), p->next.n);
}

/* Where in its file a piece ends, and its stored size. */
static uint64_t stored_end(const piece *p, uint64_t *n_bytes) {
    const pd_tensor *from = p->tensor->from;
    const pd_type_info *type = pd_type_get((uint32_t)from->type);
    *n_bytes = pd_type_row_bytes(type, p->n);
    return from->offset + pd_type_row_bytes(type, p->first) + *n_bytes;
}

static pd_status raise_bad(const pipeline *p, pd_error *err) {
    const quantize_tensor *t = p->next.tensor;
    uint64_t at = atomic_load(&p->bad);
    if (!p->into)
        return PD_RAISE(err, PD_ERR_FORMAT,
                        "the tensor %s holds a NaN or an infinity, at or behind position %" PRIu64,
                        t->from->name, at);
    pd_status status = PD_RAISE(err, PD_ERR_FORMAT,
                                "the tensor %s holds a value that %s cannot hold, at or behind "
                                "position %" PRIu64,
                                t->from->name, pd_type_name((uint32_t)t->type), at);
    return pd_error_hint(err, status, "NaN, infinite, or above 65504; see peridot verify");
}

static pd_status run_pipeline(const quantize_job *job, pipeline *p, pd_pool *pool, pd_error *err) {
    pass_trail trail = {.file = job->in};
    uint64_t done = 0, n_bytes;
    PD_TRY(pack_tell(job->work, 0, job->report->in_bytes, err));
    p->next = piece_after(job, &p->next);
    for (unsigned number = 0; p->next.n > 0 || p->ready.n > 0; number++) {
        if (p->next.n > 0) place_next(p, number);
        uint32_t n_chunks = p->next.n > 0 ? pass_chunks(p->next.n) : 0;
        pd_pool_run(pool, n_chunks + 1, 1, run_items, p);
        if (atomic_load(&p->bad) != UINT64_MAX) return raise_bad(p, err);
        if (pd_gguf_writer_failed(p->writer)) return PD_OK; /* commit says why */
        if (p->ready.n > 0) {
            uint64_t end = stored_end(&p->ready, &n_bytes);
            pass_forget(&trail, p->ready.tensor->from->part, end);
            done += n_bytes;
        }
        PD_TRY(pack_tell(job->work, done, job->report->in_bytes, err));
        p->ready = p->next;
        if (p->next.n > 0) p->next = piece_after(job, &p->next);
    }
    return PD_OK;
}

pd_status quantize_write_data(const quantize_job *job, pd_gguf_writer *w, pd_error *err) {
    pd_pool *pool = NULL;
    pipeline p = {.writer = w};
    atomic_store(&p.bad, UINT64_MAX);
    pd_status status = PD_OK;
    for (unsigned i = 0; i < 2 && status == PD_OK; i++) {
        p.buffers[i] = pd_alloc_aligned(PASS_PIECE, sizeof(float)); /* the widest type */
        if (!p.buffers[i]) status = PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory");
    }
    if (status == PD_OK) status = pd_pool_create(job->work->n_threads, &pool, err);
    if (status == PD_OK) status = run_pipeline(job, &p, pool, err);
    pd_pool_destroy(pool);
    for (unsigned i = 0; i < 2; i++) pd_free_aligned(p.buffers[i]);
    return status;
}
