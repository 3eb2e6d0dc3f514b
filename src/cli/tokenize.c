/* `peridot tokenize` and `peridot detokenize`: the tokenizer alone, without a device.
 *
 * SPDX-License-Identifier: MIT
 */

#include "base/terminal.h"
#include "cli/json.h"

static void print_ids(const uint32_t *ids, size_t n) {
    for (size_t i = 0; i < n; i++) printf(i ? " %u" : "%u", ids[i]);
    printf("\n");
}

/* {"n_tokens": 2, "ids": [2, 9259], "texts": ["<bos>", "Hello"]}; written piece by piece, since a
 * text may be of any length. */
static pd_status print_ids_json(const pd_model *model, const uint32_t *ids, size_t n,
                                pd_error *err) {
    printf("{\"n_tokens\": %zu, \"ids\": [", n);
    for (size_t i = 0; i < n; i++) printf(i ? ", %u" : "%u", ids[i]);
    printf("], \"texts\": [");
    for (size_t i = 0; i < n; i++) {
        cJSON *string = cli_token_json(model, ids[i]);
        char *quoted = string ? cJSON_PrintUnformatted(string) : NULL;
        if (quoted) printf(i ? ", %s" : "%s", quoted);
        cJSON_free(quoted);
        cJSON_Delete(string);
        if (!quoted) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory for JSON text");
    }
    printf("]}\n");
    return PD_OK;
}

pd_status cli_tokenize(const cli_options *o, pd_error *err) {
    char *text = NULL;
    size_t n_bytes = 0;
    pd_model *model = NULL;
    cli_ids ids = {0};
    pd_status status;
    PD_TRY_GOTO(cli_read_text(o, &text, &n_bytes, err));
    PD_TRY_GOTO(cli_open_model(o, CLI_OPEN_VOCAB, &model, err));
    pd_tokenize_desc desc = {.no_bos = cli_given(o, OPT_NO_BOS),
                             .parse_special = cli_given(o, OPT_PARSE_SPECIAL)};
    PD_TRY_GOTO(cli_encode(model, text, n_bytes, &desc, &ids, err));
    if (cli_given(o, OPT_JSON))
        status = print_ids_json(model, ids.ids, ids.n, err);
    else
        print_ids(ids.ids, ids.n);
done:
    pd_free(ids.ids);
    pd_model_close(model);
    pd_free(text);
    return status;
}

pd_status cli_detokenize(const cli_options *o, pd_error *err) {
    cli_ids ids = {0};
    pd_model *model = NULL;
    pd_status status;
    PD_TRY_GOTO(cli_read_ids(o, &ids, err));
    PD_TRY_GOTO(cli_open_model(o, CLI_OPEN_VOCAB, &model, err));
    PD_TRY_GOTO(cli_check_ids(&ids, pd_model_get_info(model)->n_vocab, err));
    pd_detokenizer d;
    pd_detokenizer_init(&d);
    d.show_special = cli_given(o, OPT_SHOW_SPECIAL);
    char text[PD_DETOKENIZE_MAX_BYTES];
    for (size_t i = 0; i < ids.n; i++)
        cli_write_text(text, pd_detokenize(model, &d, ids.ids[i], text));
    cli_write_text(text, pd_detokenizer_flush(&d, text));
    if (pd_is_terminal(stdout)) printf("\n");
done:
    pd_model_close(model);
    pd_free(ids.ids);
    return status;
}
