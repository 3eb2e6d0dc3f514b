/* Events of a batch to texts: characters that are whole, up to a stop string, behind an echoed
 * prompt.
 *
 * SPDX-License-Identifier: MIT
 */
#include "server/call.h"

static void tell_piece(srv_choice *c) {
    if (c->text.n == 0 && !c->log_probs) return;
    c->call->writer->piece(c);
    pd_bytes_free(&c->text);
    c->text = (pd_bytes){0};
    cJSON_Delete(c->log_probs);
    c->log_probs = NULL;
}

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

bool srv_choice_token(srv_choice *c, const pd_event *e) {
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

/* The prompt comes first, as what its ids spell. */
static void echo_token(srv_choice *c, uint32_t id) {
    char text[PD_DETOKENIZE_MAX_BYTES];
    size_t n = pd_detokenize(c->call->engine->model, &c->part->echo, id, text);
    show(c, text, n);
}

void srv_part_score(srv_part *p, const pd_event *e) {
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

void srv_choice_end(srv_choice *c, pd_end end) {
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

/* An echo's first token has no probability: it is no event. */
void srv_part_echo(srv_part *p) {
    srv_call *call = p->call;
    if (!call->settings.echo) return;
    if (!call->settings.log_probs) {
        echo_prompt(p);
    } else if (p->prompt.n_hidden == 0) {
        pd_event first = {.kind = PD_EVENT_SCORE, .token = {.id = p->prompt.ids[0]}};
        srv_part_score(p, &first);
    }
}
