/* `peridot inspect`: what a GGUF file holds, how much memory it will take, and the operations that
 * a prompt step and a generation step consist of. Needs no device. Any GGUF file can be listed;
 * sizes need a Gemma 3 text model, plans that or an image encoder. With a second file: how the two
 * differ (inspect_compare.c).
 *
 * SPDX-License-Identifier: MIT
 */
#include "cli/inspect/inspect.h"

#include "plan/plan.h"

/* ---- plans ---------------------------------------------------------------------------------- */

static pd_status make_plan(const pack_inspection *in, const char *name, uint32_t rows, pd_plan *out,
                           pd_error *err) {
    if (in->is_vision)
        return pd_plan_vision(&in->vision, in->vision_weights, PD_PRECISION_F16, out, err);
    uint32_t n_ctx = in->config.n_ctx_train < 8192 ? in->config.n_ctx_train : 8192;
    pd_text_plan_desc desc = {
        .name = name, .max_rows = rows, .max_outs = 1, .max_seqs = 1, .max_positions = n_ctx};
    return pd_plan_text(&in->config, in->weights, &desc, out, err);
}

static pd_status print_plan(const pack_inspection *in, const char *name, uint32_t rows,
                            pd_error *err) {
    pd_plan plan = {0};
    pd_bytes text = {0};
    pd_status status = make_plan(in, name, rows, &plan, err);
    if (status == PD_OK) pd_plan_print(&plan, &text);
    if (text.failed)
        status = PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory to print the plan");
    else if (status == PD_OK)
        fwrite(text.data, 1, text.n, stdout);
    pd_bytes_free(&text);
    pd_plan_free(&plan);
    return status;
}

static pd_status print_plans(const pack_inspection *in, pd_error *err) {
    if (in->is_vision) return print_plan(in, "vision", 0, err);
    if (!in->is_model) return pd_error_again(err, &in->why_not);
    PD_TRY(print_plan(in, "prefill", INSPECT_CHUNK, err));
    printf("\n");
    return print_plan(in, "decode", 1, err);
}

/* ---- the command ---------------------------------------------------------------------------- */

pd_status cli_inspect(const cli_options *o, pd_error *err) {
    const char *paths[2];
    uint32_t n_paths;
    PD_TRY(cli_model_paths(o, paths, 2, &n_paths, err));
    if (cli_given(o, OPT_PLAN) && (cli_given(o, OPT_JSON) || n_paths > 1))
        return PD_RAISE(err, PD_ERR_ARGUMENT, "--plan and %s cannot be used together",
                        n_paths > 1 ? "a second file" : "--json");
    if (n_paths > 1) return inspect_compare(o, paths[0], paths[1], err);
    pack_inspection in;
    pd_status status = pack_inspect(paths[0], cli_head(o), &in, err);
    if (status == PD_OK && cli_given(o, OPT_PLAN)) {
        status = print_plans(&in, err);
    } else if (status == PD_OK && cli_given(o, OPT_JSON)) {
        status = inspect_print_json(&in, err);
    } else if (status == PD_OK) {
        inspect_print_text(&in);
    }
    pack_inspection_free(&in);
    return status;
}
