/* One `peridot compare` from devices to report.  SPDX-License-Identifier: MIT */
#ifndef PD_CLI_COMPARE_H
#define PD_CLI_COMPARE_H

#include "cli/json.h"
#include "cli/prompt.h"
#include "measure/bench.h"
#include "measure/compare.h"

enum { COMPARE_MAX_DEVICES = 8 };

/* Tokens a second behind so many. */
typedef struct compare_depth {
    uint32_t n_depth;
    double prompt, answer;
} compare_depth;

/* A device and what came out; of the reference, result has its side alone. */
typedef struct compare_device {
    char wish[128]; /* as --devices names it */
    pd_device_info info;
    uint64_t load_ns, peak_bytes;
    pd_device_speed speed; /* what its peaks are; all 0: not measured */
    pd_compare_result result;
    compare_depth *depths; /* [n_depths] */
    uint32_t n_depths;
    pd_compare_summary summary;
    pd_error failure; /* why it ended early; PD_OK: it did not */
} compare_device;

typedef struct compare_job {
    const cli_options *o;
    cli_prompt prompt;
    cli_progress progress;
    char label[96]; /* of the progress */
    pd_compare_job job;
    compare_device reference, devices[COMPARE_MAX_DEVICES];
    uint32_t n_devices;
    pd_bench_list depths; /* that speed is wanted at */
    bool is_done;         /* there is something to report */
} compare_job;

/* A device that was compared to the end computes what it should: all operations within their
 * bounds, probabilities too, and draws what its logits say. */
bool compare_holds(const compare_device *d);
/* The one sentence. out: at least 512 bytes. */
void compare_verdict(const compare_job *job, const compare_device *d, char *out, size_t size);

/* depths.c */

/* Errors: ARGUMENT, MEMORY_HOST (the list), CONTEXT (the model has fewer positions). */
pd_status compare_read_depths(compare_job *job, pd_error *err);
pd_status compare_check_depths(const compare_job *job, uint32_t n_train, pd_error *err);
/* Times the device's open model at these, as long as its memory is enough. Errors: the session's.
 */
pd_status compare_time_depths(const compare_job *job, compare_device *d, pd_error *err);

/* compare_text.c: tables for people. */
void compare_print(const compare_job *job);
/* compare_json.c: docs/compare.md has the schema. Errors: MEMORY_HOST. */
pd_status compare_print_json(const compare_job *job, pd_error *err);
/* A pd_file_write_fn, ctx a compare_job: the same as a page for a browser, which needs nothing
 * else.
 */
pd_status compare_write_page(void *ctx, pd_file_writer *w, pd_error *err);

#endif
