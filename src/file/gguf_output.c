/* What is written is none of the files that a model is read from.  SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/file.h"
#include "file/gguf.h"

pd_status pd_gguf_check_output(const char *output, const char *path, pd_error *err) {
    static const char tail[] = "-00001-of-";
    enum { N_TAIL = sizeof tail - 1 + sizeof "00000.gguf" - 1 };
    PD_TRY(pd_file_check_output(output, path, err));
    size_t n = strlen(path);
    if (n <= N_TAIL || strncmp(path + n - N_TAIL, tail, sizeof tail - 1) != 0) return PD_OK;
    unsigned long n_parts = strtoul(path + n - strlen("00000.gguf"), NULL, 10);
    pd_bytes part = {0};
    pd_status status = PD_OK;
    for (unsigned long i = 2; i <= n_parts && status == PD_OK; i++) {
        part.n = 0;
        pd_bytes_printf(&part, "%.*s-%05lu-of-%05lu.gguf", (int)(n - N_TAIL), path, i, n_parts);
        status = part.failed ? PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory for a path")
                             : pd_file_check_output(output, part.data, err);
    }
    pd_bytes_free(&part);
    return status;
}
