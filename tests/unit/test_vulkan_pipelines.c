/* Pipelines on the software rasteriser llvmpipe: one that is made from a shader of the test data
 * computes the right thing with its constants and arguments; halves are rounded to the nearest;
 * equal descriptions share a pipeline; limits are refused with a sentence; the driver's cache is
 * kept, used and, when damaged, ignored.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/env.h"
#include "support_folder.h"

#include <math.h>

#include "backend/backend.h"
#include "backend/vulkan/device/memory.h"
#include "backend/vulkan/kernels/descriptors.h"
#include "backend/vulkan/kernels/pipeline.h"
#include "backend/vulkan/kernels/shader_texts.h"
#include "file/quant.h"
#include "support_data.h"
#include "support_skip.h"

static pd_vk_device *device;
static const pd_vk_pipeline_desc scale = {
    .shader = "scale", .n_buffers = 2, .push_bytes = 8, .n_constants = 2, .constants = {32, 7}};

static void print_line(void *ctx, pd_log_level level, const char *subsystem, const char *line) {
    (void)ctx, (void)level;
    print_message("%s: %s\n", subsystem, line);
}

static void expect_ok(pd_status status, const pd_error *err) {
    if (status != PD_OK) print_message("%s\n", err->message);
    assert_int_equal(status, PD_OK);
}

static pd_vk_pipelines *create_pipelines(void) {
    pd_vk_pipelines *p = NULL;
    pd_error err = {0};
    expect_ok(pd_vk_pipelines_create(device, &p, &err), &err);
    return p;
}

static const pd_vk_pipeline *get_pipeline(pd_vk_pipelines *p, const pd_vk_pipeline_desc *desc) {
    const pd_vk_pipeline *pipeline = NULL;
    pd_error err = {0};
    expect_ok(pd_vk_pipeline_get(p, desc, &pipeline, &err), &err);
    return pipeline;
}

/* ---- computing ----------------------------------------------------------------------------- */

#define VK_OK(call) assert_int_equal((call), VK_SUCCESS)

static VkDescriptorSet bind_buffers(VkDescriptorPool *pool, const pd_vk_pipeline *pipeline,
                                    const pd_vk_buffer *in, const pd_vk_buffer *out) {
    VkDescriptorPoolSize size = {VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, 2};
    VkDescriptorPoolCreateInfo info = {.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO,
                                       .maxSets = 1,
                                       .poolSizeCount = 1,
                                       .pPoolSizes = &size};
    VK_OK(device->vk.vkCreateDescriptorPool(device->handle, &info, NULL, pool));
    VkDescriptorSet set;
    VkDescriptorSetAllocateInfo allocate = {.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO,
                                            .descriptorPool = *pool,
                                            .descriptorSetCount = 1,
                                            .pSetLayouts = &pipeline->set_layout};
    VK_OK(device->vk.vkAllocateDescriptorSets(device->handle, &allocate, &set));
    VkDescriptorBufferInfo buffers[2] = {{in->handle, 0, in->bytes}, {out->handle, 0, out->bytes}};
    VkWriteDescriptorSet write = {.sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET,
                                  .dstSet = set,
                                  .descriptorCount = 2,
                                  .descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER,
                                  .pBufferInfo = buffers};
    device->vk.vkUpdateDescriptorSets(device->handle, 1, &write, 0, NULL);
    return set;
}

