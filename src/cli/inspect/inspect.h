/* Parts of `peridot inspect`.  SPDX-License-Identifier: MIT */
#ifndef PD_CLI_INSPECT_H
#define PD_CLI_INSPECT_H

#include "cli/commands.h"
#include "model/lm_head.h"
#include "model/vision_weights.h"
#include "pack/structure.h"

enum { INSPECT_CHUNK = 512 }; /* rows of a prompt step: what sessions compute at once */

/* A file as inspect sees it; config and weights only when it is a Gemma 3 text model, those of
 * vision only when it is Gemma 3's image encoder. */
typedef struct inspection {
    pd_gguf *file;
    bool is_model, is_vision;
    pd_config config;
    pd_weights *weights;
    pd_lm_head head; /* as --head would have it */
    pd_vision_config vision;
    pd_vision_weights *vision_weights;
    pd_error why_not; /* when it is neither, or has no plan */
    pd_arena arena;   /* of what is printed of settings */
} inspection;

/* inspect_vision.c. Reads an image encoder's file; what is wrong with it goes into why_not. Errors:
 * MEMORY_HOST. */
pd_status inspect_bind_vision(inspection *in, pd_error *err);
void inspect_print_vision(const inspection *in);

/* inspect_text.c */
void inspect_print_text(inspection *in);
/* One line: `before`, key, kind and value. */
void inspect_print_setting(const char *before, const char *key, const pd_setting *s);

/* inspect_json.c */
pd_status inspect_print_json(inspection *in, pd_error *err);
/* NULL (no item) for bytes that are not UTF-8. */
struct cJSON *inspect_setting_json(const pd_setting *s);
/* Adds what is not NULL; keys that are not UTF-8 are left out. */
void inspect_add_json(struct cJSON *object, const char *key, struct cJSON *item);

/* inspect_compare.c: prints how file b differs from file a. Errors: those of pd_files_compare. */
pd_status inspect_compare(const cli_options *o, const char *a, const char *b, pd_error *err);

#endif
