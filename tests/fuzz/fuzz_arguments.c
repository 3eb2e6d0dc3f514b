/* The command line: lines of the input are a subcommand's name and its arguments; then the lists of
 * ids and numbers that some of them hold.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdlib.h>
#include <string.h>

#include "base/numbers.h"
#include "cli/commands.h"
#include "fuzz.h"

enum { MAX_WORDS = 32 };

static void read_lists(const cli_options *o, pd_error *err) {
    cli_ids ids;
    uint32_t *numbers = NULL, n = 0;
    const char *text = cli_text(o, OPT_TOKENS);
    if (text && text[0] != '@' && fuzz_clean(cli_read_ids(o, &ids, err), err)) {
        fuzz_check(ids.n > 0, "an empty list of ids");
        fuzz_clean(cli_check_ids(&ids, 1000, err), err);
        free(ids.ids);
    }
    for (int i = 0; i < OPT_COUNT; i++) {
        const cli_option *option = cli_option_get((cli_option_id)i);
        if (option->kind != KIND_LIST || !cli_text(o, (cli_option_id)i)) continue;
        pd_status status = pd_numbers_parse(option->name, cli_text(o, (cli_option_id)i), 1, 5000,
                                            &numbers, &n, err);
        if (!fuzz_clean(status, err)) continue;
        for (uint32_t k = 0; k < n; k++)
            fuzz_check(numbers[k] >= 1 && numbers[k] <= 5000, "a number out of range");
        free(numbers);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    static cli_options o;
    pd_error err = {0};
    char *words[MAX_WORDS], *text = malloc(n + 1), *rest = NULL;
    int n_words = 0;
    cli_command command = CLI_RUN;
    fuzz_check(text != NULL, "no memory for the words");
    if (n) memcpy(text, data, n);
    text[n] = '\0';
    for (char *w = strtok_r(text, "\n", &rest); w && n_words < MAX_WORDS;
         w = strtok_r(NULL, "\n", &rest))
        words[n_words++] = w;
    int first = n_words > 0 && cli_command_find(words[0], &command);
    pd_status status = cli_options_parse(command, n_words - first, words + first, &o, &err);
    if (fuzz_clean(status, &err) && !o.wants_help) read_lists(&o, &err);
    cli_options_free(&o);
    free(text);
    return 0;
}