static void dispatch(const pd_vk_pipeline *pipeline, VkDescriptorSet set, const uint32_t *args,
                     uint32_t n_groups) {
    const struct VolkDeviceTable *vk = &device->vk;
    VkCommandPool pool;
    VkCommandBuffer cmd;
    VkCommandPoolCreateInfo pool_info = {.sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO,
                                         .queueFamilyIndex = device->queue_family};
    VK_OK(vk->vkCreateCommandPool(device->handle, &pool_info, NULL, &pool));
    VkCommandBufferAllocateInfo allocate = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
                                            .commandPool = pool,
                                            .level = VK_COMMAND_BUFFER_LEVEL_PRIMARY,
                                            .commandBufferCount = 1};
    VK_OK(vk->vkAllocateCommandBuffers(device->handle, &allocate, &cmd));
    VkCommandBufferBeginInfo begin = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO,
                                      .flags = VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT};
    VK_OK(vk->vkBeginCommandBuffer(cmd, &begin));
    vk->vkCmdBindPipeline(cmd, VK_PIPELINE_BIND_POINT_COMPUTE, pipeline->handle);
    vk->vkCmdBindDescriptorSets(cmd, VK_PIPELINE_BIND_POINT_COMPUTE, pipeline->layout, 0, 1, &set,
                                0, NULL);
    vk->vkCmdPushConstants(cmd, pipeline->layout, VK_SHADER_STAGE_COMPUTE_BIT, 0, 8, args);
    vk->vkCmdDispatch(cmd, n_groups, 1, 1);
    VkMemoryBarrier barrier = {.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
                               .srcAccessMask = VK_ACCESS_SHADER_WRITE_BIT,
                               .dstAccessMask = VK_ACCESS_HOST_READ_BIT};
    vk->vkCmdPipelineBarrier(cmd, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, VK_PIPELINE_STAGE_HOST_BIT,
                             0, 1, &barrier, 0, NULL, 0, NULL);
    VK_OK(vk->vkEndCommandBuffer(cmd));
    VkSubmitInfo submit = {
        .sType = VK_STRUCTURE_TYPE_SUBMIT_INFO, .commandBufferCount = 1, .pCommandBuffers = &cmd};
    VK_OK(vk->vkQueueSubmit(device->queue, 1, &submit, VK_NULL_HANDLE));
    VK_OK(vk->vkQueueWaitIdle(device->queue));
    vk->vkDestroyCommandPool(device->handle, pool, NULL);
}

static void computes_with_constants_and_arguments(void **state) {
    (void)state;
    enum { N = 100 };
    pd_vk_memory m;
    pd_vk_buffer in, out;
    pd_error err = {0};
    pd_vk_pipelines *p = create_pipelines();
    const pd_vk_pipeline *pipeline = get_pipeline(p, &scale);
    pd_vk_memory_init(&m, device, 0);
    expect_ok(pd_vk_buffer_create(&m, PD_VK_STEP, PD_VK_FOR_SCRATCH, N * 4, "input", &in, &err),
              &err);
    expect_ok(pd_vk_buffer_create(&m, PD_VK_STEP, PD_VK_FOR_SCRATCH, N * 4, "output", &out, &err),
              &err);
    uint32_t *x = (uint32_t *)(void *)in.mapped, *y = (uint32_t *)(void *)out.mapped;
    for (uint32_t i = 0; i < N; i++) x[i] = i * i, y[i] = 0xffffffff;
    VkDescriptorPool pool;
    VkDescriptorSet set = bind_buffers(&pool, pipeline, &in, &out);
    const uint32_t args[2] = {N - 1, 3}; /* the last one must stay as it is */
    dispatch(pipeline, set, args, (N + 31) / 32);
    for (uint32_t i = 0; i < N - 1; i++) assert_int_equal(y[i], i * i * 3 + 7);
    assert_int_equal(y[N - 1], 0xffffffff);
    device->vk.vkDestroyDescriptorPool(device->handle, pool, NULL);
    pd_vk_buffer_destroy(&m, &in);
    pd_vk_buffer_destroy(&m, &out);
    pd_vk_pipelines_destroy(p);
}

/* ---- halves --------------------------------------------------------------------------------- */

static const char halves_shader[] =
    "#version 450\n"
    "#include \"args.h\"\n"
    "#include \"halves.glsl\"\n"
    "layout(local_size_x_id = 0) in;\n"
    "layout(std430, binding = 0) readonly buffer X { float x[]; };\n"
    "layout(std430, binding = 1) buffer Y { uint y[]; };\n"
    "layout(push_constant) uniform Push { uint n, unused; };\n"
    "void main() {\n"
    "    uint i = gl_GlobalInvocationID.x;\n"
    "    if (i < n) y[i] = half_bits(x[i]);\n"
    "}\n";

