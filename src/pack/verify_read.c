/* Reads a file once, for its values and its digests:
 *
 *     run k:   item 0                                items 1..n
 *              digest up to the end of piece k       decode and count the chunks of piece k
 *
 * Chunks are added up in their order, so that the sums do not depend on the threads.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/memory.h"
#include "pack/tensor_pass.h"
#include "pack/verify.h"

typedef struct reader {
    verification *v;
    pd_pool *pool;
    pack_digest *digest;
    pass_trail trail;
    uint32_t part;
    uint64_t at;             /* bytes of that part in the digest */
    uint64_t end;            /* up to where the next run takes them */
    uint64_t before;         /* bytes of the parts before */
    const pd_tensor *tensor; /* the piece */
    uint64_t first, n;       /* its values */
    verify_stats *chunks;    /* [PASS_PIECE_CHUNKS] */
} reader;

static void count_chunk(reader *r, uint32_t chunk) {
    float x[PASS_CHUNK];
    uint64_t at = (uint64_t)chunk * PASS_CHUNK;
    uint64_t n = r->n - at < PASS_CHUNK ? r->n - at : PASS_CHUNK;
    pd_decode(r->tensor->type, pass_bytes(r->tensor, r->first + at), n, x);
    verify_count(x, n, r->first + at, &r->chunks[chunk]);
}

static void run_items(void *ctx, uint32_t begin, uint32_t end, uint32_t thread) {
    reader *r = ctx;
    (void)thread;
    for (uint32_t i = begin; i < end; i++) {
        if (i > 0) {
            count_chunk(r, i - 1);
        } else {
            const pd_mapping *m = pd_gguf_part_mapping(r->v->file, r->part);
            pack_digest_update(r->digest, m->data + r->at, (size_t)(r->end - r->at));
        }
    }
}

/* Digests to r->end, beside it counts n_chunks of the piece. */
static pd_status run(reader *r, uint32_t n_chunks, pd_error *err) {
    pd_pool_run(r->pool, n_chunks + 1, 1, run_items, r);
    r->at = r->end;
    pass_forget(&r->trail, r->part, r->at);
    uint64_t total = pd_gguf_file_bytes(r->v->file);
    return pack_tell(r->v->work, r->before + r->at, total, err);
}

/* What lies behind the last tensor of the part, and in front of the first one of the next. */
static pd_status digest_until(reader *r, uint64_t end, pd_error *err) {
    enum { STEP_BYTES = 8 << 20 };
    while (r->at < end) {
        r->end = end - r->at < STEP_BYTES ? end : r->at + STEP_BYTES;
        PD_TRY(run(r, 0, err));
    }
    return PD_OK;
}

static pd_status finish_part(reader *r, pd_error *err) {
    uint64_t size = pd_gguf_part_mapping(r->v->file, r->part)->size;
    PD_TRY(digest_until(r, size, err));
    pd_verified_file *file = &r->v->files[r->part];
    PD_TRY(pack_digest_finish(r->digest, file->xxh3, file->sha256, err));
    r->before += size;
    r->at = 0;
    r->part++;
    return PD_OK;
}

static pd_status read_tensor(reader *r, const pd_tensor *t, verify_stats *stats, pd_error *err) {
    uint64_t n_values = pass_values(t);
    while (r->part < t->part) PD_TRY(finish_part(r, err));
    PD_TRY(digest_until(r, t->offset, err));
    r->tensor = t;
    for (r->first = 0; r->first < n_values; r->first += r->n) {
        r->n = pass_piece(n_values, r->first);
        uint32_t n_chunks = pass_chunks(r->n);
        r->end = t->offset + pd_type_row_bytes(pd_type_get((uint32_t)t->type), r->first + r->n);
        PD_TRY(run(r, n_chunks, err));
        for (uint32_t i = 0; i < n_chunks; i++) verify_add(stats, &r->chunks[i]);
    }
    return PD_OK;
}

static pd_status read_all(reader *r, pd_error *err) {
    verification *v = r->v;
    PD_TRY(pack_tell(v->work, 0, pd_gguf_file_bytes(v->file), err));
    for (uint64_t i = 0; i < pd_gguf_tensor_count(v->file); i++) {
        const pd_tensor *t = pd_gguf_tensor_at(v->file, i);
        PD_TRY(read_tensor(r, t, &v->stats[i], err));
        verify_judge(t, &v->stats[i], &v->findings[i]);
        if (v->findings[i].wrong[0] && v->report.n_wrong++ == 0) v->report.first_wrong = i;
    }
    while (r->part < pd_gguf_part_count(v->file)) PD_TRY(finish_part(r, err));
    return PD_OK;
}

pd_status verify_read(verification *v, pd_error *err) {
    reader r = {.v = v, .trail = {.file = v->file}};
    r.chunks = pd_alloc(PASS_PIECE_CHUNKS, sizeof *r.chunks);
    if (!r.chunks) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory");
    pd_status status = pd_pool_create(v->work->n_threads, &r.pool, err);
    if (status == PD_OK) status = pack_digest_create(&r.digest, err);
    if (status == PD_OK) status = read_all(&r, err);
    pack_digest_destroy(r.digest);
    pd_pool_destroy(r.pool);
    pd_free(r.chunks);
    return status;
}
