/* Building many pipelines at once, on all processors: drivers take 5 to 500 ms for one.
 * SPDX-License-Identifier: MIT
 */
#include <string.h>

#include "backend/vulkan/kernels/pipelines.h"
#include "base/memory.h"

static void fetch_shaders(void *ctx, uint32_t begin, uint32_t end, uint32_t thread) {
    (void)thread;
    pd_vk_build_job *job = ctx;
    for (uint32_t i = begin; i < end && !atomic_load(&job->stop); i++) {
        const char *name = job->list[i]->desc.shader;
        const pd_vk_shader *s;
        bool first = true;
        for (uint32_t k = 0; k < i && first; k++) first = strcmp(job->list[k]->desc.shader, name);
        if (first)
            (void)pd_vk_pipelines_shader(job->pipelines, name, &s,
                                         NULL); /* build_range will tell */
    }
}

static void build_range(void *ctx, uint32_t begin, uint32_t end, uint32_t thread) {
    (void)thread;
    pd_vk_build_job *job = ctx;
    for (uint32_t i = begin; i < end && !atomic_load(&job->stop); i++)
        job->statuses[i] = pd_vk_pipeline_build(job->pipelines, job->list[i], &job->errors[i]);
}

/* First every shader once, since one is often what several pipelines are made of. */
static pd_status run_job(pd_vk_build_job *job, pd_error *err) {
    pd_pool *pool;
    PD_TRY(pd_pool_create(job->n_threads < job->n ? job->n_threads : job->n, &pool, err));
    pd_pool_run(pool, job->n, 1, fetch_shaders, job);
    pd_pool_run(pool, job->n, 1, build_range, job);
    pd_pool_destroy(pool);
    return PD_OK;
}

static void free_job(pd_vk_build_job *job) {
    pd_free(job->list);
    pd_free(job->errors);
    pd_free(job->statuses);
    *job = (pd_vk_build_job){0};
}

/* A job of everything that is wanted and not built. Frees what it made when memory runs out. */
static pd_status create_job(pd_vk_pipelines *p, uint32_t n_threads, pd_vk_build_job *job,
                            pd_error *err) {
    *job = (pd_vk_build_job){.pipelines = p,
                             .list = pd_alloc(p->n + 1, sizeof(pd_vk_pipeline *)),
                             .errors = pd_alloc(p->n + 1, sizeof *job->errors),
                             .statuses = pd_alloc(p->n + 1, sizeof *job->statuses),
                             .n_threads = n_threads};
    if (!job->list || !job->errors || !job->statuses) {
        free_job(job);
        return PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory to build pipelines");
    }
    for (uint32_t i = 0; i < p->n; i++)
        if (!p->list[i]->handle && p->list[i]->wanted) job->list[job->n++] = p->list[i];
    return PD_OK;
}

static void forget_unbuilt(pd_vk_pipelines *p) {
    uint32_t n = 0;
    for (uint32_t i = 0; i < p->n; i++)
        if (p->list[i]->handle)
            p->list[n++] = p->list[i];
        else
            pd_vk_pipeline_destroy(p->device, p->list[i]);
    p->n = n;
}

static pd_status build_all(pd_vk_pipelines *p, pd_error *err) {
    pd_vk_build_job job;
    PD_TRY(create_job(p, pd_cpu_count(), &job, err));
    pd_status status = job.n > 0 ? run_job(&job, err) : PD_OK;
    for (uint32_t i = 0; i < job.n && status == PD_OK; i++) {
        status = job.statuses[i];
        if (status != PD_OK && err) *err = job.errors[i];
    }
    free_job(&job);
    return status;
}

pd_status pd_vk_pipelines_build(pd_vk_pipelines *p, pd_error *err) {
    pd_vk_pipelines_join(p);
    pd_status status = build_all(p, err);
    if (status != PD_OK) forget_unbuilt(p); /* what failed once must not fail later programs */
    return status;
}

/* ---- in the background ---------------------------------------------------------------------- */

static void builder_main(void *ctx) {
    (void)run_job(ctx, NULL);
}

void pd_vk_pipelines_join(pd_vk_pipelines *p) {
    if (!p->builder) return;
    pd_thread_join(p->builder);
    p->builder = NULL;
    for (uint32_t i = 0; i < p->background.n; i++) p->background.list[i]->in_flight = false;
    free_job(&p->background);
}

/* On all processors: the caller waits for the file and the device most of the time. */
void pd_vk_pipelines_begin(pd_vk_pipelines *p) {
    pd_vk_build_job *job = &p->background;
    pd_vk_pipelines_join(p);
    if (create_job(p, pd_cpu_count(), job, NULL) != PD_OK) return;
    if (job->n == 0 || pd_thread_start(builder_main, job, &p->builder, NULL) != PD_OK)
        free_job(job);
    else
        for (uint32_t i = 0; i < job->n; i++) {
            job->list[i]->in_flight = true;
            job->list[i]->wanted = false; /* until somebody declares it in earnest */
        }
}
