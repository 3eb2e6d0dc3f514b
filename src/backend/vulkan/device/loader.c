/* The Vulkan library and the process's one instance.
 *
 * volk opens the Vulkan loader at run time, so a machine without it runs the program all the same
 * and computes on the CPU. The instance is shared by everything in the process and
 * reference-counted: volk keeps the instance-level entry points in globals, so there cannot be two
 * at once. A static mutex guards it; nobody owns an object that lives long enough to hold one
 * instead.
 *
 * Validation (PERIDOT_VALIDATION) is the Khronos layer with a debug-utils messenger that counts
 * and logs. Asked for and missing is an error: a silent run without it would prove nothing.
 *
 * SPDX-License-Identifier: MIT
 */
#define VOLK_IMPLEMENTATION
#include "backend/vulkan/device/device.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/env.h"
#include "base/library.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/words.h"

#define LAYER_NAME "VK_LAYER_KHRONOS_validation"

typedef struct validation_wish {
    bool on, sync, best;
} validation_wish;

static struct {
    pthread_mutex_t mutex;
    bool is_open;
    uint32_t n_users;
    VkInstance instance;
    VkDebugUtilsMessengerEXT messenger;
    const char *absence;
} shared = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static atomic_uint validation_count;

/* ---- results ------------------------------------------------------------------------------- */

const char *pd_vk_result_name(VkResult result) {
    switch (result) {
#define RESULT(name)                                                                               \
    case name: return #name
        RESULT(VK_SUCCESS);
        RESULT(VK_NOT_READY);
        RESULT(VK_TIMEOUT);
        RESULT(VK_INCOMPLETE);
        RESULT(VK_ERROR_OUT_OF_HOST_MEMORY);
        RESULT(VK_ERROR_OUT_OF_DEVICE_MEMORY);
        RESULT(VK_ERROR_INITIALIZATION_FAILED);
        RESULT(VK_ERROR_DEVICE_LOST);
        RESULT(VK_ERROR_MEMORY_MAP_FAILED);
        RESULT(VK_ERROR_LAYER_NOT_PRESENT);
        RESULT(VK_ERROR_EXTENSION_NOT_PRESENT);
        RESULT(VK_ERROR_FEATURE_NOT_PRESENT);
        RESULT(VK_ERROR_INCOMPATIBLE_DRIVER);
        RESULT(VK_ERROR_TOO_MANY_OBJECTS);
        RESULT(VK_ERROR_FRAGMENTED_POOL);
        RESULT(VK_ERROR_OUT_OF_POOL_MEMORY);
        RESULT(VK_ERROR_FRAGMENTATION);
        RESULT(VK_ERROR_INVALID_SHADER_NV);
        RESULT(VK_ERROR_NOT_PERMITTED_KHR);
        RESULT(VK_ERROR_UNKNOWN);
#undef RESULT
    default: return "an unknown VkResult";
    }
}

pd_status pd_vk_result_status(VkResult result) {
    switch (result) {
    case VK_ERROR_DEVICE_LOST: return PD_ERR_DEVICE_LOST;
    case VK_ERROR_OUT_OF_HOST_MEMORY: return PD_ERR_MEMORY_HOST;
    case VK_ERROR_OUT_OF_DEVICE_MEMORY: return PD_ERR_MEMORY_DEVICE;
    default: return PD_ERR_DEVICE;
    }
}

/* "d->vk.vkQueueSubmit(d->queue, ...)" -> "vkQueueSubmit". */
static int call_name(const char *call, const char **name) {
    size_t end = strcspn(call, "("), begin = end;
    while (begin > 0 && call[begin - 1] != '.' && call[begin - 1] != '>') begin--;
    *name = call + begin;
    return (int)(end - begin);
}

pd_status pd_vk_raise(pd_error *err, const char *file, int line, const char *call,
                      VkResult result) {
    const char *name;
    int n = call_name(call, &name);
    return pd_error_raise(err, file, line, pd_vk_result_status(result), "%.*s failed with %s (%d)",
                          n, name, pd_vk_result_name(result), (int)result);
}

/* ---- validation ---------------------------------------------------------------------------- */

