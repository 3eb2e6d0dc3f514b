/* An answer as it comes: tokens to text, up to a stop string, on standard output; and both kept for
 * the conversation.
 *
 * SPDX-License-Identifier: MIT
 */
#include <string.h>

#include "base/clock.h"
#include "cli/chat/chat.h"

typedef struct answer {
    chat_job *job;
    pd_detokenizer detokenizer;
    pd_bytes text, ids; /* shown so far; uint32_t */
    uint64_t n_drawn;
    uint64_t first_ns, last_ns; /* token drawn */
    bool cut;                   /* by a stop string */
} answer;

static void show(answer *a, char *text, size_t n) {
    if (n == 0) return;
    pd_bytes_write(&a->text, text, n);
    cli_write_text(text, n);
    fflush(stdout);
}

/* Shows what no stop string can begin with. */
static void take_text(answer *a, const char *text, size_t n) {
    char shown[PD_DETOKENIZE_MAX_BYTES + PD_STOP_MAX_BYTES];
    size_t n_shown;
    a->cut = pd_stop_feed(a->job->stop, text, n, shown, &n_shown);
    show(a, shown, n_shown);
}

static bool on_token(void *ctx, uint32_t id) {
    answer *a = ctx;
    char text[PD_DETOKENIZE_MAX_BYTES];
    a->last_ns = pd_clock_ns();
    if (a->n_drawn++ == 0) a->first_ns = a->last_ns;
    if (pd_model_is_stop(a->job->model, id)) return false;
    pd_bytes_write(&a->ids, &id, sizeof id);
    take_text(a, text, pd_detokenize(a->job->model, &a->detokenizer, id, text));
    return !a->cut && !ferror(stdout);
}

/* What was held back, and the end of the line. */
static void finish_text(answer *a) {
    char text[PD_STOP_MAX_BYTES];
    bool cut = a->cut;
    size_t n = pd_detokenizer_flush(&a->detokenizer, text);
    if (!cut) take_text(a, text, n);
    n = pd_stop_flush(a->job->stop, text);
    if (!cut) show(a, text, n);
    a->cut = cut;
    if (a->n_drawn > 0 && (a->text.n == 0 || a->text.data[a->text.n - 1] != '\n')) {
        fputc('\n', stdout);
        fflush(stdout);
    }
}

/* A stop string may end in the middle of a token: then the answer's tokens are those of its text.
 */
static pd_status keep(answer *a, pd_error *err) {
    chat_turn *turn = chat_last(&a->job->conversation);
    uint32_t *ids = (uint32_t *)(void *)a->ids.data, *cut = NULL;
    size_t n = a->ids.n / sizeof *ids;
    if (a->text.failed || a->ids.failed)
        return PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory to keep the answer");
    if (a->cut) {
        PD_TRY(chat_spell(a->job->model, ids, n, a->text.data ? a->text.data : "", a->text.n, &cut,
                          &n, err));
        ids = cut;
    }
    pd_status status = chat_turn_set_answer(turn, a->text.data, a->text.n, ids, n, err);
    pd_free(cut);
    return status;
}

pd_status chat_generate(chat_job *job, uint64_t n_max, uint64_t *n_drawn, pd_error *err) {
    answer a = {.job = job};
    uint64_t start_ns = pd_clock_ns();
    a.first_ns = a.last_ns = start_ns;
    pd_detokenizer_init(&a.detokenizer);
    pd_generate_desc desc = {.n_max = (uint32_t)n_max, .fn = on_token, .fn_ctx = &a};
    if (job->shows_roles) {
        fputs(chat_label(job, CHAT_MODEL), stdout);
        fflush(stdout);
    }
    job->sampler.place = (pd_grammar_place){0}; /* each answer is one of the grammar's */
    pd_status status = pd_session_generate(job->session, &job->sampler, &desc, err);
    finish_text(&a);
    if (job->shows_roles && a.n_drawn == 0) fputc('\n', stdout);
    if (a.n_drawn > 0) {
        pd_error failure;
        pd_status kept = keep(&a, &failure);
        if (kept != PD_OK && status == PD_OK) {
            *err = failure;
            status = kept;
        }
        if (kept != PD_OK) a.n_drawn = 0;
    }
    *n_drawn = job->figures.n_answer = a.n_drawn;
    job->figures.prompt_ns += a.first_ns - start_ns;
    job->figures.answer_ns = a.last_ns - a.first_ns;
    pd_bytes_free(&a.text);
    pd_bytes_free(&a.ids);
    return status;
}
