/* Parts of `peridot inspect`.  SPDX-License-Identifier: MIT */
#ifndef PD_CLI_INSPECT_H
#define PD_CLI_INSPECT_H

#include "cli/commands.h"
#include "pack/inspection.h"

enum { INSPECT_CHUNK = 512 }; /* rows of a prompt step: what sessions compute at once */

/* inspect_text.c */
void inspect_print_text(pack_inspection *in);
/* One line: `before`, key, kind and value. */
void inspect_print_setting(const char *before, const char *key, const pd_setting *s);

/* inspect_json.c */
pd_status inspect_print_json(pack_inspection *in, pd_error *err);
/* NULL (no item) for bytes that are not UTF-8. */
struct cJSON *inspect_setting_json(const pd_setting *s);
/* Adds what is not NULL; keys that are not UTF-8 are left out. */
void inspect_add_json(struct cJSON *object, const char *key, struct cJSON *item);

/* inspect_compare.c: prints how file b differs from file a. Errors: those of pd_files_compare. */
pd_status inspect_compare(const cli_options *o, const char *a, const char *b, pd_error *err);

#endif
