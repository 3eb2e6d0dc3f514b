/* Text and token ids as users hand them over: by flag, file or standard input. Everything is
 * checked here, before a model is opened.
 *
 * SPDX-License-Identifier: MIT
 */
#include <string.h>

#include "base/file.h"
#include "base/terminal.h"
#include "cli/commands.h"
#include "text/ids.h"

enum { TEXT_MAX_BYTES = 1 << 30, IDS_MAX_BYTES = 1 << 28 };

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
    if (!file && pd_is_terminal(stdin)) {
        pd_status status = PD_RAISE(err, PD_ERR_ARGUMENT, "there is no text to work on");
        return pd_error_hint(err, status, "give it with -p TEXT or -f FILE, or pipe it in%s",
                             o->command == CLI_RUN ? "; peridot chat holds a conversation" : "");
    }
    return pd_file_read_all(file ? file : "-", TEXT_MAX_BYTES, data, n, err);
}

pd_status cli_read_system(const cli_options *o, char **data, size_t *n, pd_error *err) {
    const char *text = cli_text(o, OPT_SYSTEM), *file = cli_text(o, OPT_SYSTEM_FILE);
    *data = NULL;
    *n = 0;
    if (text && file)
        return PD_RAISE(err, PD_ERR_ARGUMENT,
                        "--system-prompt and --system-prompt-file cannot be used together");
    if (file) {
        PD_TRY(pd_file_read_all(file, TEXT_MAX_BYTES, data, n, err));
    } else if (text) {
        *n = strlen(text);
        *data = pd_strdup(text);
        if (!*data) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory for the prompt");
    }
    pd_status status = cli_check_utf8("the system prompt", *data, *n, err);
    if (status == PD_OK) return PD_OK;
    pd_free(*data);
    *data = NULL;
    return status;
}

pd_status cli_check_utf8(const char *what, const char *text, size_t n, pd_error *err) {
    size_t at = pd_utf8_valid_bytes(text, n);
    if (at == n) return PD_OK;
    return PD_RAISE(err, PD_ERR_ARGUMENT, "%s is not valid UTF-8 at byte %zu (0x%02x)", what, at,
                    (unsigned)(uint8_t)text[at]);
}

pd_status cli_encode(const pd_model *model, const char *text, size_t n_bytes,
                     const pd_tokenize_desc *desc, cli_ids *out, pd_error *err) {
    size_t n_max = pd_tokenize_bound(n_bytes);
    out->ids = pd_alloc(n_max, sizeof *out->ids);
    if (!out->ids)
        return PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory for %zu token ids", n_max);
    pd_status status =
        pd_tokenize(model, text ? text : "", n_bytes, desc, out->ids, n_max, &out->n, err);
    if (status == PD_OK) return PD_OK;
    pd_free(out->ids);
    *out = (cli_ids){0};
    return status;
}

/* ---- token ids ------------------------------------------------------------------------------ */

pd_status cli_read_ids(const cli_options *o, cli_ids *out, pd_error *err) {
    *out = (cli_ids){0};
    PD_TRY(cli_need(o, OPT_TOKENS, err));
    const char *text = cli_text(o, OPT_TOKENS);
    char *data = NULL;
    if (text[0] == '@') {
        size_t n = 0;
        PD_TRY(pd_file_read_all(text + 1, IDS_MAX_BYTES, &data, &n, err));
        text = data ? data : ""; /* an empty file leaves NULL */
    }
    pd_status status = pd_ids_parse("--tokens", text, &out->ids, &out->n, err);
    pd_free(data);
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
