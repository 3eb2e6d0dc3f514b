/* A program that uses Vulkan itself, and names that Peridot uses inside: each keeps its own.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdio.h>
#include <vulkan/vulkan.h>

#include "peridot_measure.h"

/* Names of functions in Peridot, as a program might choose them. */
int decode_q4_0(int x);
int gguf_parse_part(int x);
int decode_q4_0(int x) {
    return x + 1;
}
int gguf_parse_part(int x) {
    return x + 2;
}

static int vulkan_works(void) {
    uint32_t version = 0;
    return vkEnumerateInstanceVersion(&version) == VK_SUCCESS && version >= VK_API_VERSION_1_0;
}

int main(void) {
    pd_device_info devices[16];
    uint32_t n = 0;
    pd_error err = {0};
    if (!vulkan_works()) return puts("the program's own Vulkan does not work"), 1;
    if (pd_device_list(devices, 16, &n, NULL, &err) != PD_OK) return puts(err.message), 1;
    if (n < 2) return puts("the processor's two devices are missing"), 1;
    if (!vulkan_works()) return puts("Vulkan does not work after pd_device_list"), 1;
    return decode_q4_0(1) == 2 && gguf_parse_part(1) == 3 ? 0 : 1;
}
