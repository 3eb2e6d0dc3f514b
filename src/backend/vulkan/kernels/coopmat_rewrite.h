/* SPIR-V with SPV_NV_cooperative_matrix to SPIR-V with SPV_KHR_cooperative_matrix.
 *
 * glslang before 13 (Debian 12 has 12.0) knows only NVIDIA's extension of 2019; drivers of every
 * vendor offer Khronos' of 2023. The instructions are the same but for three things:
 *
 *   - a KHR type says what it is for, its Use: A [M][K], B [K][N] or accumulator C [M][N]. It is
 *     told from how values of the type are multiplied; so A, B and C must be different types, which
 *     they are when their dimensions come from different specialisation constants.
 *   - a load or store has a memory layout, before the stride, instead of a flag for column-major,
 *     behind it.
 *   - opcodes, the capability and the extension have other numbers and names.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_VULKAN_COOPMAT_REWRITE_H
#define PD_VULKAN_COOPMAT_REWRITE_H

#include "base/error.h"

/* Part of the key of cached SPIR-V: raise it when the result changes. */
#define PD_VK_COOPMAT_REWRITE_VERSION 1

/* Whether a module declares NVIDIA's capability; false for anything that is no module. */
bool pd_vk_coopmat_is_nv(const uint32_t *words, size_t n_words);

/* The module as KHR asks for it, in *out (pd_free). The input may be anything; nothing behind
 * n_words is read. Errors: INTERNAL (the module is not as expected: says what and where), memory.
 */
pd_status pd_vk_coopmat_rewrite(const uint32_t *words, size_t n_words, uint32_t **out,
                                size_t *n_out, pd_error *err);

#endif
