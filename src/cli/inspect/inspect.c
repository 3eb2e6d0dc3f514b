/* `peridot inspect`: what a GGUF file holds, how much memory it will take, and the operations that
 * a prompt step and a generation step consist of. Needs no device. Any GGUF file can be listed;
 * sizes need a Gemma 3 text model, plans that or an image encoder. With a second file: how the two
 * differ (inspect_compare.c).
 *
 * SPDX-License-Identifier: MIT
 */
#include "cli/inspect/inspect.h"

#include <inttypes.h>
#include <string.h>

#include "pack/structure.h"
#include "plan/plan.h"
#include "plan/step.h"

enum { DEFAULT_CHUNK = 512 };

/* ---- counting ------------------------------------------------------------------------------- */

uint32_t inspect_count_types(const pd_gguf *g, inspect_type_total out[INSPECT_MAX_TYPES]) {
    uint32_t n = 0;
    for (uint64_t i = 0; i < pd_gguf_tensor_count(g); i++) {
        const pd_tensor *t = pd_gguf_tensor_at(g, i);
        uint32_t k = 0;
        while (k < n && out[k].type != t->type) k++;
        if (k == INSPECT_MAX_TYPES) continue;
        if (k == n) out[n++] = (inspect_type_total){.type = t->type};
        out[k].n_tensors++;
        out[k].n_bytes += t->n_bytes;
    }
    return n;
}

uint64_t inspect_kv_bytes(const pd_config *c, uint32_t n_ctx) {
    uint64_t n_global = 0;
    for (uint32_t i = 0; i < c->n_layers; i++) n_global += c->layer_is_global[i];
    uint64_t per_position = UINT64_C(2) * c->n_kv_heads * c->head_dim * 2; /* K and V, 2 bytes */
    uint64_t all = pd_round_up(n_ctx, PD_PAGE_POSITIONS);
    uint64_t window = pd_round_up((uint64_t)c->window + DEFAULT_CHUNK, PD_PAGE_POSITIONS);
    uint64_t kept = all < window + PD_PAGE_POSITIONS ? all : window + PD_PAGE_POSITIONS;
    return per_position * (n_global * all + (c->n_layers - n_global) * kept);
}

/* ---- metadata ------------------------------------------------------------------------------- */

const char *inspect_kind_name(pd_gguf_kind kind) {
    static const char *const names[] = {"u8",   "i8",     "u16",   "i16", "u32", "i32", "f32",
                                        "bool", "string", "array", "u64", "i64", "f64"};
    return (unsigned)kind < sizeof names / sizeof names[0] ? names[kind] : "unknown";
}

#define NUMBER_AS(type)                                                                            \
    {                                                                                              \
        type x;                                                                                    \
        memcpy(&x, v->data, sizeof x);                                                             \
        return (double)x;                                                                          \
    }

double inspect_number(const pd_gguf_value *v) {
    switch (v->kind) {
    case PD_GGUF_U8: NUMBER_AS(uint8_t)
    case PD_GGUF_I8: NUMBER_AS(int8_t)
    case PD_GGUF_U16: NUMBER_AS(uint16_t)
    case PD_GGUF_I16: NUMBER_AS(int16_t)
    case PD_GGUF_U32: NUMBER_AS(uint32_t)
    case PD_GGUF_I32: NUMBER_AS(int32_t)
    case PD_GGUF_F32: NUMBER_AS(float)
    case PD_GGUF_BOOL: return v->data[0] != 0;
    case PD_GGUF_U64: NUMBER_AS(uint64_t)
    case PD_GGUF_I64: NUMBER_AS(int64_t)
    case PD_GGUF_F64: NUMBER_AS(double)
    case PD_GGUF_STRING:
    case PD_GGUF_ARRAY: break;
    }
    return 0;
}

pd_string inspect_string(const pd_gguf_value *v) {
    uint64_t cursor = 0;
    pd_gguf_value one = *v;
    one.count = 1;
    return pd_gguf_string_next(&one, &cursor);
}

/* One line of text, control characters spelled out. */
static void print_limited(pd_string s, uint64_t most) {
    for (uint64_t i = 0; i < s.n && i < most; i++) {
        unsigned char ch = (unsigned char)s.data[i];
        if (ch == '\n') {
            printf("\\n");
        } else if (ch < 0x20 || ch == 0x7f) {
            printf("\\x%02x", ch);
        } else {
            putchar(ch);
        }
    }
    if (s.n > most) printf("... (%" PRIu64 " bytes)", s.n);
}

void inspect_print_value(const char *before, const pd_gguf_value *v) {
    enum { KEY_COLUMNS = 44, TEXT_BYTES = 100 };
    printf("%s", before);
    print_limited(v->key, TEXT_BYTES);
    int padding = KEY_COLUMNS - (v->key.n < KEY_COLUMNS ? (int)v->key.n : KEY_COLUMNS);
    printf("%*s %-6s ", padding, "", inspect_kind_name(v->kind));
    if (v->kind == PD_GGUF_ARRAY) {
        printf("%" PRIu64 " x %s", v->count, inspect_kind_name(v->item_kind));
    } else if (v->kind == PD_GGUF_STRING) {
        print_limited(inspect_string(v), TEXT_BYTES);
    } else if (v->kind == PD_GGUF_BOOL) {
        printf("%s", inspect_number(v) != 0 ? "true" : "false");
    } else {
        printf("%.10g", inspect_number(v));
    }
    printf("\n");
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
    inspect_type_total totals[INSPECT_MAX_TYPES];
    uint32_t n = inspect_count_types(g, totals);
    char bytes[32];
    printf("\nby type\n");
    for (uint32_t i = 0; i < n; i++)
        printf("  %-5s %6" PRIu64 " tensors  %s\n", pd_type_name(totals[i].type),
               totals[i].n_tensors, pd_size_text(totals[i].n_bytes, bytes));
}

