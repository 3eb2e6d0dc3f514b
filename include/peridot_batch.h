/* Many requests on one device: what a server, or any program with more than one question at a time,
 * computes with.
 *
 * A `pd_batch` is a scheduler with a thread of its own. Requests are prompts with settings; their
 * answers come through a function. One step of the device holds a row of each running answer and a
 * piece of somebody's prompt, so that neither waits for the other; requests join and leave between
 * steps, first come first served. A request that begins as a former one, or as one that is running,
 * shares its KV pages and computes only the rest.
 *
 * Sessions of the same model may be used beside it: steps take turns with them.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PERIDOT_BATCH_H
#define PERIDOT_BATCH_H

#include "peridot.h"

#ifdef __cplusplus
extern "C" {
#endif
#ifdef __GNUC__
#pragma GCC visibility push(default)
#endif

typedef struct pd_batch pd_batch;
typedef struct pd_request pd_request;

enum { PD_MAX_PARALLEL = 64 };
#define PD_NO_CACHE UINT64_MAX

typedef struct pd_batch_desc {
    /* Of each sequence: n_ctx, n_chunk, precision, checkpoint_positions (default: two windows for
     * each of n_parallel). Nothing else of it counts. */
    pd_session_desc session;
    uint32_t n_parallel;  /* sequences computed at once; default: 8, or as many as memory has room
                             for */
    uint32_t max_waiting; /* requests that wait, beyond which submit refuses; default: 1024 */
    /* What requests have computed stays for those that begin alike, the least recently used goes
     * first: while all KV pages take more than this, or a device has no room. Default: 4 GiB;
     * PD_NO_CACHE: nothing stays. */
    uint64_t cache_bytes;
    uint32_t
        step_ms; /* while answers are running, prompts get about so much of a step: default 100 */
    /* An answer depends on its request alone, to the bit: each sequence is computed by itself, in
     * steps that follow from its prompt, and shares only what such steps have made. Slower: there
     * is no step of several sequences. */
    bool deterministic;
} pd_batch_desc;

/* Errors: those of pd_session_create. */
pd_status pd_batch_create(pd_model *model, const pd_batch_desc *desc, pd_batch **out,
                          pd_error *err);
/* Ends all requests with PD_ERR_CANCELLED, and returns when their functions have. Not from one of
 * these. NULL is allowed. */
void pd_batch_destroy(pd_batch *batch);

uint32_t pd_batch_n_ctx(const pd_batch *batch);      /* positions that a sequence can have */
uint32_t pd_batch_n_parallel(const pd_batch *batch); /* sequences computed at once */

/* The device was lost: nothing can be computed any more, and the model has to be opened again. */
bool pd_batch_is_lost(pd_batch *batch);

/* ---- requests ------------------------------------------------------------------------------- */

typedef enum pd_event_kind {
    PD_EVENT_PROMPT, /* a piece of choice 0's prompt is computed: n_done of n_total positions; also
                        once a second while nothing else is told before the first token */
    PD_EVENT_SCORE,  /* a token of the prompt, in their order; the first one has no probability */
    PD_EVENT_TOKEN,  /* a token of the answer; false from the function: it is the last one */
    PD_EVENT_END,    /* of a choice */
    PD_EVENT_DONE    /* of the request, and the last event: always comes, and once */
} pd_event_kind;

typedef enum pd_end {
    PD_END_STOP,   /* a stop token, which was an event like any other, or the function said so */
    PD_END_LENGTH, /* n_max tokens, or the context is full */
    PD_END_FAILED  /* or cancelled */
} pd_end;

typedef struct pd_request_stats {
    uint32_t n_prompt;  /* positions of the prompt */
    uint32_t n_cached;  /* of these, what choice 0 found computed */
    uint32_t n_drawn;   /* tokens of all choices */
    uint64_t queue_ns;  /* until choice 0 had a place */
    uint64_t prompt_ns; /* from then on to its first token, or to the end without any */
    uint64_t answer_ns; /* from then on to the end of the last choice */
    /* XXH3 of the logits that choice 0's last token was drawn from, with equal computation equal;
     * 0: they were not at hand any more. */
    uint64_t logits_hash;
} pd_request_stats;

