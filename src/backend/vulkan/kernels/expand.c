/* Shader texts and their #include lines.
 *
 * glslang's C interface of the 12.x versions has no include callbacks, so `#include "x"` is
 * replaced by the text of x, among the embedded files or in $PERIDOT_SHADER_DIR. Each file comes in
 * once, at its first mention, in whatever branch of #if that is. `#line N S` directives keep
 * messages true; S is the file's place in pd_vk_source.files. (String names in #line would need an
 * extension that leaves its name in the SPIR-V.)
 *
 * SPDX-License-Identifier: MIT
 */
#include "backend/vulkan/kernels/expand.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/vulkan/kernels/shader_texts.h"
#include "base/env.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/memory.h"

enum { MAX_SHADER_BYTES = 1 << 20, MAX_DEPTH = 8 };

static pd_status read_from_folder(const char *folder, const char *file, char **text, size_t *n,
                                  pd_error *err) {
    pd_bytes path = {0};
    pd_bytes_printf(&path, "%s/%s", folder, file);
    pd_status status = path.failed
                           ? PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory for a path")
                           : pd_file_read_all(path.data, MAX_SHADER_BYTES, text, n, err);
    pd_bytes_free(&path);
    return status;
}

/* *owned is NULL for embedded texts. */
static pd_status find_text(const char *file, const char **text, size_t *n, char **owned,
                           pd_error *err) {
    const char *folder = pd_env("PERIDOT_SHADER_DIR");
    *owned = NULL;
    if (folder && folder[0]) {
        PD_TRY(read_from_folder(folder, file, owned, n, err));
        *text = *owned;
        return PD_OK;
    }
    for (unsigned i = 0; i < pd_shader_text_count; i++) {
        if (strcmp(pd_shader_texts[i].name, file) != 0) continue;
        *text = pd_shader_texts[i].text;
        *n = pd_shader_texts[i].n_bytes;
        return PD_OK;
    }
    return PD_RAISE(err, PD_ERR_INTERNAL, "there is no shader file \"%s\"", file);
}

/* `#include "name"` at the start of a line; the name's length, 0: the line is something else. */
static size_t parse_include(const char *line, size_t n, const char **name) {
    const char *p = line, *end = line + n;
    while (p < end && (*p == ' ' || *p == '\t')) p++;
    if (p == end || *p++ != '#') return 0;
    while (p < end && (*p == ' ' || *p == '\t')) p++;
    if ((size_t)(end - p) < 7 || strncmp(p, "include", 7) != 0) return 0;
    p += 7;
    while (p < end && (*p == ' ' || *p == '\t')) p++;
    if (p == end || *p++ != '"') return 0;
    const char *quote = memchr(p, '"', (size_t)(end - p));
    *name = p;
    return quote ? (size_t)(quote - p) : 0;
}

static pd_status add_file(pd_vk_source *s, const char *name, size_t n, uint32_t *index,
                          pd_error *err) {
    for (*index = 0; *index < s->n_files; ++*index)
        if (strlen(s->files[*index]) == n && strncmp(s->files[*index], name, n) == 0) return PD_OK;
    if (s->n_files == PD_VK_MAX_INCLUDES || n >= sizeof s->files[0])
        return PD_RAISE(err, PD_ERR_INTERNAL, "shader \"%s\" includes too many files, or \"%.*s\"",
                        s->files[0], (int)n, name);
    memcpy(s->files[s->n_files++], name, n);
    return PD_OK;
}

static pd_status expand_file(pd_vk_source *s, uint32_t index, uint32_t depth, pd_error *err);

static pd_status expand_line(pd_vk_source *s, const char *line, size_t n, uint32_t file,
                             uint32_t line_number, uint32_t depth, pd_error *err) {
    const char *name = NULL;
    size_t n_name = parse_include(line, n, &name);
    uint32_t known = s->n_files, index = 0;
    if (n_name == 0) {
        pd_bytes_write(&s->text, line, n);
        pd_bytes_write(&s->text, "\n", 1);
        return PD_OK;
    }
    PD_TRY(add_file(s, name, n_name, &index, err));
    if (index < known) {
        pd_bytes_write(&s->text, "\n", 1); /* it is there already; the line count stays true */
        return PD_OK;
    }
    if (depth == MAX_DEPTH)
        return PD_RAISE(err, PD_ERR_INTERNAL, "shader \"%s\" includes files %u deep", s->files[0],
                        depth);
    pd_bytes_printf(&s->text, "#line 1 %u\n", index);
    PD_TRY(expand_file(s, index, depth + 1, err));
    pd_bytes_printf(&s->text, "#line %u %u\n", line_number + 1, file);
    return PD_OK;
}

static pd_status expand_file(pd_vk_source *s, uint32_t index, uint32_t depth, pd_error *err) {
    const char *text = NULL;
    char *owned = NULL;
    size_t n = 0;
    PD_TRY(find_text(s->files[index], &text, &n, &owned, err));
    pd_status status = PD_OK;
    uint32_t line_number = 1;
    for (size_t at = 0; status == PD_OK && at < n; line_number++) {
        const char *end = memchr(text + at, '\n', n - at);
        size_t length = end ? (size_t)(end - (text + at)) : n - at;
        status = expand_line(s, text + at, length, index, line_number, depth, err);
        at += length + 1;
    }
    pd_free(owned);
    return status;
}

pd_status pd_vk_source_expand(const char *file, pd_vk_source *out, pd_error *err) {
    uint32_t index;
    *out = (pd_vk_source){0};
    pd_status status = add_file(out, file, strlen(file), &index, err);
    if (status == PD_OK) status = expand_file(out, index, 0, err);
    if (status == PD_OK && out->text.failed)
        status = PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory for shader \"%s\"", file);
    if (status == PD_OK && !out->text.data)
        status = PD_RAISE(err, PD_ERR_INTERNAL, "shader \"%s\" is empty", file);
    if (status != PD_OK) pd_vk_source_release(out);
    return status;
}

void pd_vk_source_release(pd_vk_source *s) {
    pd_bytes_free(&s->text);
}

uint64_t pd_vk_source_hash(const pd_vk_source *s) {
    return pd_hash(s->text.data, s->text.n);
}
