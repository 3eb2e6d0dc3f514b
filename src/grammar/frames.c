/* See frames.h.  SPDX-License-Identifier: MIT */
#include "grammar/frames.h"

#include <string.h>

#include "base/memory.h"
#include "grammar/program.h"

enum { FIRST_ROOM = 64 };

pd_status pd_frames_init(pd_frames *f, pd_error *err) {
    *f = (pd_frames){.n = 1,
                     .cap = FIRST_ROOM,
                     .list = pd_alloc(FIRST_ROOM, sizeof *f->list),
                     .slots = pd_alloc(2 * FIRST_ROOM, sizeof *f->slots),
                     .slot_mask = 2 * FIRST_ROOM - 1};
    if (f->list && f->slots) return PD_OK;
    pd_frames_free(f);
    return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for a grammar's stacks");
}

void pd_frames_free(pd_frames *f) {
    pd_free(f->list);
    pd_free(f->slots);
    *f = (pd_frames){0};
}

static uint32_t hash_of(uint32_t insn, uint32_t count, uint32_t parent) {
    uint64_t h = (insn * UINT64_C(0x9E3779B97F4A7C15)) ^ (count * UINT64_C(0xBF58476D1CE4E5B9)) ^
                 (parent * UINT64_C(0x94D049BB133111EB));
    return (uint32_t)(h ^ h >> 32);
}

static uint32_t *find_slot(const pd_frames *f, uint32_t insn, uint32_t count, uint32_t parent) {
    uint32_t i = hash_of(insn, count, parent) & f->slot_mask;
    for (; f->slots[i]; i = (i + 1) & f->slot_mask) {
        const pd_frame *frame = &f->list[f->slots[i]];
        if (frame->insn == insn && frame->count == count && frame->parent == parent) break;
    }
    return &f->slots[i];
}

static pd_status grow(pd_frames *f, pd_error *err) {
    pd_frames larger = {.n = f->n,
                        .cap = 2 * f->cap,
                        .list = pd_alloc(2 * (size_t)f->cap, sizeof *f->list),
                        .slots = pd_alloc(4 * (size_t)f->cap, sizeof *f->slots),
                        .slot_mask = 4 * f->cap - 1};
    if (!larger.list || !larger.slots) {
        pd_frames_free(&larger);
        return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for a grammar's stacks");
    }
    memcpy(larger.list, f->list, f->n * sizeof *f->list);
    for (uint32_t i = 1; i < f->n; i++)
        *find_slot(&larger, f->list[i].insn, f->list[i].count, f->list[i].parent) = i;
    pd_frames_free(f);
    *f = larger;
    return PD_OK;
}

pd_status pd_frames_push(pd_frames *f, uint32_t insn, uint32_t count, uint32_t parent,
                         uint32_t own_bytes, uint32_t *out, pd_error *err) {
    uint32_t *slot = find_slot(f, insn, count, parent);
    if (*slot) {
        *out = *slot;
        return PD_OK;
    }
    if (f->n == f->cap) {
        PD_TRY(grow(f, err));
        slot = find_slot(f, insn, count, parent);
    }
    uint64_t bytes = (uint64_t)own_bytes + f->list[parent].min_bytes;
    uint32_t limited = bytes < PD_MIN_BYTES_MANY ? (uint32_t)bytes : PD_MIN_BYTES_MANY;
    f->list[f->n] = (pd_frame){insn, count, parent, limited};
    *out = *slot = f->n++;
    return PD_OK;
}