uint32_t pd_vk_validation_count(void) {
    return atomic_load(&validation_count);
}

/* Best-practice warnings that are not heeded, and why. Everything else counts. */
static const char *const accepted[] = {
    /* a handful of buffers per program; small only for small models, and the step, constant and
     * read-back buffers are what they are */
    "-small-allocation",
    "-small-dedicated-allocation",
    /* LocalSizeId needs maintenance4 (Vulkan 1.3); Peridot runs on 1.1 */
    "SpirvDeprecated_WorkgroupSize",
    /* only the two staging command buffers are recorded anew, while the weights load */
    "vkCreateCommandPool-command-buffer-reset",
};

/* The layer also frowns on the extensions by which it is itself asked for. */
static bool is_about_asking(const char *message_id, const char *message) {
    return strstr(message_id, "-extension") &&
           (strstr(message, VK_EXT_DEBUG_UTILS_EXTENSION_NAME) ||
            strstr(message, VK_EXT_VALIDATION_FEATURES_EXTENSION_NAME));
}

static bool is_accepted(const char *message_id, const char *message) {
    if (!message_id) return false;
    for (size_t i = 0; i < sizeof accepted / sizeof *accepted; i++)
        if (strstr(message_id, accepted[i])) return true;
    return message && is_about_asking(message_id, message);
}

static VKAPI_ATTR VkBool32 VKAPI_CALL on_message(VkDebugUtilsMessageSeverityFlagBitsEXT severity,
                                                 VkDebugUtilsMessageTypeFlagsEXT types,
                                                 const VkDebugUtilsMessengerCallbackDataEXT *data,
                                                 void *ctx) {
    (void)types, (void)ctx;
    if (is_accepted(data->pMessageIdName, data->pMessage)) return VK_FALSE;
    bool is_error = (severity & VK_DEBUG_UTILS_MESSAGE_SEVERITY_ERROR_BIT_EXT) != 0;
    atomic_fetch_add(&validation_count, 1);
    const char *id = data->pMessageIdName ? data->pMessageIdName : "no name";
    pd_log(is_error ? PD_LOG_ERROR : PD_LOG_WARN, "validation", "[%s] %s", id, data->pMessage);
    return VK_FALSE;
}

static pd_status read_validation_wish(validation_wish *wish, pd_error *err) {
    const char *list = pd_env("PERIDOT_VALIDATION"), *word;
    size_t n;
    *wish = (validation_wish){0};
    if (!list || !list[0] || strcmp(list, "0") == 0) return PD_OK;
    wish->on = true;
    while ((word = pd_next_word(&list, &n))) {
        if (pd_word_is(word, n, "1") || pd_word_is(word, n, "sync"))
            wish->sync = true;
        else if (pd_word_is(word, n, "best"))
            wish->best = true;
        else if (!pd_word_is(word, n, "core"))
            return PD_RAISE(err, PD_ERR_ARGUMENT,
                            "PERIDOT_VALIDATION names \"%.*s\"; known are 1, core, sync and best",
                            (int)n, word);
    }
    return PD_OK;
}

static bool layer_present(void) {
    uint32_t n = 0;
    if (vkEnumerateInstanceLayerProperties(&n, NULL) != VK_SUCCESS || n == 0) return false;
    VkLayerProperties *layers = pd_alloc(n, sizeof *layers);
    bool found = false;
    if (layers && vkEnumerateInstanceLayerProperties(&n, layers) >= VK_SUCCESS)
        for (uint32_t i = 0; i < n && !found; i++)
            found = strcmp(layers[i].layerName, LAYER_NAME) == 0;
    pd_free(layers);
    return found;
}

static bool instance_extension_present(const char *name) {
    uint32_t n = 0;
    if (vkEnumerateInstanceExtensionProperties(NULL, &n, NULL) != VK_SUCCESS || n == 0)
        return false;
    VkExtensionProperties *list = pd_alloc(n, sizeof *list);
    bool found = false;
    if (list && vkEnumerateInstanceExtensionProperties(NULL, &n, list) >= VK_SUCCESS)
        for (uint32_t i = 0; i < n && !found; i++) found = strcmp(list[i].extensionName, name) == 0;
    pd_free(list);
    return found;
}