static void print_model(const inspection *in) {
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

static void print_sizes(const inspection *in) {
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
               pd_size_text(inspect_kv_bytes(c, n_ctx), bytes));
        if (n_ctx == c->n_ctx_train) break;
    }
}

static void print_text(const inspection *in) {
    const pd_gguf *g = in->file;
    char bytes[32];
    printf("%s: %s\n", pd_gguf_path(g), pd_size_text(pd_gguf_file_bytes(g), bytes));
    if (in->is_model) print_model(in);
    if (in->is_vision) inspect_print_vision(in);
    printf("\nmetadata (%" PRIu64 ")\n", pd_gguf_value_count(g));
    for (uint64_t i = 0; i < pd_gguf_value_count(g); i++)
        inspect_print_value("  ", pd_gguf_value_at(g, i));
    printf("\ntensors (%" PRIu64 "; shapes with the contiguous dimension last)\n",
           pd_gguf_tensor_count(g));
    for (uint64_t i = 0; i < pd_gguf_tensor_count(g); i++) print_tensor(pd_gguf_tensor_at(g, i));
    print_types(g);
    if (in->is_model) print_sizes(in);
    if (!in->is_model && !in->is_vision) printf("\nnot a model to run: %s\n", in->why_not.message);
}

/* ---- plans ---------------------------------------------------------------------------------- */

static pd_status write_plan(const pd_plan *plan, pd_error *err) {
    pd_bytes text = {0};
    pd_status status = PD_OK;
    pd_plan_print(plan, &text);
    if (text.failed)
        status = PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory to print the plan");
    else
        fwrite(text.data, 1, text.n, stdout);
    pd_bytes_free(&text);
    return status;
}

static pd_status print_plan(const inspection *in, const char *name, uint32_t rows, pd_error *err) {
    uint32_t n_ctx = in->config.n_ctx_train < 8192 ? in->config.n_ctx_train : 8192;
    pd_text_plan_desc desc = {
        .name = name, .max_rows = rows, .max_outs = 1, .max_seqs = 1, .max_positions = n_ctx};
    pd_plan plan = {0};
    pd_status status = pd_plan_text(&in->config, in->weights, &desc, &plan, err);
    if (status == PD_OK) status = write_plan(&plan, err);
    pd_plan_free(&plan);
    return status;
}

static pd_status print_vision_plan(const inspection *in, pd_error *err) {
    pd_plan plan = {0};
    pd_status status =
        pd_plan_vision(&in->vision, in->vision_weights, PD_PRECISION_F16, &plan, err);
    if (status == PD_OK) status = write_plan(&plan, err);
    pd_plan_free(&plan);
    return status;
}

static pd_status print_plans(const inspection *in, pd_error *err) {
    if (in->is_vision) return print_vision_plan(in, err);
    if (!in->is_model) {
        if (err) *err = in->why_not;
        return in->why_not.status;
    }
    PD_TRY(print_plan(in, "prefill", DEFAULT_CHUNK, err));
    printf("\n");
    return print_plan(in, "decode", 1, err);
}

/* ---- the command ---------------------------------------------------------------------------- */

static pd_status bind_text(inspection *in, pd_head_type head, pd_error *err) {
    in->weights = pd_alloc(1, sizeof *in->weights);
    if (!in->weights) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory");
    pd_status status = pd_config_read(in->file, &in->config, &in->why_not);
    if (status == PD_OK) status = pd_weights_bind(in->file, &in->config, in->weights, &in->why_not);
    in->why_not.status = status;
    in->is_model = status == PD_OK;
    return in->is_model ? pd_lm_head_choose(in->weights, head, &in->head, err) : PD_OK;
}

static void release(inspection *in) {
    if (in->vision_weights) pd_vision_weights_free(in->vision_weights);
    pd_free(in->vision_weights);
    pd_free(in->weights);
    pd_gguf_close(in->file);
}

pd_status cli_inspect(const cli_options *o, pd_error *err) {
    const char *paths[3];
    uint32_t n_paths;
    PD_TRY(cli_model_paths(o, paths, &n_paths, err));
    if (n_paths > 2) return PD_RAISE(err, PD_ERR_ARGUMENT, "\"%s\" is one file too many", paths[2]);
    if (cli_given(o, OPT_PLAN) && (cli_given(o, OPT_JSON) || n_paths > 1))
        return PD_RAISE(err, PD_ERR_ARGUMENT, "--plan and %s cannot be used together",
                        n_paths > 1 ? "a second file" : "--json");
    if (n_paths > 1) return inspect_compare(o, paths[0], paths[1], err);
    inspection in = {0};
    pd_status status = pd_gguf_open(paths[0], &in.file, err);
    if (status == PD_OK)
        status = pack_is_image_encoder(in.file) ? inspect_bind_vision(&in, err)
                                                : bind_text(&in, cli_head(o), err);
    if (status == PD_OK && cli_given(o, OPT_PLAN)) {
        status = print_plans(&in, err);
    } else if (status == PD_OK && cli_given(o, OPT_JSON)) {
        status = inspect_print_json(&in, err);
    } else if (status == PD_OK) {
        print_text(&in);
    }
    release(&in);
    return status;
}
