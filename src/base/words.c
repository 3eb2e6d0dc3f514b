/* See words.h.  SPDX-License-Identifier: MIT */
#include "base/words.h"

#include <stdio.h>
#include <string.h>

const char *pd_size_text(uint64_t n_bytes, char *out) {
    static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB"};
    double n = (double)n_bytes;
    unsigned unit = 0;
    while (n >= 1024 && unit + 1 < sizeof units / sizeof units[0]) {
        n /= 1024;
        unit++;
    }
    snprintf(out, 32, unit == 0 ? "%.0f %s" : "%.2f %s", n, units[unit]);
    return out;
}

const char *pd_rate_text(uint64_t n_bytes, uint64_t ns, char *out) {
    double rate = (double)n_bytes / ((double)(ns ? ns : 1) / 1e9);
    pd_size_text((uint64_t)rate, out);
    strcat(out, "/s");
    return out;
}

const char *pd_time_text(uint64_t seconds, char *out) {
    unsigned s = (unsigned)(seconds % 60), m = (unsigned)(seconds / 60 % 60);
    uint64_t h = seconds / 3600;
    if (h)
        snprintf(out, 32, "%llu:%02u:%02u", (unsigned long long)h, m, s);
    else
        snprintf(out, 32, "%u:%02u", m, s);
    return out;
}

uint32_t pd_word_distance(const char *a, const char *b) {
    enum { MAX = 40 };
    size_t n = strlen(a), m = strlen(b);
    if (n > MAX || m > MAX) return MAX;
    uint32_t row[MAX + 1];
    for (uint32_t j = 0; j <= m; j++) row[j] = j;
    for (uint32_t i = 1; i <= n; i++) {
        uint32_t diagonal = row[0];
        row[0] = i;
        for (uint32_t j = 1; j <= m; j++) {
            uint32_t best = diagonal + (a[i - 1] != b[j - 1]);
            if (row[j] + 1 < best) best = row[j] + 1;
            if (row[j - 1] + 1 < best) best = row[j - 1] + 1;
            diagonal = row[j];
            row[j] = best;
        }
    }
    return row[m];
}

const char *pd_next_word(const char **list, size_t *n) {
    if (!*list) return NULL;
    const char *word = *list + strspn(*list, ",");
    *n = strcspn(word, ",");
    *list = word + *n;
    return *n > 0 ? word : NULL;
}

bool pd_word_is(const char *word, size_t n, const char *known) {
    return strlen(known) == n && strncmp(word, known, n) == 0;
}

static char lower(char c) {
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

bool pd_same_n_in_any_case(const char *a, const char *b, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (lower(a[i]) != lower(b[i])) return false;
        if (!a[i]) return true;
    }
    return true;
}

bool pd_same_in_any_case(const char *a, const char *b) {
    return pd_same_n_in_any_case(a, b, SIZE_MAX);
}

bool pd_find_in_any_case(const char *text, const char *part) {
    size_t n = strlen(part);
    for (; *text; text++)
        if (pd_same_n_in_any_case(text, part, n)) return true;
    return n == 0;
}
