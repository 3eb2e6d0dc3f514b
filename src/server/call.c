/* See call.h.  SPDX-License-Identifier: MIT */
#include "server/call.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/memory.h"
#include "base/random.h"

/* ---- tokens --------------------------------------------------------------------------------- */

void srv_token_read(const pd_model *m, uint32_t id, srv_token *out) {
    pd_detokenizer d;
    pd_detokenizer_init(&d);
    d.show_special = true;
    out->n = pd_detokenize(m, &d, id, out->text);
    memcpy(out->text + out->n, d.held, d.n_held);
    out->n += d.n_held;
    out->is_whole =
        pd_utf8_valid_bytes(out->text, out->n) == out->n && !memchr(out->text, 0, out->n);
}

void srv_token_key(const srv_token *t, char *out) {
    size_t n = 0;
    for (size_t i = 0; i < t->n;) {
        size_t length = pd_utf8_length((const uint8_t *)t->text + i, t->n - i);
        if (length && t->text[i]) {
            memcpy(out + n, t->text + i, length);
            n += length;
        } else {
            length = 1;
            n += (size_t)snprintf(out + n, 7, "<0x%02X>", (uint8_t)t->text[i]);
        }
        i += length;
    }
    out[n] = '\0';
}

cJSON *srv_token_json(const srv_token *t) {
    char key[6 * sizeof t->text + 1];
    srv_token_key(t, key);
    return cJSON_CreateString(key);
}

/* ---- streams -------------------------------------------------------------------------------- */

void srv_stream_text(srv_call *call, const char *text) {
    pd_http_write(call->reply, text, strlen(text));
}

void srv_stream_json(srv_call *call, const char *event, cJSON *root) {
    char *text = srv_json_text(root);
    pd_bytes out = {0};
    if (event) pd_bytes_printf(&out, "event: %s\n", event);
    pd_bytes_printf(&out, "data: ");
    if (text) pd_bytes_write(&out, text, strlen(text));
    pd_bytes_printf(&out, "\n\n");
    if (text && !out.failed) pd_http_write(call->reply, out.data, out.n);
    pd_bytes_free(&out);
    cJSON_free(text);
    call->n_events++;
}

static void tell_piece(srv_choice *c) {
    if (c->text.n == 0 && !c->log_probs) return;
    c->call->writer->piece(c);
    pd_bytes_free(&c->text);
    c->text = (pd_bytes){0};
    cJSON_Delete(c->log_probs);
    c->log_probs = NULL;
}

cJSON *srv_take_log_probs(srv_choice *c) {
    cJSON *j = c->log_probs;
    c->log_probs = NULL;
    return j;
}

/* ---- usage ---------------------------------------------------------------------------------- */

pd_request_stats srv_call_stats(const srv_call *call) {
    pd_request_stats sum = {0};
    for (size_t i = 0; i < call->n_parts; i++) {
        const pd_request_stats *s = &call->parts[i].stats;
        sum.n_prompt += s->n_prompt;
        sum.n_cached += s->n_cached;
        sum.n_drawn += s->n_drawn;
        if (s->queue_ns > sum.queue_ns) sum.queue_ns = s->queue_ns;
        if (s->prompt_ns > sum.prompt_ns) sum.prompt_ns = s->prompt_ns;
        if (s->answer_ns > sum.answer_ns) sum.answer_ns = s->answer_ns;
    }
    return sum;
}

void srv_add_usage(cJSON *object, const srv_call *call) {
    pd_request_stats s = srv_call_stats(call);
    cJSON *usage = cJSON_AddObjectToObject(object, "usage");
    srv_add_count(usage, "prompt_tokens", s.n_prompt);
    srv_add_count(usage, "completion_tokens", s.n_drawn);
    srv_add_count(usage, "total_tokens", (uint64_t)s.n_prompt + s.n_drawn);
    srv_add_count(cJSON_AddObjectToObject(usage, "prompt_tokens_details"), "cached_tokens",
                  s.n_cached);
}

static void add_times(cJSON *j, const char *prefix, uint32_t n, uint64_t ns) {
    char name[48];
    double ms = (double)ns / 1e6;
    snprintf(name, sizeof name, "%s_n", prefix);
    srv_add_count(j, name, n);
    snprintf(name, sizeof name, "%s_ms", prefix);
    cJSON_AddNumberToObject(j, name, ms);
    snprintf(name, sizeof name, "%s_per_token_ms", prefix);
    cJSON_AddNumberToObject(j, name, n ? ms / n : 0);
    snprintf(name, sizeof name, "%s_per_second", prefix);
    cJSON_AddNumberToObject(j, name, ms > 0 ? 1e3 * n / ms : 0);
}

