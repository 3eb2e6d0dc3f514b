/* See head_text.h.  SPDX-License-Identifier: MIT */
#include "measure/head_text.h"

#include <string.h>

#include "base/error.h"

static const char calibration_text[] =
    "The lighthouse keeper climbed the narrow stairs every evening, carrying oil and a notebook. "
    "In 1871 he counted 312 ships between March and October, most of them bound for Bergen, and "
    "wrote beside each name what the weather had been. Nobody asked him to; he said that a light "
    "which does not remember whom it guided is only half a";

enum { MAX_IDS = 512, N_CTX = 512 };

pd_session_desc pd_head_text_session(const pd_model *model, pd_precision precision) {
    uint32_t n_train = pd_model_get_info(model)->n_ctx_train;
    return (pd_session_desc){.n_ctx = N_CTX < n_train ? N_CTX : n_train, .precision = precision};
}

pd_status pd_head_text_sync(const pd_model *model, pd_session *session, pd_error *err) {
    uint32_t ids[MAX_IDS], n_ctx = pd_session_n_ctx(session);
    size_t n = 0;
    PD_TRY(pd_tokenize(model, calibration_text, strlen(calibration_text), NULL, ids, MAX_IDS, &n,
                       err));
    return pd_session_sync(session, ids, n < n_ctx ? n : n_ctx, err);
}