/* Every half, the middles between neighbours, the floats beside those, and what is beyond. */
static uint32_t fill_floats(uint32_t *x) {
    uint32_t n = 0;
    for (uint32_t h = 0; h < 0x7c00; h++) {
        float low = pd_f16_to_f32((uint16_t)h),
              high = h < 0x7bff ? pd_f16_to_f32((uint16_t)(h + 1)) : 65536;
        float middle = 0.5f * (low + high),
              values[] = {low, middle, nextafterf(middle, low), nextafterf(middle, high)};
        for (int i = 0; i < 8; i++) {
            float v = i & 1 ? -values[i / 2] : values[i / 2];
            memcpy(&x[n++], &v, sizeof v);
        }
    }
    static const uint32_t beyond[] = {0x7f7fffff, 0xff7fffff, 0x7f800000, 0xff800000, 0x00800000};
    memcpy(x + n, beyond, sizeof beyond);
    return n + sizeof beyond / sizeof *beyond;
}

/* As the host does it; every NaN stays one, whatever its bits. */
static void halves_are_the_nearest(void **state) {
    (void)state;
    enum { MOST = 8 * 0x7c00 + 16 };
    static const pd_vk_pipeline_desc halves = {.shader = "halves_test",
                                               .n_buffers = 2,
                                               .push_bytes = 8,
                                               .n_constants = 1,
                                               .constants = {32}};
    static const uint32_t nans[] = {0x7fc00000, 0x7fffffff, 0xffffffff, 0x7f800001, 0xff800001};
    pd_vk_memory m;
    pd_vk_buffer in, out;
    pd_error err = {0};
    pd_env_set("PERIDOT_SHADER_DIR", test_folder);
    put_bytes("halves_test.comp", halves_shader, sizeof halves_shader - 1);
    for (unsigned i = 0; i < pd_shader_text_count; i++)
        if (!strcmp(pd_shader_texts[i].name, "halves.glsl") ||
            !strcmp(pd_shader_texts[i].name, "args.h") ||
            !strcmp(pd_shader_texts[i].name, "interface.h") ||
            !strcmp(pd_shader_texts[i].name, "weight_types.h"))
            put_bytes(pd_shader_texts[i].name, pd_shader_texts[i].text, pd_shader_texts[i].n_bytes);
    pd_vk_pipelines *p = create_pipelines();
    const pd_vk_pipeline *pipeline = get_pipeline(p, &halves);
    pd_env_set("PERIDOT_SHADER_DIR", test_data("shaders"));
    pd_vk_memory_init(&m, device, 0);
    expect_ok(pd_vk_buffer_create(&m, PD_VK_STEP, PD_VK_FOR_SCRATCH, MOST * 4, "input", &in, &err),
              &err);
    expect_ok(
        pd_vk_buffer_create(&m, PD_VK_STEP, PD_VK_FOR_SCRATCH, MOST * 4, "output", &out, &err),
        &err);
    uint32_t *x = (uint32_t *)(void *)in.mapped, *y = (uint32_t *)(void *)out.mapped;
    uint32_t n = fill_floats(x), n_all = n + sizeof nans / sizeof *nans;
    memcpy(x + n, nans, sizeof nans);
    VkDescriptorPool pool;
    VkDescriptorSet set = bind_buffers(&pool, pipeline, &in, &out);
    dispatch(pipeline, set, (const uint32_t[]){n_all, 0}, (n_all + 31) / 32);
    for (uint32_t i = 0; i < n; i++) {
        float v;
        memcpy(&v, &x[i], sizeof v);
        if (y[i] != pd_f32_to_f16(v)) fail_msg("%a becomes %04x", (double)v, y[i]);
    }
    for (uint32_t i = n; i < n_all; i++) assert_true((y[i] & 0x7fff) > 0x7c00);
    device->vk.vkDestroyDescriptorPool(device->handle, pool, NULL);
    pd_vk_buffer_destroy(&m, &in);
    pd_vk_buffer_destroy(&m, &out);
    pd_vk_pipelines_destroy(p);
}

/* ---- bindings ------------------------------------------------------------------------------- */

