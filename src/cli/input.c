/* Text, token ids and lists of numbers as users hand them over: by flag, file or standard input.
 * Everything is checked here, before a model is opened.
 *
 * SPDX-License-Identifier: MIT
 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "cli/commands.h"

enum { TEXT_MAX_BYTES = 1 << 30, IDS_MAX_BYTES = 1 << 28, NUMBERS_MAX = 4096 };

pd_status cli_read_text(const cli_options *o, char **data, size_t *n, pd_error *err) {
    const char *prompt = cli_text(o, OPT_PROMPT), *file = cli_text(o, OPT_FILE);
    for (int i = 0; i < 2; i++)
        if (o->values[i ? OPT_FILE : OPT_PROMPT].given > 1)
            return PD_RAISE(err, PD_ERR_ARGUMENT, "%s was given more than once",
                            i ? "--file" : "--prompt");
    if (prompt && file)
        return PD_RAISE(err, PD_ERR_ARGUMENT, "--prompt and --file cannot be used together");
    if (prompt) {
        *n = strlen(prompt);
        *data = pd_strdup(prompt);
        if (!*data) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory for the prompt");
        return PD_OK;
    }
    if (!file && isatty(STDIN_FILENO)) {
        pd_status status = PD_RAISE(err, PD_ERR_ARGUMENT, "there is no text to work on");
        return pd_error_hint(err, status, "give it with -p TEXT or -f FILE, or pipe it in");
    }
    return pd_file_read_all(file ? file : "-", TEXT_MAX_BYTES, data, n, err);
}

pd_status cli_check_utf8(const char *what, const char *text, size_t n, pd_error *err) {
    for (size_t i = 0; i < n;) {
        size_t length = pd_utf8_length((const uint8_t *)text + i, n - i);
        if (length == 0)
            return PD_RAISE(err, PD_ERR_ARGUMENT, "%s is not valid UTF-8 at byte %zu (0x%02x)",
                            what, i, (unsigned)(uint8_t)text[i]);
        i += length;
    }
    return PD_OK;
}

/* ---- token ids ------------------------------------------------------------------------------ */

static bool is_separator(char c) {
    return c == ',' || isspace((unsigned char)c);
}

static size_t count_words(const char *text) {
    size_t n = 0;
    for (bool inside = false; *text; text++) {
        if (!is_separator(*text) && !inside) n++;
        inside = !is_separator(*text);
    }
    return n;
}

static pd_status parse_id(const char **text, uint32_t *id, pd_error *err) {
    static const char image[] = "<image>";
    size_t n = strlen(image);
    if (strncmp(*text, image, n) == 0 && (!(*text)[n] || is_separator((*text)[n]))) {
        *text += n;
        *id = PD_TOKEN_IMAGE;
        return PD_OK;
    }
    n = 0;
    uint64_t value = 0;
    bool good = true;
    for (; (*text)[n] && !is_separator((*text)[n]); n++) {
        char c = (*text)[n];
        good = good && c >= '0' && c <= '9';
        if (good && value <= UINT32_MAX) value = value * 10 + (uint64_t)(c - '0');
    }
    if (!good || value > UINT32_MAX)
        return PD_RAISE(err, PD_ERR_ARGUMENT, "--tokens takes token ids, but \"%.*s\" is none",
                        n > 40 ? 40 : (int)n, *text);
    *text += n;
    *id = (uint32_t)value;
    return PD_OK;
}

static pd_status parse_ids(const char *text, cli_ids *out, pd_error *err) {
    size_t n = count_words(text);
    if (n == 0) return PD_RAISE(err, PD_ERR_ARGUMENT, "--tokens holds no token id");
    out->ids = pd_alloc(n, sizeof *out->ids);
    if (!out->ids) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory for %zu ids", n);
    for (out->n = 0; out->n < n; out->n++) {
        while (is_separator(*text)) text++;
        PD_TRY(parse_id(&text, &out->ids[out->n], err));
    }
    return PD_OK;
}

