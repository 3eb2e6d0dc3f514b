/* What writers put answers together of: tokens as text, pieces of a stream, and what it all took.
 *
 * SPDX-License-Identifier: MIT
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "server/call.h"

/* ---- tokens --------------------------------------------------------------------------------- */

void srv_token_read(const pd_model *m, uint32_t id, srv_token *out) {
    pd_detokenizer d;
    pd_detokenizer_init(&d);
    d.show_special = true;
    out->n = pd_detokenize(m, &d, id, out->text);
    memcpy(out->text + out->n, d.held, d.n_held);
    out->n += d.n_held;
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
        if (i == 0) sum.logits_hash = s->logits_hash;
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
    char hash[17];
    snprintf(hash, sizeof hash, "%016" PRIx64, s.logits_hash);
    if (s.logits_hash) cJSON_AddStringToObject(timings, "logits_hash", hash);
}

/* ---- completions ---------------------------------------------------------------------------- */

cJSON *srv_completion_head(const srv_call *call, const char *object) {
    cJSON *j = cJSON_CreateObject();
    cJSON_AddStringToObject(j, "id", call->id);
    cJSON_AddStringToObject(j, "object", object);
    srv_add_count(j, "created", call->created);
    cJSON_AddStringToObject(j, "model", call->model);
    cJSON_AddStringToObject(j, "system_fingerprint", "peridot-" PD_VERSION_STRING);
    return j;
}

void srv_completion_done(srv_call *call, const char *object) {
    if (call->settings.include_usage) {
        cJSON *j = srv_completion_head(call, object);
        cJSON_AddArrayToObject(j, "choices");
        srv_add_usage(j, call);
        srv_add_timings(j, call);
        srv_stream_json(call, NULL, j);
    }
    srv_stream_text(call, "data: [DONE]\n\n");
}

/* ---- tools ---------------------------------------------------------------------------------- */

bool srv_is_calls(const srv_choice *c, const pd_bytes *text) {
    if (!c->call->settings.tools.list || text->n == 0) return false;
    return text->data[0] == '{' || text->data[0] == '[';
}

bool srv_ends_with_calls(const srv_choice *c) {
    return c->scan.n_ended > 0 && !c->matched && strcmp(c->finish, "stop") == 0;
}

/* What the answer's own id has behind its prefix makes it one of its own. */
void srv_add_call_id(cJSON *object, const char *name, const char *prefix, const srv_choice *c,
                     uint32_t i) {
    enum { DIGITS = 16 };
    char id[64];
    size_t n = strlen(c->call->id);
    snprintf(id, sizeof id, "%s%s%02x%02x", prefix, c->call->id + (n > DIGITS ? n - DIGITS : 0),
             (unsigned)c->index, (unsigned)i);
    cJSON_AddStringToObject(object, name, id);
}
