/* The line that tells what --head did.  SPDX-License-Identifier: MIT */
#include "cli/commands.h"
#include "peridot_measure.h"

pd_status cli_print_head_cost(const cli_options *o, pd_session *session, const pd_model *model,
                              pd_error *err) {
    if (cli_head(o) == PD_HEAD_KEEP) return PD_OK;
    const pd_model_info *info = pd_model_get_info(model);
    if (info->head_bytes == info->head_file_bytes) {
        fprintf(stderr, "head       %s kept: %s would not be smaller\n", info->head_type,
                cli_text(o, OPT_HEAD));
        return PD_OK;
    }
    pd_head_cost cost;
    char before[32], after[32];
    fflush(stdout);
    PD_TRY(pd_session_head_cost(session, &cost, err));
    fprintf(stderr,
            "head       %s -> %s, %s -> %s per token, KL %.2g nats (worst %.2g) over %u positions, "
            "same top token %u/%u\n",
            info->head_file_type, info->head_type, pd_size_text(info->head_file_bytes, before),
            pd_size_text(info->head_bytes, after), cost.kl_mean, cost.kl_max, cost.n_positions,
            cost.n_same, cost.n_positions);
    return PD_OK;
}
