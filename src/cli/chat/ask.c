/* A question with all turns before it: tokens, the context that must hold them, the session made
 * equal to them, and the answer.
 *
 * With --context-shift the oldest turns go when the context is full, and so many that a quarter of
 * it is free: all that stays moves, and has to be computed again, which should not come with every
 * question.
 *
 * SPDX-License-Identifier: MIT
 */
#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "cli/chat/chat.h"

enum { BAR_TOKENS = 256 }; /* a bar for prompts that are soon done would only flicker */

/* ---- the context ---------------------------------------------------------------------------- */

/* n: tokens of n_turns turns */
static pd_status raise_full(const chat_job *job, size_t n_turns, uint64_t n, pd_error *err) {
    uint32_t n_ctx = pd_session_n_ctx(job->session);
    uint32_t n_train = pd_model_get_info(job->model)->n_ctx_train;
    const char *what = n_turns > 1                ? "the conversation with this question has"
                       : job->conversation.system ? "the system prompt and the question have"
                                                  : "the question has";
    pd_status status =
        PD_RAISE(err, PD_ERR_CONTEXT, "%s %" PRIu64 " tokens, but the context holds %" PRIu32, what,
                 n, n_ctx);
    if (n_turns > 1)
        return pd_error_hint(err, status,
                             "/undo and /reset make room, and --context-shift does by itself");
    if (n_ctx < n_train)
        return pd_error_hint(err, status, "a larger context is asked for with -c, up to %" PRIu32,
                             n_train);
    return status;
}

/* Positions that an answer should find. */
static uint64_t wanted_room(const chat_job *job, uint32_t n_ctx) {
    int64_t n_predict = cli_int(&job->options, OPT_PREDICT);
    uint64_t most = n_ctx / 4;
    return n_predict >= 0 && (uint64_t)n_predict < most ? (uint64_t)n_predict : most;
}

static uint64_t count(const chat_job *job, const chat_prompt *p) {
    return pd_prompt_count(job->model, &(pd_prompt){.ids = p->ids, .n_ids = p->n_ids});
}

/* The prompt without the first n_gone turns; *n: its positions. */
static pd_status make_shorter(const chat_job *job, size_t n_gone, chat_prompt *p, uint64_t *n,
                              pd_error *err) {
    chat_conversation rest = job->conversation;
    rest.turns += n_gone;
    rest.n -= n_gone;
    PD_TRY(chat_prompt_make(job->model, &rest, p, err));
    *n = count(job, p);
    return PD_OK;
}

/* The prompt of all turns but the first *n_gone, which do not fit. None of them goes yet. */
static pd_status make_prompt(chat_job *job, chat_prompt *p, size_t *n_gone, pd_error *err) {
    size_t n_turns = job->conversation.n;
    uint32_t n_ctx = pd_session_n_ctx(job->session);
    bool shifts = cli_given(job->o, OPT_CONTEXT_SHIFT);
    uint64_t n, most = n_ctx - wanted_room(job, n_ctx);
    *n_gone = 0;
    PD_TRY(make_shorter(job, 0, p, &n, err));
    while (shifts && *n_gone + 1 < n_turns && n > most) {
        most = n_ctx - n_ctx / 4; /* once some must go */
        chat_prompt_free(p);
        PD_TRY(make_shorter(job, ++*n_gone, p, &n, err));
    }
    job->figures = (chat_figures){.n_prompt = n};
    if (n <= n_ctx) return PD_OK;
    chat_prompt_free(p);
    return raise_full(job, n_turns - *n_gone, n, err);
}

/* ---- computing ------------------------------------------------------------------------------ */

bool chat_prompt_progress(void *ctx, uint32_t n_done, uint32_t n_total) {
    chat_job *job = ctx;
    bool soon_done = job->progress.shown_ns == 0 && n_total - n_done < BAR_TOKENS;
    if (soon_done) cli_progress_end(&job->progress);
    return cli_progress_update_tokens(&job->progress, n_done, n_total);
}

static pd_status sync(chat_job *job, const chat_prompt *p, pd_error *err) {
    chat_figures *f = &job->figures;
    uint64_t start_ns = pd_clock_ns();
    uint32_t before = pd_session_get_stats(job->session)->n_reused;
    pd_prompt prompt = {p->ids, p->n_ids, p->images, p->n_images};
    cli_progress_begin(&job->progress, "prompt");
    pd_status status = pd_session_sync_prompt(job->session, &prompt, err);
    cli_progress_end(&job->progress);
    f->prompt_ns = pd_clock_ns() - start_ns;
    f->n_reused = pd_session_get_stats(job->session)->n_reused - before;
    return status;
}

static const char *plural(uint64_t n) {
    return n == 1 ? "" : "s";
}

/* The first n_gone turns go. What stays of those before the last question was computed once. */
static pd_status shift(chat_job *job, size_t n_gone, pd_error *err) {
    chat_conversation *c = &job->conversation;
    uint64_t n_known = 0, n_reused = job->figures.n_reused;
    if (n_gone == 0) return PD_OK;
    chat_drop_first(c, n_gone);
    if (c->n > 1) {
        chat_conversation known = *c;
        chat_prompt p;
        known.n--;
        PD_TRY(chat_prompt_make(job->model, &known, &p, err));
        n_known = count(job, &p) + known.turns[known.n - 1].n_ids;
        chat_prompt_free(&p);
    }
    chat_note("the context was full: the oldest %zu turns went, and %" PRIu64
              " tokens were computed again",
              2 * n_gone, n_known > n_reused ? n_known - n_reused : 0);
    return PD_OK;
}

