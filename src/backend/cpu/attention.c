/* `cpu`: attention over KV pages, with the softmax computed on the way (running maximum m, running
 * sum l, running weighted sum o of V per query).
 *
 * An item of work is a tile of consecutive rows of one sequence (all query heads of one KV head,
 * at most TILE_QUERIES queries, or MANY_QUERIES where there are enough of them for all threads)
 * over a range of pages, a span of some at a time. Both products of a page are sums of rows times
 * numbers: scores += q[d] * (dimension d of all 64 keys), out += p[s] * (value s). That is why keys
 * lie dimension by dimension (cpu.h). Halves are widened to f32 ROWS rows at a time, once for all
 * queries of the tile. Scores of slots that a query does not see are set to zero; of slots that no
 * query of the tile sees nothing is used, for they may hold any bits.
 *
 * When there are fewer tiles than threads can use (decoding), the past is cut into splits whose
 * (m, l, o) are put together afterwards:
 *     M = max m_i;   out = sum exp(m_i - M) o_i / sum exp(m_i - M) l_i
 *
 * SPDX-License-Identifier: MIT
 */
#include "backend/cpu/attention.h"

enum {
    TILE_QUERIES = 64,
    MANY_QUERIES = 128, /* their scores and sums still fit a second-level cache */
    ROWS = 32,          /* of a page, widened at once */
    ITEMS_PER_THREAD = 4,
    MAX_SPLIT_ITEMS = 256,
    MIN_SPLIT_PAGES = 4
};

static uint32_t group_of(const pd_program *p) {
    return p->desc.kv.n_heads / p->desc.kv.n_kv_heads;
}

static uint32_t tile_rows(const pd_program *p, uint32_t n_queries) {
    uint32_t group = group_of(p);
    return group < n_queries ? n_queries / group : 1;
}

static uint32_t larger(uint32_t a, uint32_t b) {
    return a > b ? a : b;
}
static uint32_t smaller(uint32_t a, uint32_t b) {
    return a < b ? a : b;
}

/* Positions that some row of the tile sees. */
static void tile_range(const attention_job *job, const pd_cpu_tile *tile, uint32_t *lo,
                       uint32_t *hi) {
    const pd_step_row *rows = job->p->step->rows + tile->first;
    *lo = UINT32_MAX;
    *hi = 0;
    for (uint32_t r = 0; r < tile->n; r++) {
        *lo = smaller(*lo, pd_window_first(rows[r].pos, job->op->window));
        *hi = larger(*hi, rows[r].end);
    }
}

/* ---- one page ------------------------------------------------------------------------------- */

/* Rows [r, r + n) of a page's K (64 wide) or V (head_dim wide) as floats: in place, or widened. */
static const float *view(const attention_job *job, const attention_state *st, const uint8_t *page,
                         uint32_t r, uint32_t n, uint32_t width) {
    const pd_kv_store *kv = job->p->kv;
    const uint8_t *src = page + (uint64_t)r * width * kv->value_bytes;
    if (kv->shape.f32) return (const float *)(const void *)src;
    job->p->cpu->kernels->unpack(PD_TYPE_F16, src, n * width, st->wide);
    return st->wide;
}

/* The slots of the span that query i sees, as [*a, *b); false: none. */
static bool query_slots(const attention_job *job, const attention_state *st, uint32_t i,
                        const attention_span *span, uint32_t *a, uint32_t *b) {
    uint32_t base = span->base, n_slots = span->n_pages * PD_PAGE_POSITIONS;
    const pd_step_row *row = &st->rows[i / job->group];
    uint32_t lo = larger(pd_window_first(row->pos, job->op->window), base);
    uint32_t hi = smaller(row->end, base + n_slots);
    *a = lo - base;
    *b = hi - base;
    return lo < hi;
}

void pd_cpu_soften(const attention_job *job, const attention_state *st,
                   const attention_span *span) {
    const pd_cpu_kernels *kernels = job->p->cpu->kernels;
    const uint32_t begin = span->begin, end = span->end;
    for (uint32_t i = 0; i < st->n_queries; i++) {
        uint32_t a, b;
        float *scores = st->scores + (size_t)i * span->n_pages * PD_PAGE_POSITIONS;
        if (!query_slots(job, st, i, span, &a, &b)) {
            memset(scores + begin, 0, (end - begin) * sizeof *scores);
            continue;
        }
        float max = kernels->max(scores + a, b - a);
        if (max > st->m[i]) {
            float shrink = expf(st->m[i] - max);
            kernels->scale(st->o + (size_t)i * job->hd, job->hd, shrink);
            st->l[i] *= shrink;
            st->m[i] = max;
        }
        st->l[i] += kernels->exp_sum(scores + a, b - a, st->m[i]);
        memset(scores + begin, 0, (a - begin) * sizeof *scores);
        memset(scores + b, 0, (end - b) * sizeof *scores);
    }
}

