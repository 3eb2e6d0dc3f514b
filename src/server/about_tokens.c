/* Tokens and the template, for clients that count, compare or have no tokenizer of their own. Both
 * llama.cpp's names and those that lm-evaluation-harness asks for.  SPDX-License-Identifier: MIT */
#include <string.h>

#include "base/memory.h"
#include "server/call.h"

/* What reads a request and makes the answer of it. */
typedef pd_status (*answer_fn)(const srv_context *c, srv_fields *f, cJSON *out, pd_error *err);

static void answer(const srv_context *c, answer_fn fn) {
    pd_error err;
    cJSON *body, *out = cJSON_CreateObject();
    srv_fields f = {0};
    pd_status status = srv_json_parse(c->request->body, c->request->n_body, &body, &err);
    f.object = body;
    if (status == PD_OK) status = fn(c, &f, out, &err);
    if (status == PD_OK) {
        srv_send_json(c->reply, 200, out);
    } else {
        srv_send_error(c->reply, c->style, &err, f.param);
        cJSON_Delete(out);
    }
    cJSON_Delete(body);
}

/* ---- /tokenize ------------------------------------------------------------------------------ */

static pd_status read_text(srv_fields *f, const char **text, pd_error *err) {
    *text = NULL;
    PD_TRY(srv_get_string(f, "prompt", text, err));
    PD_TRY(srv_get_string(f, "content", text, err));
    if (*text) return PD_OK;
    srv_blame(f, "content");
    return PD_RAISE(err, PD_ERR_ARGUMENT, "the request has neither content nor prompt");
}

static cJSON *piece_json(const pd_model *m, uint32_t id) {
    srv_token t;
    cJSON *j = cJSON_CreateObject();
    srv_token_read(m, id, &t);
    srv_add_count(j, "id", id);
    cJSON_AddItemToObject(j, "piece", srv_token_json(&t));
    return j;
}

static pd_status tokenize(const srv_context *c, srv_fields *f, cJSON *out, pd_error *err) {
    const pd_model *m = c->engine->model;
    const char *text;
    bool bos = false, special = true, pieces = false;
    srv_prompt p = {0};
    PD_TRY(read_text(f, &text, err));
    PD_TRY(srv_get_bool(f, "add_special", &bos, err));
    PD_TRY(srv_get_bool(f, "add_special_tokens", &bos, err));
    PD_TRY(srv_get_bool(f, "parse_special", &special, err));
    PD_TRY(srv_get_bool(f, "with_pieces", &pieces, err));
    pd_status status = srv_encode(m, text, strlen(text), bos, special, &p, err);
    cJSON *tokens = cJSON_AddArrayToObject(out, "tokens");
    for (size_t i = 0; status == PD_OK && i < p.n_ids; i++)
        cJSON_AddItemToArray(tokens,
                             pieces ? piece_json(m, p.ids[i]) : cJSON_CreateNumber(p.ids[i]));
    srv_add_count(out, "count", p.n_ids);
    srv_prompt_free(&p);
    return status;
}

void srv_tokenize(const srv_context *c) {
    answer(c, tokenize);
}

/* ---- /detokenize ---------------------------------------------------------------------------- */

static void decode(const pd_model *m, const srv_prompt *p, pd_bytes *out) {
    char text[PD_DETOKENIZE_MAX_BYTES];
    pd_detokenizer d;
    pd_detokenizer_init(&d);
    d.show_special = true;
    for (size_t i = 0; i < p->n_ids; i++)
        pd_bytes_write(out, text, pd_detokenize(m, &d, p->ids[i], text));
    pd_bytes_write(out, text, pd_detokenizer_flush(&d, text));
}

static pd_status detokenize(const srv_context *c, srv_fields *f, cJSON *out, pd_error *err) {
    srv_prompt p = {0};
    pd_bytes text = {0};
    pd_status status = srv_ids_read(c->engine->model, f, "tokens", srv_get(f, "tokens"), &p, err);
    if (status == PD_OK) {
        decode(c->engine->model, &p, &text);
        srv_add_text(out, "content", text.data ? text.data : "", text.n);
        srv_add_text(out, "prompt", text.data ? text.data : "", text.n);
    }
    pd_bytes_free(&text);
    srv_prompt_free(&p);
    return status;
}

void srv_detokenize(const srv_context *c) {
    answer(c, detokenize);
}

/* ---- /apply-template ------------------------------------------------------------------------ */

