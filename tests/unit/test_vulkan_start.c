/* Opening a model on the software rasteriser llvmpipe builds pipelines while the weights upload:
 * exactly those that the session takes which was announced, and a second start finds every shader
 * compiled. A shader that is broken is told by the session, a cancelled upload leaves nothing
 * behind. A driver that refuses kernels gets simpler ones.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/env.h"
#include "support_folder.h"

#include "backend/vulkan/program/backend.h"
#include "backend/vulkan/kernels/shader_texts.h"
#include "engine/model.h"
#include "support_validation.h"
#include "support_data.h"

#define MODEL test_data("golden/small-q4_0.gguf")

static char device[16];

static void expect_ok(pd_status status, const pd_error *err) {
    if (status != PD_OK) print_message("%s\n", err->message);
    assert_int_equal(status, PD_OK);
}

static pd_model *open_model(const pd_session_desc *announced) {
    pd_model *m;
    pd_error err = {0};
    pd_model_desc desc = {.device = device};
    if (announced) desc.session = *announced;
    expect_ok(pd_model_open(MODEL, &desc, &m, &err), &err);
    return m;
}

/* Pipelines in the model's list, built or about to be. */
static uint32_t count_pipelines(const pd_model *m) {
    return pd_vk_pipeline_count(((const pd_vk_backend *)m->backend)->pipelines);
}

/* Embedding, first norm, logits and draw are not in layers (`n_outside`); each layer has eight
 * operations. */
static void check_counts(const pd_model *m, const pd_step_counts *n, uint32_t n_outside) {
    assert_true(n->n_layer_dispatches >= 8 * pd_model_get_info(m)->n_layers);
    assert_true(n->n_dispatches >= n->n_layer_dispatches + n_outside);
    assert_true(n->n_barriers > 0 && n->n_barriers < n->n_dispatches);
    assert_true(n->n_submits > 0 && n->n_submits <= n->n_dispatches);
}

/* What a start with this session built. */
static pd_build_stats start(const pd_session_desc *desc) {
    pd_session *s;
    pd_error err = {0};
    pd_model *m = open_model(desc);
    uint32_t n_announced = count_pipelines(m);
    expect_ok(pd_session_create(m, desc, &s, &err), &err);
    assert_int_equal(count_pipelines(m), n_announced);
    pd_build_stats build = pd_session_get_stats(s)->build;
    assert_int_equal(build.n_pipelines, n_announced);
    check_counts(m, &pd_session_get_stats(s)->decode_step, 4);
    if (desc->n_chunk != 1)
        check_counts(m, &pd_session_get_stats(s)->prompt_step, desc->all_logits ? 2 : 4);
    uint32_t id, ids[3] = {2, 300, 301};
    expect_ok(pd_session_sync(s, ids, 3, &err), &err);
    expect_ok(pd_session_argmax(s, &id, &err), &err);
    pd_session_destroy(s);
    pd_model_close(m);
    return build;
}

static void a_second_start_compiles_nothing(void **state) {
    (void)state;
    const pd_session_desc descs[] = {
        {0},
        {.n_ctx = 64, .n_chunk = 1},
        {.n_chunk = 40, .precision = PD_PRECISION_EXACT, .all_logits = true},
    };
    for (size_t i = 0; i < sizeof descs / sizeof *descs; i++) {
        empty_folder();
        pd_build_stats cold = start(&descs[i]), warm = start(&descs[i]);
        assert_true(cold.n_shaders > 5 && cold.n_shaders <= cold.n_pipelines);
        assert_true(cold.shader_ns > 0 && cold.pipeline_ns > 0);
        assert_int_equal(warm.n_shaders, 0);
        assert_int_equal(warm.shader_ns, 0);
        assert_int_equal(warm.n_pipelines, cold.n_pipelines);
    }
}

