/* See history.h.  SPDX-License-Identifier: MIT */
#include "cli/chat/history.h"

#include <string.h>

#include "base/bytes.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/os_file.h"

enum { OWN_MODE = 0600 };

/* ---- lines ---------------------------------------------------------------------------------- */

static void write_escaped(pd_bytes *out, const char *text) {
    for (; *text; text++)
        if (*text == '\n')
            pd_bytes_write(out, "\\n", 2);
        else if (*text == '\\')
            pd_bytes_write(out, "\\\\", 2);
        else
            pd_bytes_write(out, text, 1);
    pd_bytes_write(out, "\n", 1);
}

/* In place. */
static void unescape(char *line) {
    char *to = line;
    for (const char *from = line; *from; from++) {
        bool escaped = from[0] == '\\' && from[1];
        if (escaped) from++;
        *to++ = escaped && *from == 'n' ? '\n' : *from;
    }
    *to = '\0';
}

static size_t count_lines(const char *data, size_t n) {
    size_t lines = 0;
    for (size_t i = 0; i < n; i++) lines += data[i] == '\n';
    return lines;
}

/* The last lines begin there: at most CHAT_HISTORY_MAX, in half of the bytes. */
static char *last_lines(char *data, size_t n, size_t n_lines) {
    for (; n_lines > CHAT_HISTORY_MAX || (n_lines > 0 && n > CHAT_HISTORY_MAX_BYTES / 2);
         n_lines--) {
        size_t length = (size_t)(strchr(data, '\n') + 1 - data);
        data += length;
        n -= length;
    }
    return data;
}

/* ---- the file ------------------------------------------------------------------------------- */

static void rewrite(const char *path, const char *text) {
    pd_file_writer w;
    pd_error unused;
    if (pd_file_writer_open(path, &w, &unused) != PD_OK) return;
    if (pd_fd_set_mode(fileno(w.stream), OWN_MODE)) {
        pd_file_writer_write(&w, text, strlen(text));
        pd_file_writer_commit(&w, &unused);
    } else {
        pd_file_writer_abort(&w);
    }
}

void chat_history_read(const char *path, chat_history_fn fn, void *ctx) {
    char *data = NULL;
    size_t n = 0;
    pd_error unused;
    if (!path ||
        pd_file_read_regular(path, 2 * CHAT_HISTORY_MAX_BYTES, &data, &n, &unused) != PD_OK)
        return;
    size_t n_lines = strlen(data) == n ? count_lines(data, n) : 0; /* a zero: it is no history */
    char *rest = last_lines(data, n, n_lines);
    if (n_lines > 2 * CHAT_HISTORY_MAX || n > CHAT_HISTORY_MAX_BYTES) rewrite(path, rest);
    for (char *end; n_lines > 0 && (end = strchr(rest, '\n')) != NULL; rest = end + 1) {
        *end = '\0';
        unescape(rest);
        if (rest[0]) fn(ctx, rest);
    }
    pd_free(data);
}

void chat_history_append(const char *path, const char *text) {
    pd_bytes line = {0};
    pd_path_info info;
    const unsigned how = PD_OPEN_WRITE | PD_OPEN_CREATE | PD_OPEN_APPEND | PD_OPEN_PRIVATE;
    int fd = path ? pd_fd_open(path, how) : -1;
    if (fd < 0) return;
    write_escaped(&line, text);
    bool fits = pd_fd_look(fd, &info) && info.kind == PD_PATH_FILE && !line.failed &&
                line.n <= CHAT_HISTORY_MAX_LINE && info.size + line.n <= 2 * CHAT_HISTORY_MAX_BYTES;
    if (fits && pd_fd_set_mode(fd, OWN_MODE))
        (void)pd_fd_append(fd, line.data, line.n); /* a full disk costs the history alone */
    pd_bytes_free(&line);
    pd_fd_close(fd);
}