/* ---- the instance -------------------------------------------------------------------------- */

static pd_status raise_absent(const char *why, const char *hint, pd_error *err) {
    shared.absence = why;
    pd_status status = PD_RAISE(err, PD_ERR_NO_DEVICE, "%s", why);
    return pd_error_hint(err, status, "%s", hint);
}

/* Where the system does not look by itself; what is opened stays open, as volk's does. */
static bool load_from_places(void) {
    char path[512];
    for (unsigned i = 0; pd_vulkan_place(i, path, sizeof path); i++) {
        PFN_vkGetInstanceProcAddr find = NULL;
        pd_library *l = pd_library_open(path);
        if (l && pd_library_find(l, "vkGetInstanceProcAddr", &find)) {
            volkInitializeCustom(find);
            return true;
        }
        if (l) pd_library_close(l);
    }
    return false;
}

static pd_status load_library(pd_error *err) {
    if (shared.is_open) return PD_OK;
    if ((volkInitialize() != VK_SUCCESS && !load_from_places()) || !vkCreateInstance) {
        static char why[128];
        snprintf(why, sizeof why, "no Vulkan library was found (%s)", pd_vulkan_name);
        return raise_absent(why, pd_vulkan_loader_hint, err);
    }
    if (!vkEnumerateInstanceVersion)
        return raise_absent("the Vulkan library speaks version 1.0 only; 1.1 is needed",
                            "install a newer Vulkan loader", err);
    shared.is_open = true;
    return PD_OK;
}

static VkResult create_instance(const validation_wish *wish) {
    const char *extensions[3];
    uint32_t n_extensions = 0;
    bool portability = instance_extension_present(VK_KHR_PORTABILITY_ENUMERATION_EXTENSION_NAME);
    if (portability) extensions[n_extensions++] = VK_KHR_PORTABILITY_ENUMERATION_EXTENSION_NAME;
    if (wish->on) {
        extensions[n_extensions++] = VK_EXT_DEBUG_UTILS_EXTENSION_NAME;
        extensions[n_extensions++] = VK_EXT_VALIDATION_FEATURES_EXTENSION_NAME; /* the layer's */
    }
    VkValidationFeatureEnableEXT checks[2];
    uint32_t n_checks = 0;
    if (wish->sync)
        checks[n_checks++] = VK_VALIDATION_FEATURE_ENABLE_SYNCHRONIZATION_VALIDATION_EXT;
    if (wish->best) checks[n_checks++] = VK_VALIDATION_FEATURE_ENABLE_BEST_PRACTICES_EXT;
    VkDebugUtilsMessengerCreateInfoEXT messenger = {
        .sType = VK_STRUCTURE_TYPE_DEBUG_UTILS_MESSENGER_CREATE_INFO_EXT,
        .messageSeverity = VK_DEBUG_UTILS_MESSAGE_SEVERITY_WARNING_BIT_EXT |
                           VK_DEBUG_UTILS_MESSAGE_SEVERITY_ERROR_BIT_EXT,
        .messageType = VK_DEBUG_UTILS_MESSAGE_TYPE_VALIDATION_BIT_EXT |
                       VK_DEBUG_UTILS_MESSAGE_TYPE_PERFORMANCE_BIT_EXT,
        .pfnUserCallback = on_message,
    };
    VkValidationFeaturesEXT validation = {
        .sType = VK_STRUCTURE_TYPE_VALIDATION_FEATURES_EXT,
        .pNext = &messenger, /* for what is said before there is an instance */
        .enabledValidationFeatureCount = n_checks,
        .pEnabledValidationFeatures = checks,
    };
    const char *layer = LAYER_NAME;
    VkApplicationInfo application = {
        .sType = VK_STRUCTURE_TYPE_APPLICATION_INFO,
        .pApplicationName = "peridot",
        .pEngineName = "peridot",
        .apiVersion = VK_API_VERSION_1_3, /* the newest version whose features are asked about */
    };
    VkInstanceCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO,
        .pNext = wish->on ? &validation : NULL,
        .flags = portability ? VK_INSTANCE_CREATE_ENUMERATE_PORTABILITY_BIT_KHR : 0,
        .pApplicationInfo = &application,
        .enabledLayerCount = wish->on,
        .ppEnabledLayerNames = &layer,
        .enabledExtensionCount = n_extensions,
        .ppEnabledExtensionNames = extensions,
    };
    VkResult result = vkCreateInstance(&info, NULL, &shared.instance);
    if (result != VK_SUCCESS) {
        shared.instance = VK_NULL_HANDLE; /* whatever the failure left there */
        return result;
    }
    volkLoadInstanceOnly(shared.instance);
    if (!wish->on) return VK_SUCCESS;
    result = vkCreateDebugUtilsMessengerEXT(shared.instance, &messenger, NULL, &shared.messenger);
    if (result != VK_SUCCESS) shared.messenger = VK_NULL_HANDLE;
    return result;
}

