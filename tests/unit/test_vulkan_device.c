/* Vulkan from the loader to buffers, on the software rasteriser llvmpipe: listing, describing,
 * opening, capability switches, every use of memory, the account and its messages. Validation is on
 * where its layer is installed, and must stay silent.
 *
 * SPDX-License-Identifier: MIT
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backend/backend.h"
#include "base/clock.h"
#include "backend/vulkan/device/memory.h"
#include "base/env.h"
#include "support_skip.h"

enum { MAX_DEVICES = 32 };

static bool has_layer; /* the validation layer is installed and on */

static void print_line(void *ctx, pd_log_level level, const char *subsystem, const char *line) {
    (void)ctx, (void)level;
    print_message("%s: %s\n", subsystem, line);
}

static void expect_ok(pd_status status, const pd_error *err) {
    if (status != PD_OK) print_message("%s\n", err->message);
    assert_int_equal(status, PD_OK);
}

static bool find_llvmpipe(uint32_t *index, pd_device_info *info) {
    pd_device_info list[MAX_DEVICES];
    pd_error err = {0};
    const char *note = NULL;
    uint32_t n = 0;
    expect_ok(pd_vulkan_list(list, MAX_DEVICES, &n, &note, &err), &err);
    for (uint32_t i = 0; i < n && i < MAX_DEVICES; i++) {
        if (!strstr(list[i].name, "llvmpipe")) continue;
        *index = i;
        *info = list[i];
        return true;
    }
    return false;
}

static pd_vk_device *open_llvmpipe(void) {
    pd_device_info info;
    pd_vk_device *d = NULL;
    pd_error err = {0};
    uint32_t index = 0;
    assert_true(find_llvmpipe(&index, &info));
    expect_ok(pd_vk_device_open(index, &d, &err), &err);
    return d;
}

/* ---- listing and opening ------------------------------------------------------------------- */

static void describes_devices(void **state) {
    (void)state;
    pd_device_info info;
    uint32_t index;
    assert_true(find_llvmpipe(&index, &info));
    assert_int_equal(info.kind, PD_DEVICE_SOFTWARE);
    assert_int_equal(strlen(info.uuid), 36);
    assert_true(strncmp(info.id, "vulkan:", 7) == 0 && (uint32_t)atoi(info.id + 7) == index);
    assert_true(strncmp(info.api_version, "1.", 2) == 0);
    assert_non_null(strstr(info.driver, "llvmpipe"));
    assert_true(info.usable && info.unusable_reason[0] == '\0');
    assert_true(info.memory_bytes >= 1u << 28 && info.max_alloc_bytes >= 1u << 28);
    assert_true(info.max_binding_bytes >= 1u << 27);
    assert_true(info.shared_memory_bytes >= 16384 && info.max_workgroup_size >= 128);
    assert_true(info.subgroup_size >= 1 && info.subgroup_size_min <= info.subgroup_size &&
                info.subgroup_size <= info.subgroup_size_max);
    assert_true(info.has_unified_memory);
}

static void lists_the_cpu_first(void **state) {
    (void)state;
    pd_device_info list[MAX_DEVICES], few[1];
    pd_error err = {0};
    uint32_t n = 0, again = 0;
    expect_ok(pd_device_list(list, MAX_DEVICES, &n, NULL, &err), &err);
    assert_true(n >= 3);
    assert_string_equal(list[0].id, "cpu");
    assert_string_equal(list[1].id, "cpu-ref");
    assert_string_equal(list[2].id, "vulkan:0");
    expect_ok(pd_device_list(few, 1, &again, NULL, &err), &err);
    assert_int_equal(again, n);
    assert_string_equal(few[0].id, "cpu");
}

static void refuses_unknown_devices(void **state) {
    (void)state;
    static const char *const wishes[] = {"voodoo", "vulkan:77", "vulkan:voodoo"};
    pd_backend *backend = NULL;
    pd_vk_device *d = NULL;
    pd_error err = {0};
    for (size_t i = 0; i < sizeof wishes / sizeof wishes[0]; i++) {
        pd_backend_desc desc = {.device = wishes[i]};
        assert_int_equal(pd_backend_open(&desc, &backend, &err), PD_ERR_NO_DEVICE);
        assert_non_null(strstr(err.message, wishes[i]));
        assert_non_null(strstr(err.message, "llvmpipe"));
        assert_null(backend);
    }
    assert_int_equal(pd_vk_device_open(77, &d, &err), PD_ERR_NO_DEVICE);
    assert_null(d);
}

