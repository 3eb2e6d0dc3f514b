/* See choices.h.  SPDX-License-Identifier: MIT */
#include "measure/choices.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "file/json.h"

/* ---- one choice ----------------------------------------------------------------------------- */

typedef struct choice_text {
    const char *query, *choice;
    size_t n_query; /* without the blanks at its end */
    size_t n_blanks;
} choice_text;

static pd_status encode(pd_choices *c, const char *text, size_t n_bytes, size_t *n_ids,
                        pd_error *err) {
    return pd_tokenize(c->model, text, n_bytes, &(pd_tokenize_desc){0}, c->ids, c->n_ctx, n_ids,
                       err);
}

/* Tokens of the whole, and where those of the choice begin. */
static pd_status encode_choice(pd_choices *c, const choice_text *t, pd_choice_score *out,
                               pd_error *err) {
    size_t n_choice = strlen(t->choice), n_query = t->n_query + t->n_blanks, n_first, n;
    char *whole = pd_alloc(n_query + n_choice + 1, 1);
    if (!whole) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory for a choice");
    memcpy(whole, t->query, n_query);
    memcpy(whole + n_query, t->choice, n_choice);
    pd_status status = encode(c, whole, t->n_query, &n_first, err);
    if (status == PD_OK) status = encode(c, whole, n_query + n_choice, &n, err);
    pd_free(whole);
    if (status != PD_OK) return status;
    if (n_first == 0 || n <= n_first)
        return PD_RAISE(err, PD_ERR_ARGUMENT, "a choice adds no token to its query");
    *out = (pd_choice_score){
        .n_ids = (uint32_t)n, .first = (uint32_t)n_first - 1, .n_bytes = n_choice};
    return PD_OK;
}

static pd_status score_choice(pd_choices *c, const choice_text *t, pd_choice_score *out,
                              pd_error *err) {
    PD_TRY(encode_choice(c, t, out, err));
    PD_TRY(
        pd_session_log_probs(c->session, c->ids, out->n_ids, out->first, c->log_probs, NULL, err));
    for (uint32_t i = 0; i < out->n_ids - 1 - out->first; i++)
        out->log_prob += (double)c->log_probs[i];
    return PD_OK;
}

/* ---- one item ------------------------------------------------------------------------------- */

static uint32_t best_of(const double *values, uint32_t n) {
    uint32_t best = 0;
    for (uint32_t i = 1; i < n; i++)
        if (values[i] > values[best]) best = i;
    return best;
}

typedef struct choice_item {
    const char *query, *choices[PD_MAX_CHOICES];
    uint32_t n, gold;
} choice_item;

static bool read_item(const cJSON *j, choice_item *out) {
    const cJSON *choices = cJSON_GetObjectItem(j, "choices"), *choice;
    const cJSON *gold = cJSON_GetObjectItem(j, "gold");
    *out = (choice_item){.query = cJSON_GetStringValue(cJSON_GetObjectItem(j, "query"))};
    if (!out->query || !cJSON_IsArray(choices) || !cJSON_IsNumber(gold)) return false;
    cJSON_ArrayForEach(choice, choices) {
        const char *text = cJSON_GetStringValue(choice);
        if (!text || !text[0] || out->n == PD_MAX_CHOICES) return false;
        out->choices[out->n++] = text;
    }
    out->gold = (uint32_t)gold->valuedouble;
    return out->n >= 2 && gold->valuedouble >= 0 && gold->valuedouble == out->gold &&
           out->gold < out->n;
}

static pd_status score_item(pd_choices *c, const choice_item *item, pd_error *err) {
    double sums[PD_MAX_CHOICES], per_byte[PD_MAX_CHOICES];
    size_t n = strlen(item->query), n_query = n;
    while (n_query > 0 && strchr(" \n\t", item->query[n_query - 1])) n_query--;
    for (uint32_t i = 0; i < item->n; i++) {
        choice_text text = {item->query, item->choices[i], n_query, n - n_query};
        pd_choice_score score = {0};
        PD_TRY(score_choice(c, &text, &score, err));
        if (c->fn) PD_TRY(c->fn(c->fn_ctx, i, i == item->gold, &score, c->ids, err));
        sums[i] = score.log_prob;
        per_byte[i] = score.log_prob / (double)score.n_bytes;
    }
    c->n_right += best_of(sums, item->n) == item->gold;
    c->n_right_normalised += best_of(per_byte, item->n) == item->gold;
    c->n_choices += item->n;
    c->n_items++;
    return PD_OK;
}

static pd_status score_line(pd_choices *c, const char *line, size_t n, uint32_t number,
                            pd_error *err) {
    choice_item item;
    cJSON *j = pd_json_parse(line, n);
    pd_status status =
        j && read_item(j, &item)
            ? score_item(c, &item, err)
            : PD_RAISE(err, PD_ERR_FORMAT,
                       "line %u is not an item: {\"query\": \"...\", \"choices\": [two to %d "
                       "texts], \"gold\": the right one's number, from 0}",
                       number, PD_MAX_CHOICES);
    cJSON_Delete(j);
    return status;
}

/* ---- all items ------------------------------------------------------------------------------ */

static pd_status score_lines(pd_choices *c, const char *text, size_t n_bytes, pd_error *err) {
    const char *at = text, *end = text + n_bytes;
    for (uint32_t number = 1; at < end; number++) {
        const char *next = memchr(at, '\n', (size_t)(end - at));
        size_t n = (size_t)((next ? next : end) - at);
        if (n > 0 && at[n - 1] == '\r') n--;
        if (n > 0) PD_TRY(score_line(c, at, n, number, err));
        at = next ? next + 1 : end;
        if (c->progress && !c->progress(c->progress_ctx, (uint64_t)(at - text), n_bytes))
            return PD_RAISE(err, PD_ERR_CANCELLED, "stopped after %u items", c->n_items);
    }
    if (c->n_items > 0) return PD_OK;
    return PD_RAISE(err, PD_ERR_ARGUMENT, "there is nothing to score: the file has no item");
}

pd_status pd_choices_score(pd_choices *c, const char *text, size_t n_bytes, pd_error *err) {
    c->ids = pd_alloc(c->n_ctx, sizeof *c->ids);
    c->log_probs = pd_alloc(c->n_ctx, sizeof *c->log_probs);
    pd_status status =
        c->ids && c->log_probs
            ? score_lines(c, text, n_bytes, err)
            : PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory for %u scores", c->n_ctx);
    pd_free(c->ids);
    pd_free(c->log_probs);
    return status;
}

pd_share pd_share_of(uint32_t n, uint32_t all) {
    double p = (double)n / all;
    return (pd_share){p, all > 1 ? sqrt(p * (1 - p) / (all - 1)) : 0};
}
