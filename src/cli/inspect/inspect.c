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
    PD_TRY(print_plan(in, "prefill", INSPECT_CHUNK, err));
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
    pd_arena_destroy(&in->arena);
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
        inspect_print_text(&in);
    }
    release(&in);
    return status;
}