static void opens_more_than_once(void **state) {
    (void)state;
    pd_vk_device *a = open_llvmpipe(), *b = open_llvmpipe();
    assert_ptr_equal(a->instance, b->instance);
    assert_non_null(a->queue);
    assert_true(a->caps.is_software);
    pd_vk_device_close(a);
    assert_int_equal(b->vk.vkDeviceWaitIdle(b->handle), VK_SUCCESS);
    pd_vk_device_close(b);
    pd_vk_device_close(NULL);
}

static void switches_drop_capabilities(void **state) {
    (void)state;
    pd_vk_device *d = open_llvmpipe();
    pd_vk_caps all = d->caps;
    pd_vk_device_close(d);
    assert_true(all.subgroup && all.fp16 && all.timestamps);
    pd_env_set("PERIDOT_DISABLE", "fp16,subgroup");
    d = open_llvmpipe();
    assert_true(!d->caps.fp16 && !d->caps.subgroup && !d->caps.subgroup_size_control);
    assert_true(d->caps.int_dot == all.int_dot);
    assert_true(d->info.has_fp16); /* what the device has does not change */
    pd_vk_device_close(d);
    pd_env_set("PERIDOT_DISABLE", "fp16,int8dot,subgroup,coopmat,timestamps,software-tiles");
    d = open_llvmpipe();
    assert_true(!d->caps.software_tiles && d->caps.is_software);
    assert_true(!d->caps.fp16 && !d->caps.int_dot && !d->caps.subgroup && !d->caps.coopmat &&
                !d->caps.timestamps);
    pd_vk_device_close(d);
    pd_env_set("PERIDOT_DISABLE", "fp16,magic");
    pd_error err = {0};
    assert_int_equal(pd_vk_device_open(0, &d, &err), PD_ERR_ARGUMENT);
    assert_non_null(strstr(err.message, "magic"));
    assert_non_null(strstr(err.message, "int8dot"));
    pd_env_set("PERIDOT_DISABLE", NULL);
}

/* Runs after everything that holds the instance has closed it. */
static void refuses_unknown_validation(void **state) {
    (void)state;
    VkInstance instance;
    pd_error err = {0};
    const char *before = getenv("PERIDOT_VALIDATION");
    char *kept = before ? strdup(before) : NULL;
    pd_env_set("PERIDOT_VALIDATION", "core,magic");
    assert_int_equal(pd_vk_instance_open(&instance, &err), PD_ERR_ARGUMENT);
    assert_non_null(strstr(err.message, "magic"));
    if (kept)
        pd_env_set("PERIDOT_VALIDATION", kept);
    else
        pd_env_set("PERIDOT_VALIDATION", NULL);
    free(kept);
}

/* ---- memory -------------------------------------------------------------------------------- */

static void allocates_every_use(void **state) {
    (void)state;
    pd_vk_device *d = open_llvmpipe();
    pd_vk_memory m;
    pd_vk_buffer b[PD_VK_READBACK + 1];
    pd_error err = {0};
    pd_vk_memory_init(&m, d, 0);
    /* a software device has the host's memory, whatever heap it reports */
    assert_true(m.limit_bytes == pd_host_memory_bytes());
    for (int use = PD_VK_DEVICE; use <= PD_VK_READBACK; use++) {
        expect_ok(pd_vk_buffer_create(&m, (pd_vk_use)use, PD_VK_FOR_SCRATCH, 1000, "a test",
                                      &b[use], &err),
                  &err);
        assert_int_equal(b[use].bytes, 1000);
        assert_true(b[use].held_bytes >= 1000);
        assert_true((b[use].mapped != NULL) == (use != PD_VK_DEVICE));
        if (b[use].mapped) memset(b[use].mapped, 0x5a, 1000);
    }
    uint64_t total = pd_vk_memory_total(&m);
    assert_true(total >= 4000 && total == m.held[PD_VK_FOR_SCRATCH] && m.peak_bytes == total);
    for (int use = PD_VK_DEVICE; use <= PD_VK_READBACK; use++) pd_vk_buffer_destroy(&m, &b[use]);
    pd_vk_buffer_destroy(&m, &b[0]);
    assert_int_equal(pd_vk_memory_total(&m), 0);
    assert_int_equal(m.peak_bytes, total);
    pd_vk_device_close(d);
}