static void attend_span(const attention_job *job, const attention_state *st,
                        const attention_span *span) {
    const pd_cpu_kernels *kernels = job->p->cpu->kernels;
    const uint32_t hd = job->hd, n_slots = span->n_pages * PD_PAGE_POSITIONS;
    const uint32_t rows = job->p->kv->shape.f32 ? PD_PAGE_POSITIONS + hd : ROWS;
    for (uint32_t i = 0; i < span->n_pages; i++) {
        for (uint32_t d = 0, n; d < hd; d += n) {
            n = smaller(rows, hd - d);
            kernels->mix(st->q + d, hd, st->n_queries,
                         view(job, st, span->k[i], d, n, PD_PAGE_POSITIONS), PD_PAGE_POSITIONS, n,
                         PD_PAGE_POSITIONS, st->scores + i * PD_PAGE_POSITIONS, n_slots, d > 0);
        }
    }
    pd_cpu_soften(job, st, span);
    for (uint32_t slot = span->begin, n; slot < span->end; slot += n) {
        uint32_t i = slot / PD_PAGE_POSITIONS, s = slot % PD_PAGE_POSITIONS;
        n = smaller(rows, smaller(span->end - slot, PD_PAGE_POSITIONS - s));
        kernels->mix(st->scores + slot, n_slots, st->n_queries, view(job, st, span->v[i], s, n, hd),
                     hd, n, hd, st->o, hd, true);
    }
}

/* ---- one item ------------------------------------------------------------------------------- */

static attention_state open_tile(const attention_job *job, const pd_cpu_tile *tile,
                                 uint32_t kv_head, float *work) {
    const pd_program *p = job->p;
    uint32_t hd = job->hd, n = tile->n * job->group;
    size_t room = pd_round_up(n, PD_CPU_TILE_ROWS); /* of queries */
    attention_state st = {.rows = p->step->rows + tile->first, .n_queries = n};
    st.q = work;
    st.o = st.q + room * hd;
    st.scores = st.o + room * hd;
    st.m = st.scores + room * PD_PAGE_POSITIONS * SPAN_PAGES;
    st.l = st.m + room;
    st.wide = st.l + room;
    for (uint32_t r = 0; r < tile->n; r++) {
        const float *q = pd_cpu_row(p, job->op->q, tile->first + r);
        q += kv_head * job->group * job->head_dim;
        for (uint32_t h = 0; h < job->group; h++, q += job->head_dim) {
            float *to = st.q + (r * job->group + h) * (size_t)hd;
            memcpy(to, q, job->head_dim * sizeof *q);
            memset(to + job->head_dim, 0, (hd - job->head_dim) * sizeof *q);
        }
    }
    memset(st.o, 0, room * hd * sizeof *st.o);
    for (uint32_t i = 0; i < n; i++) {
        st.m[i] = -INFINITY;
        st.l[i] = 0;
    }
    if (pd_cpu_attention_takes_matrix(p, n))
        pd_cpu_attention_matrix_open(job, &st, (uint16_t *)(void *)st.wide);
    return st;
}

static float *output(const attention_job *job, const pd_cpu_tile *tile, uint32_t kv_head,
                     uint32_t i) {
    uint32_t head = kv_head * job->group + i % job->group;
    return pd_cpu_row(job->p, job->op->out, tile->first + i / job->group) + head * job->head_dim;
}

static size_t partial_floats(const pd_program *p) {
    uint32_t rows = smaller(tile_rows(p, TILE_QUERIES), p->desc.max_rows);
    return (size_t)rows * group_of(p) * (pd_cpu_head_stride(p->desc.kv.head_dim) + 2);
}