pd_status cli_read_ids(const cli_options *o, cli_ids *out, pd_error *err) {
    *out = (cli_ids){0};
    const char *text = cli_text(o, OPT_TOKENS);
    if (!text) return PD_RAISE(err, PD_ERR_ARGUMENT, "--tokens IDS is missing");
    char *data = NULL;
    if (text[0] == '@') {
        size_t n = 0;
        PD_TRY(pd_file_read_all(text + 1, IDS_MAX_BYTES, &data, &n, err));
        text = data ? data : ""; /* an empty file leaves NULL */
    }
    pd_status status = parse_ids(text, out, err);
    pd_free(data);
    if (status != PD_OK) {
        pd_free(out->ids);
        *out = (cli_ids){0};
    }
    return status;
}

pd_status cli_check_ids(const cli_ids *ids, uint32_t n_vocab, pd_error *err) {
    for (size_t i = 0; i < ids->n; i++)
        if (ids->ids[i] >= n_vocab && ids->ids[i] != PD_TOKEN_IMAGE)
            return PD_RAISE(err, PD_ERR_ARGUMENT,
                            "token %zu has the id %u, but the vocabulary ends at %u", i,
                            ids->ids[i], n_vocab - 1);
    return PD_OK;
}

/* ---- lists of numbers ------------------------------------------------------------------------ */

typedef struct number_list {
    const char *flag;
    uint32_t min, max;
    uint32_t *values;
    uint32_t n;
} number_list;

static bool read_number(const char **text, uint32_t *out) {
    if (!isdigit((unsigned char)**text)) return false;
    char *end;
    errno = 0;
    unsigned long long v = strtoull(*text, &end, 10);
    if (errno != 0 || v > UINT32_MAX) return false;
    *text = end;
    *out = (uint32_t)v;
    return true;
}

static pd_status add_number(number_list *list, uint64_t v, pd_error *err) {
    if (v < list->min || v > list->max)
        return PD_RAISE(err, PD_ERR_ARGUMENT, "%s must be from %u to %u, but is %llu", list->flag,
                        list->min, list->max, (unsigned long long)v);
    if (list->n == NUMBERS_MAX)
        return PD_RAISE(err, PD_ERR_ARGUMENT, "%s holds more than %d numbers", list->flag,
                        NUMBERS_MAX);
    list->values[list->n++] = (uint32_t)v;
    return PD_OK;
}

/* One item: a, a-b, a-b+step or a-b*factor. */
static pd_status parse_range(number_list *list, const char *item, size_t n, pd_error *err) {
    const char *at = item;
    uint32_t first = 0, last = 0, step = 1;
    char operation = '+';
    bool good = read_number(&at, &first);
    last = first;
    if (good && *at == '-') {
        at++;
        good = read_number(&at, &last) && last >= first;
        if (good && (*at == '+' || *at == '*')) {
            operation = *at++;
            good = read_number(&at, &step) && step >= (operation == '*' ? 2u : 1u) &&
                   (operation == '+' || first > 0);
        }
    }
    if (!good || at != item + n)
        return PD_RAISE(err, PD_ERR_ARGUMENT, "%s takes numbers or ranges, but \"%.*s\" is neither",
                        list->flag, n > 40 ? 40 : (int)n, item);
    for (uint64_t v = first; v <= last; v = operation == '+' ? v + step : v * step)
        PD_TRY(add_number(list, v, err));
    return PD_OK;
}

pd_status cli_parse_numbers(const char *flag, const char *text, uint32_t min, uint32_t max,
                            uint32_t **out, uint32_t *n, pd_error *err) {
    number_list list = {.flag = flag, .min = min, .max = max};
    list.values = pd_alloc(NUMBERS_MAX, sizeof *list.values);
    if (!list.values) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory for %s", flag);
    pd_status status = PD_OK;
    for (const char *at = text; status == PD_OK;) {
        size_t length = strcspn(at, ",");
        status = parse_range(&list, at, length, err);
        if (at[length] == '\0') break;
        at += length + 1;
    }
    if (status != PD_OK) {
        pd_free(list.values);
        return status;
    }
    *out = list.values;
    *n = list.n;
    return PD_OK;
}
