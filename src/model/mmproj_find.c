/* See mmproj_find.h.  SPDX-License-Identifier: MIT */
#include "model/mmproj_find.h"

#include <string.h>

#include "base/bytes.h"
#include "base/folder.h"

enum { MAX_LISTED = 4 };
#define SAME_SIZE UINT32_C(65536) /* more than any count of words */

/* ---- names as words ------------------------------------------------------------------------- */

typedef struct word {
    const char *text;
    size_t n;
} word;

static char lower(char c) {
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

/* Bytes above ASCII are letters of some alphabet. */
static bool is_part_of_word(char c) {
    return is_digit(c) || (lower(c) >= 'a' && lower(c) <= 'z') || (unsigned char)c >= 0x80;
}

static bool same_text(const char *a, const char *b, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (lower(a[i]) != lower(b[i])) return false;
    return true;
}

static bool same_word(word a, word b) {
    return a.n == b.n && same_text(a.text, b.text, a.n);
}

static bool is_left_out(word w) {
    return same_word(w, (word){"mmproj", 6}) || same_word(w, (word){"model", 5}) ||
           same_word(w, (word){"gguf", 4});
}

/* The next word that counts; *at moves behind it. n is 0 at the end. */
static word next_word(const char **at) {
    for (;;) {
        while (**at && !is_part_of_word(**at)) ++*at;
        word w = {*at, 0};
        while (is_part_of_word(w.text[w.n])) w.n++;
        *at += w.n;
        if (w.n == 0 || !is_left_out(w)) return w;
    }
}

/* Digits and then b (billions) or m (millions). */
static bool is_size(word w) {
    if (w.n < 2 || (lower(w.text[w.n - 1]) != 'b' && lower(w.text[w.n - 1]) != 'm')) return false;
    for (size_t i = 0; i + 1 < w.n; i++)
        if (!is_digit(w.text[i])) return false;
    return true;
}

/* The first size in a name; n is 0 when it has none. */
static word find_size(const char *name) {
    word w;
    while ((w = next_word(&name)).n > 0)
        if (is_size(w)) break;
    return w;
}

static uint32_t count_shared_words(const char *a, const char *b) {
    uint32_t n = 0;
    for (;;) {
        word next = next_word(&a);
        if (next.n == 0 || !same_word(next, next_word(&b))) return n;
        n++;
    }
}

/* ---- candidates ----------------------------------------------------------------------------- */

static bool is_candidate(const char *name, const char *model_name) {
    static const char ending[] = ".gguf", mark[] = "mmproj";
    const size_t n = strlen(name), n_ending = sizeof ending - 1, n_mark = sizeof mark - 1;
    if (n < n_ending || !same_text(name + n - n_ending, ending, n_ending)) return false;
    if (strcmp(name, model_name) == 0) return false;
    for (size_t i = 0; i + n_mark <= n; i++)
        if (same_text(name + i, mark, n_mark)) return true;
    return false;
}

/* How well a candidate fits, more being better; 0: not at all. */
static uint32_t judge(const char *name, const char *model_name) {
    if (!is_candidate(name, model_name)) return 0;
    word size = find_size(name), wanted = find_size(model_name);
    bool both = size.n > 0 && wanted.n > 0;
    if (both && !same_word(size, wanted)) return 0;
    return 1 + (both ? SAME_SIZE : 0u) + count_shared_words(model_name, name);
}

static pd_status raise_ambiguous(const pd_folder *f, const char *model_name, uint32_t best,
                                 pd_error *err) {
    pd_bytes list = {0};
    unsigned n = 0;
    for (size_t i = 0; i < f->n; i++) {
        if (judge(f->names[i], model_name) != best) continue;
        if (n < MAX_LISTED) pd_bytes_printf(&list, "%s%s", n ? ", " : "", f->names[i]);
        n++;
    }
    if (n > MAX_LISTED) pd_bytes_printf(&list, " and %u more", n - MAX_LISTED);
    pd_status status =
        PD_RAISE(err, PD_ERR_ARGUMENT, "%u files may be the image encoder of \"%s\": %s", n,
                 model_name, list.data ? list.data : "");
    pd_bytes_free(&list);
    return pd_error_hint(err, status, "name the one with --mmproj FILE");
}

static pd_status choose(const pd_folder *f, const char *model_path, size_t name_at, char **out,
                        pd_error *err) {
    const char *model_name = model_path + name_at, *found = NULL;
    uint32_t best = 0, n_best = 0;
    for (size_t i = 0; i < f->n; i++) {
        uint32_t fit = judge(f->names[i], model_name);
        if (fit == 0 || fit < best) continue;
        n_best = fit == best ? n_best + 1 : 1;
        best = fit;
        found = f->names[i];
    }
    if (n_best > 1) return raise_ambiguous(f, model_name, best, err);
    if (!found) return PD_OK;
    pd_bytes path = {0};
    pd_bytes_write(&path, model_path, name_at);
    pd_bytes_write(&path, found, strlen(found));
    *out = path.data;
    if (!path.failed) return PD_OK;
    pd_bytes_free(&path);
    *out = NULL;
    return PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory for a path");
}

pd_status pd_mmproj_find(const char *model_path, char **out, pd_error *err) {
    size_t name_at = pd_path_name_at(model_path);
    pd_bytes folder_path = {0};
    pd_folder folder;
    *out = NULL;
    pd_bytes_write(&folder_path, name_at ? model_path : ".", name_at ? name_at : 1);
    if (folder_path.failed)
        return PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory for a path");
    pd_status status = pd_folder_list(folder_path.data, &folder, err);
    pd_bytes_free(&folder_path);
    if (status != PD_OK) return status;
    status = choose(&folder, model_path, name_at, out, err);
    pd_folder_free(&folder);
    return status;
}
