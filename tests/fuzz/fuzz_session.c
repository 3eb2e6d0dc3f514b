/* Session files: what the file tells without a model, and loading one. The input is a file without
 * its checksum, which is made right. What loads must go on: its pages and outputs may hold any
 * numbers, but its tables have to be those of its tokens.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "fuzz.h"
#include "peridot.h"
#include "support_data.h"

enum { N_CTX = 128, MAX_IDS = 4 };

static pd_session *session(void) {
    static pd_session *s;
    static pd_model *m;
    pd_error err;
    pd_model_desc model = {.device = "cpu-ref", .mmproj = test_data("golden/mm-mmproj.gguf")};
    pd_session_desc desc = {.n_ctx = N_CTX, .precision = PD_PRECISION_F16};
    if (s) return s;
    fuzz_check(pd_model_open(test_data("golden/mm-q4_0.gguf"), &model, &m, &err) == PD_OK &&
                   pd_session_create(m, &desc, &s, &err) == PD_OK,
               err.message);
    return s;
}

/* It may be too long for this context, which leaves that as it was, or need more pages. */
static bool loads(pd_status status, const pd_error *err) {
    if (status == PD_ERR_CONTEXT) return false;
    if (status != PD_ERR_MEMORY_DEVICE) return fuzz_clean(status, err);
    fuzz_check(pd_session_count(session()) == 0, "a session that half loaded");
    return false;
}

static void must(pd_status status, const pd_error *err) {
    bool good = status == PD_OK || status == PD_ERR_NUMERIC || status == PD_ERR_CONTEXT;
    fuzz_check(good, err->message);
}

/* Forwards, back to where marks or nothing may be, and into another file. */
static void go_on(pd_session *s, uint8_t first) {
    pd_error err = {0};
    uint32_t kept, more[MAX_IDS] = {2, 7, 11, 13}, n = pd_session_count(s);
    char path[128];
    pd_sampler greedy = {0};
    pd_generate_desc desc = {.n_max = 2, .ignore_stop = true};
    snprintf(path, sizeof path, "%s/saved", fuzz_folder());
    if (n > 0) must(pd_session_generate(s, &greedy, &desc, &err), &err);
    must(pd_session_rewind(s, n ? first % n : 0, &kept, &err), &err);
    fuzz_check(kept <= n, "more positions than there were");
    must(pd_session_save(s, path, NULL, 0, &err), &err);
    must(pd_session_load(s, path, &err), &err);
    fuzz_check(pd_session_count(s) == kept, "another session than was saved");
    must(pd_session_sync(s, more, MAX_IDS, &err), &err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    pd_error err = {0};
    pd_session_file file;
    uint64_t sum = pd_hash(data, n);
    uint8_t *whole = malloc(n + sizeof sum);
    fuzz_check(whole != NULL, "no memory for a file");
    if (n) memcpy(whole, data, n);
    memcpy(whole + n, &sum, sizeof sum);
    const char *path = fuzz_file(whole, n + sizeof sum, 0);
    free(whole);
    if (fuzz_clean(pd_session_file_read(path, &file, &err), &err))
        fuzz_read(file.note, file.n_note);
    pd_session_file_free(&file);
    if (loads(pd_session_load(session(), path, &err), &err)) go_on(session(), data[n - 1]);
    return 0;
}
