/* precompile FOLDER: SPIR-V of every embedded shader text, for embedding in turn; run while Peridot
 * is built. Leaves FOLDER/NAME.HASH.spv, HASH being that of the text (pd_vk_source_hash), by which
 * the program knows what a module was made from.
 *
 * SPDX-License-Identifier: MIT
 */
#include <inttypes.h>
#include <stdio.h>

#include "backend/vulkan/kernels/compile.h"
#include "backend/vulkan/kernels/pipeline.h"
#include "base/file.h"
#include "base/memory.h"

static pd_status write_module(const char *folder, const char *name, pd_error *err) {
    char file[64], path[4096];
    pd_vk_source source;
    uint32_t *words = NULL;
    size_t n_bytes;
    snprintf(file, sizeof file, "%s.comp", name);
    PD_TRY(pd_vk_source_expand(file, &source, err));
    snprintf(path, sizeof path, "%s/%s.%016" PRIx64 ".spv", folder, name,
             pd_vk_source_hash(&source));
    pd_status status = pd_vk_compile(&source, &words, &n_bytes, err);
    if (status == PD_OK) status = pd_file_write_all(path, words, n_bytes, err);
    pd_free(words);
    pd_vk_source_release(&source);
    return status;
}

int main(int argc, char **argv) {
    const char *name;
    if (argc != 2) {
        fprintf(stderr, "usage: precompile FOLDER\n");
        return 2;
    }
    for (uint32_t i = 0; (name = pd_vk_shader_name(i)); i++) {
        pd_error err;
        if (write_module(argv[1], name, &err) == PD_OK) continue;
        fprintf(stderr, "precompile: %s\n", err.message);
        return 1;
    }
    return 0;
}
