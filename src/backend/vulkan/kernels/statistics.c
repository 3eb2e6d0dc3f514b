/* Statistics and texts of a pipeline's executables; a compute pipeline has one with every driver so
 * far, but more are read all the same.  SPDX-License-Identifier: MIT
 */
#include "backend/vulkan/kernels/statistics.h"

#include "base/memory.h"

enum { MAX_STATISTICS = 64, MAX_REPRESENTATIONS = 16 };

static double value_of(const VkPipelineExecutableStatisticKHR *s) {
    switch (s->format) {
    case VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_BOOL32_KHR: return s->value.b32;
    case VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_INT64_KHR: return (double)s->value.i64;
    case VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_FLOAT64_KHR: return s->value.f64;
    default: return (double)s->value.u64;
    }
}

static pd_status count_executables(pd_vk_device *d, const pd_vk_pipeline *pipeline, uint32_t *n,
                                   pd_error *err) {
    pd_status status = PD_OK;
    VkPipelineInfoKHR info = {.sType = VK_STRUCTURE_TYPE_PIPELINE_INFO_KHR,
                              .pipeline = pipeline->handle};
    PD_VK_TRY_GOTO(d->vk.vkGetPipelineExecutablePropertiesKHR(d->handle, &info, n, NULL));
done:
    return status;
}

/* The driver's failure to list all that it has is no failure here. */
static pd_status list_result(VkResult result, pd_error *err) {
    pd_status status = PD_OK;
    if (result != VK_INCOMPLETE) PD_VK_TRY_GOTO(result);
done:
    return status;
}

static VkPipelineExecutableInfoKHR executable(const pd_vk_pipeline *pipeline, uint32_t index) {
    return (VkPipelineExecutableInfoKHR){
        .sType = VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_INFO_KHR,
        .pipeline = pipeline->handle,
        .executableIndex = index,
    };
}

pd_status pd_vk_statistics_each(pd_vk_device *d, const pd_vk_pipeline *pipeline,
                                pd_vk_statistic_fn fn, void *ctx, pd_error *err) {
    VkPipelineExecutableStatisticKHR list[MAX_STATISTICS];
    uint32_t n_executables;
    PD_TRY(count_executables(d, pipeline, &n_executables, err));
    for (uint32_t e = 0; e < n_executables; e++) {
        VkPipelineExecutableInfoKHR info = executable(pipeline, e);
        uint32_t n = MAX_STATISTICS;
        for (uint32_t i = 0; i < n; i++)
            list[i] = (VkPipelineExecutableStatisticKHR){
                .sType = VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_STATISTIC_KHR};
        PD_TRY(list_result(d->vk.vkGetPipelineExecutableStatisticsKHR(d->handle, &info, &n, list),
                           err));
        for (uint32_t i = 0; i < n; i++) fn(ctx, list[i].name, value_of(&list[i]));
    }
    return PD_OK;
}

/* ---- texts --------------------------------------------------------------------------------- */

static void free_texts(VkPipelineExecutableInternalRepresentationKHR *list, uint32_t n) {
    for (uint32_t i = 0; i < n; i++) pd_free(list[i].pData);
}

/* A second call fills in what the first gave the sizes of. One byte more ends a text that the
 * driver does not end. */
static pd_status alloc_texts(VkPipelineExecutableInternalRepresentationKHR *list, uint32_t n,
                             pd_error *err) {
    for (uint32_t i = 0; i < n; i++) {
        list[i].pData = pd_alloc(list[i].dataSize + 1, 1);
        if (!list[i].pData)
            return PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory for a pipeline's program");
    }
    return PD_OK;
}

static pd_status representations_of(pd_vk_device *d, const VkPipelineExecutableInfoKHR *info,
                                    pd_vk_representation_fn fn, void *ctx, pd_error *err) {
    pd_status status = PD_OK;
    VkPipelineExecutableInternalRepresentationKHR list[MAX_REPRESENTATIONS];
    uint32_t n = MAX_REPRESENTATIONS;
    for (uint32_t i = 0; i < n; i++)
        list[i] = (VkPipelineExecutableInternalRepresentationKHR){
            .sType = VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_INTERNAL_REPRESENTATION_KHR};
    PD_TRY_GOTO(list_result(
        d->vk.vkGetPipelineExecutableInternalRepresentationsKHR(d->handle, info, &n, list), err));
    PD_TRY_GOTO(alloc_texts(list, n, err));
    PD_TRY_GOTO(list_result(
        d->vk.vkGetPipelineExecutableInternalRepresentationsKHR(d->handle, info, &n, list), err));
    for (uint32_t i = 0; i < n; i++)
        if (list[i].isText) fn(ctx, list[i].name, list[i].pData);
done:
    free_texts(list, MAX_REPRESENTATIONS);
    return status;
}

pd_status pd_vk_representations_each(pd_vk_device *d, const pd_vk_pipeline *pipeline,
                                     pd_vk_representation_fn fn, void *ctx, pd_error *err) {
    uint32_t n_executables;
    PD_TRY(count_executables(d, pipeline, &n_executables, err));
    for (uint32_t e = 0; e < n_executables; e++) {
        VkPipelineExecutableInfoKHR info = executable(pipeline, e);
        PD_TRY(representations_of(d, &info, fn, ctx, err));
    }
    return PD_OK;
}
