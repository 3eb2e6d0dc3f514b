/* The tools of a request: functions that an answer may call, in the words of each interface.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_SERVER_TOOLS_H
#define PD_SERVER_TOOLS_H

#include "base/bytes.h"
#include "server/fields.h"

typedef enum srv_tool_dialect {
    SRV_TOOLS_CHAT,
    SRV_TOOLS_RESPONSES,
    SRV_TOOLS_MESSAGES
} srv_tool_dialect;

typedef struct srv_tools {
    cJSON *list;       /* [{"name", "description", "parameters"}]; NULL: none can be called */
    const cJSON *only; /* the one of them that has to be called; NULL: any */
    bool required, parallel;
} srv_tools;

/* tools, tool_choice, parallel_tool_calls. To be freed in any case. Errors: ARGUMENT, UNSUPPORTED,
 * MEMORY_HOST. */
pd_status srv_tools_read(srv_tool_dialect dialect, srv_fields *f, srv_tools *out, pd_error *err);
void srv_tools_free(srv_tools *t);

/* The text of their PD_GRAMMAR_TOOLS; NULL: no memory. cJSON_free. */
char *srv_tools_grammar(const srv_tools *t);
/* What the model is told of them, as Google tells Gemma 3 of functions.
 * https://ai.google.dev/gemma/docs/capabilities/function-calling */
void srv_tools_prompt(const srv_tools *t, pd_bytes *out);

/* 1 to 64 of A-Z a-z 0-9 _ - and the dot. */
bool srv_is_tool_name(const char *name);

#endif
