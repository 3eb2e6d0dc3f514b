/* `peridot embed-image`: what an image becomes, as raw little-endian float32 [n_tokens, n_embd].
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/file.h"
#include "base/memory.h"
#include "cli/images.h"
#include "image/image.h"

typedef struct embed_job {
    const cli_options *o;
    pd_model *model;
    cli_images images;
    float *pixels; /* [3, size, size] */
    float *rows;   /* [n_tokens, n_embd] */
} embed_job;

static pd_status check_flags(const cli_options *o, pd_error *err) {
    bool image = cli_given(o, OPT_IMAGE), pixels = cli_given(o, OPT_PIXELS);
    PD_TRY(cli_need(o, OPT_OUTPUT, err));
    if (image == pixels)
        return PD_RAISE(err, PD_ERR_ARGUMENT, "one of --image FILE and --pixels FILE is needed");
    if (o->values[OPT_IMAGE].given > 1)
        return PD_RAISE(err, PD_ERR_ARGUMENT, "embed-image takes one --image, not %u",
                        o->values[OPT_IMAGE].given);
    return PD_OK;
}

static uint64_t pixel_bytes(const pd_vision_info *v) {
    return 3ull * v->image_size * v->image_size * sizeof(float);
}

static uint64_t row_bytes(const pd_vision_info *v) {
    return (uint64_t)v->n_tokens * v->n_embd_out * sizeof(float);
}

static pd_status read_pixels(embed_job *job, const pd_vision_info *v, pd_error *err) {
    const char *path = cli_text(job->o, OPT_PIXELS);
    if (path) return pd_image_read_packed(path, v->image_size, job->pixels, err);
    return pd_model_image_pixels(job->model, &job->images.list.images[0], job->pixels, err);
}

static pd_status profile(embed_job *job, pd_error *err) {
    pd_kind_profile kinds = {0};
    cli_profile p = {.kinds = &kinds};
    pd_device_speed speed;
    PD_TRY(pd_model_measure(job->model, &speed, err));
    PD_TRY(pd_model_profile_image(job->model, cli_profile_add, &p, err));
    PD_TRY(cli_check_interrupt(err));
    cli_print_profile(&kinds, &speed, "the image");
    return PD_OK;
}

/* A pd_file_write_fn. */
static pd_status write_rows(void *ctx, pd_file_writer *out, pd_error *err) {
    embed_job *job = ctx;
    const pd_vision_info *v = pd_model_get_vision(job->model);
    const char *dump = cli_text(job->o, OPT_DUMP_PIXELS);
    job->pixels = pd_alloc(1, pixel_bytes(v));
    job->rows = pd_alloc(1, row_bytes(v));
    if (!job->pixels || !job->rows)
        return PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory for an image");
    PD_TRY(read_pixels(job, v, err));
    if (dump) PD_TRY(pd_file_write_all(dump, job->pixels, pixel_bytes(v), err));
    cli_interrupt_watch_model(job->model);
    pd_status status = pd_model_embed_pixels(job->model, job->pixels, job->rows, err);
    cli_interrupt_watch_model(NULL);
    if (status == PD_OK) pd_file_writer_write(out, job->rows, row_bytes(v));
    return status;
}

static pd_status embed(embed_job *job, pd_error *err) {
    PD_TRY(pd_file_write(cli_text(job->o, OPT_OUTPUT), write_rows, job, err));
    const pd_vision_info *v = pd_model_get_vision(job->model);
    const pd_vision_stats *stats = pd_model_get_vision_stats(job->model);
    fprintf(stderr, "%u rows of %u values from %ux%u pixels in %.1f ms\n", v->n_tokens,
            v->n_embd_out, v->image_size, v->image_size, cli_ms(stats->encode_ns));
    return cli_given(job->o, OPT_IMAGE_PROFILE) ? profile(job, err) : PD_OK;
}

pd_status cli_embed_image(const cli_options *o, pd_error *err) {
    embed_job job = {.o = o};
    PD_TRY(check_flags(o, err));
    pd_status status = cli_images_read(o, &job.images, err);
    if (status == PD_OK) status = cli_open_model(o, CLI_OPEN_VISION, &job.model, err);
    if (status == PD_OK) status = embed(&job, err);
    pd_model_close(job.model);
    cli_images_free(&job.images);
    pd_free(job.pixels);
    pd_free(job.rows);
    return status;
}
