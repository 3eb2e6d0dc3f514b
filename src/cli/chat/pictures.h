/* Pictures of a conversation: read once, when they are attached, and kept: their pixels for the
 * model, their files' bytes for a saved conversation, which must be whole though the files have
 * changed by then or are gone.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_CLI_CHAT_PICTURES_H
#define PD_CLI_CHAT_PICTURES_H

#include "image/list.h"

typedef struct chat_picture {
    char *path;      /* as the user named it */
    char sha256[65]; /* of the file, in hexadecimal digits */
    char *bytes;     /* [n_bytes] the file */
    size_t n_bytes;
    pd_image_list list; /* the picture, then its windows */
} chat_picture;

typedef struct chat_pictures {
    chat_picture *items;
    size_t n;
} chat_pictures; /* all zero: none */

/* Appends the picture of a file, with pan and scan its windows too. On failure the list stays as it
 * was. Errors: IO (no regular file), those of pd_image_read, MEMORY_HOST. */
pd_status chat_pictures_read(chat_pictures *p, const char *path, bool windows, pd_error *err);
/* The same from the bytes of a file that once had this path. Errors: those of pd_image_decode. */
pd_status chat_pictures_take(chat_pictures *p, const char *path, const char *bytes, size_t n,
                             bool windows, pd_error *err);
/* Of all of them, windows included. */
size_t chat_pictures_count(const chat_pictures *p);
void chat_pictures_free(chat_pictures *p);

#endif
