/* What a session file begins with, and what can be read of it without its model.
 *
 *     8 bytes  "PDSESS02"
 *     u32      pd_device_kind of the device that computed it
 *     u64      bytes of the note
 *     []       the note, the caller's own
 *     ...      the sequence: session_file.c
 *     u64      XXH3 of all before it
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_ENGINE_SESSION_HEAD_H
#define PD_ENGINE_SESSION_HEAD_H

#include "base/bytes.h"
#include "base/error.h"

#define PD_SESSION_MAGIC PD_SESSION_FILE_MAGIC "02"
enum { PD_SESSION_MAGIC_BYTES = 8 };

typedef struct pd_session_head {
    uint32_t device;
    const uint8_t *note; /* [n_note], where the file's bytes are */
    uint64_t n_note;
} pd_session_head;

/* Checks the whole file's sum before anything else is believed. r: a file from its beginning; left
 * behind the head, its size without the sum. Errors: FORMAT. */
pd_status pd_session_head_read(const char *path, pd_reader *r, pd_session_head *out, pd_error *err);
pd_status pd_session_raise_damaged(const char *path, const char *what, pd_error *err);

#endif