static void destroy_instance(void) {
    if (shared.messenger) vkDestroyDebugUtilsMessengerEXT(shared.instance, shared.messenger, NULL);
    if (shared.instance) vkDestroyInstance(shared.instance, NULL);
    shared.messenger = VK_NULL_HANDLE;
    shared.instance = VK_NULL_HANDLE;
}

static pd_status open_first(pd_error *err) {
    validation_wish wish;
    PD_TRY(read_validation_wish(&wish, err));
    PD_TRY(load_library(err));
    if (wish.on && !layer_present())
        return raise_absent("PERIDOT_VALIDATION is set, but " LAYER_NAME " is not installed",
                            "install it (Debian: vulkan-validationlayers), or unset the variable",
                            err);
    VkResult result = create_instance(&wish);
    if (result == VK_SUCCESS) return PD_OK;
    destroy_instance();
    if (result == VK_ERROR_INCOMPATIBLE_DRIVER)
        return raise_absent("no Vulkan driver reports a device", pd_vulkan_driver_hint, err);
    return pd_vk_raise(err, __FILE__, __LINE__, "vkCreateInstance(", result);
}

pd_status pd_vk_instance_open(VkInstance *out, pd_error *err) {
    pthread_mutex_lock(&shared.mutex);
    pd_status status = shared.n_users ? PD_OK : open_first(err);
    if (status == PD_OK) {
        shared.n_users++;
        shared.absence = NULL;
        *out = shared.instance;
    }
    pthread_mutex_unlock(&shared.mutex);
    return status;
}

void pd_vk_instance_close(void) {
    pthread_mutex_lock(&shared.mutex);
    if (shared.n_users > 0 && --shared.n_users == 0) destroy_instance();
    pthread_mutex_unlock(&shared.mutex);
}

const char *pd_vk_instance_absence(void) {
    pthread_mutex_lock(&shared.mutex);
    const char *why = shared.absence;
    pthread_mutex_unlock(&shared.mutex);
    return why;
}

pd_status pd_vk_physical_list(VkInstance instance, VkPhysicalDevice *out, uint32_t cap,
                              uint32_t *count, pd_error *err) {
    *count = 0;
    VkResult result = vkEnumeratePhysicalDevices(instance, count, NULL);
    if (result == VK_ERROR_INITIALIZATION_FAILED) *count = 0; /* some loaders' "no device" */
    if (result == VK_ERROR_INITIALIZATION_FAILED || (result == VK_SUCCESS && *count == 0))
        return PD_OK;
    VkPhysicalDevice *all = pd_alloc(*count, sizeof(VkPhysicalDevice));
    if (!all) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory to list the GPUs");
    if (result == VK_SUCCESS) result = vkEnumeratePhysicalDevices(instance, count, all);
    pd_status status = PD_OK;
    if (result < VK_SUCCESS) /* VK_INCOMPLETE is fine: one was plugged in meanwhile */
        status = pd_vk_raise(err, __FILE__, __LINE__, "vkEnumeratePhysicalDevices(", result);
    for (uint32_t i = 0; status == PD_OK && i < *count && i < cap; i++) out[i] = all[i];
    pd_free(all);
    return status;
}
