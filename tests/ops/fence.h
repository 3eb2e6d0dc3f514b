/* What a plan must not write: rows behind those of the step, buffers that none of its operations
 * writes, and memory between the buffers.
 *
 * Before a step every input and output buffer, to the last row that it could have, holds a NaN of
 * our own; then the step's inputs are written. What is read back before and after the step must
 * agree everywhere but in the live rows of the buffers that operations write; products on a GPU may
 * fill their last tile of rows (nobody reads them). The NaN also shows where a kernel reads rows
 * that are not there. Every buffer is followed by a guard of its size:
 * buffers are placed by size, those of equal size in their order (engine/place.c).
 *
 * Scratch buffers share memory and are not looked at.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_TESTS_OPS_FENCE_H
#define PD_TESTS_OPS_FENCE_H

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "backend/backend.h"
#include "base/memory.h"

/* A quiet NaN for each buffer: arithmetic hands a NaN on as it is. Larger buffers have no guards,
 * for the time it takes. */
enum { FENCE_WORD = 0x7fc0de00, FENCE_MAX_BYTES = 1 << 22, FENCE_TILE_ROWS = 128 };

/* Before pd_plan_finish. */
static inline void fence_add_guards(pd_plan *p) {
    uint32_t n = p->n_bufs;
    for (uint32_t i = 0; i < n; i++) {
        pd_buf b = p->bufs[i];
        uint64_t bytes = 4ull * b.width * pd_plan_buf_rows(p, (pd_buf_id)i);
        if (b.role != PD_BUF_SCRATCH && bytes <= FENCE_MAX_BYTES)
            pd_plan_add_buf(p, "guard", b.rows_of, b.width, PD_BUF_INPUT);
    }
}

static inline uint64_t fence_buf_words(const pd_plan *p, uint32_t i) {
    if (p->bufs[i].role == PD_BUF_SCRATCH) return 0;
    return (uint64_t)p->bufs[i].width * pd_plan_buf_rows(p, (pd_buf_id)i);
}

static inline uint64_t fence_words(const pd_plan *p) {
    uint64_t n = 0;
    for (uint32_t i = 0; i < p->n_bufs; i++) n += fence_buf_words(p, i);
    return n;
}

static inline pd_status fence_fill(const pd_plan *p, pd_backend *b, pd_program *program,
                                   pd_error *err) {
    uint64_t most = fence_words(p);
    uint32_t *words = pd_alloc(most + 1, sizeof *words);
    pd_status status = PD_OK;
    if (!words) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for a test");
    for (uint32_t i = 0; i < p->n_bufs && status == PD_OK; i++) {
        uint64_t n = fence_buf_words(p, i);
        for (uint64_t k = 0; k < n; k++) words[k] = FENCE_WORD + i;
        if (n > 0) status = b->v->write(program, (pd_buf_id)i, 0, 4 * n, words, err);
    }
    pd_free(words);
    return status;
}

/* All buffers, one behind the other: fence_words of them. */
static inline pd_status fence_read(const pd_plan *p, pd_backend *b, pd_program *program,
                                   uint32_t *words, pd_error *err) {
    for (uint32_t i = 0; i < p->n_bufs; i++) {
        uint64_t n = fence_buf_words(p, i);
        if (n > 0) PD_TRY(b->v->read(program, (pd_buf_id)i, 0, 4 * n, words, err));
        words += n;
    }
    return PD_OK;
}

/* Rows of a buffer that a step may write. */
static inline uint32_t fence_rows(const pd_plan *p, const pd_step *step, uint32_t buf,
                                  bool in_tiles) {
    uint32_t rows = p->bufs[buf].rows_of == PD_ROWS_TOKENS ? step->n_rows : step->n_outs, n = 0;
    uint32_t most = pd_plan_buf_rows(p, (pd_buf_id)buf);
    for (uint32_t i = 0; i < p->n_ops; i++) {
        pd_op_access a = pd_op_get_access(&p->ops[i]);
        if (a.writes[0] != buf && a.writes[1] != buf) continue;
        bool fills = in_tiles && p->ops[i].kind == PD_OP_MATMUL;
        uint32_t end = fills ? (uint32_t)pd_round_up(rows, FENCE_TILE_ROWS) : rows;
        if (end > n) n = end;
    }
    return n < most ? n : most;
}

static inline bool fence_is_nan(uint32_t word) {
    return (word & 0x7fffffff) > 0x7f800000;
}

/* A backend may hand out an output as it was after the run before: what it held is known then.
 * Buffers that are packed are none of those, and hold a NaN of the format's. */
static inline bool fence_is_kept(const pd_plan *p, uint32_t buf, uint32_t before, uint32_t after) {
    bool is_output = p->bufs[buf].role == PD_BUF_OUTPUT;
    if (is_output && after == FENCE_WORD + buf) return true;
    return after == before && (!is_output || fence_is_nan(before));
}

/* true: the step kept to what it may write; else says where it did not. in_tiles: on a GPU. */
static inline bool fence_holds(const pd_plan *p, const pd_step *step, bool in_tiles,
                               const uint32_t *before, const uint32_t *after, char text[160]) {
    for (uint32_t i = 0; i < p->n_bufs; i++) {
        const pd_buf *b = &p->bufs[i];
        uint32_t rows = fence_rows(p, step, i, in_tiles);
        uint64_t n = fence_buf_words(p, i), k = n > 0 ? (uint64_t)rows * b->width : 0;
        while (k < n && fence_is_kept(p, i, before[k], after[k])) k++;
        if (k < n) {
            snprintf(text, 160,
                     "%u rows of %s may change, but row %" PRIu64 ", value %" PRIu64
                     ": %08x became %08x",
                     rows, b->name, k / b->width, k % b->width, before[k], after[k]);
            return false;
        }
        before += n;
        after += n;
    }
    return true;
}

#endif
