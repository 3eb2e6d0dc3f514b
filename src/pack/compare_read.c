/* Decodes the tensors of two files side by side and sums up their differences, in the order of the
 * values whatever the threads do.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>
#include <string.h>

#include "pack/compare.h"
#include "base/memory.h"
#include "pack/tensor_pass.h"

typedef struct reader {
    const compare_tensor *tensor;
    uint64_t first, n;    /* values of the piece */
    compare_sums *chunks; /* [PASS_PIECE_CHUNKS] */
} reader;

static bool bytes_equal(const compare_tensor *t, uint64_t first, uint64_t n) {
    if (t->a->type != t->b->type) return false;
    uint64_t n_bytes = pd_type_row_bytes(pd_type_get((uint32_t)t->a->type), n);
    return memcmp(pass_bytes(t->a, first), pass_bytes(t->b, first), (size_t)n_bytes) == 0;
}

static void add_value(compare_sums *s, float a, float b, uint64_t at) {
    bool both = isfinite(a) && isfinite(b), neither = !isfinite(a) && !isfinite(b);
    double diff = both ? fabs((double)b - (double)a) : neither ? 0 : (double)INFINITY;
    if (both) {
        s->sum_a_sq += (double)a * (double)a;
        s->sum_diff_sq += diff * diff;
    }
    s->n_differ += diff != 0;
    if (diff > s->worst) {
        s->worst = diff;
        s->worst_at = at;
    }
}

static void compare_chunk(reader *r, uint32_t chunk) {
    float a[PASS_CHUNK], b[PASS_CHUNK];
    uint64_t at = (uint64_t)chunk * PASS_CHUNK, first = r->first + at;
    uint64_t n = r->n - at < PASS_CHUNK ? r->n - at : PASS_CHUNK;
    const compare_tensor *t = r->tensor;
    compare_sums s = {.n = n, .same_bytes = bytes_equal(t, first, n)};
    if (!s.same_bytes) {
        pd_decode(t->b->type, pass_bytes(t->b, first), n, b);
        pd_decode(t->a->type, pass_bytes(t->a, first), n, a);
        for (uint64_t i = 0; i < n; i++) add_value(&s, a[i], b[i], first + i);
    } else { /* only what the differences of other chunks are relative to */
        pd_decode(t->a->type, pass_bytes(t->a, first), n, a);
        for (uint64_t i = 0; i < n; i++)
            if (isfinite(a[i])) s.sum_a_sq += (double)a[i] * (double)a[i];
    }
    r->chunks[chunk] = s;
}

static void run_items(void *ctx, uint32_t begin, uint32_t end, uint32_t thread) {
    (void)thread;
    for (uint32_t i = begin; i < end; i++) compare_chunk(ctx, i);
}

static void add_sums(compare_sums *sum, const compare_sums *more) {
    if (more->worst > sum->worst) {
        sum->worst = more->worst;
        sum->worst_at = more->worst_at;
    }
    sum->n += more->n;
    sum->n_differ += more->n_differ;
    sum->sum_a_sq += more->sum_a_sq;
    sum->sum_diff_sq += more->sum_diff_sq;
    sum->same_bytes = sum->same_bytes && more->same_bytes;
}

static void forget(const pd_gguf *g, const pd_tensor *t, uint64_t first, uint64_t n) {
    const pd_type_info *type = pd_type_get((uint32_t)t->type);
    pd_mapping_forget(pd_gguf_part_mapping(g, t->part), t->offset + pd_type_row_bytes(type, first),
                      pd_type_row_bytes(type, n));
}

static pd_status read_tensor(const comparison *c, reader *r, compare_tensor *t, pd_pool *pool,
                             uint64_t *done, uint64_t total, pd_error *err) {
    uint64_t n_values = pass_values(t->a);
    r->tensor = t;
    t->sums.same_bytes = true;
    for (r->first = 0; r->first < n_values; r->first += r->n) {
        r->n = pass_piece(n_values, r->first);
        uint32_t n_chunks = pass_chunks(r->n);
        pd_pool_run(pool, n_chunks, 1, run_items, r);
        for (uint32_t i = 0; i < n_chunks; i++) add_sums(&t->sums, &r->chunks[i]);
        forget(c->a, t->a, r->first, r->n);
        forget(c->b, t->b, r->first, r->n);
        *done += pd_type_row_bytes(pd_type_get((uint32_t)t->a->type), r->n) +
                 pd_type_row_bytes(pd_type_get((uint32_t)t->b->type), r->n);
        PD_TRY(pack_tell(c->work, *done, total, err));
    }
    return PD_OK;
}

static pd_status read_all(comparison *c, reader *r, pd_pool *pool, pd_error *err) {
    uint64_t done = 0, total = 0;
    for (uint64_t i = 0; i < c->n_tensors; i++)
        if (c->tensors[i].same_shape) total += c->tensors[i].a->n_bytes + c->tensors[i].b->n_bytes;
    PD_TRY(pack_tell(c->work, 0, total, err));
    for (uint64_t i = 0; i < c->n_tensors; i++)
        if (c->tensors[i].same_shape)
            PD_TRY(read_tensor(c, r, &c->tensors[i], pool, &done, total, err));
    return PD_OK;
}

pd_status compare_read(comparison *c, pd_error *err) {
    reader r = {.chunks = pd_alloc(PASS_PIECE_CHUNKS, sizeof *r.chunks)};
    if (!r.chunks) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory");
    pd_pool *pool = NULL;
    pd_status status = pd_pool_create(c->work->n_threads, &pool, err);
    if (status == PD_OK) status = read_all(c, &r, pool, err);
    pd_pool_destroy(pool);
    pd_free(r.chunks);
    return status;
}