void srv_add_timings(cJSON *object, const srv_call *call) {
    pd_request_stats s = srv_call_stats(call);
    cJSON *timings = cJSON_AddObjectToObject(object, "timings");
    srv_add_count(timings, "cache_n", s.n_cached);
    add_times(timings, "prompt", s.n_prompt - s.n_cached, s.prompt_ns);
    add_times(timings, "predicted", s.n_drawn, s.answer_ns);
    cJSON_AddNumberToObject(timings, "queue_ms", (double)s.queue_ns / 1e6);
}

/* ---- the end -------------------------------------------------------------------------------- */

static void free_part(srv_part *p, uint32_t n_choices) {
    for (uint32_t i = 0; p->choices && i < n_choices; i++) {
        pd_stop_destroy(p->choices[i].stop);
        pd_bytes_free(&p->choices[i].text);
        pd_bytes_free(&p->choices[i].told);
        cJSON_Delete(p->choices[i].log_probs);
        cJSON_Delete(p->choices[i].told_log_probs);
    }
    pd_free(p->choices);
    pd_request_free(p->request);
    srv_prompt_free(&p->prompt);
}

static void free_call(srv_call *call) {
    for (size_t i = 0; i < call->n_parts; i++) free_part(&call->parts[i], call->settings.n_choices);
    pd_free(call->parts);
    srv_settings_free(&call->settings);
    srv_engine_release(call->engine);
    pd_free(call);
}

static void answer_whole(srv_call *call) {
    static const pd_error no_memory = {.status = PD_ERR_MEMORY_HOST,
                                       .message = "no memory for the answer"};
    char *text = srv_json_text(call->writer->whole(call));
    if (text)
        pd_http_send(call->reply, 200, "application/json; charset=utf-8", text, strlen(text));
    else
        srv_send_error(call->reply, call->style, &no_memory, NULL);
    cJSON_free(text);
}

static const pd_error *failure(const srv_call *call) {
    return call->refused.status != PD_OK ? &call->refused
           : call->error.status != PD_OK ? &call->error
                                         : NULL;
}

/* With the first event, so that a request that is refused has a status of its own. */
static void need_stream(srv_call *call) {
    if (!call->settings.stream || call->streams) return;
    call->streams = true;
    pd_http_start_stream(call->reply, 200, "text/event-stream");
    if (call->writer->begin) call->writer->begin(call);
}

static void finish_stream(srv_call *call) {
    const pd_error *err = failure(call);
    if (!err)
        call->writer->finish(call);
    else if (call->writer->fail)
        call->writer->fail(call, err);
    else
        srv_stream_json(call, call->style == SRV_ANTHROPIC ? "error" : NULL,
                        srv_error_json(call->style, err, NULL));
    pd_http_end(call->reply);
}

/* Whoever is the last one ends the call. */
static void let_go(srv_call *call) {
    if (atomic_fetch_sub(&call->n_open, 1) > 1) return;
    if (failure(call))
        atomic_fetch_add(&call->server->n_failed, 1);
    else
        need_stream(call);
    if (call->streams)
        finish_stream(call);
    else if (failure(call))
        srv_send_error(call->reply, call->style, failure(call), NULL);
    else
        answer_whole(call);
    free_call(call);
}

/* ---- events --------------------------------------------------------------------------------- */

static uint32_t count_chars(const char *text, size_t n) {
    uint32_t chars = 0;
    for (size_t i = 0; i < n; i++) chars += ((uint8_t)text[i] & 0xc0) != 0x80;
    return chars;
}

static void show(srv_choice *c, const char *text, size_t n) {
    pd_bytes_write(&c->text, text, n);
    c->n_chars += count_chars(text, n);
}

/* Texts up to a stop string; true: one is complete. */
static bool take_text(srv_choice *c, const char *text, size_t n) {
    char shown[PD_DETOKENIZE_MAX_BYTES + PD_STOP_MAX_BYTES];
    size_t n_shown = n;
    if (!c->stop) {
        show(c, text, n);
        return false;
    }
    bool is_cut = pd_stop_feed(c->stop, text, n, shown, &n_shown);
    show(c, shown, n_shown);
    if (is_cut) c->matched = pd_stop_found(c->stop);
    return is_cut;
}

static bool on_token(srv_choice *c, const pd_event *e) {
    srv_call *call = c->call;
    const pd_model *m = call->engine->model;
    char text[PD_DETOKENIZE_MAX_BYTES];
    bool is_end = !call->settings.ignore_stop && pd_model_is_stop(m, e->token.id);
    c->n_drawn++;
    if (call->settings.log_probs) call->writer->log_prob(c, e);
    bool is_cut =
        !is_end && take_text(c, text, pd_detokenize(m, &c->detokenizer, e->token.id, text));
    if (is_cut) c->finish = "stop";
    if (call->streams) tell_piece(c);
    return !is_cut && !pd_http_is_gone(call->reply);
}