static void other_sessions_are_built_later(void **state) {
    (void)state;
    pd_session *s;
    pd_error err = {0};
    pd_model *m = open_model(NULL);
    uint32_t n_announced = count_pipelines(m);
    pd_session_desc desc = {.precision = PD_PRECISION_EXACT};
    expect_ok(pd_session_create(m, &desc, &s, &err), &err);
    assert_true(count_pipelines(m) > n_announced);
    assert_int_equal(pd_session_get_stats(s)->build.n_pipelines, count_pipelines(m));
    pd_session_destroy(s);
    pd_model_close(m);
}

/* Threads are still at work when the model goes. */
static void models_close_in_the_middle(void **state) {
    (void)state;
    for (int i = 0; i < 4; i++) {
        empty_folder();
        pd_model_close(open_model(NULL));
    }
}

static bool stop_at_once(void *ctx, uint64_t done, uint64_t total) {
    (void)ctx, (void)done, (void)total;
    return false;
}

static void uploads_can_be_cancelled(void **state) {
    (void)state;
    pd_model *m;
    pd_error err = {0};
    pd_model_desc desc = {.device = device, .progress = stop_at_once};
    empty_folder();
    assert_int_equal(pd_model_open(MODEL, &desc, &m, &err), PD_ERR_CANCELLED);
    assert_null(m);
}

/* All shaders' texts in a folder, that of attention.comp with an error. */
static void write_broken_shaders(void) {
    for (unsigned i = 0; i < pd_shader_text_count; i++) {
        FILE *f = fopen(in_folder(pd_shader_texts[i].name), "wb");
        assert_non_null(f);
        fwrite(pd_shader_texts[i].text, 1, pd_shader_texts[i].n_bytes, f);
        if (!strcmp(pd_shader_texts[i].name, "attention.comp")) fputs("\nno_such_thing;\n", f);
        assert_int_equal(fclose(f), 0);
    }
}

static void mistakes_are_told_by_the_session(void **state) {
    (void)state;
    pd_session *s;
    pd_error err = {0};
    empty_folder();
    write_broken_shaders();
    pd_env_set("PERIDOT_SHADER_DIR", test_folder);
    pd_model *m = open_model(NULL);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pd_session_create(m, &(pd_session_desc){0}, &s, &err), PD_ERR_INTERNAL);
        assert_non_null(strstr(err.message, "attention"));
    }
    pd_model_close(m);
    pd_env_set("PERIDOT_SHADER_DIR", NULL);
    empty_folder();
}

/* ---- a driver that refuses ------------------------------------------------------------------ */

static struct {
    PFN_vkCreateShaderModule make_module;
    PFN_vkCreateComputePipelines create;
    bool all;
    uint32_t n_warnings;
} refusal;

static bool computes_in_halves(const VkShaderModuleCreateInfo *info) {
    enum { HEADER_WORDS = 5, OP_CAPABILITY = 17, FLOAT16 = 9 };
    for (size_t at = HEADER_WORDS; at < info->codeSize / 4; at += info->pCode[at] >> 16)
        if ((info->pCode[at] & 0xffff) == OP_CAPABILITY && info->pCode[at + 1] == FLOAT16)
            return true;
    return false;
}

/* Each thread makes a module and then the pipeline of it. */
static _Thread_local bool in_halves;

static VKAPI_ATTR VkResult VKAPI_CALL look_at(VkDevice d, const VkShaderModuleCreateInfo *info,
                                              const VkAllocationCallbacks *allocator,
                                              VkShaderModule *out) {
    in_halves = computes_in_halves(info);
    return refusal.make_module(d, info, allocator, out);
}

static VKAPI_ATTR VkResult VKAPI_CALL refuse(VkDevice d, VkPipelineCache cache, uint32_t n,
                                             const VkComputePipelineCreateInfo *info,
                                             const VkAllocationCallbacks *allocator,
                                             VkPipeline *out) {
    if (!refusal.all && !in_halves) return refusal.create(d, cache, n, info, allocator, out);
    *out = VK_NULL_HANDLE;
    return VK_ERROR_UNKNOWN;
}

static void count_warnings(void *ctx, pd_log_level level, const char *subsystem, const char *line) {
    (void)ctx, (void)level, (void)subsystem;
    refusal.n_warnings += strstr(line, "plain f32 kernels") != NULL;
}

