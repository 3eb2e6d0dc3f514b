/* The messages of each interface, and the parts of which their content is made, as a conversation.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "server/prompt.h"

/* ---- kinds of parts ------------------------------------------------------------------------- */

static pd_status read_text(srv_chat *c, srv_fields *part, pd_error *err) {
    const char *text = NULL;
    PD_TRY(srv_get_string(part, "text", &text, err));
    if (!text) return PD_RAISE(err, PD_ERR_ARGUMENT, "a text part has no text");
    srv_chat_text(c, text);
    return PD_OK;
}

/* "image_url": "..." or {"url": "..."}. */
static pd_status read_image_url(srv_chat *c, srv_fields *part, pd_error *err) {
    const cJSON *image = srv_get(part, "image_url");
    const char *url = NULL;
    if (cJSON_IsString(image)) {
        url = image->valuestring;
    } else if (cJSON_IsObject(image)) {
        srv_fields inside = {.object = image};
        PD_TRY(srv_get_string(&inside, "url", &url, err));
    }
    if (!url) return PD_RAISE(err, PD_ERR_ARGUMENT, "a picture has to have an image_url");
    return srv_chat_image(c, url, err);
}

/* "source": {"type": "base64", "data": "..."} or {"type": "url", "url": "..."}. */
static pd_status read_source(srv_chat *c, srv_fields *part, pd_error *err) {
    const cJSON *source = srv_get(part, "source");
    const char *type = NULL, *data = NULL, *url = NULL;
    srv_fields inside = {.object = source};
    if (!cJSON_IsObject(source)) return srv_refuse(part, "source", "an object", source, err);
    PD_TRY(srv_get_string(&inside, "type", &type, err));
    PD_TRY(srv_get_string(&inside, "data", &data, err));
    PD_TRY(srv_get_string(&inside, "url", &url, err));
    if (type && strcmp(type, "base64") == 0 && data) return srv_chat_image_base64(c, data, err);
    if (type && strcmp(type, "url") == 0 && url) return srv_chat_image(c, url, err);
    return PD_RAISE(err, PD_ERR_UNSUPPORTED,
                    "a picture's source has to be base64 with data, or url with a url");
}

const srv_form srv_chat_form = {.list = "messages",
                                .tools = SRV_TOOLS_CHAT,
                                .parts = {{"text", read_text}, {"image_url", read_image_url}}};
const srv_form srv_responses_form = {.list = "input",
                                     .text_alone = true,
                                     .system = "instructions",
                                     .tools = SRV_TOOLS_RESPONSES,
                                     .items = {{"message", NULL},
                                               {"function_call", srv_read_function_call},
                                               {"function_call_output", srv_read_function_output}},
                                     .parts = {{"input_text", read_text},
                                               {"output_text", read_text},
                                               {"input_image", read_image_url}}};
const srv_form srv_messages_form = {.list = "messages",
                                    .system = "system",
                                    .tools = SRV_TOOLS_MESSAGES,
                                    .parts = {{"text", read_text},
                                              {"image", read_source},
                                              {"tool_use", srv_read_tool_use},
                                              {"tool_result", srv_read_tool_result}}};

/* ---- messages ------------------------------------------------------------------------------- */

static pd_status refuse_kind(const char *what, const char *type, const srv_part_kind *known,
                             pd_error *err) {
    pd_bytes list = {0};
    for (; known->type; known++) pd_bytes_printf(&list, "%s%s", list.n ? ", " : "", known->type);
    pd_status status =
        PD_RAISE(err, PD_ERR_UNSUPPORTED, "%s of type %.40s is not known here (known: %s)", what,
                 type ? type : "null", list.data ? list.data : "");
    pd_bytes_free(&list);
    return status;
}

static pd_status read_part(srv_chat *c, const srv_form *form, const cJSON *j, pd_error *err) {
    srv_fields part = {.object = j};
    const char *type = NULL;
    if (!cJSON_IsObject(j))
        return PD_RAISE(err, PD_ERR_ARGUMENT, "a part of a message has to be an object");
    PD_TRY(srv_get_string(&part, "type", &type, err));
    for (const srv_part_kind *kind = form->parts; type && kind->type; kind++)
        if (strcmp(type, kind->type) == 0) return kind->read(c, &part, err);
    return refuse_kind("a part", type, form->parts, err);
}

static pd_status read_content(srv_chat *c, const srv_form *form, const cJSON *content,
                              pd_error *err) {
    const cJSON *part;
    if (!content || cJSON_IsNull(content)) return PD_OK;
    if (cJSON_IsString(content)) {
        srv_chat_text(c, content->valuestring);
        return PD_OK;
    }
    if (!cJSON_IsArray(content))
        return PD_RAISE(err, PD_ERR_ARGUMENT, "a message's content has to be a string or a list");
    cJSON_ArrayForEach(part, content) PD_TRY(read_part(c, form, part, err));
    return PD_OK;
}