/* The prompt comes first. A text as it was sent, ids as what they spell. */
static void echo_token(srv_choice *c, uint32_t id) {
    char text[PD_DETOKENIZE_MAX_BYTES];
    size_t n = pd_detokenize(c->call->engine->model, &c->part->echo, id, text);
    show(c, text, n);
}

static void on_score(srv_part *p, const pd_event *e) {
    srv_choice *c = &p->choices[0];
    if (e->position < p->prompt.n_hidden) return;
    if (p->call->settings.log_probs) p->call->writer->log_prob(c, e);
    echo_token(c, p->prompt.ids[e->position]);
    if (p->call->streams) tell_piece(c);
}

/* Without log-probabilities the batch has no events for it. */
static void echo_prompt(srv_part *p) {
    for (uint32_t i = 0; i < p->call->settings.n_choices; i++) {
        pd_detokenizer_init(&p->echo);
        p->echo.show_special = true;
        for (size_t k = p->prompt.n_hidden; k < p->prompt.n_ids; k++)
            echo_token(&p->choices[i], p->prompt.ids[k]);
    }
}

static void on_end(srv_choice *c, pd_end end) {
    char text[PD_DETOKENIZE_MAX_BYTES + PD_STOP_MAX_BYTES];
    if (!c->finish) {
        c->finish = end == PD_END_LENGTH ? "length" : "stop";
        take_text(c, text, pd_detokenizer_flush(&c->detokenizer, text));
        if (c->stop) show(c, text, pd_stop_flush(c->stop, text));
    }
    if (!c->call->streams || end == PD_END_FAILED) return;
    tell_piece(c);
    c->call->writer->end(c);
}

static void on_done(srv_part *p, const pd_event *e) {
    srv_call *call = p->call;
    pd_server *s = call->server;
    p->stats = *e->stats;
    if (e->error && call->error.status == PD_OK) call->error = *e->error;
    if (p->stats.n_drawn > 0) {
        atomic_fetch_add(&s->queue_ns, p->stats.queue_ns);
        atomic_fetch_add(&s->first_token_ns, p->stats.queue_ns + p->stats.prompt_ns);
        atomic_fetch_add(&s->n_first_tokens, 1);
    }
    let_go(call);
}

static bool on_event(void *ctx, const pd_event *e) {
    srv_part *p = ctx;
    srv_call *call = p->call;
    bool fails = e->kind == PD_EVENT_DONE || (e->kind == PD_EVENT_END && e->end == PD_END_FAILED);
    if (e->kind == PD_EVENT_PROMPT) { /* the first event: for what begins a stream */
        p->stats.n_prompt = e->n_total;
        p->stats.n_cached = e->n_cached;
    }
    if (!fails) need_stream(call);
    switch (e->kind) {
    case PD_EVENT_PROMPT:
        if (call->streams && call->writer->ping && e->n_done < e->n_total)
            srv_stream_text(call, call->writer->ping);
        return true;
    case PD_EVENT_SCORE: on_score(p, e); return true;
    case PD_EVENT_TOKEN: return on_token(&p->choices[e->choice], e);
    case PD_EVENT_END: on_end(&p->choices[e->choice], e->end); return true;
    case PD_EVENT_DONE: on_done(p, e); return true;
    }
    return true;
}

/* ---- the beginning -------------------------------------------------------------------------- */

static pd_status make_choices(srv_call *call, srv_part *p, uint32_t first, pd_error *err) {
    const srv_settings *s = &call->settings;
    p->choices = pd_alloc(s->n_choices, sizeof *p->choices);
    if (!p->choices) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for a request");
    pd_detokenizer_init(&p->echo);
    p->echo.show_special = true;
    for (uint32_t i = 0; i < s->n_choices; i++) {
        srv_choice *c = &p->choices[i];
        *c = (srv_choice){.call = call, .index = first + i, .part = p};
        pd_detokenizer_init(&c->detokenizer);
        if (s->n_stops)
            PD_TRY(pd_stop_create((const char *const *)s->stops, s->n_stops, &c->stop, err));
    }
    return PD_OK;
}

static pd_status hand_over(srv_call *call, srv_part *p, pd_error *err) {
    const srv_settings *s = &call->settings;
    bool scores = s->echo && s->log_probs;
    pd_request_desc desc = {.prompt = {.ids = p->prompt.ids,
                                       .n_ids = p->prompt.n_ids,
                                       .images = p->prompt.images,
                                       .n_images = p->prompt.n_images},
                            .sampler = s->sampler,
                            .n_choices = s->n_choices,
                            .n_max = s->n_max,
                            .prompt_only = s->prompt_only,
                            .ignore_stop = s->ignore_stop,
                            .log_probs = s->log_probs,
                            .score_prompt = scores,
                            .n_top = s->n_top,
                            .no_cache = s->no_cache,
                            .fn = on_event,
                            .ctx = p};
    atomic_fetch_add(&call->n_open, 1);
    pd_status status = pd_batch_submit(call->engine->batch, &desc, &p->request, err);
    if (status != PD_OK) atomic_fetch_sub(&call->n_open, 1);
    return status;
}

