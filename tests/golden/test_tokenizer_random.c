/* Random texts whose ids the real tokenizer made: PERIDOT_TOKENIZER_RANDOM names what
 * tools/tokenizer_compare.mjs printed, one {"text", "ids"} a line, PERIDOT_TOKENIZER_JSON the
 * vocabulary. The real tokenizer parses control tokens, so here they are parsed as well.
 *
 * SPDX-License-Identifier: MIT
 */
#include "support_vocab.h"

#include <cjson/cJSON.h>

#include "base/file.h"

static pd_vocab *vocab;
static char *lines;
static size_t n_bytes;

/* Whether the line's text has the line's ids; prints what differs. */
static bool check_line(const char *line, size_t n) {
    cJSON *item = cJSON_ParseWithLength(line, n);
    assert_non_null(item);
    const char *text = cJSON_GetObjectItem(item, "text")->valuestring;
    const cJSON *id = cJSON_GetObjectItem(item, "ids")->child;
    size_t n_text = strlen(text), n_ids, bound = pd_tokenize_bound(n_text), i = 0;
    uint32_t *ids = malloc(bound * sizeof *ids);
    pd_error err;
    if (pd_vocab_encode(vocab, text, n_text, true, ids, bound, &n_ids, &err) != PD_OK)
        fail_msg("%s", err.message);
    while (id && i < n_ids && (uint32_t)id->valueint == ids[i]) {
        id = id->next;
        i++;
    }
    bool same = !id && i == n_ids;
    if (!same)
        print_error("at %zu: got %u, expected %d, in %.*s\n", i, i < n_ids ? ids[i] : 0,
                    id ? id->valueint : -1, (int)(n < 600 ? n : 600), line);
    free(ids);
    cJSON_Delete(item);
    return same;
}

static void every_line_agrees(void **state) {
    (void)state;
    size_t n_lines = 0, n_different = 0;
    for (char *line = lines, *end; line < lines + n_bytes; line = end + 1) {
        end = memchr(line, '\n', (size_t)(lines + n_bytes - line));
        if (!end) end = lines + n_bytes;
        n_different += !check_line(line, (size_t)(end - line));
        n_lines++;
    }
    print_message("%zu texts, %zu different\n", n_lines, n_different);
    assert_true(n_lines > 0);
    assert_int_equal(n_different, 0);
}

int main(void) {
    const char *path = getenv("PERIDOT_TOKENIZER_RANDOM");
    if (!path || !*path) {
        printf("skipped: PERIDOT_TOKENIZER_RANDOM does not name the output of "
               "tools/tokenizer_compare.mjs\n");
        return 77;
    }
    pd_gguf *file = real_vocab(262208); /* the real one knows <image_soft_token> */
    pd_error err;
    if (!file) {
        printf(NO_VOCAB);
        return 77;
    }
    if (pd_file_read_all(path, UINT64_C(1) << 30, &lines, &n_bytes, &err) != PD_OK) {
        printf("%s\n", err.message);
        return 1;
    }
    vocab = open_vocab(file);
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_line_agrees)};
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    pd_vocab_close(vocab);
    pd_gguf_close(file);
    pd_free(lines);
    return failed;
}
