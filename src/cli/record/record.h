/* A device's record as JSON, and tables and drawings of many.  SPDX-License-Identifier: MIT */
#ifndef PD_CLI_RECORD_H
#define PD_CLI_RECORD_H

#include "cli/json.h"
#include "measure/record.h"

enum { RECORD_SCHEMA = 1 }; /* docs/records.md */

/* record_json.c. NULL: no memory. */
cJSON *record_json(const cli_options *o, const pd_record *r);

/* records.c. Errors: IO, FORMAT, UNSUPPORTED (another schema). */
pd_status record_read(const char *path, cJSON **out, pd_error *err);
/* Members by their names with dots between: "device.name"; "" and 0 where there are none. */
const char *record_text(const cJSON *j, const char *path);
double record_number(const cJSON *j, const char *path);

/* The same model at the same precision on several devices. */
typedef struct record_row {
    const cJSON *record, *model;
} record_row;
typedef struct record_group {
    char title[64]; /* "1b, q4_0, precision f16" */
    const record_row *rows;
    uint32_t n_rows;
} record_group;
/* A row's device by its name; where others of the group have the same, by what tells it from them:
 * driver, build or date; and a word where its kernels compute something else than they should. */
enum { RECORD_LABEL_BYTES = 192 };
void record_label(const record_group *g, uint32_t row, char out[RECORD_LABEL_BYTES]);
/* Calls fn with each group, in the order in which they first occur; records is a list. Errors:
 * MEMORY_HOST. */
typedef void (*record_group_fn)(void *ctx, const record_group *g);
pd_status record_each_group(const cJSON *records, record_group_fn fn, void *ctx, pd_error *err);
/* Names of all tests that a group has, in the order in which they first occur; returns how many. */
enum { RECORD_MAX_TESTS = 128 }; /* what there is beyond is left out */
uint32_t record_list_tests(const record_group *g, const char *names[RECORD_MAX_TESTS]);
/* The test of that name; NULL: it was not done. */
const cJSON *record_find_test(const cJSON *model, const char *name);

/* record_table.c: Markdown to standard output. */
pd_status record_print_tables(const cJSON *records, pd_error *err);
/* record_plot.c: an SVG. */
pd_status record_write_plot(const cJSON *records, pd_file_writer *w, pd_error *err);

#endif