static pd_status apply_template(const srv_context *c, srv_fields *f, cJSON *out, pd_error *err) {
    srv_prompt p = {0};
    srv_tools tools;
    pd_bytes text = {0};
    pd_status status = srv_tools_read(SRV_TOOLS_CHAT, f, &tools, err);
    if (status == PD_OK)
        status =
            srv_conversation_read(c->server, c->engine->model, &srv_chat_form, &tools, f, &p, err);
    if (status == PD_OK) {
        for (size_t i = 0; i < p.n_ids; i++) /* pictures stand as nothing between their markers */
            if (p.ids[i] == PD_TOKEN_IMAGE) memmove(p.ids + i, p.ids + i + 1, 4 * (--p.n_ids - i));
        decode(c->engine->model, &p, &text);
        srv_add_text(out, "prompt", text.data ? text.data : "", text.n);
        cJSON *tokens = cJSON_AddArrayToObject(out, "tokens");
        for (size_t i = 0; i < p.n_ids; i++)
            cJSON_AddItemToArray(tokens, cJSON_CreateNumber(p.ids[i]));
    }
    pd_bytes_free(&text);
    srv_prompt_free(&p);
    srv_tools_free(&tools);
    return status;
}

void srv_apply_template(const srv_context *c) {
    answer(c, apply_template);
}

/* ---- /v1/responses/input_tokens, /v1/messages/count_tokens ----------------------------------- */

static pd_status count(const srv_context *c, const srv_form *form, srv_fields *f, cJSON *out,
                       pd_error *err) {
    const pd_model *m = c->engine->model;
    srv_prompt p = {0};
    srv_settings s; /* what would be refused is refused here too */
    pd_status status = srv_settings_read(c->server, c->engine->model, f, &s, err);
    if (status == PD_OK) status = srv_read_tools(c->engine->model, f, form->tools, &s, err);
    if (status == PD_OK) status = srv_conversation_read(c->server, m, form, &s.tools, f, &p, err);
    srv_add_count(out, "input_tokens", srv_prompt_count(m, &p));
    srv_prompt_free(&p);
    srv_settings_free(&s);
    return status;
}

static pd_status count_response(const srv_context *c, srv_fields *f, cJSON *out, pd_error *err) {
    cJSON_AddStringToObject(out, "object", "response.input_tokens");
    return count(c, &srv_responses_form, f, out, err);
}

static pd_status count_message(const srv_context *c, srv_fields *f, cJSON *out, pd_error *err) {
    return count(c, &srv_messages_form, f, out, err);
}

void srv_count_response(const srv_context *c) {
    answer(c, count_response);
}

void srv_count_message(const srv_context *c) {
    answer(c, count_message);
}

/* What pd_chat_encode does, but for pictures, and without what keeps texts from becoming markers.
 */
const char srv_template[] =
    "{{ bos_token }}"
    "{%- set system = messages[0]['content'] + '\n\n' if messages[0]['role'] == 'system' "
    "else '' -%}"
    "{%- set turns = messages[1:] if system else messages -%}"
    "{%- for turn in turns -%}"
    "{{ '<start_of_turn>' + ('model' if turn['role'] == 'assistant' else turn['role']) + '\n' }}"
    "{{ system if loop.first else '' }}{{ turn['content'] | trim + '<end_of_turn>\n' }}"
    "{%- endfor -%}"
    "{{ '<start_of_turn>model\n' if add_generation_prompt else '' }}";

/* ---- /tokenizer_info ------------------------------------------------------------------------ */

void srv_add_token(cJSON *j, const char *name, const pd_model *m, uint32_t id) {
    srv_token t;
    srv_token_read(m, id, &t);
    cJSON_AddItemToObject(j, name, srv_token_json(&t));
}

void srv_tokenizer_info(const srv_context *c) {
    const pd_model *m = c->engine->model;
    cJSON *j = cJSON_CreateObject();
    cJSON_AddStringToObject(j, "tokenizer_class", "GemmaTokenizer");
    srv_add_token(j, "bos_token", m, PD_TOKEN_BOS);
    srv_add_token(j, "eos_token", m, PD_TOKEN_EOS);
    srv_add_token(j, "pad_token", m, PD_TOKEN_PAD);
    srv_add_token(j, "unk_token", m, PD_TOKEN_UNK);
    cJSON_AddStringToObject(j, "chat_template", srv_template);
    srv_add_count(j, "vocab_size", pd_model_get_info(m)->n_vocab);
    srv_send_json(c->reply, 200, j);
}