static void close_tile(const attention_job *job, const pd_cpu_tile *tile, uint32_t kv_head,
                       uint32_t item, const attention_state *st) {
    uint32_t hd = job->hd, n = st->n_queries;
    if (job->n_splits > 1) {
        float *partial = job->p->partials + item * partial_floats(job->p);
        memcpy(partial, st->m, n * sizeof *partial);
        memcpy(partial + n, st->l, n * sizeof *partial);
        memcpy(partial + 2 * n, st->o, (size_t)n * hd * sizeof *partial);
        return;
    }
    for (uint32_t i = 0; i < n; i++) {
        float *out = output(job, tile, kv_head, i);
        memcpy(out, st->o + (size_t)i * hd, job->head_dim * sizeof *out);
        job->p->cpu->kernels->scale(out, job->head_dim, 1.0f / st->l[i]);
    }
}

static void attend_items(void *ctx, uint32_t begin, uint32_t end, uint32_t thread) {
    const attention_job *job = ctx;
    const pd_program *p = job->p;
    const pd_kv_store *kv = p->kv;
    uint32_t n_kv_heads = kv->shape.n_kv_heads;
    pd_cpu_matrix_state before;
    if (p->cpu->matrix) p->cpu->matrix->begin(&before);
    for (uint32_t item = begin; item < end; item++) {
        uint32_t split = item % job->n_splits, kv_head = item / job->n_splits % n_kv_heads;
        const pd_cpu_tile *tile = &p->tiles[item / job->n_splits / n_kv_heads];
        attention_state st = open_tile(job, tile, kv_head, pd_cpu_work(p, thread));
        const uint32_t *table = pd_cpu_table(p, job->layer, st.rows[0].seq);
        uint32_t lo, hi;
        tile_range(job, tile, &lo, &hi);
        uint32_t first = lo / PD_PAGE_POSITIONS, n = pd_div_up(hi, PD_PAGE_POSITIONS) - first;
        uint32_t from = first + (uint32_t)((uint64_t)n * split / job->n_splits);
        uint32_t to = first + (uint32_t)((uint64_t)n * (split + 1) / job->n_splits);
        for (uint32_t page = from; page < to; page += SPAN_PAGES) {
            attention_span span = {.n_pages = smaller(SPAN_PAGES, to - page),
                                   .base = page * PD_PAGE_POSITIONS};
            uint32_t behind = span.base + span.n_pages * PD_PAGE_POSITIONS;
            span.begin = larger(lo, span.base) - span.base;
            span.end = smaller(hi, behind) - span.base;
            for (uint32_t i = 0; i < span.n_pages; i++) {
                span.k[i] = pd_cpu_page(kv, kv->k, job->layer, table[page + i], kv_head);
                span.v[i] = pd_cpu_page(kv, kv->v, job->layer, table[page + i], kv_head);
            }
            (st.q_tiles ? pd_cpu_attention_matrix_span : attend_span)(job, &st, &span);
        }
        close_tile(job, tile, kv_head, item, &st);
    }
    if (p->cpu->matrix) p->cpu->matrix->end(&before);
}

/* ---- putting splits together ---------------------------------------------------------------- */

static void join_query(const attention_job *job, const float *partials, uint32_t n, uint32_t i,
                       float *out) {
    size_t stride = partial_floats(job->p);
    uint32_t hd = job->hd;
    float max = -INFINITY, total = 0;
    for (uint32_t s = 0; s < job->n_splits; s++) {
        float m = partials[s * stride + i];
        if (m > max) max = m;
    }
    memset(out, 0, job->head_dim * sizeof *out);
    for (uint32_t s = 0; s < job->n_splits; s++) {
        const float *part = partials + s * stride;
        float weight = expf(part[i] - max);
        total += weight * part[n + i];
        job->p->cpu->kernels->mix(&weight, 1, 1, part + 2 * n + (size_t)i * hd, hd, 1,
                                  job->head_dim, out, hd, true);
    }
    job->p->cpu->kernels->scale(out, job->head_dim, 1.0f / total);
}

static void join_tiles(void *ctx, uint32_t begin, uint32_t end, uint32_t thread) {
    const attention_job *job = ctx;
    const pd_program *p = job->p;
    uint32_t n_kv_heads = p->kv->shape.n_kv_heads;
    (void)thread;
    for (uint32_t item = begin; item < end; item++) {
        const pd_cpu_tile *tile = &p->tiles[item / n_kv_heads];
        uint32_t kv_head = item % n_kv_heads, n = tile->n * job->group;
        const float *partials = p->partials + item * job->n_splits * partial_floats(p);
        for (uint32_t i = 0; i < n; i++) {
            join_query(job, partials, n, i, output(job, tile, kv_head, i));
        }
    }
}

/* ---- the operation -------------------------------------------------------------------------- */

