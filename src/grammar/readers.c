/* See readers.h.  SPDX-License-Identifier: MIT */
#include "grammar/readers.h"

#include <string.h>

#include "file/json.h"
#include "grammar/gbnf.h"
#include "grammar/node_list.h"
#include "grammar/regex.h"
#include "grammar/schema.h"
#include "grammar/tools.h"

static pd_status read_list(pd_rules *r, const cJSON *list, pd_node *root, pd_error *err) {
    const cJSON *choice;
    pd_node_list choices = {0};
    bool are_texts = cJSON_IsArray(list) && list->child;
    cJSON_ArrayForEach(choice, list) are_texts = are_texts && cJSON_IsString(choice);
    if (!are_texts)
        return PD_RAISE(err, PD_ERR_ARGUMENT, "choices are a JSON list of texts, one or more");
    cJSON_ArrayForEach(choice, list) {
        const char *text = choice->valuestring;
        pd_node_list_add(&choices, pd_rules_text(r, text, strlen(text)));
    }
    *root = pd_node_list_end(r, &choices, true);
    return PD_OK;
}

static pd_status read_choices(pd_rules *r, const char *text, size_t n, pd_node *root,
                              pd_error *err) {
    if (pd_utf8_valid_bytes(text, n) < n)
        return PD_RAISE(err, PD_ERR_ARGUMENT, "the choices are not UTF-8");
    cJSON *list = pd_json_parse(text, n);
    pd_status status = read_list(r, list, root, err);
    cJSON_Delete(list);
    return status;
}

pd_status pd_grammar_read(pd_rules *r, pd_grammar_kind kind, const char *text, size_t n,
                          pd_node *root, pd_error *err) {
    static const pd_regex_options whole = {0};
    switch (kind) {
    case PD_GRAMMAR_JSON: *root = pd_schema_any_object(r); return PD_OK;
    case PD_GRAMMAR_JSON_SCHEMA: return pd_schema_parse(r, text, n, root, err);
    case PD_GRAMMAR_GBNF: return pd_gbnf_read(r, text, n, root, err);
    case PD_GRAMMAR_REGEX: return pd_regex_parse(r, text, n, &whole, root, err);
    case PD_GRAMMAR_CHOICES: return read_choices(r, text, n, root, err);
    case PD_GRAMMAR_TOOLS: return pd_tools_parse(r, text, n, root, err);
    }
    return PD_RAISE(err, PD_ERR_ARGUMENT, "there is no grammar of kind %d", (int)kind);
}
