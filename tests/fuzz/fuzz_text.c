/* Text to ids and back, with the vocabulary of a small golden model. Text without control tokens
 * and without U+2581, which stands for a space, must come back as it was, except that bytes which
 * are no UTF-8 may come back as U+FFFD.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "fuzz.h"
#include "text/tokenizer.h"

static bool is_plain(const uint8_t *text, size_t n) {
    for (size_t i = 0; i < n;) {
        size_t length = pd_utf8_length(text + i, n - i);
        if (length == 0 || (length == 3 && memcmp(text + i, "\xE2\x96\x81", 3) == 0)) return false;
        i += length;
    }
    return true;
}

static void check_way_back(const pd_vocab *v, const uint32_t *ids, size_t n_ids,
                           const uint8_t *text, size_t n) {
    pd_detokenizer d;
    char piece[PD_DETOKENIZE_MAX_BYTES];
    size_t at = 0;
    bool same = true;
    pd_detokenizer_init(&d);
    for (size_t i = 0; i <= n_ids; i++) {
        size_t length =
            i < n_ids ? pd_vocab_decode(v, &d, ids[i], piece) : pd_detokenizer_flush(&d, piece);
        same = same && length <= n - at && memcmp(piece, text + at, length) == 0;
        if (same) at += length;
    }
    if (is_plain(text, n)) fuzz_check(same && at == n, "text does not come back as it was");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    const pd_vocab *v = fuzz_vocab();
    pd_error err = {0};
    size_t n_max = pd_tokenize_bound(n), n_ids, n_again;
    uint32_t *ids = malloc((n_max + 1) * sizeof *ids);
    fuzz_check(ids != NULL, "no memory for ids");
    for (int special = 1; special >= 0; special--) {
        pd_status status =
            pd_vocab_encode(v, (const char *)data, n, special, ids, n_max, &n_ids, &err);
        fuzz_check(status == PD_OK && n_ids <= n_max, "a text does not fit its bound");
        for (size_t i = 0; i < n_ids; i++)
            fuzz_check(ids[i] < pd_vocab_count(v) && (special || !pd_vocab_is_control(v, ids[i])),
                       "an id that must not be there");
    }
    check_way_back(v, ids, n_ids, data, n);
    if (n_ids > 1) {
        pd_status status =
            pd_vocab_encode(v, (const char *)data, n, false, ids, n_ids - 1, &n_again, &err);
        fuzz_check(status == PD_ERR_ARGUMENT && n_again == n_ids, "a short array is not noticed");
    }
    free(ids);
    return 0;
}
