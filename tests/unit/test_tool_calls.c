/* Calls of tools in an answer, whatever pieces its text comes in.
 *
 * SPDX-License-Identifier: MIT
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "server/tool_calls.h"

/* What a text is told as: words as they are, a call as <NAME:ARGUMENTS>, without the > where it was
 * cut off. */
typedef struct sample {
    const char *text, *told;
} sample;

static const sample samples[] = {
    {"", ""},
    {"It is 5 degrees.", "It is 5 degrees."},
    {" {\"name\": \"f\"", " {\"name\": \"f\""},
    {"{\"name\": \"f\", \"parameters\": {}}", "<f:{}>"},
    {"{\"name\": \"f.g-h_1\", \"parameters\": {\"a\": 1}}", "<f.g-h_1:{\"a\": 1}>"},
    {"{\"name\": \"f\", \"parameters\": {\"a\": {\"b\": [1, {}]}, \"c\": []}}",
     "<f:{\"a\": {\"b\": [1, {}]}, \"c\": []}>"},
    {"{\"name\": \"f\", \"parameters\": {\"}\": \"{[\\\"}\\\\\"}}", "<f:{\"}\": \"{[\\\"}\\\\\"}>"},
    {"{\"name\": \"f\", \"parameters\": {\n  \"a\":\"\xc3\xa9\"}}", "<f:{\n  \"a\":\"\xc3\xa9\"}>"},
    {"[{\"name\": \"f\", \"parameters\": {}}]", "<f:{}>"},
    {"[{\"name\": \"f\", \"parameters\": {}}, {\"name\": \"g\", \"parameters\": {\"x\": [0]}}]",
     "<f:{}><g:{\"x\": [0]}>"},
    /* cut off */
    {"[", ""},
    {"{\"name\": \"f", ""},
    {"{\"name\": \"f\", \"par", "<f:"},
    {"{\"name\": \"f\", \"parameters\": {\"a\": \"}", "<f:{\"a\": \"}"},
    {"{\"name\": \"f\", \"parameters\": {}", "<f:{}"},
    {"[{\"name\": \"f\", \"parameters\": {}}, {\"name\": \"g", "<f:{}>"},
    /* of no call's shape */
    {"{\"title\": 1}", ""},
    {"{{\"name\": \"f\", \"parameters\": {}}", ""},
    {"[1, {\"name\": \"f\", \"parameters\": {}}]", ""},
    {"{\"name\": \"f\", \"parameters\": {}, \"x\": 1}", "<f:{}"},
};
enum { N_SAMPLES = sizeof samples / sizeof *samples };

static void tell(srv_tool_scan *s, const char *text, size_t n, pd_bytes *out) {
    srv_piece piece;
    while (srv_scan_next(s, &text, &n, &piece)) switch (piece.kind) {
        case SRV_PIECE_WORDS:
        case SRV_PIECE_ARGUMENTS:
            assert_true(piece.n > 0);
            pd_bytes_write(out, piece.text, piece.n);
            break;
        case SRV_PIECE_NAME: pd_bytes_printf(out, "<%s:", s->name); break;
        case SRV_PIECE_END: pd_bytes_printf(out, ">"); break;
        }
    assert_int_equal(n, 0);
}

static void expect_told(const sample *s, const pd_bytes *out, size_t cut) {
    if (strcmp(out->data ? out->data : "", s->told) != 0)
        fail_msg("%s, cut at %zu, is told as %s", s->text, cut, out->data ? out->data : "nothing");
}

static void every_cut_gives_the_same(void **state) {
    (void)state;
    for (size_t i = 0; i < N_SAMPLES; i++)
        for (size_t n = strlen(samples[i].text), cut = 0; cut <= n; cut++) {
            srv_tool_scan s = {0};
            pd_bytes out = {0};
            tell(&s, samples[i].text, cut, &out);
            tell(&s, samples[i].text + cut, n - cut, &out);
            expect_told(&samples[i], &out, cut);
            pd_bytes_free(&out);
        }
}

static void single_bytes_give_the_same(void **state) {
    (void)state;
    for (size_t i = 0; i < N_SAMPLES; i++) {
        srv_tool_scan s = {0};
        pd_bytes out = {0};
        for (const char *c = samples[i].text; *c; c++) tell(&s, c, 1, &out);
        expect_told(&samples[i], &out, 1);
        pd_bytes_free(&out);
    }
}

static void whole_calls_are_found(void **state) {
    (void)state;
    for (size_t i = 0; i < N_SAMPLES; i++) {
        const char *text = samples[i].text;
        size_t n = strlen(text);
        srv_tool_scan s = {0};
        srv_tool_call call;
        pd_bytes out = {0};
        while (srv_scan_call(&s, &text, &n, &call)) {
            pd_bytes_printf(&out, "<%s:%.*s%s", call.name, (int)call.n_arguments, call.arguments,
                            call.is_whole ? ">" : "");
        }
        if (s.state != SRV_SCAN_WORDS) expect_told(&samples[i], &out, 0);
        pd_bytes_free(&out);
    }
}

/* One that no tool can have ends the calls. */
static void long_names_do_no_harm(void **state) {
    (void)state;
    char text[SRV_TOOL_NAME_MAX + 64] = "{\"name\": \"";
    size_t n = strlen(text);
    memset(text + n, 'x', SRV_TOOL_NAME_MAX + 1);
    strcpy(text + n + SRV_TOOL_NAME_MAX, "\", \"parameters\": {}}");
    for (int more = 0; more < 2; more++) {
        srv_tool_scan s = {0};
        srv_piece piece;
        const char *at = text;
        size_t left = strlen(text);
        assert_int_equal(srv_scan_next(&s, &at, &left, &piece), !more);
        assert_int_equal(s.n_calls, !more);
        strcpy(text + n + SRV_TOOL_NAME_MAX, "x\", \"parameters\": {}}");
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_cut_gives_the_same),
        cmocka_unit_test(single_bytes_give_the_same),
        cmocka_unit_test(whole_calls_are_found),
        cmocka_unit_test(long_names_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
