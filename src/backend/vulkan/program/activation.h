/* Formats of the rows that matrix products read: which buffer has which, and their host side.
 *
 * A buffer that only matrix products read (through a gather too) is kept in what they like to read:
 * f32, halves, or blocks of integers (shaders/activations.glsl). Everything else is f32.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_VULKAN_ACTIVATION_H
#define PD_VULKAN_ACTIVATION_H

#include <stdint.h>

#include "base/bytes.h"

/* 16-byte units of a block of 32 values in format PD_ACT_*. */
uint32_t pd_vk_block_units(uint32_t format);
/* Values must be whole blocks; `packed` has n_values / 32 * units * 16 bytes. */
void pd_vk_activation_encode(uint32_t format, const float *values, uint64_t n_values, void *packed);
void pd_vk_activation_decode(uint32_t format, const void *packed, uint64_t n_values, float *values);

#endif
