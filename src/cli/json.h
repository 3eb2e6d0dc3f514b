/* What commands with JSON share.  SPDX-License-Identifier: MIT */
#ifndef PD_CLI_JSON_H
#define PD_CLI_JSON_H

#include <cjson/cJSON.h>

#include "base/file.h"
#include "cli/commands.h"

/* Prints a tree made with cJSON and deletes it; NULL stands for memory that ran out. */
pd_status cli_print_json(cJSON *root, pd_error *err);

/* Adds numbers to an object, in their order: CLI_ADD_NUMBERS(j, {"rows", n}, {"ms", t}). What is
 * not finite becomes null. */
typedef struct cli_number {
    const char *name;
    double value;
} cli_number;
void cli_add_numbers(cJSON *object, const cli_number *numbers, size_t n);
#define CLI_ADD_NUMBERS(object, ...)                                                               \
    cli_add_numbers(object, (const cli_number[]){__VA_ARGS__},                                     \
                    sizeof((const cli_number[]){__VA_ARGS__}) / sizeof(cli_number))

/* The same of texts: CLI_ADD_TEXTS(j, {"id", id}, {"name", name}). One that is NULL is left out. */
typedef struct cli_member {
    const char *name, *text;
} cli_member;
void cli_add_texts(cJSON *object, const cli_member *texts, size_t n);
#define CLI_ADD_TEXTS(object, ...)                                                                 \
    cli_add_texts(object, (const cli_member[]){__VA_ARGS__},                                       \
                  sizeof((const cli_member[]){__VA_ARGS__}) / sizeof(cli_member))

void cli_add_ids(cJSON *object, const char *name, const uint32_t *ids, size_t n);
/* A new object at the end of a list. */
cJSON *cli_add_object(cJSON *list);

/* The same as one line of a file. */
pd_status cli_write_json_line(pd_file_writer *w, cJSON *root, pd_error *err);

/* devices.c: what `devices --json` says of a device, but for what is measured; and that. */
void cli_add_device(cJSON *j, const pd_device_info *d);
void cli_add_device_speed(cJSON *j, const pd_device_speed *s);

/* provenance.c: "command", "time", "build" and "environment" of a report. */
void cli_add_provenance(cJSON *root, const cli_options *o);

/* A text as a string; a zero among its bytes would end that, and becomes U+FFFD. NULL: no memory.
 */
cJSON *cli_text_json(const char *text, size_t n);

/* A token's text as a string, control tokens as they are written; what is part of a character shows
 * as U+FFFD. */
cJSON *cli_token_json(const pd_model *model, uint32_t id);

#endif