static void says_how_much_is_missing(void **state) {
    (void)state;
    pd_vk_device *d = open_llvmpipe();
    pd_vk_memory m;
    pd_vk_buffer held, b;
    pd_error err = {0};
    pd_vk_memory_init(&m, d, 4u << 20);
    expect_ok(
        pd_vk_buffer_create(&m, PD_VK_DEVICE, PD_VK_FOR_WEIGHTS, 1u << 20, "weights", &held, &err),
        &err);
    pd_status status = pd_vk_buffer_create(&m, PD_VK_DEVICE, PD_VK_FOR_KV, 5u << 20,
                                           "the KV cache of 8192 positions", &b, &err);
    assert_int_equal(status, PD_ERR_MEMORY_DEVICE);
    assert_null(b.handle);
    assert_non_null(strstr(
        err.message, "no room for the KV cache of 8192 positions: 5.00 MiB are needed, but only "
                     "3.00 MiB of 4.00 MiB are free on llvmpipe"));
    assert_non_null(strstr(err.message, "2.00 MiB are missing"));
    assert_non_null(strstr(err.hint, "n_ctx"));
    assert_int_equal(pd_vk_memory_total(&m), held.held_bytes);
    pd_vk_buffer_destroy(&m, &held);
    pd_vk_device_close(d);
}

static void respects_the_largest_allocation(void **state) {
    (void)state;
    pd_vk_device *d = open_llvmpipe();
    pd_vk_memory m;
    pd_vk_buffer b;
    pd_error err = {0};
    pd_vk_memory_init(&m, d, 0);
    pd_status status = pd_vk_buffer_create(&m, PD_VK_DEVICE, PD_VK_FOR_WEIGHTS,
                                           d->info.max_alloc_bytes + 1, "the table", &b, &err);
    assert_int_equal(status, PD_ERR_MEMORY_DEVICE);
    assert_non_null(strstr(err.message, "maxMemoryAllocationSize"));
    status = pd_vk_buffer_create(&m, PD_VK_DEVICE, PD_VK_FOR_WEIGHTS, 0, "nothing", &b, &err);
    assert_int_equal(status, PD_ERR_INTERNAL);
    pd_vk_device_close(d);
}

/* A device with three types of memory where there is one: its own that the host can map, its own,
 * the host's. Some are full. */
enum { MAPPABLE, OWN, HOST, N_TYPES };

static struct {
    PFN_vkAllocateMemory allocate;
    PFN_vkGetBufferMemoryRequirements get_needs;
    VkResult results[N_TYPES];
    uint32_t tried[N_TYPES + 1], n_tried;
} fake;

static VKAPI_ATTR VkResult VKAPI_CALL fake_allocate(VkDevice d, const VkMemoryAllocateInfo *info,
                                                    const VkAllocationCallbacks *allocator,
                                                    VkDeviceMemory *out) {
    uint32_t type = info->memoryTypeIndex;
    VkMemoryAllocateInfo real = *info;
    real.memoryTypeIndex = 0;
    assert_true(type < N_TYPES && fake.n_tried < N_TYPES);
    fake.tried[fake.n_tried++] = type;
    if (fake.results[type] != VK_SUCCESS) return fake.results[type];
    return fake.allocate(d, &real, allocator, out);
}

static VKAPI_ATTR void VKAPI_CALL fake_needs(VkDevice d, VkBuffer b, VkMemoryRequirements *out) {
    fake.get_needs(d, b, out);
    out->memoryTypeBits = (1u << N_TYPES) - 1;
}