static pd_model *open_refusing_model(bool all) {
    pd_model *m = open_model(&(pd_session_desc){.precision = PD_PRECISION_EXACT});
    pd_vk_backend *b = (pd_vk_backend *)m->backend;
    pd_vk_device *d = b->device;
    b->tuning.decode_format = b->tuning.prefill_format = PD_ACT_F16;
    refusal.make_module = d->vk.vkCreateShaderModule;
    refusal.create = d->vk.vkCreateComputePipelines;
    refusal.all = all;
    refusal.n_warnings = 0;
    d->vk.vkCreateShaderModule = look_at;
    d->vk.vkCreateComputePipelines = refuse;
    return m;
}

static uint32_t answer(pd_model *m, pd_precision precision) {
    pd_session *s;
    pd_error err = {0};
    uint32_t id, ids[3] = {2, 300, 301};
    pd_session_desc desc = {.precision = precision};
    expect_ok(pd_session_create(m, &desc, &s, &err), &err);
    expect_ok(pd_session_sync(s, ids, 3, &err), &err);
    expect_ok(pd_session_argmax(s, &id, &err), &err);
    pd_session_destroy(s);
    return id;
}

static void refused_kernels_are_done_without(void **state) {
    (void)state;
    pd_model *m = open_refusing_model(false);
    pd_log_set(count_warnings, NULL, PD_LOG_WARN);
    uint32_t id = answer(m, PD_PRECISION_F16);
    pd_log_set(NULL, NULL, PD_LOG_WARN);
    assert_int_equal(refusal.n_warnings, 4); /* decode, few, some, prefill */
    assert_int_equal(((pd_vk_backend *)m->backend)->tuning.decode_format, PD_ACT_F16);
    assert_int_equal(id, answer(m, PD_PRECISION_EXACT));
    pd_model_close(m);
}

/* Where the simple ones are refused too, the session says what the driver said. */
static void a_driver_may_refuse_everything(void **state) {
    (void)state;
    pd_session *s;
    pd_error err = {0};
    pd_model *m = open_refusing_model(true);
    pd_log_set(count_warnings, NULL, PD_LOG_WARN);
    assert_int_equal(pd_session_create(m, &(pd_session_desc){0}, &s, &err), PD_ERR_DEVICE);
    pd_log_set(NULL, NULL, PD_LOG_WARN);
    assert_int_equal(refusal.n_warnings, 1);
    assert_null(s);
    assert_non_null(strstr(err.message, "does not create pipeline"));
    pd_model_close(m);
}

static bool find_software(void) {
    pd_device_info list[16];
    uint32_t n = 0;
    if (pd_device_list(list, 16, &n, NULL, NULL) != PD_OK) return false;
    for (uint32_t i = 0; i < n && i < 16; i++)
        if (list[i].kind == PD_DEVICE_SOFTWARE && list[i].usable) {
            snprintf(device, sizeof device, "%s", list[i].id);
            return true;
        }
    return false;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_second_start_compiles_nothing),
        cmocka_unit_test(other_sessions_are_built_later),
        cmocka_unit_test(models_close_in_the_middle),
        cmocka_unit_test(uploads_can_be_cancelled),
        cmocka_unit_test(mistakes_are_told_by_the_session),
        cmocka_unit_test(refused_kernels_are_done_without),
        cmocka_unit_test(a_driver_may_refuse_everything),
        cmocka_unit_test(check_validation_silent),
    };
    if (!find_software() || make_folder(NULL) != 0) {
        printf("skipped: no software rasteriser (Mesa's llvmpipe), or no folder in /tmp\n");
        return 77;
    }
    PRINT_LOG();
    pd_env_set("PERIDOT_CACHE_DIR", test_folder); /* and shaders, in one test */
    pd_env_set("PERIDOT_SHADER_DIR", NULL);
    pd_env_set("PERIDOT_TUNE",
               "off"); /* its candidates are pipelines too, of a first start alone */
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    remove_folder(NULL);
    return failed;
}
