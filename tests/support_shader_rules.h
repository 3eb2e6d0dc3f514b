/* What holds for every kernel on every chip: no register spills and nothing is kept in scratch
 * memory, but where tests/data/shader_report/spills.txt says why it cannot be avoided:
 *
 *     # chip kernel spills scratch reason
 *     m1 matmul_coopmat(128,3,...) 12 64 the one compiler that ...
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_TESTS_SUPPORT_SHADER_RULES_H
#define PD_TESTS_SUPPORT_SHADER_RULES_H

#include "support_shader_row.h"

enum { SHADER_MAX_SPILLS = 256 };

typedef struct shader_spill {
    char chip[32], kernel[96];
    long spills, scratch; /* at most */
} shader_spill;

typedef struct shader_spills {
    shader_spill list[SHADER_MAX_SPILLS];
    unsigned n;
} shader_spills;

/* A line without a reason is none. */
static inline bool shader_spills_read_line(shader_spills *s, const char *line) {
    char reason[8];
    if (line[0] == '#' || line[0] == '\n') return true;
    if (s->n == SHADER_MAX_SPILLS) return false;
    shader_spill *spill = &s->list[s->n++];
    return sscanf(line, "%31s %95s %ld %ld %7s", spill->chip, spill->kernel, &spill->spills,
                  &spill->scratch, reason) == 5;
}

static inline bool shader_spills_read(const char *path, shader_spills *s) {
    char line[512];
    bool good = true;
    *s = (shader_spills){0};
    FILE *f = fopen(path, "r");
    if (!f) return false;
    while (good && fgets(line, sizeof line, f)) good = shader_spills_read_line(s, line);
    fclose(f);
    return good;
}

static inline bool shader_spills_allow(const shader_spills *s, const char *chip,
                                       const shader_row *row) {
    long spills = row->value[SHADER_SPILLS], scratch = row->value[SHADER_SCRATCH];
    if (spills <= 0 && scratch <= 0) return true; /* or unknown */
    for (unsigned i = 0; i < s->n; i++)
        if (!strcmp(s->list[i].chip, chip) && !strcmp(s->list[i].kernel, row->name))
            return spills <= s->list[i].spills && scratch <= s->list[i].scratch;
    return false;
}

#endif