static void empty_bindings_are_refused(void **state) {
    (void)state;
    pd_error err;
    pd_vk_memory m;
    pd_vk_buffer b;
    VkDescriptorPool pool;
    VkDescriptorSet set;
    pd_vk_pipelines *p = create_pipelines();
    const pd_vk_pipeline *pipeline = get_pipeline(p, &scale);
    pd_vk_memory_init(&m, device, 0);
    expect_ok(pd_vk_buffer_create(&m, PD_VK_STEP, PD_VK_FOR_SCRATCH, 256, "input", &b, &err), &err);
    expect_ok(pd_vk_pool_create(device, 1, scale.n_buffers, &pool, &err), &err);
    pd_vk_slice buffers[] = {{b.handle, 0, 256}, {0}};
    assert_int_equal(pd_vk_set_create(device, pool, pipeline, buffers, &set, &err),
                     PD_ERR_INTERNAL);
    assert_non_null(strstr(err.message, "binding 1 of pipeline scale(32,7)"));
    buffers[1] = buffers[0];
    expect_ok(pd_vk_set_create(device, pool, pipeline, buffers, &set, &err), &err);
    device->vk.vkDestroyDescriptorPool(device->handle, pool, NULL);
    pd_vk_buffer_destroy(&m, &b);
    pd_vk_pipelines_destroy(p);
}

/* ---- the list ------------------------------------------------------------------------------ */

static void equal_descriptions_share(void **state) {
    (void)state;
    pd_vk_pipelines *p = create_pipelines();
    pd_vk_pipeline_desc other = scale;
    other.constants[1] = 8;
    const pd_vk_pipeline *a = get_pipeline(p, &scale), *b = get_pipeline(p, &other);
    assert_ptr_not_equal(a, b);
    assert_ptr_equal(get_pipeline(p, &scale), a);
    assert_string_equal(a->name, "scale(32,7)");
    assert_string_equal(b->name, "scale(32,8)");
    assert_int_equal(pd_vk_pipeline_count(p), 2);
    assert_ptr_equal(pd_vk_pipeline_at(p, 1), b);
    assert_null(pd_vk_pipeline_at(p, 2));
    for (uint32_t i = 0; i < 100; i++) { /* the list moves, its pipelines do not */
        other.constants[1] = 100 + i;
        get_pipeline(p, &other);
    }
    assert_ptr_equal(get_pipeline(p, &scale), a);
    pd_vk_pipelines_destroy(p);
    pd_vk_pipelines_destroy(NULL);
}

static void expect_refusal(pd_vk_pipelines *p, const pd_vk_pipeline_desc *desc, pd_status expected,
                           const char *part) {
    const pd_vk_pipeline *pipeline;
    pd_error err = {0};
    assert_int_equal(pd_vk_pipeline_get(p, desc, &pipeline, &err), expected);
    assert_null(pipeline);
    if (!strstr(err.message, part)) print_message("%s\n", err.message);
    assert_non_null(strstr(err.message, part));
}

static void limits_are_refused(void **state) {
    (void)state;
    pd_vk_pipelines *p = create_pipelines();
    pd_vk_pipeline_desc desc = scale;
    desc.constants[0] = 1u << 20;
    expect_refusal(p, &desc, PD_ERR_UNSUPPORTED, "scale(1048576,7) wants workgroups of 1048576");
    desc = scale;
    desc.subgroup_size = 4096;
    expect_refusal(p, &desc, PD_ERR_UNSUPPORTED, "wants subgroups of 4096");
    desc = scale;
    desc.n_constants = 0;
    expect_refusal(p, &desc, PD_ERR_INTERNAL, "0 constants");
    desc = scale;
    desc.n_constants = PD_VK_MAX_CONSTANTS + 1;
    expect_refusal(p, &desc, PD_ERR_INTERNAL, "17 constants");
    desc = scale;
    desc.n_buffers = PD_VK_MAX_BUFFERS + 1;
    expect_refusal(p, &desc, PD_ERR_INTERNAL, "9 buffers");
    desc = scale;
    desc.shader = "no_such_shader";
    expect_refusal(p, &desc, PD_ERR_IO, "no_such_shader");
    assert_int_equal(pd_vk_pipeline_count(p), 0);
    pd_vk_pipelines_destroy(p);
}

