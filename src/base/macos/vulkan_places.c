/* See base/library.h. Homebrew's folders, on Apple's chips and on Intel's, and those of LunarG's
 * SDK are not among those where the system looks. The loader comes first: it knows layers too.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdio.h>

#include "base/env.h"
#include "base/library.h"

const char pd_vulkan_name[] = "libvulkan.dylib or libMoltenVK.dylib";
const char pd_vulkan_loader_hint[] =
    "install MoltenVK (brew install molten-vk vulkan-loader), or set "
    "VULKAN_SDK to the folder of an SDK that has it";
const char pd_vulkan_driver_hint[] = "install MoltenVK (brew install molten-vk)";

static const char *const files[] = {"libvulkan.1.dylib", "libMoltenVK.dylib"};
static const char *const folders[] = {"/opt/homebrew/lib", "/usr/local/lib"};

enum { N_FILES = sizeof files / sizeof *files, N_FOLDERS = sizeof folders / sizeof *folders };

bool pd_vulkan_place(unsigned i, char *out, size_t size) {
    const char *sdk = pd_env("VULKAN_SDK");
    bool has_sdk = sdk && sdk[0];
    unsigned folder = i / N_FILES;
    if (has_sdk && folder == 0)
        snprintf(out, size, "%s/lib/%s", sdk, files[i % N_FILES]);
    else if (folder - has_sdk < N_FOLDERS)
        snprintf(out, size, "%s/%s", folders[folder - has_sdk], files[i % N_FILES]);
    else
        return false;
    return true;
}
