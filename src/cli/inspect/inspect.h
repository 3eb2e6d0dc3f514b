/* Parts of `peridot inspect`.  SPDX-License-Identifier: MIT */
#ifndef PD_CLI_INSPECT_H
#define PD_CLI_INSPECT_H

#include "cli/commands.h"
#include "model/lm_head.h"
#include "model/vision_weights.h"

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
} inspection;

typedef struct inspect_type_total {
    pd_type type;
    uint64_t n_tensors, n_bytes;
} inspect_type_total;

enum { INSPECT_MAX_TYPES = 32 };
/* Tensors and bytes by type, in the order of first appearance; the number of types. */
uint32_t inspect_count_types(const pd_gguf *g, inspect_type_total out[INSPECT_MAX_TYPES]);

/* KV pages at f16 for a context, as a session with the default chunk would hold them. */
uint64_t inspect_kv_bytes(const pd_config *c, uint32_t n_ctx);

const char *inspect_kind_name(pd_gguf_kind kind);
/* A scalar that is neither a string nor an array. */
double inspect_number(const pd_gguf_value *v);
/* Of a value of kind STRING. */
pd_string inspect_string(const pd_gguf_value *v);

/* inspect_vision.c. Reads an image encoder's file; what is wrong with it goes into why_not. Errors:
 * MEMORY_HOST. */
pd_status inspect_bind_vision(inspection *in, pd_error *err);
void inspect_print_vision(const inspection *in);

/* One line: `before`, key, kind and value. */
void inspect_print_value(const char *before, const pd_gguf_value *v);
/* NULL (no item) for bytes that are not UTF-8. */
struct cJSON *inspect_value_json(const pd_gguf_value *v);
struct cJSON *inspect_string_json(pd_string s);

/* inspect_compare.c: prints how file b differs from file a. Errors: those of pd_gguf_open,
 * CANCELLED, MEMORY_HOST. */
pd_status inspect_compare(const cli_options *o, const char *a, const char *b, pd_error *err);

/* inspect_json.c */
pd_status inspect_print_json(const inspection *in, pd_error *err);

#endif