static void subgroup_size_can_be_forced(void **state) {
    (void)state;
    if (!device->caps.subgroup_size_control)
        skip_because("the device cannot be asked for a subgroup size");
    pd_vk_pipelines *p = create_pipelines();
    pd_vk_pipeline_desc desc = scale;
    desc.subgroup_size = device->caps.subgroup_size_max;
    desc.constants[0] = 2 * desc.subgroup_size;
    const pd_vk_pipeline *forced = get_pipeline(p, &desc);
    assert_non_null(strchr(forced->name, '@'));
    desc.subgroup_size = 0;
    assert_ptr_not_equal(get_pipeline(p, &desc), forced);
    pd_vk_pipelines_destroy(p);
}

/* ---- the driver's cache -------------------------------------------------------------------- */

static void overwrite(const char *path, long at, const void *data, size_t n) {
    FILE *f = fopen(path, "r+b");
    assert_non_null(f);
    assert_int_equal(fseek(f, at, SEEK_SET), 0);
    assert_int_equal(fwrite(data, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

/* Whether the driver gives nothing worth keeping for a pipeline that it has just made. */
static bool cache_is_empty(void) {
    VkPipelineCacheCreateInfo info = {.sType = VK_STRUCTURE_TYPE_PIPELINE_CACHE_CREATE_INFO};
    VkPipelineCache cache;
    VK_OK(device->vk.vkCreatePipelineCache(device->handle, &info, NULL, &cache));
    size_t n = 0;
    VK_OK(device->vk.vkGetPipelineCacheData(device->handle, cache, &n, NULL));
    device->vk.vkDestroyPipelineCache(device->handle, cache, NULL);
    return n <= sizeof(VkPipelineCacheHeaderVersionOne);
}

static void driver_cache_is_kept(void **state) {
    (void)state;
    char name[256];
    for (int round = 0; round < 4; round++) {
        pd_vk_pipelines *p = create_pipelines();
        get_pipeline(p, &scale);
        pd_vk_pipelines_destroy(p);
        bool kept = find_file("pipelines-", name, sizeof name);
        if (!kept && round == 0) {
            print_message("this driver hands out no data of its pipeline cache\n");
            assert_true(cache_is_empty());
            return;
        }
        assert_true(kept);
        if (round == 1) overwrite(in_folder(name), 0, "GARBAGE", 7);
        if (round == 2) assert_int_equal(truncate(in_folder(name), 20), 0);
    }
}

static void validation_was_silent(void **state) {
    (void)state;
    assert_int_equal(pd_vk_validation_count(), 0);
}

static bool open_llvmpipe(pd_error *err) {
    pd_device_info list[32];
    const char *note = NULL;
    uint32_t n = 0;
    if (pd_vulkan_list(list, 32, &n, &note, err) != PD_OK) return false;
    for (uint32_t i = 0; i < n && i < 32; i++)
        if (strstr(list[i].name, "llvmpipe")) return pd_vk_device_open(i, &device, err) == PD_OK;
    return false;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(computes_with_constants_and_arguments),
        cmocka_unit_test(halves_are_the_nearest),
        cmocka_unit_test(empty_bindings_are_refused),
        cmocka_unit_test(equal_descriptions_share),
        cmocka_unit_test(limits_are_refused),
        cmocka_unit_test(subgroup_size_can_be_forced),
        cmocka_unit_test(driver_cache_is_kept),
        cmocka_unit_test(validation_was_silent),
    };
    pd_error err = {0};
    pd_log_set(print_line, NULL, PD_LOG_WARN);
    if (!pd_env("PERIDOT_VALIDATION")) pd_env_set("PERIDOT_VALIDATION", "core,sync");
    bool open = open_llvmpipe(&err);
    if (!open) pd_env_set("PERIDOT_VALIDATION", NULL);
    if (!open && !open_llvmpipe(&err)) {
        printf("skipped: no Vulkan driver offers llvmpipe\n");
        return 77;
    }
    if (make_folder(NULL) != 0) return 77;
    pd_env_set("PERIDOT_CACHE_DIR", test_folder);
    pd_env_set("PERIDOT_SHADER_DIR", test_data("shaders"));
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    pd_vk_device_close(device);
    remove_folder(NULL);
    return failed;
}
