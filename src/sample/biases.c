/* See biases.h.  SPDX-License-Identifier: MIT */
#include "sample/biases.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

/* One of them, with a comma or nothing behind it: moves *at there. */
static bool read_bias(const char **at, pd_logit_bias *out) {
    char *end;
    if (!isdigit((unsigned char)**at)) return false;
    errno = 0;
    unsigned long long id = strtoull(*at, &end, 10);
    if (errno || id > UINT32_MAX || (*end != '+' && *end != '-')) return false;
    *at = end;
    *out = (pd_logit_bias){(uint32_t)id, strtof(*at, &end)};
    bool good = end != *at && (*end == ',' || *end == '\0');
    *at = end;
    return good;
}

static pd_status read_all(const char *what, const char *text, pd_logit_bias *out, size_t *n,
                          pd_error *err) {
    *n = 0;
    for (const char *at = text, *end;; at = end + 1) {
        end = at;
        if (!read_bias(&end, &out[(*n)++]))
            return PD_RAISE(err, PD_ERR_ARGUMENT,
                            "%s takes an id and a bias as in 15043+1, but \"%.*s\" is none", what,
                            (int)strcspn(at, ","), at);
        if (!*end) return PD_OK;
    }
}

pd_status pd_biases_parse(const char *what, const char *text, pd_logit_bias **out, size_t *n,
                          pd_error *err) {
    pd_logit_bias *biases = pd_alloc(strlen(text) + 1, sizeof *biases);
    if (!biases) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for the biases");
    pd_status status = read_all(what, text, biases, n, err);
    if (status == PD_OK)
        *out = biases;
    else
        pd_free(biases);
    return status;
}

pd_status pd_biases_check(const char *what, const pd_logit_bias *biases, size_t n, uint32_t n_vocab,
                          pd_error *err) {
    for (size_t i = 0; i < n; i++)
        if (biases[i].id >= n_vocab)
            return PD_RAISE(err, PD_ERR_ARGUMENT,
                            "%s is for token %u, but the model's vocabulary has %u", what,
                            biases[i].id, n_vocab);
    return PD_OK;
}
