/* How fast a device is, as a record that can stand beside another device's: what it is, what it
 * computes when nothing else is asked of it, whether it computes the right thing, and tokens a
 * second of models with random weights, which have the real ones' shapes and speed.
 *
 * Every figure is the median of some runs behind one that is not timed (measure/bench.h), and comes
 * with the clock and the temperature behind them.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_MEASURE_RECORD_H
#define PD_MEASURE_RECORD_H

#include "measure/bench.h"
#include "measure/conditions.h"
#include "measure/device_test.h"

typedef struct pd_record_test {
    pd_bench_test test;
    pd_bench_result result; /* samples_ns is the record's */
    /* Of the result's median: bytes that a step cannot help reading and writing by what the device
     * reads, and its multiplications and additions by its arithmetic. */
    double memory_percent, arithmetic_percent;
    double joules_per_token; /* of all runs; 0: the system does not tell, there is a
                                depth, or it took minutes */
    pd_conditions behind;
} pd_record_test;

typedef struct pd_record_model {
    char preset[8];
    uint64_t file_bytes, load_ns;
    uint64_t peak_bytes;   /* of the device's memory, until the last test was done */
    pd_record_test *tests; /* [n_tests] that were done */
    uint32_t n_tests;
    pd_error failure; /* why there are not more; PD_OK: all were */
} pd_record_model;

enum { PD_RECORD_MAX_MODELS = 8 };

typedef struct pd_record {
    char time[32]; /* "2025-01-31T12:00:00Z", when it began */
    pd_device_info info;
    pd_device_speed speed;
    pd_conditions before;
    bool has_verdict;
    pd_device_verdict verdict;
    const char *type; /* of all models, as the descriptor has it */
    pd_record_model models[PD_RECORD_MAX_MODELS];
    uint32_t n_models;
} pd_record;

typedef struct pd_record_desc {
    const char *device; /* as pd_model_desc's */
    uint32_t n_threads; /* likewise */
    pd_precision precision;
    const char *presets; /* of pd_files_synth, with commas between */
    const char *type;    /* stored type of the layers' matrices; embeddings are as llama.cpp has
                            them */
    pd_bench_lists lists;
    uint32_t n_samples;
    const char *folder; /* where models are and stay; NULL: nowhere, they are removed again */
    bool without_tests; /* of kernels: no verdict */
    /* Called before each thing that takes a while; false: CANCELLED. */
    bool (*tell)(void *ctx, const char *what);
    void (*watch)(void *ctx, pd_session *session); /* from now on that works; NULL: none does */
    void *ctx;
} pd_record_desc;

/* What fails of a model is part of the record. Errors: ARGUMENT (too many models), NO_DEVICE, IO,
 * MEMORY_HOST, DEVICE, CANCELLED, and those of pd_device_run_tests. *out: pd_record_free, also on
 * failure. */
pd_status pd_record_make(const pd_record_desc *desc, pd_record *out, pd_error *err);
void pd_record_free(pd_record *r);

#endif
