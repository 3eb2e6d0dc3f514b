/* What answers with tools may be.  SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "unit/support_grammar.h"

#include "grammar/tools.h"

static pd_status make(const char *text, pd_automaton **out, pd_error *err) {
    pd_rules r = {0};
    pd_node root = 0;
    pd_status status = pd_tools_parse(&r, text, strlen(text), &root, err);
    if (status == PD_OK) status = pd_automaton_create(&r, root, out, err);
    pd_rules_free(&r);
    return status;
}

#define CALL(name, arguments) "{\"name\": \"" name "\", \"parameters\": " arguments "}"
#define NO_ARGUMENTS          "{\"type\":\"object\",\"properties\":{}}"
#define COUNT                                                                                      \
    "{\"properties\":{\"n\":{\"type\":\"integer\",\"minimum\":0,\"maximum\":9}},"                  \
    "\"required\":[\"n\"],\"additionalProperties\":false}"
#define TOOLS                                                                                      \
    "{\"tools\":[{\"name\":\"f\",\"parameters\":" NO_ARGUMENTS "},"                                \
    "{\"name\":\"fg\",\"parameters\":" COUNT "},{\"name\":\"any\"},"                               \
    "{\"name\":\"empty\",\"parameters\":{}}]"

/* Texts with '+' are accepted, with '~' the beginning of something, with '-' neither. */
typedef struct tools_case {
    const char *tools;
    const char *texts[16];
} tools_case;

static const tools_case cases[] = {
    {TOOLS ",\"required\":true}",
     {"+" CALL("f", "{}"), "+" CALL("fg", "{\"n\": 3}"), "+" CALL("any", "{\"x\": [1, {}]}"),
      "+" CALL("empty", "{\"x\": null}"), "~", "~{\"name\": \"f", "~" CALL("f", "{"), "-[", "-word",
      "-" CALL("f", "{\"n\": 3}"), "-" CALL("fg", "{}"), "-" CALL("fg", "{\"n\": 10}"),
      "-" CALL("g", "{}"), "-{\"name\":\"f\"", "-" CALL("f", "{}") " "}},
    {TOOLS "}",
     {"+", "+word {}", "+ {", "+```json\n{}", "+" CALL("f", "{}"), "-[", "-{}",
      "~{\"name\": \"any\", \"parameters\": {\"", "-" CALL("any", "[]"), "-" CALL("any", "1")}},
    {TOOLS ",\"required\":true,\"parallel\":true}",
     {"+" CALL("f", "{}"), "+[" CALL("f", "{}") "]",
      "+[" CALL("f", "{}") ", " CALL("fg", "{\"n\":0}") ", " CALL("f", "{}") "]", "~[", "-[]",
      "-word", "-[" CALL("f", "{}") "," CALL("f", "{}") "]", "~[" CALL("f", "{}") ", "}},
    {TOOLS ",\"parallel\":true}", {"+", "+word", "+[" CALL("f", "{}") "]", "-[1", "-[ "}},
    {"{\"tools\":[{\"name\":\"a\\\"b\"}],\"required\":true}", {"+" CALL("a\\\"b", "{}")}},
};

static void test_texts(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        pd_automaton *a;
        pd_error err;
        if (make(cases[i].tools, &a, &err) != PD_OK)
            fail_msg("%s: %s", cases[i].tools, err.message);
        for (const char *const *text = cases[i].texts; *text; text++) {
            grammar_verdict want = **text == '+' ? ACCEPTED : **text == '~' ? BEGINNING : REFUSED;
            if (follow_text(a, *text + 1) != want) fail_msg("%s: %s", cases[i].tools, *text);
        }
        pd_automaton_destroy(a);
    }
}

static void test_most_calls(void **state) {
    (void)state;
    pd_automaton *a;
    pd_error err;
    pd_bytes list = {0};
    assert_int_equal(make(TOOLS ",\"parallel\":true}", &a, &err), PD_OK);
    for (int n = 1; n <= PD_TOOLS_MAX_CALLS + 1; n++) {
        pd_bytes_printf(&list, "%s%s", n > 1 ? ", " : "[", CALL("f", "{}"));
        pd_bytes whole = {0};
        pd_bytes_printf(&whole, "%s]", list.data);
        assert_int_equal(follow_text(a, whole.data), n > PD_TOOLS_MAX_CALLS ? REFUSED : ACCEPTED);
        pd_bytes_free(&whole);
    }
    pd_bytes_free(&list);
    pd_automaton_destroy(a);
}

#define ONE(schema) "{\"tools\":[{\"name\":\"ok\"},{\"name\":\"bad\",\"parameters\":" schema "}]}"

static void test_refused(void **state) {
    (void)state;
    static const struct {
        const char *text, *says;
    } refused[] = {
        {"", "tools are a JSON list of one or more"},
        {"{\"tools\":[]}", "tools are a JSON list of one or more"},
        {"{\"tools\":[{\"parameters\":{}}]}", "a tool has no name"},
        {"\x80", "the tools are not UTF-8"},
        {ONE("3"), "the parameters of tool bad have to be a JSON schema"},
        {ONE("{\"type\":\"string\"}"), "the parameters of tool bad have to be of type object"},
        {ONE("{\"properties\":{\"a\":{\"not\":{}}}}"),
         "the parameters of tool bad: #/properties/a: \"not\" is not supported"},
    };
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        pd_automaton *a;
        pd_error err;
        assert_int_equal(make(refused[i].text, &a, &err), PD_ERR_ARGUMENT);
        assert_string_equal(err.message, refused[i].says);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_most_calls),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
