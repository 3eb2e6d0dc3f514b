/* What a request asks about, as a batch takes it: ids, and pictures at their places.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_SERVER_PROMPT_H
#define PD_SERVER_PROMPT_H

#include "base/bytes.h"
#include "server/fields.h"
#include "server/parts.h"
#include "server/tools.h"

typedef struct srv_prompt {
    uint32_t *ids; /* [n_ids] */
    size_t n_ids;
    pd_image *images; /* [n_images] */
    size_t n_images;
    uint32_t n_hidden; /* ids in front that nobody sent: a <bos>, which is not echoed */
} srv_prompt;

void srv_prompt_free(srv_prompt *p);

/* ---- prompt_text.c -------------------------------------------------------------------------- */

/* The field "prompt" of completions: a text, ids, or a list of either. *out: [*n], each to be freed
 * and the list with pd_free, in any case. "add_bos": false leaves out the <bos> that a prompt
 * without one gets. Errors: ARGUMENT, MEMORY_HOST. */
pd_status srv_prompts_read(const pd_model *m, srv_fields *f, srv_prompt **out, size_t *n,
                           pd_error *err);
/* A text's ids. special: control tokens as they are spelled become what they mean. */
pd_status srv_encode(const pd_model *m, const char *text, size_t n, bool bos, bool special,
                     srv_prompt *out, pd_error *err);
/* A list of numbers below the vocabulary's size. name: the field it is. */
pd_status srv_ids_read(const pd_model *m, srv_fields *f, const char *name, const cJSON *list,
                       srv_prompt *out, pd_error *err);

/* ---- prompt_chat.c -------------------------------------------------------------------------- */

/* A conversation while it is being read. Turns of one role behind another become one. */
typedef struct srv_chat {
    const pd_server *server;
    const pd_model *model;
    struct srv_turn {
        const char *role; /* "system", "user", "assistant" */
        pd_bytes text;
        pd_image_place *places;
        size_t n_places;
    } * turns; /* [n_turns] of max_turns */
    size_t n_turns, max_turns;
    pd_image *images; /* of all turns */
    size_t n_images;
    uint64_t fetch_ns; /* that fetching pictures may still take */
    bool gap;          /* an empty line comes before what is added to the last turn */
    struct {
        size_t begin, end; /* in its text: calls that stand together */
        uint32_t n;        /* 0: it does not end with any */
    } calls;
    pd_bytes known; /* of srv_known_call: calls of all turns */
} srv_chat;

/* Views into the request. */
typedef struct srv_known_call {
    const char *id, *name;
} srv_known_call;

/* Room for so many turns. Errors: MEMORY_HOST. */
pd_status srv_chat_begin(srv_chat *c, const pd_server *s, const pd_model *m, size_t max_turns,
                         pd_error *err);
void srv_chat_free(srv_chat *c);
/* A turn, to whose end text and pictures are added. Errors: ARGUMENT (a role that is none, a system
 * turn behind others). */
pd_status srv_chat_turn(srv_chat *c, const char *role, pd_error *err);
void srv_chat_text(srv_chat *c, const char *text);
/* The empty line, where one is due: not at a turn's beginning. */
void srv_chat_fill_gap(srv_chat *c);
/* A picture by its address. Errors: those of srv_image_read. */
pd_status srv_chat_image(srv_chat *c, const char *url, pd_error *err);
/* The same of bytes in base64. */
pd_status srv_chat_image_base64(srv_chat *c, const char *base64, pd_error *err);
/* By Gemma's template; an assistant's last turn is one that goes on. Takes the pictures. */
pd_status srv_chat_encode(srv_chat *c, srv_prompt *out, pd_error *err);

/* ---- prompt_tools.c ------------------------------------------------------------------------- */

/* A call that the assistant has made, as the model would have written it; it belongs to the last
 * turn if that is the assistant's, else to a new one. arguments: a JSON object's text, or "".
 * Errors: ARGUMENT, MEMORY_HOST. */
pd_status srv_chat_call(srv_chat *c, const char *id, const char *name, const char *arguments,
                        pd_error *err);
/* What came of it, in a user's turn: a text, or a list of parts that are texts, of the types
 * text, input_text and output_text. Errors: ARGUMENT (no such call was made), UNSUPPORTED. */
pd_status srv_chat_result(srv_chat *c, const char *id, const cJSON *content, bool is_error,
                          pd_error *err);
/* The tools that are there, behind what the system turn says. Errors: MEMORY_HOST. */
pd_status srv_chat_tools(srv_chat *c, const srv_tools *tools, pd_error *err);
/* Errors: ARGUMENT (the conversation ends with a call that has no result). */
pd_status srv_chat_check_end(const srv_chat *c, pd_error *err);

/* Calls and results as interfaces write them: of chat completions a message's tool_calls, and a
 * message with the role "tool"; items of responses; blocks of messages. */
pd_status srv_read_tool_calls(srv_chat *c, srv_fields *message, pd_error *err);
pd_status srv_read_tool_message(srv_chat *c, srv_fields *message, pd_error *err);
pd_status srv_read_function_call(srv_chat *c, srv_fields *item, pd_error *err);
pd_status srv_read_function_output(srv_chat *c, srv_fields *item, pd_error *err);
pd_status srv_read_tool_use(srv_chat *c, srv_fields *block, pd_error *err);
pd_status srv_read_tool_result(srv_chat *c, srv_fields *block, pd_error *err);

/* ---- prompt_messages.c ---------------------------------------------------------------------- */

/* A kind of part that a message's content can have, or of item beside messages. */
typedef struct srv_part_kind {
    const char *type;
    pd_status (*read)(srv_chat *c, srv_fields *part, pd_error *err); /* NULL: it is a message */
} srv_part_kind;

/* How an interface writes conversations. */
typedef struct srv_form {
    const char *list;   /* the field with the messages */
    bool text_alone;    /* which may be a user's text instead */
    const char *system; /* the field with what comes before them; NULL: there is none */
    srv_tool_dialect tools;
    srv_part_kind items[4]; /* types of the list's items, the first that of those without one; none:
                               all are messages */
    srv_part_kind parts[5]; /* ends with a type that is NULL */
} srv_form;
extern const srv_form srv_chat_form, srv_responses_form, srv_messages_form;

/* A request's conversation; tools: that it has, from srv_tools_read. Errors: ARGUMENT, UNSUPPORTED,
 * and srv_chat_image's. */
pd_status srv_conversation_read(const pd_server *s, const pd_model *m, const srv_form *form,
                                const srv_tools *tools, srv_fields *f, srv_prompt *out,
                                pd_error *err);
/* Positions that it takes in a sequence. */
uint64_t srv_prompt_count(const pd_model *m, const srv_prompt *p);

/* ---- images.c ------------------------------------------------------------------------------- */

#define SRV_FETCH_NS UINT64_C(20000000000) /* for all pictures of a request */

/* A picture by its address: data:...;base64, below --media-path as file://, and http(s) where that
 * is allowed. *fetch_ns: the time that fetching may take, of which what it took is subtracted.
 * Errors: ARGUMENT (an address that is not taken, base64 that is none), FORMAT, UNSUPPORTED,
 * MEMORY_HOST, IO. */
pd_status srv_image_read(const pd_server *s, const char *url, uint64_t *fetch_ns, pd_image *out,
                         pd_error *err);
pd_status srv_image_from_base64(const pd_server *s, const char *text, size_t n, pd_image *out,
                                pd_error *err);
/* The most bytes of one. */
uint64_t srv_image_max_bytes(const pd_server *s);

#endif
