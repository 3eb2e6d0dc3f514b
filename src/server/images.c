/* Pictures of requests: in the request itself, or from where the server's owner allows.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/memory.h"
#include "base/os_file.h"
#include "server/image_fetch.h"
#include "server/prompt.h"

static const char *without_prefix(const char *text, const char *prefix) {
    size_t n = strlen(prefix);
    return strncmp(text, prefix, n) == 0 ? text + n : NULL;
}

/* ---- data: ---------------------------------------------------------------------------------- */

uint64_t srv_image_max_bytes(const pd_server *s) {
    return s->desc.image.max_bytes ? s->desc.image.max_bytes : UINT64_C(64) << 20;
}

pd_status srv_image_from_base64(const pd_server *s, const char *text, size_t n, pd_image *out,
                                pd_error *err) {
    uint64_t most = srv_image_max_bytes(s);
    if (n / 4 * 3 > most || n > INT32_MAX)
        return PD_RAISE(err, PD_ERR_UNSUPPORTED, "a picture is larger than %llu bytes",
                        (unsigned long long)most);
    uint8_t *bytes = pd_alloc(n / 4 * 3 + 4, 1);
    if (!bytes) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for a picture");
    size_t n_bytes;
    pd_status status = pd_base64_decode(text, n, bytes, &n_bytes)
                           ? pd_image_decode(bytes, n_bytes, &s->desc.image, out, err)
                           : PD_RAISE(err, PD_ERR_ARGUMENT, "a picture's base64 is none");
    pd_free(bytes);
    return status;
}

static pd_status read_data(const pd_server *s, const char *data, pd_image *out, pd_error *err) {
    const char *comma = strchr(data, ',');
    static const char base64[] = ";base64";
    size_t n = comma ? (size_t)(comma - data) : 0;
    if (n < sizeof base64 - 1 ||
        strncmp(comma - (sizeof base64 - 1), base64, sizeof base64 - 1) != 0)
        return PD_RAISE(err, PD_ERR_ARGUMENT,
                        "a picture's data: address has to be data:image/...;base64,...");
    return srv_image_from_base64(s, comma + 1, strlen(comma + 1), out, err);
}

/* ---- file:// -------------------------------------------------------------------------------- */

/* With links and dots resolved, it has to lie below the folder. */
static pd_status read_file(const pd_server *s, const char *path, pd_image *out, pd_error *err) {
    pd_status status = PD_ERR_ARGUMENT;
    if (!s->desc.media_path)
        return PD_RAISE(err, PD_ERR_ARGUMENT, "file:// pictures are not allowed (--media-path)");
    char *folder = pd_path_real(s->desc.media_path);
    pd_bytes name = {0};
    pd_bytes_printf(&name, "%s/%s", s->desc.media_path, path[0] == '/' ? path + 1 : path);
    char *file = name.failed ? NULL : pd_path_real(name.data);
    size_t n = folder ? strlen(folder) : 0;
    if (n && file && strncmp(file, folder, n) == 0 && file[n] == '/')
        status = pd_image_read(file, &s->desc.image, out, err);
    else
        PD_RAISE(err, status, "there is no such picture below the media path");
    if (status == PD_ERR_IO) /* whose sentence has the path */
        PD_RAISE(err, status, "the picture below the media path cannot be read");
    pd_bytes_free(&name);
    pd_free(file);
    pd_free(folder);
    return status;
}

/* ---- http(s):// ----------------------------------------------------------------------------- */

/* What the other server sent is not told, nor what it made of a decoder. */
static pd_status read_web(const pd_server *s, const char *url, uint64_t *fetch_ns, pd_image *out,
                          pd_error *err) {
    pd_bytes bytes = {0};
    if (!s->desc.allow_image_urls)
        return PD_RAISE(err, PD_ERR_ARGUMENT,
                        "pictures from the network are not allowed (--allow-image-urls)");
    pd_status status =
        srv_fetch(url, srv_image_max_bytes(s), fetch_ns, srv_address_is_far, &bytes, err);
    if (status == PD_OK) {
        status = pd_image_decode(bytes.data, bytes.n, &s->desc.image, out, err);
        if (status == PD_ERR_FORMAT || status == PD_ERR_UNSUPPORTED)
            PD_RAISE(err, status, "what came from a picture's address is no picture that is taken");
    }
    pd_bytes_free(&bytes);
    return status;
}

pd_status srv_image_read(const pd_server *s, const char *url, uint64_t *fetch_ns, pd_image *out,
                         pd_error *err) {
    const char *rest;
    *out = (pd_image){0};
    if ((rest = without_prefix(url, "data:"))) return read_data(s, rest, out, err);
    if ((rest = without_prefix(url, "file://"))) return read_file(s, rest, out, err);
    if (without_prefix(url, "http://") || without_prefix(url, "https://"))
        return read_web(s, url, fetch_ns, out, err);
    return PD_RAISE(err, PD_ERR_ARGUMENT,
                    "a picture's address has to begin with data:, http(s):// or file://");
}
