/* Which formats of activations a device has, and what it is taken to like best before anything was
 * measured (tune/tune.c).  SPDX-License-Identifier: MIT
 */
#include "args.h"
#include "backend/vulkan/device/device.h"

bool pd_vk_has_format(const pd_vk_caps *c, uint32_t format) {
    switch (format) {
    case PD_ACT_F32: return true;
    case PD_ACT_F16: return c->fp16;
    default: return c->int_dot && (c->int_dot_fast || c->is_software);
    }
}

/* Integers where one instruction makes four products: exact but for the rows' rounding to 16 bits,
 * and the fewest instructions per weight. Matrix units read halves. */
pd_vk_tuning pd_vk_rules_of_thumb(const pd_vk_caps *c) {
    uint32_t format = c->int_dot && c->int_dot_fast ? PD_ACT_I16
                      : c->fp16                     ? PD_ACT_F16
                                                    : PD_ACT_F32;
    if (c->software_tiles) format = PD_ACT_F32; /* a rasteriser converts slowly */
    return (pd_vk_tuning){.decode_format = format,
                          .prefill_format = c->coopmat ? PD_ACT_F16 : format,
                          .matrix_units = c->coopmat,
                          .lanes = 8,
                          .rows = 4};
}
