/* Names and switches of what is remembered of a device: see findings.h.
 *
 * SPDX-License-Identifier: MIT
 */
#include "backend/vulkan/tune/findings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/vulkan/kernels/shader_texts.h"
#include "base/env.h"
#include "base/hash.h"

void pd_vk_finding_name(const pd_vk_device *d, const char *kind, uint32_t version,
                        char out[PD_VK_FINDING_NAME]) {
    const pd_vk_caps *c = &d->caps;
    unsigned set = 0, bit = 0;
#define PD_VK_ADD(NAME, field, word, needs, found_out)                                             \
    if (found_out) set |= (unsigned)c->field << bit++;
    PD_VK_FEATURES(PD_VK_ADD)
#undef PD_VK_ADD
    uint64_t texts = pd_hash(PD_VERSION_STRING, strlen(PD_VERSION_STRING)) + version;
    for (unsigned i = 0; i < pd_shader_text_count; i++)
        texts = texts * 31 + pd_hash(pd_shader_texts[i].text, strlen(pd_shader_texts[i].text));
    snprintf(out, PD_VK_FINDING_NAME, "%s-%s-%08x-%02x-%016llx.bin", kind, d->info.uuid,
             d->properties.driverVersion, set, (unsigned long long)texts);
}

pd_status pd_vk_finding_wanted(const pd_vk_device *d, const char *variable, bool *wanted,
                               pd_error *err) {
    const char *text = pd_env(variable);
    bool on = !d->caps.is_software;
    if (text && text[0]) {
        on = strcmp(text, "on") == 0;
        if (!on && strcmp(text, "off") != 0)
            return PD_RAISE(err, PD_ERR_ARGUMENT, "%s is \"%s\", but must be on or off", variable,
                            text);
    }
    *wanted = on && d->info.usable;
    return PD_OK;
}
