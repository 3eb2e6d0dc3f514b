/* Completions as OpenAI writes them, with the older form of log-probabilities; what
 * lm-evaluation-harness asks for among it: an echoed prompt's tokens and the drawn one have exactly
 * an entry each, and equal probabilities are equal as text.
 * https://platform.openai.com/docs/api-reference/completions  SPDX-License-Identifier: MIT */
#include "server/call.h"

/* ---- log-probabilities ---------------------------------------------------------------------- */

static void new_lists(srv_choice *c) {
    c->log_probs = cJSON_CreateObject();
    cJSON_AddArrayToObject(c->log_probs, "tokens");
    cJSON_AddArrayToObject(c->log_probs, "token_logprobs");
    cJSON_AddArrayToObject(c->log_probs, "top_logprobs");
    cJSON_AddArrayToObject(c->log_probs, "text_offset");
}

static void append(srv_choice *c, const char *list, cJSON *item) {
    cJSON_AddItemToArray(cJSON_GetObjectItem(c->log_probs, list), item);
}

/* By text; of several with the same one the most probable, which comes first. */
static cJSON *top_json(const pd_model *m, const pd_event *e) {
    cJSON *j = cJSON_CreateObject();
    for (uint32_t i = 0; i < e->n_top; i++) {
        char key[6 * sizeof((srv_token){0}.text) + 1];
        srv_token t;
        srv_token_read(m, e->top[i].id, &t);
        srv_token_key(&t, key);
        if (!cJSON_GetObjectItemCaseSensitive(j, key)) srv_add_float(j, key, e->top[i].log_prob);
    }
    return j;
}

/* What is echoed first has no probability, whatever stands before it. */
static bool is_first(const srv_choice *c, const pd_event *e) {
    return e->kind == PD_EVENT_SCORE && e->position == c->part->prompt.n_hidden;
}

static void add_log_prob(srv_choice *c, const pd_event *e) {
    const pd_model *m = c->call->engine->model;
    bool has_none = is_first(c, e);
    srv_token t;
    if (!c->log_probs) new_lists(c);
    srv_token_read(m, e->token.id, &t);
    append(c, "tokens", srv_token_json(&t));
    append(c, "token_logprobs", has_none ? cJSON_CreateNull() : srv_float_json(e->token.log_prob));
    append(c, "top_logprobs",
           has_none || c->call->settings.n_top == 0 ? cJSON_CreateNull() : top_json(m, e));
    append(c, "text_offset", cJSON_CreateNumber(c->n_chars));
}

/* ---- whole ---------------------------------------------------------------------------------- */

static const char object[] = "text_completion";

static cJSON *choice_json(srv_choice *c, const char *finish) {
    cJSON *j = cJSON_CreateObject(), *log_probs = srv_take_log_probs(c);
    srv_add_count(j, "index", c->index);
    srv_add_text(j, "text", c->text.data ? c->text.data : "", c->text.n);
    cJSON_AddItemToObject(j, "logprobs", log_probs ? log_probs : cJSON_CreateNull());
    cJSON_AddItemToObject(j, "finish_reason",
                          finish ? cJSON_CreateString(finish) : cJSON_CreateNull());
    return j;
}

static cJSON *whole(srv_call *call) {
    cJSON *j = srv_completion_head(call, object), *choices = cJSON_AddArrayToObject(j, "choices");
    for (size_t i = 0; i < call->n_parts; i++)
        for (uint32_t k = 0; k < call->settings.n_choices; k++) {
            srv_choice *c = &call->parts[i].choices[k];
            cJSON_AddItemToArray(choices, choice_json(c, c->finish));
        }
    srv_add_usage(j, call);
    srv_add_timings(j, call);
    return j;
}

/* ---- streams -------------------------------------------------------------------------------- */

static void tell(srv_choice *c, const char *finish) {
    cJSON *j = srv_completion_head(c->call, object);
    cJSON_AddItemToArray(cJSON_AddArrayToObject(j, "choices"), choice_json(c, finish));
    srv_stream_json(c->call, NULL, j);
}

static void piece(srv_choice *c) {
    tell(c, NULL);
}

static void end(srv_choice *c) {
    tell(c, c->finish);
}

static void finish(srv_call *call) {
    srv_completion_done(call, object);
}

static const srv_writer writer = {.log_prob = add_log_prob,
                                  .piece = piece,
                                  .end = end,
                                  .finish = finish,
                                  .whole = whole,
                                  .ping = ": ping\n\n"};

/* ---- POST /v1/completions ------------------------------------------------------------------- */

enum { MAX_ANSWERS = 4096 }; /* of all prompts */

/* "logprobs": N, and what some clients send: true. */
static pd_status read_log_probs(srv_fields *f, srv_settings *s, pd_error *err) {
    const cJSON *j = srv_get(f, "logprobs");
    if (!j || cJSON_IsFalse(j)) return PD_OK;
    s->log_probs = true;
    s->n_top = 1;
    return cJSON_IsTrue(j) ? PD_OK
                           : srv_get_u32(f, "logprobs", 0, PD_MAX_TOP_LOG_PROBS, &s->n_top, err);
}

static pd_status check_echo(srv_fields *f, const srv_settings *s, pd_error *err) {
    if (!s->echo || !s->log_probs || s->n_choices == 1) return PD_OK;
    srv_blame(f, "n");
    return PD_RAISE(err, PD_ERR_ARGUMENT, "echo with logprobs has one choice");
}

/* A text that goes on has no turns for their results. */
static pd_status refuse_tools(srv_fields *f, pd_error *err) {
    const cJSON *tools = srv_get(f, "tools");
    if (!tools || cJSON_GetArraySize(tools) == 0) return PD_OK;
    srv_blame(f, "tools");
    return PD_RAISE(err, PD_ERR_UNSUPPORTED, "a completion knows no tools: chat completions do");
}

static pd_status read(const srv_context *c, srv_fields *f, srv_asked *out, pd_error *err) {
    const char *suffix = NULL;
    srv_settings *s = &out->settings;
    PD_TRY(srv_get_string(f, "model", &out->model, err));
    PD_TRY(srv_settings_read(c->server, c->engine->model, f, s, err));
    PD_TRY(refuse_tools(f, err));
    PD_TRY(srv_get_bool(f, "echo", &s->echo, err));
    PD_TRY(srv_get_string(f, "suffix", &suffix, err));
    if (suffix && *suffix) {
        srv_blame(f, "suffix");
        return PD_RAISE(err, PD_ERR_UNSUPPORTED, "Gemma 3 does not fill in before a suffix");
    }
    PD_TRY(read_log_probs(f, s, err));
    PD_TRY(check_echo(f, s, err));
    PD_TRY(srv_read_n_max(f, "max_tokens", s, err));
    PD_TRY(srv_read_n_max(f, "n_predict", s, err)); /* llama.cpp's */
    PD_TRY(srv_prompts_read(c->engine->model, f, &out->prompts, &out->n, err));
    if (out->n * s->n_choices <= MAX_ANSWERS) return PD_OK;
    srv_blame(f, "n");
    return PD_RAISE(err, PD_ERR_ARGUMENT, "a request can have at most %d answers", MAX_ANSWERS);
}

void srv_completions(const srv_context *c) {
    srv_call_begin(c, &writer, "cmpl-", read);
}
