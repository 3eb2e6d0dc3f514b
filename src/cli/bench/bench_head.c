/* What --head costs, on a short text of its own: benchmarks have no prompt.
 *
 * SPDX-License-Identifier: MIT
 */
#include <string.h>

#include "cli/bench/bench.h"

static const char calibration_text[] =
    "The lighthouse keeper climbed the narrow stairs every evening, carrying oil and a notebook. "
    "In 1871 he counted 312 ships between March and October, most of them bound for Bergen, and "
    "wrote beside each name what the weather had been. Nobody asked him to; he said that a light "
    "which does not remember whom it guided is only half a";

enum { MAX_IDS = 512, N_CTX = 512 };

static pd_status compare(const bench_context *c, pd_session *session, pd_error *err) {
    uint32_t ids[MAX_IDS];
    size_t n = 0;
    PD_TRY(pd_tokenize(c->model, calibration_text, strlen(calibration_text), NULL, ids, MAX_IDS, &n,
                       err));
    uint32_t n_ctx = pd_session_n_ctx(session);
    PD_TRY(pd_session_sync(session, ids, n < n_ctx ? n : n_ctx, err));
    return cli_print_head_cost(c->o, session, c->model, err);
}

pd_status bench_print_head_cost(const bench_context *c, pd_error *err) {
    if (cli_head(c->o) == PD_HEAD_KEEP) return PD_OK;
    uint32_t n_train = pd_model_get_info(c->model)->n_ctx_train;
    pd_session *session = NULL;
    pd_session_desc desc = {.n_ctx = N_CTX < n_train ? N_CTX : n_train, .precision = c->precision};
    PD_TRY(pd_session_create(c->model, &desc, &session, err));
    cli_interrupt_watch(session);
    pd_status status = compare(c, session, err);
    cli_interrupt_watch(NULL);
    pd_session_destroy(session);
    return status;
}