static double per_second(uint64_t n, uint64_t ns) {
    return ns ? (double)n * 1e9 / (double)ns : 0;
}

static void print_figures(const chat_job *job) {
    const chat_figures *f = &job->figures;
    uint64_t n_new = f->n_prompt - f->n_reused;
    if (!cli_given(job->o, OPT_CHAT_TIMINGS) || cli_given(job->o, OPT_QUIET)) return;
    fprintf(stderr,
            "prompt %" PRIu64 " token%s, %" PRIu32 " reused, %" PRIu64
            " computed at %.1f tok/s; answer %" PRIu64 " token%s",
            f->n_prompt, plural(f->n_prompt), f->n_reused, n_new, per_second(n_new, f->prompt_ns),
            f->n_answer, plural(f->n_answer));
    if (f->n_answer > 1)
        fprintf(stderr, " at %.1f tok/s", per_second(f->n_answer - 1, f->answer_ns));
    fprintf(stderr, "\n");
}

/* ---- asking --------------------------------------------------------------------------------- */

/* As many as are asked for and the context has positions for: the last one needs none. */
static pd_status generate(chat_job *job, uint64_t *n_drawn, pd_error *err) {
    uint32_t n_ctx = pd_session_n_ctx(job->session);
    uint64_t room = n_ctx - job->figures.n_prompt + 1;
    int64_t n_predict = cli_int(&job->options, OPT_PREDICT);
    bool limited = n_predict < 0 || (uint64_t)n_predict > room;
    uint64_t n_max = limited ? room : (uint64_t)n_predict;
    *n_drawn = 0;
    if (n_max == 0) return PD_OK;
    PD_TRY(chat_generate(job, n_max, n_drawn, err));
    const chat_turn *t = chat_last(&job->conversation);
    if (limited && *n_drawn == n_max && t->n_ids == n_max)
        chat_note("the context of %" PRIu32 " tokens is full; the answer may be cut", n_ctx);
    return PD_OK;
}

/* The last turn's question. *n_drawn: tokens of its new answer. */
static pd_status answer_last(chat_job *job, uint64_t *n_drawn, pd_error *err) {
    chat_prompt prompt;
    size_t n_gone;
    *n_drawn = 0;
    PD_TRY(make_prompt(job, &prompt, &n_gone, err));
    cli_interrupt_watch(job->session, NULL);
    pd_status status = sync(job, &prompt, err);
    if (status == PD_OK) status = shift(job, n_gone, err);
    if (status == PD_OK) status = generate(job, n_drawn, err);
    cli_interrupt_watch(NULL, NULL);
    pd_session_resume(job->session);
    chat_prompt_free(&prompt);
    if (*n_drawn > 0) print_figures(job);
    bool kept = status == PD_ERR_CANCELLED && *n_drawn > 0 && job->interactive;
    return kept ? PD_OK : status;
}

pd_status chat_ask(chat_job *job, chat_turn *question, pd_error *err) {
    chat_conversation *c = &job->conversation;
    uint64_t n_drawn;
    chat_turn_free(&job->draft);
    PD_TRY(chat_push(c, question, err));
    pd_status status = answer_last(job, &n_drawn, err);
    if (n_drawn == 0) chat_take_last(c, &job->draft);
    return status;
}

pd_status chat_ask_again(chat_job *job, pd_error *err) {
    uint64_t n_drawn;
    return answer_last(job, &n_drawn, err);
}

/* ---- cutting -------------------------------------------------------------------------------- */

/* The conversation, its last answer, and what ends that: the tokens that any next question comes
 * behind; without the last ones where the context has no room for them. */
static pd_status make_whole(const chat_job *job, chat_prompt *p, pd_error *err) {
    uint64_t n, n_ctx = pd_session_n_ctx(job->session);
    const chat_turn *last = &job->conversation.turns[job->conversation.n - 1];
    PD_TRY(make_shorter(job, 0, p, &n, err));
    uint32_t *longer = pd_alloc(p->n_ids + last->n_ids + 1, sizeof *longer);
    if (!longer) {
        chat_prompt_free(p);
        return PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory for the conversation");
    }
    memcpy(longer, p->ids, p->n_ids * sizeof *longer);
    if (last->n_ids) memcpy(longer + p->n_ids, last->ids, last->n_ids * sizeof *longer);
    longer[p->n_ids + last->n_ids] = PD_TOKEN_END_OF_TURN;
    uint64_t room = n < n_ctx ? n_ctx - n : 0;
    p->n_ids += room < last->n_ids + 1 ? (size_t)room : last->n_ids + 1;
    pd_free(p->ids);
    p->ids = longer;
    return PD_OK;
}

/* A sync that is stopped before its first step cuts and no more. */
pd_status chat_cut_session(chat_job *job, pd_error *err) {
    chat_prompt p;
    uint32_t kept;
    if (job->conversation.n == 0) return pd_session_rewind(job->session, 0, &kept, err);
    PD_TRY(make_whole(job, &p, err));
    pd_session_cancel(job->session);
    pd_status status = pd_session_sync_prompt(
        job->session, &(pd_prompt){p.ids, p.n_ids, p.images, p.n_images}, err);
    pd_session_resume(job->session);
    chat_prompt_free(&p);
    if (status == PD_OK || status == PD_ERR_CANCELLED) return PD_OK;
    return pd_session_rewind(job->session, 0, &kept, err); /* none that this context could hold */
}
