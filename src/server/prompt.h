/* What a request asks about, as a batch takes it: ids, and pictures at their places.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_SERVER_PROMPT_H
#define PD_SERVER_PROMPT_H

#include "base/bytes.h"
#include "server/fields.h"
#include "server/parts.h"

typedef struct srv_prompt {
    uint32_t *ids; /* [n_ids] */
    size_t n_ids;
    pd_image *images; /* [n_images] */
    size_t n_images;
    uint32_t n_hidden; /* ids in front that nobody sent: a <bos>, which is not echoed */
    char *text;        /* [n_text] as it was sent; NULL: as ids */
    size_t n_text;
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
} srv_chat;

/* Room for so many turns. Errors: MEMORY_HOST. */
pd_status srv_chat_begin(srv_chat *c, const pd_server *s, const pd_model *m, size_t max_turns,
                         pd_error *err);
void srv_chat_free(srv_chat *c);
/* A turn, to whose end text and pictures are added. Errors: ARGUMENT (a role that is none, a system
 * turn behind others). */
pd_status srv_chat_turn(srv_chat *c, const char *role, pd_error *err);
void srv_chat_text(srv_chat *c, const char *text);
/* A picture by its address. Errors: those of srv_image_read. */
pd_status srv_chat_image(srv_chat *c, const char *url, pd_error *err);
/* The same of bytes in base64. */
pd_status srv_chat_image_base64(srv_chat *c, const char *base64, pd_error *err);
/* By Gemma's template; an assistant's last turn is one that goes on. Takes the pictures. */
pd_status srv_chat_encode(srv_chat *c, srv_prompt *out, pd_error *err);

/* The field "messages" of chat completions. Errors: ARGUMENT, UNSUPPORTED, and srv_chat_image's. */
pd_status srv_messages_read(const pd_server *s, const pd_model *m, srv_fields *f, srv_prompt *out,
                            pd_error *err);

/* ---- images.c ------------------------------------------------------------------------------- */

/* A picture by its address: data:...;base64, below --media-path as file://, and http(s) where that
 * is allowed. Errors: ARGUMENT (an address that is not taken, base64 that is none), FORMAT,
 * UNSUPPORTED, MEMORY_HOST, IO. */
pd_status srv_image_read(const pd_server *s, const char *url, pd_image *out, pd_error *err);
pd_status srv_image_from_base64(const pd_server *s, const char *text, size_t n, pd_image *out,
                                pd_error *err);
/* image_fetch.c. From public addresses alone, within limits of size, time and redirects. */
pd_status srv_image_fetch(const pd_server *s, const char *url, pd_image *out, pd_error *err);

#endif
