/* What the fuzzing entries share. Each fuzz_X.c is one LLVMFuzzerTestOneInput over one parser: any
 * bytes must end in success or in an error of an allowed kind with one clear sentence. A crash, a
 * sanitizer's report, a broken promise (abort) or no end is a finding.
 *
 * With clang and -DPERIDOT_LIBFUZZER=ON the entries are linked with libFuzzer; everywhere else with
 * driver.c, which takes the same arguments and changes the same seeds without looking at coverage.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PERIDOT_TESTS_FUZZ_H
#define PERIDOT_TESTS_FUZZ_H

#include "base/error.h"
#include "text/tokenizer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* Aborts with the words unless `good`. */
void fuzz_check(bool good, const char *words);
/* An outcome that foreign bytes may have: OK, or FORMAT, UNSUPPORTED, MODEL or ARGUMENT with one
 * sentence that a terminal can show. Returns status == PD_OK. */
bool fuzz_clean(pd_status status, const pd_error *err);

/* A file in memory with these bytes and n_zeros behind them, under a path that is good until the
 * next call. */
const char *fuzz_file(const uint8_t *data, size_t n, uint64_t n_zeros);
/* A folder of this process, removed at its end; and a file in it, replaced. */
const char *fuzz_folder(void);
void fuzz_put(const char *name, const uint8_t *data, size_t n);

/* Reads first and last byte, so that a view outside its mapping is noticed. */
void fuzz_read(const void *data, uint64_t n);

/* The vocabulary of a small golden model. */
const pd_vocab *fuzz_vocab(void);

/* The length of the first part of the input: up to the first zero byte, which is skipped. */
size_t fuzz_part(const uint8_t **data, size_t *n, const uint8_t **part);

#endif
