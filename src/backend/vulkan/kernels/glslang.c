/* GLSL to SPIR-V through glslang's C interface.
 *
 * Target: Vulkan 1.1, SPIR-V 1.3, which every device that Peridot accepts understands.
 *
 * glslang's optimiser stays off: what it offers for GLSL, optimising for size, takes five times as
 * long to compile and changes RADV's estimate of the kernels' time by 0.7 % (RADV 22.3.6, gfx1100,
 * 2026-11).
 *
 * Shaders with cooperative matrices are written for both dialects (shaders/coopmat.glsl): glslang
 * from 13 on knows Khronos'; with 12 NVIDIA's is rewritten to what VK_KHR_cooperative_matrix asks
 * for (coopmat_rewrite.c).
 *
 * A compiler that crashes would take the program with it. Every text that is embedded has been
 * through this very code when the program was built (precompile/main.c), with the same library
 * where that is linked statically, and the tests compile all of them with glslang 12, 15 and 16.
 *
 * glslang keeps tables for the whole process and wants to be started once; they are never torn
 * down, since another thread may still be compiling.
 *
 * SPDX-License-Identifier: MIT
 */
#include <glslang/Include/glslang_c_interface.h>
#include <glslang/Public/resource_limits_c.h>
#include <glslang/build_info.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "backend/vulkan/kernels/compile.h"
#include "backend/vulkan/kernels/coopmat_rewrite.h"
#include "base/memory.h"

#define TEXT_OF_(x) #x
#define TEXT_OF(x)  TEXT_OF_(x)

const char pd_vk_compiler[] =
    "glslang " TEXT_OF(GLSLANG_VERSION_MAJOR) "." TEXT_OF(GLSLANG_VERSION_MINOR) "." TEXT_OF(
        GLSLANG_VERSION_PATCH) ", vulkan1.1, spv1.3, 1, coopmat " TEXT_OF(PD_VK_COOPMAT_REWRITE_VERSION);

enum { SPIRV_HEADER_WORDS = 5 };

static pthread_once_t glslang_once = PTHREAD_ONCE_INIT;

static void start_glslang(void) {
    glslang_initialize_process();
}

/* ---- messages ------------------------------------------------------------------------------ */

/* "ERROR: 2:17: '' : syntax error" -> "reduce.glsl:17: '' : syntax error". */
static pd_status raise_log(const pd_vk_source *source, const char *log, pd_error *err) {
    const char *error = log ? strstr(log, "ERROR: ") : NULL;
    if (!error)
        return PD_RAISE(err, PD_ERR_INTERNAL, "shader \"%s\" does not compile: %s",
                        source->files[0], log ? log : "no message");
    error += strlen("ERROR: ");
    int n = (int)strcspn(error, "\n");
    char *after = NULL;
    unsigned long file = strtoul(error, &after, 10);
    if (after == error || *after != ':' || file >= source->n_files)
        return PD_RAISE(err, PD_ERR_INTERNAL, "shader \"%s\" does not compile: %.*s",
                        source->files[0], n, error);
    return PD_RAISE(err, PD_ERR_INTERNAL, "shader \"%s\" does not compile: %s%.*s",
                    source->files[0], source->files[file], n - (int)(after - error), after);
}

/* ---- compiling ----------------------------------------------------------------------------- */

static pd_status copy_words(const unsigned *from, size_t n_words, uint32_t **words, size_t *n_bytes,
                            pd_error *err) {
    *words = pd_alloc(n_words, sizeof **words);
    if (!*words) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory for SPIR-V");
    *n_bytes = n_words * sizeof **words;
    memcpy(*words, from, *n_bytes);
    return PD_OK;
}

static pd_status link_program(const pd_vk_source *source, glslang_shader_t *shader, int messages,
                              uint32_t **words, size_t *n_bytes, pd_error *err) {
    pd_status status = PD_OK;
    glslang_program_t *program = glslang_program_create();
    if (!program) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory to compile");
    glslang_program_add_shader(program, shader);
    if (!glslang_program_link(program, messages)) {
        status = raise_log(source, glslang_program_get_info_log(program), err);
    } else {
        glslang_spv_options_t options = {.disable_optimizer = true};
        glslang_program_SPIRV_generate_with_options(program, GLSLANG_STAGE_COMPUTE, &options);
        size_t n_words = glslang_program_SPIRV_get_size(program);
        if (n_words < SPIRV_HEADER_WORDS)
            status = raise_log(source, glslang_program_SPIRV_get_messages(program), err);
        else
            status =
                copy_words(glslang_program_SPIRV_get_ptr(program), n_words, words, n_bytes, err);
    }
    glslang_program_delete(program);
    return status;
}

static pd_status compile(const pd_vk_source *source, uint32_t **words, size_t *n_bytes,
                         pd_error *err) {
    pthread_once(&glslang_once, start_glslang);
    const int messages = GLSLANG_MSG_SPV_RULES_BIT | GLSLANG_MSG_VULKAN_RULES_BIT;
    glslang_input_t input = {
        .language = GLSLANG_SOURCE_GLSL,
        .stage = GLSLANG_STAGE_COMPUTE,
        .client = GLSLANG_CLIENT_VULKAN,
        .client_version = GLSLANG_TARGET_VULKAN_1_1,
        .target_language = GLSLANG_TARGET_SPV,
        .target_language_version = GLSLANG_TARGET_SPV_1_3,
        .code = source->text.data,
        .default_version = 450,
        .default_profile = GLSLANG_NO_PROFILE,
        .messages = (glslang_messages_t)messages,
        .resource = glslang_default_resource(),
    };
    glslang_shader_t *shader = glslang_shader_create(&input);
    if (!shader) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory to compile");
    pd_status status;
    if (glslang_shader_preprocess(shader, &input) && glslang_shader_parse(shader, &input))
        status = link_program(source, shader, messages, words, n_bytes, err);
    else
        status = raise_log(source, glslang_shader_get_info_log(shader), err);
    glslang_shader_delete(shader);
    return status;
}

/* Cooperative matrices are written with the extension that glslang has long known. */
static pd_status modernise(uint32_t **words, size_t *n_bytes, pd_error *err) {
    size_t n_old = *n_bytes / sizeof **words, n_new;
    uint32_t *modern;
    if (!pd_vk_coopmat_is_nv(*words, n_old)) return PD_OK;
    pd_status status = pd_vk_coopmat_rewrite(*words, n_old, &modern, &n_new, err);
    pd_free(*words);
    *words = modern;
    *n_bytes = n_new * sizeof **words;
    return status;
}

pd_status pd_vk_compile(const pd_vk_source *source, uint32_t **words, size_t *n_bytes,
                        pd_error *err) {
    pd_status status = compile(source, words, n_bytes, err);
    return status == PD_OK ? modernise(words, n_bytes, err) : status;
}
