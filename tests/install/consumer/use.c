/* A program of somebody else's: which library it has, and an answer of a model.
 *
 * SPDX-License-Identifier: MIT
 */
#include <peridot.h>
#include <peridot_measure.h>
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv) {
    pd_error err = {0};
    pd_model *model = NULL;
    pd_session *session = NULL;
    const uint32_t ids[] = {PD_TOKEN_BOS, 5, 6, 7};
    uint32_t next = 0;
    if (argc != 2 || strcmp(pd_version(NULL), PD_VERSION_STRING) != 0) return 2;
    pd_model_desc desc = {.device = "cpu"};
    pd_status status = pd_model_open(argv[1], &desc, &model, &err);
    if (status == PD_OK) status = pd_session_create(model, NULL, &session, &err);
    if (status == PD_OK) status = pd_session_sync(session, ids, 4, &err);
    if (status == PD_OK) status = pd_session_argmax(session, &next, &err);
    if (status == PD_OK && next >= pd_model_get_info(model)->n_vocab) status = PD_ERR_INTERNAL;
    printf("peridot %s: %s %u %s\n", pd_version(NULL), err.message, next,
           pd_peak_name(PD_PEAK_F32));
    pd_session_destroy(session);
    pd_model_close(model);
    return pd_status_exit_code(status);
}