typedef struct pd_event {
    pd_event_kind kind;
    uint32_t choice;
    uint32_t n_done, n_total, n_cached; /* PROMPT */
    uint32_t position;                  /* SCORE, TOKEN: of the token in its sequence */
    pd_log_prob token;                  /* SCORE, TOKEN: log_prob is 0 unless asked for */
    const pd_log_prob *top;             /* [n_top] the most probable ones in its place */
    uint32_t n_top;
    pd_end end;                    /* END */
    pd_status status;              /* DONE */
    const pd_error *error;         /* DONE: where status is not PD_OK */
    const pd_request_stats *stats; /* DONE */
} pd_event;

/* Called in the batch's thread: whoever takes long holds up all others. It may submit, cancel and
 * free requests, and like other functions that are called within a turn (peridot.h) it must not
 * wait for another thread's call on the model. What it returns counts for TOKEN alone. */
typedef bool (*pd_event_fn)(void *ctx, const pd_event *event);

typedef struct pd_request_desc {
    pd_prompt prompt;        /* copied, pixels too */
    pd_sampler_desc sampler; /* copied; choice i draws with seed + i */
    uint32_t n_choices;      /* default 1 */
    uint32_t n_max;          /* tokens of a choice; default: what the context leaves room for */
    bool prompt_only;        /* draw nothing */
    bool ignore_stop;        /* default: a stop token (pd_model_is_stop) is the last one */
    bool log_probs;          /* of drawn tokens, and the n_top most probable ones */
    bool score_prompt; /* SCORE events: the same of the prompt's tokens. One choice; no images */
    uint32_t n_top;    /* at most PD_MAX_TOP_LOG_PROBS */
    bool no_cache;     /* compute all of it, whatever is known */
    pd_event_fn fn;
    void *ctx;
} pd_request_desc;

enum { PD_MAX_CHOICES = 128 };

/* Hands a request over. *out is the caller's until pd_request_free. Errors: ARGUMENT (as
 * pd_session_sync_prompt and pd_sampler_init, numbers out of range), CONTEXT (the prompt is longer
 * than a sequence), BUSY (max_waiting), MEMORY_HOST, DEVICE_LOST (by an earlier step: the batch
 * is of no more use). */
pd_status pd_batch_submit(pd_batch *batch, const pd_request_desc *desc, pd_request **out,
                          pd_error *err);
/* DONE comes soon, with PD_ERR_CANCELLED unless it has come. From any thread. */
void pd_request_cancel(pd_request *request);
/* Returns when DONE has come and its function has returned. Not from an event's function. */
void pd_request_wait(pd_request *request);
/* The caller's hold on it; what is running goes on. NULL is allowed. */
void pd_request_free(pd_request *request);

/* ---- what a batch does ---------------------------------------------------------------------- */

typedef struct pd_batch_stats {
    uint32_t n_running, n_waiting;        /* sequences, requests */
    uint64_t n_requests;                  /* that were handed over */
    uint64_t n_prompt, n_cached, n_drawn; /* tokens: computed, found, drawn */
    uint64_t n_scored;                    /* of n_prompt: with log-probabilities */
    uint64_t prompt_ns, decode_ns;        /* steps with a prompt's rows; steps without */
    uint64_t n_steps, n_step_rows;        /* steps, and rows of running answers in them */
    uint64_t n_preempted;                 /* times that a sequence gave up its pages for another */
    uint32_t n_sequences_kept;            /* of requests that have ended */
    uint32_t n_global_pages, n_global_pages_used, n_local_pages, n_local_pages_used;
    uint64_t kv_bytes, kv_bytes_used;
} pd_batch_stats;
void pd_batch_get_stats(pd_batch *batch, pd_batch_stats *out);
/* Forgets what former requests have left. */
void pd_batch_clear(pd_batch *batch);

#ifdef __GNUC__
#pragma GCC visibility pop
#endif
#ifdef __cplusplus
}
#endif

#endif
