/* A device beside a reference on a user's own model and prompt: what each operation computes from
 * the same inputs, what becomes of the next token's probabilities, and the answers.
 *
 * - reference: runs the prompt and its own greedy answer, whose logits are kept
 * - forced: the device runs the prompt and the reference's answer, token by token; its logits stand
 *   beside the kept ones
 * - answers: both write one of their own, greedy and drawn
 * - draws: what the host draws from the device's own logits, which the device is to draw as well
 * - operations: both run the prompt and the steps behind it again, operation by operation
 *   (pd_session_check)
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_MEASURE_COMPARE_H
#define PD_MEASURE_COMPARE_H

#include "measure/deviation.h"
#include "measure/profile.h"

/* An answer of up to n_tokens tokens, and when they came. */
typedef struct pd_compare_answer {
    uint32_t *ids; /* [n] */
    uint32_t n;
    uint64_t ns;   /* from the first token drawn to the last */
    double joules; /* in that time; 0: the system does not tell */
} pd_compare_answer;

/* What one side makes of the prompt. */
typedef struct pd_compare_side {
    pd_model *model;
    pd_session *session; /* of n_prompt + n_tokens positions */
    uint64_t prompt_ns, image_ns;
    uint64_t logits_hash;  /* of the logits behind the prompt */
    char energy_source[8]; /* who tells the joules */
    pd_compare_answer greedy, drawn;
} pd_compare_side;

typedef struct pd_compare_job {
    pd_prompt prompt;
    uint32_t n_prompt;       /* its positions */
    uint32_t n_tokens;       /* of answers, and forced */
    uint32_t n_checked;      /* steps behind the prompt whose operations are compared */
    pd_sampler_desc drawing; /* of the drawn answer */
    pd_precision precision;
    bool has_image;
    pd_compare_side *reference;
    float *logits; /* [n_tokens, n_vocab] of the reference's greedy answer; compare.c's own */
    /* Called now and then with what is going on ("operations on vulkan:0"), n_done of n_total.
     * Return false to stop (CANCELLED). */
    bool (*progress)(void *ctx, const char *what, uint32_t n_done, uint32_t n_total);
    void *progress_ctx;
} pd_compare_job;

/* ---- operations ----------------------------------------------------------------------------- */

/* One part of what an operation writes, at its worst over the prompt and the steps behind it. */
typedef struct pd_compare_op {
    char name[32], kind[32], part[12];
    int32_t layer;     /* -1: outside the layers */
    bool is_image;     /* of the image encoder */
    uint32_t head_dim; /* 0: no heads */
    uint32_t first;    /* position of row 0 where it was worst */
    pd_deviation deviation;
    double bound; /* of row_nmse: pd_compare_bound */
} pd_compare_op;

static inline bool pd_compare_op_holds(const pd_compare_op *op) {
    return op->deviation.row_nmse <= op->bound;
}

typedef struct pd_compare_ops {
    pd_compare_op *list; /* in the order of the plans: the image encoder's, the text model's */
    uint32_t n, cap;
} pd_compare_ops;

/* What an operation's row_nmse may be on a device that computes as it says. */
double pd_compare_bound(const pd_check_op *op);

/* Adds what an operation wrote in a step; false: no memory. ops->list: pd_free. */
bool pd_compare_ops_add(pd_compare_ops *ops, const pd_check_op *op, bool is_image);

/* ---- probabilities -------------------------------------------------------------------------- */

/* At one position of the reference's answer. */
typedef struct pd_compare_position {
    uint32_t id;                         /* the reference's token, its most probable one */
    uint32_t best;                       /* the device's */
    uint32_t rank;                       /* of id among the device's logits; 0: the highest */
    double kl;                           /* KL(reference || device), nats */
    double log_prob, reference_log_prob; /* of id */
    double change;                       /* largest change of any token's probability */
    uint32_t change_id;                  /* whose that is */
    double error, squares; /* sums over all logits: (device - reference)^2, reference^2 */
    double margin;         /* the reference's: by how much id is more probable than the second */
} pd_compare_position;

typedef struct pd_compare_forced {
    pd_compare_position *list; /* [n] */
    uint32_t n;
} pd_compare_forced;

/* ---- answers -------------------------------------------------------------------------------- */

/* The first position at which two answers differ; the shorter one's end when it begins the other;
 * UINT32_MAX when they are equal. */
uint32_t pd_compare_parting(const pd_compare_answer *a, const pd_compare_answer *b);

/* ---- all of it ------------------------------------------------------------------------------ */

typedef struct pd_compare_result {
    pd_compare_side side;
    pd_compare_forced forced;
    uint32_t n_draws;    /* of the drawn answer that the host has drawn too */
    bool has_wrong_draw; /* the last of these is another than the host's, which is */
    uint32_t right_draw; /* this id */
    pd_compare_ops ops;
    /* What the device took for them: of all steps with several rows, and with one; of the image. */
    pd_kind_profile prompt_profile, step_profile, image_profile;
} pd_compare_result;

/* The reference's part: its answers, and the logits of the greedy one. job->reference has model and
 * session. Errors: the session's, MEMORY_HOST, CANCELLED. */
pd_status pd_compare_begin(pd_compare_job *job, pd_error *err);
/* A device's part; out->side has model and session. What was done before a failure stays in *out.
 * Errors: as begin. */
pd_status pd_compare_device(pd_compare_job *job, pd_compare_result *out, pd_error *err);

void pd_compare_result_free(pd_compare_result *r); /* but for side's model and session */
void pd_compare_end(pd_compare_job *job);

/* ---- what it comes to ----------------------------------------------------------------------- */

/* The first operation beyond its bound; NULL: all hold. */
const pd_compare_op *pd_compare_first_fault(const pd_compare_ops *ops);

typedef struct pd_compare_summary {
    double kl_mean, kl_max;
    double same_best; /* share of the positions */
    uint32_t worst_rank;
    double change;                           /* the largest */
    double perplexity, reference_perplexity; /* of the reference's answer */
    double error;       /* of all logits: L2 norm of the difference over that of the reference's */
    double error_bound; /* what the precision class promises */
} pd_compare_summary;
pd_compare_summary pd_compare_summarise(const pd_compare_forced *f, pd_precision precision);

#endif
