/* First-fit placement of buffers by lifetime.
 *
 * Large buffers are placed first, each at the lowest offset where it meets no buffer that is alive
 * at the same time. With a few dozen buffers a quadratic search is instant, and the result is
 * within a few per cent of the largest set alive at once. Offsets are multiples of 256, the largest
 * alignment that Vulkan lets a device ask of storage buffers.
 *
 * SPDX-License-Identifier: MIT
 */
#include "plan/place.h"

enum { PLACE_ALIGN = 256 };

static void touch(pd_plan *p, pd_buf_id id, uint32_t op) {
    if (id == PD_BUF_NONE) return;
    pd_buf *b = &p->bufs[id];
    if (op < b->first_op) b->first_op = op;
    if (op > b->last_op) b->last_op = op;
}

static void find_lifetimes(pd_plan *p) {
    for (uint32_t i = 0; i < p->n_bufs; i++) {
        pd_buf *b = &p->bufs[i];
        bool whole = b->role != PD_BUF_SCRATCH;
        b->first_op = whole ? 0 : UINT32_MAX;
        b->last_op = whole ? UINT32_MAX : 0;
    }
    for (uint32_t i = 0; i < p->n_ops; i++) {
        pd_op_access a = pd_op_get_access(&p->ops[i]);
        for (int k = 0; k < 2; k++) {
            touch(p, a.reads[k], i);
            touch(p, a.writes[k], i);
        }
    }
}

static bool alive_together(const pd_buf *a, const pd_buf *b) {
    return a->first_op <= b->last_op && b->first_op <= a->last_op;
}

/* The end of a placed buffer that overlaps [offset, offset + b->bytes) while b is alive; 0: none.
 */
static uint64_t collision_end(const pd_plan *p, const uint32_t *placed, uint32_t n_placed,
                              const pd_buf *b, uint64_t offset) {
    for (uint32_t i = 0; i < n_placed; i++) {
        const pd_buf *o = &p->bufs[placed[i]];
        bool overlaps = offset < o->offset + o->bytes && o->offset < offset + b->bytes;
        if (overlaps && alive_together(b, o)) return o->offset + o->bytes;
    }
    return 0;
}

static void sort_by_size(const pd_plan *p, uint32_t *order) {
    for (uint32_t i = 0; i < p->n_bufs; i++) {
        uint32_t j = i;
        for (; j > 0 && p->bufs[order[j - 1]].bytes < p->bufs[i].bytes; j--)
            order[j] = order[j - 1];
        order[j] = i;
    }
}

pd_status pd_plan_place(pd_plan *p, pd_error *err) {
    uint32_t *order = pd_alloc(p->n_bufs + 1, sizeof *order);
    if (!order) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory to place the plan's buffers");
    find_lifetimes(p);
    for (uint32_t i = 0; i < p->n_bufs; i++) {
        uint64_t bytes = (uint64_t)pd_plan_buf_rows(p, (pd_buf_id)i) * p->bufs[i].width * 4;
        p->bufs[i].bytes = pd_round_up(bytes, PLACE_ALIGN);
    }
    sort_by_size(p, order);
    p->scratch_bytes = 0;
    for (uint32_t i = 0; i < p->n_bufs; i++) {
        pd_buf *b = &p->bufs[order[i]];
        uint64_t offset = 0, end;
        while ((end = collision_end(p, order, i, b, offset)) != 0) offset = end;
        b->offset = offset;
        if (offset + b->bytes > p->scratch_bytes) p->scratch_bytes = offset + b->bytes;
    }
    pd_free(order);
    return PD_OK;
}
