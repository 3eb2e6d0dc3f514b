/* Every allocation of host memory fails once, then with all later ones, while whole files are
 * checked, compared, quantised, made up and converted: ERR_MEMORY_HOST with a sentence, no file,
 * and neither a crash nor a leak (which the leak sanitizer sees).
 *
 * SPDX-License-Identifier: MIT
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "fault/support_allocations.h"
#include "peridot_files.h"
#include "support_golden.h"

static char folder[] = "/tmp/peridot_fault_XXXXXX";
static const pd_files_work one = {.n_threads = 1};
static char text_model[4096], encoder[4096];
#define CHECKPOINT "ck" /* a folder, made up */

static pd_status verify(pd_error *err) {
    pd_verification *v;
    pd_status status = pd_files_verify(text_model, &one, &v, err);
    pd_verification_free(v);
    return status;
}

static pd_status compare(pd_error *err) {
    pd_comparison *c;
    pd_status status = pd_files_compare(text_model, encoder, &one, &c, err);
    pd_comparison_free(c);
    return status;
}

static pd_status quantize(pd_error *err) {
    return pd_files_quantize(encoder, "out.gguf", "q8_0", &(pd_quantize_desc){.work = one}, NULL,
                             err);
}

static pd_status synth(pd_error *err) {
    const pd_synth_desc desc = {.kind = PD_SYNTH_MMPROJ};
    return pd_files_synth("out.gguf", &desc, NULL, err);
}

static pd_status convert(pd_error *err) {
    return pd_files_convert(CHECKPOINT, "out.gguf", &(pd_convert_desc){.work = one}, err);
}

/* False once no allocation was left to fail. */
static bool fail_one(pd_status (*call)(pd_error *), uint32_t n) {
    pd_error err = {0};
    n_allocations = n_failed = 0;
    fail_at = n;
    pd_status status = call(&err);
    fail_at = 0;
    if (status != PD_OK && (status != PD_ERR_MEMORY_HOST || !err.message[0]))
        fail_msg("allocation %u: %s: %s", n, pd_status_name(status), err.message);
    /* of convert's two files one may have its name when the other one cannot get it */
    if (status != PD_OK && call != convert && access("out.gguf", F_OK) == 0)
        fail_msg("allocation %u: a file was left", n);
    unlink("out.gguf");
    unlink("mmproj-out.gguf");
    return n_failed > 0;
}

static void walk(const char *name, pd_status (*call)(pd_error *)) {
    for (int later = 0; later < 2; later++) {
        uint32_t n = 1;
        ever_after = later != 0;
        while (fail_one(call, n)) n++;
        print_message("%-10s some %u allocations\n", name, n);
        assert_true(n > 3);
    }
}

static void every_allocation_fails(void **state) {
    (void)state;
    walk("verify", verify);
    walk("compare", compare);
    walk("quantize", quantize);
    walk("synth", synth);
    walk("convert", convert);
}

static int prepare(void **state) {
    (void)state;
    snprintf(text_model, sizeof text_model, "%s", GOLDEN("small-q4_0.gguf"));
    snprintf(encoder, sizeof encoder, "%s", GOLDEN("mm-mmproj.gguf"));
    const pd_synth_desc desc = {.kind = PD_SYNTH_CHECKPOINT, .n_vocab = 600, .n_layers = 1};
    return mkdtemp(folder) && chdir(folder) == 0 &&
                   pd_files_synth(CHECKPOINT, &desc, NULL, NULL) == PD_OK
               ? 0
               : -1;
}

static int clean(void **state) {
    char command[64];
    (void)state;
    snprintf(command, sizeof command, "rm -r '%s'", folder);
    return system(command);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_allocation_fails)};
    return cmocka_run_group_tests(tests, prepare, clean);
}