static void cancel_all(void *ctx) {
    srv_call *call = ctx;
    for (size_t i = 0; i < call->n_parts; i++) pd_request_cancel(call->parts[i].request);
}

/* An echo's first token has no probability: it is no event. */
static void begin_echo(srv_part *p) {
    srv_call *call = p->call;
    if (!call->settings.echo) return;
    if (!call->settings.log_probs) {
        echo_prompt(p);
    } else if (p->prompt.n_hidden == 0) {
        pd_event first = {.kind = PD_EVENT_SCORE, .token = {.id = p->prompt.ids[0]}};
        on_score(p, &first);
    }
}

static pd_status begin(srv_call *call, pd_error *err) {
    for (size_t i = 0; i < call->n_parts; i++)
        PD_TRY(make_choices(call, &call->parts[i], (uint32_t)i * call->settings.n_choices, err));
    for (size_t i = 0; i < call->n_parts; i++) begin_echo(&call->parts[i]);
    for (size_t i = 0; i < call->n_parts; i++) PD_TRY(hand_over(call, &call->parts[i], err));
    return PD_OK;
}

static void make_id(const char *prefix, char *out, size_t size) {
    uint64_t state = (uint64_t)pd_random_seed() << 32 | pd_random_seed();
    snprintf(out, size, "%s%016llx", prefix, (unsigned long long)pd_random_next(&state));
}

/* Takes what was asked. */
static srv_call *make_call(const srv_context *c, srv_asked *asked) {
    srv_call *call = pd_alloc(1, sizeof *call);
    if (call) call->parts = pd_alloc(asked->n ? asked->n : 1, sizeof *call->parts);
    if (!call || !call->parts) {
        pd_free(call);
        return NULL;
    }
    call->n_parts = asked->n;
    for (size_t i = 0; i < asked->n; i++)
        call->parts[i] = (srv_part){.call = call, .prompt = asked->prompts[i]};
    asked->n = 0;
    call->settings = asked->settings;
    asked->settings = (srv_settings){0};
    call->server = c->server;
    call->reply = c->reply;
    call->style = c->style;
    call->engine = c->engine;
    atomic_fetch_add(&c->engine->n_holds, 1);
    atomic_fetch_add(&c->server->n_calls, 1);
    return call;
}

static void start(srv_call *call) {
    pd_error err = {0};
    atomic_store(&call->n_open, 1);
    pd_status status = begin(call, &err);
    if (status != PD_OK) {
        call->refused = err;
        call->refused.status = status;
        cancel_all(call);
    } else {
        pd_http_on_gone(call->reply, cancel_all, call);
    }
    let_go(call);
}

static void free_asked(srv_asked *asked) {
    for (size_t i = 0; i < asked->n; i++) srv_prompt_free(&asked->prompts[i]);
    pd_free(asked->prompts);
    srv_settings_free(&asked->settings);
}

void srv_call_begin(const srv_context *c, const srv_writer *writer, const char *prefix,
                    srv_reader read) {
    pd_error err;
    cJSON *body;
    srv_asked asked = {0};
    srv_fields f = {0};
    srv_call *call = NULL;
    pd_status status = srv_json_parse(c->request->body, c->request->n_body, &body, &err);
    f.object = body;
    if (status == PD_OK) status = read(c, &f, &asked, &err);
    if (status == PD_OK && !(call = make_call(c, &asked)))
        status = PD_RAISE(&err, PD_ERR_MEMORY_HOST, "no memory for a request");
    if (status == PD_OK) {
        call->writer = writer;
        call->created = (uint64_t)time(NULL);
        make_id(prefix, call->id, sizeof call->id);
        snprintf(call->model, sizeof call->model, "%s",
                 asked.model ? asked.model : c->server->name);
        start(call);
    } else {
        srv_send_error(c->reply, c->style, &err, f.param);
    }
    free_asked(&asked);
    cJSON_Delete(body);
}

pd_status srv_ask_conversation(const srv_context *c, const srv_form *form, srv_fields *f,
                               srv_asked *out, pd_error *err) {
    out->prompts = pd_alloc(1, sizeof *out->prompts);
    if (!out->prompts) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for a request");
    out->n = 1;
    return srv_conversation_read(c->server, c->engine->model, form, f, out->prompts, err);
}
