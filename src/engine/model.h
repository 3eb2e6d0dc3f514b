/* What a pd_model is made of; for the engine's own files and the debug commands.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_ENGINE_MODEL_H
#define PD_ENGINE_MODEL_H

#include "backend/backend.h"
#include "base/turns.h"
#include "engine/vision.h"
#include "model/lm_head.h"
#include "text/tokenizer.h"

struct pd_model {
    pd_gguf *file;
    pd_config config;
    pd_weights *weights; /* NULL when vocab_only or vision_only */
    pd_lm_head lm_head;  /* whose tensor may be among them */
    pd_vocab *vocab;
    pd_backend *backend; /* NULL when vocab_only */
    pd_vision *vision;   /* NULL: no image encoder */
    pd_model_info info;
    pd_vision_info vision_info;
    _Atomic(struct pd_token_tree *) token_tree; /* of the vocabulary, for grammars; NULL: not yet */
    atomic_int cancel;                          /* of images that are encoded outside of sessions */
    pd_load_stats load;
    uint32_t n_threads;          /* as wished for: 0: all processors */
    struct pd_context *contexts; /* those of its sessions; context_users.c */
    pd_turns *turns;             /* who may use the backend */
    atomic_uint n_holds;         /* the opener, and each session */
    atomic_bool closed;          /* and kept for its sessions alone */
    bool estimate_only;
    pd_estimate loaded;   /* what is there before the first session; all zero: there is no limit */
    uint32_t default_ctx; /* positions of contexts without a wish; 0: not known, the usual ones */
};

/* Positions that an image takes; 0: the model has no image encoder. */
uint32_t pd_model_image_rows(const pd_model *m);

/* The backend is this thread's until end_turn. Errors: ARGUMENT (the model was closed, or the
 * thread is in a turn already: the call comes from a function that another one is calling). */
pd_status pd_model_begin_turn(pd_model *m, pd_error *err);
void pd_model_end_turn(pd_model *m);
void pd_model_hold(pd_model *m);    /* for a session */
void pd_model_release(pd_model *m); /* the last one destroys it */

/* Places all weights, and with estimate_only counts them into m->loaded. first: the session whose
 * pipelines are built meanwhile; NULL: none. Errors: as the backend's load. */
pd_status pd_model_place(pd_model *m, const pd_session_desc *first, pd_progress_fn progress,
                         void *ctx, pd_error *err);
/* Errors: ARGUMENT (the model was opened for estimates alone). */
pd_status pd_model_check_computes(const pd_model *m, pd_error *err);

#endif