static uint32_t max_split_items(const pd_program *p) {
    return smaller(ITEMS_PER_THREAD * p->cpu->n_threads, MAX_SPLIT_ITEMS);
}

static uint32_t choose_splits(const attention_job *job, uint32_t n_items) {
    if (job->p->cpu->n_threads == 1) return 1;
    uint32_t most_pages = 0;
    for (uint32_t t = 0; t < job->p->n_tiles; t++) {
        uint32_t lo, hi;
        tile_range(job, &job->p->tiles[t], &lo, &hi);
        most_pages = larger(most_pages, (hi - lo) / PD_PAGE_POSITIONS);
    }
    uint32_t wanted = max_split_items(job->p) / n_items;
    return larger(1, smaller(wanted, most_pages / MIN_SPLIT_PAGES));
}

/* Of a tile: as many as share what is made of a page, widened or arranged for a matrix unit, when
 * there are enough tiles so that the past need not be cut. */
static uint32_t choose_queries(const pd_program *p) {
    uint32_t most = pd_cpu_attention_matrix_queries(p->kv->stride);
    if (!pd_cpu_attention_takes_matrix(p, most)) most = MANY_QUERIES;
    uint64_t n = (uint64_t)p->step->n_rows * p->kv->shape.n_heads;
    return n >= (uint64_t)most * max_split_items(p) ? most : TILE_QUERIES;
}

void pd_cpu_attention_prepare(pd_program *p) {
    p->n_tiles = 0;
    if (!p->kv) return;
    uint32_t most = tile_rows(p, choose_queries(p));
    for (uint32_t r = 0; r < p->step->n_rows; r++) {
        pd_cpu_tile *last = p->n_tiles ? &p->tiles[p->n_tiles - 1] : NULL;
        bool joins =
            last && last->n < most && p->step->rows[last->first].seq == p->step->rows[r].seq;
        if (joins) {
            last->n++;
        } else {
            p->tiles[p->n_tiles++] = (pd_cpu_tile){.first = r, .n = 1};
        }
    }
}

uint32_t pd_cpu_attention_passes(const pd_program *p) {
    bool matrix = p->n_tiles && pd_cpu_attention_takes_matrix(p, p->tiles[0].n * group_of(p));
    return matrix ? PD_CPU_ATTENTION_PASSES : 0;
}

void pd_cpu_fast_attention(pd_program *p, const pd_op *op) {
    attention_job job = {.p = p,
                         .op = &op->attention,
                         .layer = op->attention.kv_layer,
                         .head_dim = p->kv->shape.head_dim,
                         .hd = p->kv->stride,
                         .group = group_of(p)};
    uint32_t n_items = p->n_tiles * p->kv->shape.n_kv_heads;
    job.n_splits = choose_splits(&job, n_items);
    pd_pool_run(p->cpu->pool, n_items * job.n_splits, 1, attend_items, &job);
    if (job.n_splits > 1) pd_pool_run(p->cpu->pool, n_items, 1, join_tiles, &job);
    for (uint32_t r = 0; r < p->step->n_rows; r++) {
        pd_cpu_clear_tail(p, op->attention.out, r, p->kv->shape.n_heads * job.head_dim);
    }
}

uint64_t pd_cpu_attention_work_bytes(const pd_program *p) {
    uint32_t hd = pd_cpu_head_stride(p->desc.kv.head_dim), most = MANY_QUERIES;
    if (p->cpu->matrix) most = larger(most, pd_cpu_attention_matrix_queries(hd));
    uint32_t n = smaller(tile_rows(p, most), p->desc.max_rows) * group_of(p);
    bool matrix = pd_cpu_attention_takes_matrix(p, n);
    uint64_t queries = pd_round_up(n, PD_CPU_TILE_ROWS);
    uint64_t wide = 4ull * ROWS * larger(hd, PD_PAGE_POSITIONS);
    uint64_t tiles = matrix ? pd_cpu_attention_matrix_bytes(hd, (uint32_t)queries) : 0;
    uint64_t slots = PD_PAGE_POSITIONS * SPAN_PAGES;
    return 4 * queries * (2 * hd + slots + 2) + (tiles > wide ? tiles : wide);
}

uint64_t pd_cpu_attention_partial_bytes(const pd_program *p) {
    if (p->desc.kv.n_layers == 0 || p->cpu->n_threads == 1) return 0;
    return max_split_items(p) * partial_floats(p) * sizeof(float);
}
