/* `peridot serve`: a model over HTTP.  SPDX-License-Identifier: MIT */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/env.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/process.h"
#include "cli/commands.h"
#include "cli/notify.h"
#include "server/server.h"

enum { MAX_KEYS = 256 };

typedef struct serve_job {
    const cli_options *o;
    const char *keys[MAX_KEYS]; /* [n_keys], in the options or in key_text */
    size_t n_keys;
    char *key_text; /* --api-key-file's, its lines ended with zeros */
} serve_job;

/* ---- keys ----------------------------------------------------------------------------------- */

static pd_status add_key(serve_job *job, const char *key, pd_error *err) {
    if (job->n_keys == MAX_KEYS)
        return PD_RAISE(err, PD_ERR_ARGUMENT, "there are more than %d keys", MAX_KEYS);
    job->keys[job->n_keys++] = key;
    return PD_OK;
}

/* One on a line; empty lines and those that begin with # are none. */
static pd_status read_key_file(serve_job *job, const char *path, pd_error *err) {
    enum { MAX_BYTES = 1 << 20 };
    size_t n;
    PD_TRY(pd_file_read_all(path, MAX_BYTES, &job->key_text, &n, err));
    for (char *line = job->key_text; line;) {
        char *end = strchr(line, '\n'), *next = end ? end + 1 : NULL;
        if (end) *end = '\0';
        while (isspace((unsigned char)*line)) line++;
        for (size_t k = strlen(line); k > 0 && isspace((unsigned char)line[k - 1]); k--)
            line[k - 1] = '\0';
        if (*line && *line != '#') PD_TRY(add_key(job, line, err));
        line = next;
    }
    if (job->n_keys > 0) return PD_OK;
    return PD_RAISE(err, PD_ERR_ARGUMENT, "\"%s\" has no keys", path);
}

static pd_status read_keys(serve_job *job, pd_error *err) {
    const cli_value *given = &job->o->values[OPT_API_KEY];
    const char *env = pd_env("PERIDOT_API_KEY");
    for (uint32_t i = 0; i < given->given; i++) PD_TRY(add_key(job, given->texts[i], err));
    if (env && *env) PD_TRY(add_key(job, env, err));
    const char *path = cli_text(job->o, OPT_API_KEY_FILE);
    return path ? read_key_file(job, path, err) : PD_OK;
}

/* ---- what the server asks for --------------------------------------------------------------- */

static pd_status open_model(void *ctx, pd_model **out, pd_error *err) {
    const serve_job *job = ctx;
    return cli_open_model(job->o, CLI_OPEN_ALL, out, err);
}

static bool goes_on(void *ctx) {
    (void)ctx;
    bool ends = cli_interrupted();
    if (ends) cli_notify_stopping();
    return !ends;
}

static bool is_loopback(const char *host) {
    return strncmp(host, "127.", 4) == 0 || strcmp(host, "::1") == 0 ||
           strcmp(host, "localhost") == 0;
}

/* Scripts wait for the first line. */
static void tell_ready(void *ctx, uint16_t port) {
    const serve_job *job = ctx;
    const char *host = cli_text(job->o, OPT_HOST), *socket = cli_text(job->o, OPT_SOCKET);
    bool is_v6 = strchr(host, ':') != NULL;
    if (socket)
        fprintf(stderr, "peridot: listening on unix:%s\n", socket);
    else
        fprintf(stderr, "peridot: listening on %s://%s%s%s:%u\n",
                cli_text(job->o, OPT_SSL_KEY) ? "https" : "http", is_v6 ? "[" : "", host,
                is_v6 ? "]" : "", port);
    if (!socket && !is_loopback(host) && job->n_keys == 0)
        fputs("peridot: other machines can ask, and no key is needed (--api-key-file)\n", stderr);
    cli_notify_ready();
}

/* ---- descriptions --------------------------------------------------------------------------- */

static pd_http_desc http_desc(const serve_job *job) {
    const cli_options *o = job->o;
    const cli_value *origins = &o->values[OPT_CORS_ORIGINS];
    return (pd_http_desc){.host = cli_text(o, OPT_HOST),
                          .port = (uint16_t)cli_u32(o, OPT_PORT),
                          .allow_any_host = cli_given(o, OPT_ANY_HOST),
                          .socket_path = cli_text(o, OPT_SOCKET),
                          .tls_key = cli_text(o, OPT_SSL_KEY),
                          .tls_cert = cli_text(o, OPT_SSL_CERT),
                          .api_keys = job->keys,
                          .n_api_keys = job->n_keys,
                          .cors_origins = origins->texts,
                          .n_cors_origins = origins->given,
                          .n_threads = cli_u32(o, OPT_HTTP_THREADS),
                          .max_connections = cli_u32(o, OPT_CONNECTIONS),
                          .max_body_bytes = (uint64_t)cli_u32(o, OPT_BODY_LIMIT) << 20,
                          .idle_seconds = cli_u32(o, OPT_TIMEOUT),
                          .max_per_address = cli_u32(o, OPT_PER_ADDRESS),
                          .requests_per_second = cli_real(o, OPT_RATE)};
}

static pd_batch_desc batch_desc(const cli_options *o) {
    uint64_t cache_bytes = (uint64_t)cli_int(o, OPT_CACHE_RAM) << 20;
    pd_batch_desc d = {.session = cli_session(o, 0),
                       .n_parallel = cli_u32(o, OPT_SERVE_PARALLEL),
                       .max_waiting = cli_u32(o, OPT_MAX_WAITING),
                       .cache_bytes = cache_bytes ? cache_bytes : PD_NO_CACHE,
                       .step_ms = cli_u32(o, OPT_STEP_MS),
                       .deterministic = cli_given(o, OPT_DETERMINISTIC)};
    if (cli_given(o, OPT_SERVE_CTX)) {
        uint32_t n_ctx = cli_u32(o, OPT_SERVE_CTX);
        d.session.n_ctx = n_ctx ? n_ctx : PD_SERVER_WHOLE_CONTEXT;
    }
    return d;
}

static pd_server_desc server_desc(serve_job *job) {
    const cli_options *o = job->o;
    int64_t n_predict = cli_int(o, OPT_PREDICT);
    return (pd_server_desc){.http = http_desc(job),
                            .name = cli_text(o, OPT_ALIAS),
                            .path = cli_text(o, OPT_MODEL),
                            .batch = batch_desc(o),
                            .sampler = cli_sampler(o),
                            .random_seed = cli_int(o, OPT_SEED) < 0,
                            .n_predict = n_predict > 0 ? (uint32_t)n_predict : 0,
                            .media_path = cli_text(o, OPT_MEDIA_PATH),
                            .allow_image_urls = cli_given(o, OPT_IMAGE_URLS),
                            .max_images = cli_u32(o, OPT_MAX_IMAGES),
                            .open = open_model,
                            .ctx = job,
                            .goes_on = goes_on,
                            .drain_seconds = cli_u32(o, OPT_DRAIN),
                            .ready = tell_ready};
}

pd_status cli_serve(const cli_options *o, pd_error *err) {
    serve_job job = {.o = o};
    cli_interrupt_install();
    pd_process_ignore_pipes();
    pd_status status = read_keys(&job, err);
    if (status == PD_OK) {
        pd_server_desc desc = server_desc(&job);
        status = pd_server_run(&desc, err);
    }
    pd_free(job.key_text);
    return status;
}