static pd_vk_device *open_with_types(void) {
    const VkMemoryPropertyFlags own = VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT;
    const VkMemoryPropertyFlags mapped =
        VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
    pd_vk_device *d = open_llvmpipe();
    fake.allocate = d->vk.vkAllocateMemory;
    fake.get_needs = d->vk.vkGetBufferMemoryRequirements;
    d->vk.vkAllocateMemory = fake_allocate;
    d->vk.vkGetBufferMemoryRequirements = fake_needs;
    d->memory.memoryTypeCount = N_TYPES;
    d->memory.memoryTypes[MAPPABLE].propertyFlags = own | mapped;
    d->memory.memoryTypes[OWN].propertyFlags = own;
    d->memory.memoryTypes[HOST].propertyFlags = mapped;
    return d;
}

/* Creates a buffer where the types answer so, and expects them to be asked in this order. */
static pd_status ask_types(pd_vk_device *d, pd_vk_use use, const VkResult results[N_TYPES],
                           const uint32_t *order, uint32_t n) {
    pd_vk_memory m;
    pd_vk_buffer b;
    pd_error err = {0};
    pd_vk_memory_init(&m, d, 0);
    memcpy(fake.results, results, sizeof fake.results);
    fake.n_tried = 0;
    pd_status status = pd_vk_buffer_create(&m, use, PD_VK_FOR_KV, 1000, "a test", &b, &err);
    assert_int_equal(fake.n_tried, n);
    for (uint32_t i = 0; i < n; i++) assert_int_equal(fake.tried[i], order[i]);
    if (status == PD_ERR_MEMORY_DEVICE) assert_non_null(strstr(err.message, "refused it"));
    if (status == PD_OK) pd_vk_buffer_destroy(&m, &b);
    assert_int_equal(pd_vk_memory_total(&m), 0);
    return status;
}

static void full_memory_gives_way_to_other_types(void **state) {
    (void)state;
    const VkResult full = VK_ERROR_OUT_OF_DEVICE_MEMORY, lost = VK_ERROR_DEVICE_LOST;
    const uint32_t own_first[] = {OWN, MAPPABLE, HOST}, mapped_first[] = {MAPPABLE, HOST},
                   host_first[] = {HOST, MAPPABLE};
    const VkResult none[N_TYPES] = {0}, no_own[] = {0, full, 0}, none_of_its[] = {full, full, 0},
                   no_host[] = {0, 0, VK_ERROR_OUT_OF_HOST_MEMORY}, breaks[] = {0, lost, 0},
                   nowhere[] = {full, full, full};
    pd_vk_device *d = open_with_types();
    assert_int_equal(ask_types(d, PD_VK_DEVICE, none, own_first, 1), PD_OK);
    assert_int_equal(ask_types(d, PD_VK_DEVICE, no_own, own_first, 2), PD_OK);
    assert_int_equal(ask_types(d, PD_VK_DEVICE, none_of_its, own_first, 3), PD_OK);
    assert_int_equal(ask_types(d, PD_VK_DEVICE, nowhere, own_first, 3), PD_ERR_MEMORY_DEVICE);
    assert_int_equal(ask_types(d, PD_VK_DEVICE, breaks, own_first, 1), PD_ERR_DEVICE_LOST);
    assert_int_equal(ask_types(d, PD_VK_STEP, none_of_its, mapped_first, 2), PD_OK);
    assert_int_equal(ask_types(d, PD_VK_STAGING, no_host, host_first, 2), PD_OK);
    d->info.kind = PD_DEVICE_GPU_DISCRETE; /* the host's memory is far */
    assert_int_equal(ask_types(d, PD_VK_DEVICE, none_of_its, own_first, 2), PD_ERR_MEMORY_DEVICE);
    assert_int_equal(ask_types(d, PD_VK_STEP, none_of_its, mapped_first, 2), PD_OK);
    pd_vk_device_close(d);
}

