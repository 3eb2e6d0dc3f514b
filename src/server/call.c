/* See call.h.  SPDX-License-Identifier: MIT */
#include "server/call.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/memory.h"
#include "base/random.h"

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
        srv_send_json(call->reply, 200, call->writer->whole(call));
    free_call(call);
}

/* ---- events --------------------------------------------------------------------------------- */

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
    case PD_EVENT_SCORE: srv_part_score(p, e); return true;
    case PD_EVENT_TOKEN: return srv_choice_token(&p->choices[e->choice], e);
    case PD_EVENT_END: srv_choice_end(&p->choices[e->choice], e->end); return true;
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

static pd_status begin(srv_call *call, pd_error *err) {
    for (size_t i = 0; i < call->n_parts; i++)
        PD_TRY(make_choices(call, &call->parts[i], (uint32_t)i * call->settings.n_choices, err));
    for (size_t i = 0; i < call->n_parts; i++) srv_part_echo(&call->parts[i]);
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
        srv_copy_name(call->model, sizeof call->model, asked.model ? asked.model : c->server->name);
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
    return srv_conversation_read(c->server, c->engine->model, form, &out->settings.tools, f,
                                 out->prompts, err);
}
