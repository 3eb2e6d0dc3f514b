/* See session_head.h.  SPDX-License-Identifier: MIT */
#include "engine/session_head.h"

#include <string.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/memory.h"

pd_status pd_session_raise_damaged(const char *path, const char *what, pd_error *err) {
    return PD_RAISE(err, PD_ERR_FORMAT, "the session file \"%s\" is damaged: %s", path, what);
}

static pd_status check_magic(const char *path, pd_reader *r, pd_error *err) {
    const uint8_t *magic;
    if (!pd_read_bytes(r, PD_SESSION_MAGIC_BYTES, &magic) ||
        memcmp(magic, PD_SESSION_FILE_MAGIC, strlen(PD_SESSION_FILE_MAGIC)) != 0)
        return PD_RAISE(err, PD_ERR_FORMAT, "\"%s\" is no session file", path);
    if (memcmp(magic, PD_SESSION_MAGIC, PD_SESSION_MAGIC_BYTES) != 0)
        return PD_RAISE(err, PD_ERR_FORMAT,
                        "the session file \"%s\" is of a version that this Peridot does not read",
                        path);
    return PD_OK;
}

static pd_status check_sum(const char *path, pd_reader *r, pd_error *err) {
    pd_reader end = *r;
    uint64_t sum = 0;
    if (r->size - r->pos < sizeof sum)
        return pd_session_raise_damaged(path, "it ends too soon", err);
    end.pos = r->size -= sizeof sum;
    if (!pd_read_u64(&end, &sum) || sum != pd_hash(r->data, r->size))
        return pd_session_raise_damaged(path, "its checksum does not match its content", err);
    return PD_OK;
}

pd_status pd_session_head_read(const char *path, pd_reader *r, pd_session_head *out,
                               pd_error *err) {
    PD_TRY(check_magic(path, r, err));
    PD_TRY(check_sum(path, r, err));
    if (!pd_read_u32(r, &out->device) || !pd_read_u64(r, &out->n_note) ||
        !pd_read_bytes(r, out->n_note, &out->note))
        return pd_session_raise_damaged(path, "its head is incomplete", err);
    return PD_OK;
}

/* ---- without a model ------------------------------------------------------------------------ */

static pd_status copy(const pd_session_head *head, pd_session_file *out, pd_error *err) {
    size_t n = (size_t)head->n_note;
    out->note = pd_alloc(n + 1, 1);
    if (!out->note) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for a session's note");
    memcpy(out->note, head->note, n);
    out->n_note = n;
    out->device = (pd_device_kind)head->device;
    return PD_OK;
}

pd_status pd_session_file_read(const char *path, pd_session_file *out, pd_error *err) {
    PD_NEED(err, out);
    *out = (pd_session_file){0};
    PD_NEED(err, path);
    pd_mapping mapping;
    pd_session_head head;
    PD_TRY(pd_mapping_open(path, &mapping, err));
    pd_reader r = {.data = mapping.data, .size = mapping.size};
    pd_status status = pd_session_head_read(path, &r, &head, err);
    if (status == PD_OK) status = copy(&head, out, err);
    pd_mapping_close(&mapping);
    return status;
}

void pd_session_file_free(pd_session_file *file) {
    if (!file) return;
    pd_free(file->note);
    *file = (pd_session_file){0};
}