static pd_status read_message(srv_chat *c, const srv_form *form, srv_fields *message,
                              pd_error *err) {
    const char *role = NULL;
    bool is_chat = form->tools == SRV_TOOLS_CHAT;
    PD_TRY(srv_get_string(message, "role", &role, err));
    if (!role) return PD_RAISE(err, PD_ERR_ARGUMENT, "a message has no role");
    if (is_chat && strcmp(role, "tool") == 0) return srv_read_tool_message(c, message, err);
    PD_TRY(srv_chat_turn(c, role, err));
    PD_TRY(read_content(c, form, srv_get(message, "content"), err));
    return is_chat ? srv_read_tool_calls(c, message, err) : PD_OK;
}

static pd_status read_item(srv_chat *c, const srv_form *form, const cJSON *j, pd_error *err) {
    srv_fields item = {.object = j};
    const srv_part_kind *kind = form->items;
    const char *type = kind->type;
    if (!cJSON_IsObject(j)) return PD_RAISE(err, PD_ERR_ARGUMENT, "a message has to be an object");
    if (!type) return read_message(c, form, &item, err);
    PD_TRY(srv_get_string(&item, "type", &type, err));
    while (kind->type && strcmp(kind->type, type) != 0) kind++;
    if (!kind->type) return refuse_kind("an item", type, form->items, err);
    return kind->read ? kind->read(c, &item, err) : read_message(c, form, &item, err);
}

/* ---- conversations -------------------------------------------------------------------------- */

static pd_status read_system(srv_chat *c, const srv_form *form, srv_fields *f, pd_error *err) {
    const cJSON *system = form->system ? srv_get(f, form->system) : NULL;
    if (!system) return PD_OK;
    srv_blame(f, form->system);
    PD_TRY(srv_chat_turn(c, "system", err));
    return read_content(c, form, system, err);
}

static pd_status read_list(srv_chat *c, const srv_form *form, const cJSON *list, srv_fields *f,
                           pd_error *err) {
    const cJSON *message;
    char place[64];
    int i = 0;
    cJSON_ArrayForEach(message, list) {
        snprintf(place, sizeof place, "%s[%d]", form->list, i++);
        srv_blame(f, place);
        PD_TRY(read_item(c, form, message, err));
    }
    return PD_OK;
}

static pd_status read_turns(srv_chat *c, const srv_form *form, const cJSON *list, srv_fields *f,
                            pd_error *err) {
    PD_TRY(read_system(c, form, f, err));
    srv_blame(f, form->list);
    if (cJSON_IsString(list)) {
        PD_TRY(srv_chat_turn(c, "user", err));
        srv_chat_text(c, list->valuestring);
        return PD_OK;
    }
    PD_TRY(read_list(c, form, list, f, err));
    return srv_chat_check_end(c, err);
}

static pd_status make_prompt(srv_chat *c, const srv_form *form, const srv_tools *tools,
                             srv_fields *f, srv_prompt *out, pd_error *err) {
    PD_TRY(read_turns(c, form, srv_get(f, form->list), f, err));
    if (tools->list) PD_TRY(srv_chat_tools(c, tools, err));
    srv_blame(f, form->list);
    PD_TRY(srv_chat_encode(c, out, err));
    srv_blame(f, "");
    return PD_OK;
}

pd_status srv_conversation_read(const pd_server *s, const pd_model *m, const srv_form *form,
                                const srv_tools *tools, srv_fields *f, srv_prompt *out,
                                pd_error *err) {
    srv_chat c;
    const cJSON *list = srv_get(f, form->list);
    bool is_text = form->text_alone && cJSON_IsString(list);
    *out = (srv_prompt){0};
    if (!is_text && !cJSON_IsArray(list))
        return srv_refuse(f, form->list,
                          form->text_alone ? "a text or a list of messages" : "a list of messages",
                          list, err);
    if (!is_text && !list->child) {
        srv_blame(f, form->list);
        return PD_RAISE(err, PD_ERR_ARGUMENT, "%s is empty", form->list);
    }
    size_t max_turns = (is_text ? 1 : (size_t)cJSON_GetArraySize(list)) + 1; /* and the system's */
    pd_status status = srv_chat_begin(&c, s, m, max_turns, err);
    if (status == PD_OK) status = make_prompt(&c, form, tools, f, out, err);
    srv_chat_free(&c);
    return status;
}

uint64_t srv_prompt_count(const pd_model *m, const srv_prompt *p) {
    const pd_vision_info *vision = pd_model_get_vision(m);
    return p->n_ids + (vision ? p->n_images * (vision->n_tokens - 1) : 0);
}
