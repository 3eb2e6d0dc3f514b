/* SPIR-V of a shader, from where it is had first:
 *
 *   the cache folder      compiled by an earlier run from the same text with the same compiler
 *   the compiler          glslang.c; texts from $PERIDOT_SHADER_DIR have nothing else
 *   the program itself    made when it was built: where it has no compiler, where that refuses the
 *                         text, and with PERIDOT_SHADER_COMPILER=off
 *
 * Compiled once per text and compiler, whatever the device: sizes are specialisation constants. The
 * cache's key is a hash of the expanded text, so editing a shader or a file that it includes needs
 * no further care.
 *
 * SPDX-License-Identifier: MIT
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/vulkan/kernels/cache.h"
#include "backend/vulkan/kernels/compile.h"
#include "backend/vulkan/kernels/pipeline.h"
#include "backend/vulkan/kernels/spirv_modules.h"
#include "base/clock.h"
#include "base/env.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/memory.h"

enum { SPIRV_MAGIC = 0x07230203, SPIRV_HEADER_WORDS = 5 };

/* ---- modules of the program ----------------------------------------------------------------- */

static bool copy_module(const pd_vk_source *source, uint32_t **words, size_t *n_bytes) {
    uint64_t hash = pd_vk_source_hash(source);
    for (unsigned i = 0; i < pd_spirv_module_count; i++) {
        const pd_spirv_module *m = &pd_spirv_modules[i];
        if (m->source_hash != hash) continue;
        *words = pd_alloc(1, m->n_bytes);
        if (!*words) return false;
        memcpy(*words, m->bytes, m->n_bytes);
        *n_bytes = m->n_bytes;
        return true;
    }
    return false;
}

static pd_status raise_no_module(const pd_vk_source *source, pd_error *err) {
    return PD_RAISE(err, PD_ERR_UNSUPPORTED,
                    "shader \"%s\" cannot be compiled here, and the program holds no SPIR-V of it",
                    source->files[0]);
}

/* ---- the compiler ---------------------------------------------------------------------------- */

#ifdef PERIDOT_HAS_GLSLANG

/* PERIDOT_SHADER_COMPILER: on (the default) or off. */
static bool compiler_is_on(void) {
    const char *text = pd_env("PERIDOT_SHADER_COMPILER");
    return !text || strcmp(text, "off") != 0;
}

/* ---- the cache ----------------------------------------------------------------------------- */

static void cache_name(const pd_vk_source *source, char *name, size_t n) {
    uint64_t seed = pd_hash(pd_vk_compiler, strlen(pd_vk_compiler));
    uint64_t key = pd_hash_seeded(source->text.data, source->text.n, seed);
    snprintf(name, n, "spirv-%016" PRIx64 ".bin", key);
}

static bool load_cached(const char *name, uint32_t **words, size_t *n_bytes) {
    void *data;
    if (!pd_vk_cache_load(name, &data, n_bytes)) return false;
    *words = data;
    if (*n_bytes % 4 == 0 && *n_bytes / 4 > SPIRV_HEADER_WORDS && (*words)[0] == SPIRV_MAGIC)
        return true;
    pd_free(data);
    return false;
}

/* From the cache, or compiled; then it is in the cache. */
static pd_status compile_cached(const pd_vk_source *source, uint32_t **words, size_t *n_bytes,
                                uint64_t *compile_ns, pd_error *err) {
    char cached[64];
    cache_name(source, cached, sizeof cached);
    if (load_cached(cached, words, n_bytes)) return PD_OK;
    *words = NULL;
    uint64_t t0 = pd_clock_ns();
    pd_status status = pd_vk_compile(source, words, n_bytes, err);
    *compile_ns = pd_clock_ns() - t0;
    if (status == PD_OK) pd_vk_cache_store(cached, *words, *n_bytes);
    return status;
}

static pd_status get_spirv(const pd_vk_source *source, uint32_t **words, size_t *n_bytes,
                           uint64_t *compile_ns, pd_error *err) {
    pd_error refusal;
    if (!compiler_is_on())
        return copy_module(source, words, n_bytes) ? PD_OK : raise_no_module(source, err);
    pd_status status = compile_cached(source, words, n_bytes, compile_ns, &refusal);
    if (status == PD_OK) return PD_OK;
    if (copy_module(source, words, n_bytes)) {
        pd_log(PD_LOG_WARN, "vulkan", "the program's own SPIR-V is used instead: %s",
               refusal.message);
        *compile_ns = 0;
        return PD_OK;
    }
    if (err) *err = refusal;
    return status;
}

#else

static pd_status get_spirv(const pd_vk_source *source, uint32_t **words, size_t *n_bytes,
                           uint64_t *compile_ns, pd_error *err) {
    (void)compile_ns;
    return copy_module(source, words, n_bytes) ? PD_OK : raise_no_module(source, err);
}

#endif

pd_status pd_vk_spirv_get(const char *name, uint32_t **words, size_t *n_bytes, uint64_t *compile_ns,
                          pd_error *err) {
    char file[64];
    pd_vk_source source;
    *words = NULL;
    *compile_ns = 0;
    snprintf(file, sizeof file, "%s.comp", name);
    PD_TRY(pd_vk_source_expand(file, &source, err));
    pd_status status = get_spirv(&source, words, n_bytes, compile_ns, err);
    pd_vk_source_release(&source);
    return status;
}