static void arena_aligns_and_fills_blocks(void **state) {
    (void)state;
    pd_vk_device *d = open_llvmpipe();
    uint64_t alignment = d->properties.limits.minStorageBufferOffsetAlignment;
    pd_vk_memory m;
    pd_vk_arena a;
    pd_vk_slice s[3], large, last;
    pd_error err = {0};
    pd_vk_memory_init(&m, d, 64u << 20);
    pd_vk_arena_init(&a, &m, PD_VK_FOR_WEIGHTS, "weights");
    for (int i = 0; i < 3; i++) {
        expect_ok(pd_vk_arena_alloc(&a, 1001, 1u << 20, &s[i], &err), &err);
        assert_int_equal(s[i].offset % alignment, 0);
        assert_int_equal(s[i].bytes, 1001);
        assert_ptr_equal(s[i].handle, s[0].handle);
        if (i > 0) assert_true(s[i].offset >= s[i - 1].offset + s[i - 1].bytes);
    }
    assert_int_equal(a.n_blocks, 1);
    assert_int_equal(a.blocks[0].bytes, 1u << 20);
    /* Larger than what was expected: a block of its own. */
    expect_ok(pd_vk_arena_alloc(&a, 2u << 20, 1u << 20, &large, &err), &err);
    assert_int_equal(a.n_blocks, 2);
    assert_true(large.handle != s[0].handle && large.offset == 0);
    /* Nothing expected: a block of what the limit still allows. */
    expect_ok(pd_vk_arena_alloc(&a, 1000, 0, &last, &err), &err);
    assert_int_equal(a.n_blocks, 3);
    assert_int_equal(pd_vk_memory_total(&m), 64u << 20);
    assert_int_equal(pd_vk_arena_alloc(&a, 62u << 20, 0, &last, &err), PD_ERR_MEMORY_DEVICE);
    assert_int_equal(a.n_blocks, 3);
    expect_ok(pd_vk_arena_alloc(&a, 1000, 0, &last, &err), &err); /* the last block has room */
    pd_vk_arena_destroy(&a);
    assert_int_equal(pd_vk_memory_total(&m), 0);
    pd_vk_device_close(d);
}

/* Silence means something only if a mistake is heard: a buffer of 0 bytes is one. */
static void validation_was_silent_and_works(void **state) {
    (void)state;
    if (!has_layer) skip_because("there is no validation layer");
    assert_int_equal(pd_vk_validation_count(), 0);
    pd_vk_device *d = open_llvmpipe();
    pd_log_set(NULL, NULL, PD_LOG_WARN);
    VkBufferCreateInfo info = {.sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO,
                               .usage = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT};
    VkBuffer buffer = VK_NULL_HANDLE;
    if (d->vk.vkCreateBuffer(d->handle, &info, NULL, &buffer) == VK_SUCCESS)
        d->vk.vkDestroyBuffer(d->handle, buffer, NULL);
    pd_vk_device_close(d);
    assert_true(pd_vk_validation_count() > 0);
}

/* Whether there is something to test; turns validation on where it can be. */
static bool prepare(void) {
    VkInstance instance;
    pd_device_info info;
    pd_error err = {0};
    uint32_t index;
    if (!pd_env("PERIDOT_VALIDATION")) pd_env_set("PERIDOT_VALIDATION", "core,sync");
    has_layer = pd_vk_instance_open(&instance, &err) == PD_OK;
    if (!has_layer) pd_env_set("PERIDOT_VALIDATION", NULL);
    if (!has_layer && pd_vk_instance_open(&instance, &err) != PD_OK) {
        printf("skipped: %s\n", err.message);
        return false;
    }
    pd_vk_instance_close();
    if (find_llvmpipe(&index, &info)) return true;
    printf("skipped: no Vulkan driver offers llvmpipe\n");
    return false;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(describes_devices),
        cmocka_unit_test(lists_the_cpu_first),
        cmocka_unit_test(refuses_unknown_devices),
        cmocka_unit_test(opens_more_than_once),
        cmocka_unit_test(switches_drop_capabilities),
        cmocka_unit_test(refuses_unknown_validation),
        cmocka_unit_test(allocates_every_use),
        cmocka_unit_test(says_how_much_is_missing),
        cmocka_unit_test(respects_the_largest_allocation),
        cmocka_unit_test(full_memory_gives_way_to_other_types),
        cmocka_unit_test(arena_aligns_and_fills_blocks),
        cmocka_unit_test(validation_was_silent_and_works),
    };
    pd_log_set(print_line, NULL, PD_LOG_WARN);
    if (!prepare()) return 77;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
