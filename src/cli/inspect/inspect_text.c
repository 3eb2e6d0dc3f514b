/* What `peridot inspect FILE` prints.  SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <string.h>

#include "cli/inspect/inspect.h"
#include "engine/kv.h"
#include "pack/setting.h"
#include "pack/structure.h"

/* ---- metadata ------------------------------------------------------------------------------- */

/* One line of text, control characters spelled out. */
static void print_limited(const char *text, uint64_t n) {
    enum { MOST = 100 };
    for (uint64_t i = 0; i < n && i < MOST; i++) {
        unsigned char ch = (unsigned char)text[i];
        if (ch == '\n') {
            printf("\\n");
        } else if (ch < 0x20 || ch == 0x7f) {
            printf("\\x%02x", ch);
        } else {
            putchar(ch);
        }
    }
    if (n > MOST) printf("... (%" PRIu64 " bytes)", n);
}

void inspect_print_setting(const char *before, const char *key, const pd_setting *s) {
    enum { KEY_COLUMNS = 44 };
    size_t n = strlen(key);
    printf("%s", before);
    print_limited(key, n);
    printf("%*s %-6s ", n < KEY_COLUMNS ? KEY_COLUMNS - (int)n : 0, "", s->kind);
    if (s->item_kind) {
        printf("%" PRIu64 " x %s", s->n, s->item_kind);
    } else if (s->text) {
        print_limited(s->text, s->n);
    } else if (strcmp(s->kind, "bool") == 0) {
        printf("%s", s->number != 0 ? "true" : "false");
    } else {
        printf("%.10g", s->number);
    }
    printf("\n");
}

static void print_settings(pack_inspection *in) {
    const pd_gguf *g = in->file;
    printf("\nmetadata (%" PRIu64 ")\n", pd_gguf_value_count(g));
    for (uint64_t i = 0; i < pd_gguf_value_count(g); i++) {
        const pd_gguf_value *v = pd_gguf_value_at(g, i);
        const char *key = pack_setting_key(v, &in->arena);
        pd_setting s;
        if (key && pack_setting(v, &in->arena, &s)) inspect_print_setting("  ", key, &s);
    }
}

/* ---- tensors and sizes ---------------------------------------------------------------------- */

static void print_tensor(const pd_tensor *t) {
    char shape[128] = "", bytes[32];
    int n = 0;
    for (uint32_t d = t->n_dims; d-- > 0 && n < 100;)
        n += snprintf(shape + n, sizeof shape - (size_t)n, "%s%" PRIu64, n ? ", " : "", t->ne[d]);
    printf("  %-36s %-5s [%s]  %s\n", t->name, pd_type_name(t->type), shape,
           pd_size_text(t->n_bytes, bytes));
}

static void print_types(const pd_gguf *g) {
    pack_type_total totals[PACK_MAX_TYPES];
    uint32_t n = pack_count_types(g, totals);
    char bytes[32];
    printf("\nby type\n");
    for (uint32_t i = 0; i < n; i++)
        printf("  %-5s %6" PRIu64 " tensors  %s\n", pd_type_name(totals[i].type),
               totals[i].n_tensors, pd_size_text(totals[i].n_bytes, bytes));
}

static void print_model(const pack_inspection *in) {
    const pd_config *c = &in->config;
    uint32_t n_global = 0;
    for (uint32_t i = 0; i < c->n_layers; i++) n_global += c->layer_is_global[i];
    printf("\nmodel\n  %s (%s), %.2f million parameters\n", c->name, c->size_label,
           (double)in->weights->n_params / 1e6);
    printf("  %u layers (%u global", c->n_layers, n_global);
    if (n_global < c->n_layers)
        printf(", %u local with a window of %u", c->n_layers - n_global, c->window);
    printf("), embedding %u, feed-forward %u\n", c->n_embd, c->n_ff);
    printf("  %u query heads on %u key heads of %u, vocabulary %u, context %u\n", c->n_heads,
           c->n_kv_heads, c->head_dim, c->n_vocab, c->n_ctx_train);
    printf("  rope base %g local, %g global, global positions times %g; attention scale %.9g\n",
           (double)c->rope_base_local, (double)c->rope_base_global, (double)c->rope_scale_global,
           (double)c->attn_scale);
}

static void print_vision(const pack_inspection *in) {
    const pd_vision_config *c = &in->vision;
    const pd_vision_weights *w = in->vision_weights;
    printf("\nimage encoder\n  %s, %.2f million parameters\n", c->name, (double)w->n_params / 1e6);
    printf("  images of %u x %u pixels in %u patches of %u become %u tokens of %u values\n",
           c->image_size, c->image_size, c->grid * c->grid, c->patch_size, c->n_tokens,
           c->n_embd_out);
    printf("  %u layers in %s, width %u, %u heads of %u, feed-forward %u\n", c->n_layers,
           pd_type_name((uint32_t)w->main_type), c->n_embd, c->n_heads, c->head_dim, c->n_ff);
}

static void print_sizes(const pack_inspection *in) {
    static const uint32_t contexts[] = {2048, 8192, 32768, 131072};
    const pd_config *c = &in->config;
    char bytes[32];
    uint64_t weights = 0;
    for (uint64_t i = 0; i < pd_gguf_tensor_count(in->file); i++)
        weights += pd_gguf_tensor_at(in->file, i)->n_bytes;
    printf("\nmemory\n  weights %s; read for one generated token: ", pd_size_text(weights, bytes));
    printf("%s", pd_size_text(in->weights->bytes_per_token, bytes));
    const pd_tensor *head = in->weights->output;
    printf(", %s of it the head as %s\n", pd_size_text(head->n_bytes, bytes),
           pd_type_name((uint32_t)head->type));
    for (size_t i = 0; i < sizeof contexts / sizeof contexts[0]; i++) {
        uint32_t n_ctx = contexts[i] < c->n_ctx_train ? contexts[i] : c->n_ctx_train;
        printf("  keys and values of %6u positions at f16: %s\n", n_ctx,
               pd_size_text(pd_kv_f16_bytes(c, n_ctx, INSPECT_CHUNK), bytes));
        if (n_ctx == c->n_ctx_train) break;
    }
}

void inspect_print_text(pack_inspection *in) {
    const pd_gguf *g = in->file;
    char bytes[32];
    printf("%s: %s\n", pd_gguf_path(g), pd_size_text(pd_gguf_file_bytes(g), bytes));
    if (in->is_model) print_model(in);
    if (in->is_vision) print_vision(in);
    print_settings(in);
    printf("\ntensors (%" PRIu64 "; shapes with the contiguous dimension last)\n",
           pd_gguf_tensor_count(g));
    for (uint64_t i = 0; i < pd_gguf_tensor_count(g); i++) print_tensor(pd_gguf_tensor_at(g, i));
    print_types(g);
    if (in->is_model) print_sizes(in);
    if (!in->is_model && !in->is_vision) printf("\nnot a model to run: %s\n", in->why_not.message);
}
