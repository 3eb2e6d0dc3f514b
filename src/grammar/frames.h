/* What lies on the automaton's stacks: frames that are shared by all stacks which go on in the same
 * way. Frame 0 is the empty stack.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_GRAMMAR_FRAMES_H
#define PD_GRAMMAR_FRAMES_H

#include "base/error.h"

typedef struct pd_frame {
    uint32_t insn;      /* where to go on; a LOOP: a counter */
    uint32_t count;     /* of a LOOP: rounds that are over */
    uint32_t parent;    /* the frame below */
    uint32_t min_bytes; /* from it to the end, what lies below included */
} pd_frame;

typedef struct pd_frames {
    pd_frame *list;
    uint32_t n, cap;
    uint32_t *slots; /* a hash table of frames, 0: free */
    uint32_t slot_mask;
} pd_frames;

pd_status pd_frames_init(pd_frames *f, pd_error *err);
void pd_frames_free(pd_frames *f);
/* The frame with these; own_bytes: its min_bytes without what lies below. */
pd_status pd_frames_push(pd_frames *f, uint32_t insn, uint32_t count, uint32_t parent,
                         uint32_t own_bytes, uint32_t *out, pd_error *err);

#endif
