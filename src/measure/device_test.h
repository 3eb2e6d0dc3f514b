/* Every kernel that a device could use, on small models whose sizes fit badly, beside `cpu-ref`.
 *
 * A test is a made-up model (pd_files_synth) of one stored type, in one precision, with some of the
 * device's abilities switched off: prompts of 9, 40 and 150 tokens and three steps behind them,
 * compared operation by operation (pd_session_check), so that the kernels for one row, few, some
 * and many rows all run; or an image encoder.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_MEASURE_DEVICE_TEST_H
#define PD_MEASURE_DEVICE_TEST_H

#include "measure/compare.h"

typedef struct pd_device_test {
    const char *type;  /* of the stored matrices: "q4_0" */
    const char *shape; /* "odd", "odd256", "image" */
    pd_precision precision;
    const char *disabled; /* the word of PERIDOT_DISABLE or PERIDOT_CPU_DISABLE; "": none */
} pd_device_test;

typedef struct pd_device_test_result {
    pd_device_test test;
    uint32_t n_ops, n_beyond; /* results of operations, and of them beyond their bounds */
    pd_compare_op fault;      /* the first of these */
    pd_error failure;         /* why it could not be run to the end; PD_OK: it was */
} pd_device_test_result;

static inline bool pd_device_test_holds(const pd_device_test_result *r) {
    return r->n_beyond == 0 && r->failure.status == PD_OK;
}

typedef struct pd_device_verdict {
    pd_device_info info;
    uint32_t n_tests, n_failed; /* with nothing switched off, and with each word */
    char avoided_by[64]; /* the word with which all hold that failed with nothing switched off;
                     "": there is none */
    bool is_kept;        /* and later starts of this build will heed it */
    uint64_t ns;
} pd_device_verdict;

/* Called behind each test. */
typedef void (*pd_device_test_fn)(void *ctx, const pd_device_test_result *r);

typedef struct pd_device_test_desc {
    const char *device;
    uint32_t n_threads; /* as in pd_model_desc */
    const char
        *types; /* stored types with commas between them, the others are left out; NULL: all */
    pd_device_test_fn fn;
    bool (*goes_on)(void *ctx); /* asked between tests; false: CANCELLED */
    void *ctx;
} pd_device_test_desc;

/* Errors: ARGUMENT (a type that is none of those that are tested). */
pd_status pd_device_test_check_types(const char *types, pd_error *err);

/* Tests a device. What is found is kept beside the pipelines of its driver, as a first start's own
 * test is, in place of what that found; not when only some types were tested, when something was
 * switched off beforehand, or where nobody would heed it (software devices, PERIDOT_SELFTEST=off).
 * Sets environment variables while it works, which no other thread may read then. Errors: ARGUMENT
 * (a type that is none of the tested ones), NO_DEVICE, IO (no room for the models), MEMORY_HOST,
 * MEMORY_DEVICE, CANCELLED. */
pd_status pd_device_run_tests(const pd_device_test_desc *desc, pd_device_verdict *out,
                              pd_error *err);

#endif
