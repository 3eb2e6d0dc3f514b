/* `peridot logits`: the logits of every position, as raw little-endian float32 [n_tokens, n_vocab].
 *
 * Normally all tokens go through prompt steps of at most --batch-size. With --decode-after K the
 * first K do, and each further token through a generation step of its own: both ways must give the
 * same rows to within the precision class. Two sessions are then used one after the other, so that
 * the generation steps are the very ones that `run` takes.
 *
 * <image> among the tokens stands for the rows of the next --image, and each of them has logits
 * too. They are computed at once, so that no picture may come behind the first K.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/file.h"
#include "cli/images.h"
#include "measure/logits.h"

typedef struct logits_job {
    const cli_options *o;
    pd_model *model;
    cli_ids ids;
    cli_images images;
    pd_prompt prompt; /* of these two */
    size_t n_begin;   /* ids that go through prompt steps */
    uint32_t n_vocab;
    uint64_t done_bytes, total_bytes;
    pd_file_writer *writer;
    cli_progress progress;
} logits_job;

/* A pd_logits_fn. logits: [n_rows, n_vocab] */
static pd_status write_rows(void *ctx, uint32_t first_pos, uint32_t n_rows, const float *logits,
                            pd_error *err) {
    logits_job *job = ctx;
    (void)first_pos;
    size_t n_bytes = (size_t)n_rows * job->n_vocab * sizeof(float);
    pd_file_writer_write(job->writer, logits, n_bytes);
    job->done_bytes += n_bytes;
    cli_progress_update(&job->progress, job->done_bytes, job->total_bytes);
    return cli_check_interrupt(err);
}

static pd_status score(void *ctx, pd_session *session, pd_error *err) {
    logits_job *job = ctx;
    pd_prompt begin = pd_prompt_begin(&job->prompt, job->n_begin);
    return pd_session_score(session, &begin, 0, write_rows, job, err);
}

static pd_status decode(void *ctx, pd_session *session, pd_error *err) {
    logits_job *job = ctx;
    return pd_logits_by_steps(session, &job->prompt, job->n_begin, write_rows, job, err);
}

/* Sets n_begin by --decode-after. */
static pd_status check_begin(logits_job *job, pd_error *err) {
    const pd_prompt *p = &job->prompt;
    job->n_begin = p->n_ids;
    if (!cli_given(job->o, OPT_DECODE_AFTER)) return PD_OK;
    job->n_begin = cli_u32(job->o, OPT_DECODE_AFTER);
    if (job->n_begin >= p->n_ids)
        return PD_RAISE(err, PD_ERR_ARGUMENT,
                        "--decode-after must be below the number of tokens, %zu, but is %zu",
                        p->n_ids, job->n_begin);
    if (pd_prompt_begin(p, job->n_begin).n_images < p->n_images)
        return PD_RAISE(err, PD_ERR_ARGUMENT,
                        "--decode-after is %zu, but a picture follows, whose rows are computed "
                        "at once",
                        job->n_begin);
    return PD_OK;
}

static pd_status compute(logits_job *job, pd_error *err) {
    const pd_model_info *info = pd_model_get_info(job->model);
    const pd_prompt ids = {.ids = job->ids.ids, .images = job->images.list.images};
    job->n_vocab = info->n_vocab;
    PD_TRY(cli_check_ids(&job->ids, info->n_vocab, err));
    job->prompt = pd_prompt_begin(&ids, job->ids.n);
    if (job->prompt.n_images != job->images.list.n)
        return PD_RAISE(err, PD_ERR_ARGUMENT,
                        "--tokens has places for %zu pictures, but %zu --image are given",
                        job->prompt.n_images, job->images.list.n);
    uint64_t n_positions = pd_prompt_count(job->model, &job->prompt);
    job->total_bytes = n_positions * info->n_vocab * sizeof(float);
    if (n_positions > info->n_ctx_train)
        return PD_RAISE(err, PD_ERR_CONTEXT, "there are %llu tokens, but the model handles %u",
                        (unsigned long long)n_positions, info->n_ctx_train);
    PD_TRY(check_begin(job, err));
    pd_session_desc desc = cli_session(job->o, (uint32_t)n_positions);
    PD_TRY(cli_with_session(job->model, &desc, score, job, err));
    if (job->n_begin == job->prompt.n_ids) return PD_OK;
    desc.all_logits = false;
    return cli_with_session(job->model, &desc, decode, job, err);
}

/* A pd_file_write_fn. */
static pd_status write_logits(void *ctx, pd_file_writer *writer, pd_error *err) {
    logits_job *job = ctx;
    job->writer = writer;
    PD_TRY(cli_open_model(job->o, CLI_OPEN_ALL, &job->model, err));
    cli_progress_begin(&job->progress, "computing");
    pd_status status = compute(job, err);
    cli_progress_end(&job->progress);
    return status;
}

pd_status cli_logits(const cli_options *o, pd_error *err) {
    logits_job job = {.o = o};
    pd_status status;
    PD_TRY_GOTO(cli_need(o, OPT_OUTPUT, err));
    PD_TRY_GOTO(cli_read_ids(o, &job.ids, err));
    PD_TRY_GOTO(cli_images_read(o, &job.images, err));
    status = pd_file_write(cli_text(o, OPT_OUTPUT), write_logits, &job, err);
done:
    pd_model_close(job.model);
    cli_images_free(&job.images);
    pd_free(job.ids.ids);
    return status;
}
