/* Answers that a JSON schema allows, drawn at random, and whether texts are allowed by it.
 *
 *     schema_tool < REQUESTS     one request and one reply a line, each a JSON object
 *
 *     {"schema": "its text", "seed": 1, "n": 20, "texts": ["[1]", ...]}
 *     {"answers": ["...", ...], "accepted": [true, ...], "nodes": 7, "tree_us": 9, ...}
 *     {"refused": "the sentence of the error"}
 *
 * An answer is a walk through the automaton: any character that may follow, with the same
 * chance for each class of them, and from some length on the shortest way to the end.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/memory.h"
#include "file/json.h"
#include "grammar/automaton.h"
#include "grammar/char_classes.h"
#include "grammar/schema.h"

enum { MAX_CLASSES = 4096 };

static uint64_t random_state;

static uint32_t draw(uint32_t below) { /* xorshift64 (Marsaglia 2003) */
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (uint32_t)((random_state >> 32) % below);
}

/* ---- walks ----------------------------------------------------------------------------------- */

/* A character of a class: of one of its intervals. */
static uint32_t draw_char(const pd_char_classes *c, uint32_t class) {
    uint32_t n = 0, chosen = 0;
    for (uint32_t i = 0; i < c->n_intervals; i++)
        if (c->classes[i] == class && draw(++n) == 0) chosen = i;
    uint32_t first = c->starts[chosen];
    uint32_t end = chosen + 1 < c->n_intervals ? c->starts[chosen + 1] : PD_CHAR_MAX + 1;
    uint32_t drawn = first + draw(end - first);
    return drawn >= 0xd800 && drawn < 0xe000 ? first < 0xd800 ? first : end - 1 : drawn;
}

/* The classes that may follow, or the one behind which the end is nearest; 0: an error. */
static uint32_t list_live(pd_automaton *a, uint32_t state, bool hurry, uint32_t *live) {
    uint32_t n = 0, nearest = UINT32_MAX, to;
    for (uint32_t k = 0; k < pd_automaton_classes(a)->n_classes && n < MAX_CLASSES; k++) {
        if (pd_automaton_next(a, state, k, &to, NULL) != PD_OK) return 0;
        if (to == PD_STATE_DEAD) continue;
        uint32_t bytes = pd_automaton_min_bytes(a, to);
        if (hurry && bytes >= nearest) continue;
        if (hurry) n = 0;
        nearest = bytes;
        live[n++] = k;
    }
    return n;
}

static bool walk(pd_automaton *a, pd_bytes *out) {
    uint32_t live[MAX_CLASSES], state = PD_STATE_START, length = 4u << draw(9);
    for (;;) {
        bool hurry = out->n >= length;
        uint32_t n = list_live(a, state, hurry, live);
        if (pd_automaton_may_end(a, state) && (n == 0 || hurry || draw(3) == 0)) return true;
        if (n == 0 || out->n > 100000) return false;
        uint32_t c = draw_char(pd_automaton_classes(a), live[draw(n)]);
        char bytes[4];
        pd_bytes_write(out, bytes, pd_utf8_encode(c, bytes));
        if (pd_automaton_step(a, state, c, &state, NULL) != PD_OK) return false;
        if (state == PD_STATE_DEAD) return false;
    }
}

static bool accepts(pd_automaton *a, const char *text) {
    uint32_t state = PD_STATE_START;
    size_t n = strlen(text), at = 0;
    if (pd_utf8_valid_bytes(text, n) != n) return false;
    while (at < n && state != PD_STATE_DEAD)
        if (pd_automaton_step(a, state, pd_utf8_next(text, n, &at), &state, NULL) != PD_OK)
            return false;
    return state != PD_STATE_DEAD && pd_automaton_may_end(a, state);
}

/* ---- requests -------------------------------------------------------------------------------- */

static const char *text_of(const cJSON *request, const char *name) {
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(request, name));
    return text ? text : "";
}

static uint32_t number_of(const cJSON *request, const char *name) {
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(request, name);
    return cJSON_IsNumber(value) ? (uint32_t)value->valuedouble : 0;
}

static void reply_to(const cJSON *request, pd_automaton *a, cJSON *reply) {
    cJSON *answers = cJSON_AddArrayToObject(reply, "answers");
    cJSON *accepted = cJSON_AddArrayToObject(reply, "accepted");
    const cJSON *text;
    random_state = number_of(request, "seed") * UINT64_C(0x9E3779B97F4A7C15) + 1;
    for (uint32_t i = 0; i < number_of(request, "n"); i++) {
        pd_bytes answer = {0};
        bool is_whole = walk(a, &answer);
        pd_bytes_write(&answer, "", 1);
        cJSON_AddItemToArray(answers,
                             is_whole ? cJSON_CreateString(answer.data) : cJSON_CreateNull());
        pd_bytes_free(&answer);
    }
    cJSON_ArrayForEach(text, cJSON_GetObjectItemCaseSensitive(request, "texts"))
        cJSON_AddItemToArray(accepted, cJSON_CreateBool(accepts(a, text->valuestring)));
}

static void handle(const cJSON *request, cJSON *reply) {
    pd_rules r = {0};
    pd_node root;
    pd_error err = {0};
    pd_automaton *a = NULL;
    const char *schema = text_of(request, "schema");
    uint64_t begin = pd_clock_ns(), between;
    pd_status status = pd_schema_parse(&r, schema, strlen(schema), &root, &err);
    between = pd_clock_ns();
    if (status == PD_OK) status = pd_automaton_create(&r, root, &a, &err);
    if (status == PD_OK) {
        cJSON_AddNumberToObject(reply, "nodes", r.n_nodes);
        cJSON_AddNumberToObject(reply, "tree_us", (double)(between - begin) / 1e3);
        cJSON_AddNumberToObject(reply, "automaton_us", (double)(pd_clock_ns() - between) / 1e3);
        reply_to(request, a, reply);
    } else {
        cJSON_AddStringToObject(reply, "refused", err.message);
    }
    pd_automaton_destroy(a);
    pd_rules_free(&r);
}

int main(void) {
    char *line = NULL;
    size_t cap = 0;
    ssize_t n;
    while ((n = getline(&line, &cap, stdin)) > 0) {
        cJSON *request = pd_json_parse(line, (size_t)n), *reply = cJSON_CreateObject();
        if (!request) {
            fprintf(stderr, "schema_tool: a line is not JSON\n");
            return 2;
        }
        handle(request, reply);
        char *text = cJSON_PrintUnformatted(reply);
        puts(text);
        cJSON_free(text);
        cJSON_Delete(reply);
        cJSON_Delete(request);
    }
    free(line);
    return 0;
}
