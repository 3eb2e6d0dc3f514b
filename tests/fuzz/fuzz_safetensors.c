/* A safetensors file. The input is its JSON header; the length in front is put there, and behind it
 * as many zeros as the greatest number in the text asks for, within reason, since a file whose data
 * is longer or shorter than its header says is refused before anything else.
 *
 * SPDX-License-Identifier: MIT
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "file/safetensors.h"
#include "fuzz.h"

enum { MAX_DATA = 16 << 20 };

/* That of "BF16" is none. */
static uint64_t greatest_number(const uint8_t *text, size_t n) {
    uint64_t most = 0, value = 0;
    bool in_word = false;
    for (size_t i = 0; i < n; i++) {
        bool digit = isdigit(text[i]);
        in_word = isalpha(text[i]) || (in_word && digit);
        value = digit && value <= MAX_DATA ? value * 10 + (uint64_t)(text[i] - '0') : 0;
        if (value > most && value <= MAX_DATA && !in_word) most = value;
    }
    return most;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    pd_error err = {0};
    pd_safetensors *s = NULL;
    uint8_t *file = malloc(n + 8);
    fuzz_check(file != NULL, "no memory for a file");
    for (unsigned i = 0; i < 8; i++) file[i] = (uint8_t)((uint64_t)n >> 8 * i);
    if (n) memcpy(file + 8, data, n);
    const char *path = fuzz_file(file, n + 8, greatest_number(data, n));
    free(file);
    if (!fuzz_clean(pd_safetensors_open(path, &s, &err), &err)) return 0;
    for (uint32_t i = 0; i < pd_safetensors_count(s); i++) {
        const pd_safetensor *t = pd_safetensors_at(s, i);
        fuzz_check(pd_safetensors_find(s, t->name) != NULL, "a tensor that is not found again");
        fuzz_read(t->data, t->n_bytes);
        pd_safetensors_forget(s, t, 0, t->n_bytes);
    }
    pd_safetensors_close(s);
    return 0;
}
