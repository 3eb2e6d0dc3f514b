/* `peridot serve` without its command line: a model behind HTTP, in the interfaces that clients
 * speak already.
 *
 *     http*.c          connections, limits, keys: knows nothing of models
 *     server.c         life: from loading to draining; a device that was lost is opened again
 *     routes.c         which path is whose
 *     fields.c         JSON that came in: typed fields, each refusal with the field's name
 *     settings.c       how tokens are drawn, as every interface names it
 *     prompt_*.c       texts, tokens, messages and pictures to what a batch takes
 *     image*.c         pictures in requests, below a folder, and from the network
 *     public_address.c whom the network may be asked for
 *     call*.c          a request under way: events of a batch to texts, and what writers make of
 *                      them
 *     write_*.c        these as each interface wants them, whole or streamed
 *     about_*.c        what a server tells of itself, and of tokens
 *     page.c, page/    the page for people, and the files that it is made of
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_SERVER_SERVER_H
#define PD_SERVER_SERVER_H

#include "peridot_batch.h"
#include "server/http.h"

typedef struct pd_server pd_server;

/* Of batch.session.n_ctx: as many positions as the model has. */
#define PD_SERVER_WHOLE_CONTEXT UINT32_MAX

typedef struct pd_server_desc {
    pd_http_desc http; /* handler and ctx are the server's own */
    const char *name;  /* that the model is known by; default: the model's */
    const char *path;  /* of its file, for /props; NULL: not told */
    pd_batch_desc batch;
    pd_sampler_desc sampler; /* what a request does not say; without biases */
    bool random_seed;        /* draw one for requests that bring none; else sampler.seed */
    uint32_t n_predict;      /* most tokens of an answer; 0: what the context leaves room for */
    const char *media_path;  /* file:// is read below this folder alone; NULL: never */
    bool allow_image_urls;   /* fetch http(s) pictures */
    uint32_t max_images;     /* of a request; default 64 */
    pd_image_limits image;   /* of each */
    /* Opens the model: at first, and again when its device was lost. Errors: end the server, but
     * for the second time on: it is tried again. */
    pd_status (*open)(void *ctx, pd_model **out, pd_error *err);
    void *ctx;
    bool (*goes_on)(void *ctx); /* false: drain and end; asked several times a second */
    uint32_t drain_seconds;     /* what is running then gets so long */
    /* Told once when requests can be answered. */
    void (*ready)(void *ctx, uint16_t port);
} pd_server_desc;

/* Serves until goes_on says no, or opening the model fails. Errors: those of pd_http_start, open,
 * pd_batch_create. */
pd_status pd_server_run(const pd_server_desc *desc, pd_error *err);

#endif
